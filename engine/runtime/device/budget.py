"""What fits into how many bytes: pure arithmetic on sizes. Nothing here looks at a device or moves anything.

A *plan* says how a run is carried out within a budget. What may change the bits of a picture (how many rows go through
the network at once, whether the autoencoder works in tiles) depends on the budget and the shapes alone and is fixed
once per run; how many of a network's weights stay in memory changes no bit, and is decided from what is free.

The ladder, fastest first: everything at once, weights resident · the batch in parts (2 as 2×1) · weights streamed
through a ring of slots · the autoencoder layer by layer in strips · only when nothing exact fits, in tiles.

>>> plan_sampling(3000, weights=1700, least=300, need={2: 400, 1: 200}.__getitem__, rows=2)
Plan(rows=None, placement='resident', tile=None)
>>> plan_sampling(2000, weights=1700, least=300, need={2: 400, 1: 200}.__getitem__, rows=2)
Plan(rows=1, placement='resident', tile=None)
>>> plan_sampling(800, weights=1700, least=300, need={2: 400, 1: 200}.__getitem__, rows=2)
Plan(rows=None, placement='streamed', tile=None)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

Placement = Literal["resident", "streamed", "least"]
Tile = int | Literal["strips"]
TILES: tuple[Tile, ...] = ("strips", 64, 32, 16)  # how an autoencoder may work in parts, best first; sides of tiles
OVERLAPS: dict[Tile, int] = {64: 16, 32: 8, 16: 4}  # of tiles, in latent elements as their sides
SLOTS = 2  # of a ring: one is used while the other is filled
MIB = 2**20


class Unit(NamedTuple):
    """Weights that are wanted together: parameters by name, and their bytes."""

    names: tuple[str, ...]
    nbytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is carried out. rows: the most that go through the network at once, None for any number.

    placement: "streamed" keeps as much of the weights in memory as there is room for, "least" only the ring.
    tile: side of the autoencoder's tiles in latent elements, "strips" for layer by layer in strips (`strips`), None for
    the whole picture.
    """

    rows: int | None = None
    placement: Placement = "resident"
    tile: Tile | None = None

    @property
    def bits(self) -> tuple[int | None, Tile | None]:
        """What of it may change a picture's bits."""
        return self.rows, self.tile

    def words(self) -> dict[str, Any]:
        """As it is recorded: only what is not as usual, and the placement."""
        said: dict[str, Any] = {"weights": self.placement}
        if self.rows is not None:
            said["rows"] = self.rows
        if self.tile is not None:
            said["tile"] = self.tile
        return said


@dataclass(frozen=True, slots=True)
class Layout:
    """How a network is streamed: its chunks in the order of their use, which of them stay, and the size of a slot.

    A chunk that does not stay passes through one of the ring's slots. fixed: bytes of what is in no chunk. aside: bytes
    that filling a slot takes besides: what is read, before it is converted.
    """

    chunks: tuple[Unit, ...]
    stays: frozenset[int]
    slot: int
    slots: int
    fixed: int
    aside: int = 0

    @property
    def ring(self) -> int:
        """What the slots take, and filling them."""
        return self.slot * self.slots + self.aside

    @property
    def nbytes(self) -> int:
        """What it takes: fixed weights, chunks that stay, and the ring."""
        return self.fixed + sum(self.chunks[index].nbytes for index in self.stays) + self.ring

    @property
    def is_least(self) -> bool:
        """Whether nothing stays that would fit into a slot."""
        return all(self.chunks[index].nbytes > self.slot for index in self.stays)


def least_room(units: Sequence[Unit], fixed: int, aside: float = 0.0) -> int:
    """The fewest bytes that a network can run in when its units are streamed.

    aside: bytes that are taken besides for each byte of a slot that is filled.

    >>> least_room([Unit(("a",), 100), Unit(("b",), 10), Unit(("c",), 10)], 5)
    125
    """
    return fixed + _cut(units, aside)[1]


def _cut(units: Sequence[Unit], aside: float) -> tuple[int, int]:
    """The size of a slot with which all takes fewest bytes, and these; larger units stay.

    A token embedding may be larger than all layers together: a ring with slots for it would waste most of them.
    """
    best = (0, sum(unit.nbytes for unit in units))
    for size in sorted({unit.nbytes for unit in units}):
        taken = sum(unit.nbytes for unit in units if unit.nbytes > size) + SLOTS * size + int(aside * size)
        if taken < best[1]:
            best = (size, taken)
    return best


def lay_out(units: Sequence[Unit], fixed: int, room: int, aside: float = 0.0) -> Layout:
    """Stream a network's units within so much room; what room is left keeps evenly spaced chunks.

    Evenly spaced, because reading one chunk then overlaps with computing those between. If the room is less than
    `least_room`, the layout takes more than it. aside: as there.

    >>> units = [Unit((name,), 10) for name in "abcdef"]
    >>> sorted(lay_out(units, 0, 20).stays), sorted(lay_out(units, 0, 45).stays)
    ([], [1, 4])
    """
    size, _ = _cut(units, aside)
    chunks = _packed(units, size)
    large = frozenset(index for index, chunk in enumerate(chunks) if chunk.nbytes > size)
    small = [index for index in range(len(chunks)) if index not in large]
    slots = min(SLOTS, len(small))
    beside = int(aside * size) if slots else 0
    spare = room - fixed - slots * size - beside - sum(chunks[index].nbytes for index in large)
    stays = large
    for count in range(len(small) - slots, 0, -1):
        chosen = [small[int((place + 0.5) * len(small) / count)] for place in range(count)]
        if sum(chunks[index].nbytes for index in chosen) <= spare:
            stays = large | frozenset(chosen)
            break
    return Layout(tuple(chunks), stays, size, slots, fixed, beside)


