"""Legacy group nodes: ``workflow/Name`` with its definition in ``extra.groupNodes``."""

import copy

import pytest

from engine.graph.editor_format import apply_to_document, dump_document, load_document, read_editor
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Link, set_inputs
from tests.graph.editor_files import file, node, slot
from tests.graph.specs import SPECS


def inner(kind, values=None, inputs=(), outputs="", **more):
    """An inner node: no id, no links."""
    data = node(0, kind, values, inputs, outputs, **more)
    del data["id"]
    return data


def groups(nodes, links, **more):
    return {"groupNodes": {"Two": {"nodes": nodes, "links": links, "external": [], **more}}}


TEXTS = groups([
    inner("CLIPTextEncode", ["a"], ["clip:CLIP"], "CONDITIONING"),
    inner("CLIPTextEncode", ["b"], ["clip:CLIP"], "CONDITIONING", title="Negative"),
    inner("ConditioningCombine", [], ["conditioning_1:CONDITIONING", "conditioning_2:CONDITIONING"], "CONDITIONING"),
], [[0, 0, 2, 0, 30, "CONDITIONING"], [1, 0, 2, 1, 31, "CONDITIONING"]])

CHECKPOINT = (4, "CheckpointLoaderSimple", ["x"], [], "MODEL CLIP VAE")


def texts(values, kind="workflow/Two", extra=TEXTS):
    return file(
        node(*CHECKPOINT), node(37, kind, values, ["clip:CLIP=4.1", "Negative clip:CLIP=4.1"], "CONDITIONING"),
        node(13, "ConditioningCombine", [], ["conditioning_1:CONDITIONING=37.0"]), extra=copy.deepcopy(extra))


def nodes_of(data):
    return read_editor(data, SPECS).workflow.nodes


@pytest.mark.parametrize("kind", ["workflow/Two", "workflow>Two"])
def test_a_group_node_becomes_its_numbered_inner_nodes(kind):
    found = nodes_of(texts(["cat", "blurry"], kind))
    assert found.keys() == {"4", "13", "37:0", "37:1", "37:2"}
    assert found["37:0"].inputs == {"text": "cat", "clip": Link("4", 1)}
    assert found["37:1"].inputs == {"text": "blurry", "clip": Link("4", 1)}
    assert found["37:2"].inputs == {"conditioning_1": Link("37:0", 0), "conditioning_2": Link("37:1", 0)}
    assert found["13"].inputs == {"conditioning_1": Link("37:2", 0)}


def test_a_group_node_without_values_has_those_of_its_definition():
    found = nodes_of(texts(None))
    assert (found["37:0"].inputs["text"], found["37:1"].inputs["text"]) == ("a", "b")


def sampling(values, sampler_inputs=("model:MODEL", "positive:CONDITIONING", "negative:CONDITIONING",
                                     "latent_image:LATENT"), outer=(), outputs="LATENT", **more):
    """An EmptyLatentImage feeding a KSampler, as one group."""
    extra = groups([
        inner("EmptyLatentImage", [64, 64, 1], [], "LATENT"),
        inner("KSampler", [1, "fixed", 2, 3, "euler", "normal", 1], sampler_inputs, "LATENT"),
    ], [[0, 0, 1, 3, 30, "LATENT"]], **more)
    return file(node(*CHECKPOINT), node(30, "PrimitiveInt", [9, "fixed"], [], "INT"),
                node(37, "workflow/Two", values, ["model:MODEL=4.0", *outer], outputs),
                node(8, "VAEDecode", [], ["samples:LATENT=37.0"]), extra=extra)


def test_a_group_nodes_values_are_those_of_all_forms_with_their_extras():
    found = nodes_of(sampling([640, 480, 2, 2**64 - 1, "randomize", 30, 7.5, "dpmpp_2m", "karras", 0.5]))
    assert found["37:0"].inputs == {"width": 640, "height": 480, "batch_size": 2}
    assert found["37:1"].inputs == {
        "seed": 2**64 - 1, "steps": 30, "cfg": 7.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 0.5,
        "model": Link("4", 0), "latent_image": Link("37:0", 0)}
    assert found["8"].inputs == {"samples": Link("37:1", 0)}


def test_a_group_nodes_short_values_are_filled_by_its_definition():
    found = nodes_of(sampling([640, 480, 2]))
    assert found["37:1"].inputs["steps"] == 2


def test_a_field_of_a_group_node_may_be_converted_to_an_input():
    found = nodes_of(sampling([640, 480, 2, 5, "fixed", 30, 7.5, "euler", "normal", 1], outer=["steps!:INT=30.0"]))
    assert found["37:1"].inputs["steps"] == Link("30", 0)
    assert found["37:1"].inputs["cfg"] == 7.5


def test_a_field_converted_inside_is_an_input_outside_and_no_value():
    inputs = ("model:MODEL", "positive:CONDITIONING", "negative:CONDITIONING", "latent_image:LATENT", "seed!:INT")
    found = nodes_of(sampling([640, 480, 2, 30, 7.5, "euler", "normal", 1], inputs, outer=["seed:INT=30.0"]))
    assert found["37:1"].inputs["seed"] == Link("30", 0)
    assert found["37:1"].inputs["steps"] == 30


