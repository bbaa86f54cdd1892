"""What a worker sends to the server: frames in order, progress and previews only ever the newest.

An event of a job waits for a moment, since more follow it in most cases, and goes with them; the ending of a job and
all other messages go at once, with what waits. Whoever says such a message also sends it, if the socket takes it; only
what has to wait is left to a thread.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from typing import Any

from engine.messages.events import End, Event, NodeProgress, Preview
from engine.messages.protocol import JobEvent, encode

GATHER = 0.002  # seconds that an event waits for others


class Outbox:
    """Frames on their way to the server. Used by all threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: deque[bytes | tuple[Any, ...]] = deque()
        self._newest: dict[tuple[Any, ...], bytes] = {}
        self._changed = threading.Condition(threading.Lock())
        self._due = False  # the thread is to send what waits
        self._sending = False  # it does, outside of the lock
        self._closed = False
        self._thread = threading.Thread(target=self._send, name="writer", daemon=True)
        self._thread.start()

    def put(self, message: Any, key: tuple[Any, ...] | None = None, *, patient: bool = False) -> None:
        """Send a message. With a key, it takes the place of an unsent one with the same key; ``patient``: soon."""
        frame = encode(message)
        with self._changed:
            if key is None:
                self._waiting.append(frame)
            else:
                if key not in self._newest:
                    self._waiting.append(key)
                self._newest[key] = frame
            if not self._sending and (patient or not self._send_at_once()) and not self._due:
                self._due = True
                self._changed.notify()

    def tell(self, job: str, attempt: int, event: Event) -> None:
        """Send an event of a job."""
        key = None
        if isinstance(event, NodeProgress) or (isinstance(event, Preview) and not event.kept):
            key = (job, type(event), event.node)
        self.put(JobEvent(job, attempt, event), key, patient=not isinstance(event, End))

    def close(self) -> None:
        """Send what is waiting and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _take(self) -> bytes:
        """All that waits."""
        frames = [self._newest.pop(each) if isinstance(each, tuple) else each for each in self._waiting]
        self._waiting.clear()
        return b"".join(frames)

    def _send_at_once(self) -> bool:
        """Send what waits; whether the socket took all of it."""
        data = self._take()
        try:
            sent = self._connection.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            return True  # the server is gone; the control thread ends the process
        if sent < len(data):
            self._waiting.appendleft(data[sent:])
        return sent == len(data)

    def _send(self) -> None:
        while True:
            with self._changed:
                while not self._due and not self._closed:
                    self._changed.wait()
                if not self._closed:
                    self._changed.wait(GATHER)
                self._due = False
                data = self._take()
                if not data and self._closed:
                    return
                self._sending = True
            try:
                self._connection.sendall(data)
            except OSError:
                return  # as above
            with self._changed:
                self._sending = False
                self._due = bool(self._waiting)
