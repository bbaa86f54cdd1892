"""POST /prompt: what is accepted, what is refused, and in which shape."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from engine.graph.graph import Graph
from engine.graph.workflow import Link
from engine.messages.protocol import Complaint, Prediction
from tests.web.support import CHAIN, SPECS, FakeDispatcher, Running, ready, running
from web.routes.prompt import prepare

BAD_BODIES: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{nope",
    "not UTF-8": b'{"prompt": "\xff\xfe"}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "no prompt": {"client_id": "x"},
    "prompt is null": {"prompt": None},
    "prompt is a text": {"prompt": "1"},
    "prompt is a list": {"prompt": [1, 2]},
    "prompt is empty": {"prompt": {}},
    "a node is a list": {"prompt": {"1": []}},
    "a node without class": {"prompt": {"1": {"inputs": {}}}},
    "class is a number": {"prompt": {"1": {"class_type": 7, "inputs": {}}}},
    "inputs is a list": {"prompt": {"1": {"class_type": "Show", "inputs": []}}},
    "inputs is null": {"prompt": {"1": {"class_type": "Show", "inputs": None}}},
    "unknown class": {"prompt": {"1": {"class_type": "Nmber", "inputs": {}}}},
    "no output": {"prompt": {"1": CHAIN["1"]}},
    "cycle": {"prompt": {**CHAIN, "1": {"class_type": "Add", "inputs": {"a": ["2", 0], "b": 1}}}},
    "link to nowhere": {"prompt": {"3": CHAIN["3"]}},
    "link to output 7": {"prompt": {**CHAIN, "3": {"class_type": "Show", "inputs": {"value": ["2", 7]}}}},
    "link to output -1": {"prompt": {**CHAIN, "3": {"class_type": "Show", "inputs": {"value": ["2", -1]}}}},
    "link to output 1e300": {"prompt": {**CHAIN, "3": {"class_type": "Show", "inputs": {"value": ["2", 1e300]}}}},
    "link to output 10^100": b'{"prompt":{"1":{"class_type":"Show","inputs":{"value":["1",1' + b"0" * 100 + b"]}}}}",
    "1e400": b'{"prompt":{"1":{"class_type":"Show","inputs":{"value":1e400}}}}',
    "NaN": b'{"prompt":{"1":{"class_type":"Show","inputs":{"value":NaN}}}}',
    "10^5000": b'{"prompt":{"1":{"class_type":"Show","inputs":{"value":1' + b"0" * 5000 + b"}}}}",
    "2^70 in an input of any type": {"prompt": {"1": {"class_type": "Show", "inputs": {"value": 2**70}}}},
    "seed 2^64": {"prompt": {**CHAIN, "1": {"class_type": "Number", "inputs": {"value": 2**64}}}},
    "seed -1": {"prompt": {**CHAIN, "1": {"class_type": "Number", "inputs": {"value": -1}}}},
    "a text for a number": {"prompt": {**CHAIN, "1": {"class_type": "Number", "inputs": {"value": "many"}}}},
    "an object for a number": {"prompt": {**CHAIN, "1": {"class_type": "Number", "inputs": {"value": {}}}}},
    "lone surrogate": b'{"prompt":{"1":{"class_type":"Show","inputs":{"value":"\\ud800"}}}}',
    "wrong type of wire": {"prompt": {
        "1": {"class_type": "Empty", "inputs": {}}, "2": {"class_type": "Add", "inputs": {"a": ["1", 0], "b": 1}},
        "3": CHAIN["3"]}},
    "front is a text": {"prompt": CHAIN, "front": "yes"},
    "number is a text": {"prompt": CHAIN, "number": "first"},
    "number is a list": {"prompt": CHAIN, "number": [1]},
    "number is huge": {"prompt": CHAIN, "number": 1e300},
    "number is a switch": {"prompt": CHAIN, "number": True},
    "client_id is a number": {"prompt": CHAIN, "client_id": 7},
    "client_id is long": {"prompt": CHAIN, "client_id": "x" * 100_000},
    "prompt_id is a number": {"prompt": CHAIN, "prompt_id": 7},
    "prompt_id is empty": {"prompt": CHAIN, "prompt_id": ""},
    "prompt_id has a line break": {"prompt": CHAIN, "prompt_id": "a\r\nb"},
    "prompt_id is a path": {"prompt": CHAIN, "prompt_id": "../../x"},
    "prompt_id is dots": {"prompt": CHAIN, "prompt_id": ".."},
    "extra_data is a list": {"prompt": CHAIN, "extra_data": []},
    "targets is a text": {"prompt": CHAIN, "partial_execution_targets": "3"},
    "targets are none": {"prompt": CHAIN, "partial_execution_targets": []},
    "targets are no outputs": {"prompt": CHAIN, "partial_execution_targets": ["1"]},
    "targets are not there": {"prompt": CHAIN, "partial_execution_targets": ["99"]},
    "targets are lists": {"prompt": CHAIN, "partial_execution_targets": [[]]},
    "an editor file of rubbish": {"prompt": {"nodes": [7, None, {"id": []}], "links": "x"}},
    "an editor file without links": {"nodes": [{}]},
}


async def test_a_chain_is_queued_with_its_graph_resolved_once(site: Running) -> None:
    status, answer = await site.post("/prompt", {"prompt": CHAIN, "client_id": "me", "unknown": 1})
    assert status == 200
    assert answer == {"prompt_id": answer["prompt_id"], "number": 1, "node_errors": {}}
    (job,) = site.dispatcher.submitted
    assert (job.id, job.client_id, job.targets) == (answer["prompt_id"], "me", ("3",))
    graph = msgspec.msgpack.decode(job.graph, type=Graph)
    assert [each.id for each in graph.nodes] == ["1", "2", "3"]
    assert graph.nodes[1].links == {"a": Link("1", 0)} and graph.nodes[1].literals == {"b": 2}
    assert msgspec.json.decode(job.prompt) == CHAIN


async def test_the_body_is_json_whatever_its_content_type_says(site: Running) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/json", "image/png; x=\"", ""):
        status, _ = await site.post("/prompt", {"prompt": CHAIN}, headers={"Content-Type": kind})
        assert status == 200, kind


async def test_the_callers_prompt_id_is_used_and_cannot_be_used_twice(site: Running) -> None:
    assert (await site.post("/api/prompt", {"prompt": CHAIN, "prompt_id": "mine"}))[1]["prompt_id"] == "mine"
    status, answer = await site.post("/prompt", {"prompt": CHAIN, "prompt_id": "mine"})
    assert status == 409 and "mine" in answer["error"]["message"]
    assert len(site.dispatcher.submitted) == 1


async def test_a_bare_api_graph_is_taken_too(site: Running) -> None:
    assert (await site.post("/prompt", CHAIN))[0] == 200
    shown = {"class_type": "Show", "inputs": {"value": 1}}
    assert (await site.post("/prompt", {"prompt": CHAIN["1"], "x": shown}))[0] == 200
    assert msgspec.json.decode(site.dispatcher.submitted[1].prompt).keys() == {"prompt", "x"}


async def test_number_and_front_are_passed_on(site: Running) -> None:
    assert (await site.post("/prompt", {"prompt": CHAIN, "number": 2.5}))[1]["number"] == 2.5
    assert (await site.post("/prompt", {"prompt": CHAIN, "front": True}))[1]["number"] == -2
    assert [(each.number, each.front) for each in site.dispatcher.submitted] == [(2.5, False), (None, True)]


async def test_targets_choose_the_outputs(site: Running) -> None:
    two = {**CHAIN, "4": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}
    assert (await site.post("/prompt", {"prompt": two, "partial_execution_targets": ["4"]}))[0] == 200
    (job,) = site.dispatcher.submitted
    assert job.targets == ("4",)
    assert [each.id for each in msgspec.msgpack.decode(job.graph, type=Graph).nodes] == ["1", "4"]


async def test_pictures_get_what_extra_data_holds_and_no_secret_is_kept(site: Running) -> None:
    extra = {"extra_pnginfo": {"workflow": {"nodes": []}}, "auth_token_comfy_org": "s3cret", "api_key_comfy_org": "k3y"}
    assert (await site.post("/prompt", {"prompt": CHAIN, "extra_data": extra}))[0] == 200
    kept = site.dispatcher.submitted[0].extra
    assert msgspec.json.decode(kept) == {"extra_pnginfo": {"workflow": {"nodes": []}}}
    _, queue = await site.get("/queue")
    assert "s3cret" not in str(queue) and "k3y" not in str(queue)


async def test_every_problem_is_told_at_once_by_node(site: Running) -> None:
    broken = {
        "1": {"class_type": "Number", "inputs": {"value": -5}},
        "2": {"class_type": "Add", "inputs": {"b": 11}},
        "3": {"class_type": "Pick", "inputs": {"value": ["2", 0], "schedule": "karas"}},
        "4": {"class_type": "Show", "inputs": {"value": ["3", 0]}},
        "5": {"class_type": "Show", "inputs": {"value": ["1", 0]}},
    }
    status, answer = await site.post("/prompt", {"prompt": broken})
    assert status == 400
    assert answer["error"].keys() == {"type", "message", "details", "extra_info"}
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert "did you mean 'karras'?" in answer["error"]["details"]
    errors = answer["node_errors"]
    assert [each["type"] for each in errors["2"]["errors"]] == ["required_input_missing", "value_bigger_than_max"]
    assert errors["1"] == {
        "class_type": "Number", "dependent_outputs": ["5"], "errors": [errors["1"]["errors"][0]]}
    assert errors["1"]["errors"][0].keys() == {"type", "message", "details", "extra_info"}
    assert errors["3"]["dependent_outputs"] == ["4"]
    assert errors["3"]["errors"][0]["extra_info"]["allowed"] == ["normal", "karras"]


async def test_outputs_that_can_run_do_and_the_others_are_named(site: Running) -> None:
    half = {**CHAIN, "4": {"class_type": "Show", "inputs": {}}}
    status, answer = await site.post("/prompt", {"prompt": half})
    assert status == 200
    assert answer["node_errors"]["4"]["errors"][0]["type"] == "required_input_missing"
    assert site.dispatcher.submitted[0].targets == ("3",)


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_what_is_no_workflow_is_refused_in_one_shape(site: Running, name: str) -> None:
    status, answer = await site.post("/prompt", BAD_BODIES[name])
    assert status == 400, answer
    assert answer.keys() == {"error", "node_errors"}
    assert answer["error"].keys() == {"type", "message", "details", "extra_info"}
    assert answer["error"]["message"] and answer["error"]["type"] != "internal_error"
    assert site.dispatcher.submitted == []


async def test_without_a_prompt_the_type_says_so(site: Running) -> None:
    _, answer = await site.post("/prompt", {})
    assert answer["error"]["type"] == "no_prompt"
    _, answer = await site.post("/prompt", {"prompt": {"1": CHAIN["1"]}})
    assert answer["error"]["type"] == "prompt_no_outputs"
    _, answer = await site.post("/prompt", {"prompt": {"1": {"class_type": "Nmber"}}})
    assert answer["error"]["type"] == "invalid_prompt" and "'Number'" in answer["error"]["message"]


async def test_cve_2026_56673_a_missing_picture_and_a_foreign_one_give_the_same_answer(site: Running) -> None:
    def post(name: str) -> dict[str, Any]:
        return {"prompt": {"1": {"class_type": "LoadPicture", "inputs": {"image": name}},
                           "2": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}}

    _, missing = await site.post("/prompt", post("nothing.png"))
    for name in (
        "../../etc/passwd", "/etc/passwd", "a [output]/../..", "..\\..\\x", "a\0b", "C:\\x", "/etc/hostname [output]",
    ):
        status, answer = await site.post("/prompt", post(name))
        assert status == 400
        error, expected = answer["node_errors"]["1"]["errors"][0], missing["node_errors"]["1"]["errors"][0]
        assert error["type"] == expected["type"] == "custom_validation_failed"
        assert error["message"].replace(repr(name), "X") == expected["message"].replace(repr("nothing.png"), "X")


async def test_before_any_node_is_known_it_waits_and_then_answers_503(tmp_path: Any) -> None:
    async with running(tmp_path, FakeDispatcher(specs=None), spec_wait=0.05) as site:
        async with site.http.post(site.url + "/prompt", json={"prompt": CHAIN}) as answer:
            assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
        assert (await site.get("/object_info"))[0] == 503
        assert (await site.get("/queue"))[0] == 200


async def test_a_prompt_that_comes_early_is_taken_when_the_worker_is_ready(tmp_path: Any) -> None:
    async with running(tmp_path, FakeDispatcher(specs=None), spec_wait=10.0) as site:
        waiting = asyncio.create_task(site.post("/prompt", {"prompt": CHAIN}))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        site.dispatcher.specs = ready()
        site.dispatcher.is_ready.set()
        assert (await waiting)[0] == 200


async def test_the_nodes_of_the_last_run_are_known_at_once_and_replaced(tmp_path: Any) -> None:
    async with running(tmp_path) as site:
        assert (await site.get("/object_info/Add"))[0] == 200
    only = {"Show": SPECS["Show"], "Number": SPECS["Number"]}
    async with running(tmp_path, FakeDispatcher(specs=None), spec_wait=0.0) as site:
        assert "Add" in (await site.get("/object_info"))[1]
        site.dispatcher.specs = ready(only)
        assert (await site.get("/object_info"))[1].keys() == only.keys()
    async with running(tmp_path, FakeDispatcher(specs=None), spec_wait=0.0) as site:
        assert (await site.get("/object_info"))[1].keys() == only.keys()
    (tmp_path / "sources" / "nodes").mkdir(parents=True)
    (tmp_path / "sources" / "nodes" / "new.py").write_text("")
    async with running(tmp_path, FakeDispatcher(specs=None), spec_wait=0.0) as site:
        assert (await site.get("/object_info"))[0] == 503, "the sources changed, so what was kept is not used"


async def test_a_damaged_file_of_nodes_is_not_used(tmp_path: Any) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "specs.msgpack").write_bytes(b"\xff\x00rubbish")
    async with running(tmp_path, FakeDispatcher(specs=None), spec_wait=0.0) as site:
        assert (await site.get("/object_info"))[0] == 503


async def test_a_long_chain_does_not_hold_up_others(site: Running) -> None:
    long: dict[str, Any] = {"0": {"class_type": "Number", "inputs": {"value": 1}}}
    for n in range(1, 10_000):
        long[str(n)] = {"class_type": "Add", "inputs": {"a": [str(n - 1), 0], "b": 1}}
    long["end"] = {"class_type": "Show", "inputs": {"value": ["9999", 0]}}
    body = msgspec.json.encode({"prompt": long})
    posting = asyncio.create_task(site.post("/prompt", body))
    others = 0
    while not posting.done():
        assert (await site.get("/prompt"))[0] == 200
        others += 1
    assert (await posting)[0] == 200
    assert others >= 5, "a server that is held up answers two"


def test_one_seed_below_the_limit_is_kept_exactly(tmp_path: Any) -> None:
    from engine.files.folders import make_folders
    from web.listings import Listings

    graph = {**CHAIN, "1": {"class_type": "Number", "inputs": {"value": 2**64 - 1}}}
    files = Listings(make_folders(data=tmp_path, models=tmp_path))
    prepared = prepare(msgspec.json.encode({"prompt": graph}), SPECS, files)
    assert msgspec.msgpack.decode(prepared.job.graph, type=Graph).nodes[0].literals == {"value": 2**64 - 1}


async def test_an_editor_file_is_converted_and_kept_for_the_pictures(site: Running) -> None:
    editor = {
        "last_node_id": 2, "last_link_id": 1, "version": 0.4, "groups": [], "config": {}, "extra": {},
        "nodes": [
            {"id": 1, "type": "Number", "pos": [0, 0], "size": [1, 1], "flags": {}, "order": 0, "mode": 0, "inputs": [],
             "outputs": [{"name": "INT", "type": "INT", "links": [1]}], "properties": {}, "widgets_values": [7]},
            {"id": 2, "type": "Show", "pos": [9, 0], "size": [1, 1], "flags": {}, "order": 1, "mode": 0,
             "inputs": [{"name": "value", "type": "*", "link": 1}], "outputs": [], "properties": {},
             "widgets_values": []},
        ],
        "links": [[1, 1, 0, 2, 0, "INT"]],
    }
    for body in (editor, {"prompt": editor}):
        status, answer = await site.post("/prompt", body)
        assert status == 200, answer
    for job in site.dispatcher.submitted:
        assert msgspec.json.decode(job.prompt)["1"]["inputs"] == {"value": 7}
        assert msgspec.json.decode(job.prompt)["2"]["inputs"] == {"value": ["1", 0]}
        assert msgspec.json.decode(job.extra)["extra_pnginfo"]["workflow"] == editor


async def test_nodes_that_check_their_inputs_are_asked_and_outputs_below_are_left_out(site: Running) -> None:
    graph = {
        "c": {"class_type": "Checked", "inputs": {"value": 3}},
        "bad": {"class_type": "Show", "inputs": {"value": ["c", 0]}}, **CHAIN,
    }
    site.dispatcher.found = [Complaint("c", "custom_validation_failed", "3 is too few")]
    status, answer = await site.post("/prompt", {"prompt": graph})
    assert status == 200
    assert answer["node_errors"]["c"]["dependent_outputs"] == ["bad"]
    assert answer["node_errors"]["c"]["errors"][0]["type"] == "custom_validation_failed"
    assert "3 is too few" in str(answer["node_errors"]["c"]["errors"][0])
    job = site.dispatcher.submitted[-1]
    assert job.targets == ("3",)
    assert {each.id for each in msgspec.msgpack.decode(job.graph, type=Graph).nodes} == {"1", "2", "3"}
    status, answer = await site.post("/prompt", {"prompt": {name: graph[name] for name in ("c", "bad")}})
    assert (status, answer["error"]["type"]) == (400, "prompt_outputs_failed_validation")
    assert len(site.dispatcher.submitted) == 1
    status, answer = await site.post("/api/jobs", {"workflow": graph})
    assert status == 400 and len(site.dispatcher.submitted) == 1, "the new API is all or nothing"


async def test_only_nodes_that_check_their_inputs_are_asked(site: Running) -> None:
    await site.post("/prompt", {"prompt": CHAIN})
    assert not [each for each in site.dispatcher.calls if each[0] == "complaints"]


async def test_more_nodes_than_a_prompt_may_have_are_refused_with_the_number(site: Running) -> None:
    many = {str(n): {"class_type": "Number", "inputs": {}} for n in range(20_001)}
    status, answer = await site.post("/prompt", {"prompt": many})
    assert status == 400 and "20001 nodes; the limit is 20000" in answer["error"]["message"]


@pytest.mark.parametrize("nodes", [5, None, "x", {"a": 1}])
async def test_an_editors_file_whose_nodes_are_no_list_is_called_one(site: Running, nodes: Any) -> None:
    for body in ({"prompt": {"nodes": nodes, "links": []}}, {"nodes": nodes, "links": []}):
        status, answer = await site.post("/prompt", body)
        assert status == 400 and "class_type" not in answer["error"]["message"]
        assert "nodes" in answer["error"]["message"]


async def test_a_node_may_have_the_id_nodes(site: Running) -> None:
    graph = {"nodes": {"class_type": "Number", "inputs": {"value": 1}},
             "b": {"class_type": "Show", "inputs": {"value": ["nodes", 0]}}}
    assert (await site.post("/prompt", graph))[0] == 200


async def test_a_prediction_counts_and_lists_what_would_become_of_the_nodes(site: Running) -> None:
    site.dispatcher.foretold = [
        Prediction("1", "reused", "memory"), Prediction("2", "runs", "input", "b has changed", ("b",)),
        Prediction("3", "depends"),
    ]
    status, answer = await site.post("/api/predict", {"workflow": CHAIN})
    assert status == 200
    assert (answer["reused"], answer["runs"], answer["depends"]) == (1, 1, 1)
    assert answer["nodes"][1] == {
        "node": "2", "state": "runs", "cause": "input", "why": "b has changed", "inputs": ["b"],
    }
    assert not site.dispatcher.submitted
    site.dispatcher.foretold = None
    assert (await site.post("/api/predict", {"workflow": CHAIN}))[0] == 503
