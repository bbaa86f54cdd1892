"""Work on several devices at once. Easel's own node."""

from __future__ import annotations

from dataclasses import replace

from engine.diffusion import split
from engine.graph.node import node
from engine.graph.types import Model


@node("SplitOverDevices", category="sampling", display_name="Split over Devices")
def split_over_devices(*, model: Model, exact: bool = False) -> Model:
    """Sample each batch on all devices that --devices names at once: the pictures are those of one device.

    Each device takes a part of what goes through the network in a step: pictures of the batch, or of a single picture
    the guidance's two halves. Without --devices, and where patches change the network (ControlNet, FreeU and such),
    the worker's own device does all of it.

    exact: Ask for each picture by itself: the same bits on any number of devices, where they otherwise differ by
        rounding. Slower.
    """
    return replace(model, patches=(*model.patches, split.SplitOverDevices(exact)))
