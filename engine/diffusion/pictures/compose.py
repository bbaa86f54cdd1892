"""Putting pictures onto and beside each other. Tensors are (batch, h, w, channels) unless said otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.guidance import fit_batch
from engine.diffusion.limits import check_size
from engine.diffusion.pictures.masks import resize_mask
from engine.diffusion.resize import common_upscale

GREY = 0.5  # what is filled in before something is painted there
COLOURS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0), "red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0),
           "blue": (0.0, 0.0, 1.0)}  # fmt: skip


def with_channels(pixels: Tensor, channels: int) -> Tensor:
    """The picture with 3 or 4 channels: alpha is left out, or added as opaque."""
    if pixels.shape[-1] >= channels:
        return pixels[..., :channels]
    return F.pad(pixels, (0, channels - pixels.shape[-1]), value=1.0)


def resized(pixels: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """`common_upscale` for pictures (batch, h, w, channels).

    Raises ValueError for sizes below 1 and for what no machine holds.
    """
    return common_upscale(pixels.movedim(-1, 1), width, height, method, crop).movedim(1, -1).contiguous()


def paste(
    destination: Tensor, source: Tensor, x: int, y: int, mask: Tensor | None = None, resize_source: bool = False
) -> Tensor:
    """Put a source (batch, c, h, w) onto a destination: ``mask·source + (1 − mask)·destination`` (numerics.md, 7.5).

    mask: (batch, h, w), stretched over the source. resize_source: stretch it over the destination first, bilinear.
    What reaches beyond the destination is cut off; all of it, if the place lies outside.
    """
    height, width = destination.shape[-2:]
    if resize_source:
        source = F.interpolate(source, size=(height, width), mode="bilinear")
    source = fit_batch(source, destination.shape[0])
    out = destination.clone()
    under = out[..., y : y + source.shape[-2], x : x + source.shape[-1]]
    if under.numel() == 0:
        return out
    rows, columns = under.shape[-2:]
    over = source[..., :rows, :columns]
    if mask is None:
        under.copy_(over)
        return out
    planes = fit_batch(resize_mask(mask, *source.shape[-2:]), out.shape[0])[:, None, :rows, :columns]
    under.copy_(planes * over + (1.0 - planes) * under)
    return out


def feathered(size: tuple[int, int], ramps: Sequence[int]) -> Tensor:
    """Weights (h, w) that rise by 1/n, 2/n … over n rows or columns from the left, top, right and bottom edges."""
    height, width = size
    weights = []
    for length, near, far in ((height, ramps[1], ramps[3]), (width, ramps[0], ramps[2])):
        steps = torch.arange(1, length + 1, dtype=torch.float32)
        ramp = (steps / max(1, near)).clamp(max=1.0)  # a ramp of one step is none
        weights.append(ramp * (steps.flip(0) / max(1, far)).clamp(max=1.0))
    return weights[0][:, None] * weights[1]


def pad_for_outpainting(
    pixels: Tensor, left: int, top: int, right: int, bottom: int, feathering: int
) -> tuple[Tensor, Tensor]:
    """A picture with grey around it, and the mask (1, h, w) of what is to be painted (numerics.md, 7.5).

    Inside the picture the mask falls off as ``((F − d) / F)²`` with the distance d to the next extended side, over
    F = `feathering` pixels, unless that is half of the picture or more.
    """
    batch, height, width, channels = pixels.shape
    check_size((batch, height + top + bottom, width + left + right, channels), "a padded picture")
    out = torch.full((batch, height + top + bottom, width + left + right, channels), GREY)
    out[:, top : top + height, left : left + width] = pixels
    mask = torch.ones(out.shape[1:3])
    inside = torch.zeros(height, width)
    if feathering > 0 and feathering * 2 < height and feathering * 2 < width:
        rows = _distance(height, top, bottom)[:, None].expand(height, width)
        columns = _distance(width, left, right).expand(height, width)
        distance = torch.minimum(rows, columns)
        inside = ((feathering - distance) / feathering).clamp(min=0.0) ** 2
    mask[top : top + height, left : left + width] = inside
    return out, mask[None]


def _distance(length: int, before: int, after: int) -> Tensor:
    """How far each row is from the next extended side; where none is, as far as the picture is long."""
    rows = torch.arange(length, dtype=torch.float32)
    whole = torch.full((length,), float(length))
    return torch.minimum(rows if before else whole, length - rows if after else whole)


def stitch(first: Tensor, second: Tensor, direction: str, match: bool, spacing: int, colour: str) -> Tensor:
    """Put a second picture beside the first: right, left, down or up of it.

    match: scale the second (Lanczos) so that the sides that meet are equally long; otherwise the shorter is centred.
    spacing: pixels of `colour` between them, made even. The shorter batch repeats its last picture.
    Borders of a centred picture are `colour` too if it is white or black, and black otherwise, as in ComfyUI.
    """
    batch = max(first.shape[0], second.shape[0])
    first, second = (torch.cat([each, each[-1:].expand(batch - len(each), -1, -1, -1)]) for each in (first, second))
    beside = direction in ("left", "right")
    along, across = (2, 1) if beside else (1, 2)
    if match:
        height, width = second.shape[1:3]
        size = first.shape[across]
        other = max(1, int(size * (width / height if beside else height / width)))
        second = resized(second, *((other, size) if beside else (size, other)), "lanczos")
    longest = max(first.shape[across], second.shape[across])
    fill = COLOURS[colour][0] if colour in ("white", "black") else 0.0
    channels = max(first.shape[3], second.shape[3])
    parts = [with_channels(_centred(each, across, longest, fill), channels) for each in (first, second)]
    if direction in ("left", "up"):
        parts.reverse()
    spacing += spacing % 2
    if spacing:
        shape = [batch, longest, longest, channels]
        shape[along] = spacing
        tone = torch.tensor([*COLOURS[colour], 1.0])[:channels]
        parts.insert(1, tone.expand(shape))
    check_size((batch, longest, sum(each.shape[along] for each in parts), channels), "a stitched picture")
    return torch.cat(parts, dim=along)


def _centred(pixels: Tensor, dim: int, length: int, fill: float) -> Tensor:
    missing = length - pixels.shape[dim]
    before = [0, 0] * (3 - dim)
    return F.pad(pixels, (*before, missing // 2, missing - missing // 2), value=fill) if missing else pixels


def fit_into(pixels: Tensor, width: int, height: int, method: str, colour: str) -> Tensor:
    """The picture as large as it fits into a size, in the middle of a `colour` border."""
    rows, columns = pixels.shape[1:3]
    scale = min(width / columns, height / rows)
    inner_width, inner_height = max(1, int(columns * scale)), max(1, int(rows * scale))
    check_size((pixels.shape[0], height, width, pixels.shape[3]), "a padded picture")
    out = torch.full((pixels.shape[0], height, width, pixels.shape[3]), COLOURS[colour][0])
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    out[:, top : top + inner_height, left : left + inner_width] = resized(pixels, inner_width, inner_height, method)
    return out