def test_front_ends_that_list_all_fields_among_the_inputs_convert_none_by_that():
    inputs = ("model:MODEL", "positive:CONDITIONING", "negative:CONDITIONING", "latent_image:LATENT", "seed!:INT",
              "steps!:INT", "cfg!:FLOAT", "sampler_name!:COMBO", "scheduler!:COMBO", "denoise!:FLOAT")
    data = sampling([640, 480, 2, 5, "fixed", 30, 7.5, "euler", "normal", 1], inputs, outer=["steps!:INT=30.0"])
    latent = data["extra"]["groupNodes"]["Two"]["nodes"][0]
    latent["inputs"] = [slot(f"{name}!:INT") for name in ("width", "height", "batch_size")]
    found = nodes_of(data)
    assert found["37:0"].inputs == {"width": 640, "height": 480, "batch_size": 2}
    assert found["37:1"].inputs == {
        "seed": 5, "steps": Link("30", 0), "cfg": 7.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1,
        "model": Link("4", 0), "latent_image": Link("37:0", 0)}


def test_an_output_used_inside_is_hidden_unless_it_is_external():
    hidden = sampling([64, 64, 1])
    assert nodes_of(hidden)["8"].inputs == {"samples": Link("37:1", 0)}
    shown = sampling([64, 64, 1], external=[[0, 0, "LATENT"]], outputs="LATENT LATENT")
    assert nodes_of(shown)["8"].inputs == {"samples": Link("37:0", 0)}


def test_an_output_may_be_hidden_by_configuration():
    shown = sampling([64, 64, 1], external=[[0, 0, "LATENT"]],
                     config={"0": {"output": {"0": {"visible": False}}}})
    assert nodes_of(shown)["8"].inputs == {"samples": Link("37:1", 0)}


def test_an_input_may_be_renamed_by_configuration():
    data = sampling([64, 64, 1], config={"1": {"input": {"model": {"name": "the model"}}}})
    data["nodes"][2]["inputs"][0]["name"] = "the model"
    assert nodes_of(data)["37:1"].inputs["model"] == Link("4", 0)


def test_a_primitive_inside_a_group_node_is_a_value_of_the_group():
    extra = groups([
        inner("PrimitiveNode", [64, "fixed"], [], "INT", title="Size"),
        inner("EmptyLatentImage", [1, 1, 1], ["width!:INT", "height!:INT"], "LATENT"),
    ], [[0, 0, 1, 0, 30, "INT"], [0, 0, 1, 1, 31, "INT"]])
    found = nodes_of(file(node(37, "workflow/Two", [640, "fixed", 3], [], "LATENT"), extra=extra))
    assert found.keys() == {"37:1"}
    assert found["37:1"].inputs == {"width": 640, "height": 640, "batch_size": 3}


def test_a_reroute_inside_a_group_node_is_followed():
    extra = groups([
        inner("Reroute", None, [":*"], "*"), inner("CLIPTextEncode", ["x"], ["clip:CLIP"], "CONDITIONING"),
    ], [[0, 0, 1, 0, 30, "CLIP"]])
    found = nodes_of(file(node(*CHECKPOINT), node(37, "workflow/Two", ["y"], [":CLIP=4.1"], "CONDITIONING"),
                          extra=extra))
    assert found["37:1"].inputs == {"text": "y", "clip": Link("4", 1)}


def test_an_unknown_type_inside_keeps_the_places_of_the_values_behind_it():
    extra = groups([inner("Alien", [1, 2], [], "X"), inner("CLIPTextEncode", ["x"], ["clip:CLIP"], "CONDITIONING")], [])
    converted = read_editor(file(node(37, "workflow/Two", [8, 9, "y"]), extra=extra), SPECS)
    assert converted.missing == {"Alien": ("37:0",)}
    assert converted.workflow.nodes["37:1"].inputs == {"text": "y"}


def test_a_group_node_without_a_definition_is_an_unknown_type():
    assert read_editor(texts(["a"], extra={}), SPECS).missing == {"workflow/Two": ("37",)}


def test_a_muted_group_node_hides_its_inner_nodes():
    data = texts(["cat", "blurry"])
    data["nodes"][1]["mode"] = 2
    assert nodes_of(data).keys() == {"4", "13"}


def test_values_of_a_group_node_are_written_back_to_the_instance():
    data = texts(["cat", "blurry"])
    document = load_document(data)
    workflow = set_inputs(read_editor(data, SPECS).workflow, {"37:1.text": "dark"})
    written = dump_document(apply_to_document(document, workflow, SPECS))
    assert written["nodes"][1]["widgets_values"] == ["cat", "dark"]
    assert written["extra"] == data["extra"]


def test_values_that_stand_in_the_definition_are_written_there():
    data = texts(None)
    workflow = set_inputs(read_editor(data, SPECS).workflow, {"37:1.text": "dark"})
    written = dump_document(apply_to_document(load_document(data), workflow, SPECS))
    assert written["extra"]["groupNodes"]["Two"]["nodes"][1]["widgets_values"] == ["dark"]
    assert data["extra"]["groupNodes"]["Two"]["nodes"][1]["widgets_values"] == ["b"]


@pytest.mark.parametrize("broken", [
    [], {"Two": []}, {"Two": {"nodes": 1}}, {"Two": {"nodes": [1]}}, {"Two": {"nodes": [{"type": 5}]}},
    {"Two": {"nodes": [], "links": 5}}, {"Two": {"nodes": [], "links": [5]}},
    {"Two": {"nodes": [], "links": [[0, "x", 0, 0]]}},
])
def test_a_malformed_group_node_is_a_problem(broken):
    with pytest.raises(WorkflowError, match=r"group node|groupNodes"):
        read_editor(file(node(37, "workflow/Two"), extra={"groupNodes": broken}), SPECS)
