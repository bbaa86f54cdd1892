"""Jobs on disk: SQLite in WAL mode, with one writer thread that commits whatever waits as one transaction.

Every write returns an asyncio future that is resolved after its commit, so a hundred jobs posted at once cost one
transaction. With ``synchronous=NORMAL`` a commit survives the death of every process; ``durable="full"`` also
survives the loss of power, for one fsync per transaction. Reads go through a second connection and see what is
committed.

Small columns that change live in ``jobs``; large ones that do not live beside it (``bodies``, ``graphs``,
``results``), because SQLite rewrites a whole row at each update.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from engine.jobs import gallery
from engine.jobs.database import connect, is_damage, open_database, set_aside, take_directory
from engine.jobs.gallery import Output
from engine.jobs.job import DuplicateJob, Job, StoreError

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_JOBS = 10_000
MAX_BYTES = 2 * 2**30
ROW_OVERHEAD = 512
CROWD = 3  # writes in one transaction after which the next one waits a moment for more to take along
GATHER_SECONDS = 0.002
CHUNK = 500
REFUSED = (sqlite3.Error, StoreError, DuplicateJob, OverflowError, UnicodeError)

COLUMNS = (
    "jobs.sequence, jobs.id, number, state, attempt, deaths, created, started, ended, client_id, metadata, previews,"
    " targets, owner, prompt, extra"
)


@dataclass
class _Request:
    """A write that waits for the writer thread. ``outcome`` is a value, or the exception that it raised."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    outcome: Any = None
    error: BaseException | None = None


@dataclass
class _Totals:
    """How much the history holds; kept by the writer thread alone."""

    jobs: int = 0
    size: int = 0
    ending: int = 0


@dataclass(frozen=True)
class Bounds:
    """How much history is kept: whichever limit is reached first."""

    jobs: int = MAX_JOBS
    size: int = MAX_BYTES


