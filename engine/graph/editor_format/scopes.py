"""Subgraph instances unfolded: a tree of scopes, and links followed across its borders to what they mean.

A scope is a graph in one of its places. Following a link ends at a node that will run (a ``Link``), at a value (a
primitive's, or one set on the outside of a subgraph), or at nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.graph.editor_format.document import Document, malformed
from engine.graph.editor_format.group_nodes import group_name, read_groups
from engine.graph.editor_format.shapes import (
    BYPASS,
    INPUT_NODE,
    MUTE,
    EditorGraph,
    EditorNode,
    InputSlot,
    Port,
    Promotion,
    read_definitions,
    read_id,
    read_root,
)
from engine.graph.editor_format.values import Item, read_list
from engine.graph.node import NodeSpec
from engine.graph.problems import Problem, WorkflowError, shown
from engine.graph.types import overlap
from engine.graph.workflow import MAX_DEPTH, MAX_NAME, MAX_NODES, Link

MAX_WORK = 1_000_000  # parts that a file may unfold to, and steps that its links may take: bounds time and memory

# What the editor handles by itself, unless a node here has the name: how a link from such a node is followed.
VIRTUAL: Mapping[str, str] = {
    "PrimitiveNode": "value", "Reroute": "follow", "Reroute (rgthree)": "follow", "SetNode": "follow",
    "GetNode": "get", "Note": "nothing", "MarkdownNote": "nothing", "Label (rgthree)": "nothing",
    "Bookmark (rgthree)": "nothing", "Fast Groups Muter (rgthree)": "nothing",
    "Fast Groups Bypasser (rgthree)": "nothing", "Fast Muter (rgthree)": "nothing",
    "Fast Bypasser (rgthree)": "nothing",
}


class Place(msgspec.Struct, frozen=True):
    """Where a value stands: in which graph, in which node's ``widgets_values``, and where in there."""

    graph: str
    node: str
    key: int | str


class Value(msgspec.Struct, frozen=True):
    """A value and where it stands."""

    value: Any
    place: Place


Answer = Link | Value | None


@dataclass(eq=False, slots=True)
class Scope:
    """A graph in one of its places; ``prefix`` is what its nodes' ids begin with outside.

    ports: values set on the instance, by port name. overrides: the same for fields of inner nodes, by their id.
    slots: the instance's inputs by name, and by field name where that is another.
    """

    prefix: str
    graph: EditorGraph
    parent: Scope | None = None
    instance: EditorNode | None = None
    ancestors: frozenset[str] = frozenset()
    children: dict[str, Scope] = field(default_factory=dict)
    ports: dict[str, Value] = field(default_factory=dict)
    overrides: dict[str, dict[str, Value]] = field(default_factory=dict)
    slots: dict[str, InputSlot] = field(default_factory=dict)
    setters: dict[str, EditorNode] | None = None

    def place(self, node: EditorNode, key: int | str) -> Place:
        """Where a value of one of its nodes stands."""
        return Place(self.graph.key, node.id, key)


@dataclass(eq=False, slots=True)
class Unfolded:
    """All scopes, outermost first, and the specifications that links are followed with."""

    scopes: list[Scope]
    specs: Mapping[str, NodeSpec]
    answers: dict[tuple[int, str, str], Answer] = field(default_factory=dict)
    loops: list[Problem] = field(default_factory=list)
    steps: int = 0


def is_skipped(node: EditorNode) -> bool:
    """Whether the node is muted or bypassed."""
    return node.mode in (MUTE, BYPASS)


def virtual(node: EditorNode, specs: Mapping[str, NodeSpec]) -> str | None:
    """How links from a node of the editor's own are followed; None for nodes that run."""
    return None if node.type in specs else VIRTUAL.get(node.type)


# -- unfolding ---------------------------------------------------------------------------------------------------


