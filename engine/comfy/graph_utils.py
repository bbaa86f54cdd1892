"""``comfy_execution.graph_utils`` for packs: building the graph that a node expands to.

Ids begin with ``<node>.<call>.<graph>.``: the node and the call that run here, and the number of the builder in it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, ClassVar

from engine.graph.expand import current_call
from engine.graph.workflow import is_link

__all__ = ["GraphBuilder", "Node", "is_link"]


class Node:
    """A node of the graph that is built."""

    def __init__(self, id: str, class_type: str, inputs: dict[str, Any]) -> None:  # noqa: A002 - packs name it so
        self.id = id
        self.class_type = class_type
        self.inputs = inputs
        self.override_display_id: str | None = None

    def out(self, index: int) -> list[Any]:
        """A link to one of its outputs."""
        return [self.id, index]

    def set_input(self, key: str, value: Any) -> None:
        """Set an input; None takes it away."""
        if value is None:
            self.inputs.pop(key, None)
        else:
            self.inputs[key] = value

    def get_input(self, key: str) -> Any:
        """An input, or None."""
        return self.inputs.get(key)

    def set_override_display_id(self, override_display_id: str) -> None:
        """Show the node as another one."""
        self.override_display_id = override_display_id

    def serialize(self) -> dict[str, Any]:
        """The API form."""
        made: dict[str, Any] = {"class_type": self.class_type, "inputs": self.inputs}
        if self.override_display_id is not None:
            made["override_display_id"] = self.override_display_id
        return made


class GraphBuilder:
    """Builds a graph; ``finalize`` gives it in the API form."""

    _place: ClassVar[ContextVar[tuple[Any, str, int, int]]] = ContextVar("graph_builder_place")

    def __init__(self, prefix: str | None = None) -> None:
        self.prefix = self.alloc_prefix() if prefix is None else prefix
        self.nodes: dict[str, Node] = {}
        self.id_gen = 1

    @classmethod
    def set_default_prefix(cls, prefix_root: str, call_index: int, graph_index: int = 0) -> None:
        """Say what the next builders' ids begin with. The engine knows it by itself."""
        cls._place.set((current_call.get(None), prefix_root, call_index, graph_index))

    @classmethod
    def alloc_prefix(
        cls, root: str | None = None, call_index: int | None = None, graph_index: int | None = None
    ) -> str:
        """The beginning of the ids of one more builder."""
        here, call = cls._place.get(None), current_call.get(None)
        if here is None or here[0] is not call:  # the first builder of this very call
            here = (call, *(call or ("", 0)), 0)
        cls._place.set((*here[:3], here[3] + 1))
        place = (
            here[1] if root is None else root, here[2] if call_index is None else call_index,
            here[3] if graph_index is None else graph_index,
        )
        return f"{place[0]}.{place[1]}.{place[2]}."

    def node(self, class_type: str, id: str | None = None, **kwargs: Any) -> Node:  # noqa: A002 - packs name it so
        """Add a node, or give the one that has the id."""
        if id is None:
            id = str(self.id_gen)  # noqa: A001
            self.id_gen += 1
        name = self.prefix + id
        if name not in self.nodes:
            self.nodes[name] = Node(name, class_type, kwargs)
        return self.nodes[name]

    def lookup_node(self, id: str) -> Node | None:  # noqa: A002 - packs name it so
        """The node with an id, or None."""
        return self.nodes.get(self.prefix + id)

    def finalize(self) -> dict[str, Any]:
        """The graph in the API form."""
        return {name: each.serialize() for name, each in self.nodes.items()}

    def replace_node_output(self, node_id: str, index: int, new_value: Any) -> None:
        """Lead the readers of an output elsewhere; None takes their inputs away."""
        old = [self.prefix + node_id, index]
        for each in self.nodes.values():
            for key in [key for key, value in each.inputs.items() if is_link(value) and value == old]:
                each.set_input(key, new_value)

    def remove_node(self, id: str) -> None:  # noqa: A002 - packs name it so
        """Take a node out."""
        del self.nodes[self.prefix + id]
