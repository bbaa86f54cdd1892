"""The recipe that a picture carries: the graph in the API form, and an editor's file to open it with.

It is read, and laid out if nobody sent an editor's file along, when the first node asks for it: most nodes never do,
and for a large graph this costs as much as all else that happens to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from engine.graph.editor_format.write import write_editor
from engine.graph.node import NodeSpec
from engine.graph.problems import WorkflowError
from engine.graph.workflow import read_api

log = logging.getLogger(__name__)

Recipe = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]
"""What the hidden inputs PROMPT and EXTRA_PNGINFO are given."""


def recipe_later(prompt: bytes, extra: bytes, specs: Callable[[], Mapping[str, NodeSpec]]) -> Callable[[], Recipe]:
    """A function that reads a job's recipe once, from the JSON of the graph and of ``extra_data``."""

    @cache
    def read() -> Recipe:
        told = msgspec.json.decode(extra) if extra else {}
        info = told.get("extra_pnginfo")
        graph = msgspec.json.decode(prompt)
        return graph, with_layout(graph, info if isinstance(info, Mapping) else {}, specs())

    return read


def with_layout(
    graph: Mapping[str, Any], info: Mapping[str, Any], specs: Mapping[str, NodeSpec]
) -> Mapping[str, Any]:
    """``extra_pnginfo`` with an editor's file, laid out, unless there is one. Never raises: a picture comes first."""
    if info.get("workflow"):
        return info
    try:
        return {**info, "workflow": write_editor(read_api(graph), specs)}
    except WorkflowError:
        return info  # a link that leads nowhere, in a part that does not run: the file has no place for it
    except Exception:
        log.exception("the pictures of this job get no laid-out workflow")
        return info
