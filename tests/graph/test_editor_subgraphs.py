"""Subgraphs unfold into ids joined by colons; values promoted to the outside win."""

import pytest

from engine.graph.editor_format import read_editor
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Link
from tests.graph.editor_files import defining, file, node, subgraph
from tests.graph.specs import SPECS

CHECKPOINT = (4, "CheckpointLoaderSimple", ["a"], [], "MODEL CLIP VAE")


def nodes_of(data):
    return read_editor(data, SPECS).workflow.nodes


def encode(key="enc", **more):
    """clip, text → CLIPTextEncode 7 → conditioning."""
    inner = node(7, "CLIPTextEncode", ["inner"], ["clip:CLIP=-10.0", "text!:STRING=-10.1"], "CONDITIONING")
    return subgraph(key, [inner], ["clip:CLIP", "text:STRING"], ["out:CONDITIONING=7.0"], **more)


def outer(values=None, text="text!:STRING", properties=None, mode=0, extra_nodes=()):
    return file(
        node(*CHECKPOINT), *extra_nodes,
        node(12, "enc", values, ["clip:CLIP=4.1", text], "CONDITIONING", mode=mode, properties=properties or {}),
        node(13, "ConditioningCombine", [], ["conditioning_1:CONDITIONING=12.0"]), definitions=defining(encode()))


def test_an_instance_becomes_its_inner_nodes_with_ids_joined_by_a_colon():
    found = nodes_of(outer())
    assert found.keys() == {"4", "12:7", "13"}
    assert found["12:7"].inputs == {"text": "inner", "clip": Link("4", 1)}
    assert found["13"].inputs == {"conditioning_1": Link("12:7", 0)}


def test_a_port_that_is_not_linked_takes_the_value_on_the_instance():
    assert nodes_of(outer(["outer"]))["12:7"].inputs["text"] == "outer"


def test_values_on_the_instance_may_be_an_object():
    assert nodes_of(outer({"text": "named"}))["12:7"].inputs["text"] == "named"


def test_null_on_the_instance_leaves_the_inner_value():
    assert nodes_of(outer([None]))["12:7"].inputs["text"] == "inner"


def test_a_linked_port_wins_over_the_value_on_the_instance():
    source = node(30, "TextSource", None, [], "STRING")
    found = nodes_of(outer(["outer"], "text!:STRING=30.0", extra_nodes=[source]))
    assert found["12:7"].inputs["text"] == Link("30", 0)


def test_a_primitive_outside_fills_an_inner_field():
    source = node(30, "PrimitiveNode", ["typed"], [], "STRING")
    assert nodes_of(outer(["outer"], "text!:STRING=30.0", extra_nodes=[source]))["12:7"].inputs["text"] == "typed"


def test_the_list_of_shown_fields_says_what_the_instances_values_are():
    """proxyWidgets: the port itself as node -1, an inner field by its node's id."""
    inner = node(3, "KSampler", [1, "fixed", 20, 8, "euler", "normal", 1], ["steps!:INT=-10.0"], "LATENT")
    data = file(
        node(12, "sub", [30, 77, None, 4.5], ["steps!:INT"], "LATENT", properties={"proxyWidgets": [
            ["-1", "steps"], ["3", "seed"], ["3", "control_after_generate"], ["3", "cfg"]]}),
        definitions=defining(subgraph("sub", [inner], ["steps:INT"], ["out:LATENT=3.0"])))
    found = nodes_of(data)["12:3"].inputs
    assert (found["steps"], found["seed"], found["cfg"]) == (30, 77, 4.5)
    assert "control_after_generate" not in found


def test_the_list_of_shown_fields_counts_too_where_the_values_are_fewer():
    proxies = {"proxyWidgets": [["7", "other"], ["-1", "text"], ["7", "more"]]}
    assert nodes_of(outer([None, "outer"], properties=proxies))["12:7"].inputs["text"] == "outer"


def test_the_list_of_shown_fields_may_be_a_text():
    assert nodes_of(outer(["outer"], properties={"proxyWidgets": '[["-1", "text"]]'}))["12:7"].inputs["text"] == "outer"
    assert nodes_of(outer(["outer"], properties={"proxyWidgets": "[[["}))["12:7"].inputs["text"] == "outer"


def test_shown_inner_fields_without_values_leave_the_values_to_the_ports():
    assert nodes_of(outer(["outer"], properties={"proxyWidgets": [["7", "text"], ["7", "other"]]}))[
        "12:7"].inputs["text"] == "outer"


