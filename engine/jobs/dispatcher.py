"""The queue of jobs as its users see it: jobs in, what there is, stopping, removing, order.

``engine.jobs.desk`` carries them out.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from engine.jobs import deliveries, gallery
from engine.jobs.deliveries import Delivery
from engine.jobs.desk import Desk
from engine.jobs.find import Page, Search, find_ended, read_histories
from engine.jobs.gallery import Kept, Look
from engine.jobs.job import (
    Job,
    JobDropped,
    JobError,
    Listener,
    NewJob,
    Queue,
    Record,
    StoreError,
)
from engine.jobs.journal import recover
from engine.jobs.line import numbers_at
from engine.jobs.link import wait_for_old_workers
from engine.jobs.workers import AskError, LogLine, add_listener
from engine.messages.protocol import Cancel, Complaint, Device, Free, Predict, Prediction, Ready, Validate

log = logging.getLogger(__name__)

FEW = 50  # entries of the history that are read from disk on the event loop


class Dispatcher(Desk):
    """The queue in memory, the history, and the workers. Use it from one event loop. ``Desk`` says how it is made."""

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
        await self._store.write(gallery.forget_temp)
        self._sequence = self._store.last_sequence()
        self._history.load(self._store.listed())
        for job in self._store.live():
            if job.state == "running":
                log.warning("job %s was running when the server ended; it is queued again", job.id)
                await self._store.update(replace(job, state="queued", started=None))
            self._line.put(replace(job, state="queued", started=None))
        self._crew.start()

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop and takes no further job."""
        return self._draining

    async def drain(self, seconds: float) -> None:
        """Take up no further job, and wait for those that run to end, or for some seconds."""
        self._draining = True
        for worker, lease in list(self._leases.values()):
            if not lease.started:
                self._take_back(worker, lease)
        ended = asyncio.Event()
        unsubscribe = self.subscribe(lambda job, event: ended.set())
        try:
            async with asyncio.timeout(seconds):
                while self._line.running:
                    await ended.wait()
                    ended.clear()
        except TimeoutError:
            log.warning("%d jobs still run; they are run again by the next start", len(self._line.running))
        finally:
            unsubscribe()

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
            previews=new.previews, owner=new.owner)
        written = self._store.add(job, new.graph, new.webhook)
        # Not after the await: a caller who gives up waiting must not cost the job its place in the queue.
        written.add_done_callback(lambda future: self._accept(job, new.graph, future))
        await asyncio.shield(written)
        return job

    def _accept(self, job: Job, graph: bytes, written: asyncio.Future[None]) -> None:
        if written.cancelled() or written.exception() is not None:
            return
        self._keep_graph(job.sequence, graph)
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

    def find(self, search: Search) -> Page:
        """A page of the jobs on disk that have ended, newest first. Blocks: call it beside the event loop."""
        return find_ended(self._store.path, search)

    async def history(
        self, max_items: int | None = None, offset: int | None = None, owner: str | None = None
    ) -> bytes:
        """The answer to ``GET /history``, of one owner's jobs if one is named; many are read beside the loop."""
        absent = self._history.absent(max_items, offset, owner)
        if len(absent) > FEW:
            self._history.keep(await asyncio.to_thread(read_histories, self._store.path, absent))
        return self._history.json(max_items, offset, owner)

    def history_json(self, max_items: int | None = None, offset: int | None = None) -> bytes:
        """The same, at once."""
        return self._history.json(max_items, offset)

    def owns(self, kind: str, subfolder: str, filename: str, owner: str) -> bool:
        """Whether a job of an owner delivered this file."""
        return gallery.owned(self._store.path, kind, subfolder, filename, owner)

    def find_outputs(self, look: Look) -> tuple[list[Kept], int]:
        """A page of the files that jobs made, and how many there are. Blocks: call it beside the event loop."""
        return gallery.find(self._store.path, look)

    def output(self, number: int, owner: str | None) -> Kept | None:
        """A file by its number, if its owner may see it. Blocks, as does the next."""
        return gallery.one(self._store.path, number, owner)

    def output_owners(self, number: int) -> list[str]:
        """Whose jobs delivered a file."""
        return gallery.owners(self._store.path, number)

    async def trash_output(self, number: int, when: float | None) -> None:
        """Note that a file is in the trash folder, or no more. Raises sqlite3.Error or StoreError."""
        await self._store.write(lambda connection: gallery.set_trashed(connection, number, when))

    async def forget_output(self, number: int) -> None:
        """Note that a file is gone for good. Raises sqlite3.Error or StoreError."""
        await self._store.write(lambda connection: gallery.forget(connection, number))

    def due_webhooks(self, now: float, limit: int) -> tuple[list[Delivery], float | None]:
        """Who is to be told now that a job has ended, and when the next one is. Blocks: call it beside the loop."""
        return deliveries.due(self._store.path, now, limit)

    async def postpone_webhook(self, sequence: int, attempts: int, when: float) -> None:
        """Note that a message did not arrive, and when to try again. Raises sqlite3.Error or StoreError."""
        await self._store.write(lambda connection: deliveries.postpone(connection, sequence, attempts, when))

    async def finish_webhook(self, sequence: int) -> None:
        """Note that a message arrived or was given up. Raises sqlite3.Error or StoreError."""
        await self._store.write(lambda connection: deliveries.finish(connection, sequence))

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
        """The devices of all workers and their memory, as last told."""
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

    async def predict(self, graph: bytes, metadata: bool, timeout: float) -> list[Prediction] | None:
        """What would become of the nodes of a graph (MessagePack) if it ran now.

        None if no worker is ready or none answers in time. Raises AskError if the worker cannot tell.
        """
        told = await self._crew.ask(lambda number: Predict(number, msgspec.Raw(graph), metadata), timeout)
        return None if told is None else msgspec.msgpack.decode(told, type=list[Prediction])

    async def free(self, models: bool = False, cache: bool = False, timeout: float = 60) -> int:
        """Have every worker give memory back, and say how many bytes they did.

        What running jobs use is given back when they have ended, and not counted.
        """
        told = await self._crew.ask_all(lambda number: Free(number, models, cache), timeout)
        return sum(msgspec.msgpack.decode(each, type=int) for each in told)

    # Telling

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have a function called, on the event loop and in order, with (job, event) and (job or None, notice).

        At the end of a job: its last event; then, when its end is on disk and in the history, ``QueueChanged``
        and ``JobEnded``. Gives a function that ends it.
        """
        return add_listener(self._listeners, listener)

    # Stopping and removing jobs

    async def cancel(self, job_id: str) -> Job | None:
        """Stop a job: a pending one at once, a running one at its next step. Gives the job, None if unknown."""
        if job_id in self._line.pending:
            await self.delete_pending([job_id])
        else:
            self.interrupt(job_id)
        return self.job(job_id)

    def interrupt(self, job_id: str | None = None) -> list[str]:
        """Ask a running job to stop, without an id the one that has run longest; gives the ids of those asked."""
        running = [each for each in self._line.running if each in self._leases]
        asked = running[:1] if job_id is None else [each for each in running if each == job_id]
        for each in asked:
            worker, lease = self._leases[each]
            lease.cancelled = True
            worker.link.send(Cancel(job=each))
            self._arm_grace(worker, lease)
        return asked

    async def delete_pending(self, ids: Iterable[str]) -> list[str]:
        """Cancel those of the jobs that are pending; gives their ids, when that is on disk."""
        jobs = [self._line.take(each) for each in dict.fromkeys(ids) if each in self._line.pending]
        if not jobs:
            return []
        for job in jobs:
            self._take_graph(job.sequence)
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

    async def clear_pending(self, owner: str | None = None) -> list[str]:
        """Cancel every pending job, or every one of an owner; gives their ids."""
        return await self.delete_pending(
            [job_id for job_id, job in self._line.pending.items() if owner in (None, job.owner)])

    async def delete_history(self, ids: Iterable[str]) -> list[str]:
        """Forget ended jobs; gives the ids of those that were there. Their pictures stay."""
        removed = await self._store.forget(list(ids))
        self._history.remove(removed)
        return list(removed)

    async def clear_history(self, owner: str | None = None) -> list[str]:
        """Forget every ended job, or every one of an owner. Their pictures stay."""
        removed = await self._store.forget(None, owner)
        self._history.remove(removed)
        return list(removed)

    # The order

    @property
    def paused(self) -> bool:
        """Whether no further job is taken up."""
        return self._paused

    def pause(self) -> None:
        """Let what runs end, and take no further job up until ``resume``, over restarts of the server too."""
        self._paused = True
        self._switch("paused", "yes")
        for worker, lease in list(self._leases.values()):
            if not lease.started:
                self._take_back(worker, lease)

    def resume(self) -> None:
        """Take jobs up again."""
        self._paused = False
        self._switch("paused", "no")
        self._pump_soon()

    @property
    def at_once(self) -> int:
        """How many jobs a worker carries out at once; 0 before one is ready."""
        return max((worker.at_once for worker in self._crew.workers if worker.ready), default=0)

    def set_at_once(self, jobs: int) -> int:
        """Carry out so many jobs at once, over restarts too; 0 for what the command line says. Gives what holds."""
        self._at_once = jobs
        self._switch("at_once", str(jobs))
        if self._crew.specs is not None:
            for worker in self._crew.workers:
                if worker.ready:
                    self._set_at_once(worker, self._crew.specs)
        self._pump_soon()
        return self.at_once

    def _switch(self, name: str, value: str) -> None:
        async def write() -> None:
            try:
                await self._store.switch(name, value)
            except (sqlite3.Error, StoreError) as error:
                log.warning("that the queue is %s=%s cannot be remembered: %s", name, value, error)

        self._in_background(write())

    async def move(self, job_id: str, number: float) -> Job | None:
        """Give a waiting job another priority; None if it does not wait. Raises sqlite3.Error or StoreError."""
        return await self._renumber(job_id, lambda others: {job_id: number})

    async def place(self, job_id: str, position: int) -> Job | None:
        """Have a waiting job wait at a position, 1 is next; None if it does not wait.

        The priorities of jobs that have the same may change for it. Raises sqlite3.Error or StoreError.
        """
        return await self._renumber(job_id, lambda others: numbers_at(others, job_id, position))

    async def _renumber(self, job_id: str, choose: Callable[[Sequence[Job]], Mapping[str, float]]) -> Job | None:
        if job_id not in self._line.pending:
            return None
        chosen = choose([each for each in self._line.queue().pending if each.id != job_id])
        for each in chosen:
            if each in self._leases:
                self._take_back(*self._leases[each])
        if job_id not in self._line.pending:
            return None
        moved = [replace(self._line.pending[each], number=number) for each, number in chosen.items()]
        for job in moved:
            self._line.put(job)
        self._changed()
        self._pump_soon()
        await asyncio.shield(asyncio.gather(*(self._store.update(job) for job in moved)))
        return self._line.get(job_id) or moved[0]
