"""What a worker gets to put into the pictures of a job: its graph and the editor's file, or a text of parameters.

A graph that came without an editor's file is laid out by the worker, when a picture is to be written.
"""

from __future__ import annotations

import logging
from typing import Literal

import msgspec

from engine.graph.workflow import read_api
from engine.jobs.job import Job
from web.parameters import write_parameters

log = logging.getLogger(__name__)

Metadata = Literal["none", "parameters", "full"]


class Recipes:
    """Gives the prompt and the extra data that a job's worker gets."""

    def __init__(self, mode: Metadata) -> None:
        self._mode = mode

    def __call__(self, job: Job) -> tuple[bytes, bytes]:
        """The prompt (empty: it is not saved) and the extra data, both JSON. Never raises: a picture comes first."""
        if self._mode != "parameters" or not job.metadata:
            return job.prompt, job.extra
        try:
            text = write_parameters(read_api(msgspec.json.decode(job.prompt)))
        except Exception:
            log.exception("job %s: its pictures get no text of parameters", job.id)
            return job.prompt, job.extra
        return b"", msgspec.json.encode({"extra_pnginfo": {"parameters": text} if text else {}})
