"""Arithmetic nodes that count how often they run, and a machine to run them on."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from engine.graph.expand import Expand, Subgraph
from engine.graph.graph import Graph, resolve
from engine.graph.node import LANES, Context, DynPrompt, Lazy, Node, Prompt, RawLink, Ui, UniqueId, node
from engine.graph.types import Blocker
from engine.graph.workflow import Link, read_api
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


@node("Twice", category="test")
def twice(*, a: int) -> int | Expand:
    """a + a, by a node that it makes."""
    runs["Twice"] += 1
    graph = Subgraph()
    return Expand((graph.add("Add", a=a, b=a).out(0),), graph.nodes)


@node("Countdown", category="test")
def countdown(*, a: int, total: int = 0) -> int | Expand:
    """The sum of 1 … a, by making itself again."""
    runs["Countdown"] += 1
    if a <= 0:
        return total
    graph = Subgraph()
    added = graph.add("Add", a=total, b=a)
    return Expand((graph.add("Countdown", a=a - 1, total=added.out(0)).out(0),), graph.nodes)


@node("Report", category="test")
def report(*, a: int) -> int | Expand:
    """a + 1, and two output nodes inside, one of them shown as itself."""
    runs["Report"] += 1
    graph = Subgraph()
    added = graph.add("Add", a=a, b=1)
    graph.add("Show", value=added.out(0))
    graph.nodes["mine"] = {"class_type": "Show", "inputs": {"value": a}, "override_display_id": "elsewhere"}
    return Expand((added.out(0),), graph.nodes)


@node("Worldly", category="test")
def worldly(*, a: int) -> int | Expand:
    runs["Worldly"] += 1
    graph = Subgraph()
    return Expand((graph.add("Add", a=graph.add("World").out(0), b=a).out(0),), graph.nodes)


@node("Various", category="test")
def various(*, a: int) -> int | Expand | Blocker:
    """Each call returns another form."""
    runs["Various"] += 1
    graph = Subgraph()
    forms: list[Any] = [
        lambda: a, lambda: Expand((graph.add("Add", a=a, b=10).out(0),), graph.nodes), lambda: Expand((a + 100,)),
        lambda: Blocker("third"),
    ]
    return forms[a % 4]()


@node("Spread", category="test")
def spread(*, a: int) -> list[int] | Expand:
    graph = Subgraph()
    return Expand((graph.add("Count", upto=a).out(0),), graph.nodes)


@node("Wrap", category="test")
def wrap(*, a: int) -> Opaque | Expand:
    """An object without a digest is put into an expansion."""
    runs["Wrap"] += 1
    graph = Subgraph()
    return Expand((graph.add("Boxed", a=graph.add("Unboxed", box=Opaque(a)).out(0)).out(0),), graph.nodes)


@node("Through", category="test")
def through(*, value: Annotated[Any, RawLink()], times: int) -> int | Expand:
    """Adds what a link leads to, ``times`` times; the link may be a number too."""
    runs["Through"] += 1
    graph = Subgraph()
    link: Any = graph.add("Number", value=0).out(0)
    for _ in range(times):
        link = graph.add("Add", a=link, b=value).out(0)
    return Expand((link,), graph.nodes)


@node("Loop", category="test")
def loop(*, a: int, over: str) -> int | Expand:
    """Reads any node of the job by its name."""
    graph = Subgraph()
    return Expand((graph.add("Add", a=Link(over, 0), b=a).out(0),), graph.nodes)


@node("Again", category="test")
def again(*, a: int) -> int | Expand:
    graph = Subgraph()
    return Expand((graph.add("Again", a=a).out(0),), graph.nodes)


@node("Endless", category="test")
def endless(*, a: int) -> int | Expand:
    graph = Subgraph()
    return Expand((graph.add("Endless", a=a + 1).out(0),), graph.nodes)


@node("Breaks", category="test")
def breaks(*, a: int) -> int | Expand:
    graph = Subgraph()
    return Expand((graph.add("Fail", a=a, message="inside").out(0),), graph.nodes)


@node("Malformed", category="test")
def malformed(*, how: str) -> int | Expand:
    forms: dict[str, Any] = {
        "class": Expand((Link("x", 0),), {"x": {"class_type": "Numbre", "inputs": {}}}),
        "node": Expand((Link("y", 0),), {"x": {"class_type": "Number", "inputs": {}}}),
        "slot": Expand((Link("x", 3),), {"x": {"class_type": "Number", "inputs": {}}}),
        "count": Expand((1, 2), {}),
        "circle": Expand((Link("x", 0),), {
            "x": {"class_type": "Add", "inputs": {"a": ["y", 0], "b": 1}},
            "y": {"class_type": "Add", "inputs": {"a": ["x", 0], "b": 1}},
        }),
    }
    return forms[how]


@node("LaterTwice", category="test")
async def later_twice(*, a: int, seconds: float) -> int | Expand:
    graph = Subgraph()
    first, second = (graph.add("Later", a=a + extra, seconds=seconds) for extra in (0, 100))
    return Expand((graph.add("Add", a=first.out(0), b=second.out(0)).out(0),), graph.nodes)


async def _needs_later(*, flag: int, yes: Any, no: Any) -> Sequence[str]:
    await asyncio.sleep(0.01)
    return _needs(flag=flag, yes=yes, no=no)


@node("IfLater", category="test", lazy=_needs_later)
def choose_later(*, flag: int, yes: Annotated[int, Lazy()], no: Annotated[int, Lazy()]) -> int:
    return yes if flag else no


@node("Collect", category="test")
def collect(*, first: int = 0, **others: Any) -> str:
    return " ".join(f"{name}={others[name]}" for name in sorted(others))


@node("WhoAmI", category="test")
def who_am_i(*, me: UniqueId, graph: DynPrompt, prompt: Prompt) -> str:
    above, top = graph.get_parent_node_id(me), graph.get_real_node_id(me)
    return f"{me} {above} {top} {graph.get_node(me)['class_type']} {sorted(prompt or ())}"


@node("Even", category="test", check=lambda *, a, b: None if a is None or a % 2 == 0 else f"{a} is odd; b is {b}")
def even(*, a: int, b: int) -> int:
    """Checks its own input."""
    return a


@node("Either", category="test")
def either(*, value: int | float) -> str:
    return type(value).__name__


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
    return impl.token(entry.literals, entry.links)


def make_machine(*, budget: int = 10**8, traces: Traces | None = None) -> Machine:
    return Machine(
        nodes=NODES, cache=ValueCache(budget), traces=traces or Traces(), lanes=Lanes(LANES),
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
