"""A worker that runs no nodes: it does what a job's graph (MessagePack of a mapping) tells it.

hold: wait until this file exists, then go on    seconds: work so long    die: {"signal": n, "attempts": k} end itself
on the first k attempts    freeze: stop the heartbeat and hang    deaf: ignore cancel    files: names to write below
--output, two halves each    tear: die by SIGKILL with the last file unfinished    raise: fail with this message
print: print this    say: print the device's name    parts: sleep this long between a file's halves
garbage: send bytes that are no frame

It speaks the protocol as the real worker does: it takes the lock, says Ready, answers each Run with one ending
(Interrupted for one cancelled in its inbox) and ends at once when its socket closes.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import queue
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import msgspec

from engine.messages.events import (
    Cached,
    Failed,
    Interrupted,
    NodeFinished,
    NodeReport,
    NodeShown,
    NodeStarted,
    Started,
    Succeeded,
)
from engine.messages.protocol import (
    Alive,
    Answer,
    Cancel,
    Device,
    Free,
    JobEvent,
    Ready,
    Run,
    Stop,
    decode_command,
    encode,
)

options = argparse.ArgumentParser()
options.add_argument("--fd", type=int)
options.add_argument("--lock", type=Path)
options.add_argument("--output", type=Path)
options.add_argument("--beat", type=float, default=0.2)
options.add_argument("--fail-to-start", action="store_true")
options.add_argument("--device", default="cpu")
options.add_argument("--models", nargs="*", default=())
options = options.parse_args()
if options.fail_to_start:
    print("no module named nonsense", flush=True)
    sys.exit(3)

wire = socket.socket(fileno=options.fd)
wire.set_inheritable(False)
inbox: queue.Queue[Run | None] = queue.Queue()
guard = threading.Lock()
waiting: dict[tuple[str, int], Run] = {}
running: Run | None = None
cancelled = threading.Event()
frozen = threading.Event()
speaking = threading.Lock()


def say(message) -> None:
    with speaking:
        wire.sendall(encode(message))


def tell(run: Run, event) -> None:
    say(JobEvent(job=run.job, attempt=run.attempt, event=event))


def read_exactly(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = wire.recv(count - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def listen() -> None:
    while True:
        try:
            (length,) = struct.unpack(">I", read_exactly(4))
            command = decode_command(read_exactly(length))
        except OSError:
            os._exit(0)
        if isinstance(command, Run):
            with guard:
                waiting[command.job, command.attempt] = command
            inbox.put(command)
        elif isinstance(command, Cancel):
            with guard:
                dropped = [waiting.pop(key) for key in list(waiting) if key[0] == command.job]
                if running is not None and running.job == command.job:
                    cancelled.set()
            for run in dropped:
                tell(run, Interrupted(time=time.time()))
        elif isinstance(command, Free):
            say(Answer(command.request, msgspec.Raw(msgspec.msgpack.encode(4096))))
        elif isinstance(command, Stop):
            inbox.put(None)


def beat() -> None:
    while not frozen.wait(options.beat):
        say(Alive(models=tuple(options.models)))


def note(journal: Path, entry: dict) -> None:
    with journal.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def write(run: Run, name: str, between: float, *, tear: bool) -> dict:
    file = options.output / name
    # As the real worker's, names differ between attempts: what is undone of one must not touch the next.
    part = file.with_name(f"{file.name}.{run.attempt}.part")
    journal = Path(run.journal)
    note(journal, {"part": str(part)})
    with part.open("w") as half:
        half.write("one half, ")
        half.flush()
        if tear:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(between)
        half.write("the other half")
    note(journal, {"part": str(part), "file": str(file), "inode": part.stat().st_ino})
    part.rename(file)
    return {"filename": name, "subfolder": "", "type": "output"}


def carry_out(run: Run):
    todo = msgspec.msgpack.decode(run.graph)
    tell(run, Started(time=time.time()))
    tell(run, Cached(nodes=("1",), time=time.time()))
    tell(run, NodeStarted("2", "2"))
    if "say" in todo:
        print(options.device, flush=True)
    if "print" in todo:
        print(todo["print"], flush=True)
    if "garbage" in todo:
        wire.sendall(b"\xff" * 64)
    if todo.get("die") and run.attempt <= todo["die"].get("attempts", 99):
        for name in todo.get("files", ()):
            write(run, name, 0, tear=name == todo["files"][-1] and "tear" in todo)
        os.kill(os.getpid(), todo["die"]["signal"])
        time.sleep(60)
    if "freeze" in todo and run.attempt <= todo["freeze"]:
        frozen.set()
        time.sleep(600)
    files = [write(run, name, todo.get("parts", 0), tear=False) for name in todo.get("files", ())]
    stop = time.monotonic() + todo.get("seconds", 0)
    while time.monotonic() < stop or ("hold" in todo and not Path(todo["hold"]).exists()):
        if cancelled.is_set() and not todo.get("deaf"):
            return Interrupted(time=time.time(), node="2", class_type="Sleep", executed=("1",))
        time.sleep(0.005)
    if "raise" in todo:
        return Failed(time=time.time(), node="2", display="2", class_type="Raise", exception_type="ValueError",
                      message=todo["raise"], traceback=("line 1",), inputs={"a": ["1"]}, executed=("1",))
    outputs = {"2": {"images": files}}
    tell(run, NodeShown("2", "2", outputs["2"]))
    tell(run, NodeFinished("2", "2", 0.0))
    reports = (NodeReport("1", "1", "A", "reused"), NodeReport("2", "2", "B", "ran"))
    return Succeeded(time=time.time(), outputs=outputs, reports=reports)


lock = os.open(options.lock, os.O_RDWR | os.O_CREAT)
threading.Thread(target=listen, daemon=True).start()
fcntl.flock(lock, fcntl.LOCK_EX)
os.ftruncate(lock, 0)
os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
say(Ready(specs=msgspec.Raw(msgspec.msgpack.encode({"A": 1})), failures={"bad": "traceback"},
          devices=(Device(options.device, "cpu", 0, 8, 4),), versions={"fake": "1"}))
threading.Thread(target=beat, daemon=True).start()
while (run := inbox.get()) is not None:
    with guard:
        if waiting.pop((run.job, run.attempt), None) is None:
            continue
        running = run
        cancelled.clear()
    ending = carry_out(run)
    with guard:
        running = None
    tell(run, ending)
os._exit(0)
