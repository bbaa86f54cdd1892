"""Pictures and masks made ready for inpainting: cropping, the grey fill, growing a mask (numerics.md, 3.7)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = 0.5


class Masked(NamedTuple):
    """A picture and its mask, cut to sizes that the autoencoder takes.

    pixels (batch, h, w, 3); mask (batch or 1, 1, h, w), fractional; hidden: the pixels with grey where the mask is.
    """

    pixels: Tensor
    mask: Tensor
    hidden: Tensor


def mask_picture(pixels: Tensor, mask: Tensor, multiple: int) -> Masked:
    """Scale a mask (batch or 1, h, w) to the picture (batch, h, w, 3 or 4), cut both centrally to multiples, and hide.

    What is hidden is decided by the mask rounded half to even. ValueError for a picture or a batch that does not fit.
    """
    if mask.ndim == 2:
        mask = mask[None]
    if mask.shape[0] not in (1, pixels.shape[0]):
        raise ValueError(
            f"a batch of {mask.shape[0]} masks does not fit {pixels.shape[0]} pictures; give one mask, or one for each"
        )
    height, width = pixels.shape[1] // multiple * multiple, pixels.shape[2] // multiple * multiple
    if not height or not width:
        size = f"{pixels.shape[2]}×{pixels.shape[1]}"
        raise ValueError(f"a picture of {size} is too small to encode; {multiple}×{multiple} is the least")
    full = F.interpolate(mask.float()[:, None], size=tuple(pixels.shape[1:3]), mode="bilinear")
    top, left = pixels.shape[1] % multiple // 2, pixels.shape[2] % multiple // 2
    cut = pixels[:, top : top + height, left : left + width, :3]
    full = full[:, :, top : top + height, left : left + width]
    keep = (1.0 - full.round()).movedim(1, -1)  # (batch or 1, h, w, 1)
    return Masked(cut, full, (cut - GREY) * keep + GREY)


def grow_mask(mask: Tensor, by: int) -> Tensor:
    """The mask (batch, 1, h, w) rounded and grown by a square of `by` pixels; 0 leaves it as it is.

    An even square is not centred: a masked pixel p of 6 grows to p - 2 … p + 3.
    """
    if by == 0:
        return mask
    padding = -(-(by - 1) // 2)
    grown = F.conv2d(mask.round(), torch.ones(1, 1, by, by), padding=padding).clamp(0, 1)
    return grown[:, :, : mask.shape[2], : mask.shape[3]]
