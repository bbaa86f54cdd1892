"""The safety checker that was published with Stable Diffusion 1.x: how near a picture is to certain concepts.

models.md, 6. A CLIP image encoder and the embeddings of seventeen concepts and of three that lower the others'
thresholds, each with a threshold of its own. What the concepts are was never published. It is a filter with errors of
both kinds, not a judgement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.checkpoint import Weights, describe
from engine.diffusion.keys import Naming, Source, naming_of
from engine.diffusion.tensorfile import CheckpointError, Entry, read_index
from engine.diffusion.vision import VisionConfig, VisionModel, preprocess, vision_config

SPECIAL_ADJUSTMENT = 0.01  # added to all later scores once a special concept was found
DIGITS = 3  # scores are rounded before they are compared
MOST_CONCEPTS = 1_000
BLURRED = 8  # pixels along each side that a blurred picture is made from


@dataclass(frozen=True)
class SafetyConfig:
    """The sizes of a safety checker; the published one has 17 concepts and 3 special ones."""

    vision: VisionConfig
    concepts: int
    special: int

    def build(self) -> nn.Module:
        """The checker."""
        return SafetyNet(self)


class SafetyNet(nn.Module):
    """The image encoder and what its embeddings are compared with."""

    def __init__(self, config: SafetyConfig) -> None:
        super().__init__()
        self.config = config
        width = config.vision.projection
        self.vision_model = VisionModel(config.vision)
        self.visual_projection = nn.Linear(config.vision.width, width, bias=False)
        self.concept_embeds = nn.Parameter(torch.empty(config.concepts, width))
        self.concept_embeds_weights = nn.Parameter(torch.empty(config.concepts))
        self.special_care_embeds = nn.Parameter(torch.empty(config.special, width))
        self.special_care_embeds_weights = nn.Parameter(torch.empty(config.special))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures as `preprocess` makes them, to cosines with the special concepts and with the others.

        Each is (batch, number of them).
        """
        embeds = F.normalize(self.visual_projection(self.vision_model(pixels)[2]))
        return embeds @ F.normalize(self.special_care_embeds).T, embeds @ F.normalize(self.concept_embeds).T


@dataclass(frozen=True)
class Safety:
    """What the checker says of a picture: a score above 0 is a concept found. `special` lowers thresholds only."""

    special: tuple[float, ...]
    concepts: tuple[float, ...]

    @property
    def flagged(self) -> bool:
        """Whether the picture is one that not everybody wants to see."""
        return any(score > 0 for score in self.concepts)


def judge(
    special: Sequence[float], concepts: Sequence[float], special_limits: Sequence[float], limits: Sequence[float]
) -> Safety:
    """The published rule: scores are cosine less threshold, in order, each rounded to three digits.

    The first special concept that is found raises every score after it by 0.01, of special concepts too.
    """
    adjustment = 0.0
    special_scores = []
    for cosine, limit in zip(special, special_limits, strict=True):
        score = float(round(cosine - limit + adjustment, DIGITS))
        special_scores.append(score)
        if score > 0:
            adjustment = SPECIAL_ADJUSTMENT
    found = [float(round(cosine - limit + adjustment, DIGITS)) for cosine, limit in zip(concepts, limits, strict=True)]
    return Safety(tuple(special_scores), tuple(found))


def check_pictures(network: nn.Module, pixels: Tensor) -> list[Safety]:
    """Check pictures (batch, h, w, 3 or 4) in 0..1; transparency is not looked at."""
    assert isinstance(network, SafetyNet)
    vision = network.config.vision
    side = vision.size
    parameter = next(network.parameters())
    with torch.no_grad():
        special, concepts = network(preprocess(pixels, side).to(parameter.device, parameter.dtype))
    limits = network.special_care_embeds_weights, network.concept_embeds_weights
    # float32 numbers as they are, because the published rule computes and rounds in float32
    special_limits, concept_limits = (np.asarray(each.float().cpu()) for each in limits)
    return [
        judge(list(a), list(b), list(special_limits), list(concept_limits))
        for a, b in zip(special.float().cpu().numpy(), concepts.float().cpu().numpy(), strict=True)
    ]


def blur(pixels: Tensor) -> Tensor:
    """Pictures (batch, h, w, c) of which only eight by eight pixels are left, at their size."""
    x = F.interpolate(pixels.movedim(-1, 1), size=(BLURRED, BLURRED), mode="area")
    out: Tensor = F.interpolate(x, size=tuple(pixels.shape[1:3]), mode="bilinear", align_corners=False)
    return out.movedim(1, -1)


# -- files -------------------------------------------------------------------------------------------------------

TOWER = "vision_model."


def _naming(tower: str) -> Naming:
    """Transformers before 5 wrote the tower's keys one level deeper."""

    def source(name: str, _entries: Mapping[str, Entry]) -> Source:
        return Source(tower + name.removeprefix(TOWER) if name.startswith(TOWER) else name)

    return Naming(f"{tower}embeddings.class_embedding", "", source)


NAMINGS = (_naming("vision_model.vision_model."), _naming(TOWER))


def open_safety(path: Path | str) -> Weights:
    """Read the index of a safety checker: a file of the published folder, `model.safetensors` or `pytorch_model.bin`.

    Raises CheckpointError: another kind of file, missing or misshapen keys.
    """
    file = read_index(Path(path))
    naming = naming_of(NAMINGS, file.entries)
    embeds = [file.entries.get(name) for name in ("concept_embeds", "special_care_embeds")]
    shapes = [entry.shape for entry in embeds if entry is not None and len(entry.shape) == 2]
    if naming is None or len(shapes) != 2 or not all(1 <= shape[0] <= MOST_CONCEPTS for shape in shapes):
        raise CheckpointError(
            file.path, "no safety checker", "CLIP's image encoder with concept_embeds and special_care_embeds",
            "Choose the model.safetensors of stable-diffusion-safety-checker.",
        )  # fmt: skip
    config = SafetyConfig(vision_config(file, naming), shapes[0][0], shapes[1][0])
    return describe(file, config, lambda name: naming.source(name, file.entries), "a safety checker")
