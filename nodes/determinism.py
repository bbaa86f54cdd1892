"""Making pictures again: seeds per picture."""

from __future__ import annotations

from dataclasses import replace

from engine.diffusion import per_image
from engine.graph.node import node
from engine.graph.types import Model


@node("PerImageSeeds", category="sampling", display_name="Seeds per Picture")
def per_image_seeds(*, model: Model) -> Model:
    """Sample each picture of a batch by itself: picture i is exactly the single picture of the seed plus i.

    A batch takes as long as its pictures one after another.
    """
    return replace(model, patches=(*model.patches, per_image.PerImageSeeds()))
