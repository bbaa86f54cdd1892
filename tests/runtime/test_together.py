"""Several jobs of one worker at once: what may run beside what, and that nothing is made twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import pytest

from engine.graph.graph import Graph, GraphNode, resolve
from engine.graph.node import Context, Files, node
from engine.graph.workflow import Link, read_api
from engine.messages.events import Failed, Interrupted, Succeeded
from engine.runtime.admission import AT_ONCE, Floor, Needs, jobs_at_once, may_join, needs_of
from engine.runtime.execute import execute
from engine.runtime.tasks import CancelToken, Job
from tests.runtime.toolbox import NODES, NoFiles, make_machine, runs

PATIENCE = 25.0  # seconds, for a loaded machine; reached only if the test fails
begun, let_go = threading.Event(), threading.Event()
fails: list[bool] = []
calls: list[int] = []


@node("Awaited", category="test", lane="io")
def awaited(context: Context, *, a: int) -> int:
    calls.append(a)
    begun.set()
    assert let_go.wait(PATIENCE)
    if fails and fails.pop():
        raise ValueError("this time it fails")
    return a


@node("LoadModel", category="test")
def load_model(*, name: Annotated[str, Files("checkpoints")]) -> int:
    return 1


@node("LoadPicture", category="test")
def load_picture(*, name: Annotated[str, Files("input")]) -> int:
    return 1


@node("OfAPack", category="test", lane="packs")
def of_a_pack() -> int:
    return 1


MORE = {**NODES, **{each.spec.class_type: each for each in (awaited, load_model, load_picture, of_a_pack)}}


@pytest.fixture
def machine() -> Any:
    begun.clear()
    let_go.clear()
    fails.clear()
    calls.clear()
    made = make_machine()
    yield replace(made, nodes=MORE)
    let_go.set()
    made.lanes.close()


class Running:
    """A job on a thread of its own."""

    def __init__(self, machine: Any, workflow: dict[str, Any]) -> None:
        api = {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in workflow.items()}
        graph = resolve(read_api(api), {name: each.spec for name, each in MORE.items()}, NoFiles()).graph
        self.events: list[Any] = []
        self.cancel = CancelToken()
        self.ending: Any = None
        job = Job("job", graph, cancel=self.cancel)
        self.thread = threading.Thread(target=lambda: self.end(execute(job, machine, self.events.append)))
        self.thread.start()

    def end(self, ending: Any) -> None:
        self.ending = ending

    def wait(self) -> Any:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the job waits for ever"
        return self.ending


def workflow(shown: int = 0) -> dict[str, Any]:
    """x ─→ y ─→ z: the second waits, and all jobs have it in common."""
    return {
        "x": ("Number", {"value": 5}), "y": ("Awaited", {"a": ["x", 0]}), "p": ("Number", {"value": shown}),
        "z": ("Add", {"a": ["y", 0], "b": ["p", 0]}), "s": ("Show", {"value": ["z", 0]}),
    }  # fmt: skip


def until(true: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if true():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come to that")


def test_what_one_job_makes_the_others_wait_for(machine: Any) -> None:
    first = Running(machine, workflow(1))
    assert begun.wait(PATIENCE)
    others = [Running(machine, workflow(number)) for number in (2, 3)]
    until(lambda: len(next(iter(machine.making.values()))) == 2)
    let_go.set()
    assert [each.wait().outputs["s"]["text"] for each in (first, *others)] == [[6], [7], [8]]
    assert calls == [5]
    states = [{each.node: each.state for each in one.ending.reports} for one in (first, *others)]
    assert [each["y"] for each in states] == ["ran", "reused", "reused"]
    assert machine.making == {}


def test_if_the_one_that_makes_it_fails_another_does(machine: Any) -> None:
    fails.append(True)
    first = Running(machine, workflow(1))
    assert begun.wait(PATIENCE)
    others = [Running(machine, workflow(number)) for number in (2, 3)]
    until(lambda: len(next(iter(machine.making.values()))) == 2)
    let_go.set()
    assert isinstance(first.wait(), Failed)
    assert [each.wait().outputs["s"]["text"] for each in others] == [[7], [8]]
    assert calls == [5, 5]


def test_a_job_that_waits_for_another_ends_at_once_when_it_is_cancelled(machine: Any) -> None:
    first = Running(machine, workflow(1))
    assert begun.wait(PATIENCE)
    other = Running(machine, workflow(2))
    until(lambda: len(next(iter(machine.making.values()))) == 1)
    other.cancel.cancel()
    assert isinstance(other.wait(), Interrupted)
    let_go.set()
    assert isinstance(first.wait(), Succeeded)
    assert machine.making == {}


def test_jobs_decide_one_at_a_time_and_all_come_out_right(machine: Any) -> None:
    """Forty jobs of two kinds on eight threads: counts and results are those of one after another."""
    let_go.set()
    runs.clear()
    many = [Running(machine, workflow(number % 5)) for number in range(40)]
    assert [each.wait().outputs["s"]["text"] for each in many] == [[5 + number % 5] for number in range(40)]
    assert calls == [5]
    assert runs["Add"] == runs["Show"] == 5


# -- which jobs may run at once ----------------------------------------------------------------------------------


def needs(*entries: tuple[str, dict[str, Any]]) -> Needs:
    parts = [
        GraphNode(
            str(number), kind, {name: each for name, each in inputs.items() if not isinstance(each, Link)},
            {name: each for name, each in inputs.items() if isinstance(each, Link)},
        )
        for number, (kind, inputs) in enumerate(entries)
    ]  # fmt: skip
    return needs_of(Graph(tuple(parts), ()), MORE)


def test_jobs_with_the_same_model_files_run_at_once_and_others_wait() -> None:
    a, b = needs(("LoadModel", {"name": "a"})), needs(("LoadModel", {"name": "b"}))
    picture = needs(("LoadPicture", {"name": "x.png"}), ("Number", {"value": 1}))
    assert a == needs(("LoadModel", {"name": "a"}), ("LoadPicture", {"name": "y.png"}))
    assert picture == Needs()
    assert may_join(a, {1: a}, 2)
    assert not may_join(b, {1: a}, 2)
    assert not may_join(a, {1: a, 2: a}, 2)
    assert may_join(picture, {1: a}, 2)
    assert not may_join(b, {1: picture, 2: a}, 3)


def test_jobs_with_pack_nodes_or_unknown_models_run_alone() -> None:
    alone = needs(("OfAPack", {}))
    assert alone.alone
    assert needs(("LoadModel", {"name": Link("1", 0)})).alone
    for other in (Needs(), alone):
        assert not may_join(alone, {1: other}, 8)
        assert not may_join(other, {1: alone}, 8)
    assert may_join(alone, {}, 8)


def test_a_job_enters_when_there_is_room_for_it() -> None:
    floor = Floor(2)
    floor.enter("a", Needs())
    floor.enter("b", Needs())
    entered = threading.Event()
    thread = threading.Thread(target=lambda: (floor.enter("c", Needs()), entered.set()))
    thread.start()
    assert not entered.wait(0.05)
    floor.set_at_once(3)
    assert entered.wait(PATIENCE)
    assert len(floor) == 3
    for each in "abc":
        floor.leave(each)
    floor.wait_empty()
    thread.join()


def test_how_many_at_once_is_said_by_flag_and_device() -> None:
    assert jobs_at_once(None, "cpu", exact=False) == 1
    assert jobs_at_once(None, "cuda", exact=False) == AT_ONCE
    assert jobs_at_once(3, "cpu", exact=False) == 3
    assert jobs_at_once(3, "cuda", exact=True) == 1
