"""The folders as the server lists them: each listing is kept for a moment, because clients poll."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from engine.files.folders import Folders

KEPT_SECONDS = 1.5


class Listings:
    """Finds files for ``resolve`` and lists folders; ``version`` rises when a listing changed. Thread-safe."""

    def __init__(self, folders: Folders, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folders = folders
        self.version = 0
        self._clock = clock
        self._lists: dict[str, tuple[float, list[str]]] = {}
        self._lock = threading.Lock()

    def find(self, folder: str, name: str) -> Path | None:
        """The file a name means now, or None."""
        return self.folders.find(folder, name)

    def list(self, folder: str) -> list[str]:
        """The names in a folder, at most ``KEPT_SECONDS`` old. Do not change the list."""
        now = self._clock()
        known = self._lists.get(folder)
        if known is not None and now - known[0] < KEPT_SECONDS:
            return known[1]
        names = self.folders.list(folder)
        with self._lock:
            if known is None or known[1] != names:
                self.version += 1
            else:
                names = known[1]
            self._lists[folder] = (now, names)
        return names

    def fresh(self, folders: Iterable[str]) -> bool:
        """Whether all these listings are still good."""
        now = self._clock()
        return all(name in self._lists and now - self._lists[name][0] < KEPT_SECONDS for name in folders)

    def forget(self, folder: str) -> None:
        """List a folder anew at the next request: something was just put there."""
        with self._lock:
            self._lists.pop(folder, None)
            self.version += 1
