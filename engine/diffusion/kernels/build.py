"""The compiled kernels: built once for this machine, kept, and loaded. Where that fails, nothing needs them.

A plain C library without torch's headers, so that it is compiled in seconds; it shares torch's OpenMP threads. This
module imports no torch, so that a build can begin before torch is imported.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

SOURCE = Path(__file__).parent / "amx.cpp"
OPTIONS = (
    "-O3", "-std=c++17", "-fPIC", "-shared", "-fopenmp", "-march=sapphirerapids", "-ffp-contract=off", "-w",
)  # fmt: skip
COMPILERS = ("g++", "clang++", "c++")
LONGEST_BUILD = 120.0  # seconds
NEEDED = frozenset({"amx_bf16", "avx512_bf16", "avx512_fp16"})  # what -march=sapphirerapids supposes, and more


def supported() -> bool:
    """Whether this processor and system can run the kernels."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return sys.platform == "linux" and set(flags) >= NEEDED


def kept_at() -> Path:
    """The file that the library is kept in: named by its source, its options and the compiler's place."""
    key = hashlib.sha256(SOURCE.read_bytes())
    key.update("\0".join((*OPTIONS, _compiler() or "")).encode())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "easel" / f"kernels-{key.hexdigest()[:16]}.so"


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The library, built now if need be. Raises RuntimeError where it cannot be had; `available` says so first."""
    loaded = _load()
    if isinstance(loaded, str):
        raise RuntimeError(f"the compiled kernels cannot be had: {loaded}")
    return loaded


def available() -> bool:
    """Whether the kernels can be used; waits for a build that has begun, and begins one."""
    return not isinstance(_load(), str)


def why_not() -> str:
    """Why the kernels cannot be used, for the doctor and the log; empty where they can."""
    loaded = _load()
    return loaded if isinstance(loaded, str) else ""


def prepare() -> None:
    """Build the kernels in the background, so that `available` need not wait.

    They are not loaded yet: torch has to be first, whose own copy of the OpenMP library they are to share.
    """
    threading.Thread(target=_prepare, name="kernels", daemon=True).start()


_lock = threading.Lock()
_loaded: list[ctypes.CDLL | str] = []


def _load() -> ctypes.CDLL | str:
    with _lock:
        if not _loaded:
            _loaded.append(_open())
        return _loaded[0]


def _prepare() -> None:
    with _lock:
        if not _loaded and isinstance(built := _built(), str):
            _loaded.append(built)


def _built() -> Path | str:
    """The library's file, built now if need be; or why there is none."""
    if not supported():
        return "the processor lacks " + ", ".join(sorted(NEEDED))
    try:
        path = kept_at()
        if not path.is_file():
            _build(path)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return str(error)
    return path


def _open() -> ctypes.CDLL | str:
    built = _built()
    if isinstance(built, str):
        return built
    try:
        library = ctypes.CDLL(str(built))
    except OSError as error:
        return str(error)
    if library.easel_begin() != 0:
        return "the system grants no tile registers"
    for name in ("product", "fold", "attention", "group_norm", "pad", "layer_norm"):
        getattr(library, f"easel_{name}").restype = None
    return library


def _compiler() -> str | None:
    named = os.environ.get("CXX")
    return next((found for name in (named, *COMPILERS) if name and (found := shutil.which(name))), None)


def _build(path: Path) -> None:
    compiler = _compiler()
    if compiler is None:
        raise RuntimeError("there is no C++ compiler (g++ or clang++)")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "kernels.so"
        done = subprocess.run(  # noqa: S603 - a compiler that was found on the path, on a file of our own
            [compiler, *OPTIONS, str(SOURCE), "-o", str(made)], capture_output=True, text=True, timeout=LONGEST_BUILD,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{compiler} failed: {done.stderr.strip()[-400:]}")
        made.replace(path)  # at once, so that another process sees all of it or nothing
