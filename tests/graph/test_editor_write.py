"""A new editor file from an API graph: links, slots, sizes, places; and one form into another."""

import json
import time

import pytest

from engine.graph.editor_format import choose_text, convert, read_editor, write_editor
from engine.graph.editor_format.arrange import columns
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Link, Workflow, WorkflowNode, read_api
from tests.graph.editor_files import TXT2IMG_API, txt2img
from tests.graph.specs import SPECS

WORKFLOW = read_api(TXT2IMG_API)


def written_nodes(workflow=WORKFLOW, **more):
    return {each["id"]: each for each in write_editor(workflow, SPECS, **more)["nodes"]}


def test_ids_links_and_counters_agree():
    data = write_editor(WORKFLOW, SPECS)
    assert data["version"] == 0.4 and data["last_node_id"] == 9 and data["last_link_id"] == len(data["links"]) == 9
    nodes = {each["id"]: each for each in data["nodes"]}
    for link_id, origin, origin_slot, target, target_slot, kind in data["links"]:
        assert link_id in nodes[origin]["outputs"][origin_slot]["links"]
        assert nodes[target]["inputs"][target_slot]["link"] == link_id
        assert nodes[target]["inputs"][target_slot]["type"] == kind == nodes[origin]["outputs"][origin_slot]["type"]


def test_nodes_stand_right_of_what_feeds_them_and_do_not_touch():
    nodes = written_nodes()
    assert nodes[4]["pos"][0] < nodes[6]["pos"][0] < nodes[3]["pos"][0] < nodes[8]["pos"][0] < nodes[9]["pos"][0]
    boxes = [(*each["pos"], each["pos"][0] + each["size"][0], each["pos"][1] + each["size"][1])
             for each in nodes.values()]
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:index]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


def test_without_layout_all_nodes_stand_at_the_origin():
    assert {tuple(each["pos"]) for each in written_nodes(layout=False).values()} == {(0, 0)}


def test_the_order_of_execution_is_written():
    nodes = written_nodes()
    assert sorted(each["order"] for each in nodes.values()) == list(range(7))
    assert nodes[4]["order"] < nodes[6]["order"] < nodes[3]["order"] < nodes[8]["order"] < nodes[9]["order"]


def test_a_circle_is_still_arranged():
    assert columns({"a": ["b"], "b": ["a"], "c": [], "d": ["c"]}) == {"a": 2, "b": 2, "c": 0, "d": 1}


def test_fields_are_inputs_that_name_their_widget():
    inputs = {each["name"]: each for each in written_nodes()[3]["inputs"]}
    assert inputs["steps"] == {"name": "steps", "type": "INT", "link": None, "widget": {"name": "steps"}}
    assert "widget" not in inputs["model"]


def test_optional_inputs_have_their_own_shape():
    workflow = Workflow({"1": WorkflowNode("Keyframes", {"start": 0.5})})
    shapes = {each["name"]: each.get("shape") for each in written_nodes(workflow)[1]["inputs"]}
    assert shapes == {"strengths": None, "start": None, "stop": None, "note": 7, "mask": 7}


def test_an_unknown_type_keeps_its_values_by_name():
    workflow = Workflow({"1": WorkflowNode("Alien", {"a": [1, 2], "b": Link("2", 3)}), "2": WorkflowNode("Other", {})})
    nodes = written_nodes(workflow)
    assert nodes[1]["widgets_values"] == {"a": [1, 2]}
    assert [each["name"] for each in nodes[1]["inputs"]] == ["b"] and len(nodes[2]["outputs"]) == 4


def test_what_the_format_has_no_place_for_stands_in_the_properties():
    node = WorkflowNode("EmptyLatentImage", {"width": None, "height": 8, "upload": "image"}, {"title": "T", "more": 1})
    written = written_nodes(Workflow({"1": node}))[1]
    assert written["title"] == "T" and written["widgets_values"] == [None, 8, None]
    assert written["properties"]["easel"] == {"meta": {"more": 1}, "inputs": {"width": None, "upload": "image"}}


