"""The files that jobs made: described when a job ends, so that they are found again; thumbnails; and the trash folder.

A file that is deleted is moved to ``trash`` in the data directory, under its number, and can be brought back.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from engine.files import thumbnails
from engine.files.contain import OutsideError, contain
from engine.files.folders import Folders
from engine.jobs.gallery import Kept, Output
from engine.jobs.job import Job
from engine.messages.events import End

log = logging.getLogger(__name__)

SIDE = 320  # pixels of a thumbnail's longer side
# What is looked for in the inputs of every node of the graph that a job ran.
TEXTS = ("text", "text_g", "text_l", "prompt", "positive", "negative")
MODELS = ("ckpt_name", "unet_name", "lora_name", "control_net_name", "vae_name")
SEEDS = ("seed", "noise_seed")
VALUE = "value"  # of a primitive that an input is linked to
MAX_SEEDS = 100


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that a job made. ``trashed`` is when it was deleted; ``missing``: somebody took it away by hand."""

    id: int
    filename: str
    subfolder: str
    url: str
    thumbnail: str
    job: str
    created: float
    prompt: str
    model: str
    seeds: list[int]
    trashed: float | None = None
    missing: bool = False


class Items(msgspec.Struct, frozen=True):
    """A page of files, newest first."""

    items: list[Item]
    total: int
    offset: int
    limit: int


# -- what a file shows -------------------------------------------------------------------------------------------


def _files(outputs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    found: dict[tuple[str, str, str], None] = {}
    for shown in outputs.values():
        for entries in shown.values():
            for each in entries if isinstance(entries, list | tuple) else ():
                if isinstance(each, Mapping) and each.get("type") in ("output", "temp"):
                    found[str(each["type"]), str(each.get("subfolder", "")), str(each.get("filename", ""))] = None
    return list(found)


def read_graph(graph: Mapping[str, Any]) -> tuple[str, str, tuple[int, ...]]:
    """The texts, models and seeds in an API graph.

    >>> read_graph({"1": {"inputs": {"text": "a cube", "clip": ["2", 0]}}, "2": {"inputs": {"ckpt_name": "m.ckpt"}},
    ...             "3": {"inputs": {"seed": ["4", 0]}}, "4": {"inputs": {"value": 7}}})
    ('a cube', 'm.ckpt', (7,))
    """
    texts: dict[str, None] = {}
    models: dict[str, None] = {}
    seeds: dict[int, None] = {}
    for node in graph.values():
        inputs = node.get("inputs", {}) if isinstance(node, Mapping) else {}
        for name, given in inputs.items() if isinstance(inputs, Mapping) else ():
            value = _typed_in(graph, given)
            if name in TEXTS and isinstance(value, str) and value:
                texts[value] = None
            elif name in MODELS and isinstance(value, str):
                models[value] = None
            elif name in SEEDS and isinstance(value, int) and not isinstance(value, bool):
                seeds[value] = None
    return "\n".join(texts), "\n".join(models), tuple(seeds)[:MAX_SEEDS]


def _typed_in(graph: Mapping[str, Any], value: Any) -> Any:
    """A value, or that of the primitive it is linked to."""
    if not (isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)):
        return value
    node = graph.get(value[0])
    inputs = node.get("inputs") if isinstance(node, Mapping) else None
    return inputs.get(VALUE) if isinstance(inputs, Mapping) else None


# -- files -------------------------------------------------------------------------------------------------------


