"""The API form → a new editor file of version 0.4, arranged in columns.

Values stand in the order of the form. A node of unknown type keeps them as an object by name, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.graph.editor_format.arrange import HEADER, ROW, TEXT_HEIGHT, WIDTH, columns, positions
from engine.graph.editor_format.shapes import ASIDE, MAX_SLOT
from engine.graph.editor_format.values import form, ordered_inputs, write_list
from engine.graph.node import InputSpec, NodeSpec
from engine.graph.problems import Problem, WorkflowError, nearest
from engine.graph.workflow import Link, Workflow, WorkflowNode

OPTIONAL = 7  # the hollow shape of an optional input's dot
EXACT_IN_BROWSERS = 2**53
MAX_HINTS = 10  # looking for the nearest name takes long


def write_editor(workflow: Workflow, specs: Mapping[str, NodeSpec], *, layout: bool = True) -> dict[str, Any]:
    """Write a workflow as an editor file. Without layout all nodes stand at the origin.

    Reading it back gives the same workflow; what the format has no place for stands in ``properties``.
    Raises WorkflowError that names each link to a node or slot that cannot be.
    """
    _check_links(workflow)
    writer = _Writer(workflow, specs)
    nodes = [writer.node(node_id, node) for node_id, node in workflow.nodes.items()]
    if layout:
        _arrange(workflow, nodes)
    return {
        "last_node_id": max((node["id"] for node in nodes if isinstance(node["id"], int)), default=0),
        "last_link_id": len(writer.links), "nodes": nodes, "links": writer.links, "groups": [], "config": {},
        "extra": {}, "version": 0.4,
    }


def write_id(node_id: str) -> int | str:
    """A node's id as files have it: a number if it reads back as the same text.

    >>> write_id("7"), write_id("07"), write_id("12:7")
    (7, '07', '12:7')
    """
    if node_id.isascii() and node_id.isdigit() and len(node_id) < 17 and str(int(node_id)) == node_id:
        return int(node_id) if int(node_id) < EXACT_IN_BROWSERS else node_id
    return node_id


def _check_links(workflow: Workflow) -> None:
    problems: list[Problem] = []
    for node_id, node in workflow.nodes.items():
        for name, value in node.inputs.items():
            if not isinstance(value, Link):
                continue
            if value.node not in workflow.nodes:
                hint = nearest(value.node, workflow.nodes) if len(problems) < MAX_HINTS else ""
                problems.append(Problem("bad_linked_input", f"it is linked to node {value.node!r}, which is not "
                                        f"there{hint}", node_id, name, node.class_type))
            elif not 0 <= value.slot <= MAX_SLOT:
                problems.append(Problem("bad_linked_input", f"it is linked to output {value.slot}; outputs are "
                                        f"numbered from 0", node_id, name, node.class_type))
    if problems:
        raise WorkflowError(problems)


class _Writer:
    """Numbers the links while nodes are written."""

    def __init__(self, workflow: Workflow, specs: Mapping[str, NodeSpec]) -> None:
        self.workflow = workflow
        self.specs = specs
        self.links: list[list[Any]] = []
        self.leaving: dict[tuple[str, int], list[int]] = {}
        self.arriving: dict[tuple[str, str], int] = {}
        self.kinds: dict[tuple[str, int], str] = {}
        self.used: dict[str, int] = {}  # how many outputs a node must have for its links
        self.order = _order(workflow)
        for node_id, node in workflow.nodes.items():
            self._link(node_id, node)

    def _link(self, node_id: str, node: WorkflowNode) -> None:
        for slot, (name, entry) in enumerate(self._slots(node)):
            value = node.inputs.get(name)
            if not isinstance(value, Link):
                continue
            link_id = len(self.links) + 1
            source = (value.node, value.slot)
            kind = self._made(*source) or (entry.kind if entry else None) or "*"
            self.kinds.setdefault(source, kind)
            self.used[value.node] = max(self.used.get(value.node, 0), value.slot + 1)
            self.links.append([link_id, write_id(value.node), value.slot, write_id(node_id), slot, kind])
            self.leaving.setdefault(source, []).append(link_id)
            self.arriving[node_id, name] = link_id

    def _slots(self, node: WorkflowNode) -> list[tuple[str, InputSpec | None]]:
        """The inputs as saved: those of the specification, then links that it does not know."""
        spec = self.specs.get(node.class_type)
        known: dict[str, InputSpec | None] = {entry.name: entry for entry in ordered_inputs(spec)} if spec else {}
        others = {name: None for name, value in node.inputs.items() if isinstance(value, Link) and name not in known}
        return [*known.items(), *others.items()]

    def _made(self, node_id: str, slot: int) -> str | None:
        spec = self.specs.get(self.workflow.nodes[node_id].class_type)
        return spec.outputs[slot].kind if spec and slot < len(spec.outputs) else None

    def node(self, node_id: str, node: WorkflowNode) -> dict[str, Any]:
        """Write one node."""
        spec = self.specs.get(node.class_type)
        outputs = self._outputs(node_id, spec)
        inputs = [self._input(node_id, name, entry) for name, entry in self._slots(node)]
        written: dict[str, Any] = {
            "id": write_id(node_id), "type": node.class_type, "pos": [0.0, 0.0],
            "size": [WIDTH, _height(spec, node, len(inputs), len(outputs))], "flags": {},
            "order": self.order[node_id], "mode": 0, "inputs": inputs, "outputs": outputs,
            "properties": {"Node name for S&R": node.class_type}, "widgets_values": _values(spec, node),
        }
        more = dict(node.meta)
        title = more.get("title")
        if isinstance(title, str) and title:
            written["title"] = more.pop("title")
        if aside := {**({"meta": more} if more else {}), **_beside_the_form(spec, node)}:
            written["properties"][ASIDE] = aside
        return written

    def _input(self, node_id: str, name: str, entry: InputSpec | None) -> dict[str, Any]:
        link_id = self.arriving.get((node_id, name))
        kind = entry.kind if entry else self.links[link_id - 1][5] if link_id else "*"
        written: dict[str, Any] = {"name": name, "type": kind, "link": link_id}
        if entry and entry.widget:
            written["widget"] = {"name": name}
        if entry and not entry.required:
            written["shape"] = OPTIONAL
        return written

    def _outputs(self, node_id: str, spec: NodeSpec | None) -> list[dict[str, Any]]:
        made = [(each.name, each.kind) for each in spec.outputs] if spec else []
        count = max(len(made), self.used.get(node_id, 0))
        made += [(kind, kind) for kind in (self.kinds.get((node_id, slot), "*") for slot in range(len(made), count))]
        return [
            {"name": name, "type": kind, "links": self.leaving.get((node_id, slot), []), "slot_index": slot}
            for slot, (name, kind) in enumerate(made)
        ]


def _beside_the_form(spec: NodeSpec | None, node: WorkflowNode) -> dict[str, Any]:
    """Values that the list cannot hold: those that a known node does not declare, and null, which means none."""
    if spec is None:
        return {}
    fields = {item.target for item in form(spec)}
    left = {name: value for name, value in node.inputs.items()
            if not isinstance(value, Link) and (value is None or name not in fields)}
    return {"inputs": left} if left else {}


def _values(spec: NodeSpec | None, node: WorkflowNode) -> list[Any] | dict[str, Any]:
    values = {name: value for name, value in node.inputs.items() if not isinstance(value, Link)}
    if spec is None:
        return values
    linked = frozenset(node.inputs.keys() - values.keys())
    return write_list(spec, values, linked)


def _sources(workflow: Workflow) -> dict[str, list[str]]:
    return {
        node_id: list(dict.fromkeys(value.node for value in node.inputs.values() if isinstance(value, Link)))
        for node_id, node in workflow.nodes.items()
    }


def _order(workflow: Workflow) -> dict[str, int]:
    column = columns(_sources(workflow))
    return {node_id: index for index, node_id in enumerate(sorted(column, key=lambda each: column[each]))}


def _height(spec: NodeSpec | None, node: WorkflowNode, inputs: int, outputs: int) -> float:
    fields = [entry for entry in spec.inputs if entry.widget] if spec else []
    texts = sum(bool(entry.options.get("multiline")) for entry in fields)
    rows = max(inputs - len(fields), outputs) + (len(form(spec)) if spec else len(node.inputs))
    return HEADER + rows * ROW + texts * TEXT_HEIGHT


def _arrange(workflow: Workflow, nodes: list[dict[str, Any]]) -> None:
    ids = list(workflow.nodes)
    heights = {node_id: node["size"][1] for node_id, node in zip(ids, nodes, strict=True)}
    placed = positions(columns(_sources(workflow)), heights)
    for node_id, node in zip(ids, nodes, strict=True):
        node["pos"] = placed[node_id]
