"""What can be wrong with a workflow, as data: all problems of a workflow travel together.

>>> problem = Problem("value_not_in_list", "no schedule is called 'karas'; did you mean 'karras'?", "7", "scheduler")
>>> print(problem)
node 7 scheduler: no schedule is called 'karas'; did you mean 'karras'?
"""

from __future__ import annotations

import difflib
import heapq
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong, where it is, and what was wanted.

    code: the error type of ComfyUI's protocol (``value_not_in_list``, ``required_input_missing``, …).
    details: the short technical form that ComfyUI's clients show behind the message.
    extra: further facts for programs, such as the allowed values.
    """

    code: str
    message: str
    node: str | None = None
    input: str | None = None
    class_type: str | None = None
    details: str = ""
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        """Name the place, then say what is wrong."""
        node = f"node {self.node}" if self.node is not None else ""
        kind = f"({self.class_type})" if self.class_type else ""
        place = " ".join(part for part in (node, kind, self.input) if part)
        return f"{place}: {self.message}" if place else self.message


class WorkflowError(Exception):
    """A workflow cannot be used; carries every problem that was found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


MAX_NAMES = 2_000  # that are looked at
MAX_LETTERS = 40  # of each name that are compared
LONGEST_EXTENSION = len("safetensors")
MAX_CLOSE = 16  # names that are compared letter by letter, which takes long


def nearest(wrong: object, allowed: Iterable[object]) -> str:
    """Give ``; did you mean 'x'?`` for the allowed name closest to a wrong one, or nothing.

    >>> nearest("karas", ["normal", "karras"])
    "; did you mean 'karras'?"
    """
    return said(nearest_name(wrong, allowed))


def nearest_name(wrong: object, allowed: Iterable[object]) -> str | None:
    """The allowed name closest to a wrong one, or None. Takes some milliseconds at most, whatever the names are.

    >>> nearest_name("karas", ["normal", "karras"])
    'karras'
    """
    text = shown(wrong, 100)[:MAX_LETTERS]
    letters = set(text)

    def shared(name: str) -> float:
        others = set(name[:MAX_LETTERS])
        return len(letters & others) / max(1, len(letters | others)) - abs(len(name) - len(text)) / 1_000

    close = heapq.nlargest(MAX_CLOSE, map(str, itertools.islice(allowed, MAX_NAMES)), key=shared)
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(text)
    best, found = 0.6, None
    for name in close:
        matcher.set_seq1(name[:MAX_LETTERS])
        if matcher.real_quick_ratio() >= best and matcher.quick_ratio() >= best and (ratio := matcher.ratio()) >= best:
            best, found = ratio + 1e-9, name
    return found


def nearest_file(wrong: object, names: Iterable[str]) -> str | None:
    """The file that was probably meant, or None: extensions, which all files share, make no name alike.

    >>> names = ["base.safetensors", "standin.safetensors"]
    >>> nearest_file("standout.safetensors", names), nearest_file("sd.safetensors", names)
    ('standin.safetensors', None)
    """
    by_stem: dict[str, str] = {}
    for name in itertools.islice(names, MAX_NAMES):
        by_stem.setdefault(_stem(name), name)
    return by_stem.get(nearest_name(_stem(shown(wrong, 100)), by_stem) or "")


def _stem(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return stem if dot and len(extension) <= LONGEST_EXTENSION and "/" not in extension else name


def said(name: str | None) -> str:
    """What is added to a message for the name that was probably meant."""
    return f"; did you mean {name!r}?" if name is not None else ""


class Suggestions:
    """``nearest`` for the first problems of a workflow: each costs milliseconds, and a file may have many problems."""

    def __init__(self, limit: int = 50) -> None:
        self._left = limit

    def __call__(self, wrong: object, allowed: Iterable[object]) -> str:
        """Give ``; did you mean 'x'?``, or nothing when enough was suggested."""
        return said(self.name(wrong, allowed))

    def name(self, wrong: object, allowed: Iterable[object]) -> str | None:
        """The name itself; None when enough was suggested."""
        if self._left <= 0:
            return None
        self._left -= 1
        return nearest_name(wrong, allowed)

    def file(self, wrong: object, names: Iterable[str]) -> str | None:
        """The file that was probably meant; None when enough was suggested."""
        if self._left <= 0:
            return None
        self._left -= 1
        return nearest_file(wrong, names)


def shown(value: object, limit: int = 80) -> str:
    """Write a value for an error message, cut to a readable length."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
