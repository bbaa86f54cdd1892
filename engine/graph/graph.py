"""From a workflow as written to a graph that can run, or to every problem that keeps it from running.

``resolve`` reads as its own table of contents: know the classes, find the targets, keep what they need, order it,
check each node, drop the targets that stand on broken nodes. Nothing here recurses: a chain may be as long as it likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from engine.graph.node import Files, Fixed, InputSpec, NodeSpec
from engine.graph.problems import Problem, Suggestions, WorkflowError, said, shown
from engine.graph.types import SOCKETS, overlap
from engine.graph.workflow import Link, Workflow, WorkflowNode


class GraphNode(msgspec.Struct, frozen=True, array_like=True):
    """A node ready to run: values in their final types, and links that exist."""

    id: str
    class_type: str
    literals: Mapping[str, Any]
    links: Mapping[str, Link]


class Graph(msgspec.Struct, frozen=True, array_like=True):
    """What has to be run: the targets and all that they need, each node after those it reads."""

    nodes: tuple[GraphNode, ...]
    targets: tuple[str, ...]


class Resolved(msgspec.Struct, frozen=True):
    """The graph of the valid targets, and the problems of the others (each with ``dependent_outputs`` in ``extra``)."""

    graph: Graph
    problems: tuple[Problem, ...] = ()


class FileFinder(Protocol):
    """Knows which files a ``Files`` input may name."""

    def find(self, folder: str, name: str) -> object | None:
        """The file, or None."""

    def list(self, folder: str) -> list[str]:
        """All names, for the error message."""


def resolve(
    workflow: Workflow, specs: Mapping[str, NodeSpec], files: FileFinder, *,
    targets: Sequence[str] | None = None, all_or_nothing: bool = False,
) -> Resolved:
    """Make a graph of the output nodes (or of those named in ``targets``) and their ancestors.

    As in ComfyUI, an output node that stands on a broken node is left out and the others run; with
    ``all_or_nothing`` any problem refuses the whole. Raises WorkflowError with every problem found, and with
    code ``prompt_no_outputs`` if there is nothing to make.
    """
    nodes = workflow.nodes
    _know_classes(nodes, specs)
    wanted = _find_targets(nodes, specs, targets)
    order, broken_links = _order(nodes, wanted)
    checked, problems = _check_nodes(order, nodes, specs, files)
    problems.extend(broken_links)
    if not problems:
        return Resolved(Graph(tuple(checked[name] for name in order), tuple(wanted)))
    bad = {each.node for each in problems if each.node is not None}
    problems = _with_dependents(problems, nodes, wanted)
    sound = _sound(order, nodes, bad)
    kept = [name for name in wanted if name in sound]
    if not kept or all_or_nothing:
        raise WorkflowError(problems)
    needed = set(_ancestors(nodes, kept))
    graph = Graph(tuple(checked[name] for name in order if name in needed), tuple(kept))
    return Resolved(graph, tuple(problems))


def leave_out(graph: Graph, problems: Sequence[Problem]) -> Resolved:
    """The graph without the targets that stand on nodes with problems. Raises WorkflowError if no target is left."""
    bad = {each.node for each in problems}
    sound: set[str] = set()
    for node in graph.nodes:
        if node.id not in bad and all(link.node in sound for link in node.links.values()):
            sound.add(node.id)
    as_written = {node.id: WorkflowNode(node.class_type, node.links) for node in graph.nodes}
    problems = _with_dependents(problems, as_written, graph.targets)
    kept = tuple(name for name in graph.targets if name in sound)
    if not kept:
        raise WorkflowError(problems)
    needed = _ancestors(as_written, kept)
    return Resolved(Graph(tuple(node for node in graph.nodes if node.id in needed), kept), tuple(problems))


# -- the steps ---------------------------------------------------------------------------------------------------


def _know_classes(nodes: Mapping[str, WorkflowNode], specs: Mapping[str, NodeSpec]) -> None:
    """Raise WorkflowError that names every node of an unknown class."""
    suggest = Suggestions()
    unknown = [(name, each.class_type) for name, each in nodes.items() if each.class_type not in specs]
    if unknown:
        raise WorkflowError([
            Problem(
                "invalid_prompt", f"there is no node class {kind!r}{suggest(kind, specs)}", name, class_type=kind,
                details=f"Node ID '#{name}'",
            )
            for name, kind in unknown
        ])


def _find_targets(
    nodes: Mapping[str, WorkflowNode], specs: Mapping[str, NodeSpec], targets: Sequence[str] | None
) -> list[str]:
    outputs = [name for name, each in nodes.items() if specs[each.class_type].output_node]
    if targets is None:
        wanted = outputs
    else:
        suggest = Suggestions()
        missing = [name for name in targets if name not in nodes]
        if missing:
            raise WorkflowError([
                Problem("invalid_prompt", f"there is no node {name!r} to run{suggest(name, outputs)}", name)
                for name in missing
            ])
        chosen = set(targets)
        wanted = [name for name in outputs if name in chosen]
    if not wanted:
        found = "none of the targets is an output node" if outputs else "the workflow has no output node (as SaveImage)"
        raise WorkflowError([Problem("prompt_no_outputs", f"there is nothing to make: {found}")])
    return wanted


def _ancestors(nodes: Mapping[str, WorkflowNode], targets: Iterable[str]) -> dict[str, None]:
    """The targets and all that they read, as far as it exists."""
    found: dict[str, None] = dict.fromkeys(targets)
    stack = list(found)
    while stack:
        for value in nodes[stack.pop()].inputs.values():
            if type(value) is Link and value.node not in found and value.node in nodes:
                found[value.node] = None
                stack.append(value.node)
    return found


def _order(nodes: Mapping[str, WorkflowNode], targets: list[str]) -> tuple[list[str], list[Problem]]:
    """What the targets need, each node after those it reads; and the links that lead nowhere.

    Raises WorkflowError that spells out a cycle.
    """
    reads: dict[str, list[str]] = {}
    dangling: list[Problem] = []
    suggest = Suggestions()
    for name in _ancestors(nodes, targets):
        sources = reads[name] = []
        for key, value in nodes[name].inputs.items():
            if type(value) is not Link:
                continue
            if value.node in nodes:
                sources.append(value.node)
            else:
                kind = nodes[name].class_type
                message = f"is linked to node {value.node!r}, which is not in the workflow{suggest(value.node, nodes)}"
                details = f"{key}, linked to {value.node}"
                extra = {"input_name": key, "linked_node": [value.node, value.slot]}
                dangling.append(Problem("bad_linked_input", message, name, key, kind, details, extra))
    order = branch_by_branch(reads, targets)
    if len(order) == len(reads):
        return order, dangling
    cycle = _cycle(nodes, set(reads).difference(order))
    path = " → ".join([*cycle[:20], *(["…"] if len(cycle) > 20 else []), cycle[0]])
    raise WorkflowError([
        Problem("dependency_cycle", f"the nodes depend on each other in a circle: {path}", cycle[0], details=path)
    ])


def branch_by_branch(reads: Mapping[str, Sequence[str]], targets: Iterable[str]) -> list[str]:
    """The targets and all that they read, each after what it reads, a branch to its end before the next is begun.

    So a picture is there before the next one is thought of, and little is held at once. If there is a circle, what
    stands on it is left out. Iterative.

    >>> branch_by_branch({"sum": ["a", "b"], "a": ["x"], "b": ["y"], "x": [], "y": []}, ["sum"])
    ['x', 'a', 'y', 'b', 'sum']
    """
    order: dict[str, None] = {}
    entered: set[str] = set()
    stack = list(targets)[::-1]
    while stack:
        name = stack[-1]
        if name not in entered:
            entered.add(name)
            stack.extend(each for each in reversed(reads[name]) if each not in entered)
            continue
        stack.pop()
        if name not in order and all(each in order for each in reads[name]):
            order[name] = None
    return list(order)


def _cycle(nodes: Mapping[str, WorkflowNode], left: set[str]) -> list[str]:
    """A cycle among nodes of which each reads another of them, in the direction of the wires."""
    import networkx as nx  # 50 ms that only a cycle costs

    wires: nx.DiGraph[str] = nx.DiGraph()
    for name in (each for each in nodes if each in left):
        for value in nodes[name].inputs.values():
            if type(value) is Link and value.node in left:
                wires.add_edge(value.node, name)
    return [edge[0] for edge in nx.find_cycle(wires)]


def _check_nodes(
    order: Sequence[str], nodes: Mapping[str, WorkflowNode], specs: Mapping[str, NodeSpec], files: FileFinder
) -> tuple[dict[str, GraphNode], list[Problem]]:
    checked: dict[str, GraphNode] = {}
    problems: list[Problem] = []
    asked = Asked(files)
    for name in order:
        written = nodes[name]
        literals: dict[str, Any] = {}
        links: dict[str, Link] = {}
        for check in _checks(specs[written.class_type]):
            problem = check(name, written.inputs, nodes, specs, asked, literals, links)
            if problem is not None:
                problems.append(problem)
        if specs[written.class_type].others:
            problems.extend(_take_others(name, written, nodes, specs, literals, links))
        checked[name] = GraphNode(name, written.class_type, literals, links)
    return checked, problems


def _take_others(
    name: str, written: WorkflowNode, nodes: Mapping[str, WorkflowNode], specs: Mapping[str, NodeSpec],
    literals: dict[str, Any], links: dict[str, Link],
) -> Iterable[Problem]:
    """Take the undeclared inputs of a node that is given whatever is linked to it."""
    spec = specs[written.class_type]
    declared = {each.name for each in spec.inputs}
    for key, value in written.inputs.items():
        if key in declared or (type(value) is Link and value.node not in nodes):
            continue
        if type(value) is Link:
            count = len(specs[nodes[value.node].class_type].outputs)
            if 0 <= value.slot < count:
                links[key] = value
            else:
                message = f"is linked to output {value.slot} of node {value.node}, which has {count}"
                yield Problem("bad_linked_input", message, name, key, spec.class_type, key)
        elif spec.others == "all":
            try:
                literals[key] = _untyped(value)
            except Wrong as wrong:
                yield Problem(wrong.code, wrong.message, name, key, spec.class_type, key)


def _with_dependents(
    problems: Sequence[Problem], nodes: Mapping[str, WorkflowNode], targets: Sequence[str]
) -> list[Problem]:
    """Add to each problem the output nodes that cannot be made because of it."""
    above = {name: set(_ancestors(nodes, [name])) for name in targets[:100]}  # a bound on what a bad file can cost

    def add(each: Problem) -> Problem:
        dependent = [name for name, needed in above.items() if each.node in needed]
        return msgspec.structs.replace(each, extra={**each.extra, "dependent_outputs": dependent})

    return [add(each) for each in problems]


def _sound(order: Sequence[str], nodes: Mapping[str, WorkflowNode], bad: set[str]) -> set[str]:
    """The nodes that stand on no bad one."""
    sound: set[str] = set()
    for name in order:
        above = (value.node for value in nodes[name].inputs.values() if type(value) is Link)
        if name not in bad and all(node in sound for node in above):
            sound.add(name)
    return sound


# -- checks, compiled once per specification ---------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What the checks of one workflow ask: for files, and for what was probably meant, of which there are not many."""

    files: FileFinder
    suggest: Suggestions = field(default_factory=Suggestions)


