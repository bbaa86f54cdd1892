"""The database file of a data directory: its lock, its tables through all versions, what is done if it is damaged."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from pathlib import Path

from engine.jobs.job import DataDirectoryInUseError, StoreError

CHECKED_WHOLE = 32 * 2**20  # a database up to this size is checked page by page at each start (about 50 ms)

MIGRATIONS: tuple[tuple[str, str], ...] = (
    (
        "jobs, their bodies, graphs and results",
        """
        CREATE TABLE jobs (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            number REAL NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
            attempt INTEGER NOT NULL DEFAULT 0,
            deaths INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,
            started REAL,
            ended REAL,
            ending INTEGER,                      -- the order of endings; NULL while the job is queued or running
            listed INTEGER NOT NULL DEFAULT 0,   -- whether the history shows it
            size INTEGER NOT NULL,               -- bytes it takes, all tables together
            client_id TEXT,
            metadata INTEGER NOT NULL,
            previews TEXT NOT NULL,
            targets TEXT NOT NULL
        );
        CREATE UNIQUE INDEX jobs_ended ON jobs (ending, listed, id, size) WHERE ending IS NOT NULL;
        CREATE INDEX jobs_live ON jobs (sequence) WHERE ending IS NULL;
        CREATE TABLE bodies (sequence INTEGER PRIMARY KEY, prompt BLOB NOT NULL, extra BLOB NOT NULL);
        CREATE TABLE graphs (sequence INTEGER PRIMARY KEY, graph BLOB NOT NULL);
        CREATE TABLE results (sequence INTEGER PRIMARY KEY, result BLOB NOT NULL, history BLOB NOT NULL);
        """,
    ),
    (
        "who posted a job, the files that jobs made, who is to be told of their ends, switches",
        """
        ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
        CREATE TABLE outputs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            type TEXT NOT NULL,                  -- output or temp
            subfolder TEXT NOT NULL,
            filename TEXT NOT NULL,
            job TEXT NOT NULL,                   -- the job that made it; it may be forgotten, the file stays
            created REAL NOT NULL,
            prompt TEXT NOT NULL,                -- in lower case, and so is the next
            model TEXT NOT NULL,
            seeds TEXT NOT NULL,                 -- ' 1 22 '
            stamp INTEGER NOT NULL,              -- says whether a file of this name is still the same
            trashed REAL                         -- when it was put into the trash folder
        );
        CREATE UNIQUE INDEX outputs_named ON outputs (type, subfolder, filename) WHERE trashed IS NULL;
        CREATE TABLE output_owners (
            output INTEGER NOT NULL,
            owner TEXT NOT NULL,
            PRIMARY KEY (output, owner)
        ) WITHOUT ROWID;
        CREATE TABLE webhooks (
            sequence INTEGER PRIMARY KEY,        -- the job's
            job TEXT NOT NULL,
            url TEXT NOT NULL,
            state TEXT,                          -- how the job ended; NULL while it has not
            attempts INTEGER NOT NULL DEFAULT 0,
            due REAL                             -- when to try next; NULL while the job has not ended
        );
        CREATE TABLE switches (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        """,
    ),
)


def take_directory(directory: Path) -> int:
    """Take the data directory for this server; gives the lock's descriptor. Raises DataDirectoryInUseError."""
    path = directory / "server.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise DataDirectoryInUseError(
            f"{directory}: another server (process {holder}) works on this data directory; stop it, or start this one"
            " with another --data-directory") from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def connect(path: Path) -> sqlite3.Connection:
    """Open the database as it is."""
    # Each connection is used by one thread at a time; the module's own check would forbid making both here.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    connection.execute("PRAGMA busy_timeout = 10000")
    return connection


def open_database(path: Path, durable: str) -> sqlite3.Connection:
    """Open the database for writing, check it and bring it to the newest version. Raises sqlite3.DatabaseError."""
    connection = connect(path)
    try:
        if path.stat().st_size == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # so that a cleared history can give disk back
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable == 'full' else 'NORMAL'}")
        if path.stat().st_size <= CHECKED_WHOLE:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise _DamagedError(found)
        _migrate(connection, path)
        connection.execute("SELECT count(*) FROM jobs JOIN bodies USING (sequence) WHERE ending IS NULL").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


class _DamagedError(sqlite3.DatabaseError):
    """The check of all pages found something."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is damaged, not only out of reach."""
    code = getattr(error, "sqlite_errorcode", 0)
    return isinstance(error, _DamagedError) or code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def set_aside(path: Path, error: sqlite3.DatabaseError) -> str:
    """Rename a damaged database; gives what the operator should know."""
    date = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{date}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{date}-{number}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    return (f"{path}: the database of jobs is damaged ({error}); it was kept as {aside.name} and an empty one was made."
            " Queued jobs and the history in it are not shown any more; pictures are not touched")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(f"{path}: a newer Easel wrote this database (version {version}, this one knows"
                         f" {len(MIGRATIONS)}); use that one, or another --data-directory")
    for number, (note, script) in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, note TEXT NOT NULL,"
                " applied REAL NOT NULL)")
            for statement in filter(str.strip, script.split(";\n")):
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, note, time.time()))
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
