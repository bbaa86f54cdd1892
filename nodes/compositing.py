"""Compositing: pictures over pictures, with masks and alpha."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch

from engine.diffusion.guidance import fit_batch
from engine.diffusion.pictures.blend import MODES, porter_duff
from engine.diffusion.pictures.compose import paste, resized, with_channels
from engine.diffusion.pictures.masks import check_mask, resize_mask
from engine.graph.node import Choice, Range, node
from engine.graph.types import Image, Mask

Place = Annotated[int, Range(0, 16384, step=1)]


class Composite(NamedTuple):
    """A picture, and where it is transparent."""

    image: Image
    mask: Mask


@node("PorterDuffImageComposite", category="mask/compositing", display_name="Porter-Duff Image Composite")
def composite_by_alpha(
    *, source: Image, source_alpha: Mask, destination: Image, destination_alpha: Mask,
    mode: Annotated[str, Choice(MODES)] = "DST",
) -> Composite:
    """Put one picture over, into or beside another, by their transparency.

    source: Scaled to the destination's size.
    source_alpha: 1 where the source is transparent.
    destination_alpha: 1 where the destination is transparent.
    """
    batch = min(len(each) for each in (
        source.pixels, source_alpha.values, destination.pixels, destination_alpha.values
    ))  # fmt: skip
    under = destination.pixels[:batch]
    height, width = under.shape[1:3]

    def fitted(pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels[:batch]
        return pixels if pixels.shape[1:3] == (height, width) else resized(pixels, width, height, "bicubic", "center")

    over = fitted(with_channels(source.pixels, under.shape[3]))
    a, b = (1.0 - fitted(check_mask(mask.values, name)[..., None]) for mask, name in (
        (source_alpha, "source_alpha"), (destination_alpha, "destination_alpha")
    ))  # fmt: skip
    pixels, alpha = porter_duff(over, a, under, b, mode)
    return Composite(Image(pixels), Mask(1.0 - alpha[..., 0]))


@node("SplitImageWithAlpha", category="mask/compositing", display_name="Split Image with Alpha")
def split_alpha(*, image: Image) -> Composite:
    """Take the transparency off a picture, as a mask that is 1 where it was transparent."""
    pixels = with_channels(image.pixels, 4)
    return Composite(Image(pixels[..., :3].contiguous()), Mask(1.0 - pixels[..., 3]))


@node("JoinImageWithAlpha", category="mask/compositing", display_name="Join Image with Alpha")
def join_alpha(*, image: Image, alpha: Mask) -> Image:
    """Make a picture transparent where a mask is 1.

    alpha: Stretched over the picture. Of a batch and a single one, the single one is repeated.
    """
    batch = max(image.pixels.shape[0], alpha.values.shape[0])
    pixels = fit_batch(image.pixels[..., :3], batch)
    opaque = 1.0 - fit_batch(resize_mask(check_mask(alpha.values, "alpha"), *pixels.shape[1:3]), batch)
    return Image(torch.cat([pixels, opaque[..., None]], dim=-1))


@node("ImageCompositeMasked", category="image")
def composite(
    *, destination: Image, source: Image, x: Place = 0, y: Place = 0, resize_source: bool = False,
    mask: Mask | None = None,
) -> Image:
    """Put a picture onto another, where a mask is 1.

    x: Where the source's left edge comes.
    y: Where the source's upper edge comes.
    resize_source: Stretch the source over the destination first.
    mask: Stretched over the source.
    """
    over = with_channels(source.pixels, destination.pixels.shape[3]).movedim(-1, 1)
    values = None if mask is None else check_mask(mask.values, "mask")
    out = paste(destination.pixels.movedim(-1, 1), over, x, y, values, resize_source)
    return Image(out.movedim(1, -1).contiguous())
