"""Which job runs next, on which worker, and what becomes of it when a worker or the server dies.

The life of a job here: ``submit`` writes it to the store, then it is *pending*. ``_pump`` leases pending jobs to
workers, a few ahead of the running one so that a worker never waits; a leased job is still pending and can be
taken back. With its ``Started`` it is *running*; with its ending, once that is on disk, it is history.

Each worker has one task (``_keep``) that starts it, hears it out and buries it; all decisions are made on the event
loop, so none needs a lock. A lease that was taken back is *abandoned*: nothing it says is believed, and what it has
written is removed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from engine.jobs.endings import describe_exit, died_with_worker, written_end
from engine.jobs.history import History, entry
from engine.jobs.job import (
    END_STATES,
    Job,
    JobDropped,
    JobEnded,
    JobError,
    Listener,
    NewJob,
    Notice,
    Queue,
    QueueChanged,
    Record,
    StoreError,
)
from engine.jobs.journal import journal_path, recover, undo
from engine.jobs.lease import LAST_WORDS, Lease, Worker
from engine.jobs.line import Line, order
from engine.jobs.link import start_link, wait_for_old_workers
from engine.jobs.store import Store
from engine.messages.events import Cached, End, Event, Failed, Interrupted, Started, Succeeded
from engine.messages.protocol import Alive, Cancel, Device, Free, JobEvent, LogText, Ready, Report, Run, Stop

T = TypeVar("T")
log = logging.getLogger(__name__)

DEPTH = 3  # jobs a worker holds: the running one and those that follow it
LOG_LINES = 300
DEATHS_ALLOWED = 1
BACKOFF_FIRST, BACKOFF_MOST = 0.5, 30.0
STEADY = 10.0  # seconds after which a worker's death no longer counts as a failure to start
COMMIT_RETRIES = (0.1, 1.0, 5.0, 30.0)  # seconds; the last is repeated


@dataclass(frozen=True)
class LogLine:
    """A line that a worker or a node printed."""

    time: float
    text: str


class Dispatcher:
    """The queue in memory, the history, and the workers. Use it from one event loop.

    worker_command: starts a worker; ``--fd N --lock FILE`` is appended (see ``engine.jobs.link``).
    data_directory: attempts' journals and workers' locks live below it.
    artefact_roots: the folders whose files may be removed when the attempt that wrote them died.
    hang_seconds: a worker that is silent for so long is killed; start_seconds: the same before it is ready.
    cancel_grace: a worker that does not stop a cancelled job within it is killed.
    stop_grace: how long ``stop`` waits for workers; old_worker_grace: how long ``start`` waits for old ones.
    """

    def __init__(
        self, store: Store, *, worker_command: Sequence[str], data_directory: Path, artefact_roots: Sequence[Path] = (),
        workers: int = 1, hang_seconds: float = 60.0, start_seconds: float = 600.0, cancel_grace: float = 120.0,
        stop_grace: float = 5.0, old_worker_grace: float = 10.0, depth: int = DEPTH,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.specs: Ready | None = None
        self.devices: tuple[Device, ...] = ()
        self.logs: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._store = store
        self._command = tuple(worker_command)
        self._attempts = data_directory / "attempts"
        self._locks = data_directory / "workers"
        self._roots = (data_directory, *artefact_roots)
        self._count = workers
        self._hang_seconds, self._start_seconds = hang_seconds, start_seconds
        self._cancel_grace, self._stop_grace = cancel_grace, stop_grace
        self._old_worker_grace, self._depth, self._clock = old_worker_grace, depth, clock
        self._history = History(self._read_entries)
        self._line = Line()
        self._leases: dict[str, tuple[Worker, Lease]] = {}  # those that are not abandoned
        self._workers: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._aside: set[asyncio.Future[Any]] = set()
        self._sequence = 0
        self._listeners: list[Listener] = []
        self._ready_listeners: list[Callable[[Ready], None]] = []
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._pump_due = False

    # Start and stop

    async def start(self) -> None:
        """Wait for workers of an earlier server to be gone, clean up after them, queue again, start workers.

        Raises StoreError if an old worker cannot be ended.
        """
        for folder in (self._attempts, self._locks):
            folder.mkdir(parents=True, exist_ok=True)
        await wait_for_old_workers(self._locks, self._old_worker_grace)
        removed = recover(self._attempts, self._roots, self._store.ended_attempt)
        if removed:
            log.info("removed %d files of jobs that had not ended", len(removed))
        self._sequence = self._store.last_sequence()
        self._history.load(self._store.listed())
        for job in self._store.live():
            if job.state == "running":
                log.warning("job %s was running when the server ended; it is queued again", job.id)
                await self._store.update(replace(job, state="queued", started=None))
            self._line.put(replace(job, state="queued", started=None))
        for slot in range(self._count):
            task = asyncio.create_task(self._keep(slot), name=f"worker {slot}")
            task.add_done_callback(_report_defect)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Put the running job back into the queue and end the workers, by force after ``stop_grace``."""
        self._stopping.set()
        loop = asyncio.get_running_loop()
        for worker in self._workers:
            for lease in list(worker.leases.values()):
                if lease.started:
                    worker.link.send(Cancel(job=lease.job_id))
                else:
                    self._take_back(worker, lease)
            worker.link.send(Stop())
            grace = self._stop_grace if worker.ready else 0.0
            worker.timers.append(loop.call_later(grace, worker.link.kill, "the server stops"))
        await asyncio.gather(*self._tasks)
        if self._aside:
            await asyncio.gather(*self._aside, return_exceptions=True)

    # Jobs in

    async def submit(self, new: NewJob) -> Job:
        """Queue a job; returns when it is on disk.

        Raises DuplicateJob if the id is taken, JobError for a priority that is no number, and sqlite3.Error or
        StoreError if it cannot be written; then it is not queued.
        """
        if new.number is not None and not math.isfinite(new.number):
            raise JobError(f"job {new.id!r} number: {new.number} is no priority; give a finite number, or leave it out")
        self._sequence += 1
        number = new.number if new.number is not None else -self._sequence if new.front else self._sequence
        job = Job(
            id=new.id, number=float(number), sequence=self._sequence, created=self._clock(), client_id=new.client_id,
            prompt=new.prompt, extra=new.extra, targets=tuple(new.targets), metadata=new.metadata,
            previews=new.previews)
        written = self._store.add(job, new.graph)
        # Not after the await: a caller who gives up waiting must not cost the job its place in the queue.
        written.add_done_callback(lambda future: self._accept(job, future))
        await asyncio.shield(written)
        return job

    def _accept(self, job: Job, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            return
        self._line.put(job)
        self._changed()
        self._pump_soon()

    # What there is

    def queue(self) -> Queue:
        """What runs and what waits, in order."""
        return self._line.queue()

    def remaining(self) -> int:
        """How many jobs have not ended, the running one included."""
        return len(self._line)

    def job(self, job_id: str) -> Job | None:
        """A job in any state, or None."""
        return self._line.get(job_id) or self._store.job(job_id)

    def record(self, job_id: str) -> Record | None:
        """How an ended job went, with what became of each node; None if it did not run or is not there."""
        result = self._store.result(job_id)
        return msgspec.msgpack.decode(result, type=Record) if result is not None else None

    def ended(self, max_items: int | None = None, offset: int | None = None) -> list[Job]:
        """The ended jobs in a window of the history, oldest first (see ``engine.jobs.history.window``)."""
        ids = self._history.ids(max_items, offset)
        jobs = {job.id: job for job, _ in self._store.histories(ids)}
        return [jobs[job_id] for job_id in ids if job_id in jobs]

    def history_json(self, max_items: int | None = None, offset: int | None = None) -> bytes:
        """The answer to ``GET /history``."""
        return self._history.json(max_items, offset)

    def history_item(self, job_id: str) -> bytes:
        """The answer to ``GET /history/{id}``: an object with one entry, or ``{}``."""
        return self._history.item(job_id)

    def worker_pids(self) -> list[int]:
        """The process ids of the workers that are there."""
        return [worker.link.pid for worker in self._workers]

    async def wait_ready(self, timeout: float | None = None) -> Ready:
        """What the worker said when it was ready, waiting for it. Raises TimeoutError."""
        if self.specs is None:
            await asyncio.wait_for(self._ready.wait(), timeout)
        assert self.specs is not None
        return self.specs

    # Telling

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have a function called, on the event loop and in order, with (job, event) and (job or None, notice).

        At the end of a job: its last event; then, when its end is on disk and in the history, ``QueueChanged``
        and ``JobEnded``. Gives a function that ends it.
        """
        return _add(self._listeners, listener)

    def on_ready(self, listener: Callable[[Ready], None]) -> Callable[[], None]:
        """Have a function called each time a worker is ready. Gives a function that ends it."""
        return _add(self._ready_listeners, listener)

    def _tell(self, job: Job | None, event: Event | Notice) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(job, event)
            except Exception:
                log.exception("a listener could not take %s of job %s", type(event).__name__, job and job.id)

    def _changed(self, job: Job | None = None) -> None:
        self._tell(job, QueueChanged(self.remaining()))

    def _note(self, text: str) -> None:
        """Put a line of our own into the log that users see."""
        log.warning("%s", text)
        self.logs.append(LogLine(self._clock(), text))

    # Stopping and removing jobs

    async def cancel(self, job_id: str) -> Job | None:
        """Stop a job: a pending one at once, a running one at its next step. Gives the job, None if unknown."""
        if job_id in self._line.pending:
            await self.delete_pending([job_id])
        else:
            self.interrupt(job_id)
        return self.job(job_id)

    def interrupt(self, job_id: str | None = None) -> list[str]:
        """Ask running jobs to stop, or only the one given; gives the ids of those that were asked."""
        asked = [each for each in self._line.running if job_id in (None, each) and each in self._leases]
        for each in asked:
            worker, lease = self._leases[each]
            lease.cancelled = True
            worker.link.send(Cancel(job=each))
            self._arm_grace(worker, lease)
        return asked

    def _arm_grace(self, worker: Worker, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        worker.timers.append(loop.call_later(self._cancel_grace, self._end_grace, worker, lease))

    def _end_grace(self, worker: Worker, lease: Lease) -> None:
        if worker.leases.get((lease.job_id, lease.attempt)) is lease and lease.started:
            worker.link.kill(f"it did not stop a cancelled job within {self._cancel_grace:g} s")

    async def delete_pending(self, ids: Iterable[str]) -> list[str]:
        """Cancel those of the jobs that are pending; gives their ids, when that is on disk."""
        jobs = [self._line.take(each) for each in dict.fromkeys(ids) if each in self._line.pending]
        if not jobs:
            return []
        for job in jobs:
            if job.id in self._leases:
                self._abandon(*self._leases[job.id])
        # No attempt of it is to be kept: with this number its journal, if it has one, does not match.
        dropped = [replace(job, state="cancelled", attempt=0, ended=self._clock()) for job in jobs]
        task = self._in_background(self._drop(jobs, dropped))
        return await asyncio.shield(task)

    async def _drop(self, jobs: Sequence[Job], dropped: Sequence[Job]) -> list[str]:
        try:
            self._history.remove(await self._store.drop(dropped))
        except (sqlite3.Error, StoreError):
            for job in jobs:
                self._line.put(job)
            self._pump_soon()
            raise
        self._changed()
        for job in dropped:
            self._tell(job, JobDropped(job))
        self._pump_soon()
        return [job.id for job in dropped]

    async def clear_pending(self) -> list[str]:
        """Cancel every pending job; gives their ids."""
        return await self.delete_pending(list(self._line.pending))

    async def delete_history(self, ids: Iterable[str]) -> list[str]:
        """Forget ended jobs; gives the ids of those that were there. Their pictures stay."""
        removed = await self._store.forget(list(ids))
        self._history.remove(removed)
        return list(removed)

    async def clear_history(self) -> list[str]:
        """Forget every ended job. Their pictures stay."""
        removed = await self._store.forget(None)
        self._history.remove(removed)
        return list(removed)

    def free(self, models: bool = False, cache: bool = False) -> None:
        """Ask every worker to give memory back when no job runs."""
        for worker in self._workers:
            worker.link.send(Free(models=models, cache=cache))

    # Leasing

    def _pump_soon(self) -> None:
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Give every worker that has room its next jobs."""
        self._pump_due = False
        if self._stopping.is_set():
            return
        self._take_back_for_priority()
        while (job := self._line.first(self._leases)) is not None:
            ready = [worker for worker in self._workers if worker.ready and worker.held() < self._depth]
            if not ready:
                return
            self._lease(min(ready, key=Worker.held), job)

    def _take_back_for_priority(self) -> None:
        """Take back what was leased ahead of a job that is to run before it."""
        first = self._line.first(self._leases)
        if first is None:
            return
        for worker in self._workers:
            for lease in list(worker.leases.values()):
                job = self._line.pending.get(lease.job_id)
                if not lease.started and not lease.abandoned and job is not None and order(job) > order(first):
                    self._take_back(worker, lease)

    def _take_back(self, worker: Worker, lease: Lease) -> None:
        self._abandon(worker, lease)
        job = self._line.pending.get(lease.job_id)
        if job is not None:
            self._line.put(job)

    def _abandon(self, worker: Worker, lease: Lease) -> None:
        """Believe nothing more of a lease that has not started as far as we know; it may have by now."""
        if lease.abandoned:
            return
        lease.abandoned = True
        self._leases.pop(lease.job_id, None)
        worker.link.send(Cancel(job=lease.job_id))

    def _lease(self, worker: Worker, job: Job) -> None:
        attempt = job.attempt + 1
        while (job.id, attempt) in worker.leases:  # abandoned leases of a forgotten job of that name
            attempt += 1
        job = replace(job, attempt=attempt)
        lease = Lease(job.id, attempt, journal_path(self._attempts, job.sequence, attempt))
        try:
            graph = self._store.graph(job.sequence)
        except sqlite3.Error as error:
            graph, why = None, str(error)
        else:
            why = "it is not there"
        if graph is None:
            self._line.take(job.id)
            self._line.running[job.id] = job
            message = f"the graph of this job cannot be read from {self._store.path}: {why}; post it again"
            self._in_background(self._conclude(
                lease, Failed(time=self._clock(), exception_type="StoreError", message=message)))
            return
        self._line.hold(job)
        worker.leases[job.id, job.attempt] = lease
        self._leases[job.id] = (worker, lease)
        worker.link.send(Run(
            job=job.id, attempt=job.attempt, graph=msgspec.Raw(graph), prompt=job.prompt, extra=job.extra,
            journal=str(lease.journal), metadata=job.metadata, previews=job.previews))

    # A worker's life

    async def _keep(self, slot: int) -> None:
        """Keep one worker there until the dispatcher stops."""
        failures = 0
        loop = asyncio.get_running_loop()
        lock = self._locks / f"worker-{slot}.lock"
        while not self._stopping.is_set():
            words: deque[str] = deque(maxlen=LAST_WORDS)
            try:
                link = await start_link(self._command, lock, partial(self._hear_line, words))
            except OSError as error:
                self._note(f"worker {slot} cannot be started: {error}")
                failures += 1
            else:
                worker = Worker(slot, link, loop.time(), words=words)
                self._workers.append(worker)
                await self._live(worker)
                failures = 0 if worker.useful or loop.time() - worker.born > STEADY else failures + 1
            if failures and not self._stopping.is_set():
                delay = min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** (failures - 1))
                self._note(f"worker {slot} ended {failures} times before it did anything; the next start is in"
                           f" {delay:g} s. The queue waits")
                await _first(self._stopping.wait(), delay)

    async def _live(self, worker: Worker) -> None:
        """Hear a worker out, then bury it."""
        self._watch(worker)
        if self._stopping.is_set():
            worker.link.kill("the server stops")
        while (report := await worker.link.next()) is not None:
            try:
                await self._hear(worker, report)
            except Exception:  # ours, not the worker's; a fresh worker is the way out that loses nothing
                log.exception("what worker %d said could not be handled", worker.slot)
                worker.link.kill("what it said could not be handled; see the server's log")
        code = await worker.link.reap()
        self._workers.remove(worker)
        for timer in (worker.watch, *worker.timers):
            if timer is not None:
                timer.cancel()
        cause = worker.link.reason or describe_exit(code)
        if not (self._stopping.is_set() and (code == 0 or worker.link.reason)):
            self._note(f"worker {worker.slot} (process {worker.link.pid}) ended: {cause}")
        await self._bury(worker, cause)
        self._pump_soon()

    def _watch(self, worker: Worker) -> None:
        """Kill a worker that has been silent for too long; called again whenever that could be."""
        loop = asyncio.get_running_loop()
        limit = self._hang_seconds if worker.ready else self._start_seconds
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

    async def _hear(self, worker: Worker, report: Report) -> None:
        match report:
            case JobEvent():
                await self._happened(worker, report)
            case Ready():
                self._greet(worker, report)
            case Alive(devices=devices):
                self.devices = devices or self.devices
            case LogText(text=text):
                for line in text.splitlines():
                    self._hear_line(worker.words, line)

    def _hear_line(self, words: deque[str], line: str) -> None:
        words.append(line)
        self.logs.append(LogLine(self._clock(), line))

    def _greet(self, worker: Worker, ready: Ready) -> None:
        worker.ready = True
        if worker.watch is not None:
            worker.watch.cancel()
        self._watch(worker)
        self.specs, self.devices = ready, ready.devices or self.devices
        self._ready.set()
        for listener in tuple(self._ready_listeners):
            try:
                listener(ready)
            except Exception:
                log.exception("a listener could not take that a worker is ready")
        self._pump_soon()

    # What happens to jobs

    async def _happened(self, worker: Worker, report: JobEvent) -> None:
        lease = worker.leases.get((report.job, report.attempt))
        event = report.event
        if lease is None:
            return
        if lease.abandoned:
            if isinstance(event, End):
                self._clean(worker, lease)
            elif isinstance(event, Started):
                lease.started = True
                # It was told to stop when it was abandoned. Telling it twice could hit the job's next attempt.
                self._arm_grace(worker, lease)
            return
        if isinstance(event, Started):
            self._start_job(worker, lease, event)
        elif isinstance(event, End):
            await self._end_job(worker, lease, event)
        else:
            if isinstance(event, Cached):
                lease.events.append(event)
            self._tell(self._line.running.get(lease.job_id), event)

    def _start_job(self, worker: Worker, lease: Lease, event: Started, *, tell: bool = True) -> None:
        if lease.started:
            return
        for earlier in list(worker.leases.values()):  # a worker takes its jobs in order: those are over
            if earlier is lease:
                break
            if earlier.abandoned:
                self._clean(worker, earlier)
        lease.started = worker.useful = True
        job = replace(self._line.take(lease.job_id), state="running", started=event.time)
        self._line.running[job.id] = job
        self._in_background(self._note_on_disk(job))
        if tell:
            lease.events.append(event)
            self._tell(job, event)
        self._changed(job)

    async def _note_on_disk(self, job: Job) -> None:
        """Note where a live job stands; recovery does without it, so a full disk is no reason to stop here."""
        try:
            await self._store.update(job)
        except (sqlite3.Error, StoreError) as error:
            log.warning("job %s: its state %s could not be written: %s", job.id, job.state, error)

    def _clean(self, worker: Worker, lease: Lease) -> None:
        """Be done with an abandoned lease that is over, or whose worker is gone."""
        worker.leases.pop((lease.job_id, lease.attempt), None)
        undo(lease.journal, self._roots)

    async def _end_job(self, worker: Worker, lease: Lease, ending: End) -> None:
        """Take an ending from a worker."""
        if not lease.started:  # it could not even begin
            self._start_job(worker, lease, Started(time=ending.time), tell=False)
        del worker.leases[lease.job_id, lease.attempt]
        del self._leases[lease.job_id]
        if isinstance(ending, Interrupted) and self._stopping.is_set() and not lease.cancelled:
            undo(lease.journal, self._roots)
            self._requeue(self._line.running[lease.job_id])
            return
        self._pump()  # the worker goes on while this is written
        if not isinstance(ending, Succeeded) and lease.journal.exists():
            undo(lease.journal, self._roots, keep_files=True)
        await self._conclude(lease, ending)

    async def _conclude(self, lease: Lease, ending: End) -> None:
        """Tell an ending, put it on disk and into the history, and take the job out of the queue, in this order."""
        running = self._line.running[lease.job_id]
        job = replace(running, state=END_STATES[type(ending)], ended=self._clock())
        job, record, history, result = written_end(job, Record(tuple(lease.events), ending))
        self._tell(running, record.ending)
        removed = await self._persist(lambda: self._store.end(job, result, history))
        if removed is None:
            return  # the server stops and the disk is full: the job runs again after the next start
        lease.journal.unlink(missing_ok=True)
        self._history.add(job.id, entry(job, history))
        self._history.remove(removed)
        del self._line.running[job.id]
        self._changed(job)
        self._tell(job, JobEnded(job))

    async def _persist(self, write: Callable[[], asyncio.Future[T]]) -> T | None:
        """Write, again and again if the disk is full; None if the dispatcher stops first."""
        for count in range(2**31):
            try:
                return await write()
            except sqlite3.Error as error:
                delay = COMMIT_RETRIES[min(count, len(COMMIT_RETRIES) - 1)]
                self._note(f"the end of a job cannot be written to {self._store.path}: {error}; trying again in"
                           f" {delay:g} s")
                if await _first(self._stopping.wait(), delay):
                    return None
        return None

    def _requeue(self, job: Job) -> None:
        """Put a running job back into its place in the queue."""
        queued = replace(job, state="queued", started=None)
        self._in_background(self._note_on_disk(queued))
        self._line.put(queued)
        self._changed(queued)

    async def _bury(self, worker: Worker, cause: str) -> None:
        """Decide what becomes of the jobs that a dead worker held."""
        for lease in list(worker.leases.values()):
            self._clean(worker, lease)
            if lease.abandoned:
                continue
            del self._leases[lease.job_id]
            if not lease.started:
                self._line.put(self._line.pending[lease.job_id])
                continue
            job = self._line.running[lease.job_id]
            if lease.cancelled:
                await self._conclude(lease, Interrupted(time=self._clock()))
            elif self._stopping.is_set():
                self._requeue(job)
            else:
                await self._count_death(worker, lease, job, cause)

    async def _count_death(self, worker: Worker, lease: Lease, job: Job, cause: str) -> None:
        job = self._line.running[job.id] = replace(job, deaths=job.deaths + 1)
        if job.deaths <= DEATHS_ALLOWED:
            self._note(f"job {job.id}: its worker ended while running it ({cause}); it is tried once more")
            self._requeue(job)
            return
        await self._conclude(lease, died_with_worker(self._clock(), job.deaths, cause, worker.words))

    def _in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return task

    def _read_entries(self, ids: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        return ((job.id, entry(job, rest)) for job, rest in self._store.histories(ids))


def _report_defect(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s has lost its keeper; start the server again", task.get_name(), exc_info=task.exception())


def _add(listeners: list[T], listener: T) -> Callable[[], None]:
    listeners.append(listener)

    def remove() -> None:
        if listener in listeners:
            listeners.remove(listener)

    return remove


async def _first(wait: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Wait for something for a while; whether it came."""
    try:
        await asyncio.wait_for(wait, seconds)
    except TimeoutError:
        return False
    return True
