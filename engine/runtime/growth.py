"""Expansion: what a node returned becomes tasks of the job, and in the end the node's own outputs.

Ids inside are ``<node>.<call>.<graph>.<n>``, the same on every run, so that what is inside is found in the cache again.
The trace of the expanding node holds its final digests, what the output nodes inside showed, and which nodes inside
depend on the world: if nothing of that has changed, an unchanged graph is not even expanded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from engine.graph.expand import Expand
from engine.graph.graph import GraphNode, branch_by_branch
from engine.graph.node import Ui
from engine.graph.problems import nearest, shown
from engine.graph.workflow import Link, is_link
from engine.runtime.calls import read_results
from engine.runtime.demand import Demand
from engine.runtime.signature import DIGEST_SIZE, derived, digest, encodable, join, token_digest
from engine.runtime.tasks import LAST, At, NodeError, Task, Wire
from engine.runtime.traces import FileStamp, Shown, Trace

MAX_TASKS = 250_000  # in one job; more is a loop that does not end
MAX_WORLD = 1_000  # nodes inside an expansion whose dependence on the world is remembered


def grow(run: Demand, task: Task, results: list[Any]) -> None:
    """Take what a task's calls returned; add the tasks of its expansions. Raises NodeError."""
    try:
        if any(isinstance(each, Expand) for each in results):
            results = [
                _expand(run, task, call, each) if isinstance(each, Expand) else each
                for call, each in enumerate(results)
            ]
        task.made = read_results(task.impl, results)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise NodeError(task, error) from error
    linked = any(isinstance(each, At) for column in task.made.columns for each in column)
    task.expanded = linked or task in run.inner
    if task.expanded:
        run.hold(task)


def _expand(run: Demand, task: Task, call: int, expand: Expand) -> Ui:
    """Add the nodes of one expansion; its results, with ``At`` for links."""
    prefix = f"{task.node.id}.{call}."
    names = {name: name if name.startswith(prefix) else f"{prefix}0.{name}" for name in expand.nodes}
    links: dict[str, dict[str, Link]] = {}
    values: dict[str, dict[str, Any]] = {}
    for name, entry in expand.nodes.items():
        kind = entry.get("class_type")
        impl = run.machine.nodes.get(kind) if isinstance(kind, str) else None
        if impl is None:
            near = nearest(kind, run.machine.nodes)
            raise ValueError(f"it expands to a node of the class {kind!r}, which is not there{near}")
        links[name], values[name] = {}, {}
        for key, value in entry.get("inputs", {}).items():
            declared = key in impl.parameters
            if (link := _link(value, names)) is not None:
                if declared or impl.spec.others:
                    links[name][key] = link
            elif declared or impl.spec.others == "all":
                values[name][key] = value
    ids = {new: name for name, new in names.items()}
    reads = {
        name: [ids[link.node] for link in links[name].values() if link.node in ids] for name in expand.nodes
    }
    order = branch_by_branch(reads.__getitem__, expand.nodes)
    if len(order) < len(reads):
        circle = " ← ".join(list(_circle(reads, set(order)))[:20])
        raise ValueError(f"the graph it made depends on itself in a circle: {circle}")
    if len(run.tasks) + len(order) > MAX_TASKS:
        raise ValueError(f"the job has grown to more than {MAX_TASKS} nodes; does a loop in it never end?")
    known = {link.node for link in task.node.links.values()}
    for name in order:
        for key, link in links[name].items():
            _check(run, link, f"input {key} of the node {name} that it made")
            if link.node not in ids and link.node not in known and not task.impl.sees_graph:
                task.lasting = False  # it reads what is not in its signature
        _add(run, task, names[name], expand.nodes[name], values[name], links[name])
    results = []
    for value in expand.result:
        link = _link(value, names)
        if link is not None:
            _check(run, link, "a result of its expansion")
        results.append(value if link is None else At(link))
    return Ui(expand.ui or {}, result=tuple(results))


def _circle(reads: Mapping[str, Sequence[str]], sound: set[str]) -> list[str]:
    """A circle among nodes of which each reads another that is not sound."""
    path: dict[str, None] = {}
    name = next(each for each in reads if each not in sound)
    while name not in path:
        path[name] = None
        name = next(each for each in reads[name] if each not in sound)
    return [*list(path)[list(path).index(name):], name]


