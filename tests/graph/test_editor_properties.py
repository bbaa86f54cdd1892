"""Round trips of random files, and files damaged at random."""

import copy
import json
import time

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.graph.editor_format import (
    apply_to_document,
    convert,
    dump_document,
    load_document,
    read_editor,
    write_editor,
)
from engine.graph.node import Fixed
from engine.graph.problems import WorkflowError
from engine.graph.workflow import Link, Workflow, WorkflowNode, encode_api, read_api, write_api
from tests.graph.editor_files import defining, file, node, sampler, subgraph
from tests.graph.specs import SPECS
from tests.graph.test_editor_document import EVERYTHING
from tests.graph.test_editor_groups import sampling, texts
from tests.graph.test_editor_subgraphs import nested, outer

# The same examples each time, so that a change is judged by what it changes; raise the number to search for more.
QUICK = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(st.none() | st.booleans() | numbers | words,
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
                           max_leaves=6)
TAKEN = {"nodes", "links", "extra", "state", "reroutes", "version", "last_node_id", "last_link_id", "id",
         "linkExtensions", "parentId", "tail", "definitions", "origin_id", "origin_slot", "target_id", "target_slot",
         "type", "pos", "inputs", "outputs", "mode", "widgets_values", "properties", "groups", "title"}
unknown_keys = st.dictionaries(words.filter(lambda key: key not in TAKEN), json_values, max_size=3)


# -- the document ------------------------------------------------------------------------------------------------


@st.composite
def documents(draw):
    """Editor files of version 0.4 with links, reroutes, groups, odd nodes and unknown keys everywhere."""
    ids = draw(st.lists(st.integers(0, 10**6) | words.filter(bool), unique_by=str, min_size=1, max_size=5))
    nodes = [{"id": each, "type": draw(words), "pos": draw(st.just([0, 1]) | st.just({"0": 1, "1": 2})),
              "widgets_values": draw(json_values), **draw(unknown_keys)} for each in ids]
    points = draw(st.lists(st.integers(1, 99), unique=True, max_size=3))
    links, extensions = [], []
    for link_id in draw(st.lists(st.integers(1, 10**6), unique=True, max_size=5)):
        links.append([link_id, draw(st.sampled_from(ids)), draw(st.integers(0, 3) | st.just("1")),
                      draw(st.sampled_from(ids)), draw(st.integers(0, 3)),
                      draw(words | st.just(["INT", "FLOAT"]) | st.just(0))])
        more = draw(unknown_keys)
        if points and draw(st.booleans()):
            more["parentId"] = draw(st.sampled_from(points))
        if more:
            extensions.append({"id": link_id, **more})
    extra = draw(unknown_keys)
    if points:
        extra["reroutes"] = [{"id": each, "pos": [1, 2], **draw(unknown_keys)} for each in points]
    if extensions:
        extra["linkExtensions"] = extensions
    groups = [{"id": each, "title": draw(words), "bounding": [0, 0, 1, 1]} for each in draw(st.sets(st.integers(0, 9)))]
    return {"last_node_id": draw(st.integers(0, 10**6)), "last_link_id": draw(st.integers(0, 10**6)), "nodes": nodes,
            "links": links, "groups": groups, "extra": extra, "version": 0.4, **draw(unknown_keys)}


def as_json(data):
    return json.loads(json.dumps(data))


@QUICK
@given(documents())
def test_random_files_are_written_as_they_were_read(data):
    assert as_json(dump_document(load_document(as_json(data)))) == data


@QUICK
@given(documents())
def test_random_files_survive_version_1_and_back(data):
    there = as_json(dump_document(load_document(data), 1))
    assert there["version"] == 1 and all(isinstance(link, dict) for link in there["links"])
    assert as_json(dump_document(load_document(there), 0.4)) == data
    assert as_json(dump_document(load_document(dump_document(load_document(there), 0.4)), 1)) == there


# -- API → editor → API ------------------------------------------------------------------------------------------


def value_for(entry):
    if isinstance(entry.choices, Fixed):
        return st.sampled_from(entry.choices.values)
    by_kind = {"INT": st.integers(-(2**63), 2**64 - 1), "FLOAT": numbers, "BOOLEAN": st.booleans()}
    return by_kind.get(entry.kind, words) | st.just([1, "x"]) if entry.kind == "STRING" else by_kind.get(
        entry.kind, words)


node_ids = st.integers(0, 10**20).map(str) | st.lists(st.integers(0, 99).map(str), min_size=2, max_size=3).map(":".join)


@st.composite
def workflows(draw, unknown=True):
    """API graphs of known and unknown nodes: every field may be set, linked or left out."""
    ids = draw(st.lists(node_ids, unique=True, min_size=1, max_size=6))
    aliens = ["Alien", "Pack.Node (x)"] if unknown else []
    kinds = {each: draw(st.sampled_from([*SPECS, *aliens])) for each in ids}
    nodes = {}
    for node_id, kind in kinds.items():
        links = st.builds(Link, st.sampled_from(ids), st.integers(0, 4))
        inputs = {}
        if kind in SPECS:
            for entry in SPECS[kind].inputs:
                choice = draw(st.sampled_from(["value", "value", "link", "nothing"]))
                if choice == "link":
                    inputs[entry.name] = draw(links)
                elif choice == "value" and entry.widget:
                    inputs[entry.name] = draw(value_for(entry))
            inputs |= draw(st.just({}) | st.just({"upload": "image", "steps": None, "undeclared": [1]}))
        else:
            inputs = draw(st.dictionaries(words.filter(bool), json_values.filter(plain) | links, max_size=4))
        meta = {"title": title} if (title := draw(words)) else {}
        nodes[node_id] = WorkflowNode(kind, inputs, meta | draw(st.just({}) | st.just({"more": 1})))
    return Workflow(nodes)


