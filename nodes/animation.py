"""Moving pictures: a batch as the frames of one file, with the workflow inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch

from engine.files.artefacts import apng_bytes, recipe_texts, webp_bytes
from engine.graph.node import Choice, Context, ExtraPngInfo, Prompt, Range, Ui, node
from engine.graph.types import Image

METHODS = {"default": 4, "fastest": 0, "slowest": 6}  # of the WebP encoder
Fps = Annotated[float, Range(0.01, 1000.0, step=0.01)]


def _shown(context: Context, content: bytes, prefix: str, extension: str) -> Ui:
    ui = context.save_files([content], prefix=prefix, extension=extension, kind="output", shown="images")
    return replace(ui, values={**ui.values, "animated": [True]})


@node("SaveAnimatedWEBP", category="image/animation", lane="io")
def save_webp(
    context: Context, *, images: Image, filename_prefix: str = "ComfyUI", fps: Fps = 6.0, lossless: bool = True,
    quality: Annotated[int, Range(0, 100)] = 80, method: Annotated[str, Choice(tuple(METHODS))],
    prompt: Prompt, extra_pnginfo: ExtraPngInfo,
) -> Ui:
    """Save a batch as an animated WebP file in the output folder.

    filename_prefix: May hold folders and %year%, %month%, %day%, %hour%, %minute%, %second%.
    fps: Pictures per second.
    quality: 100 is best; of a lossless file, how hard it is tried to make it small.
    """
    frames = (images.pixels * 255.0).clamp(0, 255).to(torch.uint8).numpy()
    texts = recipe_texts(prompt, extra_pnginfo)
    content = webp_bytes(frames, texts, fps=fps, lossless=lossless, quality=quality, method=METHODS[method])
    return _shown(context, content, filename_prefix, ".webp")


@node("SaveAnimatedPNG", category="image/animation", lane="io")
def save_png(
    context: Context, *, images: Image, filename_prefix: str = "ComfyUI", fps: Fps = 6.0,
    compress_level: Annotated[int, Range(0, 9)] = 4, prompt: Prompt, extra_pnginfo: ExtraPngInfo,
) -> Ui:
    """Save a batch as an animated PNG file in the output folder.

    filename_prefix: May hold folders and %year%, %month%, %day%, %hour%, %minute%, %second%.
    fps: Pictures per second.
    compress_level: 9 makes the smallest file and takes longest.
    """
    frames = (images.pixels * 255.0).clamp(0, 255).to(torch.uint8).numpy()
    content = apng_bytes(frames, recipe_texts(prompt, extra_pnginfo), fps=fps, compress_level=compress_level)
    return _shown(context, content, filename_prefix, ".png")
