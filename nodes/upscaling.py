"""Enlarging pictures with networks: ESRGAN and its kin, and Stable Diffusion's x4 upscaler."""

from __future__ import annotations

from typing import Annotated

import torch

from engine.diffusion.limits import check_size
from engine.diffusion.resize import common_upscale
from engine.diffusion.upscale import enlarge, open_upscaler
from engine.graph.node import Context, Files, Range, node
from engine.graph.types import Conditioning, Image, Latent, UpscaleModel
from nodes.inpainting import Prepared, with_extra

DIFFUSION_SCALE = 4  # of the x4 upscaler's autoencoder
LATENT_CHANNELS = 4


@node(
    "SD_4XUpscale_Conditioning", category="conditioning/upscale_diffusion",
    returns=("positive", "negative", "latent"),
)
def condition_upscaling(
    *, images: Image, positive: Conditioning, negative: Conditioning,
    scale_ratio: Annotated[float, Range(0.0, 10.0, step=0.01)] = 4.0,
    noise_augmentation: Annotated[float, Range(0.0, 1.0, step=0.001)] = 0.0,
) -> Prepared:
    """Give a small picture to Stable Diffusion's x4 upscaler; start from the empty latent it returns.

    scale_ratio: How many times larger the result is.
    noise_augmentation: Noise on the small picture, so that more detail is invented; 1 is level 350 of the original.
    """
    batch, rows, columns = images.pixels.shape[:3]
    width, height = (max(1, round(side * scale_ratio)) // DIFFUSION_SCALE for side in (columns, rows))
    if not width or not height:
        raise ValueError(
            f"{columns}×{rows} pixels, {scale_ratio} times larger, are too few: each side of the result needs at least "
            f"{DIFFUSION_SCALE} pixels, so raise scale_ratio"
        )
    check_size((batch, LATENT_CHANNELS, height, width), "an enlarged picture's latent")
    small = 2.0 * images.pixels[..., :3].movedim(-1, 1) - 1.0
    extra = {
        "concat_image": common_upscale(small, width, height, "bilinear", "center"),
        "noise_augmentation": noise_augmentation,
    }
    latent = Latent(torch.zeros(batch, LATENT_CHANNELS, height, width))
    return Prepared(with_extra(positive, **extra), with_extra(negative, **extra), latent)


@node("UpscaleModelLoader", category="loaders", display_name="Load Upscale Model", lane="io")
def load_upscaler(context: Context, *, model_name: Annotated[str, Files("upscale_models")]) -> UpscaleModel:
    """Load a network that enlarges pictures.

    model_name: The file, in models/upscale_models: ESRGAN, Real-ESRGAN or a compact one; others need spandrel.
    """
    return UpscaleModel(*open_upscaler(context.file("upscale_models", model_name)))


@node(
    "ImageUpscaleWithModel", category="image/upscaling", display_name="Upscale Image (using Model)", lane="device"
)
def upscale_with_model(context: Context, *, upscale_model: UpscaleModel, image: Image) -> Image:
    """Enlarge pictures with a network, piece by piece; how many times is the network's own."""
    network = context.companion(upscale_model.weights)
    return Image(enlarge(network, image.pixels, upscale_model.scale, on_tile=context.progress))
