"""Finding ended jobs on disk: by state and by a text in their graphs, a page at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.jobs.history import entry
from engine.jobs.job import ENDED, Job, State
from engine.jobs.store import COLUMNS, histories, read_job


@dataclass(frozen=True)
class Search:
    """Which ended jobs to find. ``text`` is looked for in the graph, as it is written, upper and lower case alike."""

    states: tuple[State, ...] = ENDED
    text: str = ""
    owner: str | None = None
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True)
class Page:
    """The jobs of a page, and how many there are on all pages."""

    jobs: list[Job]
    total: int


def needle(text: str) -> str:
    """A text as it stands inside of JSON, with its ASCII letters in lower case: SQLite's ``lower()`` knows no others.

    >>> needle('a "Red" Ähre')
    'a \\\\"red\\\\" Ähre'
    """
    return msgspec.json.encode(text)[1:-1].lower().decode()


def read_histories(path: Path, ids: Sequence[str]) -> dict[str, bytes]:
    """The history entries of ended jobs, by id. Opens a connection of its own. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA query_only = ON")
        return {job.id: entry(job, rest) for job, rest in histories(connection, ids)}


def find_ended(path: Path, search: Search) -> Page:
    """Find ended jobs, newest first. Opens a connection of its own: any thread may call it. Raises sqlite3.Error."""
    marks = ", ".join("?" * len(search.states))
    where = f"ending IS NOT NULL AND state IN ({marks})"
    values: list[Any] = list(search.states)
    if search.owner is not None:
        where += " AND owner = ?"
        values.append(search.owner)
    if search.text:
        # SQLite's lower() knows ASCII only, and so does this: other letters are found as they were written.
        where += " AND instr(lower(CAST(prompt AS TEXT)), ?) > 0"
        values.append(needle(search.text))
    source = f"FROM jobs JOIN bodies USING (sequence) WHERE {where}"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        (total,) = connection.execute(f"SELECT count(*) {source}", values).fetchone()
        rows = connection.execute(
            f"SELECT {COLUMNS} {source} ORDER BY ending DESC LIMIT ? OFFSET ?", (*values, search.limit, search.offset))
        return Page([read_job(row) for row in rows], total)
