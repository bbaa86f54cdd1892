"""Lanes: what runs at the same time, told by meeting points and events, never by the clock."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.graph.graph import resolve
from engine.graph.node import Context, node
from engine.graph.registry import Registry
from engine.graph.workflow import read_api
from engine.messages.events import NodeFinished, NodeStarted, Succeeded
from engine.runtime import execute as module
from engine.runtime.cache import ValueCache
from engine.runtime.execute import execute
from engine.runtime.tasks import Job
from tests.runtime.toolbox import NODES, NoFiles, Opaque, make_machine, run

PATIENCE = 25.0  # seconds, for a loaded machine; reached only if the test fails
meeting = threading.Barrier(3)
let_go, entered = threading.Event(), threading.Event()


@node("ByNumpy", category="test")
def by_numpy(*, a: int) -> int:
    found = int(np.sum(np.arange(200_000) % 7))
    meeting.wait(PATIENCE)
    return a + found


@node("ByWaiting", category="test")
def by_waiting(*, a: int) -> int:
    meeting.wait(PATIENCE)
    return a


@node("ByDevice", category="test", lane="device")
def by_device(*, a: int) -> int:
    meeting.wait(PATIENCE)
    return a


@node("Large", category="test", lane="device")
def large(*, a: int) -> Opaque:
    return Opaque(a)


@node("Smaller", category="test", lane="device")
def smaller(*, box: Opaque) -> int:
    return box.value


@node("Held", category="test", lane="io")
def held(context: Context, *, a: int) -> int:
    entered.set()
    assert let_go.wait(PATIENCE)
    return a


@pytest.fixture
def machine() -> Any:
    meeting.reset()
    let_go.clear()
    entered.clear()
    made = make_machine()
    added = (by_numpy, by_waiting, by_device, large, smaller, held)
    more = Registry({each.spec.class_type: each for each in added}).nodes
    yield replace(made, nodes={**NODES, **more})
    let_go.set()
    made.lanes.close()


def graph_of(machine: Any, workflow: dict[str, Any]) -> Any:
    api = {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in workflow.items()}
    return resolve(read_api(api), {name: each.spec for name, each in machine.nodes.items()}, NoFiles()).graph


def test_two_cpu_branches_run_beside_each_other_and_beside_a_device_node(machine: Any) -> None:
    """Each waits for the two others inside its function: if one had to wait for another's end, none would."""
    graph = graph_of(machine, {
        "x": ("ByNumpy", {"a": 1}), "y": ("ByWaiting", {"a": 2}), "z": ("ByDevice", {"a": 3}),
        "p": ("Show", {"value": ["x", 0]}), "q": ("Show", {"value": ["y", 0]}), "r": ("Show", {"value": ["z", 0]}),
    })
    events: list[Any] = []
    ending = execute(Job("job", graph), machine, events.append)
    assert isinstance(ending, Succeeded), ending
    kinds = [(type(each), each.node) for each in events if isinstance(each, NodeStarted | NodeFinished)]
    starts = [kinds.index((NodeStarted, name)) for name in "xyz"]
    ends = [kinds.index((NodeFinished, name)) for name in "xyz"]
    assert max(starts) < min(ends)


def test_after_a_fault_of_the_engine_nothing_of_the_job_runs_any_more(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(machine, {
        "h": ("Held", {"a": 1}), "n": ("Number", {"value": 1}), "p": ("Show", {"value": ["h", 0]}),
        "q": ("Show", {"value": ["n", 0]}),
    })

    def broken(*given: Any) -> None:
        assert entered.wait(PATIENCE)
        threading.Timer(0.05, let_go.set).start()
        raise RuntimeError("a fault of the engine")

    job = Job("job", graph)
    with monkeypatch.context() as patched:
        patched.setattr(module, "grow", broken)
        with pytest.raises(RuntimeError, match="a fault of the engine"):
            execute(job, machine, lambda event: None)
    assert let_go.is_set() and job.cancel.cancelled, "it was asked to stop and waited for"
    assert run(machine, {"n": ("Number", {"value": 7}), "o": ("Show", {"value": ["n", 0]})})[0].outputs == {
        "o": {"text": [7]}
    }


def test_packs_run_one_after_another_and_files_are_numbered_in_one_order(machine: Any) -> None:
    assert machine.lanes.capacity["packs"] == machine.lanes.capacity["io"] == machine.lanes.capacity["device"] == 1
    assert machine.lanes.capacity["cpu"] >= 2


@pytest.mark.parametrize("together", [True, False])
def test_what_is_ready_is_ordered_so_that_little_is_held_at_once(machine: Any, together: bool) -> None:
    """Eight branches Large → Smaller into a sum: each is finished before the next is begun, however it is written."""
    branches = range(8)
    workflow: dict[str, Any] = {f"l{each}": ("Large", {"a": each}) for each in branches}
    workflow |= {f"s{each}": ("Smaller", {"box": [f"l{each}", 0]}) for each in branches}
    if together:  # one after the other, or all that is large first
        workflow = {name: workflow[name] for each in branches for name in (f"l{each}", f"s{each}")}
    total: Any = 0
    for each in branches:
        workflow[f"t{each}"] = ("Add", {"a": total, "b": [f"s{each}", 0]})
        total = [f"t{each}", 0]
    workflow["out"] = ("Show", {"value": total})
    machine = replace(machine, cache=ValueCache(0))
    most = 0

    def look(event: Any) -> None:
        nonlocal most
        wires = [wire for task in execution.tasks.values() for wire in task.outputs or ()]
        most = max(most, sum(isinstance(item, Opaque) for wire in wires for item in wire.items or ()))

    execution = module._Execution(Job("job", graph_of(machine, workflow)), machine, look)
    assert execution.run().outputs == {"out": {"text": [28]}}
    assert most == 1


def test_a_chain_of_small_nodes_stays_on_the_thread_of_its_lane(machine: Any) -> None:
    """Whoever has run a node goes on with the next: no other thread is told, and a pack's nodes are always on one."""
    seen: list[str] = []

    @node("Where", category="test", lane="packs")
    def where(*, a: int) -> int:
        seen.append(threading.current_thread().name)
        return a + 1

    submitted: list[str] = []
    submit = machine.lanes.submit
    machine.lanes.submit = lambda lane, work: (submitted.append(lane), submit(lane, work))
    machine = replace(machine, nodes={**machine.nodes, "Where": where})
    chain: dict[str, Any] = {"0": ("Number", {"value": 0})}
    for index in range(1, 21):
        chain[str(index)] = ("Where", {"a": [str(index - 1), 0]})
    ending = execute(Job("job", graph_of(machine, {**chain, "o": ("Show", {"value": ["20", 0]})})), machine, [].append)
    assert isinstance(ending, Succeeded), ending
    assert ending.outputs == {"o": {"text": [20]}}
    assert seen == ["lane-packs"] * 20
    assert submitted == ["packs", "cpu"], "the number runs on the caller's thread"
