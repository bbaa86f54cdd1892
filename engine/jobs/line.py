"""The jobs that have not ended, in memory: those that wait, in order of priority and arrival, and those that run."""

from __future__ import annotations

import heapq
from collections.abc import Container, Sequence

from msgspec.structs import replace

from engine.jobs.job import Job, Queue


def order(job: Job) -> tuple[float, int, str]:
    """What a job is sorted by: its number, then its arrival."""
    return (job.number, job.sequence, job.id)


def numbers_at(others: Sequence[Job], job_id: str, position: int) -> dict[str, float]:
    """The priorities to give so that a job waits at a position (1 is next) among others, which are in order.

    It is the job's alone, between its neighbours', unless those are the same: then all of that priority that are to
    come later get others, spread up to the next one.
    """
    index = min(max(position, 1), len(others) + 1) - 1
    if not others:
        return {}
    if index == 0:
        return {job_id: others[0].number - 1}
    if index == len(others):
        return {job_id: others[-1].number + 1}
    before, after = others[index - 1].number, others[index].number
    between = (before + after) / 2
    if before < between < after:
        return {job_id: between}
    later = [job_id, *(each.id for each in others[index:] if each.number == after)]
    above = next((each.number for each in others[index:] if each.number > after), after + 1)
    return {each: after + (above - after) * count / (len(later) + 1) for count, each in enumerate(later, 1)}


class Line:
    """A job is in ``pending`` or in ``running``. A pending one may already be in a worker's hands: it is *held*.

    A running one whose start is still to be told, after the end of the job before it, is in ``untold``; it is shown as
    the next one that waits, so that nobody sees two jobs run where one runs at a time.
    """

    def __init__(self) -> None:
        self.pending: dict[str, Job] = {}
        self.running: dict[str, Job] = {}
        self.untold: set[str] = set()
        self._heap: list[tuple[float, int, str]] = []  # may name jobs that wait no more, or again
        self._sorted: list[Job] | None = None

    def __len__(self) -> int:
        return len(self.pending) + len(self.running)

    def get(self, job_id: str) -> Job | None:
        """A job that has not ended, or None."""
        return self.pending.get(job_id) or self.running.get(job_id)

    def put(self, job: Job) -> None:
        """Let a job wait in its place: a new one, one that ran, or one that is held no more."""
        self.running.pop(job.id, None)
        self.pending[job.id] = job
        self._sorted = None
        heapq.heappush(self._heap, order(job))

    def first(self, held: Container[str]) -> Job | None:
        """The job that waits first and is not held."""
        while self._heap:
            place = self._heap[0]
            job_id = place[2]
            job = self.pending.get(job_id)
            # A job that was moved, or whose id was used again, has another entry.
            if job is not None and order(job) == place and job_id not in held:
                return job
            heapq.heappop(self._heap)
        return None

    def hold(self, job: Job) -> None:
        """Note a pending job as it is now that it is held."""
        self.pending[job.id] = job
        self._sorted = None

    def take(self, job_id: str) -> Job:
        """Take a pending job out. Raises KeyError if it does not wait."""
        self._sorted = None
        return self.pending.pop(job_id)

    def queue(self) -> Queue:
        """What runs and what waits, in order."""
        if self._sorted is None:
            self._sorted = sorted(self.pending.values(), key=order)
        told = [job for job in self.running.values() if job.id not in self.untold]
        begun = [replace(job, state="queued", started=None) for job in self.running.values() if job.id in self.untold]
        return Queue(told, begun + self._sorted)
