"""Arithmetic nodes that count how often they run, and a machine to run them on."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from engine.graph.graph import Graph, resolve
from engine.graph.node import Context, Lazy, Node, Ui, node
from engine.graph.types import Blocker
from engine.graph.workflow import read_api
from engine.messages.events import Event, Failed, Interrupted, NodeStarted, Succeeded
from engine.runtime.cache import ValueCache
from engine.runtime.execute import execute
from engine.runtime.lanes import Lanes
from engine.runtime.tasks import Job, Machine
from engine.runtime.traces import Traces

runs: Counter[str] = Counter()
gate = threading.Event()
together: dict[str, Any] = {"now": 0, "most": 0}
draws = itertools.count()
outside: dict[str, Any] = {"value": 0}


class Opaque:
    """A value without a digest of its own."""

    socket = "OPAQUE"

    def __init__(self, value: int) -> None:
        self.value = value


class Pair(NamedTuple):
    first: int
    second: int


@node("Number", category="test")
def number(*, value: int = 0) -> int:
    runs["Number"] += 1
    return value


@node("Add", category="test")
def add(*, a: int, b: int) -> int:
    runs["Add"] += 1
    return a + b


@node("Parity", category="test")
def parity(*, a: int) -> int:
    runs["Parity"] += 1
    return a % 2


@node("Split", category="test")
def split(*, a: int) -> Pair:
    return Pair(a // 10, a % 10)


@node("Boxed", category="test")
def boxed(*, a: int) -> Opaque:
    runs["Boxed"] += 1
    return Opaque(a)


@node("Unboxed", category="test")
def unboxed(*, box: Opaque) -> int:
    runs["Unboxed"] += 1
    return box.value


@node("Show", category="test")
def show(*, value: Any) -> Ui:
    runs["Show"] += 1
    return Ui({"text": [value]})


@node("Write", category="test")
def write(context: Context, *, value: int, path: str) -> Ui:
    from pathlib import Path

    runs["Write"] += 1
    Path(path).write_text(str(value))
    return Ui({"text": [value]}, files=(Path(path),))


@node("Fail", category="test")
def fail(*, a: int, message: str) -> int:
    raise ValueError(message)


@node("Leave", category="test")
def leave(*, a: int) -> int:
    raise SystemExit(3)


@node("Count", category="test")
def count_up(*, upto: int) -> list[int]:
    runs["Count"] += 1
    return list(range(upto))


@node("Sum", category="test")
def total(*, values: list[int]) -> int:
    runs["Sum"] += 1
    return sum(values)


@node("Draw", category="test", changed=lambda **_: float("nan"))
def draw() -> int:
    runs["Draw"] += 1
    return next(draws)


@node("Random", category="test")
def random_number(*, a: int) -> int:
    """Makes another value each time, without saying so."""
    runs["Random"] += 1
    return next(draws)


@node("World", category="test", changed=lambda **_: outside["value"])
def world() -> int:
    runs["World"] += 1
    return int(outside["value"])


def _needs(*, flag: int, yes: Any, no: Any) -> Sequence[str]:
    return [name for name, value in (("yes", yes), ("no", no)) if value is None and (name == "yes") == bool(flag)]


@node("If", category="test", lazy=_needs)
def choose(*, flag: int, yes: Annotated[int, Lazy()], no: Annotated[int, Lazy()]) -> int:
    runs["If"] += 1
    return yes if flag else no


@node("Block", category="test")
def block(*, a: int, message: str) -> int:
    return Blocker(message or None) if a % 2 else a  # type: ignore[return-value]


@node("Slow", category="test")
def slow(context: Context, *, a: int, steps: int) -> int:
    runs["Slow"] += 1
    for step in range(steps):
        context.progress(step + 1, steps)
        gate.set()
        time.sleep(0.005)
    return a


@node("Later", category="test")
async def later(*, a: int, seconds: float) -> int:
    together["now"] += 1
    together["most"] = max(together["most"], together["now"])
    await asyncio.sleep(seconds)
    together["now"] -= 1
    return a


@node("OnDevice", category="test", lane="device")
def on_device(*, a: int) -> str:
    return threading.current_thread().name


@node("Wrong", category="test")
def wrong(*, a: int) -> Pair:
    return (1, 2, 3)  # type: ignore[return-value]


NODES: dict[str, Node[..., Any]] = {
    each.spec.class_type: each for each in list(globals().values()) if isinstance(each, Node)
}
SPECS = {name: each.spec for name, each in NODES.items()}


class NoFiles:
    def find(self, folder: str, name: str) -> None:
        return None

    def list(self, folder: str) -> list[str]:
        return []


class PlainContext:
    """Progress and nothing else."""

    def __init__(self, job: Job, tell: Callable[[Event], None], node_id: str, display: str) -> None:
        from engine.messages.events import NodeProgress

        self.job, self.tell, self.node_id, self.display = job, tell, node_id, display
        self.event = NodeProgress

    def progress(self, value: float, total: float, preview: object = None) -> None:
        self.job.cancel.check()
        self.tell(self.event(self.node_id, self.display, value, total))


def token_of(entry: Any, impl: Node[..., Any]) -> Any:
    return impl.changed(**entry.literals) if impl.changed else None


def make_machine(*, budget: int = 10**8, traces: Traces | None = None) -> Machine:
    return Machine(
        nodes=NODES, cache=ValueCache(budget), traces=traces or Traces(), lanes=Lanes(("device", "cpu", "io")),
        make_context=lambda entry, display, job, tell: PlainContext(job, tell, entry.id, display), token_of=token_of,
    )


def graph_of(workflow: Mapping[str, Any]) -> Graph:
    """Short form: id → (class, inputs)."""
    api = {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in workflow.items()}
    return resolve(read_api(api), SPECS, NoFiles()).graph


def run(
    machine: Machine, workflow: Mapping[str, Any], job: Job | None = None
) -> tuple[Succeeded | Failed | Interrupted, list[Event]]:
    events: list[Event] = []
    ending = execute(job or Job("job", graph_of(workflow)), machine, events.append)
    return ending, events


def started(events: Sequence[Event]) -> list[str]:
    return [each.node for each in events if isinstance(each, NodeStarted)]
