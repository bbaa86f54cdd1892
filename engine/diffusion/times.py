"""What residual blocks are told of timesteps, worked out for all steps of a run at once and kept.

It follows from the timestep alone, by two products and one more in each residual block: 26 million weights of SD 1.5's
860, which are read once for a run so, not once for each step. A timestep that nobody announced is worked out when it
comes. Products are of `ROWS` rows, however many are wanted: what a step's bits are does not follow from which other
steps are made beside it, nor from how many pictures, nor from whether the weights are in memory (those that pass
through it are used as they come, and nothing is kept).

For networks on the CPU. On CUDA the timestep is in a buffer that recorded passes read, and to look it up would be to
wait for the device.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from engine.diffusion.fast import Linear, is_bare
from engine.diffusion.layers import ResBlock, Told, timestep_embedding

if TYPE_CHECKING:
    from engine.diffusion.unet import UNet

ROWS = 32  # of each product; the compiled kernels fill up fewer
MOST = 128  # timesteps of one network that are kept: 5 MB of SD 1.5's in bfloat16
PLAIN = {nn.Sequential.forward, nn.SiLU.forward, Linear.forward}  # what the layers do, if nobody put others there


class Weight(NamedTuple):
    """A weight that rows were made with. memory: an alias, so that nothing else comes to lie where it was."""

    parameter: Tensor
    memory: Tensor
    version: int

    def is_still(self, found: Tensor) -> bool:
        """Whether what is found now is this one, where it was and unchanged."""
        return (
            found is self.parameter and found.data_ptr() == self.memory.data_ptr() and found._version == self.version
        )


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What is known of one network's timesteps.

    blocks: its residual blocks. widths: of the embedding and of what each block adds. weights: what rows are made
    with; None if they pass through memory, and no rows are kept. places: the row of each timestep. rows (timesteps,
    the sum of widths): the embedding and what each block adds, side by side. seconds: what they took.
    """

    blocks: tuple[ResBlock, ...]
    widths: tuple[int, ...]
    weights: tuple[Weight, ...] | None
    places: Mapping[float, int]
    rows: Tensor
    seconds: float

    def told(self, timesteps: Sequence[float]) -> Told:
        """The rows of timesteps that are known, one for each."""
        rows = self.rows[[self.places[each] for each in timesteps]]
        # by themselves in memory, as without a table: by their strides PyTorch lays out what they are added to
        parts = torch.split(rows, list(self.widths), dim=1)
        emb, *shifts = (each.clone(memory_format=torch.contiguous_format) for each in parts)
        return Told(emb, dict(zip(self.blocks, shifts, strict=True)))

    def holds(self, found: Sequence[Tensor] | None, dtype: torch.dtype) -> bool:
        """Whether it is of these weights as they are now, and of this type."""
        if found is None or self.weights is None:
            return found is None and self.weights is None
        if len(found) != len(self.weights):
            return False
        return self.rows.dtype == dtype and all(map(Weight.is_still, self.weights, found))


class Times:
    """The tables of all networks on one device. A holder of the ledger's: what they take is counted, and may go.

    Any thread may ask. Copies of a network ask the same.
    """

    def __init__(self) -> None:
        self.age = 0.0
        self._lock = threading.Lock()  # of the two below; nothing is waited for while it is held
        self._tables: WeakKeyDictionary[UNet, Table] = WeakKeyDictionary()
        self._coming: WeakKeyDictionary[UNet, Callable[[], list[float]]] = WeakKeyDictionary()
        self._used = 0.0  # the age at which one was read last

    def __deepcopy__(self, memo: object) -> Times:
        """Itself: what is copied is the network that has it."""
        return self

    def expect(self, unet: UNet, timesteps: Callable[[], list[float]]) -> None:
        """Announce a network's timesteps, in the order in which they will come; asked for when one is not known."""
        with self._lock:
            self._coming[unet] = timesteps

    def of(self, unet: UNet, timestep: Tensor, dtype: torch.dtype) -> Told | None:
        """What blocks of a network of this type are told of timestep (batch,).

        What is not known is worked out, and what was announced to come after it. None where gradients are wanted, where
        the timestep is not on the CPU, and where somebody put something into the layers or in their place.
        """
        if torch.is_grad_enabled() or timestep.device.type != "cpu":
            return None
        with self._lock:
            table, coming = self._tables.get(unet), self._coming.get(unet, list)
            self._used = self.age
        blocks = _blocks(unet) if table is None else table.blocks
        if not all(is_bare(each) and type(each).forward in PLAIN for each in _layers(unet, blocks)):
            return None
        found, wanted = _weights(unet, blocks), timestep.tolist()
        known = table if table is not None and table.holds(found, dtype) else _empty(unet, found, dtype)
        grown = known if known.weights is None else _grown(unet, known, wanted, coming)
        if grown is not table:
            with self._lock:
                self._tables[unet] = grown
        return _as_they_come(unet, wanted, dtype) if grown.weights is None else grown.told(wanted)

    # -- in the ledger ----------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """What all tables take."""
        return sum(table.rows.nbytes for table in self._all())

    def cheapest(self) -> float | None:
        """What they are worth: seconds to work them out again, per byte. None if there are none."""
        tables = [each for each in self._all() if each.places]
        if not tables:
            return None
        return self._used + sum(each.seconds for each in tables) / sum(each.rows.nbytes for each in tables)

    def drop_cheapest(self) -> int:
        """Let all go; gives their bytes. Passes that are going on have copies of what they read."""
        with self._lock:
            nbytes = sum(table.rows.nbytes for table in self._tables.values())
            self._tables.clear()
        return nbytes

    def _all(self) -> list[Table]:
        with self._lock:
            return list(self._tables.values())


