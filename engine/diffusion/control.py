"""Networks that steer a UNet by a picture: ControlNet and T2I-Adapter, under their published names.

Build them on the meta device and load them strictly: `checkpoint.load_companion`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import UNetConfig
from engine.diffusion.layers import Told, timestep_embedding
from engine.diffusion.unet import UNet

HINT_LAYERS = ((16, 1), (16, 1), (32, 2), (32, 1), (96, 2), (96, 1), (256, 2))  # widths and strides
SHRINK = 8  # picture pixels per latent pixel, along a side
POOL = 2


@dataclass(frozen=True)
class ControlConfig:
    """A ControlNet: a copy of a UNet's encoder and middle, and what reads the hint picture (models.md, 7.4)."""

    unet: UNetConfig
    hint_channels: int

    def build(self) -> nn.Module:
        """The network with these sizes."""
        return ControlNet(self)


@dataclass(frozen=True)
class T2IConfig:
    """A T2I-Adapter (models.md, 7.5): `in_channels` of the picture, and the widths of its four feature maps.

    inner: the width inside of each level of a light one, which has `blocks` residual blocks there; None for a full one.
    """

    in_channels: int
    widths: tuple[int, ...]
    blocks: int
    inner: tuple[int, ...] | None

    def build(self) -> nn.Module:
        """The network with these sizes."""
        return T2IAdapter(self)


class Residuals(NamedTuple):
    """What a ControlNet adds: to the twelve skip connections, in the encoder's order, and to the middle's result."""

    skips: list[Tensor]
    middle: Tensor


class ControlNet(nn.Module):
    """Zhang et al. (arXiv:2302.05543): a trainable copy of the encoder, tied in by convolutions that start at zero."""

    def __init__(self, config: ControlConfig) -> None:
        super().__init__()
        self.config = config
        unet = UNet(config.unet)
        self.time_embed, self.input_blocks, self.middle_block = unet.time_embed, unet.input_blocks, unet.middle_block
        layers: list[nn.Module] = []
        previous = config.hint_channels
        for width, stride in HINT_LAYERS:
            layers += [nn.Conv2d(previous, width, 3, padding=1, stride=stride), nn.SiLU()]
            previous = width
        self.input_hint_block = nn.Sequential(*layers, nn.Conv2d(previous, config.unet.widths[0], 3, padding=1))
        a, b, c, d = config.unet.widths
        self.zero_convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 1)) for width in (a, a, a, a, b, b, b, c, c, c, d, d)
        )
        self.middle_block_out = nn.Sequential(nn.Conv2d(d, d, 1))

    def forward(self, x: Tensor, hint: Tensor, timestep: Tensor, context: Tensor) -> Residuals:
        """Map x (batch, in channels, h, w), hint (batch, hint channels, 8h, 8w) in 0..1, timestep (batch,), context."""
        told = Told(self.time_embed(timestep_embedding(timestep, self.config.unet.model_channels).to(x.dtype)))
        h, skips = x, []
        for number, (stage, zero) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = stage(h, told, context)
            if number == 0:
                h = h + self.input_hint_block(hint)
            skips.append(zero(h))
        h = self.middle_block(h, told, context)
        return Residuals(skips, self.middle_block_out(h))


class Residual(nn.Module):
    """Two convolutions with a ReLU between, added to the input; after a pooling and a change of width where wanted."""

    def __init__(self, c_in: int, c_out: int, kernel: int, down: bool) -> None:
        super().__init__()
        self.down = down
        if c_in != c_out:
            self.in_conv = nn.Conv2d(c_in, c_out, 1)
        self.widens = c_in != c_out
        self.block1 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.block2 = nn.Conv2d(c_out, c_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c_in, h, w) to (batch, c_out, …), sides halved, rounding up, where `down`."""
        if self.down:
            x = _pooled(x)
        if self.widens:
            x = self.in_conv(x)
        out: Tensor = x + self.block2(F.relu(self.block1(x)))
        return out


class LightLevel(nn.Module):
    """One level of a light adapter: narrow inside."""

    def __init__(self, c_in: int, inner: int, c_out: int, blocks: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.in_conv = nn.Conv2d(c_in, inner, 1)
        self.body = nn.Sequential(*(Residual(inner, inner, 3, False) for _ in range(blocks)))
        self.out_conv = nn.Conv2d(inner, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c_in, h, w) to (batch, c_out, …), sides halved, rounding up, where `down`."""
        out: Tensor = self.out_conv(self.body(self.in_conv(_pooled(x) if self.down else x)))
        return out


class T2IAdapter(nn.Module):
    """Mou et al. (arXiv:2302.08453): four feature maps of a picture, one for each level of the encoder."""

    def __init__(self, config: T2IConfig) -> None:
        super().__init__()
        self.config = config
        channels, widths = config.in_channels * SHRINK**2, config.widths
        before = (widths[0], *widths[:-1])
        levels = list(zip(before, widths, strict=True))
        if config.inner is None:
            self.conv_in = nn.Conv2d(channels, widths[0], 3, padding=1)
            self.body = nn.ModuleList(
                Residual(c_in if part == 0 else c_out, c_out, 1, part == 0 and number > 0)
                for number, (c_in, c_out) in enumerate(levels)
                for part in range(config.blocks)
            )
        else:
            self.body = nn.ModuleList(
                LightLevel(c_in if number else channels, inner, c_out, config.blocks, number > 0)
                for number, ((c_in, c_out), inner) in enumerate(zip(levels, config.inner, strict=True))
            )

    def forward(self, picture: Tensor) -> list[Tensor]:
        """A picture (batch, channels, 8h, 8w) in 0..1 to four maps (batch, width, h, w) and smaller."""
        x = F.pixel_unshuffle(picture, SHRINK)
        maps: list[Tensor] = []
        if self.config.inner is None:
            x = self.conv_in(x)
        step = 1 if self.config.inner is not None else self.config.blocks
        for number, layer in enumerate(self.body, 1):
            x = layer(x)
            if number % step == 0:
                maps.append(x)
        return maps


def _pooled(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, POOL, POOL, ceil_mode=True)  # as the UNet's own halving rounds
