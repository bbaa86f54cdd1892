"""Whole graphs with adapters, through the engine: they change the picture, and a second run is all reuse."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from engine.diffusion.checkpoint import open_checkpoint
from engine.files.folders import make_folders
from engine.messages.events import Cached, NodeStarted, Succeeded
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings
from tests.adapters.graphs import CONFIG, GRAPHS, write_models


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_models(root)
    return root


@pytest.fixture
def settings(models, tmp_path):
    return Settings(make_folders(data=tmp_path / "data", models=models), cpu=True, precision="fp32", threads=1)


def run(settings, tmp_path, name):
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(GRAPHS[name]))
    events = []
    ending = run_file(file, settings, events.append)
    assert isinstance(ending, Succeeded), ending
    with Image.open(settings.folders.output / ending.outputs["7"]["images"][0]["filename"]) as picture:
        return np.asarray(picture, np.float32), events


@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "plain"])
def test_an_adapter_changes_the_picture_and_a_second_run_is_all_reuse(name, settings, tmp_path):
    settings = replace(settings, cache_directory=tmp_path / "cache")
    plain, _ = run(settings, tmp_path, "plain")
    adapted, events = run(settings, tmp_path, name)
    assert np.abs(adapted - plain).max() > 2, "levels of 255"
    assert any(isinstance(each, NodeStarted) and each.node == "5" for each in events)
    again, events = run(settings, tmp_path, name)
    assert np.array_equal(again, adapted)
    assert [each.node for each in events if isinstance(each, NodeStarted)] == []
    assert any(isinstance(each, Cached) and "7" in each.nodes for each in events)
    off, _ = run(settings, tmp_path, "plain")
    assert np.array_equal(off, plain)


def test_a_saved_merge_is_written_through_the_engine(settings, tmp_path):
    nodes = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
        "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "b.safetensors"}},
        "3": {"class_type": "ModelMergeSD1", "inputs": {
            "model1": ["1", 0], "model2": ["2", 0],
            **dict.fromkeys(("time_embed.", "label_emb.", "out."), 0.5),
            **{f"input_blocks.{number}.": 0.5 for number in range(12)},
            **{f"middle_block.{number}.": 0.5 for number in range(3)},
            **{f"output_blocks.{number}.": 0.5 for number in range(12)},
        }},
        "4": {"class_type": "CheckpointSave", "inputs": {
            "model": ["3", 0], "clip": ["1", 1], "vae": ["1", 2], "filename_prefix": "checkpoints/mix",
        }},
    }  # fmt: skip
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(nodes))
    ending = run_file(file, settings, lambda event: None)
    assert isinstance(ending, Succeeded), ending
    (entry,) = ending.outputs["4"]["files"]
    path = settings.folders.output / entry["subfolder"] / entry["filename"]
    saved = open_checkpoint(path)
    assert saved.config == CONFIG
    assert json.loads(saved.metadata["prompt"])["4"]["class_type"] == "CheckpointSave"
    assert not list(path.parent.glob(".*")), "nothing half written is left"
