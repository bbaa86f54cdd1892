"""What residual blocks are told of timesteps, worked out for all steps of a run at once and kept.

It follows from the timestep alone, by two products and one more in each residual block: 26 million weights of SD 1.5's
860, which are read once for a run so, not once for each step. A timestep that nobody announced is worked out when it
comes. Products are of `ROWS` rows, however many are wanted: what a step's bits are does not follow from which other
steps are made beside it, nor from how many pictures.

For networks on the CPU. On CUDA the timestep is in a buffer that recorded passes read, and to look it up would be to
wait for the device.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from engine.diffusion.layers import ResBlock, Told, timestep_embedding

if TYPE_CHECKING:
    from engine.diffusion.unet import UNet

ROWS = 32  # of each product; the compiled kernels fill up fewer
MOST = 128  # timesteps of one network that are kept: 5 MB of SD 1.5's in bfloat16


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What is known of one network's timesteps.

    blocks: its residual blocks. widths: of the embedding and of what each block adds. weights, states: what rows were
    made with, and the place and the number of changes of each weight then. places: the row of each timestep. rows
    (timesteps, the sum of widths): the embedding and what each block adds, side by side. seconds: what they took.
    """

    blocks: tuple[ResBlock, ...]
    widths: tuple[int, ...]
    weights: tuple[Tensor, ...]
    states: tuple[tuple[int, int], ...]
    places: Mapping[float, int]
    rows: Tensor
    seconds: float

    def told(self, timesteps: Sequence[float]) -> Told:
        """The rows of timesteps that are known, one for each."""
        rows = self.rows[[self.places[each] for each in timesteps]]
        emb, *shifts = torch.split(rows, list(self.widths), dim=1)
        return Told(emb, dict(zip(self.blocks, shifts, strict=True)))

    def checked(self, unet: UNet) -> Table:
        """The table itself, or one without rows if the weights are others by now, or have changed."""
        weights = _weights(unet, self.blocks)
        states = _states(weights)
        if states == self.states and len(weights) == len(self.weights) and all(map(is_, weights, self.weights)):
            return self
        return replace(self, weights=weights, states=states, places={}, rows=self.rows[:0], seconds=0.0)


class Times:
    """The tables of all networks on one device. A holder of the ledger's: what they take is counted, and may go.

    Any thread may ask.
    """

    def __init__(self) -> None:
        self.age = 0.0
        self._lock = threading.Lock()  # of the two below; nothing is waited for while it is held
        self._tables: WeakKeyDictionary[UNet, Table] = WeakKeyDictionary()
        self._coming: WeakKeyDictionary[UNet, Callable[[], list[float]]] = WeakKeyDictionary()
        self._used = 0.0  # the age at which one was read last

    def expect(self, unet: UNet, timesteps: Callable[[], list[float]]) -> None:
        """Announce a network's timesteps, in the order in which they will come; asked for when one is not known."""
        with self._lock:
            self._coming[unet] = timesteps

    def of(self, unet: UNet, timestep: Tensor, dtype: torch.dtype) -> Told | None:
        """What blocks of a network of this type are told of timestep (batch,); None where gradients are wanted.

        What is not known is worked out, and what was announced to come after it.
        """
        if torch.is_grad_enabled():
            return None
        wanted: list[float] = timestep.tolist()
        with self._lock:
            table, coming = self._tables.get(unet), self._coming.get(unet, list)
            self._used = self.age
        table = _empty(unet, dtype) if table is None else table.checked(unet)
        grown = _grown(unet, table, wanted, coming)
        if grown is not table:
            with self._lock:
                self._tables[unet] = grown
        return grown.told(wanted)

    # -- in the ledger ----------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """What all tables take."""
        return sum(table.rows.nbytes for table in self._all())

    def cheapest(self) -> float | None:
        """What they are worth: seconds to work them out again, per byte. None if there are none."""
        tables = self._all()
        if not tables:
            return None
        return self._used + sum(each.seconds for each in tables) / max(1, sum(each.rows.nbytes for each in tables))

    def drop_cheapest(self) -> int:
        """Let all go; gives their bytes. Passes that are going on have copies of what they read."""
        with self._lock:
            nbytes = sum(table.rows.nbytes for table in self._tables.values())
            self._tables.clear()
        return nbytes

    def _all(self) -> list[Table]:
        with self._lock:
            return list(self._tables.values())


def _empty(unet: UNet, dtype: torch.dtype) -> Table:
    blocks = tuple(each for each in unet.modules() if isinstance(each, ResBlock))
    widths = (unet.config.time_width, *(cast(nn.GroupNorm, block.out_layers[0]).num_channels for block in blocks))
    weights = _weights(unet, blocks)
    rows = torch.empty(0, sum(widths), dtype=dtype)
    return Table(blocks, widths, weights, _states(weights), {}, rows, 0.0)


def _grown(unet: UNet, table: Table, wanted: Sequence[float], expected: Callable[[], list[float]]) -> Table:
    """The table with these timesteps, and those to come after them as far as may be; itself if it has all."""
    lacking = [each for each in wanted if each not in table.places]
    if not lacking:
        return table
    coming = expected()
    ahead = coming[coming.index(lacking[0]) :] if lacking[0] in coming else coming
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
    full = [*timesteps, *[timesteps[-1]] * (ROWS - len(timesteps))]
    first = timestep_embedding(torch.tensor(full), unet.config.model_channels).to(table.rows.dtype)
    emb = unet.time_embed(first)
    return torch.cat([emb, *(block.emb_layers(emb) for block in table.blocks)], dim=1)[: len(timesteps)]


def _weights(unet: UNet, blocks: Iterable[ResBlock]) -> tuple[Tensor, ...]:
    """All that rows are made with; of streamed weights what stands for them, so that none is read."""
    groups = (unet.time_embed, *(block.emb_layers for block in blocks))
    layers = (layer for group in groups for layer in group._modules.values() if layer is not None)
    return tuple(weight for layer in layers for weight in layer._parameters.values() if weight is not None)


def _states(weights: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    return tuple((weight.data_ptr(), weight._version) for weight in weights)
