"""The tasks of a job: how they are added, who may still want their values, and what they are called with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from engine.graph.graph import GraphNode
from engine.graph.plan import recipe_key
from engine.graph.workflow import Link
from engine.runtime.calls import arguments_of_calls
from engine.runtime.tasks import LAST, At, Job, Machine, NodeError, State, Task, Wire


class Book:
    """All tasks of one job, and the steps that are to be done. Used on one thread."""

    def __init__(self, job: Job, machine: Machine) -> None:
        self.job = job
        self.machine = machine
        self.tasks: dict[str, Task] = {}
        self.keys: dict[str, bytes] = {}  # recipe keys, as far as they were asked for
        self.tokens: dict[str, Any] = {}  # what tasks depend on outside the graph
        self.due: set[str] = set()  # what the job is for
        self.targets: dict[str, None] = {}  # of those, what is not delivered yet
        self.plans: dict[str, Mapping[str, Any]] = {}  # by which nodes that ran used memory
        self.stack: list[tuple[Callable[[Task], None], Task]] = []
        self.waits: dict[Task, set[Task]] = {}  # whose digests (waiting) or items (gathering) a task awaits; never none
        self.digest_waiters: dict[Task, list[Task]] = {}
        self.item_waiters: dict[Task, list[Task]] = {}
        self.inner: dict[Task, list[Task]] = {}  # what a task expanded to
        self.held: dict[Task, list[Task]] = {}  # of that, what its outputs are made of, and what shows something

    def add(self, task: Task) -> None:
        """Add a task whose sources are there already."""
        node = task.node
        self.tasks[node.id] = task
        try:
            token = self.machine.token_of(node, task.impl)
        except Exception as error:
            raise NodeError(task, error) from error
        if token is not None:
            self.tokens[node.id] = _unequal(token)
        for link in node.links.values():
            source = self.tasks[link.node]
            source.readers.append(task)
            source.open_readers += 1

    def recipe(self, name: str) -> bytes:
        """The recipe key of a node, made when it is first asked for, with those of all that it reads. Iterative."""
        stack = [name]
        while stack:
            task = self.tasks[stack[-1]]
            missing = [link.node for link in task.node.links.values() if link.node not in self.keys]
            if missing:
                stack.extend(missing)
                continue
            node = task.node
            signed = node if task.plain else GraphNode(node.id, node.class_type, task.forms, node.links)
            self.keys[node.id] = recipe_key(signed, task.impl.spec, self.keys, self.tokens.get(node.id))
            stack.pop()
        return self.keys[name]

    def add_graph(self, nodes: Sequence[GraphNode], targets: Iterable[str]) -> None:
        """Add the job's graph, whose nodes come after those they read, and make its targets due."""
        for index, node in enumerate(nodes):
            impl = self.machine.nodes[node.class_type]
            self.add(Task(node, impl, node.id, (index, LAST), forms=node.literals))
        for name in targets:
            self.due.add(name)
            self.targets[name] = None
            self.tasks[name].open_readers += 1

    def push(self, step: Callable[[Task], None], task: Task) -> None:
        """Have a step done soon."""
        self.stack.append((step, task))

    def settle(self) -> None:
        """Do every step that needs no waiting."""
        while self.stack:
            step, task = self.stack.pop()
            step(task)

    # -- closing: who may still want what ------------------------------------------------------------------------

    def sources(self, task: Task) -> list[Task]:
        """What the outputs of an expanded task are made of, and what shows something inside."""
        assert task.made is not None
        links = [each.link for column in task.made.columns for each in column if isinstance(each, At)]
        shown = [each for each in self.inner.get(task, ()) if each.impl.spec.output_node]
        return [*(self.tasks[link.node] for link in links), *shown]

    def hold(self, task: Task) -> None:
        """Keep the sources of an expanded task from being released while it may take their values over."""
        held = self.held.setdefault(task, [])
        for source in self.sources(task):
            held.append(source)
            source.open_readers += 1
            source.readers.append(task)

    def let_go(self, task: Task) -> None:
        """An expanded task needs its sources no more."""
        held = self.held.pop(task, ())
        for source in held:
            source.open_readers -= 1
        for source in (*held, *self.inner.get(task, ())):
            self.try_close(source)

    def open_again(self, task: Task) -> None:
        """A task that was closed may want its inputs after all."""
        if task.closed:
            task.closed = False
            for link in task.node.links.values():
                self.tasks[link.node].open_readers += 1

    def dissolve(self) -> None:
        """The job is over: undo the circles among the tasks, so that they go at once, not with the next collection."""
        for task in self.tasks.values():
            task.parent = task.leader = None
            task.readers.clear()

    def try_close(self, task: Task) -> None:
        """Release what nobody can want any more.

        A task is closed when it will never need its inputs again: it has run, or it is known by digest (or was
        never asked for) and all its readers are closed. A wire whose readers are all closed lets go of its items.
        """
        stack = [task]
        while stack:
            each = stack.pop()
            if each.open_readers == 0 and each.outputs is not None:
                for wire in each.outputs:
                    wire.items = None
                if held := self.held.pop(each, None):
                    for source in held:
                        source.open_readers -= 1
                    stack.extend((*held, *self.inner.get(each, ())))
            at_rest = each.state in (State.REUSED, State.IDLE) and each.open_readers == 0
            if each.closed or not (each.state in (State.DONE, State.EXPANDED) or at_rest):
                continue
            each.closed = True
            for link in each.node.links.values():
                source = self.tasks[link.node]
                source.open_readers -= 1
                if source.open_readers == 0:
                    stack.append(source)

    # -- values -------------------------------------------------------------------------------------------------

    def wire(self, link: Link) -> Wire:
        """A settled wire."""
        outputs = self.tasks[link.node].outputs
        assert outputs is not None
        return outputs[link.slot]

    def demanded(self, task: Task) -> set[str]:
        """The linked inputs of a task whose items are wanted: at first all but lazy ones."""
        if task.demanded is None:
            task.demanded = set(task.node.links).difference(task.impl.deferred)
        return task.demanded

    def calls(self, task: Task) -> list[dict[str, Any]]:
        """The keyword arguments of each call; lazy inputs that are not evaluated are None."""
        items: dict[str, tuple[Any, ...]] = {}
        demanded, raw = self.demanded(task), task.impl.raw
        for name, link in task.node.links.items():
            if name in raw:
                items[name] = (link,)
            elif name in demanded:
                wire = self.wire(link)
                assert wire.items is not None, f"input {name} of node {task.node.id} was released too early"
                items[name] = wire.items
        hidden = {name: self._hidden(task, kind) for name, kind in task.impl.spec.hidden.items()}
        return arguments_of_calls(task.impl, items, task.node.literals, hidden)

    def _hidden(self, task: Task, kind: str) -> Any:
        match kind:
            case "PROMPT":
                return self.job.read_recipe(self.plans)[0]
            case "EXTRA_PNGINFO":
                return self.job.read_recipe(self.plans)[1]
            case "UNIQUE_ID":
                return task.node.id
            case "DYNPROMPT":
                return GraphView(self.tasks)
        return None


