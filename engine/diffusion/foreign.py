"""Upscalers of other architectures, read by the optional library spandrel (SwinIR, DAT, HAT and some forty more).

spandrel needs torchvision when it is imported, which is why neither is installed with Easel.
"""

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engine.diffusion.checkpoint import CompanionConfig, Weights
from engine.diffusion.tensorfile import CheckpointError, TensorFile, open_tensors, stamp

INSTALL = "pip install spandrel torchvision"


@dataclass(frozen=True)
class ForeignConfig:
    """An upscaler that spandrel knows how to build; its sizes are spandrel's business."""

    scale: int

    def build(self) -> nn.Module:
        """Cannot be built without its weights: `load_foreign` does."""
        raise TypeError("an upscaler of another architecture is built from its weights, by load_foreign")


class _Descriptor(Protocol):
    """What Easel uses of spandrel's ImageModelDescriptor."""

    scale: int
    model: nn.Module

    def __call__(self, image: Tensor) -> Tensor: ...


class ForeignUpscaler(nn.Module):
    """A network of spandrel's with its own care for sizes: pictures are padded to what it needs, and cut."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network = descriptor.model
        self._descriptor: _Descriptor = descriptor

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, h, w) in 0..1 to (batch, 3, scale·h, scale·w)."""
        return self._descriptor(x)


def open_foreign(file: TensorFile) -> tuple[Weights, int]:
    """Describe an upscaler that only spandrel knows, and how many times it enlarges. The weights are read for that.

    Raises CheckpointError: spandrel is not installed, does not know the file, or it is for something else.
    """
    descriptor = _describe(file)
    nbytes = sum(entry.nbytes for entry in file.entries.values())
    config: CompanionConfig = ForeignConfig(int(descriptor.scale))
    return Weights(file.path, file.stamp, "foreign", config, (), nbytes), int(descriptor.scale)


def load_foreign(weights: Weights, dtype: torch.dtype, device: torch.device | str = "cpu") -> nn.Module:
    """Build and fill the network. CheckpointError if the file changed since it was opened."""
    if stamp(weights.path) != weights.stamp:
        raise CheckpointError(weights.path, "a file that changed", "the file that was opened", "Load it again.")
    from engine.diffusion.tensorfile import read_index

    descriptor: Any = _describe(read_index(weights.path))
    descriptor.model.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return ForeignUpscaler(descriptor)


def _describe(file: TensorFile) -> _Descriptor:
    try:
        spandrel: Any = importlib.import_module("spandrel")
    except ImportError as error:
        raise CheckpointError(
            file.path, "an upscaler of another architecture, or another kind of file",
            f"ESRGAN, Real-ESRGAN or a compact one, or the library spandrel ({error})", f"Install it: {INSTALL}",
        ) from None  # fmt: skip
    with open_tensors(file.path) as get:
        state = {name: get(name).clone() for name in file.entries}
    try:
        found = spandrel.ModelLoader(device="cpu").load_from_state_dict(state)
    except Exception as error:
        # spandrel reports what it does not know in several ways, and hostile shapes fail inside of it
        raise CheckpointError(
            file.path, f"a file that spandrel does not read ({type(error).__name__})", "an image upscaler",
            "Choose a file of upscale_models/.",
        ) from error  # fmt: skip
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise CheckpointError(
            file.path, "a network that needs more than a picture", "an image upscaler", "Choose another file."
        )
    descriptor: _Descriptor = found
    return descriptor
