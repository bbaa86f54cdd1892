"""The parts of an editor file that conversion reads, checked and in one spelling.

A graph is the file's root, a subgraph's definition, or a legacy group node made to look like one. Ids are texts,
slots are whole numbers, types are texts in which ``*`` takes anything. Everything out of shape becomes a Problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.graph.editor_format.document import Document, DocumentLink, Json, load_document, malformed
from engine.graph.problems import Problem, WorkflowError, shown
from engine.graph.workflow import MAX_NAME

INPUT_NODE = "-10"
OUTPUT_NODE = "-20"
MUTE = 2
BYPASS = 4
MAX_SLOT = 10_000
ROOT = ""
ASIDE = "easel"  # the property that holds what an API node says and the format has no place for


class InputSlot(msgspec.Struct, frozen=True):
    """An input as saved; ``widget`` names the form field that it replaces, if any."""

    name: str
    kind: str
    link: str | None = None
    widget: str | None = None
    label: str | None = None


class EditorNode(msgspec.Struct, frozen=True):
    """A node as saved. ``values`` is its ``widgets_values``: a list in form order, or an object by name."""

    id: str
    type: str
    mode: int
    title: str | None
    inputs: tuple[InputSlot, ...]
    outputs: tuple[str, ...]
    values: Sequence[Any] | Json | None
    properties: Json


class GraphLink(msgspec.Struct, frozen=True):
    """Where a link comes from and ends."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int
    kind: str = "*"


class Port(msgspec.Struct, frozen=True):
    """An input or output of a subgraph; ``links`` are the ids of its links inside."""

    name: str
    kind: str
    links: tuple[str, ...] = ()


class Promotion(msgspec.Struct, frozen=True):
    """What stands in a place of a group node's ``widgets_values``.

    role: ``widget``, ``control`` or ``upload``. port, or node and name: where the value goes.
    """

    role: str
    kind: str = "*"
    port: str | None = None
    node: str = ""
    name: str = ""


class EditorGraph(msgspec.Struct, frozen=True):
    """Nodes and links of one level. ``key`` tells graphs apart: empty for the root, else the definition's id.

    promotions: for legacy group nodes, the order of the instance's values; None for subgraphs.
    field_links: the links that end in a form field. exposed: fields that a definition itself shows outside, as pairs
    of an inner node's id and a name.
    """

    key: str
    nodes: Mapping[str, EditorNode]
    links: Mapping[str, GraphLink]
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    promotions: tuple[Promotion, ...] | None = None
    field_links: frozenset[str] = frozenset()
    exposed: tuple[tuple[str, str], ...] = ()


# -- small values ------------------------------------------------------------------------------------------------


def read_id(value: Any) -> str | None:
    """An id as text: whole numbers and texts, None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return str(value) if -(2**63) <= value < 2**64 else None
    return value if isinstance(value, str) and len(value) <= MAX_NAME else None


def read_slot(value: Any) -> int | None:
    """A slot as a number from 0: numeric texts count too, None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 6:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value <= MAX_SLOT else None


def read_kind(value: Any) -> str:
    """A type as text: lists are comma-separated, and the number 0, nothing and the empty text take anything.

    >>> read_kind(["INT", "FLOAT"]), read_kind(0), read_kind("MODEL")
    ('INT,FLOAT', '*', 'MODEL')
    """
    if isinstance(value, list):
        return ",".join(str(each) for each in value if isinstance(each, str | int)) or "*"
    return str(value) if isinstance(value, str | int | float) and value else "*"


# -- graphs ------------------------------------------------------------------------------------------------------


def read_root(document: Document) -> EditorGraph:
    """Read the file's top level. Raises WorkflowError with everything that is out of shape."""
    problems: list[Problem] = []
    graph = _read_graph(ROOT, document, problems)
    if problems:
        raise WorkflowError(problems)
    return graph


def read_definitions(document: Document) -> dict[str, EditorGraph]:
    """Read the subgraph definitions by id, nested ones included. Raises WorkflowError."""
    problems: list[Problem] = []
    graphs: dict[str, EditorGraph] = {}
    waiting = _definitions_in(document.rest.get("definitions"), problems)
    while waiting:
        data = waiting.pop(0)
        key = data.get("id")
        if not isinstance(key, str) or not key:
            problems.append(malformed(f"a subgraph definition needs an id; found {shown(key)}"))
            continue
        if key in graphs:
            problems.append(malformed(f"two subgraph definitions have the id {shown(key)}"))
            continue
        try:
            inner = load_document({"version": 1, **data})
        except WorkflowError as error:
            problems += [malformed(f"subgraph {shown(key)}: {each.message}", each.node) for each in error.problems]
            continue
        found: list[Problem] = []
        graph = _read_graph(key, inner, found)
        inputs = _read_ports(data.get("inputs"), "inputs", found)
        outputs = _linked(_read_ports(data.get("outputs"), "outputs", found), graph.links)
        problems += [malformed(f"subgraph {shown(key)}: {each.message}", each.node) for each in found]
        exposed = tuple(_read_exposed(data.get("widgets")))
        graphs[key] = msgspec.structs.replace(graph, inputs=inputs, outputs=outputs, exposed=exposed)
        waiting += _definitions_in(inner.rest.get("definitions"), problems)
    if problems:
        raise WorkflowError(problems)
    return graphs


