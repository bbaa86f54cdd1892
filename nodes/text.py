"""Texts: joining, cutting, comparing, patterns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

from engine.graph import patterns
from engine.graph.node import Choice, Range, Shown, Text, node

Lines = Annotated[str, Text(multiline=True)]

CASES: Mapping[str, Callable[[str], str]] = {
    "UPPERCASE": str.upper, "lowercase": str.lower, "Capitalize": str.capitalize, "Title Case": str.title,
}  # fmt: skip
TRIMS: Mapping[str, Callable[[str], str]] = {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}
COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "Starts With": lambda a, b: a.startswith(b), "Ends With": lambda a, b: a.endswith(b), "Equal": lambda a, b: a == b,
}  # fmt: skip


@node("StringConcatenate", category="utils/string", display_name="Concatenate")
def concatenate(*, string_a: Lines, string_b: Lines, delimiter: str = "") -> str:
    """Put one text after another.

    delimiter: What comes between them.
    """
    return f"{string_a}{delimiter}{string_b}"


@node("StringSubstring", category="utils/string", display_name="Substring")
def substring(*, string: Lines, start: int, end: int) -> str:
    """Cut a part out of a text.

    start: The first character, from 0; negative counts from the end.
    end: The first character that is left out; negative counts from the end.
    """
    return string[start:end]


@node("StringLength", category="utils/string", display_name="Length", returns=("length",))
def length(*, string: Lines) -> int:
    """How many characters a text has."""
    return len(string)


@node("CaseConverter", category="utils/string", display_name="Case Converter")
def change_case(*, string: Lines, mode: Annotated[str, Choice(tuple(CASES))]) -> str:
    """Write a text in capitals, in small letters, or with capitals at the beginning."""
    return CASES[mode](string)


@node("StringTrim", category="utils/string", display_name="Trim")
def trim(*, string: Lines, mode: Annotated[str, Choice(tuple(TRIMS))]) -> str:
    """Take spaces and line ends off a text's ends."""
    return TRIMS[mode](string)


@node("StringReplace", category="utils/string", display_name="Replace")
def replace(*, string: Lines, find: Lines, replace: Lines) -> str:
    """Replace every occurrence of one text in another."""
    grown = len(string) + string.count(find) * (len(replace) - len(find))
    if grown > patterns.MOST_RESULT:
        raise ValueError(f"the replaced text would have {grown} characters; the limit is {patterns.MOST_RESULT}")
    return string.replace(find, replace)


@node("StringContains", category="utils/string", display_name="Contains", returns=("contains",))
def contains(*, string: Lines, substring: Lines, case_sensitive: bool = True) -> bool:
    """Whether a text is found in another."""
    return substring in string if case_sensitive else substring.lower() in string.lower()


@node("StringCompare", category="utils/string", display_name="Compare")
def compare(
    *, string_a: Lines, string_b: Lines, mode: Annotated[str, Choice(tuple(COMPARISONS))], case_sensitive: bool = True
) -> bool:
    """Whether a text is, begins or ends with another."""
    a, b = (string_a, string_b) if case_sensitive else (string_a.lower(), string_b.lower())
    return COMPARISONS[mode](a, b)


@node("RegexMatch", category="utils/string", display_name="Regex Match", returns=("matches",))
def matches(
    *, string: Lines, regex_pattern: Lines, case_insensitive: bool = True, multiline: bool = False,
    dotall: bool = False,
) -> bool:
    """Whether a regular expression matches anywhere in a text.

    multiline: ^ and $ match at each line, not only at the ends of the text.
    dotall: A dot matches line ends too.
    """
    pattern = patterns.compile_pattern(
        regex_pattern, case_insensitive=case_insensitive, multiline=multiline, dotall=dotall
    )
    return patterns.search(pattern, string) is not None


EXTRACTS = ("First Match", "All Matches", "First Group", "All Groups")


@node("RegexExtract", category="utils/string", display_name="Regex Extract")
def extract(
    *, string: Lines, regex_pattern: Lines, mode: Annotated[str, Choice(EXTRACTS)], case_insensitive: bool = True,
    multiline: bool = False, dotall: bool = False, group_index: Annotated[int, Range(0, 100)] = 1,
) -> str:
    """Take out of a text what a regular expression matches; several are put on lines of their own, none is empty.

    mode: A match is all that was matched; a group is what is in a pair of parentheses.
    multiline: ^ and $ match at each line, not only at the ends of the text.
    dotall: A dot matches line ends too.
    group_index: Which parentheses; 0 is the whole match.
    """
    pattern = patterns.compile_pattern(
        regex_pattern, case_insensitive=case_insensitive, multiline=multiline, dotall=dotall
    )
    first = mode.startswith("First")
    found = patterns.search(pattern, string) if first else None
    matched = ([found] if found else []) if first else patterns.every(pattern, string)
    group = group_index if mode.endswith(("Group", "Groups")) else 0
    if mode == "All Matches" and pattern.groups:
        group = 1  # as Python's findall: of a pattern with groups, the first one
    if group > pattern.groups or (mode == "All Groups" and not pattern.groups):
        return ""
    return "\n".join(each.group(group) or "" for each in matched)


@node("RegexReplace", category="utils/string", display_name="Regex Replace")
def replace_pattern(
    *, string: Lines, regex_pattern: Lines, replace: Lines,
    case_insensitive: Annotated[bool | None, Shown(True)] = None,
    multiline: Annotated[bool | None, Shown(False)] = None, dotall: Annotated[bool | None, Shown(False)] = None,
    count: Annotated[int | None, Range(0, 100), Shown(0)] = None,
) -> str:
    r"""Replace what a regular expression matches.

    replace: \1 stands for what the first parentheses matched.
    multiline: ^ and $ match at each line, not only at the ends of the text.
    dotall: A dot matches line ends too.
    count: How many at most; 0 is all.
    """
    pattern = patterns.compile_pattern(
        regex_pattern, case_insensitive=case_insensitive is not False, multiline=bool(multiline), dotall=bool(dotall)
    )
    return patterns.replace(pattern, string, replace, count or 0)
