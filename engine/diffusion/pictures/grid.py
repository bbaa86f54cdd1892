"""Sheets of pictures with labels: one row and one column for each value that was tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from engine.diffusion.guidance import fit_batch
from engine.diffusion.limits import check_size
from engine.diffusion.pictures.compose import with_channels

PAPER, INK = 1.0, 0
MARGIN = 0.5  # around a label, in heights of its letters
ELLIPSIS = "…"


def sheet(
    cells: Sequence[Sequence[Tensor]], columns: Sequence[str], rows: Sequence[str], letters: int, gap: int
) -> Tensor:
    """Pictures (batch, h, w, 3) in rows and columns, with a label over each column and before each row.

    cells: row by row; each is a batch, smaller pictures stand in the middle of their place. The sheet of the first
    pictures of all batches comes first, and so on; a batch that is too short begins again. letters: height of the
    labels' letters in pixels; 0 leaves them out. gap: pixels between pictures.
    """
    batch = max(cell.shape[0] for row in cells for cell in row)
    width = max(cell.shape[2] for row in cells for cell in row)
    heights = [max(cell.shape[1] for cell in row) for row in cells]
    head = _height(letters) if any(columns) else 0
    side = _side(rows, letters, width)
    whole = (head + sum(heights) + gap * (len(rows) - 1), side + width * len(columns) + gap * (len(columns) - 1))
    check_size((batch, *whole, 3), "a sheet of pictures")
    out = torch.full((batch, *whole, 3), PAPER)
    top = head
    for row, height in zip(cells, heights, strict=True):
        for number, cell in enumerate(row):
            y = top + (height - cell.shape[1]) // 2
            x = side + number * (width + gap) + (width - cell.shape[2]) // 2
            out[:, y : y + cell.shape[1], x : x + cell.shape[2]] = with_channels(fit_batch(cell, batch), 3)
        top += height + gap
    if head:
        for number, label in enumerate(columns):
            x = side + number * (width + gap)
            out[:, :head, x : x + width] = _label(label, width, head, letters)
    if side:
        top = head
        for label, height in zip(rows, heights, strict=True):
            out[:, top : top + height, :side] = _label(label, side, height, letters)
            top += height + gap
    return out


def _height(letters: int) -> int:
    return int(letters * (1 + 2 * MARGIN)) if letters else 0


def _side(labels: Sequence[str], letters: int, most: int) -> int:
    """How wide the labels before the rows are; at most as wide as a picture."""
    if not letters or not any(labels):
        return 0
    font = _font(letters)
    return min(most, max(int(font.getlength(label)) for label in labels) + int(2 * MARGIN * letters) + 1)


def _font(letters: int) -> Any:
    return ImageFont.load_default(letters)


def _label(text: str, width: int, height: int, letters: int) -> Tensor:
    """A text in the middle of (height, width, 1); what does not fit is cut off and ends with an ellipsis."""
    font, room = _font(letters), width - int(MARGIN * letters)
    text = " ".join(text.split())
    if font.getlength(text) > room:
        while text and font.getlength(text + ELLIPSIS) > room:
            text = text[:-1]
        text += ELLIPSIS
    picture = Image.new("L", (width, height), round(PAPER * 255))
    ImageDraw.Draw(picture).text((width / 2, height / 2), text, fill=INK, font=font, anchor="mm")
    return torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255.0)[..., None]
