"""An invisible watermark: bytes in the blue-yellow channel, as the original scripts put them (models.md, I19).

The method is "dwtDct" of the invisible-watermark package, which reads what is written here, and the other way round.
Of each 8×8 pixels of U, the Haar approximation is a 4×4 block; its largest value but the first carries one bit, by the
half of a step of 36 that it lies in. The bits repeat over the picture, and reading takes the mean. Where the package
would make the value smaller than another one, which is then read instead, Easel goes one step higher.

It survives saving as PNG and mild JPEG, not scaling, cropping or rotation. It hides nothing and proves nothing.
"""

import torch
from torch import Tensor

STEP = 36.0
BLOCK = 4  # Haar approximations along each side of a block
CELL = 2  # pixels along each side of an approximation
SIDE = BLOCK * CELL
TO_U = (-0.492 * 0.299, -0.492 * 0.587, 0.492 * (1 - 0.114))  # OpenCV's 8-bit YUV: U = 0.492·(B - Y) + 128
FROM_U = (0.0, -0.395, 2.032)  # what R, G and B change by, when U changes by 1
MARGIN = 6.0  # by which the value stays the largest: more than rounding to bytes moves it
LEAST_PIXELS = 256 * 256
LONGEST = 256  # bytes


class WatermarkError(ValueError):
    """A picture too small, or bytes too many."""


def write_watermark(pixels: Tensor, mark: bytes) -> Tensor:
    """Pictures (batch, h, w, 3 or 4) in 0..1, as bytes over 255, with the mark in each. Raises WatermarkError."""
    blocks, bits = _check(pixels, len(mark)), _bits(mark)
    colours = (pixels[..., :3] * 255.0).clamp(0, 255).floor()
    approximations = _approximations(colours)
    found, place = _largest(approximations)
    second = approximations[..., 1:].abs().topk(2).values[..., 1]
    wanted = bits[torch.arange(blocks) % len(bits)].expand(found.shape)
    value = (torch.div(found.abs(), STEP, rounding_mode="floor") + 0.25 + 0.5 * wanted) * STEP
    value = torch.where(value < second + MARGIN, value + STEP, value)
    change = torch.where(found >= 0, value, -value) - found  # of one approximation in each block
    u = torch.zeros(*found.shape, BLOCK * BLOCK).scatter_(-1, place[..., None], change[..., None])
    # an approximation is half the sum of its four pixels: each of them takes half of the change
    u = _unblocked(u / 2.0, pixels.shape[1], pixels.shape[2])
    marked = (colours + u[..., None] * torch.tensor(FROM_U)).clamp(0, 255).round()
    # a little more than the byte, so that whoever truncates gets it back
    marked = ((marked + 0.25) / 255.0).clamp(max=1.0)
    return torch.cat([marked, pixels[..., 3:]], dim=-1)


def read_watermark(pixels: Tensor, length: int) -> list[bytes]:
    """The bytes in each picture (batch, h, w, 3 or 4), if `length` of them were written; noise if none were.

    Raises WatermarkError.
    """
    blocks = _check(pixels, length)
    found, _ = _largest(_approximations((pixels[..., :3] * 255.0).clamp(0, 255).floor()))
    votes = ((found.abs() % STEP) > 0.5 * STEP).float()
    which = torch.arange(blocks) % (8 * length)
    sums = torch.zeros(len(votes), 8 * length).index_add_(1, which, votes)
    means = sums / torch.bincount(which, minlength=8 * length)
    bits = (means * 255 > 127).int()
    powers = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1])
    return [bytes(row.tolist()) for row in (bits.reshape(-1, length, 8) * powers).sum(dim=-1)]


def _check(pixels: Tensor, length: int) -> int:
    """How many blocks the pictures have."""
    height, width = pixels.shape[1:3]
    if not 1 <= length <= LONGEST:
        raise WatermarkError(f"a watermark has 1 to {LONGEST} bytes; found {length}")
    blocks = (height // SIDE) * (width // SIDE)
    if height * width < LEAST_PIXELS or blocks < 8 * length:
        raise WatermarkError(
            f"a picture of {width}×{height} is too small for a watermark of {length} bytes; it needs {LEAST_PIXELS} "
            f"pixels and {8 * length} squares of {SIDE}×{SIDE}"
        )
    return blocks


def _bits(mark: bytes) -> Tensor:
    """The most significant first, as float."""
    return torch.tensor([byte >> place & 1 for byte in mark for place in range(7, -1, -1)], dtype=torch.float32)


def _approximations(colours: Tensor) -> Tensor:
    """Haar approximations of U, block by block: (batch, blocks, 16), float32. Rows and columns left over are left."""
    height, width = (side // SIDE * SIDE for side in colours.shape[1:3])
    u = (colours[:, :height, :width] @ torch.tensor(TO_U) + 128.0).clamp(0, 255).round()
    cells = u.reshape(len(u), height // SIDE, BLOCK, CELL, width // SIDE, BLOCK, CELL)
    sums = cells.sum(dim=(3, 6)) / 2.0  # (batch, rows, 4, columns, 4)
    return sums.movedim(2, 3).flatten(3).flatten(1, 2)


def _unblocked(values: Tensor, height: int, width: int) -> Tensor:
    """(batch, blocks, 16) back to pixels (batch, h, w), zero where no block is."""
    rows, columns = height // SIDE, width // SIDE
    cells = values.reshape(len(values), rows, columns, BLOCK, BLOCK).movedim(2, 3)
    cells = cells.flatten(3, 4).flatten(1, 2)  # (batch, rows·4, columns·4)
    whole = cells.repeat_interleave(CELL, dim=1).repeat_interleave(CELL, dim=2)
    return torch.nn.functional.pad(whole, (0, width - columns * SIDE, 0, height - rows * SIDE))


def _largest(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The value of the largest magnitude in each block but the first one, and its place: each (batch, blocks)."""
    place = blocks[..., 1:].abs().argmax(dim=-1) + 1
    return blocks.gather(-1, place[..., None])[..., 0], place
