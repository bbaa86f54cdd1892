"""What can be wrong with a workflow, as data: all problems of a workflow travel together.

>>> problem = Problem("value_not_in_list", "no schedule is called 'karas'; did you mean 'karras'?", "7", "scheduler")
>>> print(problem)
node 7 scheduler: no schedule is called 'karas'; did you mean 'karras'?
"""

from __future__ import annotations

import difflib
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


def nearest(wrong: object, allowed: Iterable[object], *, limit: int = 10_000) -> str:
    """Give ``; did you mean 'x'?`` for the allowed name closest to a wrong one, or nothing.

    >>> nearest("karas", ["normal", "karras"])
    "; did you mean 'karras'?"
    """
    names = [str(name) for _, name in zip(range(limit), allowed, strict=False)]
    close = difflib.get_close_matches(shown(wrong, 100), names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


class Suggestions:
    """``nearest`` for the first problems of a workflow: each costs milliseconds, and a file may have many problems."""

    def __init__(self, limit: int = 50) -> None:
        self._left = limit

    def __call__(self, wrong: object, allowed: Iterable[object]) -> str:
        """Give ``; did you mean 'x'?``, or nothing when enough was suggested."""
        if self._left <= 0:
            return ""
        self._left -= 1
        return nearest(wrong, allowed)


def shown(value: object, limit: int = 80) -> str:
    """Write a value for an error message, cut to a readable length."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
