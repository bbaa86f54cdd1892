"""How quick the server is: ``python -m benchmarks.server``.

first answer   seconds from starting the process to the answer of GET /prompt, median of 5 starts
re-post        milliseconds from posting an unchanged text-to-image graph to its history entry, median of 50
one job        the same for a three-node job with new numbers, one after another, median of 50; and until the WebSocket
               says that it has ended: to a client that announces its features, as editors do, and to one that does not
               (which waits for it to listen: web/socket.py, HOLD_SECONDS)
jobs           200 three-node jobs posted at once by 50 connections, until the queue is empty: jobs per second, and
               milliseconds of CPU for each job, of the server and its worker together; medians of 5
restart        a server started anew on what another has made, from /ready: milliseconds until an unchanged graph of
               text to image is in the history, median of 3; and what became of its nodes, of which none may have run
plan           CPU-seconds to resolve and plan a chain of 10,000 nodes, median of 5
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from engine.graph.graph import resolve
from engine.graph.node import InputSpec, NodeSpec, OutputSpec
from engine.graph.plan import make_plan
from engine.graph.workflow import read_api
from tests.served import Client, number_workflow, start_server, stop_server, text_to_image

JOBS = 200


def main() -> None:
    """Measure and print."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        starts = []
        for _ in range(5):
            client = start_server(Path(folder) / "data")
            starts.append(client.first_answer)
            stop_server(client)
        figures["first answer, s"] = _spread(starts)
        client = start_server(Path(folder) / "data")
        try:
            client.wait(client.post(text_to_image()))
            measured = asyncio.run(_measure(client))
        finally:
            stop_server(client)
        figures |= {name: _spread(values) for name, values in measured.items()}
        restarts, states = zip(*(_restart(Path(folder) / "data") for _ in range(3)), strict=True)
        figures["unchanged graph after a restart, ms"] = _spread(list(restarts))
        figures["what became of its nodes"] = sorted(set().union(*states))
    figures["10,000 nodes resolved and planned, CPU s"] = _spread([_plan() for _ in range(5)])
    print(json.dumps(figures, indent=2))


def _spread(values: list[float]) -> Mapping[str, float]:
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


def _restart(data: Path) -> tuple[float, set[str]]:
    """Milliseconds to the history entry of a known graph, and the states of its nodes."""
    client = start_server(data)
    try:
        while client.send("/ready")[0] != 200:
            time.sleep(0.02)
        began = time.perf_counter()
        job = client.post(text_to_image())
        while not client.get(f"/history/{job}"):
            pass
        taken = (time.perf_counter() - began) * 1000
        return taken, {each["state"] for each in client.get(f"/api/jobs/{job}")["nodes"]}
    finally:
        stop_server(client)


async def _measure(client: Client) -> dict[str, list[float]]:
    connector = aiohttp.TCPConnector(limit=50)
    numbers = itertools.count(1)
    async with aiohttp.ClientSession(client.address, connector=connector) as session:
        reposts = [await _polled(session, text_to_image()) for _ in range(50)]
        single = [await _polled(session, number_workflow(next(numbers))) for _ in range(50)]
        async with session.ws_connect("/ws?clientId=bench") as socket:
            late = [await _told(session, socket, number_workflow(next(numbers))) for _ in range(50)]
            await socket.send_json({"type": "feature_flags", "data": {}})
            told = [await _told(session, socket, number_workflow(next(numbers))) for _ in range(50)]
        bursts = [await _burst(session, client, numbers) for _ in range(5)]
    return {
        "re-post of an unchanged graph, ms": reposts, "a three-node job, ms": single,
        "a three-node job over the WebSocket, ms": told, "the same, to a client that may listen late": late,
        "three-node jobs posted at once, jobs/s": [rate for rate, _ in bursts],
        "CPU of each of them, ms": [spent for _, spent in bursts],
    }


async def _post(session: aiohttp.ClientSession, workflow: Any) -> str:
    async with session.post("/prompt", json={"prompt": workflow, "client_id": "bench"}) as answer:
        return str((await answer.json())["prompt_id"])


async def _polled(session: aiohttp.ClientSession, workflow: Any) -> float:
    """Milliseconds from the post of a job to its history entry."""
    began = time.perf_counter()
    job = await _post(session, workflow)
    while True:
        async with session.get(f"/history/{job}") as answer:
            if await answer.json():
                return (time.perf_counter() - began) * 1000


async def _told(session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, workflow: Any) -> float:
    """Milliseconds from the post of a job to the message that it has ended."""
    began = time.perf_counter()
    post = asyncio.ensure_future(_post(session, workflow))
    async for message in socket:
        told = json.loads(message.data)
        if told["type"] == "executing" and told["data"]["node"] is None:
            break
    taken = (time.perf_counter() - began) * 1000
    await post
    return taken


async def _burst(session: aiohttp.ClientSession, client: Client, numbers: Iterator[int]) -> tuple[float, float]:
    """Jobs per second and milliseconds of CPU for each; a client is told all of them, another when none is left."""
    async with session.ws_connect("/ws?clientId=bench") as socket, session.ws_connect("/ws?clientId=watch") as watch:
        hearing = asyncio.ensure_future(_hear(socket))
        before, began = _spent(client), time.perf_counter()
        posts = [asyncio.ensure_future(_post(session, number_workflow(next(numbers)))) for _ in range(JOBS)]
        await asyncio.gather(*posts)
        while True:
            async with session.get("/prompt") as answer:
                if (await answer.json())["exec_info"]["queue_remaining"] == 0:
                    break
            await watch.receive()
        seconds = time.perf_counter() - began
        await hearing
        spent = _spent(client) - before
    return JOBS / seconds, spent / JOBS * 1000


async def _hear(socket: aiohttp.ClientWebSocketResponse) -> None:
    ended = 0
    while ended < JOBS:
        told = json.loads((await socket.receive()).data)
        ended += told["type"] == "executing" and told["data"]["node"] is None


def _spent(client: Client) -> float:
    """CPU-seconds of the server and of those that it started."""
    server = psutil.Process(client.process.pid)
    times = [each.cpu_times() for each in (server, *server.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _plan() -> float:
    specs = {
        "Number": NodeSpec(
            "Number", "Number", inputs=(InputSpec("value", "INT"),), outputs=(OutputSpec("INT", "INT"),)
        ),
        "Add": NodeSpec(
            "Add", "Add", inputs=(InputSpec("a", "INT"), InputSpec("b", "INT")), outputs=(OutputSpec("INT", "INT"),)
        ),
        "Show": NodeSpec("Show", "Show", inputs=(InputSpec("value", "*"),), output_node=True),
    }
    nodes: dict[str, Any] = {"0": {"class_type": "Number", "inputs": {"value": 0}}}
    for index in range(1, 10_000):
        nodes[str(index)] = {"class_type": "Add", "inputs": {"a": [str(index - 1), 0], "b": 1}}
    nodes["out"] = {"class_type": "Show", "inputs": {"value": ["9999", 0]}}
    workflow = read_api(nodes)
    began = time.process_time()
    make_plan(resolve(workflow, specs, _NoFiles()).graph, specs, {})
    return time.process_time() - began


class _NoFiles:
    def find(self, folder: str, name: str) -> None:
        return None

    def list(self, folder: str) -> list[str]:
        return []


if __name__ == "__main__":
    main()
