"""The cache explains itself: why a node ran, where a result was reused from, and what would run."""

from __future__ import annotations

import doctest
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.messages.events import Cached, NodeReused, NodeStarted
from engine.runtime import reasons
from engine.runtime.predict import foretell
from engine.runtime.tasks import Job
from engine.runtime.traces import Traces
from tests.runtime.toolbox import graph_of, make_machine, outside, run, runs

DIAMOND: dict[str, Any] = {
    "n": ("Number", {"value": 3}), "a": ("Add", {"a": ["n", 0], "b": 1}), "b": ("Add", {"a": ["n", 0], "b": 2}),
    "c": ("Add", {"a": ["a", 0], "b": ["b", 0]}), "o": ("Show", {"value": ["c", 0]}),
}


@pytest.fixture
def machine() -> Any:
    runs.clear()
    made = make_machine()
    yield made
    made.lanes.close()


def changed(node: str, **inputs: Any) -> dict[str, Any]:
    kind, before = DIAMOND[node]
    return {**DIAMOND, node: (kind, {**before, **inputs})}


def causes(ending: Any) -> dict[str, tuple[str, str]]:
    return {each.node: (each.state, each.cause) for each in ending.reports}


def foretold(machine: Any, workflow: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    before = dict(runs)
    found = foretell(Job("p", graph_of(workflow)), machine)
    assert dict(runs) == before, "looking runs nothing"
    return {each.node: (each.state, each.cause) for each in found}


def test_the_example_in_the_module_is_true() -> None:
    assert doctest.testmod(reasons).attempted and not doctest.testmod(reasons).failed


def test_what_was_never_seen_is_new_and_what_is_known_says_where_from(machine: Any) -> None:
    ending, events = run(machine, DIAMOND)
    assert set(causes(ending).values()) == {("ran", "new")}
    assert {each.cause for each in events if isinstance(each, NodeStarted)} == {"new"}
    ending, events = run(machine, DIAMOND)
    assert set(causes(ending).values()) == {("reused", "memory"), ("reused", "trace")}
    assert causes(ending)["o"] == ("reused", "trace"), "an output node has no values to be at hand"
    (cached,) = (each for each in events if isinstance(each, Cached))
    assert dict(zip(cached.nodes, cached.sources, strict=True)) == {
        name: cause for name, (_, cause) in causes(ending).items()
    }


def test_a_changed_input_is_named(machine: Any) -> None:
    run(machine, DIAMOND)
    _, events = run(machine, changed("a", b=7))
    told = {each.node: (each.cause, each.inputs, each.why) for each in events if isinstance(each, NodeStarted)}
    assert told["a"] == ("input", ("b",), "b has changed")
    assert told["c"][:2] == ("input", ("a",))
    assert told["o"][:2] == ("input", ("value",))
    assert set(told) == {"a", "c", "o"}


def test_a_change_that_makes_no_difference_stops_and_that_is_told(machine: Any) -> None:
    workflow = {"n": ("Number", {"value": 3}), "p": ("Parity", {"a": ["n", 0]}), "o": ("Show", {"value": ["p", 0]})}
    run(machine, workflow)
    ending, events = run(machine, {**workflow, "n": ("Number", {"value": 5})})
    assert causes(ending) == {"n": ("ran", "input"), "p": ("ran", "input"), "o": ("reused", "trace")}
    assert [(each.node, each.source) for each in events if isinstance(each, NodeReused)] == [("o", "trace")]


def test_a_change_of_the_world_is_told_apart_from_one_of_an_input(machine: Any) -> None:
    workflow = {
        "w": ("World", {}), "d": ("Draw", {}), "o": ("Show", {"value": ["w", 0]}), "p": ("Show", {"value": ["d", 0]}),
    }
    run(machine, workflow)
    outside["value"] += 1
    assert causes(run(machine, workflow)[0])["w"] == ("ran", "world")
    ending, _ = run(machine, workflow)
    why = {each.node: each.why for each in ending.reports}
    assert causes(ending)["d"] == ("ran", "world") and "each time" in why["d"]


def test_a_file_that_is_gone_is_the_reason(machine: Any, tmp_path: Path) -> None:
    workflow = {"n": ("Number", {"value": 1}), "w": ("Write", {"value": ["n", 0], "path": str(tmp_path / "f")})}
    run(machine, workflow)
    (tmp_path / "f").unlink()
    assert causes(run(machine, workflow)[0])["w"] == ("ran", "file")


def test_a_value_that_was_evicted_is_made_again_and_says_so(machine: Any) -> None:
    run(machine, DIAMOND)
    machine.cache.clear()
    ending, _ = run(machine, changed("c", b=5))
    assert causes(ending)["a"] == ("ran", "evicted") and causes(ending)["n"] == ("ran", "evicted")
    assert causes(ending)["c"] == ("ran", "input")


def test_equal_nodes_run_once_and_the_other_says_so(machine: Any) -> None:
    ending, _ = run(machine, {
        "a": ("Add", {"a": 1, "b": 2}), "b": ("Add", {"a": 1, "b": 2}), "o": ("Show", {"value": ["a", 0]}),
        "p": ("Show", {"value": ["b", 0]}),
    })
    assert sorted(causes(ending)[name] for name in "ab") == [("ran", "new"), ("reused", "equal")]


def test_predictions_come_true(machine: Any) -> None:
    assert foretold(machine, DIAMOND)["n"] == ("runs", "new")
    assert foretold(machine, DIAMOND)["o"] == ("depends", "")
    run(machine, DIAMOND)
    assert {state for state, _ in foretold(machine, DIAMOND).values()} == {"reused"}
    found = foretold(machine, changed("a", b=7))
    assert found == {
        "n": ("reused", "memory"), "a": ("runs", "input"), "b": ("reused", "memory"), "c": ("depends", ""),
        "o": ("depends", ""),
    }
    ending, _ = run(machine, changed("a", b=7))
    ran = {name for name, (state, _) in causes(ending).items() if state == "ran"}
    assert ran == {"a", "c", "o"}


def test_predictions_come_true_for_random_edits(machine: Any) -> None:
    """Each ``runs`` runs, for the cause that was named; each ``reused`` is; of ``depends`` either may come."""
    source = random.Random(5)
    workflow = dict(DIAMOND) | {
        "p": ("Parity", {"a": ["c", 0]}), "w": ("World", {}), "x": ("If", {
            "flag": ["p", 0], "yes": ["a", 0], "no": ["w", 0]}), "q": ("Show", {"value": ["x", 0]}),
    }
    met: Counter[str] = Counter()
    for _ in range(20):
        kind = source.choice(("number", "link", "world", "forget", "evict", "nothing"))
        if kind == "number":
            name, key = source.choice([("n", "value"), ("a", "b"), ("b", "b")])
            workflow[name] = (workflow[name][0], {**workflow[name][1], key: source.randrange(4)})
        elif kind == "link":
            workflow["c"] = ("Add", {"a": [source.choice("nab"), 0], "b": [source.choice("nab"), 0]})
        elif kind == "world":
            outside["value"] = source.randrange(3)
        elif kind == "forget":
            machine.traces.clear()
        elif kind == "evict":
            machine.cache.clear()
        found = foretold(machine, workflow)
        ending, events = run(machine, workflow)
        actual = causes(ending)
        began = {each.node: each.cause for each in events if isinstance(each, NodeStarted)}
        for name, (state, cause) in found.items():
            met[state] += 1
            if state == "runs":
                assert actual[name] == ("ran", cause) and began[name] == cause, (kind, name)
            elif state == "reused":
                assert actual[name] == ("reused", cause) or actual[name] == ("ran", "evicted"), (kind, name)
                if actual[name][0] == "ran":  # only for a value that something below, which depends, turned out to want
                    assert found_below(workflow, name, found), (kind, name)
        for name in set(found) - set(actual):
            assert found[name][0] == "depends", (kind, name)
    assert min(met[state] for state in ("runs", "reused", "depends")) >= 10, met


def found_below(workflow: Mapping[str, Any], name: str, found: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a node that reads this one, at any distance, was predicted to depend."""
    readers = [each for each, (_, inputs) in workflow.items() if [name, 0] in inputs.values()]
    return any(found.get(each, ("",))[0] == "depends" or found_below(workflow, each, found) for each in readers)


def test_what_has_to_be_made_again_for_its_value_is_predicted(machine: Any) -> None:
    run(machine, DIAMOND)
    machine.cache.clear()
    found = foretold(machine, changed("a", b=7))
    assert (found["a"], found["n"], found["b"]) == (("runs", "input"), ("runs", "evicted"), ("reused", "trace"))


def test_a_branch_that_may_not_be_asked_for_depends(machine: Any) -> None:
    workflow = {
        "y": ("Number", {"value": 1}), "f": ("Number", {"value": 0}),
        "x": ("If", {"flag": 1, "yes": ["y", 0], "no": ["f", 0]}), "o": ("Show", {"value": ["x", 0]}),
    }
    assert foretold(machine, workflow)["y"] == ("depends", "")


def test_after_a_restart_results_are_known_by_their_traces(tmp_path: Path) -> None:
    runs.clear()
    for cause in ("new", "trace"):
        machine = make_machine(traces=Traces(tmp_path / "traces.db"))
        assert causes(run(machine, DIAMOND)[0])["a"][1] == cause
        machine.traces.close()
        machine.lanes.close()