def _definitions_in(value: Any, problems: list[Problem]) -> list[Json]:
    if value is None:
        return []
    subgraphs = value.get("subgraphs") if isinstance(value, Mapping) else value
    if subgraphs is None:
        return []
    if not isinstance(subgraphs, list) or not all(isinstance(each, Mapping) for each in subgraphs):
        problems.append(malformed(f"definitions.subgraphs is a list of objects; found {shown(subgraphs)}"))
        return []
    return list(subgraphs)


def _read_ports(value: Any, place: str, problems: list[Problem]) -> tuple[Port, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        problems.append(malformed(f"{place} is a list of objects; found {shown(value)}"))
        return ()
    return tuple(
        Port(_text(each.get("name")) or "", read_kind(each.get("type")), tuple(_ids(each.get("linkIds"))))
        for each in value
    )


def _read_exposed(value: Any) -> Iterator[tuple[str, str]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, Mapping):
            yield read_id(each.get("id")) or "", _text(each.get("name")) or ""


def _linked(outputs: tuple[Port, ...], links: Mapping[str, GraphLink]) -> tuple[Port, ...]:
    """Give output ports whose own links are not in the table the link that ends there."""
    ends = {link.target_slot: link_id for link_id, link in links.items() if link.target == OUTPUT_NODE}
    return tuple(
        port if any(each in links for each in port.links)
        else msgspec.structs.replace(port, links=(ends[index],) if index in ends else ())
        for index, port in enumerate(outputs)
    )


def _ids(value: Any) -> list[str]:
    found = map(read_id, value if isinstance(value, list) else ())
    return [each for each in found if each is not None]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= MAX_NAME else None


def _read_graph(key: str, document: Document, problems: list[Problem]) -> EditorGraph:
    nodes: dict[str, EditorNode] = {}
    for index, data in enumerate(document.nodes):
        node_id = read_id(data.get("id"))
        if node_id is None:
            problems.append(malformed(f"nodes[{index}] needs an id, a number or text; found {shown(data.get('id'))}"))
            continue
        if node_id in nodes:
            problems.append(malformed(f"two nodes have the id {shown(node_id)}", node_id))
            continue
        node = read_node(node_id, data, problems)
        if node is not None:
            nodes[node_id] = node
    links: dict[str, GraphLink] = {}
    for link in document.links:
        _add_link(links, link, problems)
    fields = (slot.link for node in nodes.values() for slot in node.inputs if slot.link and slot.widget is not None)
    return EditorGraph(key, nodes, links, field_links=frozenset(fields))


def _add_link(links: dict[str, GraphLink], link: DocumentLink, problems: list[Problem]) -> None:
    """Take a link; as in the editor, the last of two with one id counts."""
    ids = [read_id(each) for each in (link.id, link.origin_id, link.target_id)]
    slots = [read_slot(each) for each in (link.origin_slot, link.target_slot)]
    # The target's slot is stale in many files (and -1 in some): an input's own link says where it ends.
    if None in ids or slots[0] is None:
        problems.append(malformed(
            f"link {shown(link.id)} needs node ids and slots from 0 to {MAX_SLOT}; found from "
            f"{shown(link.origin_id)} slot {shown(link.origin_slot)} to {shown(link.target_id)}"
        ))
        return
    link_id, origin, target = (str(each) for each in ids)
    links[link_id] = GraphLink(origin, slots[0], target, slots[1] or 0, read_kind(link.type))


def read_node(node_id: str, data: Json, problems: list[Problem]) -> EditorNode | None:
    """Read one node; problems are added to the list, and a node that cannot be read is None."""
    before = len(problems)
    kind = data.get("type")
    if not isinstance(kind, str) or not kind or len(kind) > MAX_NAME:
        problems.append(malformed(f"the node needs a type, the name of its class; found {shown(kind)}", node_id))
    mode = data.get("mode")
    mode = 0 if mode is None else read_slot(mode)
    if mode is None:
        problems.append(malformed(f"mode is a number such as 0, 2 (mute) or 4 (bypass); found {shown(data['mode'])}",
                                  node_id))
    values = data.get("widgets_values")
    if values is not None and not isinstance(values, list | Mapping):
        problems.append(malformed(f"widgets_values is a list or an object; found {shown(values)}", node_id))
    properties = data.get("properties")
    inputs = _slots(data.get("inputs"), "inputs", node_id, problems)
    outputs = _slots(data.get("outputs"), "outputs", node_id, problems)
    slots = tuple(_read_input(each, node_id, problems) for each in inputs)
    if len(problems) > before:
        return None
    return EditorNode(
        node_id, str(kind), mode or 0, _text(data.get("title")), slots,
        tuple(read_kind(each.get("type")) for each in outputs), values,
        properties if isinstance(properties, Mapping) else {},
    )


def _slots(value: Any, place: str, node_id: str, problems: list[Problem]) -> Sequence[Json]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_SLOT or not all(isinstance(each, Mapping) for each in value):
        problems.append(malformed(f"{place} is a list of objects; found {shown(value)}", node_id))
        return ()
    return value


def _read_input(data: Json, node_id: str, problems: list[Problem]) -> InputSlot:
    name = data.get("name", "")
    if not isinstance(name, str) or len(name) > MAX_NAME:
        problems.append(malformed(f"an input's name is a text; found {shown(name)}", node_id))
        name = ""
    link = data.get("link")
    link_id = read_id(link)
    if link is not None and link_id is None:
        problems.append(malformed(f"the input's link is a link's id or null; found {shown(link)}", node_id))
    widget = data.get("widget")
    field = _text(widget.get("name")) if isinstance(widget, Mapping) else None
    if isinstance(widget, Mapping) and field is None:
        field = name
    return InputSlot(name, read_kind(data.get("type")), link_id, field, _text(data.get("label")))
