"""Calls to the compiled kernels of `amx.cpp`: bfloat16 tensors in, new bfloat16 tensors out, on the CPU.

Feature maps are channels-last: `rows(x)` of one is the matrix that the kernels see. Threads are torch's. Each function
says what it computes; the tests hold each against plain PyTorch.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.diffusion.kernels.build import library

MOST_SEGMENTS = 16
MOST_LAYERS = 3
DEPTH, COLUMNS, ROWS = 32, 32, 32  # what a product's sides are multiples of; rows may be any number from ROWS on
FEW = 32  # pixels that the kernels of norms sum in float32
KINDS = {torch.bfloat16: 0, torch.float32: 1, torch.float16: 2}
Longs = ctypes.c_int64 * MOST_SEGMENTS


class _Product(ctypes.Structure):
    _fields_ = [
        ("a", ctypes.c_void_p * MOST_SEGMENTS), ("image_step", Longs), ("row_step", Longs),
        *((name, ctypes.c_int64) for name in ("out_image", "out_y", "out_x")),
        ("depth", ctypes.c_int32 * MOST_SEGMENTS),
        *((name, ctypes.c_int32) for name in (
            "segments", "images", "rows", "pitch", "width", "height", "columns", "gated", "threads", "whole", "layers",
        )),
        *((name, ctypes.c_void_p * MOST_LAYERS) for name in ("weights", "bias")),
        *((name, ctypes.c_void_p) for name in ("shift", "residual", "out")),
    ]  # fmt: skip


class Padded(NamedTuple):
    """A feature map with a border of zeros: data (batch, h + 2, w + 2, c) and some room behind it."""

    data: Tensor
    height: int
    width: int


def packable(shape: Sequence[int]) -> bool:
    """Whether a weight (columns, depth, …) of a linear layer or of a convolution 1×1 or 3×3 can be packed."""
    return (
        len(shape) in (2, 4) and shape[0] % COLUMNS == 0 and shape[1] % DEPTH == 0
        and tuple(shape[2:]) in ((), (1, 1), (3, 3))
    )  # fmt: skip


def pack(weight: Tensor, *, gated: bool = False, out: Tensor | None = None) -> Tensor:
    """A weight (columns, depth[, h, w]) of any float type, packed: bfloat16, flat, as many numbers.

    gated: the two halves of the columns belong together (`gated_linear`). out: where it goes, contiguous bfloat16.
    """
    source = (weight if weight.dtype in KINDS else weight.float()).contiguous()
    packed = torch.empty(weight.numel(), dtype=torch.bfloat16) if out is None else out.view(-1)
    _pack(_at(source), -1, 0, source.dtype, packed, weight.shape, gated)
    return packed


def pack_file(
    file: int, start: int, dtype: torch.dtype, shape: Sequence[int], *, gated: bool = False, out: Tensor | None = None
) -> Tensor:
    """`pack` of a weight whose numbers lie in an open file from `start` on; each thread reads what it packs.

    Raises EOFError if the file ends before.
    """
    packed = torch.empty(math.prod(shape), dtype=torch.bfloat16) if out is None else out.view(-1)
    _pack(None, file, start, dtype, packed, shape, gated)
    return packed


def _pack(
    source: ctypes.c_void_p | None, file: int, start: int, dtype: torch.dtype, packed: Tensor, shape: Sequence[int],
    gated: bool,
) -> None:
    columns, depth, *taps = shape
    if library().easel_pack(
        source, file, ctypes.c_int64(start), KINDS[dtype], _at(packed), columns, depth, math.prod(taps), int(gated),
        torch.get_num_threads(),
    ):
        raise EOFError("the file ends within a weight")


def rows(x: Tensor) -> Tensor:
    """(batch, c, h, w) as (batch, h·w, c), channels-last."""
    return x.permute(0, 2, 3, 1).contiguous().flatten(1, 2)


def picture(x: Tensor, height: int, width: int) -> Tensor:
    """(batch, h·w, c) as a channels-last (batch, c, h, w), without a copy."""
    return x.view(x.shape[0], height, width, x.shape[2]).permute(0, 3, 1, 2)


def linear(
    parts: Sequence[Tensor], packed: Tensor, columns: int, bias: Tensor | None = None, *,
    residual: Tensor | None = None, gated: bool = False,
) -> Tensor:
    """x·Wᵀ + bias + residual, where x (…, depth) is one tensor, or several side by side.

    gated: value · gelu(gate) of the two halves of the columns.
    """
    _check([*parts, residual])
    first = parts[0]
    count = first.numel() // first.shape[-1]
    if count < ROWS:
        padding = ROWS - count
        flat = [torch.cat([part.reshape(count, -1), part.new_zeros(padding, part.shape[-1])]) for part in parts]
        more = None
        if residual is not None:
            more = torch.cat([residual.reshape(count, -1), residual.new_zeros(padding, residual.shape[-1])])
        out = linear(flat, packed, columns, bias, residual=more, gated=gated)
        return out[:count].reshape(*first.shape[:-1], -1)
    g = _Product()
    kept = [part.contiguous() for part in parts]
    for index, part in enumerate(kept):
        g.a[index], g.row_step[index], g.depth[index] = part.data_ptr(), part.shape[-1], part.shape[-1]
    g.segments, g.images, g.rows, g.pitch, g.width, g.height, g.whole = len(kept), 1, count, count, count, 1, 1
    out = first.new_empty(*first.shape[:-1], columns // 2 if gated else columns)
    g.out_x = out.shape[-1]
    _product(g, [packed], columns, [bias], None, residual, gated, out)
    return out


def linears(x: Tensor, packed: Sequence[Tensor], columns: int, biases: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    """Up to three layers of one input (…, depth), of equal widths, in one product: a view (…, columns) for each."""
    _check([x])
    count = x.numel() // x.shape[-1]
    if count < ROWS:
        return tuple(linear([x], weight, columns, bias) for weight, bias in zip(packed, biases, strict=True))
    g, x, many = _Product(), x.contiguous(), len(packed)
    g.a[0], g.row_step[0], g.depth[0], g.segments = x.data_ptr(), x.shape[-1], x.shape[-1], 1
    g.images, g.rows, g.pitch, g.width, g.height, g.whole, g.out_x = 1, count, count, count, 1, 1, many * columns
    out = x.new_empty(*x.shape[:-1], many * columns)
    _product(g, packed, many * columns, biases, None, None, False, out)
    return out.chunk(many, dim=-1)


def conv3x3(
    x: Padded, packed: Tensor, columns: int, bias: Tensor | None = None, *,
    shift: Tensor | None = None, residual: Tensor | None = None,
) -> Tensor:
    """A 3×3 convolution with a border of one, plus shift (batch, columns) and residual: (batch, columns, h, w)."""
    data, height, width = x
    _check([data, shift, residual])
    batch, tall, pitch, channels = data.shape
    g = _Product()
    start = data.data_ptr()
    for tap in range(9):
        g.a[tap] = start + (tap // 3 * pitch + tap % 3) * channels * 2
        g.image_step[tap], g.row_step[tap], g.depth[tap] = tall * pitch * channels, channels, channels
    g.segments, g.images, g.rows, g.pitch, g.width, g.height = 9, batch, height * pitch - 2, pitch, width, height
    out = torch.empty((batch, columns, height, width), dtype=torch.bfloat16, memory_format=torch.channels_last)
    g.out_image, _, g.out_y, g.out_x = out.stride()
    _product(g, [packed], columns, [bias], shift, residual, False, out)
    return out


def doubled_conv3x3(x: Padded, packed: Tensor, columns: int, bias: Tensor | None = None) -> Tensor:
    """The 3×3 convolution of a map that is enlarged twice by nearest neighbours: (batch, columns, 2h, 2w).

    It is four 2×2 convolutions of the map as it is, one for each pixel that comes of a pixel, with sums of weights:
    four ninths of the work. The sums are rounded to bfloat16 once more.
    """
    data, height, width = x
    _check([data])
    batch, tall, pitch, channels = data.shape
    folded = torch.empty((4, packed.numel() // 9 * 4), dtype=torch.bfloat16)
    library().easel_fold(
        _at(packed), _at(folded), columns // COLUMNS, ctypes.c_int64(channels * COLUMNS), torch.get_num_threads()
    )
    out = torch.empty((batch, columns, 2 * height, 2 * width), dtype=torch.bfloat16, memory_format=torch.channels_last)
    for phase, weights in enumerate(folded):
        g = _Product()
        y, x_ = divmod(phase, 2)
        for tap in range(4):
            g.a[tap] = data.data_ptr() + ((y + tap // 2) * pitch + x_ + tap % 2) * channels * 2
            g.image_step[tap], g.row_step[tap], g.depth[tap] = tall * pitch * channels, channels, channels
        g.segments, g.images, g.rows, g.pitch, g.width, g.height = 4, batch, height * pitch - 2, pitch, width, height
        g.out_image, _, g.out_y, g.out_x = out.stride()
        g.out_y, g.out_x = 2 * g.out_y, 2 * g.out_x
        _product(g, [weights], columns, [bias], None, None, False, out[:, :, y:, x_:])
    return out


def _product(
    g: Any, packed: Sequence[Tensor], columns: int, bias: Sequence[Tensor | None], shift: Tensor | None,
    residual: Tensor | None, gated: bool, out: Tensor,
) -> None:
    if residual is not None:
        if residual.shape != out.shape:
            raise ValueError(f"cannot add {tuple(residual.shape)} to a result of shape {tuple(out.shape)}")
        layout = torch.channels_last if residual.ndim == 4 else torch.contiguous_format
        residual = residual.contiguous(memory_format=layout)
    if shift is not None:
        shift = shift.expand(out.shape[0], columns).contiguous()
    g.columns, g.gated, g.threads, g.layers = columns, int(gated), torch.get_num_threads(), len(packed)
    for index, (weights, each) in enumerate(zip(packed, bias, strict=True)):
        g.weights[index], g.bias[index] = _at(weights), _at(each)
    g.shift, g.residual, g.out = _at(shift), _at(residual), _at(out)
    library().easel_product(ctypes.byref(g))


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Softmax attention of q (batch, queries, heads·width) over k and v (batch, keys, heads·width), like q out."""
    _check([q, k, v])
    q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
    batch, queries, whole = q.shape
    width = whole // heads
    k, v = (x.expand(batch, -1, whole) for x in (k, v))  # as PyTorch's attention does; the kernel checks nothing
    out = q.new_empty(batch, queries, whole)
    library().easel_attention(
        _at(q), _at(k), _at(v), _at(out), batch, heads, queries, k.shape[1], width,
        *(ctypes.c_int64(step) for x in (q, k, v) for step in x.stride()[:2]),
        ctypes.c_float(width**-0.5), torch.get_num_threads(),
    )  # fmt: skip
    return out


