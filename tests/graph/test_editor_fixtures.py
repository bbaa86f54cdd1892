"""Whole files with their API form next to them, as pictures of the official examples hold both."""

import json
from pathlib import Path

import pytest

from engine.graph.editor_format import apply_to_document, convert, dump_document, load_document, read_editor
from engine.graph.workflow import read_api, set_inputs
from tests.graph.specs import SPECS

FIXTURES = sorted(path for path in (Path(__file__).parent / "fixtures").glob("*.json")
                  if not path.name.endswith(".api.json"))
pytestmark = pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)


def expected(path):
    return json.loads(path.with_name(f"{path.stem}.api.json").read_text())


def test_the_file_converts_to_the_api_form_next_to_it(path):
    assert convert(path.read_bytes(), SPECS).data == expected(path)


def test_its_version_1_converts_to_the_same(path):
    text = json.dumps(convert(path.read_bytes(), SPECS, "v1").data)
    assert convert(text, SPECS, "api").data == expected(path)


def test_it_survives_version_1_and_back(path):
    data = json.loads(path.read_text())
    assert dump_document(load_document(dump_document(load_document(data), 1)), 0.4) == data


def test_its_api_form_survives_a_new_editor_file(path):
    text = json.dumps(convert(json.dumps(expected(path)), SPECS, "editor").data)
    assert convert(text, SPECS, "api").data == expected(path)


def test_all_its_numbers_can_be_changed_in_place(path):
    """Each number is lowered by one, written into the file and read back; the rest of the file is as it was."""
    data = json.loads(path.read_text())
    workflow = read_editor(data, SPECS).workflow
    changes = {f"{node_id}.{name}": value - 1 for node_id, node in workflow.nodes.items()
               for name, value in node.inputs.items() if isinstance(value, int | float)}
    changed = set_inputs(workflow, changes)
    written = dump_document(apply_to_document(load_document(data), changed, SPECS))
    assert changes and read_editor(written, SPECS).workflow == changed
    for each in (written, data):
        for node in [*each["nodes"]]:
            node.pop("widgets_values", None)
    assert written == data


def test_the_api_form_is_an_api_form(path):
    assert read_api(expected(path)).nodes
