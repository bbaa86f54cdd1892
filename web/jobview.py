"""A job as ``/api/jobs`` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec

from engine.jobs.job import ENDED, Job, Record, State, shown_number
from engine.messages.events import Failed, Interrupted, NodeReport
from engine.messages.record import RunRecord
from web.board import NodeView
from web.errors import Fault
from web.state import Server

GRAPH = msgspec.Meta(extra_json_schema={"type": "object"})  # in the API form, as it is stored
FILE_KEYS = ("filename", "subfolder", "type")


class OutputView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something an output node made: a file with its address, or a text."""

    node: str
    kind: str  # images, latents, text, …
    filename: str | None = None
    subfolder: str | None = None
    type: str | None = None  # output or temp
    url: str | None = None
    text: str | None = None
    flagged: bool | None = None  # by the safety checker; None without a policy


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job. Times are seconds since the epoch; ``position`` is 1 for the job that runs next.

    ``peak_memory`` is the bytes it took at most, of the accelerator or of the worker on the CPU.

    ``nodes`` and ``run``, what the pictures depend on besides the graph, are left out of lists. ``progress`` goes from
    0 to 1.
    """

    id: str
    state: State
    number: float
    created: float
    started: float | None = None
    ended: float | None = None
    position: int | None = None
    progress: float = 0.0
    deaths: int = 0
    peak_memory: int | None = None
    client_id: str | None = None
    outputs: list[OutputView] = msgspec.field(default_factory=list)
    errors: list[Fault] = msgspec.field(default_factory=list)
    nodes: list[NodeView] | msgspec.UnsetType = msgspec.UNSET
    run: RunRecord | msgspec.UnsetType | None = msgspec.UNSET
    workflow: Annotated[msgspec.Raw, GRAPH] | msgspec.UnsetType = msgspec.UNSET


class JobList(msgspec.Struct, frozen=True):
    """A page of jobs: those that run, then those that wait in their order, then the ended ones, newest first.

    at_once: how many jobs a worker carries out at once; 0 while none is ready.
    """

    jobs: list[JobView]
    total: int
    offset: int
    limit: int
    paused: bool
    at_once: int


def view(server: Server, job: Job, *, position: int | None = None, whole: bool = True) -> JobView:
    """Show a job; ``whole`` with its nodes and its workflow."""
    record = server.dispatcher.record(job.id) if job.state in ENDED else None
    nodes: list[NodeView] = []
    progress = 1.0 if job.state == "succeeded" else 0.0
    if record is not None:
        nodes = [node_view(each) for each in record.ending.reports]
    elif (standing := server.board.running.get(job.id)) is not None:
        nodes = list(standing.nodes.values())
        if standing.total is None:
            standing.total = len(msgspec.json.decode(job.prompt, type=dict[str, msgspec.Raw]))
        progress = standing.progress(standing.total)
    return JobView(
        id=job.id, state=job.state, number=shown_number(job.number), created=job.created, started=job.started,
        ended=job.ended, position=position, progress=progress, deaths=job.deaths, client_id=job.client_id,
        peak_memory=record.ending.peak_memory if record is not None else None,
        outputs=outputs(record.ending.outputs) if record is not None else [], errors=faults(job, record),
        nodes=nodes if whole else msgspec.UNSET,
        run=(record.ending.run if record is not None else None) if whole else msgspec.UNSET,
        workflow=msgspec.Raw(job.prompt) if whole else msgspec.UNSET,
    )


def node_view(report: NodeReport) -> NodeView:
    """What became of a node, from the job's record."""
    return NodeView(
        report.node, report.display, report.state, report.class_type, report.why, report.seconds, cause=report.cause,
        inputs=report.inputs, memory=report.memory,
    )


def outputs(shown: Mapping[str, Mapping[str, Any]]) -> list[OutputView]:
    """What the output nodes show, one entry for each file or text."""
    found: list[OutputView] = []
    for node, ui in shown.items():
        for kind, entries in ui.items():
            for each in entries if isinstance(entries, list | tuple) else (entries,):
                if isinstance(each, Mapping) and all(isinstance(each.get(key), str) for key in FILE_KEYS):
                    query = {key: each[key] for key in FILE_KEYS}
                    flagged = each.get("flagged") if isinstance(each.get("flagged"), bool) else None
                    found.append(OutputView(node, kind, **query, url=f"/view?{urlencode(query)}", flagged=flagged))
                elif isinstance(each, str):
                    found.append(OutputView(node, kind, text=each))
    return found


def faults(job: Job, record: Record | None) -> list[Fault]:
    """Why a job did not succeed."""
    match record.ending if record is not None else None:
        case Failed() as ending:
            return [Fault(ending.exception_type or "failed", ending.message, ending.node, ending.class_type or None,
                          traceback=tuple(ending.traceback))]
        case Interrupted() as ending:
            return [Fault("cancelled", "the job was stopped while it ran", ending.node, ending.class_type or None)]
    return [Fault("cancelled", "the job was cancelled before it ran")] if job.state == "cancelled" else []
