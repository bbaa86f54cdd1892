"""Arithmetic on lists of conditions: what the conditioning nodes do (numerics.md, 5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.guidance import Condition, fit_batch

Conditions = tuple[Condition, ...]


def average(to: Sequence[Condition], other: Sequence[Condition], weight: float) -> Conditions:
    """``weight · to + (1 − weight) · other[0]`` for each entry of `to`; the other text is cut or padded to its length.

    Pooled texts are blended alike; an entry without one takes the other's. Raises ValueError for an empty list and for
    texts of different widths.
    """
    source = _first(other, to)

    def one(entry: Condition) -> Condition:
        length = entry.states.shape[1]
        states = source.states[:, :length]
        states = F.pad(states, (0, 0, 0, length - states.shape[1]))
        pooled = entry.pooled
        if source.pooled is not None:
            pooled = source.pooled if pooled is None else weight * pooled + (1.0 - weight) * source.pooled
        return replace(entry, states=weight * entry.states + (1.0 - weight) * states, pooled=pooled)

    return tuple(one(entry) for entry in to)


def concat(to: Sequence[Condition], other: Sequence[Condition]) -> Conditions:
    """The tokens of other[0] after those of each entry of `to`, which keeps its pooled text and its options.

    Raises ValueError for an empty list and for texts of different widths.
    """
    source = _first(other, to)

    def one(entry: Condition) -> Condition:
        batch = max(entry.states.shape[0], source.states.shape[0])
        states = torch.cat([fit_batch(entry.states, batch), fit_batch(source.states, batch)], dim=1)
        return replace(entry, states=states)

    return tuple(one(entry) for entry in to)


def zeroed(entries: Sequence[Condition]) -> Conditions:
    """The same entries with texts of zeros: guidance without words."""

    def zeros(text: Tensor | None) -> Tensor | None:
        return None if text is None else torch.zeros_like(text)

    return tuple(
        replace(entry, states=torch.zeros_like(entry.states), pooled=zeros(entry.pooled)) for entry in entries
    )


def _first(other: Sequence[Condition], to: Sequence[Condition]) -> Condition:
    """The entry that counts; told from the widths whether the texts can be mixed at all."""
    if not other:
        raise ValueError("conditioning_from is an empty list; it takes at least one encoded text")
    width = other[0].states.shape[-1]
    for number, entry in enumerate(to):
        if entry.states.shape[-1] != width:
            raise ValueError(
                f"entry {number} of conditioning_to is {entry.states.shape[-1]} wide and conditioning_from is {width}: "
                "they come from text encoders of different families; encode both with one"
            )
    return other[0]
