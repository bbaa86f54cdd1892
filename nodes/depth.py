"""Depth: how near the parts of a picture are, and models that paint over it (SD 2 depth)."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from engine.diffusion.depth import estimate_depth, open_depth
from engine.graph.node import Context, Files, node
from engine.graph.types import Conditioning, DepthModel, Image
from nodes.inpainting import with_extra


@node("DepthModelLoader", category="loaders", display_name="Load Depth Model", lane="io")
def load_depth(context: Context, *, depth_model: Annotated[str, Files("depth_models")]) -> DepthModel:
    """Load a depth network (MiDaS dpt_hybrid).

    depth_model: The file, in models/depth_models: the model.safetensors of a transformers folder, or MiDaS' own .pt.
    """
    return DepthModel(open_depth(context.file("depth_models", depth_model)))


@node("DepthModelFromCheckpoint", category="loaders", display_name="Load Depth Model of a Checkpoint", lane="io")
def load_depth_of_checkpoint(context: Context, *, ckpt_name: Annotated[str, Files("checkpoints")]) -> DepthModel:
    """Load the depth network that the published depth checkpoint holds (512-depth-ema).

    ckpt_name: The checkpoint, in models/checkpoints or models/starter.
    """
    return DepthModel(open_depth(context.file("checkpoints", ckpt_name)))


@node("EstimateDepth", category="image/depth", display_name="Estimate Depth", lane="device")
def estimate(context: Context, *, depth_model: DepthModel, image: Image) -> Image:
    """Draw how near each part of a picture is: white is near, black is far."""
    depth = estimate_depth(context.companion(depth_model.weights), image.pixels)
    return Image(depth[..., None].repeat(1, 1, 1, 3))


class Guided(NamedTuple):
    """Both sides of guidance."""

    positive: Conditioning
    negative: Conditioning


@node("DepthConditioning", category="conditioning/depth", display_name="Depth Conditioning",
      returns=("positive", "negative"))  # fmt: skip
def condition_depth(*, positive: Conditioning, negative: Conditioning, depth: Image) -> Guided:
    """Give a depth picture to a model made for it (SD 2 depth).

    depth: White is near; its range does not matter, each picture is stretched to the full one.
    """
    values = depth.pixels[..., :3].mean(dim=-1)
    return Guided(with_extra(positive, depth=values), with_extra(negative, depth=values))
