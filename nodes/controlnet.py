"""ControlNets, T2I-Adapters and GLIGEN: a picture, or boxes, say where things are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, NamedTuple

from engine.diffusion.adapters.boxes import Boxed, BoxPatch, open_gligen
from engine.diffusion.adapters.control import Control, ControlPatch, hint_of, is_own_key, open_control
from engine.diffusion.adapters.patches import weight_patches
from engine.diffusion.guidance import Area, Condition
from engine.diffusion.remarks import unused
from engine.diffusion.text import encode, tokenizer
from engine.graph.node import Context, Files, Range, Text, node
from engine.graph.types import Clip, Conditioning, ControlNet, Gligen, Image, Model, Vae

Strength = Annotated[float, Range(0.0, 10.0, step=0.01)]
DOWNSCALE = 8  # latent pixels per picture pixel: part of the protocol, whatever the model
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
    return _told(context, control_net_name, open_control(context.file("controlnet", control_net_name)))


def _told(context: Context, name: str, control: Control) -> ControlNet:
    for remark in unused(name, control.weights, partial(is_own_key, control)):
        context.warn(remark)
    return ControlNet(control)


@node("DiffControlNetLoader", category="loaders", display_name="Load ControlNet Model (diff)", lane="io")
def load_difference(
    context: Context, *, model: Model, control_net_name: Annotated[str, Files("controlnet")]
) -> ControlNet:
    """Load a ControlNet whose file holds differences to a model's weights, such as a Control-LoRA.

    model: The model that the differences are added to.
    control_net_name: The file, in models/controlnet.
    """
    path = context.file("controlnet", control_net_name)
    return _told(context, control_net_name, open_control(path, (model.weights, weight_patches(model.patches))))


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


@node("GLIGENLoader", category="loaders", lane="io")
def load_gligen(context: Context, *, gligen_name: Annotated[str, Files("gligen")]) -> Gligen:
    """Load a GLIGEN, which puts texts into boxes.

    gligen_name: The file, in models/gligen.
    """
    weights = open_gligen(context.file("gligen", gligen_name))
    for remark in unused(gligen_name, weights, lambda key: key.startswith("position_net.") or ".fuser." in key):
        context.warn(remark)
    return Gligen(weights)


@node("GLIGENTextBoxApply", category="conditioning/gligen", lane="device")
def apply_text_box(
    context: Context, *, conditioning_to: Conditioning, clip: Clip, gligen_textbox_model: Gligen,
    text: Annotated[str, Text(multiline=True, dynamic_prompts=True)],
    width: Annotated[int, Range(8, 16384, step=8)] = 64, height: Annotated[int, Range(8, 16384, step=8)] = 64,
    x: Annotated[int, Range(0, 16384, step=8)] = 0, y: Annotated[int, Range(0, 16384, step=8)] = 0,
) -> Conditioning:
    """Say what is to be in a box of the picture; several boxes are put on one after the other.

    text: What is in the box.
    width: Of the box, in pixels.
    height: Of the box, in pixels.
    x: From the left edge of the picture to that of the box, in pixels.
    y: From the top edge of the picture to that of the box, in pixels.
    """
    encoding = encode(context.text_encoder(clip), tokenizer(), text, clip.config.text, None, context.embeddings(clip))
    area = Area(height // DOWNSCALE, width // DOWNSCALE, y // DOWNSCALE, x // DOWNSCALE)
    box = Boxed(encoding.pooled, area)
    made: dict[int, BoxPatch] = {}  # entries that share their boxes go on sharing them: they run in one batch

    def put(entry: Condition) -> Condition:
        present = next((patch for patch in entry.patches if isinstance(patch, BoxPatch)), None)
        if id(present) not in made:
            before = present.boxes if present is not None else ()
            made[id(present)] = BoxPatch(gligen_textbox_model.weights, before).with_box(box)
        others = tuple(patch for patch in entry.patches if patch is not present)
        return replace(entry, patches=(*others, made[id(present)]))

    return Conditioning(tuple(put(entry) for entry in conditioning_to.entries))
