"""A server that is only a queue: posts the jobs it is told to, runs what there is, and ends when nothing is left.

    python -m tests.jobs.server_process DATA OUTPUT COUNT

prints ``accepted ID`` when a job is on disk (or was already) and ``ended ID STATE``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import msgspec

from engine.jobs.dispatcher import Dispatcher
from engine.jobs.job import DuplicateJob, JobEnded, NewJob
from engine.jobs.store import open_store


async def main(data: Path, output: Path, count: int) -> None:
    store = open_store(data)
    command = [sys.executable, "-m", "tests.jobs.fake_worker", "--output", str(output)]
    queue = Dispatcher(store, worker_command=command, data_directory=data, artefact_roots=[output])
    empty = asyncio.Event()

    def listen(job, event) -> None:
        if isinstance(event, JobEnded):
            print("ended", job.id, job.state, flush=True)
            if queue.remaining() == 0:
                empty.set()

    queue.subscribe(listen)
    await queue.start()

    async def post(number: int) -> None:
        graph = {"files": [f"{number}-a.png", f"{number}-b.png"], "parts": 0.004}
        with contextlib.suppress(DuplicateJob):
            await queue.submit(NewJob(id=str(number), prompt=b"{}", extra=b"{}", graph=msgspec.msgpack.encode(graph)))
        print("accepted", number, flush=True)

    await asyncio.gather(*map(post, range(count)))
    if queue.remaining():
        await empty.wait()
    await queue.stop()
    store.close()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
