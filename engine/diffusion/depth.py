"""How near each part of a picture is: MiDaS' dpt_hybrid through transformers' DPTForDepthEstimation (models.md, 5).

Its weights come from a transformers folder, from MiDaS' own file, or from inside the published 2-depth checkpoint. The
sizes are read from the shapes.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.checkpoint import Weights, describe
from engine.diffusion.keys import Naming, Source, naming_of
from engine.diffusion.tensorfile import CheckpointError, Entry, TensorFile, read_index

PATCH = 16
HEAD_WIDTH = 64  # of the transformer's attention
READ_AFTER = 4  # intermediate results that the decoder reads: two of the convolutions, two of the transformer
RESIDUALS = ("residual_layer1", "residual_layer2")
CHECKPOINT_PREFIX = "depth_model.model."


@dataclass(frozen=True)
class DepthConfig:
    """The sizes of a hybrid depth network; the published one's are 768, 12, 12, 3072, 384 and so on (models.md, 5.1).

    stages: blocks of each stage of the convolutions; stage_widths: what they put out.
    """

    width: int
    layers: int
    heads: int
    mlp_width: int
    image_size: int
    embedding_width: int
    stages: tuple[int, int, int]
    stage_widths: tuple[int, int, int]
    neck_widths: tuple[int, int, int, int]
    fusion_width: int

    def build(self) -> nn.Module:
        """The network with these sizes, as transformers builds it."""
        from transformers import DPTConfig, DPTForDepthEstimation

        side = self.image_size // PATCH
        backbone = {
            "model_type": "bit", "depths": list(self.stages), "hidden_sizes": list(self.stage_widths),
            "embedding_size": self.embedding_width, "layer_type": "bottleneck", "global_padding": "SAME",
            "embedding_dynamic_padding": True, "out_features": ["stage1", "stage2", "stage3"],
        }  # fmt: skip
        return DPTForDepthEstimation(DPTConfig(
            is_hybrid=True, backbone_config=backbone, hidden_size=self.width, num_hidden_layers=self.layers,
            num_attention_heads=self.heads, intermediate_size=self.mlp_width, hidden_act="gelu",
            image_size=self.image_size, patch_size=PATCH, readout_type="project", reassemble_factors=[1, 1, 1, 0.5],
            neck_hidden_sizes=list(self.neck_widths), neck_ignore_stages=[0, 1],
            backbone_out_indices=_read_layers(self.layers),
            backbone_featmap_shape=[1, self.stage_widths[-1], side, side], fusion_hidden_size=self.fusion_width,
            use_batch_norm_in_fusion_residual=False, layer_norm_eps=1e-6,
        ))  # fmt: skip


def _read_layers(layers: int) -> list[int]:
    """After which layers the decoder reads: the last of each quarter."""
    return [(quarter + 1) * layers // READ_AFTER - 1 for quarter in range(READ_AFTER)]


def estimate_depth(network: nn.Module, pixels: Tensor) -> Tensor:
    """Relative nearness of pictures (batch, h, w, 3 or 4) in 0..1: (batch, h, w), each stretched to 0..1.

    The picture is squeezed into the network's square, as diffusers does; MiDaS itself keeps the proportions
    (models.md, 5.3). A flat picture gives zeros.
    """
    config: Any = network.config
    parameter = next(network.parameters())
    x = pixels[..., :3].movedim(-1, 1).float()
    x = F.interpolate(x, size=(config.image_size, config.image_size), mode="bicubic", antialias=True).clamp(0, 1)
    with torch.no_grad():
        maps = [
            network(item.to(parameter.device, parameter.dtype)).predicted_depth.float().cpu()
            for item in torch.split((x - 0.5) / 0.5, 1)
        ]
    depth = torch.cat(maps)[:, None]
    depth = F.interpolate(depth, size=tuple(pixels.shape[1:3]), mode="bicubic", align_corners=False)[:, 0]
    low, high = depth.amin(dim=(1, 2), keepdim=True), depth.amax(dim=(1, 2), keepdim=True)
    return (depth - low) / torch.where(high > low, high - low, torch.ones(()))


# -- files -------------------------------------------------------------------------------------------------------

BLOCK_PARTS: Mapping[str, str] = {
    "layernorm_before": "norm1", "layernorm_after": "norm2", "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
}  # fmt: skip
THIRDS = ("query", "key", "value")
MIDAS: tuple[tuple[str, str], ...] = (  # transformers' names to MiDaS' (models.md, 5.2); the first that fits
    (r"dpt\.embeddings\.cls_token", "pretrained.model.cls_token"),
    (r"dpt\.embeddings\.position_embeddings", "pretrained.model.pos_embed"),
    (r"dpt\.embeddings\.backbone\.bit\.embedder\.convolution\.(.*)",
     r"pretrained.model.patch_embed.backbone.stem.conv.\1"),
    (r"dpt\.embeddings\.backbone\.bit\.embedder\.(.*)", r"pretrained.model.patch_embed.backbone.stem.\1"),
    (r"dpt\.embeddings\.backbone\.bit\.encoder\.stages\.(\d+)\.layers\.(.*)",
     r"pretrained.model.patch_embed.backbone.stages.\1.blocks.\2"),
    (r"dpt\.embeddings\.projection\.(.*)", r"pretrained.model.patch_embed.proj.\1"),
    (r"dpt\.layernorm\.(.*)", r"pretrained.model.norm.\1"),
    (r"neck\.reassemble_stage\.readout_projects\.2\.0\.(.*)", r"pretrained.act_postprocess3.0.project.0.\1"),
    (r"neck\.reassemble_stage\.readout_projects\.3\.0\.(.*)", r"pretrained.act_postprocess4.0.project.0.\1"),
    (r"neck\.reassemble_stage\.layers\.2\.projection\.(.*)", r"pretrained.act_postprocess3.3.\1"),
    (r"neck\.reassemble_stage\.layers\.3\.projection\.(.*)", r"pretrained.act_postprocess4.3.\1"),
    (r"neck\.reassemble_stage\.layers\.3\.resize\.(.*)", r"pretrained.act_postprocess4.4.\1"),
    (r"head\.head\.(.*)", r"scratch.output_conv.\1"),
)  # fmt: skip


def _midas_name(name: str) -> tuple[str, int | None]:
    """MiDaS' name of a parameter, and which third of a stacked matrix it is, if one."""
    if match := re.fullmatch(r"neck\.convs\.(\d)\.weight", name):
        return f"scratch.layer{int(match[1]) + 1}_rn.weight", None
    if match := re.fullmatch(r"neck\.fusion_stage\.layers\.(\d)\.(.*)", name):
        block = f"scratch.refinenet{4 - int(match[1])}."
        if part := re.fullmatch(r"(residual_layer\d)\.convolution(\d)\.(.*)", match[2]):
            return f"{block}resConfUnit{RESIDUALS.index(part[1]) + 1}.conv{part[2]}.{part[3]}", None
        return block + match[2].replace("projection.", "out_conv."), None
    if match := re.fullmatch(r"dpt\.encoder\.layer\.(\d+)\.(.*)\.(weight|bias)", name):
        block, inner, leaf = f"pretrained.model.blocks.{match[1]}.", match[2], match[3]
        if inner.startswith("attention.attention."):
            return f"{block}attn.qkv.{leaf}", THIRDS.index(inner.rsplit(".", 1)[1])
        return f"{block}{BLOCK_PARTS[inner]}.{leaf}", None
    for pattern, theirs in MIDAS:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, theirs, name), None
    raise AssertionError(name)


