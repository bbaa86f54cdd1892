"""Looking over pictures before they are shown: the published safety checker, and invisible watermarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from engine.diffusion.safety import blur, check_pictures, open_safety
from engine.diffusion.watermark import read_watermark, write_watermark
from engine.graph.node import Choice, Context, Files, Range, node
from engine.graph.types import Image, SafetyChecker

TREATMENTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "label": lambda pixels: pixels,
    "blur": blur,
    "black": torch.zeros_like,
}


@node("SafetyCheckerLoader", category="loaders", display_name="Load Safety Checker", lane="io")
def load_safety(context: Context, *, checker: Annotated[str, Files("safety_checkers")]) -> SafetyChecker:
    """Load the safety checker that was published with Stable Diffusion 1.x.

    checker: The file, in models/safety_checkers: the model.safetensors of stable-diffusion-safety-checker.
    """
    return SafetyChecker(open_safety(context.file("safety_checkers", checker)))


class Checked(NamedTuple):
    """The pictures, treated; whether any was flagged; the scores as JSON."""

    image: Image
    flagged: bool
    scores: str


@node("SafetyCheck", category="image/safety", display_name="Safety Check", lane="device",
      returns=("image", "flagged", "scores"))  # fmt: skip
def check_safety(
    context: Context, *, safety_checker: SafetyChecker, image: Image,
    action: Annotated[str, Choice(tuple(TREATMENTS))] = "blur",
) -> Checked:
    """Look for pictures that not everybody wants to see, and say so.

    action: What becomes of a flagged picture: label leaves it as it is and only says so; blur leaves eight by eight
        pixels; black leaves nothing.
    """
    found = check_pictures(context.companion(safety_checker.weights), image.pixels)
    pixels = image.pixels
    if any(each.flagged for each in found):
        numbers = ", ".join(str(index + 1) for index, each in enumerate(found) if each.flagged)
        context.warn(f"the safety checker flagged {numbers} of {len(found)}")
        treated = TREATMENTS[action](pixels)
        flags = torch.tensor([each.flagged for each in found])[:, None, None, None]
        pixels = torch.where(flags, treated, pixels)
    scores = [{"flagged": each.flagged, "concepts": each.concepts, "special": each.special} for each in found]
    return Checked(Image(pixels), any(each.flagged for each in found), json.dumps(scores))


@node("WriteWatermark", category="image/safety", display_name="Write Invisible Watermark")
def write_mark(*, image: Image, text: str = "StableDiffusionV1") -> Image:
    """Put a text invisibly into pictures, as the original scripts did ("StableDiffusionV1", "SDV2").

    text: At most 256 bytes; each needs eight squares of 8×8 pixels, and the picture 256×256 pixels. Read it back with
        Read Invisible Watermark; it survives PNG and mild JPEG, but neither scaling nor cropping.
    """
    return Image(write_watermark(image.pixels, text.encode()))


@node("ReadWatermark", category="image/safety", display_name="Read Invisible Watermark", returns=("text",))
def read_mark(*, image: Image, length: Annotated[int, Range(1, 256)] = 17) -> str:
    """Read a text that was put invisibly into a picture; gibberish if there is none.

    image: The first picture of the batch is read.
    length: How many bytes the text has: 17 for "StableDiffusionV1", 4 for "SDV2".
    """
    return read_watermark(image.pixels[:1], length)[0].decode(errors="replace")
