"""Masks, (batch, h, w) in 0..1, where 1 marks what is to be painted (numerics.md, 7.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.guidance import fit_batch

Operation = Callable[[Tensor, Tensor], Tensor]


def check_mask(mask: Tensor, name: str) -> Tensor:
    """The mask as (batch, h, w). Raises ValueError naming the input if it has no pixels or holds NaN."""
    if mask.ndim < 2 or mask.numel() == 0:
        raise ValueError(f"{name} has the shape {tuple(mask.shape)}, so it has no pixels; give a mask that has some")
    if bool(mask.isnan().any()):
        raise ValueError(f"{name} holds NaN; what made it divided by nothing, such as a black picture's brightness")
    return mask.reshape(-1, *mask.shape[-2:])


def tell_of_empty(mask: Tensor, warn: Callable[[str], None], follows: str) -> None:
    """Say that a mask marks nothing, and what follows from that."""
    if not bool(mask.any()):
        warn(f"mask is 0 everywhere, so {follows}")


def resize_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Stretch a mask to a size, bilinear without antialiasing."""
    planes = mask.reshape(-1, 1, *mask.shape[-2:]).float()
    if planes.shape[-2:] != (height, width):
        planes = F.interpolate(planes, size=(height, width), mode="bilinear")
    return planes[:, 0]


def crop_mask(mask: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """A rectangle of a mask, cut to what there is. Raises ValueError if it lies outside."""
    check_inside(mask.shape[-2:], x, y, "mask")
    return mask[:, y : y + height, x : x + width]


def check_inside(size: Sequence[int], x: int, y: int, name: str) -> None:
    """Raise ValueError if a place is outside of what has this size (height, width)."""
    height, width = size
    if x >= width or y >= height:
        raise ValueError(
            f"x {x}, y {y} lies outside of {name}, which is {width}×{height}; "
            f"x is at most {width - 1} and y at most {height - 1}"
        )


def grow(mask: Tensor, amount: int, tapered: bool) -> Tensor:
    """Grow what is marked by `amount` pixels, or shrink it by as many if that is negative.

    It is grey dilation (erosion), `amount` times, with a 3×3 square, or with a plus if `tapered`, which rounds corners
    off to a diamond. Beyond the border is nothing: a mark at the border neither grows from there nor shrinks.
    """
    if amount == 0:
        return mask
    sign = 1.0 if amount > 0 else -1.0
    values = sign * mask
    grown = _diamond(values, abs(amount)) if tapered else _square(values, abs(amount))
    return sign * grown


def _square(values: Tensor, radius: int) -> Tensor:
    """The largest value within `radius` in both directions: as many 3×3 dilations at once."""
    for _ in range(2):  # rows, then columns
        reach = min(radius, values.shape[-1] - 1)
        padded = F.pad(values[:, None], (reach, reach, 0, 0), value=-torch.inf)
        values = F.max_pool2d(padded, (1, 2 * reach + 1), stride=1)[:, 0].transpose(-1, -2)
    return values


def _diamond(values: Tensor, radius: int) -> Tensor:
    """The largest value within `radius` steps; once nothing changes, nothing will."""
    for _ in range(min(radius, sum(values.shape[-2:]))):
        padded = F.pad(values, (1, 1, 1, 1), value=-torch.inf)
        around = torch.maximum(
            torch.maximum(padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]),
            torch.maximum(padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]),
        )
        new = torch.maximum(values, around)
        if torch.equal(new, values):
            break
        values = new
    return values


def feather(mask: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """Let a mask fade in from its edges, over so many pixels each.

    As in ComfyUI, the ramps of the right and lower edges begin one pixel late: their first step, 1 / width, falls on
    column 0 and row 0. Saved workflows depend on it (numerics.md, 7.5).
    """
    mask = mask.clone()
    height, width = mask.shape[-2:]
    left, right, top, bottom = min(left, width), min(right, width), min(top, height), min(bottom, height)
    for ramp, sign, side in ((left, 1, mask.transpose(-1, -2)), (right, -1, mask.transpose(-1, -2)),
                             (top, 1, mask), (bottom, -1, mask)):  # fmt: skip
        for step in range(ramp):
            side[:, sign * step] *= (step + 1) / ramp
    return mask


def _logical(operation: Operation) -> Operation:
    return lambda a, b: operation(a.round().bool(), b.round().bool()).to(a.dtype)


OPERATIONS: Mapping[str, Operation] = {
    "multiply": torch.mul,
    "add": torch.add,
    "subtract": torch.sub,
    "and": _logical(torch.bitwise_and),
    "or": _logical(torch.bitwise_or),
    "xor": _logical(torch.bitwise_xor),
}


def combine_masks(destination: Tensor, source: Tensor, x: int, y: int, operation: str) -> Tensor:
    """Apply a mask onto another at a place; what reaches beyond is cut off. Raises ValueError if all of it does."""
    check_inside(destination.shape[-2:], x, y, "destination")
    batch = max(destination.shape[0], source.shape[0])
    out = fit_batch(destination, batch).clone()
    under = out[:, y : y + source.shape[1], x : x + source.shape[2]]
    over = fit_batch(source, batch)[:, : under.shape[1], : under.shape[2]]
    under.copy_(OPERATIONS[operation](under, over))
    return out.clamp(0.0, 1.0)


def colour_mask(pixels: Tensor, colour: int) -> Tensor:
    """1 where a picture (batch, h, w, 3 or 4) has exactly the colour 0xRRGGBB, each channel rounded to 8 bits."""
    channels = torch.tensor([colour >> shift & 0xFF for shift in (16, 8, 0)])
    return ((pixels[..., :3].clamp(0, 1) * 255.0).round().int() == channels).all(dim=-1).float()
