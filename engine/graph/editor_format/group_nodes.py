"""Legacy group nodes made to look like subgraphs.

A group node's type is ``workflow/Name`` (or ``workflow>Name``), its definition ``extra.groupNodes[Name]`` holds nodes
without ids (they are numbered) and links ``[from, slot, to, slot, outer id, type]``. Its inputs are the inner inputs
that nothing inside feeds, its values those of all inner forms, one after the other, and its outputs those that
nothing inside uses. Names that occur twice get the inner node's title in front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.graph.editor_format.document import Json, malformed
from engine.graph.editor_format.shapes import (
    INPUT_NODE,
    OUTPUT_NODE,
    EditorGraph,
    EditorNode,
    GraphLink,
    InputSlot,
    Port,
    Promotion,
    read_id,
    read_kind,
    read_node,
    read_slot,
)
from engine.graph.editor_format.values import form, ordered_inputs
from engine.graph.node import NodeSpec
from engine.graph.problems import Problem, WorkflowError, shown
from engine.graph.workflow import MAX_NODES

PREFIXES = ("workflow/", "workflow>")


def group_name(kind: str) -> str | None:
    """The group's name if the type is a group node's, else None.

    >>> group_name("workflow/Hires"), group_name("KSampler")
    ('Hires', None)
    """
    return next((kind[len(prefix):] for prefix in PREFIXES if kind.startswith(prefix)), None)


def read_groups(extra: Json | None, specs: Mapping[str, NodeSpec]) -> dict[str, EditorGraph]:
    """Read the definitions by name. Raises WorkflowError with everything that is out of shape."""
    groups = (extra or {}).get("groupNodes")
    if groups is None:
        return {}
    if not isinstance(groups, Mapping):
        raise WorkflowError([malformed(f"extra.groupNodes is an object of definitions by name; found {shown(groups)}")])
    problems: list[Problem] = []
    graphs: dict[str, EditorGraph] = {}
    for name, data in groups.items():
        found: list[Problem] = []
        graph = _read_group(name, data, specs, found)
        problems += [malformed(f"group node {shown(name)}: {each.message}", each.node) for each in found]
        if graph is not None:
            graphs[name] = graph
    if problems:
        raise WorkflowError(problems)
    return graphs


def _read_group(
    name: str, data: Any, specs: Mapping[str, NodeSpec], problems: list[Problem]
) -> EditorGraph | None:
    entries = data.get("nodes") if isinstance(data, Mapping) else None
    if not isinstance(entries, list) or len(entries) > MAX_NODES:
        problems.append(malformed(f"a definition is an object with a list of nodes; found {shown(data)}"))
        return None
    nodes: list[EditorNode] = []
    for index, entry in enumerate(entries):
        node = read_node(str(index), entry, problems) if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping):
            problems.append(malformed(f"nodes[{index}] is an object; found {shown(entry)}"))
        if node is not None:
            cleared = tuple(msgspec.structs.replace(slot, link=None) for slot in node.inputs)
            nodes.append(msgspec.structs.replace(node, inputs=cleared))
    links = _read_links(data.get("links"), problems)
    external = _read_external(data.get("external"))
    if problems:
        return None
    return _Builder(nodes, specs, data.get("config")).build(f"workflow/{name}", links, external)


def _read_links(value: Any, problems: list[Problem]) -> list[GraphLink]:
    """The links inside; those from or to the outside have null for a node."""
    if value is None:
        return []
    if not isinstance(value, list):
        problems.append(malformed(f"links is a list; found {shown(value)}"))
        return []
    links: list[GraphLink] = []
    for index, each in enumerate(value):
        if not isinstance(each, list) or len(each) < 4:
            problems.append(malformed(f"links[{index}] is [from, slot, to, slot, …]; found {shown(each)}"))
            continue
        origin, target = read_id(each[0]), read_id(each[2])
        slots = read_slot(each[1]), read_slot(each[3])
        if origin is None or target is None:
            continue
        if slots[0] is None or slots[1] is None:
            problems.append(malformed(f"links[{index}] needs slot numbers; found {shown(each)}"))
            continue
        links.append(GraphLink(origin, slots[0], target, slots[1], read_kind(each[5] if len(each) > 5 else "*")))
    return links


def _read_external(value: Any) -> set[tuple[str, int]]:
    """Outputs that are used outside although something inside uses them too."""
    found = set()
    for each in value if isinstance(value, list) else ():
        if isinstance(each, list) and len(each) >= 2:
            node, slot = read_id(each[0]), read_slot(each[1])
            if node is not None and slot is not None:
                found.add((node, slot))
    return found


def _list_their_forms(nodes: list[EditorNode], specs: Mapping[str, NodeSpec]) -> bool:
    """Whether the group was saved by a front-end that lists every form field among the inputs, converted or not.

    Older ones list converted fields only, and nobody converts every field of every node.
    """
    listed = False
    for node in nodes:
        spec = specs.get(node.type)
        fields = {item.target for item in form(spec) if item.role == "widget"} if spec else set()
        if not fields <= {slot.name for slot in node.inputs if slot.widget is not None}:
            return False
        listed = listed or bool(fields)
    return listed


class _Builder:
    """Collects what a group node shows: ports and promoted values, in its order."""

    def __init__(self, nodes: list[EditorNode], specs: Mapping[str, NodeSpec], config: Any) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.slots = {node.id: {slot.name: slot for slot in node.inputs} for node in nodes}
        self.specs = specs
        self.lists_forms = _list_their_forms(nodes, specs)
        self.config = config if isinstance(config, Mapping) else {}
        self.links: dict[str, GraphLink] = {}
        self.feeds: dict[str, str] = {}  # the type of the first link from each node
        self.ports: list[Port] = []
        self.promotions: list[Promotion] = []
        self.seen: dict[str, int] = {}

    def build(self, key: str, links: list[GraphLink], external: set[tuple[str, int]]) -> EditorGraph:
        """Make the graph."""
        used: set[tuple[str, int]] = set()
        for index, link in enumerate(links):
            if link.target not in self.nodes or link.origin not in self.nodes:
                continue
            self._connect(link.target, self._slot_name(self.nodes[link.target], link), f"inner{index}", link)
            self.feeds.setdefault(link.origin, link.kind)
            used.add((link.origin, link.origin_slot))
        for node in self.nodes.values():
            self._show_node(node)
        hidden = used - external
        outputs = [
            self._show_output(node, slot)
            for node in self.nodes.values() for slot in range(self._output_count(node))
            if self._configured(node, "output", str(slot)).get("visible", (node.id, slot) not in hidden)
        ]
        nodes = {
            node_id: msgspec.structs.replace(node, inputs=tuple(self.slots[node_id].values()))
            for node_id, node in self.nodes.items()
        }
        return EditorGraph(key, nodes, self.links, tuple(self.ports), tuple(outputs), tuple(self.promotions))

    def _connect(self, node_id: str, name: str | None, link_id: str, link: GraphLink) -> None:
        if name is None:
            return
        self.links[link_id] = link
        slot = self.slots[node_id].get(name) or InputSlot(name, link.kind)
        self.slots[node_id][name] = msgspec.structs.replace(slot, link=link_id)

    def _slot_name(self, node: EditorNode, link: GraphLink) -> str | None:
        if link.target_slot < len(node.inputs):
            return node.inputs[link.target_slot].name
        names = self._sockets(node)
        return names[link.target_slot] if link.target_slot < len(names) else None

    def _sockets(self, node: EditorNode) -> list[str]:
        spec = self.specs.get(node.type)
        return [entry.name for entry in ordered_inputs(spec) if not entry.widget] if spec else []

    def _configured(self, node: EditorNode, part: str, name: str) -> Json:
        entry: Any = self.config
        for key in (node.id, part, name):
            entry = entry.get(key) if isinstance(entry, Mapping) else None
        return entry if isinstance(entry, Mapping) else {}

    def _public_name(self, node: EditorNode, name: str) -> str:
        """The input's name outside; the second of a name gets the node's title, the third a number too."""
        configured = self._configured(node, "input", name).get("name")
        slot = self.slots[node.id].get(name)
        label = slot.label if slot else None
        public = configured if isinstance(configured, str) and configured else label or name
        if public in self.seen or (node.type == "PrimitiveNode" and node.title):
            prefix = f"{node.title or node.type} "
            key = f"{prefix}{name}"
            public = f"{prefix}{self.seen[key]} {name}" if key in self.seen else key
            self.seen[key] = self.seen.get(key, 1) + 1
            return public
        self.seen[public] = self.seen.get(public, 1) + 1
        return public

    def _show_node(self, node: EditorNode) -> None:
        spec = self.specs.get(node.type)
        if node.type == "PrimitiveNode" and spec is None:
            self._show_primitive(node)
            return
        slots = self.slots[node.id]
        converted = {name for name, slot in slots.items() if slot.widget is not None and not self.lists_forms}
        promoted: set[str] = set()
        if spec is not None:
            promoted = self._show_form(node, spec, converted)
        elif isinstance(node.values, list):
            # Of an unknown type only the number of its values is known; they keep the places of those after it.
            self.promotions += [Promotion("hidden") for _ in node.values]
        names = [name for name in self._sockets(node) if name not in slots]
        names += [name for name in slots if name not in promoted]
        for name in sorted(names, key=lambda name: name in converted):
            slot = slots.get(name)
            if slot is None or slot.link is None:
                entry = spec.input(name) if spec else None
                self._add_port(node, name, entry.kind if entry else slot.kind if slot else "*")

    def _show_form(self, node: EditorNode, spec: NodeSpec, converted: set[str]) -> set[str]:
        """Promote the form's values. A converted one (an input of its own in old files) is none of them."""
        promoted: set[str] = set()
        skip = False
        for item in form(spec):
            if item.role == "widget":
                slot = self.slots[node.id].get(item.target)
                skip = item.target in converted or (slot is not None and slot.link is not None)
                if not skip:
                    name = self._add_port(node, item.target, item.kind, widget=True)
                    promoted.add(item.target)
                    self.promotions.append(Promotion("widget", item.kind, name, node.id, item.target))
            elif not (item.role == "control" and skip):
                self.promotions.append(Promotion(item.role))
        return promoted

    def _show_primitive(self, node: EditorNode) -> None:
        if node.id not in self.feeds:
            return
        name = self._public_name(node, "value")
        self.promotions.append(Promotion("widget", self.feeds[node.id], name, node.id, "value"))
        if isinstance(node.values, list) and len(node.values) > 1:
            self.promotions.append(Promotion("control"))

    def _add_port(self, node: EditorNode, name: str, kind: str, *, widget: bool = False) -> str:
        public = self._public_name(node, name)
        link_id = f"input{len(self.ports)}"
        self._connect(node.id, name, link_id, GraphLink(INPUT_NODE, len(self.ports), node.id, 0, kind))
        self.ports.append(Port(public, kind, (link_id,)))
        if widget:
            slots = self.slots[node.id]
            slots[name] = msgspec.structs.replace(slots[name], widget=name)
        return public

    def _output_count(self, node: EditorNode) -> int:
        spec = self.specs.get(node.type)
        return max(len(node.outputs), len(spec.outputs) if spec else 0)

    def _show_output(self, node: EditorNode, slot: int) -> Port:
        spec = self.specs.get(node.type)
        link_id = f"output{len(self.links)}"
        kind = node.outputs[slot] if slot < len(node.outputs) else spec.outputs[slot].kind if spec else "*"
        self.links[link_id] = GraphLink(node.id, slot, OUTPUT_NODE, 0, kind)
        return Port(kind, kind, (link_id,))
