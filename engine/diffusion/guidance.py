"""Between a sampler and the network: conditions, how their answers are combined, guidance and masks.

Three layers, each a generator around the next: *mask* (blend x, ask, blend the answer) → *guider* (one question of the
sampler becomes a list of `Call`s, whose answers it combines: `guiders.py`) → *network*, which whoever drives the
generators provides.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.hooks import NetworkPatch, Run, Timed
from engine.diffusion.process import Process
from engine.diffusion.solvers.steps import Evaluate, Guess
from engine.diffusion.transfer import sent

LEAST_COVER = 1e-37  # keeps pixels that no condition covers finite
FEATHER = 8  # latent rows and columns over which an area fades in
LEAST_BOUNDS = 8  # the smallest area that is cut around a mask
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Area(NamedTuple):
    """A rectangle of the latent."""

    height: int
    width: int
    y: int
    x: int


class AreaPart(NamedTuple):
    """A rectangle in parts of the latent's sides, 0 to 1."""

    height: float
    width: float
    y: float
    x: float


@dataclass(frozen=True, eq=False)
class Condition:
    """One entry of a conditioning list (numerics.md, 5.1).

    states: the text (1 or batch, tokens, width). mask (batch, h, w) or (h, w), any size. area: where it holds.
    extra: what else the model or an adapter reads, by name; unknown names are kept. patches: what is put into the
    network when it is asked for this entry, after the model's own. hooks: what is on the network's weights then.
    default: it holds where no other entry of the list does.
    """

    states: Tensor
    pooled: Tensor | None = None
    area: Area | AreaPart | None = None
    strength: float = 1.0
    mask: Tensor | None = None
    mask_strength: float = 1.0
    set_area_to_bounds: bool = False
    start_percent: float = 0.0
    end_percent: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    patches: tuple[NetworkPatch, ...] = ()
    hooks: tuple[Timed, ...] = ()
    default: bool = False


@dataclass(frozen=True, eq=False)
class Call:
    """One evaluation of the network, to be answered by the clean latent (batch, c, h, w), float32.

    x: the noisy latent, cropped to `area` if there is one. sigma: a scalar tensor on the CPU.
    extras: tensors for the network by name ("concat", "y"), already cropped. patches: what is put into the network.
    role: which list of conditions it answers ("positive", "negative", …). run: what it is part of, for patches.
    put: patches of weights besides the model's own.
    """

    x: Tensor
    sigma: Tensor
    context: Tensor
    area: Area | None = None
    extras: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    patches: tuple[NetworkPatch, ...] = ()
    role: str = ""
    run: Run | None = None
    put: tuple[Any, ...] = ()


Network = Callable[[Sequence[Call]], Sequence[Tensor]]
T = TypeVar("T")
Asking = Generator[list[Call], list[Tensor], T]  # something worked out by asking the network
Answering = Asking[Guess]
Guider = Callable[[Evaluate], Answering]


@dataclass(frozen=True, eq=False)
class Part:
    """A condition made ready for one run: sizes resolved, percents turned into sigmas, its weight map drawn."""

    condition: Condition
    area: Area | None
    mask: Tensor | None  # (batch, h, w) in 0..1, the latent's size
    start_sigma: float
    end_sigma: float
    extras: Mapping[str, Any]
    cover: Tensor | None = None  # (batch, 1, h, w): its weight, where that is what others leave


def prepare(
    positive: Sequence[Condition],
    negative: Sequence[Condition],
    shape: Sequence[int],
    table: Process,
    inputs: Callable[[Condition], Mapping[str, Any]] = lambda condition: NOTHING,
) -> tuple[list[Part], list[Part]]:
    """`prepare_lists` for the usual two."""
    parts = prepare_lists({"positive": positive, "negative": negative}, shape, table, inputs)
    return parts["positive"], parts["negative"]


