"""A worker process without torch: it publishes the test nodes and tells a job's events as the engine would.

It computes nothing; ``Show`` shows how many nodes the graph has. For ``tests/web/test_whole.py``.
"""

from __future__ import annotations

import argparse
import fcntl
import socket
import sys
import threading
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.graph.graph import Graph
from engine.messages import events
from engine.messages.protocol import Alive, Device, JobEvent, Ready, Run, Stop, decode_command, encode
from tests.web.support import SPECS

options = argparse.ArgumentParser()
options.add_argument("--fd", type=int)
options.add_argument("--lock", type=Path)
arguments, _ = options.parse_known_args()
wire = socket.socket(fileno=arguments.fd)
speaking = threading.Lock()


def say(message: object) -> None:
    with speaking:
        wire.sendall(encode(message))


def beat() -> None:
    while True:
        time.sleep(0.5)
        say(Alive())


def carry_out(run: Run) -> None:
    graph = msgspec.msgpack.decode(run.graph, type=Graph)
    told: list[object] = [events.Started(time=time.time()), events.Cached(nodes=(), time=time.time())]
    shown = {name: {"text": [str(len(graph.nodes))]} for name in graph.targets}
    for node in graph.nodes:
        told.append(events.NodeStarted(node.id, node.id))
        if node.id in shown:
            told.append(events.NodeShown(node.id, node.id, shown[node.id]))
        told.append(events.NodeFinished(node.id, node.id, 0.0))
    told.append(events.Succeeded(time=time.time(), outputs=shown))
    for event in told:
        say(JobEvent(job=run.job, attempt=run.attempt, event=event))  # type: ignore[arg-type]


def main() -> None:
    if arguments.lock is not None:
        arguments.lock.parent.mkdir(parents=True, exist_ok=True)
        lock = arguments.lock.open("a")
        fcntl.flock(lock, fcntl.LOCK_EX)
    specs = msgspec.Raw(msgspec.msgpack.encode(SPECS))
    say(Ready(specs, {}, (Device("cpu", "cpu", 0, 2**33, 2**32),), {"torch": "none"}))
    threading.Thread(target=beat, daemon=True).start()
    stream = wire.makefile("rb")
    while header := stream.read(4):
        command = decode_command(stream.read(int.from_bytes(header, "big")))
        if isinstance(command, Run):
            carry_out(command)
        elif isinstance(command, Stop):
            return


main()
