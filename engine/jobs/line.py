"""The jobs that have not ended, in memory: those that wait, in order of priority and arrival, and those that run."""

from __future__ import annotations

import heapq
from collections.abc import Container

from engine.jobs.job import Job, Queue


def order(job: Job) -> tuple[float, int, str]:
    """What a job is sorted by: its number, then its arrival."""
    return (job.number, job.sequence, job.id)


class Line:
    """A job is in ``pending`` or in ``running``. A pending one may already be in a worker's hands: it is *held*."""

    def __init__(self) -> None:
        self.pending: dict[str, Job] = {}
        self.running: dict[str, Job] = {}
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
        return Queue(list(self.running.values()), list(self._sorted))