def prepare_lists(
    lists: Mapping[str, Sequence[Condition]],
    shape: Sequence[int],
    table: Process,
    inputs: Callable[[Condition], Mapping[str, Any]] = lambda condition: NOTHING,
) -> dict[str, list[Part]]:
    """Make lists of conditions ready for latents of a shape (batch, c, h, w): numerics.md, 5.3.

    inputs: what the network reads besides the text for a condition ("concat", "y": see `inputs.extra_inputs`).
    Raises ValueError that names the list and the entry whose area lies outside.
    """
    parts = {
        role: [
            _part(condition, shape, table, inputs(condition), f"{role or 'conditioning'} {number} of {len(conditions)}")
            for number, condition in enumerate(conditions, 1)
        ]
        for role, conditions in lists.items()
    }
    for role in parts:
        for part in list(parts[role]):
            for other in parts:
                if other != role:
                    _add_counterpart(part, parts[other])
    for other in parts:
        if "positive" in parts and other != "positive":
            _share(parts["positive"], parts[other])
    return parts


def _part(condition: Condition, shape: Sequence[int], table: Process, extras: Mapping[str, Any], name: str) -> Part:
    height, width = shape[-2], shape[-1]
    if condition.patches:
        condition = replace(condition, patches=tuple(patch.told(condition.extra) for patch in condition.patches))
    area = _resolve(condition.area, height, width, name)
    mask = condition.mask
    if mask is not None:
        mask = (mask if mask.ndim == 3 else mask[None]).float()
        if mask.shape[1:] != (height, width):
            mask = F.interpolate(mask[:, None], size=(height, width), mode="bilinear", align_corners=False)[:, 0]
        if condition.set_area_to_bounds:
            area = _bounds(mask)
    return Part(
        condition, area, mask,
        table.percent_to_sigma(max(condition.start_percent, condition.extra.get("clip_start_percent", 0.0))),
        table.percent_to_sigma(min(condition.end_percent, condition.extra.get("clip_end_percent", 1.0))), extras,
    )  # fmt: skip


def _resolve(area: Area | AreaPart | None, height: int, width: int, name: str) -> Area | None:
    if isinstance(area, AreaPart):
        rows, columns = max(1, round(area.height * height)), max(1, round(area.width * width))
        area = Area(rows, columns, round(area.y * height), round(area.x * width))
    if area is None:
        return None
    clipped = Area(min(area.height, height - area.y), min(area.width, width - area.x), area.y, area.x)
    if min(clipped.height, clipped.width) < 1 or min(area.y, area.x) < 0:
        raise ValueError(
            f"{name}: its area, {area.width}×{area.height} at x {area.x}, y {area.y}, lies outside the latent, which "
            f"is {width}×{height} (all in latent pixels, eight of the picture's); move the area or enlarge the picture"
        )
    return area


def _bounds(mask: Tensor) -> Area:
    """The box around a mask's non-zero part."""
    covered = mask.abs().amax(dim=0) != 0
    rows, columns = covered.any(dim=1).nonzero(), covered.any(dim=0).nonzero()
    if len(rows) == 0:
        return Area(LEAST_BOUNDS, LEAST_BOUNDS, 0, 0)
    top, bottom, left, right = int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
    return Area(max(LEAST_BOUNDS, bottom - top + 1), max(LEAST_BOUNDS, right - left + 1), top, left)


def _add_counterpart(part: Part, others: list[Part]) -> None:
    """Give the other list an entry with this one's area, so that both sides of guidance see the same crop (5.3, 4)."""
    if part.area is None:
        return
    smallest: Part | None = None
    for other in others:
        if other.area is not None and _contains(other.area, part.area):
            if smallest is None or smallest.area is None or _size(other.area) < _size(smallest.area):
                smallest = other
        elif other.area is None and smallest is None:
            smallest = other
    if smallest is not None and smallest.area != part.area:
        text = smallest.condition
        others.append(replace(part, condition=replace(part.condition, states=text.states, pooled=text.pooled),
                              extras=smallest.extras))  # fmt: skip


