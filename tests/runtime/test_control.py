"""The core nodes of control flow, through the executor: what is not chosen does not run, each round is cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from msgspec import UNSET

from engine.graph.graph import resolve
from engine.graph.registry import make_registry
from engine.graph.workflow import read_api
from engine.messages.events import Failed, Succeeded
from engine.runtime.execute import execute
from engine.runtime.tasks import Job
from nodes import control
from tests.runtime.toolbox import NODES, NoFiles, make_machine, runs, started


@pytest.fixture
def machine() -> Any:
    runs.clear()
    made = make_machine()
    yield replace(made, nodes={**NODES, **make_registry([control]).nodes})
    made.lanes.close()


def run(machine: Any, workflow: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """Run a workflow in short form, where inputs that are left out have their defaults."""
    specs = {name: each.spec for name, each in machine.nodes.items()}
    api = {
        name: {"class_type": kind, "inputs": {
            **{each.name: each.default for each in specs[kind].inputs if each.default is not UNSET}, **inputs,
        }}
        for name, (kind, inputs) in workflow.items()
    }
    events: list[Any] = []
    ending = execute(Job("job", resolve(read_api(api), specs, NoFiles()).graph), machine, events.append)
    return ending, events


def summed(over: Any, **more: Any) -> dict[str, Any]:
    """Numbers → ForEach → so_far + item → ForEachEnd, shown."""
    return {
        "list": over, "begin": ("ForEach", {"items": ["list", 0], "initial": ["zero", 0]}), "zero": ("Number", {}),
        "body": ("Add", {"a": ["begin", 3], "b": ["begin", 1]}),
        "end": ("ForEachEnd", {"loop": ["begin", 0], "value": ["body", 0]}),
        "all": ("Sum", {"values": ["end", 0]}), "one": ("Show", {"value": ["all", 0]}),
        "two": ("Show", {"value": ["end", 1]}), **more,
    }


def test_the_branch_that_is_not_chosen_does_not_run(machine: Any) -> None:
    for flag in (True, False):
        ending, events = run(machine, {
            "yes": ("Number", {"value": 1}), "no": ("Number", {"value": 2}),
            "x": ("LazyIf", {"condition": flag, "then": ["yes", 0], "otherwise": ["no", 0]}),
            "out": ("Show", {"value": ["x", 0]}),
        })
        assert ending.outputs == {"out": {"text": [1 if flag else 2]}}
        assert ("no" if flag else "yes") not in started(events)


def test_a_branch_that_is_not_linked_withholds_what_follows(machine: Any) -> None:
    ending, _ = run(machine, {
        "x": ("LazyIf", {"condition": False, "then": ["n", 0]}), "n": ("Number", {}), "out": ("Write", {
            "value": ["x", 0], "path": "nowhere"}),
    })
    assert isinstance(ending, Succeeded) and not ending.outputs
    assert not runs["Write"] and not runs["Number"]


def test_a_switch_makes_only_the_case_it_takes(machine: Any) -> None:
    ending, events = run(machine, {
        "a": ("Number", {"value": 1}), "b": ("Number", {"value": 2}), "which": ("Number", {"value": 5}),
        "x": ("LazySwitch", {"index": ["which", 0], "case0": ["a", 0], "case5": ["b", 0]}),
        "out": ("Show", {"value": ["x", 0]}),
    })
    assert ending.outputs == {"out": {"text": [2]}}
    assert "a" not in started(events)


def test_what_is_chosen_may_be_chosen_by_what_was_chosen(machine: Any) -> None:
    ending, events = run(machine, {
        "t": ("Number", {"value": 1}), "f": ("Number", {"value": 0}), "n": ("Number", {"value": 7}),
        "first": ("LazyIf", {"condition": True, "then": ["t", 0], "otherwise": ["f", 0]}),
        "x": ("LazyIf", {"condition": ["first", 0], "then": ["n", 0], "otherwise": ["f", 0]}),
        "out": ("Show", {"value": ["x", 0]}),
    })
    assert ending.outputs == {"out": {"text": [7]}}
    assert "f" not in started(events)


def test_a_for_each_collects_and_accumulates(machine: Any) -> None:
    """1, 2, 3, 4 → 1, 3, 6, 10: together 20, at the end 10."""
    ending, _ = run(machine, summed(("NumberList", {"start": 1, "stop": 5})))
    assert ending.outputs == {"one": {"text": [20]}, "two": {"text": [10]}}
    assert runs["Add"] == 4


def test_each_round_is_cached_for_itself(machine: Any) -> None:
    def squares(last: int) -> dict[str, Any]:
        return {
            "a": ("NumberList", {"start": 0, "stop": 5}), "b": ("Number", {"value": last}),
            "list": ("CollectList", {"value0": ["a", 0], "value1": ["b", 0]}),
            "begin": ("ForEach", {"items": ["list", 0]}), "body": ("Add", {"a": ["begin", 1], "b": ["begin", 1]}),
            "end": ("ForEachEnd", {"loop": ["begin", 0], "value": ["body", 0]}),
            "all": ("Sum", {"values": ["end", 0]}), "out": ("Show", {"value": ["all", 0]}),
        }

    assert run(machine, squares(10))[0].outputs == {"out": {"text": [40]}}
    assert runs["Add"] == 6
    ending, _ = run(machine, squares(11))
    assert ending.outputs == {"out": {"text": [42]}}
    assert runs["Add"] == 7, "only the round whose item has changed"
    assert not started(run(machine, squares(11))[1])


def collected(*values: int) -> dict[str, Any]:
    """Numbers put together to the list that a for-each goes through."""
    numbers = {f"number {at}": ("Number", {"value": value}) for at, value in enumerate(values)}
    return {**numbers, "list": ("CollectList", {f"value{at}": [f"number {at}", 0] for at in range(len(values))})}


def test_each_round_of_an_accumulation_is_cached_for_itself(machine: Any) -> None:
    """A round runs again if its item is another, or what the rounds before it came to; else it is found again."""
    def count(*values: int) -> int:
        before, numbers = runs["Add"], collected(*values)
        ending, _ = run(machine, {**summed(numbers["list"]), **numbers})
        so_far = [sum(values[: at + 1]) for at in range(len(values))]
        assert ending.outputs == {"one": {"text": [sum(so_far)]}, "two": {"text": [so_far[-1]]}}
        return runs["Add"] - before

    assert count(1, 2, 3, 4, 5) == 5
    assert count(1, 2, 3, 4, 5) == 0
    assert count(1, 2, 30, 4, 5) == 3, "the round whose item has changed, and those that go on from it"
    assert count(1, 3, 2, 4, 5) == 2, "behind these two the sum is what it was"
    assert count(1, 2, 3, 4, 5, 6) == 1, "one round more"
    assert count(9, 2, 3) == 3


def test_what_a_round_chooses_is_cached_for_each_round(machine: Any) -> None:
    def count(*items: int) -> int:
        before = runs["Add"]
        ending, _ = run(machine, {
            **collected(*items), "begin": ("ForEach", {"items": ["list", 0]}),
            "low": ("Add", {"a": ["begin", 2], "b": 100}), "high": ("Add", {"a": ["begin", 2], "b": 200}),
            "chosen": ("LazySwitch", {"index": ["begin", 1], "case0": ["low", 0], "case1": ["high", 0]}),
            "end": ("ForEachEnd", {"loop": ["begin", 0], "value": ["chosen", 0]}),
            "all": ("Sum", {"values": ["end", 0]}), "out": ("Show", {"value": ["all", 0]}),
        })
        made = sum(index + (200 if item else 100) for index, item in enumerate(items))
        assert ending.outputs == {"out": {"text": [made]}}
        return runs["Add"] - before

    assert count(0, 1, 0) == 3, "of each round what it chooses, and nothing else"
    assert count(0, 1, 1) == 1
    assert count(0, 1, 0) == 0


def test_what_does_not_depend_on_the_item_runs_once_for_all_rounds(machine: Any) -> None:
    run(machine, {
        **summed(("NumberList", {"stop": 3})), "body": ("Add", {"a": ["begin", 1], "b": ["outside", 0]}),
        "outside": ("Unboxed", {"box": ["boxed", 0]}), "boxed": ("Boxed", {"a": 1}),
    })
    assert runs["Unboxed"] == 1


def test_loops_nest(machine: Any) -> None:
    """For i in 0, 1, 2: the sum of i + j for j in 0, 1, 2."""
    ending, _ = run(machine, {
        "list": ("NumberList", {"stop": 3}), "outer": ("ForEach", {"items": ["list", 0]}),
        "inner": ("ForEach", {"items": ["list", 0]}), "add": ("Add", {"a": ["outer", 1], "b": ["inner", 1]}),
        "inner end": ("ForEachEnd", {"loop": ["inner", 0], "value": ["add", 0]}),
        "sum": ("Sum", {"values": ["inner end", 0]}),
        "end": ("ForEachEnd", {"loop": ["outer", 0], "value": ["sum", 0]}),
        "all": ("Sum", {"values": ["end", 0]}), "out": ("Show", {"value": ["all", 0]}),
    })
    assert ending.outputs == {"out": {"text": [18]}}


def test_a_loop_over_nothing_gives_nothing_and_what_it_began_with(machine: Any) -> None:
    ending, _ = run(machine, summed(("NumberList", {"stop": 0})))
    assert ending.outputs == {"one": {"text": [0]}, "two": {"text": [0]}}
    assert not runs["Add"]


def test_a_loop_without_a_body_gives_its_items(machine: Any) -> None:
    workflow = summed(("NumberList", {"start": 1, "stop": 4}))
    workflow["end"] = ("ForEachEnd", {"loop": ["begin", 0], "value": ["begin", 1]})
    assert run(machine, workflow)[0].outputs == {"one": {"text": [6]}, "two": {"text": [3]}}


def test_a_round_that_fails_names_the_node_of_the_round(machine: Any) -> None:
    ending, _ = run(machine, {
        **summed(("NumberList", {"stop": 2})), "body": ("Fail", {"a": ["begin", 1], "message": "no"}),
    })
    assert isinstance(ending, Failed)
    assert (ending.node, ending.display, ending.message) == ("end.0.0.rounds.0.0.0.body", "end", "no")


def test_a_list_is_put_together_in_the_order_of_the_names(machine: Any) -> None:
    numbers = {str(n): ("Number", {"value": n}) for n in (0, 2, 10)}
    ending, _ = run(machine, {
        **numbers, "all": ("CollectList", {"value10": ["10", 0], "value0": ["0", 0], "value2": ["2", 0]}),
        "out": ("Show", {"value": ["all", 0]}),
    })
    assert ending.outputs == {"out": {"text": [0, 2, 10]}}


def test_numbers_and_lines_are_lists(machine: Any) -> None:
    assert control.numbers(start=3, stop=0, step=-1) == [3, 2, 1]
    assert control.lines(text="a\n\n b\n") == ["a", " b"]
    with pytest.raises(ValueError, match="never end"):
        control.numbers(start=0, stop=1, step=0)
    with pytest.raises(ValueError, match="limit"):
        control.numbers(start=0, stop=2**31, step=1)
