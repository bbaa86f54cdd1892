"""What a stage of the family is: sizes, where it is trained, and what it gives to the loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.diffusion.config import ModelConfig
from engine.diffusion.depth import DepthConfig
from engine.diffusion.safety import SafetyConfig
from engine.diffusion.tiny import TinyConfig
from engine.diffusion.upscale import CompactConfig
from engine.training.data import Bank
from engine.training.files import Recipe, Trained, read_model
from engine.training.loop import LossOf, Outcome, Run, Settings, generator_of
from engine.training.objectives import SMALL_NETWORK, SnrLimits


@dataclass(frozen=True)
class Size:
    """All numbers of a family: networks, pictures and the settings of each stage."""

    model: ModelConfig  # scale factors are placeholders until the VAE is trained
    upscaler: ModelConfig
    picture: int
    crop: int  # what the VAE is trained on
    shard: int
    shards: int
    vision_width: int
    enlarger: CompactConfig
    estimator: DepthConfig
    safety: SafetyConfig
    taesd: TinyConfig
    settings: Mapping[str, Settings]
    limits: SnrLimits = SMALL_NETWORK  # of the denoising networks' objectives
    preference: tuple[float, float, float] | None = None  # of scenes of one, two, three solids, where PREFERRING


PREFERRING = ("unet", "v", "inpaint", "depth", "checker")  # the stages that heed `Size.preference`
HELD = ("vae", "text", "unet")  # the stages whose networks a full checkpoint holds


@dataclass(frozen=True, eq=False)
class Work:
    """A stage made ready: what is trained, on what, and what is written when it stops."""

    run: Run
    loss_of: LossOf
    write: Callable[[Outcome], Path]


@dataclass(frozen=True)
class Place:
    """Where and how a stage is trained."""

    size: Size
    folder: Path
    settings: Settings
    device: torch.device
    recipe: Recipe
    start: Path | None = None  # a full checkpoint, whose networks serve where the first stages' files are missing;
    # for "checker" a checker's file

    def file(self, name: str) -> Path:
        """The model file of a stage."""
        return self.folder / f"{name}.safetensors"

    def read(self, name: str) -> Trained:
        """The file of an earlier stage, or the checkpoint that is started from."""
        if self.start is not None and name in HELD and not self.file(name).exists():
            return read_model(self.start, f"python -m engine.training family --stage unet --out {self.folder}")
        return read_model(self.file(name), f"python -m engine.training family --stage {name} --out {self.folder}")

    def bank(self, *, whole: bool = False) -> Bank:
        """The training pictures: a thirtieth of them at the start, all of them after a third of the steps.

        whole: all at once, for a network that goes on from another: of few pictures it would forget the rest.
        """
        size = self.size
        first = size.shards if whole else max(1, size.shards // 30)
        every = max(1, self.settings.steps // (3 * max(1, size.shards - first)))
        return Bank(self.folder / "data", size.picture, size.shard, size.shards, first, every)

    def generator(self, step: int, part: int) -> torch.Generator:
        """The random numbers of one batch."""
        return generator_of(self.settings.seed, step, part)
