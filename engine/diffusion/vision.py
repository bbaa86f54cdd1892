"""CLIP's image encoders: ViT-L of OpenAI and ViT-H of OpenCLIP, alone, in unCLIP checkpoints and in the safety checker.

Attribute names are transformers' keys (`vision_model.…`, `visual_projection`); the other spellings are `NAMINGS`
(models.md, 1.5 and 2.4). Sizes are read from the shapes.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.checkpoint import Weights, describe
from engine.diffusion.clip import Activation, Layers
from engine.diffusion.fingerprint import OPEN_CLIP_VISION, VISION_HEADS
from engine.diffusion.keys import Naming, Source, naming_of
from engine.diffusion.tensorfile import CheckpointError, Entry, TensorFile, read_index

SIZE = 224  # pixels along each side, of every published encoder
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
NORM_EPS = 1e-5
MOST_LAYERS = 64


@dataclass(frozen=True)
class VisionConfig:
    """The sizes of a vision transformer."""

    width: int
    layers: int
    heads: int
    mlp_width: int
    patch: int
    positions: int  # patches and one class token
    projection: int
    activation: Activation

    @property
    def size(self) -> int:
        """Pixels along each side of what it reads."""
        return self.patch * math.isqrt(self.positions - 1)

    def build(self) -> nn.Module:
        """The encoder."""
        return VisionEncoder(self)


class Embeddings(nn.Module):
    """Patches, the class token before them, and where each is."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.empty(config.width))
        self.patch_embedding = nn.Conv2d(3, config.width, config.patch, stride=config.patch, bias=False)
        self.position_embedding = nn.Embedding(config.positions, config.width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(batch, 3, size, size) to (batch, 1 + patches, width)."""
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1)
        out: Tensor = torch.cat([first, patches], dim=1) + self.position_embedding.weight
        return out


class VisionModel(nn.Module):
    """The transformer between the norms; transformers misspells the first one's name, and so do all files."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.encoder = Layers(
            config.layers, config.width, config.heads, config.mlp_width, config.activation, NORM_EPS, causal=False
        )
        self.post_layernorm = nn.LayerNorm(config.width, eps=NORM_EPS)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, 3, size, size) to the last layer's output, the one's before, and the pooled class token."""
        x = self.pre_layrnorm(self.embeddings(pixels))
        before = x
        for layer in self.encoder.layers:
            before, x = x, layer(x)
        return x, before, self.post_layernorm(x[:, 0])


class Encoded(NamedTuple):
    """What an encoder makes of pictures, float32 on the CPU.

    embeds (batch, projection); last and penultimate (batch, 1 + patches, width).
    """

    embeds: Tensor
    last: Tensor
    penultimate: Tensor


class VisionEncoder(nn.Module):
    """The transformer and the projection into the space that texts share."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_model = VisionModel(config)
        self.visual_projection = nn.Linear(config.width, config.projection, bias=False)

    def forward(self, pixels: Tensor) -> Encoded:
        """Pictures as `preprocess` makes them, (batch, 3, size, size)."""
        last, before, pooled = self.vision_model(pixels)
        return Encoded(self.visual_projection(pooled), last, before)


def preprocess(pixels: Tensor, size: int = SIZE, *, crop: bool = True) -> Tensor:
    """Pixels (batch, h, w, 3 or 4) in 0..1 to (batch, 3, size, size), normalised: numerics.md, 5.4.

    The short side becomes `size`, bicubic with antialiasing, and the middle is cut out; without `crop` the picture is
    squeezed. Values are rounded to bytes first, as a picture file's are.
    """
    x = pixels[..., :3].movedim(-1, 1).float()
    height, width = x.shape[2:]
    scale = size / min(height, width)
    target = (round(scale * height), round(scale * width)) if crop else (size, size)
    x = F.interpolate(x, size=target, mode="bicubic", antialias=True)
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    x = (x[:, :, top : top + size, left : left + size] * 255).clamp(0, 255).round() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (x - mean) / std


def encode_images(encoder: VisionEncoder, pixels: Tensor, *, crop: bool = True) -> Encoded:
    """Encode pictures (batch, h, w, c) in 0..1."""
    parameter = next(encoder.parameters())
    ready = preprocess(pixels, encoder.config.size, crop=crop).to(parameter.device, parameter.dtype)
    with torch.no_grad():
        return Encoded(*(each.float().cpu() for each in encoder(ready)))


# -- files -------------------------------------------------------------------------------------------------------

