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


def write_model(family: str, path: Path) -> ModelConfig:
    """Write a checkpoint of a family, float16; nothing is done if it is there."""
    config = PRESETS[family]
    if not path.is_file():
        write_random(config, path)
    return config


def write_random(config: ModelConfig, path: Path) -> None:
    """Write a checkpoint of random weights, float16."""
    source = WHOLE_TEXT_NAMINGS[0].source
    wanted = {
        **{f"model.diffusion_model.{name}": shape for name, shape in shapes(config.unet).items()},
        **{f"first_stage_model.{name}": shape for name, shape in shapes(config.vae).items()},
        **{source(name, {}).key: shape for name, shape in shapes(config.text).items()},
    }
    part = path.with_suffix(".part")
    write_safetensors(part, random_tensors(wanted), {"easel.config": config_to_json(config), "format": "pt"})
    part.replace(path)


def random_tensors(wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Random weights by name and shape, float16, no two alike, and none all ones or zeros.

    A converter that keeps equal tensors once, or leaves such out, would have less to read than of a trained model.
    """
    made = {}
    for seed, (name, shape) in enumerate(wanted.items()):
        numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        if len(shape) > 1:
            made[name] = (numbers * math.prod(shape[1:]) ** -0.5).half()
        else:
            made[name] = (0.02 * numbers + float(name.endswith("weight"))).half()
    return made


def diffusers_state(component: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's tensors under the names, and in the shapes, that diffusers has for them."""
    naming = (UNET_NAMINGS if component == "unet" else VAE_NAMINGS)[2]
    made = {}
    for name, value in state.items():
        key = naming.source(name, {}).key
        made[key] = value[:, :, 0, 0] if component == "vae" and ".attentions." in key and value.ndim == 4 else value
    return made
