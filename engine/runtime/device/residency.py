"""Networks in memory: loading them from their descriptions, keeping them while there is room, letting them go.

The only code that moves weights. What is wanted next makes room by dropping what was used longest ago.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from engine.diffusion.checkpoint import Weights, load_text, load_unet, load_vae
from engine.runtime.device.precision import Dtypes

Component = Literal["unet", "vae", "text"]


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
            item = torch.empty((), dtype=getattr(self.dtypes, weights.component)).element_size()
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
