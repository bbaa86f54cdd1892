"""Who is still to be told that a job has ended: rows of the database, so that a restart forgets nobody.

A row is written with its job, gets its time with the job's end, and goes when it was delivered or given up.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Delivery:
    """A message that is to be sent. ``state`` is how the job ended; ``attempts`` counts those that failed."""

    sequence: int
    job: str
    url: str
    state: str
    attempts: int


def due(path: Path, now: float, limit: int) -> tuple[list[Delivery], float | None]:
    """What is to be sent now, oldest first, and when the next one is due. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA query_only = ON")
        rows = connection.execute(
            "SELECT sequence, job, url, state, attempts FROM webhooks WHERE due <= ? ORDER BY due LIMIT ?",
            (now, limit)).fetchall()
        (following,) = connection.execute("SELECT min(due) FROM webhooks WHERE due > ?", (now,)).fetchone()
    return [Delivery(*row) for row in rows], following


def postpone(connection: sqlite3.Connection, sequence: int, attempts: int, when: float) -> None:
    """Note that an attempt failed, and when to try again."""
    connection.execute("UPDATE webhooks SET attempts = ?, due = ? WHERE sequence = ?", (attempts, when, sequence))


def finish(connection: sqlite3.Connection, sequence: int) -> None:
    """Note that nothing is to be sent any more."""
    connection.execute("DELETE FROM webhooks WHERE sequence = ?", (sequence,))
