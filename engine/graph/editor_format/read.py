"""The editor's file → the API form.

>>> from engine.graph.node import InputSpec
>>> file = {"nodes": [{"id": 3, "type": "Noise", "widgets_values": [7, "randomize"]}], "links": [], "version": 0.4}
>>> seed = InputSpec("seed", "INT", options={"control_after_generate": True})
>>> read_editor(file, {"Noise": NodeSpec("Noise", "Noise", inputs=(seed,))}).workflow.nodes["3"].inputs
{'seed': 7}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.graph.editor_format.document import Document, load_document, malformed
from engine.graph.editor_format.scopes import Place, Scope, Unfolded, Value, follow, running_nodes, unfold
from engine.graph.editor_format.shapes import ASIDE, EditorNode, InputSlot
from engine.graph.editor_format.values import exact, read_values
from engine.graph.node import WIDGET_KINDS, NodeSpec
from engine.graph.problems import Problem, WorkflowError
from engine.graph.workflow import Link, Workflow, WorkflowNode


class Converted(msgspec.Struct, frozen=True):
    """A workflow read from an editor file.

    missing: node types that are unknown here → the ids of their nodes.
    notes: what had to be assumed or left out, each with its place.
    """

    workflow: Workflow
    missing: Mapping[str, tuple[str, ...]]
    notes: tuple[Problem, ...]


class Trace(msgspec.Struct, frozen=True):
    """A converted file and where in it everything stands.

    places: (node id, input) → the place of its value. homes: node id → its graph and its id in there.
    """

    converted: Converted
    places: Mapping[tuple[str, str], Place]
    homes: Mapping[str, tuple[str, str]]


def read_editor(data: Mapping[str, Any], specs: Mapping[str, NodeSpec]) -> Converted:
    """Convert an editor file (parsed JSON, version 0.4 or 1).

    Raises WorkflowError with everything that is out of shape. Nodes of unknown type are converted as far as the
    file itself tells and named in ``missing``.
    """
    return trace_document(load_document(data), specs).converted


def trace_document(document: Document, specs: Mapping[str, NodeSpec]) -> Trace:
    """Convert a loaded file and keep where each value came from. Raises WorkflowError."""
    unfolded = unfold(document, specs)
    nodes: dict[str, WorkflowNode] = {}
    places: dict[tuple[str, str], Place] = {}
    homes: dict[str, tuple[str, str]] = {}
    missing: dict[str, list[str]] = {}
    notes: list[Problem] = []
    for scope, node in running_nodes(unfolded):
        node_id = f"{scope.prefix}{node.id}"
        if node_id in nodes:
            raise WorkflowError([malformed(f"two nodes have the id {node_id!r}", node_id)])
        values, remarks = _values_of(scope, node, specs.get(node.type))
        if node.type not in specs:
            missing.setdefault(node.type, []).append(node_id)
        inputs = _inputs_of(unfolded, scope, node, values)
        notes += [
            Problem("editor_value", remark, node_id, name or None, node.type) for name, remark in remarks.items()
            if _place(inputs.get(name)) == _place(values.get(name))  # else something stands for the missing value
        ]
        places.update({(node_id, name): value.place for name, value in inputs.items() if isinstance(value, Value)})
        homes[node_id] = (scope.graph.key, node.id)
        nulls = node.type not in specs and isinstance(node.values, Mapping)
        nodes[node_id] = WorkflowNode(node.type, {**_aside(node, "inputs"), **_plain(inputs, nulls)}, _meta(node))
    if unfolded.loops:
        raise WorkflowError(unfolded.loops)
    named = {kind: tuple(ids) for kind, ids in missing.items()}
    return Trace(Converted(Workflow(nodes), named, tuple(notes)), places, homes)


def _values_of(
    scope: Scope, node: EditorNode, spec: NodeSpec | None
) -> tuple[dict[str, Value], Mapping[str, str]]:
    """What is typed into the node, with what an enclosing subgraph's instance says instead."""
    reading = read_values(node, spec)
    values = {cell.name: Value(cell.value, scope.place(node, cell.key)) for cell in reading.cells}
    for name, value in scope.overrides.get(node.id, {}).items():
        if name in values or _is_field(node, spec, name):
            values[name] = value
    return values, reading.remarks


def _place(found: Value | Link | None) -> Place | Link | None:
    return found.place if isinstance(found, Value) else found


def _is_field(node: EditorNode, spec: NodeSpec | None, name: str) -> bool:
    if spec is not None:
        entry = spec.input(name)
        return entry is not None and entry.widget
    return any(slot.widget == name for slot in node.inputs)


def _inputs_of(
    unfolded: Unfolded, scope: Scope, node: EditorNode, values: dict[str, Value]
) -> dict[str, Value | Link]:
    """Values with links over them. A link that leads nowhere leaves the value as it is."""
    inputs: dict[str, Value | Link] = dict(values)
    spec = unfolded.specs.get(node.type)
    for slot in node.inputs:
        if slot.link is None:
            continue
        answer = follow(unfolded, scope, slot.link, slot.kind)
        if isinstance(answer, Link):
            inputs[slot.name] = answer
        elif isinstance(answer, Value) and _takes_values(slot, spec):
            inputs[slot.widget or slot.name] = answer
    whole = {entry.name for entry in spec.inputs if entry.kind == "INT"} if spec else ()
    for name in whole:
        each = inputs.get(name)
        if isinstance(each, Value):
            inputs[name] = msgspec.structs.replace(each, value=exact("INT", each.value))
    return inputs


def _takes_values(slot: InputSlot, spec: NodeSpec | None) -> bool:
    """Whether a primitive's value may stand for the link: not in front of a MODEL."""
    entry = spec.input(slot.widget or slot.name) if spec else None
    return entry is None or entry.widget or not WIDGET_KINDS.isdisjoint(entry.kind.split(",")) or entry.kind == "*"


def _plain(inputs: Mapping[str, Value | Link], nulls: bool) -> dict[str, Any]:
    """The inputs without their places; null in a form stands for no value, but is kept where nothing is known."""
    found = {name: each.value if isinstance(each, Value) else each for name, each in inputs.items()}
    return {name: value for name, value in found.items() if nulls or value is not None}


def _meta(node: EditorNode) -> dict[str, Any]:
    return {**_aside(node, "meta"), **({"title": node.title} if node.title else {})}


def _aside(node: EditorNode, part: str) -> Mapping[str, Any]:
    """What ``write_editor`` put aside, because the format has no place for it."""
    aside = node.properties.get(ASIDE)
    found = aside.get(part) if isinstance(aside, Mapping) else None
    return found if isinstance(found, Mapping) else {}
