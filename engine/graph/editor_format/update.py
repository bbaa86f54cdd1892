"""Values of a workflow written back into the editor file that it came from; everything else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.graph.editor_format.document import Document, Json
from engine.graph.editor_format.group_nodes import PREFIXES
from engine.graph.editor_format.read import Trace, trace_document
from engine.graph.editor_format.scopes import Place
from engine.graph.editor_format.shapes import ROOT, read_id
from engine.graph.editor_format.values import form, padded
from engine.graph.node import NodeSpec
from engine.graph.problems import Problem, WorkflowError, nearest, shown
from engine.graph.workflow import Link, Workflow

MAX_HINTS = 10  # looking for the nearest name takes long

Edits = dict[tuple[str, str], dict[int | str, Any]]
Titles = dict[tuple[str, str], str]


def apply_to_document(document: Document, workflow: Workflow, specs: Mapping[str, NodeSpec]) -> Document:
    """Write the values (and titles) of a workflow into the file that it was read from.

    Positions, groups, notes, subgraphs and unknown keys stay. Raises WorkflowError that names everything that cannot
    be written so: nodes and links that differ, and two values where the file has one place for both.
    """
    trace = trace_document(document, specs)
    problems = _compare_nodes(trace.converted.workflow, workflow)
    if problems:
        raise WorkflowError(problems)
    edits, titles = _plan(trace, workflow, problems)
    if problems:
        raise WorkflowError(problems)
    return _Rewriter(edits, titles, specs).document(document)


# -- what to write -----------------------------------------------------------------------------------------------


def _compare_nodes(old: Workflow, new: Workflow) -> list[Problem]:
    def differs(message: str, node_id: str) -> Problem:
        return Problem("workflow_differs", message, node_id)

    problems = [differs("the file has this node, the workflow has not; delete it in the editor", node_id)
                for node_id in old.nodes if node_id not in new.nodes]
    for node_id, node in new.nodes.items():
        before = old.nodes.get(node_id)
        if before is None:
            hint = nearest(node_id, old.nodes) if len(problems) < MAX_HINTS else ""
            problems.append(differs(f"the file has no such node{hint}; add it in the editor", node_id))
        elif before.class_type != node.class_type:
            problems.append(differs(f"it is a {node.class_type} here and a {before.class_type} in the file", node_id))
    return problems


def _plan(trace: Trace, workflow: Workflow, problems: list[Problem]) -> tuple[Edits, Titles]:
    """What to write where; each place is asked for by every input that reads it, and they must agree."""
    old = trace.converted.workflow
    wanted: dict[Place, tuple[Any, str, str]] = {}
    changed: set[Place] = set()
    titles: Titles = {}
    named: dict[tuple[str, str], str] = {}
    for node_id, node in workflow.nodes.items():
        before = old.nodes[node_id].inputs
        for name in dict.fromkeys([*before, *node.inputs]):
            value, former = node.inputs.get(name), before.get(name)
            place = trace.places.get((node_id, name))
            same = equal(value, former)
            if not same and (isinstance(value, Link) or isinstance(former, Link) or place is None):
                problems.append(_unwritable(node_id, name, former, value, node.class_type))
            if place is None or isinstance(value, Link):
                continue
            other = wanted.setdefault(place, (value, node_id, name))
            if not equal(other[0], value):
                problems.append(Problem(
                    "workflow_differs", f"the file keeps one value for this and for {other[2]!r} of node {other[1]}, "
                    f"which should be {shown(other[0])}; found {shown(value)}", node_id, name, node.class_type))
            if not same:
                changed.add(place)
        title, former_title = node.meta.get("title"), old.nodes[node_id].meta.get("title")
        home = trace.homes[node_id]
        if isinstance(title, str) and title:
            if named.setdefault(home, title) != title:
                problems.append(Problem("workflow_differs", f"the file keeps one title for this node and its twin in "
                                        f"another copy of the subgraph, {named[home]!r}", node_id))
            if title != former_title:
                titles[home] = title
    edits: Edits = {}
    for place in changed:
        edits.setdefault((place.graph, place.node), {})[place.key] = wanted[place][0]
    return edits, titles


def equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; 1 is 1.0, but neither is true."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _unwritable(node_id: str, name: str, former: Any, value: Any, class_type: str) -> Problem:
    if isinstance(value, Link) or isinstance(former, Link):
        message = f"the link differs from the file's ({_said(former)} there, {_said(value)} here); " \
                  f"change links in the editor"
    else:
        message = f"the file has no place for the value {shown(value)}"
    return Problem("workflow_differs", message, node_id, name, class_type)


def _said(value: Any) -> str:
    return f"node {value.node} output {value.slot}" if isinstance(value, Link) else shown(value)


# -- writing it --------------------------------------------------------------------------------------------------


class _Rewriter:
    """Copies what changes, shares the rest."""

    def __init__(self, edits: Edits, titles: Titles, specs: Mapping[str, NodeSpec]) -> None:
        self.edits = edits
        self.titles = titles
        self.specs = specs

    def document(self, document: Document) -> Document:
        """The document with all edits."""
        rest = dict(document.rest)
        if "definitions" in rest:
            rest["definitions"] = self._definitions(rest["definitions"])
        nodes = tuple(self._nodes(ROOT, document.nodes))
        return msgspec.structs.replace(document, nodes=nodes, extra=self._extra(document.extra), rest=rest)

    def _nodes(self, graph: str, nodes: Sequence[Json], *, numbered: bool = False) -> list[Json]:
        ids = (str(index) if numbered else read_id(node.get("id")) or "" for index, node in enumerate(nodes))
        return [self._node((graph, node_id), node) for node_id, node in zip(ids, nodes, strict=True)]

    def _node(self, home: tuple[str, str], node: Json) -> Json:
        edits, title = self.edits.get(home), self.titles.get(home)
        if edits is None and title is None:
            return node
        changed = dict(node)
        if title is not None:
            changed["title"] = title
        if edits is not None:
            changed["widgets_values"] = self._values(node, edits)
        return changed

    def _values(self, node: Json, edits: Mapping[int | str, Any]) -> Any:
        values = node.get("widgets_values")
        if isinstance(values, Mapping):
            return {**values, **{str(key): value for key, value in edits.items()}}
        places = {key: value for key, value in edits.items() if isinstance(key, int)}
        length = max([len(values or ()), *(key + 1 for key in places)])
        spec = self.specs.get(str(node.get("type")))
        written = padded(values or (), form(spec) if spec else (), length)
        for key, value in places.items():
            written[key] = value
        return written

    def _definitions(self, definitions: Any) -> Any:
        """Nested definitions are as deep as the file, which ``load_document`` has bounded."""
        if isinstance(definitions, Mapping):
            subgraphs = definitions.get("subgraphs")
            return {**definitions, "subgraphs": self._definitions(subgraphs)} if subgraphs else definitions
        if not isinstance(definitions, list):
            return definitions
        changed = []
        for each in definitions:
            copy = {**each, "nodes": self._nodes(each["id"], each["nodes"])}
            if "definitions" in copy:
                copy["definitions"] = self._definitions(copy["definitions"])
            changed.append(copy)
        return changed

    def _extra(self, extra: Json | None) -> Json | None:
        groups = (extra or {}).get("groupNodes")
        if extra is None or not isinstance(groups, Mapping):
            return extra
        changed = {
            name: {**data, "nodes": self._nodes(f"{PREFIXES[0]}{name}", data["nodes"], numbered=True)}
            for name, data in groups.items()
        }
        return {**extra, "groupNodes": changed}
