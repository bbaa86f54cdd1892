"""Texts, and patterns that may not take for ever."""

import doctest
import time

import pytest

from engine.graph import patterns
from nodes.text import (
    change_case,
    compare,
    concatenate,
    contains,
    extract,
    length,
    matches,
    replace,
    replace_pattern,
    substring,
    trim,
)


def test_texts_are_joined_cut_and_measured():
    assert concatenate(string_a="a", string_b="b", delimiter=", ") == "a, b"
    assert substring(string="a red cube", start=2, end=-5) == "red"
    assert substring(string="abc", start=0, end=0) == ""
    assert length(string="añ\n") == 3


@pytest.mark.parametrize(("mode", "expected"), [
    ("UPPERCASE", "A RED cUBE".upper()), ("lowercase", "a red cube"), ("Capitalize", "A red cube"),
    ("Title Case", "A Red Cube"),
])  # fmt: skip
def test_case_is_changed(mode, expected):
    assert change_case(string="a RED cUBE", mode=mode) == expected


def test_ends_are_trimmed():
    assert [trim(string=" a\n", mode=mode) for mode in ("Both", "Left", "Right")] == ["a", "a\n", " a"]


def test_texts_are_found_and_replaced():
    assert replace(string="a cat, a cat", find="cat", replace="dog") == "a dog, a dog"
    assert replace(string="ab", find="", replace="-") == "-a-b-"
    assert contains(string="A Cat", substring="Cat")
    assert not contains(string="A Cat", substring="cat")
    assert contains(string="A Cat", substring="cAT", case_sensitive=False)
    with pytest.raises(ValueError, match="the replaced text would have 3000000000 characters; the limit is 10000000"):
        replace(string="a" * 100_000, find="a", replace="b" * 30_000)


def test_texts_are_compared():
    assert compare(string_a="a red cube", string_b="a red", mode="Starts With")
    assert compare(string_a="a red cube", string_b="cube", mode="Ends With")
    assert not compare(string_a="A", string_b="a", mode="Equal")
    assert compare(string_a="A", string_b="a", mode="Equal", case_sensitive=False)


# -- patterns ----------------------------------------------------------------------------------------------------


def test_the_examples_are_true():
    assert doctest.testmod(patterns) == (0, 1)


def test_a_pattern_matches_anywhere():
    assert matches(string="A RED cube", regex_pattern="r.d")
    assert not matches(string="A RED cube", regex_pattern="r.d", case_insensitive=False)
    assert not matches(string="a\nb", regex_pattern="a.b")
    assert matches(string="a\nb", regex_pattern="a.b", dotall=True)
    assert not matches(string="a\nb", regex_pattern="^b")
    assert matches(string="a\nb", regex_pattern="^b", multiline=True)


@pytest.mark.parametrize(("mode", "group", "expected"), [
    ("First Match", 1, "cat 1"), ("All Matches", 1, "cat\ndog"), ("First Group", 2, "1"), ("All Groups", 2, "1\n22"),
    ("First Group", 0, "cat 1"), ("First Group", 3, ""), ("All Groups", 3, ""),
])  # fmt: skip
def test_matches_and_groups_are_taken_out(mode, group, expected):
    found = extract(string="cat 1, dog 22", regex_pattern=r"(\w+) (\d+)", mode=mode, group_index=group)
    assert found == expected


def test_what_is_not_there_is_empty():
    for mode in ("First Match", "All Matches", "First Group", "All Groups"):
        assert extract(string="cat", regex_pattern="x(y)", mode=mode) == ""
    assert extract(string="a1b22", regex_pattern=r"\d+", mode="All Matches") == "1\n22"
    assert extract(string="a", regex_pattern="(a)|(b)", mode="First Group", group_index=2) == ""
    assert extract(string="a1", regex_pattern=r"\d", mode="All Groups", group_index=0) == ""


def test_matches_are_replaced_with_groups_and_a_limit():
    swapped = replace_pattern(string="red cube, blue ball", regex_pattern=r"(\w+) (\w+)", replace=r"\2 \1")
    assert swapped == "cube red, ball blue"
    assert replace_pattern(string="aaa", regex_pattern="A", replace="b", count=2) == "bba"
    assert replace_pattern(string="aA", regex_pattern="A", replace="b", case_insensitive=False) == "ab"
    assert replace_pattern(string="a\nb", regex_pattern="^", replace="> ", multiline=True) == "> a\n> b"


def test_a_pattern_that_is_none_is_refused_with_its_place():
    for change in (lambda pattern: matches(string="a", regex_pattern=pattern),
                   lambda pattern: extract(string="a", regex_pattern=pattern, mode="All Matches"),
                   lambda pattern: replace_pattern(string="a", regex_pattern=pattern, replace="b")):  # fmt: skip
        with pytest.raises(ValueError, match=r"regex_pattern '\(a' is no regular expression: missing \)"):
            change("(a")
    with pytest.raises(ValueError, match="regex_pattern has 10001 characters; the limit is 10000"):
        matches(string="a", regex_pattern="a" * 10_001)
    with pytest.raises(ValueError, match=r"replace '\\\\7' does not fit the pattern 'a'"):
        replace_pattern(string="a", regex_pattern="a", replace=r"\7")


EVIL = "(a|aa)+$"  # takes exponentially long on what nearly matches


@pytest.mark.parametrize("change", [
    lambda text: matches(string=text, regex_pattern=EVIL),
    lambda text: extract(string=text, regex_pattern=EVIL, mode="All Groups"),
    lambda text: replace_pattern(string=text, regex_pattern=EVIL, replace=""),
])  # fmt: skip
def test_a_pattern_that_would_run_for_ages_is_stopped(change, monkeypatch):
    monkeypatch.setattr(patterns, "MOST_SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"was still at it after 0.2 s; repetitions inside of repetitions"):
        change("a" * 200 + "b")
    assert time.monotonic() - start < 25, "by itself it would outlive all of us"


def test_a_replacement_cannot_fill_the_memory(monkeypatch):
    monkeypatch.setattr(patterns, "MOST_RESULT", 1000)
    with pytest.raises(ValueError, match="the replaced text would have more than 1000 characters"):
        replace_pattern(string="a" * 100, regex_pattern="a", replace="b" * 30)
