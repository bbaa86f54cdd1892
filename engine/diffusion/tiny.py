"""TAESD (madebyollin, MIT): an autoencoder's two halves in a fiftieth of the work, roughly (models.md, 7.7).

An approximation: fine detail differs from the autoencoder's own.

    pixels 0..1 → encoder: /2 /2 /2 → latent, scaled → decoder: ×2 ×2 ×2 → pixels 0..1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from engine.diffusion.checkpoint import CheckpointError, Weights, describe
from engine.diffusion.config import PRESETS
from engine.diffusion.keys import Source
from engine.diffusion.tensorfile import read_index
from engine.diffusion.vae import crop_to_multiple

LATENT_SCALE = PRESETS["sd1"].vae.scale_factor  # TAESD reads latents as the sampler has them; SD 2's are the same
REACH = 3.0  # latents are squeezed to ±3
LEVELS, BLOCKS = 3, 3
DOWNSCALE = 2**LEVELS
Half = Literal["encoder", "decoder"]


@dataclass(frozen=True)
class TinyConfig:
    """How wide the network is inside, the channels of the latent, and which half it is."""

    width: int
    channels: int
    half: Half = "decoder"

    def build(self) -> nn.Module:
        """The network with these sizes."""
        return TinyEncoder(self) if self.half == "encoder" else TinyDecoder(self)


class Block(nn.Module):
    """Three convolutions and a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w), same shape out."""
        out: Tensor = (self.conv(x) + x).relu()
        return out


class TinyEncoder(nn.Module):
    """Pixels (batch, 3, 8h, 8w) in 0..1 to scaled latents (batch, channels, h, w)."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        width = config.width
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), Block(width)]
        for _ in range(LEVELS):
            layers += [nn.Conv2d(width, width, 3, padding=1, stride=2, bias=False),
                       *(Block(width) for _ in range(BLOCKS))]  # fmt: skip
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, config.channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.layers(x)
        return out


class TinyDecoder(nn.Module):
    """Scaled latents (batch, channels, h, w) to pixels (batch, 3, 8h, 8w), about 0..1."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        width = config.width
        layers: list[nn.Module] = [nn.Identity(), nn.Conv2d(config.channels, width, 3, padding=1), nn.ReLU()]
        for _ in range(LEVELS):
            layers += [*(Block(width) for _ in range(BLOCKS)), nn.Upsample(scale_factor=2),
                       nn.Conv2d(width, width, 3, padding=1, bias=False)]  # fmt: skip
        self.layers = nn.Sequential(*layers, Block(width), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out: Tensor = self.layers((x / REACH).tanh() * REACH)
        return out


@dataclass(frozen=True)
class Spelling:
    """How files write one half: the numbers of its first and last layer in TAESD's own order, and the prefixes.

    With each prefix goes how far its numbers lag behind.
    """

    first: int
    last: int
    prefixes: tuple[tuple[str, int], ...]
    other: str


SPELLINGS: Mapping[Half, Spelling] = {
    "encoder": Spelling(0, 14, (("taesd_encoder.", 0), ("encoder.layers.", 0), ("", 0)),
                        "taesd_decoder only turns latents into pictures"),
    "decoder": Spelling(1, 19, (("taesd_decoder.", 0), ("decoder.layers.", 1), ("", 0)),
                        "taesd_encoder only turns pictures into latents"),
}  # fmt: skip


def open_tiny(path: Path, half: Half = "decoder") -> Weights:
    """The description of a half in TAESD's own spelling, ComfyUI's of both halves in one file, or diffusers'.

    Raises CheckpointError for anything else.
    """
    file, spelling = read_index(path), SPELLINGS[half]
    for prefix, lag in spelling.prefixes:
        first = file.entries.get(f"{prefix}{spelling.first - lag}.weight")
        last = file.entries.get(f"{prefix}{spelling.last - lag}.weight")
        if first is None or last is None or len(first.shape) != 4 or len(last.shape) != 4:
            continue

        def source(name: str, prefix: str = prefix, lag: int = lag) -> Source:
            _, number, rest = name.split(".", 2)
            return Source(f"{prefix}{int(number) - lag}.{rest}")

        channels = last.shape[0] if half == "encoder" else first.shape[1]
        return describe(file, TinyConfig(first.shape[0], channels, half), source, f"a TAESD {half}")
    raise CheckpointError(
        path, f"no TAESD {half}", f"taesd_{half}, or an AutoencoderTiny of diffusers",
        f"Choose a file that holds the {half}; {spelling.other}.",
    )  # fmt: skip


def decode_tiny(decoder: nn.Module, latent: Tensor) -> Tensor:
    """Unscaled latents (batch, channels, h, w) to pixels (batch, 8h, 8w, 3) in 0..1, float32 on the CPU, one by one."""
    parameter = next(decoder.parameters())
    parts = []
    with torch.no_grad():
        for each in torch.split(latent, 1):
            x = (each.float() * LATENT_SCALE).to(parameter.device, parameter.dtype)
            parts.append(decoder(x).float().clamp(0.0, 1.0).movedim(1, -1).cpu())
    return torch.cat(parts)


def encode_tiny(encoder: nn.Module, pixels: Tensor) -> Tensor:
    """Pixels (batch, h, w, 3 or 4) in 0..1 to unscaled latents (batch, channels, h/8, w/8), float32 on the CPU.

    Sides are cropped as for the autoencoder itself; ValueError for a picture of less than 8 pixels.
    """
    parameter = next(encoder.parameters())
    parts = []
    with torch.no_grad():
        for each in torch.split(crop_to_multiple(pixels, DOWNSCALE)[..., :3], 1):
            x = each.movedim(-1, 1).to(parameter.device, parameter.dtype)
            parts.append(encoder(x).float().cpu() / LATENT_SCALE)
    return torch.cat(parts)
