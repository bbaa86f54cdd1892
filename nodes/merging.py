"""Merging models and saving them: a merge is worked out weight by weight when a network is loaded or written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from engine.diffusion import save
from engine.diffusion.adapters.extract import PREFIXES, LoraType, extract
from engine.diffusion.adapters.patches import Merge, mergeable, weight_patches
from engine.diffusion.config import ModelConfig
from engine.files.artefacts import recipe_texts
from engine.graph.node import Choice, Context, ExtraPngInfo, Name, Node, Prompt, Range, Ui, node
from engine.graph.types import Clip, Model, Vae

Ratio = Annotated[float, Range(0.0, 1.0, step=0.01)]
Multiplier = Annotated[float, Range(-10.0, 10.0, step=0.01)]
Rows = tuple[tuple[str, float, float], ...]
N = TypeVar("N", Model, Clip)

SIMPLE, SAVING = "advanced/model_merging", "advanced/model_merging"


def _merged(context: Context, one: N, two: N, ratios: Rows) -> N:
    """The first with the second merged in. Raises CheckpointError for networks of other families."""
    kept = mergeable(one.weights, two.weights).kept
    if kept:
        context.warn(f"{', '.join(kept)} is for another task in {two.weights.path.name} and stays as it is")
    merge = Merge(two.weights, weight_patches(two.patches), ratios)
    return replace(one, patches=(*one.patches, merge))


def _by_prefix(ratios: Mapping[str, float]) -> Rows:
    """Rows of prefixes and ratios; what no prefix fits takes the first (numerics.md, 8.4)."""
    rows = [("", next(iter(ratios.values()))), *ratios.items()]
    return tuple((prefix, ratio, 1.0 - ratio) for prefix, ratio in rows)


@node("ModelMergeSimple", category=SIMPLE)
def merge_models(context: Context, *, model1: Model, model2: Model, ratio: Ratio = 1.0) -> Model:
    """Mix two models: ratio · model1 + (1 - ratio) · model2.

    ratio: How much of model1; 1 is model1 alone.
    """
    return _merged(context, model1, model2, (("", ratio, 1.0 - ratio),))


@node("ModelMergeBlocks", category=SIMPLE)
def merge_blocks(
    context: Context, *, model1: Model, model2: Model,
    input: Ratio = 1.0, middle: Ratio = 1.0, out: Ratio = 1.0,  # noqa: A002 - the input's name in files
) -> Model:
    """Mix two models with a ratio for each part of the network.

    input: How much of model1 in the encoder, and in all that is in none of the three.
    middle: How much of model1 in the middle.
    out: How much of model1 in the decoder.
    """
    return _merged(context, model1, model2, _by_prefix({"input": input, "middle": middle, "out": out}))


@node("ModelMergeSubtract", category=SIMPLE)
def subtract_models(context: Context, *, model1: Model, model2: Model, multiplier: Multiplier = 1.0) -> Model:
    """The difference of two models: multiplier · (model1 - model2), to be added to a third or saved as a LoRA.

    multiplier: The difference is multiplied by it.
    """
    return _merged(context, model1, model2, (("", multiplier, -multiplier),))


@node("ModelMergeAdd", category=SIMPLE)
def add_models(context: Context, *, model1: Model, model2: Model) -> Model:
    """Add two models, of which one is usually a difference."""
    return _merged(context, model1, model2, (("", 1.0, 1.0),))


@node("CLIPMergeSimple", category=SIMPLE)
def merge_clips(context: Context, *, clip1: Clip, clip2: Clip, ratio: Ratio = 1.0) -> Clip:
    """Mix two text encoders: ratio · clip1 + (1 - ratio) · clip2.

    ratio: How much of clip1; 1 is clip1 alone.
    """
    return _merged(context, clip1, clip2, (("", ratio, 1.0 - ratio),))


@node("CLIPMergeSubtract", category=SIMPLE)
def subtract_clips(context: Context, *, clip1: Clip, clip2: Clip, multiplier: Multiplier = 1.0) -> Clip:
    """The difference of two text encoders: multiplier · (clip1 - clip2).

    multiplier: The difference is multiplied by it.
    """
    return _merged(context, clip1, clip2, (("", multiplier, -multiplier),))


@node("CLIPMergeAdd", category=SIMPLE)
def add_clips(context: Context, *, clip1: Clip, clip2: Clip) -> Clip:
    """Add two text encoders, of which one is usually a difference."""
    return _merged(context, clip1, clip2, (("", 1.0, 1.0),))


BLOCKS = (
    "time_embed.", "label_emb.", *(f"input_blocks.{number}." for number in range(12)),
    *(f"middle_block.{number}." for number in range(3)), *(f"output_blocks.{number}." for number in range(12)), "out.",
)  # fmt: skip


def _merge_by_block(class_type: str) -> Node[..., Model]:
    """A node with one ratio for each block of the network; Python cannot spell the inputs' names."""

    def merge(context: Context, *, model1: Model, model2: Model, **ratios: float) -> Model:
        """Mix two models with a ratio for each block of the network: how much of model1."""
        by_prefix = {prefix: ratios[_spelled(prefix)] for prefix in BLOCKS}
        return _merged(context, model1, model2, _by_prefix(by_prefix))

    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [each for each in inspect.signature(merge).parameters.values() if each.name != "ratios"]
    ratios = [inspect.Parameter(_spelled(prefix), keyword, default=1.0) for prefix in BLOCKS]
    merge.__signature__ = inspect.Signature([*own, *ratios])  # type: ignore[attr-defined]
    merge.__annotations__ = {
        **{each.name: merge.__annotations__[each.name] for each in own},
        **{_spelled(prefix): Annotated[float, Range(0.0, 1.0, step=0.01), Name(prefix)] for prefix in BLOCKS},
        "return": Model,
    }
    return node(class_type, category="advanced/model_merging/model_specific")(merge)


