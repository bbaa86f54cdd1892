"""One memory and what is in it: who holds how much, and what goes first when room is wanted.

Networks and cached values share a ledger: what is dropped is what is worth least, whoever holds it. Worth is the
seconds to have it again, per byte, aged (the GreedyDual-Size rule, Cao & Irani 1997).
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from engine.runtime.device import heap

STATM = Path("/proc/self/statm")
PAGE = 4096
KEPT_BY_LIBRARY = 16 * 2**20  # freed memory that is let be


def anonymous() -> int:
    """Bytes of this process that no file backs; 0 where the system does not tell.

    Weight files are mapped, and their pages are the system's to take back: they count for nothing.
    """
    try:
        _, resident, shared, *_ = STATM.read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * PAGE


def trim() -> None:
    """Have the C library give back what was freed; it keeps it otherwise, and the process stays as large."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back_early() -> None:
    """From now on have the C library give large blocks back as they are freed, for good.

    It keeps blocks of up to 32 MiB otherwise, once it has seen some freed: 130 MB in a run of SD 1.5. What this costs
    are the faults of new pages, so it is for whoever asked for a budget.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(heap.MMAP_THRESHOLD, 1 << 20)
        library.mallopt(heap.TRIM_THRESHOLD, 8 << 20)


def give_back(device: torch.device) -> None:
    """Let freed memory of a device go to others."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trim()


class Holder(Protocol):
    """Somebody who keeps what could be had again."""

    age: float

    @property
    def nbytes(self) -> int:
        """What it holds."""

    def cheapest(self) -> float | None:
        """The worth of what it would drop first; None if it can drop nothing."""

    def drop_cheapest(self) -> int:
        """Drop that; gives the bytes."""


class Ledger:
    """What one memory holds. Every method may be called from any thread.

    budget: bytes for everything. elsewhere: measures what is held that nobody here knows of.
    """

    def __init__(self, budget: int, elsewhere: Callable[[int], int] = lambda known: 0) -> None:
        self.budget = budget
        self.lock = threading.RLock()
        self.dropped = 0  # bytes, since the beginning
        self.asking: object = None  # for whom room is made at present
        self.apart = 0  # of the process, when room was last made: what was not held
        self._elsewhere = elsewhere
        self._holders: list[Holder] = []
        self._reserved: dict[object, int] = {}

    def join(self, holder: Holder) -> None:
        """Count what somebody holds, and ask him for room."""
        self._holders.append(holder)

    @property
    def held(self) -> int:
        """Bytes in the hands of those who joined."""
        return sum(holder.nbytes for holder in self._holders)

    @property
    def reserved(self) -> int:
        """Bytes that those who are at work may take."""
        return sum(self._reserved.values())

    def reserve(self, who: object, nbytes: int) -> None:
        """Somebody is at work and needs so many bytes; what he reserved before is forgotten if that was less."""
        with self.lock:
            self._reserved[who] = max(nbytes, self._reserved.get(who, 0))

    def reserved_by(self, who: object) -> int:
        """Bytes that he may take."""
        return self._reserved.get(who, 0)

    def release(self, who: object) -> None:
        """He is done."""
        with self.lock:
            self._reserved.pop(who, None)

    def elsewhere(self) -> int:
        """Bytes that nobody here knows of. What is reserved for him who is asking he does not use yet."""
        at_work = self.reserved - self.reserved_by(self.asking)
        return self._elsewhere(self.held + at_work)

    def make_room(self, wanted: int) -> int:
        """Drop what is worth least until so many bytes are free, or nothing is left; gives the bytes dropped."""
        freed = 0
        with self.lock:
            unknown = self.elsewhere()
            self.apart = anonymous() - self.held
            while self.held + self.reserved + unknown + wanted > self.budget:
                given = self.drop_one()
                if given is None:
                    break
                freed += given
        return freed

    def drop_one(self) -> int | None:
        """Drop the one thing that is worth least; gives its bytes, None if there is nothing."""
        with self.lock:
            worths = [(each.cheapest(), number) for number, each in enumerate(self._holders)]
            offers = [(worth, number) for worth, number in worths if worth is not None]
            if not offers:
                return None
            worth, number = min(offers)
            for each in self._holders:
                each.age = max(each.age, worth)
            freed = self._holders[number].drop_cheapest()
            self.dropped += freed
            return freed


def measure_elsewhere(idle: Callable[[], int]) -> Callable[[int], int]:
    """What a process has grown by since it was so large, beyond what is known of."""

    def measure(known: int) -> int:
        grown = anonymous() - idle() - known
        if grown > KEPT_BY_LIBRARY:
            trim()
            grown = anonymous() - idle() - known
        return max(0, grown)

    return measure