TRANSFORMERS_MARK = "vision_model.embeddings.class_embedding"
OPEN_CLIP: Mapping[str, str] = {
    "vision_model.embeddings.class_embedding": "class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "positional_embedding",
    "vision_model.pre_layrnorm.weight": "ln_pre.weight", "vision_model.pre_layrnorm.bias": "ln_pre.bias",
    "vision_model.post_layernorm.weight": "ln_post.weight", "vision_model.post_layernorm.bias": "ln_post.bias",
}  # fmt: skip
OPEN_CLIP_PARTS: Mapping[str, str] = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}  # fmt: skip
THIRDS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")  # OpenCLIP stacks the three


def _transformers(prefix: str, tower: str = "") -> Naming:
    """`tower` is one more level that only the tower's keys have, not the projection's."""

    def source(name: str, _entries: Mapping[str, Entry]) -> Source:
        return Source(prefix + (tower if name.startswith("vision_model.") else "") + name)

    return Naming(f"{prefix}{tower}{TRANSFORMERS_MARK}", prefix, source)


def _open_clip(prefix: str) -> Naming:
    def source(name: str, entries: Mapping[str, Entry]) -> Source:
        if name == "visual_projection.weight":
            return Source(prefix + "proj", transpose=True)
        if key := OPEN_CLIP.get(name):
            return Source(prefix + key)
        match = re.fullmatch(r"vision_model\.encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)
        assert match is not None, name
        layer, part, leaf = match.groups()
        block = f"{prefix}transformer.resblocks.{layer}."
        if part in THIRDS:
            width = entries[prefix + "class_embedding"].shape[0]
            third = THIRDS.index(part)
            return Source(f"{block}attn.in_proj_{leaf}", rows=(third * width, (third + 1) * width))
        return Source(f"{block}{OPEN_CLIP_PARTS[part]}.{leaf}")

    return Naming(prefix + "class_embedding", prefix, source)


UNCLIP_PREFIX = "embedder.model.visual."
NAMINGS = (
    _transformers(""), _transformers("", "vision_model."), _open_clip(UNCLIP_PREFIX), _open_clip("visual."),
    _open_clip("model.visual."),
)  # fmt: skip


def open_vision(path: Path | str) -> Weights:
    """Read the index of an image encoder: alone, in a whole CLIP model, or in an unCLIP checkpoint.

    Raises CheckpointError: another kind of file, missing or misshapen keys.
    """
    file = read_index(Path(path))
    naming = naming_of(NAMINGS, file.entries)
    if naming is None:
        raise CheckpointError(
            file.path, "no image encoder", "CLIP's vision transformer (vision_model.… or visual.…)",
            "Choose a file of clip_vision/, or an unCLIP checkpoint.",
        )  # fmt: skip
    config = vision_config(file, naming)
    return describe(file, config, lambda name: naming.source(name, file.entries), "an image encoder")


def vision_config(file: TensorFile, naming: Naming) -> VisionConfig:
    """The sizes that the shapes tell; CheckpointError where they cannot be an image encoder's."""

    def shape(name: str, rank: int) -> tuple[int, ...]:
        source = naming.source(name, file.entries)
        entry = file.entries.get(source.key)
        if entry is None or len(entry.shape) != rank or 0 in entry.shape:
            found = f"{source.key} of shape {list(entry.shape)}" if entry else f"no {source.key}"
            raise CheckpointError(file.path, found, f"{rank} dimensions", "The file is damaged or something else.")
        return entry.shape[::-1] if source.transpose else entry.shape

    width = shape("vision_model.embeddings.class_embedding", 1)[0]
    layers = 0
    while layers <= MOST_LAYERS:
        name = f"vision_model.encoder.layers.{layers}.mlp.fc1.weight"
        if naming.source(name, file.entries).key not in file.entries:
            break
        layers += 1
    heads = VISION_HEADS.get(width, 16)
    if width % heads or not 1 <= layers <= MOST_LAYERS:
        raise CheckpointError(
            file.path, f"{layers} layers of width {width}", f"1 to {MOST_LAYERS} layers of {heads} heads",
            "It is no encoder that Easel knows.",
        )  # fmt: skip
    return VisionConfig(
        width=width, layers=layers, heads=heads,
        mlp_width=shape("vision_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        patch=shape("vision_model.embeddings.patch_embedding.weight", 4)[-1],
        positions=shape("vision_model.embeddings.position_embedding.weight", 2)[0],
        projection=shape("visual_projection.weight", 2)[0],
        activation="gelu" if width in OPEN_CLIP_VISION else "quick_gelu",
    )  # fmt: skip
