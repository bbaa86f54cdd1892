"""Networks in memory: loading them from their descriptions, keeping them while there is room, letting them go.

The only code that moves weights. What is wanted next makes room by dropping what was used longest ago.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.diffusion.adapters.hypernetwork import Hypernetwork, install
from engine.diffusion.adapters.patches import WeightPatch, changes, compute_type, weight_patches
from engine.diffusion.checkpoint import (
    Changes,
    Component,
    Weights,
    load_companion,
    load_text,
    load_unet,
    load_vae,
    shapes,
)
from engine.diffusion.fast import can_pack
from engine.diffusion.foreign import load_foreign
from engine.runtime.device.precision import Dtypes

COMPANION_DTYPE = torch.float32  # image encoders, depth, upscalers: small, and used once for a picture


@dataclass(frozen=True, slots=True)
class Resident:
    """A network in memory. originals: its parameters that are as in the file, which other copies may share."""

    module: nn.Module
    originals: Mapping[str, Tensor]


class Residency:
    """The networks in memory, by their weights and what is put on them, within a byte budget.

    A patched network is a network of its own: taking a patch off means going back to the copy without it, or reading
    the original bytes again. Copies of one network share the parameters that no patch changes.
    """

    def __init__(
        self, device: torch.device, dtypes: Dtypes, budget: int, *, fp16_rounded_text: bool = True,
        plain: bool = False,
    ) -> None:
        self.device = device
        self.dtypes = dtypes
        self.budget = budget
        self._plain = plain
        self._resident: OrderedDict[tuple[Weights, tuple[WeightPatch, ...]], Resident] = OrderedDict()
        self._loaders: Mapping[str, Callable[[Weights, torch.dtype, Changes, Mapping[str, Tensor]], nn.Module]] = {
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

    @property
    def nbytes(self) -> int:
        """How many bytes of weights are in memory; what copies share counts once."""
        return _nbytes(self._resident.values(), {})

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

    def have(self, weights: Weights, patches: Iterable[Any] = ()) -> nn.Module:
        """The network of these weights with these patches, loaded if it is not in memory.

        patches: all that a model carries; only those that change weights matter here. Raises CheckpointError if a file
        changed since the workflow read it.
        """
        key = (weights, weight_patches(patches))
        entry = self._resident.get(key)
        if entry is None:
            entry = self._load(*key)
            self._resident[key] = entry
        self._resident.move_to_end(key)
        return entry.module

    def clear(self) -> None:
        """Let all networks go."""
        self._resident.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _load(self, weights: Weights, patches: tuple[WeightPatch, ...]) -> Resident:
        if weights.component == "foreign":  # another library reads it, and knows of no patches
            self._make_room(2 * weights.nbytes, {})
            return Resident(load_foreign(weights, COMPANION_DTYPE, self.device), {})
        dtype = self.dtype(weights.component, patches)
        with changes(weights, patches, self.storage(weights.component)) as made:
            ready = self._ready(weights, patches, made)
            missing = [shape for name, shape in shapes(weights.config).items() if name not in ready]
            self._make_room(sum(math.prod(shape) for shape in missing) * dtype.itemsize, ready)
            module = self._loaders[weights.component](weights, dtype, made, ready)
        originals = {name: tensor for name, tensor in module.state_dict().items() if name not in made}
        for patch in patches:
            if isinstance(patch, Hypernetwork):
                install(patch, module, self.device, dtype)
        return Resident(module, originals)

    def _ready(self, weights: Weights, patches: tuple[WeightPatch, ...], made: Changes) -> dict[str, Tensor]:
        """Parameters that a copy of the same type in memory has and that stay as they are."""
        ready: dict[str, Tensor] = {}
        dtype = self.dtype(weights.component, patches)
        for (other, theirs), resident in self._resident.items():
            if other == weights and self.dtype(other.component, theirs) == dtype:
                ready.update({name: tensor for name, tensor in resident.originals.items() if name not in made})
        return ready

    def _make_room(self, wanted: int, ready: Mapping[str, Tensor]) -> None:
        while self._resident and _nbytes(self._resident.values(), ready) + wanted > self.budget:
            self._resident.popitem(last=False)


def _nbytes(residents: Iterable[Resident], more: Mapping[str, Tensor]) -> int:
    """The bytes of all tensors, each counted once."""
    tensors = [*more.values(), *(tensor for each in residents for tensor in each.module.state_dict().values())]
    return sum({tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in tensors}.values())
