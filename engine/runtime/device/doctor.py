"""What this machine can run, and what is in the way: ``python server.py doctor``.

How long a step takes is estimated from a matrix product measured here and the arithmetic of the networks: one call of
the SD 1.5 UNet at 512 x 512 takes about 0.8e12 floating point operations, of SD 2.x at 768 x 768 about 2.3e12 (twice
the multiply-accumulates that a count over the layers of the published configurations gives); a step with guidance
takes two calls.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import torch

from engine.comfy.packs import SHORT_HASH, fingerprint, pack_paths
from engine.files.folders import Folders
from engine.runtime.device.probe import choose_device, probe

Level = Literal["ok", "note", "fail"]
GIB = 2**30
OLDEST_PYTHON = (3, 11)
LITTLE_DISK = 2 * GIB
# Bytes of all weights with two bytes each, and of what a step needs beside them, at the size given: rounded up.
FAMILIES = (
    ("SD 1.x, 512 x 512", 2.2 * GIB, 1.2 * GIB, 0.8e12),
    ("SD 2.x, 768 x 768", 2.7 * GIB, 2.4 * GIB, 2.3e12),
)
MEASURED = 1024  # rows of the matrices that are multiplied
MEASURED_SECONDS = 0.5


@dataclass(frozen=True)
class Finding:
    """Something that is well, worth knowing, or in the way."""

    level: Level
    text: str


def examine(
    folders: Folders, data: Path, root: Path, *, cpu: bool, packs: Sequence[Path] = (), are_on: bool = False,
) -> list[Finding]:
    """Look at the machine, the folders and the models. Raises nothing.

    root: where Easel's files are. packs: the folders of node packs; are_on: the flags switch them on.
    """
    return [*_programs(), *_places(folders, data, root), *_packs(packs, are_on=are_on), *_device(cpu)]


def _packs(directories: Sequence[Path], *, are_on: bool) -> Iterator[Finding]:
    """Node packs with the hash of their programs, by which they can be allowed; nothing of them is run."""
    for path in pack_paths(directories):
        try:
            programs = fingerprint(path)[:SHORT_HASH]
        except OSError as error:
            yield Finding("note", f"node pack {path.name} cannot be read: {error.strerror or error}")
            continue
        state = "switched on" if are_on else "off, for packs may do anything you may; see --custom-nodes"
        yield Finding("note", f"node pack {path.stem}@{programs}: {state}")


def _programs() -> Iterator[Finding]:
    level: Level = "ok" if sys.version_info >= OLDEST_PYTHON else "fail"
    yield Finding(level, f"Python {platform.python_version()} on {platform.platform()}")
    yield Finding("ok", f"PyTorch {torch.__version__}, SQLite {sqlite3.sqlite_version}")
    if torch.version.cuda is not None and not torch.cuda.is_available():
        yield Finding("note", f"PyTorch is built for CUDA {torch.version.cuda}, but finds no such device; is the"
                              " driver there? Easel runs on the CPU meanwhile")


def _places(folders: Folders, data: Path, root: Path) -> Iterator[Finding]:
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data, prefix=".doctor-") as folder:
            first = Path(folder) / "a"
            first.write_bytes(b"x")
            try:
                os.link(first, Path(folder) / "b")
            except OSError:
                yield Finding("note", f"{data}: the file system has no hard links; two programs that write to one"
                                      " output folder at the same moment could take one name")
        free = shutil.disk_usage(data).free
    except OSError as error:
        yield Finding("fail", f"{data}: nothing can be written there: {error.strerror or error}; name another folder"
                              " with --data-directory")
    else:
        level: Level = "ok" if free >= LITTLE_DISK else "note"
        yield Finding(level, f"{data} can be written; {free / GIB:.1f} GiB are free")
    models = folders.list("checkpoints")
    if models:
        yield Finding("ok", f"{len(models)} checkpoints, the first is {models[0]}")
    else:
        yield Finding("note", "there is no checkpoint; put one into models/checkpoints/, or run make run, which makes"
                              " a small one to try with")
    if not (root / "web" / "dist" / "index.html").is_file():
        yield Finding("note", "the editor is not built (web/dist is not there); programs can use the server")


def _device(cpu: bool) -> Iterator[Finding]:
    device = choose_device(cpu)
    found = probe(device)
    yield Finding("ok", f"device {found.name}: {found.free / GIB:.1f} of {found.total / GIB:.1f} GiB are free;"
                        f" {psutil.cpu_count(logical=False) or 1} cores")
    kind = torch.float16 if device.type == "cuda" else torch.float32
    speed = _speed(device, kind)
    bytes_each = torch.tensor([], dtype=kind).element_size()
    for name, weights, work, operations in FAMILIES:
        needed = (weights + work) * bytes_each / 2
        step = 2 * operations / speed
        text = f"{name}: about {needed / GIB:.1f} GiB in {str(kind).removeprefix('torch.')}, {step:.2g} s a step"
        if needed <= found.free:
            yield Finding("ok", f"{text} at best")
        else:
            yield Finding("note", f"{text}, which is more than is free: close other programs, or expect it to be slow")


def _speed(device: torch.device, kind: torch.dtype) -> float:
    """Floating point operations a second in a matrix product: more than any network reaches."""
    size = MEASURED * (4 if device.type == "cuda" else 1)
    a = torch.ones(size, size, dtype=kind, device=device)

    def multiply() -> None:
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    multiply()
    count, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < MEASURED_SECONDS or count == 0:
        multiply()
        count += 1
    return float(2.0 * size**3 * count / seconds)
