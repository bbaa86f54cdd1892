"""The files that jobs made, as the database knows them: who may see them, and how they are found again.

They are noted in the transaction that ends their job and outlive it: a job that is forgotten leaves its files. All
functions take a connection; those that write are called by the store's writer.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.jobs.job import Job

log = logging.getLogger(__name__)

MAX_TEXT = 20_000  # characters of a prompt that are searched


@dataclass(frozen=True)
class Output:
    """A file that a job delivers, and what it can be found by. ``stamp`` is another if the file is another."""

    type: str  # output or temp
    subfolder: str
    filename: str
    prompt: str = ""
    model: str = ""
    seeds: tuple[int, ...] = ()
    stamp: int = 0


@dataclass(frozen=True)
class Kept:
    """A file as the gallery has it. ``trashed`` is when it was put into the trash folder."""

    id: int
    output: Output
    job: str
    created: float
    trashed: float | None = None


@dataclass(frozen=True, kw_only=True)
class Look:
    """Which files to find: all conditions have to hold. Times are seconds since the epoch."""

    prompt: str = ""
    model: str = ""
    seed: int | None = None
    after: float | None = None
    before: float | None = None
    trashed: bool = False
    owner: str | None = None
    offset: int = 0
    limit: int = 50


COLUMNS = "id, type, subfolder, filename, prompt, model, seeds, job, created, trashed"


def note(connection: sqlite3.Connection, job: Job, outputs: Callable[[], Sequence[Output]]) -> None:
    """Note the files of a job that has just ended; one that is there already gets a further owner."""
    try:
        found = outputs()
    except Exception:  # the job's end is not lost for it
        log.exception("job %s: its files cannot be described; the gallery will not find them", job.id)
        return
    for each in found:
        row = connection.execute(
            "SELECT id, stamp FROM outputs WHERE type = ? AND subfolder = ? AND filename = ? AND trashed IS NULL",
            (each.type, each.subfolder, each.filename)).fetchone()
        if row is not None and row[1] != each.stamp:
            # Somebody took the file away, and another has its name: who could see that one has no right to this one.
            forget(connection, row[0])
            row = None
        if row is None:
            row = connection.execute(
                "INSERT INTO outputs (type, subfolder, filename, job, created, prompt, model, seeds, stamp)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (each.type, each.subfolder, each.filename, job.id, job.ended or job.created,
                 each.prompt[:MAX_TEXT].lower(), each.model.lower(), f" {' '.join(map(str, each.seeds))} ", each.stamp),
            ).fetchone()
        connection.execute("INSERT OR IGNORE INTO output_owners VALUES (?, ?)", (row[0], job.owner))


def find(path: Path, look: Look) -> tuple[list[Kept], int]:
    """A page of files, newest first, and how many there are. Opens a connection of its own. Raises sqlite3.Error."""
    conditions: list[tuple[str, Any]] = [("type = ?", "output")]
    for column, text in (("prompt", look.prompt), ("model", look.model)):
        # All words, in any order; SQLite's instr() needs no escaping.
        conditions += [(f"instr({column}, ?) > 0", word) for word in text.lower().split()]
    if look.seed is not None:
        conditions.append(("instr(seeds, ?) > 0", f" {look.seed} "))
    if look.after is not None:
        conditions.append(("created >= ?", look.after))
    if look.before is not None:
        conditions.append(("created < ?", look.before))
    if look.owner is not None:
        conditions.append(("EXISTS (SELECT 1 FROM output_owners WHERE output = outputs.id AND owner = ?)", look.owner))
    where = " AND ".join([text for text, _ in conditions]) + f" AND trashed IS {'NOT ' if look.trashed else ''}NULL"
    values = [value for _, value in conditions]
    with closing(_reader(path)) as connection:
        connection.execute("BEGIN")
        (total,) = connection.execute(f"SELECT count(*) FROM outputs WHERE {where}", values).fetchone()  # noqa: S608
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM outputs WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?",  # noqa: S608
            (*values, look.limit, look.offset)).fetchall()
    return [_kept(row) for row in rows], total


def one(path: Path, number: int, owner: str | None) -> Kept | None:
    """A file by its number, if its owner may see it; None otherwise."""
    with closing(_reader(path)) as connection:
        row = connection.execute(f"SELECT {COLUMNS} FROM outputs WHERE id = ? AND type = 'output'",  # noqa: S608
                                 (number,)).fetchone()
        if row is None or (owner is not None and connection.execute(
                "SELECT 1 FROM output_owners WHERE output = ? AND owner = ?", (number, owner)).fetchone() is None):
            return None
    return _kept(row)


def owners(path: Path, number: int) -> list[str]:
    """Whose jobs delivered a file."""
    with closing(_reader(path)) as connection:
        return [row[0] for row in connection.execute("SELECT owner FROM output_owners WHERE output = ?", (number,))]


def owned(path: Path, kind: str, subfolder: str, filename: str, owner: str) -> bool:
    """Whether a job of this owner delivered a file of this name."""
    with closing(_reader(path)) as connection:
        return connection.execute(
            "SELECT 1 FROM outputs JOIN output_owners ON output = id WHERE type = ? AND subfolder = ? AND filename = ?"
            " AND trashed IS NULL AND owner = ?", (kind, subfolder, filename, owner)).fetchone() is not None


def set_trashed(connection: sqlite3.Connection, number: int, when: float | None) -> None:
    """Note that a file is in the trash folder, or no more: then it has its name back."""
    if when is None:
        stale = connection.execute(
            "SELECT other.id FROM outputs AS other JOIN outputs AS this USING (type, subfolder, filename)"
            " WHERE this.id = ? AND other.id != this.id AND other.trashed IS NULL", (number,)).fetchone()
        if stale is not None:
            forget(connection, stale[0])
    connection.execute("UPDATE outputs SET trashed = ? WHERE id = ?", (when, number))


def forget(connection: sqlite3.Connection, number: int) -> None:
    """Note that a file is gone for good."""
    connection.execute("DELETE FROM outputs WHERE id = ?", (number,))
    connection.execute("DELETE FROM output_owners WHERE output = ?", (number,))


def forget_temp(connection: sqlite3.Connection) -> None:
    """Note that the temp folder is empty: a server has just started."""
    connection.execute("DELETE FROM output_owners WHERE output IN (SELECT id FROM outputs WHERE type = 'temp')")
    connection.execute("DELETE FROM outputs WHERE type = 'temp'")


def _reader(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _kept(row: Sequence[Any]) -> Kept:
    number, kind, subfolder, filename, prompt, model, seeds, job, created, trashed = row
    output = Output(kind, subfolder, filename, prompt, model, tuple(int(each) for each in seeds.split()))
    return Kept(number, output, job, created, trashed)
