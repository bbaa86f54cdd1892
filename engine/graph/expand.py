"""Expansion: a node that returns a graph instead of values.

>>> graph = Subgraph()
>>> first = graph.add("Add", a=1, b=2)
>>> second = graph.add("Add", a=first.out(0), b=3)
>>> Expand((second.out(0),), graph.nodes).nodes["2"]["inputs"]
{'a': Link(node='1', slot=0), 'b': 3}
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from engine.graph.workflow import Link

current_call: ContextVar[tuple[str, int]] = ContextVar("current_call")
"""The node id and the number of the call that runs: what the ids inside an expansion begin with."""


@dataclass(frozen=True, slots=True)
class Expand:
    """A graph to be run in the place of a node.

    result: one entry per output of the node, a ``Link`` (into ``nodes``, or to any node of the job) or a plain value.
    nodes: the graph by id in the API form; an input may also be a ``Link`` or any value that travels on wires.
        ``override_display_id`` names the node that an entry is shown as. The engine turns the id ``n`` of an entry
        into ``<node>.<call>.0.n``, the same on every run.
    ui: what the node itself shows.
    """

    result: tuple[Any, ...]
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ui: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Handle:
    """A node of a subgraph."""

    id: str

    def out(self, slot: int) -> Link:
        """One of its outputs."""
        return Link(self.id, slot)


@dataclass
class Subgraph:
    """Builds the ``nodes`` of an ``Expand``; ids are the prefix and 1, 2, 3 and so on.

    Where inputs link to nodes outside too, the prefix has to keep these ids apart from theirs.
    """

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    prefix: str = ""

    def add(self, class_type: str, **inputs: Any) -> Handle:
        """Add a node; its inputs are values, or links made by ``out``."""
        name = f"{self.prefix}{len(self.nodes) + 1}"
        self.nodes[name] = {"class_type": class_type, "inputs": inputs}
        return Handle(name)