def _spelled(prefix: str) -> str:
    return prefix.replace(".", "_")


merge_sd1 = _merge_by_block("ModelMergeSD1")
merge_sd2 = _merge_by_block("ModelMergeSD2")


def _unet(context: Context, model: Model) -> save.Saving:
    unsaved = sorted({type(patch).__name__ for patch in model.patches if not save.is_in_weights(patch)})
    if unsaved:
        context.warn(f"{', '.join(unsaved)} on the model: not part of its weights, so not in the saved file")
    return save.Saving(model.weights, weight_patches(model.patches), context.storage("unet"), save.as_unet)


def _clip(context: Context, clip: Clip, spell: Callable[[str], Any]) -> save.Saving:
    return save.Saving(clip.weights, weight_patches(clip.patches), context.storage("text"), spell)


def _write(
    context: Context, prefix: str, networks: Mapping[str, save.Saving], config: ModelConfig,
    prompt: Mapping[str, Any] | None, extra: Mapping[str, Any] | None,
) -> Ui:  # fmt: skip
    recipe = {name: save.recipe_of(each.weights, each.patches) for name, each in networks.items()}
    metadata = {**recipe_texts(prompt, extra), **save.model_metadata(config, recipe)}

    def write(path: Path) -> None:
        save.write_networks(path, list(networks.values()), metadata, context.progress)

    return context.save_files([write], prefix=prefix, extension=".safetensors", kind="output", shown="files")


@node("CheckpointSave", category=SAVING, display_name="Save Checkpoint", output=True)
def save_checkpoint(
    context: Context, *, model: Model, clip: Clip, vae: Vae, filename_prefix: str = "checkpoints/ComfyUI",
    prompt: Prompt = None, extra_pnginfo: ExtraPngInfo = None,
) -> Ui:
    """Write a model, its text encoder and its autoencoder to one file, with all that is merged in or put on.

    filename_prefix: The file's name; it may hold sub-folders of the output folder.
    """
    config = replace(model.config, text=clip.config.text, vae=vae.config.vae)
    networks = {
        "model": _unet(context, model), "clip": _clip(context, clip, save.as_text(clip.config.text)),
        "vae": save.Saving(vae.weights, (), context.storage("vae"), save.as_vae),
    }  # fmt: skip
    return _write(context, filename_prefix, networks, config, prompt, extra_pnginfo)