def _packed(units: Sequence[Unit], size: int) -> list[Unit]:
    """Units in order, as many as fit together in a chunk of this size; larger ones alone."""
    chunks: list[Unit] = []
    for unit in units:
        last = chunks[-1] if chunks else None
        if last is not None and last.nbytes + unit.nbytes <= size:
            chunks[-1] = Unit((*last.names, *unit.names), last.nbytes + unit.nbytes)
        else:
            chunks.append(unit)
    return chunks


def parts(rows: int) -> list[int]:
    """Into how many rows a batch may be split, largest first.

    >>> parts(6)
    [6, 3, 2, 1]
    """
    found = [rows]
    while found[-1] > 1:
        found.append((found[-1] + 1) // 2)
    return found


def plan_sampling(
    budget: int, *, weights: int, least: int, need: Callable[[int], int], rows: int, share: float = 1.0
) -> Plan:
    """The fastest way to run a batch of so many rows: see the module.

    weights: bytes of the network, least: of the same when it is streamed. need: bytes that a call of so many rows
    takes besides. share: the part of the budget that weights may take at most. If nothing fits, the smallest plan.
    """
    for count in parts(rows) if weights <= budget * share else ():
        if weights + need(count) <= budget:
            return Plan(count if count < rows else None)
    for count in parts(rows):
        if least + need(count) <= budget:
            return Plan(count if count < rows else None, "streamed")
    return Plan(1, "streamed")


def plan_autoencoder(
    budget: int, *, weights: int, least: int, need: int, tiled: Callable[[Tile], int], share: float = 1.0
) -> Plan:
    """The fastest way to decode or encode a picture. need: bytes for it whole; tiled: for it in parts.

    >>> tiled = {"strips": 300, 64: 400, 32: 100}.__getitem__
    >>> [plan_autoencoder(size, weights=200, least=50, need=900, tiled=tiled).words() for size in (960, 500, 160)]
    [{'weights': 'streamed'}, {'weights': 'resident', 'tile': 'strips'}, {'weights': 'streamed', 'tile': 32}]
    """
    if weights <= budget * share and weights + need <= budget:
        return Plan()
    if least + need <= budget:
        return Plan(None, "streamed")
    for tile in TILES:
        for placement, taken in (("resident", weights), ("streamed", least)):
            if taken + tiled(tile) <= budget and (placement == "streamed" or weights <= budget * share):
                return Plan(None, placement, tile)  # type: ignore[arg-type]  # the two of the line above
    return Plan(None, "streamed", TILES[-1])


def lower(plan: Plan, *, autoencoder: bool = False, rows: int = 1) -> Plan | None:
    """The next plan down the ladder after memory ran out with this one; None at its end.

    rows: how many there are, where the plan does not say.

    >>> step = Plan(2)
    >>> while step := lower(step): print(step.words())
    {'weights': 'resident', 'rows': 1}
    {'weights': 'streamed', 'rows': 1}
    {'weights': 'least', 'rows': 1}
    """
    if not autoencoder and (plan.rows or rows) > 1:
        return replace(plan, rows=((plan.rows or rows) + 1) // 2)
    if plan.placement != "least":
        return replace(plan, placement="streamed" if plan.placement == "resident" else "least")
    if not autoencoder:
        return None
    further = TILES[0 if plan.tile is None else TILES.index(plan.tile) + 1 :]
    return replace(plan, tile=further[0]) if further else None


def read_plan(text: str) -> Plan:
    """A plan in words, as ``rows=1,weights=streamed,tile=32``. Raises ValueError.

    >>> read_plan("rows=1,weights=streamed")
    Plan(rows=1, placement='streamed', tile=None)
    """
    plan = Plan()
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, value = part.partition("=")
        if name == "weights" and value in get_args(Placement):
            plan = replace(plan, placement=value)  # type: ignore[arg-type]  # one of them
        elif name == "rows" and re.fullmatch(r"[1-9]\d{0,5}", value):
            plan = replace(plan, rows=int(value))
        elif name == "tile" and value in (tiles := {str(tile): tile for tile in TILES}):
            plan = replace(plan, tile=tiles[value])
        else:
            raise ValueError(
                f"a plan is weights=resident, streamed or least, rows=N and tile=strips, 64, 32 or 16; found {part!r}"
            )
    return plan


def write_plan(plan: Plan) -> str:
    """The words that `read_plan` reads."""
    return ",".join(f"{name}={value}" for name, value in plan.words().items())


def default_budget(free: int, total: int, reserved: int | None = None) -> int:
    """What may be used of a device's memory if nobody says: what is free, less a margin.

    reserved: bytes to leave to others; otherwise a tenth of all, at least 512 MiB, and never more than half of what
    is free.
    """
    margin = min(max(total // 10, 512 * MIB), free // 2) if reserved is None else min(reserved, free)
    return max(free - margin, 0)
