"""Bounds on what a bad workflow can cost, and on its numbers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.graph.graph import resolve
from engine.graph.problems import WorkflowError, nearest
from engine.graph.workflow import read_api, set_inputs
from tests.runtime.toolbox import SPECS, NoFiles
from tests.web.support import SPECS as WEB_SPECS


def test_many_unknown_classes_are_all_named_and_few_get_a_suggestion() -> None:
    data = {str(index): {"class_type": f"Numbr{index}", "inputs": {}} for index in range(20_000)}
    before = time.process_time()
    with pytest.raises(WorkflowError) as caught:
        resolve(read_api(data), SPECS, NoFiles())
    assert time.process_time() - before < 3.0, "20,000 suggestions took 5 s"
    problems = caught.value.problems
    assert len(problems) == 20_000
    assert sum("did you mean" in each.message for each in problems) == 50


def test_many_wrong_changes_are_all_named_and_few_get_a_suggestion() -> None:
    workflow = read_api({str(index): {"class_type": "Number", "inputs": {"value": 1}} for index in range(2000)})
    with pytest.raises(WorkflowError) as caught:
        set_inputs(workflow, {f"{index}.valu": 1 for index in range(2000)})
    assert len(caught.value.problems) == 2000
    assert sum("did you mean" in each.message for each in caught.value.problems) == 50


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, {"__value__": [1, [2**70]]}, {"deep": {"er": 2**65}}])
def test_a_number_beyond_64_bits_in_an_untyped_input_is_a_problem_that_names_it(value: Any) -> None:
    data = {"s": {"class_type": "Show", "inputs": {"value": value}}}
    with pytest.raises(WorkflowError) as caught:
        resolve(read_api(data), SPECS, NoFiles())
    problem = caught.value.problems[0]
    assert (problem.node, problem.input, problem.code) == ("s", "value", "value_bigger_than_max")


def test_names_made_to_be_compared_for_long_cost_no_more_than_others() -> None:
    """Letters that are all alike are difflib's worst case: 250 such ids held up the server for 11 s."""
    number = {"class_type": "Number", "inputs": {"value": 1}}
    data: dict[str, Any] = {f"{'a' * 90}{index}": number for index in range(250)}
    for index in range(200):
        data[f"show{index}"] = {"class_type": "Show", "inputs": {"value": [f"{'a' * 92}{index}", 0]}}
    before = time.process_time()
    with pytest.raises(WorkflowError) as caught:
        resolve(read_api(data), SPECS, NoFiles())
    assert time.process_time() - before < 3.0
    assert len(caught.value.problems) == 200
    names = [f"{'a' * 95}{index}" for index in range(2_000)]
    before = time.process_time()
    for index in range(20):
        nearest("a" * 94 + str(index), names)
    assert time.process_time() - before < 5.0, "it took 13 s each"


def test_wrong_choices_are_all_named_and_few_get_a_suggestion() -> None:
    data = {str(index): {"class_type": "Pick", "inputs": {"value": 1, "schedule": "karas"}} for index in range(200)}
    data |= {f"show{index}": {"class_type": "Show", "inputs": {"value": [str(index), 0]}} for index in range(200)}
    with pytest.raises(WorkflowError) as caught:
        resolve(read_api(data), WEB_SPECS, NoFiles())
    wrong = [each.message for each in caught.value.problems if each.code == "value_not_in_list"]
    assert len(wrong) == 200 and sum("did you mean" in each for each in wrong) == 50
