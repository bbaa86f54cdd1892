"""Pictures: blending, filters, edges, colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

from torch import Tensor

from engine.diffusion.pictures import blend as blending
from engine.diffusion.pictures import edges, filters, palette
from engine.diffusion.pictures.compose import resized, with_channels
from engine.graph.node import Choice, Name, Range, node
from engine.graph.types import Image

Radius = Annotated[int, Range(1, 31, step=1)]
Threshold = Annotated[float, Range(0.01, 0.99, step=0.01)]


def _filtered(image: Image, change: Callable[[Tensor], Tensor]) -> Image:
    """Filters work on (batch, c, h, w)."""
    return Image(change(image.pixels.movedim(-1, 1)).movedim(1, -1).contiguous())


def _grey(plane: Tensor) -> Image:
    return Image(plane[..., None].expand(-1, -1, -1, 3).contiguous())


@node("ImageBlend", category="image/postprocessing")
def blend(
    *, image1: Image, image2: Image, blend_factor: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.5,
    blend_mode: Annotated[str, Choice(tuple(blending.BLENDS))],
) -> Image:
    """Lay a second picture over a first; it is scaled to its size.

    blend_factor: 0 is the first picture alone.
    """
    base, top = image1.pixels, with_channels(image2.pixels, image1.pixels.shape[3])
    if top.shape[1:3] != base.shape[1:3]:
        top = resized(top, base.shape[2], base.shape[1], "bicubic", "center")
    return Image(blending.blend(base, top, blend_factor, blend_mode))


@node("ImageBlur", category="image/postprocessing")
def blur(
    *, image: Image, blur_radius: Radius = 1, sigma: Annotated[float, Range(0.1, 10.0, step=0.1)] = 1.0
) -> Image:
    """Blur pictures.

    blur_radius: How far it reaches, in pixels.
    sigma: How flat it is, in units of the radius.
    """
    return _filtered(image, lambda x: filters.blur(x, blur_radius, sigma))


@node("ImageSharpen", category="image/postprocessing")
def sharpen(
    *, image: Image, sharpen_radius: Radius = 1, sigma: Annotated[float, Range(0.1, 10.0, step=0.01)] = 1.0,
    alpha: Annotated[float, Range(0.0, 5.0, step=0.01)] = 1.0,
) -> Image:
    """Sharpen pictures.

    sharpen_radius: How far it reaches, in pixels.
    sigma: How flat the blur is that the picture is compared with, in units of the radius.
    alpha: How much; 0 changes nothing.
    """
    return _filtered(image, lambda x: filters.sharpen(x, sharpen_radius, sigma, alpha).clamp(0, 1))


@node("ImageQuantize", category="image/postprocessing")
def quantise(
    *, image: Image, colors: Annotated[int, Range(1, 256, step=1)] = 256,
    dither: Annotated[str, Choice(palette.DITHERS)],
) -> Image:
    """Reduce pictures to few colours.

    colors: How many there may be in a picture.
    dither: How the rest is hidden: not at all, by spreading the error, or by a pattern.
    """
    return Image(palette.quantise(image.pixels, colors, dither))


@node("Canny", category="image/preprocessors")
def canny(*, image: Image, low_threshold: Threshold = 0.4, high_threshold: Threshold = 0.8) -> Image:
    """Draw the edges of pictures, white on black: what a Canny ControlNet reads.

    low_threshold: How steep an edge is where it goes on.
    high_threshold: How steep an edge is where it begins.
    """
    return _grey(edges.canny(image.pixels, low_threshold, high_threshold))


@node("Morphology", category="image/postprocessing", display_name="ImageMorphology")
def morphology(
    *, image: Image, operation: Annotated[str, Choice(tuple(filters.MORPHOLOGY))],
    kernel_size: Annotated[int, Range(3, 999, step=1)] = 3,
) -> Image:
    """Grow or shrink what is bright in pictures, or show what that changes.

    kernel_size: Side of the square that is looked at, in pixels.
    """
    return Image(filters.MORPHOLOGY[operation](image.pixels, kernel_size))


class Planes(NamedTuple):
    """Brightness, blueness, redness."""

    y: Image
    u: Image
    v: Image


@node("ImageRGBToYUV", category="image/batch", returns=("Y", "U", "V"))
def split_colours(*, image: Image) -> Planes:
    """Take pictures apart into brightness (Y), blueness (U) and redness (V), each shown as grey."""
    return Planes(*(_grey(plane) for plane in filters.to_yuv(image.pixels)))


@node("ImageYUVToRGB", category="image/batch")
def join_colours(
    *, y: Annotated[Image, Name("Y")], u: Annotated[Image, Name("U")], v: Annotated[Image, Name("V")]
) -> Image:
    """Put pictures together again from brightness, blueness and redness."""
    planes = {"Y": y.pixels.mean(dim=-1), "U": u.pixels.mean(dim=-1), "V": v.pixels.mean(dim=-1)}
    for name, plane in planes.items():
        if plane.shape != planes["Y"].shape:
            found = f"{tuple(plane.shape)} and Y {tuple(planes['Y'].shape)}"
            raise ValueError(f"{name} is of the size (batch, height, width) {found}; make them equal")
    return Image(filters.from_yuv(*planes.values()))