@dataclass
class Store:
    """The database of one data directory. Made by ``open_store``; ``close`` it from the thread that opened it."""

    path: Path
    bounds: Bounds
    notice: str | None  # what the operator should know: a damaged database was set aside
    _lock: int
    _read: sqlite3.Connection
    _write: sqlite3.Connection
    _requests: queue.SimpleQueue[_Request | None] = field(default_factory=queue.SimpleQueue)
    _totals: _Totals = field(default_factory=_Totals)
    _hooked: set[int] = field(default_factory=set)  # jobs whose ends somebody is to be told of; the writer's alone
    _thread: threading.Thread | None = None

    # Writing: each returns a future that is resolved after the commit.

    def add(self, job: Job, graph: bytes, webhook: str | None = None) -> asyncio.Future[None]:
        """Put a new job on disk. The future raises DuplicateJob if its id is taken.

        webhook: the address that is to be told of its end.
        """
        size = len(job.prompt) + len(job.extra) + ROW_OVERHEAD
        row = (
            job.sequence, job.id, job.number, job.state, job.created, size, job.client_id, job.metadata, job.previews,
            msgspec.json.encode(job.targets).decode(), job.owner,
        )

        def work(connection: sqlite3.Connection) -> None:
            try:
                connection.execute(
                    "INSERT INTO jobs (sequence, id, number, state, created, size, client_id, metadata, previews,"
                    " targets, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise DuplicateJob(job.id) from error
            connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (job.sequence, job.prompt, job.extra))
            connection.execute("INSERT INTO graphs VALUES (?, ?)", (job.sequence, graph))
            if webhook is not None:
                self._hooked.add(job.sequence)
                connection.execute(
                    "INSERT INTO webhooks (sequence, job, url) VALUES (?, ?, ?)", (job.sequence, job.id, webhook))

        return self.write(work)

    def update(self, job: Job) -> asyncio.Future[None]:
        """Note that a live job was taken up, put back or moved: its number, state, attempt, deaths and start."""
        row = (job.number, job.state, job.attempt, job.deaths, job.started, job.sequence)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE jobs SET number = ?, state = ?, attempt = ?, deaths = ?, started = ?"
                " WHERE sequence = ? AND ending IS NULL", row)

        return self.write(work)

    def end(
        self, job: Job, result: bytes, history: bytes, outputs: Callable[[], Sequence[Output]] = tuple,
    ) -> asyncio.Future[tuple[str, ...]]:
        """Note a job's end and put it into the history; gives the ids that had to leave the history for it.

        outputs: gives the files that it delivers; called by the writer's thread.
        The future raises StoreError if the job has ended already: nothing ends twice.
        """

        def work(connection: sqlite3.Connection) -> tuple[str, ...]:
            self._end(connection, job, len(result) + len(history), listed=True)
            connection.execute("INSERT INTO results VALUES (?, ?, ?)", (job.sequence, result, history))
            gallery.note(connection, job, outputs)
            return self._trim(connection)

        return self.write(work)

    def drop(self, jobs: Sequence[Job]) -> asyncio.Future[tuple[str, ...]]:
        """Note that jobs were cancelled before they were taken up; they are kept but not listed."""

        def work(connection: sqlite3.Connection) -> tuple[str, ...]:
            for job in jobs:
                self._end(connection, job, 0, listed=False)
            return self._trim(connection)

        return self.write(work)

    def forget(self, ids: Sequence[str] | None, owner: str | None = None) -> asyncio.Future[tuple[str, ...]]:
        """Remove ended jobs, or all of them for None (all of one owner); gives the ids that were removed."""

        def work(connection: sqlite3.Connection) -> tuple[str, ...]:
            if ids is None:
                rows = connection.execute(
                    "SELECT sequence, id, size FROM jobs WHERE ending IS NOT NULL AND owner = coalesce(?, owner)",
                    (owner,)).fetchall()
                removed = self._remove(connection, rows)
                connection.execute("PRAGMA incremental_vacuum").fetchall()
                return removed
            found = (
                connection.execute(
                    "SELECT sequence, id, size FROM jobs WHERE id = ? AND ending IS NOT NULL", (each,)).fetchone()
                for each in dict.fromkeys(ids)
            )
            return self._remove(connection, [row for row in found if row is not None])

        return self.write(work)

    def switch(self, name: str, value: str) -> asyncio.Future[None]:
        """Remember a switch of the server over its restarts."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO switches VALUES (?, ?)", (name, value))

        return self.write(work)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Have the writer's thread do some work, in a transaction with others. The future raises sqlite3.Error."""
        if self._thread is None:
            raise StoreError(f"{self.path}: the store is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._requests.put(_Request(work, future))
        return future

    # What the writer thread does.

    def _end(self, connection: sqlite3.Connection, job: Job, more: int, *, listed: bool) -> None:
        self._totals.ending += 1
        cursor = connection.execute(
            "UPDATE jobs SET state = ?, attempt = ?, deaths = ?, started = ?, ended = ?, ending = ?, listed = ?,"
            " size = size + ? WHERE sequence = ? AND ending IS NULL RETURNING size",
            (job.state, job.attempt, job.deaths, job.started, job.ended, self._totals.ending, listed, more,
             job.sequence))
        row = cursor.fetchone()
        if row is None:
            raise StoreError(f"job {job.id!r} has ended already, or is not in {self.path}")
        connection.execute("DELETE FROM graphs WHERE sequence = ?", (job.sequence,))
        if job.sequence in self._hooked:
            connection.execute(
                "UPDATE webhooks SET state = ?, due = ? WHERE sequence = ?", (job.state, job.ended, job.sequence))
        self._totals.jobs += 1
        self._totals.size += row[0]

    def _trim(self, connection: sqlite3.Connection) -> tuple[str, ...]:
        removed: list[str] = []
        while self._totals.jobs > self.bounds.jobs or (self._totals.size > self.bounds.size and self._totals.jobs > 1):
            oldest = connection.execute(
                "SELECT sequence, id, size FROM jobs WHERE ending IS NOT NULL ORDER BY ending LIMIT 1").fetchall()
            removed += self._remove(connection, oldest)
        return tuple(removed)

    def _remove(self, connection: sqlite3.Connection, rows: Iterable[tuple[int, str, int]]) -> tuple[str, ...]:
        removed: list[str] = []
        for sequence, job_id, size in rows:
            for table in ("jobs", "bodies", "graphs", "results"):
                connection.execute(f"DELETE FROM {table} WHERE sequence = ?", (sequence,))  # noqa: S608 - our names
            self._totals.jobs -= 1
            self._totals.size -= size
            removed.append(job_id)
        return tuple(removed)

    def _serve(self) -> None:
        """Commit what waits, until the store closes."""
        closing, last = False, 0
        while not closing:
            waiting = [self._requests.get()]
            if last >= CROWD:
                time.sleep(GATHER_SECONDS)
            with contextlib.suppress(queue.Empty):
                while True:
                    waiting.append(self._requests.get_nowait())
            closing = None in waiting
            batch = [request for request in waiting if request is not None]
            last = len(batch)
            if batch:
                if not self._commit_at_once(batch):
                    self._commit(batch)
                _resolve_later(batch)

    def _commit_at_once(self, batch: Sequence[_Request]) -> bool:
        """Do and commit a whole batch. If something is refused nothing is done, and it is to be done one by one."""
        connection = self._write
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            for request in batch:
                request.error = error
            return True
        try:
            for request in batch:
                request.outcome = request.work(connection)
            connection.execute("COMMIT")
        except REFUSED:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            with contextlib.suppress(sqlite3.Error):
                self._totals = _measure(connection)
            return False
        return True

    def _commit(self, batch: Sequence[_Request]) -> None:
        connection = self._write
        failed = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            for request in batch:
                # A savepoint each: one refused request leaves the others of its transaction alone.
                connection.execute("SAVEPOINT request")
                try:
                    request.outcome = request.work(connection)
                except REFUSED as error:
                    request.error = error
                    failed = True
                    connection.execute("ROLLBACK TO request")
                connection.execute("RELEASE request")
            connection.execute("COMMIT")
        except sqlite3.Error as error:  # the disk is full or gone: nothing of this batch is kept
            failed = True
            for request in batch:
                request.error = error
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
        if failed:
            with contextlib.suppress(sqlite3.Error):
                self._totals = _measure(connection)

    # Reading: what is committed, at once.

    def live(self) -> list[Job]:
        """Every job that has not ended, in order of arrival."""
        return [read_job(row) for row in self._read.execute(
            f"SELECT {COLUMNS} FROM jobs JOIN bodies USING (sequence) WHERE ending IS NULL"  # noqa: S608
            " ORDER BY jobs.sequence")]

    def listed(self) -> list[tuple[str, str]]:
        """The ids of the history and their owners, oldest first."""
        return [(row[0], row[1]) for row in self._read.execute(
            "SELECT id, owner FROM jobs WHERE ending IS NOT NULL AND listed = 1 ORDER BY ending")]

    def job(self, job_id: str) -> Job | None:
        """One job, whatever its state, or None."""
        row = self._read.execute(
            f"SELECT {COLUMNS} FROM jobs JOIN bodies USING (sequence) WHERE jobs.id = ?", (job_id,)  # noqa: S608
        ).fetchone()
        return read_job(row) if row else None

    def graph(self, sequence: int) -> bytes | None:
        """The graph of a job that has not ended."""
        row = self._read.execute("SELECT graph FROM graphs WHERE sequence = ?", (sequence,)).fetchone()
        return row[0] if row else None

    def result(self, job_id: str) -> bytes | None:
        """What was kept of how a job went, as ``end`` was given it."""
        row = self._read.execute(
            "SELECT result FROM results JOIN jobs USING (sequence) WHERE jobs.id = ?", (job_id,)).fetchone()
        return row[0] if row else None

    def histories(self, ids: Sequence[str]) -> Iterator[tuple[Job, bytes]]:
        """Ended jobs and the ``history`` they ended with, in no particular order; ids that are gone are left out."""
        return histories(self._read, ids)

    def ended_attempt(self, sequence: int) -> int | None:
        """The attempt with which a job ended, or None if it has not ended or is not there."""
        row = self._read.execute(
            "SELECT attempt FROM jobs WHERE sequence = ? AND ending IS NOT NULL", (sequence,)).fetchone()
        return row[0] if row else None

    def switched(self, name: str) -> str | None:
        """What a switch was set to, or None."""
        row = self._read.execute("SELECT value FROM switches WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def last_sequence(self) -> int:
        """The highest sequence number that was ever given, removed jobs included."""
        row = self._read.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
        return row[0] if row else 0

    def close(self) -> None:
        """Commit what waits, close the database and let another server have the directory."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._requests.put(None)
        thread.join()
        self._read.close()
        self._write.close()
        os.close(self._lock)


def open_store(
    directory: Path, *, durable: Literal["normal", "full"] = "normal", bounds: Bounds = Bounds(),
) -> Store:
    """Open, or make, the database ``jobs.db`` of a data directory.

    A damaged database is renamed with the date and a new one made; ``Store.notice`` then says so. Raises
    DataDirectoryInUseError if another server has the directory, StoreError if a newer Easel wrote the database or
    it cannot be read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = take_directory(directory)
    path = directory / "jobs.db"
    notice = None
    try:
        try:
            write = open_database(path, durable)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise StoreError(f"{path}: the database of jobs cannot be opened: {error}; check the disk and the"
                                 " rights of the folder") from error
            notice = set_aside(path, error)
            log.error(notice)
            write = open_database(path, durable)
        read = connect(path)
        read.execute("PRAGMA query_only = ON")
        hooked = {row[0] for row in write.execute("SELECT sequence FROM webhooks WHERE state IS NULL")}
        store = Store(path, bounds, notice, lock, read, write, _totals=_measure(write), _hooked=hooked)
    except BaseException:
        os.close(lock)
        raise
    store._thread = threading.Thread(target=store._serve, name="job store", daemon=True)
    store._thread.start()
    return store


def _measure(connection: sqlite3.Connection) -> _Totals:
    row = connection.execute(
        "SELECT count(*), total(size), coalesce(max(ending), 0) FROM jobs WHERE ending IS NOT NULL").fetchone()
    return _Totals(row[0], int(row[1]), row[2])


def histories(connection: sqlite3.Connection, ids: Sequence[str]) -> Iterator[tuple[Job, bytes]]:
    """See ``Store.histories``."""
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        marks = ", ".join("?" * len(some))
        for row in connection.execute(
            f"SELECT {COLUMNS}, history FROM jobs JOIN bodies USING (sequence)"  # noqa: S608 - only marks
            f" JOIN results USING (sequence) WHERE jobs.id IN ({marks})", some,
        ):
            yield read_job(row[:-1]), row[-1]


def read_job(row: Sequence[Any]) -> Job:
    """Make a job of a row of ``COLUMNS``."""
    (sequence, job_id, number, state, attempt, deaths, created, started, ended, client_id, metadata, previews, targets,
     owner, prompt, extra) = row
    return Job(
        id=job_id, number=number, sequence=sequence, state=state, attempt=attempt, deaths=deaths, created=created,
        started=started, ended=ended, client_id=client_id, prompt=prompt, extra=extra,
        targets=tuple(msgspec.json.decode(targets)), metadata=bool(metadata), previews=previews,
        owner=owner)


def _resolve_later(batch: Sequence[_Request]) -> None:
    """Resolve the futures of a batch on their event loops, all of one loop in one call."""
    loops: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
    for request in batch:
        loops.setdefault(request.future.get_loop(), []).append(request)
    for loop, requests in loops.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, requests)


def _resolve(requests: Sequence[_Request]) -> None:
    for request in requests:
        if request.future.done():
            continue
        if request.error is not None:
            request.future.set_exception(request.error)
        else:
            request.future.set_result(request.outcome)
