"""Variations of a graph: the same node with other values of one or two inputs, sharing what does not depend on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Protocol

from engine.graph.expand import Subgraph
from engine.graph.problems import nearest
from engine.graph.workflow import Link, is_link

WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Graph(Protocol):
    """The graph that is run, as a node with the hidden input DYNPROMPT sees it."""

    def has_node(self, node_id: str) -> bool:
        """Whether there is such a node."""

    def get_node(self, node_id: str) -> Mapping[str, Any]:
        """A node in the API form."""

    def all_node_ids(self) -> Iterable[str]:
        """The ids of all nodes."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An input of a node and the values that it gets in turn. Without a node, it stands for one value: none at all."""

    node: str
    name: str
    values: tuple[Any, ...]

    @property
    def labels(self) -> list[str]:
        """What is written beside the pictures."""
        return [f"{self.name} {value}" for value in self.values] if self.name else [""]


NO_AXIS = Axis("", "", (None,))


def axis_of(graph: Graph, letter: str, place: str, text: str) -> Axis:
    """Read NODE.INPUT and its values, one on each line, as what the input holds now is: a number, a text, yes or no.

    Raises ValueError that names the node, the input and the line.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not place.strip():
        if lines:
            raise ValueError(f"{letter}_values are given, but {letter} is empty; write NODE.INPUT there, such as 5.cfg")
        return NO_AXIS
    node, name = _split(graph, letter, place.strip())
    inputs = graph.get_node(node)["inputs"]
    if name not in inputs:
        raise ValueError(f"{letter}: node {node} has no input {name!r}{nearest(name, inputs)}")
    if is_link(inputs[name]):
        raise ValueError(
            f"{letter}: input {name} of node {node} is linked to node {inputs[name][0]}; vary an input of that one"
        )
    if not lines:
        raise ValueError(f"{letter}_values are empty; write the values of {place.strip()}, one on each line")
    read = _reader(inputs[name])
    values = []
    for number, line in enumerate(lines, 1):
        try:
            values.append(read(line))
        except (ValueError, KeyError):
            wanted = f"{KINDS[type(inputs[name])]}, as {place.strip()} wants"
            raise ValueError(f"{letter}_values, line {number}: {line!r} is no {wanted}") from None
    return Axis(node, name, tuple(values))


def _split(graph: Graph, letter: str, place: str) -> tuple[str, str]:
    """Node and input; both may have dots in their names."""
    for at in (index for index, letter_of in enumerate(place) if letter_of == "."):
        if graph.has_node(place[:at]):
            return place[:at], place[at + 1 :]
    raise ValueError(
        f"{letter} is {place!r}; wanted is NODE.INPUT, such as 5.cfg, with the id of a node in the graph: "
        "the editor shows ids as #5"
    )


KINDS = {bool: "yes or no", int: "whole number", float: "number", str: "text"}


def _reader(present: Any) -> Callable[[str], Any]:
    """What makes a value of a line of text, by the value that the input has now."""
    if isinstance(present, bool):
        return lambda line: WORDS[line.lower()]
    if isinstance(present, float):
        return _finite
    if isinstance(present, int | str):
        return type(present)
    kind = type(present).__name__
    raise ValueError(f"an input that holds {kind} cannot be varied; only numbers, texts, and yes or no")


def _finite(line: str) -> float:
    number = float(line)
    if not math.isfinite(number):
        raise ValueError(f"{line} is no number to compute with")
    return number


def vary(graph: Graph, target: Link, columns: Axis, rows: Axis) -> tuple[list[Link], Subgraph]:
    """The graph of all variations, and what stands for the target in each, row by row.

    A node is made once for each value that it depends on; what depends on neither is linked to as it is. Raises
    ValueError if the target does not depend on an input, or if both are the same one.
    """
    if columns.node and (columns.node, columns.name) == (rows.node, rows.name):
        raise ValueError(f"x and y are both {columns.node}.{columns.name}; choose another input for one of them")
    order = _before(graph, target.node)
    depends = {letter: _dependent(graph, order, axis) for letter, axis in (("x", columns), ("y", rows)) if axis.node}
    for letter, found in depends.items():
        if target.node not in found:
            axis = columns if letter == "x" else rows
            raise ValueError(f"{letter}: node {axis.node} does not lead to the picture; nothing would change with it")
    made = Subgraph(prefix=_free_prefix(graph))
    known: dict[tuple[str, int | None, int | None], str] = {}

    def variant(node: str, column: int, row: int) -> tuple[str, int | None, int | None]:
        of_column = column if node in depends.get("x", ()) else None
        return node, of_column, row if node in depends.get("y", ()) else None

    def link_of(link: Link, column: int, row: int) -> Link:
        key = variant(link.node, column, row)
        return link if key[1:] == (None, None) else Link(known[key], link.slot)

    cells = []
    for row, y in enumerate(rows.values):
        for column, x in enumerate(columns.values):
            for node in order:
                key = variant(node, column, row)
                if key[1:] == (None, None) or key in known:
                    continue
                entry = graph.get_node(node)
                inputs = {
                    name: link_of(Link(value[0], int(value[1])), column, row) if is_link(value) else value
                    for name, value in entry["inputs"].items()
                }
                inputs.update({axis.name: value for axis, value in ((columns, x), (rows, y)) if axis.node == node})
                known[key] = made.add(entry["class_type"], **inputs).id
            cells.append(link_of(target, column, row))
    return cells, made


def _free_prefix(graph: Graph) -> str:
    """What no id of the graph begins with: links lead into the new nodes and to old ones."""
    prefix = "variation"
    while any(node.startswith(prefix) for node in graph.all_node_ids()):
        prefix += "_"
    return prefix


def _links(graph: Graph, node: str) -> Iterator[str]:
    return (value[0] for value in graph.get_node(node)["inputs"].values() if is_link(value))


def _before(graph: Graph, target: str) -> list[str]:
    """The node and all it depends on, each after what it depends on."""
    sources: dict[str, list[str]] = {}
    waiting = [target]
    while waiting:
        node = waiting.pop()
        if node not in sources:
            sources[node] = list(_links(graph, node))
            waiting.extend(sources[node])
    return list(TopologicalSorter(sources).static_order())


def _dependent(graph: Graph, order: list[str], axis: Axis) -> frozenset[str]:
    """The nodes that depend on an axis, its own included."""
    found: set[str] = set()
    for node in order:
        if node == axis.node or any(source in found for source in _links(graph, node)):
            found.add(node)
    return frozenset(found)
