"""Pictures as prompts: image encoders, and the models that read what they say (unCLIP)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

import torch

from engine.diffusion.guidance import Condition
from engine.diffusion.remarks import unused
from engine.diffusion.style import open_style, style_tokens
from engine.diffusion.unclip import UNCLIP
from engine.diffusion.vision import encode_images, open_vision
from engine.graph.node import Choice, Context, Files, Range, node
from engine.graph.types import Clip, ClipVision, ClipVisionOutput, Conditioning, Image, Model, StyleModel, Vae
from nodes.inpainting import with_extra
from nodes.loaders import load_checkpoint


class UnclipCheckpoint(NamedTuple):
    """The four networks of an unCLIP checkpoint."""

    model: Model
    clip: Clip | None
    vae: Vae | None
    clip_vision: ClipVision


@node("unCLIPCheckpointLoader", category="loaders", lane="io")
def load_unclip(context: Context, *, ckpt_name: Annotated[str, Files("checkpoints")]) -> UnclipCheckpoint:
    """Load a checkpoint that pictures can guide (SD 2.1 unCLIP), with its image encoder.

    ckpt_name: The file, in models/checkpoints or models/starter.
    """
    vision = open_vision(context.file("checkpoints", ckpt_name))
    return UnclipCheckpoint(*load_checkpoint(context, ckpt_name=ckpt_name), ClipVision(vision))


@node("CLIPVisionLoader", category="loaders", display_name="Load CLIP Vision", lane="io")
def load_vision(context: Context, *, clip_name: Annotated[str, Files("clip_vision")]) -> ClipVision:
    """Load an image encoder.

    clip_name: The file, in models/clip_vision.
    """
    return ClipVision(open_vision(context.file("clip_vision", clip_name)))


@node("CLIPVisionEncode", category="conditioning", display_name="CLIP Vision Encode", lane="device")
def encode_vision(
    context: Context, *, clip_vision: ClipVision, image: Image, crop: Annotated[str, Choice(("center", "none"))]
) -> ClipVisionOutput:
    """Describe pictures as CLIP sees them.

    crop: The encoder reads squares: cut out the middle, or squeeze the whole picture.
    """
    encoded = encode_images(context.companion(clip_vision.weights), image.pixels, crop=crop == "center")
    return ClipVisionOutput(encoded.embeds, encoded.last, encoded.penultimate)


@node("unCLIPConditioning", category="conditioning")
def condition_unclip(
    *, conditioning: Conditioning, clip_vision_output: ClipVisionOutput,
    strength: Annotated[float, Range(-10.0, 10.0, step=0.01)] = 1.0,
    noise_augmentation: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.0,
) -> Conditioning:
    """Guide an unCLIP model by a picture besides the text; several may follow each other.

    strength: How strongly; 0 leaves the conditioning as it is.
    noise_augmentation: How freely: 0 stays close to the picture, 1 ignores it.
    """
    if strength == 0:
        return conditioning
    entry = {
        "clip_vision_output": clip_vision_output, "strength": strength, "noise_augmentation": noise_augmentation,
    }  # fmt: skip
    return Conditioning(tuple(
        with_extra(Conditioning((each,)), **{UNCLIP: (*each.extra.get(UNCLIP, ()), entry)}).entries[0]
        for each in conditioning.entries
    ))  # fmt: skip


@node("StyleModelLoader", category="loaders", display_name="Load Style Model", lane="io")
def load_style(context: Context, *, style_model_name: Annotated[str, Files("style_models")]) -> StyleModel:
    """Load a style model (T2I-Adapter's style adapter for SD 1.x).

    style_model_name: The file, in models/style_models.
    """
    weights = open_style(context.file("style_models", style_model_name))
    for remark in unused(style_model_name, weights, lambda key: True):
        context.warn(remark)
    return StyleModel(weights)


@node("StyleModelApply", category="conditioning/style_model", display_name="Apply Style Model", lane="device")
def apply_style(
    context: Context, *, conditioning: Conditioning, style_model: StyleModel, clip_vision_output: ClipVisionOutput,
    strength: Annotated[float, Range(0.0, 10.0, step=0.001)] = 1.0,
    strength_type: Annotated[str, Choice(("multiply", "attn_bias"))],
) -> Conditioning:
    """Put the style of pictures behind a text, as further words.

    strength: How strongly.
    strength_type: Multiply the words; attn_bias is for other models and does nothing here but at strength 1.
    """
    if strength_type == "attn_bias" and strength != 1.0:
        raise ValueError("strength_type attn_bias is for other families of models; choose multiply")
    words = style_tokens(context.companion(style_model.weights), clip_vision_output.last_hidden_state) * strength

    def longer(entry: Condition) -> Condition:
        if entry.states.shape[-1] != words.shape[-1]:
            raise ValueError(
                f"the style model's words are {words.shape[-1]} wide and this text's are {entry.states.shape[-1]}: "
                "it was made for another family of models"
            )
        return replace(entry, states=torch.cat([entry.states, words.expand(len(entry.states), -1, -1)], dim=1))

    return Conditioning(tuple(longer(entry) for entry in conditioning.entries))
