"""Trained models as files: safetensors, float16, keys as published, and how they were made in the metadata."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig, config_from_json, config_to_json
from engine.diffusion.depth import DepthConfig
from engine.diffusion.safety import SafetyConfig
from engine.diffusion.standin import write_safetensors
from engine.diffusion.tiny import TinyConfig
from engine.diffusion.upscale import CompactConfig
from engine.training.loop import Outcome, TrainingError
from engine.training.scenes import DATA_VERSION

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model."
LARGEST_HALF = 65504.0

M = TypeVar("M", bound=nn.Module)
Sizes = CompactConfig | DepthConfig | SafetyConfig | TinyConfig  # of networks that are no diffusion model


@dataclass(frozen=True)
class Recipe:
    """How a file came to be."""

    command: str
    seed: int
    data: str = DATA_VERSION


def unet_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A UNet's state under its published names."""
    return {UNET + name: tensor for name, tensor in state.items()}


def vae_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A VAE's state under its published names."""
    return {VAE + name: tensor for name, tensor in state.items()}


def text_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A TextEncoder's state (layout "clip") under its published names."""
    return {TEXT + name.removeprefix("transformer."): tensor for name, tensor in state.items()}


def write_model(
    path: Path, tensors: Mapping[str, Tensor], config: ModelConfig | Sizes | None, recipe: Recipe,
    outcome: Outcome | None, more: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Write float16 weights, their configuration and recipe. TrainingError for a weight that float16 cannot hold."""
    for name, tensor in tensors.items():
        if not bool((tensor.abs() <= LARGEST_HALF).all()):  # false for NaN too
            raise TrainingError(f"{path}: {name} holds a number that float16 cannot; train with a smaller rate")
    metadata = {
        "format": "pt", "easel.command": recipe.command, "easel.seed": str(recipe.seed), "easel.data": recipe.data,
        **(more or {}),
    }  # fmt: skip
    if config is not None:
        metadata["easel.config"] = _json_of(config)
    if outcome is not None:
        metadata["easel.steps"], metadata["easel.loss"] = str(outcome.step), f"{outcome.loss:.6g}"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    write_safetensors(part, {name: t.detach().cpu().half().contiguous() for name, t in tensors.items()}, metadata)
    part.replace(path)


def _json_of(config: ModelConfig | Sizes) -> str:
    return config_to_json(config) if isinstance(config, ModelConfig) else json.dumps(asdict(config), sort_keys=True)


@dataclass(frozen=True, eq=False)
class Trained:
    """A file read back: float32 tensors under their published names."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin so."""
        return {name: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    @property
    def config(self) -> ModelConfig:
        """What `easel.config` says."""
        return config_from_json(self.metadata["easel.config"])


def read_model(path: Path, made_by: str) -> Trained:
    """Read a file of an earlier stage. TrainingError if it is not there: `made_by` is the command that makes it."""
    if not path.exists():
        raise TrainingError(f"{path} is missing; make it first: {made_by}")
    tensors: dict[str, Tensor] = {}
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        for name in sorted(file.keys()):
            tensors[name] = file.get_tensor(name).float()
    return Trained(tensors, metadata)


def tower_state(text: Trained, vision: Trained) -> dict[str, Tensor]:
    """The state of a `Pair`: its text tower from a file of "text" or a checkpoint, the rest from "vision"'s."""
    words = {f"text.transformer.{name.removeprefix(TEXT)}": tensor for name, tensor in text.under(TEXT).items()}
    return words | dict(vision.tensors)


ENCODER = (VAE + "encoder.", VAE + "quant_conv.")


def mark_of(vae: Trained) -> str:
    """A short digest of a VAE's encoder and scale: what its latents depend on. Decoders may differ."""
    digest = hashlib.sha256(str(vae.config.vae.scale_factor).encode())
    for name, tensor in vae.tensors.items():
        if name.startswith(ENCODER):
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()[:12]


def text_mark(text: Mapping[str, Tensor]) -> str:
    """A short digest of a TextEncoder's state, as float16: which one a vision tower was trained beside."""
    digest = hashlib.sha256()
    for name, weight in sorted(text.items()):
        digest.update(name.encode() + weight.detach().cpu().half().numpy().tobytes())
    return digest.hexdigest()[:12]


def fill(module: M, trained: Trained, prefix: str, own: str = "") -> M:
    """Load the tensors under `prefix` into a module, strictly, and freeze it. `own`: the module's word for `prefix`."""
    state = {own + name.removeprefix(prefix): t for name, t in trained.tensors.items() if name.startswith(prefix)}
    module.load_state_dict(state, strict=True)
    return module.eval().requires_grad_(False)


def half_rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights as a float16 file holds them: what a later stage must train against."""
    return {name: tensor.half().float() if tensor.dtype == torch.float32 else tensor for name, tensor in state.items()}
