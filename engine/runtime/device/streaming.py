"""A network whose weights pass through a ring of slots while it runs, because they do not fit into memory.

The network's chunks (`budget.Layout`) that do not stay are read when one of their weights is asked for, into the slot
that was used longest ago; meanwhile a thread reads the one that comes next. What comes next is learned from the pass
before, so that shortcuts and passes through half a network are read ahead too. The arithmetic is the same, on the same
values: no bit of a result changes.

On the CPU a slot is filled from one buffer that the file is read into (`Layout.aside`); on CUDA from page-locked
copies, as far as the host has room for them, on a stream of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.runtime.device.budget import Layout, Unit

ALIGNED = 64  # bytes: where the vector units like their data to begin
SMALL = 20_000  # a module with less than this fraction of all weights is not worth streaming
Source = Callable[[str, Tensor], None]


def aligned(nbytes: int) -> int:
    """So many bytes, rounded up."""
    return -(-nbytes // ALIGNED) * ALIGNED


def units_of(module: nn.Module, dtype: torch.dtype, order: Sequence[str] = ()) -> tuple[tuple[Unit, ...], int]:
    """The modules that may be streamed, in the order in which they are called, and the bytes of all else.

    A module with weights of its own and others inside would need both at once, and is not streamed.
    order: the names of leaf modules as a pass calls them; what is not among them comes first. Without an order, the
    leaves of one parent are kept together, since which of them is called first is not known.
    """
    sizes: dict[str, Unit] = {}
    for name, leaf in module.named_modules():
        own = {f"{name}.{each}": tensor for each, tensor in leaf.named_parameters(recurse=False)}
        if own and len(own) == sum(1 for _ in leaf.parameters()):
            sizes[name] = Unit(tuple(own), sum(aligned(each.numel() * dtype.itemsize) for each in own.values()))
    total = sum(aligned(each.numel() * dtype.itemsize) for each in module.parameters())
    streamed = {name: unit for name, unit in sizes.items() if unit.nbytes * SMALL > total}
    fixed = total - sum(unit.nbytes for unit in streamed.values())
    if order:
        names = [*(name for name in streamed if name not in set(order)), *(name for name in order if name in streamed)]
        return tuple(streamed[name] for name in names), fixed
    grouped: dict[str, Unit] = {}
    for name, unit in streamed.items():
        parent = name.rpartition(".")[0]
        before = grouped.get(parent, Unit((), 0))
        grouped[parent] = Unit((*before.names, *unit.names), before.nbytes + unit.nbytes)
    return tuple(grouped.values()), fixed


def placeholder(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Stands where a streamed weight will be: of its shape, one NaN in memory."""
    return torch.full((1,), torch.nan, dtype=dtype, device=device).expand(*shape)