def unfold(document: Document, specs: Mapping[str, NodeSpec]) -> Unfolded:
    """Make the scopes of a file, iteratively.

    Raises WorkflowError for malformed parts, a definition that contains itself, and files that unfold to more nodes
    or levels than the limits.
    """
    definitions = read_definitions(document)
    groups = read_groups(document.extra, specs)
    scopes = [Scope("", read_root(document))]
    weights: dict[str, int] = {}
    nodes, work = 0, 0
    for scope in scopes:  # grows while it is read
        nodes += len(scope.graph.nodes) + 1
        if scope.parent is not None:
            weight = weights.get(scope.graph.key) or weights.setdefault(scope.graph.key, _weight(scope.graph))
            work += weight + len(scope.graph.nodes) * len(scope.prefix) // 64
        if nodes > MAX_NODES or work > MAX_WORK:
            raise WorkflowError([malformed(
                f"the file's subgraphs unfold to more than {MAX_NODES} nodes or {MAX_WORK} inputs and values"
            )])
        for node in scope.graph.nodes.values():
            graph = _definition_of(node, definitions, groups, specs)
            if graph is not None and not is_skipped(node):
                scopes.append(_enter(scope, node, graph))
    return Unfolded(scopes, specs)


def _weight(graph: EditorGraph) -> int:
    """How many parts a copy of the graph has."""
    parts = (len(node.inputs) + len(node.values or ()) + len(node.properties.get("proxyWidgets") or ())
             if isinstance(node.properties.get("proxyWidgets"), str | list | None) else 0
             for node in graph.nodes.values())
    return 1 + len(graph.inputs) + len(graph.exposed) + len(graph.promotions or ()) + sum(parts)


def _definition_of(
    node: EditorNode, definitions: Mapping[str, EditorGraph], groups: Mapping[str, EditorGraph],
    specs: Mapping[str, NodeSpec],
) -> EditorGraph | None:
    if node.type in definitions:
        return definitions[node.type]
    name = None if node.type in specs else group_name(node.type)
    return groups.get(name) if name is not None else None


def _enter(scope: Scope, node: EditorNode, graph: EditorGraph) -> Scope:
    place = f"{scope.prefix}{node.id}"
    ancestors = scope.ancestors | {graph.key}
    if graph.key in scope.ancestors:
        raise WorkflowError([malformed(f"the subgraph {shown(graph.key)} contains itself", place)])
    if len(ancestors) > MAX_DEPTH:
        raise WorkflowError([malformed(f"subgraphs are nested more than {MAX_DEPTH} levels deep", place)])
    if len(place) > MAX_NAME:
        raise WorkflowError([malformed(f"an unfolded id is longer than {MAX_NAME} characters", place[:80])])
    child = Scope(f"{place}:", graph, scope, node, ancestors)
    for slot in node.inputs:
        child.slots.setdefault(slot.name, slot)
    for slot in node.inputs:
        child.slots.setdefault(slot.widget or slot.name, slot)
    _promote(child, node, scope)
    _take_overrides(child, node, scope)
    scope.children[node.id] = child
    return child


def _promote(child: Scope, node: EditorNode, scope: Scope) -> None:
    """Read the values that stand on the instance: those of ports, and those of inner fields shown outside."""
    values = node.values
    if values is None:
        return
    if isinstance(values, Mapping):
        names = {port.name for port in child.graph.inputs}
        child.ports.update({name: Value(values[name], scope.place(node, name)) for name in values if name in names})
        return
    if child.graph.promotions is not None:
        _promote_group(child, child.graph.promotions, values, node, scope)
        return
    proxies = read_proxies(node)
    if proxies and (len(values) == len(proxies) or any(inner == "-1" for inner, _ in proxies)):
        targets = proxies
    else:
        targets = [("-1", port.name) for port in child.graph.inputs if _is_field(child, port)]
        targets += child.graph.exposed
    for index, ((inner, name), value) in enumerate(zip(targets, values, strict=False)):
        if value is None:
            continue  # the value stands inside
        found = Value(value, scope.place(node, index))
        if inner == "-1":
            child.ports[name] = found
        else:
            child.overrides.setdefault(inner, {})[name] = found


