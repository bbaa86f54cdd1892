"""How files spell the parameters of a network: the published single files, diffusers folders, transformers, OpenCLIP.

The networks' attribute names are the published keys (models.md, 2); every other spelling is a function from those names
to a `Source` (models.md, 2.4, 3.2, 3.3). A key that only one spelling has tells which it is.

>>> UNET_NAMINGS[2].source("input_blocks.4.0.in_layers.2.weight", {})
Source(key='down_blocks.1.resnets.0.conv1.weight', rows=None, transpose=False, matrix=False, shard=0)
>>> VAE_NAMINGS[2].source("decoder.up.3.upsample.conv.bias", {}).key
'decoder.up_blocks.0.upsamplers.0.conv.bias'
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engine.diffusion.tensorfile import Entry

RES_BLOCKS = 2  # per level, in every UNet of the family


class Source(NamedTuple):
    """Where a parameter comes from: a key, perhaps some of its rows, perhaps turned over.

    matrix: a linear layer's matrix that is a 1×1 convolution here. shard: which of a network's files.
    """

    key: str
    rows: tuple[int, int] | None = None
    transpose: bool = False
    matrix: bool = False
    shard: int = 0


@dataclass(frozen=True)
class Naming:
    """One spelling. `mark` is a key that every file spelled so has, and no other; `prefix` begins all its keys.

    source: a parameter's published name, and the file's entries where a spelling has variants, to its place.
    """

    mark: str
    prefix: str
    source: Callable[[str, Mapping[str, Entry]], Source]


def naming_of(namings: tuple[Naming, ...], entries: Mapping[str, Entry]) -> Naming | None:
    """The first spelling that a file has the mark of."""
    return next((naming for naming in namings if naming.mark in entries), None)


def _prefixed(prefix: str, mark: str) -> Naming:
    return Naming(prefix + mark, prefix, lambda name, _entries: Source(prefix + name))


# -- UNet --------------------------------------------------------------------------------------------------------

UNET, EMA = "model.diffusion_model.", "model_ema."

UNET_ENDS = {
    "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "class_embedding.linear_1", "label_emb.0.2": "class_embedding.linear_2",
    "label_emb": "class_embedding", "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out",
}  # fmt: skip
RES_PARTS = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
    "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}  # fmt: skip
MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}


def _diffusers_unet(name: str, _entries: Mapping[str, Entry]) -> Source:
    module, _, leaf = name.rpartition(".")
    if module in UNET_ENDS:
        return Source(f"{UNET_ENDS[module]}.{leaf}")
    side, rest = module.split(".", 1)
    if side == "middle_block":
        index, rest = rest.split(".", 1)
        return Source(f"mid_block.{MIDDLE[index]}.{RES_PARTS.get(rest, rest)}.{leaf}")
    block, index, rest = rest.split(".", 2)
    down = side == "input_blocks"
    level, place = divmod(int(block) - 1 if down else int(block), RES_BLOCKS + 1)
    head = f"{'down' if down else 'up'}_blocks.{level}"
    if rest == "op":
        return Source(f"{head}.downsamplers.0.conv.{leaf}")
    if rest == "conv":
        return Source(f"{head}.upsamplers.0.conv.{leaf}")
    kind = "resnets" if index == "0" else "attentions"
    return Source(f"{head}.{kind}.{place}.{RES_PARTS.get(rest, rest)}.{leaf}")


UNET_NAMINGS = (
    _prefixed(UNET, "input_blocks.0.0.weight"),
    _prefixed("", "input_blocks.0.0.weight"),
    Naming("down_blocks.0.resnets.0.conv1.weight", "", _diffusers_unet),
)


def ema_source(name: str) -> Source:
    """The averaged copy of a UNet parameter: the trainer removed every dot from the names."""
    return Source(EMA + ("diffusion_model." + name).replace(".", ""))


# -- VAE ---------------------------------------------------------------------------------------------------------

VAE = "first_stage_model."
VAE_LEVELS = 4  # of the common autoencoder; the x4 upscaler's has three
VAE_PARTS = (  # in this order; the levels of the decoder are turned round before
    (".block.", ".resnets."), (".downsample.", ".downsamplers.0."), (".upsample.", ".upsamplers.0."),
    ("mid.block_1.", "mid_block.resnets.0."), ("mid.block_2.", "mid_block.resnets.1."),
    ("nin_shortcut", "conv_shortcut"), ("norm_out", "conv_norm_out"), ("encoder.down.", "encoder.down_blocks."),
)  # fmt: skip
ATTENTION = "mid_block.attentions.0."
ATTENTION_PARTS = {  # new and old diffusers
    "norm": ("group_norm",), "q": ("to_q", "query"), "k": ("to_k", "key"), "v": ("to_v", "value"),
    "proj_out": ("to_out.0", "proj_attn"),
}  # fmt: skip


def _diffusers_vae(name: str, entries: Mapping[str, Entry]) -> Source:
    if match := re.fullmatch(r"(encoder|decoder)\.mid\.attn_1\.(\w+)\.(weight|bias)", name):
        side, part, leaf = match.groups()
        keys = [f"{side}.{ATTENTION}{spelled}.{leaf}" for spelled in ATTENTION_PARTS[part]]
        key = next((key for key in keys if key in entries), keys[0])
        return Source(key, matrix=key in entries and len(entries[key].shape) == 2)
    if match := re.fullmatch(r"decoder\.up\.(\d)\.(.*)", name):
        levels = 1 + max((int(key.split(".")[2]) for key in entries if key.startswith("decoder.up_blocks.")),
                         default=VAE_LEVELS - 1)  # fmt: skip
        name = f"decoder.up_blocks.{levels - 1 - int(match[1])}.{match[2]}"
    for published, theirs in VAE_PARTS:
        name = name.replace(published, theirs)
    return Source(name)


VAE_NAMINGS = (
    _prefixed(VAE, "encoder.down.0.block.0.norm1.weight"),
    _prefixed("", "encoder.down.0.block.0.norm1.weight"),
    Naming("encoder.down_blocks.0.resnets.0.norm1.weight", "", _diffusers_vae),
)
VAE_LEVEL = re.compile(r"(?:first_stage_model\.)?encoder\.down(?:_blocks)?\.(\d)\.")


# -- text encoders -----------------------------------------------------------------------------------------------

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


def open_clip_naming(prefix: str) -> Naming:
    """OpenCLIP's spelling of a text tower, which stacks the projections of queries, keys and values."""

    def source(name: str, entries: Mapping[str, Entry]) -> Source:
        if key := OPEN_CLIP.get(name):
            return Source(prefix + key, transpose=key == "text_projection")
        match = re.fullmatch(r"transformer\.encoder\.layers\.(\d+)\.(.*\.)(weight|bias)", name)
        assert match is not None, name
        layer, part, leaf = match.groups()
        block = f"{prefix}transformer.resblocks.{layer}."
        if key := OPEN_CLIP_LAYER.get(part):
            return Source(block + key + leaf)
        third = IN_PROJECTIONS.index(part.split(".")[1])
        entry = entries.get(f"{prefix}ln_final.weight")
        width = entry.shape[0] if entry is not None and entry.shape else 0
        return Source(f"{block}attn.in_proj_{leaf}", rows=(third * width, (third + 1) * width))

    return Naming(prefix + "token_embedding.weight", prefix, source)


