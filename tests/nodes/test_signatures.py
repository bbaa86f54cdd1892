"""Names, order, defaults and ranges are ComfyUI's: they are the file format.

`signatures.json` holds the facts of ComfyUI 0.3.64's node classes, one per line: inputs in order, types, defaults,
ranges, choices, returns, category, shown name and flags.
"""

import json
from pathlib import Path

import pytest

from engine.graph.page import reference_page
from engine.graph.registry import scan
from engine.graph.schema import object_info
from nodes.left_out import LEFT_OUT

TABLE = json.loads(Path(__file__).with_name("signatures.json").read_text(encoding="utf-8"))
ROOT = Path(__file__).resolve().parents[2]
REGISTRY = scan()
SPECS = REGISTRY.specs

# where Easel's list of files goes by another name, or the table shows the list of an empty folder
FILES = {"input folder": "input", "text_encoders or clip_vision": "text_encoders"}
OTHER_FILES = {
    ("LoadLatent", "latent"): "latents",
    ("LoadImageOutput", "image"): "output",
    ("CLIPVisionLoader", "clip_name"): "clip_vision",
}
DIFFERENT = {
    ("VAELoader", "vae_name"): "the table's machine had no VAE files; its only entry is for video models",
}
SHOWN = ("default", "min", "max", "step", "round", "multiline", "dynamicPrompts", "control_after_generate",
         "image_upload", "advanced", "forceInput")  # fmt: skip


def expected_input(name, entry):
    kind = entry["kind"]
    if "from" in entry:
        listed = TABLE["lists"].get(entry["from"])
        folder = OTHER_FILES.get((name, entry["name"])) or FILES.get(entry["from"], entry["from"])
        kind = listed if listed is not None else [f"<{folder}>"]
    elif "choices" in entry:
        kind = entry["choices"]
    return kind, {key: entry[key] for key in SHOWN if key in entry}


def found_input(info, section, name, entry):
    kind, *rest = info["input"][section][name]
    if entry.get("from") in TABLE["lists"]:
        kind = kind[: len(TABLE["lists"][entry["from"]])]  # Easel's own samplers come after ComfyUI's
    return kind, {key: value for key, value in (rest[0] if rest else {}).items() if key in SHOWN}


@pytest.mark.parametrize("name", sorted(TABLE["nodes"].keys() & SPECS.keys()))
def test_a_node_has_comfyuis_signature(name):
    entry, info = TABLE["nodes"][name], object_info(SPECS[name], lambda folder: [f"<{folder}>"])
    inputs = entry["inputs"]
    assert info["input_order"]["required"] == [each["name"] for each in inputs if each["required"]]
    assert info["input_order"].get("optional", []) == [each["name"] for each in inputs if not each["required"]]
    for each in inputs:
        if (name, each["name"]) not in DIFFERENT:
            section = "required" if each["required"] else "optional"
            assert found_input(info, section, each["name"], each) == expected_input(name, each), each["name"]
    assert info["input"].get("hidden", {}) == entry["hidden"]
    assert info["output"] == [each["kind"] for each in entry["outputs"]]
    assert info["output_name"] == [each["name"] for each in entry["outputs"]]
    assert info["output_is_list"] == [each.get("list", False) for each in entry["outputs"]]
    assert (info["category"], info["display_name"]) == (entry["category"], entry["display_name"])
    assert SPECS[name].whole_lists == entry.get("whole_lists", False)
    for flag in ("output_node", "deprecated", "experimental"):
        assert info.get(flag, False) == entry.get(flag, False), flag


def test_every_node_is_there_or_left_out_for_a_reason():
    assert not REGISTRY.failures
    assert not TABLE["nodes"].keys() - SPECS.keys() - LEFT_OUT.keys()
    assert not LEFT_OUT.keys() & SPECS.keys(), "a node that is there is not left out"


def test_differences_are_of_nodes_that_are_there():
    for name, field in DIFFERENT:
        assert any(each["name"] == field for each in TABLE["nodes"][name]["inputs"])
        assert name in SPECS


def test_the_reference_page_is_current():
    page = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    assert page == reference_page(SPECS, LEFT_OUT), "python server.py nodes --markdown > docs/nodes.md"


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_node_says_what_it_does(name):
    assert SPECS[name].description.strip(), "the docstring is the node's description"
