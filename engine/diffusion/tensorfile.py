"""What a weight file holds, read from its index alone: names, shapes, types, metadata. Nothing in a file is ever run.

`.safetensors` headers are bounded and checked here before any other code sees them; pickles are read weights-only.
"""

import _codecs
import io
import json
import math
import os
import pickletools
import re
import struct
import types
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple, TypeGuard, cast

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

LONGEST_HEADER = 32 * 2**20  # a published checkpoint's is 0.3 MB; the format itself allows 100 MB
MOST_MARKS = 1_000_000  # brackets, braces and commas: a tensor has about eight, and each may cost 200 bytes once read
LONGEST_PICKLE = 2 * 2**20  # of names and shapes; a published checkpoint's is 0.3 MB. One byte of it may cost 100
LEGACY = re.compile(rb"\x80[\x02\x03]\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.")  # how torch files from before 1.6 start
LEGACY_PICKLES = 4  # at their start: the magic number, a version, the machine, and what was saved
ALLOCATOR = re.compile(rb"c((?:builtins|__builtin__)\nbytearray)\n")  # torch allows it: 30 bytes ask for a terabyte
MOST_DIMENSIONS = 8
BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
TYPE_NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
READ_TYPES = {name: dtype for dtype, name in TYPE_NAMES.items()} | {
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu,
    "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64, "C64": torch.complex64,
}  # fmt: skip
READERS = 4  # threads that read pieces of a large tensor
PIECE = 8 * 2**20  # bytes
# Dictionaries that trainers put around the tensors.
WRAPPERS = ("state_dict", "model", "params_ema", "params-ema", "params", "net", "adapter")

# Classes of the trainer that published files mention as dictionary keys. They are replaced by empty stand-ins.
INERT_CLASSES = (
    ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
    ("lightning.pytorch.callbacks.model_checkpoint", "ModelCheckpoint"),
)


