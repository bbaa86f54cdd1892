"""What pictures carry: made when a node asks for it, and by itself where nobody sent it along."""

from __future__ import annotations

import json
from typing import Any

from engine.graph.editor_format.read import read_editor
from engine.graph.registry import scan
from engine.graph.workflow import write_api
from engine.runtime.recipe import recipe_later
from tests.served import text_to_image

SPECS = scan().specs


def recipe_of(graph: Any, extra: Any) -> Any:
    return recipe_later(json.dumps(graph).encode(), json.dumps(extra).encode(), lambda: SPECS)()


def test_a_bare_graph_gets_a_workflow_that_reads_back_as_the_same_graph() -> None:
    prompt, info = recipe_of(text_to_image(), {"extra_pnginfo": {"mine": 1}})
    assert info["mine"] == 1 and prompt == text_to_image()
    assert write_api(read_editor(info["workflow"], SPECS).workflow) == text_to_image()
    places = [tuple(each["pos"]) for each in info["workflow"]["nodes"]]
    assert len(set(places)) == len(places), "no node lies on another"


def test_a_workflow_that_was_sent_along_stays_as_it_is() -> None:
    sent = {"workflow": {"nodes": [], "mine": True}}
    assert recipe_of(text_to_image(), {"extra_pnginfo": sent})[1] == sent


def test_a_graph_that_cannot_be_laid_out_costs_no_picture() -> None:
    graph = {"1": {"class_type": "X", "inputs": {"a": ["9", 0]}}}
    assert recipe_of(graph, {}) == (graph, {})


def test_nothing_is_read_before_somebody_asks() -> None:
    recipe_later(b"no JSON", b"", lambda: SPECS)
