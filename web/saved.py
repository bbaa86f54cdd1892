"""Saved workflows as things to call: named inputs, with a JSON Schema of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.files import userfiles
from engine.files.contain import OutsideError, contain
from engine.graph.node import NodeSpec
from engine.graph.problems import Problem, Suggestions, WorkflowError, said, shown
from engine.graph.schema import LINK_SCHEMA, Lister, json_schema
from engine.graph.workflow import Workflow, is_editor_form, read_api, read_json
from web.named import Target, named_inputs

MAX_FILE = 32 * 2**20
MAX_SAVED = 2_000


@dataclass(frozen=True)
class Saved:
    """A saved workflow, read: its file as it is, the graph in it and its named inputs."""

    name: str
    file: Any
    workflow: Workflow
    inputs: Mapping[str, Target]


def names(folders: tuple[Path, ...]) -> list[str]:
    """The names of the workflows in folders, without ``.json``; sub-folders are part of a name."""
    found: set[str] = set()
    for folder in folders:
        if folder.is_dir():
            paths = userfiles.walk(folder, recurse=True)[:MAX_SAVED]
            found.update(path.relative_to(folder).as_posix()[:-5] for path in paths
                         if path.suffix == ".json" and not path.name.startswith("."))
    return sorted(found)


def find(folders: tuple[Path, ...], name: str) -> Path | None:
    """The file of a workflow in the first folder that has one; None if there is none, or the name leads outside."""
    for folder in folders:
        try:
            path = contain(folder, f"{name}.json")
        except OutsideError:
            return None
        if path.is_file():
            return path
    return None


def read(path: Path, name: str, specs: Mapping[str, NodeSpec]) -> Saved:
    """Read a saved workflow. Raises WorkflowError with what is wrong in it, and OSError."""
    if path.stat().st_size > MAX_FILE:
        raise WorkflowError([Problem("invalid_workflow", f"the workflow {name} has more than {MAX_FILE} bytes")])
    data = read_json(path.read_bytes(), f"the workflow {name}")
    return read_data(data, name, specs)


def read_data(data: Any, name: str, specs: Mapping[str, NodeSpec]) -> Saved:
    """Read a workflow of either form from parsed JSON. Raises WorkflowError."""
    if not is_editor_form(data):
        workflow = read_api(data)
        return Saved(name, data, workflow, named_inputs(workflow))
    from engine.graph.editor_format.read import read_editor

    workflow = read_editor(data, specs).workflow
    return Saved(name, data, workflow, named_inputs(workflow, data))


def schema(saved: Saved, specs: Mapping[str, NodeSpec], lister: Lister) -> dict[str, Any]:
    """JSON Schema of what the workflow takes when it is called; none is required, for each has its saved value."""
    properties: dict[str, Any] = {}
    for name, (node, wanted) in saved.inputs.items():
        written = saved.workflow.nodes[node]
        spec = specs.get(written.class_type)
        entry = json_schema(spec, lister)["properties"].get(wanted, {}) if spec is not None else {}
        forms = [each for each in entry.get("anyOf", ()) if each != LINK_SCHEMA]
        more = {key: value for key, value in entry.items() if key not in ("anyOf", "default")}
        properties[name] = {**(forms[0] if forms else {}), **more, "default": written.inputs[wanted]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": saved.name, "type": "object",
        "properties": properties, "additionalProperties": False,
    }


def changes(saved: Saved, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs to set, as ``node.input``; such a place may be given too. Raises WorkflowError for unknown names."""
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    suggest = Suggestions()
    for name, value in given.items():
        node, _, wanted = name.rpartition(".")
        if name in saved.inputs:
            found[".".join(saved.inputs[name])] = value
        elif node in saved.workflow.nodes and wanted in saved.workflow.nodes[node].inputs:
            found[name] = value
        else:
            near = suggest.name(name, saved.inputs)
            hint = said(near) or f"; it has {', '.join(saved.inputs) or 'none'}"
            message = f"the workflow {saved.name} has no input {shown(name)!r}{hint}"
            problems.append(Problem("unknown_input", message, input=shown(name), extra={
                "allowed": list(saved.inputs), "received_value": name, "nearest": near}))
    if problems:
        raise WorkflowError(problems)
    return found
