"""``/api/jobs`` over the real queue and a worker process."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio

from tests.web.support import CHAIN, running
from tests.web.test_whole import whole
from web import board
from web.access import Access, add_token, make_token, remove_token
from web.routes import jobs


@dataclass
class Api:
    url: str
    http: aiohttp.ClientSession

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, json=body, headers=headers) as answer:
            content = await answer.read()
            return answer.status, json.loads(content) if content else None

    async def make(self, value: int = 3, **more: Any) -> dict[str, Any]:
        status, job = await self.send("POST", "/api/jobs", {"workflow": chain(value), **more})
        assert status == 201, job
        return job  # type: ignore[no-any-return]

    async def ids(self, query: str = "") -> list[str]:
        return [each["id"] for each in (await self.send("GET", f"/api/jobs{query}"))[1]["jobs"]]


def chain(value: Any) -> dict[str, Any]:
    graph = copy.deepcopy(CHAIN)
    graph["1"]["inputs"]["value"] = value
    return graph


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with whole(tmp_path) as (url, http):
        yield Api(url, http)


async def test_with_wait_the_answer_is_the_ended_job_with_all_it_made(api: Api) -> None:
    status, job = await api.send("POST", "/api/jobs?wait=30", {"workflow": chain(3), "client_id": "me"})
    assert status == 200 and job["state"] == "succeeded" and job["progress"] == 1.0
    assert job["outputs"] == [{"node": "3", "kind": "text", "text": "3"}] and job["errors"] == []
    assert job["workflow"] == chain(3) and job["client_id"] == "me" and job["position"] is None
    assert job["created"] <= job["started"] <= job["ended"]
    assert (await api.send("GET", f"/api/jobs/{job['id']}")) == (200, job)
    async with api.http.get(f"{api.url}/history/{job['id']}") as answer:
        assert (await answer.json())[job["id"]]["outputs"] == {"3": {"text": ["3"]}}, "one store, two faces"


async def test_a_bare_graph_in_the_body_will_do(api: Api) -> None:
    status, job = await api.send("POST", "/api/jobs?wait=30", chain(4))
    assert status == 200 and job["workflow"]["1"]["inputs"]["value"] == 4


async def test_inputs_can_be_set_over_a_saved_workflow(api: Api) -> None:
    body = {"workflow": chain(1), "set": {"1.value": 7}}
    assert (await api.send("POST", "/api/jobs?wait=30", body))[1]["workflow"] == chain(7)
    status, answer = await api.send("POST", "/api/jobs", {"workflow": chain(1), "set": {"1.valu": 7}})
    assert status == 400 and "did you mean 'value'" in answer["error"]["message"]


async def test_a_refusal_names_node_input_allowed_values_and_the_nearest(api: Api) -> None:
    graph = {**CHAIN, "4": {"class_type": "Pick", "inputs": {"value": 1, "schedule": "karas"}},
             "5": {"class_type": "Show", "inputs": {"value": ["4", 0]}}}
    status, answer = await api.send("POST", "/api/jobs", {"workflow": graph})
    assert status == 400
    (problem,) = answer["error"]["extra_info"]["problems"]
    assert (problem["node"], problem["class_type"], problem["input"]) == ("4", "Pick", "schedule")
    assert problem["allowed"] == ["normal", "karras"] and problem["nearest"] == "karras"
    assert await api.ids() == [], "all or nothing"
    status, job = await api.send("POST", "/api/jobs?wait=30", {"workflow": graph, "partial": True})
    assert status == 200 and {each["node"] for each in job["outputs"]} == {"3"}


async def test_a_value_out_of_range_is_told_with_the_range_and_a_field_that_there_is_not_with_the_nearest(
    api: Api
) -> None:
    graph = {**CHAIN, "2": {"class_type": "Add", "inputs": {"a": ["1", 0], "b": 10}}}
    _, answer = await api.send("POST", "/api/jobs", {"workflow": graph})
    (problem,) = answer["error"]["extra_info"]["problems"]
    assert (problem["input"], problem["maximum"]) == ("b", 9)
    status, answer = await api.send("POST", "/api/jobs", {"workflow": CHAIN, "extra-data": {}})
    assert status == 422 and "did you mean 'extra_data'" in answer["error"]["message"]
    status, answer = await api.send("POST", "/api/jobs", {"workflow": CHAIN, "zzz": 1})
    assert status == 422 and "the fields are workflow, id, client_id" in answer["error"]["message"]


@pytest.mark.parametrize(("body", "status", "says"), [
    ({}, 422, "workflow"), ([], 422, "object"), ({"workflow": []}, 422, "object"), (None, 400, "JSON"),
    ({"workflow": CHAIN, "fronnt": True}, 422, "fronnt"), ({"workflow": CHAIN, "id": "a/b"}, 400, "prompt_id"),
    ({"workflow": CHAIN, "number": "x"}, 422, "number"), ({"workflow": {}}, 400, ""),
])
async def test_a_body_that_does_not_fit_says_where(api: Api, body: Any, status: int, says: str) -> None:
    found, answer = await api.send("POST", "/api/jobs", body)
    assert found == status and says in answer["error"]["message"]


async def test_a_key_makes_a_job_once_however_often_it_is_sent(tmp_path: Path) -> None:
    async with whole(tmp_path) as (url, http):
        api = Api(url, http)
        answers = await asyncio.gather(*(
            api.send("POST", "/api/jobs", {"workflow": chain(1)}, **{"Idempotency-Key": "k 1"}) for _ in range(5)))
        assert sorted(status for status, _ in answers) == [200] * 4 + [201]
        assert len({job["id"] for _, job in answers}) == 1 == len(await api.ids())
        status, _ = await api.send("POST", "/api/jobs", {"workflow": chain(2)}, **{"Idempotency-Key": "k 1"})
        assert status == 422
        both = await api.send("POST", "/api/jobs", {"workflow": chain(1), "id": "a"}, **{"Idempotency-Key": "k"})
        assert both[0] == 400
    async with whole(tmp_path) as (url, http):
        api = Api(url, http)
        status, job = await api.send("POST", "/api/jobs", {"workflow": chain(1)}, **{"Idempotency-Key": "k 1"})
        assert (status, job["id"]) == (200, answers[0][1]["id"]), "a restart forgets no key"


async def test_a_paused_queue_keeps_jobs_that_can_be_moved_cancelled_and_resumed(api: Api) -> None:
    assert (await api.send("POST", "/api/queue/pause")) == (200, {"paused": True})
    jobs = [(await api.make(n))["id"] for n in range(4)]
    await asyncio.sleep(0.1)
    status, listed = await api.send("GET", "/api/jobs?state=queued")
    assert listed["paused"] and [each["id"] for each in listed["jobs"]] == jobs
    assert [each["position"] for each in listed["jobs"]] == [1, 2, 3, 4]
    assert (await api.send("PATCH", f"/api/jobs/{jobs[3]}", {"position": 1}))[1]["position"] == 1
    assert (await api.send("PATCH", f"/api/jobs/{jobs[0]}", {"position": 3}))[1]["position"] == 3
    assert await api.ids() == [jobs[3], jobs[1], jobs[0], jobs[2]]
    assert (await api.send("PATCH", f"/api/jobs/{jobs[2]}", {"number": -5}))[1]["position"] == 1
    for body in ({}, {"position": 1, "number": 2}, {"number": 1e300}, {"front": True}):
        assert (await api.send("PATCH", f"/api/jobs/{jobs[2]}", body))[0] == 422
    status, cancelled = await api.send("POST", f"/api/jobs/{jobs[1]}/cancel")
    assert status == 200 and cancelled["state"] == "cancelled" and cancelled["errors"][0]["type"] == "cancelled"
    assert (await api.send("DELETE", f"/api/jobs/{jobs[2]}"))[0] == 409
    assert (await api.send("POST", f"/api/jobs/{jobs[2]}/retry"))[0] == 409
    assert (await api.send("POST", "/api/queue/resume")) == (200, {"paused": False})
    ended = [(await api.send("GET", f"/api/jobs/{each}?wait=30"))[1] for each in jobs]
    assert [each["state"] for each in ended] == ["succeeded", "cancelled", "succeeded", "succeeded"]
    assert ended[2]["ended"] <= ended[3]["ended"] <= ended[0]["ended"], "they ran in their new order"
    assert (await api.send("POST", f"/api/jobs/{jobs[0]}/cancel"))[0] == 409
    assert (await api.send("PATCH", f"/api/jobs/{jobs[0]}", {"position": 1}))[0] == 409


async def test_an_order_survives_a_restart(tmp_path: Path) -> None:
    async with whole(tmp_path) as (url, http):
        api = Api(url, http)
        await api.send("POST", "/api/queue/pause")
        jobs = [(await api.make(n))["id"] for n in range(3)]
        await api.send("PATCH", f"/api/jobs/{jobs[2]}", {"position": 1})
    async with whole(tmp_path) as (url, http):
        api = Api(url, http)
        assert (await api.send("GET", "/api/jobs"))[1]["paused"], "that, too, is remembered"
        await api.send("POST", "/api/queue/resume")
        ended = [(await api.send("GET", f"/api/jobs/{each}?wait=30"))[1]["ended"] for each in jobs]
        assert ended[2] <= ended[0] <= ended[1]


async def test_jobs_are_found_by_state_and_text_a_page_at_a_time(api: Api) -> None:
    jobs = [(await api.send("POST", "/api/jobs?wait=30", chain(100 + n)))[1]["id"] for n in range(5)]
    assert await api.ids() == jobs[::-1]
    assert await api.ids("?limit=2&offset=1") == [jobs[3], jobs[2]]
    assert await api.ids("?search=104") == [jobs[4]]
    assert await api.ids("?state=failed,running") == []
    await api.send("POST", "/api/queue/pause")
    waiting = (await api.make(104))["id"]
    assert await api.ids("?search=104") == [waiting, jobs[4]]
    assert await api.ids("?limit=2&offset=1") == [jobs[4], jobs[3]]
    assert (await api.send("GET", "/api/jobs?limit=0"))[1]["total"] == 6
    for query in ("state=done", "limit=-1", "limit=9999", "offset=x"):
        assert (await api.send("GET", f"/api/jobs?{query}"))[0] == 400


async def test_an_ended_job_is_run_again_and_forgotten(api: Api) -> None:
    job = (await api.send("POST", "/api/jobs?wait=30", chain(5)))[1]
    status, again = await api.send("POST", f"/api/jobs/{job['id']}/retry?wait=30")
    assert status == 200 and again["id"] != job["id"] and again["workflow"] == job["workflow"]
    assert (await api.send("DELETE", f"/api/jobs/{job['id']}")) == (204, None)
    assert (await api.send("GET", f"/api/jobs/{job['id']}"))[0] == 404
    for method, path in (("POST", "/retry"), ("POST", "/cancel"), ("DELETE", ""), ("PATCH", ""), ("GET", "/events")):
        assert (await api.send(method, f"/api/jobs/none{path}", {} if method != "GET" else None))[0] == 404


async def test_events_tell_a_job_from_where_it_stands_to_its_end(api: Api) -> None:
    await api.send("POST", "/api/queue/pause")
    job = (await api.make())["id"]
    async with api.http.get(f"{api.url}/api/jobs/{job}/events") as stream:
        assert stream.content_type == "text/event-stream"
        await stream.content.readuntil(b"\n\n")
        await api.send("POST", "/api/queue/resume")
        rest = (await asyncio.wait_for(stream.read(), 20)).decode()
    heard = [tuple(line.split(": ", 1)[1] for line in block.splitlines()) for block in rest.split("\n\n") if block]
    names = [name for name, _ in heard]
    assert names[0] == "started" and names[-1] == "ended" and "shown" in names
    nodes = [json.loads(data) for name, data in heard if name == "node"]
    assert [each["state"] for each in nodes if each["node"] == "2"] == ["running", "ran"]
    assert json.loads(heard[-1][1])["state"] == "succeeded"
    async with api.http.get(f"{api.url}/api/jobs/{job}/events") as stream:
        assert (await stream.read()).decode().count("event: ") == 2, "an ended job tells its state and its end"


async def test_waiting_ends_in_time_with_the_job_as_it_is(api: Api) -> None:
    await api.send("POST", "/api/queue/pause")
    status, job = await api.send("POST", "/api/jobs?wait=0.2", {"workflow": chain(1)})
    assert status == 202 and job["state"] == "queued" and job["position"] == 1
    status, job = await api.send("GET", f"/api/jobs/{job['id']}?wait=0.1", Accept="image/png")
    assert status == 202 and job["state"] == "queued"
    for wait in ("x", "-1", "1e9", "nan"):
        assert (await api.send("GET", f"/api/jobs/{job['id']}?wait={wait}"))[0] == 400


async def test_a_picture_is_asked_for_where_there_is_none(api: Api) -> None:
    status, answer = await api.send("POST", "/api/jobs", {"workflow": chain(1)}, Accept="image/png")
    assert status == 422 and answer["error"]["type"] == "no_picture"


async def test_those_who_vanish_while_they_wait_leave_nothing_behind(tmp_path: Path) -> None:
    """They held their places among those who may wait, until the job ended."""
    async with running(tmp_path) as site:
        api = Api(site.url, site.http)
        job = (await api.send("POST", "/api/jobs", {"workflow": CHAIN}))[1]["id"]
        for path in (f"/api/jobs/{job}/events", f"/api/jobs/{job}?wait=300"):
            for _ in range(10):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(api.send("GET", path), 0.1)
        async with asyncio.timeout(15):
            while site.server.board.following:
                await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(api.send("GET", f"/api/jobs/{job}?wait=2.5"))
        assert (await waiting)[0] == 202, "who stays is answered when the time is over"


async def test_a_job_that_is_made_where_no_more_may_wait_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs: a refusal would have the client make it again."""
    monkeypatch.setattr(board, "MAX_WAITING", 0)
    async with running(tmp_path) as site:
        api = Api(site.url, site.http)
        for headers in ({}, {"Accept": "image/png"}):
            status, job = await api.send("POST", "/api/jobs?wait=30", {"workflow": CHAIN}, **headers)
            assert status == 202 and job["state"] == "queued"
        assert (await api.send("GET", f"/api/jobs/{job['id']}?wait=30"))[0] == 503
        assert (await api.send("GET", f"/api/jobs/{job['id']}/events"))[0] == 503