def _transformers(prefix: str, projection: str) -> Naming:
    def source(name: str, _entries: Mapping[str, Entry]) -> Source:
        if name.startswith("text_projection."):
            return Source(projection + name)
        return Source(prefix + name.removeprefix("transformer."))

    return Naming(prefix + "embeddings.token_embedding.weight", prefix, source)


TEXT_NAMINGS = (  # longest first: some old tools left `text_model.` out
    _transformers("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),
    _transformers("cond_stage_model.transformer.", "cond_stage_model.transformer."),
    open_clip_naming("cond_stage_model.model."),
    open_clip_naming("conditioner.embedders.0.model."),
    _transformers("text_model.", ""),
    _transformers("transformer.text_model.", "transformer."),
    _transformers("", ""),
    open_clip_naming(""),
)
WHOLE_TEXT_NAMINGS = TEXT_NAMINGS[:4]  # those of whole checkpoints
TEXT_LAYER = "transformer.encoder.layers.{}.layer_norm1.weight"
TEXT_PROJECTION = "text_projection.weight"
TEXT_EMBEDDING = "transformer.embeddings.token_embedding.weight"

# Buffers, training leftovers and constants, and networks that have loaders of their own (models.md, 2.1).
IGNORED = re.compile(
    r"betas|alphas_cumprod(_prev)?|sqrt_\w+|log_one_minus_alphas_cumprod|posterior_\w+|lvlb_weights|logvar"
    r"|low_scale_model\..*|depth_model\..*|embedder\..*|noise_augmentor\..*"
    r"|first_stage_model\.loss\..*|loss\..*|.*position_ids"
    r"|(cond_stage_model\.)?(model\.)?(logit_scale|attn_mask)"
    r"|conditioner\.embedders\.0\.(model\.)?(logit_scale|attn_mask)"
    r"|model_ema\.(decay|num_updates)|v_pred|ztsnr"
)
