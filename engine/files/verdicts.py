"""The server's safety policy: which pictures may be shown to clients, decided by their content.

A worker notes its verdict on every picture before it writes it; the server serves a file only if there is a verdict on
exactly these bytes that satisfies the policy. What a graph, or a node pack with files of its own, does is no way round.
"""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal, cast

Policy = Literal["off", "label", "blur", "block"]
POLICIES: tuple[Policy, ...] = ("off", "label", "blur", "block")
"""What becomes of flagged pictures, from the mildest: shown with a label, eight by eight pixels, black."""
STRICTNESS: Mapping[str, int] = {policy: number for number, policy in enumerate(POLICIES)}
WAIT = 25.0  # seconds for another process that writes


class HeldBack(Exception):  # noqa: N818 - a decision, not an error
    """The policy does not allow a file to be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a picture's bytes.

    flagged: whether the checker found something. treatment: the policy that was applied to the picture then; ``sent``
    for a picture that a client sent itself, which is theirs.
    """

    flagged: bool
    treatment: Policy | Literal["sent"]


class Verdicts:
    """The verdicts of all workers, on disk, by the digest of a file's content. Used by many threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS verdict"
                " (digest BLOB PRIMARY KEY, flagged INTEGER, treatment TEXT, time REAL) WITHOUT ROWID"
            )

    def note(self, content: bytes, verdict: Verdict) -> None:
        """Write a verdict down; it is on disk when this returns. What a worker found is not undone by an upload."""
        with closing(self._open()) as database, database:
            word = "IGNORE" if verdict.treatment == "sent" else "REPLACE"
            database.execute(
                f"INSERT OR {word} INTO verdict VALUES (?, ?, ?, ?)",  # noqa: S608 - one of two words
                (_digest(content), verdict.flagged, verdict.treatment, time.time()),
            )

    def find(self, content: bytes) -> Verdict | None:
        """The verdict on these bytes, if there is one."""
        with closing(self._open()) as database:
            row = database.execute(
                "SELECT flagged, treatment FROM verdict WHERE digest = ?", (_digest(content),)
            ).fetchone()
        return Verdict(bool(row[0]), cast("Policy", row[1])) if row else None

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=WAIT)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class Released:
    """A file that may be shown: where to read it from, and whether it has to be labelled."""

    source: Path | io.BytesIO
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """The one way by which the bytes of users' files leave the server. Without a policy it lets everything through."""

    policy: Policy = "off"
    verdicts: Verdicts | None = None

    def release(self, path: Path) -> Released:
        """The file, if it may be shown; under a policy the very bytes that were judged, whatever the file becomes.

        Raises HeldBack, and OSError if it cannot be read.
        """
        if self.policy == "off" or self.verdicts is None:
            return Released(path)
        content = path.read_bytes()
        verdict = self.verdicts.find(content)
        if verdict is None:
            raise HeldBack(
                f"the server's safety policy is {self.policy!r} and {path.name} was never checked; run the workflow "
                "that makes it again (files that nodes write by themselves are not checked)"
            )
        if verdict.flagged and STRICTNESS[verdict.treatment] < STRICTNESS[self.policy]:
            raise HeldBack(
                f"the server's safety policy is {self.policy!r} and {path.name} was flagged under a milder one; run "
                "the workflow that makes it again"
            )
        return Released(io.BytesIO(content), verdict.flagged)

    def sent(self, path: Path, *, flagged: bool = False) -> None:
        """Note that a client sent this file: it may be shown, for nobody learns anything by that.

        flagged: it was made of one that is flagged and may be shown under this policy.
        """
        if self.policy != "off" and self.verdicts is not None:
            self.verdicts.note(path.read_bytes(), Verdict(True, self.policy) if flagged else Verdict(False, "sent"))
