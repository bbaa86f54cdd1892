"""The server under load: ``python -m benchmarks.load [SECONDS [JOBS_PER_SECOND]]``.

100 WebSocket clients listen and 50 submitters post a trivial graph of three nodes, each its next one when its last
has ended, for 60 seconds, to a server that has 10,000 jobs of history. That is as much as it can take; with a number
of jobs per second the submitters post so many together, if the server can take them. Printed are, as JSON: jobs that
ended, errors, the times of POST /prompt in milliseconds (median, 99th percentile, largest), the server process's
resident memory in MiB (at the start, after each sixth of the time, and the most), the CPU time that server, worker
and this program took for each job, the cores they kept busy and those that other programs did: where all together
want more than there are, the times are those of waiting for one.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from engine.jobs.history import history_json
from engine.jobs.job import Job, Record
from engine.jobs.store import open_store
from engine.messages.events import Cached, NodeReport, Started, Succeeded
from tests.served import number_workflow, start_server, stop_server

SOCKETS, SUBMITTERS, SECONDS, HISTORY = 100, 50, 60.0, 10_000
PATIENCE = 60.0


@dataclass
class Load:
    """What happened. ``accepted`` are the ids whose POST was answered with 200; times are seconds."""

    accepted: list[str] = field(default_factory=list)
    ended: int = 0
    errors: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


async def run_load(
    address: str, *, seconds: float, sockets: int = SOCKETS, submitters: int = SUBMITTERS,
    workflow: Callable[[int], Any] = number_workflow, until: asyncio.Event | None = None, rate: float | None = None,
) -> Load:
    """Load a server, for some seconds or until an event; connections that break then are no errors.

    rate: jobs a second of all submitters together; without one each posts when its last job has ended.
    """
    every = submitters / rate if rate else 0.0
    load, over, numbers = Load(), until or asyncio.Event(), iter(range(2**31))
    connector = aiohttp.TCPConnector(limit=0)
    patience = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(address, connector=connector, timeout=patience) as http:
        listeners = [
            asyncio.create_task(_listen(http, f"listener-{n}", load, over)) for n in range(sockets - submitters)]
        posters = [
            asyncio.create_task(_submit(http, n, load, over, workflow, numbers, every)) for n in range(submitters)]
        try:
            async with asyncio.timeout(seconds):
                await over.wait()
        except TimeoutError:
            over.set()
        await asyncio.gather(*posters)
        for each in listeners:
            each.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    return load


async def _listen(http: aiohttp.ClientSession, name: str, load: Load, over: asyncio.Event) -> None:
    try:
        async with http.ws_connect(f"/ws?clientId={name}") as socket:
            async for _ in socket:
                pass
    except (aiohttp.ClientError, OSError) as error:
        if not over.is_set():
            load.errors.append(f"{name}: {error!r}")


async def _submit(
    http: aiohttp.ClientSession, number: int, load: Load, over: asyncio.Event, workflow: Callable[[int], Any],
    numbers: Any, every: float,
) -> None:
    """Post, wait for the end and until ``every`` seconds have gone by, post the next."""
    name = f"submitter-{number}"
    try:
        async with http.ws_connect(f"/ws?clientId={name}") as socket:
            due = time.perf_counter() + (every or 1.0) * number / SUBMITTERS  # nobody starts them all at once
            while not over.is_set():
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due = max(due + every, time.perf_counter())
                body = msgspec.json.encode({"prompt": workflow(next(numbers)), "client_id": name})
                began = time.perf_counter()
                async with http.post("/prompt", data=body) as answer:
                    told = await answer.json()
                load.times.append(time.perf_counter() - began)
                if answer.status != 200:
                    load.errors.append(f"{name}: {answer.status} {told}")
                    continue
                load.accepted.append(told["prompt_id"])
                await _ended(socket, told["prompt_id"])
                load.ended += 1
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        if not over.is_set():
            load.errors.append(f"{name}: {error!r}")


async def _ended(socket: aiohttp.ClientWebSocketResponse, job: str) -> None:
    while True:
        message = await socket.receive(timeout=PATIENCE)
        if message.type is aiohttp.WSMsgType.TEXT and '"executing"' in message.data:
            data = json.loads(message.data)["data"]
            if data["node"] is None and data["prompt_id"] == job:
                return
        elif message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise ConnectionError(f"the socket ended: {message.type.name}")


def fill_history(data: Path, count: int = HISTORY) -> None:
    """Put ended jobs into a data directory that no server uses."""
    async def fill() -> None:
        store = open_store(data)
        for first in range(0, count, 500):
            jobs = [_old_job(number) for number in range(first + 1, min(first + 500, count) + 1)]
            await asyncio.gather(*(store.add(job, b"\x80") for job, _ in jobs))
            for job, record in jobs:
                done = msgspec.structs.replace(job, state="succeeded", started=job.created, ended=job.created + 1)
                await store.end(done, msgspec.msgpack.encode(record), history_json(done, record))
        store.close()

    asyncio.run(fill())


def _old_job(number: int) -> tuple[Job, Record]:
    created = 1.7e9 + number
    job = Job(
        id=f"old-{number}", number=float(number), sequence=number, created=created, client_id="old",
        prompt=msgspec.json.encode(number_workflow(number)), extra=b"{}", targets=("3",))
    reports = tuple(NodeReport(each, each, "PreviewAny", "ran", "it was not known", 0.001) for each in "123")
    ending = Succeeded(time=created + 1, outputs={"3": {"text": [str(number)]}}, reports=reports)
    return job, Record((Started(time=created), Cached(nodes=(), time=created)), ending)


async def _watch(pid: int, seen: list[float]) -> None:
    import psutil

    process = psutil.Process(pid)
    while True:
        seen.append(process.memory_info().rss / 2**20)
        await asyncio.sleep(0.5)


def _busy(times: Any) -> float:
    """Seconds of CPU that all programs together have taken."""
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


async def _measure(address: str, pid: int, seconds: float, rate: float | None = None) -> dict[str, Any]:
    import psutil

    memory: list[float] = []
    server = psutil.Process(pid)
    programs = {"server": server, "worker": server.children()[0], "clients": psutil.Process()}
    busy = psutil.cpu_times()
    before = {name: sum(each.cpu_times()[:2]) for name, each in programs.items()}
    watching = asyncio.create_task(_watch(pid, memory))
    load = await run_load(address, seconds=seconds, rate=rate)
    watching.cancel()
    spent = {name: sum(each.cpu_times()[:2]) - before[name] for name, each in programs.items()}
    others = _busy(psutil.cpu_times()) - _busy(busy) - sum(spent.values())
    times = sorted(1000 * each for each in load.times)
    sixth = max(1, len(memory) // 6)
    return {
        "jobs ended": load.ended, "jobs/s": round(load.ended / seconds, 1), "errors": load.errors[:5],
        "POST /prompt, ms": {"median": round(statistics.median(times), 1),
                             "p99": round(times[int(0.99 * (len(times) - 1))], 1), "most": round(times[-1], 1)},
        "server, MiB": {"start": round(memory[0]), "course": [round(each) for each in memory[sixth::sixth]],
                        "most": round(max(memory))},
        "CPU, ms a job": {name: round(1000 * each / max(1, load.ended), 2) for name, each in spent.items()},
        "cores": {"there are": os.cpu_count(), "these use": round(sum(spent.values()) / seconds, 2),
                  "others use": round(max(0.0, others) / seconds, 2)},
        "load average": [round(each, 1) for each in os.getloadavg()],
    }


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        fill_history(data)
        client = start_server(data, "--cpu")
        try:
            client.wait(client.post(number_workflow(0)))
            print(json.dumps(asyncio.run(_measure(client.address, client.process.pid, seconds, rate)), indent=2))
        finally:
            stop_server(client)


if __name__ == "__main__":
    main()
