"""Nodes that return a graph: what runs, what is reused, what is told; and that nothing waits for ever."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from engine.jobs.history import message
from engine.messages.events import Failed, Interrupted, NodeBlocked, NodeFinished, NodeShown, NodeStarted, Succeeded
from engine.runtime import execute as module
from engine.runtime import growth
from engine.runtime.tasks import Job
from engine.runtime.traces import Traces
from tests.runtime.toolbox import gate, graph_of, make_machine, outside, run, runs, started, together


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


def shows(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"x": (kind, inputs), "out": ("Show", {"value": ["x", 0]})}


def test_what_a_node_expands_to_runs_in_its_place(machine: Any) -> None:
    ending, events = run(machine, shows("Twice", a=4))
    assert ending.outputs == {"out": {"text": [8]}}
    assert started(events) == ["x", "x.0.0.1", "out"]
    displays = {each.node: each.display for each in events if isinstance(each, NodeStarted)}
    assert displays == {"x": "x", "x.0.0.1": "x", "out": "out"}
    assert [each.node for each in events if isinstance(each, NodeFinished)] == ["x.0.0.1", "x", "out"]
    assert {each.node: each.parent for each in ending.reports} == {"x": None, "x.0.0.1": "x", "out": None}


def test_an_unchanged_graph_is_not_expanded_again_even_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        traces = Traces(tmp_path / "traces.db")
        machine = make_machine(traces=traces)
        assert run(machine, shows("Countdown", a=5, total=0))[0].outputs == {"out": {"text": [15]}}
        assert runs["Countdown"] in (6, 0)
        runs.clear()
        run(machine, shows("Countdown", a=5, total=0))
        assert not runs
        traces.close()
        machine.lanes.close()


def test_expansions_nest_and_what_is_inside_is_found_again(machine: Any) -> None:
    """5 is 5 + what 4 made of another start: only the sums are new; 6 → 5 with another total."""
    run(machine, shows("Countdown", a=3, total=0))
    runs.clear()
    ending, events = run(machine, {
        **shows("Countdown", a=3, total=0), "y": ("Countdown", {"a": 4, "total": 0}),
        "o": ("Show", {"value": ["y", 0]}),
    })
    assert ending.outputs == {"out": {"text": [6]}, "o": {"text": [10]}}
    assert "y.0.0.2.0.0.2" in started(events), "ids inside say the way"
    assert "x" not in started(events)


def test_a_loop_of_many_rounds_needs_no_recursion_and_linear_time(machine: Any) -> None:
    ending, _ = run(machine, shows("Countdown", a=1500, total=0))
    assert ending.outputs == {"out": {"text": [1500 * 1501 // 2]}}


def test_output_nodes_inside_deliver_when_run_and_when_remembered(machine: Any) -> None:
    expected = {"x.0.0.2": {"text": [5]}, "x.0.0.mine": {"text": [4]}, "out": {"text": [5]}}
    ending, events = run(machine, shows("Report", a=4))
    assert ending.outputs == expected
    again, later = run(machine, shows("Report", a=4))
    assert again.outputs == expected
    assert not started(later)
    for each in (events, later):
        displays = {shown.node: shown.display for shown in each if isinstance(shown, NodeShown)}
        assert displays == {"x.0.0.2": "x", "x.0.0.mine": "elsewhere", "out": "out"}
    parents = {each.node: each.parent for each in again.reports}
    assert parents["x.0.0.2"] == parents["x.0.0.mine"] == "x"


def test_output_nodes_inside_deliver_though_nobody_reads_the_expanding_node(machine: Any) -> None:
    """The reader wants only the digest: Report's value is not new, its inner shows are still told."""
    workflow = {**shows("Report", a=4), "y": ("Report", {"a": 4}), "o": ("Show", {"value": ["y", 0]})}
    ending, _ = run(machine, workflow)
    assert {"x.0.0.2", "y.0.0.2", "x.0.0.mine", "y.0.0.mine"} < set(ending.outputs)
    assert runs["Report"] == 1, "equal nodes are made once"


def test_a_missing_file_inside_makes_the_node_expand_again(machine: Any, tmp_path: Path) -> None:
    outside["value"] = 1
    first, _ = run(machine, shows("Worldly", a=1))
    run(machine, shows("Worldly", a=1))
    assert runs["Worldly"] == 1
    outside["value"] = 5
    ending, events = run(machine, shows("Worldly", a=1))
    assert (first.outputs["out"], ending.outputs["out"]) == ({"text": [2]}, {"text": [6]})
    assert "World" in next(each.why for each in events if isinstance(each, NodeStarted))


