"""Pictures that strangers send: what they are is decided by their content, where they go by ``contain``.

Nothing is decoded before its pixel count is known to be within bounds, and only the decoders listed here are used.

>>> sniff(b"\\x89PNG\\r\\n\\x1a\\n" + bytes(24)), sniff(b"<svg xmlns=")
('image/png', None)
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from engine.files.contain import OutsideError, contain
from engine.files.folders import PICTURES

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 2**26  # 8192 × 8192; as RGBA that is 256 MiB
MAX_SIDE = 32_768
MAX_COPIES = 10_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SNIFFED = 32
# What Pillow's decoders raise on broken files: any of these; AVIF's a RuntimeError.
BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, MemoryError, LookupError, TypeError, RuntimeError, ArithmeticError,
    AttributeError, struct.error,
)

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
)


class UploadError(ValueError):
    """What was sent cannot be taken; ``unsupported`` says that it is of a kind that is never taken."""

    def __init__(self, message: str, *, unsupported: bool = False) -> None:
        super().__init__(message)
        self.unsupported = unsupported


def sniff(start: bytes) -> str | None:
    """The media type of a picture from its first ``SNIFFED`` bytes; None if it is no picture."""
    for offset, magic, media_type in _MAGIC:
        if start[offset : offset + len(magic)] == magic:
            return None if media_type == "image/webp" and start[:4] != b"RIFF" else media_type
    return None


def media_type(path: Path) -> str | None:
    """The media type of a picture file by its content; None if it is no picture. Raises OSError."""
    with path.open("rb") as file:
        return sniff(file.read(SNIFFED))


@contextlib.contextmanager
def open_picture(path: Path | BinaryIO) -> Iterator[Image]:
    """Open a picture, not decoded yet, with its size checked. Raises UploadError that says what is wrong with it.

    Frames are not counted, for counting them may take as long as the file is: use the first one only.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # The bound below is lower than the one that Pillow warns of.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=FORMATS)
        with picture:
            width, height = picture.size
            if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
                raise UploadError(f"the picture has {width} × {height} pixels; at most {MAX_PIXELS} are taken")
            yield picture
    except UploadError:
        raise
    except UnidentifiedImageError as error:
        raise UploadError(f"this is no picture; {', '.join(FORMATS)} are taken", unsupported=True) from error
    except Image.DecompressionBombError as error:
        raise UploadError(f"the picture is too large: {error}") from error
    except BROKEN as error:
        raise UploadError(f"the picture is damaged: {error}") from error


def check_picture(path: Path) -> None:
    """Check that a file is a picture that can be opened, without decoding its pixels. Raises UploadError."""
    with open_picture(path) as picture:
        picture.verify()


def safe_name(name: str) -> str:
    """The last part of a client's file name, if it is fit to be a picture's name here. Raises UploadError."""
    last = name.replace("\\", "/").rpartition("/")[2].strip()
    if not last or last.startswith(".") or len(last) > 200:
        raise UploadError(f"{name[:100]!r} is no file name; 1 to 200 characters, not starting with a dot")
    if Path(last).suffix.lower() not in PICTURES:
        raise UploadError(
            f"{last[:100]!r} is not named like a picture ({', '.join(sorted(PICTURES))})", unsupported=True
        )
    return last


def is_hidden(text: str) -> bool:
    """Whether a relative path names something that is not shown: a dot file or folder, or a file half written."""
    return text.endswith(".part") or any(part.startswith(".") for part in text.split("/"))


def target_folder(root: Path, subfolder: str) -> Path:
    """The folder to store in; made if need be. Raises UploadError if it would lie outside or be hidden."""
    below = subfolder.strip("/")
    try:
        if is_hidden(below):
            raise OutsideError("hidden")
        folder = contain(root, below) if below else root
        folder.mkdir(parents=True, exist_ok=True)
    except (OutsideError, OSError) as error:
        raise UploadError(f"subfolder {subfolder[:100]!r} is not a folder inside") from error
    return folder


def store(part: Path, folder: Path, name: str, *, overwrite: bool = False) -> str:
    """Move a complete file into a folder and give the name it got.

    Equal content under the name is not stored twice; other content gets ``name (1).ext`` and so on, unless it is to
    be overwritten. Raises UploadError if the name is not fit or no name is free.
    """
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - Path would lose nothing, but splits no name of dots
    for number in range(MAX_COPIES):
        candidate = f"{stem} ({number}){suffix}" if number else name
        try:
            path = contain(folder, candidate)
        except OutsideError as error:
            raise UploadError(f"{candidate[:100]!r} cannot be used as a file name") from error
        if overwrite:
            if path.is_dir():
                raise UploadError(f"{candidate[:100]!r} is a folder")
            part.replace(path)
            return candidate
        try:
            # Reserving the name first makes two uploads at once get two names.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            if path.is_file() and filecmp.cmp(part, path, shallow=False):
                return candidate
            continue
        try:
            part.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return candidate
    raise UploadError(f"{name!r} is taken, and so are {MAX_COPIES} numbered names after it")


def put_mask(mask: Path, original: Path | BinaryIO, result: Path) -> None:
    """Write the original with the mask picture's alpha as its own, as PNG. Raises UploadError.

    The original's PNG texts, its workflow among them, are kept.
    """
    from PIL.PngImagePlugin import PngInfo

    with open_picture(original) as base, open_picture(mask) as painted:
        if base.size != painted.size:
            raise UploadError(
                f"the mask has {painted.size[0]} × {painted.size[1]} pixels and its original"
                f" {base.size[0]} × {base.size[1]}; they have to be equal"
            )
        texts = PngInfo()
        for key, text in getattr(base, "text", {}).items():
            texts.add_text(key, text)
        combined = base.convert("RGBA")
        combined.putalpha(painted.convert("RGBA").getchannel("A"))
        combined.save(result, format="PNG", compress_level=4, pnginfo=texts)