def _share(giving: list[Part], taking: list[Part]) -> None:
    """Give patches of whole-frame entries to those of another list, unless one there has some (numerics.md, 8.1).

    ControlNets are given where their condition says so: control_apply_to_uncond.
    """
    words = dict.fromkeys(patch.shares for part in giving for patch in part.condition.patches if patch.shares)
    for word in words:
        whole = [index for index, part in enumerate(taking) if part.area is None]
        if not whole or any(_sharing(taking[index], word) for index in whole):
            continue
        givers = [part for part in giving if part.area is None and _sharing(part, word) and _is_given(part, word)]
        for number, giver in enumerate(givers):
            index = whole[number % len(whole)]
            taker = taking[index].condition
            own = tuple(patch for patch in taker.patches if patch.shares != word)
            given = tuple(patch.told(taker.extra) for patch in _sharing(giver, word))
            taking[index] = replace(taking[index], condition=replace(taker, patches=(*own, *given)))


def _is_given(part: Part, word: str) -> bool:
    return bool(part.condition.extra.get(f"{word}_apply_to_uncond", word != "control"))


def _sharing(part: Part, word: str) -> tuple[NetworkPatch, ...]:
    return tuple(patch for patch in part.condition.patches if patch.shares == word)


def _contains(outer: Area, inner: Area) -> bool:
    return (
        outer.y <= inner.y and outer.x <= inner.x
        and outer.y + outer.height >= inner.y + inner.height and outer.x + outer.width >= inner.x + inner.width
    )  # fmt: skip


def _size(area: Area) -> int:
    return area.height * area.width


def _clip(area: Area, x: Tensor) -> Area:
    height, width = x.shape[-2:]
    return Area(min(area.height, height - area.y), min(area.width, width - area.x), area.y, area.x)


def _crop(x: Tensor, area: Area | None) -> Tensor:
    if area is None:
        return x
    return x[..., area.y : area.y + area.height, area.x : area.x + area.width]


def _active(parts: Sequence[Part], sigma: Tensor) -> list[Part]:
    value = float(sigma)
    return [part for part in parts if part.end_sigma <= value <= part.start_sigma]


def _weight(part: Part, x: Tensor, area: Area | None) -> Tensor:
    """How much an entry counts at each place of its crop (batch, 1, h, w)."""
    batch, _, height, width = _crop(x, area).shape
    if part.cover is not None:
        return _crop(part.cover, area)
    if part.mask is not None:
        mask = sent(fit_batch(_crop(part.mask[:batch], area), batch)[:, None], x.device)
        return mask * part.condition.mask_strength * part.condition.strength
    weight = torch.ones((batch, 1, height, width), device=x.device) * part.condition.strength
    if area is not None:
        weight = weight * sent(_fade(height, area.y, x.shape[2])[:, None], x.device)
        weight = weight * sent(_fade(width, area.x, x.shape[3]), x.device)
    return weight


