"""Primitives: numbers and texts as nodes, to be linked to several inputs."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from engine.graph.node import ControlAfterGenerate, Range, Text, Ui, node

LARGEST = 2**63 - 1


@node("PrimitiveString", category="utils/primitive", display_name="String")
def string(*, value: str) -> str:
    """A line of text."""
    return value


@node("PrimitiveStringMultiline", category="utils/primitive", display_name="String (Multiline)")
def multiline_string(*, value: Annotated[str, Text(multiline=True)]) -> str:
    """A text."""
    return value


@node("PrimitiveInt", category="utils/primitive", display_name="Int")
def integer(*, value: Annotated[int, Range(-LARGEST, LARGEST), ControlAfterGenerate()]) -> int:
    """A whole number."""
    return value


@node("PrimitiveFloat", category="utils/primitive", display_name="Float")
def number(*, value: Annotated[float, Range(-LARGEST, LARGEST)]) -> float:
    """A number."""
    return value


@node("PrimitiveBoolean", category="utils/primitive", display_name="Boolean")
def boolean(*, value: bool) -> bool:
    """Yes or no."""
    return value


@node("PreviewAny", category="utils", display_name="Preview Any", output=True)
def preview_any(*, source: Any) -> Ui:
    """Show any value as text."""
    if isinstance(source, str):
        return Ui({"text": [source]})
    if isinstance(source, bool | int | float):
        return Ui({"text": [str(source)]})
    try:
        return Ui({"text": [msgspec.json.format(msgspec.json.encode(source), indent=2).decode()]})
    except TypeError:
        return Ui({"text": [str(source)]})
