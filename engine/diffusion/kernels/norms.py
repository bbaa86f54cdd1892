"""GroupNorm and SiLU of channels-last maps on CUDA, by Triton: two passes over the map, where PyTorch takes four.

PyTorch's own GroupNorm wants the other layout and copies the map there and back. It is what is used for the first map,
by which the kernel's answer is judged, and for all others if that fails or is another.
"""

from __future__ import annotations

import importlib.util
import logging
import math

import torch
import torch.nn.functional as F
from torch import Tensor

AGREES = 0.01  # of its norm: how far the first answer may be from PyTorch's
NUMBERS = 4096  # of a block: pixels times channels
SPLITS = 64  # parts of a map, at most, that are summed side by side

log = logging.getLogger(__name__)
_states: dict[int, bool] = {}  # devices on which the first answer was compared, and whether it was right


def can_be_last(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a network of this type is to work channels-last there."""
    return device.type == "cuda" and dtype in (torch.float16, torch.bfloat16) and _is_there()


def takes(x: Tensor) -> bool:
    """Whether `group_norm` is for this map."""
    return (
        x.device.type == "cuda" and x.dtype in (torch.float16, torch.bfloat16) and not torch.is_grad_enabled()
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, *, silu: bool) -> Tensor:
    """GroupNorm, then SiLU, of a map (batch, c, h, w), channels-last: the same shape and layout, and type."""
    place = x.device.index or 0
    if _states.get(place):
        return launched(x, groups, weight, bias, eps, silu=silu)
    plain = F.group_norm(x, groups, weight, bias, eps)
    plain = (F.silu(plain) if silu else plain).contiguous(memory_format=torch.channels_last)
    if place in _states:  # it was wrong
        return plain
    try:
        away = float((launched(x, groups, weight, bias, eps, silu=silu).float() - plain.float()).norm())
        _states[place] = away <= AGREES * float(plain.float().norm())
        found = f"its answer is {away:.3g} away"
    except Exception as error:  # noqa: BLE001 - a compiler of another project: whatever it raises, there is another way
        _states[place], found = False, str(error)
    if not _states[place]:
        log.warning("GroupNorm is PyTorch's: the kernel is not used, since %s", found)
    return plain


def launched(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float, *, silu: bool) -> Tensor:
    """`group_norm` by the kernels."""
    import triton

    from engine.diffusion.kernels import norms_triton as kernels

    x = x.contiguous(memory_format=torch.channels_last)
    batch, channels, height, width = x.shape
    pixels, wide = height * width, triton.next_power_of_2(channels)
    rows = max(1, NUMBERS // wide)
    splits = min(SPLITS, math.ceil(pixels / rows))
    sums = torch.empty((batch, splits, 2, channels), dtype=torch.float32, device=x.device)
    scales = torch.empty((batch, 2, channels), dtype=torch.float32, device=x.device)
    out = torch.empty_like(x)  # channels-last too
    each = math.ceil(math.ceil(pixels / splits) / rows) * rows  # pixels of a part
    kernels.sums[(batch, splits)](x, sums, pixels, channels, each, splits, rows, wide)
    kernels.scales[(batch, groups)](
        sums, weight, bias, scales, pixels, channels, splits, eps, channels // groups,
        triton.next_power_of_2(splits), triton.next_power_of_2(channels // groups),
    )  # fmt: skip
    kernels.apply[(batch, math.ceil(pixels / rows))](x, scales, out, pixels, channels, silu, rows, wide)
    return out


def _is_there() -> bool:
    return importlib.util.find_spec("triton") is not None
