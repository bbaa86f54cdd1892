"""Pictures: cutting, turning, putting side by side, padding."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch

from engine.diffusion.pictures import compose
from engine.graph.node import Choice, Range, node
from engine.graph.types import Image, Mask

MOST = 16384
ROTATIONS = ("none", "90 degrees", "180 degrees", "270 degrees")
FLIPS = ("x-axis: vertically", "y-axis: horizontally")
DIRECTIONS = ("right", "down", "left", "up")
Place = Annotated[int, Range(0, MOST, step=1)]
Side = Annotated[int, Range(1, MOST, step=1)]
Margin = Annotated[int, Range(0, MOST, step=8)]


@node("ImageCrop", category="image/transform", display_name="Image Crop")
def crop(*, image: Image, width: Side = 512, height: Side = 512, x: Place = 0, y: Place = 0) -> Image:
    """Cut a rectangle out of pictures; what reaches beyond them is left out.

    x: Left edge; beyond the picture it is the last column.
    y: Upper edge; beyond the picture it is the last row.
    """
    rows, columns = image.pixels.shape[1:3]
    x, y = min(x, columns - 1), min(y, rows - 1)
    return Image(image.pixels[:, y : y + height, x : x + width].clone())


@node("ImageRotate", category="image/transform")
def rotate(*, image: Image, rotation: Annotated[str, Choice(ROTATIONS)]) -> Image:
    """Turn pictures clockwise."""
    return Image(torch.rot90(image.pixels, ROTATIONS.index(rotation), dims=(2, 1)).contiguous())


@node("ImageFlip", category="image/transform")
def flip(*, image: Image, flip_method: Annotated[str, Choice(FLIPS)]) -> Image:
    """Mirror pictures.

    flip_method: At the x axis (up becomes down) or at the y axis (left becomes right).
    """
    return Image(image.pixels.flip(1 + FLIPS.index(flip_method)))


@node("ImageStitch", category="image/transform", display_name="Image Stitch")
def stitch(
    *, image1: Image, direction: Annotated[str, Choice(DIRECTIONS)] = "right", match_image_size: bool = True,
    spacing_width: Annotated[int, Range(0, 1024, step=2)] = 0,
    spacing_color: Annotated[str, Choice(tuple(compose.COLOURS))] = "white", image2: Image | None = None,
) -> Image:
    """Put a second picture beside a first.

    direction: Where of the first the second comes.
    match_image_size: Scale the second so that the sides that meet are equally long.
    spacing_width: Of the strip between them, in pixels.
    """
    if image2 is None:
        return image1
    return Image(compose.stitch(
        image1.pixels, image2.pixels, direction, match_image_size, spacing_width, spacing_color
    ))  # fmt: skip


@node("ResizeAndPadImage", category="image/transform")
def resize_and_pad(
    *, image: Image, target_width: Side = 512, target_height: Side = 512,
    padding_color: Annotated[str, Choice(("white", "black"))],
    interpolation: Annotated[str, Choice(("area", "bicubic", "nearest-exact", "bilinear", "lanczos"))],
) -> Image:
    """Scale pictures so that they fit into a size, and fill up the rest with a colour."""
    return Image(compose.fit_into(image.pixels, target_width, target_height, interpolation, padding_color))


class Padded(NamedTuple):
    """A padded picture, and where it is to be painted."""

    image: Image
    mask: Mask


@node("ImagePadForOutpaint", category="image", display_name="Pad Image for Outpainting")
def pad_for_outpainting(
    *, image: Image, left: Margin = 0, top: Margin = 0, right: Margin = 0, bottom: Margin = 0,
    feathering: Annotated[int, Range(0, MOST, step=1)] = 40,
) -> Padded:
    """Put grey around pictures, and mark it as what is to be painted.

    left: How many pixels are added there.
    top: How many pixels are added there.
    right: How many pixels are added there.
    bottom: How many pixels are added there.
    feathering: Over how many pixels of the old picture the mark fades out.
    """
    pixels, mask = compose.pad_for_outpainting(image.pixels, left, top, right, bottom, feathering)
    return Padded(Image(pixels), Mask(mask))
