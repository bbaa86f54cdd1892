"""One batch over several devices: each network call is cut into shares, which are answered at the same time.

Noise, conditions, masks and guidance are worked out once, for the whole batch, where the run is; only the rows that go
through the network travel. So what comes out is the unsplit run's, but for what a network's rounding owes to the number
of rows that it is given at once: 2e-5 of the largest value at most, and for many sizes nothing at all (CPU, float32,
the stand-in model, three steps; `tests/nodes/test_devices.py`). An exact split asks row by row: then the bits are the
same over any number of devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.diffusion.guidance import Call, Network


@dataclass(frozen=True)
class SplitOverDevices:
    """On a model: its batches are split over all devices that there are. exact: row by row."""

    exact: bool = False


def asked_for(patches: Sequence[Any]) -> SplitOverDevices | None:
    """What a model's patches ask for; the last one counts."""
    return next((each for each in reversed(patches) if isinstance(each, SplitOverDevices)), None)


class Rows(NamedTuple):
    """Some rows of a call, by its number."""

    call: int
    first: int
    last: int


def shares(sizes: Sequence[int], count: int) -> list[list[Rows]]:
    """Rows of calls of these sizes, in order, cut into ``count`` shares that differ by one row at most.

    >>> shares([3, 3], 2)
    [[Rows(call=0, first=0, last=3)], [Rows(call=1, first=0, last=3)]]
    >>> shares([1], 2)
    [[Rows(call=0, first=0, last=1)], []]
    """
    total = sum(sizes)
    ends = [-(-total * (number + 1) // count) for number in range(count)]
    made: list[list[Rows]] = [[] for _ in range(count)]
    at = share = 0
    for call, size in enumerate(sizes):
        first = 0
        while first < size:
            while at >= ends[share]:
                share += 1
            last = min(size, first + ends[share] - at)
            made[share].append(Rows(call, first, last))
            at += last - first
            first = last
    return made


def split_network(networks: Sequence[Network], pool: ThreadPoolExecutor, *, exact: bool = False) -> Network:
    """A network that asks several, the first of them in the calling thread, and joins their answers.

    exact: each row is asked for by itself. Calls that put patches into the network are the first one's alone: what
    patches bring lives on its device. If another one's device has no memory left, the first takes over its share.
    """
    home, *others = [_one_by_one(each) for each in networks] if exact else networks

    def answer(calls: Sequence[Call]) -> list[Tensor]:
        if any(call.patches for call in calls):
            return list(networks[0](calls))
        own, *rest = shares([len(call.x) for call in calls], len(networks))
        asked = [
            (rows, pool.submit(other, _cut(calls, rows))) for rows, other in zip(rest, others, strict=True) if rows
        ]
        parts: dict[Rows, Tensor] = dict(zip(own, home(_cut(calls, own)), strict=True))
        for rows, answers in asked:
            try:
                made = answers.result()
            except torch.OutOfMemoryError:
                made = home(_cut(calls, rows))
            parts.update(zip(rows, made, strict=True))
        joined = []
        for number in range(len(calls)):
            rows_of = sorted(rows for rows in parts if rows.call == number)
            device = parts[own[0]].device
            joined.append(torch.cat([parts[rows].to(device) for rows in rows_of]))
        return joined

    return answer


def _one_by_one(network: Network) -> Network:
    """The network, given nothing but single rows."""

    def answer(calls: Sequence[Call]) -> list[Tensor]:
        return [
            torch.cat([network([_rows(call, Rows(0, row, row + 1))])[0] for row in range(len(call.x))])
            for call in calls
        ]

    return answer


def _cut(calls: Sequence[Call], shares: Sequence[Rows]) -> list[Call]:
    return [_rows(calls[each.call], each) for each in shares]


def _rows(call: Call, rows: Rows) -> Call:
    """Some rows of a call, with what belongs to them."""
    size, part = len(call.x), slice(rows.first, rows.last)
    if (rows.first, rows.last) == (0, size):
        return call
    extras = {
        name: value[part] if isinstance(value, Tensor) and value.ndim and len(value) == size else value
        for name, value in call.extras.items()
    }
    return replace(call, x=call.x[part], context=call.context[part], extras=extras)