def test_fields_that_the_definition_exposes_come_after_the_ports():
    data = outer(["outer"])
    inner = data["definitions"]["subgraphs"][0]
    inner["nodes"].append(node(8, "EmptyLatentImage", [1, 2, 3]))
    inner["widgets"] = [{"id": 8, "name": "height"}]
    data["nodes"][1]["widgets_values"] = ["outer", 640]
    assert nodes_of(data)["12:8"].inputs == {"width": 1, "height": 640, "batch_size": 3}
    assert nodes_of(data)["12:7"].inputs["text"] == "outer"


def nested(middle=None, outermost=None):
    """9 (mid) holds 8 (enc) holds 7; text runs through both borders."""
    mid = subgraph("mid", [node(8, "enc", middle, ["clip:CLIP=-10.0", "text!:STRING=-10.1"], "CONDITIONING")],
                   ["clip:CLIP", "text:STRING"], ["out:CONDITIONING=8.0"])
    return file(node(*CHECKPOINT), node(9, "mid", outermost, ["clip:CLIP=4.1", "text!:STRING"], "CONDITIONING"),
                node(13, "ConditioningCombine", [], ["conditioning_1:CONDITIONING=9.0"]),
                definitions=defining(mid, encode()))


def test_subgraphs_nest():
    found = nodes_of(nested())
    assert found.keys() == {"4", "9:8:7", "13"}
    assert found["9:8:7"].inputs == {"text": "inner", "clip": Link("4", 1)}
    assert found["13"].inputs == {"conditioning_1": Link("9:8:7", 0)}


def test_the_outermost_value_wins():
    assert nodes_of(nested(middle=["middle"]))["9:8:7"].inputs["text"] == "middle"
    assert nodes_of(nested(middle=["middle"], outermost=["outermost"]))["9:8:7"].inputs["text"] == "outermost"


def test_an_inner_field_shown_through_two_borders_takes_the_outermost_value():
    inner = subgraph("inner", [node(3, "EmptyLatentImage", [1, 2, 3], [], "LATENT")], [], ["out:LATENT=3.0"])
    mid = subgraph("mid", [node(8, "inner", [5], [], "LATENT", properties={"proxyWidgets": [["3", "width"]]})],
                   [], ["out:LATENT=8.0"])
    data = file(node(9, "mid", [6], [], "LATENT", properties={"proxyWidgets": [["8", "width"]]}),
                definitions=defining(mid, inner))
    assert nodes_of(data)["9:8:3"].inputs["width"] == 6
    data["nodes"][0]["widgets_values"] = []
    assert nodes_of(data)["9:8:3"].inputs["width"] == 5


def test_definitions_may_stand_inside_definitions():
    mid = subgraph("mid", [node(8, "enc", None, ["clip:CLIP=-10.0", "text!:STRING"], "CONDITIONING")],
                   ["clip:CLIP"], ["out:CONDITIONING=8.0"], definitions=defining(encode()))
    data = file(node(*CHECKPOINT), node(9, "mid", None, ["clip:CLIP=4.1"], "CONDITIONING"),
                definitions=defining(mid))
    assert nodes_of(data)["9:8:7"].inputs["clip"] == Link("4", 1)


def test_two_instances_of_one_definition_are_two_copies():
    data = file(node(1, "enc", ["one"], ["clip:CLIP", "text!:STRING"], "CONDITIONING"),
                node(2, "enc", ["two"], ["clip:CLIP", "text!:STRING"], "CONDITIONING"),
                definitions=defining(encode()))
    found = nodes_of(data)
    assert (found["1:7"].inputs["text"], found["2:7"].inputs["text"]) == ("one", "two")


@pytest.mark.parametrize("mode", [2, 4])
def test_a_muted_or_bypassed_instance_hides_all_inner_nodes(mode):
    assert nodes_of(outer(mode=mode)).keys() == {"4", "13"}


def test_a_bypassed_instance_hands_through_what_fits():
    refine = subgraph("sub", [node(3, "LatentUpscale", None, ["samples:LATENT=-10.0"], "LATENT")],
                      ["samples:LATENT"], ["out:LATENT=3.0"])
    data = file(node(5, "EmptyLatentImage", [8, 8, 1], [], "LATENT"),
                node(12, "sub", None, ["samples:LATENT=5.0"], "LATENT", mode=4),
                node(8, "VAEDecode", [], ["samples:LATENT=12.0"]), definitions=defining(refine))
    assert nodes_of(data)["8"].inputs == {"samples": Link("5", 0)}


