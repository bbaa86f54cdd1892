"""The files of an attempt: what is removed when the attempt dies.

Before a worker writes a file it appends a line to its attempt's journal, ``{"part": "/…/a.part"}``; before it gives the
file its name another, ``{"part": "/…/a.part", "file": "/…/a.png", "inode": 7}``. The inode says whether a file of that
name is the one that was written. (Without it, a file whose ``part`` is gone is taken for that one.) The journal of an
attempt that ended is removed; that of one that died says what to clean up. Only files below the given roots are
touched, whatever a journal says.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

NAME = re.compile(r"(\d+)-(\d+)\.jsonl")


def journal_path(folder: Path, sequence: int, attempt: int) -> Path:
    """Where an attempt notes its files. The job is named by its sequence number: its id may be any text.

    >>> journal_path(Path("attempts"), 12, 1).name
    '12-1.jsonl'
    """
    return folder / f"{sequence}-{attempt}.jsonl"


def undo(journal: Path, roots: Sequence[Path], *, keep_files: bool = False) -> list[Path]:
    """Remove what an attempt has written, then its journal; gives the files that were removed.

    The worker of the attempt must be gone. With ``keep_files`` only unfinished ``part`` files go.
    """
    removed: list[Path] = []
    for part, file, inode in _lines(journal):
        had_part = _remove(part, roots)
        if had_part:
            removed.append(part)
        if keep_files or file is None:
            continue
        # Without an inode: while the part is there it was not renamed, and a file of that name is somebody else's.
        ours = not had_part if inode is None else _inode(file) == inode
        if ours and _remove(file, roots):
            removed.append(file)
    journal.unlink(missing_ok=True)
    return removed


def recover(folder: Path, roots: Sequence[Path], ended: Callable[[int], int | None]) -> list[Path]:
    """Clean up after every attempt that has a journal in ``folder``; no worker may be running.

    ended: sequence number → the attempt with which that job ended, None if it did not. The files of that attempt
        are kept: only its journal was left.
    """
    removed: list[Path] = []
    for journal in sorted(folder.glob("*.jsonl")):
        name = NAME.fullmatch(journal.name)
        if name is None:
            continue
        sequence, attempt = map(int, name.groups())
        removed += undo(journal, roots, keep_files=ended(sequence) == attempt)
    return removed


def _lines(journal: Path) -> Iterable[tuple[Path, Path | None, int | None]]:
    try:
        text = journal.read_bytes()
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            part, file = Path(entry["part"]), Path(entry["file"]) if "file" in entry else None
            inode = entry.get("inode")
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # torn by the death of its writer: the file it announces was never begun
        yield part, file, inode if isinstance(inode, int) else None


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def _remove(path: Path, roots: Sequence[Path]) -> bool:
    folder = os.path.realpath(path.parent)
    if not path.is_absolute() or not any(_inside(folder, os.path.realpath(root)) for root in roots):
        log.warning("%s: a journal names this file, but it is in none of Easel's folders; it is left alone", path)
        return False
    try:
        (Path(folder) / path.name).unlink()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
        return False
    return True


def _inside(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(root.rstrip(os.sep) + os.sep)
