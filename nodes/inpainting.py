"""Painting over a part of a picture, editing it by instruction, and what models for that read."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import torch

from engine.diffusion.inpaint import grow_mask, mask_picture
from engine.graph.node import Context, Range, node
from engine.graph.types import Conditioning, Image, Latent, Mask, Vae

PIXELS = 8  # to which InpaintModelConditioning cuts, whatever the autoencoder


class Prepared(NamedTuple):
    """Both sides of guidance, and where to start."""

    positive: Conditioning
    negative: Conditioning
    latent: Latent


def with_extra(conditioning: Conditioning, **extra: Any) -> Conditioning:
    """The conditioning with more keys in every entry."""
    return Conditioning(tuple(replace(each, extra={**each.extra, **extra}) for each in conditioning.entries))


@node(
    "InpaintModelConditioning", category="conditioning/inpaint", lane="device",
    returns=("positive", "negative", "latent"),
)
def condition_inpainting(
    context: Context, *, positive: Conditioning, negative: Conditioning, vae: Vae, pixels: Image, mask: Mask,
    noise_mask: bool = True,
) -> Prepared:
    """Give a picture and a mask to a model made for inpainting.

    pixels: The picture; sides are cut to multiples of 8.
    mask: 1 where to paint.
    noise_mask: Keep what is not masked in every step, too; switch it off to let the model change everything.
    """
    masked = mask_picture(pixels.pixels, mask.values, PIXELS)
    if not bool(masked.mask.any()):
        context.warn("the mask is empty: nothing will be painted")
    hidden = context.encode(vae, masked.hidden)
    extra = {"concat_latent_image": hidden, "concat_mask": masked.mask}
    latent = Latent(context.encode(vae, masked.pixels), masked.mask if noise_mask else None)
    return Prepared(with_extra(positive, **extra), with_extra(negative, **extra), latent)


@node("VAEEncodeForInpaint", category="latent/inpaint", display_name="VAE Encode (for Inpainting)", lane="device")
def encode_for_inpainting(
    context: Context, *, pixels: Image, vae: Vae, mask: Mask, grow_mask_by: Annotated[int, Range(0, 64, step=1)] = 6
) -> Latent:
    """Encode a picture with the masked part greyed out, to be painted anew with denoise 1.

    mask: 1 where to paint.
    grow_mask_by: How many pixels more than the mask are painted, so that no seam is left.
    """
    masked = mask_picture(pixels.pixels, mask.values, vae.config.vae.downscale)
    if not bool(masked.mask.any()):
        context.warn("the mask is empty: nothing will be painted")
    encoded = context.encode(vae, masked.hidden)
    return Latent(encoded, grow_mask(masked.mask, grow_mask_by).round())


@node(
    "InstructPixToPixConditioning", category="conditioning/instructpix2pix", lane="device",
    returns=("positive", "negative", "latent"),
)
def condition_editing(
    context: Context, *, positive: Conditioning, negative: Conditioning, vae: Vae, pixels: Image
) -> Prepared:
    """Give a picture to a model that edits by instruction (InstructPix2Pix); start from the empty latent it returns.

    pixels: The picture; sides are cut to multiples of 8.
    """
    whole = mask_picture(pixels.pixels, torch.zeros(1, *pixels.pixels.shape[1:3]), PIXELS).pixels
    encoded = context.encode(vae, whole)
    extra = {"concat_latent_image": encoded}
    return Prepared(
        with_extra(positive, **extra), with_extra(negative, **extra), Latent(torch.zeros_like(encoded))
    )
