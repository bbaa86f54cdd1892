"""Full-size models of random weights, in the published layout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.diffusion.checkpoint import shapes
from engine.diffusion.config import PRESETS, ModelConfig, config_to_json
from engine.diffusion.keys import UNET_NAMINGS, VAE_NAMINGS, WHOLE_TEXT_NAMINGS
from engine.diffusion.standin import write_safetensors

BLOCK = 1 << 22  # random numbers that all weights are cut from: what they are makes no difference to speed


def write_model(family: str, path: Path) -> ModelConfig:
    """Write a checkpoint of a family, float16; nothing is done if it is there."""
    config = PRESETS[family]
    if not path.is_file():
        numbers = torch.randn(BLOCK, generator=torch.Generator().manual_seed(0))
        tensors = {
            **{f"model.diffusion_model.{name}": _fill(name, shape, numbers)
               for name, shape in shapes(config.unet).items()},
            **{f"first_stage_model.{name}": _fill(name, shape, numbers) for name, shape in shapes(config.vae).items()},
        }  # fmt: skip
        source = WHOLE_TEXT_NAMINGS[0].source
        tensors |= {source(name, {}).key: _fill(name, shape, numbers) for name, shape in shapes(config.text).items()}
        part = path.with_suffix(".part")
        write_safetensors(part, tensors, {"easel.config": config_to_json(config), "format": "pt"})
        part.replace(path)
    return config


def _fill(name: str, shape: tuple[int, ...], numbers: Tensor) -> Tensor:
    if len(shape) == 1:
        return torch.full(shape, 1.0 if name.endswith("weight") else 0.0, dtype=torch.float16)
    count = math.prod(shape)
    scale = math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 1.0
    repeated = numbers if count <= BLOCK else numbers.repeat(math.ceil(count / BLOCK))
    return (repeated[:count] * scale).half().view(shape)


def diffusers_state(component: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's tensors under the names, and in the shapes, that diffusers has for them."""
    naming = (UNET_NAMINGS if component == "unet" else VAE_NAMINGS)[2]
    made = {}
    for name, value in state.items():
        key = naming.source(name, {}).key
        made[key] = value[:, :, 0, 0] if component == "vae" and ".attentions." in key and value.ndim == 4 else value
    return made
