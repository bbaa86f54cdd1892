"""Guiders: one question of a sampler becomes questions about several lists of conditions, and their answers one guess.

A `Guiding` is a frozen description: the lists, the scales, and how they are combined. `GuidancePatch`es of a model are
called between; which, when and with what is said at `GuidanceHooks` (numerics.md, 5.2).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from engine.diffusion.guidance import Answering, Asking, Condition, Guider, Part, evaluate
from engine.diffusion.hooks import NetworkPatch, Run
from engine.diffusion.solvers.steps import Evaluate, Guess

Lists = Mapping[str, Sequence[Part]]


@dataclass(frozen=True, eq=False)
class Guided:
    """One question of the sampler as guidance hooks see it.

    x, cond, uncond, denoised: (batch, c, h, w); the last is what guidance has made of it so far. uncond is 0 where the
    negative list was not asked. lists: the conditions by role; patches: what the model puts into the network.
    """

    x: Tensor
    sigma: Tensor
    cfg: float
    cond: Tensor
    uncond: Tensor
    denoised: Tensor
    lists: Lists
    patches: tuple[NetworkPatch, ...]
    run: Run | None

    def ask(self, role: str, x: Tensor | None = None, patches: tuple[NetworkPatch, ...] = ()) -> Asking[Tensor]:
        """What a list of conditions sees in x (or in the question's own), with more patches put in."""
        asked = {role: self.lists.get(role, ())}
        guesses = yield from evaluate(
            asked, self.x if x is None else x, self.sigma, (*self.patches, *patches), self.run
        )
        return guesses[role]


Before = Callable[[Guided], Asking[tuple[Tensor, Tensor]]]
Making = Callable[[Guided], Asking[Tensor]]
Watching = Callable[[Run | None], tuple[NetworkPatch, ...]]
Evaluating = Callable[
    [Lists, Tensor, Tensor, tuple[NetworkPatch, ...], Run | None], Asking[dict[str, Tensor]]
]


@dataclass(frozen=True, eq=False)
class GuidanceHooks:
    """What patches do between guider and network, in this order; all but the first and `mask` may ask the network.

    scale: another cfg at a noise level, given (cfg, sigma, run); where it is 1 the negative list is not asked.
    evaluate: answers in the place of `guidance.evaluate`. before: makes cond and uncond anew before they are combined.
    combine: the guess, in the place of ``uncond + cfg·(cond - uncond)``; of several the last is taken. after: makes
    the guess anew. mask: the noise mask at a noise level, given (mask, sigma, run). keeps_uncond: the negative list
    is asked even at cfg 1.
    """

    scale: tuple[Callable[[float, Tensor, Run | None], float], ...] = ()
    evaluate: Evaluating | None = None
    before: tuple[Before, ...] = ()
    combine: Making | None = None
    after: tuple[Making, ...] = ()
    mask: tuple[Callable[[Tensor, Tensor, Run], Tensor], ...] = ()
    keeps_uncond: bool = False


class GuidancePatch:
    """A change to what happens between sampler and network: a frozen, hashable dataclass on a model."""

    def hooks(self) -> GuidanceHooks:
        """The functions to be called; what they remember from step to step is kept in ``moment.run.memory``."""
        raise NotImplementedError


def join(many: Sequence[GuidanceHooks]) -> GuidanceHooks:
    """All hooks of a model's patches, in their order."""
    joined = GuidanceHooks()
    for hooks in many:
        joined = GuidanceHooks(
            joined.scale + hooks.scale, hooks.evaluate or joined.evaluate, joined.before + hooks.before,
            hooks.combine or joined.combine, joined.after + hooks.after, joined.mask + hooks.mask,
            joined.keeps_uncond or hooks.keeps_uncond,
        )
    return joined


def answered(function: Callable[[Guided], Tensor]) -> Making:
    """A hook that asks nothing, as the generator that hooks are."""

    def generator(moment: Guided) -> Asking[Tensor]:
        yield from ()
        return function(moment)

    return generator


@dataclass(frozen=True, eq=False)
class Setting:
    """What a guider works in: the model's patches, and whether the sampler reads the unconditional guess."""

    hooks: GuidanceHooks = field(default_factory=GuidanceHooks)
    patches: tuple[NetworkPatch, ...] = ()
    run: Run | None = None
    needs_uncond: bool = False

    def shortens(self, scale: float) -> bool:
        """Whether a list may go unasked because a scale of 1 cancels it."""
        return math.isclose(scale, 1.0) and not (self.needs_uncond or self.hooks.keeps_uncond)

    def evaluate(self, lists: Lists, x: Tensor, sigma: Tensor) -> Asking[dict[str, Tensor]]:
        """The guesses of all lists."""
        return (self.hooks.evaluate or evaluate)(lists, x, sigma, self.patches, self.run)


class Guiding:
    """How a run is guided: a frozen description."""

    def conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """The lists of conditions by role."""
        raise NotImplementedError

    def guider(self, lists: Lists, setting: Setting) -> Guider:
        """The guider of one run, for the lists made ready."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Cfg(Guiding):
    """Classifier-free guidance on clean latents: Ho and Salimans (arXiv:2207.12598), numerics.md, 5.2.

    At cfg 1 the negative list is not asked, unless the sampler or a patch needs its answer.
    """

    positive: tuple[Condition, ...]
    negative: tuple[Condition, ...] = ()
    cfg: float = 1.0

    def conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """Two lists."""
        return {"positive": self.positive, "negative": self.negative}

    def guider(self, lists: Lists, setting: Setting) -> Guider:
        """The guider of one run."""
        return cfg_guider(lists["positive"], lists["negative"], self.cfg, setting=setting)


def cfg_guider(
    positive: Sequence[Part], negative: Sequence[Part], cfg: float, needs_uncond: bool = False,
    setting: Setting | None = None,
) -> Guider:
    """Classifier-free guidance for lists made ready: see `Cfg`."""
    setting = setting or Setting(needs_uncond=needs_uncond)

    def guide(question: Evaluate) -> Answering:
        x, sigma = question
        scale = cfg
        for change in setting.hooks.scale:
            scale = change(scale, sigma, setting.run)
        lists = {"positive": positive, "negative": () if setting.shortens(scale) else negative}
        guesses = yield from setting.evaluate(lists, x, sigma)
        moment = moment_of(question, scale, guesses["positive"], guesses["negative"], lists, setting)
        moment = yield from prepared(moment, setting.hooks)
        denoised = yield from combined(moment, setting.hooks)
        return Guess(denoised, moment.uncond)

    return guide


def moment_of(
    question: Evaluate, cfg: float, cond: Tensor, uncond: Tensor, lists: Lists, setting: Setting
) -> Guided:
    """The answers to one question of the sampler, before anything is made of them."""
    return Guided(question.x, question.sigma, cfg, cond, uncond, cond, lists, setting.patches, setting.run)


def prepared(moment: Guided, hooks: GuidanceHooks) -> Asking[Guided]:
    """After the hooks that make cond and uncond anew."""
    for before in hooks.before:
        cond, uncond = yield from before(moment)
        moment = replace(moment, cond=cond, uncond=uncond)
    return moment


def combined(moment: Guided, hooks: GuidanceHooks) -> Asking[Tensor]:
    """The two guesses combined, and what patches make of that."""
    if hooks.combine is None:
        denoised = moment.uncond + (moment.cond - moment.uncond) * moment.cfg
    else:
        denoised = yield from hooks.combine(moment)
    denoised = yield from finished(replace(moment, denoised=denoised), hooks)
    return denoised


def finished(moment: Guided, hooks: GuidanceHooks) -> Asking[Tensor]:
    """After the hooks that make the guess anew."""
    for after in hooks.after:
        denoised = yield from after(moment)
        moment = replace(moment, denoised=denoised)
    return moment.denoised


@dataclass(frozen=True, eq=False)
class DualCfg(Guiding):
    """Two scales for two texts, as InstructPix2Pix has them: numerics.md, 5.5 (arXiv:2211.09800, equation 3).

    regular: (negative → second) by `cfg_second`, plus `cfg` times (second → first). nested: first over second by
    `cfg`, and that over the negative by `cfg_second`.
    """

    first: tuple[Condition, ...]
    second: tuple[Condition, ...]
    negative: tuple[Condition, ...]
    cfg: float = 8.0
    cfg_second: float = 8.0
    style: Literal["regular", "nested"] = "regular"

    def conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """Three lists."""
        return {"positive": self.first, "middle": self.second, "negative": self.negative}

    def guider(self, lists: Lists, setting: Setting) -> Guider:
        """The guider of one run."""
        return self._nested(lists, setting) if self.style == "nested" else self._regular(lists, setting)

    def _regular(self, lists: Lists, setting: Setting) -> Guider:
        alone = setting.shortens(self.cfg_second)  # the negative cancels; and at cfg 1 the second does as well
        asked = {
            "negative": () if alone else lists["negative"],
            "middle": () if alone and setting.shortens(self.cfg) else lists["middle"],
            "positive": lists["positive"],
        }
        pair = {"positive": asked["middle"], "negative": asked["negative"]}

        def guide(question: Evaluate) -> Answering:
            guesses = yield from setting.evaluate(asked, question.x, question.sigma)
            middle, negative = guesses["middle"], guesses["negative"]
            moment = moment_of(question, self.cfg_second, middle, negative, pair, setting)
            bracket = yield from combined(moment, setting.hooks)
            return Guess(bracket + (guesses["positive"] - middle) * self.cfg, negative)

        return guide

    def _nested(self, lists: Lists, setting: Setting) -> Guider:
        asked = {role: lists[role] for role in ("negative", "middle", "positive")}
        pair = {"positive": asked["positive"], "negative": asked["middle"]}

        def guide(question: Evaluate) -> Answering:
            guesses = yield from setting.evaluate(asked, question.x, question.sigma)
            negative, middle = guesses["negative"], guesses["middle"]
            moment = moment_of(question, self.cfg, guesses["positive"], middle, pair, setting)
            inner = yield from combined(moment, setting.hooks)
            return Guess(negative + (inner - negative) * self.cfg_second, middle)

        return guide


@dataclass(frozen=True, eq=False)
class PerpNeg(Guiding):
    """Only what of the negative is at right angles to the positive is taken away: arXiv:2304.04968; numerics.md, 5.5.

    empty: the conditions of an empty text, which both are measured from.
    """

    positive: tuple[Condition, ...]
    negative: tuple[Condition, ...]
    empty: tuple[Condition, ...]
    cfg: float = 8.0
    neg_scale: float = 1.0

    def conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """Three lists."""
        return {"positive": self.positive, "empty": self.empty, "negative": self.negative}

    def guider(self, lists: Lists, setting: Setting) -> Guider:
        """The guider of one run."""
        unneeded = math.isclose(self.neg_scale, 0.0) and not (setting.needs_uncond or setting.hooks.keeps_uncond)
        asked = {
            "positive": lists["positive"],
            "negative": () if unneeded else lists["negative"],
            "empty": () if unneeded and setting.shortens(self.cfg) else lists["empty"],
        }

        def guide(question: Evaluate) -> Answering:
            guesses = yield from setting.evaluate(asked, question.x, question.sigma)
            moment = moment_of(question, self.cfg, guesses["positive"], guesses["negative"], asked, setting)
            moment = yield from prepared(moment, setting.hooks)
            guess = perp_neg(moment.cond, moment.uncond, guesses["empty"], self.neg_scale, self.cfg)
            denoised = yield from finished(replace(moment, denoised=guess), setting.hooks)
            return Guess(denoised, moment.uncond)

        return guide


def perp_neg(positive: Tensor, negative: Tensor, empty: Tensor, neg_scale: float, cfg: float) -> Tensor:
    """Guesses (batch, c, h, w) combined; the projection is over the whole tensor, batch included."""
    p, q = positive - empty, negative - empty
    length = (torch.linalg.vector_norm(p) ** 2).clamp_min(torch.finfo(p.dtype).tiny)  # p is 0 where both texts agree
    perpendicular = q - (torch.sum(q * p) / length) * p
    guess: Tensor = empty + cfg * (p - neg_scale * perpendicular)
    return guess


def split_patches(patches: Sequence[Any]) -> tuple[tuple[NetworkPatch, ...], GuidanceHooks]:
    """Of a model's patches those for the network, and the hooks of those for guidance."""
    network = tuple(patch for patch in patches if isinstance(patch, NetworkPatch))
    return network, join([patch.hooks() for patch in patches if isinstance(patch, GuidancePatch)])
