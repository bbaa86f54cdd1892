"""The calls of a node: their arguments, made of the items on its input wires, and what becomes of their results."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.graph.graph import Graph, GraphNode
from engine.graph.node import Node, NodeSpec, Ui
from engine.graph.types import SOCKETS, Blocker
from engine.runtime.tasks import At, Made
from engine.runtime.traces import FileStamp, stamp


def arguments_of_calls(
    impl: Node[..., Any], items: Mapping[str, tuple[Any, ...]], literals: Mapping[str, Any], hidden: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The keyword arguments of each call: one per item of the longest wire, where shorter ones repeat their last.

    A node that takes whole lists gets one call. An empty wire means no call at all. A lazy input without items is None.
    hidden: parameter name → what the engine fills in.
    """
    columns: dict[str, tuple[Any, ...]] = {}
    for each in impl.spec.inputs:
        parameter = impl.parameters[each.name]
        if each.name in items:
            columns[parameter] = items[each.name]
        elif each.name in literals:
            columns[parameter] = (literals[each.name],)
        elif each.lazy:
            columns[parameter] = (None,)
    if impl.spec.others:
        columns.update({name: column for name, column in items.items() if name not in impl.parameters})
        columns.update({name: (value,) for name, value in literals.items() if name not in impl.parameters})
    if impl.spec.whole_lists:
        whole: dict[str, Any] = {name: list(column) for name, column in columns.items()}
        return [{**whole, **hidden}]
    lengths = [len(column) for column in columns.values()]
    if 0 in lengths:
        return []
    return [
        {**{name: column[min(index, len(column) - 1)] for name, column in columns.items()}, **hidden}
        for index in range(max(lengths, default=1))
    ]


def blocked_by(arguments: Mapping[str, Any], whole_lists: bool = False) -> Blocker | None:
    """The first blocker among the arguments of a call, or in the lists it is given; the call is then not made."""
    for value in arguments.values():
        for each in value if whole_lists and isinstance(value, list) else (value,):
            if isinstance(each, Blocker):
                return each
    return None


def refuse_nothing(node: GraphNode, spec: NodeSpec, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError where a call has nothing at an input that needs a value by wire, such as a model.

    Loaders give None for what their file does not hold. Packs' nodes decide for themselves what it means to them.
    """
    if spec.lane == "packs" or not any(value is None for value in arguments.values()):
        return
    for each in spec.inputs:
        name = each.parameter or each.name
        needed = each.required and not each.lazy and each.kind in SOCKETS
        if needed and name in arguments and arguments[name] is None and each.name in node.links:
            raise ValueError(
                f"{each.name} is empty: node {node.links[each.name].node}, which it is linked to, gave no {each.kind}. "
                "Not every checkpoint holds all parts; load it from a file of its own, or from a complete checkpoint"
            )


def messages_of(results: Iterable[Any]) -> tuple[str, ...]:
    """What the blockers among the results of calls say, each once."""
    return tuple(dict.fromkeys(each.message for each in results if isinstance(each, Blocker) and each.message))


def read_results(impl: Node[..., Any], results: list[Any]) -> Made:
    """What calls returned, slot by slot; links stand in ``At``. Raises TypeError if the node broke its word."""
    spec = impl.spec
    columns: list[list[Any]] = [[] for _ in spec.outputs]
    shown: dict[str, list[Any]] = {}
    files: list[FileStamp] = []
    for result in results:
        if isinstance(result, Blocker):
            values: Sequence[Any] = [[result] if each.is_list else result for each in spec.outputs]
        elif isinstance(result, Ui):
            for name, entries in result.values.items():
                shown.setdefault(name, []).extend(entries)
            files.extend(stamp(path) for path in result.files)
            values = result.result
        elif len(spec.outputs) == 1 and not (isinstance(result, tuple) and hasattr(result, "_fields")):
            values = (result,)
        else:
            values = () if result is None and not spec.outputs else result
        if not isinstance(values, Sequence) or len(values) != len(spec.outputs):
            raise TypeError(
                f"the node {spec.class_type} has {len(spec.outputs)} outputs; its function returned {short(result)}"
            )
        for output, column, value in zip(spec.outputs, columns, values, strict=True):
            column.extend(value) if output.is_list and not isinstance(value, At) else column.append(value)
    shows = shown or (spec.output_node and not spec.outputs and not results)
    return Made(columns, shown if shows else None, tuple(files), messages_of(results) if spec.output_node else ())


def find_complaints(
    graph: Graph, nodes: Mapping[str, Node[..., Any]]
) -> Iterator[tuple[GraphNode, str | Exception]]:
    """What the nodes that check their inputs themselves find wrong with them, or what they raised."""
    kinds: dict[str, str] | None = None
    for node in graph.nodes:
        impl = nodes[node.class_type]
        if not impl.spec.checks:
            continue
        kinds = kinds or {each.id: each.class_type for each in graph.nodes}
        links = {name: nodes[kinds[link.node]].spec.outputs[link.slot].kind for name, link in node.links.items()}
        try:
            complaint = impl.complaint(node.literals, links)
        except Exception as error:  # noqa: BLE001 - a pack's code
            yield node, error
        else:
            if complaint is not None:
                yield node, complaint


def short(value: Any) -> str:
    """A value in a few words."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"{type(value).__name__}{tuple(shape)}"
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


MOST_SAID = 10_000  # characters; a KeyError whose key is a network says all its layers


def said(error: BaseException) -> tuple[str, tuple[str, ...]]:
    """What an error says, and its traceback. What is longer than anybody reads is cut in its middle."""
    try:
        message = str(error) or repr(error)
    except Exception as second:  # noqa: BLE001 - a pack's own error class
        message = f"{type(error).__name__}, which could not say what it is about: {type(second).__name__}"
    return _cut(message), tuple(map(_cut, traceback.format_exception(error)))


def _cut(text: str) -> str:
    half = MOST_SAID // 2
    left_out = len(text) - MOST_SAID
    return text if left_out <= 0 else f"{text[:half]} … ({left_out:,} characters left out) … {text[-half:]}"
