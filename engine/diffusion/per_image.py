"""Seeds per picture: item i of a batch is, bit for bit, the single picture of the seed plus i.

In a batch the noise of later items depends on how many come before, samplers with noise draw for all at once, and
some of guidance is worked out over the whole batch. Here each item is a run of its own instead; the network is loaded
once. What a batch of n costs is then n single pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from engine.diffusion.guidance import Condition
from engine.diffusion.sampling import Sampled, Sampling

LARGEST_SEED = 2**64
T = TypeVar("T")


@dataclass(frozen=True)
class PerImageSeeds:
    """On a model: its runs are made picture by picture."""


def asked_for(patches: tuple[Any, ...]) -> bool:
    """Whether a model's patches ask for it."""
    return any(isinstance(each, PerImageSeeds) for each in patches)


def single_runs(sampling: Sampling) -> list[Sampling]:
    """A run for each item of the batch, whose seed is the run's plus the item's number in the batch.

    An item that was taken from a larger batch (``batch_index``) keeps the number it had there.
    """
    count = sampling.latent.shape[0]
    numbers = sampling.batch_index or tuple(range(count))
    return [
        replace(
            sampling, latent=sampling.latent[item : item + 1], seed=(sampling.seed + numbers[item]) % LARGEST_SEED,
            batch_index=None, positive=_conditions(sampling.positive, item, count),
            negative=_conditions(sampling.negative, item, count), guiding=_guiding(sampling.guiding, item, count),
            noise_mask=_row(sampling.noise_mask, item) if sampling.noise_mask is not None else None,
            initial=_row(sampling.initial, item) if sampling.initial is not None else None,
        )
        for item in range(count)
    ]


def sample_each(sampling: Sampling, run: Callable[[Sampling, int, int], Sampled]) -> Sampled:
    """Have every item run by itself; ``run`` is given the run, its number and how many there are."""
    runs = single_runs(sampling)
    made = [run(each, number, len(runs)) for number, each in enumerate(runs)]
    return Sampled(torch.cat([each.samples for each in made]), torch.cat([each.denoised for each in made]))


def _row(tensor: Tensor, item: int) -> Tensor:
    """The row of an item; fewer rows than items are gone through again, as a batch does it."""
    row = item % tensor.shape[0]
    return tensor[row : row + 1]


def _conditions(conditions: tuple[Condition, ...], item: int, count: int) -> tuple[Condition, ...]:
    return tuple(_condition(each, item, count) for each in conditions)


def _condition(condition: Condition, item: int, count: int) -> Condition:
    extra = {
        name: _row(value, item) if isinstance(value, Tensor) and value.ndim > 1 and value.shape[0] == count else value
        for name, value in condition.extra.items()
    }
    mask = condition.mask
    return replace(
        condition, states=_row(condition.states, item), extra=extra,
        pooled=_row(condition.pooled, item) if condition.pooled is not None and condition.pooled.ndim > 1
        else condition.pooled,
        mask=_row(mask, item) if mask is not None and mask.ndim > 2 else mask,
    )


def _guiding(guiding: T, item: int, count: int) -> T:
    """How to guide, with the conditions in it cut down."""
    changed: dict[str, Any] = {}
    for each in fields(guiding) if guiding is not None else ():  # type: ignore[arg-type]
        value = getattr(guiding, each.name)
        if isinstance(value, tuple) and value and all(isinstance(entry, Condition) for entry in value):
            changed[each.name] = _conditions(value, item, count)
    return replace(guiding, **changed) if changed else guiding  # type: ignore[type-var]
