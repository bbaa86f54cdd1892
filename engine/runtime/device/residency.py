"""Networks in memory: loading them from their descriptions, keeping them while there is room, letting them go.

The only code that moves weights. What is wanted next makes room by dropping what was used longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from engine.diffusion.checkpoint import Weights, load_companion, load_text, load_unet, load_vae
from engine.diffusion.foreign import load_foreign

Precision = Literal["auto", "fp32", "fp16", "bf16"]
Component = Literal["unet", "vae", "text"]
COMPANION_DTYPE = torch.float32  # image encoders, depth, upscalers: small, and used once for a picture
DTYPES: Mapping[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Dtypes:
    """The type that each network computes in."""

    unet: torch.dtype
    vae: torch.dtype
    text: torch.dtype


def choose_dtypes(precision: Precision, device: torch.device) -> Dtypes:
    """The types for a precision. ``auto``: float32 on the CPU; on a GPU fp16 for the UNet, the rest in float32.

    Text encoders stay in float32 everywhere: they are small, and their rounding would show in every step.
    """
    if precision == "auto":
        return Dtypes(torch.float16 if device.type == "cuda" else torch.float32, torch.float32, torch.float32)
    wanted = DTYPES[precision]
    return Dtypes(wanted, torch.float32 if precision == "fp16" else wanted, torch.float32)


class Residency:
    """The networks in memory, by what they were made of, within a byte budget."""

    def __init__(
        self, device: torch.device, dtypes: Dtypes, budget: int, *, fp16_rounded_text: bool = True
    ) -> None:
        self.device = device
        self.dtypes = dtypes
        self.budget = budget
        self._resident: OrderedDict[tuple[Any, ...], tuple[nn.Module, int]] = OrderedDict()
        self._loaders: Mapping[str, Callable[[Weights], nn.Module]] = {
            "unet": lambda weights: load_unet(weights, dtypes.unet, device),
            "vae": lambda weights: load_vae(weights, dtypes.vae, device),
            "text": lambda weights: load_text(weights, dtypes.text, device, fp16_rounded=fp16_rounded_text),
            "companion": lambda weights: load_companion(weights, COMPANION_DTYPE, device),
            "foreign": lambda weights: load_foreign(weights, COMPANION_DTYPE, device),
        }

    @property
    def nbytes(self) -> int:
        """How many bytes of weights are in memory."""
        return sum(size for _, size in self._resident.values())

    def have(self, weights: Weights) -> nn.Module:
        """The network of these weights, loaded if it is not in memory.

        Raises CheckpointError if the file changed since the workflow read it.
        """
        key = (weights.component, weights.path, weights.stamp, weights.shards, weights.config, weights.mapping)
        entry = self._resident.get(key)
        if entry is None:
            item = torch.empty((), dtype=getattr(self.dtypes, weights.component, COMPANION_DTYPE)).element_size()
            self._make_room(weights.nbytes * item // 2)  # at most: files hold two bytes a parameter, or more
            module = self._loaders[weights.component](weights)
            entry = self._resident[key] = (module, _size(module))
        self._resident.move_to_end(key)
        return entry[0]

    def clear(self) -> None:
        """Let all networks go."""
        self._resident.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _make_room(self, wanted: int) -> None:
        while self._resident and self.nbytes + wanted > self.budget:
            self._resident.popitem(last=False)


def _size(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