def read_proxies(node: EditorNode) -> list[tuple[str, str]]:
    """The inner fields that a subgraph instance shows: inner node's id (-1: its own input) and field name."""
    entries = node.properties.get("proxyWidgets")
    if isinstance(entries, str):
        try:
            entries = json.loads(entries)
        except (ValueError, RecursionError):
            return []
    pairs: list[tuple[str, str]] = []
    for each in entries if isinstance(entries, list) else ():
        inner = read_id(each[0]) if isinstance(each, list) and len(each) >= 2 else None
        pairs.append((inner or "", each[1] if inner is not None and isinstance(each[1], str) else ""))
    return pairs


def _promote_group(
    child: Scope, promotions: Sequence[Promotion], values: Sequence[Any], node: EditorNode, scope: Scope
) -> None:
    roles = {"hidden": "dummy"}
    items = [Item(roles.get(each.role, each.role), str(index), each.kind) for index, each in enumerate(promotions)]
    for cell in read_list(values, items).cells:
        if not cell.stored or cell.value is None:
            continue
        promotion = promotions[int(cell.name)]
        found = Value(cell.value, scope.place(node, cell.key))
        child.overrides.setdefault(promotion.node, {})[promotion.name] = found
        if promotion.port is not None:
            child.ports[promotion.port] = found


def _is_field(child: Scope, port: Port) -> bool:
    """Whether the port can be typed in on the instance: so it says itself, or what it feeds inside is a field."""
    slot = child.slots.get(port.name)
    return (slot is not None and slot.widget is not None) or not child.graph.field_links.isdisjoint(port.links)


def _take_overrides(child: Scope, node: EditorNode, scope: Scope) -> None:
    """Values set further out, on what this instance shows, win."""
    values = scope.overrides.get(node.id)
    if not values:
        return
    for port in child.graph.inputs:
        if port.name in values:
            child.ports[port.name] = values[port.name]
    for inner, name in read_proxies(node):
        if name in values and inner != "-1":
            child.overrides.setdefault(inner, {})[name] = values[name]


# -- following links ---------------------------------------------------------------------------------------------


class _Go(msgspec.Struct, frozen=True):
    scope: Scope
    link: str
    otherwise: Value | None = None


def follow(unfolded: Unfolded, scope: Scope, link_id: str, wanted: str) -> Answer:
    """Follow an input's link upstream to what it means for a consumer of the wanted type. Iterative, remembered."""
    trail: list[tuple[tuple[int, str, str], Value | None]] = []
    seen: set[tuple[int, str, str]] = set()
    answer: Answer = None
    while True:
        key = (id(scope), link_id, wanted)
        if key in unfolded.answers:
            answer = unfolded.answers[key]
            break
        if key in seen:
            unfolded.loops.append(malformed(
                f"links run in a circle through nodes that do nothing, in front of input type {shown(wanted)}",
                scope.prefix.rstrip(":") or None,
            ))
            break
        seen.add(key)
        unfolded.steps += 1
        if unfolded.steps > MAX_WORK:
            raise WorkflowError([malformed(f"following the file's links takes more than {MAX_WORK} steps")])
        step = _step(unfolded, scope, link_id, wanted)
        if not isinstance(step, _Go):
            trail.append((key, None))
            answer = step
            break
        trail.append((key, step.otherwise))
        scope, link_id = step.scope, step.link
    for key, otherwise in reversed(trail):
        answer = otherwise if answer is None else answer
        unfolded.answers[key] = answer
    return answer


def _step(unfolded: Unfolded, scope: Scope, link_id: str, wanted: str) -> _Go | Answer:
    link = scope.graph.links.get(link_id)
    if link is None:
        return None
    if link.origin == INPUT_NODE and scope.parent is not None and scope.instance is not None:
        ports = scope.graph.inputs
        port = ports[link.origin_slot] if link.origin_slot < len(ports) else None
        value = scope.ports.get(port.name) if port else None
        slot = _slot_of(scope, link.origin_slot, port)
        return _Go(scope.parent, slot.link, value) if slot and slot.link is not None else value
    node = scope.graph.nodes.get(link.origin)
    return None if node is None else _through(unfolded, scope, node, link.origin_slot, wanted)