class Stream:
    """The chunks of one network that do not stay in memory. Used by one thread at a time.

    Layers whose weights are streamed get a class of their own kind with these weights as properties: whoever reads one,
    a layer's own forward or a kernel, has it in its slot until another layer's is read.

    module: its other weights are loaded, and those of the streamed chunks are placeholders. source: writes a
    parameter's value to a place on the CPU. around: wraps what the reading thread does. admit: asked whether the host
    may keep page-locked copies of so many bytes. last: weights of convolutions are channels-last.
    """

    def __init__(
        self, module: nn.Module, layout: Layout, source: Source, device: torch.device, *,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        admit: Callable[[int], bool] = lambda nbytes: False, last: bool = False,
    ) -> None:
        self.layout = layout
        self.reads = 0  # chunks that were read
        self.waits = 0  # of these, how many had to be waited for because nobody had foreseen them
        self._source, self._device, self._around, self._admit = source, device, around, admit
        owners = _owners(module)
        self._chunks: dict[int, list[Placed]] = {}
        for index, chunk in enumerate(layout.chunks):
            if index not in layout.stays:
                self._chunks[index] = list(_placed(chunk.names, owners, last))
        indices = list(self._chunks)
        self._next = dict(zip(indices, indices[1:] + indices[:1], strict=True))
        self._slots: list[Tensor] = []
        self._views: dict[tuple[nn.Module, str], Tensor] = {}  # of the chunks that are there
        self._held: dict[int, int] = {}  # chunk → its slot, used longest ago first
        self._coming: dict[int, Future[Any]] = {}
        self._present = -1
        self._host: dict[int, Tensor] = {}
        self._copies: Any = None
        if device.type == "cuda":
            self._copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="weights")
        wanted: dict[nn.Module, dict[str, int]] = {}
        for index, places in self._chunks.items():
            for each in places:
                wanted.setdefault(each.owner, {})[each.leaf] = index
        for owner, leaves in wanted.items():
            _lend(owner, {leaf: self._getter(index, leaf) for leaf, index in leaves.items()})

    @property
    def nbytes(self) -> int:
        """What the ring takes."""
        return self.layout.ring

    @property
    def addresses(self) -> frozenset[int]:
        """Where the slots are."""
        return frozenset(each.untyped_storage().data_ptr() for each in self._slots)

    @property
    def host_nbytes(self) -> int:
        """What copies on the host take."""
        return sum(each.numel() for each in self._host.values())

    def close(self) -> None:
        """End the thread and let go of the slots; the network cannot run after that."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._views.clear()
        self._held.clear()
        self._slots.clear()
        self._chunks.clear()  # the layers' classes hold on to this object, which must not hold on to the layers,
        self._source = _closed  # nor may whatever reads and packs for them
        self._host.clear()
        self._coming.clear()

    def _getter(self, index: int, leaf: str) -> Callable[[nn.Module], Tensor]:
        def weight(owner: nn.Module) -> Tensor:
            if index != self._present:
                self._want(index)
            return self._views[owner, leaf]

        return weight

    def _want(self, index: int) -> None:
        """Have a chunk in its slot, and the one after it on its way."""
        before, self._present = self._present, -1  # if reading fails nothing is believed to be there
        if index not in self._held:
            self.waits += 1
            self._begin(index, keep=())
        self._arrive(index)
        self._held[index] = self._held.pop(index)  # used last
        if before in self._next:
            self._next[before] = index
        following = self._next[index]
        if following not in self._held and len(self._chunks) > 1:
            self._begin(following, keep=(index,))
        self._present = index

    def _begin(self, index: int, keep: tuple[int, ...]) -> None:
        """Start reading a chunk into the slot that was used longest ago."""
        if len(self._slots) < self.layout.slots:
            slot = len(self._slots)
            self._slots.append(torch.empty(self.layout.slot, dtype=torch.uint8, device=self._device))
        else:
            victim = next(each for each in self._held if each not in keep)
            self._settle(victim)
            slot = self._held[victim]
            self._unbind(victim)
        free = torch.cuda.current_stream(self._device).record_event() if self._copies is not None else None
        self._held[index] = slot
        self._coming[index] = self._thread.submit(self._read, index, self._slots[slot], free)
        self.reads += 1

    def _arrive(self, index: int) -> None:
        """Wait for a chunk and show it to the network."""
        coming = self._coming.get(index)
        if coming is None:
            return
        try:
            arrived = coming.result()
        except BaseException:
            self._unbind(index)
            raise
        finally:
            del self._coming[index]
        if arrived is not None:
            torch.cuda.current_stream(self._device).wait_event(arrived)
        for each in self._chunks[index]:
            self._views[each.owner, each.leaf] = each.view(self._slots[self._held[index]])

    def _settle(self, index: int) -> None:
        """Wait for a read that nobody wants any more; whether it went well matters to nobody."""
        coming = self._coming.pop(index, None)
        if coming is not None and not coming.cancel():
            coming.exception()

    def _unbind(self, index: int) -> None:
        self._held.pop(index, None)
        for each in self._chunks[index]:
            self._views.pop((each.owner, each.leaf), None)

    def _read(self, index: int, slot: Tensor, free: Any) -> Any:
        """Fill a slot; on the reading thread. On CUDA gives the event after which it is there."""
        with torch.no_grad(), self._around():
            if self._copies is None:
                self._fill(index, slot)
                return None
            buffer = self._host.get(index)
            kept = buffer is not None
            if buffer is None:
                nbytes = self.layout.chunks[index].nbytes
                kept = self._admit(nbytes)
                buffer = torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)
                self._fill(index, buffer)
                if kept:
                    self._host[index] = buffer
            with torch.cuda.stream(self._copies):
                self._copies.wait_event(free)  # what still computes with the slot's old weights
                slot[: buffer.numel()].copy_(buffer, non_blocking=True)
                arrived = self._copies.record_event()
            if not kept:
                arrived.synchronize()
            return arrived

    def _fill(self, index: int, buffer: Tensor) -> None:
        for each in self._chunks[index]:
            self._source(each.name, each.view(buffer))


def _closed(name: str, out: Tensor) -> None:
    raise RuntimeError(f"the weight {name} is wanted of a network that was let go")


class Placed(NamedTuple):
    """A streamed parameter: where it is wanted, and where it is in its slot."""

    name: str
    owner: nn.Module
    leaf: str
    shape: torch.Size
    dtype: torch.dtype
    offset: int
    last: bool  # a convolution's, channels-last

    def view(self, slot: Tensor) -> Tensor:
        """The part of a slot that holds it."""
        nbytes = self.shape.numel() * self.dtype.itemsize
        numbers = slot[self.offset : self.offset + nbytes].view(self.dtype)
        if self.last:
            columns, depth, *taps = self.shape
            return numbers.view(columns, *taps, depth).movedim(-1, 1)
        return numbers.view(self.shape)


def _owners(module: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """By the name of each parameter in its file the module that it belongs to, and what it is called there.

    What was put around a layer (`Boosted`) has it as its base.
    """
    return {
        f"{name}.{leaf}".replace(".base.", "."): (owner, leaf)
        for name, owner in module.named_modules() for leaf, _ in owner.named_parameters(recurse=False)
    }


def _placed(names: Sequence[str], owners: Mapping[str, tuple[nn.Module, str]], last: bool) -> Iterator[Placed]:
    """The parameters of a chunk, each with its place in a slot."""
    offset = 0
    for name in names:
        owner, leaf = owners[name]
        parameter = owner.get_parameter(leaf)
        yield Placed(name, owner, leaf, parameter.shape, parameter.dtype, offset, last and parameter.ndim == 4)
        offset += aligned(parameter.numel() * parameter.element_size())


def _lend(owner: nn.Module, getters: Mapping[str, Callable[[nn.Module], Tensor]]) -> None:
    """Have a module's parameters made when they are asked for."""
    kind = type(owner)
    for leaf in getters:
        del owner._parameters[leaf]
    owner.__class__ = type(kind.__name__, (kind,), {leaf: property(get) for leaf, get in getters.items()})
