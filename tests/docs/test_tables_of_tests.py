"""The pages that say which test holds the engine to what: every row has one, and every one of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.graph.types import SOCKETS

ROOT = Path(__file__).resolve().parents[2]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("custom-nodes", "invariants")}
TABLES = {**PAGES, "custom-nodes": PAGES["custom-nodes"].partition("## What a pack may do")[2]}


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there_and_no_row_is_without_one(page: str) -> None:
    named = re.findall(r"`(\w+/test_\w+\.py)::(test_\w+)`", TABLES[page])
    assert len(named) > 50
    missing = [
        f"{file}::{name}" for file, name in named
        if not re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE)
    ]
    assert not missing
    rows = [line for line in TABLES[page].splitlines() if line.startswith("| ") and not line.endswith("| test |")]
    assert [line for line in rows if "::test_" not in line] == []


def test_every_place_that_is_named_is_there() -> None:
    named = re.findall(r"\| `([\w/]+(?:\.py)?)` \|", PAGES["invariants"])
    assert len(named) > 30
    assert [each for each in named if not (ROOT / "engine" / each).exists() and not (ROOT / each).exists()] == []


def test_the_page_about_packs_knows_their_flags_and_no_socket_that_there_is_not() -> None:
    flags = ("--custom-nodes", "--extra-model-paths-config", "--whitelist-custom-nodes", "--disable-all-custom-nodes")
    assert all(flag in PAGES["custom-nodes"] for flag in flags)
    told = PAGES["custom-nodes"].partition("What a pack sees:")[2]
    assert set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)*\b", told)) <= SOCKETS
