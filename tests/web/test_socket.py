"""WebSockets: the order of the messages, previews, reconnecting, and clients that read slowly."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator
from typing import Any, get_args

import aiohttp
import msgspec
import pytest

from engine.jobs.job import Job, QueueChanged
from engine.messages import events
from tests.web.support import CHAIN, Running
from web import socket, translate
from web.shapes import SocketMessage
from web.socket import Connection, Hub, Outbox
from web.translate import Message, Progress, text_message

DESCRIBED = {each.__struct_config__.tag for each in get_args(SocketMessage)}
JPEG = b"\xff\xd8\xff\xe0 a picture"
PNG = b"\x89PNG\r\n\x1a\n a picture"


class Client:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def next(self) -> Any:
        message = await asyncio.wait_for(self.ws.receive(), 5)
        if message.type is aiohttp.WSMsgType.TEXT:
            data = msgspec.json.decode(message.data)
            if data["type"] in DESCRIBED:  # others are those of packs
                assert msgspec.to_builtins(msgspec.convert(data, SocketMessage)) == data
            return data
        assert message.type is aiohttp.WSMsgType.BINARY, message
        return message.data

    async def until(self, wanted: str) -> list[Any]:
        found = []
        while True:
            found.append(await self.next())
            if not isinstance(found[-1], bytes) and short(found[-1]) == wanted:
                return found

    async def silent(self, seconds: float = 0.1) -> bool:
        try:
            await asyncio.wait_for(self.ws.receive(), seconds)
        except TimeoutError:
            return True
        return False


def short(message: Any) -> str:
    """``type`` with what matters of its data."""
    data = message["data"]
    match message["type"]:
        case "status":
            return f"status {data['status']['exec_info']['queue_remaining']}"
        case "executing":
            return f"executing {data['node']}"
        case "executed":
            return f"executed {data['node']}"
        case "progress_state":
            last = list(data["nodes"].values())[-1]
            return f"progress_state {last['node_id']} {last['state']}"
    return str(message["type"])


@contextlib.asynccontextmanager
async def connect(site: Running, client: str | None = "me", path: str = "/ws") -> AsyncIterator[Client]:
    query = f"?clientId={client}" if client else ""
    async with site.http.ws_connect(site.url + path + query) as ws:
        yield Client(ws)


async def post(site: Running, client: str | None = "me") -> Job:
    body: dict[str, Any] = {"prompt": CHAIN}
    if client:
        body["client_id"] = client
    status, answer = await site.post("/prompt", body)
    assert status == 200
    return next(each for each in site.dispatcher.pending if each.id == answer["prompt_id"])


async def test_a_chain_of_three_nodes_tells_seventeen_messages_in_order(site: Running) -> None:
    """1 Number → 2 Add → 3 Show; protocol.md §2."""
    async with connect(site) as client:
        first = await client.next()
        assert first == {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"}}
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.run(job)
        heard = await client.until("executing None")
        assert [short(each) for each in heard] == [
            "status 1", "execution_start", "status 1", "execution_cached",
            "progress_state 1 running", "executing 1", "progress_state 1 finished",
            "progress_state 2 running", "executing 2", "progress_state 2 finished",
            "progress_state 3 running", "executing 3", "executed 3", "progress_state 3 finished",
            "execution_success", "status 0", "executing None",
        ]
        assert len(heard) == 17
        assert all(each["data"]["prompt_id"] == job.id for each in heard if each["type"] != "status")
        by_type = {each["type"]: each["data"] for each in heard}
        assert by_type["execution_start"]["timestamp"] == 1000
        assert by_type["executed"] == {
            "node": "3", "display_node": "3", "output": {"text": ["5"]}, "prompt_id": job.id}
        assert by_type["executing"] == {"node": None, "prompt_id": job.id}
        assert by_type["progress_state"]["nodes"] == {"3": {
            "value": 1, "max": 1, "state": "finished", "node_id": "3", "prompt_id": job.id, "display_node_id": "3",
            "parent_node_id": None, "real_node_id": "3"}}, "what ended before was told before"


async def test_a_client_that_begins_to_listen_when_its_post_is_answered_misses_nothing(
    site: Running, monkeypatch: Any
) -> None:
    """@stable-canvas/comfyui-client does so; a job whose results are known has ended by then."""
    monkeypatch.setattr(socket, "HOLD_SECONDS", 1.0)
    async with connect(site) as client, connect(site, "other") as other:
        await client.next()
        await other.next()
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.run(job)
        assert short(await other.next()) == "status 1", "others wait for nothing"
        for _ in range(5):
            await asyncio.sleep(0.01)
            assert not client.ws._reader._buffer, "it is told nothing yet"
        heard = await client.until("executing None")
        assert len(heard) == 17 and short(heard[0]) == "status 1"


async def test_a_client_that_announces_its_features_is_told_at_once(site: Running, monkeypatch: Any) -> None:
    monkeypatch.setattr(socket, "HOLD_SECONDS", 3600.0)
    monkeypatch.setattr(socket, "MOST_HELD", 3600.0)
    async with connect(site) as client:
        await client.next()
        await client.ws.send_json({"type": "feature_flags", "data": {}})
        assert (await client.next())["type"] == "feature_flags"
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.run(job)
        assert len(await client.until("executing None")) == 17


async def test_a_client_that_posts_without_end_is_told_in_between(site: Running, monkeypatch: Any) -> None:
    monkeypatch.setattr(socket, "HOLD_SECONDS", 0.2)
    monkeypatch.setattr(socket, "MOST_HELD", 0.4)
    async with connect(site) as client:
        await client.next()
        heard = asyncio.create_task(client.next())
        count = 0
        while not heard.done():
            await post(site)
            count += 1
        assert count > 1


async def test_the_history_is_there_when_the_queue_says_that_a_job_is_done(site: Running) -> None:
    async with connect(site) as client:
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.run(job)
        await client.until("status 0")
        await client.until("status 0")
        assert job.id in (await site.get(f"/history/{job.id}"))[1]


async def test_a_node_that_raises_is_told_and_the_job_still_ends(site: Running) -> None:
    async with connect(site) as client:
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.tell(job, events.NodeStarted("2", "2"))
        site.dispatcher.end(job, events.Failed(
            time=2.0, node="2", display="2", class_type="Add", exception_type="ValueError", message="no",
            traceback=("x",), executed=("1",)))
        heard = await client.until("executing None")
        assert [short(each) for each in heard][-4:] == [
            "progress_state 2 error", "execution_error", "status 0", "executing None"]
        error = next(each["data"] for each in heard if each["type"] == "execution_error")
        assert error["node_id"] == "2" and error["node_type"] == "Add" and error["executed"] == ["1"]
        assert error["exception_message"] == "no" and error["exception_type"] == "ValueError"
        assert error.keys() == {
            "prompt_id", "node_id", "node_type", "executed", "exception_message", "exception_type", "traceback",
            "current_inputs", "current_outputs", "timestamp"}


async def test_steps_give_progress_and_previews_in_the_form_the_client_asked_for(site: Running) -> None:
    async with connect(site, "plain") as plain, connect(site, "rich") as rich:
        await rich.ws.send_json({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        await rich.next()
        answer = await rich.next()
        assert answer == {"type": "feature_flags", "data": {
            "supports_preview_metadata": True, "max_upload_size": site.server.config.max_upload}}
        for client, name in ((plain, "plain"), (rich, "rich")):
            job = await post(site, name)
            site.dispatcher.take_up()
            site.dispatcher.tell(job, events.NodeStarted("2", "2"))
            await client.until("executing 2")
            site.dispatcher.tell(job, events.NodeProgress("2", "2", 3.0, 20.0))
            state = await client.next()
            assert state["data"]["nodes"]["2"]["value"] == 3 and state["data"]["nodes"]["2"]["max"] == 20
            assert await client.next() == {
                "type": "progress", "data": {"value": 3, "max": 20, "prompt_id": job.id, "node": "2"}}
            for image, number, kind in ((JPEG, 1, "image/jpeg"), (PNG, 2, "image/png")):
                site.dispatcher.tell(job, events.Preview("2", "2", image))
                frame = await client.next()
                if name == "plain":
                    assert frame == struct.pack(">II", 1, number) + image
                else:
                    event, length = struct.unpack(">II", frame[:8])
                    about = msgspec.json.decode(frame[8 : 8 + length])
                    assert event == 4 and frame[8 + length :] == image
                    assert about == {
                        "node_id": "2", "prompt_id": job.id, "display_node_id": "2", "parent_node_id": None,
                        "real_node_id": "2", "image_type": kind}
            site.dispatcher.tell(job, events.NodeText("2", "2", "größer"))
            assert await client.next() == struct.pack(">II", 3, 1) + b"2" + "größer".encode()
            site.dispatcher.running.clear()


async def test_pictures_that_are_results_are_all_sent_though_nobody_reads_yet(site: Running) -> None:
    async with connect(site) as client:
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.tell(job, events.NodeStarted("2", "2"))
        pictures = [PNG + bytes([number]) * 10 for number in range(20)]
        for picture in pictures:
            site.dispatcher.tell(job, events.Preview("2", "2", JPEG))  # only the newest of these matters
            site.dispatcher.tell(job, events.Preview("2", "2", picture, kept=True))
        site.dispatcher.end(job, events.Succeeded(time=2.0, outputs={}))
        heard = [each[8:] for each in await client.until("execution_success") if isinstance(each, bytes)]
        assert [each for each in heard if each != JPEG] == pictures
        site.dispatcher.running.clear()


async def test_only_the_client_of_a_job_hears_of_it(site: Running) -> None:
    async with connect(site) as mine, connect(site, "other") as other:
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.run(job)
        await mine.until("executing None")
        await other.next()
        assert [short(await other.next()) for _ in range(3)] == ["status 1", "status 1", "status 0"]
        assert await other.silent()


async def test_a_job_of_nobody_tells_all_its_progress_and_nothing_else(site: Running) -> None:
    async with connect(site) as client:
        job = await post(site, None)
        site.dispatcher.take_up()
        site.dispatcher.tell(job, events.NodeStarted("2", "2"))
        site.dispatcher.tell(job, events.NodeProgress("2", "2", 1, 2))
        site.dispatcher.tell(job, events.Preview("2", "2", JPEG))
        site.dispatcher.tell(job, events.NodeShown("3", "3", {}))
        site.dispatcher.end(job, events.Interrupted(time=2.0, node="2"))
        heard = await client.until("status 0")
        heard += await client.until("status 0")
        kinds = ["preview" if isinstance(each, bytes) else each["type"] for each in heard]
        assert kinds == ["status", "status", "status", "progress_state", "progress_state", "progress", "preview",
                         "execution_interrupted", "status"]


async def test_a_client_that_comes_back_learns_where_its_job_stands(site: Running) -> None:
    async with connect(site) as client:
        job = await post(site)
        site.dispatcher.take_up()
        site.dispatcher.tell(job, events.NodeStarted("1", "1"))
        site.dispatcher.tell(job, events.NodeFinished("1", "1", 0.1))
        site.dispatcher.tell(job, events.NodeStarted("2", "2"))
        await client.until("executing 2")
    async with connect(site) as client:
        assert short(await client.next()) == "status 1"
        assert (await client.next())["data"] == {"node": "2", "display_node": "2", "prompt_id": job.id}
        state = (await client.next())["data"]
        assert {name: each["state"] for name, each in state["nodes"].items()} == {"1": "finished", "2": "running"}
        site.dispatcher.end(job, events.Succeeded(time=3.0))
        assert short((await client.until("executing None"))[0]) == "execution_success"
    async with connect(site) as client:
        await client.next()
        assert await client.silent(), "the job has ended: there is nothing to tell"


async def test_the_same_client_id_replaces_the_older_socket(site: Running) -> None:
    async with connect(site) as older:
        await older.next()
        async with connect(site) as newer:
            message = await asyncio.wait_for(older.ws.receive(), 5)
            assert message.type is aiohttp.WSMsgType.CLOSE
            await older.ws.close()
            await asyncio.sleep(0.05)
            job = await post(site)
            site.dispatcher.take_up()
            site.dispatcher.run(job)
            assert "execution_success" in [short(each) for each in await newer.until("executing None")]


async def test_without_a_client_id_one_is_given(site: Running) -> None:
    async with connect(site, None, "/api/ws") as client:
        sid = (await client.next())["data"]["sid"]
        assert sid in site.server.hub.connections and len(sid) >= 16


async def test_rubbish_from_a_client_is_ignored_and_a_huge_message_ends_the_connection(site: Running) -> None:
    async with connect(site) as client:
        await client.next()
        for text in (
            "rubbish", "[" * 50_000, '{"type": "feature_flags", "data": 7}', "null", '{"type": "feature_flags"}',
        ):
            await client.ws.send_str(text)
        await client.ws.send_bytes(b"\0" * 100)
        job = await post(site)
        assert short(await client.next()) == "status 1" and job
        await client.ws.send_str("x" * (socket.MAX_MESSAGE + 1))
        while (message := await asyncio.wait_for(client.ws.receive(), 5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert (await site.get("/prompt"))[0] == 200


async def test_a_long_client_id_and_too_many_clients_are_refused(site: Running, monkeypatch: Any) -> None:
    assert (await site.get("/ws?clientId=" + "x" * 201))[0] == 400
    assert (await site.get("/ws"))[0] == 400, "no upgrade"
    monkeypatch.setattr(socket, "MAX_SOCKETS", 1)
    async with connect(site):
        assert (await site.get("/ws?clientId=other"))[0] == 503


async def test_a_client_that_does_not_read_holds_nobody_up_and_is_disconnected(site: Running) -> None:
    """The slow one reads nothing while 64 MiB of results pile up for it; the quick one gets its messages meanwhile."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1024)
    writer.write(
        f"GET /ws?clientId=slow HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
    assert b"101" in await reader.readline()
    async with connect(site, "quick") as quick:
        await quick.next()
        slow_job, quick_job = await post(site, "slow"), await post(site, "quick")
        big = "x" * 2**20
        for n in range(80):
            site.dispatcher.tell(slow_job, events.NodeShown(str(n), str(n), {"text": [big]}))
            site.dispatcher.tell(quick_job, events.NodeShown(str(n), str(n), {"text": ["small"]}))
            await asyncio.sleep(0)
        await asyncio.wait_for(quick.until("executed 79"), 5)
        for _ in range(100):
            if "slow" not in site.server.hub.connections:
                break
            await asyncio.sleep(0.02)
        assert "slow" not in site.server.hub.connections
    writer.transport.abort()


async def test_results_wait_in_order_and_progress_waits_as_its_newest() -> None:
    box = Outbox()
    put = [
        (b"result 1", None, "never"), (b"step 1", "steps", "newest"), (b"result 2", None, "never"),
        (b"step 2", "steps", "newest"), (b"state 1", "state", "crowded"), (b"state 2", "state", "crowded"),
    ]
    for data, key, coalesce in put:
        assert box.put(data, binary=False, key=key, coalesce=coalesce)  # type: ignore[arg-type]
    heard = [(await box.get())[0] for _ in range(5)]
    assert heard == [b"result 1", b"result 2", b"step 2", b"state 1", b"state 2"]


async def test_node_states_wait_as_their_newest_only_for_a_client_that_lags() -> None:
    box = Outbox()
    for n in range(1_000):
        assert box.put(b"state %d" % n, binary=False, key="state", coalesce="crowded")
        if n % 10 == 0:
            assert box.put(b"result %d" % n, binary=False)
    heard = []
    with contextlib.suppress(TimeoutError):
        while True:
            heard.append((await asyncio.wait_for(box.get(), 0.05))[0])
    assert [each for each in heard if each.startswith(b"result")] == [b"result %d" % n for n in range(0, 1_000, 10)]
    states = [each for each in heard if each.startswith(b"state")]
    assert len(states) <= socket.CROWDED + 1 and heard[-1] == states[-1] == b"state 999"


async def test_an_outbox_is_bounded_in_messages_and_in_bytes() -> None:
    box = Outbox(limit=10)
    assert [box.put(b"x", binary=False) for _ in range(11)] == [True] * 10 + [False]
    box = Outbox(limit_bytes=10)
    assert [box.put(b"12345", binary=False) for _ in range(3)] == [True, True, False]
    box = Outbox(limit=10, limit_bytes=1_000)
    assert all(box.put(b"x" * 900, binary=True, key="p", coalesce="newest") for _ in range(1_000))


@pytest.mark.parametrize("count", [socket.FEW + 1, 200])
async def test_a_crowd_hears_of_the_queue_seldom_and_last_of_all_the_truth(count: int) -> None:
    """Twenty times a second at most, and no more than STATUS_RATE messages a second in all."""
    class Recorder(Connection):
        def __init__(self, name: str) -> None:
            self.client = self.place = name
            self.heard = list[Message]()

        def send(self, message: Message) -> None:
            self.heard.append(message)

    remaining = 0
    hub = Hub(lambda: remaining)
    crowd = [Recorder(str(n)) for n in range(count)]
    for each in crowd:
        hub.connect(each)
        each.heard.clear()
    for n in range(500):
        remaining = n
        hub.tell(None, QueueChanged(n))
    pause = max(socket.STATUS_SECONDS, count / socket.STATUS_RATE)
    await asyncio.sleep(pause / 2)
    assert all(len(each.heard) <= 2 for each in crowd)
    await asyncio.sleep(pause * 1.5)
    assert all(2 <= len(each.heard) <= 4 for each in crowd)
    assert all(each.heard[-1].data == translate.status(499) for each in crowd)


def test_every_event_of_the_engine_is_translated() -> None:
    import typing

    # ComfyUI has no message for it: it names reused nodes in ``execution_cached``. ``/api/jobs`` tells of it.
    ours = {events.NodeReused}
    assert set(typing.get_args(events.Event)) - ours <= set(translate.TABLE)


def test_a_graph_of_thousands_of_nodes_keeps_its_states_bounded() -> None:
    job = Job(id="j", number=0, sequence=0, created=0, prompt=b"", extra=b"")
    progress = Progress()
    for n in range(5_000):
        list(translate.translate(job, events.NodeStarted(str(n), str(n)), progress))
        if n:
            list(translate.translate(job, events.NodeFinished(str(n), str(n), 0.0), progress))
    assert len(progress.states) <= translate.MAX_STATES and progress.running == {"0": "0"}
    assert "0" in progress.states, "what still runs is never left out"


def test_what_json_cannot_hold_costs_no_other_message() -> None:
    assert b"object" in text_message("executed", {"output": {"text": [object()]}})


async def test_progress_state_is_told_at_most_twenty_times_a_second_and_every_end_is_told(site: Running) -> None:
    """A chain of 60 nodes that runs in 1.5 s; node_finished comes once for each, whatever is put off."""
    async with connect(site) as client:
        job = await post(site)
        site.dispatcher.take_up()
        began = time.monotonic()
        for n in range(60):
            site.dispatcher.tell(job, events.NodeStarted(str(n), str(n)))
            for step in range(5):
                site.dispatcher.tell(job, events.NodeProgress(str(n), str(n), step, 5))
            await asyncio.sleep(0.025)
            site.dispatcher.tell(job, events.NodeFinished(str(n), str(n), 0.02))
        seconds = time.monotonic() - began
        site.dispatcher.end(job, events.Succeeded(time=3.0))
        states = [each["data"]["nodes"] for each in await client.until("executing None")
                  if not isinstance(each, bytes) and each["type"] == "progress_state"]
        assert 2 <= len(states) <= 20 * (int(seconds) + 1)
        finished = [name for nodes in states for name, each in nodes.items() if each["state"] == "finished"]
        assert sorted(map(int, finished)) == list(range(60)), "each end is told exactly once"


async def test_a_state_that_was_put_off_is_told_when_it_may_be(site: Running) -> None:
    async with connect(site) as client:
        job = await post(site)
        site.dispatcher.take_up()
        for n in range(30):
            site.dispatcher.tell(job, events.NodeStarted(str(n), str(n)))
            site.dispatcher.tell(job, events.NodeFinished(str(n), str(n), 0.0))
        site.dispatcher.tell(job, events.NodeStarted("last", "last"))
        finished: set[str] = set()
        while "last" not in finished:
            heard = await asyncio.wait_for(client.next(), 3)
            if not isinstance(heard, bytes) and heard["type"] == "progress_state":
                finished |= heard["data"]["nodes"].keys()
        assert finished == {*map(str, range(30)), "last"}