def _link(value: Any, names: Mapping[str, str]) -> Link | None:
    """The link that a value is, with the id that the engine gave."""
    if is_link(value):
        value = Link(value[0], int(value[1]))
    return Link(names.get(value.node, value.node), value.slot) if isinstance(value, Link) else None


def _check(run: Demand, link: Link, place: str) -> None:
    source = run.tasks.get(link.node)
    if source is None:
        raise ValueError(f"{place} is linked to node {link.node!r}, which is not there")
    if not 0 <= link.slot < len(source.impl.spec.outputs):
        count = len(source.impl.spec.outputs)
        raise ValueError(f"{place} is linked to output {link.slot} of node {link.node}, which has {count}")


def _add(
    run: Demand, task: Task, name: str, entry: Mapping[str, Any], values: Mapping[str, Any], links: Mapping[str, Link]
) -> None:
    if name in run.tasks:
        raise ValueError(f"it made two nodes with the id {shown(name)}")
    assert task.signature is not None
    forms: dict[str, Any] = {}
    for key, value in values.items():
        forms[key] = value if encodable(value) else ["value", digest(value) or _form(task.signature, name, task, key)]
    node = GraphNode(name, entry["class_type"], values, links)
    display = entry.get("override_display_id")
    new = Task(
        node, run.machine.nodes[node.class_type], display if isinstance(display, str) else task.display,
        (*task.key[:-1], len(run.inner.get(task, ())), LAST), parent=task, forms=forms,
        plain=all(forms[key] is values[key] for key in forms),
    )
    run.add(new)
    run.inner.setdefault(task, []).append(new)


def _form(signature: bytes, name: str, task: Task, key: str) -> bytes:
    """Stands for a value without a digest that was put into an expansion."""
    place = f"{name.removeprefix(task.node.id)}/{key}".encode()
    return blake2b(b"literal" + signature + place, digest_size=DIGEST_SIZE).digest()


def wires_of(run: Demand, task: Task) -> list[Wire]:
    """The output wires of a task whose results are settled; those that take over other wires are known by digest."""
    assert task.made is not None
    assert task.signature is not None
    wires = []
    for slot, column in enumerate(task.made.columns):
        if not any(isinstance(each, At) for each in column):
            each_digest = [digest(item) or derived(task.signature, slot, index) for index, item in enumerate(column)]
            wires.append(Wire(join(each_digest), tuple(column)))
        elif len(column) == 1:
            wires.append(Wire(run.wire(column[0].link).digest))
        else:
            wires.append(Wire(join([
                run.wire(item.link).digest if isinstance(item, At)
                else join([digest(item) or derived(task.signature, slot, index)])
                for index, item in enumerate(column)
            ])))
    return wires


def trace_of(run: Demand, task: Task) -> tuple[Trace, bool]:
    """What is to be remembered of a task that is settled, and whether it may be looked up again."""
    assert task.made is not None
    assert task.outputs is not None
    files: list[FileStamp] = list(task.made.files)
    inner: list[Shown] = []
    world: list[tuple[GraphNode, bytes]] = []
    lasting = task.lasting
    for each in run.inner.get(task, ()):
        if each.outputs is None or each.trace is None:
            continue
        suffix = each.node.id.removeprefix(task.node.id)
        display = None if each.display == task.display else each.display
        if each.trace.ui is not None:
            inner.append(Shown(suffix, each.node.class_type, display, each.trace.ui))
        inner.extend(
            Shown(suffix + shown.suffix, shown.class_type, shown.display or display, shown.ui)
            for shown in each.trace.inner
        )
        files.extend(each.trace.files)
        world.extend(each.trace.world)
        token = run.tokens.get(each.node.id)
        if token is not None:
            lasting = lasting and each.plain
            world.append((each.node, token_digest(token)))
        lasting = lasting and each.lasting
    digests = tuple(wire.digest for wire in task.outputs)
    trace = Trace(
        digests, task.seconds, task.made.ui, tuple(files), tuple(inner), task.made.blocked, tuple(world)
    )
    return trace, lasting and len(world) <= MAX_WORLD
