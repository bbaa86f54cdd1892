"""Which job runs next, on which worker, and what becomes of it when a worker or the server dies.

The life of a job here: ``submit`` writes it to the store, then it is *pending*. ``_pump`` leases pending jobs to
workers, a few ahead of the running one so that a worker never waits; a leased job is still pending and can be
taken back. With its ``Started`` it is *running*; with its ending, once that is on disk, it is history.

Each worker has one task (in ``engine.jobs.workers``) that starts it, hears it out and buries it; all decisions are
made on the event loop, so none needs a lock. A lease that was taken back is *abandoned*: nothing it says is believed,
and what it has written is removed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from engine.jobs.endings import died_with_worker, written_end
from engine.jobs.find import Page, Search, find_ended
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
from engine.jobs.lease import Lease, Worker
from engine.jobs.line import Line, order
from engine.jobs.link import wait_for_old_workers
from engine.jobs.store import Store
from engine.jobs.workers import AskError, Crew, Habits, LogLine, add_listener, came
from engine.messages.events import Cached, End, Event, Failed, Interrupted, Started, Succeeded
from engine.messages.protocol import Cancel, Complaint, Device, Free, JobEvent, Ready, Run, Validate

T = TypeVar("T")
log = logging.getLogger(__name__)

DEPTH = 3  # jobs a worker holds: the running one and those that follow it
DEATHS_ALLOWED = 1
COMMIT_RETRIES = (0.1, 1.0, 5.0, 30.0)  # seconds; the last is repeated


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
        self._store = store
        self._attempts = data_directory / "attempts"
        self._locks = data_directory / "workers"
        self._roots = (data_directory, *artefact_roots)
        self._cancel_grace, self._old_worker_grace = cancel_grace, old_worker_grace
        self._depth, self._clock = depth, clock
        habits = Habits(
            command=tuple(worker_command), locks=self._locks, count=workers, hang=hang_seconds, starting=start_seconds,
            stopping=stop_grace, clock=clock)
        self._crew = Crew(habits, happened=self._happened, bury=self._bury, room=self._pump_soon)
        self._history = History(self._read_entries)
        self._line = Line()
        self._leases: dict[str, tuple[Worker, Lease]] = {}  # those that are not abandoned
        self._aside: set[asyncio.Future[Any]] = set()
        self._sequence = 0
        self._listeners: list[Listener] = []
        self._pump_due = False
        self._paused = False
        self._recipe: Callable[[Job], tuple[bytes, bytes]] = lambda job: (job.prompt, job.extra)

    def recipes_by(self, recipe: Callable[[Job], tuple[bytes, bytes]]) -> None:
        """Have the prompt and the extra data that workers put into pictures made by a function; it must not raise."""
        self._recipe = recipe

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
        self._crew.start()

    async def stop(self) -> None:
        """Put the running job back into the queue and end the workers, by force after ``stop_grace``."""
        self._crew.stopping.set()
        for worker in self._crew.workers:
            for lease in list(worker.leases.values()):
                if lease.started:
                    worker.link.send(Cancel(job=lease.job_id))
                else:
                    self._take_back(worker, lease)
        await self._crew.stop()
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

    def find(self, search: Search) -> Page:
        """A page of the jobs on disk that have ended, newest first. Blocks: call it beside the event loop."""
        return find_ended(self._store.path, search)

    def history_json(self, max_items: int | None = None, offset: int | None = None) -> bytes:
        """The answer to ``GET /history``."""
        return self._history.json(max_items, offset)

    def history_item(self, job_id: str) -> bytes:
        """The answer to ``GET /history/{id}``: an object with one entry, or ``{}``."""
        return self._history.item(job_id)

    def worker_pids(self) -> list[int]:
        """The process ids of the workers that are there."""
        return [worker.link.pid for worker in self._crew.workers]

    # The workers

    @property
    def specs(self) -> Ready | None:
        """What the last worker that was ready said: specifications, failures, devices, versions."""
        return self._crew.specs

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices and their memory, as last told."""
        return self._crew.devices

    @property
    def logs(self) -> Sequence[LogLine]:
        """The last lines that workers printed, and what was to be said about them."""
        return self._crew.logs

    async def wait_ready(self, timeout: float | None = None) -> Ready:
        """What the worker said when it was ready, waiting for it. Raises TimeoutError."""
        return await self._crew.wait_ready(timeout)

    def on_ready(self, listener: Callable[[Ready], None]) -> Callable[[], None]:
        """Have a function called each time a worker is ready. Gives a function that ends it."""
        return self._crew.on_ready(listener)

    async def complaints(self, graph: bytes, timeout: float) -> list[Complaint]:
        """What nodes that check their inputs themselves say of a graph (MessagePack).

        Nothing if no worker is ready or none answers in time: the nodes are asked again when the job begins.
        """
        try:
            told = await self._crew.ask(lambda number: Validate(number, msgspec.Raw(graph)), timeout)
        except AskError as error:
            self._crew.note(f"the inputs of a workflow could not be checked: {error}")
            return []
        return [] if told is None else msgspec.msgpack.decode(told, type=list[Complaint])

    def free(self, models: bool = False, cache: bool = False) -> None:
        """Ask every worker to give memory back when no job runs."""
        for worker in self._crew.workers:
            worker.link.send(Free(models=models, cache=cache))

    # Telling

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have a function called, on the event loop and in order, with (job, event) and (job or None, notice).

        At the end of a job: its last event; then, when its end is on disk and in the history, ``QueueChanged``
        and ``JobEnded``. Gives a function that ends it.
        """
        return add_listener(self._listeners, listener)

    def _tell(self, job: Job | None, event: Event | Notice) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(job, event)
            except Exception:
                log.exception("a listener could not take %s of job %s", type(event).__name__, job and job.id)

    def _changed(self, job: Job | None = None) -> None:
        self._tell(job, QueueChanged(self.remaining()))

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

    # The order

    @property
    def paused(self) -> bool:
        """Whether no further job is taken up."""
        return self._paused

    def pause(self) -> None:
        """Let what runs end, and take no further job up until ``resume``; a new start of the server resumes too."""
        self._paused = True
        for worker, lease in list(self._leases.values()):
            if not lease.started:
                self._take_back(worker, lease)

    def resume(self) -> None:
        """Take jobs up again."""
        self._paused = False
        self._pump_soon()

    async def move(self, job_id: str, number: float) -> Job | None:
        """Give a waiting job another priority; None if it does not wait. Raises sqlite3.Error or StoreError."""
        if job_id in self._leases and job_id in self._line.pending:
            self._take_back(*self._leases[job_id])
        if job_id not in self._line.pending:
            return None
        job = replace(self._line.pending[job_id], number=number)
        self._line.put(job)
        self._changed()
        self._pump_soon()
        await asyncio.shield(self._store.update(job))
        return job

    # Leasing

    def _pump_soon(self) -> None:
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Give every worker that has room its next jobs."""
        self._pump_due = False
        if self._paused or self._crew.stopping.is_set():
            return
        self._take_back_for_priority()
        while (job := self._line.first(self._leases)) is not None:
            ready = [worker for worker in self._crew.workers if worker.ready and worker.held() < self._depth]
            if not ready:
                return
            self._lease(min(ready, key=Worker.held), job)

    def _take_back_for_priority(self) -> None:
        """Take back what was leased ahead of a job that is to run before it."""
        first = self._line.first(self._leases)
        if first is None:
            return
        for worker in self._crew.workers:
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
        prompt, extra = self._recipe(job)
        worker.link.send(Run(
            job=job.id, attempt=job.attempt, graph=msgspec.Raw(graph), prompt=prompt, extra=extra,
            journal=str(lease.journal), metadata=job.metadata, previews=job.previews))

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
        if isinstance(ending, Interrupted) and self._crew.stopping.is_set() and not lease.cancelled:
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
                self._crew.note(f"the end of a job cannot be written to {self._store.path}: {error}; trying again in"
                           f" {delay:g} s")
                if await came(self._crew.stopping.wait(), delay):
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
            elif self._crew.stopping.is_set():
                self._requeue(job)
            else:
                await self._count_death(worker, lease, job, cause)

    async def _count_death(self, worker: Worker, lease: Lease, job: Job, cause: str) -> None:
        job = self._line.running[job.id] = replace(job, deaths=job.deaths + 1)
        if job.deaths <= DEATHS_ALLOWED:
            self._crew.note(f"job {job.id}: its worker ended while running it ({cause}); it is tried once more")
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
