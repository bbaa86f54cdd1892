"""The server over the real queue and a worker process: what clients of the protocol rely on, end to end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from engine.files.folders import make_folders
from engine.jobs.dispatcher import Dispatcher
from engine.jobs.store import open_store
from tests.web.support import CHAIN
from tests.web.test_socket import Client, short
from web.access import Access
from web.app import make_app, start
from web.state import WebConfig

WORKER = [sys.executable, str(Path(__file__).with_name("small_worker.py"))]


@contextlib.asynccontextmanager
async def whole(
    tmp_path: Path, access: Access | None = None, **config: Any
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    store = open_store(tmp_path)
    dispatcher = Dispatcher(store, worker_command=WORKER, data_directory=tmp_path)
    await dispatcher.start()
    folders = make_folders(data=tmp_path, models=tmp_path / "models")
    app = make_app(
        WebConfig(port=0, **config), dispatcher, folders, tmp_path / "specs", root=tmp_path, access=access)
    runner, urls = await start(app)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            yield urls[0], http
    finally:
        await runner.cleanup()
        await dispatcher.stop()
        store.close()


async def test_a_posted_chain_runs_and_tells_its_seventeen_messages(tmp_path: Path) -> None:
    """protocol.md §2 and §4, on the first request after the start: it waits for the worker."""
    async with whole(tmp_path) as (url, http), http.ws_connect(url + "/ws?clientId=me") as ws:
        client = Client(ws)
        assert short(await client.next()) == "status 0"
        async with http.post(url + "/prompt", json={"prompt": CHAIN, "client_id": "me"}) as answer:
            job = (await answer.json())["prompt_id"]
        heard = [short(each) for each in await client.until("executing None")]
        statuses = [n for n, each in enumerate(heard) if each.startswith("status")]
        assert [each for each in heard if not each.startswith("status")] == [
            "execution_start", "execution_cached",
            "progress_state 1 running", "executing 1", "progress_state 1 finished",
            "progress_state 2 running", "executing 2", "progress_state 2 finished",
            "progress_state 3 running", "executing 3", "executed 3", "progress_state 3 finished",
            "execution_success", "executing None",
        ]
        assert len(heard) == 17 and [heard[n] for n in statuses] == ["status 1", "status 1", "status 0"]
        assert statuses[0] == 0 and statuses[2] == 15, "execution_success, status, executing null"
        async with http.get(f"{url}/history/{job}") as answer:
            entry = (await answer.json())[job]
        assert entry["outputs"] == {"3": {"text": ["3"]}} and entry["status"]["status_str"] == "success"
        assert entry["prompt"][1:3] == [job, CHAIN]


async def test_two_hundred_jobs_posted_at_once_all_end_once(tmp_path: Path) -> None:
    body = msgspec.json.encode({"prompt": CHAIN})
    async with whole(tmp_path) as (url, http):
        async with http.get(url + "/object_info") as answer:  # the worker is ready
            assert answer.status == 200

        async def post() -> str:
            async with http.post(url + "/prompt", data=body) as answer:
                assert answer.status == 200
                return str((await answer.json())["prompt_id"])

        begin = time.perf_counter()
        posted = await asyncio.gather(*(post() for _ in range(200)))
        while True:
            async with http.get(url + "/prompt") as answer:
                if (await answer.json())["exec_info"]["queue_remaining"] == 0:
                    break
            await asyncio.sleep(0.005)
        seconds = time.perf_counter() - begin
        print(f"{200 / seconds:.0f} jobs/s")
        async with http.get(url + "/history") as answer:
            history = await answer.json()
        assert history.keys() == set(posted) and len(posted) == 200
        assert all(each["outputs"]["3"] == {"text": ["3"]} for each in history.values())
        assert seconds < 60, "see benchmarks for the speed; this only says that nothing hangs"