def group_norm(
    parts: Sequence[Tensor], groups: int, weight: Tensor, bias: Tensor, eps: float, *, silu: bool
) -> Tensor:
    """GroupNorm, then SiLU, of one channels-last map or of two side by side: (batch, h·w, c)."""
    return _group_norm(parts, groups, weight, bias, eps, silu, 0).flatten(1, 2)


def padded_group_norm(
    parts: Sequence[Tensor], groups: int, weight: Tensor, bias: Tensor, eps: float, *, silu: bool
) -> Padded:
    """`group_norm` with a border for `conv3x3`."""
    height, width = parts[0].shape[-2:]
    return Padded(_group_norm(parts, groups, weight, bias, eps, silu, 1), height, width)


def _group_norm(
    parts: Sequence[Tensor], groups: int, weight: Tensor, bias: Tensor, eps: float, silu: bool, border: int
) -> Tensor:
    _check(parts)
    kept = [part.contiguous(memory_format=torch.channels_last) for part in parts]
    batch, _, height, width = kept[0].shape
    widths = [part.shape[1] for part in kept]
    out = _room(batch, height + 2 * border, width + 2 * border, sum(widths))
    library().easel_group_norm(
        _at(kept[0]), _at(kept[1]) if len(kept) == 2 else None, widths[0], sum(widths[1:]), _at(weight), _at(bias),
        _at(out), batch, height, width, groups, border, ctypes.c_float(eps), int(silu), torch.get_num_threads(),
    )  # fmt: skip
    return out


