"""Pictures: loading, saving, scaling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import torch

from engine.diffusion.limits import check_size
from engine.diffusion.pictures.compose import resized, with_channels
from engine.graph.node import (
    Choice,
    Context,
    ControlAfterGenerate,
    ExtraPngInfo,
    Files,
    Prompt,
    Range,
    Ui,
    UniqueId,
    node,
)
from engine.graph.types import Image, Mask

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image as Pictures

IMAGE_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
CROPS = ("disabled", "center")
MEGA = 1024 * 1024
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
    return _load(image, context.file("input", image))


def _load(name: str, path: Path) -> Loaded:
    from PIL import Image as Pictures
    from PIL import ImageSequence

    frames: list[torch.Tensor] = []
    masks: list[torch.Tensor] = []
    pixels_so_far = 0
    with Pictures.open(path) as picture:
        several = picture.format != "MPO"
        count = getattr(picture, "n_frames", 1) if several else 1
        if count * picture.width * picture.height > MAX_PIXELS:  # told by the header, before anything is decoded
            raise _too_large(name, count, picture.size)
        for frame in ImageSequence.Iterator(picture):
            pixels_so_far += frame.width * frame.height  # frames of a TIFF file have sizes of their own
            if pixels_so_far > MAX_PIXELS:
                raise _too_large(name, count, frame.size)
            upright = _upright(frame)
            pixels = torch.from_numpy(np.array(upright.convert("RGB"), dtype=np.float32) / 255.0)
            if frames and pixels.shape != frames[0].shape:
                continue
            frames.append(pixels)
            if "A" in upright.getbands() or (upright.mode == "P" and "transparency" in upright.info):
                alpha = np.array(upright.convert("RGBA").getchannel("A"), dtype=np.float32) / 255.0
                masks.append(1.0 - torch.from_numpy(alpha))
            else:
                masks.append(torch.zeros(64, 64))
            if not several:
                break
    same = [mask for mask in masks if mask.shape == masks[0].shape]
    return Loaded(Image(torch.stack(frames)), Mask(torch.stack(same)))


def _upright(frame: Pictures.Image) -> Pictures.Image:
    """The frame as its EXIF data wants it shown; greys of 32 bits divided by 255, as ComfyUI does.

    Those of 16 bits are not: what is above 255 becomes white when the frame is converted to RGB, there as here.
    """
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(frame)
    return upright.point(lambda value: value * (1 / 255)) if upright.mode == "I" else upright


def _too_large(name: str, count: int, size: tuple[int, int]) -> ValueError:
    frames = f"{count} frames of " if count > 1 else ""
    return ValueError(
        f"{name} has {frames}{size[0]}×{size[1]} pixels; the limit is {MAX_PIXELS} pixels in all, "
        "so make it smaller or split it"
    )


@node("LoadImageOutput", category="image", display_name="Load Image (from Outputs)", lane="io", experimental=True)
def load_output(context: Context, *, image: Annotated[str, Files("output", upload="image")]) -> Loaded:
    """Load a picture that was saved before; transparent parts become the mask.

    image: The file in the output folder, as "name.png [output]".
    """
    return _load(image, context.file("output", image))


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


@node("SaveImageWebsocket", category="api/image", lane="io", output=True, changed=lambda **_: math.nan)
def send_image(context: Context, *, images: Image) -> None:
    """Send pictures over the WebSocket to whoever queued the job, as PNG, and write no file. It runs each time."""
    context.send_images(images.pixels)


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
    return Image(resized(image.pixels, width, height, upscale_method, crop))


@node("ImageScaleBy", category="image/upscaling", display_name="Upscale Image By")
def scale_image_by(
    *, image: Image, upscale_method: Annotated[str, Choice(IMAGE_METHODS)],
    scale_by: Annotated[float, Range(0.01, 8.0, step=0.01)] = 1.0,
) -> Image:
    """Scale pictures by a factor."""
    rows, columns = image.pixels.shape[1:3]
    width, height = round(columns * scale_by), round(rows * scale_by)
    return Image(resized(image.pixels, width, height, upscale_method))


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


@node("ImageScaleToTotalPixels", category="image/upscaling")
def scale_to_pixels(
    *, image: Image, upscale_method: Annotated[str, Choice(IMAGE_METHODS)],
    megapixels: Annotated[float, Range(0.01, 16.0, step=0.01)] = 1.0,
) -> Image:
    """Scale pictures to a number of pixels, keeping their proportions.

    megapixels: Of 1024 × 1024 pixels.
    """
    rows, columns = image.pixels.shape[1:3]
    scale = math.sqrt(int(megapixels * MEGA) / (columns * rows))
    return Image(resized(image.pixels, round(columns * scale), round(rows * scale), upscale_method))


@node("ImageScaleToMaxDimension", category="image/upscaling")
def scale_to_side(
    *, image: Image,
    upscale_method: Annotated[str, Choice(("area", "lanczos", "bilinear", "nearest-exact", "bilinear", "bicubic"))],
    largest_size: Annotated[int, Range(0, 16384, step=1)] = 512,
) -> Image:
    """Scale pictures so that their longer side has a length.

    largest_size: Of the longer side, in pixels; at least 1.
    """
    rows, columns = image.pixels.shape[1:3]
    longer = max(rows, columns)
    width, height = round(columns / longer * largest_size), round(rows / longer * largest_size)
    return Image(resized(image.pixels, width, height, upscale_method))


@node("ImageBatch", category="image", display_name="Batch Images")
def batch_images(*, image1: Image, image2: Image) -> Image:
    """Put pictures into one batch; the second are scaled to the size of the first."""
    first, second = image1.pixels, with_channels(image2.pixels, image1.pixels.shape[3])
    if first.shape[1:3] != second.shape[1:3]:
        height, width = first.shape[1:3]
        second = resized(second, width, height, "bilinear", "center")
    return Image(torch.cat([first, second]))


@node("RepeatImageBatch", category="image/batch")
def repeat_images(*, image: Image, amount: Annotated[int, Range(1, 4096)] = 1) -> Image:
    """Put a batch several times into one."""
    check_size((amount, *image.pixels.shape), "a repeated batch")
    return Image(image.pixels.repeat(amount, 1, 1, 1))


@node("ImageFromBatch", category="image/batch")
def images_from_batch(
    *, image: Image, batch_index: Annotated[int, Range(0, 4095)] = 0, length: Annotated[int, Range(1, 4096)] = 1
) -> Image:
    """Take some pictures of a batch; where there are fewer, the last ones.

    batch_index: The first one, from 0.
    length: How many.
    """
    first = min(image.pixels.shape[0] - 1, batch_index)
    return Image(image.pixels[first : first + length].clone())


@node("RebatchImages", category="image/batch", display_name="Rebatch Images")
def rebatch_images(
    *, images: list[Image], batch_size: Annotated[list[int], Range(1, 4096)] = [1],  # noqa: B006 - never changed
) -> list[Image]:
    """Make batches of another size of a list of batches.

    batch_size: How many pictures a batch has; the last may have fewer.
    """
    sizes = {tuple(each.pixels.shape[1:]) for each in images}
    if len(sizes) > 1:
        found = " and ".join(f"{width}×{height} with {channels} channels" for height, width, channels in sorted(sizes))
        raise ValueError(f"images holds pictures of {found}; scale them to one size first")
    pixels = torch.cat([each.pixels for each in images])
    return [Image(pixels[first : first + batch_size[0]]) for first in range(0, len(pixels), batch_size[0])]


class Size(NamedTuple):
    """How large a batch is."""

    width: int
    height: int
    batch_size: int


@node(
    "GetImageSize", category="image", display_name="Get Image Size", returns=("width", "height", "batch_size")
)  # fmt: skip
def image_size(context: Context, *, image: Image, unique_id: UniqueId) -> Size:
    """How wide and high pictures are, and how many, as numbers to link on."""
    count, height, width = image.pixels.shape[:3]
    context.warn(f"width: {width}, height: {height}\n batch size: {count}")
    return Size(width, height, count)


@node("ImageAddNoise", category="image")
def add_noise(
    *, image: Image, seed: Annotated[int, Range(0, 2**64 - 1), ControlAfterGenerate()] = 0,
    strength: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.5,
) -> Image:
    """Add grain to pictures.

    seed: The number the noise is made from.
    strength: The noise's standard deviation; 1 is the whole range from black to white.
    """
    noise = torch.randn(image.pixels.shape, generator=torch.Generator().manual_seed(seed))
    return Image((image.pixels + strength * noise).clamp(0, 1))
