"""The files and settings that an editor keeps for its user, below one folder for each user.

Names come from outside and pass ``contain``; files are written whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.files.contain import OutsideError, contain

MAX_LISTED = 20_000
PART = ".part"


class FileInfo(msgspec.Struct, frozen=True):
    """A file: its path below the folder that was asked for, bytes, and times in milliseconds since the epoch."""

    path: str
    size: int
    modified: int
    created: int


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file or folder; ``modified`` is in seconds since the epoch."""

    name: str
    path: str
    type: str
    size: int | None = None
    modified: float | None = None


def find(root: Path, name: str) -> Path | None:
    """The path of a user's file, which need not exist; None if the name leads outside or is one of ours."""
    try:
        return None if name.endswith(PART) else contain(root, name)
    except OutsideError:
        return None


def info(path: Path, root: Path) -> FileInfo:
    """What is known of a file. Raises OSError."""
    state = path.stat()
    return FileInfo(
        path.relative_to(root.resolve()).as_posix(), state.st_size, int(state.st_mtime * 1000),
        int(state.st_ctime * 1000),
    )


def walk(folder: Path, *, recurse: bool) -> list[Path]:
    """The files of a folder, sorted, at most ``MAX_LISTED``; links are not followed. Raises OSError."""
    return sorted(path for path, _ in zip(_files(folder, recurse), range(MAX_LISTED), strict=False))


def _files(folder: Path, recurse: bool) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) and not entry.name.endswith(PART):
                yield Path(entry.path)
            elif recurse and entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path), recurse)


def entries(folder: Path, root: Path) -> list[Entry]:
    """What stands in a folder, folders first. Raises OSError."""
    found: list[Entry] = []
    with os.scandir(folder) as scanned:
        for entry, _ in zip(scanned, range(MAX_LISTED), strict=False):
            path = Path(entry.path).relative_to(root.resolve()).as_posix()
            if entry.is_dir(follow_symlinks=False):
                found.append(Entry(entry.name, path, "directory"))
            elif entry.is_file(follow_symlinks=False) and not entry.name.endswith(PART):
                state = entry.stat()
                found.append(Entry(entry.name, path, "file", state.st_size, state.st_mtime))
    return sorted(found, key=lambda each: (each.type, each.name))


def write(path: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write a file whole. Raises FileExistsError without ``overwrite`` if it is there, and OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(suffix=PART, dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        part.chmod(0o644)
        move(part, path, overwrite=overwrite)
    finally:
        part.unlink(missing_ok=True)


def move(source: Path, target: Path, *, overwrite: bool) -> None:
    """Give a file another name. Raises FileExistsError without ``overwrite`` if that is taken, and OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if overwrite:
        if target.is_dir():
            raise FileExistsError(f"{target.name!r} is a folder")
        source.replace(target)
        return
    os.link(source, target)  # fails if the name is taken, whoever took it meanwhile
    with contextlib.suppress(FileNotFoundError):
        source.unlink()
