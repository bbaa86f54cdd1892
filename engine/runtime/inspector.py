"""The worker's side of the safety policy: every picture that leaves it, as a file or as a preview, passes here.

The checker is loaded into main memory once, when the first picture is made. If it cannot be, nothing leaves.
"""

from __future__ import annotations

import threading
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from engine.diffusion.checkpoint import load_companion
from engine.diffusion.safety import BLURRED, check_pictures, open_safety
from engine.files.verdicts import Policy, Verdict, Verdicts
from engine.messages.events import Event, Preview

if TYPE_CHECKING:
    from PIL import Image as Pictures

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
QUALITY = 85


class Inspector:
    """Applies the policy. Threads may share it; pictures are checked one after another."""

    def __init__(self, policy: Policy = "off", model: Path | None = None, verdicts: Verdicts | None = None) -> None:
        if policy != "off" and (model is None or verdicts is None):
            raise ValueError(f"the safety policy {policy!r} needs a checker's file and a place for verdicts")
        self.policy = policy
        self._model = model
        self._verdicts = verdicts
        self._checker: nn.Module | None = None
        self._lock = threading.Lock()

    @property
    def token(self) -> Any:
        """What output nodes depend on: a file made under another policy is made again."""
        return self.policy if self.policy == "off" else (self.policy, str(self._model))

    def release(self, content: bytes) -> tuple[bytes, Verdict | None]:
        """A file's bytes as they may be written, and the verdict, which is on disk already; None for no picture.

        Flagged pictures are blurred or blackened as the policy says, in their format, with their texts.
        """
        if self.policy == "off":
            return content, None
        picture = _open(content)
        if picture is None:
            return content, None  # without a verdict it is not served
        with picture:
            frames = list(_frames(picture))
            flagged = any(self._flags(frame) for frame in frames)
            if flagged and self.policy != "label":
                content = _written(picture, [_treated(frame, self.policy) for frame in frames])
        verdict = Verdict(flagged, self.policy)
        assert self._verdicts is not None
        self._verdicts.note(content, verdict)
        return content, verdict

    def event(self, event: Event) -> Event | None:
        """An event as it may be told, or None.

        Nothing half-made can be judged, so none has a label: previews are blurred to eight by eight pixels, or left out
        under block. A kept one is a result that ``release`` has seen.
        """
        if self.policy == "off" or not isinstance(event, Preview) or event.kept:
            return event
        if self.policy == "block":
            return None
        return Preview(event.node, event.display, _blurred_preview(event.image))

    def _flags(self, frame: Pictures.Image) -> bool:
        with self._lock:
            if self._checker is None:
                assert self._model is not None
                self._checker = load_companion(open_safety(self._model), torch.float32)
            return any(
                check_pictures(self._checker, torch.from_numpy(pixels)[None])[0].flagged for pixels in _looks(frame)
            )


def _open(content: bytes) -> Pictures.Image | None:
    """The picture in a file's bytes, or None if a browser would not show one. Its size was bounded by who made it."""
    from PIL import Image as Pictures
    from PIL import UnidentifiedImageError

    try:
        return Pictures.open(BytesIO(content), formats=FORMATS)
    except (UnidentifiedImageError, Pictures.DecompressionBombError, OSError, ValueError, SyntaxError):
        return None


def _frames(picture: Pictures.Image) -> Any:
    from PIL import ImageSequence

    for frame in ImageSequence.Iterator(picture):
        alpha = "A" in frame.getbands() or "transparency" in frame.info
        yield frame.convert("RGBA" if alpha else "RGB")


def _looks(frame: Pictures.Image) -> list[np.ndarray[Any, Any]]:
    """What a viewer may see of a frame: its colours, and, where transparency varies, its shape and both together."""
    colours = np.asarray(frame.convert("RGB"), dtype=np.float32) / 255.0
    if frame.mode != "RGBA":
        return [colours]
    alpha = np.asarray(frame.getchannel("A"), dtype=np.float32)[..., None] / 255.0
    if float(alpha.min()) == float(alpha.max()):
        return [colours]
    shape = np.repeat(alpha, 3, axis=-1)
    return [colours, shape, colours * alpha, colours * alpha + (1.0 - alpha)]


def _treated(frame: Pictures.Image, policy: Policy) -> Pictures.Image:
    """The frame with eight by eight pixels left of it, or none; transparency goes too, since it may hold a picture."""
    from PIL import Image as Pictures

    if policy == "block":
        return Pictures.new("RGB", frame.size)
    small = frame.convert("RGB").resize((BLURRED, BLURRED), Pictures.Resampling.BOX)
    return small.resize(frame.size, Pictures.Resampling.BILINEAR)


def _written(picture: Pictures.Image, frames: list[Pictures.Image]) -> bytes:
    """Frames as a file of the picture's kind, with its texts (the workflow among them)."""
    from PIL.PngImagePlugin import PngInfo

    options: dict[str, Any] = {"format": picture.format}
    if picture.format == "PNG":
        texts = PngInfo()
        for key, text in getattr(picture, "text", {}).items():
            texts.add_text(key, text)
        options["pnginfo"] = texts
    elif exif := picture.info.get("exif"):
        options["exif"] = exif
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:], "loop": picture.info.get("loop", 0)}
        if duration := picture.info.get("duration"):
            options["duration"] = duration
    buffer = BytesIO()
    frames[0].save(buffer, **options)
    return buffer.getvalue()


def _blurred_preview(image: bytes) -> bytes:
    from PIL import Image as Pictures

    with Pictures.open(BytesIO(image)) as picture:
        small = _treated(picture, "blur")
    buffer = BytesIO()
    small.save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()


OFF = Inspector()
"""Without a policy: everything passes as it is."""