def _midas(prefix: str) -> Naming:
    def source(name: str, entries: Mapping[str, Entry]) -> Source:
        key, third = _midas_name(name)
        if third is None:
            return Source(prefix + key)
        token = entries[f"{prefix}pretrained.model.cls_token"]
        width = token.shape[-1] if token.shape else 0
        return Source(prefix + key, rows=(third * width, (third + 1) * width))

    return Naming(f"{prefix}pretrained.model.cls_token", prefix, source)


NAMINGS = (
    Naming("dpt.embeddings.cls_token", "", lambda name, _entries: Source(name)), _midas(CHECKPOINT_PREFIX), _midas(""),
)  # fmt: skip


def open_depth(path: Path | str) -> Weights:
    """Read the index of a depth network.

    Raises CheckpointError: no such network in the file, not the hybrid kind, missing or misshapen keys.
    """
    file = read_index(Path(path))
    naming = naming_of(NAMINGS, file.entries)
    if naming is None:
        raise CheckpointError(
            file.path, "no depth network", "MiDaS' dpt_hybrid, alone or in a 2-depth checkpoint",
            "Choose the model.safetensors of dpt-hybrid-midas, or a depth checkpoint.",
        )  # fmt: skip
    config = depth_config(file, naming)
    return describe(file, config, lambda name: naming.source(name, file.entries), "MiDaS' dpt_hybrid")


def depth_config(file: TensorFile, naming: Naming) -> DepthConfig:
    """The sizes that the shapes tell; CheckpointError where they cannot be those of a hybrid network."""

    def shape(name: str, rank: int) -> tuple[int, ...]:
        entry = file.entries.get(naming.source(name, file.entries).key)
        if entry is None or len(entry.shape) != rank or 0 in entry.shape:
            raise CheckpointError(
                file.path, f"{name} of shape {list(entry.shape)}" if entry else f"no {name}",
                "the hybrid depth network (dpt_hybrid)", "Choose dpt-hybrid-midas; other kinds are not supported.",
            )  # fmt: skip
        return entry.shape

    def count(template: str) -> int:
        number = 0
        while number < 100 and naming.source(template.format(number), file.entries).key in file.entries:
            number += 1
        return number

    bit = "dpt.embeddings.backbone.bit."
    width = shape("dpt.embeddings.cls_token", 3)[-1]
    side = math.isqrt(shape("dpt.embeddings.position_embeddings", 3)[1] - 1)
    last = bit + "encoder.stages.{}.layers.0.conv3.weight"
    a, b, c = (count(f"{bit}encoder.stages.{stage}.layers.{{}}.conv3.weight") for stage in range(3))
    neck = [shape(f"neck.convs.{index}.weight", 4) for index in range(4)]
    return DepthConfig(
        width=width, layers=count("dpt.encoder.layer.{}.layernorm_before.weight"), heads=max(1, width // HEAD_WIDTH),
        mlp_width=shape("dpt.encoder.layer.0.intermediate.dense.weight", 2)[0], image_size=side * PATCH,
        embedding_width=shape(bit + "embedder.convolution.weight", 4)[0], stages=(a, b, c),
        stage_widths=(shape(last.format(0), 4)[0], shape(last.format(1), 4)[0], shape(last.format(2), 4)[0]),
        neck_widths=(neck[0][1], neck[1][1], neck[2][1], neck[3][1]), fusion_width=neck[0][0],
    )  # fmt: skip