def add_sums(sums: Tensor, x: Tensor) -> None:
    """Add to sums (2, c), float64, those of rows of a map (1, c, rows, w) and of their squares, channel by channel.

    Of a map summed in parts of whole `FEW` pixels they are what `group_norm` works by.
    """
    _check([x])
    x = x.contiguous(memory_format=torch.channels_last)
    library().easel_sums(
        _at(x), _at(sums), ctypes.c_int64(x.shape[2] * x.shape[3]), x.shape[1], torch.get_num_threads()
    )


def normed(x: Tensor, scales: Tensor) -> Tensor:
    """Factor and shift (2, c), float32, of each channel, then SiLU, of rows of a map (1, c, rows, w)."""
    return _normed(x, scales, 0, 0, 0)[0].permute(2, 0, 1)[None]


def padded_normed(x: Tensor, scales: Tensor, above: int, below: int) -> Padded:
    """`normed` with a border for `conv3x3`; above, below: 1 where a row of x takes the border's place."""
    return Padded(_normed(x, scales, 1, above, below), x.shape[2] - above - below, x.shape[3])


def _normed(x: Tensor, scales: Tensor, border: int, above: int, below: int) -> Tensor:
    _check([x])
    x = x.contiguous(memory_format=torch.channels_last)
    channels, height, width = x.shape[1:]
    tall = height + border * (2 - above - below)
    out = _room(1, tall, width + 2 * border, channels)
    library().easel_normed(
        _at(x), _at(scales), _at(out), height, width, channels, border, above, below, torch.get_num_threads()
    )
    return out


