"""Latents: arithmetic, and operations that are given on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from engine.diffusion import latents
from engine.graph.node import Range, node
from engine.graph.types import Latent, LatentOperation, Model


@node("LatentAdd", category="latent/advanced")
def add(*, samples1: Latent, samples2: Latent) -> Latent:
    """Add two latents; the second is scaled to the first."""
    first = samples1.samples
    return replace(samples1, samples=first + latents.fitted(samples2.samples, first.shape))


@node("LatentSubtract", category="latent/advanced")
def subtract(*, samples1: Latent, samples2: Latent) -> Latent:
    """Take one latent from another; the second is scaled to the first."""
    first = samples1.samples
    return replace(samples1, samples=first - latents.fitted(samples2.samples, first.shape))


@node("LatentMultiply", category="latent/advanced")
def multiply(*, samples: Latent, multiplier: Annotated[float, Range(-10.0, 10.0, step=0.01)] = 1.0) -> Latent:
    """Multiply a latent by a number."""
    return replace(samples, samples=samples.samples * multiplier)


@node("LatentInterpolate", category="latent/advanced")
def interpolate(
    *, samples1: Latent, samples2: Latent, ratio: Annotated[float, Range(0.0, 1.0, step=0.01)] = 1.0
) -> Latent:
    """Mix two latents so that what is between them is as strong as they are; the second is scaled to the first.

    ratio: 1 is the first alone.
    """
    first = samples1.samples
    return replace(samples1, samples=latents.interpolate(first, latents.fitted(samples2.samples, first.shape), ratio))


@node("LatentApplyOperation", category="latent/advanced/operations", experimental=True)
def apply(*, samples: Latent, operation: LatentOperation) -> Latent:
    """Do an operation to a latent."""
    return replace(samples, samples=operation(latent=samples.samples))


@node("LatentApplyOperationCFG", category="latent/advanced/operations", experimental=True)
def apply_to_guidance(*, model: Model, operation: LatentOperation) -> Model:
    """Do an operation at each step of sampling, to what the prompt adds to the negative prompt."""
    return replace(model, patches=(*model.patches, latents.OperateOnGuidance(operation.operation)))


@node("LatentOperationTonemapReinhard", category="latent/advanced/operations", experimental=True)
def tonemap(*, multiplier: Annotated[float, Range(0.0, 100.0, step=0.01)] = 1.0) -> LatentOperation:
    """Tone mapping: tame what is too strong, as with high guidance.

    multiplier: How strong it may be; less than 1 tames more.
    """
    return LatentOperation(latents.Tonemap(multiplier))


@node("LatentOperationSharpen", category="latent/advanced/operations", experimental=True)
def sharpen(
    *, sharpen_radius: Annotated[int, Range(1, 31, step=1)] = 9,
    sigma: Annotated[float, Range(0.1, 10.0, step=0.1)] = 1.0,
    alpha: Annotated[float, Range(0.0, 5.0, step=0.01)] = 0.1,
) -> LatentOperation:
    """Sharpening.

    sharpen_radius: How far it reaches, in latent pixels.
    sigma: How flat the blur is that the latent is compared with, in units of the radius.
    alpha: How much; 0 changes nothing.
    """
    return LatentOperation(latents.Sharpen(sharpen_radius, sigma, alpha))