class CheckpointError(ValueError):
    """A weight file that cannot be used: which file, what was found, what was wanted, what to do next."""

    def __init__(self, path: Path, found: str, wanted: str, next_move: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(f"{path.name}: found {found}; wanted {wanted}. {next_move}")
        self.path, self.found, self.wanted, self.next_move = path, found, wanted, next_move
        self.problems = problems  # every single key, where the message names only the first ones


class Stamp(NamedTuple):
    """Which state of a file was read."""

    size: int
    mtime_ns: int
    inode: int


class Entry(NamedTuple):
    """One tensor of a file; the type is spelled as in safetensors."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Size in the file."""
        return math.prod(self.shape) * BYTES[self.dtype]


@dataclass(frozen=True, eq=False)
class TensorFile:
    """The index of a weight file, or of several that hold one network together.

    shards: the files after the first; shard_of: keys to the number of their file, 0 (the first) where it says nothing.
    """

    path: Path
    stamp: Stamp
    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
    shards: tuple[tuple[Path, Stamp], ...] = ()
    shard_of: Mapping[str, int] = field(default_factory=dict)


class Place(NamedTuple):
    """Where in an open file the numbers of a tensor lie."""

    path: Path
    file: int  # descriptor
    start: int
    dtype: torch.dtype

    def cut_short(self, name: str) -> CheckpointError:
        """The file ends before the tensor does."""
        return CheckpointError(self.path, f"{name} cut short", "a whole safetensors file", "Fetch it again.")


@dataclass(frozen=True, eq=False)
class Reader:
    """Gives a file's tensors by their keys. place: where one lies, if it can be read from there as it is."""

    read: Callable[[str], Tensor]
    place: Callable[[str], Place | None] = lambda key: None

    def __call__(self, key: str) -> Tensor:
        """The tensor on the CPU."""
        return self.read(key)


def stamp(path: Path) -> Stamp:
    """The file's present state; CheckpointError when there is no such file."""
    try:
        status = path.stat()
    except OSError as error:
        raise CheckpointError(
            path, f"no readable file ({error.strerror})", "a weight file", "Check the name."
        ) from None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


def read_index(path: Path) -> TensorFile:
    """Names, shapes and types of a file's tensors. Raises CheckpointError for anything that is not a weight file."""
    before = stamp(path)
    if not path.is_file():
        raise CheckpointError(path, "no regular file", "a weight file", "Choose a file.")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(path, "a Git LFS pointer", "the weights themselves", "Fetch the real file.")
    pickled = _is_pickle(start)
    if path.suffix.lower() == ".safetensors" or (not pickled and start[8:9] == b"{"):
        if pickled:
            raise CheckpointError(
                path, "a pickle", "a safetensors file, as the name says",
                "If you trust where it came from, rename it to .ckpt: it is then read without running anything in it.",
            )  # fmt: skip
        entries, metadata = _read_header(path, before.size)
    else:
        tensors = _load_pickle(path)
        entries = {name: _entry(path, name, tensor) for name, tensor in tensors.items()}
        metadata = {}
    return TensorFile(path, before, entries, metadata)


@contextmanager
def open_tensors(path: Path, passing: Collection[str] = ()) -> Iterator[Reader]:
    """A function from a key to its tensor on the CPU, in the file's own type.

    A pickle's may share memory with the file; a safetensors file's are read into memory of their own, by several
    threads where they are large, so that no pages of the file stay with the process. passing: keys that are asked for
    one after another, by one thread at a time: such a tensor is good until the next one is read, in the same memory.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if _is_pickle(start):
        yield Reader(_load_pickle(path).__getitem__)
        return
    try:
        with safe_open(path, framework="pt", device="cpu") as tensors:
            tensors.keys()  # checked as a whole by the format's own library; it is not asked for numbers
    except SafetensorError as error:
        raise CheckpointError(path, f"a broken file ({error})", "a whole safetensors file", "Fetch it again.") from None
    places = _places(path)
    passing = frozenset(passing)
    shared: Tensor | None = None
    with path.open("rb", buffering=0) as raw, ThreadPoolExecutor(READERS) as pool:

        def read(key: str) -> Tensor:
            nonlocal shared
            entry, start = places[key]
            if key not in passing:
                data = torch.empty(entry.nbytes, dtype=torch.uint8)
            else:
                if shared is None:
                    shared = torch.empty(max(places[each][0].nbytes for each in passing), dtype=torch.uint8)
                data = shared[: entry.nbytes]
            view = memoryview(cast(Any, data.numpy()))
            cuts = range(0, entry.nbytes, PIECE)
            pieces = [(view[cut : cut + PIECE], start + cut) for cut in cuts]
            take = partial(_read_piece, raw.fileno())
            if not all(pool.map(take, pieces) if len(pieces) > 1 else map(take, pieces)):
                raise place(key).cut_short(key)
            return data.view(READ_TYPES[entry.dtype]).view(entry.shape)

        def place(key: str) -> Place:
            entry, start = places[key]
            return Place(path, raw.fileno(), start, READ_TYPES[entry.dtype])

        yield Reader(read, place)


def check_numbers(path: Path, key: str, tensor: Tensor) -> None:
    """Raise CheckpointError that names file, key and shape if a tensor of a file holds NaN or infinity."""
    numbers = tensor if tensor.itemsize > 1 else tensor.float()  # torch compares no 8-bit floats
    if not bool(numbers.isfinite().all()):
        raise CheckpointError(
            path, f"{key} {list(tensor.shape)} with NaN or infinity in it", "numbers",
            "Its training failed or the file is damaged: use an earlier one, or fetch it again.",
        )  # fmt: skip


def _read_piece(descriptor: int, piece: tuple[memoryview, int]) -> bool:
    """Fill a view from a place in a file; False where the file ends before."""
    view, start = piece
    while view:
        count = os.preadv(descriptor, [view], start)
        if count == 0:
            return False
        view, start = view[count:], start + count
    return True


def _places(path: Path) -> dict[str, tuple[Entry, int]]:
    """Each tensor of a safetensors file that has been checked, and where its bytes begin."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return {
        name: (Entry(tuple(value["shape"]), value["dtype"]), 8 + length + value["data_offsets"][0])
        for name, value in header.items()
    }


