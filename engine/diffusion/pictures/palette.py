"""Few colours: a palette per picture (Pillow's median cut), and dithering to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

BAYER = {"bayer-2": 1, "bayer-4": 2, "bayer-8": 3, "bayer-16": 4}  # how often the matrix is doubled
DITHERS: tuple[str, ...] = ("none", "floyd-steinberg", *BAYER)
CORNERS = ((-1.5, 0.5), (1.5, -0.5))  # of the 2×2 threshold matrix, around 0
SPREAD = 2 * 256  # how far ordered dithering moves a value, divided by the number of colours


def quantise(pixels: Tensor, colours: int, dither: str) -> Tensor:
    """Pictures (batch, h, w, 3) with at most so many colours each; the first three channels only."""
    bytes_of = (pixels[..., :3].clamp(0, 1) * 255).to(torch.uint8).numpy()
    done = [np.asarray(_quantised(each, colours, dither).convert("RGB"), dtype=np.float32) / 255 for each in bytes_of]
    return torch.from_numpy(np.stack(done))


def _quantised(pixels: np.ndarray[Any, Any], colours: int, dither: str) -> Image.Image:
    picture = Image.fromarray(pixels)
    palette = picture.quantize(colors=colours)  # Pillow dithers only to a palette that it is given
    if dither == "floyd-steinberg":
        return picture.quantize(colors=colours, palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    if dither in BAYER:
        picture = Image.fromarray(_ordered(pixels, palette, BAYER[dither]))
    return picture.quantize(colors=colours, palette=palette, dither=Image.Dither.NONE)


def _ordered(pixels: np.ndarray[Any, Any], palette: Image.Image, doublings: int) -> np.ndarray[Any, Any]:
    """Bytes moved by Bayer's thresholds ("An optimum method for two-level rendition", 1973), tiled over the picture."""
    entries = palette.getpalette()
    assert entries is not None
    matrix = SPREAD / (len(entries) // 3) * bayer(doublings) + 0.5
    height, width = pixels.shape[:2]
    rows, columns = np.arange(height) % len(matrix), np.arange(width) % len(matrix)
    moved = pixels.astype(np.float32) + matrix[rows][:, columns, None]
    result: np.ndarray[Any, Any] = moved.clip(0, 255).astype(np.uint8)
    return result


def bayer(doublings: int) -> np.ndarray[Any, Any]:
    """Bayer's matrix with a side of 2^doublings, spread evenly around 0 in −0.5..0.5.

    >>> bayer(1).tolist()
    [[-0.375, 0.125], [0.375, -0.125]]
    """
    matrix = np.zeros((1, 1), dtype=np.float32)
    for step in range(1, doublings + 1):
        matrix = np.block([[matrix + corner / 4**step for corner in row] for row in CORNERS]).astype(np.float32)
    return matrix
