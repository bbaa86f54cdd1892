"""GLIGEN from its file, and as a patch on conditions: texts in boxes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from engine.diffusion.adapters.control import dtype_of
from engine.diffusion.checkpoint import Weights, describe
from engine.diffusion.config import PRESETS
from engine.diffusion.gligen import GligenConfig, transformers
from engine.diffusion.guidance import Area
from engine.diffusion.hooks import Hooks, NetworkPatch, Pass, Site
from engine.diffusion.identify import config_in_metadata
from engine.diffusion.keys import Source
from engine.diffusion.tensorfile import CheckpointError, read_index

MOST_OBJECTS = 30  # with which it was trained; the rest of them are learned stand-ins
MARK = "position_net.linears.0.weight"


def open_gligen(path: Path) -> Weights:
    """Read a GLIGEN from its index: its own networks, without the UNet that whole files hold besides.

    Raises CheckpointError for another kind of file, and for missing or misshapen keys.
    """
    file = read_index(path)
    entry = file.entries.get(MARK)
    if entry is None or len(entry.shape) != 2:
        raise CheckpointError(path, f"no {MARK}", "a GLIGEN for text boxes (SD 1.4)", "Choose another file.")
    model = config_in_metadata(file) or PRESETS["sd1"]
    config = GligenConfig(model.unet, entry.shape[0])
    names = list(transformers(model.unet))

    def source(name: str) -> Source:
        if not name.startswith("fusers."):
            return Source(name)
        _, number, rest = name.split(".", 2)
        return Source(f"{names[int(number)]}.fuser.{rest}")

    return describe(file, config, source, "a GLIGEN", "control")


@dataclass(frozen=True, eq=False)
class Boxed:
    """A text's pooled output (1, width) and its rectangle of the latent."""

    text: Tensor
    area: Area


@dataclass(frozen=True, eq=False)
class BoxPatch(NetworkPatch):
    """Boxes at work: each transformer block is told of them between its two attentions."""

    shares: ClassVar[str] = "gligen"
    weights: Weights
    boxes: tuple[Boxed, ...]

    def with_box(self, box: Boxed) -> BoxPatch:
        """One box more. Raises ValueError where there are too many."""
        if len(self.boxes) == MOST_OBJECTS:
            raise ValueError(f"a picture takes at most {MOST_OBJECTS} text boxes; leave one out")
        return replace(self, boxes=(*self.boxes, box))

    def hooks(self, moment: Pass) -> Hooks:
        """What puts the boxes in, at this pass's size."""
        run = moment.run
        if run is None:
            raise LookupError("text boxes work within a run, and this is a lone call")
        config = self.weights.config
        assert isinstance(config, GligenConfig)
        if moment.context.shape[-1] != config.unet.context_dim:
            raise ValueError(
                f"{self.weights.path.name} was made for texts {config.unet.context_dim} wide; this model's are "
                f"{moment.context.shape[-1]} wide: GLIGEN is for SD 1.x"
            )
        network = run.networks(self.weights, ())
        height, width = moment.x.shape[-2:]
        key = (BoxPatch, id(self), height, width)
        if key not in run.memory:
            told = [each.to(moment.x.device, dtype_of(network)) for each in self.objects(height, width)]
            run.memory[key] = network.position_net(*told)
        return Hooks(between=(partial(_fused, network.fusers, run.memory[key]),))

    def objects(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (1, 30, 4) in parts of a latent's sides, which are there (1, 30), and their texts (1, 30, width).

        Raises ValueError for a box that lies outside.
        """
        boxes, present = torch.zeros(1, MOST_OBJECTS, 4), torch.zeros(1, MOST_OBJECTS)
        texts = torch.zeros(1, MOST_OBJECTS, self.boxes[0].text.shape[-1])
        for number, each in enumerate(self.boxes):
            area = each.area
            if area.x >= width or area.y >= height:
                raise ValueError(
                    f"text box {number + 1} begins at x {area.x}, y {area.y} of a latent that is {width}×{height} "
                    "(×8: pixels of the picture), so it lies outside of it; place it inside"
                )
            boxes[0, number] = torch.tensor([
                area.x / width, area.y / height, (area.x + area.width) / width, (area.y + area.height) / height,
            ])  # fmt: skip
            present[0, number] = 1
            texts[0, number] = each.text[0]
        return boxes, present, texts


def _fused(fusers: torch.nn.ModuleList, objects: Tensor, x: Tensor, site: Site) -> Tensor:
    out: Tensor = fusers[site.transformer](x.to(objects.dtype), objects.expand(len(x), -1, -1))
    return out.to(x.dtype)
