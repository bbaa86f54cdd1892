"""TAESD's decoder (madebyollin, MIT): latents to pixels in a fiftieth of the work, roughly (models.md, 7.7).

An approximation: fine detail differs from the autoencoder's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.diffusion.checkpoint import CheckpointError, Weights, describe
from engine.diffusion.config import PRESETS
from engine.diffusion.keys import Source
from engine.diffusion.tensorfile import read_index

LATENT_SCALE = PRESETS["sd1"].vae.scale_factor  # TAESD reads latents as the sampler has them; SD 2's are the same
REACH = 3.0  # latents are squeezed to ±3
LEVELS, BLOCKS = 3, 3
SPELLINGS = (("taesd_decoder.", 0), ("decoder.layers.", 1), ("", 0))  # prefix, and how far its numbers lag behind


@dataclass(frozen=True)
class TinyConfig:
    """How wide the decoder is inside, and the channels of the latent."""

    width: int
    channels: int

    def build(self) -> nn.Module:
        """The network with these sizes."""
        return TinyDecoder(self)


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


def open_tiny(path: Path) -> Weights:
    """The description of a decoder in TAESD's own spelling, ComfyUI's of both halves in one file, or diffusers'.

    Raises CheckpointError for anything else.
    """
    file = read_index(path)
    for prefix, lag in SPELLINGS:
        entry = file.entries.get(f"{prefix}{1 - lag}.weight")
        last = file.entries.get(f"{prefix}{19 - lag}.weight")
        if entry is None or last is None or len(entry.shape) != 4:
            continue

        def source(name: str, prefix: str = prefix, lag: int = lag) -> Source:
            _, number, rest = name.split(".", 2)
            return Source(f"{prefix}{int(number) - lag}.{rest}")

        return describe(file, TinyConfig(entry.shape[0], entry.shape[1]), source, "a TAESD decoder")
    raise CheckpointError(
        path, "no TAESD decoder", "taesd_decoder, or an AutoencoderTiny of diffusers",
        "Choose a file that holds the decoder; taesd_encoder only turns pictures into latents.",
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
