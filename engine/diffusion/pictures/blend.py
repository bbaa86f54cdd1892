"""Mixing two pictures: blend modes, and the compositing of Porter and Duff, "Compositing Digital Images" (1984).

Pictures are (batch, h, w, channels), alphas (batch, h, w, 1) with 1 opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from engine.diffusion.guidance import fit_batch

LEAST_ALPHA = 1e-5  # below it a premultiplied colour says nothing any more
Mix = Callable[[Tensor, Tensor], Tensor]


def _soft_light(base: Tensor, light: Tensor) -> Tensor:
    """W3C Compositing and Blending, level 1, section 10.1.9, with D(x) as there."""
    spread = torch.where(base <= 0.25, ((16 * base - 12) * base + 4) * base, base.clamp(min=0).sqrt())
    darker = base - (1 - 2 * light) * base * (1 - base)
    return torch.where(light <= 0.5, darker, base + (2 * light - 1) * (spread - base))


BLENDS: Mapping[str, Mix] = {
    "normal": lambda base, top: top,
    "multiply": lambda base, top: base * top,
    "screen": lambda base, top: 1 - (1 - base) * (1 - top),
    "overlay": lambda base, top: torch.where(base <= 0.5, 2 * base * top, 1 - 2 * (1 - base) * (1 - top)),
    "soft_light": _soft_light,
    "difference": lambda base, top: base - top,  # not its absolute value: what is below 0 is clamped, as in ComfyUI
}


def blend(base: Tensor, top: Tensor, factor: float, mode: str) -> Tensor:
    """``base·(1 − factor) + mode(base, top)·factor``, clamped. One of both may be a batch for the other."""
    batch = max(base.shape[0], top.shape[0])
    base, top = fit_batch(base, batch), fit_batch(top, batch)
    return (base * (1 - factor) + BLENDS[mode](base, top) * factor).clamp(0, 1)


# What counts of a premultiplied source and destination with the alphas a and b (Porter and Duff, table 1).
FACTORS: Mapping[str, Mix] = {
    "0": lambda a, b: torch.zeros_like(a),
    "1": lambda a, b: torch.ones_like(a),
    "a": lambda a, b: a,
    "b": lambda a, b: b,
    "1 - a": lambda a, b: 1 - a,
    "1 - b": lambda a, b: 1 - b,
}
OPERATORS: Mapping[str, tuple[str, str]] = {
    "ADD": ("1", "1"),
    "CLEAR": ("0", "0"),
    "DST": ("0", "1"),
    "DST_ATOP": ("1 - b", "a"),
    "DST_IN": ("0", "a"),
    "DST_OUT": ("0", "1 - a"),
    "DST_OVER": ("1 - b", "1"),
    "SRC": ("1", "0"),
    "SRC_ATOP": ("b", "1 - a"),
    "SRC_IN": ("b", "0"),
    "SRC_OUT": ("1 - b", "0"),
    "SRC_OVER": ("1", "1 - a"),
    "XOR": ("1 - b", "1 - a"),
}

# The rest mix colours: of premultiplied s and d with alphas a and b, as Android's PorterDuff.Mode documents them.
Colours = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
MIXERS: Mapping[str, Colours] = {
    "DARKEN": lambda s, d, a, b: (1 - b) * s + (1 - a) * d + torch.minimum(s, d),
    "LIGHTEN": lambda s, d, a, b: (1 - b) * s + (1 - a) * d + torch.maximum(s, d),
    "MULTIPLY": lambda s, d, a, b: s * d,
    "OVERLAY": lambda s, d, a, b: torch.where(2 * d < b, 2 * s * d, a * b - 2 * (b - s) * (a - d)),
    "SCREEN": lambda s, d, a, b: s + d - s * d,
}
MODES: tuple[str, ...] = tuple(sorted((*OPERATORS, *MIXERS)))


def porter_duff(
    source: Tensor, source_alpha: Tensor, destination: Tensor, destination_alpha: Tensor, mode: str
) -> tuple[Tensor, Tensor]:
    """Put a source over, into, beside … a destination; gives the colours (not premultiplied) and the alpha."""
    s, d, a, b = source * source_alpha, destination * destination_alpha, source_alpha, destination_alpha
    if mode in OPERATORS:
        of_source, of_destination = (FACTORS[name](a, b) for name in OPERATORS[mode])
        colour = (of_source * s + of_destination * d).clamp(0, 1)
        alpha = (of_source * a + of_destination * b).clamp(0, 1)
    else:
        colour = MIXERS[mode](s, d, a, b)
        alpha = a * b if mode == "MULTIPLY" else a + b - a * b
    seen = alpha > LEAST_ALPHA
    return torch.where(seen, colour / torch.where(seen, alpha, 1.0), 0.0).clamp(0, 1), alpha
