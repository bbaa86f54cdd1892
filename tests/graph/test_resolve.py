"""From a workflow to a graph, or to every problem at once."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph.checks import Asked, Wrong, literal_converter
from engine.graph.graph import branch_by_branch, resolve
from engine.graph.node import Files, Fixed, InputSpec, NodeSpec, OutputSpec
from engine.graph.plan import make_plan
from engine.graph.problems import Problem, WorkflowError
from engine.graph.schema import json_schema, object_info
from engine.graph.workflow import Workflow, is_link, read_api, read_json, set_inputs, write_api

SPECS: Mapping[str, NodeSpec] = {
    each.class_type: each
    for each in (
        NodeSpec(
            "Number",
            "Number",
            inputs=(InputSpec("value", "INT", minimum=0, maximum=2**64 - 1),),
            outputs=(OutputSpec("INT", "INT"),),
        ),
        NodeSpec(
            "Add",
            "Add",
            inputs=(InputSpec("a", "INT"), InputSpec("b", "INT", default=1)),
            outputs=(OutputSpec("INT", "INT"),),
        ),
        NodeSpec(
            "Sampler",
            "Sampler",
            inputs=(
                InputSpec("scheduler", "COMBO", choices=Fixed(("normal", "karras"))),
                InputSpec("cfg", "FLOAT", minimum=0.0, maximum=100.0),
                InputSpec("latent", "LATENT"),
                InputSpec("mask", "MASK", required=False),
                InputSpec("on", "BOOLEAN"),
                InputSpec("name", "STRING"),
            ),
            outputs=(OutputSpec("LATENT", "LATENT"),),
        ),
        NodeSpec("Empty", "Empty", outputs=(OutputSpec("LATENT", "LATENT"), OutputSpec("MASK", "MASK"))),
        NodeSpec(
            "Load",
            "Load",
            inputs=(InputSpec("file", "COMBO", choices=Files("checkpoints")),),
            outputs=(OutputSpec("MODEL", "MODEL"),),
        ),
        NodeSpec("Show", "Show", inputs=(InputSpec("value", "*"),), output_node=True),
    )
}


class Checkpoints:
    def find(self, folder: str, name: str) -> str | None:
        return name if name in self.list(folder) else None

    def list(self, folder: str) -> list[str]:
        return ["dreamy.safetensors", "sd15.safetensors"]


def build(nodes: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Workflow:
    return read_api({name: {"class_type": kind, "inputs": dict(inputs)} for name, (kind, inputs) in nodes.items()})


def problems_of(
    nodes: Mapping[str, tuple[str, Mapping[str, Any]]], **options: Any
) -> dict[tuple[str | None, str | None], Problem]:
    with pytest.raises(WorkflowError) as caught:
        resolve(build(nodes), SPECS, Checkpoints(), **options)
    return {(each.node, each.input): each for each in caught.value.problems}


GOOD_SAMPLER = {"scheduler": "normal", "cfg": 8, "latent": ["e", 0], "on": True, "name": "x"}


def test_only_what_an_output_needs_is_kept_in_order() -> None:
    graph = resolve(
        build(
            {
                "out": ("Show", {"value": ["b", 0]}),
                "b": ("Add", {"a": ["a", 0], "b": 2}),
                "a": ("Number", {"value": 1}),
                "unused": ("Number", {"value": 5}),
            }
        ),
        SPECS,
        Checkpoints(),
    ).graph
    assert [each.id for each in graph.nodes] == ["a", "b", "out"]
    assert graph.targets == ("out",)


def test_every_problem_is_found_at_once_and_names_its_place() -> None:
    found = problems_of(
        {
            "e": ("Empty", {}),
            "l": ("Load", {"file": "sd51.safetensors"}),
            "s": ("Sampler", {"scheduler": "karas", "cfg": 400, "latent": ["l", 0], "mask": ["e", 7], "on": None}),
            "o": ("Show", {"value": ["s", 0]}),
        }
    )
    assert {key: each.code for key, each in found.items()} == {
        ("l", "file"): "value_not_in_list",
        ("s", "scheduler"): "value_not_in_list",
        ("s", "cfg"): "value_bigger_than_max",
        ("s", "latent"): "return_type_mismatch",
        ("s", "mask"): "bad_linked_input",
        ("s", "on"): "invalid_input_type",
        ("s", "name"): "required_input_missing",
    }
    assert "did you mean 'karras'?" in found["s", "scheduler"].message
    assert "did you mean 'sd15.safetensors'?" in found["l", "file"].message
    assert "wants LATENT, but output 0 of node l (Load) is MODEL" in found["s", "latent"].message
    assert str(found["s", "cfg"]).startswith("node s (Sampler) cfg: 400 is above the largest allowed, 100")
    assert found["s", "cfg"].extra["dependent_outputs"] == ["o"]


@pytest.mark.parametrize(("wrong", "near", "said"), [
    ("v1-5-pruned-emaonly.safetensors", None, "; it has 'base.safetensors', 'standin.safetensors'"),
    ("stable-diffusion-v1.safetensors", None, "; it has 'base.safetensors', 'standin.safetensors'"),
    ("bas.ckpt", "base.safetensors", "; did you mean 'base.safetensors'?"),
])  # fmt: skip
def test_a_missing_file_is_like_another_by_its_name_not_by_its_extension(
    wrong: str, near: str | None, said: str
) -> None:
    class Folder:
        def find(self, folder: str, name: str) -> None:
            return None

        def list(self, folder: str) -> list[str]:
            return ["base.safetensors", "standin.safetensors"]

    with pytest.raises(WorkflowError) as raised:
        resolve(build({"l": ("Load", {"file": wrong}), "o": ("Show", {"value": ["l", 0]})}), SPECS, Folder())
    (problem,) = raised.value.problems
    assert problem.message.endswith(said) and problem.extra["nearest"] == near
    assert wrong in problem.message and "the folder checkpoints" in problem.message


def test_a_broken_output_leaves_the_others_running() -> None:
    resolved = resolve(
        build(
            {
                "n": ("Number", {"value": 1}),
                "good": ("Show", {"value": ["n", 0]}),
                "bad": ("Show", {"value": ["gone", 0]}),
            }
        ),
        SPECS,
        Checkpoints(),
    )
    assert resolved.graph.targets == ("good",)
    (problem,) = resolved.problems
    assert (problem.node, problem.code) == ("bad", "bad_linked_input")
    assert problem.extra["dependent_outputs"] == ["bad"]


def test_all_or_nothing_refuses_the_whole() -> None:
    assert ("bad", "value") in problems_of(
        {
            "n": ("Number", {"value": 1}),
            "good": ("Show", {"value": ["n", 0]}),
            "bad": ("Show", {"value": ["gone", 0]}),
        },
        all_or_nothing=True,
    )


def test_a_cycle_is_spelled_out() -> None:
    found = problems_of(
        {
            "a": ("Add", {"a": ["b", 0], "b": 1}),
            "b": ("Add", {"a": ["a", 0], "b": 1}),
            "o": ("Show", {"value": ["b", 0]}),
        }
    )
    (problem,) = found.values()
    assert problem.code == "dependency_cycle"
    assert "→" in problem.message


def test_an_unknown_class_gets_the_nearest_name() -> None:
    (problem,) = problems_of({"s": ("Samplr", {}), "o": ("Show", {"value": ["s", 0]})}).values()
    assert "did you mean 'Sampler'?" in problem.message


def test_nothing_to_make_is_said() -> None:
    (problem,) = problems_of({"n": ("Number", {"value": 1})}).values()
    assert problem.code == "prompt_no_outputs"


def test_an_order_is_branch_by_branch_and_has_all_but_what_stands_on_a_circle() -> None:
    source = random.Random(3)
    for _ in range(200):
        names = [str(number) for number in range(source.randint(1, 30))]
        reads = {name: source.sample(names[:at], min(at, source.randint(0, 3))) for at, name in enumerate(names)}
        order = branch_by_branch(reads.__getitem__, source.sample(names, len(names)))
        place = {name: at for at, name in enumerate(order)}
        assert sorted(order) == sorted(names)
        assert all(place[each] < place[name] for name in names for each in reads[name])
        circle = source.choice(names)
        below = {circle}
        reads[circle] = [*reads[circle], circle]
        for name in names[int(circle):]:
            if below.intersection(reads[name]):
                below.add(name)
        assert set(branch_by_branch(reads.__getitem__, names)) == set(names) - below


def test_targets_choose_outputs() -> None:
    nodes = {"n": ("Number", {"value": 1}), "x": ("Show", {"value": ["n", 0]}), "y": ("Show", {"value": ["n", 0]})}
    assert resolve(build(nodes), SPECS, Checkpoints(), targets=["y"]).graph.targets == ("y",)
    assert problems_of(nodes, targets=[])[None, None].code == "prompt_no_outputs"
    assert "did you mean" not in str(problems_of(nodes, targets=["q"]))


@pytest.mark.parametrize(("written", "read"), [("7", 7), (7.9, 7), (True, 1), (2**64 - 1, 2**64 - 1)])
def test_literals_are_converted_as_comfyui_does(written: Any, read: int) -> None:
    graph = resolve(
        build({"n": ("Number", {"value": written}), "o": ("Show", {"value": ["n", 0]})}), SPECS, Checkpoints()
    ).graph
    assert graph.nodes[0].literals == {"value": read}
    assert type(graph.nodes[0].literals["value"]) is int


@pytest.mark.parametrize("value", [2**64, -1, "many", None, [1, 2, 3], {"a": 1}, "1" * 10_000])
def test_numbers_that_are_none_or_too_large_are_refused(value: Any) -> None:
    assert ("n", "value") in problems_of({"n": ("Number", {"value": value}), "o": ("Show", {"value": ["n", 0]})})


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_float_has_to_be_finite(text: str) -> None:
    nodes = {"e": ("Empty", {}), "s": ("Sampler", {**GOOD_SAMPLER, "cfg": text}), "o": ("Show", {"value": ["s", 0]})}
    assert problems_of(nodes)["s", "cfg"].code == "invalid_input_type"


def test_a_chain_of_ten_thousand_is_resolved_and_planned_within_its_budget() -> None:
    nodes: dict[str, tuple[str, dict[str, Any]]] = {"0": ("Number", {"value": 0})}
    for index in range(1, 10_000):
        nodes[str(index)] = ("Add", {"a": [str(index - 1), 0], "b": 1})
    nodes["out"] = ("Show", {"value": ["9999", 0]})
    shuffled = list(nodes.items())
    random.Random(0).shuffle(shuffled)
    workflow = build(dict(shuffled))
    resolve(build({"n": ("Number", {"value": 1}), "o": ("Show", {"value": ["n", 0]})}), SPECS, Checkpoints())  # imports
    before = time.process_time()
    graph = resolve(workflow, SPECS, Checkpoints()).graph
    plan = make_plan(graph, SPECS, {})
    spent = time.process_time() - before
    print(f"10,000 nodes resolved and planned in {spent:.3f} CPU-seconds")
    assert len(plan.keys) == 10_001
    assert spent < 1.2, "three times the budget of 0.4 s, for busy machines; benchmarks/ has the figure"


def test_recipe_keys_ignore_ids_and_order_but_nothing_else() -> None:
    def keys(nodes: Mapping[str, tuple[str, Mapping[str, Any]]], tokens: Mapping[str, Any] | None = None) -> set[bytes]:
        return set(make_plan(resolve(build(nodes), SPECS, Checkpoints()).graph, SPECS, tokens or {}).keys.values())

    one = {"a": ("Number", {"value": 1}), "b": ("Add", {"a": ["a", 0], "b": 2}), "o": ("Show", {"value": ["b", 0]})}
    same = {"z": ("Show", {"value": ["y", 0]}), "y": ("Add", {"b": 2, "a": ["x", 0]}), "x": ("Number", {"value": 1})}
    assert keys(one) == keys(same)
    other = {**one, "a": ("Number", {"value": 2})}
    assert not keys(one) & keys(other)
    assert len(keys(one) & keys(one, {"a": "changed"})) == 0
    assert len(keys(one, {"b": 1}) & keys(one)) == 1


# -- the two checks agree ----------------------------------------------------------------------------------------

plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.sampled_from(["normal", "karras", "dreamy.safetensors", 1, 2, 0.5]),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(value=plain, entry=st.sampled_from([each for spec in SPECS.values() for each in spec.inputs]))
def test_the_compiled_check_accepts_all_that_the_json_schema_accepts(value: Any, entry: InputSpec) -> None:
    """The schema is what tools check files with; the hot path converts besides ("7" for 7), so it accepts more."""
    schema = json_schema(NodeSpec("X", "X", inputs=(entry,)), Checkpoints().list)
    valid = jsonschema.Draft202012Validator(schema).is_valid({entry.name: value})
    try:
        converted = literal_converter(entry)(value, Asked(Checkpoints()))
    except Wrong:
        assert not valid, f"the schema accepts {value!r} for {entry}, the hot path does not"
        return
    assert jsonschema.Draft202012Validator(schema).is_valid({entry.name: converted}) or entry.kind == "*"


def test_schemas_are_schemas() -> None:
    for spec in SPECS.values():
        jsonschema.Draft202012Validator.check_schema(json_schema(spec, Checkpoints().list))


def test_object_info_has_the_protocols_shape() -> None:
    info = object_info(SPECS["Sampler"], Checkpoints().list)
    assert info["input"]["required"]["scheduler"] == [["normal", "karras"]]
    assert info["input"]["required"]["cfg"] == ["FLOAT", {"min": 0.0, "max": 100.0}]
    assert info["input"]["optional"] == {"mask": ["MASK"]}
    assert info["input_order"] == {"required": ["scheduler", "cfg", "latent", "on", "name"], "optional": ["mask"]}
    assert info["output"] == ["LATENT"]
    assert object_info(SPECS["Load"], Checkpoints().list)["input"]["required"]["file"] == [Checkpoints().list("")]


# -- reading -----------------------------------------------------------------------------------------------------


def test_links_and_literals_are_told_apart() -> None:
    assert is_link(["3", 0])
    assert is_link(["3", 1.0])
    assert not any(map(is_link, ([3, 0], ["3"], ["3", "0"], ["3", 0, 0], "30", ["3", True])))


def test_api_json_round_trips() -> None:
    data = {
        "1": {
            "class_type": "X",
            "inputs": {"l": ["2", 0], "v": {"__value__": ["2", 0]}, "t": "x"},
            "_meta": {"title": "T"},
        }
    }
    assert write_api(read_api(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        [],
        "x",
        5,
        None,
        {"1": 5},
        {"1": {}},
        {"1": {"class_type": 5}},
        {"1": {"class_type": "X", "inputs": []}},
        {"x" * 5000: {"class_type": "X"}},
    ],
)
def test_what_is_no_workflow_is_refused_with_its_place(data: Any) -> None:
    with pytest.raises(WorkflowError) as caught:
        read_api(data)
    assert caught.value.problems


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b"\xff", b"[" * 500 + b"]" * 500]
)
def test_malformed_or_deep_json_is_refused(text: bytes) -> None:
    with pytest.raises(WorkflowError):
        read_json(text)


def test_inputs_are_set_by_name_and_wrong_names_are_told_together() -> None:
    workflow = build({"6": ("Number", {"value": 1}), "7": ("Add", {"a": 1, "b": 2})})
    changed = set_inputs(workflow, {"6.value": 5})
    assert changed.nodes["6"].inputs["value"] == 5
    assert workflow.nodes["6"].inputs["value"] == 1
    with pytest.raises(WorkflowError) as caught:
        set_inputs(workflow, {"6.valeu": 5, "9.a": 1})
    assert ["did you mean 'value'?" in str(each) for each in caught.value.problems] == [True, False]


def test_graphs_survive_the_wire() -> None:
    graph = resolve(
        build({"n": ("Number", {"value": 2**64 - 1}), "o": ("Show", {"value": ["n", 0]})}), SPECS, Checkpoints()
    ).graph
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(graph), type=type(graph)) == graph