def _slot_of(scope: Scope, index: int, port: Port | None) -> InputSlot | None:
    """The instance's input that belongs to a port: by place if the names agree, else by name, else by place.

    A group node's fields are inputs only once converted, so that there the place means nothing.
    """
    slots = scope.instance.inputs if scope.instance else ()
    by_place = slots[index] if index < len(slots) else None
    if port is None or (by_place and by_place.name == port.name):
        return by_place
    named = scope.slots.get(port.name)
    return named if named or scope.graph.promotions is not None else by_place


def _through(unfolded: Unfolded, scope: Scope, node: EditorNode, slot: int, wanted: str) -> _Go | Answer:
    how = virtual(node, unfolded.specs)
    if how == "value":
        return primitive_value(scope, node)
    if node.mode == MUTE:
        return None
    if node.mode == BYPASS:
        return _go(scope, bypass_input(node, slot, wanted))
    if node.id in scope.children:
        return _into(scope.children[node.id], slot)
    if how == "follow":
        return _go(scope, node.inputs[slot if slot < len(node.inputs) else 0] if node.inputs else None)
    if how == "get":
        setter = _setter(scope, node)
        return _go(scope, setter.inputs[0] if setter and setter.inputs else None)
    return None if how == "nothing" else Link(f"{scope.prefix}{node.id}", slot)


def _go(scope: Scope, slot: InputSlot | None) -> _Go | None:
    return _Go(scope, slot.link) if slot and slot.link is not None else None


def _into(child: Scope, slot: int) -> _Go | None:
    outputs = child.graph.outputs
    if slot >= len(outputs):
        return None
    link_id = next((each for each in outputs[slot].links if each in child.graph.links), None)
    return _Go(child, link_id) if link_id is not None else None


def primitive_value(scope: Scope, node: EditorNode) -> Value | None:
    """What a PrimitiveNode holds; nothing if it was never connected."""
    override = scope.overrides.get(node.id, {}).get("value")
    if override is not None:
        return override
    values = node.values
    if isinstance(values, Mapping):
        return Value(values["value"], scope.place(node, "value")) if "value" in values else None
    return Value(values[0], scope.place(node, 0)) if values else None


def bypass_input(node: EditorNode, slot: int, wanted: str) -> InputSlot | None:
    """The input that a bypassed node hands through for an output: the same place, an exact match, or what fits."""
    inputs = node.inputs
    if wanted in ("*", ""):
        return inputs[slot] if slot < len(inputs) else inputs[0] if inputs else None
    made = node.outputs[slot] if slot < len(node.outputs) else wanted
    if slot < len(inputs) and overlap(inputs[slot].kind, made) and overlap(inputs[slot].kind, wanted):
        return inputs[slot]
    exact = next((each for each in inputs if each.kind == wanted), None)
    return exact or next((each for each in inputs if overlap(each.kind, wanted)), None)


def _setter(scope: Scope, node: EditorNode) -> EditorNode | None:
    if scope.setters is None:
        scope.setters = {name: each for each in scope.graph.nodes.values()
                         if each.type == "SetNode" and (name := _first_text(each)) is not None}
    name = _first_text(node)
    return scope.setters.get(name) if name is not None else None


def _first_text(node: EditorNode) -> str | None:
    value = node.values[0] if isinstance(node.values, list) and node.values else None
    return value if isinstance(value, str) else None


def running_nodes(unfolded: Unfolded) -> Iterator[tuple[Scope, EditorNode]]:
    """The nodes that become part of the workflow, in the order of the file, outer ones first."""
    for scope in unfolded.scopes:
        for node in scope.graph.nodes.values():
            if not is_skipped(node) and node.id not in scope.children and virtual(node, unfolded.specs) is None:
                yield scope, node
