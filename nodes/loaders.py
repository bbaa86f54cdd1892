"""Loaders: from files to models."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from engine.graph.node import Context, Files, node
from engine.graph.types import Clip, Model, Vae


class Checkpoint(NamedTuple):
    """The three networks of a checkpoint."""

    model: Model
    clip: Clip
    vae: Vae


@node("CheckpointLoaderSimple", category="loaders", display_name="Load Checkpoint", lane="io")
def load_checkpoint(context: Context, *, ckpt_name: Annotated[str, Files("checkpoints")]) -> Checkpoint:
    """Load the denoising network, the text encoder and the autoencoder of a checkpoint file.

    ckpt_name: The file, in models/checkpoints or models/starter.
    """
    model, clip, vae = context.open_checkpoint("checkpoints", ckpt_name)
    missing = [name for name, part in (("text encoder", clip), ("VAE", vae)) if part is None]
    if missing or clip is None or vae is None:
        raise ValueError(
            f"{ckpt_name} holds no {' and no '.join(missing)}; load what is missing from a file of its own, "
            "or choose a complete checkpoint"
        )
    return Checkpoint(model, clip, vae)
