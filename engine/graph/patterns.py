"""Regular expressions from workflows, within bounds: a pattern that would run for ages is an error, not a hang.

The ``regex`` package understands Python's own patterns and stops after a time; ``re`` cannot be stopped.

>>> search(compile_pattern("r(.)d", case_insensitive=True), "A RED cube").group(1)
'E'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import regex

MOST_SECONDS = 5.0  # for one call; sensible patterns take microseconds
MOST_CHARACTERS = 10_000  # of a pattern
MOST_RESULT = 10_000_000  # characters that a replacement may come to
T = TypeVar("T")


def compile_pattern(
    pattern: str, *, case_insensitive: bool = False, multiline: bool = False, dotall: bool = False
) -> regex.Pattern[str]:
    """Make a pattern ready. Raises ValueError that says where it is wrong.

    multiline: ^ and $ match at each line. dotall: a dot matches line ends too.
    """
    if len(pattern) > MOST_CHARACTERS:
        raise ValueError(f"regex_pattern has {len(pattern)} characters; the limit is {MOST_CHARACTERS}")
    flags = regex.VERSION0  # Python's own rules
    for wanted, flag in ((case_insensitive, regex.IGNORECASE), (multiline, regex.MULTILINE), (dotall, regex.DOTALL)):
        flags |= flag if wanted else 0
    try:
        return regex.compile(pattern, flags)
    except (regex.error, RecursionError, OverflowError) as error:
        place = f" at character {error.pos}" if isinstance(error, regex.error) and error.pos is not None else ""
        raise ValueError(f"regex_pattern {_short(pattern)} is no regular expression: {error}{place}") from error


def search(pattern: regex.Pattern[str], text: str) -> regex.Match[str] | None:
    """The first match. Raises ValueError if it takes too long."""
    return _bounded(pattern, lambda: pattern.search(text, timeout=MOST_SECONDS, concurrent=True))


def every(pattern: regex.Pattern[str], text: str) -> list[regex.Match[str]]:
    """All matches that do not overlap. Raises ValueError if it takes too long."""
    return _bounded(pattern, lambda: list(pattern.finditer(text, timeout=MOST_SECONDS, concurrent=True)))


def replace(pattern: regex.Pattern[str], text: str, replacement: str, count: int = 0) -> str:
    r"""The text with matches replaced, all of them if `count` is 0; ``\1`` is the first group.

    Raises ValueError if it takes too long, if the replacement names a group that is not there, and for a result
    that is far too long.
    """
    room = MOST_RESULT

    def one(match: regex.Match[str]) -> str:
        nonlocal room
        made: str = match.expand(replacement)
        room -= len(made)
        if room < 0:
            raise ValueError(f"the replaced text would have more than {MOST_RESULT} characters; use a shorter one")
        return made

    try:
        made: str = _bounded(
            pattern, lambda: pattern.sub(one, text, count=count, timeout=MOST_SECONDS, concurrent=True)
        )
    except (regex.error, IndexError) as error:
        fault = f"replace {_short(replacement)} does not fit the pattern {_short(pattern.pattern)}: {error}"
        raise ValueError(fault) from error
    return made


def _bounded(pattern: regex.Pattern[str], work: Callable[[], T]) -> T:
    try:
        return work()
    except TimeoutError as error:
        raise ValueError(
            f"regex_pattern {_short(pattern.pattern)} was still at it after {MOST_SECONDS:g} s; repetitions inside of "
            "repetitions, such as (a+)+, take exponentially long: write it without them"
        ) from error


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
