"""Digests of files that are too large to read while somebody waits: worked out in the background, and kept.

A digest is kept with the file's size, time and inode; a file of which one of them is another is read anew. What is kept
is a JSON file, and losing it only costs reading the files again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]  # size, time in nanoseconds, inode
MOST_PARTS = 1000  # of a folder that is one model: it has about thirty files
PIECE = 2**20


def stamp(path: Path) -> Stamp:
    """How a file is now. Raises OSError if it is not there."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def sha256(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of the names and digests of its files. Raises OSError."""
    digest = hashlib.sha256()
    if path.is_dir():
        for part in islice(sorted(each for each in path.rglob("*") if each.is_file()), MOST_PARTS):
            digest.update(f"{part.relative_to(path).as_posix()}\0{sha256(part)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as file:
        for piece in _pieces(file.fileno()):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(descriptor: int) -> Iterator[bytes]:
    while piece := os.read(descriptor, PIECE):
        yield piece


class Digests:
    """SHA-256 by path, worked out by a thread of its own. ``path``: where they are kept; None keeps them in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, tuple[Stamp, str]] = {}
        self._asked: set[str] = set()
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Path | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if path is not None:
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                self._known = {
                    name: ((size, time, inode), digest)
                    for name, (size, time, inode, digest) in json.loads(path.read_text()).items()
                }

    def get(self, path: Path) -> str:
        """The digest of a file if it is known, otherwise an empty text; then it is worked out soon. Never waits."""
        try:
            now = stamp(path)
        except OSError:
            return ""
        with self._lock:
            found = self._known.get(str(path))
            if found is not None and found[0] == now:
                return found[1]
            if str(path) not in self._asked:
                self._asked.add(str(path))
                self._queue.put(path)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="digests", daemon=True)
                    self._thread.start()
        return ""

    def read(self, path: Path) -> str:
        """The digest of a file, waiting for it; empty if the file cannot be read."""
        return self.get(path) or self._make(path)

    def close(self) -> None:
        """Begin no further file."""
        self._queue.put(None)

    def _work(self) -> None:
        while (path := self._queue.get()) is not None:
            self._make(path)

    def _make(self, path: Path) -> str:
        try:
            before, digest = stamp(path), sha256(path)
            lasting = stamp(path) == before
        except OSError as error:
            log.warning("%s cannot be read, so what is made with it is recorded without its digest: %s", path, error)
            digest, lasting = "", False
        with self._lock:
            self._asked.discard(str(path))
            if lasting:
                self._known[str(path)] = (before, digest)
                self._keep()
        return digest

    def _keep(self) -> None:
        if self._path is None:
            return
        part = self._path.with_suffix(f".{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps({name: [*seen, digest] for name, (seen, digest) in self._known.items()}))
            part.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
