"""``kill -9`` of server and worker at random moments: each job ends exactly once, none is lost, no file is orphaned."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.served import picture_workflow, start_server, stop_server, worker_pids

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


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
