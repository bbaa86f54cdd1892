"""What the modules that packs import know of the engine, and of the pack node that runs at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from engine.graph.node import Node

if TYPE_CHECKING:
    from engine.files.folders import Folders

running: ContextVar[Any] = ContextVar("running", default=None)
"""The ``Context`` of the pack node that runs on this thread or in this coroutine, or None."""


@dataclass
class Host:
    """The engine that packs are loaded into. There is one per process, since ``sys.modules`` is one."""

    folders: Folders
    device: torch.device
    nodes: dict[str, Node[..., Any]] = field(default_factory=dict)  # all by class name, core and packs


def context_here() -> Any:
    """The context of the running node. Raises RuntimeError outside one."""
    context = running.get()
    if context is None:
        raise RuntimeError("this works only inside a node that the engine runs, not while a pack is imported")
    return context


def report(value: float, total: float, preview: Any = None) -> None:
    """Report progress of the running node, if there is one; raises Cancelled if the job was cancelled."""
    context = running.get()
    if context is not None:
        context.progress(value, total, _jpeg(preview) if preview is not None else None)


def send(event: str, data: Mapping[str, Any]) -> None:
    """Send a pack's own message to the client of the running job."""
    context = running.get()
    if context is not None:
        context.send(event, data)


def check_cancelled() -> None:
    """Raise Cancelled if the running job was cancelled."""
    context = running.get()
    if context is not None:
        context.check()


def _jpeg(preview: Any) -> Any:
    """ComfyUI's preview ``(format, picture, largest side)`` as a function that makes a JPEG."""
    def make() -> bytes:
        from io import BytesIO

        _, picture, largest = preview
        picture = picture.convert("RGB")
        if largest:
            picture.thumbnail((largest, largest))
        buffer = BytesIO()
        picture.save(buffer, format="JPEG", quality=95)
        return buffer.getvalue()

    return make
