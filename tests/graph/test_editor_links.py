"""Links, and the nodes that only the editor knows: reroutes, primitives, notes, mute and bypass."""

import pytest

from engine.graph.editor_format import read_editor
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Link, write_api
from tests.graph.editor_files import TXT2IMG_API, file, node, sampler, txt2img
from tests.graph.specs import SPECS

CHECKPOINT = ("CheckpointLoaderSimple", ["a"], [], "MODEL CLIP VAE")


def nodes_of(data, specs=SPECS):
    return read_editor(data, specs).workflow.nodes


def test_reroute_nodes_are_followed_and_left_out():
    """4 → reroute 10 → reroute 11 → 6."""
    found = nodes_of(file(
        node(4, *CHECKPOINT), node(10, "Reroute", None, ["=4.1"], "CLIP"), node(11, "Reroute", None, ["=10.0"], "*"),
        node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=11.0"])))
    assert found.keys() == {"4", "6"}
    assert found["6"].inputs["clip"] == Link("4", 1)


def test_a_reroute_that_leads_nowhere_leaves_the_input_out():
    found = nodes_of(file(node(10, "Reroute", None, [":*"], "*"),
                          node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=10.0"])))
    assert found["6"].inputs == {"text": "x"}


def test_native_reroutes_change_nothing():
    data = txt2img(extra={"reroutes": [{"id": 1, "pos": [1, 2], "linkIds": [1]}],
                          "linkExtensions": [{"id": 1, "parentId": 1}]})
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_floating_links_are_not_followed():
    data = txt2img(floatingLinks=[{"id": 77, "origin_id": 4, "origin_slot": 0, "target_id": -1, "target_slot": -1,
                                   "type": "MODEL", "parentId": 1}])
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_a_reroute_circle_is_refused():
    data = file(node(10, "Reroute", None, ["=11.0"], "*"), node(11, "Reroute", None, ["=10.0"], "*"),
                node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=11.0"]))
    with pytest.raises(WorkflowError, match="circle"):
        read_editor(data, SPECS)


def test_a_chain_of_reroutes_is_followed_in_linear_time():
    chain = [node(index, "Reroute", None, [f"={index - 1}.0"], "*") for index in range(2, 5_002)]
    readers = [node(index, "PreviewImage", [], [f"images:IMAGE={index - 5_000}.0"])
               for index in range(5_100, 10_000)]
    found = nodes_of(file(node(1, "LoadImage", ["x"], [], "IMAGE MASK"), *chain, *readers))
    assert all(each.inputs["images"] == Link("1", 0) for key, each in found.items() if key != "1")


def test_a_primitive_fills_the_fields_it_is_linked_to():
    """PrimitiveNode 10 → width of 5 and, through a reroute, height of 5."""
    found = nodes_of(file(
        node(10, "PrimitiveNode", [640, "fixed"], [], "INT"), node(11, "Reroute", None, ["=10.0"], "*"),
        node(5, "EmptyLatentImage", [1, 2, 3], ["width!:INT=10.0", "height!:INT=11.0"])))
    assert found.keys() == {"5"}
    assert found["5"].inputs == {"width": 640, "height": 640, "batch_size": 3}


def test_a_primitive_fills_the_field_that_the_input_names():
    data = file(node(10, "PrimitiveNode", ["hello"], [], "STRING"),
                node(6, "Unknown", None, ["renamed!:STRING=10.0"]))
    data["nodes"][1]["inputs"][0]["widget"]["name"] = "text"
    assert nodes_of(data)["6"].inputs == {"text": "hello"}


def test_a_primitive_that_was_never_connected_holds_nothing():
    found = nodes_of(file(node(10, "PrimitiveNode", None, [], "INT"),
                          node(5, "EmptyLatentImage", [1, 2, 3], ["width!:INT=10.0"])))
    assert found["5"].inputs["width"] == 1


def test_a_muted_primitive_still_fills_its_fields():
    found = nodes_of(file(node(10, "PrimitiveNode", [9, "fixed"], [], "INT", mode=2),
                          node(5, "EmptyLatentImage", [1, 2, 3], ["width!:INT=10.0"])))
    assert found["5"].inputs["width"] == 9


def test_a_primitive_does_not_stand_for_a_model():
    found = nodes_of(file(node(10, "PrimitiveNode", [9], [], "MODEL"),
                          node(3, "KSampler", [1, "fixed", 2, 3, "euler", "normal", 1], ["model:MODEL=10.0"])))
    assert "model" not in found["3"].inputs


def test_notes_are_left_out():
    data = txt2img()
    data["nodes"] += [node(20, "Note", ["remember"]), node(21, "MarkdownNote", ["# head"])]
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_named_connections_of_packs_are_followed():
    """4 → SetNode "clip" … GetNode "clip" → 6."""
    found = nodes_of(file(
        node(4, *CHECKPOINT), node(10, "SetNode", ["clip"], ["CLIP:CLIP=4.1"], "*"),
        node(11, "GetNode", ["clip"], [], "CLIP"), node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=11.0"])))
    assert found.keys() == {"4", "6"} and found["6"].inputs["clip"] == Link("4", 1)


def test_a_known_node_may_have_the_name_of_a_virtual_one():
    from tests.graph.specs import link, spec
    own = {**SPECS, "Reroute": spec("Reroute", [link("value", "*")], "*")}
    assert nodes_of(file(node(1, "Reroute", [], ["value:*"], "*")), own).keys() == {"1"}


# -- mute and bypass ---------------------------------------------------------------------------------------------


def test_a_muted_node_takes_its_links_with_it():
    data = txt2img()
    data["nodes"][4]["mode"] = 2
    found = nodes_of(data)
    assert "3" not in found and found["8"].inputs == {"vae": Link("4", 2)}


def test_a_muted_reroute_leads_nowhere():
    found = nodes_of(file(node(4, *CHECKPOINT), node(10, "Reroute", None, ["=4.1"], "CLIP", mode=2),
                          node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=10.0"])))
    assert found["6"].inputs == {"text": "x"}


@pytest.mark.parametrize("mode", [0, 1, 3, None])
def test_all_other_modes_run(mode):
    data = txt2img()
    data["nodes"][4]["mode"] = mode
    assert "3" in nodes_of(data)


def bypassed(kind_of_input, *, lora=("model:MODEL=4.0", "clip:CLIP=4.1"), slot=0, outputs="MODEL CLIP"):
    """4 → LoraLoader 10 (bypassed) → 12, whose input has some type."""
    data = file(node(4, *CHECKPOINT), node(10, "LoraLoader", ["x", 1, 1], lora, outputs, mode=4),
                node(12, "Taker", None, [f"it:{kind_of_input}=10.{slot}"]))
    found = nodes_of(data)
    assert "10" not in found
    return found["12"].inputs.get("it")


def test_a_bypassed_node_hands_through_the_input_in_the_same_place():
    assert bypassed("MODEL") == Link("4", 0)
    assert bypassed("CLIP", slot=1) == Link("4", 1)


def test_a_bypassed_node_hands_through_by_exact_type_when_the_places_differ():
    assert bypassed("MODEL", lora=("clip:CLIP=4.1", "any:*=4.2", "model:MODEL=4.0")) == Link("4", 0)


def test_a_bypassed_node_hands_through_what_fits_when_no_type_is_exact():
    assert bypassed("MODEL", lora=("clip:CLIP=4.1", "any:MODEL,VAE=4.2")) == Link("4", 2)


def test_for_a_consumer_of_anything_a_bypassed_node_hands_through_the_same_place_or_the_first():
    assert bypassed("*", slot=1) == Link("4", 1)
    assert bypassed("*", lora=("model:MODEL=4.0",), slot=1) == Link("4", 0)
    assert bypassed("*", lora=("clip:CLIP=4.1", "model:MODEL=4.0"), slot=1) == Link("4", 0)


def test_a_bypassed_node_with_no_fitting_input_leaves_the_consumers_input_out():
    assert bypassed("IMAGE", outputs="IMAGE") is None


def test_a_bypassed_node_whose_fitting_input_is_unlinked_leaves_the_consumers_input_out():
    assert bypassed("MODEL", lora=("model:MODEL", "clip:CLIP=4.1")) is None


def test_the_consumers_type_is_kept_through_a_chain_of_bypassed_nodes():
    """4 → 10 (bypassed) → 11 (bypassed) → 6."""
    found = nodes_of(file(
        node(4, *CHECKPOINT),
        node(10, "LoraLoader", ["x", 1, 1], ["model:MODEL=4.0", "clip:CLIP=4.1"], "MODEL CLIP", mode=4),
        node(11, "LoraLoader", ["y", 1, 1], ["model:MODEL=10.0", "clip:CLIP=10.1"], "MODEL CLIP", mode=4),
        node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=11.1"])))
    assert found["6"].inputs["clip"] == Link("4", 1)


def test_a_bypass_that_leads_to_a_muted_node_leads_nowhere():
    data = file(node(4, *CHECKPOINT, mode=2),
                node(10, "LoraLoader", ["x", 1, 1], ["model:MODEL=4.0"], "MODEL CLIP", mode=4),
                sampler())
    data["nodes"][2]["inputs"][0]["link"] = 9
    data["links"].append([9, 10, 0, 3, 0, "MODEL"])
    assert "model" not in nodes_of(data)["3"].inputs


# -- the links' table --------------------------------------------------------------------------------------------


def test_an_inputs_own_link_counts_not_the_tables_target_slot():
    data = txt2img()
    for each in data["links"]:
        each[4] = 7
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_a_target_slot_of_minus_one_is_survived():
    data = txt2img()
    data["links"][0][4] = -1
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_slots_and_ids_may_be_numeric_texts():
    data = txt2img()
    data["links"] = [[str(each[0]), str(each[1]), str(each[2]), str(each[3]), str(each[4]), each[5]]
                     for each in data["links"]]
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


@pytest.mark.parametrize("kind", [["INT", "FLOAT"], 0, -1, None, "", "*"])
def test_a_links_type_may_be_a_list_a_number_or_nothing(kind):
    data = txt2img()
    for each in data["links"]:
        each[5] = kind
    for each in data["nodes"]:
        for entry in each["inputs"]:
            entry["type"] = kind
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_a_link_without_a_type_is_read():
    data = txt2img()
    data["links"] = [each[:5] for each in data["links"]]
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_null_in_the_table_is_a_link_that_was_deleted():
    data = txt2img()
    data["links"].insert(0, None)
    assert write_api(read_editor(data, SPECS).workflow) == TXT2IMG_API


def test_an_input_whose_link_or_node_is_not_in_the_file_is_left_out():
    data = txt2img()
    data["nodes"][1]["inputs"][0]["link"] = 1234
    data["links"].append([1235, 999, 0, 7, 0, "CLIP"])
    data["nodes"][2]["inputs"][0]["link"] = 1235
    found = nodes_of(data)
    assert found["6"].inputs == {"text": "a cat"} and found["7"].inputs == {"text": "blurry"}


def test_ids_may_be_texts():
    found = nodes_of(file(node("load", *CHECKPOINT), node("t:1", "CLIPTextEncode", ["x"], ["clip:CLIP=load.1"])))
    assert found["t:1"].inputs["clip"] == Link("load", 1)


def test_links_that_a_known_node_does_not_declare_are_kept():
    found = nodes_of(file(node(4, *CHECKPOINT), node(6, "CLIPTextEncode", ["x"], ["clip:CLIP=4.1", "more_1:*=4.0"])))
    assert found["6"].inputs["more_1"] == Link("4", 0)
