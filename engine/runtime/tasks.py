"""The state of a job, declared: its tasks and wires, and what it runs on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from engine.graph.graph import Graph, GraphNode
from engine.graph.node import Node
from engine.messages.events import Event
from engine.runtime.cache import ValueCache
from engine.runtime.lanes import Lanes
from engine.runtime.traces import Trace, Traces

Sink = Callable[[Event], None]


class Cancelled(Exception):  # noqa: N818 - it is no error
    """The job was cancelled; raised in a node's thread from ``context.progress``."""


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
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Wire:
    """One output: its digest, and its items while somebody may still want them."""

    digest: bytes
    items: tuple[Any, ...] | None = None


@dataclass(slots=True, eq=False)
class Task:
    """A node of the job, and how far it is."""

    node: GraphNode
    impl: Node[..., Any]
    display: str
    position: int
    state: State = State.IDLE
    readers: list[Task] = field(default_factory=list)  # once per link
    open_readers: int = 0  # readers that may still want items; a target counts itself until delivered
    demanded: set[str] = field(default_factory=set)  # linked inputs that are wanted
    waiting_for: set[Task] = field(default_factory=set)  # whose digests (waiting) or items (gathering) are awaited
    digest_waiters: list[Task] = field(default_factory=list)
    item_waiters: list[Task] = field(default_factory=list)
    items_wanted: bool = False
    signature: bytes | None = None
    outputs: list[Wire] | None = None
    trace: Trace | None = None
    why: str = ""
    closed: bool = False
    seconds: float = 0.0


class ContextFactory(Protocol):
    """Makes what a running node sees of the engine."""

    def __call__(self, node: GraphNode, display: str, job: Job, tell: Sink) -> Any:
        """A ``Context`` for one node of one job."""


@dataclass(frozen=True)
class Job:
    """What is to be carried out. ``prompt`` and ``extra`` go into the pictures; None leaves them out."""

    id: str
    graph: Graph
    prompt: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    attempt: int = 0
    journal: str | None = None
    previews: str = "none"


@dataclass(frozen=True)
class Machine:
    """What jobs run on and what outlives them."""

    nodes: Mapping[str, Node[..., Any]]
    cache: ValueCache
    traces: Traces
    lanes: Lanes
    make_context: ContextFactory
    token_of: Callable[[GraphNode, Node[..., Any]], Any]  # what a node depends on outside the graph
    clock: Callable[[], float] = time.time
