"""Single-file checkpoints: from a file to a configuration, and from that to networks with weights.

`open_checkpoint` reads the index only and finds every missing or misshapen key; `load_unet`, `load_vae` and `load_text`
build a network on the meta device and fill it strictly.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig, Prediction, TextConfig, UNetConfig, VaeConfig
from engine.diffusion.fingerprint import other_family, other_kind
from engine.diffusion.identify import find_config
from engine.diffusion.tensorfile import CheckpointError, Entry, Stamp, TensorFile, open_tensors, read_index, stamp
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae

__all__ = [
    "Checkpoint", "CheckpointError", "Source", "Weights", "load_text", "load_unet", "load_vae", "open_checkpoint",
]  # fmt: skip

Component = Literal["unet", "vae", "text"]
Choice = Literal["model", "ema"]

UNET, VAE, EMA = "model.diffusion_model.", "first_stage_model.", "model_ema."
TEXT = {  # longest first: some old tools left `text_model.` out
    "clip": ("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),
    "open_clip": ("cond_stage_model.model.", "conditioner.embedders.0.model."),
}
IGNORED = re.compile(  # schedule buffers, training leftovers and constants (models.md, 2.1)
    r"betas|alphas_cumprod(_prev)?|sqrt_\w+|log_one_minus_alphas_cumprod|posterior_\w+|lvlb_weights|logvar"
    r"|low_scale_model\..*|first_stage_model\.loss\..*|.*position_ids|cond_stage_model\.(model\.)?logit_scale"
    r"|cond_stage_model\.model\.attn_mask|conditioner\.embedders\.0\.(model\.)?(logit_scale|attn_mask)"
    r"|model_ema\.(decay|num_updates)|v_pred|ztsnr"
)
WEIGHT_TYPES = {"F64", "F32", "F16", "BF16"}
NAMED = 12  # how many keys a message names; CheckpointError.problems has all


M = TypeVar("M", bound=nn.Module)


class Source(NamedTuple):
    """Where a parameter comes from: a key, perhaps some of its rows, perhaps turned over."""

    key: str
    rows: tuple[int, int] | None = None
    transpose: bool = False


@dataclass(frozen=True, eq=False)
class Weights:
    """One network's weights as a description: nothing is in memory yet. Equal only to itself.

    mapping pairs each parameter of the module with its source; nbytes is the size in the file.
    """

    path: Path
    stamp: Stamp
    component: Component
    config: UNetConfig | VaeConfig | TextConfig
    mapping: tuple[tuple[str, Source], ...]
    nbytes: int


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checked single file. `ignored` are known leftovers; `unexpected` keys are reported but harm nothing."""

    path: Path
    config: ModelConfig
    unet: Weights
    vae: Weights | None
    text: Weights | None
    ignored: tuple[str, ...]
    unexpected: tuple[str, ...]
    metadata: Mapping[str, str]


