"""Masks for learning to inpaint: strokes of a thick brush, boxes, and a quarter that cover everything (T7, T11)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FULL = 0.25  # models.md, 9.3, T7
STROKES = 0.5  # of the rest; the others are boxes


def make_masks(count: int, size: int, seed: int) -> Tensor:
    """Masks (count, 1, size, size) of 0 and 1, 1 where to paint. The same arguments give the same masks."""
    rng = np.random.default_rng([seed, count, size])
    masks = np.empty((count, 1, size, size), np.float32)
    for mask in masks:
        kind = rng.random()
        if kind < FULL:
            mask[0] = 1.0
        else:
            mask[0] = strokes(size, rng) if kind < FULL + (1 - FULL) * STROKES else boxes(size, rng)
    return torch.from_numpy(masks)


def boxes(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """One to three rectangles with sides of a seventh to two thirds of the picture."""
    mask = np.zeros((size, size), np.bool_)
    for _ in range(int(rng.integers(1, 4))):
        height, width = rng.integers(max(1, size // 7), max(2, 2 * size // 3), 2)
        top, left = rng.integers(0, size - height + 1), rng.integers(0, size - width + 1)
        mask[top : top + height, left : left + width] = True
    return mask


def strokes(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """One to three walks of two to six straight pieces, drawn with a round brush (after LaMa, Suvorov et al., 2022)."""
    rows, columns = np.mgrid[0:size, 0:size] + 0.5
    mask = np.zeros((size, size), np.bool_)
    for _ in range(int(rng.integers(1, 4))):
        x, y, angle = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0, 2 * np.pi)
        brush = rng.uniform(0.05, 0.14) * size
        for _ in range(int(rng.integers(2, 7))):
            angle += rng.uniform(-1.3, 1.3)
            length = rng.uniform(0.1, 0.4) * size
            dx, dy = length * np.cos(angle), length * np.sin(angle)
            along = np.clip(((columns - x) * dx + (rows - y) * dy) / length**2, 0.0, 1.0)
            mask |= np.hypot(columns - x - along * dx, rows - y - along * dy) < brush
            x, y = np.clip(x + dx, 0, size), np.clip(y + dy, 0, size)
    return mask
