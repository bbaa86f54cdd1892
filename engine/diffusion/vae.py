"""The autoencoder: pixels to latents and back. Attribute names are the published keys (models.md, 2.3).

Latents outside the sampler are unscaled; `encode` gives the posterior's mean, so it is deterministic.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import VaeConfig
from engine.diffusion.fast import Conv2d, linears, map_normed, normed, padded, silu_normed
from engine.diffusion.kernels import ops
from engine.diffusion.replay import Replays

NORM_EPS = 1e-6


class ResnetBlock(nn.Module):
    """Two convolutions and a shortcut; no timestep."""

    def __init__(self, c_in: int, c_out: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, c_in, eps=NORM_EPS)
        self.conv1 = Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, c_out, eps=NORM_EPS)
        self.conv2 = Conv2d(c_out, c_out, 3, padding=1)
        self.nin_shortcut = nn.Identity() if c_in == c_out else Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c_in, h, w) to (batch, c_out, h, w)."""
        if self.conv1.packed and self.conv2.packed:
            h = self.conv1.around(padded(self.norm1, [x]))
            return self.conv2.around(padded(self.norm2, [h]), residual=self.nin_shortcut(x))
        h = self.conv1(map_normed(self.norm1, x, silu=True))
        h = self.conv2(map_normed(self.norm2, h, silu=True))
        out: Tensor = self.nin_shortcut(x) + h
        return out


class AttnBlock(nn.Module):
    """Single-head self-attention over pixels, with 1×1 convolutions for projections."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=NORM_EPS)
        self.q = Conv2d(width, width, 1)
        self.k = Conv2d(width, width, 1)
        self.v = Conv2d(width, width, 1)
        self.proj_out = Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w), same shape out."""
        if all(layer.packed for layer in (self.q, self.k, self.v, self.proj_out)):
            n, width = normed(self.norm, [x]), x.shape[1]
            q, k, v = linears([self.q, self.k, self.v], n)
            h = ops.attention(q, k, v, 1)
            h = ops.linear([h], self.proj_out.weight, width, self.proj_out.bias, residual=ops.rows(x))
            return ops.picture(h, *x.shape[-2:])
        n = map_normed(self.norm, x, silu=False)
        q, k, v = (project(n).flatten(2).transpose(1, 2)[:, None] for project in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)[:, 0]  # (batch, tokens, width)
        out: Tensor = x + self.proj_out(h.transpose(1, 2).reshape(x.shape))
        return out


class Downsample(nn.Module):
    """Halve each side. The padding is on the right and bottom only, as in the published encoder."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w) to (batch, width, h/2, w/2)."""
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class Upsample(nn.Module):
    """Double each side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w) to (batch, width, 2h, 2w)."""
        if self.conv.packed:
            return self.conv.enlarged(x, (2 * x.shape[2], 2 * x.shape[3]))
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Middle(nn.Module):
    """The innermost blocks, the only ones with attention."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(width, width, groups)
        self.attn_1 = AttnBlock(width, groups)
        self.block_2 = ResnetBlock(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w), same shape out."""
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Down(nn.Module):
    """One level of the encoder."""

    def __init__(self, c_in: int, c_out: int, last: bool, config: VaeConfig) -> None:
        super().__init__()
        widths = [c_in, *[c_out] * config.num_res_blocks]
        self.block = nn.ModuleList(ResnetBlock(i, o, config.norm_groups) for i, o in pairwise(widths))
        if not last:
            self.downsample = Downsample(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c_in, h, w) to (batch, c_out, h/2, w/2), or the same size on the last level."""
        for block in self.block:
            x = block(x)
        return self.downsample(x) if hasattr(self, "downsample") else x


class Up(nn.Module):
    """One level of the decoder, with one block more than the encoder's."""

    def __init__(self, c_in: int, c_out: int, last: bool, config: VaeConfig) -> None:
        super().__init__()
        widths = [c_in, *[c_out] * (config.num_res_blocks + 1)]
        self.block = nn.ModuleList(ResnetBlock(i, o, config.norm_groups) for i, o in pairwise(widths))
        if not last:
            self.upsample = Upsample(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c_in, h, w) to (batch, c_out, 2h, 2w), or the same size on the last level."""
        for block in self.block:
            x = block(x)
        return self.upsample(x) if hasattr(self, "upsample") else x


class Encoder(nn.Module):
    """Pixels to the moments of the latent's distribution."""

    packed = False  # see `fast`

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = [config.channels * mult for mult in config.channel_mult]
        inputs = [config.channels, *widths[:-1]]
        self.conv_in = Conv2d(config.in_channels, config.channels, 3, padding=1)
        self.down = nn.ModuleList(
            Down(c_in, c_out, level == len(widths) - 1, config)
            for level, (c_in, c_out) in enumerate(zip(inputs, widths, strict=True))
        )
        self.mid = Middle(widths[-1], config.norm_groups)
        self.norm_out = nn.GroupNorm(config.norm_groups, widths[-1], eps=NORM_EPS)
        self.conv_out = Conv2d(widths[-1], 2 * config.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, H, W) to (batch, 2·z, H/f, W/f)."""
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        h = self.mid(h)
        h = silu_normed(self.norm_out, h) if self.packed else map_normed(self.norm_out, h, silu=True)
        out: Tensor = self.conv_out(h)
        return out


class Decoder(nn.Module):
    """Latents to pixels. The levels run from the last to the first."""

    packed = False  # see `fast`

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        widths = [config.channels * mult for mult in config.channel_mult]
        inputs = [*widths[1:], widths[-1]]
        self.conv_in = Conv2d(config.z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], config.norm_groups)
        self.up = nn.ModuleList(
            Up(c_in, c_out, level == 0, config) for level, (c_in, c_out) in enumerate(zip(inputs, widths, strict=True))
        )
        self.norm_out = nn.GroupNorm(config.norm_groups, widths[0], eps=NORM_EPS)
        self.conv_out = Conv2d(widths[0], config.in_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """(batch, z, h, w) to (batch, 3, f·h, f·w)."""
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        h = silu_normed(self.norm_out, h) if self.packed else map_normed(self.norm_out, h, silu=True)
        out: Tensor = self.conv_out(h)
        return out


class Vae(nn.Module):
    """Encoder and decoder with the 1×1 convolutions around the latent."""

    replays: Replays | None = None  # what records its passes, where that helps
    channels_last = False  # whether the weights are, and maps are to be
    last_on_cpu = False  # whether a convolution is a product follows from its map's size: strips would have other bits

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = Conv2d(2 * config.z_channels, 2 * config.embed_dim, 1)
        self.post_quant_conv = Conv2d(config.embed_dim, config.z_channels, 1)

    def moments(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent of (batch, 3, H, W) in -1..1."""
        if self.encoder.packed or self.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        mean, logvar = self.quant_conv(self.encoder(pixels)).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def decode(self, latent: Tensor) -> Tensor:
        """(batch, z, h, w) unscaled to pixels (batch, 3, f·h, f·w), about -1..1."""
        if self.decoder.packed or self.channels_last:
            latent = latent.contiguous(memory_format=torch.channels_last)
        out: Tensor = self.decoder(self.post_quant_conv(latent))
        return out


