"""Latents: cutting, turning, putting onto each other, batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch

from engine.diffusion import latents
from engine.diffusion.batch import Batch
from engine.diffusion.latents import rebatch as rebatched
from engine.diffusion.pictures.compose import paste
from engine.diffusion.pictures.masks import check_mask
from engine.graph.node import Choice, Range, node
from engine.graph.types import Latent, Mask

MOST = 16384
DOWNSCALE = 8  # latent pixels per picture pixel: part of the protocol, whatever the model
ROTATIONS = ("none", "90 degrees", "180 degrees", "270 degrees")
FLIPS = ("x-axis: vertically", "y-axis: horizontally")
Place = Annotated[int, Range(0, MOST, step=8)]
Side = Annotated[int, Range(64, MOST, step=8)]


@node("LatentComposite", category="latent", display_name="Latent Composite")
def composite(
    *, samples_to: Latent, samples_from: Latent, x: Place = 0, y: Place = 0, feather: Place = 0
) -> Latent:
    """Put a latent onto another.

    x: Where its left edge comes, in picture pixels.
    y: Where its upper edge comes, in picture pixels.
    feather: Over how many picture pixels its edges fade in, where they are inside.
    """
    made = latents.composite(
        samples_to.samples, samples_from.samples, x // DOWNSCALE, y // DOWNSCALE, feather // DOWNSCALE
    )
    return replace(samples_to, samples=made)


@node("LatentCompositeMasked", category="latent")
def composite_masked(
    *, destination: Latent, source: Latent, x: Place = 0, y: Place = 0, resize_source: bool = False,
    mask: Mask | None = None,
) -> Latent:
    """Put a latent onto another, where a mask is 1.

    x: Where the source's left edge comes, in picture pixels.
    y: Where the source's upper edge comes, in picture pixels.
    resize_source: Stretch the source over the destination first.
    mask: Stretched over the source.
    """
    values = None if mask is None else check_mask(mask.values, "mask")
    made = paste(
        destination.samples, source.samples, x // DOWNSCALE, y // DOWNSCALE, values, resize_source
    )
    return replace(destination, samples=made)


@node("LatentBlend", category="_for_testing", display_name="Latent Blend")
def blend(
    *, samples1: Latent, samples2: Latent, blend_factor: Annotated[float, Range(0, 1, step=0.01)] = 0.5
) -> Latent:
    """Mix two latents; the second is scaled to the first.

    blend_factor: 1 is the first alone.
    """
    first = samples1.samples
    second = latents.fitted(samples2.samples, first.shape, "bicubic")
    return replace(samples1, samples=first * blend_factor + second * (1.0 - blend_factor))


@node("LatentRotate", category="latent/transform", display_name="Rotate Latent")
def rotate(*, samples: Latent, rotation: Annotated[str, Choice(ROTATIONS)]) -> Latent:
    """Turn latents clockwise."""
    return replace(samples, samples=torch.rot90(samples.samples, ROTATIONS.index(rotation), dims=(3, 2)).contiguous())


@node("LatentFlip", category="latent/transform", display_name="Flip Latent")
def flip(*, samples: Latent, flip_method: Annotated[str, Choice(FLIPS)]) -> Latent:
    """Mirror latents.

    flip_method: At the x axis (up becomes down) or at the y axis (left becomes right).
    """
    return replace(samples, samples=samples.samples.flip(2 + FLIPS.index(flip_method)))


@node("LatentCrop", category="latent/transform", display_name="Crop Latent")
def crop(*, samples: Latent, width: Side = 512, height: Side = 512, x: Place = 0, y: Place = 0) -> Latent:
    """Cut a rectangle out of latents; what reaches beyond them is left out.

    width: In picture pixels.
    height: In picture pixels.
    x: Left edge, in picture pixels; moved so that 64 are left.
    y: Upper edge, in picture pixels; moved so that 64 are left.
    """
    sides = (side // DOWNSCALE for side in (x, y, width, height))
    return replace(samples, samples=latents.crop(samples.samples, *sides))


@node("LatentConcat", category="latent/advanced")
def concatenate(
    *, samples1: Latent, samples2: Latent, dim: Annotated[str, Choice(("x", "-x", "y", "-y", "t", "-t"))]
) -> Latent:
    """Put latents side by side.

    dim: Along which axis; with a minus, the second comes first. t is for video models.
    """
    return replace(samples1, samples=latents.joined(samples1.samples, samples2.samples, dim))


@node("LatentCut", category="latent/advanced")
def cut(
    *, samples: Latent, dim: Annotated[str, Choice(("x", "y", "t"))],
    index: Annotated[int, Range(-MOST, MOST, step=1)] = 0, amount: Annotated[int, Range(1, MOST, step=1)] = 1,
) -> Latent:
    """Cut columns or rows out of latents.

    dim: Along which axis. t is for video models.
    index: The first, in latent pixels; negative counts from the end.
    amount: How many, in latent pixels.
    """
    return replace(samples, samples=latents.cut(samples.samples, dim, index, amount))


# -- batches -----------------------------------------------------------------------------------------------------


def as_batch(latent: Latent) -> Batch:
    """What a latent is to the library."""
    return Batch(latent.samples, latent.noise_mask, latent.batch_index)


@node("LatentBatch", category="latent/batch")
def batch(*, samples1: Latent, samples2: Latent) -> Latent:
    """Put latents into one batch; the second is scaled to the first. Each item keeps its noise."""
    made = latents.join_batches(as_batch(samples1), as_batch(samples2))
    return replace(samples1, samples=made.samples, batch_index=made.batch_index)


@node("LatentBatchSeedBehavior", category="latent/advanced")
def seed_behaviour(
    *, samples: Latent, seed_behavior: Annotated[str, Choice(("random", "fixed"))] = "fixed"
) -> Latent:
    """Say whether the items of a batch get noise of their own.

    seed_behavior: fixed gives all of them the first one's noise.
    """
    if seed_behavior == "random":
        return replace(samples, batch_index=None)
    first = (samples.batch_index or (0,))[0]
    return replace(samples, batch_index=(first,) * samples.samples.shape[0])


@node("RebatchLatents", category="latent/batch", display_name="Rebatch Latents")
def rebatch(
    *, latents: list[Latent], batch_size: Annotated[list[int], Range(1, 4096)] = [1],  # noqa: B006 - never changed
) -> list[Latent]:
    """Make batches of another size of a list of batches; each item keeps its noise.

    batch_size: How many items a batch has; the last of a size may have fewer.
    """
    made = rebatched([as_batch(each) for each in latents], batch_size[0])
    return [Latent(each.samples, each.noise_mask, each.batch_index) for each in made]
