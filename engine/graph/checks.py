"""What a class of nodes demands of its inputs, compiled once per specification: literals, and links by their type."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from engine.graph.node import Files, Fixed, InputSpec, NodeSpec
from engine.graph.problems import Problem, Suggestions, said, shown
from engine.graph.types import SOCKETS, overlap
from engine.graph.workflow import Link


class FileFinder(Protocol):
    """Knows which files a ``Files`` input may name."""

    def find(self, folder: str, name: str) -> object | None:
        """The file, or None."""

    def list(self, folder: str) -> list[str]:
        """All names, for the error message."""


@dataclass(frozen=True)
class Asked:
    """What the checks of one workflow ask: for files, and for what was probably meant, of which there are not many."""

    files: FileFinder
    suggest: Suggestions = field(default_factory=Suggestions)


Convert = Callable[[Any, Asked], Any]


class Wrong(Exception):  # noqa: N818 - never leaves this module
    """A literal will not do."""

    def __init__(self, code: str, message: str, details: str = "", **extra: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.details, self.extra = code, message, details, extra


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """What an input of a class demands. convert: brings a typed-in value into its type, or raises ``Wrong``.

    kind: the type that a link has to be of, or None for any.
    """

    class_type: str
    name: str
    required: bool
    kind: str | None
    convert: Convert

    def missing(self, node: str) -> Problem:
        """It is required, and neither typed in nor linked."""
        extra = {"input_name": self.name}
        return Problem(
            "required_input_missing", "is required and missing", node, self.name, self.class_type, self.name, extra
        )

    def wrong(self, node: str, value: Any, why: Wrong) -> Problem:
        """What was typed in will not do."""
        extra = {"input_name": self.name, "received_value": shown(value), **why.extra}
        return Problem(why.code, why.message, node, self.name, self.class_type, why.details or self.name, extra)

    def link(self, node: str, link: Link, source: NodeSpec) -> Problem | None:
        """What is wrong with a link to an output of a node of the class ``source``."""
        outputs, place = source.outputs, f"output {link.slot} of node {link.node} ({source.class_type})"
        if not 0 <= link.slot < len(outputs):
            return Problem(
                "bad_linked_input",
                f"is linked to {place}, which has {len(outputs)} output{'s' * (len(outputs) != 1)}",
                node, self.name, self.class_type, self.name,
                {"input_name": self.name, "linked_node": [link.node, link.slot]},
            )
        found = outputs[link.slot].kind
        if self.kind is None or overlap(found, self.kind):
            return None
        return Problem(
            "return_type_mismatch", f"wants {self.kind}, but {place} is {found}", node, self.name, self.class_type,
            f"{self.name}, received_type({found}) mismatch input_type({self.kind})",
            {"input_name": self.name, "received_type": found, "linked_node": [link.node, link.slot]},
        )


_compiled: dict[int, tuple[NodeSpec, tuple[Check, ...]]] = {}


def checks_of(spec: NodeSpec) -> tuple[Check, ...]:
    """The checks of a node's inputs; made once per specification object, which is kept alive by the table."""
    entry = _compiled.get(id(spec))
    if entry is None or entry[0] is not spec:
        if len(_compiled) > 20_000:
            _compiled.clear()
        entry = _compiled[id(spec)] = (spec, tuple(
            Check(
                spec.class_type, each.name, each.required,
                None if each.kind == "*" or spec.unchecked_types else each.kind, literal_converter(each),
            )
            for each in spec.inputs
        ))
    return entry[1]


def literal_converter(spec: InputSpec) -> Convert:
    """The function that brings a typed-in value into the input's type; it raises ``Wrong`` if that cannot be."""
    if spec.link_only or spec.kind in SOCKETS:
        return _refuse(spec)
    if spec.unchecked:
        spec = msgspec.structs.replace(spec, choices=None, minimum=None, maximum=None)
    if isinstance(spec.choices, Fixed):
        return _one_of(spec.choices)
    if isinstance(spec.choices, Files):
        return _file_in(spec.choices)
    if spec.kind in ("INT", "FLOAT"):
        return _number(spec)
    if spec.kind == "STRING":
        return _text
    if spec.kind == "BOOLEAN":
        return lambda value, _: _plain(value, bool)
    return lambda value, _: untyped(value)


