"""Lanes: named groups of threads that carry work out in order; and a loop for functions to be awaited.

A device is owned by one thread at a time, of the ``device`` lane; the work of other lanes overlaps with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from queue import SimpleQueue
from typing import Any

Work = Callable[[], "Work | None"]
"""What a thread does; it gives what the same thread is to do next."""


class Lanes:
    """The lanes of a worker. ``submit`` returns at once; the work itself says how it went.

    capacity: how much of one job runs at once on each. jobs: how many jobs run at once; each has a thread of its own
    for the device, and they take turns there (``engine.runtime.batcher``).
    """

    def __init__(self, capacity: Mapping[str, int], jobs: int = 1) -> None:
        self.capacity = dict(capacity)
        self._most = {lane: count * jobs if lane == "device" else count for lane, count in capacity.items()}
        self._free = dict.fromkeys(capacity, 0)  # threads that nothing was given to
        self._queues: dict[str, SimpleQueue[Work | None]] = {name: SimpleQueue() for name in capacity}
        self._threads: list[threading.Thread] = []
        self._started = dict.fromkeys(capacity, 0)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def submit(self, lane: str, work: Work) -> None:
        """Have work done on one of a lane's threads, after what is waiting there. Threads are started as needed."""
        with self._lock:
            self._free[lane] -= 1
            if self._free[lane] < 0 and self._started[lane] < self._most[lane]:
                self._free[lane] += 1
                self._started[lane] += 1
                thread = threading.Thread(target=self._serve, args=(lane,), name=f"lane-{lane}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._queues[lane].put(work)

    def waiting(self, lane: str) -> bool:
        """Whether something waits for one of a lane's threads."""
        return not self._queues[lane].empty()

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
            for _ in range(self._started[name]):
                queue.put(None)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(timeout=5)

    def _serve(self, lane: str) -> None:
        queue = self._queues[lane]
        while (work := queue.get()) is not None:
            while work is not None:
                work = work()
            with self._lock:
                self._free[lane] += 1
