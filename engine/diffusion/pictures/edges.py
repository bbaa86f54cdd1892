"""Edges: Canny, "A Computational Approach to Edge Detection" (1986), with kornia's published choices (kornia.filters).

Those are: BT.601 brightness, a 5×5 Gaussian of σ 1 with mirrored borders, unnormalised Sobel gradients with repeated
borders, directions rounded to 45°, and thresholds on the gradient's length.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.pictures.filters import gaussian, luma

SMOOTHING = 2  # radius of the Gaussian, of σ 1
TINY = 1e-6  # under the root, so that its slope is finite
AROUND = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # (row, column) at 0°, 45°, …


def canny(pixels: Tensor, low: float, high: float) -> Tensor:
    """Edges (batch, h, w), 1 or 0, of pictures (batch, h, w, channels).

    Kept are pixels steeper than `high`, and those steeper than `low` that hang together with one.
    Raises ValueError if low is above high.
    """
    if low > high:
        raise ValueError(f"low_threshold {low} is above high_threshold {high}; edges begin at high and go on at low")
    steep = _ridges(*_gradient(luma(pixels)))
    return _connected(steep > low, steep > high)


def _gradient(brightness: Tensor) -> tuple[Tensor, Tensor]:
    """Length and direction, in steps of 45°, of the gradient of (batch, h, w)."""
    weights = torch.exp(-(torch.arange(-SMOOTHING, SMOOTHING + 1) ** 2) / 2.0)
    smooth = gaussian(brightness[:, None], weights / weights.sum())
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    slopes = F.conv2d(F.pad(smooth, (1, 1, 1, 1), mode="replicate"), torch.stack([sobel, sobel.T])[:, None])
    length = (slopes.square().sum(dim=1) + TINY).sqrt()
    direction = (torch.atan2(slopes[:, 1], slopes[:, 0]) / (math.pi / 4)).round().long() % len(AROUND)
    return length, direction


def _ridges(length: Tensor, direction: Tensor) -> Tensor:
    """The gradient's length where it is greater than before and behind in its direction, and 0 elsewhere."""
    height, width = length.shape[-2:]
    padded = F.pad(length, (1, 1, 1, 1))
    near = torch.stack([padded[:, 1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in AROUND])
    before = near.gather(0, direction[None])[0]
    behind = near.gather(0, ((direction + len(AROUND) // 2) % len(AROUND))[None])[0]
    return length * ((length > before) & (length > behind))


def _connected(weak: Tensor, strong: Tensor) -> Tensor:
    """Weak pixels that hang together with a strong one, over corners too."""
    from scipy.ndimage import binary_propagation

    square = np.ones((3, 3), dtype=bool)
    planes = [
        binary_propagation(seeds.numpy(), structure=square, mask=bounds.numpy())
        for bounds, seeds in zip(weak, strong, strict=True)
    ]
    return torch.from_numpy(np.stack(planes)).float()