def untyped(value: Any) -> Any:
    """A value of no particular type: any JSON whose numbers fit in 64 bits."""
    if value is None or type(value) in (str, bool, float):
        return value
    stack = [value]
    while stack:
        each = stack.pop()
        if type(each) is int and not -(2**63) <= each < 2**64:
            raise Wrong("value_bigger_than_max", f"{shown(each)} does not fit in 64 bits")
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            stack.extend(each.values())
    return value


def _refuse(spec: InputSpec) -> Convert:
    def refuse(value: Any, asked: Asked) -> Any:
        code = "bad_linked_input" if isinstance(value, list) else "invalid_input_type"
        raise Wrong(code, f"wants a link [node id, output] to a {spec.kind}; found {shown(value)}")

    return refuse


def _one_of(choices: Fixed) -> Convert:
    allowed = frozenset((type(value), value) for value in choices.values)

    def check(value: Any, asked: Asked) -> Any:
        if isinstance(value, str | int | float) and (type(value), value) in allowed:
            return value
        near = asked.suggest.name(value, choices.values)
        message = f"{shown(value)!r} is not among the choices{said(near) or _listed(choices.values, ': ')}"
        raise Wrong(
            "value_not_in_list", message, f"{shown(value)!r} not in {shown(list(choices.values), 500)}",
            allowed=list(choices.values), nearest=near,
        )

    return check


MOST_LISTED = 12


def _listed(values: Sequence[Any], before: str) -> str:
    """The first of what would do, for a message; nothing if nothing would."""
    first = ", ".join(repr(shown(value, 100) if isinstance(value, str) else value) for value in values[:MOST_LISTED])
    return f"{before}{first}{', …' if len(values) > MOST_LISTED else ''}" if values else ""


def _file_in(choices: Files) -> Convert:
    def check(value: Any, asked: Asked) -> Any:
        if isinstance(value, str) and asked.files.find(choices.folder, value) is not None:
            return value
        names = asked.files.list(choices.folder)
        near = asked.suggest.file(value, names)
        code = "custom_validation_failed" if choices.upload else "value_not_in_list"
        rest = said(near) or _listed(names, "; it has ") or ", which is empty"
        message = f"there is no file {shown(value)!r} in the folder {choices.folder}{rest}"
        raise Wrong(code, message, f"{shown(value)!r} not in {choices.folder}", allowed=names[:100], nearest=near)

    return check


def _number(spec: InputSpec) -> Convert:
    kind = int if spec.kind == "INT" else float
    low, high = spec.minimum, spec.maximum

    def check(value: Any, asked: Asked) -> Any:
        number = value if type(value) is kind else _plain(value, kind)
        if kind is float and not math.isfinite(number):
            raise Wrong("invalid_input_type", f"wants a finite number; found {shown(value)}")
        if low is not None and number < low:
            raise Wrong("value_smaller_than_min", f"{shown(value)} is below the smallest allowed, {low}", min=low)
        if high is not None and number > high:
            raise Wrong("value_bigger_than_max", f"{shown(value)} is above the largest allowed, {high}", max=high)
        if kind is int and not -(2**63) <= number < 2**64:
            raise Wrong("value_bigger_than_max", f"{shown(value)} does not fit in 64 bits")
        return number

    return check


def _text(value: Any, asked: Asked) -> str:
    if type(value) is str:
        return value
    return str(_plain(value, str))


def _plain(value: Any, kind: type) -> Any:
    """Convert a plain JSON value as ComfyUI does (``int("7")``), but refuse containers and None."""
    if value is None or isinstance(value, list | dict):
        raise Wrong("invalid_input_type", f"wants a value of type {kind.__name__}; found {shown(value)}")
    try:
        return kind(value)
    except (ValueError, OverflowError) as error:
        raise Wrong("invalid_input_type", f"wants a value of type {kind.__name__}; found {shown(value)}") from error
