"""The disk tier of the value cache: values made of plain data and tensors, one file per wire, within a byte budget.

A file is named after the digest of what is in it, so a corrupt one is found when it is read, and dropped. Files are
written beside the executor, and only where reading back costs less than making the value again.
"""

from __future__ import annotations

import json
import logging
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from queue import Full, Queue
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from engine.diffusion.guidance import Area, AreaPart, Condition
from engine.graph.types import Conditioning, Image, Latent, Mask, Sigmas
from engine.runtime.cache import size_of
from engine.runtime.signature import digest, join

log = logging.getLogger(__name__)

SECONDS_PER_BYTE = 1 / 100e6  # of reading a file back and checking it
SECONDS_PER_FILE = 0.01
LARGEST_PART = 4  # of the budget: one value may take that fraction
WAITING = 16  # values that may wait to be written; more are not kept
KINDS: Mapping[str, type] = {
    each.__name__: each for each in (Image, Mask, Latent, Conditioning, Condition, Sigmas, Area, AreaPart)
}
"""The classes of values that can be written, besides plain data and tensors."""


class NotPlainError(TypeError):
    """A value holds something that cannot be written."""


def pack(items: tuple[Any, ...]) -> bytes:
    """Items as bytes: a length, JSON of their structure, and their tensors. Raises NotPlainError."""
    tensors: dict[str, torch.Tensor] = {}
    structure = json.dumps([_packed(each, tensors) for each in items]).encode()
    return struct.pack("<Q", len(structure)) + structure + save_tensors(tensors)


def unpack(data: bytes) -> tuple[Any, ...]:
    """The items again. Raises ValueError and whatever a damaged file makes the readers raise."""
    (length,) = struct.unpack_from("<Q", data)
    structure = json.loads(data[8 : 8 + length])
    tensors = load_tensors(data[8 + length :])
    return tuple(_unpacked(each, tensors) for each in structure)


def _packed(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, torch.Tensor):
        if value.device.type != "cpu" or value.is_sparse:
            raise NotPlainError(f"a tensor on {value.device}")
        name = str(len(tensors))
        tensors[name] = value.detach().contiguous().clone()  # each its own memory, as the format wants it
        return {"tensor": name}
    kind = type(value).__name__
    if KINDS.get(kind) is type(value):
        names: Any = getattr(value, "_fields", None) or [each.name for each in fields(KINDS[kind])]
        return {"kind": kind, "fields": {name: _packed(getattr(value, name), tensors) for name in names}}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise NotPlainError("a mapping whose keys are no texts")
        return {"mapping": {key: _packed(each, tensors) for key, each in value.items()}}
    if type(value) in (tuple, list):
        return {"tuple" if type(value) is tuple else "list": [_packed(each, tensors) for each in value]}
    raise NotPlainError(f"a {kind}")


def _unpacked(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((form, inner),) = list(value.items())[:1]
    if form == "tensor":
        return tensors[inner]
    if form == "mapping":
        return {key: _unpacked(each, tensors) for key, each in inner.items()}
    if form == "kind":
        return KINDS[inner](**{name: _unpacked(each, tensors) for name, each in value["fields"].items()})
    items = [_unpacked(each, tensors) for each in inner]
    return tuple(items) if form == "tuple" else items


class DiskTier:
    """Values on disk, by wire digest. ``put`` returns at once; a thread writes."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.budget = budget
        self.nbytes = 0
        self._folder = folder
        self._lock = threading.Lock()
        self._files: dict[bytes, tuple[Path, int]] = {}  # least recently used first
        self._queue: Queue[tuple[bytes, tuple[Any, ...]] | None] = Queue(WAITING)
        self._told = False
        self._find()
        self._thread = threading.Thread(target=self._write_all, name="disk cache", daemon=True)
        self._thread.start()

    def __contains__(self, wire: bytes) -> bool:
        """Whether a wire's items are on disk."""
        return wire in self._files

    def __len__(self) -> int:
        """How many wires are held."""
        return len(self._files)

    def get(self, wire: bytes) -> tuple[Any, ...] | None:
        """The items of a wire, or None; what is not what its name says is dropped."""
        with self._lock:
            entry = self._files.pop(wire, None)
            if entry is not None:
                self._files[wire] = entry
        if entry is None:
            return None
        try:
            items = unpack(entry[0].read_bytes())
            entry[0].touch()
        except Exception as error:  # noqa: BLE001 - a damaged file may make the readers raise anything
            log.warning("%s cannot be read and is dropped: %s", entry[0].name, error)
            self._drop(wire)
            return None
        digests = [digest(each) for each in items]
        if None in digests or join([each for each in digests if each is not None]) != wire:
            log.warning("%s is not what its name says and is dropped", entry[0].name)
            self._drop(wire)
            return None
        return items

    def put(self, wire: bytes, items: tuple[Any, ...], seconds: float) -> None:
        """Keep the items of a wire that took ``seconds`` to make, if that is worth it and they can be written."""
        nbytes = sum(map(size_of, items))
        worth = seconds > SECONDS_PER_FILE + nbytes * SECONDS_PER_BYTE
        if wire in self._files or not worth or nbytes > self.budget // LARGEST_PART:
            return
        with suppress(Full):
            self._queue.put_nowait((wire, items))

    def clear(self) -> None:
        """Forget everything."""
        for wire in list(self._files):
            self._drop(wire)

    def flush(self) -> None:
        """Wait until what was put is written."""
        self._queue.join()

    def close(self) -> None:
        """Write what waits and end."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _find(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            found = [(each, each.stat()) for each in self._folder.iterdir()]
        except OSError as error:
            log.warning("%s cannot be used, so no values are kept on disk: %s", self._folder, error)
            return
        for path, status in sorted(found, key=lambda each: each[1].st_mtime_ns):
            if path.suffix == ".value":
                with suppress(ValueError):
                    self._files[bytes.fromhex(path.stem)] = (path, status.st_size)
                    self.nbytes += status.st_size
            else:
                path.unlink(missing_ok=True)  # half a file of a worker that died
        self._shrink()

    def _write_all(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                self._write(*work)
            except NotPlainError:
                pass
            except OSError as error:  # the disk is full, or the folder cannot be written: the value is made again then
                if not self._told:
                    log.warning("%s cannot be written, so values are not kept on disk: %s", self._folder, error)
                self._told = True
            except Exception:
                log.exception("a value cannot be kept on disk")
            finally:
                self._queue.task_done()
        self._queue.task_done()

    def _write(self, wire: bytes, items: tuple[Any, ...]) -> None:
        digests = [digest(each) for each in items]
        if None in digests:
            return  # what has no digest of its own cannot be checked when it is read
        data = pack(items)
        path = self._folder / f"{wire.hex()}.value"
        part = path.with_suffix(".part")
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._files[wire] = (path, len(data))
            self.nbytes += len(data)
        self._shrink()

    def _shrink(self) -> None:
        while self.nbytes > self.budget and self._files:
            self._drop(next(iter(self._files)))

    def _drop(self, wire: bytes) -> None:
        with self._lock:
            entry = self._files.pop(wire, None)
            if entry is not None:
                self.nbytes -= entry[1]
        if entry is not None:
            with suppress(OSError):
                entry[0].unlink(missing_ok=True)
