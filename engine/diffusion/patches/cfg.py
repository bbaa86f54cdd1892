"""Other ways to combine the two guesses, and corrections of what came of them: numerics.md, 5.6.

All work on clean latents (batch, c, h, w).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.guidance import Asking, Condition, evaluate
from engine.diffusion.guiders import Before, GuidanceHooks, GuidancePatch, Guided, answered, perp_neg
from engine.diffusion.hooks import Run
from engine.diffusion.transfer import sent

EACH = (1, 2, 3)  # the axes of one item of a batch
TINY = 1e-8


class Correction(GuidancePatch):
    """A patch that makes the guess anew."""

    def hooks(self) -> GuidanceHooks:
        """After guidance."""
        return GuidanceHooks(after=(answered(self.corrected),))

    def corrected(self, moment: Guided) -> Tensor:
        """The new guess."""
        raise NotImplementedError


class Preparation(GuidancePatch):
    """A patch that makes the two guesses anew; where the negative list was not asked it does nothing."""

    def hooks(self) -> GuidanceHooks:
        """Before guidance."""
        return GuidanceHooks(before=(_where_both(self.prepared),))

    def prepared(self, moment: Guided) -> tuple[Tensor, Tensor]:
        """The new pair (cond, uncond)."""
        raise NotImplementedError


def _where_both(function: Callable[[Guided], tuple[Tensor, Tensor]]) -> Before:
    def before(moment: Guided) -> Asking[tuple[Tensor, Tensor]]:
        yield from ()
        return function(moment) if moment.lists.get("negative") else (moment.cond, moment.uncond)

    return before


@dataclass(frozen=True)
class GuidanceInterval(GuidancePatch):
    """Guide only between two parts of the way: Kynkäänniemi et al. (arXiv:2404.07724). Elsewhere cfg is 1.

    Guidance does harm where there is much noise and nothing where there is little; without it the negative list is
    not asked, which is half of the work. Plain guidance heeds it (`guiders.Cfg`); other guiders do not.
    """

    start_percent: float = 0.1
    end_percent: float = 0.8

    def hooks(self) -> GuidanceHooks:
        """For the scale."""
        return GuidanceHooks(scale=(self.scale,))

    def scale(self, cfg: float, sigma: Tensor, run: Run | None) -> float:
        """The scale at a noise level."""
        if run is None:
            return cfg
        start, end = (run.table.percent_to_sigma(percent) for percent in (self.start_percent, self.end_percent))
        return cfg if end <= float(sigma) <= start else 1.0


@dataclass(frozen=True)
class RescaleCfg(GuidancePatch):
    """Bring the deviation of the guided velocity back towards the positive one's (arXiv:2305.08891, 3.4).

    multiplier: how far.
    """

    multiplier: float = 0.7

    def hooks(self) -> GuidanceHooks:
        """In the place of guidance."""
        return GuidanceHooks(combine=answered(self.combined))

    def combined(self, moment: Guided) -> Tensor:
        """The guess, worked out on velocities."""
        x, sigma = moment.x, sent(moment.sigma, moment.x.device)
        variance = sigma**2 + 1
        base = x / variance

        def velocity(guess: Tensor) -> Tensor:
            return (base - guess) * variance**0.5 / sigma

        positive, negative = velocity(moment.cond), velocity(moment.uncond)
        v = negative + moment.cfg * (positive - negative)
        ratio = positive.std(dim=EACH, keepdim=True) / v.std(dim=EACH, keepdim=True)
        v = self.multiplier * ratio * v + (1 - self.multiplier) * v
        guess: Tensor = base - v * sigma / variance**0.5
        return guess


@dataclass(frozen=True)
class CfgZeroStar(Correction):
    """Guidance with the negative guess scaled to fit the positive one best (arXiv:2503.18886)."""

    def corrected(self, moment: Guided) -> Tensor:
        """Corrects D = D₋ + cfg·(D₊ - D₋) for the scale."""
        positive, negative = moment.x - moment.cond, moment.x - moment.uncond
        product = (positive * negative).sum(dim=EACH, keepdim=True)
        scale = product / ((negative**2).sum(dim=EACH, keepdim=True) + TINY)
        return moment.denoised + moment.uncond * (scale - 1.0) + moment.cfg * moment.uncond * (1.0 - scale)


@dataclass(frozen=True)
class CfgNorm(Correction):
    """Make the guided guess nowhere longer, over the channels, than the positive one."""

    strength: float = 1.0

    def corrected(self, moment: Guided) -> Tensor:
        """Shortened where it was longer."""
        wanted = moment.cond.norm(dim=1, keepdim=True)
        found = moment.denoised.norm(dim=1, keepdim=True)
        shorter: Tensor = (wanted / (found + TINY)).clamp(0.0, 1.0)
        return moment.denoised * shorter * self.strength


@dataclass(frozen=True)
class EpsilonScaling(Correction):
    """Divide the noise found by a factor, against the drift of sampled latents (arXiv:2308.15321)."""

    factor: float = 1.005

    def corrected(self, moment: Guided) -> Tensor:
        """With less noise taken for a factor above 1."""
        return moment.x - (moment.x - moment.denoised) / self.factor


@dataclass(frozen=True)
class Mahiro(Correction):
    """Where guidance turned against what it started from, mix the positive guess in ("mahiro", yoinked-h)."""

    def corrected(self, moment: Guided) -> Tensor:
        """Weighed by how alike the scaled negative and the guided guess are."""
        leap = moment.cfg * moment.cond
        merged = (leap + moment.denoised) / 2
        alike = F.cosine_similarity(_signed_root(moment.cfg * moment.uncond), _signed_root(merged), dim=1).mean()
        weight = 2 * (alike + 1)
        return (weight * moment.denoised + (4 - weight) * leap) / 4


def _signed_root(x: Tensor) -> Tensor:
    return x.abs().sqrt() * x.sign()


@dataclass(frozen=True)
class Tcfg(Preparation):
    """Keep of the negative score only what lies along the two scores' common direction (arXiv:2503.18137)."""

    def prepared(self, moment: Guided) -> tuple[Tensor, Tensor]:
        """Projected on the first right singular vector of both, for each item."""
        positive, negative = moment.x - moment.cond, moment.x - moment.uncond
        rows = torch.stack([negative.flatten(1), positive.flatten(1)], dim=1).float()  # (batch, 2, c·h·w)
        direction = torch.linalg.svd(rows, full_matrices=False).Vh[:, :1]
        along = (rows[:, :1] @ direction.transpose(1, 2)) * direction
        return moment.cond, moment.x - along.reshape(negative.shape).to(negative.dtype)


