"""Smaller or reduced forms of a picture, made when they are asked for.

>>> read_preview("jpeg;40"), read_preview("nonsense")
(('jpeg', 40), ('webp', 90))
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from engine.files.uploads import open_picture


def read_preview(text: str) -> tuple[str, int]:
    """The format and quality that ``preview=webp;90`` asks for; what cannot be read is WebP at 90."""
    kind, _, quality = text.partition(";")
    number = int(quality) if quality.isascii() and quality.isdigit() and len(quality) <= 3 else 90
    return (kind if kind in ("webp", "jpeg") else "webp"), min(max(number, 1), 100)


def make_preview(path: Path | BinaryIO, preview: str, *, alpha: bool = True) -> tuple[bytes, str]:
    """The picture as WebP or JPEG, and its media type. Raises UploadError if it is no sound picture."""
    kind, quality = read_preview(preview)
    with open_picture(path) as picture:
        converted = picture.convert("RGBA" if alpha and kind == "webp" else "RGB")
        buffer = io.BytesIO()
        converted.save(buffer, format=kind, quality=quality)
    return buffer.getvalue(), f"image/{kind}"


def make_thumbnail(path: Path | BinaryIO, side: int) -> bytes:
    """The picture as a WebP whose longer side has at most ``side`` pixels. Raises UploadError."""
    with open_picture(path) as picture:
        picture.draft("RGB", (side, side))  # JPEG: decode no more than is wanted
        small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        small.thumbnail((side, side))
        buffer = io.BytesIO()
        small.save(buffer, format="webp", quality=80)
    return buffer.getvalue()


def make_rgb(path: Path | BinaryIO) -> bytes:
    """The picture without its alpha, as PNG. Raises UploadError."""
    buffer = io.BytesIO()
    with open_picture(path) as picture:
        picture.convert("RGB").save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def make_alpha(path: Path | BinaryIO) -> bytes:
    """A black PNG whose alpha is the picture's, opaque if it has none. Raises UploadError."""
    from PIL import Image

    buffer = io.BytesIO()
    with open_picture(path) as picture:
        shape = Image.new("RGBA", picture.size)
        shape.putalpha(picture.convert("RGBA").getchannel("A"))
        shape.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
