"""Latents: empty ones, encoded pictures, decoding, scaling."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch

from engine.diffusion.batch import Batch, part_of_batch, repeat_batch
from engine.diffusion.latentfile import latent_bytes, read_latent
from engine.diffusion.limits import check_finite, check_size
from engine.diffusion.pictures.masks import check_mask, tell_of_empty
from engine.diffusion.resize import common_upscale
from engine.diffusion.tiling import decode_tiled, encode_tiled, tiles_in_latent
from engine.diffusion.tiny import decode_tiny, encode_tiny, open_tiny
from engine.files.artefacts import recipe_texts
from engine.graph.node import Choice, Context, ExtraPngInfo, Files, Prompt, Range, Ui, node
from engine.graph.types import Image, Latent, Mask, Vae

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
    shape = (batch_size, CHANNELS, height // DOWNSCALE, width // DOWNSCALE)
    check_size(shape, "an empty latent")
    return Latent(torch.zeros(shape))


@node("VAEDecode", category="latent", display_name="VAE Decode", lane="device")
def decode(context: Context, *, samples: Latent, vae: Vae) -> Image:
    """Turn a latent into pictures."""
    check_finite(samples.samples, "samples")
    return Image(context.decode(vae, samples.samples))


@node("TAESDDecode", category="latent", display_name="TAESD Decode (fast, approximate)", lane="device")
def decode_roughly(
    context: Context, *, samples: Latent, decoder: Annotated[str, Files("vae_approx")]
) -> Image:
    """Turn a latent into pictures with TAESD's decoder: much faster than the VAE, and fine detail differs.

    decoder: The file, in models/vae_approx: taesd_decoder, or an AutoencoderTiny of diffusers.
    """
    check_finite(samples.samples, "samples")
    weights = open_tiny(context.file("vae_approx", decoder))
    return Image(decode_tiny(context.companion(weights), samples.samples))


@node("VAEEncode", category="latent", display_name="VAE Encode", lane="device")
def encode(context: Context, *, pixels: Image, vae: Vae) -> Latent:
    """Turn pictures into a latent, to start from them or to change them."""
    return Latent(context.encode(vae, pixels.pixels))


@node("TAESDEncode", category="latent", display_name="TAESD Encode (fast, approximate)", lane="device")
def encode_roughly(
    context: Context, *, pixels: Image, encoder: Annotated[str, Files("vae_approx")]
) -> Latent:
    """Turn pictures into a latent with TAESD's encoder: much faster than the VAE, and fine detail differs.

    encoder: The file, in models/vae_approx: taesd_encoder, or an AutoencoderTiny of diffusers.
    """
    weights = open_tiny(context.file("vae_approx", encoder), "encoder")
    return Latent(encode_tiny(context.companion(weights), pixels.pixels))


@node("VAEDecodeTiled", category="_for_testing", display_name="VAE Decode (Tiled)", lane="device")
def decode_in_tiles(
    context: Context, *, samples: Latent, vae: Vae, tile_size: Annotated[int, Range(64, 4096, step=32)] = 512,
    overlap: Annotated[int, Range(0, 4096, step=32)] = 64, temporal_size: Annotated[int, Range(8, 4096, step=4)] = 64,
    temporal_overlap: Annotated[int, Range(4, 4096, step=4)] = 8,
) -> Image:
    """Turn a latent into pictures piece by piece, for pictures that do not fit into memory; seams are blended.

    tile_size: Side of a piece, in picture pixels.
    overlap: How far pieces overlap, in picture pixels; more than a quarter of a piece counts as a quarter.
    temporal_size: Only for video models: pictures have no time.
    temporal_overlap: Only for video models: pictures have no time.
    """
    check_finite(samples.samples, "samples")
    tile, over = tiles_in_latent(tile_size, overlap, vae.config.vae.downscale)
    pixels = decode_tiled(
        context.autoencoder(vae), samples.samples, tile=tile, overlap=over, on_tile=context.progress
    )
    return Image(pixels)


@node("VAEEncodeTiled", category="_for_testing", display_name="VAE Encode (Tiled)", lane="device")
def encode_in_tiles(
    context: Context, *, pixels: Image, vae: Vae, tile_size: Annotated[int, Range(64, 4096, step=64)] = 512,
    overlap: Annotated[int, Range(0, 4096, step=32)] = 64, temporal_size: Annotated[int, Range(8, 4096, step=4)] = 64,
    temporal_overlap: Annotated[int, Range(4, 4096, step=4)] = 8,
) -> Latent:
    """Turn pictures into a latent piece by piece, for pictures that do not fit into memory.

    tile_size: Side of a piece, in picture pixels.
    overlap: How far pieces overlap, in picture pixels; less than half a piece.
    temporal_size: Only for video models: pictures have no time.
    temporal_overlap: Only for video models: pictures have no time.
    """
    encoded = encode_tiled(
        context.autoencoder(vae), pixels.pixels, tile=tile_size, overlap=overlap, on_tile=context.progress
    )
    return Latent(encoded)


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


@node("LatentUpscaleBy", category="latent", display_name="Upscale Latent By")
def upscale_by(
    *, samples: Latent, upscale_method: Annotated[str, Choice(LATENT_METHODS)],
    scale_by: Annotated[float, Range(0.01, 8.0, step=0.01)] = 1.5,
) -> Latent:
    """Scale a latent by a factor."""
    rows, columns = samples.samples.shape[2:]
    scaled = common_upscale(samples.samples, round(columns * scale_by), round(rows * scale_by), upscale_method)
    return replace(samples, samples=scaled)


@node("LatentFromBatch", category="latent/batch", display_name="Latent From Batch")
def from_batch(
    *, samples: Latent, batch_index: Annotated[int, Range(0, 63)] = 0, length: Annotated[int, Range(1, 64)] = 1
) -> Latent:
    """Take some pictures of a batch; sampled again, each gets the noise it had in the whole batch.

    batch_index: The first one, from 0.
    length: How many.
    """
    return _rebatched(samples, part_of_batch(_batch(samples), batch_index, length))


@node("RepeatLatentBatch", category="latent/batch", display_name="Repeat Latent Batch")
def repeat(*, samples: Latent, amount: Annotated[int, Range(1, 64)] = 1) -> Latent:
    """Put a batch several times into one."""
    return _rebatched(samples, repeat_batch(_batch(samples), amount))


def _batch(latent: Latent) -> Batch:
    return Batch(latent.samples, latent.noise_mask, latent.batch_index)


def _rebatched(latent: Latent, batch: Batch) -> Latent:
    return replace(latent, samples=batch.samples, noise_mask=batch.noise_mask, batch_index=batch.batch_index)


@node("SetLatentNoiseMask", category="latent/inpaint", display_name="Set Latent Noise Mask")
def set_noise_mask(context: Context, *, samples: Latent, mask: Mask) -> Latent:
    """Say which part of a latent is painted anew: where the mask is 1."""
    values = check_mask(mask.values, "mask")
    tell_of_empty(values, context.warn, "nothing is painted anew")
    return replace(samples, noise_mask=values[:, None])


@node("SaveLatent", category="_for_testing", display_name="SaveLatent", lane="io")
def save_latent(
    context: Context, *, samples: Latent, filename_prefix: str = "latents/ComfyUI", prompt: Prompt,
    extra_pnginfo: ExtraPngInfo,
) -> Ui:
    """Save a latent in the output folder, with the workflow inside; LoadLatent reads it from the input folder.

    filename_prefix: May hold folders and %year%, %month%, %day%, %hour%, %minute%, %second%.
    """
    content = latent_bytes(samples.samples, recipe_texts(prompt, extra_pnginfo))
    return context.save_files([content], prefix=filename_prefix, extension=".latent", kind="output", shown="latents")


@node("LoadLatent", category="_for_testing", display_name="LoadLatent", lane="io")
def load_latent(context: Context, *, latent: Annotated[str, Files("latents")]) -> Latent:
    """Load a latent from the input folder."""
    return Latent(read_latent(context.file("latents", latent)))
