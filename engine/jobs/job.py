"""What a job is, what is told about the queue, and what can go wrong with either.

A job is ``queued`` → ``running`` → one of ``succeeded``, ``failed``, ``cancelled``; it goes back from running to
queued when its worker or the server dies. ``attempt`` counts how often it was handed to a worker, ``deaths`` how
often a worker died while running it: only the latter counts against the job.

>>> shown_number(3.0), shown_number(-0.5)
(3, -0.5)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from engine.messages.events import Cached, End, Event, Failed, Interrupted, Started, Succeeded

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]

ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")
END_STATES: dict[type[End], State] = {Succeeded: "succeeded", Failed: "failed", Interrupted: "cancelled"}


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job as it is handed in.

    id: chosen by the client or made by the caller; unique among all jobs that are kept.
    prompt, extra: JSON of the API graph and of ``extra_data``, embedded as they are wherever they are shown.
    graph: MessagePack for the worker; not looked into here.
    targets: the output nodes to deliver.
    number: priority, lowest first; without one the job goes to the end, or with ``front`` to the beginning.
    owner: the name of the token it was posted with; empty where there is only one.
    webhook: the address that is told of its end.
    """

    id: str
    prompt: bytes
    extra: bytes
    graph: bytes
    targets: tuple[str, ...] = ()
    number: float | None = None
    front: bool = False
    client_id: str | None = None
    metadata: bool = True
    previews: str = "none"
    owner: str = ""
    webhook: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job at one moment. Times are seconds since the epoch; ``sequence`` is the order of arrival."""

    id: str
    number: float
    sequence: int
    state: State = "queued"
    attempt: int = 0
    deaths: int = 0
    created: float
    started: float | None = None
    ended: float | None = None
    client_id: str | None = None
    prompt: bytes
    extra: bytes
    targets: tuple[str, ...] = ()
    metadata: bool = True
    previews: str = "none"
    owner: str = ""


class Record(msgspec.Struct, frozen=True):
    """What is kept of how a job went: the events that ComfyUI's history lists, and the ending."""

    events: tuple[Started | Cached, ...]
    ending: End


@dataclass(frozen=True)
class Queue:
    """The jobs that are not ended; ``pending`` in the order in which they will run."""

    running: list[Job]
    pending: list[Job]


@dataclass(frozen=True)
class QueueChanged:
    """A job was added, taken up, put back, dropped or ended; ``remaining`` counts the running one."""

    remaining: int


@dataclass(frozen=True)
class JobEnded:
    """A job's end state is on disk, its history entry can be read and it has left the queue."""

    job: Job


@dataclass(frozen=True)
class JobDropped:
    """A job was cancelled before it was taken up; it has no history entry."""

    job: Job


Notice = QueueChanged | JobEnded | JobDropped
Listener = Callable[[Job | None, Event | Notice], None]


class JobError(Exception):
    """Something that the queue refuses."""


class DuplicateJob(JobError):  # noqa: N818 - the name is part of the interface
    """The id is taken by a job that is queued, running or in the history."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id!r}: this id is taken; leave the id out, or choose another")
        self.job_id = job_id


class StoreError(Exception):
    """The database of jobs cannot be used; the message says where it is and what to do."""


class DataDirectoryInUseError(StoreError):
    """Another server works on this data directory."""


def shown_number(number: float) -> float:
    """Write a priority as clients expect it: whole numbers without a point."""
    return int(number) if number.is_integer() else number
