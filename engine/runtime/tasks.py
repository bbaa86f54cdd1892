"""The state of a job, declared: its tasks and wires, and what it runs on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from engine.graph.graph import Graph, GraphNode
from engine.graph.node import Cancelled, Node
from engine.graph.workflow import Link
from engine.messages.events import Event
from engine.messages.record import KEY, RunRecord
from engine.runtime.cache import ValueCache
from engine.runtime.lanes import Lanes
from engine.runtime.reasons import NONE, Reason, Recent
from engine.runtime.recipe import Recipe
from engine.runtime.traces import FileStamp, Trace, Traces

__all__ = [
    "At", "CancelToken", "Cancelled", "ContextFactory", "Job", "Machine", "Made", "NodeError", "Sink", "State", "Task",
    "Wire",
]

LAST = 2**62  # in the key of a task, so that what it expands to comes right before it
Sink = Callable[[Event], None]


class CancelToken:
    """Asks a job to stop; looked at between the steps of every node."""

    def __init__(self) -> None:
        self._set = threading.Event()

    def cancel(self) -> None:
        """Ask."""
        self._set.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked."""
        return self._set.is_set()

    def check(self) -> None:
        """Raise Cancelled if it was asked."""
        if self._set.is_set():
            raise Cancelled


class State(StrEnum):
    """Where a task is in its life."""

    IDLE = "idle"
    WAITING = "waiting"  # for the digests of its inputs
    GATHERING = "gathering"  # for the items of its inputs
    ASKING = "asking"  # an async function says which lazy inputs it needs
    READY = "ready"
    RUNNING = "running"
    EXPANDED = "expanded"  # it ran and became a graph; waits for the digests of that
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Wire:
    """One output: its digest, and its items while somebody may still want them."""

    digest: bytes
    items: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class At:
    """Stands in a node's results for the items of a wire of its expansion."""

    link: Link


@dataclass(frozen=True, slots=True)
class Made:
    """What a node's calls returned: the entries of each slot, what it shows, the files, what blockers said."""

    columns: list[list[Any]]
    ui: Mapping[str, Any] | None = None
    files: tuple[FileStamp, ...] = ()
    blocked: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Task:
    """A node of the job, and how far it is.

    key: its place in the order of the job, lexicographic. What a task expands to comes right before it.
    forms: its literals as they are signed; they differ from the literals if those hold more than plain data.

    What few tasks of a large graph have (whom they wait for, what they expanded to) is in tables of the ``Book``.
    """

    node: GraphNode
    impl: Node[..., Any]
    display: str
    key: tuple[int, ...]
    forms: Mapping[str, Any]
    parent: Task | None = None  # whose expansion it is part of
    plain: bool = True  # whether the forms are the literals
    made: Made | None = None
    expanded: bool = False  # its outputs are wires of other tasks, at least in part
    finished: bool = False  # and that was told
    leader: Task | None = None  # an equal task whose result it waits for
    alone: bool = False  # it waits for no equal task any more
    lasting: bool = True  # its trace may be looked up again
    state: State = State.IDLE
    readers: list[Task] = field(default_factory=list)  # once per link
    open_readers: int = 0  # readers that may still want items; a target counts itself until delivered
    demanded: set[str] | None = None  # linked inputs whose items are wanted, when it comes to that
    items_wanted: bool = False
    signature: bytes | None = None
    outputs: list[Wire] | None = None
    trace: Trace | None = None
    why: Reason = NONE
    source: str = ""  # where it was reused from: memory, disk, trace, or an equal node
    closed: bool = False
    seconds: float = 0.0
    memory: Mapping[str, Any] | None = None  # how it used memory: its plan, what was done


class NodeError(Exception):
    """Something of a node's went wrong outside its function."""

    def __init__(self, task: Task, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.task, self.cause = task, cause


class ContextFactory(Protocol):
    """Makes what a running node sees of the engine."""

    def __call__(self, node: GraphNode, display: str, job: Job, tell: Sink) -> Any:
        """A ``Context`` for one node of one job."""


@dataclass(frozen=True)
class Job:
    """What is to be carried out.

    prompt, extra: what goes into the pictures; None leaves it out. recipe: reads both when they are first asked for.
    run: gives the run record, which goes into pictures that carry their graph.
    """

    id: str
    graph: Graph
    prompt: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None
    recipe: Callable[[], Recipe] | None = None
    run: Callable[[], RunRecord] | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    attempt: int = 0
    journal: str | None = None
    previews: str = "none"

    @property
    def has_recipe(self) -> bool:
        """Whether its pictures carry their graph."""
        return self.recipe is not None or self.prompt is not None

    def read_recipe(self, plans: Mapping[str, Mapping[str, Any]]) -> Recipe:
        """What goes into the pictures; ``plans``: by which its nodes used memory so far."""
        prompt, extra = self.recipe() if self.recipe is not None else (self.prompt, self.extra)
        if self.run is None or prompt is None:
            return prompt, extra
        return prompt, {**(extra or {}), KEY: msgspec.to_builtins(replace(self.run(), memory=dict(plans)))}


@dataclass(frozen=True)
class Machine:
    """What jobs run on and what outlives them.

    turn: holds the device for some work of a job. deciding: held by the one job that decides something, so that cache,
    traces and what else outlives jobs is used by one at a time. making: what runs now for some job, by signature, and
    who is told when it is over.
    """

    nodes: Mapping[str, Node[..., Any]]
    cache: ValueCache
    traces: Traces
    lanes: Lanes
    make_context: ContextFactory
    token_of: Callable[[GraphNode, Node[..., Any]], Any]  # what a node depends on outside the graph
    clock: Callable[[], float] = time.time
    recent: Recent = field(default_factory=Recent)
    turn: Callable[[str], AbstractContextManager[None]] = lambda job: nullcontext()
    deciding: threading.Lock = field(default_factory=threading.Lock)
    making: dict[bytes, list[Callable[[], None]]] = field(default_factory=dict)
    free: Callable[[], int] = lambda: 0  # lets go of all that is idle, and gives the bytes
    done: Callable[[Any], Mapping[str, Any]] = lambda context: {}  # with a context; gives how it used memory
    around: Callable[[], AbstractContextManager[Any]] = nullcontext  # wraps what nodes do on their lanes
