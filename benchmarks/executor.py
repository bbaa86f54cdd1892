"""What a node costs: ``python -m benchmarks.executor [--svg FILE] [--sizes 100,900,10000] [--repeat 5]``.

Chains, fan-ins and layered graphs of trivial nodes (a pack's: ``benchmarks/packs``) are posted to a real server; the
time goes from sending the body, which is ready, to the message that the job has ended; the client announces its
features, so that it is told at once (web/socket.py). For each graph:

first      nothing is known of it
cached     posted again, unchanged
tail       posted again with another last node
messages   bytes that came over the WebSocket during the first run
grown      how much more memory server and worker hold after all runs of this size than before the first

Medians of several runs, each with fresh numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from engine.training.plot import Axis, Line, plot_lines
from tests.served import Client, start_server, stop_server

ROOT = Path(__file__).resolve().parent
SIZES = (100, 300, 900, 3_000, 10_000)
LAYERS = 50
Workflow = dict[str, Any]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node in the API form."""
    return {"class_type": kind, "inputs": inputs}


def chain(size: int, seed: int, tail: int) -> Workflow:
    """Each node adds to the one before."""
    nodes = {"1": node("TrivialNumber", value=seed)}
    for index in range(2, size):
        nodes[str(index)] = node("TrivialAdd", a=[str(index - 1), 0], b=index if index < size - 1 else index + tail)
    return {**nodes, str(size): node("TrivialShow", value=[str(size - 1), 0])}


def fan_in(size: int, seed: int, tail: int) -> Workflow:
    """One node reads all others."""
    nodes = {str(index): node("TrivialNumber", value=seed + index) for index in range(1, size - 1)}
    nodes[str(size - 2)]["inputs"]["value"] += tail
    nodes[str(size - 1)] = node("TrivialSum", **{f"value{index}": [str(index), 0] for index in range(1, size - 1)})
    return {**nodes, str(size): node("TrivialShow", value=[str(size - 1), 0])}


def layered(size: int, seed: int, tail: int) -> Workflow:
    """Layers of equal width; each node adds two of the layer above; one node reads the last layer."""
    width = max(1, (size - 2) // LAYERS)
    nodes: Workflow = {}
    for index in range(size - 2):
        column, row = index % width, index // width
        if row == 0:
            nodes[str(index)] = node("TrivialNumber", value=seed + index)
        else:
            above = (row - 1) * width
            links = {"a": [str(above + column), 0], "b": [str(above + (column + 1) % width), 0]}
            nodes[str(index)] = node("TrivialAdd", **links)
    last = {f"value{index}": [str(index), 0] for index in range(size - 2 - width, size - 2)}
    nodes[str(size - 2)] = node("TrivialSum", **last)
    nodes[str(size - 1)] = node("TrivialNumber", value=tail)
    nodes["sum"] = node("TrivialAdd", a=[str(size - 2), 0], b=[str(size - 1), 0])
    return {**nodes, "show": node("TrivialShow", value=["sum", 0])}


SHAPES: Mapping[str, Callable[[int, int, int], Workflow]] = {"chain": chain, "fan-in": fan_in, "layered": layered}


class Session:
    """One client of a server, which counts what it is told and reads none of it."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session, self._socket = session, socket

    async def run(self, body: bytes) -> tuple[float, int]:
        """Post a body and wait for the end of its job: seconds, and bytes of messages."""
        began, told = time.perf_counter(), 0
        post = asyncio.ensure_future(self._post(body))
        while True:
            message = await self._socket.receive()
            told += len(message.data)
            if b'"executing"' in message.data[:40].encode() and '"node":null' in message.data:
                break
        seconds = time.perf_counter() - began
        await post
        return seconds, told

    async def _post(self, body: bytes) -> None:
        async with self._session.post("/prompt", data=body) as answer:
            if answer.status != 200:
                raise RuntimeError((await answer.text())[:2000])
            await answer.read()


def body(workflow: Workflow) -> bytes:
    """A POST body, made before any time is taken."""
    return json.dumps({"prompt": workflow, "client_id": "bench"}).encode()


async def measure(client: Client, sizes: Sequence[int], repeat: int) -> list[dict[str, Any]]:
    """The figures of each shape and size."""
    rows: list[dict[str, Any]] = []
    async with aiohttp.ClientSession(client.address) as session, session.ws_connect(
        "/ws?clientId=bench", max_msg_size=0
    ) as socket:
        await socket.send_json({"type": "feature_flags", "data": {}})  # it listens already, as editors do
        bench = Session(session, socket)
        seed = 0
        for shape, make in SHAPES.items():
            for size in sizes:
                times: dict[str, list[float]] = {"first": [], "cached": [], "tail": []}
                messages: list[int] = []
                before = memory(client)
                for _ in range(repeat):
                    seed += 100_000
                    first, tail = body(make(size, seed, 0)), body(make(size, seed, 1))
                    for name, each in (("first", first), ("cached", first), ("tail", tail)):
                        seconds, told = await bench.run(each)
                        times[name].append(seconds)
                        if name == "first":
                            messages.append(told)
                row = {"shape": shape, "nodes": size, **{name: statistics.median(each) for name, each in times.items()}}
                row |= {"messages": statistics.median(messages), "grown": memory(client) - before}
                rows.append(row)
                print(line(row), flush=True)
    return rows


def memory(client: Client) -> int:
    """Bytes of memory that are resident for the server and its workers."""
    server = psutil.Process(client.process.pid)
    return sum(int(each.memory_info().rss) for each in (server, *server.children(recursive=True)))


HEAD = "| graph | nodes | first, s | cached, s | tail, s | messages, MB | grown, MB |\n|---|---|---|---|---|---|---|"


def line(row: Mapping[str, Any]) -> str:
    """A row of the table."""
    return (
        f"| {row['shape']} | {row['nodes']:,} | {row['first']:.3f} | {row['cached']:.3f} | {row['tail']:.3f} | "
        f"{row['messages'] / 1e6:.2f} | {row['grown'] / 1e6:.0f} |"
    )


def plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """An SVG of seconds over nodes, both logarithmic; a straight line of slope 1 is a linear cost."""
    lines = [
        Line(f"{shape} {kind}", [(row["nodes"], row[kind]) for row in rows if row["shape"] == shape])
        for shape in SHAPES for kind in ("first", "cached", "tail")
    ]  # fmt: skip
    return plot_lines(lines, Axis("nodes", log=True), Axis("seconds", log=True))


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.executor")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args(words)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n\n{HEAD}")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "packs.yaml"
        config.write_text(f"bench:\n  custom_nodes: {ROOT / 'packs'}\n")
        client = start_server(Path(folder) / "data", "--extra-model-paths-config", str(config))
        try:
            client.get("/object_info")
            rows = asyncio.run(measure(client, [int(each) for each in options.sizes.split(",")], options.repeat))
        finally:
            stop_server(client)
    if options.svg:
        options.svg.write_text(plot(rows))


if __name__ == "__main__":
    main()