async def test_who_waits_or_follows_is_let_go_when_the_token_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    add_token(path, make_token("ada" * 10, "ada", "submit"))
    add_token(path, make_token("boss" * 10, "boss"))
    async with running(tmp_path, access=Access(None, path)) as site:
        headers = {"Authorization": f"Bearer {'ada' * 10}"}
        job = (await site.post("/api/jobs", {"workflow": CHAIN}, headers=headers))[1]["id"]
        waits = asyncio.ensure_future(site.get(f"/api/jobs/{job}?wait=300", headers=headers))
        async with site.http.get(f"{site.url}/api/jobs/{job}/events", headers=headers) as events:
            assert events.status == 200
            remove_token(path, "ada")
            told = (await asyncio.wait_for(events.read(), 15)).decode()
            assert "event: state" in told and "event: ended" not in told
        assert (await asyncio.wait_for(waits, 15))[0] == 401
        assert not site.server.board.following


async def test_a_search_finds_what_is_not_ascii(tmp_path: Path) -> None:
    async with whole(tmp_path) as (url, http):
        api = Api(url, http)
        graph = {**chain(1), "9": {"class_type": "Pick", "inputs": {"value": "Красный Ärger"}}}
        job = (await api.send("POST", "/api/jobs?wait=30", {"workflow": graph}))[1]
        assert job["state"] == "succeeded"
        await api.send("POST", "/api/queue/pause")
        await api.send("POST", "/api/jobs", {"workflow": graph})
        for text, count in (("Красный", 2), ("Ärger", 2), ("äRGER", 0), ("красный", 0), ("ÄRGER", 2)):
            listed = (await api.send("GET", f"/api/jobs?search={quote(text)}"))[1]
            assert listed["total"] == len(listed["jobs"]) == count, text


async def test_a_client_that_does_not_read_its_events_is_let_go(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "READ_SECONDS", 0.3)
    await api.send("POST", "/api/queue/pause")
    graph = {**chain(1), **{f"t{n}": {"class_type": "Pick", "inputs": {"value": "x" * 400_000}} for n in range(30)}}
    status, job = await api.send("POST", "/api/jobs", {"workflow": graph})
    assert status == 201 and len(json.dumps(job)) > 10**7
    host, _, port = api.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"GET /api/jobs/{job['id']}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    assert b"200" in await reader.readline()
    await asyncio.sleep(1.0)
    rest = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(2**20), 5):
            rest += chunk
    assert len(rest) < 10**7, "the connection was ended in the middle"
    writer.transport.abort()
    async with api.http.head(f"{api.url}/api/jobs/{job['id']}/events") as answer:
        assert answer.status == 200 and answer.content_type == "text/event-stream"
