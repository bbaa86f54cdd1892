"""Conditioning: texts that guide the picture, where and when they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any

from engine.diffusion.adapters.schedule import stretches
from engine.diffusion.conditions import average, concat, zeroed
from engine.diffusion.guidance import Area, AreaPart, Condition
from engine.diffusion.pictures.masks import check_mask, tell_of_empty
from engine.diffusion.text import encode, tokenizer
from engine.graph.node import Choice, Context, Range, Text, node
from engine.graph.types import Clip, Conditioning, Mask

MOST = 16384  # pixels
DOWNSCALE = 8  # latent pixels per picture pixel: part of the protocol, whatever the model
Prompt = Annotated[str, Text(multiline=True, dynamic_prompts=True)]
Strength = Annotated[float, Range(0.0, 10.0, step=0.01)]
Part = Annotated[float, Range(0, 1.0, step=0.01)]
Percent = Annotated[float, Range(0.0, 1.0, step=0.001)]
Side = Annotated[int, Range(64, MOST, step=8)]
Place = Annotated[int, Range(0, MOST, step=8)]


def _encoded(context: Context, clip: Clip, text: str) -> Condition:
    layer = -clip.stop_at if clip.stop_at is not None else None
    encoding = encode(
        context.text_encoder(clip), tokenizer(), text, clip.config.text, layer, context.embeddings(clip)
    )
    return Condition(encoding.states, encoding.pooled)


def _encoded_in_time(context: Context, clip: Clip, text: str) -> Iterator[Condition]:
    """A text with the hooks of its encoder; one entry for each part of the run in which they keep their strengths."""
    if not clip.scheduled:
        yield replace(_encoded(context, clip, text), hooks=clip.carried)
    for stretch in stretches(clip.scheduled) if clip.scheduled else ():
        encoded = _encoded(context, replace(clip, patches=clip.patches + stretch.patches), text)
        extra = {"clip_start_percent": stretch.start_percent, "clip_end_percent": stretch.end_percent}
        yield replace(encoded, hooks=clip.carried, extra=extra)


def _each(conditioning: Conditioning, change: Callable[[Condition], Condition]) -> Conditioning:
    return Conditioning(tuple(change(entry) for entry in conditioning.entries))


def _with(conditioning: Conditioning, **changes: Any) -> Conditioning:
    return _each(conditioning, lambda entry: replace(entry, **changes))


@node("CLIPTextEncode", category="conditioning", display_name="CLIP Text Encode (Prompt)", lane="device")
def encode_text(context: Context, *, text: Prompt, clip: Clip) -> Conditioning:
    """Encode a prompt, to guide the picture towards it or away from it.

    text: What the picture shows. (word:1.2) weighs a word more, (word:0.8) less; embedding:name puts in
        a learned word from models/embeddings.
    """
    return Conditioning(tuple(_encoded_in_time(context, clip, text)))


@node("CLIPSetLastLayer", category="conditioning", display_name="CLIP Set Last Layer")
def set_last_layer(*, clip: Clip, stop_at_clip_layer: Annotated[int, Range(-24, -1, step=1)] = -1) -> Clip:
    """Read the text encoder at an earlier layer ("clip skip").

    stop_at_clip_layer: -1 is the last layer, -2 the one before it.
    """
    return replace(clip, stop_at=stop_at_clip_layer)


@node("CLIPTextEncodeControlnet", category="_for_testing/conditioning", lane="device", experimental=True)
def encode_for_controlnet(context: Context, *, clip: Clip, conditioning: Conditioning, text: Prompt) -> Conditioning:
    """Give the ControlNets of a conditioning a text of their own; the picture's network does not see it."""
    encoded = _encoded(context, clip, text)
    extra = {"cross_attn_controlnet": encoded.states, "pooled_output_controlnet": encoded.pooled}
    return _each(conditioning, lambda entry: replace(entry, extra={**entry.extra, **extra}))


