"""ControlNets and T2I-Adapters: a picture says where things are."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from engine.diffusion.adapters.control import ControlPatch, hint_of, open_control
from engine.diffusion.adapters.patches import weight_patches
from engine.diffusion.guidance import Condition
from engine.graph.node import Context, Files, Range, node
from engine.graph.types import Conditioning, ControlNet, Image, Model, Vae

Strength = Annotated[float, Range(0.0, 10.0, step=0.01)]
Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]


class Pair(NamedTuple):
    """What guides towards and away."""

    positive: Conditioning
    negative: Conditioning


@node("ControlNetLoader", category="loaders", display_name="Load ControlNet Model", lane="io")
def load_controlnet(context: Context, *, control_net_name: Annotated[str, Files("controlnet")]) -> ControlNet:
    """Load a ControlNet or a T2I-Adapter.

    control_net_name: The file, in models/controlnet or models/t2i_adapter.
    """
    return ControlNet(open_control(context.file("controlnet", control_net_name)))


@node("DiffControlNetLoader", category="loaders", display_name="Load ControlNet Model (diff)", lane="io")
def load_difference(
    context: Context, *, model: Model, control_net_name: Annotated[str, Files("controlnet")]
) -> ControlNet:
    """Load a ControlNet whose file holds differences to a model's weights.

    model: The model that the differences are added to.
    control_net_name: The file, in models/controlnet.
    """
    path = context.file("controlnet", control_net_name)
    return ControlNet(open_control(path, (model.weights, weight_patches(model.patches))))


def _put(entry: Condition, patch: ControlPatch, to_uncond: bool) -> Condition:
    extra = {**entry.extra, "control_apply_to_uncond": to_uncond}
    return replace(entry, patches=(*entry.patches, patch), extra=extra)


@node(
    "ControlNetApply", category="conditioning/controlnet", display_name="Apply ControlNet (OLD)", deprecated=True
)
def apply_controlnet(
    *, conditioning: Conditioning, control_net: ControlNet, image: Image, strength: Strength = 1.0
) -> Conditioning:
    """Let a picture steer the positive conditioning; at sampling the negative is steered along.

    image: What the ControlNet reads, such as edges, a depth map or a pose.
    strength: How strongly it steers; 0 is off.
    """
    if strength == 0:
        return conditioning
    patch = ControlPatch(control_net.network, hint_of(image.pixels), strength)
    return Conditioning(tuple(_put(entry, patch, True) for entry in conditioning.entries))


@node(
    "ControlNetApplyAdvanced", category="conditioning/controlnet", display_name="Apply ControlNet",
    returns=("positive", "negative"),
)
def apply_controlnet_in_part(
    *, positive: Conditioning, negative: Conditioning, control_net: ControlNet, image: Image,
    strength: Strength = 1.0, start_percent: Percent = 0.0, end_percent: Percent = 1.0, vae: Vae | None = None,
) -> Pair:
    """Let a picture steer both conditionings, during a part of the run.

    image: What the ControlNet reads, such as edges, a depth map or a pose.
    strength: How strongly it steers; 0 is off.
    start_percent: When it begins, in parts of the run.
    end_percent: When it ends.
    vae: Not needed for SD 1.x and 2.x.
    """
    if strength == 0:
        return Pair(positive, negative)
    patch = ControlPatch(control_net.network, hint_of(image.pixels), strength, start_percent, end_percent)
    put = [Conditioning(tuple(_put(entry, patch, False) for entry in each.entries)) for each in (positive, negative)]
    return Pair(*put)
