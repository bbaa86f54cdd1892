"""Small configurations and random networks for comparing with diffusers and transformers."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from engine.diffusion.config import PRESETS, ModelConfig


def small(family: str) -> ModelConfig:
    """The family with the same blocks and narrow layers: every kind of key is there."""
    config = PRESETS[family]
    unet = replace(config.unet, model_channels=32, context_dim=64, norm_groups=16)
    if unet.num_heads is None:
        unet = replace(unet, head_dim=16)
    if unet.adm_dim is not None:
        unet = replace(unet, adm_dim=48)
    vae = replace(config.vae, channels=16, norm_groups=16)
    text = replace(config.text, width=64, layers=3, heads=4, mlp_width=128)
    return replace(config, unet=unet, vae=vae, text=text)


@contextmanager
def undrawn() -> Iterator[None]:
    """Layers made inside keep what their memory holds: each of their weights is set afterwards, which is checked.

    Drawing the numbers of a full-size network takes longer than asking it.
    """

    def left(tensor: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        return tensor

    with patch.multiple(nn.init, kaiming_uniform_=left, uniform_=left, normal_=left, xavier_uniform_=left):
        yield


DRAWN = 1_000_003
"""How many numbers a tensor has of its own at most; a larger one repeats them. A prime: no two rows become equal."""


def normal(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Normal numbers of a shape. Drawing the billion of a full-size network takes longer than all that is shown of it.

    >>> made = normal((1100, 1000), torch.Generator().manual_seed(0))
    >>> len(made.unique(dim=0)), bool(made[0, 0] == made[1000, 3])
    (1100, True)
    """
    count = math.prod(shape)
    drawn = torch.randn(min(count, DRAWN), generator=generator)
    return drawn.repeat(-(-count // DRAWN))[:count].view(tuple(shape)) if count > DRAWN else drawn.view(tuple(shape))


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Fill with noise that keeps activations near unit size; norms get non-trivial scales and shifts."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(module.named_parameters()):
        value = normal(parameter.shape, generator)
        if parameter.ndim < 2:
            value = 1 + 0.1 * value if name.endswith("weight") else 0.1 * value
        else:
            value.div_(parameter[0].numel() ** 0.5)
        parameter.data = value
    return module.eval().requires_grad_(False)


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative L2 distance."""
    return float((ours - theirs).norm() / theirs.norm())


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
