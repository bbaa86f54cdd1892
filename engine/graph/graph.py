"""From a workflow as written to a graph that can run, or to every problem that keeps it from running.

``resolve`` reads as its own table of contents: know the classes, find the targets, keep what they need, order it,
check each node, drop the targets that stand on broken nodes. Nothing here recurses: a chain may be as long as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from engine.graph.checks import Asked, Check, FileFinder, Wrong, checks_of, untyped
from engine.graph.node import NodeSpec
from engine.graph.problems import Problem, Suggestions, WorkflowError
from engine.graph.workflow import Link, Workflow, WorkflowNode

ABSENT = object()


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
    dangling: list[tuple[str, str, Link]] = []

    def sources(name: str) -> list[str]:
        found = reads[name] = []
        for key, value in nodes[name].inputs.items():
            if type(value) is Link:
                if value.node in nodes:
                    found.append(value.node)
                else:
                    dangling.append((name, key, value))
        return found

    order = branch_by_branch(sources, targets)
    if len(order) == len(reads):
        suggest = Suggestions()
        return order, [_dangling(*each, nodes, suggest) for each in dangling]
    cycle = _cycle(nodes, set(reads).difference(order))
    path = " → ".join([*cycle[:20], *(["…"] if len(cycle) > 20 else []), cycle[0]])
    raise WorkflowError([
        Problem("dependency_cycle", f"the nodes depend on each other in a circle: {path}", cycle[0], details=path)
    ])


def _dangling(
    name: str, key: str, link: Link, nodes: Mapping[str, WorkflowNode], suggest: Suggestions
) -> Problem:
    return Problem(
        "bad_linked_input",
        f"is linked to node {link.node!r}, which is not in the workflow{suggest(link.node, nodes)}",
        name, key, nodes[name].class_type, f"{key}, linked to {link.node}",
        {"input_name": key, "linked_node": [link.node, link.slot]},
    )


def branch_by_branch(reads: Callable[[str], Sequence[str]], targets: Iterable[str]) -> list[str]:
    """The targets and all that they read, each after what it reads, a branch to its end before the next is begun.

    reads: what a node reads; asked once for each.

    So a picture is there before the next one is thought of, and little is held at once. If there is a circle, what
    stands on it is left out. Iterative.

    >>> branch_by_branch({"sum": ["a", "b"], "a": ["x"], "b": ["y"], "x": [], "y": []}.__getitem__, ["sum"])
    ['x', 'a', 'y', 'b', 'sum']
    """
    order: dict[str, None] = {}
    entered: dict[str, Sequence[str]] = {}
    stack = list(targets)[::-1]
    while stack:
        name = stack[-1]
        if name in order:
            stack.pop()
        elif name not in entered:
            sources = entered[name] = reads(name)
            before = len(stack)
            stack.extend([each for each in reversed(sources) if each not in entered])
            if len(stack) == before and all(map(order.__contains__, sources)):
                stack.pop()  # all that it reads is there, as it is for most
                order[name] = None
        else:
            stack.pop()
            if all(map(order.__contains__, entered[name])):
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
    fitting: set[tuple[Check, str, int]] = set()  # inputs, and the outputs that were found to fit them
    for name in order:
        written = nodes[name]
        class_type, given = written.class_type, written.inputs
        spec = specs[class_type]
        literals: dict[str, Any] = {}
        links: dict[str, Link] = {}
        for check in checks_of(spec):
            value = given.get(check.name, ABSENT)
            problem = None
            if type(value) is Link:
                source = nodes.get(value.node)
                if source is None:
                    continue  # reported with the order
                fit = (check, source.class_type, value.slot)
                if fit not in fitting:
                    problem = check.link(name, value, specs[source.class_type])
                if problem is None:
                    fitting.add(fit)
                    links[check.name] = value
            elif value is not ABSENT:
                try:
                    literals[check.name] = check.convert(value, asked)
                except Wrong as wrong:
                    problem = check.wrong(name, value, wrong)
            elif check.required:
                problem = check.missing(name)
            if problem is not None:
                problems.append(problem)
        if spec.others:
            problems.extend(_take_others(name, written, nodes, specs, literals, links))
        checked[name] = GraphNode(name, class_type, literals, links)
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
                literals[key] = untyped(value)
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
