"""The value cache: wire digest → items. In memory within a byte budget, and below it perhaps a tier on disk.

Eviction keeps what is dear to make and small to hold: it weighs seconds-to-recompute per byte, aged so that what
is never asked for goes in the end (the GreedyDual-Size rule, Cao & Irani 1997).
"""

from __future__ import annotations

import heapq
import operator
import threading
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, Protocol

import msgspec
import numpy as np
import torch

NUMBERS = frozenset({type(None), bool, int, float})
OVERHEAD = 200  # bytes that any entry costs
READ_SECONDS = 0.05  # what a value counts as having cost that came from disk


class Tier(Protocol):
    """What lies below memory."""

    def __contains__(self, wire: bytes) -> bool:
        """Whether it holds a wire's items."""

    def get(self, wire: bytes) -> tuple[Any, ...] | None:
        """The items of a wire, or None."""

    def put(self, wire: bytes, items: tuple[Any, ...], seconds: float) -> None:
        """Keep the items of a wire, if it can."""

    def close(self) -> None:
        """Write what waits."""


class _Entry(msgspec.Struct, gc=False):  # no value can know its entry, so there is no circle to look for
    items: tuple[Any, ...]
    nbytes: int
    seconds: float
    priority: float


class ValueCache:
    """Values by digest. Used from the executor's thread; any may have the cheapest dropped.

    Tensors of an accelerator are kept as copies on the host: what is remembered takes no room from what runs.
    """

    def __init__(self, budget: int, below: Tier | None = None) -> None:
        self.budget = budget
        self.below = below
        self.nbytes = 0
        self._entries: dict[bytes, _Entry] = {}
        self._heap: list[tuple[float, bytes]] = []
        self._lock = threading.RLock()
        self.age = 0.0

    def __len__(self) -> int:
        """How many wires are held."""
        return len(self._entries)

    def get(self, digest: bytes) -> tuple[Any, ...] | None:
        """The items of a wire, or None."""
        with self._lock:
            entry = self._entries.get(digest)
            if entry is not None:
                self._touch(digest, entry)
                return entry.items
        items = self.below.get(digest) if self.below is not None else None
        if items is not None:
            self._keep(digest, items, READ_SECONDS)
        return items

    def place(self, digest: bytes) -> str:
        """Where a wire's items are: ``memory``, ``disk``, or nowhere (empty). Any thread may ask."""
        if digest in self._entries:
            return "memory"
        return "disk" if self.below is not None and digest in self.below else ""

    def put(self, digest: bytes, items: tuple[Any, ...], seconds: float) -> None:
        """Hold the items of a wire that took ``seconds`` to make, and drop what is worth less until all fits."""
        self._keep(digest, items, seconds)
        if self.below is not None:
            self.below.put(digest, items, seconds)

    def _keep(self, digest: bytes, items: tuple[Any, ...], seconds: float) -> None:
        nbytes = OVERHEAD + sum(map(size_of, items))
        with self._lock:
            if digest in self._entries:
                self._touch(digest, self._entries[digest])
                return
            if nbytes > self.budget:
                return
            entry = self._entries[digest] = _Entry(
                tuple(map(on_host, items)) if _has_accelerator() else items, nbytes, seconds, 0.0
            )
            self.nbytes += nbytes
            self._touch(digest, entry)
            while self.nbytes > self.budget and self.drop_cheapest():
                pass

    def clear(self) -> int:
        """Give all memory back, and say how many bytes; what is on disk stays."""
        with self._lock:
            freed, self.nbytes = self.nbytes, 0
            self._entries.clear()
            self._heap.clear()
        return freed

    def cheapest(self) -> float | None:
        """The worth of what would be dropped first: seconds to make it again, per byte, aged."""
        with self._lock:
            while self._heap:
                priority, digest = self._heap[0]
                entry = self._entries.get(digest)
                if entry is not None and entry.priority == priority:
                    return priority
                heapq.heappop(self._heap)
        return None

    def drop_cheapest(self) -> int:
        """Drop that; gives its bytes."""
        with self._lock:
            if self.cheapest() is None:
                return 0
            priority, digest = heapq.heappop(self._heap)
            self.age = max(self.age, priority)
            entry = self._entries.pop(digest)
            self.nbytes -= entry.nbytes
            return entry.nbytes

    def _touch(self, digest: bytes, entry: _Entry) -> None:
        priority = self.age + (entry.seconds + 1e-4) / entry.nbytes
        if priority == entry.priority:
            return  # nothing was dropped since: it stands where it stood
        entry.priority = priority
        heapq.heappush(self._heap, (entry.priority, digest))
        if len(self._heap) > 2 * len(self._entries) + 1000:  # stale rows are dropped lazily; do not let them pile up
            self._heap = [(each.priority, key) for key, each in self._entries.items()]
            heapq.heapify(self._heap)


@cache
def _has_accelerator() -> bool:
    """Whether a value may be anywhere but on the host; asking torch costs more than keeping a small value."""
    return bool(torch.cuda.is_available())


def on_host(value: Any, depth: int = 0) -> Any:
    """The value with tensors of an accelerator as copies on the host; the value itself where there are none."""
    if isinstance(value, torch.Tensor):
        return value if value.device.type in ("cpu", "meta") else value.cpu()
    if depth < 10:
        if type(value) is dict:
            moved = {key: on_host(each, depth + 1) for key, each in value.items()}
            return moved if any(moved[key] is not each for key, each in value.items()) else value
        if type(value) in (list, tuple):
            row = [on_host(each, depth + 1) for each in value]
            return value if all(map(operator.is_, row, value)) else type(value)(row)
        if is_dataclass(value) and not isinstance(value, type):
            changed = {
                each.name: moved for each in fields(value) if each.init
                if (moved := on_host(before := getattr(value, each.name), depth + 1)) is not before
            }
            return replace(value, **changed) if changed else value
    return value


def size_of(value: Any, depth: int = 0) -> int:
    """About how many bytes a value keeps in memory: a view keeps all that it is a view of."""
    if type(value) in NUMBERS:
        return 60
    if isinstance(value, torch.Tensor):
        storage = 0 if value.is_sparse else value.untyped_storage().nbytes()
        return max(storage, value.numel() * value.element_size())
    if isinstance(value, np.ndarray):
        whole = value
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        return int(max(whole.nbytes, value.nbytes))
    if isinstance(value, str | bytes):
        return len(value) + 50
    if depth < 10:
        if isinstance(value, Mapping):
            return sum(size_of(each, depth + 1) for each in value.values()) + 100
        if isinstance(value, tuple | list):
            return sum(size_of(each, depth + 1) for each in value) + 60
        if is_dataclass(value) and not isinstance(value, type):
            return sum(size_of(getattr(value, each.name), depth + 1) for each in fields(value)) + 60
    return 60
