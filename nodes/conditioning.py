"""Conditioning: texts that guide the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from engine.diffusion.guidance import Condition
from engine.diffusion.text import encode, tokenizer
from engine.graph.node import Context, Range, Text, node
from engine.graph.types import Clip, Conditioning


@node("CLIPTextEncode", category="conditioning", display_name="CLIP Text Encode (Prompt)", lane="device")
def encode_text(
    context: Context, *, text: Annotated[str, Text(multiline=True, dynamic_prompts=True)], clip: Clip
) -> Conditioning:
    """Encode a prompt, to guide the picture towards it or away from it.

    text: What the picture shows. (word:1.2) weighs a word more, (word:0.8) less; embedding:name puts in
        a learned word from models/embeddings.
    """
    layer = -clip.stop_at if clip.stop_at is not None else None
    encoding = encode(
        context.text_encoder(clip), tokenizer(), text, clip.config.text, layer, context.embeddings(clip)
    )
    return Conditioning((Condition(encoding.states, encoding.pooled),))


@node("CLIPSetLastLayer", category="conditioning", display_name="CLIP Set Last Layer")
def set_last_layer(*, clip: Clip, stop_at_clip_layer: Annotated[int, Range(-24, -1, step=1)] = -1) -> Clip:
    """Read the text encoder at an earlier layer ("clip skip").

    stop_at_clip_layer: -1 is the last layer, -2 the one before it.
    """
    return replace(clip, stop_at=stop_at_clip_layer)
