"""What the dispatcher knows of a worker and of the jobs that it has handed to it."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from engine.jobs.link import Link
from engine.jobs.telling import Telling
from engine.messages.events import Cached, Started

LAST_WORDS = 12  # lines of a worker's log in the message of a job that died with it
MODEL_FILE = re.compile(rb'"(?:[^"\\]*[/\\])?([^"/\\]+\.(?:safetensors|sft|ckpt|pt|pth|bin))"')


def models_of(prompt: bytes) -> frozenset[str]:
    """The names of the weight files that a graph (JSON) names, without their folders.

    >>> models_of(b'{"1": {"inputs": {"ckpt_name": "mine/a.safetensors", "text": "a cat"}}}')
    frozenset({'a.safetensors'})
    """
    return frozenset(name.decode(errors="replace") for name in MODEL_FILE.findall(prompt))


@dataclass(eq=False)
class Lease:
    """A job in a worker's hands. ``cancelled``: its user wants it stopped; ``abandoned``: see the dispatcher."""

    job_id: str
    attempt: int
    journal: Path
    started: bool = False
    cancelled: bool = False
    abandoned: bool = False
    events: list[Started | Cached] = field(default_factory=list)
    note: asyncio.TimerHandle | None = None  # has it noted on disk that the job runs


@dataclass(eq=False)
class Worker:
    """A worker process and what it holds. ``useful``: it has taken up a job or has lived a while.

    at_once: how many jobs it carries out at once. pace: seconds that its last jobs took. models: the names of the
    weight files that it has in memory, as it last told.
    """

    slot: int
    link: Link
    born: float
    telling: Telling
    ready: bool = False
    useful: bool = False
    suspect: bool = False
    at_once: int = 1
    pace: float = 1.0
    models: frozenset[str] = frozenset()
    leases: dict[tuple[str, int], Lease] = field(default_factory=dict)
    words: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_WORDS))
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    watch: asyncio.TimerHandle | None = None

    def held(self) -> int:
        """How many jobs it holds that still count."""
        return sum(not lease.abandoned for lease in self.leases.values())