def _empty(unet: UNet, found: Sequence[Tensor] | None, dtype: torch.dtype) -> Table:
    blocks = _blocks(unet)
    widths = (unet.config.time_width, *(cast(nn.GroupNorm, block.out_layers[0]).num_channels for block in blocks))
    weights = None if found is None else tuple(Weight(each, each.detach(), each._version) for each in found)
    return Table(blocks, widths, weights, {}, torch.empty(0, sum(widths), dtype=dtype), 0.0)


def _grown(unet: UNet, table: Table, wanted: Sequence[float], expected: Callable[[], list[float]]) -> Table:
    """The table with these timesteps, and those to come after them as far as may be; itself if it has all."""
    lacking = [each for each in wanted if each not in table.places]
    if not lacking:
        return table
    coming = expected()
    ahead = coming[coming.index(lacking[0]) :] if lacking[0] in coming else []
    fresh = [each for each in dict.fromkeys((*lacking, *ahead)) if each not in table.places]
    if len(table.places) + len(fresh) > MOST:
        table = replace(table, places={}, rows=table.rows[:0], seconds=0.0)
        fresh = list(dict.fromkeys((*wanted, *ahead)))[: max(MOST, len(wanted))]
    began = time.perf_counter()
    rows = torch.cat([table.rows, *(_made(unet, table, fresh[at : at + ROWS]) for at in range(0, len(fresh), ROWS))])
    places = {**table.places, **{each: len(table.places) + at for at, each in enumerate(fresh)}}
    return replace(table, places=places, rows=rows, seconds=table.seconds + time.perf_counter() - began)


def _made(unet: UNet, table: Table, timesteps: Sequence[float]) -> Tensor:
    """Rows of up to ROWS timesteps."""
    emb = _embedded(unet, timesteps, table.rows.dtype)
    return torch.cat([emb, *(block.emb_layers(emb) for block in table.blocks)], dim=1)[: len(timesteps)]


def _as_they_come(unet: UNet, timesteps: Sequence[float], dtype: torch.dtype) -> Told:
    """For blocks that work out for themselves what they add, each when its weights are there; the same bits."""
    return Told(_embedded(unet, timesteps, dtype), rows=len(timesteps))


def _embedded(unet: UNet, timesteps: Sequence[float], dtype: torch.dtype) -> Tensor:
    """The embedding of timesteps (ROWS or more, time width), filled up with the last one."""
    full = [*timesteps, *[timesteps[-1]] * (ROWS - len(timesteps))]
    made: Tensor = unet.time_embed(timestep_embedding(torch.tensor(full), unet.config.model_channels).to(dtype))
    return made


def _blocks(unet: UNet) -> tuple[ResBlock, ...]:
    return tuple(each for each in unet.modules() if isinstance(each, ResBlock))


def _layers(unet: UNet, blocks: Sequence[ResBlock]) -> Iterator[nn.Module]:
    """All that rows are made by."""
    for group in (unet.time_embed, *(block.emb_layers for block in blocks)):
        yield group
        yield from group.children()


def _weights(unet: UNet, blocks: Sequence[ResBlock]) -> tuple[Tensor, ...] | None:
    """All that rows are made with; None if some pass through memory: those are no parameters, and none is read here."""
    held = [each._parameters for each in _layers(unet, blocks) if isinstance(each, Linear)]
    if any(each.get("weight") is None or "bias" not in each for each in held):
        return None
    return tuple(weight for each in held for weight in each.values() if weight is not None)
