"""The autoencoder layer by layer in strips of rows: what a pass over the whole picture gives, in less memory.

A pass takes much because of what its outer levels make on the way: a map normed, a map enlarged, a layer's input and
output in other layouts. Here only maps between layers are whole. Norms have the statistics of the whole map, gathered
in a pass of their own, and convolutions see a row more on either side: the same numbers meet the same arithmetic, but
for the rounding of the statistics. An enlarged map is never whole; its strips are made where they are wanted, twice.
The middle, whose attention sees everything, runs as ever; it is small.

Of the outermost level two maps are there at a time, beside the smaller one that is enlarged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.fast import LANES, Conv2d, is_folded
from engine.diffusion.kernels import ops
from engine.diffusion.vae import Down, Downsample, ResnetBlock, Up, Vae, check_latent, crop_to_encode, in_parts

__all__ = ["decode_in_strips", "decoded_in_strips", "encode_in_strips", "moments_in_strips"]

STRIP = 2**21  # numbers in a strip, about
LEAST = 8  # rows of a strip: with fewer, most of the work would be on the rows around it
OnBlock = Callable[[int, int], None]  # (blocks done, blocks in all)


def decode_in_strips(vae: Vae, latent: Tensor, on_block: OnBlock | None = None) -> Tensor:
    """Unscaled latent (b, z, h, w) to pixels (b, f·h, f·w, 3) in 0..1, float32 on the CPU; one at a time."""
    check_latent(vae, latent)
    after = _counted(vae.decoder, len(latent), on_block)
    return in_parts(
        lambda part: (decoded_in_strips(vae, part, after).float() + 1.0).div(2.0).clamp(0.0, 1.0).movedim(1, -1),
        latent, 1, vae,
    )


def encode_in_strips(vae: Vae, pixels: Tensor, on_block: OnBlock | None = None) -> Tensor:
    """Pixels (b, h, w, 3) in 0..1 to the unscaled latent mean (b, z, h/f, w/f), float32 on the CPU; one at a time.

    Sides that are not multiples of f are cropped centrally.
    """
    pixels = crop_to_encode(vae, pixels)
    after = _counted(vae.encoder, len(pixels), on_block)
    return in_parts(lambda part: moments_in_strips(vae, 2.0 * part.movedim(-1, 1) - 1.0, after), pixels, 1, vae)


def _counted(half: nn.Module, pictures: int, on_block: OnBlock | None) -> Callable[[], None]:
    """To be called after each block, those of the middle not counted."""
    blocks = [name for name, each in half.named_modules() if isinstance(each, ResnetBlock) and "mid" not in name]
    done, total = 0, pictures * len(blocks)

    def count() -> None:
        nonlocal done
        done += 1
        if on_block is not None:
            on_block(done, total)

    return count


# -- strips ----------------------------------------------------------------------------------------------------------


class Kept:
    """A map (1, channels, height, width) in memory."""

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self.channels, self.height, self.width = x.shape[1:]

    def rows(self, first: int, last: int) -> Tensor:
        """Rows from first to last, exclusive."""
        return self.x[:, :, first:last]


class Enlarged:
    """A map in memory, enlarged twice by nearest neighbours and convolved: made anew each time it is asked for."""

    def __init__(self, conv: Conv2d, smaller: Kept) -> None:
        self._conv, self._smaller = conv, smaller
        self.channels, self.height, self.width = conv.out_channels, 2 * smaller.height, 2 * smaller.width

    def rows(self, first: int, last: int) -> Tensor:
        """Rows from first to last, exclusive. Each two of them come of one of the smaller map and those around it."""
        conv, part = self._conv, around(self._smaller, first // 2, -(-last // 2))
        if conv.packed and is_folded((self.height, self.width)):
            made = ops.doubled_conv3x3(_padded(part), conv.weight, conv.out_channels, conv.bias)
        else:
            tall = F.interpolate(part.x, scale_factor=2.0, mode="nearest")
            inside = tall[:, :, part.above : tall.shape[2] - part.below]  # a row around has become two, one is wanted
            made = convolved(conv, part._replace(x=inside))
        return made[:, :, first % 2 : first % 2 + last - first]


Rows = Kept | Enlarged


class Part(NamedTuple):
    """Rows of a map. above, below: how many of them, one or at the picture's edge none, are only there to be seen."""

    x: Tensor
    above: int
    below: int

    @property
    def inner(self) -> Tensor:
        """The rows without those."""
        return self.x[:, :, self.above : self.x.shape[2] - self.below]


