"""Other ways of guidance, as changes to a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from engine.diffusion.patches.cfg import (
    Apg,
    CfgNorm,
    CfgZeroStar,
    EpsilonScaling,
    FreSca,
    GuidanceInterval,
    Mahiro,
    PerpNegPatch,
    Tcfg,
)
from engine.graph.node import Range, node
from engine.graph.types import Conditioning, Model

GUIDANCE, TESTING = "advanced/guidance", "_for_testing"


def _with(model: Model, patch: Any) -> Model:
    return replace(model, patches=(*model.patches, patch))


@node("GuidanceInterval", category=GUIDANCE)
def guidance_interval(
    *, model: Model, start_percent: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.1,
    end_percent: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.8,
) -> Model:
    """Guide only on part of the way: faster, since elsewhere the negative prompt is not asked, and often better.

    start_percent: Where guidance begins.
    end_percent: Where it ends.
    """
    return _with(model, GuidanceInterval(start_percent, end_percent))


@node("CFGZeroStar", category=GUIDANCE, returns=("patched_model",))
def cfg_zero_star(*, model: Model) -> Model:
    """Scale the negative guess to fit the positive one before guiding."""
    return _with(model, CfgZeroStar())


@node("CFGNorm", category=GUIDANCE, experimental=True, returns=("patched_model",))
def cfg_norm(*, model: Model, strength: Annotated[float, Range(0.0, 100.0, step=0.01)] = 1.0) -> Model:
    """Keep guidance from making any place of the latent larger than without it.

    strength: What the result is multiplied by.
    """
    return _with(model, CfgNorm(strength))


@node("TCFG", category=GUIDANCE, display_name="Tangential Damping CFG", returns=("patched_model",))
def tangential_damping(*, model: Model) -> Model:
    """Leave out what of the negative guess has nothing to do with the positive one."""
    return _with(model, Tcfg())


@node("APG", category="sampling/custom_sampling", display_name="Adaptive Projected Guidance")
def projected_guidance(
    *, model: Model, eta: Annotated[float, Range(-10.0, 10.0, step=0.01)] = 1.0,
    norm_threshold: Annotated[float, Range(0.0, 50.0, step=0.1)] = 5.0,
    momentum: Annotated[float, Range(-5.0, 1.0, step=0.01)] = 0.0,
) -> Model:
    """Guide strongly without making pictures too saturated.

    eta: What the part of guidance along the positive guess counts; that part saturates.
    norm_threshold: The longest guidance; 0 is no limit.
    momentum: What the guidance of earlier steps counts.
    """
    return _with(model, Apg(eta, norm_threshold, momentum))


@node(
    "Mahiro", category=TESTING, experimental=True, returns=("patched_model",),
    display_name="Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)",
)  # fmt: skip
def mahiro(*, model: Model) -> Model:
    """Scale the positive guess more, and guide away from the negative one less, where the two agree."""
    return _with(model, Mahiro())


@node("FreSca", category=TESTING, experimental=True)
def frequency_scaling(
    *, model: Model, scale_low: Annotated[float, Range(0, 10, step=0.01)] = 1.0,
    scale_high: Annotated[float, Range(0, 10, step=0.01)] = 1.25,
    freq_cutoff: Annotated[int, Range(1, 10_000, step=1)] = 20,
) -> Model:
    """Guide details and layout with different strengths.

    scale_low: For the layout.
    scale_high: For details.
    freq_cutoff: How many steps of the spectrum are layout.
    """
    return _with(model, FreSca(scale_low, scale_high, freq_cutoff))


@node(
    "PerpNeg", category=TESTING, display_name="Perp-Neg (DEPRECATED by PerpNegGuider)", deprecated=True,
    experimental=True,
)  # fmt: skip
def perp_neg(
    *, model: Model, empty_conditioning: Conditioning, neg_scale: Annotated[float, Range(0.0, 100.0, step=0.01)] = 1.0
) -> Model:
    """Guide away only from what of the negative prompt is not in the positive one; PerpNegGuider does it faster.

    empty_conditioning: An empty prompt, which both are measured from.
    """
    return _with(model, PerpNegPatch(empty_conditioning.entries, neg_scale))


@node("Epsilon Scaling", category="model_patches/unet")
def epsilon_scaling(*, model: Model, scaling_factor: Annotated[float, Range(0.5, 1.5, step=0.001)] = 1.005) -> Model:
    """Take slightly less noise away at each step, against the drift that builds up over many.

    scaling_factor: What the noise found is divided by.
    """
    return _with(model, EpsilonScaling(scaling_factor))
