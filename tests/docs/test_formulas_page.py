"""The page of formulas is true: every test that it names is there and quotes the section, and every section has one."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "formulas.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([\d.]+|A|B) \| .*? \| (.*) \|$", PAGE, re.MULTILINE))
LAST = {1: 6, 2: 8, 3: 8, 4: 10, 5: 6, 6: 6, 7: 5, 8: 4, 9: 5}  # the last section of each chapter
NOTHING_TO_COMPUTE = {"9.1"}
PARTS = {"A": "appendix A", "B": "appendix B"}


def test_every_section_has_a_row() -> None:
    sections = {f"{chapter}.{number}" for chapter, last in LAST.items() for number in range(1, last + 1)}
    assert set(ROWS) == sections - NOTHING_TO_COMPUTE | set(PARTS)


def test_every_test_of_a_row_is_there_and_quotes_its_section() -> None:
    for section, named in ROWS.items():
        files = re.findall(r"`([\w/]+\.py)`", named)
        assert files, section
        for file in files:
            text = (TESTS / file).read_text(encoding="utf-8")
            assert "numerics" in text, f"{file} does not say what its sections are of"
            quoted = re.escape(PARTS.get(section, section))
            assert re.search(rf"(?<![\d.]){quoted}(?![\d]|\.\d)", text), f"{file} does not quote {section}"