@node("CLIPSave", category=SAVING, output=True)
def save_clip(
    context: Context, *, clip: Clip, filename_prefix: str = "clip/ComfyUI", prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> Ui:
    """Write a text encoder to a file of its own.

    filename_prefix: The file's name; it may hold sub-folders of the output folder.
    """
    networks = {"clip": _clip(context, clip, save.as_text_alone)}
    prefix = f"{filename_prefix}_{clip.config.text.embedding_key}"
    return _write(context, prefix, networks, clip.config, prompt, extra_pnginfo)


@node("VAESave", category=SAVING, output=True)
def save_vae(
    context: Context, *, vae: Vae, filename_prefix: str = "vae/ComfyUI_vae", prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> Ui:
    """Write an autoencoder to a file of its own.

    filename_prefix: The file's name; it may hold sub-folders of the output folder.
    """
    networks = {"vae": save.Saving(vae.weights, (), context.storage("vae"), save.as_vae_alone)}
    return _write(context, filename_prefix, networks, vae.config, prompt, extra_pnginfo)


@node("ModelSave", category=SAVING, output=True)
def save_model(
    context: Context, *, model: Model, filename_prefix: str = "diffusion_models/ComfyUI", prompt: Prompt = None,
    extra_pnginfo: ExtraPngInfo = None,
) -> Ui:
    """Write a denoising network to a file of its own, with all that is merged in or put on.

    filename_prefix: The file's name; it may hold sub-folders of the output folder.
    """
    return _write(context, filename_prefix, {"model": _unet(context, model)}, model.config, prompt, extra_pnginfo)


@node("LoraSave", category="_for_testing", display_name="Extract and Save Lora", output=True, experimental=True)
def save_lora(
    context: Context, *, filename_prefix: str = "loras/ComfyUI_extracted_lora",
    rank: Annotated[int, Range(1, 4096, step=1)] = 8,
    lora_type: Annotated[str, Choice(("standard", "full_diff"))], bias_diff: bool = True,
    model_diff: Model | None = None, text_encoder_diff: Clip | None = None,
    prompt: Prompt = None, extra_pnginfo: ExtraPngInfo = None,
) -> Ui:
    """Write a difference of models (ModelMergeSubtract, CLIPMergeSubtract) as a LoRA.

    filename_prefix: The file's name; it may hold sub-folders of the output folder.
    rank: How many singular values of each difference are kept; more is closer and larger.
    lora_type: standard keeps `rank` of them, full_diff everything.
    bias_diff: Take the differences of biases and norms along.
    model_diff: The difference of two models.
    text_encoder_diff: The difference of two text encoders.
    """
    if model_diff is None and text_encoder_diff is None:
        raise ValueError("there is no difference to extract from; connect model_diff, text_encoder_diff or both")
    kind: LoraType = "standard" if lora_type == "standard" else "full_diff"
    tensors = {}
    parts: list[tuple[Model | Clip, str]] = []
    if model_diff is not None:
        parts.append((model_diff, PREFIXES["unet"]))
    if text_encoder_diff is not None:
        parts.append((text_encoder_diff, PREFIXES[text_encoder_diff.config.text.embedding_key]))
    for part, prefix in parts:
        patches = weight_patches(part.patches)
        tensors.update(extract(part.weights, patches, rank, kind, bias_diff, prefix, context.progress))
    if not tensors:
        raise ValueError("the difference is 0 everywhere: both models are the same")
    recipe = {"rank": rank, "type": kind, "of": [save.recipe_of(part.weights, weight_patches(part.patches))
                                                 for part, _ in parts]}  # fmt: skip
    metadata = {**recipe_texts(prompt, extra_pnginfo), **save.lora_metadata(recipe)}
    entries = {
        name: save.Entering(tensor.dtype, tuple(tensor.shape), partial(_same, tensor))
        for name, tensor in tensors.items()
    }
    return context.save_files(
        [lambda path: save.write_entries(path, entries, metadata)], prefix=filename_prefix, extension=".safetensors",
        kind="output", shown="files",
    )


def _same(tensor: Any) -> Any:
    return tensor