def encode(vae: Vae, pixels: Tensor, *, batch: int = 1) -> Tensor:
    """Pixels (b, h, w, 3) in 0..1 to the unscaled latent mean (b, z, h/f, w/f), float32 on the CPU.

    Sides that are not multiples of f are cropped centrally. `batch` pictures are encoded at a time.
    """
    pixels = crop_to_encode(vae, pixels)
    return in_parts(lambda part: vae.moments(2.0 * part.movedim(-1, 1) - 1.0)[0], pixels, batch, vae)


def crop_to_encode(vae: Vae, pixels: Tensor) -> Tensor:
    """The central part of pixels (b, h, w, c) whose sides are multiples of f, without alpha."""
    return crop_to_multiple(pixels, vae.config.downscale)[..., : vae.config.in_channels]


def crop_to_multiple(pixels: Tensor, f: int) -> Tensor:
    """The central part of pixels (b, h, w, c) whose sides are multiples of f. ValueError where there is none."""
    height, width = pixels.shape[1] // f * f, pixels.shape[2] // f * f
    if not height or not width:
        raise ValueError(
            f"a picture of {pixels.shape[2]}×{pixels.shape[1]} is too small to encode; {f}×{f} is the least"
        )
    top, left = pixels.shape[1] % f // 2, pixels.shape[2] % f // 2
    return pixels[:, top : top + height, left : left + width]


def decode(vae: Vae, latent: Tensor, *, batch: int = 1) -> Tensor:
    """Unscaled latent (b, z, h, w) to pixels (b, f·h, f·w, 3) in 0..1, float32 on the CPU; `batch` at a time."""
    check_latent(vae, latent)
    return in_parts(
        lambda part: (_decoded(vae, part).float() + 1.0).div(2.0).clamp(0.0, 1.0).movedim(1, -1), latent, batch, vae
    )


def check_latent(vae: Vae, latent: Tensor) -> None:
    """Raise ValueError for what cannot be decoded."""
    if latent.ndim != 4 or latent.shape[1] != vae.config.embed_dim:
        raise ValueError(
            f"cannot decode a latent of shape {tuple(latent.shape)}; wanted (batch, {vae.config.embed_dim}, h, w)"
        )


def _decoded(vae: Vae, latent: Tensor) -> Tensor:
    if vae.replays is None:
        return vae.decode(latent)
    return vae.replays.ask(vae, lambda inputs: vae.decode(inputs["latent"]), {"latent": latent})


def in_parts(run: Callable[[Tensor], Tensor], x: Tensor, batch: int, vae: Vae) -> Tensor:
    """Run part after part of a batch, as the network's weights are, and give all in float32 on the CPU."""
    parameter = next(vae.parameters())
    with torch.no_grad():
        parts = [
            run(part.to(parameter.device, parameter.dtype)).float().cpu() for part in torch.split(x, max(1, batch))
        ]
    return torch.cat(parts)