def read_ahead(path: Path) -> None:
    """Have the system read a file into its cache in the background; nothing happens where it does not know how."""
    if not hasattr(os, "posix_fadvise"):
        return
    try:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
    except OSError:
        return


def _is_pickle(start: bytes) -> bool:
    """Whether a file starts like torch's archives or a bare pickle. A safetensors header's length may look like one."""
    return start.startswith((b"PK\x03\x04", b"\x80")) and start[8:9] != b"{"


def _read_header(path: Path, size: int) -> tuple[dict[str, Entry], dict[str, str]]:
    def refuse(found: str) -> CheckpointError:
        return CheckpointError(
            path, found, "a safetensors file", "The file is damaged or something else: fetch it again."
        )

    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise refuse(f"{size} bytes")
        (length,) = struct.unpack("<Q", prefix)
        if length > LONGEST_HEADER:
            raise refuse(f"a header of {length} bytes (at most {LONGEST_HEADER} are read)")
        if length > size - 8:
            raise refuse(f"a header of {length} bytes in a file of {size}")
        raw = file.read(length)
    if (marks := sum(raw.count(mark) for mark in (b"[", b"{", b","))) > MOST_MARKS:
        raise refuse(f"a header of {marks} parts (at most {MOST_MARKS} are read)")
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise refuse(f"a header that is not JSON ({type(error).__name__})") from None
    if not isinstance(header, dict):
        raise refuse("a header that is not an object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise refuse("metadata that is not text")
    space = size - 8 - length
    return {name: _header_entry(name, value, space, refuse) for name, value in header.items()}, metadata


def _header_entry(name: str, value: Any, space: int, refuse: Callable[[str], CheckpointError]) -> Entry:
    shown = name if len(name) <= 80 else name[:80] + "…"
    if not isinstance(value, dict):
        raise refuse(f"tensor {shown!r} without a description")
    shape, dtype, offsets = value.get("shape"), value.get("dtype"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise refuse(f"tensor {shown!r} of unknown type {str(dtype)[:40]!r}")
    if not _naturals(shape) or len(shape) > MOST_DIMENSIONS or not _naturals(offsets) or len(offsets) != 2:
        raise refuse(f"tensor {shown!r} with a broken shape or place")
    start, end = offsets
    if not start <= end <= space:
        raise refuse(f"tensor {shown!r} at bytes {start} to {end} of {space} (the file was cut short)")
    entry = Entry(tuple(shape), dtype)
    if entry.nbytes != end - start:
        raise refuse(f"tensor {shown!r} of shape {shape} in {end - start} bytes")
    return entry


def _naturals(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _entry(path: Path, name: str, tensor: Tensor) -> Entry:
    if tensor.dtype not in TYPE_NAMES:
        raise CheckpointError(
            path, f"tensor {name!r} of type {tensor.dtype}", "ordinary numbers", "Convert the file to fp16 or fp32."
        )
    return Entry(tuple(tensor.shape), TYPE_NAMES[tensor.dtype])


def _load_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a torch file."""
    return {name: tensor for name, tensor in _unwrap(path, read_pickle(path)).items() if isinstance(tensor, Tensor)}


def read_pickle(path: Path, allowed: tuple[type, ...] = ()) -> Any:
    """What a torch file holds, read weights-only and mapped, not copied, where the format allows it.

    allowed: further classes that are mere containers. Raises CheckpointError; nothing in the file is run.
    """
    _check_pickle(path, _pickles(path))
    with torch.serialization.safe_globals([*_harmless(), *allowed]):
        try:
            try:
                data = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as error:
                if "mmap" not in str(error):
                    raise
                data = torch.load(path, map_location="cpu", weights_only=True)  # written before torch 1.6
        except UnpicklingError as error:
            raise _unsafe(path, error) from None
        except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, OSError, IndexError) as error:
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise CheckpointError(
                path, f"a file that torch cannot read ({reason})", "a torch or safetensors file",
                "It is damaged or something else: fetch it again.",
            ) from None  # fmt: skip
    return data


def _pickles(path: Path) -> bytes:
    """What of a torch file is pickled: names and shapes, without the numbers. CheckpointError if that is too much.

    Archives must not unpack to more than they are: torch never compresses, so such a file is a bomb.
    """
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            start = file.read(LONGEST_PICKLE)
        if not LEGACY.match(start):
            raise CheckpointError(
                path, f"{size} bytes that are no whole torch file", "a torch or safetensors file",
                "It is damaged or something else: fetch it again.",
            )  # fmt: skip
        return start
    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(member.file_size for member in archive.infolist())
            if inflated > size:
                raise CheckpointError(
                    path, f"an archive of {size} bytes that unpacks to {inflated}", "torch's uncompressed format",
                    "Do not trust this file; ask its author for .safetensors.",
                )  # fmt: skip
            names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
            longest = max((archive.getinfo(name).file_size for name in names), default=0)
            if longest > LONGEST_PICKLE:
                raise CheckpointError(
                    path, f"a pickle of {longest} bytes", f"names and shapes in at most {LONGEST_PICKLE}",
                    "Ask its author for .safetensors.",
                )  # fmt: skip
            return b"".join(archive.read(name) for name in names)
    except CheckpointError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(path, f"a damaged archive ({error})", "a torch file", "Fetch it again.") from None


def _check_pickle(path: Path, pickled: bytes) -> None:
    """Refuse pickles that would take far more memory than their size, before anything is built from them."""
    if call := ALLOCATOR.search(pickled):
        name = call[1].decode().replace("\n", ".")
        raise CheckpointError(
            path, f"a pickle that would call {name}", "a file of weights only",
            "Nothing in it was run. Ask its author for .safetensors.", (name,),
        )  # fmt: skip
    if not LEGACY.match(pickled):
        return
    stream = io.BytesIO(pickled)
    try:  # where the pickles end and the numbers begin is only known by going through them
        for _ in range(LEGACY_PICKLES):
            for _operation in pickletools.genops(stream):
                pass
    except (ValueError, IndexError, OverflowError) as error:
        raise CheckpointError(
            path, f"a pickle that is damaged, or longer than {LONGEST_PICKLE} bytes ({error})", "a torch file",
            "Fetch it again, or ask its author for .safetensors.",
        ) from None  # fmt: skip


def _unsafe(path: Path, error: UnpicklingError) -> CheckpointError:
    with torch.serialization.safe_globals(_harmless()):
        try:
            found = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        except Exception:  # noqa: BLE001  (a legacy or broken pickle: the reader's own words must do)
            found = []
    found = found or re.findall(r"GLOBAL ([\w.]+)", str(error))
    names = ", ".join(found[:10]) if found else str(error).splitlines()[0][:200]
    return CheckpointError(
        path, f"a pickle that would call {names}" if found else f"a pickle that is not only weights ({names})",
        "a file of weights only", "Nothing in it was run. Ask its author for .safetensors.", tuple(found),
    )  # fmt: skip


def _harmless() -> list[Any]:
    """What published files mention besides tensors (models.md, 4.1): numbers of numpy's, and inert stand-ins."""
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    kinds = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    stubs = []
    for module, name in INERT_CLASSES:
        stub = types.new_class(name)
        stub.__module__ = module
        stubs.append(stub)
    # numpy 1 wrote numpy.core, numpy 2 writes numpy._core: both names are the same function
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds, _codecs.encode, *stubs]


def _unwrap(path: Path, data: Any) -> dict[str, Any]:
    for _ in range(4):
        inner = next(
            (data[key] for key in WRAPPERS if isinstance(data, dict) and isinstance(data.get(key), dict)), None
        )
        if inner is None:
            break
        data = inner
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise CheckpointError(
            path, f"a {type(data).__name__}", "named tensors", "Choose a checkpoint; this may be another kind of file."
        )
    return data
