"""A workflow without a server: the worker's own code, in this process, with a listener instead of a socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from engine.graph.editor_format.read import read_editor
from engine.graph.graph import resolve
from engine.graph.node import NodeSpec
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Workflow, is_editor_form, read_api, set_inputs, write_api
from engine.messages.events import Event, Failed, Interrupted, Succeeded
from engine.runtime.execute import execute
from engine.runtime.record import with_plans
from engine.runtime.settings import Settings
from engine.runtime.tasks import CancelToken, Job
from engine.runtime.worker import Engine
from engine.runtime.workflow_file import read_file


@dataclass(frozen=True, slots=True)
class Opened:
    """A workflow file: what runs, and the editor's file if it was one (it goes into the pictures)."""

    workflow: Workflow
    editor: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()


def open_workflow(data: Mapping[str, Any], specs: Mapping[str, NodeSpec]) -> Opened:
    """Read a workflow in either form, as ``read_file`` gives it. Raises WorkflowError."""
    if is_editor_form(data):
        converted = read_editor(data, specs)
        return Opened(converted.workflow, data, tuple(map(str, converted.notes)))
    return Opened(read_api(data), None)


def run_file(
    path: Path, settings: Settings, tell: Callable[[Event], None], *, contents: Any = None,
    changes: Mapping[str, str] | None = None, cancel: CancelToken | None = None, metadata: bool = True,
    wait_for_digests: bool = False,
) -> Succeeded | Failed | Interrupted:
    """Run a workflow file, all or nothing. Raises WorkflowError, or OSError if there is no such file.

    contents: what ``read_file`` gave of it, where it was read before. changes: ``node.input`` → text.
    wait_for_digests: the ending's record has the digests of all weights, however long reading them takes.
    """
    data = read_file(path) if contents is None else contents
    engine = Engine(settings)
    try:
        specs = engine.registry.specs
        opened = open_workflow(data, specs)
        workflow = set_inputs(opened.workflow, _typed(changes or {}, opened.workflow, specs))
        graph = resolve(workflow, specs, engine.folders, all_or_nothing=True).graph
        extra = {"workflow": opened.editor} if opened.editor is not None else {}
        job = Job(
            id=path.stem, graph=graph, prompt=write_api(workflow) if metadata else None,
            extra=extra if metadata else None, cancel=cancel or CancelToken(),
            run=lambda: engine.recorder.record(graph),
        )
        ending = execute(job, engine.machine, tell)
        return replace(ending, run=with_plans(engine.recorder.record(graph, wait=wait_for_digests), ending.reports))
    finally:
        engine.close()


def _typed(changes: Mapping[str, str], workflow: Workflow, specs: Mapping[str, NodeSpec]) -> dict[str, Any]:
    """Values as the inputs want them: text stays text, anything else is read as JSON where it is JSON."""
    typed: dict[str, Any] = {}
    for key, text in changes.items():
        node_id, _, name = key.rpartition(".")
        node = workflow.nodes.get(node_id)
        entry = specs[node.class_type].input(name) if node and node.class_type in specs else None
        if entry is not None and (entry.kind == "STRING" or entry.choices is not None):
            typed[key] = text
            continue
        try:
            typed[key] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            typed[key] = text
    return typed


__all__ = ["Opened", "WorkflowError", "open_workflow", "run_file"]