@dataclass(frozen=True)
class Apg(Preparation):
    """Adaptive projected guidance: Sadat et al. (arXiv:2410.02416).

    eta: what the part along the positive guess counts. norm_threshold: the longest difference; 0 is no limit.
    momentum: what the past differences count; they are forgotten where the noise rises.
    """

    eta: float = 1.0
    norm_threshold: float = 5.0
    momentum: float = 0.0
    KEY: ClassVar[str] = "apg"

    def prepared(self, moment: Guided) -> tuple[Tensor, Tensor]:
        """The positive guess, moved so that guidance by cfg does what is wanted."""
        difference = self._with_past(moment, moment.cond - moment.uncond)
        if self.norm_threshold > 0:
            length = difference.norm(p=2, dim=EACH, keepdim=True)
            difference = difference * (self.norm_threshold / length).clamp(max=1.0)
        unit = moment.cond / moment.cond.norm(p=2, dim=EACH, keepdim=True).clamp_min(TINY)
        along = (difference * unit).sum(dim=EACH, keepdim=True) * unit
        changed = (difference - along) + self.eta * along
        return moment.uncond + changed + (moment.cond - moment.uncond) / moment.cfg, moment.uncond

    def _with_past(self, moment: Guided, difference: Tensor) -> Tensor:
        if moment.run is None or self.momentum == 0:
            return difference
        sigma = float(moment.sigma)
        last, average = moment.run.memory.get((self.KEY, self), (sigma, None))
        if average is not None and sigma <= last:
            difference = difference + self.momentum * average
        moment.run.memory[self.KEY, self] = (sigma, difference)
        return difference


@dataclass(frozen=True)
class FreSca(Preparation):
    """Scale the low and the high frequencies of the guidance apart (arXiv:2504.02154).

    cutoff: half the side of the box of low frequencies, in steps of the spectrum.
    """

    low: float = 1.0
    high: float = 1.25
    cutoff: int = 20

    def prepared(self, moment: Guided) -> tuple[Tensor, Tensor]:
        """The positive guess with the difference filtered."""
        difference = (moment.cond - moment.uncond).float()
        spectrum = torch.fft.fftshift(torch.fft.fft2(difference), dim=(-2, -1))
        scale = torch.full(difference.shape[-2:], self.high, device=difference.device)
        (row, down), (column, across) = ((side // 2, min(self.cutoff, side // 2)) for side in scale.shape)
        scale[row - down : row + down, column - across : column + across] = self.low
        filtered = torch.fft.ifft2(torch.fft.ifftshift(spectrum * scale, dim=(-2, -1))).real
        return moment.uncond + filtered.to(moment.cond.dtype), moment.uncond


@dataclass(frozen=True, eq=False)
class PerpNegPatch(GuidancePatch):
    """`guiders.PerpNeg` as a patch of a model, for samplers that take a model: the empty text is asked apart."""

    empty: tuple[Condition, ...]
    neg_scale: float = 1.0

    def hooks(self) -> GuidanceHooks:
        """In the place of guidance."""
        return GuidanceHooks(combine=self.combined)

    def combined(self, moment: Guided) -> Asking[Tensor]:
        """Asks for the empty text, then combines the three."""
        if moment.run is None:
            raise ValueError("PerpNeg needs a run to make its empty text ready for")
        if self not in moment.run.memory:
            moment.run.memory[self] = moment.run.prepare(self.empty)
        asked = {"empty": moment.run.memory[self]}
        guesses = yield from evaluate(asked, moment.x, moment.sigma, moment.patches, moment.run)
        return perp_neg(moment.cond, moment.uncond, guesses["empty"], self.neg_scale, moment.cfg)
