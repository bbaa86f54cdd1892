"""Guidance away from what the network sees with its self-attention perturbed or its attended places blurred."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.guidance import Asking
from engine.diffusion.guiders import GuidanceHooks, GuidancePatch, Guided
from engine.diffusion.hooks import NO_HOOKS, Hooks, NetworkPatch, Pass, Place, Site

MIDDLE = Place("middle", 0)
KERNEL = 9  # the side of SAG's blur
SMALLEST = 4  # latents of this side or smaller are too small to blur


@dataclass(frozen=True)
class Perturbed(NetworkPatch):
    """Self-attention in the middle block lets each token see itself only: what comes out are the values."""

    def hooks(self, moment: Pass) -> Hooks:
        """In the place of attention."""
        return Hooks(attn1_replace={MIDDLE: lambda q, k, v, site: v})


@dataclass(frozen=True)
class PerturbedAttention(GuidancePatch):
    """PAG: Ahn et al. (arXiv:2403.17377). D ← D + scale·(D₊ - P), P the positive list seen by the perturbed network."""

    scale: float = 3.0

    def hooks(self) -> GuidanceHooks:
        """After guidance."""
        return GuidanceHooks(after=(self.corrected,))

    def corrected(self, moment: Guided) -> Asking[Tensor]:
        """Asks for the positive list once more."""
        if self.scale == 0:
            return moment.denoised
        perturbed = yield from moment.ask("positive", patches=(Perturbed(),))
        return moment.denoised + self.scale * (moment.cond - perturbed)


@dataclass(frozen=True)
class Recording(NetworkPatch):
    """Writes down where the middle block's first self-attention looks for the negative list; changes nothing."""

    def hooks(self, moment: Pass) -> Hooks:
        """In the place of attention, which is then done as always."""
        rows = [row for span in moment.spans if span.role == "negative" for row in range(span.start, span.stop)]
        if moment.run is None or not rows:
            return NO_HOOKS
        records: list[Tensor] = moment.run.memory.setdefault(Recording, [])

        def record(q: Tensor, k: Tensor, v: Tensor, site: Site) -> Tensor:
            assert site.attend is not None
            records.append(attention_map(q[rows], k[rows], site.heads))
            return site.attend(q, k, v)

        return Hooks(attn1_replace={MIDDLE._replace(inner=0): record})


def attention_map(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Softmax attention of projected q and k (batch, tokens, width): (batch, heads, queries, keys), float32."""
    q, k = (x.float().view(*x.shape[:-1], heads, -1).transpose(1, 2) for x in (q, k))
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)


@dataclass(frozen=True)
class SelfAttentionGuidance(GuidancePatch):
    """SAG: Hong et al. (arXiv:2210.00939); numerics.md, 5.6. It needs a `Recording` among the model's patches.

    The negative guess is blurred where the network looks most, noised again and judged again; the guess goes away from
    what that brings.
    """

    scale: float = 0.5
    blur_sigma: float = 2.0

    def hooks(self) -> GuidanceHooks:
        """After guidance."""
        return GuidanceHooks(after=(self.corrected,), keeps_uncond=True)

    def corrected(self, moment: Guided) -> Asking[Tensor]:
        """Asks for the negative list at the degraded latent."""
        records = _taken(moment)
        if min(moment.x.shape[-2:]) <= SMALLEST or not records:
            return moment.denoised
        degraded = degrade(moment.uncond, _first(records, len(moment.x)), self.blur_sigma)
        seen = yield from moment.ask("negative", x=degraded + (moment.x - moment.uncond))
        _taken(moment)  # that evaluation was recorded too
        return moment.denoised + self.scale * (degraded - seen)


def _taken(moment: Guided) -> list[Tensor]:
    memory: dict[Any, Any] = moment.run.memory if moment.run is not None else {}
    records: list[Tensor] = memory.pop(Recording, [])
    return records


def _first(records: Sequence[Tensor], batch: int) -> Tensor:
    """The maps of the first entry of the list: a batch that was split comes in several of one size."""
    alike = [each for each in records if each.shape[1:] == records[0].shape[1:]]
    return torch.cat(alike)[:batch]


def degrade(guess: Tensor, attention: Tensor, blur_sigma: float) -> Tensor:
    """The guess (batch, c, h, w) blurred at the places that are looked at more than once on average.

    attention: (batch, heads, queries, keys).
    """
    height, width = guess.shape[-2:]
    looked_at = attention.mean(dim=1).sum(dim=1) > 1.0  # (batch, keys)
    mask = looked_at.view(-1, 1, *map_size(height, width, looked_at.shape[1])).to(guess.dtype)
    mask = F.interpolate(mask, (height, width), mode="nearest")
    return blurred(guess, blur_sigma) * mask + guess * (1.0 - mask)


def map_size(height: int, width: int, tokens: int) -> tuple[int, int]:
    """The sides of a map of so many tokens for a latent: the divisor closest to the aspect, the larger one first."""
    start = round(math.sqrt(height / width * tokens))
    for step in range(tokens):
        for rows in (start + step, start - step):
            if rows > 0 and tokens % rows == 0:
                return rows, tokens // rows
    raise ValueError(f"{tokens} tokens are no map of a latent of {height}×{width}")


def blurred(x: Tensor, sigma: float) -> Tensor:
    """A 9×9 Gaussian blur of each channel of x (batch, c, h, w), edges reflected; sigma 0 changes nothing."""
    if sigma <= 0:
        return x
    places = torch.arange(KERNEL, device=x.device, dtype=torch.float32) - KERNEL // 2
    bell = torch.exp(-0.5 * (places / sigma) ** 2)
    bell = bell / bell.sum()
    kernel = (bell[:, None] * bell[None, :]).to(x.dtype).expand(x.shape[1], 1, KERNEL, KERNEL)
    return F.conv2d(F.pad(x, (KERNEL // 2,) * 4, mode="reflect"), kernel, groups=x.shape[1])