def open_checkpoint(
    path: Path | str,
    config: ModelConfig | None = None,
    *,
    prediction: Prediction | None = None,
    weights: Choice = "model",
) -> Checkpoint:
    """Read a checkpoint's index and decide what it is.

    config: wins over what the file, its sidecar or its shapes say. prediction: wins over all else about eps or v.
    weights: "ema" takes the averaged copy of the UNet that full training files hold.
    Raises CheckpointError: unreadable, another kind of file, undecidable eps or v, missing or misshapen keys.
    """
    file = read_index(Path(path))
    if family := other_family(file.entries):
        raise CheckpointError(
            file.path, family, "a Stable Diffusion 1.x or 2.x checkpoint", "Easel does not run this family."
        )
    if UNET + "input_blocks.0.0.weight" not in file.entries:
        kind, move = other_kind(file.entries) or ("no UNet", "Choose a file that holds a whole model.")
        raise CheckpointError(file.path, kind, "a checkpoint", move)
    model = find_config(file, _without(UNET, file.entries), config, prediction)

    problems: list[str] = []
    unet = _describe(file, "unet", model.unet, _unet_sources(model.unet, weights), problems)
    if weights == "ema" and not any(name.startswith(EMA + "diffusion_model") for name in file.entries):
        raise CheckpointError(file.path, "no EMA weights", "model_ema.* keys", "Choose the ordinary weights.")
    vae = text = None
    if _any(file, VAE + "decoder."):
        vae = _describe(file, "vae", model.vae, {name: Source(VAE + name) for name in _shapes(model.vae)}, problems)
    if prefix := next((prefix for prefix in TEXT[model.text.layout] if _any(file, prefix)), None):
        text = _describe(file, "text", model.text, _text_sources(model.text, prefix), problems)
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise CheckpointError(
            file.path, "; ".join(problems[:NAMED]) + more, f"every weight of family {model.family}",
            "The file is incomplete, or its configuration is another: give the configuration, or fetch it again.",
            tuple(problems),
        )  # fmt: skip

    used = {source.key for part in (unet, vae, text) if part for _, source in part.mapping}
    rest = [name for name in file.entries if name not in used]
    ignored = tuple(name for name in rest if _is_ignored(name, weights))
    unexpected = tuple(name for name in rest if not _is_ignored(name, weights))
    return Checkpoint(file.path, model, unet, vae, text, ignored, unexpected, file.metadata)


def load_unet(weights: Weights, dtype: torch.dtype, device: torch.device | str = "cpu") -> UNet:
    """Build and fill the UNet. CheckpointError if the file changed since it was opened."""
    assert isinstance(weights.config, UNetConfig)
    config = weights.config
    return _load(weights, lambda: UNet(config), dtype, torch.device(device))


def load_vae(weights: Weights, dtype: torch.dtype, device: torch.device | str = "cpu") -> Vae:
    """Build and fill the autoencoder. CheckpointError if the file changed since it was opened."""
    assert isinstance(weights.config, VaeConfig)
    config = weights.config
    return _load(weights, lambda: Vae(config), dtype, torch.device(device))


def load_text(
    weights: Weights, dtype: torch.dtype, device: torch.device | str = "cpu", *, fp16_rounded: bool = True
) -> TextEncoder:
    """Build and fill the text encoder. CheckpointError if the file changed since it was opened.

    fp16_rounded: round every weight to float16 first, as ComfyUI does on every device (numerics.md, 6.1).
    """
    assert isinstance(weights.config, TextConfig)
    config = weights.config
    model = _load(
        weights, lambda: TextEncoder(config), dtype, torch.device(device), torch.float16 if fp16_rounded else None
    )
    # a buffer that is in no file and was therefore left on the meta device
    model.transformer.embeddings.register_buffer(
        "position_ids", torch.arange(config.max_length, device=device)[None], persistent=False
    )
    return model


def _load(
    weights: Weights,
    build: Callable[[], M],
    dtype: torch.dtype,
    device: torch.device,
    through: torch.dtype | None = None,
) -> M:
    if stamp(weights.path) != weights.stamp:
        raise CheckpointError(weights.path, "a file that changed", "the file that was opened", "Load it again.")
    with torch.device("meta"):
        module = build()
    state: dict[str, Tensor] = {}
    with open_tensors(weights.path) as get:
        for name, source in weights.mapping:
            tensor = get(source.key)
            if source.rows is not None:
                tensor = tensor[slice(*source.rows)]
            if source.transpose:
                tensor = tensor.T
            if through is not None:
                tensor = tensor.to(through)
            # copied, so that a later change of the mapped file cannot reach (or crash) a running model
            state[name] = tensor.to(device, dtype, copy=True, memory_format=torch.contiguous_format)
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def _any(file: TensorFile, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in file.entries)


def _without(prefix: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name.removeprefix(prefix): entry for name, entry in entries.items() if name.startswith(prefix)}