def test_links_that_lead_nowhere_are_refused_together():
    broken = Workflow({"1": WorkflowNode("Alien", {"a": Link("2", 0), "b": Link("1", -1), "c": Link("1", 10**9)})})
    with pytest.raises(WorkflowError) as caught:
        write_editor(broken, SPECS)
    assert [each.input for each in caught.value.problems] == ["a", "b", "c"]


def test_ten_thousand_nodes_are_written_and_read_quickly():
    nodes = {"0": WorkflowNode("EmptyLatentImage", {"width": 8, "height": 8, "batch_size": 1})}
    for index in range(1, 10_000):
        nodes[str(index)] = WorkflowNode("LatentUpscale", {
            "samples": Link(str(index - 1), 0), "upscale_method": "area", "width": 8, "height": 8, "crop": "center"})
    start = time.process_time()
    assert read_editor(write_editor(Workflow(nodes), SPECS), SPECS).workflow == Workflow(nodes)
    assert time.process_time() - start < 5  # about 0.5 s here


# -- convert -----------------------------------------------------------------------------------------------------


def test_a_file_is_converted_into_the_other_form_by_default():
    found = convert(json.dumps(txt2img()), SPECS)
    assert (found.form, found.data) == ("api", TXT2IMG_API)
    back = convert(json.dumps(found.data).encode(), SPECS)
    assert back.form == "editor" and read_editor(back.data, SPECS).workflow == WORKFLOW


def test_the_form_may_be_chosen():
    text = json.dumps(txt2img())
    assert convert(text, SPECS, "editor").data == txt2img()
    assert convert(text, SPECS, "v1").data["version"] == 1
    assert convert(json.dumps(TXT2IMG_API), SPECS, "api").data == TXT2IMG_API
    assert convert(json.dumps(TXT2IMG_API), SPECS, "v1").data["links"][0]["id"] == 1
    with pytest.raises(ValueError, match="forms are api, editor, v1"):
        convert(text, SPECS, "xml")


def test_a_saved_post_body_is_an_api_graph():
    assert convert(json.dumps({"prompt": TXT2IMG_API, "client_id": "x"}), SPECS, "api").data == TXT2IMG_API


def test_a_byte_order_mark_is_skipped():
    assert convert(b"\xef\xbb\xbf" + json.dumps(TXT2IMG_API).encode(), SPECS, "api").data == TXT2IMG_API


def test_pythons_not_a_number_is_null():
    text = json.dumps({"1": {"class_type": "LoadImage", "inputs": {"image": "x"}, "is_changed": [float("nan")]}})
    assert "NaN" in text
    assert convert(text, SPECS, "api").data == {"1": {"class_type": "LoadImage", "inputs": {"image": "x"}}}


def test_unknown_types_are_named_in_both_directions():
    alien = {"1": {"class_type": "Alien", "inputs": {}}}
    there = convert(json.dumps(alien), SPECS)
    assert there.missing == {"Alien": ("1",)} == convert(json.dumps(there.data), SPECS).missing


@pytest.mark.parametrize("text", [b"", b"nonsense", b"[]", b"5", b'{"a": 1}', b"\xff\xfe", b"NaN", b"[" * 100_000,
                                  b'{"nodes": [NaN' + b"[" * 100_000, b'{"a": NaN, "b": ' + b"9" * 10_000 + b"}"])
def test_text_that_is_no_workflow_is_refused(text):
    with pytest.raises(WorkflowError):
        convert(text, SPECS)


def test_what_ran_or_what_was_on_the_screen_is_chosen_among_a_pictures_texts():
    texts = {"prompt": "ran", "workflow": "shown"}
    assert choose_text(texts) == choose_text(texts, "api") == "ran"
    assert choose_text(texts, "editor") == choose_text(texts, "v1") == "shown"
    assert choose_text({"workflow": "shown"}) == "shown"
    with pytest.raises(WorkflowError, match="found date, parameters; its 'parameters'"):
        choose_text({"parameters": "x", "date": "y"})