def test_muted_and_bypassed_nodes_inside_follow_the_rules_too():
    """port → 3 (bypassed) → out; the consumer outside reads what feeds the port."""
    refine = subgraph("sub", [node(3, "LatentUpscale", None, ["samples:LATENT=-10.0"], "LATENT", mode=4)],
                      ["samples:LATENT"], ["out:LATENT=3.0"])
    data = file(node(5, "EmptyLatentImage", [8, 8, 1], [], "LATENT"),
                node(12, "sub", None, ["samples:LATENT=5.0"], "LATENT"),
                node(8, "VAEDecode", [], ["samples:LATENT=12.0"]), definitions=defining(refine))
    assert nodes_of(data)["8"].inputs == {"samples": Link("5", 0)}


def test_a_port_may_lead_straight_through():
    through = subgraph("sub", [], ["it:LATENT"], ["out:LATENT=-10.0"])
    data = file(node(5, "EmptyLatentImage", [8, 8, 1], [], "LATENT"),
                node(12, "sub", None, ["it:LATENT=5.0"], "LATENT"),
                node(8, "VAEDecode", [], ["samples:LATENT=12.0"]), definitions=defining(through))
    assert nodes_of(data)["8"].inputs == {"samples": Link("5", 0)}


def test_an_output_port_that_is_not_linked_inside_leaves_the_consumers_input_out():
    empty = subgraph("sub", [], [], ["out:LATENT"])
    data = file(node(12, "sub", None, [], "LATENT"), node(8, "VAEDecode", [], ["samples:LATENT=12.0"]),
                definitions=defining(empty))
    assert nodes_of(data)["8"].inputs == {}


def test_ports_are_matched_by_name_where_the_instance_has_another_order():
    data = outer(["outer"])
    data["nodes"][1]["inputs"].reverse()
    assert nodes_of(data)["12:7"].inputs == {"text": "outer", "clip": Link("4", 1)}


def test_an_instance_of_a_definition_that_is_not_there_is_an_unknown_type():
    data = outer()
    del data["definitions"]
    assert read_editor(data, SPECS).missing == {"enc": ("12",)}


def test_unknown_types_inside_are_named_with_their_whole_id():
    data = file(node(9, "sub"), definitions=defining(subgraph("sub", [node(1, "Alien"), node(2, "Alien")])))
    assert read_editor(data, SPECS).missing == {"Alien": ("9:1", "9:2")}


# -- hostile files -----------------------------------------------------------------------------------------------


def test_a_definition_that_contains_itself_is_refused():
    a, b = subgraph("a", [node(1, "b")]), subgraph("b", [node(1, "a")])
    with pytest.raises(WorkflowError, match="node 5:1:1: the subgraph a contains itself"):
        read_editor(file(node(5, "a"), definitions=defining(a, b)), SPECS)


def test_a_circle_of_definitions_that_nothing_uses_does_no_harm():
    assert nodes_of(file(node(1, "LoadImage", ["x"]), definitions=defining(subgraph("a", [node(1, "a")])))).keys() == {
        "1"}


def test_definitions_that_unfold_to_billions_of_nodes_are_refused():
    levels = [subgraph(f"s{index}", [node(k, f"s{index + 1}") for k in range(10)]) for index in range(12)]
    with pytest.raises(WorkflowError, match="unfold to more than"):
        read_editor(file(node(1, "s0"), definitions=defining(*levels)), SPECS)


def test_definitions_nested_deeper_than_the_limit_are_refused():
    levels = [subgraph(f"s{index}", [node(1, f"s{index + 1}")]) for index in range(300)]
    with pytest.raises(WorkflowError, match="nested more than"):
        read_editor(file(node(1, "s0"), definitions=defining(*levels)), SPECS)


def test_ids_that_collide_after_unfolding_are_refused():
    data = file(node("9:1", "LoadImage", ["x"]), node(9, "sub"),
                definitions=defining(subgraph("sub", [node(1, "LoadImage", ["y"])])))
    with pytest.raises(WorkflowError, match="two nodes have the id '9:1'"):
        read_editor(data, SPECS)


def test_a_malformed_definition_is_named_with_its_subgraph():
    broken = subgraph("sub", [node(1, "LoadImage", ["x"])])
    broken["nodes"][0]["widgets_values"] = "text"
    with pytest.raises(WorkflowError, match="node 1: subgraph sub: widgets_values is a list"):
        read_editor(file(node(9, "sub"), definitions=defining(broken)), SPECS)
