"""Texts that pictures and latents carry: the graph that made them.

PNG keeps them in text chunks, WebP and JPEG in EXIF tags that begin with ``name:``, safetensors files in
``__metadata__``. A1111 puts its text of parameters into EXIF's UserComment.
Everything is bounded: no more is unpacked or copied than the limits, whatever a file claims of itself.

>>> blob = write_webp_exif({"prompt": "{}"})
>>> read_exif(blob)
{'prompt': '{}'}
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
EXIF_PREFIX = b"Exif\x00\x00"
MAX_TEXT = 32 * 2**20  # bytes of one text, unpacked
MAX_TOTAL = 64 * 2**20  # bytes of all texts of a file
MAX_HEADER = 100 * 2**20  # bytes of a safetensors header, the limit of its own library
MAX_CHUNKS = 1_000_000
MODEL, MAKE = 0x0110, 0x010F  # EXIF tags; further texts go downwards from MAKE
LOWEST_TAG = 0x0001
ASCII = 2
LONG, UNDEFINED = 4, 7
EXIF_DIRECTORY, USER_COMMENT = 0x8769, 0x9286
CHARACTER_CODES = {b"UNICODE\x00": "utf-16", b"ASCII\x00\x00\x00": "utf-8", bytes(8): "utf-8"}  # EXIF 2.32, 4.6.5
T = TypeVar("T")


class TensorShape(msgspec.Struct, frozen=True):
    """A tensor of a safetensors file."""

    dtype: str
    shape: tuple[int, ...]


class MetadataError(ValueError):
    """A file's texts cannot be read; says what is wrong with which part."""


class _Header(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)


def read_metadata(source: bytes | Path) -> dict[str, str]:
    """Read the texts of a PNG, WebP, JPEG or safetensors file (``.latent`` too), by name; later ones win.

    Picture data is skipped, not read, and checksums are not compared: a damaged picture may still hold its graph.
    Raises MetadataError if the file is none of these, or a text is cut off or beyond the limits; OSError.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return _read_file(file, source.stat().st_size, source.name)
    return _read_file(io.BytesIO(source), len(source), "the data")


def _read_file(file: BinaryIO, size: int, name: str) -> dict[str, str]:
    head = file.read(12)
    budget = _Budget()
    if head.startswith(PNG):
        file.seek(len(PNG))
        return _read_png(file, size, budget)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _read_webp(file, size, budget)
    if head.startswith(JPEG):
        file.seek(2)
        return _read_jpeg(file, size, budget)
    if len(head) >= 9 and head[8:9] == b"{":
        file.seek(0)
        return _read_safetensors(file, size)
    raise MetadataError(f"{name} is no PNG, WebP, JPEG or safetensors file: it begins with {head[:8]!r}")


class _Budget:
    """How many bytes of text may still be taken."""

    def __init__(self) -> None:
        self.left = MAX_TOTAL

    def take(self, count: int, place: str) -> None:
        if count > MAX_TEXT or count > self.left:
            raise MetadataError(f"{place} is too long: one text may have {MAX_TEXT} bytes, all together {MAX_TOTAL}")
        self.left -= count


# -- PNG ---------------------------------------------------------------------------------------------------------


def _read_png(file: BinaryIO, size: int, budget: _Budget) -> dict[str, str]:
    """Walk over the chunks; a file that ends early gives the texts before its end."""
    texts: dict[str, str] = {}
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        start = file.tell()
        decode = PNG_TEXTS.get(kind)
        if decode is not None:
            place = f"the {kind.decode()} chunk at byte {start - 8}"
            if start + length > size:
                raise MetadataError(f"{place} is cut off: it has {size - start} of {length} bytes")
            budget.take(length, place)
            found = decode(file.read(length), place, budget)
            if found is not None:
                texts[found[0]] = found[1]
        if kind == b"IEND" or start + length + 4 > size:
            break
        file.seek(start + length + 4)
    return texts


def _decode_text(data: bytes, place: str, budget: _Budget) -> tuple[str, str] | None:
    keyword, separator, text = data.partition(b"\x00")
    return (_text(keyword), _text(text)) if separator else None


def _decode_compressed(data: bytes, place: str, budget: _Budget) -> tuple[str, str] | None:
    keyword, separator, rest = data.partition(b"\x00")
    if not separator or not rest:
        return None
    if rest[0] != 0:
        raise MetadataError(f"{place} is packed by method {rest[0]}; only 0 (deflate) is known")
    return _text(keyword), _text(_inflate(rest[1:], place, budget))


def _decode_international(data: bytes, place: str, budget: _Budget) -> tuple[str, str] | None:
    keyword, separator, rest = data.partition(b"\x00")
    parts = rest[2:].split(b"\x00", 2)
    if not separator or len(rest) < 2 or len(parts) < 3:
        return None
    packed, method, text = rest[0], rest[1], parts[2]
    if packed and method != 0:
        raise MetadataError(f"{place} is packed by method {method}; only 0 (deflate) is known")
    return _text(keyword), _text(_inflate(text, place, budget) if packed else text)


PNG_TEXTS: Mapping[bytes, Callable[[bytes, str, _Budget], tuple[str, str] | None]] = {
    b"tEXt": _decode_text,
    b"zTXt": _decode_compressed,
    b"iTXt": _decode_international,
    b"comf": _decode_text,  # ComfyUI's own, in animated pictures
}


def _inflate(data: bytes, place: str, budget: _Budget) -> bytes:
    unpacker = zlib.decompressobj()
    limit = min(MAX_TEXT, budget.left)
    try:
        text = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise MetadataError(f"{place} cannot be unpacked: {error}") from error
    budget.take(len(text), f"{place}, unpacked,")
    if not unpacker.eof:
        raise MetadataError(f"{place} cannot be unpacked: it is cut off")
    return text


def _text(data: bytes) -> str:
    """The standard says Latin-1 for two of the chunks, but what is written today is UTF-8, or ASCII, which is both."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