Check = Callable[
    [str, Mapping[str, Any], Mapping[str, WorkflowNode], Mapping[str, NodeSpec], Asked, dict[str, Any],
     dict[str, Link]],
    Problem | None,
]
Convert = Callable[[Any, Asked], Any]


class Wrong(Exception):  # noqa: N818 - never leaves this module
    """A literal will not do."""

    def __init__(self, code: str, message: str, details: str = "", **extra: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.details, self.extra = code, message, details, extra


_compiled: dict[int, tuple[NodeSpec, tuple[Check, ...]]] = {}


def _checks(spec: NodeSpec) -> tuple[Check, ...]:
    """The checks of a node's inputs; made once per specification object, which is kept alive by the table."""
    entry = _compiled.get(id(spec))
    if entry is None or entry[0] is not spec:
        if len(_compiled) > 20_000:
            _compiled.clear()
        entry = _compiled[id(spec)] = (spec, tuple(_compile(spec, each) for each in spec.inputs))
    return entry[1]


def _compile(node: NodeSpec, spec: InputSpec) -> Check:
    name, kind, class_type = spec.name, spec.kind, node.class_type
    convert = literal_converter(spec)
    any_kind = kind == "*" or node.unchecked_types

    def check(
        node_id: str, inputs: Mapping[str, Any], nodes: Mapping[str, WorkflowNode], specs: Mapping[str, NodeSpec],
        asked: Asked, literals: dict[str, Any], links: dict[str, Link],
    ) -> Problem | None:
        if name not in inputs:
            if not spec.required:
                return None
            return Problem(
                "required_input_missing", "is required and missing", node_id, name, class_type, name,
                {"input_name": name},
            )
        value = inputs[name]
        if type(value) is not Link:
            try:
                literals[name] = convert(value, asked)
            except Wrong as wrong:
                extra = {"input_name": name, "received_value": shown(value), **wrong.extra}
                return Problem(wrong.code, wrong.message, node_id, name, class_type, wrong.details or name, extra)
            return None
        source = nodes.get(value.node)
        if source is None:
            return None  # reported with the order
        outputs = specs[source.class_type].outputs
        if not 0 <= value.slot < len(outputs):
            return Problem(
                "bad_linked_input",
                f"is linked to output {value.slot} of node {value.node} ({source.class_type}), which has "
                f"{len(outputs)} output{'s' * (len(outputs) != 1)}",
                node_id, name, class_type, name, {"input_name": name, "linked_node": [value.node, value.slot]},
            )
        found = outputs[value.slot].kind
        if not any_kind and not overlap(found, kind):
            return Problem(
                "return_type_mismatch",
                f"wants {kind}, but output {value.slot} of node {value.node} ({source.class_type}) is {found}",
                node_id, name, class_type, f"{name}, received_type({found}) mismatch input_type({kind})",
                {"input_name": name, "received_type": found, "linked_node": [value.node, value.slot]},
            )
        links[name] = value
        return None

    return check


def literal_converter(spec: InputSpec) -> Convert:
    """The function that brings a typed-in value into the input's type; it raises ``Wrong`` if that cannot be."""
    if spec.link_only or spec.kind in SOCKETS:
        return _refuse(spec)
    if spec.unchecked:
        spec = msgspec.structs.replace(spec, choices=None, minimum=None, maximum=None)
    if isinstance(spec.choices, Fixed):
        return _one_of(spec.choices)
    if isinstance(spec.choices, Files):
        return _file_in(spec.choices)
    if spec.kind in ("INT", "FLOAT"):
        return _number(spec)
    if spec.kind == "STRING":
        return _text
    if spec.kind == "BOOLEAN":
        return lambda value, _: _plain(value, bool)
    return lambda value, _: _untyped(value)


def _untyped(value: Any) -> Any:
    """A value of no particular type: any JSON whose numbers fit in 64 bits."""
    if value is None or type(value) in (str, bool, float):
        return value
    stack = [value]
    while stack:
        each = stack.pop()
        if type(each) is int and not -(2**63) <= each < 2**64:
            raise Wrong("value_bigger_than_max", f"{shown(each)} does not fit in 64 bits")
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            stack.extend(each.values())
    return value


def _refuse(spec: InputSpec) -> Convert:
    def refuse(value: Any, asked: Asked) -> Any:
        code = "bad_linked_input" if isinstance(value, list) else "invalid_input_type"
        raise Wrong(code, f"wants a link [node id, output] to a {spec.kind}; found {shown(value)}")

    return refuse


def _one_of(choices: Fixed) -> Convert:
    allowed = frozenset((type(value), value) for value in choices.values)

    def check(value: Any, asked: Asked) -> Any:
        if isinstance(value, str | int | float) and (type(value), value) in allowed:
            return value
        near = asked.suggest.name(value, choices.values)
        message = f"{shown(value)!r} is not among the choices{said(near) or _listed(choices.values, ': ')}"
        raise Wrong(
            "value_not_in_list", message, f"{shown(value)!r} not in {shown(list(choices.values), 500)}",
            allowed=list(choices.values), nearest=near,
        )

    return check


MOST_LISTED = 12


def _listed(values: Sequence[Any], before: str) -> str:
    """The first of what would do, for a message; nothing if nothing would."""
    first = ", ".join(repr(shown(value, 100) if isinstance(value, str) else value) for value in values[:MOST_LISTED])
    return f"{before}{first}{', …' if len(values) > MOST_LISTED else ''}" if values else ""


def _file_in(choices: Files) -> Convert:
    def check(value: Any, asked: Asked) -> Any:
        if isinstance(value, str) and asked.files.find(choices.folder, value) is not None:
            return value
        names = asked.files.list(choices.folder)
        near = asked.suggest.file(value, names)
        code = "custom_validation_failed" if choices.upload else "value_not_in_list"
        rest = said(near) or _listed(names, "; it has ") or ", which is empty"
        message = f"there is no file {shown(value)!r} in the folder {choices.folder}{rest}"
        raise Wrong(code, message, f"{shown(value)!r} not in {choices.folder}", allowed=names[:100], nearest=near)

    return check


def _number(spec: InputSpec) -> Convert:
    kind = int if spec.kind == "INT" else float
    low, high = spec.minimum, spec.maximum

    def check(value: Any, asked: Asked) -> Any:
        number = value if type(value) is kind else _plain(value, kind)
        if kind is float and not math.isfinite(number):
            raise Wrong("invalid_input_type", f"wants a finite number; found {shown(value)}")
        if low is not None and number < low:
            raise Wrong("value_smaller_than_min", f"{shown(value)} is below the smallest allowed, {low}", min=low)
        if high is not None and number > high:
            raise Wrong("value_bigger_than_max", f"{shown(value)} is above the largest allowed, {high}", max=high)
        if kind is int and not -(2**63) <= number < 2**64:
            raise Wrong("value_bigger_than_max", f"{shown(value)} does not fit in 64 bits")
        return number

    return check


def _text(value: Any, asked: Asked) -> str:
    if type(value) is str:
        return value
    return str(_plain(value, str))


def _plain(value: Any, kind: type) -> Any:
    """Convert a plain JSON value as ComfyUI does (``int("7")``), but refuse containers and None."""
    if value is None or isinstance(value, list | dict):
        raise Wrong("invalid_input_type", f"wants a value of type {kind.__name__}; found {shown(value)}")
    try:
        return kind(value)
    except (ValueError, OverflowError) as error:
        raise Wrong("invalid_input_type", f"wants a value of type {kind.__name__}; found {shown(value)}") from error