@lru_cache(maxsize=32)
def _shapes(config: UNetConfig | VaeConfig | TextConfig) -> Mapping[str, tuple[int, ...]]:
    """Every parameter a network of this configuration has, without allocating any."""
    with torch.device("meta"):
        module: nn.Module
        match config:
            case UNetConfig():
                module = UNet(config)
            case VaeConfig():
                module = Vae(config)
            case TextConfig():
                module = TextEncoder(config)
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _unet_sources(config: UNetConfig, weights: Choice) -> dict[str, Source]:
    if weights == "ema":  # the trainer removed every dot from the names
        return {name: Source(EMA + ("diffusion_model." + name).replace(".", "")) for name in _shapes(config)}
    return {name: Source(UNET + name) for name in _shapes(config)}


def _text_sources(config: TextConfig, prefix: str) -> dict[str, Source]:
    names = _shapes(config)
    if config.layout == "clip":
        return {name: Source(prefix + name.removeprefix("transformer.")) for name in names}
    return {name: _open_clip(name, prefix, config.width) for name in names}


OPEN_CLIP = {
    "text_projection.weight": "text_projection",
    "transformer.embeddings.token_embedding.weight": "token_embedding.weight",
    "transformer.embeddings.position_embedding.weight": "positional_embedding",
    "transformer.final_layer_norm.weight": "ln_final.weight",
    "transformer.final_layer_norm.bias": "ln_final.bias",
}
OPEN_CLIP_LAYER = {
    "layer_norm1.": "ln_1.", "layer_norm2.": "ln_2.", "self_attn.out_proj.": "attn.out_proj.",
    "mlp.fc1.": "mlp.c_fc.", "mlp.fc2.": "mlp.c_proj.",
}  # fmt: skip
IN_PROJECTIONS = ("q_proj", "k_proj", "v_proj")  # OpenCLIP stacks the three


def _open_clip(name: str, prefix: str, width: int) -> Source:
    """The place of a CLIPTextModel parameter in an OpenCLIP file (models.md, 2.4)."""
    if key := OPEN_CLIP.get(name):
        return Source(prefix + key, transpose=key == "text_projection")
    match = re.fullmatch(r"transformer\.encoder\.layers\.(\d+)\.(.*\.)(weight|bias)", name)
    assert match is not None, name
    layer, part, leaf = match.groups()
    block = f"{prefix}transformer.resblocks.{layer}."
    if key := OPEN_CLIP_LAYER.get(part):
        return Source(block + key + leaf)
    third = IN_PROJECTIONS.index(part.split(".")[1])
    return Source(f"{block}attn.in_proj_{leaf}", rows=(third * width, (third + 1) * width))


def _describe(
    file: TensorFile,
    component: Component,
    config: UNetConfig | VaeConfig | TextConfig,
    sources: Mapping[str, Source],
    problems: list[str],
) -> Weights:
    """Pair every parameter with its key; what does not fit is added to `problems`."""
    wanted = _shapes(config)
    rows_of: dict[str, int] = {}
    for source in sources.values():
        if source.rows is not None:
            rows_of[source.key] = max(rows_of.get(source.key, 0), source.rows[1])
    for name, source in sources.items():
        entry = file.entries.get(source.key)
        if entry is None:
            problems.append(f"{source.key} is missing")
            continue
        shape = wanted[name][::-1] if source.transpose else wanted[name]
        if source.rows is not None:
            shape = (rows_of[source.key], *shape[1:])
        if entry.shape != shape:
            problems.append(f"{source.key} has shape {list(entry.shape)}, not {list(shape)}")
        elif entry.dtype not in WEIGHT_TYPES:
            problems.append(f"{source.key} is of type {entry.dtype}, not F32, F16 or BF16")
    problems[:] = list(dict.fromkeys(problems))  # the thirds of one OpenCLIP tensor are one problem
    keys = {source.key for source in sources.values()}
    nbytes = sum(file.entries[key].nbytes for key in keys if key in file.entries)
    return Weights(file.path, file.stamp, component, config, tuple(sources.items()), nbytes)


def _is_ignored(name: str, weights: Choice) -> bool:
    if name.startswith(EMA if weights == "model" else UNET):  # the copy that was not chosen
        return True
    return IGNORED.fullmatch(name) is not None
