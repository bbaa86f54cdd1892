"""Loaders: from files to models."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from engine.diffusion import checkpoint
from engine.diffusion.cards import CARDS, UNKNOWN_LICENCE, card_text, starter_card
from engine.diffusion.config import PRESETS
from engine.diffusion.remarks import remarks
from engine.files.metadata import MetadataError, read_metadata
from engine.graph.node import Advanced, Choice, Context, Files, node
from engine.graph.types import Clip, Model, Vae

WEIGHT_TYPES = ("default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2")
CLIP_TYPES = (
    "stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv", "pixart", "cosmos", "lumina2", "wan",
    "hidream", "chroma", "ace", "omnigen2", "qwen_image", "hunyuan_image",
)


class Checkpoint(NamedTuple):
    """The three networks of a checkpoint. Some hold no text encoder or no autoencoder; only who reads it minds."""

    model: Model
    clip: Clip | None
    vae: Vae | None


@node("CheckpointLoaderSimple", category="loaders", display_name="Load Checkpoint", lane="io")
def load_checkpoint(context: Context, *, ckpt_name: Annotated[str, Files("checkpoints")]) -> Checkpoint:
    """Load the denoising network, the text encoder and the autoencoder of a checkpoint file.

    What the file does not hold is needed only by nodes that are linked to it.

    ckpt_name: The file, in models/checkpoints or models/starter/checkpoints.
    """
    return Checkpoint(*context.open_checkpoint("checkpoints", ckpt_name))


def _wrapped(context: Context, name: str, opened: checkpoint.Checkpoint) -> Checkpoint:
    _tell_of(context, name, opened)
    config = opened.config
    return Checkpoint(
        Model(opened.unet, config), Clip(opened.text, config) if opened.text else None,
        Vae(opened.vae, config) if opened.vae else None,
    )


def _tell_of(context: Context, name: str, opened: checkpoint.Checkpoint | checkpoint.Part) -> None:
    for remark in remarks(name, opened):
        context.warn(remark)


@node(
    "CheckpointLoader", category="advanced/loaders", display_name="Load Checkpoint With Config (DEPRECATED)",
    lane="io", deprecated=True,
)
def load_checkpoint_with_config(
    context: Context, *, config_name: Annotated[str, Files("configs")], ckpt_name: Annotated[str, Files("checkpoints")]
) -> Checkpoint:
    """Load a checkpoint with the original configuration file of its release, which says whether it predicts noise.

    config_name: The yaml file, in models/configs; it wins over what the checkpoint says of itself.
    ckpt_name: The file, in models/checkpoints or models/starter/checkpoints.
    """
    path, config = context.file("checkpoints", ckpt_name), context.file("configs", config_name)
    return _wrapped(context, ckpt_name, checkpoint.open_checkpoint(path, sidecar=config))


@node("DiffusersLoader", category="advanced/loaders/deprecated", lane="io")
def load_diffusers(context: Context, *, model_path: Annotated[str, Files("diffusers")]) -> Checkpoint:
    """Load a model in diffusers' layout: a folder with unet, vae, text_encoder and scheduler.

    model_path: The folder, in models/diffusers.
    """
    return _wrapped(context, model_path, checkpoint.open_folder(context.file("diffusers", model_path)))


@node("UNETLoader", category="advanced/loaders", display_name="Load Diffusion Model", lane="io")
def load_unet(
    context: Context, *, unet_name: Annotated[str, Files("diffusion_models")],
    weight_dtype: Annotated[str, Choice(WEIGHT_TYPES)],
) -> Model:
    """Load a denoising network that has a file of its own.

    unet_name: The file, in models/diffusion_models or models/unet.
    weight_dtype: The 8-bit types are not supported; the server's precision decides.
    """
    if weight_dtype != "default":
        raise ValueError(f"weight_dtype {weight_dtype} is not supported; choose default")
    part = checkpoint.open_unet(context.file("diffusion_models", unet_name))
    _tell_of(context, unet_name, part)
    return Model(part.weights, part.config)


@node("CLIPLoader", category="advanced/loaders", display_name="Load CLIP", lane="io")
def load_clip(
    context: Context, *, clip_name: Annotated[str, Files("text_encoders")],
    type: Annotated[str, Choice(CLIP_TYPES)],  # noqa: A002 - the input's name in files
    device: Annotated[str | None, Choice(("default", "cpu")), Advanced()] = None,
) -> Clip:
    """Load a text encoder that has a file of its own.

    clip_name: The file, in models/text_encoders or models/clip.
    type: Only stable_diffusion; whether it is SD 1.x's or 2.x's is read from the file.
    device: Easel places networks itself.
    """
    if type != CLIP_TYPES[0]:
        raise ValueError(f"text encoders of type {type} are not supported; choose {CLIP_TYPES[0]}")
    part = checkpoint.open_text(context.file("text_encoders", clip_name))
    _tell_of(context, clip_name, part)
    return Clip(part.weights, part.config)


@node("VAELoader", category="loaders", display_name="Load VAE", lane="io")
def load_vae(context: Context, *, vae_name: Annotated[str, Files("vae")]) -> Vae:
    """Load an autoencoder that has a file of its own.

    vae_name: The file, in models/vae.
    """
    part = checkpoint.open_vae(context.file("vae", vae_name))
    _tell_of(context, vae_name, part)
    return Vae(part.weights, part.config)


class Information(NamedTuple):
    """A model's card to read, and its licence alone."""

    text: str
    licence: str


@node("ModelInformation", category="loaders", display_name="Model Information", lane="io")
def tell_of_model(*, model: Model) -> Information:
    """Tell what the card of a published model says: licence, intended use, limits, training.

    model: Recognised by its configuration, so a fine-tune is told of as its base. Easel's starter models tell of
        themselves; nothing is said of other models.
    """
    family = model.config.family
    published = PRESETS.get(family)
    if published is not None and published.unet == model.config.unet and family in CARDS:
        card = CARDS[family]
    else:
        try:
            found = starter_card(read_metadata(model.weights.path))
        except MetadataError:  # of another kind than safetensors: it says nothing of itself
            found = None
        if found is None:
            return Information(
                "This model has the sizes of no published one, so no card is known; see where the file came from.",
                UNKNOWN_LICENCE,
            )
        card = found
    return Information(card_text(card), card.licence)
