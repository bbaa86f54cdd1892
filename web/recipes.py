"""What goes into the pictures of a job: its graph, an editor's file to open it with, or a text of parameters.

It is made when the job goes to its worker, not when it is posted: so posting costs nothing more, and the history does
not hold files that nobody wrote. Large graphs are laid out when they are posted, beside the event loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from engine.graph.node import NodeSpec
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Workflow, read_api
from engine.jobs.job import Job
from web.parameters import write_parameters

log = logging.getLogger(__name__)

Metadata = Literal["none", "parameters", "full"]


def with_layout(workflow: Workflow, extra: Mapping[str, Any], specs: Mapping[str, NodeSpec]) -> Mapping[str, Any]:
    """The extra data with an editor's file, laid out, unless there is one."""
    from engine.graph.editor_format.write import write_editor

    pnginfo = extra.get("extra_pnginfo")
    kept = pnginfo if isinstance(pnginfo, Mapping) else {}
    if kept.get("workflow"):
        return extra
    try:
        return {**extra, "extra_pnginfo": {**kept, "workflow": write_editor(workflow, specs)}}
    except WorkflowError:
        return extra  # a link that leads nowhere, in a part that does not run: the file has no place for it


class Recipes:
    """Gives the prompt and the extra data that a job's worker gets."""

    def __init__(self, mode: Metadata, specs: Callable[[], Mapping[str, NodeSpec] | None], largest: int) -> None:
        self._mode = mode
        self._specs = specs
        self._largest = largest  # bytes of a graph that is laid out here

    def __call__(self, job: Job) -> tuple[bytes, bytes]:
        """The prompt (empty: it is not saved) and the extra data, both JSON. Never raises: a picture comes first."""
        if self._mode == "none" or not job.metadata:
            return job.prompt, job.extra
        try:
            return self._parameters(job) if self._mode == "parameters" else (job.prompt, self._full(job))
        except Exception:
            log.exception("job %s: its pictures get no laid-out workflow", job.id)
            return job.prompt, job.extra

    def _full(self, job: Job) -> bytes:
        specs = self._specs()
        if specs is None or len(job.prompt) > self._largest:
            return job.extra
        extra = msgspec.json.decode(job.extra)
        pnginfo = extra.get("extra_pnginfo")
        if isinstance(pnginfo, dict) and pnginfo.get("workflow"):
            return job.extra
        return msgspec.json.encode(with_layout(read_api(msgspec.json.decode(job.prompt)), extra, specs))

    def _parameters(self, job: Job) -> tuple[bytes, bytes]:
        text = write_parameters(read_api(msgspec.json.decode(job.prompt)))
        return b"", msgspec.json.encode({"extra_pnginfo": {"parameters": text} if text else {}})