def plain(value):
    return not (isinstance(value, dict) and "__value__" in value)


@QUICK
@given(workflows())
def test_writing_an_editor_file_and_reading_it_gives_the_same_workflow(workflow):
    written = as_json(write_editor(workflow, SPECS))
    assert read_editor(written, SPECS).workflow == workflow
    assert read_editor(dump_document(load_document(written), 1), SPECS).workflow == workflow
    assert read_api(as_json(write_api(workflow))) == workflow
    assert encode_api(workflow) == msgspec.json.encode(write_api(workflow))


@QUICK
@given(workflows(unknown=False), workflows(unknown=False))
def test_any_values_can_be_written_back_into_a_file(old, new):
    """Take the values that the new workflow has for the old one's fields."""
    data = write_editor(old, SPECS)
    read = read_editor(data, SPECS).workflow
    by_kind = {each.class_type: each for each in new.nodes.values()}
    nodes = {}
    for node_id, each in read.nodes.items():
        found = by_kind.get(each.class_type)
        changes = {} if found is None else {
            name: value for name, value in found.inputs.items()
            if value is not None and name in each.inputs
            and not isinstance(value, Link) and not isinstance(each.inputs[name], Link)}
        nodes[node_id] = WorkflowNode(each.class_type, {**each.inputs, **changes}, each.meta)
    document = apply_to_document(load_document(data), Workflow(nodes), SPECS)
    assert read_editor(dump_document(document), SPECS).workflow == Workflow(nodes)


# -- damaged files -----------------------------------------------------------------------------------------------

SOUND = [
    EVERYTHING, outer(["outer"]), nested(middle=["m"]), texts(["cat", "blurry"]),
    sampling([640, 480, 2, 5, "fixed", 30, 7.5, "euler", "normal", 1], external=[[0, 0, "LATENT"]],
             config={"1": {"input": {"model": {"name": "the model"}}}}),
    dump_document(load_document(EVERYTHING), 1),
    file(node(12, "sub", [30, 77, None], ["steps!:INT"], "LATENT", properties={
        "proxyWidgets": [["-1", "steps"], ["3", "seed"], ["3", "control_after_generate"]]}),
        node(10, "PrimitiveNode", [64, "fixed"], [], "INT"), node(11, "Reroute", None, ["=10.0"], "*", mode=4),
        node(14, "SetNode", ["x"], ["a:*=11.0"], "*"), node(15, "GetNode", ["x"], [], "*"),
        node(5, "EmptyLatentImage", [1, 2, 3], ["width!:INT=15.0"], "LATENT"), sampler(),
        definitions=defining(subgraph("sub", [node(3, "KSampler", [1, True, 20, 8, "euler", "normal", 1],
                                                  ["steps!:INT=-10.0"], "LATENT")],
                                      ["steps:INT"], ["out:LATENT=3.0"]))),
]
JUNK = [None, True, False, 0, -1, 1, 2, 4, 10**30, 2**64, -10, -20, 1.5, 1e308, "", "x", "0", "-10", "3", "sub", "enc",
        "Reroute", "workflow/Two", [], {}, [[]], [None], [1, 2, 3], {"a": 1}, {"0": 1}, "9" * 5000, [{}],
        {"name": 1}, {"subgraphs": [{"id": "sub"}]}, 10**6, "\0", "\ud800"]


def paths(data):
    """Every place in a JSON value."""
    waiting = [((), data)]
    found = []
    for path, value in waiting:
        found.append(path)
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [((*path, key), child) for key, child in children]
    return found


def damaged(data, path, how, junk):
    if not path:
        return copy.deepcopy(junk)
    data = copy.deepcopy(data)
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    key = path[-1]
    if how == "remove":
        del parent[key]
    elif how == "repeat" and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    else:
        parent[key] = copy.deepcopy(junk)
    return data


def survives(data):
    """Everything either works or raises WorkflowError with problems, and soon."""
    start = time.process_time()
    for work in (lambda: read_editor(data, SPECS), lambda: dump_document(load_document(data), 1),
                 lambda: dump_document(load_document(data), 0.4), lambda: rewrite(data)):
        try:
            work()
        except WorkflowError as error:
            assert error.problems
    assert time.process_time() - start < 2


def rewrite(data):
    document = load_document(data)
    workflow = read_editor(data, SPECS).workflow
    written = dump_document(apply_to_document(document, workflow, SPECS))
    assert read_editor(written, SPECS).workflow == workflow
    assert read_editor(write_editor(workflow, SPECS), SPECS).workflow == workflow


@pytest.mark.parametrize("index", range(len(SOUND)))
def test_each_part_of_a_file_may_be_missing_or_junk(index):
    data = SOUND[index]
    for number, path in enumerate(paths(data)):
        survives(damaged(data, path, "remove", None))
        survives(damaged(data, path, "replace", JUNK[number % len(JUNK)]))


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_file_damaged_in_several_places_gives_a_result_or_problems(data):
    current = SOUND[data.draw(st.integers(0, len(SOUND) - 1))]
    for _ in range(data.draw(st.integers(1, 4))):
        places = paths(current)
        place = places[data.draw(st.integers(0, len(places) - 1))]
        current = damaged(current, place, data.draw(st.sampled_from(["remove", "repeat", "replace"])),
                          data.draw(st.sampled_from(JUNK)))
    survives(current)


@QUICK
@given(json_values)
def test_any_json_gives_a_result_or_problems(value):
    survives(value)
    survives({"nodes": value, "links": value})
    survives({"nodes": [value], "links": [value], "extra": {"groupNodes": value}, "definitions": value})


@QUICK
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_gives_a_result_or_problems(text):
    try:
        convert(text, SPECS)
    except WorkflowError as error:
        assert error.problems