@node("ConditioningCombine", category="conditioning", display_name="Conditioning (Combine)")
def combine(*, conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Let both guide the picture: the network is asked for each, and their answers are averaged."""
    return Conditioning(conditioning_1.entries + conditioning_2.entries)


@node("ConditioningAverage", category="conditioning")
def average_texts(
    *, conditioning_to: Conditioning, conditioning_from: Conditioning,
    conditioning_to_strength: Annotated[float, Range(0.0, 1.0, step=0.01)] = 1.0,
) -> Conditioning:
    """Mix two encoded texts into one; of the second, only the first entry counts.

    conditioning_to_strength: 1 is the first text alone, 0 the second.
    """
    return Conditioning(average(conditioning_to.entries, conditioning_from.entries, conditioning_to_strength))


@node("ConditioningConcat", category="conditioning", display_name="Conditioning (Concat)")
def concatenate(*, conditioning_to: Conditioning, conditioning_from: Conditioning) -> Conditioning:
    """Put one text after the other, as if both were chunks of one long prompt."""
    return Conditioning(concat(conditioning_to.entries, conditioning_from.entries))


@node("ConditioningSetArea", category="conditioning", display_name="Conditioning (Set Area)")
def set_area(
    *, conditioning: Conditioning, width: Side = 64, height: Side = 64, x: Place = 0, y: Place = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Let a text hold in a rectangle of the picture only.

    width: Of the rectangle, in picture pixels.
    height: Of the rectangle, in picture pixels.
    x: Its left edge, in picture pixels.
    y: Its upper edge, in picture pixels.
    strength: How much it counts where other texts hold too.
    """
    area = Area(height // DOWNSCALE, width // DOWNSCALE, y // DOWNSCALE, x // DOWNSCALE)
    return _with(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node(
    "ConditioningSetAreaPercentage", category="conditioning",
    display_name="Conditioning (Set Area with Percentage)",
)  # fmt: skip
def set_area_in_parts(
    *, conditioning: Conditioning, width: Part = 1.0, height: Part = 1.0, x: Part = 0, y: Part = 0,
    strength: Strength = 1.0,
) -> Conditioning:
    """Let a text hold in a rectangle of the picture only, given in parts of its sides.

    width: Of the rectangle; 1 is the picture's.
    height: Of the rectangle; 1 is the picture's.
    x: Its left edge.
    y: Its upper edge.
    strength: How much it counts where other texts hold too.
    """
    area = AreaPart(height, width, y, x)
    return _with(conditioning, area=area, strength=strength, set_area_to_bounds=False)


@node("ConditioningSetAreaStrength", category="conditioning")
def set_strength(*, conditioning: Conditioning, strength: Strength = 1.0) -> Conditioning:
    """Say how much a text counts where other texts hold too; alone, any strength is the same."""
    return _with(conditioning, strength=strength)


BOUNDS = ("default", "mask bounds")


@node("ConditioningSetMask", category="conditioning", display_name="Conditioning (Set Mask)")
def set_mask(
    context: Context, *, conditioning: Conditioning, mask: Mask, strength: Strength = 1.0,
    set_cond_area: Annotated[str, Choice(BOUNDS)],
) -> Conditioning:
    """Let a text hold where a mask is 1.

    mask: Of any size; it is stretched over the picture.
    strength: How much it counts where other texts hold too.
    set_cond_area: mask bounds asks the network for the masked part alone; default for the whole picture.
    """
    check_mask(mask.values, "mask")
    tell_of_empty(mask.values, context.warn, "this conditioning holds nowhere")
    bounds = set_cond_area != BOUNDS[0]
    return _with(conditioning, mask=mask.values, mask_strength=strength, set_area_to_bounds=bounds)


@node("ConditioningZeroOut", category="advanced/conditioning")
def zero_out(*, conditioning: Conditioning) -> Conditioning:
    """Replace the text by zeros: guidance by nothing at all, which is not the same as an empty prompt."""
    return Conditioning(zeroed(conditioning.entries))


@node("ConditioningSetTimestepRange", category="advanced/conditioning")
def set_range(*, conditioning: Conditioning, start: Percent = 0.0, end: Percent = 1.0) -> Conditioning:
    """Let a text hold in a part of the run only.

    start: 0 is the first step.
    end: 1 is the last step.
    """
    return _with(conditioning, start_percent=start, end_percent=end)
