"""Pictures that are made: their names, their recipe inside them, and how they come to disk whole or not at all.

A file is written under another name (``.part``), noted in the journal of its attempt, and then given its own name,
which must be free. Whoever finds the journal of an attempt that died can remove what it left.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.files.contain import OutsideError, contain
from engine.files.metadata import write_webp_exif

if TYPE_CHECKING:
    import numpy as np

Content = bytes | Callable[[Path], None]
"""What a file is to hold, or what writes it to a path."""

NUMBERED = re.compile(r"_(\d+)_?(?:\.|_|$)")


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that was written: where it is, and how the protocol names it."""

    path: Path
    entry: Mapping[str, str]


@dataclass(slots=True)
class Artefacts:
    """Writes files into folders, each once. ``journal`` is the attempt's; None where nobody recovers."""

    journal: Path | None = None
    clock: Callable[[], float] = time.time
    _last: dict[tuple[Path, str], int] = field(default_factory=dict)

    def save(
        self, folder: Path, kind: str, prefix: str, extension: str, contents: Sequence[Content], *, width: int = 0,
        height: int = 0,
    ) -> list[Saved]:
        """Write files as ``{prefix}_{00001}_{extension}``, numbered on from the highest there is.

        prefix: may hold sub-folders and ``%width%``, ``%height%``, ``%year%``, ``%month%``, ``%day%``, ``%hour%``,
            ``%minute%``, ``%second%``, ``%batch_num%``.
        Raises ValueError for a prefix that leads out of the folder.
        """
        prefix = _fill_in(prefix, width, height, time.localtime(self.clock()))
        subfolder, _, name = prefix.replace("\\", "/").strip("/").rpartition("/")
        try:
            directory = contain(folder, subfolder) if subfolder else folder
            contain(folder, name.replace("%batch_num%", "0") or "_")
        except OutsideError as error:
            raise ValueError(f"filename_prefix {prefix!r} leads out of the {kind} folder or is no file name") from error
        directory.mkdir(parents=True, exist_ok=True)
        saved = []
        for index, content in enumerate(contents):
            path = self._write(directory, name.replace("%batch_num%", str(index)), extension, content)
            saved.append(Saved(path, {"filename": path.name, "subfolder": subfolder, "type": kind}))
        return saved

    def _write(self, directory: Path, name: str, extension: str, content: Content) -> Path:
        """Give the content the next free number, even if another program takes numbers at the same time."""
        key = (directory, name)
        number = self._last.get(key) or _highest(directory, name)
        part = directory / f".{uuid.uuid4().hex}.part"
        self._note({"part": str(part)})
        try:
            if callable(content):
                content(part)
            else:
                part.write_bytes(content)
            inode = part.stat().st_ino
            while True:
                number += 1
                path = directory / f"{name}_{number:05}_{extension}"
                # The inode tells a later recovery that the file under this name is the one written here.
                self._note({"part": str(part), "file": str(path), "inode": inode})
                if _move_new(part, path):
                    break
        finally:
            part.unlink(missing_ok=True)
        self._last[key] = number
        return path

    def _note(self, entry: Mapping[str, object]) -> None:
        if self.journal is None:
            return
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _move_new(part: Path, path: Path) -> bool:
    """Rename a file unless the new name is taken; tells whether it was done."""
    try:
        os.link(part, path)  # unlike rename, this never replaces a file
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        part.rename(path)
    return True


def png_bytes(pixels: np.ndarray[Any, Any], texts: Mapping[str, str], compress_level: int) -> bytes:
    """A PNG file of (height, width, 3 or 4) uint8 pixels, with text chunks before the picture."""
    from io import BytesIO

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=info, compress_level=compress_level)
    return buffer.getvalue()


def apng_bytes(frames: np.ndarray[Any, Any], texts: Mapping[str, str], *, fps: float, compress_level: int) -> bytes:
    """An animated PNG of (frames, height, width, 3 or 4) uint8 pixels, with text chunks before the pictures."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    return _animated(frames, "PNG", fps, pnginfo=info, compress_level=compress_level)


def webp_bytes(
    frames: np.ndarray[Any, Any], texts: Mapping[str, str], *, fps: float, lossless: bool, quality: int, method: int
) -> bytes:
    """An animated WebP of (frames, height, width, 3 or 4) uint8 pixels, with the texts in EXIF tags.

    method: how long the encoder tries, 0 to 6.
    """
    exif = write_webp_exif(texts) if texts else b""
    return _animated(frames, "WEBP", fps, exif=exif, lossless=lossless, quality=quality, method=method)


def _animated(frames: np.ndarray[Any, Any], kind: str, fps: float, **options: Any) -> bytes:
    from io import BytesIO

    from PIL import Image

    first, *rest = (Image.fromarray(each) for each in frames)
    buffer = BytesIO()
    duration = int(1000.0 / fps)  # milliseconds a picture is shown
    first.save(buffer, format=kind, save_all=True, append_images=rest, duration=duration, **options)
    return buffer.getvalue()


def recipe_texts(prompt: Mapping[str, Any] | None, extra: Mapping[str, Any] | None) -> dict[str, str]:
    """The text chunks of a picture: ``prompt`` (the API graph) and each key of ``extra_pnginfo``, as ASCII JSON."""
    texts: dict[str, str] = {}
    if prompt is not None:
        texts["prompt"] = _ascii_json(prompt)
    for key, value in (extra or {}).items():
        if re.fullmatch(r"[\x21-\x7e][\x20-\x7e]{0,77}", key) and key != "prompt":  # what a PNG keyword may be
            # Others read ``parameters`` as plain text.
            texts[key] = value if key == "parameters" and isinstance(value, str) else _ascii_json(value)
    return texts


def _ascii_json(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return json.dumps(msgspec.to_builtins(value))


def _fill_in(prefix: str, width: int, height: int, now: time.struct_time) -> str:
    values = {
        "width": str(width), "height": str(height), "year": str(now.tm_year), "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}", "hour": f"{now.tm_hour:02}", "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    return re.sub(r"%(\w+)%", lambda match: values.get(match[1], match[0]), prefix)


def _highest(directory: Path, name: str) -> int:
    """The highest number that a file of this name has in the folder."""
    highest = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(f"{name}_") and (match := NUMBERED.match(entry.name[len(name) :])):
                highest = max(highest, int(match[1][:18]))
    return highest

