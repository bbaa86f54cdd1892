"""Lanes: named groups of threads that carry work out in order; and a loop for functions to be awaited.

A device is owned by one thread, the ``device`` lane's; the work of other lanes overlaps with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from queue import SimpleQueue
from typing import Any

Work = Callable[[], None]


class Lanes:
    """The lanes of a worker. ``submit`` returns at once; the work itself says how it went."""

    def __init__(self, threads: Mapping[str, int]) -> None:
        self.capacity = dict(threads)
        self._queues: dict[str, SimpleQueue[Work | None]] = {name: SimpleQueue() for name in threads}
        self._threads = [
            threading.Thread(target=self._serve, args=(self._queues[name],), name=f"lane-{name}", daemon=True)
            for name, count in threads.items() for _ in range(count)
        ]
        self._loop: asyncio.AbstractEventLoop | None = None
        for thread in self._threads:
            thread.start()

    def submit(self, lane: str, work: Work) -> None:
        """Have work done on one of a lane's threads, after what is waiting there."""
        self._queues[lane].put(work)

    def run_async(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Have a coroutine awaited; any number of them run side by side."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            thread = threading.Thread(target=self._loop.run_forever, name="lane-async", daemon=True)
            thread.start()
            self._threads.append(thread)
        asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def close(self) -> None:
        """End the threads when what is waiting is done."""
        for name, queue in self._queues.items():
            for _ in range(self.capacity[name]):
                queue.put(None)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(timeout=5)

    @staticmethod
    def _serve(queue: SimpleQueue[Work | None]) -> None:
        while (work := queue.get()) is not None:
            work()
