"""``kill -9`` of server and worker at random moments: each job ends exactly once, none is lost, no file is orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

import msgspec
import pytest

from engine.graph.graph import resolve
from engine.graph.registry import scan
from engine.graph.workflow import read_api
from engine.jobs.job import Job
from engine.jobs.store import open_store
from tests.runtime.toolbox import NoFiles
from tests.served import number_workflow, picture_workflow, start_server, stop_server, worker_pids

JOBS = 200


@pytest.mark.parametrize("seed", [20261121])
def test_every_job_ends_exactly_once_whatever_is_killed(tmp_path: Path, seed: int) -> None:
    source = random.Random(seed)
    data = tmp_path / "data"
    client = start_server(data)
    accepted: list[str] = []
    for index in range(JOBS):
        job = f"job-{index:03}"
        client.post(picture_workflow(seed=index + 1, size=64), prompt_id=job)
        accepted.append(job)
        if index in (0, JOBS // 4):  # kill the worker while it runs and while jobs still come in
            _kill(worker_pids(client))
    for moment in range(6):
        time.sleep(source.uniform(0.05, 1.2))
        if moment % 2:
            _kill([client.process.pid])
            client.process.wait()
            if client.process.stdout is not None:
                client.process.stdout.close()
            client = start_server(data)
        else:
            _kill(worker_pids(client))
    try:
        entries = {job: client.wait(job, 90) for job in accepted}
    finally:
        stop_server(client)

    states = dict(sqlite3.connect(data / "jobs.db").execute("SELECT id, state FROM jobs").fetchall())
    assert set(states) == set(accepted)
    assert set(states.values()) <= {"succeeded", "failed"}, "each has one end"
    shown = [
        image["filename"] for entry in entries.values() for image in entry["outputs"].get("3", {}).get("images", [])
    ]
    succeeded = [job for job, state in states.items() if state == "succeeded"]
    assert len(shown) == len(succeeded) == len(set(shown)), "each success has a file of its own"
    assert len(succeeded) >= JOBS - 4, "only a job that was running at two deaths may fail"
    for job, state in states.items():
        if state == "failed":
            text = json.dumps(entries[job]["status"]["messages"])
            assert "worker" in text, "and says so"
    on_disk = {path.name for path in (data / "output").iterdir()}
    assert on_disk == set(shown), "no orphan, no .part, nothing missing"
    assert not list((data / "attempts").iterdir())


async def _fill(data: Path, names: Sequence[str]) -> None:
    """Put jobs into the queue of a server that does not run, as the server does, and have it begin nothing yet."""
    workflow = read_api(number_workflow(1))
    graph = msgspec.msgpack.encode(resolve(workflow, scan().specs, NoFiles()).graph)
    store = open_store(data)
    prompt = msgspec.json.encode(number_workflow(1))
    await asyncio.gather(store.switch("paused", "yes"), *(
        store.add(Job(id=name, number=float(number), sequence=number, created=0.0, prompt=prompt, extra=b"{}",
                      targets=("3",)), graph)
        for number, name in enumerate(names, start=1)
    ))  # fmt: skip
    store.close()


@pytest.mark.full
def test_ten_thousand_jobs_wait_and_a_server_that_is_killed_while_more_come_loses_none(tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = [f"job-{number:05}" for number in range(10_000)]
    asyncio.run(_fill(data, names[:9_800]))
    client = start_server(data)
    client.get("/object_info")  # posts are taken as soon as the nodes are known
    accepted = names[:9_800]

    def kill() -> None:
        _kill([client.process.pid])

    for name in names[9_800:]:  # until nobody answers: that one may be on disk or not
        if name == names[9_820]:  # by count, for machines differ in how many they take in a second
            threading.Timer(0.002, kill).start()
        try:
            client.post(number_workflow(1), prompt_id=name)
        except (OSError, HTTPException):
            break
        accepted.append(name)
    client.process.wait()
    assert client.process.stdout is not None
    client.process.stdout.close()
    assert 9_800 < len(accepted) < 10_000, "it was killed while it took jobs"
    client = start_server(data)
    try:
        found = [each[1] for each in client.get("/queue")["queue_pending"]]
        assert found[:len(accepted)] == accepted and len(found) <= len(accepted) + 1
        for name in names[len(found):]:
            client.post(number_workflow(1), prompt_id=name)
        assert [each[1] for each in client.get("/queue")["queue_pending"]] == names
        assert client.get("/prompt")["exec_info"]["queue_remaining"] == 10_000
        kept = names[::500]
        assert client.send("/queue", {"delete": sorted(set(names) - set(kept))})[0] == 200
        assert client.send("/api/queue/resume", {})[0] == 200
        assert [client.wait(name)["outputs"] for name in kept] == [{"3": {"text": ["1"]}}] * len(kept)
    finally:
        stop_server(client)
    states = dict(sqlite3.connect(data / "jobs.db").execute("SELECT id, state FROM jobs").fetchall())
    assert {name for name, state in states.items() if state == "succeeded"} == set(kept)
    assert not [name for name, state in states.items() if state in ("queued", "running", "failed")]


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
