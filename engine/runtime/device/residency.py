"""Networks in memory: loading them from their descriptions, keeping them while there is room, letting them go.

The only code that moves weights. What is decided is decided in `budget`, from sizes; what is dropped when room is
wanted, by the ledger that networks share with cached values.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.diffusion.adapters.hypernetwork import Hypernetwork, install
from engine.diffusion.adapters.patches import WeightPatch, changes, compute_type, weight_patches
from engine.diffusion.checkpoint import (
    CHECKED,
    Changes,
    CheckpointError,
    Component,
    Weights,
    checked,
    load_companion,
    load_text,
    load_unet,
    load_vae,
    reading,
    shapes,
    skeleton,
    stored,
)
from engine.diffusion.fast import Packer, can_pack, goes_last, make_last
from engine.diffusion.foreign import load_foreign
from engine.diffusion.layers import ready_for_cuda
from engine.diffusion.replay import Recorder, Replays, cuda_recorder
from engine.diffusion.tensorfile import Reader, stamp
from engine.diffusion.times import Times
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.runtime.device.budget import Layout, Placement, Unit, lay_out, least_room
from engine.runtime.device.costs import Costs
from engine.runtime.device.memory import Ledger, give_back
from engine.runtime.device.precision import Dtypes
from engine.runtime.device.streaming import Stream, placeholder, units_of

COMPANION_DTYPE = torch.float32  # image encoders, depth, upscalers: small, and used once for a picture
STREAMED: frozenset[str] = frozenset({"unet", "vae", "text", "control"})  # whose weights pass one by one
PACKED: frozenset[str] = frozenset({"unet", "vae", "control"})
GROWTH = 32 * 2**20  # that libraries take while a network runs: what is streamed leaves it free
AWAITED = 10.0  # times the worth of a network that the jobs in line name
Key = tuple[Weights, tuple[WeightPatch, ...]]
Loader = Callable[[Weights, torch.dtype, Changes, Mapping[str, Tensor]], nn.Module]


@dataclass(slots=True, eq=False)
class Resident:
    """A network in memory. originals: its parameters that are as in the file, which other copies may share.

    stream: what its weights pass through, if not all of them stay; its files are open meanwhile. seconds: to load it.
    """

    module: nn.Module
    originals: Mapping[str, Tensor]
    seconds: float
    worth: float = 0.0
    stream: Stream | None = None
    files: ExitStack = field(default_factory=ExitStack)


class Residency:
    """The networks in memory, by their weights and what is put on them, within a byte budget.

    A patched network is a network of its own: taking a patch off means going back to the copy without it, or reading
    the original bytes again. Copies of one network share the parameters that no patch changes.

    ledger: of the device's memory, if others share it; share: the part of it that one network's weights may take
    before they are streamed. host: the ledger of page-locked copies. around: wraps whatever loads. plain: never hold
    weights packed for the compiled kernels.
    """

    def __init__(
        self, device: torch.device, dtypes: Dtypes, budget: int = 0, *, fp16_rounded_text: bool = True,
        plain: bool = False, ledger: Ledger | None = None, share: float = 1.0, costs: Costs | None = None,
        host: Ledger | None = None,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.device = device
        self.dtypes = dtypes
        self.ledger = ledger or Ledger(budget)
        self.share = share
        self.costs = costs or Costs(device.type)
        self.age = 0.0
        self.awaited: frozenset[Path] = frozenset()  # files that the jobs in line name
        self.loads = 0
        self._plain, self._host, self._around = plain, host, around
        self.replays: Replays | None = None
        self.times: Times | None = None
        self._resident: OrderedDict[Key, Resident] = OrderedDict()
        self._users: dict[object, set[Key]] = {}
        self._wanted: Key | None = None  # what `have` is at: it is not dropped to make room for itself
        self._nbytes: int | None = 0
        self._sharing: Mapping[str, Tensor] = {}
        self._rounded = fp16_rounded_text
        self._loaders: Mapping[str, Loader] = {
            "unet": lambda weights, dtype, *rest: load_unet(
                weights, dtype, device, *rest, packed=self.packs(dtype)
            ),
            "vae": lambda weights, dtype, *rest: load_vae(weights, dtype, device, *rest, packed=self.packs(dtype)),
            "text": lambda weights, dtype, *rest: load_text(
                weights, dtype, device, *rest, fp16_rounded=fp16_rounded_text
            ),
            "companion": lambda weights, dtype, *rest: load_companion(weights, dtype, device, *rest),
            "control": lambda weights, dtype, *rest: load_companion(
                weights, dtype, device, *rest, packed=self.packs(dtype)
            ),
        }
        self._text_storage = torch.float16 if fp16_rounded_text else dtypes.text
        self.ledger.join(self)
        if device.type == "cuda" and not plain:
            self.record_by(cuda_recorder(device))
        if device.type == "cpu" and not plain:
            self.times = Times()
            self.ledger.join(self.times)

    def record_by(self, record: Recorder) -> None:
        """Record the passes of networks that are loaded from now on; what that takes is in the ledger."""
        self.replays = Replays(record, lambda: self.ledger.make_room(0))
        self.ledger.join(self.replays)

    def __len__(self) -> int:
        """How many networks are in memory."""
        return len(self._resident)

    # -- sizes ----------------------------------------------------------------------------------------------------

    @property
    def budget(self) -> int:
        """Bytes that everything in this memory may take."""
        return self.ledger.budget

    @budget.setter
    def budget(self, nbytes: int) -> None:
        self.ledger.budget = nbytes

    @property
    def nbytes(self) -> int:
        """How many bytes of weights are in memory; what copies share counts once."""
        with self.ledger.lock:
            if self._nbytes is None:
                self._nbytes = _nbytes(self._resident.values(), self._sharing)
            return self._nbytes

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files whose networks are in memory; for any thread."""
        return tuple({weights.path.name for weights, _ in tuple(self._resident)})

    def storage(self, component: Component) -> torch.dtype:
        """The type that a component's weights are rounded to, patched or not."""
        return self._text_storage if component == "text" else self.dtype(component)

    def dtype(self, component: Component, patches: Iterable[Any] = ()) -> torch.dtype:
        """The type that a component computes in, with what patches say of it; a control network's is the UNet's."""
        name = "unet" if component == "control" else component
        usual: torch.dtype = getattr(self.dtypes, name, COMPANION_DTYPE)
        return compute_type(patches, usual)

    def packs(self, dtype: torch.dtype) -> bool:
        """Whether networks of this type are held packed for the compiled kernels (`fast`): all of them, or none."""
        return not self._plain and can_pack(dtype, self.device)

    def size(self, weights: Weights, patches: Iterable[Any] = ()) -> tuple[int, int]:
        """The bytes of a network, whole and when it is streamed with as little of it in memory as can be."""
        dtype = self.dtype(weights.component, patches)
        if weights.component == "foreign":
            return weights.nbytes, weights.nbytes
        whole = sum(math.prod(shape) for shape in shapes(weights.config).values()) * dtype.itemsize
        if weights.component not in STREAMED:
            return whole, whole
        return whole, least_room(*_units(weights.component, weights.config, dtype, ()), self._aside(weights, dtype))

    def _aside(self, weights: Weights, dtype: torch.dtype) -> float:
        """Bytes that are read for each that is loaded: on the CPU both are in the memory that is counted."""
        count = sum(math.prod(shape) for shape in shapes(weights.config).values())
        return weights.nbytes / (count * dtype.itemsize) if self.device.type == "cpu" else 0.0

    def is_streamed(self, weights: Weights, patches: Iterable[Any] = ()) -> bool:
        """Whether this network is in memory in part."""
        entry = self._resident.get((weights, weight_patches(patches)))
        return entry is not None and entry.stream is not None

    # -- having networks ------------------------------------------------------------------------------------------

    def have(
        self, weights: Weights, patches: Iterable[Any] = (), *, user: object = None, need: int = 0,
        placement: Placement = "resident",
    ) -> nn.Module:
        """The network of these weights with these patches, loaded if it is not in memory.

        patches: all that a model carries; only those that change weights matter here. user: who must not have it taken
        away until `release`. need: bytes that running it takes, for which room is made too. placement: "streamed" keeps
        less than the whole in memory even if there is room, "least" as little as can be. Raises CheckpointError if a
        file changed since the workflow read it.
        """
        key = (weights, weight_patches(patches))
        with self.ledger.lock:
            going_on = user is not None and key in self._users.get(user, ())  # it is not moved while it is used
            if user is not None:
                self._users.setdefault(user, set()).add(key)
                self.ledger.reserve(user, need)
            self._wanted, self.ledger.asking = key, user
            try:
                entry = self._resident.get(key)
                if entry is not None and (going_on or self._stays(key, entry, placement)):
                    self.ledger.make_room(0 if user is not None else need)
                else:
                    if entry is not None:
                        entry = None  # it would live on beside what takes its place
                        self._drop(key)
                        give_back(self.device)
                    entry = self._load(key, 0 if user is not None else need, placement)
                    self._resident[key] = entry
                    self._nbytes = None
                self._resident.move_to_end(key)
                self._touch(key, entry)
            finally:
                self._wanted = self.ledger.asking = None
        return entry.module

    def release(self, user: object) -> None:
        """Who used networks is done: they stay while there is room."""
        with self.ledger.lock:
            self._users.pop(user, None)
            self.ledger.release(user)

    def clear(self) -> int:
        """Let all networks go that nobody uses; gives the bytes."""
        with self.ledger.lock:
            before, used = self.nbytes, self._used()
            for key in [each for each in self._resident if each not in used]:
                self._drop(key)
            freed = before - self.nbytes
        give_back(self.device)
        return freed

    def cheapest(self) -> float | None:
        """The worth of the network that would go first."""
        return min(map(self._worth, self._free()), default=None)

    def drop_cheapest(self) -> int:
        """Let that network go; gives the bytes."""
        with self.ledger.lock:
            free = self._free()
            if not free:
                return 0
            before = self.nbytes
            self._drop(min(free, key=self._worth))
            give_back(self.device)
            return before - self.nbytes

    def _used(self) -> set[Key]:
        used = {key for keys in self._users.values() for key in keys}
        return used if self._wanted is None else used | {self._wanted}

    def _free(self) -> list[Key]:
        used = self._used()
        return [key for key in self._resident if key not in used]

    def _touch(self, key: Key, entry: Resident) -> None:
        """It was just used: its worth is seconds to load it again per byte, on top of the age of all."""
        entry.worth = self.age + entry.seconds / max(1, key[0].nbytes)

    def _worth(self, key: Key) -> float:
        """The worth of a network, more if the jobs in line want it."""
        return self._resident[key].worth * (AWAITED if key[0].path in self.awaited else 1.0)

    def _drop(self, key: Key) -> None:
        entry = self._resident.pop(key)
        self._nbytes = None
        if entry.stream is not None:
            entry.stream.close()
        entry.files.close()

    def _stays(self, key: Key, entry: Resident, placement: Placement) -> bool:
        """Whether a network in memory can be used as it is: not if it must shrink, or if all of it would fit."""
        if key[0].component not in STREAMED:
            return True
        whole, _ = self.size(*key)
        room = self._room_beside(key)
        if entry.stream is not None:
            if placement == "least":
                return entry.stream.layout.is_least
            fits = entry.stream.layout.is_least or entry.stream.layout.nbytes <= room
            return fits and (placement == "streamed" or whole > room)
        return placement == "resident" and whole <= room

    def _room_beside(self, key: Key) -> int:
        """Bytes that this network may take if all goes that may go."""
        others = _nbytes(each for other, each in self._resident.items() if other in self._used() and other != key)
        room = self.ledger.budget - self.ledger.reserved - self.ledger.elsewhere() - others
        return min(room, int(self.ledger.budget * self.share))

    # -- loading --------------------------------------------------------------------------------------------------

    def _load(self, key: Key, need: int, placement: Placement) -> Resident:
        weights = key[0]
        began = time.perf_counter()
        self.loads += 1
        with self._around():
            if weights.component == "foreign":  # another library reads it, and knows of no patches
                self.ledger.make_room(2 * weights.nbytes + need)
                return Resident(load_foreign(weights, COMPANION_DTYPE, self.device), {}, time.perf_counter() - began)
            if weights.component in STREAMED and (placement != "resident" or self._room_for(key, need) < 0):
                return self._load_streamed(key, need, placement)
            return self._load_whole(key, need)

    def _room_for(self, key: Key, need: int) -> int:
        """Bytes that are left if all of a network is loaded; negative if it does not fit."""
        return self._room_beside(key) - self._loading(key, need, shapes(key[0].config).values()) - self.size(*key)[0]

    def _load_whole(self, key: Key, need: int) -> Resident:
        weights, patches = key
        began = time.perf_counter()
        dtype = self.dtype(weights.component, patches)
        with changes(weights, patches, self.storage(weights.component)) as made:
            ready = self._ready(weights, patches, made)
            missing = [shape for name, shape in shapes(weights.config).items() if name not in ready]
            self._sharing, self._nbytes = ready, None  # they stay alive, even if the copy they are shared with goes
            try:
                fresh = sum(map(math.prod, missing)) * dtype.itemsize
                self.ledger.make_room(fresh + self._loading(key, need, missing))
                module = self._loaders[weights.component](weights, dtype, made, ready)
                if self._goes_last(module, dtype):
                    make_last(module)  # one weight after the other; those that are shared are so already
                if self.device.type == "cuda" and not self._plain:
                    ready_for_cuda(module, ready)
            finally:
                self._sharing, self._nbytes = {}, None
        originals = {name: tensor for name, tensor in module.state_dict().items() if name not in made}
        self._install(patches, module, dtype)
        if isinstance(module, UNet | Vae):
            module.replays = self.replays
        if isinstance(module, UNet):
            module.times = self.times
        return Resident(module, originals, time.perf_counter() - began)

    def _load_streamed(self, key: Key, need: int, placement: Placement) -> Resident:
        """Build a network some of whose weights are read while it runs, in the order of their use.

        If all would fit, half of them stay.
        """
        weights, patches = key
        began = time.perf_counter()
        dtype = self.dtype(weights.component, patches)
        units, fixed = _units(weights.component, weights.config, dtype, self.costs.order(weights.config))
        whole, spare = self.size(weights, patches)[0], self._room_for(key, need) - min(GROWTH, self.budget // 16)
        room = 0 if placement == "least" else whole // 2 if spare >= 0 else whole + spare
        layout = lay_out(units, fixed, room, self._aside(weights, dtype))
        passing, sizes = _passing(layout), shapes(weights.config)
        loaded = [shape for name, shape in sizes.items() if name not in passing]
        self.ledger.make_room(layout.nbytes + self._loading(key, need, loaded))
        files = ExitStack()
        try:
            made = files.enter_context(changes(weights, patches, self.storage(weights.component)))
            read = files.enter_context(reading(weights, passing))
            ready = {name: placeholder(sizes[name], dtype, self.device) for name in passing}
            staying = {name: change for name, change in made.items() if name not in passing}
            module = self._loaders[weights.component](weights, dtype, staying, ready)
            packer = Packer(module) if self.packs(dtype) and weights.component in PACKED else None
            last = self.device.type == "cpu" and self._goes_last(module, dtype)
            if last:  # as where all weights stay: the same kernels, the same bits
                make_last(module, passing)
            if self.device.type == "cuda" and not self._plain:
                ready_for_cuda(module, passing)
            self._install(patches, module, dtype)
            if isinstance(module, UNet):
                module.times = self.times
            stream = Stream(
                module, layout, self._source(weights, read, made, dtype, packer), self.device, around=self._around,
                admit=self._admit, last=last,
            )
        except BaseException:
            files.close()
            raise
        return Resident(module, {}, time.perf_counter() - began, stream=stream, files=files)

    def _loading(self, key: Key, need: int, loaded: Iterable[Sequence[int]]) -> int:
        """Bytes that are taken besides a network's own: to run it, or the largest of its weights as it is read.

        What its user has reserved for running it serves for reading too.
        """
        weights, patches = key
        dtype = self.dtype(weights.component, patches)
        largest = max(map(math.prod, loaded), default=0) * dtype.itemsize
        return max(need, int(largest * self._aside(weights, dtype)) - self.ledger.reserved_by(self.ledger.asking))

    def _source(
        self, weights: Weights, read: Reader, made: Changes, dtype: torch.dtype,
        packer: Packer | None,
    ) -> Callable[[str, Tensor], None]:
        """Writes a parameter's value, as loading makes it, to where it is wanted."""
        through = torch.float16 if weights.component == "text" and self._rounded else None
        files = ((weights.path, weights.stamp), *weights.shards)
        unchecked = {name for name, _ in weights.mapping if weights.component in CHECKED}  # once is enough

        def fill(name: str, out: Tensor) -> None:
            for path, seen in files:
                if stamp(path) != seen:
                    raise CheckpointError(path, "a file that changed", "the file that was opened", "Load it again.")
            change = made.get(name)
            if name in unchecked:
                checked(weights, name, read)
                unchecked.remove(name)
            if packer is not None and change is None and packer.packed_from(name, read.place(name), out) is not None:
                return
            tensor = stored(read(name), change, through or dtype) if change or through else read(name)
            if packer is None or packer.packed(name, tensor, out) is None:
                out.copy_(tensor)

        return fill

    def _install(self, patches: tuple[WeightPatch, ...], module: nn.Module, dtype: torch.dtype) -> None:
        for patch in patches:
            if isinstance(patch, Hypernetwork):
                install(patch, module, self.device, dtype)

    def _goes_last(self, module: nn.Module, dtype: torch.dtype) -> bool:
        return not self._plain and goes_last(module, dtype, self.device)

    def _admit(self, nbytes: int) -> bool:
        """Whether the host has room for another page-locked copy."""
        if self._host is None:
            return False
        copies = sum(each.stream.host_nbytes for each in self._resident.values() if each.stream is not None)
        return self._host.held + copies + nbytes <= self._host.budget

    def _ready(self, weights: Weights, patches: tuple[WeightPatch, ...], made: Changes) -> dict[str, Tensor]:
        """Parameters that a copy of the same type in memory has and that stay as they are."""
        ready: dict[str, Tensor] = {}
        dtype = self.dtype(weights.component, patches)
        for (other, theirs), resident in self._resident.items():
            if other == weights and self.dtype(other.component, theirs) == dtype:
                ready.update({name: tensor for name, tensor in resident.originals.items() if name not in made})
        return ready


@lru_cache(maxsize=64)
def _units(
    component: Component, config: Any, dtype: torch.dtype, order: tuple[str, ...]
) -> tuple[tuple[Unit, ...], int]:
    return units_of(skeleton(config), dtype, order)


def _passing(layout: Layout) -> frozenset[str]:
    """The parameters that do not stay."""
    return frozenset(
        name for index, chunk in enumerate(layout.chunks) if index not in layout.stays for name in chunk.names
    )


def _nbytes(residents: Iterable[Resident], more: Mapping[str, Tensor] = {}) -> int:
    """The bytes of all storages, each counted once; what stands for streamed weights counts for nothing."""
    storages: dict[int, int] = {}
    rings = 0
    for each in residents:
        rings += each.stream.nbytes if each.stream is not None else 0
        slots = each.stream.addresses if each.stream is not None else frozenset()
        for tensor in each.module.state_dict().values():
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in slots and storage.nbytes() >= tensor.numel() * tensor.element_size():
                storages[storage.data_ptr()] = storage.nbytes()
    for tensor in more.values():
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(storages.values()) + rings
