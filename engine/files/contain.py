"""The one function that turns a user's text into a path.

Everything that comes from outside (a file name in a graph, a query parameter, an upload) passes ``contain``:
what it returns lies inside the folder it was given, after symbolic links, or there is no path at all.
"""

from __future__ import annotations

import os
from pathlib import Path

MAX_PATH = 1_024
_DEVICE_NAMES = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)


class OutsideError(ValueError):
    """The text names no path inside the folder. The message does not say what lies outside."""


def contain(folder: Path, text: str) -> Path:
    """Join a user's relative path to a folder. The file need not exist.

    Raises OutsideError for absolute paths, ``..``, drive letters, backslashes, NUL and control characters,
    names that are devices on Windows or end in a dot or blank, and for symbolic links that lead out.

    >>> contain(Path("/tmp"), "../etc/passwd")
    Traceback (most recent call last):
        ...
    engine.files.contain.OutsideError: not a path inside the folder: '../etc/passwd'
    """
    parts = text.split("/")
    if not text or len(text) > MAX_PATH or any(not _plain(part) for part in parts):
        raise OutsideError(f"not a path inside the folder: {text[:100]!r}")
    root = Path(os.path.realpath(folder))
    path = Path(os.path.realpath(root.joinpath(*parts)))
    if path != root and root not in path.parents:
        raise OutsideError(f"not a path inside the folder: {text[:100]!r}")
    return path


def _plain(part: str) -> bool:
    """Whether one component of a path is an ordinary name on every system."""
    if not part or part in (".", "..") or part[-1] in ". " or part[0] == " ":
        return False
    if any(character in '\\:*?"<>|' or ord(character) < 32 or ord(character) == 127 for character in part):
        return False
    return part.split(".")[0].lower() not in _DEVICE_NAMES and len(part.encode(errors="replace")) <= 255
