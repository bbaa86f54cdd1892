"""Handing jobs to workers, and what becomes of them when a worker or the server dies.

The life of a job here: ``submit`` (in ``engine.jobs.dispatcher``) writes it to the store, then it is *pending*.
``_pump`` leases pending jobs to workers, a few ahead of the running one so that a worker never waits; a leased job is
still pending and can be taken back. With its ``Started`` it is *running*; with its ending, once that is on disk, it is
history.

Each worker has one task (in ``engine.jobs.workers``) that starts it, hears it out and buries it; all decisions are
made on the event loop, so none needs a lock. While the end of a job is written its worker is heard on, but nothing that
it says is told before that end is on disk (``engine.jobs.telling``). A lease that was taken back is *abandoned*:
nothing it says is believed, and what it has written is removed.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from engine.jobs.endings import died_with_worker, with_place, written_end
from engine.jobs.gallery import Output
from engine.jobs.history import History, entry
from engine.jobs.job import (
    END_STATES,
    Job,
    JobEnded,
    Listener,
    Notice,
    QueueChanged,
    Record,
    StoreError,
)
from engine.jobs.journal import journal_path, undo
from engine.jobs.lease import Lease, Worker, models_of
from engine.jobs.line import Line, order
from engine.jobs.store import Store
from engine.jobs.telling import Telling
from engine.jobs.workers import Crew, Habits, came
from engine.messages.events import Cached, End, Event, Failed, Interrupted, Started, Succeeded
from engine.messages.protocol import AtOnce, Cancel, JobEvent, Ready, Run

T = TypeVar("T")
Describe = Callable[[Job, End], Sequence[Output]]
log = logging.getLogger(__name__)

DEPTH = 3  # jobs a worker holds that carries out one at a time: that one and those that follow it
MOST_DEPTH, DEPTH_SECONDS = 16, 0.05  # so many of small jobs, as it does in so long
NOTE_SECONDS = 0.2  # a job that ends sooner is not noted on disk as running: after a crash it is queued either way
MOST_UNWRITTEN = 1_000  # things to tell that wait for the disk; then the worker has to wait too
GRAPHS_BYTES = 16 * 2**20  # of graphs that are kept in memory until they are handed to a worker
DEATHS_ALLOWED = 1
COMMIT_RETRIES = (0.1, 1.0, 5.0, 30.0)  # seconds; the last is repeated


class Desk:
    """What a dispatcher works with, and the way of a job through it.

    worker_command: starts a worker; its own flags and ``--fd N --lock FILE`` are appended (see ``engine.jobs.link``).
    workers: what is to be appended for each.
    data_directory: attempts' journals and workers' locks live below it.
    artefact_roots: the folders whose files may be removed when the attempt that wrote them died.
    hang_seconds: a worker that is silent for so long is killed; start_seconds: the same before it is ready.
    cancel_grace: a worker that does not stop a cancelled job within it is killed.
    stop_grace: how long ``stop`` waits for workers; old_worker_grace: how long ``start`` waits for old ones.
    """

    def __init__(
        self, store: Store, *, worker_command: Sequence[str], data_directory: Path, artefact_roots: Sequence[Path] = (),
        workers: Sequence[Sequence[str]] = ((),), hang_seconds: float = 60.0, start_seconds: float = 600.0,
        cancel_grace: float = 120.0, stop_grace: float = 5.0, old_worker_grace: float = 10.0, depth: int = DEPTH,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._attempts = data_directory / "attempts"
        self._locks = data_directory / "workers"
        self._roots = (data_directory, *artefact_roots)
        self._cancel_grace, self._old_worker_grace = cancel_grace, old_worker_grace
        self._depth, self._clock = depth, clock
        habits = Habits(
            command=tuple(worker_command), locks=self._locks, flags=tuple(map(tuple, workers)), hang=hang_seconds,
            starting=start_seconds, stopping=stop_grace, clock=clock)
        self._crew = Crew(habits, happened=self._happened, bury=self._bury, room=self._pump_soon, greeted=self._greeted)
        self._history = History(self._read_entries)
        self._line = Line()
        self._leases: dict[str, tuple[Worker, Lease]] = {}  # those that are not abandoned
        self._aside: set[asyncio.Future[Any]] = set()
        self._graphs: dict[int, bytes] = {}  # by sequence number, of the jobs that came last
        self._graphs_size = 0
        self._sequence = 0
        self._listeners: list[Listener] = []
        self._pump_due = False
        self._paused = store.switched("paused") == "yes"
        self._at_once = int(store.switched("at_once") or 0)
        self._draining = False
        self._describe: Describe = lambda job, ending: ()
        self._recipe: Callable[[Job], tuple[bytes, bytes]] = lambda job: (job.prompt, job.extra)

    def recipes_by(self, recipe: Callable[[Job], tuple[bytes, bytes]]) -> None:
        """Have the prompt and the extra data that workers put into pictures made by a function; it must not raise."""
        self._recipe = recipe

    def described_by(self, describe: Describe) -> None:
        """Have the files that a job delivers described by a function; the store's writer calls it."""
        self._describe = describe

    # Telling

    def _tell(self, job: Job | None, event: Event | Notice) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(job, event)
            except Exception:
                log.exception("a listener could not take %s of job %s", type(event).__name__, job and job.id)

    def _changed(self, job: Job | None = None) -> None:
        self._tell(job, QueueChanged(len(self._line)))

    # Leasing

    def _arm_grace(self, worker: Worker, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        worker.timers.append(loop.call_later(self._cancel_grace, self._end_grace, worker, lease))

    def _end_grace(self, worker: Worker, lease: Lease) -> None:
        if worker.leases.get((lease.job_id, lease.attempt)) is lease and lease.started:
            worker.link.kill(f"it did not stop a cancelled job within {self._cancel_grace:g} s")

    def _pump_soon(self) -> None:
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Give every worker that has room its next jobs."""
        self._pump_due = False
        if self._paused or self._draining or self._crew.stopping.is_set():
            return
        self._take_back_for_priority()
        while (job := self._next()) is not None:
            ready = [
                each for each in self._crew.workers if each.ready and each.held() < self._room(each)
            ]
            if not ready:
                return
            # one that is free, and of those one that has the job's models in memory
            names = models_of(job.prompt) if len(ready) > 1 else frozenset()
            self._lease(min(ready, key=lambda worker: (worker.held(), -len(names & worker.models))), job)

    def _room(self, worker: Worker) -> int:
        """How many jobs a worker may hold, so that it never waits for the next."""
        small = int(DEPTH_SECONDS / worker.pace) if worker.pace > 0 else MOST_DEPTH
        return max(self._depth + worker.at_once - 1, min(MOST_DEPTH, small))

    def _next(self) -> Job | None:
        """The job that waits first; if none does and a worker is free, one that waits in another worker's hands."""
        job = self._line.first(self._leases)
        if job is None and any(worker.ready and not worker.leases for worker in self._crew.workers):
            waiting = [
                (worker, lease) for worker in self._crew.workers if worker.held() > 1
                for lease in worker.leases.values() if not lease.started and not lease.abandoned
            ]
            if waiting:
                self._take_back(*min(waiting, key=lambda each: order(self._line.pending[each[1].job_id])))
                job = self._line.first(self._leases)
        return job

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
            graph = self._take_graph(job.sequence) or self._store.graph(job.sequence)
        except sqlite3.Error as error:
            graph, why = None, str(error)
        else:
            why = "it is not there"
        if graph is None:
            self._line.take(job.id)
            self._line.running[job.id] = job
            message = f"the graph of this job cannot be read from {self._store.path}: {why}; post it again"
            telling = Telling(_report_fault)
            self._conclude(telling, lease, Failed(time=self._clock(), exception_type="StoreError", message=message))
            self._in_background(telling.settled())
            return
        self._line.hold(job)
        worker.leases[job.id, job.attempt] = lease
        self._leases[job.id] = (worker, lease)
        prompt, extra = self._recipe(job)
        worker.link.send(Run(
            job=job.id, attempt=job.attempt, graph=msgspec.Raw(graph), prompt=prompt, extra=extra,
            journal=str(lease.journal), metadata=job.metadata, previews=job.previews, alone=job.deaths > 0))

    def _keep_graph(self, sequence: int, graph: bytes) -> None:
        """Have a graph at hand for the worker, if there is room; it is on disk in any case."""
        if self._graphs_size + len(graph) <= GRAPHS_BYTES:
            self._graphs[sequence] = graph
            self._graphs_size += len(graph)

    def _take_graph(self, sequence: int) -> bytes | None:
        graph = self._graphs.pop(sequence, None)
        self._graphs_size -= len(graph or b"")
        return graph

    def _greeted(self, worker: Worker, ready: Ready) -> None:
        worker.at_once = ready.at_once
        if self._at_once:
            self._set_at_once(worker, ready)

    def _set_at_once(self, worker: Worker, ready: Ready) -> None:
        """Have a worker carry out as many jobs at once as was set, or as it would by itself."""
        worker.at_once = min(self._at_once or ready.at_once, ready.most)
        worker.link.send(AtOnce(jobs=worker.at_once))

    # What happens to jobs

    def _happened(self, worker: Worker, report: JobEvent) -> Awaitable[None] | None:
        lease = worker.leases.get((report.job, report.attempt))
        event = report.event
        if lease is None:
            return None
        if lease.abandoned:
            if isinstance(event, End):
                self._clean(worker, lease)
            elif isinstance(event, Started):
                lease.started = True
                # It was told to stop when it was abandoned. Telling it twice could hit the job's next attempt.
                self._arm_grace(worker, lease)
            return None
        if isinstance(event, Started):
            self._start_job(worker, lease, event)
        elif isinstance(event, End):
            return self._end_job(worker, lease, event)
        else:
            if isinstance(event, Cached):
                lease.events.append(event)
            job = self._line.running.get(lease.job_id)
            if worker.telling:
                worker.telling.then(partial(self._tell, job, event))
            else:
                self._tell(job, event)
        return None

    def _start_job(self, worker: Worker, lease: Lease, event: Started, *, tell: bool = True) -> None:
        if lease.started:
            return
        for earlier in list(worker.leases.values()):  # a worker takes its jobs in order: those will not begin
            if earlier is lease:
                break
            if earlier.abandoned and not earlier.started:
                self._clean(worker, earlier)
        lease.started = worker.useful = True
        job = replace(self._line.take(lease.job_id), state="running", started=event.time)
        self._line.running[job.id] = job
        self._line.untold.add(job.id)
        worker.telling.then(partial(self._line.untold.discard, job.id))
        lease.note = asyncio.get_running_loop().call_later(NOTE_SECONDS, self._note_running, lease)
        if tell:
            lease.events.append(event)
            worker.telling.then(partial(self._tell, job, event))
        worker.telling.then(partial(self._changed, job))

    def _note_running(self, lease: Lease) -> None:
        job = self._line.running.get(lease.job_id)
        if job is not None and job.attempt == lease.attempt:
            self._in_background(self._note_on_disk(job))

    async def _note_on_disk(self, job: Job) -> None:
        """Note where a live job stands; recovery does without it, so a full disk is no reason to stop here."""
        try:
            await self._store.update(job)
        except (sqlite3.Error, StoreError) as error:
            log.warning("job %s: its state %s could not be written: %s", job.id, job.state, error)

    def _clean(self, worker: Worker, lease: Lease) -> None:
        """Be done with an abandoned lease that is over, or whose worker is gone."""
        worker.leases.pop((lease.job_id, lease.attempt), None)
        _let_be(lease)
        undo(lease.journal, self._roots)

    def _end_job(self, worker: Worker, lease: Lease, ending: End) -> Awaitable[None] | None:
        """Take an ending from a worker. Gives what to wait for if too much waits for the disk."""
        if not lease.started:  # it could not even begin
            self._start_job(worker, lease, Started(time=ending.time), tell=False)
        del worker.leases[lease.job_id, lease.attempt]
        del self._leases[lease.job_id]
        _let_be(lease)
        running = self._line.running[lease.job_id]
        worker.pace = (worker.pace + max(0.0, ending.time - (running.started or ending.time))) / 2
        if isinstance(ending, Interrupted) and self._crew.stopping.is_set() and not lease.cancelled:
            undo(lease.journal, self._roots)
            worker.telling.then(partial(self._requeue, running))
            return None
        self._pump_soon()  # the worker goes on while this is written
        if not isinstance(ending, Succeeded) and lease.journal.exists():
            undo(lease.journal, self._roots, keep_files=True)
        self._conclude(worker.telling, lease, ending)
        return worker.telling.settled() if len(worker.telling) > MOST_UNWRITTEN else None

    def _conclude(self, telling: Telling, lease: Lease, ending: End) -> None:
        """Tell an ending, put it on disk and into the history, and take the job out of the queue, in this order."""
        running = self._line.running[lease.job_id]
        job = replace(running, state=END_STATES[type(ending)], ended=self._clock())
        record = Record(tuple(lease.events), with_place(job, ending))
        job, record, history, result = written_end(job, record)

        def write() -> asyncio.Future[tuple[str, ...]]:
            return self._store.end(job, result, history, lambda: self._describe(job, record.ending))

        def go_on(written: asyncio.Future[tuple[str, ...] | None]) -> asyncio.Future[Any] | None:
            if isinstance(error := written.exception(), sqlite3.Error):
                return self._in_background(self._persist(write, error))
            removed = written.result()
            if removed is None:
                return None  # the server stops and the disk is full: the job runs again after the next start
            lease.journal.unlink(missing_ok=True)
            self._history.add(job.id, entry(job, history), job.owner)
            self._history.remove(removed)
            del self._line.running[job.id]
            self._changed(job)
            self._tell(job, JobEnded(job))
            return None

        telling.then(partial(self._tell, running, record.ending))
        telling.when(write(), go_on)

    async def _persist(self, write: Callable[[], asyncio.Future[T]], error: sqlite3.Error) -> T | None:
        """Write again and again, while the disk is full; None if the dispatcher stops first."""
        for count in range(2**31):
            delay = COMMIT_RETRIES[min(count, len(COMMIT_RETRIES) - 1)]
            self._crew.note(f"the end of a job cannot be written to {self._store.path}: {error}; trying again in"
                       f" {delay:g} s")
            if await came(self._crew.stopping.wait(), delay):
                return None
            try:
                return await write()
            except sqlite3.Error as again:
                error = again
        return None

    def _requeue(self, job: Job) -> None:
        """Put a running job back into its place in the queue."""
        queued = replace(job, state="queued", started=None)
        self._in_background(self._note_on_disk(queued))
        self._line.put(queued)
        self._changed(queued)

    async def _bury(self, worker: Worker, cause: str) -> None:
        """Decide what becomes of the jobs that a dead worker held."""
        await worker.telling.settled()
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
                self._conclude(worker.telling, lease, Interrupted(time=self._clock()))
            elif self._crew.stopping.is_set():
                self._requeue(job)
            else:
                self._count_death(worker, lease, job, cause)
        await worker.telling.settled()

    def _count_death(self, worker: Worker, lease: Lease, job: Job, cause: str) -> None:
        job = self._line.running[job.id] = replace(job, deaths=job.deaths + 1)
        if job.deaths <= DEATHS_ALLOWED:
            self._crew.note(f"job {job.id}: its worker ended while running it ({cause}); it is tried once more")
            self._requeue(job)
            return
        self._conclude(worker.telling, lease, died_with_worker(self._clock(), job.deaths, cause, worker.words))

    def _in_background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return task

    def _read_entries(self, ids: Sequence[str]) -> Iterable[tuple[str, bytes]]:
        return ((job.id, entry(job, rest)) for job, rest in self._store.histories(ids))


def _let_be(lease: Lease) -> None:
    """A lease is over: that its job runs need not be noted any more."""
    if lease.note is not None:
        lease.note.cancel()


def _report_fault(error: Exception) -> None:
    log.error("the end of a job could not be handled", exc_info=error)
