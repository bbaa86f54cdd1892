"""The worker processes: started, heard out, watched, and started again when they end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.jobs.endings import describe_exit
from engine.jobs.lease import LAST_WORDS, Worker
from engine.jobs.link import Link, start_link
from engine.jobs.telling import Telling
from engine.messages.protocol import Alive, Answer, Device, JobEvent, LogText, Question, Ready, Report, Stop

T = TypeVar("T")
log = logging.getLogger(__name__)

LOG_LINES = 300
BACKOFF_FIRST, BACKOFF_MOST = 0.5, 30.0
STEADY = 10.0  # seconds after which a worker's death no longer counts as a failure to start


class AskError(Exception):
    """A worker could not answer; the message is its own."""


@dataclass(frozen=True)
class LogLine:
    """A line that a worker or a node printed."""

    time: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How workers are kept. Times are seconds.

    flags: what each worker's command has besides.
    hang: a worker that is silent for so long is killed; starting: the same before it is ready.
    stopping: how long workers may take to end when the server stops.
    """

    command: tuple[str, ...]
    locks: Path
    flags: tuple[tuple[str, ...], ...] = ((),)
    hang: float = 60.0
    starting: float = 600.0
    stopping: float = 5.0
    clock: Callable[[], float] = time.time


class Crew:
    """All workers of a server, and what they have said of themselves.

    happened: told each event of a job, in order; what it gives is awaited before the next.
    bury: given each worker that has ended and why, after all that it said.
    room: called when a worker may be able to take jobs. greeted: given each worker that is ready, before that.
    """

    def __init__(
        self, habits: Habits, *, happened: Callable[[Worker, JobEvent], Awaitable[None] | None],
        bury: Callable[[Worker, str], Awaitable[None]], room: Callable[[], None],
        greeted: Callable[[Worker, Ready], None],
    ) -> None:
        self.specs: Ready | None = None
        self._devices: dict[int, tuple[Device, ...]] = {}
        self.logs: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.workers: list[Worker] = []
        self.stopping = asyncio.Event()
        self._habits = habits
        self._happened, self._bury, self._room, self._greeted = happened, bury, room, greeted
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[Callable[[Ready], None]] = []
        self._ready = asyncio.Event()
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._requests = count(1)

    def start(self) -> None:
        """Start every worker; each is started again when it ends."""
        for slot in range(len(self._habits.flags)):
            task = asyncio.create_task(self._keep(slot), name=f"worker {slot}")
            task.add_done_callback(_report_defect)
            self._tasks.append(task)

    async def stop(self) -> None:
        """End the workers when their job has ended, by force after a while. Set ``stopping`` before."""
        loop = asyncio.get_running_loop()
        for worker in self.workers:
            worker.link.send(Stop())
            grace = self._habits.stopping if worker.ready else 0.0
            worker.timers.append(loop.call_later(grace, worker.link.kill, "the server stops"))
        await asyncio.gather(*self._tasks)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices of all workers and their memory, as last told, each once."""
        told = {each.name: each for slot in sorted(self._devices) for each in self._devices[slot]}
        return tuple(told.values())

    async def wait_ready(self, timeout: float | None = None) -> Ready:
        """What the worker said when it was ready, waiting for it. Raises TimeoutError."""
        if self.specs is None:
            await asyncio.wait_for(self._ready.wait(), timeout)
        assert self.specs is not None
        return self.specs

    def on_ready(self, listener: Callable[[Ready], None]) -> Callable[[], None]:
        """Have a function called each time a worker is ready. Gives a function that ends it."""
        return add_listener(self._listeners, listener)

    async def ask(self, make: Callable[[int], Question], timeout: float) -> msgspec.Raw | None:
        """Ask a worker something; its answer is MessagePack. None if no worker is ready, or none answers in time.

        make: gives the question that bears a number. Raises AskError if the worker could not answer.
        """
        ready = [each for each in self.workers if each.ready]
        return await self._put(min(ready, key=Worker.held), make, timeout) if ready else None

    async def ask_all(self, make: Callable[[int], Question], timeout: float) -> list[msgspec.Raw]:
        """Ask every worker that is ready; gives what those said that answered in time."""
        asked = [self._put(each, make, timeout) for each in self.workers if each.ready]
        told = await asyncio.gather(*asked, return_exceptions=True)
        return [each for each in told if isinstance(each, msgspec.Raw)]

    async def _put(self, worker: Worker, make: Callable[[int], Question], timeout: float) -> msgspec.Raw | None:
        number = next(self._requests)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        worker.link.send(make(number))
        try:
            told: Answer = await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            return None
        finally:
            del self._asked[number]
        if told.error:
            raise AskError(told.error)
        value: msgspec.Raw = told.value
        return value

    def note(self, text: str) -> None:
        """Put a line of our own into the log that users see."""
        log.warning("%s", text)
        self.logs.append(LogLine(self._habits.clock(), text))

    async def _keep(self, slot: int) -> None:
        """Keep one worker there until the crew stops."""
        failures = 0
        loop = asyncio.get_running_loop()
        command = (*self._habits.command, *self._habits.flags[slot])
        lock = self._habits.locks / f"worker-{slot}.lock"
        while not self.stopping.is_set():
            words: deque[str] = deque(maxlen=LAST_WORDS)
            try:
                link = await start_link(command, lock, partial(self._hear_line, words))
            except OSError as error:
                self.note(f"worker {slot} cannot be started: {error}")
                failures += 1
            else:
                worker = Worker(slot, link, loop.time(), Telling(partial(self._give_up, link, slot)), words=words)
                self.workers.append(worker)
                await self._live(worker)
                failures = 0 if worker.useful or loop.time() - worker.born > STEADY else failures + 1
            if failures and not self.stopping.is_set():
                delay = min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** (failures - 1))
                self.note(f"worker {slot} ended {failures} times before it did anything; the next start is in"
                           f" {delay:g} s. The queue waits")
                await came(self.stopping.wait(), delay)

    async def _live(self, worker: Worker) -> None:
        """Hear a worker out, then bury it."""
        self._watch(worker)
        if self.stopping.is_set():
            worker.link.kill("the server stops")
        while await worker.link.more():
            try:
                while (report := worker.link.take()) is not None:
                    wait = self._hear(worker, report)
                    if wait is not None:
                        await wait
            except Exception as error:  # noqa: BLE001 - it is logged there
                self._give_up(worker.link, worker.slot, error)
        code = await worker.link.reap()
        self.workers.remove(worker)
        for timer in (worker.watch, *worker.timers):
            if timer is not None:
                timer.cancel()
        cause = worker.link.reason or describe_exit(code)
        if not (self.stopping.is_set() and (code == 0 or worker.link.reason)):
            self.note(f"worker {worker.slot} (process {worker.link.pid}) ended: {cause}")
        await self._bury(worker, cause)
        self._room()

    @staticmethod
    def _give_up(link: Link, slot: int, error: Exception) -> None:
        """End a worker for a fault of ours, not of the worker's; a fresh one is the way out that loses nothing."""
        log.error("what worker %d said could not be handled", slot, exc_info=error)
        link.kill("what it said could not be handled; see the server's log")

    def _watch(self, worker: Worker) -> None:
        """Kill a worker that has been silent for too long; called again whenever that could be."""
        loop = asyncio.get_running_loop()
        limit = self._habits.hang if worker.ready else self._habits.starting
        silent = 0.0 if worker.link.busy else loop.time() - worker.link.heard
        if silent < limit:
            worker.suspect = False
            delay = limit - silent
        elif not worker.suspect:
            # The machine may have slept, or this loop: look at the socket once before judging.
            worker.suspect = True
            delay = min(1.0, limit / 4)
        else:
            worker.link.kill(f"no sign of life for {limit:g} s")
            return
        worker.watch = loop.call_later(delay, self._watch, worker)

    def _hear(self, worker: Worker, report: Report) -> Awaitable[None] | None:
        match report:
            case JobEvent():
                return self._happened(worker, report)
            case Ready():
                self._greet(worker, report)
            case Alive(devices=devices, models=models):
                worker.models = frozenset(models)
                if devices:
                    self._devices[worker.slot] = devices
            case Answer(request=number):
                if number in self._asked and not self._asked[number].done():
                    self._asked[number].set_result(report)
            case LogText(text=text):
                for line in text.splitlines():
                    self._hear_line(worker.words, line)
        return None

    def _hear_line(self, words: deque[str], line: str) -> None:
        words.append(line)
        log.info("%s", line)
        self.logs.append(LogLine(self._habits.clock(), line))

    def _greet(self, worker: Worker, ready: Ready) -> None:
        worker.ready = True
        if worker.watch is not None:
            worker.watch.cancel()
        self._watch(worker)
        self.specs = ready
        if ready.devices:
            self._devices[worker.slot] = ready.devices
        self._ready.set()
        self._greeted(worker, ready)
        for listener in tuple(self._listeners):
            try:
                listener(ready)
            except Exception:
                log.exception("a listener could not take that a worker is ready")
        self._room()


def _report_defect(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s has lost its keeper; start the server again", task.get_name(), exc_info=task.exception())


def add_listener(listeners: list[T], listener: T) -> Callable[[], None]:
    """Add to a list; gives a function that takes it out again."""
    listeners.append(listener)

    def remove() -> None:
        if listener in listeners:
            listeners.remove(listener)

    return remove


async def came(wait: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Wait for something for a while; whether it came."""
    try:
        await asyncio.wait_for(wait, seconds)
    except TimeoutError:
        return False
    return True
