"""How quick the server is: ``python -m benchmarks.server``.

first answer   seconds from starting the process to the answer of GET /prompt, median of 5 starts
re-post        milliseconds from posting an unchanged text-to-image graph to its history entry, median of 50
jobs           200 three-node jobs posted at once by 50 connections, until all have ended: jobs per second, median of 5
plan           CPU-seconds to resolve and plan a chain of 10,000 nodes, median of 5
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from engine.graph.graph import resolve
from engine.graph.node import InputSpec, NodeSpec, OutputSpec
from engine.graph.plan import make_plan
from engine.graph.workflow import read_api
from tests.served import number_workflow, start_server, stop_server, text_to_image

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
            reposts, rates = asyncio.run(_measure(client.address))
        finally:
            stop_server(client)
        figures["re-post of an unchanged graph, ms"] = _spread(reposts)
        figures["three-node jobs posted at once, jobs/s"] = _spread(rates)
    figures["10,000 nodes resolved and planned, CPU s"] = _spread([_plan() for _ in range(5)])
    print(json.dumps(figures, indent=2))


def _spread(values: list[float]) -> Mapping[str, float]:
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


async def _measure(address: str) -> tuple[list[float], list[float]]:
    connector = aiohttp.TCPConnector(limit=50)
    async with aiohttp.ClientSession(address, connector=connector) as session:
        reposts = [await _repost(session) for _ in range(50)]
        rates = [await _burst(session, base) for base in range(0, 5 * JOBS, JOBS)]
    return reposts, rates


async def _post(session: aiohttp.ClientSession, workflow: Any) -> str:
    async with session.post("/prompt", json={"prompt": workflow, "client_id": "bench"}) as answer:
        return str((await answer.json())["prompt_id"])


async def _repost(session: aiohttp.ClientSession) -> float:
    began = time.perf_counter()
    job = await _post(session, text_to_image())
    while True:
        async with session.get(f"/history/{job}") as answer:
            if await answer.json():
                return (time.perf_counter() - began) * 1000


async def _burst(session: aiohttp.ClientSession, base: int) -> float:
    async with session.ws_connect("/ws?clientId=bench") as socket:
        began = time.perf_counter()
        posts = [asyncio.ensure_future(_post(session, number_workflow(base + index))) for index in range(JOBS)]
        ended = 0
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                told = json.loads(message.data)
                ended += told["type"] == "executing" and told["data"]["node"] is None
            if ended == JOBS:
                break
        seconds = time.perf_counter() - began
        await asyncio.gather(*posts)
    return JOBS / seconds


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
