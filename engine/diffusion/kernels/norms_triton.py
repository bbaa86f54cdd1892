"""The kernels of `norms`, in Triton's language: imported only where Triton is.

A map (batch, c, h, w), channels-last, is a matrix of h·w rows of c numbers for each of the batch.
"""

from typing import Any

import triton
import triton.language as tl


@triton.jit
def sums(
    x: Any, out: Any, pixels: Any, channels: Any, each: Any, splits: Any, ROWS: tl.constexpr, WIDE: tl.constexpr
) -> None:
    """Sums, and sums of squares, of each channel over a part of the rows: out (batch, splits, 2, channels)."""
    image, part = tl.program_id(0), tl.program_id(1)
    channel = tl.arange(0, WIDE)
    one = tl.zeros([WIDE], tl.float32)
    two = tl.zeros([WIDE], tl.float32)
    for start in range(part * each, tl.minimum(pixels, (part + 1) * each), ROWS):
        row = start + tl.arange(0, ROWS)
        here = (row[:, None] < pixels) & (channel[None, :] < channels)
        place = (image.to(tl.int64) * pixels + row[:, None]) * channels + channel[None, :]
        value = tl.load(x + place, mask=here, other=0.0).to(tl.float32)
        one += tl.sum(value, 0)
        two += tl.sum(value * value, 0)
    place = (image * splits + part) * 2 * channels + channel
    tl.store(out + place, one, mask=channel < channels)
    tl.store(out + place + channels, two, mask=channel < channels)


@triton.jit
def scales(
    sums: Any, weight: Any, bias: Any, out: Any, pixels: Any, channels: Any, splits: Any, eps: Any, PER: tl.constexpr,
    SPLITS: tl.constexpr, WIDE: tl.constexpr,
) -> None:
    """What a group's channels are multiplied by, and what is added then: out (batch, 2, channels)."""
    image, group = tl.program_id(0), tl.program_id(1)
    part, inner = tl.arange(0, SPLITS), tl.arange(0, WIDE)
    here = (part[:, None] < splits) & (inner[None, :] < PER)
    place = (image * splits + part[:, None]) * 2 * channels + group * PER + inner[None, :]
    count = pixels * PER
    mean = tl.sum(tl.load(sums + place, mask=here, other=0.0)) / count
    square = tl.sum(tl.load(sums + place + channels, mask=here, other=0.0)) / count
    rate = 1.0 / tl.sqrt(tl.maximum(square - mean * mean, 0.0) + eps)
    channel = group * PER + inner
    scale = tl.load(weight + channel, mask=inner < PER, other=0.0).to(tl.float32) * rate
    shift = tl.load(bias + channel, mask=inner < PER, other=0.0).to(tl.float32) - mean * scale
    tl.store(out + image * 2 * channels + channel, scale, mask=inner < PER)
    tl.store(out + image * 2 * channels + channels + channel, shift, mask=inner < PER)


@triton.jit
def apply(
    x: Any, scales: Any, out: Any, pixels: Any, channels: Any, SILU: tl.constexpr, ROWS: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    """Each number of some rows, scaled and shifted, and SiLU of that."""
    image, part = tl.program_id(0), tl.program_id(1)
    channel, row = tl.arange(0, WIDE), part * ROWS + tl.arange(0, ROWS)
    inside = channel < channels
    scale = tl.load(scales + image * 2 * channels + channel, mask=inside, other=0.0)
    shift = tl.load(scales + image * 2 * channels + channels + channel, mask=inside, other=0.0)
    here = (row[:, None] < pixels) & inside[None, :]
    place = (image.to(tl.int64) * pixels + row[:, None]) * channels + channel[None, :]
    value = tl.load(x + place, mask=here, other=0.0).to(tl.float32) * scale[None, :] + shift[None, :]
    if SILU:
        value = value * tl.sigmoid(value)
    tl.store(out + place, value.to(out.dtype.element_ty), mask=here)
