"""Values written back into the file that a workflow came from."""

import copy

import pytest

from engine.graph.editor_format import apply_to_document, dump_document, load_document, read_editor
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Link, Workflow, WorkflowNode, set_inputs
from tests.graph.editor_files import defining, file, file_1, node, subgraph
from tests.graph.specs import SPECS
from tests.graph.test_editor_document import EVERYTHING


def update(data, changes, specs=SPECS):
    """Convert, change values, write back; and check that reading the result gives what was wanted."""
    before = copy.deepcopy(data)
    workflow = set_inputs(read_editor(data, specs).workflow, changes)
    written = dump_document(apply_to_document(load_document(data), workflow, specs))
    assert data == before
    assert read_editor(written, specs).workflow == workflow
    return written


def changed_nodes(before, after):
    return {new["id"]: new["widgets_values"] for old, new in zip(before["nodes"], after["nodes"], strict=True)
            if old != new}


def test_an_unchanged_workflow_leaves_the_file_as_it_is():
    assert update(EVERYTHING, {}) == EVERYTHING


def test_a_changed_value_changes_its_place_and_nothing_else():
    written = update(EVERYTHING, {"3.steps": 33, "6.text": "a dog"})
    assert changed_nodes(EVERYTHING, written) == {
        3: [42, "randomize", 33, 8, "euler", "normal", 1], 6: ["a dog"]}
    assert {**written, "nodes": 0} == {**EVERYTHING, "nodes": 0}


def test_old_boolean_controls_stay_in_their_places():
    data = file(node(3, "KSampler", [1, True, 20, 8, "euler", "normal", 1]))
    assert update(data, {"3.seed": 2**64 - 1, "3.steps": 5})["nodes"][0]["widgets_values"] == [
        2**64 - 1, True, 5, 8, "euler", "normal", 1]


def test_a_value_that_the_file_did_not_hold_gets_its_place():
    data = file(node(3, "KSampler", [1]))
    assert update(data, {"3.cfg": 5.5})["nodes"][0]["widgets_values"] == [1, "fixed", 20, 5.5]


def test_objects_of_values_stay_objects():
    data = file(node(5, "EmptyLatentImage", {"width": 8, "height": 8, "batch_size": 1, "other": 1}))
    assert update(data, {"5.width": 16})["nodes"][0]["widgets_values"] == {
        "width": 16, "height": 8, "batch_size": 1, "other": 1}


def test_values_of_unknown_types_are_written_by_their_names():
    data = file(node(5, "Alien", ["x", 3], ["a!:STRING", "b!:INT"], strange=1))
    assert update(data, {"5.b": 4})["nodes"][0]["widgets_values"] == ["x", 4]


def test_a_value_that_comes_from_a_primitive_is_written_there():
    data = file(node(10, "PrimitiveNode", [64, "fixed"], [], "INT"),
                node(5, "EmptyLatentImage", [1, 2, 3], ["width!:INT=10.0"]))
    assert changed_nodes(data, update(data, {"5.width": 128})) == {10: [128, "fixed"]}


def test_two_values_for_one_place_are_refused():
    data = file(node(10, "PrimitiveNode", [64, "fixed"], [], "INT"),
                node(5, "EmptyLatentImage", [1, 2, 3], ["width!:INT=10.0", "height!:INT=10.0"]))
    assert changed_nodes(data, update(data, {"5.width": 128, "5.height": 128})) == {10: [128, "fixed"]}
    with pytest.raises(WorkflowError, match="keeps one value for this and for 'width' of node 5"):
        update(data, {"5.width": 128})


def two_copies(values=None):
    return file_1(node(1, "sub", values, ["width!:INT"], "LATENT"), node(2, "sub", values, ["width!:INT"], "LATENT"),
                  definitions=defining(subgraph("sub", [
                      node(3, "EmptyLatentImage", [8, 8, 1], ["width!:INT=-10.0"], "LATENT")], ["width:INT"],
                      ["out:LATENT=3.0"], unknown="kept")))


def test_a_value_set_on_an_instance_is_written_to_that_instance():
    written = update(two_copies([64]), {"2:3.width": 128})
    assert [each["widgets_values"] for each in written["nodes"]] == [[64], [128]]
    assert written["definitions"] == two_copies()["definitions"]


def test_a_value_inside_a_subgraph_is_written_to_its_definition():
    written = update(two_copies(), {"1:3.height": 32, "2:3.height": 32})
    inner = written["definitions"]["subgraphs"][0]
    assert inner["nodes"][0]["widgets_values"] == [8, 32, 1] and inner["unknown"] == "kept"


def test_different_values_for_two_copies_of_one_definition_are_refused():
    with pytest.raises(WorkflowError, match="node 2:3"):
        update(two_copies(), {"1:3.height": 32})


def test_definitions_inside_definitions_are_written_too():
    inner = subgraph("inner", [node(3, "EmptyLatentImage", [8, 8, 1])])
    data = file(node(9, "mid"), definitions=defining(
        subgraph("mid", [node(4, "inner")], definitions=defining(inner))))
    written = update(data, {"9:4:3.width": 64})
    deep = written["definitions"]["subgraphs"][0]["definitions"]["subgraphs"][0]
    assert deep["nodes"][0]["widgets_values"] == [64, 8, 1]


def rewrite(data, change):
    nodes = dict(read_editor(data, SPECS).workflow.nodes)
    change(nodes)
    return dump_document(apply_to_document(load_document(data), Workflow(nodes), SPECS))


def test_titles_are_written_back():
    def rename(nodes):
        nodes["3"] = WorkflowNode("KSampler", nodes["3"].inputs, {"title": "First pass"})
    assert rewrite(EVERYTHING, rename)["nodes"][4]["title"] == "First pass"


def test_two_titles_for_two_copies_of_one_node_are_refused():
    def rename(nodes):
        nodes["1:3"] = WorkflowNode("EmptyLatentImage", nodes["1:3"].inputs, {"title": "One"})
        nodes["2:3"] = WorkflowNode("EmptyLatentImage", nodes["2:3"].inputs, {"title": "Two"})
    with pytest.raises(WorkflowError, match="node 2:3: the file keeps one title"):
        rewrite(two_copies(), rename)


@pytest.mark.parametrize("change, message", [
    (lambda nodes: nodes.pop("9"), "node 9: the file has this node, the workflow has not"),
    (lambda nodes: nodes.update({"33": nodes["3"]}), "node 33: the file has no such node"),
    (lambda nodes: nodes.update({"3": WorkflowNode("Other", nodes["3"].inputs)}), "it is a Other here"),
    (lambda nodes: nodes.update({"6": WorkflowNode("CLIPTextEncode", {"text": "x", "clip": Link("4", 2)})}),
     "node 6 .CLIPTextEncode. clip: the link differs"),
    (lambda nodes: nodes.update({"6": WorkflowNode("CLIPTextEncode", {"text": Link("4", 2), "clip": Link("4", 1)})}),
     "the link differs"),
    (lambda nodes: nodes.update({"6": WorkflowNode("CLIPTextEncode", {**nodes["6"].inputs, "alien": 5})}),
     "the file has no place for the value 5"),
])
def test_what_is_no_change_of_values_is_refused(change, message):
    with pytest.raises(WorkflowError, match=message):
        rewrite(EVERYTHING, change)
