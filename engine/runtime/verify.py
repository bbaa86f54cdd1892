"""Making a picture again from what it carries, and comparing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from engine.files.metadata import MetadataError, read_metadata
from engine.messages.events import Succeeded
from engine.messages.record import KEY, RunRecord, differences, read_record
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.int16]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the picture that was made again is from the old one.

    largest: difference of a channel of a pixel, of 255. differing: pixels that are not equal, of ``pixels``.
    changes: what is not as the picture's run record says, in words; None if it carries none.
    """

    largest: int
    differing: int
    pixels: int
    changes: tuple[str, ...] | None = None

    @property
    def same(self) -> bool:
        """Whether every pixel is equal."""
        return self.differing == 0


class NotMadeError(Exception):
    """The workflow in the picture did not make a picture that could be compared."""


def verify(path: Path, settings: Settings, contents: Any = None) -> Verdict:
    """Run the workflow that a picture carries, with nothing remembered, and compare with what it makes.

    contents: the workflow, where it was read before. Of several pictures that it makes, the one closest to the old one
    counts. What it makes is not kept. Raises NotMadeError, WorkflowError, or OSError if there is no such file.
    """
    old, record = _pixels(path), _record(path)
    with tempfile.TemporaryDirectory(prefix="easel-verify-") as folder:
        folders = replace(settings.folders, output=Path(folder) / "output", temp=Path(folder) / "temp")
        fresh = replace(settings, folders=folders, remember=False, cache_directory=None)
        ending = run_file(
            path, fresh, lambda event: None, contents=contents, metadata=False, wait_for_digests=True
        )
        if not isinstance(ending, Succeeded):
            raise NotMadeError(getattr(ending, "message", "") or "it was stopped")
        made = [each for each in sorted(Path(folder).rglob("*")) if each.is_file() and each.suffix in (".png", ".webp")]
        verdicts = [compared(old, new) for new in map(_pixels, made) if new.shape == old.shape]
    if not verdicts:
        height, width = old.shape[:2]
        raise NotMadeError(f"it made {len(made)} pictures, none of which is {width}×{height} like this one")
    verdict = min(verdicts, key=lambda each: (each.largest, each.differing))
    if record is None or ending.run is None:
        return verdict
    return replace(verdict, changes=tuple(differences(record, ending.run)))


def _record(path: Path) -> RunRecord | None:
    """What the picture says of the run that made it."""
    try:
        return read_record(read_metadata(path).get(KEY, ""))
    except MetadataError:
        return None


def compared(old: Pixels, new: Pixels) -> Verdict:
    """The verdict on two pictures of one size, (height, width, channels)."""
    difference = np.abs(old - new).max(axis=-1)
    return Verdict(int(difference.max(initial=0)), int((difference > 0).sum()), int(difference.size))


def _pixels(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA"), dtype=np.int16)
