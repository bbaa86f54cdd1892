"""Pictures: loading, saving, scaling."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
import torch

from engine.diffusion.resize import common_upscale
from engine.graph.node import Choice, Context, ExtraPngInfo, Files, Prompt, Range, Ui, node
from engine.graph.types import Image, Mask

IMAGE_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
CROPS = ("disabled", "center")
MAX_PIXELS = 178_956_970  # twice what Pillow warns at: 512 MB of RGB


class Loaded(NamedTuple):
    """Pictures and what their transparency says."""

    image: Image
    mask: Mask


@node("LoadImage", category="image", display_name="Load Image", lane="io")
def load_image(context: Context, *, image: Annotated[str, Files("input", upload="image")]) -> Loaded:
    """Load a picture from the input folder; transparent parts become the mask.

    image: The file; upload one, or name one in another folder as "name.png [output]".
    """
    from PIL import Image as Pictures
    from PIL import ImageOps, ImageSequence

    frames: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    with Pictures.open(context.file("input", image)) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(f"{image} has {picture.width}×{picture.height} pixels; the limit is {MAX_PIXELS} in all")
        several = picture.format != "MPO"
        for frame in ImageSequence.Iterator(picture):
            upright = ImageOps.exif_transpose(frame)
            if upright.mode.startswith("I"):
                upright = upright.point(lambda value: value * (1 / 255))
            pixels = torch.from_numpy(np.array(upright.convert("RGB"), dtype=np.float32) / 255.0)
            if frames and pixels.shape != frames[0].shape:
                continue
            frames.append(pixels)
            if "A" in upright.getbands() or "transparency" in upright.info:
                alpha = np.array(upright.convert("RGBA").getchannel("A"), dtype=np.float32) / 255.0
                masks.append(1.0 - torch.from_numpy(alpha))
            else:
                masks.append(torch.zeros(64, 64))
            if not several:
                break
    same = [mask for mask in masks if mask.shape == masks[0].shape]
    return Loaded(Image(torch.stack(frames)), Mask(torch.stack(same)))


@node("SaveImage", category="image", display_name="Save Image", lane="io")
def save_image(
    context: Context, *, images: Image, filename_prefix: str = "ComfyUI", prompt: Prompt, extra_pnginfo: ExtraPngInfo
) -> Ui:
    """Save pictures in the output folder, with the workflow inside.

    filename_prefix: May hold folders and %width%, %height%, %year%, %month%, %day%, %hour%, %minute%, %second%,
        %batch_num%.
    """
    return context.save_images(
        images.pixels, prefix=filename_prefix, kind="output", prompt=prompt, extra=extra_pnginfo, compress_level=4
    )


@node("PreviewImage", category="image", display_name="Preview Image", lane="io")
def preview_image(context: Context, *, images: Image, prompt: Prompt, extra_pnginfo: ExtraPngInfo) -> Ui:
    """Show pictures without keeping them."""
    return context.save_images(
        images.pixels, prefix="ComfyUI_temp", kind="temp", prompt=prompt, extra=extra_pnginfo, compress_level=1
    )


@node("ImageScale", category="image/upscaling", display_name="Upscale Image")
def scale_image(
    *, image: Image, upscale_method: Annotated[str, Choice(IMAGE_METHODS)],
    width: Annotated[int, Range(0, 16384, step=1)] = 512, height: Annotated[int, Range(0, 16384, step=1)] = 512,
    crop: Annotated[str, Choice(CROPS)],
) -> Image:
    """Scale pictures to a size.

    width: 0 keeps the proportions.
    height: 0 keeps the proportions.
    """
    if width == 0 and height == 0:
        return image
    rows, columns = image.pixels.shape[1:3]
    if width == 0:
        width = max(1, round(columns * height / rows))
    elif height == 0:
        height = max(1, round(rows * width / columns))
    scaled = common_upscale(image.pixels.movedim(-1, 1), width, height, upscale_method, crop)
    return Image(scaled.movedim(1, -1).contiguous())


@node("EmptyImage", category="image")
def empty_image(
    *, width: Annotated[int, Range(1, 16384, step=1)] = 512, height: Annotated[int, Range(1, 16384, step=1)] = 512,
    batch_size: Annotated[int, Range(1, 4096)] = 1, color: Annotated[int, Range(0, 0xFFFFFF, step=1)] = 0,
) -> Image:
    """A picture of one colour.

    color: As a number, 0xRRGGBB.
    """
    channels = [(color >> shift & 0xFF) / 255 for shift in (16, 8, 0)]
    return Image(torch.tensor(channels).expand(batch_size, height, width, 3).contiguous())


@node("ImageInvert", category="image", display_name="Invert Image")
def invert_image(*, image: Image) -> Image:
    """Swap light and dark."""
    return Image(1.0 - image.pixels)


@node("ImageBatch", category="image", display_name="Batch Images")
def batch_images(*, image1: Image, image2: Image) -> Image:
    """Put pictures into one batch; the second are scaled to the size of the first."""
    first, second = image1.pixels, image2.pixels
    if first.shape[1:3] != second.shape[1:3]:
        height, width = first.shape[1:3]
        second = common_upscale(second.movedim(-1, 1), width, height, "bilinear", "center").movedim(1, -1)
    return Image(torch.cat([first, second]))
