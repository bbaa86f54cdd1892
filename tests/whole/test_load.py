"""Kill -9 in the middle of heavy load, with a long history: what was accepted ends exactly once, files are true."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import Load, fill_history, run_load
from tests.served import Client, picture_workflow, start_server, stop_server

HISTORY, SOCKETS, SUBMITTERS, JOBS = 9_000, 100, 50, 200
PATIENCE = 240.0


def small(number: int) -> dict[str, Any]:
    """Each job draws a picture of its own."""
    return picture_workflow(seed=number + 1, size=16, prefix="load")


async def _load_and_kill(client: Client) -> Load:
    """Kill the server when some jobs have ended and many have not."""
    over = asyncio.Event()
    running = asyncio.create_task(
        run_load(client.address, seconds=PATIENCE, sockets=SOCKETS, submitters=SUBMITTERS, workflow=small, until=over))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        await asyncio.sleep(0.2)
        listed = await asyncio.to_thread(client.get, "/api/jobs?state=succeeded&limit=0")
        if listed["total"] >= HISTORY + JOBS:
            break
    over.set()
    os.kill(client.process.pid, signal.SIGKILL)
    return await running


@pytest.mark.full
def test_kill_9_in_the_middle_of_a_load_leaves_every_accepted_job_with_one_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill_history(data, HISTORY)
    client = start_server(data, "--cpu")
    load = asyncio.run(_load_and_kill(client))
    client.process.wait()
    assert client.process.stdout is not None
    client.process.stdout.close()
    assert not load.errors and len(load.accepted) >= JOBS

    client = start_server(data, "--cpu")
    try:
        end = time.monotonic() + PATIENCE
        while client.get("/prompt")["exec_info"]["queue_remaining"] and time.monotonic() < end:
            time.sleep(0.2)
        shown: list[str] = []
        for offset in range(0, len(load.accepted) + SUBMITTERS + 500, 500):
            for job in client.get(f"/api/jobs?limit=500&offset={offset}")["jobs"]:
                shown += [each["filename"] for each in job["outputs"] if "filename" in each]
    finally:
        stop_server(client)

    with closing(sqlite3.connect(data / "jobs.db")) as database:
        states = dict(database.execute("SELECT id, state FROM jobs WHERE id NOT LIKE 'old-%'").fetchall())
    assert set(load.accepted) <= set(states), "no accepted job is lost"
    assert set(states.values()) == {"succeeded"}, "each has one end, and nothing kept it from a good one"
    on_disk = {path.name for path in (data / "output").iterdir()}
    assert len(shown) == len(set(shown)) == len(states)
    assert set(shown) == on_disk, "every output that is listed exists, and there is no other file"
    assert not list((data / "attempts").iterdir())