def test_each_call_of_a_list_may_return_another_form(machine: Any) -> None:
    workflow = {"c": ("Count", {"upto": 4}), **shows("Various", a=["c", 0])}
    ending, events = run(machine, workflow)
    assert ending.outputs == {"out": {"text": [0, 11, 102]}}
    assert [each.message for each in events if isinstance(each, NodeBlocked)] == ["third"]
    assert "x.1.0.1" in started(events)
    runs.clear()
    again, _ = run(machine, workflow)
    assert (again.outputs, dict(runs)) == (ending.outputs, {})


def test_a_list_may_come_out_of_an_expansion(machine: Any) -> None:
    assert run(machine, shows("Spread", a=3))[0].outputs == {"out": {"text": [0, 1, 2]}}


def test_a_value_without_digest_may_go_into_an_expansion(machine: Any) -> None:
    workflow = {"x": ("Wrap", {"a": 6}), "u": ("Unboxed", {"box": ["x", 0]}), "out": ("Show", {"value": ["u", 0]})}
    assert run(machine, workflow)[0].outputs == {"out": {"text": [6]}}
    runs.clear()
    run(machine, workflow)
    assert not runs
    run(machine, {**workflow, "x": ("Wrap", {"a": 7})})
    assert runs["Wrap"] == 1


def test_a_raw_link_is_handed_over_and_its_source_runs_only_if_the_expansion_reads_it(machine: Any) -> None:
    workflow = {"s": ("Slow", {"a": 7, "steps": 1}), **shows("Through", value=["s", 0], times=3)}
    assert run(machine, workflow)[0].outputs == {"out": {"text": [21]}}
    assert runs["Slow"] == 1
    runs.clear()
    run(machine, workflow)
    assert not runs
    ending, events = run(machine, {"s": ("Slow", {"a": 8, "steps": 1}), **shows("Through", value=["s", 0], times=0)})
    assert ending.outputs == {"out": {"text": [0]}}
    assert "s" not in started(events)
    assert run(machine, shows("Through", value=5, times=2))[0].outputs == {"out": {"text": [10]}}


def test_a_circle_made_by_an_expansion_is_an_error_of_the_users_node(machine: Any) -> None:
    workflow = {
        "x": ("Loop", {"a": 1, "over": "below"}), "below": ("Add", {"a": ["x", 0], "b": 1}),
        "out": ("Show", {"value": ["below", 0]}),
    }
    ending, _ = run(machine, workflow)
    assert isinstance(ending, Failed)
    assert (ending.node, ending.display, ending.class_type) == ("x", "x", "Loop")
    assert "circle" in ending.message
    again, _ = run(machine, {**workflow, "n": ("Number", {"value": 3}), "o": ("Show", {"value": ["n", 0]})})
    assert again.outputs == {"o": {"text": [3]}}, "what does not depend on the circle is made"


@pytest.mark.parametrize(("how", "said"), [
    ("class", "'Number'"), ("node", "'y'"), ("slot", "output 3"), ("count", "1 output"), ("circle", "circle"),
])
def test_an_expansion_that_makes_no_sense_is_an_error_that_says_what(machine: Any, how: str, said: str) -> None:
    ending, _ = run(machine, shows("Malformed", how=how))
    assert isinstance(ending, Failed)
    assert ending.node == "x"
    assert said in ending.message


