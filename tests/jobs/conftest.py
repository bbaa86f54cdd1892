"""A store, a dispatcher with fake workers, and what was told about them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from engine.jobs.dispatcher import Dispatcher
from engine.jobs.job import NewJob
from engine.jobs.store import open_store

PATIENCE = 25.0  # seconds; only a defect waits so long
ROOT = Path(__file__).parents[2]


def new_job(job_id: str, todo: dict | None = None, **more) -> NewJob:
    prompt = json.dumps({"2": {"class_type": "B", "inputs": {}}}).encode()
    return NewJob(id=job_id, prompt=prompt, extra=b'{"extra_pnginfo": {}}', targets=("2",),
                  graph=msgspec.msgpack.encode(todo or {}), **more)


def worker_command(output: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.jobs.fake_worker", "--output", str(output), *more]


class Heard(list):
    """What a dispatcher told: (job id, name of the event, the event); can be waited for."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()

    def __call__(self, job, event) -> None:
        self.append((job.id if job else None, type(event).__name__, event))
        self.woken.set()

    def names(self, job_id: str) -> list[str]:
        return [name for each, name, _ in self if each == job_id]

    async def until(self, ready: Callable[[], object]) -> None:
        async def wait() -> None:
            while not ready():
                self.woken.clear()
                await self.woken.wait()
        await asyncio.wait_for(wait(), PATIENCE)

    async def told(self, job_id: str, name: str, times: int = 1) -> None:
        await self.until(lambda: self.names(job_id).count(name) >= times)

    async def ended(self, *ids: str) -> None:
        for each in ids:
            await self.told(each, "JobEnded")


@pytest.fixture(autouse=True)
def _from_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def desk(tmp_path):
    """Opens a dispatcher over a data directory: ``async with desk() as d``, again and again."""
    output = tmp_path / "output"
    output.mkdir()

    @asynccontextmanager
    async def open_desk(*flags: str, command=None, **more):
        store = open_store(tmp_path / "data")
        dispatcher = Dispatcher(
            store, worker_command=command or worker_command(output, *flags), data_directory=tmp_path / "data",
            artefact_roots=[output], **more)
        heard = Heard()
        dispatcher.subscribe(heard)
        pids: set[int] = set()
        dispatcher.on_ready(lambda ready: pids.update(dispatcher.worker_pids()))
        try:
            await dispatcher.start()
            yield SimpleNamespace(queue=dispatcher, heard=heard, store=store, output=output, data=tmp_path / "data",
                                  release=tmp_path / "release", pids=pids)
        finally:
            await asyncio.wait_for(dispatcher.stop(), PATIENCE)
            store.close()
            assert not [pid for pid in pids if _alive(pid)], "a worker was left behind"

    return open_desk


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
