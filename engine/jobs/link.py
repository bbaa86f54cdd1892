"""One worker process and the socket to it; and the locks by which a new server knows that old workers are gone.

A worker is started with ``--fd N --lock FILE``. It takes an exclusive flock on FILE (waiting if it must), writes
its process id there, and only then says ``Ready``. It ends when the socket closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from engine.jobs.job import StoreError
from engine.messages.protocol import HEADER, Command, Report, decode_report, encode, read_frame

log = logging.getLogger(__name__)

MANY = 2_000  # reports that may wait here before the worker has to
PIPE_GRACE = 2.0  # seconds between the end of a process and the end of its socket, and the other way round
LINE = 4_000


class Link(asyncio.Protocol):
    """A worker process. Read it with ``take`` and ``more`` until that says no, then ``reap`` it."""

    def __init__(self, ours: socket.socket) -> None:
        self.socket = ours
        self.heard = 0.0  # the loop's time of the last frame
        self.reason: str | None = None  # why we killed it
        self.process: asyncio.subprocess.Process
        self._buffer = bytearray()
        self._reports: deque[Report] = deque()
        self._saying: list[bytes] = []  # goes out with the next turn of the loop
        self._more: asyncio.Future[None] | None = None
        self._open = True
        self._paused = False
        self._refused = False
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Task[int]

    @property
    def busy(self) -> bool:
        """Whether reports wait to be read: silence is then ours, not the worker's."""
        return self._paused or bool(self._reports)

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self.process.pid

    def send(self, command: Command) -> None:
        """Say something to the worker; nothing happens if it is gone."""
        if self._open:
            if not self._saying:
                self._loop.call_soon(self._say)
            self._saying.append(encode(command))

    def _say(self) -> None:
        said = b"".join(self._saying)
        self._saying.clear()
        if self._open:
            self._transport.write(said)

    async def more(self) -> bool:
        """Wait until there is a report; whether there is one: False when the worker has said all it ever will."""
        while not self._reports:
            if not self._open:
                return False
            self._more = self._loop.create_future()
            await self._more
        return True

    def take(self) -> Report | None:
        """The next report, if there is one."""
        if not self._reports:
            return None
        report = self._reports.popleft()
        if self._paused and len(self._reports) < MANY // 2 and self._open:
            self._paused = False
            self.heard = self._loop.time()
            self._transport.resume_reading()
        return report

    def kill(self, reason: str) -> None:
        """End the worker and what it started, at once."""
        if self.reason is None and self.process.returncode is None:
            self.reason = reason
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)  # it leads its own session

    async def reap(self) -> int:
        """Wait for the process to be gone, killing it if it lingers; gives its exit code (negative: a signal)."""
        done, _ = await asyncio.wait([self._exit], timeout=PIPE_GRACE)
        if not done:
            self.kill("it closed its socket and did not end")
        return await asyncio.shield(self._exit)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.heard = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames."""
        self.heard = self._loop.time()
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= HEADER.size:
            length, fine = read_frame(buffer[at : at + HEADER.size])
            if not fine:
                self._refuse(f"it announced a message of {length} bytes")
                return
            end = at + HEADER.size + length
            if len(buffer) < end:
                break
            try:
                self._reports.append(decode_report(bytes(buffer[at + HEADER.size : end])))
            except msgspec.DecodeError as error:
                self._refuse(f"it sent a message that cannot be read: {error}")
                return
            at = end
        del buffer[:at]
        if len(self._reports) > MANY and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear what is left, then nothing more will come."""
        if exc is not None and not self._refused:
            self._drain()
        self._open = False
        self._wake()

    def _drain(self) -> None:
        """Read what a worker said before it died. asyncio gives a socket up at the first failed *write*."""
        for _ in range(2):  # the first read may only tell that the other end is closed
            with contextlib.suppress(OSError):
                while data := self.socket.recv(2**18):
                    self.data_received(data)

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _refuse(self, why: str) -> None:
        self._refused = True
        self.kill(why)
        self._transport.abort()

    async def _watch_process(self) -> int:
        code = await self.process.wait()
        # What it said before it died is still in the socket, which then ends by itself, unless a child of the
        # worker has inherited it.
        self._loop.call_later(PIPE_GRACE, self._end_socket)
        return code

    def _end_socket(self) -> None:
        if self._open and not self._paused:
            self._transport.abort()
        elif self._open:
            self._loop.call_later(PIPE_GRACE, self._end_socket)


class _Output(asyncio.Protocol):
    """What a worker prints, line by line."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Pass on whole lines; a progress bar's carriage return ends a line too."""
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._rest) > LINE:
            self._say(self._rest)
            self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on what is left."""
        self._say(self._rest)

    def _say(self, line: bytes) -> None:
        if line.strip():
            self._hear(line[:LINE].decode(errors="replace"))


async def start_link(command: Sequence[str], lock: Path, hear_log: Callable[[str], None]) -> Link:
    """Start a worker process in a session of its own. Raises OSError if it cannot be started."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    link = Link(ours)
    output, printed = os.pipe()
    try:
        link.process = await asyncio.create_subprocess_exec(
            *command, "--fd", str(theirs.fileno()), "--lock", str(lock), stdin=asyncio.subprocess.DEVNULL,
            stdout=printed, stderr=printed, pass_fds=[theirs.fileno()], start_new_session=True)
    except BaseException:
        ours.close()
        os.close(output)
        raise
    finally:
        theirs.close()
        os.close(printed)
    link._exit = asyncio.ensure_future(link._watch_process())
    await loop.connect_read_pipe(lambda: _Output(hear_log), os.fdopen(output, "rb", 0))
    ours.setblocking(False)
    await loop.create_unix_connection(lambda: link, sock=ours)
    return link


async def wait_for_old_workers(folder: Path, patience: float) -> None:
    """Return when no worker of an earlier server holds its lock in ``folder``; those that outstay it are killed.

    Workers end by themselves when their server's socket closes. Raises StoreError if one cannot be ended.
    """
    loop = asyncio.get_running_loop()
    for lock in sorted(folder.glob("*.lock")):
        for kill in (False, True):
            deadline = loop.time() + patience
            while not (free := _is_free(lock)) and loop.time() < deadline:
                await asyncio.sleep(0.02)  # flock has no waiting with a limit; this is at start only
            if free:
                break
            if kill:
                raise StoreError(f"{lock}: a worker of an earlier server (process {_holder(lock)}) does not end; end it"
                                 " and start again")
            _kill_holder(lock)


def _is_free(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _holder(lock: Path) -> int | None:
    try:
        return int(lock.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _kill_holder(lock: Path) -> None:
    """Kill the process that the lock names, if it has that very file open: its number may be another's by now."""
    pid = _holder(lock)
    if pid is None or pid <= 1 or not _has_open(pid, lock):
        return
    log.warning("worker %d of an earlier server is still there; killing it", pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _has_open(pid: int, file: Path) -> bool:
    folder = Path(f"/proc/{pid}/fd")
    if not Path("/proc/self/fd").is_dir():
        return True  # no way to know here; the lock is held and names this process
    wanted = file.stat()
    try:
        links = list(folder.iterdir())
    except OSError:
        return False
    for link in links:
        with contextlib.suppress(OSError):
            found = link.stat()
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False