# -- WebP --------------------------------------------------------------------------------------------------------


def _read_webp(file: BinaryIO, size: int, budget: _Budget) -> dict[str, str]:
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return {}
        kind, length = struct.unpack("<4sI", head)
        start = file.tell()
        if kind == b"EXIF":
            if start + length > size:
                raise MetadataError(f"the EXIF chunk at byte {start - 8} is cut off")
            budget.take(length, "the EXIF chunk")
            return read_exif(file.read(length))
        if start + length > size:
            return {}
        file.seek(start + length + length % 2)
    return {}


# -- JPEG --------------------------------------------------------------------------------------------------------


def _read_jpeg(file: BinaryIO, size: int, budget: _Budget) -> dict[str, str]:
    """Walk over the segments before the picture's data (ITU-T T.81, B.1)."""
    for _ in range(MAX_CHUNKS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            break
        if head[1] == 0xFF:  # any number of these may stand before a marker
            file.seek(-3, io.SEEK_CUR)
            continue
        kind, (length,) = head[1], struct.unpack(">H", head[2:])
        if kind in (0xDA, 0xD9) or length < 2:
            break
        start = file.tell()
        if kind == 0xE1 and file.read(len(EXIF_PREFIX)) == EXIF_PREFIX:
            if start + length - 2 > size:
                raise MetadataError(f"the EXIF segment at byte {start - 4} is cut off")
            budget.take(length, "the EXIF segment")
            return read_exif(file.read(length - 2 - len(EXIF_PREFIX)))
        file.seek(start + length - 2)
    return {}


# -- EXIF --------------------------------------------------------------------------------------------------------


def read_exif(data: bytes) -> dict[str, str]:
    """Read the texts ``name:text`` among the first directory's ASCII tags, and ``parameters`` out of UserComment.

    Either byte order will do.

    Raises MetadataError if the data is no TIFF structure or a text lies outside of it.
    """
    data = data.removeprefix(EXIF_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        raise MetadataError(f"EXIF data begins with II or MM; found {data[:2]!r}")
    magic, offset = struct.unpack_from(f"{order}HI", data, 2)
    if magic != 42 or offset + 2 > len(data):
        raise MetadataError(f"EXIF data has no directory at byte {offset}")
    budget = _Budget()
    texts: dict[str, str] = {}
    for tag, value in _ascii_tags(data, order, offset):
        budget.take(len(value), f"EXIF tag {tag:#06x}")
        name, separator, text = _text(value.rstrip(b"\x00")).partition(":")
        if separator and name:
            texts[name] = text
    comment = _user_comment(data, order, offset)
    if comment:
        name, _, text = comment.partition(":")
        texts.setdefault(*((name, text) if name in ("prompt", "workflow") else ("parameters", comment)))
    return texts


def _user_comment(data: bytes, order: str, offset: int) -> str:
    """The comment in the EXIF directory that the first one points to; empty if there is none."""
    place = next((where for tag, kind, _, where in _entries(data, order, offset)
                  if (tag, kind) == (EXIF_DIRECTORY, LONG)), None)
    if place is None or place + 2 > len(data):
        return ""
    for tag, kind, length, where in _entries(data, order, place):
        if (tag, kind) != (USER_COMMENT, UNDEFINED) or length <= 8:
            continue
        if where + length > len(data):
            raise MetadataError(f"the EXIF comment is cut off: it ends at byte {where + length} of {len(data)}")
        code = CHARACTER_CODES.get(data[where : where + 8])
        text = data[where + 8 : where + length]
        if code == "utf-16":
            return _utf_16(text, order)
        return _text(text).strip("\x00 ") if code else ""
    return ""


def _utf_16(text: bytes, order: str) -> str:
    """Programs do not agree on the byte order: the one in which ASCII letters come out is meant."""
    high = sum(not each for each in text[::2]), sum(not each for each in text[1::2])
    if high[0] != high[1]:
        order = ">" if high[0] > high[1] else "<"
    return text.decode("utf-16-be" if order == ">" else "utf-16-le", errors="replace").strip("\x00\ufeff ")


def _ascii_tags(data: bytes, order: str, offset: int) -> Iterator[tuple[int, bytes]]:
    for place, (tag, kind, length, where) in enumerate(_entries(data, order, offset)):
        if kind != ASCII or not LOWEST_TAG <= tag <= MODEL:
            continue
        start = offset + 2 + 12 * place + 8 if length <= 4 else where
        if start + length > len(data):
            raise MetadataError(f"EXIF tag {tag:#06x} is cut off: it ends at byte {start + length} of {len(data)}")
        yield tag, data[start:start + length]


def _entries(data: bytes, order: str, offset: int) -> Iterator[tuple[int, int, int, int]]:
    """The entries of a directory: tag, type, count, and the value or where it stands."""
    (count,) = struct.unpack_from(f"{order}H", data, offset)
    for index in range(count):
        entry = offset + 2 + 12 * index
        if entry + 12 > len(data):
            raise MetadataError(f"the EXIF directory is cut off after {index} of {count} entries")
        yield struct.unpack_from(f"{order}HHII", data, entry)


def write_webp_exif(texts: Mapping[str, str]) -> bytes:
    """Write EXIF data as ComfyUI does: ``prompt`` in tag 0x0110, the others from 0x010F downwards, ``workflow`` first.

    For Pillow's ``image.save(…, exif=…)``. Raises ValueError if there are more texts than tags.
    """
    others = sorted((name for name in texts if name != "prompt"), key=lambda name: name != "workflow")
    if len(others) > MAKE - LOWEST_TAG + 1:
        raise ValueError(f"EXIF data has room for {MAKE - LOWEST_TAG + 2} texts; found {len(texts)}")
    tags = {MODEL: "prompt"} if "prompt" in texts else {}
    tags.update({MAKE - index: name for index, name in enumerate(others)})
    entries, values = [], []
    position = 8 + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):  # the standard wants them in order
        value = f"{tags[tag]}:{texts[tags[tag]]}".encode() + b"\x00"
        inline = len(value) <= 4
        where = value.ljust(4, b"\x00") if inline else struct.pack("<I", position)
        entries.append(struct.pack("<HHI", tag, ASCII, len(value)) + where)
        if not inline:
            values.append(value + b"\x00" * (len(value) % 2))
            position += len(values[-1])
    head = b"II" + struct.pack("<HIH", 42, 8, len(tags))
    return b"".join([head, *entries, struct.pack("<I", 0), *values])


# -- safetensors -------------------------------------------------------------------------------------------------


def read_shapes(path: Path) -> dict[str, TensorShape]:
    """The tensors of a safetensors file by name, from its header alone. Raises MetadataError, OSError."""
    with path.open("rb") as file:
        header = _read_header(file, path.stat().st_size, dict[str, msgspec.Raw])
    header.pop("__metadata__", None)
    try:
        return {name: msgspec.json.decode(entry, type=TensorShape) for name, entry in header.items()}
    except (msgspec.DecodeError, RecursionError) as error:
        raise MetadataError(f"the safetensors header is malformed: {error}") from error


def _read_safetensors(file: BinaryIO, size: int) -> dict[str, str]:
    return _read_header(file, size, _Header).metadata


def _read_header(file: BinaryIO, size: int, wanted: type[T]) -> T:
    if size < 8:
        raise MetadataError(f"a safetensors file has at least 8 bytes; this one has {size}")
    (length,) = struct.unpack("<Q", file.read(8))
    if length > min(size - 8, MAX_HEADER):
        raise MetadataError(
            f"the safetensors header claims {length} bytes; the file has {size - 8}, the limit is {MAX_HEADER}"
        )
    try:
        return msgspec.json.decode(file.read(length), type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MetadataError(f"the safetensors header is malformed: {error}") from error
    except RecursionError as error:
        raise MetadataError("the safetensors header is nested too deeply") from error
