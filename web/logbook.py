"""The last lines that the server and its workers logged, and the clients that follow them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import UTC, datetime
from typing import Any

from web.socket import Hub
from web.translate import Message, text_message

LINES = 300
LINE = 4_000  # characters
FLUSH_SECONDS = 0.1
SIZE = {"cols": 120, "rows": 40}  # of a terminal; clients want to know one


class LogBook(logging.Handler):
    """Hears the root logger while it is open. Lines reach their followers in batches, on the event loop."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(logging.INFO)
        self.followers: set[str] = set()
        self._lines: deque[dict[str, str]] = deque(maxlen=LINES)
        self._waiting: deque[dict[str, str]] = deque(maxlen=LINES)
        self._hub = hub
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = False

    def open(self) -> None:
        """Begin to listen. Call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        logging.getLogger().addHandler(self)

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger().removeHandler(self)
        self._loop = None
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, from any thread."""
        line = {"t": datetime.fromtimestamp(record.created, UTC).isoformat(), "m": f"{record.getMessage()[:LINE]}\n"}
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(self._take, line)
        except RuntimeError:  # the loop closed just now
            return

    def entries(self) -> list[dict[str, str]]:
        """What was logged, oldest first: ``t`` is the time, ``m`` the line."""
        return list(self._lines)

    def follow(self, place: str) -> None:
        """Have the connection at a place told each line. Places that nobody is at any more are forgotten."""
        connected = self._hub.connections.keys()
        self.followers = {each for each in (*self.followers, place) if each in connected}

    def _take(self, line: dict[str, str]) -> None:
        self._lines.append(line)
        if not self.followers:
            return
        self._waiting.append(line)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._due = False
        data: dict[str, Any] = {"entries": list(self._waiting), "size": None}
        self._waiting.clear()
        message = Message(text_message("logs", data))
        found = self._hub.connections
        # Its client may have come back with another role.
        self.followers = {each for each in self.followers if each in found and found[each].identity.may("admin")}
        for client in self.followers:
            found[client].send(message)
