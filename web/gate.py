"""Connections that say nothing: they are ended, so that they hold no place (slowloris).

aiohttp ends a connection without a request after the keep-alive time (75 s) and lets in any number of them; a head
that has not come after 15 s is not coming.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

log = logging.getLogger(__name__)

HEAD_SECONDS = 15.0  # for the head of a connection's first request
MAX_CONNECTIONS = 2_000  # beyond them the oldest that are not at work are ended
SWEEP_SECONDS = 0.5


class Gate:
    """Looks at the connections of a server now and then, and calls ``also`` each time."""

    def __init__(self, also: Callable[[], None] = lambda: None) -> None:
        self._also = also
        self._seen: dict[Any, float] = {}  # connection → when it was first seen
        self._runner: web.AppRunner | None = None
        self._next: asyncio.TimerHandle | None = None

    def watch(self, runner: web.AppRunner) -> None:
        """Begin; call it in the event loop."""
        self._runner = runner
        self._later()

    def close(self) -> None:
        """End."""
        if self._next is not None:
            self._next.cancel()

    def _later(self) -> None:
        self._next = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._later()
        self._also()
        server = self._runner.server if self._runner is not None else None
        if server is None:
            return
        now = asyncio.get_running_loop().time()
        self._seen = {each: self._seen.get(each, now) for each in server.connections}
        idle = []
        for connection, since in self._seen.items():
            if getattr(connection, "_current_request", None) is not None:
                continue
            idle.append(connection)
            if getattr(connection, "_request_count", 1) == 0 and now - since > HEAD_SECONDS:
                _end(connection)
        surplus = len(self._seen) - MAX_CONNECTIONS
        if surplus > 0:
            log.warning("%d connections are open; the oldest idle ones are ended", len(self._seen))
            for connection in sorted(idle, key=lambda each: self._seen[each])[:surplus]:
                _end(connection)


def _end(connection: Any) -> None:
    transport = connection.transport
    if transport is not None:
        transport.abort()


GATE: web.AppKey[Gate] = web.AppKey("gate", Gate)