def strips(x: Rows) -> Iterator[tuple[int, int]]:
    """First and last row, exclusive, of each strip of a map. All but the last have a multiple of `ops.FEW` pixels.

    >>> list(strips(Kept(torch.empty(1, 128, 40, 1024, device="meta"))))
    [(0, 16), (16, 32), (32, 40)]
    """
    step = ops.FEW // math.gcd(ops.FEW, x.width)
    rows = max(LEAST, STRIP // (x.channels * x.width), step) // step * step
    for first in range(0, x.height, rows):
        yield first, min(first + rows, x.height)


def around(x: Rows, first: int, last: int) -> Part:
    """Rows of a map with one more on either side, where there is one."""
    above, below = int(first > 0), int(last < x.height)
    return Part(x.rows(first - above, last + below), above, below)


def convolved(conv: Conv2d, part: Part, residual: Tensor | None = None, norm: Norm | None = None) -> Tensor:
    """A 3×3 convolution of the rows that are not only there to be seen, plus a residual of their shape.

    norm: comes before it, and SiLU.
    """
    if conv.packed:
        return conv.around(_padded(part, norm), residual=residual)
    x = part.x if norm is None else norm.silu(part.x)
    missing = (0, 0, 1 - part.above, 1 - part.below)
    out = F.conv2d(F.pad(x, missing) if any(missing) else x, conv.weight, conv.bias, padding=(0, 1))
    return out if residual is None else residual + out


def _padded(part: Part, norm: Norm | None = None) -> ops.Padded:
    """For the kernels: rows that are there to be seen take the place of the border's."""
    if norm is not None and norm.by_kernels:
        return ops.padded_normed(part.x, norm.scales, part.above, part.below)
    data, height, width = ops.padded(part.x if norm is None else norm.silu(part.x))
    return ops.Padded(data[:, part.above : data.shape[1] - part.below], height - part.above - part.below, width)


# -- norms -----------------------------------------------------------------------------------------------------------


class Norm(NamedTuple):
    """A GroupNorm whose statistics are known. scales: factor and shift of each channel (2, channels), float32.

    by_kernels: as the kernels make it, bit for bit.
    """

    scales: Tensor
    by_kernels: bool

    def silu(self, x: Tensor) -> Tensor:
        """Of rows of the map, then SiLU."""
        if self.by_kernels:
            return ops.normed(x, self.scales)
        factor, shift = self.scales[:, :, None, None]
        return F.silu(torch.addcmul(shift, x.float(), factor), inplace=True).to(x.dtype)


def norm_of(layer: nn.Module, x: Rows, *, packed: bool) -> Norm:
    """A GroupNorm of a whole map. packed: see `fast`."""
    assert isinstance(layer, nn.GroupNorm)
    by_kernels = packed and x.channels % LANES == 0
    moments = _kernels_moments if by_kernels else _moments
    mean, variance = (each.repeat_interleave(x.channels // layer.num_groups) for each in moments(layer, x))
    rate = (variance + layer.eps).rsqrt()
    weight, bias = layer.weight.float(), layer.bias.float()
    return Norm(torch.stack([rate.float() * weight, (bias - mean * rate * weight).float()]), by_kernels)


def _kernels_moments(norm: nn.GroupNorm, x: Rows) -> tuple[Tensor, Tensor]:
    sums = torch.zeros(2, x.channels, dtype=torch.float64)
    for first, last in strips(x):
        ops.add_sums(sums, x.rows(first, last))
    mean, squares = sums.view(2, norm.num_groups, -1).sum(-1) / (x.channels // norm.num_groups * x.height * x.width)
    return mean, (squares - mean**2).clamp(min=0.0)


def _moments(norm: nn.GroupNorm, x: Rows) -> tuple[Tensor, Tensor]:
    """Mean and variance of each group, from those of strips (Chan, Golub & LeVeque 1979)."""
    found: list[tuple[float, Tensor, Tensor]] = []  # with the strip's part of all pixels
    for first, last in strips(x):
        part = x.rows(first, last).float().contiguous()
        pixels = part.shape[2] * part.shape[3]
        _, mean, rate = torch.native_group_norm(part, None, None, 1, x.channels, pixels, norm.num_groups, 0.0)
        found.append((pixels / (x.height * x.width), mean[0], rate[0].pow(-2)))
    mean = torch.stack([share * each for share, each, _ in found]).sum(0)
    return mean, torch.stack([share * (spread + (each - mean) ** 2) for share, each, spread in found]).sum(0)


# -- passes ----------------------------------------------------------------------------------------------------------


def decoded_in_strips(vae: Vae, latent: Tensor, after: Callable[[], None] = lambda: None) -> Tensor:
    """As `Vae.decode`, of one latent (1, z, h, w). after: called after each block."""
    decoder, layers = vae.decoder, _Layers(vae.decoder.packed, vae.channels_last)
    x = Kept(decoder.mid(decoder.conv_in(vae.post_quant_conv(layers.laid_out(latent)))))
    enlarging: Conv2d | None = None  # what the level before is enlarged by
    for level in (cast(Up, each) for each in reversed(decoder.up)):
        for block in level.block:
            x = Kept(layers.resnet(cast(ResnetBlock, block), x if enlarging is None else Enlarged(enlarging, x)))
            enlarging = None
            after()
        enlarging = level.upsample.conv if hasattr(level, "upsample") else None
    return layers.convolution(decoder.conv_out, x, decoder.norm_out)


def moments_in_strips(vae: Vae, pixels: Tensor, after: Callable[[], None] = lambda: None) -> Tensor:
    """As the mean of `Vae.moments`, of one picture (1, 3, H, W). after: called after each block."""
    encoder, layers = vae.encoder, _Layers(vae.encoder.packed, vae.channels_last)
    x = Kept(layers.convolution(encoder.conv_in, Kept(layers.laid_out(pixels))))
    for level in (cast(Down, each) for each in encoder.down):
        for block in level.block:
            x = Kept(layers.resnet(cast(ResnetBlock, block), x))
            after()
        if hasattr(level, "downsample"):
            x = Kept(layers.halved(level.downsample, x))
    made = layers.convolution(encoder.conv_out, Kept(encoder.mid(x.x)), encoder.norm_out)
    mean: Tensor = vae.quant_conv(made).chunk(2, dim=1)[0]
    return mean


class _Layers:
    """Layers over whole maps. packed: see `fast`. last: whether the weights are channels-last."""

    def __init__(self, packed: bool, last: bool) -> None:
        self._packed, self._layout = packed, torch.channels_last if packed or last else torch.contiguous_format

    def laid_out(self, x: Tensor) -> Tensor:
        """A map in the layout that all have."""
        return x.contiguous(memory_format=self._layout)

    def convolution(self, conv: Conv2d, x: Rows, norm: nn.Module | None = None) -> Tensor:
        """A 3×3 convolution of a map, of its norm and SiLU if there is one."""
        known = None if norm is None else norm_of(norm, x, packed=self._packed)
        out = self._empty(conv, x.height, x.width)
        for first, last in strips(x):
            out[:, :, first:last] = convolved(conv, around(x, first, last), norm=known)
        return out

    def resnet(self, block: ResnetBlock, x: Rows) -> Tensor:
        """As `ResnetBlock.forward`. A map in memory to which the answer is added is overwritten by it."""
        norm = norm_of(block.norm1, x, packed=self._packed)
        inner = self._empty(block.conv1, x.height, x.width)
        adds = isinstance(x, Kept) and isinstance(block.nin_shortcut, nn.Identity)
        out = x.x if isinstance(x, Kept) and adds else torch.empty_like(inner)
        for first, last in strips(x):
            part = around(x, first, last)
            inner[:, :, first:last] = convolved(block.conv1, part, norm=norm)
            if not adds:
                out[:, :, first:last] = block.nin_shortcut(part.inner)
        x = Kept(inner)
        norm = norm_of(block.norm2, x, packed=self._packed)
        for first, last in strips(x):
            residual = out[:, :, first:last]
            out[:, :, first:last] = convolved(block.conv2, around(x, first, last), residual, norm)
        return out

    def halved(self, down: Downsample, x: Kept) -> Tensor:
        """As `Downsample.forward`: the padding is on the right and bottom only."""
        out = self._empty(down.conv, x.height // 2, x.width // 2)
        for first, last in strips(Kept(out)):
            below = int(2 * last == x.height)
            out[:, :, first:last] = down.conv(F.pad(x.rows(2 * first, 2 * last + 1 - below), (0, 1, 0, below)))
        return out

    def _empty(self, conv: Conv2d, height: int, width: int) -> Tensor:
        shape, weight = (1, conv.out_channels, height, width), conv.weight
        return torch.empty(shape, dtype=weight.dtype, device=weight.device, memory_format=self._layout)