def _fade(length: int, start: int, whole: int) -> Tensor:
    """Weights along one side: rising from an edge inside the picture, falling towards one."""
    ramp = min(FEATHER, length // 4)
    fade = torch.ones(length)
    for step in range(ramp):
        if start != 0:
            fade[step] *= (step + 1) / ramp
        if start + length < whole:
            fade[length - 1 - step] *= (step + 1) / ramp
    return fade


def fit_batch(x: Tensor, batch: int) -> Tensor:
    """Cut or repeat along the first axis to `batch` items (numerics.md, 3.8)."""
    if x.shape[0] < batch:
        x = x.repeat(math.ceil(batch / x.shape[0]), *[1] * (x.ndim - 1))
    return x[:batch]


def _call(
    part: Part, x: Tensor, sigma: Tensor, patches: tuple[NetworkPatch, ...], role: str, run: Run | None
) -> Call:
    area = _clip(part.area, x) if part.area is not None else None
    crop = _crop(x, area)
    extras = {
        name: fit_batch(_crop(value, area), crop.shape[0]) if name == "concat" else value
        for name, value in part.extras.items()
    }
    states = fit_batch(part.condition.states, crop.shape[0])
    hooks = part.condition.hooks
    if hooks and run is None:
        raise LookupError("hooks on a condition work within a run, and this is a lone call")
    put = tuple(patch for hook in hooks for patch in hook.now(float(sigma), run)) if run is not None else ()
    return Call(crop, sigma, states, area, extras, (*patches, *part.condition.patches), role, run, put)


def evaluate(
    lists: Mapping[str, Sequence[Part]], x: Tensor, sigma: Tensor,
    patches: tuple[NetworkPatch, ...] = (), run: Run | None = None,
) -> Asking[dict[str, Tensor]]:
    """The clean latent that each list of conditions sees in x (batch, c, h, w), all asked at once.

    0 where no entry of a list is active.
    """
    active = {role: _with_defaults(_active(parts, sigma), x) for role, parts in lists.items()}
    calls = [_call(part, x, sigma, patches, role, run) for role, parts in active.items() for part in parts]
    answers = (yield calls) if calls else []
    guesses, start = {}, 0
    for role, parts in active.items():
        end = start + len(parts)
        guesses[role] = combine(parts, calls[start:end], answers[start:end], x)
        start = end
    return guesses


def _with_defaults(parts: list[Part], x: Tensor) -> list[Part]:
    """Entries, and default ones where these leave something: relu(1 - Σ of their weights), numerics.md, 5.3."""
    defaults = [part for part in parts if part.condition.default]
    if not defaults:
        return parts
    others = [part for part in parts if not part.condition.default]
    left = torch.ones((x.shape[0], 1, *x.shape[2:]), device=x.device)
    for part in others:
        area = _clip(part.area, x) if part.area is not None else None
        _crop(left, area).sub_(_weight(part, x, area))
    left = left.clamp(min=0)
    return [*others, *(replace(part, cover=left) for part in defaults)] if bool(left.any()) else others


def combine(parts: Sequence[Part], calls: Sequence[Call], answers: Sequence[Tensor], x: Tensor) -> Tensor:
    """The weighted mean of the answers, each in its own area; 0 where none holds (numerics.md, 5.3)."""
    total = torch.zeros(x.shape, device=x.device)
    cover = torch.full((x.shape[0], 1, *x.shape[2:]), LEAST_COVER, device=x.device)
    for part, call, answer in zip(parts, calls, answers, strict=True):
        weight = _weight(part, x, call.area)
        _crop(total, call.area).add_(answer * weight)
        _crop(cover, call.area).add_(weight)
    return total / cover


def masked(
    guider: Guider, mask: Tensor, latent: Tensor, noise: Tensor,
    changed: Callable[[Tensor, Tensor], Tensor] = lambda mask, sigma: mask,
) -> Guider:
    """Keep the latent (scaled) where the mask is 0: blend what is asked and what is answered (numerics.md, 3.6).

    The sampler's own x is not touched, and `uncond` stays as the network gave it. changed: the mask at a noise level.
    """

    def guide(question: Evaluate) -> Answering:
        paint = changed(mask, question.sigma)
        keep = 1.0 - paint
        x = question.x * paint + (latent + question.sigma * noise) * keep
        denoised, uncond = yield from guider(Evaluate(x, question.sigma))
        return Guess(denoised * paint + latent * keep, uncond)

    return guide


def prepare_mask(mask: Tensor, shape: Sequence[int]) -> Tensor:
    """A noise mask of any size to the latent's shape (batch, c, h, w); values stay fractional."""
    mask = mask.reshape(-1, 1, *mask.shape[-2:]).float()
    mask = F.interpolate(mask, size=tuple(shape[-2:]), mode="bilinear", align_corners=False)
    return fit_batch(mask.expand(-1, shape[1], -1, -1), shape[0])