def padded(x: Tensor, size: Sequence[int] | None = None) -> Padded:
    """A map (batch, c, h, w), enlarged to `size` by nearest neighbours where given, with a border for `conv3x3`."""
    _check([x])
    x = x.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = x.shape
    tall, broad = size or (height, width)
    out = _room(batch, tall + 2, broad + 2, channels)
    library().easel_pad(_at(x), _at(out), batch, channels, height, width, tall, broad, torch.get_num_threads())
    return Padded(out, tall, broad)


def _room(batch: int, height: int, width: int, channels: int) -> Tensor:
    """A dense map with room behind it: a product's last block reads past the last row, and leaves out what it reads."""
    count = batch * height * width * channels
    flat = torch.empty(count + ROWS * channels, dtype=torch.bfloat16)
    flat[count:] = 0
    return flat[:count].view(batch, height, width, channels)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """LayerNorm over the last axis, a multiple of 16."""
    _check([x])
    x = x.contiguous()
    out = torch.empty_like(x)
    width = x.shape[-1]
    library().easel_layer_norm(
        _at(x), _at(weight), _at(bias), _at(out), ctypes.c_int64(x.numel() // width), width, ctypes.c_float(eps),
        torch.get_num_threads(),
    )
    return out


def _at(x: Tensor | None) -> ctypes.c_void_p | None:
    return None if x is None else ctypes.c_void_p(x.data_ptr())


def _check(tensors: Sequence[Tensor | None]) -> None:
    """The kernels see addresses only: whatever else than bfloat16 on the CPU would be read as if it were that."""
    for x in tensors:
        if x is not None and (x.dtype != torch.bfloat16 or x.device.type != "cpu"):
            raise TypeError(f"the kernels take bfloat16 on the CPU; found {x.dtype} on {x.device}")
