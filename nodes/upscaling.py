"""Enlarging pictures with networks: Stable Diffusion's x4 upscaler."""

from __future__ import annotations

from typing import Annotated

import torch

from engine.diffusion.limits import check_size
from engine.diffusion.resize import common_upscale
from engine.graph.node import Range, node
from engine.graph.types import Conditioning, Image, Latent
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
