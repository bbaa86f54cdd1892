"""Adapters: small files that change what a model paints."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from engine.diffusion.adapters.hypernetwork import open_hypernetwork
from engine.diffusion.adapters.load import open_lora
from engine.graph.node import Context, Files, Range, node
from engine.graph.types import Clip, Model

STRENGTH = Range(-100.0, 100.0, step=0.01)


class Adapted(NamedTuple):
    """A model and its text encoder with an adapter on."""

    model: Model
    clip: Clip


@node("LoraLoader", category="loaders", display_name="Load LoRA", lane="io")
def load_lora(
    context: Context, *, model: Model, clip: Clip, lora_name: Annotated[str, Files("loras")],
    strength_model: Annotated[float, STRENGTH] = 1.0, strength_clip: Annotated[float, STRENGTH] = 1.0,
) -> Adapted:
    """Put a LoRA (LoCon, LoHa, LoKr, GLoRA, OFT, BOFT, DoRA) on a model and its text encoder.

    Files of other kinds, (IA)³ and PEFT's own OFT and BOFT, are refused by name.

    lora_name: The file, in models/loras.
    strength_model: How strongly it changes the picture's network; 0 is off, negative is the opposite.
    strength_clip: How strongly it changes the text encoder.
    """
    if strength_model == 0 and strength_clip == 0:
        return Adapted(model, clip)
    found = open_lora(context.file("loras", lora_name), model.weights, clip.weights)
    if found.unused:
        context.warn(found.unused)
    return Adapted(
        replace(model, patches=model.patches + found.patches(model.weights, strength_model)),
        replace(clip, patches=clip.patches + found.patches(clip.weights, strength_clip)),
    )


@node("LoraLoaderModelOnly", category="loaders", lane="io")
def load_lora_for_model(
    context: Context, *, model: Model, lora_name: Annotated[str, Files("loras")],
    strength_model: Annotated[float, STRENGTH] = 1.0,
) -> Model:
    """Put a LoRA on a model alone; what the file has for a text encoder is left out.

    lora_name: The file, in models/loras.
    strength_model: How strongly it changes the picture's network; 0 is off, negative is the opposite.
    """
    if strength_model == 0:
        return model
    found = open_lora(context.file("loras", lora_name), model.weights)
    if found.unused:
        context.warn(found.unused)
    return replace(model, patches=model.patches + found.patches(model.weights, strength_model))


@node("HypernetworkLoader", category="loaders", lane="io")
def load_hypernetwork(
    context: Context, *, model: Model, hypernetwork_name: Annotated[str, Files("hypernetworks")],
    strength: Annotated[float, Range(-10.0, 10.0, step=0.01)] = 1.0,
) -> Model:
    """Put a hypernetwork on a model.

    hypernetwork_name: The file, in models/hypernetworks.
    strength: How strongly it changes what attention reads; 0 is off.
    """
    if strength == 0:
        return model
    patch = open_hypernetwork(context.file("hypernetworks", hypernetwork_name), model.weights, strength)
    return replace(model, patches=(*model.patches, patch))
