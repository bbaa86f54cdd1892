"""Saved workflows, run without a server: changed here and there, and the picture that comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.graph.registry import scan
from engine.graph.workflow import write_api
from engine.messages.events import Event, NodeText, Succeeded
from engine.runtime.headless import open_workflow, run_file
from engine.runtime.settings import Settings
from engine.runtime.workflow_file import read_file
from tests.served import ROOT

Pixels = npt.NDArray[np.float32]
More = Mapping[str, tuple[str, Mapping[str, Any]]]


def run_saved(
    name: str, settings: Settings, changes: Mapping[str, Any], *, more: More | None = None,
    events: list[Event] | None = None,
) -> Pixels:
    """The picture that a workflow saves, in levels of 255.

    changes: NODE.INPUT → its value, or a link. more: further nodes by id, their class and inputs.
    """
    opened = open_workflow(read_file(ROOT / "workflows" / f"{name}.json"), scan().specs)
    graph = msgspec.json.decode(msgspec.json.encode(write_api(opened.workflow)))
    graph |= {node: {"class_type": kind, "inputs": dict(inputs)} for node, (kind, inputs) in (more or {}).items()}
    for key, value in changes.items():
        node, _, entry = key.partition(".")
        assert entry in graph[node]["inputs"], key
        graph[node]["inputs"][entry] = value
    path = settings.folders.user / f"{name}.json"
    path.write_bytes(msgspec.json.encode(graph))
    told: list[Event] = [] if events is None else events
    ending = run_file(path, settings, told.append)
    assert isinstance(ending, Succeeded), ending
    (shown,) = (each for each in ending.outputs.values() if "images" in each)
    with Image.open(settings.folders.output / shown["images"][0]["filename"]) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float32)


def warnings(events: list[Event]) -> list[str]:
    """What nodes said that is no error."""
    return [event.text for event in events if isinstance(event, NodeText)]


def difference(a: Pixels, b: Pixels) -> float:
    """How far two pictures are apart, in levels."""
    return float(np.abs(a - b).mean())


def note_of(name: str) -> str:
    """What a workflow says of itself."""
    data = msgspec.json.decode((ROOT / "workflows" / f"{name}.json").read_bytes())
    (note,) = [each["widgets_values"][0] for each in data["nodes"] if each["type"] == "MarkdownNote"]
    return str(note)
