"""The executor: what runs, what is reused, what is told, and what happens when things go wrong."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.messages.events import (
    Cached,
    Failed,
    Interrupted,
    NodeBlocked,
    NodeFinished,
    NodeShown,
    NodeStarted,
    Started,
    Succeeded,
)
from engine.runtime.calls import said
from engine.runtime.execute import execute
from engine.runtime.tasks import CancelToken, Job
from engine.runtime.traces import Traces
from tests.runtime.toolbox import draws, gate, graph_of, make_machine, outside, run, runs, started, together


@pytest.fixture(autouse=True)
def fresh() -> None:
    runs.clear()
    gate.clear()
    together.update(now=0, most=0)


@pytest.fixture
def machine() -> Any:
    made = make_machine()
    yield made
    made.lanes.close()


DIAMOND = {
    "a": ("Number", {"value": 3}),
    "b": ("Add", {"a": ["a", 0], "b": 1}),
    "c": ("Add", {"a": ["a", 0], "b": 2}),
    "d": ("Add", {"a": ["b", 0], "b": ["c", 0]}),
    "out": ("Show", {"value": ["d", 0]}),
}


def test_a_diamond_runs_each_node_once_and_delivers(machine: Any) -> None:
    ending, events = run(machine, DIAMOND)
    assert isinstance(ending, Succeeded)
    assert ending.outputs == {"out": {"text": [9]}}
    assert sorted(started(events)) == ["a", "b", "c", "d", "out"]
    assert runs == {"Number": 1, "Add": 3, "Show": 1}


def test_events_come_in_the_protocols_order(machine: Any) -> None:
    _, events = run(machine, {"a": ("Number", {"value": 1}), "out": ("Show", {"value": ["a", 0]})})
    assert [type(each) for each in events] == [
        Started, Cached, NodeStarted, NodeFinished, NodeStarted, NodeShown, NodeFinished, Succeeded,
    ]


def test_an_unchanged_graph_runs_nothing_whatever_its_ids_and_order(machine: Any) -> None:
    run(machine, DIAMOND)
    renamed = {
        f"x{name}": (kind, {key: [f"x{at[0]}", 0] if isinstance(at, list) else at for key, at in inputs.items()})
        for name, (kind, inputs) in reversed(DIAMOND.items())
    }
    runs.clear()
    ending, events = run(machine, renamed)
    assert ending.outputs == {"xout": {"text": [9]}}
    assert not runs
    cached = next(each for each in events if isinstance(each, Cached))
    assert set(cached.nodes) == set(renamed)
    assert [each.node for each in events if isinstance(each, NodeShown)] == ["xout"]


def test_a_change_reruns_only_what_depends_on_it(machine: Any) -> None:
    run(machine, DIAMOND)
    runs.clear()
    _, events = run(machine, {**DIAMOND, "c": ("Add", {"a": ["a", 0], "b": 5})})
    assert started(events) == ["c", "d", "out"]


def test_a_rerun_that_makes_the_same_value_stops_the_change(machine: Any) -> None:
    """Number → Parity → Add → Show: 3 and 5 have the same parity."""
    chain = {
        "n": ("Number", {"value": 3}), "p": ("Parity", {"a": ["n", 0]}), "s": ("Add", {"a": ["p", 0], "b": 1}),
        "out": ("Show", {"value": ["s", 0]}),
    }
    run(machine, chain)
    _, events = run(machine, {**chain, "n": ("Number", {"value": 5})})
    assert started(events) == ["n", "p"]


def test_a_value_without_digest_is_reused_by_how_it_was_made(machine: Any) -> None:
    chain = {
        "n": ("Number", {"value": 3}), "b": ("Boxed", {"a": ["n", 0]}), "u": ("Unboxed", {"box": ["b", 0]}),
        "out": ("Show", {"value": ["u", 0]}),
    }
    run(machine, chain)
    runs.clear()
    run(machine, chain)
    assert not runs
    run(machine, {**chain, "n": ("Number", {"value": 4})})
    assert runs == {"Number": 1, "Boxed": 1, "Unboxed": 1, "Show": 1}


def test_without_memory_the_traces_still_save_the_work(tmp_path: Path) -> None:
    traces = Traces(tmp_path / "traces.db")
    machine = make_machine(budget=0, traces=traces)
    run(machine, DIAMOND)
    traces.close()
    machine.lanes.close()
    runs.clear()
    again = make_machine(budget=0, traces=Traces(tmp_path / "traces.db"))
    ending, _ = run(again, DIAMOND)
    assert not runs
    assert ending.outputs == {"out": {"text": [9]}}
    _, events = run(again, {**DIAMOND, "more": ("Show", {"value": ["b", 0]})})
    assert started(events) == ["a", "b", "more"], "only what the new output needs is made again"
    again.lanes.close()


def test_a_missing_file_makes_its_output_node_run_again(machine: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    workflow = {"n": ("Number", {"value": 3}), "w": ("Write", {"value": ["n", 0], "path": str(path)})}
    run(machine, workflow)
    run(machine, workflow)
    assert runs["Write"] == 1
    path.unlink()
    ending, events = run(machine, workflow)
    assert started(events) == ["w"]
    assert path.exists()
    assert "gone" in next(each.why for each in ending.reports if each.node == "w")


def test_equal_nodes_are_made_once_and_both_deliver(machine: Any) -> None:
    workflow = {
        "a": ("Number", {"value": 1}), "b": ("Number", {"value": 1}),
        "x": ("Show", {"value": ["a", 0]}), "y": ("Show", {"value": ["b", 0]}),
    }
    ending, _ = run(machine, workflow)
    assert ending.outputs == {"x": {"text": [1]}, "y": {"text": [1]}}
    assert runs == {"Number": 1, "Show": 1}


def test_a_node_that_depends_on_the_world_runs_when_the_world_changes(machine: Any) -> None:
    workflow = {"w": ("World", {}), "out": ("Show", {"value": ["w", 0]})}
    outside["value"] = 1
    run(machine, workflow)
    run(machine, workflow)
    assert runs["World"] == 1
    outside["value"] = 2
    ending, _ = run(machine, workflow)
    assert ending.outputs["out"] == {"text": [2]}


def test_a_token_that_is_nan_means_run_each_time(machine: Any) -> None:
    workflow = {"d": ("Draw", {}), "out": ("Show", {"value": ["d", 0]})}
    first, _ = run(machine, workflow)
    second, _ = run(machine, workflow)
    assert first.outputs != second.outputs


def test_a_value_that_comes_out_different_is_decided_again_below() -> None:
    """Random → Add → Show, with no memory: making Random again for a new reader invalidates what stood on it."""
    machine = make_machine(budget=0)
    workflow = {
        "n": ("Number", {"value": 1}), "r": ("Random", {"a": ["n", 0]}), "s": ("Add", {"a": ["r", 0], "b": 0}),
        "out": ("Show", {"value": ["s", 0]}),
    }
    run(machine, workflow)
    ending, _ = run(machine, {**workflow, "other": ("Show", {"value": ["r", 0]}), "t": ("Add", {"a": ["r", 0], "b": 7}),
                              "third": ("Show", {"value": ["t", 0]})})
    assert isinstance(ending, Succeeded)
    value = ending.outputs["other"]["text"][0]
    assert ending.outputs["third"]["text"] == [value + 7]
    assert ending.outputs["out"]["text"] == [value], "what was delivered by the old value is delivered anew"
    assert value == next(draws) - 1, "the value of the latest draw"
    machine.lanes.close()


def test_lists_are_mapped_and_the_shorter_one_repeats_its_last(machine: Any) -> None:
    workflow = {
        "three": ("Count", {"upto": 3}), "two": ("Count", {"upto": 2}),
        "add": ("Add", {"a": ["three", 0], "b": ["two", 0]}), "out": ("Show", {"value": ["add", 0]}),
        "sum": ("Sum", {"values": ["add", 0]}), "total": ("Show", {"value": ["sum", 0]}),
    }
    ending, _ = run(machine, workflow)
    assert ending.outputs == {"out": {"text": [0, 2, 3]}, "total": {"text": [5]}}
    assert runs["Sum"] == 1


def test_an_empty_list_means_no_call_but_whole_lists_are_still_called(machine: Any) -> None:
    workflow = {
        "none": ("Count", {"upto": 0}), "add": ("Add", {"a": ["none", 0], "b": 1}),
        "out": ("Show", {"value": ["add", 0]}),
        "sum": ("Sum", {"values": ["add", 0]}), "total": ("Show", {"value": ["sum", 0]}),
    }
    ending, _ = run(machine, workflow)
    assert ending.outputs == {"out": {}, "total": {"text": [0]}}
    assert runs["Add"] == 0


def test_named_tuples_are_several_outputs(machine: Any) -> None:
    workflow = {
        "n": ("Number", {"value": 42}), "s": ("Split", {"a": ["n", 0]}), "x": ("Show", {"value": ["s", 0]}),
        "y": ("Show", {"value": ["s", 1]}),
    }
    assert run(machine, workflow)[0].outputs == {"x": {"text": [4]}, "y": {"text": [2]}}


@pytest.mark.parametrize("flag", [0, 1])
def test_a_lazy_input_nobody_asks_for_never_runs(machine: Any, flag: int) -> None:
    workflow = {
        "f": ("Number", {"value": flag}), "y": ("Add", {"a": 10, "b": 1}), "n": ("Add", {"a": 20, "b": 2}),
        "if": ("If", {"flag": ["f", 0], "yes": ["y", 0], "no": ["n", 0]}), "out": ("Show", {"value": ["if", 0]}),
    }
    ending, events = run(machine, workflow)
    assert ending.outputs == {"out": {"text": [11 if flag else 22]}}
    assert ("y" in started(events), "n" in started(events)) == (bool(flag), not flag)
    runs.clear()
    run(machine, workflow)
    assert not runs


def test_lazy_inputs_work_item_by_item_in_lists(machine: Any) -> None:
    workflow = {
        "f": ("Count", {"upto": 2}), "y": ("Add", {"a": 10, "b": 1}), "n": ("Add", {"a": 20, "b": 2}),
        "if": ("If", {"flag": ["f", 0], "yes": ["y", 0], "no": ["n", 0]}), "out": ("Show", {"value": ["if", 0]}),
    }
    assert run(machine, workflow)[0].outputs == {"out": {"text": [22, 11]}}


def test_a_blocker_keeps_what_depends_on_it_from_running(machine: Any) -> None:
    workflow = {
        "c": ("Count", {"upto": 4}), "b": ("Block", {"a": ["c", 0], "message": ""}),
        "add": ("Add", {"a": ["b", 0], "b": 1}), "out": ("Show", {"value": ["add", 0]}),
    }
    ending, events = run(machine, workflow)
    assert ending.outputs == {"out": {"text": [1, 3]}}
    assert runs["Add"] == 2
    assert not [each for each in events if isinstance(each, NodeBlocked)], "a blocker without a message says nothing"


def test_a_blocker_with_a_message_is_an_error_of_the_output_while_the_job_goes_on(machine: Any) -> None:
    workflow = {
        "c": ("Count", {"upto": 4}), "b": ("Block", {"a": ["c", 0], "message": "odd"}),
        "add": ("Add", {"a": ["b", 0], "b": 1}), "out": ("Show", {"value": ["add", 0]}),
        "other": ("Show", {"value": 5}),
    }
    for _ in range(2):  # told again when it is known from before
        ending, events = run(machine, workflow)
        assert isinstance(ending, Succeeded)
        assert ending.outputs == {"out": {"text": [1, 3]}, "other": {"text": [5]}}
        blocked = [each for each in events if isinstance(each, NodeBlocked)]
        assert [(each.node, each.class_type, each.message) for each in blocked] == [("out", "Show", "odd")]


def test_a_node_that_raises_is_named_and_the_next_job_is_right(machine: Any) -> None:
    workflow = {
        "n": ("Number", {"value": 3}), "f": ("Fail", {"a": ["n", 0], "message": "no colour"}),
        "out": ("Show", {"value": ["f", 0]}),
    }
    ending, events = run(machine, workflow)
    assert isinstance(ending, Failed)
    assert (ending.node, ending.class_type) == ("f", "Fail")
    assert (ending.exception_type, ending.message) == ("ValueError", "no colour")
    assert any("raise ValueError" in line for line in ending.traceback)
    assert ending.inputs == {"a": ["3"], "message": ["'no colour'"]}
    assert events[-1] is ending
    after, events = run(machine, {"n": ("Number", {"value": 3}), "out": ("Show", {"value": ["n", 0]})})
    assert isinstance(after, Succeeded)
    assert started(events) == ["out"], "what was done before the failure stays cached"


def test_what_an_error_says_at_great_length_is_cut(machine: Any) -> None:
    ending, _ = run(machine, {
        "f": ("Fail", {"a": 1, "message": "b" * 400_000 + "e"}), "out": ("Show", {"value": ["f", 0]}),
    })  # fmt: skip
    assert isinstance(ending, Failed)
    assert ending.message.startswith("bbb") and ending.message.endswith("bbe") and len(ending.message) < 11_000
    assert "(390,001 characters left out)" in ending.message
    assert sum(map(len, ending.traceback)) < 30_000


def test_an_error_that_cannot_say_what_it_is_about_is_told_all_the_same() -> None:
    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError

    message, lines = said(Mute())
    assert message == "Mute, which could not say what it is about: RuntimeError" and "Mute" in lines[-1]


def test_system_exit_in_a_node_is_that_nodes_failure(machine: Any) -> None:
    ending, _ = run(machine, {"x": ("Leave", {"a": 1}), "out": ("Show", {"value": ["x", 0]})})
    assert isinstance(ending, Failed)
    assert ending.node == "x"


def test_a_node_that_breaks_its_word_is_told_so(machine: Any) -> None:
    ending, _ = run(machine, {"x": ("Wrong", {"a": 1}), "out": ("Show", {"value": ["x", 0]})})
    assert isinstance(ending, Failed)
    assert "has 2 outputs" in ending.message


def test_cancel_stops_within_a_step(machine: Any) -> None:
    workflow = {"s": ("Slow", {"a": 1, "steps": 100_000}), "out": ("Show", {"value": ["s", 0]})}
    job = Job("job", graph_of(workflow), cancel=CancelToken())
    threading.Thread(target=lambda: (gate.wait(5), job.cancel.cancel())).start()
    before = time.monotonic()
    ending = execute(job, machine, lambda event: None)
    assert isinstance(ending, Interrupted)
    assert ending.node == "s"
    assert time.monotonic() - before < 60, "100,000 steps of 5 ms were not waited for"


def test_a_cancelled_job_that_never_began_runs_nothing(machine: Any) -> None:
    job = Job("job", graph_of(DIAMOND))
    job.cancel.cancel()
    assert isinstance(execute(job, machine, lambda event: None), Interrupted)
    assert not runs


def test_async_functions_run_side_by_side(machine: Any) -> None:
    workflow: dict[str, Any] = {}
    for index in range(5):
        workflow[f"l{index}"] = ("Later", {"a": index, "seconds": 0.2})
        workflow[f"o{index}"] = ("Show", {"value": [f"l{index}", 0]})
    ending, _ = run(machine, workflow)
    assert ending.outputs == {f"o{index}": {"text": [index]} for index in range(5)}
    assert together["most"] == 5


def test_cancel_reaches_async_functions(machine: Any) -> None:
    job = Job("job", graph_of({"l": ("Later", {"a": 1, "seconds": 60.0}), "o": ("Show", {"value": ["l", 0]})}))
    threading.Timer(0.2, job.cancel.cancel).start()
    before = time.monotonic()
    assert isinstance(execute(job, machine, lambda event: None), Interrupted)
    assert time.monotonic() - before < 20


def test_device_work_has_its_own_thread(machine: Any) -> None:
    ending, _ = run(machine, {"d": ("OnDevice", {"a": 1}), "out": ("Show", {"value": ["d", 0]})})
    assert ending.outputs == {"out": {"text": ["lane-device"]}}


def test_items_are_released_after_their_last_reader() -> None:
    """A chain with no cache: at no time are more than a few values held."""
    from engine.runtime import execute as module

    machine = make_machine(budget=0)
    length = 50
    workflow: dict[str, Any] = {"0": ("Number", {"value": 0})}
    for index in range(1, length):
        workflow[str(index)] = ("Add", {"a": [str(index - 1), 0], "b": 1})
    workflow["out"] = ("Show", {"value": [str(length - 1), 0]})
    execution = module._Execution(Job("job", graph_of(workflow)), machine, lambda event: held.append(_held(execution)))
    held: list[int] = []
    execution.run()
    assert max(held) <= 2
    assert _held(execution) == 0, "at the end nothing outside the cache is held"
    machine.lanes.close()


def _held(execution: Any) -> int:
    return sum(wire.items is not None for task in execution.tasks.values() for wire in task.outputs or ())


def test_a_long_chain_needs_no_recursion(machine: Any) -> None:
    length = 3000
    workflow: dict[str, Any] = {"0": ("Number", {"value": 0})}
    for index in range(1, length):
        workflow[str(index)] = ("Add", {"a": [str(index - 1), 0], "b": 1})
    workflow["out"] = ("Show", {"value": [str(length - 1), 0]})
    assert run(machine, workflow)[0].outputs == {"out": {"text": [length - 1]}}
    runs.clear()
    run(machine, workflow)
    assert not runs


@pytest.mark.parametrize("seed", range(60))
def test_results_do_not_depend_on_cache_budget_history_or_ids(seed: int) -> None:
    """Random graphs, run on machines that remember everything, nothing, or have other jobs behind them."""
    source = random.Random(seed)
    workflow: dict[str, Any] = {}
    for index in range(source.randint(3, 25)):
        earlier = list(workflow)
        def pick(earlier: list[str] = earlier) -> Any:
            return [source.choice(earlier), 0] if earlier and source.random() < 0.8 else source.randint(0, 3)
        kind = source.choice(["Number", "Add", "Add", "Parity", "If"])
        inputs = {
            "Number": lambda: {"value": source.randint(0, 3)}, "Add": lambda: {"a": pick(), "b": pick()},
            "Parity": lambda: {"a": pick()}, "If": lambda: {"flag": pick(), "yes": pick(), "no": pick()},
        }[kind]()
        workflow[f"n{index}"] = (kind, inputs)
    for index in range(3):
        workflow[f"out{index}"] = ("Show", {"value": [source.choice([n for n in workflow if n.startswith("n")]), 0]})
    results = []
    warm = make_machine()
    changed = {
        name: (kind, {**inputs, "value": 9} if kind == "Number" else inputs)
        for name, (kind, inputs) in workflow.items()
    }
    run(warm, changed)
    tight = make_machine(budget=900)
    run(tight, changed)
    for machine in (make_machine(), make_machine(budget=0), warm, tight):
        ending, events = run(machine, workflow)
        assert isinstance(ending, Succeeded)
        assert len(started(events)) == len(set(started(events))), "each task runs at most once"
        results.append(ending.outputs)
        machine.lanes.close()
    assert all(each == results[0] for each in results)


def test_a_node_may_check_its_inputs_before_anything_runs(machine: Any) -> None:
    """Linked inputs are not known then: they are None."""
    workflow = {
        "n": ("Number", {"value": 1}), "x": ("Even", {"a": 3, "b": ["n", 0]}), "o": ("Show", {"value": ["x", 0]}),
    }
    ending, events = run(machine, workflow)
    assert isinstance(ending, Failed)
    assert (ending.node, ending.message) == ("x", "3 is odd; b is None")
    assert not started(events)
    workflow["x"] = ("Even", {"a": ["n", 0], "b": 1})
    assert run(machine, workflow)[0].outputs == {"o": {"text": [1]}}