def test_expansions_without_end_are_stopped(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ending, _ = run(machine, shows("Again", a=1))
    assert isinstance(ending, Failed)
    assert "without end" in ending.message
    monkeypatch.setattr(growth, "MAX_TASKS", 300)
    ending, _ = run(machine, shows("Endless", a=1))
    assert isinstance(ending, Failed)
    assert "300" in ending.message
    assert ending.display == "x"


def test_an_error_inside_is_reported_as_the_users_node(machine: Any) -> None:
    ending, _ = run(machine, shows("Breaks", a=1))
    assert isinstance(ending, Failed)
    assert (ending.node, ending.display) == ("x.0.0.1", "x")
    name, data = message("job", ending) or ("", {})
    assert (name, data["node_id"], data["node_type"]) == ("execution_error", "x", "Fail")


def test_cancel_reaches_into_expansions(machine: Any) -> None:
    job = Job("job", graph_of({"s": ("Slow", {"a": 7, "steps": 1000}), **shows("Through", value=["s", 0], times=3)}))

    def cancel_when_begun() -> None:
        gate.wait(5)
        job.cancel.cancel()

    import threading

    threading.Thread(target=cancel_when_begun).start()
    assert isinstance(run(machine, {}, job)[0], Interrupted)


def test_async_nodes_run_side_by_side_inside_expansions_too(machine: Any) -> None:
    workflow: dict[str, Any] = {}
    for index in range(3):
        workflow[f"l{index}"] = ("LaterTwice", {"a": index, "seconds": 0.2})
        workflow[f"o{index}"] = ("Show", {"value": [f"l{index}", 0]})
    ending, _ = run(machine, workflow)
    assert ending.outputs == {f"o{index}": {"text": [2 * index + 100]} for index in range(3)}
    assert together["most"] == 6


@pytest.mark.parametrize("flag", [0, 1])
def test_an_async_function_may_say_which_lazy_inputs_it_needs(machine: Any, flag: int) -> None:
    workflow = {
        "f": ("Number", {"value": flag}), "y": ("Add", {"a": 10, "b": 1}), "n": ("Add", {"a": 20, "b": 2}),
        **shows("IfLater", flag=["f", 0], yes=["y", 0], no=["n", 0]),
    }
    ending, events = run(machine, workflow)
    assert ending.outputs == {"out": {"text": [11 if flag else 22]}}
    assert ("y" in started(events), "n" in started(events)) == (bool(flag), not flag)


def test_undeclared_links_go_to_a_node_that_takes_any_and_undeclared_values_do_not(machine: Any) -> None:
    workflow = {
        "a": ("Number", {"value": 1}), "b": ("Number", {"value": 2}),
        **shows("Collect", first=0, one=["a", 0], two=["b", 0], three=3), "o": ("Add", {"a": 1, "b": 1, "c": ["b", 0]}),
    }
    assert run(machine, workflow)[0].outputs == {"out": {"text": ["one=1 two=2"]}}


def test_hidden_inputs_are_filled_in(machine: Any) -> None:
    job = Job("job", graph_of(shows("WhoAmI")), prompt={"x": {}, "out": {}})
    assert run(machine, {}, job)[0].outputs == {"out": {"text": ["x None x WhoAmI ['out', 'x']"]}}


def test_unions_take_either_type(machine: Any) -> None:
    workflow = {"n": ("Number", {"value": 3}), **shows("Either", value=["n", 0])}
    assert run(machine, workflow)[0].outputs == {"out": {"text": ["int"]}}


def test_nothing_is_held_after_a_job_with_expansions() -> None:
    machine = make_machine(budget=0)
    workflow = {
        "c": ("Count", {"upto": 4}), **shows("Various", a=["c", 0]), "r": ("Report", {"a": 3}),
        "o": ("Show", {"value": ["r", 0]}), "d": ("Countdown", {"a": 9, "total": 0}),
        "p": ("Show", {"value": ["d", 0]}),
        "t": ("Through", {"value": ["d", 0], "times": 2}), "q": ("Show", {"value": ["t", 0]}),
    }
    execution = module._Execution(Job("job", graph_of(workflow)), machine, lambda event: None)
    ending = execution.run()
    assert ending.outputs["q"] == {"text": [90]}
    wires = [wire for task in execution.tasks.values() for wire in task.outputs or ()]
    assert not [wire for wire in wires if wire.items is not None]
    machine.lanes.close()


def random_workflow(source: random.Random) -> dict[str, Any]:
    workflow: dict[str, Any] = {}

    def pick() -> Any:
        earlier = [name for name in workflow if name.startswith("n")]
        return [source.choice(earlier), 0] if earlier and source.random() < 0.8 else source.randint(0, 3)

    def small() -> Any:
        numbers = [name for name, (kind, _) in workflow.items() if kind in ("Number", "Parity")]
        return [source.choice(numbers), 0] if numbers and source.random() < 0.7 else source.randint(0, 3)

    kinds: dict[str, Any] = {
        "Number": lambda: {"value": source.randint(0, 3)}, "Add": lambda: {"a": pick(), "b": pick()},
        "Parity": lambda: {"a": pick()}, "If": lambda: {"flag": pick(), "yes": pick(), "no": pick()},
        "Twice": lambda: {"a": pick()}, "Countdown": lambda: {"a": small(), "total": pick()},
        "Report": lambda: {"a": pick()}, "Through": lambda: {"value": pick(), "times": small()},
        "IfLater": lambda: {"flag": pick(), "yes": pick(), "no": pick()},
        "LaterTwice": lambda: {"a": pick(), "seconds": 0.0},
    }
    for index in range(source.randint(3, 22)):
        kind = source.choice([*kinds, "Add", "Number"])
        workflow[f"n{index}"] = (kind, kinds[kind]())
    names = list(workflow)
    for index in range(3):
        workflow[f"out{index}"] = ("Show", {"value": [source.choice(names), 0]})
    if source.random() < 0.5:  # names any node, also later ones that may read it: then it is a circle
        workflow["any"] = ("Loop", {"a": pick(), "over": source.choice(names)})
        workflow["out3"] = ("Show", {"value": ["any", 0]})
    return workflow


def wanted(workflow: dict[str, Any], name: str, known: dict[str, int]) -> int:
    """What a node is worth, by the meaning of its class."""
    def value(at: Any) -> int:
        if not isinstance(at, list):
            return int(at)
        if at[0] not in known:
            known[at[0]] = wanted(workflow, at[0], known)
        return known[at[0]]

    kind, inputs = workflow[name]
    meanings: dict[str, Any] = {
        "Number": lambda: inputs["value"], "Add": lambda: value(inputs["a"]) + value(inputs["b"]),
        "Parity": lambda: value(inputs["a"]) % 2,
        "If": lambda: value(inputs["yes"] if value(inputs["flag"]) else inputs["no"]),
        "IfLater": lambda: value(inputs["yes"] if value(inputs["flag"]) else inputs["no"]),
        "Twice": lambda: 2 * value(inputs["a"]), "Report": lambda: value(inputs["a"]) + 1,
        "Countdown": lambda: value(inputs["total"]) + sum(range(value(inputs["a"]) + 1)),
        "Through": lambda: value(inputs["value"]) * value(inputs["times"]),
        "LaterTwice": lambda: 2 * value(inputs["a"]) + 100,
        "Loop": lambda: value(inputs["a"]) + value([inputs["over"], 0]),
        "Show": lambda: value(inputs["value"]),
    }
    return int(meanings[kind]())


@pytest.mark.parametrize("seed", range(150))
def test_results_are_right_whatever_is_cached_and_nothing_waits_for_ever(seed: int) -> None:
    """Random graphs with expansions, on machines that remember everything, nothing, or have other jobs behind them."""
    source = random.Random(seed)
    workflow = random_workflow(source)
    if "any" in workflow and not exists(workflow, workflow["any"][1]["over"]):
        workflow["any"] = ("Loop", {"a": 1, "over": "out0"})  # then an error, which must be told
    changed = {
        name: (kind, {**inputs, "value": 2} if kind == "Number" else inputs)
        for name, (kind, inputs) in workflow.items()
    }
    warm, tight = make_machine(), make_machine(budget=900)
    run(warm, changed)
    run(tight, changed)
    bad = "any" in workflow and workflow["any"][1]["over"] == "out0"
    for machine in (make_machine(), make_machine(budget=0), warm, tight, warm, tight):
        ending, events = run(machine, workflow)
        if "any" not in workflow:  # what it names may have been released before
            assert len(started(events)) == len(set(started(events))), "each task runs at most once"
        if bad:
            assert isinstance(ending, Failed)
            assert ending.node == "any"
        else:
            assert isinstance(ending, Succeeded), getattr(ending, "message", "")
            made = {name: ui["text"][0] for name, ui in ending.outputs.items() if "." not in name}
            assert made == {name: wanted(workflow, name, {}) for name in workflow if name.startswith("out")}
    for machine in (warm, tight):
        machine.lanes.close()


def exists(workflow: dict[str, Any], name: str) -> bool:
    """Whether a node is part of the graph, so that another may name it."""
    stack, seen = [each for each in workflow if each.startswith("out")], set()
    while stack:
        each = stack.pop()
        if each in seen:
            continue
        seen.add(each)
        stack.extend(at[0] for at in workflow[each][1].values() if isinstance(at, list))
    return name in seen
