"""Bounds on what one value may be, so that a mistyped size is an error and not the end of the process."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LARGEST = 8 * 2**30  # bytes of float32
GIB = 2**30


def check_size(shape: Sequence[int], what: str) -> None:
    """Raise ValueError if a float32 tensor of this shape would be larger than anything that can be worked on.

    >>> check_size((4096, 4, 2048, 2048), "an empty latent")
    Traceback (most recent call last):
        ...
    ValueError: an empty latent of 4096×4×2048×2048 takes 256 GiB; the limit is 8 GiB: choose a smaller size or batch
    """
    nbytes = 4 * math.prod(shape)
    if nbytes > LARGEST:
        sides = "×".join(map(str, shape))
        raise ValueError(
            f"{what} of {sides} takes {nbytes / GIB:.0f} GiB; the limit is {LARGEST // GIB} GiB: "
            "choose a smaller size or batch"
        )


def check_finite(x: Tensor, what: str) -> None:
    """Raise ValueError if a batch (batch, …) holds NaN or infinity: nothing but a black picture can come of it."""
    if bool(torch.isfinite(x).all()):
        return
    bad = ~torch.isfinite(x).flatten(1)
    count, item = int(bad.sum()), int(bad.any(dim=1).nonzero()[0])
    values = "1 value" if count == 1 else f"{count} values"
    raise ValueError(
        f"{what} holds {values} of {x.numel()} that {'is' if count == 1 else 'are'} NaN or infinite, the first in item "
        f"{item} of the batch: what made it overflowed, or read a broken file; try --precision fp32, less guidance, "
        "or without adapters"
    )
