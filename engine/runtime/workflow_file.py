"""What a workflow file says, read before anything else is loaded: a file that is not there costs no import of torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.files.metadata import read_metadata
from engine.graph.editor_format.convert import choose_text, parse, unwrapped

PICTURES = (b"\x89PNG", b"RIFF", b"\xff\xd8\xff")


def is_picture(path: Path) -> bool:
    """Whether a file carries its workflow as metadata: a picture or a latent."""
    with path.open("rb") as file:
        return file.read(16).startswith(PICTURES) or path.suffix.lower() in (".safetensors", ".latent")


def read_text(path: Path) -> bytes | str:
    """The workflow's JSON in a file: the file itself, or what a picture or latent carries. Raises OSError."""
    return choose_text(read_metadata(path)) if is_picture(path) else path.read_bytes()


def read_file(path: Path) -> Any:
    """The workflow in a file, in either form. Raises WorkflowError, or OSError if there is no such file."""
    return unwrapped(parse(read_text(path)))
