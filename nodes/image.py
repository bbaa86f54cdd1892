"""Pictures: loading, saving, scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import torch

from engine.diffusion.limits import check_size
from engine.diffusion.resize import common_upscale
from engine.graph.node import Choice, Context, ExtraPngInfo, Files, Prompt, Range, Ui, node
from engine.graph.types import Image, Mask

if TYPE_CHECKING:
    from PIL import Image as Pictures

IMAGE_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
CROPS = ("disabled", "center")
CHANNELS = ("alpha", "red", "green", "blue")
MAX_PIXELS = 178_956_970  # of all frames together; twice what Pillow warns at: 2 GB as float32 RGB


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
    from PIL import ImageSequence

    frames: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    pixels_so_far = 0
    with Pictures.open(context.file("input", image)) as picture:
        several = picture.format != "MPO"
        count = getattr(picture, "n_frames", 1) if several else 1
        if count * picture.width * picture.height > MAX_PIXELS:  # told by the header, before anything is decoded
            raise _too_large(image, count, picture.size)
        for frame in ImageSequence.Iterator(picture):
            pixels_so_far += frame.width * frame.height  # frames of a TIFF file have sizes of their own
            if pixels_so_far > MAX_PIXELS:
                raise _too_large(image, count, frame.size)
            upright = _upright(frame)
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


def _upright(frame: Pictures.Image) -> Pictures.Image:
    """The frame as its EXIF data wants it shown; 16 and 32 bit greys brought to 8 as ComfyUI does."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(frame)
    return upright.point(lambda value: value * (1 / 255)) if upright.mode.startswith("I") else upright


def _too_large(name: str, count: int, size: tuple[int, int]) -> ValueError:
    frames = f"{count} frames of " if count > 1 else ""
    return ValueError(
        f"{name} has {frames}{size[0]}×{size[1]} pixels; the limit is {MAX_PIXELS} pixels in all, "
        "so make it smaller or split it"
    )


@node("LoadImageMask", category="mask", display_name="Load Image (as Mask)", lane="io")
def load_image_mask(
    context: Context, *, image: Annotated[str, Files("input", upload="image")],
    channel: Annotated[str, Choice(CHANNELS)],
) -> Mask:
    """Load one channel of a picture as a mask; of the alpha channel, transparent parts are what is to be painted.

    image: The file; upload one, or name one in another folder as "name.png [output]".
    """
    from PIL import Image as Pictures

    with Pictures.open(context.file("input", image)) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise _too_large(image, 1, picture.size)
        band = _upright(picture).convert("RGBA").getchannel(channel[0].upper())
        values = torch.from_numpy(np.array(band, dtype=np.float32) / 255.0)
    return Mask((1.0 - values if channel == "alpha" else values)[None])


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


@node("ImageScaleBy", category="image/upscaling", display_name="Upscale Image By")
def scale_image_by(
    *, image: Image, upscale_method: Annotated[str, Choice(IMAGE_METHODS)],
    scale_by: Annotated[float, Range(0.01, 8.0, step=0.01)] = 1.0,
) -> Image:
    """Scale pictures by a factor."""
    rows, columns = image.pixels.shape[1:3]
    width, height = round(columns * scale_by), round(rows * scale_by)
    scaled = common_upscale(image.pixels.movedim(-1, 1), width, height, upscale_method)
    return Image(scaled.movedim(1, -1).contiguous())


@node("EmptyImage", category="image")
def empty_image(
    *, width: Annotated[int, Range(1, 16384, step=1)] = 512, height: Annotated[int, Range(1, 16384, step=1)] = 512,
    batch_size: Annotated[int, Range(1, 4096)] = 1, color: Annotated[int, Range(0, 0xFFFFFF, step=1)] = 0,
) -> Image:
    """A picture of one colour.

    color: As a number, 0xRRGGBB.
    """
    check_size((batch_size, height, width, 3), "an empty picture")
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