class GraphView:
    """The graph that is run, expansions included, as a node with the hidden input DYNPROMPT sees it."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks

    def has_node(self, node_id: str) -> bool:
        """Whether there is such a node."""
        return node_id in self._tasks

    def node(self, node_id: str) -> GraphNode:
        """A node as the engine has it, where values and links cannot be taken for each other. Raises KeyError."""
        return self._tasks[node_id].node

    def get_node(self, node_id: str) -> dict[str, Any]:
        """A node in the API form. Raises KeyError that names it."""
        if node_id not in self._tasks:
            raise KeyError(f"there is no node {node_id!r} in the graph that is run")
        node = self._tasks[node_id].node
        links = {name: [link.node, link.slot] for name, link in node.links.items()}
        return {"class_type": node.class_type, "inputs": {**node.literals, **links}}

    def all_node_ids(self) -> set[str]:
        """The ids of all nodes so far."""
        return set(self._tasks)

    def get_parent_node_id(self, node_id: str) -> str | None:
        """The node whose expansion a node is part of."""
        parent = self._tasks[node_id].parent
        return parent.node.id if parent else None

    def get_real_node_id(self, node_id: str) -> str:
        """The user's node at the top of the expansions that a node is part of."""
        task = self._tasks[node_id]
        while task.parent is not None:
            task = task.parent
        return task.node.id

    def get_display_node_id(self, node_id: str) -> str:
        """The node that a node is shown as."""
        return self._tasks[node_id].display

    def get_original_prompt(self) -> dict[str, Any]:
        """The graph before any expansion."""
        return {name: self.get_node(name) for name, task in list(self._tasks.items()) if task.parent is None}


_TIMES = count()  # two nodes may ask within one tick of the clock


def _unequal(token: Any) -> Any:
    """A token that is NaN equals nothing, itself included: the node runs each time."""
    if isinstance(token, float) and math.isnan(token):
        return ("never equal", f"{time.time_ns()} {next(_TIMES)}")
    return token
