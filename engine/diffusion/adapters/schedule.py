"""Adapters on single conditions, with strengths that change during a run: hooks, their keyframes, ranges of time.

A `WeightHook` says which adapter and how strong on either network; its keyframes multiply that from a moment of the run
on. The network is then a patched copy of its own for each strength: nothing is changed in place.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from engine.diffusion.adapters.patches import Lora, Toward, WeightPatch
from engine.diffusion.checkpoint import Weights
from engine.diffusion.hooks import Run, Timed
from engine.diffusion.tensorfile import Stamp


@dataclass(frozen=True)
class Keyframe:
    """From a part of the run on, hooks are so much as strong; for at least so many evaluations, if it has begun."""

    strength: float
    start_percent: float = 0.0
    guarantee_steps: int = 1


@dataclass(frozen=True)
class LoraFile:
    """An adapter file, for both networks."""

    path: Path
    stamp: Stamp

    def patch(self, component: str, strength: float) -> WeightPatch | None:
        """What to put on a network."""
        return Lora(self.path, self.stamp, strength)


@dataclass(frozen=True)
class OtherModel:
    """A whole model in the place of an adapter: what leads from the present one to it."""

    unet: Weights
    text: Weights | None

    def patch(self, component: str, strength: float) -> WeightPatch | None:
        """What to put on a network, if there is anything for it."""
        other = self.unet if component == "unet" else self.text
        return Toward(other, strength) if other is not None else None


@dataclass(frozen=True)
class WeightHook(Timed):
    """An adapter, its strengths on the denoising network and on the text encoder, and their keyframes by time."""

    source: LoraFile | OtherModel
    strength_model: float
    strength_clip: float
    keyframes: tuple[Keyframe, ...] = ()

    def now(self, sigma: float, run: Run) -> tuple[WeightPatch, ...]:
        """What is on the denoising network at a noise level of a run."""
        return self.put("unet", self.strength_model, keyframe_at(self.keyframes, sigma, run))

    def put(self, component: str, strength: float, keyframe: Keyframe | None) -> tuple[WeightPatch, ...]:
        """What is on a network at a keyframe; nothing at strength 0."""
        strength = strength * keyframe.strength if keyframe is not None else strength
        patch = self.source.patch(component, strength) if strength != 0 else None
        return (patch,) if patch is not None else ()


class _Place(NamedTuple):
    """Where a run is in a list of keyframes: at which noise level, which one, and for how many evaluations."""

    sigma: float
    at: int
    used: int


def keyframe_at(keyframes: tuple[Keyframe, ...], sigma: float, run: Run) -> Keyframe | None:
    """The keyframe that counts at a noise level; the first counts until the second begins. None if there are none.

    Noise levels are asked for as the run comes to them. One that has been used for fewer evaluations than it guarantees
    stays, unless it begins before the run does.
    """
    if not keyframes:
        return None
    key = (Keyframe, keyframes)
    place: _Place = run.memory.get(key, _Place(math.inf, 0, 0))
    if place.sigma != sigma:
        place = _moved(keyframes, place, sigma, run)
        run.memory[key] = place
    return keyframes[place.at]


def _moved(keyframes: tuple[Keyframe, ...], place: _Place, sigma: float, run: Run) -> _Place:
    begin = float(run.sigmas[0])

    def start(index: int) -> float:
        return run.table.percent_to_sigma(keyframes[index].start_percent)

    def guaranteed(index: int) -> int:
        return keyframes[index].guarantee_steps if start(index) <= begin else 0

    index, used = place.at, place.used
    if used >= guaranteed(index):
        for later in range(index + 1, len(keyframes)):
            if start(later) < sigma:
                break
            index, used = later, 0
            if guaranteed(later):
                break
    return _Place(sigma, index, used + 1)


def with_keyframe(keyframes: Iterable[Keyframe], *more: Keyframe) -> tuple[Keyframe, ...]:
    """All keyframes by time; of those with one time the earlier given come first."""
    return tuple(sorted((*keyframes, *more), key=lambda each: each.start_percent))


def _eased(way: Callable[[float], float]) -> Callable[[float, float, int], list[float]]:
    def between(start: float, end: float, count: int) -> list[float]:
        return [start + (end - start) * way(index / max(1, count - 1)) for index in range(count)]

    return between


INTERPOLATIONS: Mapping[str, Callable[[float, float, int], list[float]]] = {
    "linear": _eased(lambda part: part),
    "ease_in": _eased(lambda part: part**2),
    "ease_out": _eased(lambda part: 1 - (1 - part) ** 2),
    "ease_in_out": _eased(lambda part: (1 - math.cos(math.pi * part)) / 2),
}


def spread(strengths: Sequence[float], start: float, end: float) -> tuple[Keyframe, ...]:
    """Keyframes at even distances from one part of the run to another; only the first is sure to be used."""
    percents = INTERPOLATIONS["linear"](start, end, len(strengths))
    return tuple(
        Keyframe(strength, percent, 0 if index else 1)
        for index, (strength, percent) in enumerate(zip(strengths, percents, strict=True))
    )


class Stretch(NamedTuple):
    """A part of the run, and what is on the text encoder then."""

    start_percent: float
    end_percent: float
    patches: tuple[WeightPatch, ...]


def stretches(hooks: Sequence[WeightHook]) -> list[Stretch]:
    """The parts of a run in which a text encoder's hooks keep their strengths."""
    starts = {0.0, 1.0} | {each.start_percent for hook in hooks for each in hook.keyframes[1:]}
    found = []
    for start, end in pairwise(sorted(starts)):
        put = [hook.put("text", hook.strength_clip, _reached(hook.keyframes, start)) for hook in hooks]
        found.append(Stretch(start, end, tuple(patch for patches in put for patch in patches)))
    return found


def _reached(keyframes: Sequence[Keyframe], percent: float) -> Keyframe | None:
    begun = [each for each in keyframes[1:] if each.start_percent <= percent]
    return begun[-1] if begun else keyframes[0] if keyframes else None


def without_keyframes(hooks: Iterable[WeightHook]) -> tuple[WeightHook, ...]:
    """The same hooks, as strong all the time."""
    return tuple(replace(hook, keyframes=()) for hook in hooks)
