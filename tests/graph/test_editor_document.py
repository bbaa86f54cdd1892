"""The whole file as a document: nothing is lost, in either version."""

import copy

import pytest

from engine.graph.editor_format import Document, dump_document, load_document
from engine.graph.problems import WorkflowError
from tests.graph.editor_files import file, file_1, node, txt2img

EVERYTHING = txt2img(
    id="5c9c", revision=3, models=[{"name": "a", "url": "u", "directory": "checkpoints"}], unknown={"deep": [1, None]},
    groups=[{"id": 4, "title": "Load", "bounding": [0, 0, 10, 20], "color": "#fff", "flags": {}}],
    floatingLinks=[{"id": 77, "origin_id": 4, "origin_slot": 0, "target_id": -1, "target_slot": -1, "type": "MODEL"}],
    config={"links_ontop": True},
    extra={"ds": {"scale": 1.5, "offset": [1, 2]}, "frontendVersion": "1.20", "mine": 1,
           "reroutes": [{"id": 1, "pos": [1, 2], "linkIds": [1]}, {"id": 6, "parentId": 1, "pos": [3, 4]}],
           "linkExtensions": [{"id": 1, "parentId": 6}, {"id": 3, "parentId": 1, "later": True},
                              {"id": 500, "parentId": 1}]},
)


def test_a_file_of_version_04_is_written_as_it_was_read():
    assert dump_document(load_document(EVERYTHING)) == EVERYTHING


def test_a_file_of_version_1_is_written_as_it_was_read():
    data = file_1(node(1, "Alien", {"any": 1}, [], "X", strange=[1]), node(2, "Other", None, ["x:X=1.0"]),
                  reroutes=[{"id": 1, "pos": [0, 0]}], extra={"a": 1}, groups=[], more="kept")
    data["links"][0].update(parentId=1, unknown="kept")
    assert dump_document(load_document(data)) == data


def test_version_04_becomes_version_1():
    data = dump_document(load_document(EVERYTHING), 1)
    assert data["version"] == 1
    assert data["state"] == {"lastNodeId": 99, "lastLinkId": 9, "lastGroupId": 4, "lastRerouteId": 6}
    assert data["links"][0] == {"id": 1, "origin_id": 4, "origin_slot": 1, "target_id": 6, "target_slot": 0,
                                "type": "CLIP", "parentId": 6}
    assert data["reroutes"] == EVERYTHING["extra"]["reroutes"]
    assert data["extra"] == {"ds": {"scale": 1.5, "offset": [1, 2]}, "frontendVersion": "1.20", "mine": 1,
                             "linkExtensions": [{"id": 500, "parentId": 1}]}
    assert "last_node_id" not in data and data["unknown"] == {"deep": [1, None]}


def test_version_04_to_1_and_back_loses_nothing():
    there = dump_document(load_document(EVERYTHING), 1)
    assert dump_document(load_document(there), 0.4) == EVERYTHING


def test_version_1_to_04_and_back_loses_nothing():
    data = file_1(node(1, "Alien", None, [], "X"), node(2, "Other", None, ["x:X=1.0"]), extra={"a": 1},
                  reroutes=[{"id": 3, "pos": [0, 0]}])
    data["links"][0].update(parentId=3, unknown="kept")
    data["state"].update(lastGroupId=8, lastRerouteId=5, more=1)
    there = dump_document(load_document(data), 0.4)
    assert there["links"] == [[1, 1, 0, 2, 0, "X"]]
    assert there["extra"] == {"a": 1, "linkExtensions": [{"id": 1, "parentId": 3, "unknown": "kept"}],
                              "reroutes": [{"id": 3, "pos": [0, 0]}]}
    assert dump_document(load_document(there), 1) == data


def test_an_array_link_with_more_than_six_places_keeps_them():
    data = file(node(1, "A", None, [], "X"), node(2, "B", None, ["x:X=1.0"]))
    data["links"][0] += ["more", {"and": "more"}]
    assert dump_document(load_document(data)) == data
    assert dump_document(load_document(dump_document(load_document(data), 1)), 0.4) == data


def test_reading_and_writing_leave_the_data_alone():
    before = copy.deepcopy(EVERYTHING)
    dump_document(load_document(EVERYTHING), 1)
    assert before == EVERYTHING


def test_the_document_tells_its_version():
    assert load_document(EVERYTHING).form == 0.4
    assert load_document(file_1()).form == 1
    assert isinstance(load_document(file()), Document)


@pytest.mark.parametrize("data, message", [
    ([], "an editor file is an object"),
    (None, "an editor file is an object"),
    ({}, "nodes is a list"),
    ({"nodes": {}}, "nodes is a list"),
    ({"nodes": [1]}, r"nodes\[0\] is an object; found 1"),
    ({"nodes": [], "links": {}}, "links is a list"),
    ({"nodes": [], "links": [[1, 2]]}, r"links\[0\] is \[id"),
    ({"nodes": [], "links": [{"id": 1}]}, r"links\[0\] is \[id"),
    ({"nodes": [], "extra": 5}, "extra is an object"),
    ({"nodes": [], "state": 5}, "state is an object"),
    ({"nodes": [], "version": 1, "reroutes": 5}, "reroutes is a list"),
    ({"nodes": [], "extra": {"reroutes": 5}}, "reroutes is a list"),
    ({"nodes": [], "extra": {"linkExtensions": 5}}, "linkExtensions is a list"),
])
def test_a_malformed_file_is_a_problem_that_names_the_place(data, message):
    with pytest.raises(WorkflowError, match=message):
        load_document(data)


def test_all_problems_of_a_file_come_together():
    with pytest.raises(WorkflowError) as caught:
        load_document({"nodes": [1, 2], "links": [3], "extra": 4})
    assert len(caught.value.problems) == 4


def test_a_file_nested_too_deeply_is_refused():
    deep: object = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(WorkflowError, match="nested more than"):
        load_document({"nodes": [], "links": [], "extra": {"x": deep}})
