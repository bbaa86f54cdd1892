"""Traces: the signature of a node → the digests of what it made. They survive restarts.

A node whose signature has a trace need not run to know its output digests. The trace of an output node also holds
what it showed and the files it wrote; it counts only while every file is still there, unchanged in size and time.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from engine.graph.graph import GraphNode

log = logging.getLogger(__name__)

MAX_TRACES = 1_000_000  # on disk; then all are forgotten
MAX_KNOWN = 25_000  # in memory, of each of two generations
FLUSH_AFTER = 500


class FileStamp(msgspec.Struct, frozen=True, array_like=True):
    """A file that was written, as it was left."""

    path: str
    size: int
    mtime_ns: int


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """What an output node inside an expansion showed. ``suffix``: its id after that of the expanding node.

    display: the id it is shown as, or None for that of the expanding node.
    """

    suffix: str
    class_type: str
    display: str | None
    ui: Mapping[str, Any]


class Trace(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a node made: the digest of each output wire, what it showed, the files behind that, and how long it took.

    inner: what the output nodes of its expansion showed. blocked: what the blockers said that kept it from running.
    world: nodes of its expansion that depend on the world outside, each with the digest of what that was.
    """

    digests: tuple[bytes, ...]
    seconds: float = 0.0
    ui: Mapping[str, Any] | None = None
    files: tuple[FileStamp, ...] = ()
    inner: tuple[Shown, ...] = ()
    blocked: tuple[str, ...] = ()
    world: tuple[tuple[GraphNode, bytes], ...] = ()


def stamp(path: Path) -> FileStamp:
    """How a file is now. Raises OSError if it is not there."""
    status = path.stat()
    return FileStamp(str(path), status.st_size, status.st_mtime_ns)


def missing_file(trace: Trace) -> str | None:
    """The first file of a trace that is gone or was changed, or None if all are as they were left."""
    for each in trace.files:
        try:
            if stamp(Path(each.path)) != each:
                return each.path
        except OSError:
            return each.path
    return None


class Traces:
    """Traces in memory, written to a small database in batches. Used from the executor's thread only.

    A database that cannot be read is set aside and begun anew: traces only save work.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._known: dict[bytes, Trace] = {}
        self._older: dict[bytes, Trace] = {}  # what was known before that; goes when as many again have been used
        self._unsaved: dict[bytes, Trace] = {}
        self._database = self._open(path) if path else None

    def get(self, signature: bytes) -> Trace | None:
        """The trace of a signature."""
        found = self._known.get(signature)
        if found is not None:
            return found
        found = self._older.get(signature)
        if found is None and self._database is not None:
            try:
                row = self._database.execute("SELECT trace FROM traces WHERE signature = ?", (signature,)).fetchone()
                if row:
                    found = msgspec.msgpack.decode(row[0], type=Trace)
            except (sqlite3.Error, msgspec.MsgspecError) as error:
                log.warning("a trace cannot be read, so its node runs again: %s", error)
        if found is not None:
            self._keep(signature, found)
        return found

    def put(self, signature: bytes, trace: Trace) -> None:
        """Remember what a node made."""
        self._unsaved[signature] = trace
        if len(self._unsaved) >= FLUSH_AFTER:
            self.flush()
        self._keep(signature, trace)

    def _keep(self, signature: bytes, trace: Trace) -> None:
        """Have a trace in memory; what has not been used for long is on disk only, if there is a disk."""
        if len(self._known) >= MAX_KNOWN and self._database is not None:
            self.flush()
            self._older, self._known = self._known, {}
        self._known[signature] = trace

    def flush(self) -> None:
        """Write what is not on disk yet; called when a job has ended and nothing waits."""
        if self._database is None or not self._unsaved:
            return
        rows = [(key, msgspec.msgpack.encode(trace)) for key, trace in self._unsaved.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO traces VALUES (?, ?)", rows)
        except sqlite3.Error as error:  # locked by another process, or the disk is full
            log.warning("traces cannot be written; after a restart these nodes run again: %s", error)
        self._unsaved.clear()

    def clear(self) -> None:
        """Forget all traces, on disk too."""
        self._known.clear()
        self._older.clear()
        self._unsaved.clear()
        if self._database is not None:
            with self._database:
                self._database.execute("DELETE FROM traces")

    def close(self) -> None:
        """Write what is left and let go of the file."""
        self.flush()
        if self._database is not None:
            self._database.close()

    def _open(self, path: Path) -> sqlite3.Connection | None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _connect(path)
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    raise  # it is in use, or cannot be reached: it is not to be moved
                for suffix in ("", "-wal", "-shm"):
                    with suppress(FileNotFoundError):
                        Path(f"{path}{suffix}").replace(f"{path}{suffix}.unreadable")
                return _connect(path)
        except (sqlite3.Error, OSError) as error:
            log.warning("%s cannot be used, so nothing is remembered beyond this run: %s", path, error)
            return None


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")  # a lost trace only costs work
        database.execute(
            "CREATE TABLE IF NOT EXISTS traces (signature BLOB PRIMARY KEY, trace BLOB NOT NULL) WITHOUT ROWID"
        )
        with closing(database.execute("SELECT count(*) FROM traces")) as rows:
            if rows.fetchone()[0] > MAX_TRACES:
                database.execute("DELETE FROM traces")
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database
