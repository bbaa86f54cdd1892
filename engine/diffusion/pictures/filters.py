"""Filters on pictures (batch, h, w, channels): blur, sharpening, morphology, YUV."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

SHARPNESS = 10.0  # how much of the difference to the blurred picture `alpha` 1 adds


def gaussian(x: Tensor, weights: Tensor, mode: str = "reflect") -> Tensor:
    """Filter (batch, c, h, w) with the same odd number of weights along rows and along columns.

    Raises ValueError if the filter reaches further than a side is long.
    """
    radius, channels = len(weights) // 2, x.shape[1]
    if mode == "reflect" and radius >= min(x.shape[-2:]):
        height, width = x.shape[-2:]
        raise ValueError(
            f"a radius of {radius} reaches beyond a picture of {width}×{height}; it is at most {min(height, width) - 1}"
        )
    kernel = weights.to(x.device, x.dtype).expand(channels, 1, 1, -1)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode=mode), kernel, groups=channels)
    return F.conv2d(F.pad(x, (0, 0, radius, radius), mode=mode), kernel.transpose(-1, -2), groups=channels)


def bell(radius: int, sigma: float) -> Tensor:
    """Weights of ComfyUI's blur: a Gaussian whose `sigma` is in units of the *radius*, not in pixels."""
    places = torch.linspace(-1, 1, 2 * radius + 1)
    weights = torch.exp(-(places**2) / (2 * sigma**2))
    return weights / weights.sum()


def blur(x: Tensor, radius: int, sigma: float) -> Tensor:
    """Blur (batch, c, h, w); the border is mirrored. `sigma` is in units of the radius."""
    return gaussian(x, bell(radius, sigma))


def sharpen(x: Tensor, radius: int, sigma: float, alpha: float) -> Tensor:
    """``x + 10·alpha·(x − blur(x))`` on (batch, c, h, w), not clamped: ComfyUI's kernel, written as an unsharp mask."""
    return x + SHARPNESS * alpha * (x - blur(x, radius, sigma))


# -- morphology --------------------------------------------------------------------------------------------------


def dilate(pixels: Tensor, size: int) -> Tensor:
    """The brightest of a size×size window, per channel; beyond the border is nothing.

    A window of even size reaches one pixel further up and left than down and right.
    """
    x = pixels.movedim(-1, 1)
    before, after = size // 2, size - size // 2 - 1
    x = F.max_pool2d(F.pad(x, (before, after, 0, 0), value=-torch.inf), (1, size), stride=1)
    x = F.max_pool2d(F.pad(x, (0, 0, before, after), value=-torch.inf), (size, 1), stride=1)
    return x.movedim(1, -1).contiguous()


def erode(pixels: Tensor, size: int) -> Tensor:
    """The darkest of a window: see `dilate`."""
    return -dilate(-pixels, size)


MORPHOLOGY: Mapping[str, Callable[[Tensor, int], Tensor]] = {
    "erode": erode,
    "dilate": dilate,
    "open": lambda x, size: dilate(erode(x, size), size),
    "close": lambda x, size: erode(dilate(x, size), size),
    "gradient": lambda x, size: dilate(x, size) - erode(x, size),
    "bottom_hat": lambda x, size: erode(dilate(x, size), size) - x,
    "top_hat": lambda x, size: x - dilate(erode(x, size), size),
}
"""The operations of mathematical morphology (Serra, 1982) with a flat square."""


# -- colours -----------------------------------------------------------------------------------------------------

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
TO_BLUE, TO_RED = 0.564, 0.713  # of B − Y and R − Y; YCbCr of BT.601 with full range, as OpenCV rounds it
FROM_RED, GREEN_OF_RED, GREEN_OF_BLUE, FROM_BLUE = 1.403, -0.714, -0.344, 1.773
MIDDLE = 0.5


def luma(pixels: Tensor) -> Tensor:
    """Brightness (batch, h, w) of a picture's first three channels, BT.601."""
    return (pixels[..., :3] * torch.tensor(LUMA)).sum(dim=-1)


def to_yuv(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Brightness, blueness and redness, each (batch, h, w); 0.5 is neither blue nor yellow, neither red nor cyan."""
    y = luma(pixels)
    return y, (pixels[..., 2] - y) * TO_BLUE + MIDDLE, (pixels[..., 0] - y) * TO_RED + MIDDLE


def from_yuv(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The picture of `to_yuv`'s planes, clamped to 0..1."""
    u, v = u - MIDDLE, v - MIDDLE
    red, green, blue = y + FROM_RED * v, y + GREEN_OF_RED * v + GREEN_OF_BLUE * u, y + FROM_BLUE * u
    return torch.stack([red, green, blue], dim=-1).clamp(0, 1)