@dataclass
class Gallery:
    """Where files and thumbnails are. Its methods block, but for ``making``: call them beside the event loop."""

    folders: Folders
    trash: Path
    thumbnails: Path
    making: asyncio.Lock = field(default_factory=asyncio.Lock)

    def describe(self, job: Job, ending: End) -> tuple[Output, ...]:
        """The files that a job delivers, with what they can be found by."""
        files = _files(ending.outputs)
        if not files:
            return ()
        prompt, model, seeds = read_graph(msgspec.json.decode(job.prompt))
        return tuple(Output(kind, subfolder, name, prompt, model, seeds, self._stamp(kind, subfolder, name))
                     for kind, subfolder, name in files)

    def _stamp(self, kind: str, subfolder: str, name: str) -> int:
        folder = self.folders.files_kind(kind)
        try:
            found = contain(folder, f"{subfolder}/{name}".lstrip("/")).stat() if folder is not None else None
        except (OutsideError, OSError):
            return 0
        return found.st_mtime_ns if found is not None else 0

    def path(self, kept: Kept) -> Path | None:
        """Where a file is now; None if it is not there, or its name leads out of its folder."""
        place = self.trashed(kept) if kept.trashed is not None else self.place(kept)
        try:
            return place if place is not None and place.is_file() else None
        except OSError:  # in a folder that may not be read
            return None

    def place(self, kept: Kept) -> Path | None:
        """Where a file belongs."""
        each = kept.output
        try:
            return contain(self.folders.output, f"{each.subfolder}/{each.filename}".lstrip("/"))
        except OutsideError:
            return None

    def trashed(self, kept: Kept) -> Path:
        """Where a file is while it is deleted."""
        return self.trash / f"{kept.id}{Path(kept.output.filename).suffix[:10]}"

    def item(self, kept: Kept) -> Item:
        """A file as the API shows it."""
        each = kept.output
        query = urlencode({"filename": each.filename, "subfolder": each.subfolder, "type": each.type})
        return Item(
            kept.id, each.filename, each.subfolder, f"/view?{query}", f"/api/gallery/{kept.id}/thumbnail", kept.job,
            kept.created, each.prompt, each.model, list(each.seeds), kept.trashed, self.path(kept) is None)

    def thumbnail(self, kept: Kept, source: Path | io.BytesIO) -> bytes | None:
        """A small WebP, made at the first time; None if the file is not there. Raises UploadError if it is no picture.

        source: the file, as the safety policy lets it leave.
        """
        path = self.path(kept)
        if path is None:
            return None
        try:
            small = self.thumbnails / f"{kept.id}-{path.stat().st_mtime_ns}.webp"
            if small.is_file():
                return small.read_bytes()
            body = thumbnails.make_thumbnail(source, SIDE)
        except FileNotFoundError:  # it has just gone
            return None
        part = small.with_suffix(f".{secrets.token_hex(4)}.part")  # two requests may make it at once
        try:
            self.thumbnails.mkdir(parents=True, exist_ok=True)
            part.write_bytes(body)
            part.replace(small)
        except OSError as error:
            log.warning("%s: a thumbnail cannot be kept and is made again each time: %s", small, error)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return body

    def discard(self, kept: Kept) -> None:
        """Move a file to the trash folder. Raises FileNotFoundError if it is not there, and OSError."""
        path = self.path(kept)
        if path is None:
            raise FileNotFoundError(kept.output.filename)
        self.trash.mkdir(parents=True, exist_ok=True)
        shutil.move(path, self.trashed(kept))

    def restore(self, kept: Kept) -> None:
        """Move a file back. Raises FileExistsError if its name is taken, FileNotFoundError, and OSError."""
        source, place = self.trashed(kept), self.place(kept)
        if place is None or not source.is_file():
            raise FileNotFoundError(kept.output.filename)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL))  # the name is ours, or it is taken
        try:
            shutil.move(source, place)
        except OSError:
            place.unlink()  # else its name would be taken for ever
            raise

    def remove(self, kept: Kept) -> None:
        """Remove a deleted file and its thumbnails for good. Raises OSError."""
        self.trashed(kept).unlink(missing_ok=True)
        for small in self.thumbnails.glob(f"{kept.id}-*.webp"):
            small.unlink(missing_ok=True)


GALLERY: web.AppKey[Gallery] = web.AppKey("gallery", Gallery)
