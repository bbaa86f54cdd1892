"""Latents: empty ones, encoded pictures, decoding, scaling."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch

from engine.diffusion import vae as autoencoder
from engine.diffusion.resize import common_upscale
from engine.graph.node import Choice, Context, Range, node
from engine.graph.types import Image, Latent, Vae

LATENT_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")
CROPS = ("disabled", "center")
DOWNSCALE = 8  # latent pixels per picture pixel: part of the protocol, whatever the model
CHANNELS = 4


@node("EmptyLatentImage", category="latent", display_name="Empty Latent Image")
def empty_latent(
    *, width: Annotated[int, Range(16, 16384, step=8)] = 512, height: Annotated[int, Range(16, 16384, step=8)] = 512,
    batch_size: Annotated[int, Range(1, 4096)] = 1,
) -> Latent:
    """A blank canvas of noise-to-be.

    width: Of the picture, in pixels.
    height: Of the picture, in pixels.
    batch_size: How many pictures are made at once.
    """
    return Latent(torch.zeros(batch_size, CHANNELS, height // DOWNSCALE, width // DOWNSCALE))


@node("VAEDecode", category="latent", display_name="VAE Decode", lane="device")
def decode(context: Context, *, samples: Latent, vae: Vae) -> Image:
    """Turn a latent into pictures."""
    return Image(autoencoder.decode(context.autoencoder(vae), samples.samples))


@node("VAEEncode", category="latent", display_name="VAE Encode", lane="device")
def encode(context: Context, *, pixels: Image, vae: Vae) -> Latent:
    """Turn pictures into a latent, to start from them or to change them."""
    return Latent(autoencoder.encode(context.autoencoder(vae), pixels.pixels))


@node("LatentUpscale", category="latent", display_name="Upscale Latent")
def upscale(
    *, samples: Latent, upscale_method: Annotated[str, Choice(LATENT_METHODS)],
    width: Annotated[int, Range(0, 16384, step=8)] = 512, height: Annotated[int, Range(0, 16384, step=8)] = 512,
    crop: Annotated[str, Choice(CROPS)],
) -> Latent:
    """Scale a latent to a size in picture pixels; the second pass of a high-resolution picture starts from it.

    width: 0 keeps the proportions.
    height: 0 keeps the proportions.
    """
    if width == 0 and height == 0:
        return samples
    rows, columns = samples.samples.shape[2:]
    if width == 0:
        height = max(64, height)
        width = max(64, round(columns * height / rows))
    elif height == 0:
        width = max(64, width)
        height = max(64, round(rows * width / columns))
    else:
        width, height = max(64, width), max(64, height)
    scaled = common_upscale(samples.samples, width // DOWNSCALE, height // DOWNSCALE, upscale_method, crop)
    return replace(samples, samples=scaled)
