"""Masks: where to paint, made and changed."""

from __future__ import annotations

from typing import Annotated

import torch

from engine.diffusion.limits import check_size
from engine.diffusion.pictures import masks
from engine.diffusion.pictures.masks import check_mask
from engine.graph.node import Choice, Context, ExtraPngInfo, Prompt, Range, Ui, node
from engine.graph.types import Image, Mask

MOST = 16384
CHANNELS = ("red", "green", "blue", "alpha")
Place = Annotated[int, Range(0, MOST, step=1)]
Side = Annotated[int, Range(1, MOST, step=1)]


@node("MaskToImage", category="mask", display_name="Convert Mask to Image")
def mask_to_image(*, mask: Mask) -> Image:
    """Show a mask as a grey picture, white where it is 1."""
    return Image(check_mask(mask.values, "mask")[..., None].expand(-1, -1, -1, 3).contiguous())


@node("ImageToMask", category="mask", display_name="Convert Image to Mask")
def image_to_mask(*, image: Image, channel: Annotated[str, Choice(CHANNELS)]) -> Mask:
    """Take one channel of a picture as a mask.

    channel: alpha only where the picture has one.
    """
    index, count = CHANNELS.index(channel), image.pixels.shape[-1]
    if index >= count:
        raise ValueError(f"image has {count} channels and no {channel}; choose one of {', '.join(CHANNELS[:count])}")
    return Mask(image.pixels[..., index].clone())


@node("ImageColorToMask", category="mask")
def colour_to_mask(*, image: Image, color: Annotated[int, Range(0, 0xFFFFFF, step=1)] = 0) -> Mask:
    """Mark the pixels of exactly one colour.

    color: As a number, 0xRRGGBB.
    """
    return Mask(masks.colour_mask(image.pixels, color))


@node("SolidMask", category="mask")
def solid_mask(
    *, value: Annotated[float, Range(0.0, 1.0, step=0.01)] = 1.0, width: Side = 512, height: Side = 512
) -> Mask:
    """A mask of one value."""
    check_size((1, height, width), "a mask")
    return Mask(torch.full((1, height, width), value))


@node("InvertMask", category="mask")
def invert_mask(*, mask: Mask) -> Mask:
    """Swap what is marked and what is not."""
    return Mask(1.0 - mask.values)


@node("CropMask", category="mask")
def crop_mask(*, mask: Mask, x: Place = 0, y: Place = 0, width: Side = 512, height: Side = 512) -> Mask:
    """Cut a rectangle out of a mask; what reaches beyond it is left out.

    x: Left edge.
    y: Upper edge.
    """
    return Mask(masks.crop_mask(check_mask(mask.values, "mask"), x, y, width, height))


@node("MaskComposite", category="mask")
def combine_masks(
    *, destination: Mask, source: Mask, x: Place = 0, y: Place = 0,
    operation: Annotated[str, Choice(tuple(masks.OPERATIONS))],
) -> Mask:
    """Apply a mask onto another.

    x: Where the source's left edge comes.
    y: Where the source's upper edge comes.
    operation: and, or and xor round both masks first.
    """
    under, over = check_mask(destination.values, "destination"), check_mask(source.values, "source")
    return Mask(masks.combine_masks(under, over, x, y, operation))


@node("FeatherMask", category="mask")
def feather_mask(*, mask: Mask, left: Place = 0, top: Place = 0, right: Place = 0, bottom: Place = 0) -> Mask:
    """Let a mask fade in from its edges.

    left: Over how many pixels.
    top: Over how many pixels.
    right: Over how many pixels.
    bottom: Over how many pixels.
    """
    return Mask(masks.feather(check_mask(mask.values, "mask"), left, top, right, bottom))


@node("GrowMask", category="mask")
def grow_mask(
    *, mask: Mask, expand: Annotated[int, Range(-MOST, MOST, step=1)] = 0, tapered_corners: bool = True
) -> Mask:
    """Grow what is marked, or shrink it.

    expand: By how many pixels; negative shrinks.
    tapered_corners: Grow into a diamond instead of a square.
    """
    return Mask(masks.grow(check_mask(mask.values, "mask"), expand, tapered_corners))


@node("ThresholdMask", category="mask")
def threshold_mask(*, mask: Mask, value: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.5) -> Mask:
    """Make a mask of 0 and 1 only.

    value: What is above it becomes 1.
    """
    return Mask((mask.values > value).float())


@node("MaskPreview", category="mask", lane="io")
def preview_mask(context: Context, *, mask: Mask, prompt: Prompt, extra_pnginfo: ExtraPngInfo) -> Ui:
    """Show a mask as a picture without keeping it."""
    pixels = mask_to_image(mask=mask).pixels
    return context.save_images(
        pixels, prefix="ComfyUI_temp", kind="temp", prompt=prompt, extra=extra_pnginfo, compress_level=4
    )
