"""One of everything, in a few seconds: if this passes, Easel is roughly alive."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from engine.files.folders import make_folders
from engine.messages.events import Event, NodeProgress, Succeeded
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings
from tests.served import ROOT, STANDIN, text_to_image


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    assert STANDIN.exists(), "make models/starter/checkpoints/standin.safetensors"
    folders = make_folders(data=tmp_path / "data", models=ROOT / "models")
    return Settings(folders, cpu=True, precision="fp32", threads=1)


def test_a_workflow_becomes_a_picture_that_carries_it(settings: Settings, tmp_path: Path) -> None:
    workflow = text_to_image()
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(workflow))
    events: list[Event] = []
    ending = run_file(file, settings, events.append, changes={"5.seed": "7"})
    assert isinstance(ending, Succeeded), ending
    (entry,) = ending.outputs["7"]["images"]
    path = settings.folders.output / entry["filename"]
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert picture.size == (64, 64)
        assert len(picture.getcolors(4096) or range(4096)) > 100, "not one flat colour"
        carried = json.loads(picture.info["prompt"])
    assert carried["5"]["inputs"]["seed"] == 7
    assert carried["2"] == workflow["2"]
    assert [each.value for each in events if isinstance(each, NodeProgress)] == [1, 2]


def test_the_picture_is_its_own_workflow(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(text_to_image(seed=3)))
    first = run_file(file, settings, lambda event: None)
    path = settings.folders.output / first.outputs["7"]["images"][0]["filename"]
    again = run_file(path, settings, lambda event: None)
    other = settings.folders.output / again.outputs["7"]["images"][0]["filename"]
    assert other != path
    with Image.open(path) as one, Image.open(other) as two:
        assert one.tobytes() == two.tobytes()


def test_seed_and_prompt_change_the_picture(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(text_to_image()))
    pictures = set()
    for changes in ({}, {"5.seed": "2"}, {"2.text": "a blue sphere"}):
        ending = run_file(file, settings, lambda event: None, changes=changes)
        with Image.open(settings.folders.output / ending.outputs["7"]["images"][0]["filename"]) as picture:
            pictures.add(picture.tobytes())
    assert len(pictures) == 3


def test_pictures_are_made_anew_for_another_output_folder(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(text_to_image(steps=1)))
    for name in ("one", "two"):
        folders = dataclasses.replace(settings.folders, output=tmp_path / name)
        cache = dataclasses.replace(settings, folders=folders, cache_directory=tmp_path / "cache")
        ending = run_file(file, cache, lambda event: None)
        assert (tmp_path / name / ending.outputs["7"]["images"][0]["filename"]).is_file()
    bare = dataclasses.replace(cache, folders=folders)
    ending = run_file(file, bare, lambda event: None, metadata=False)
    with Image.open(tmp_path / "two" / ending.outputs["7"]["images"][0]["filename"]) as picture:
        assert "prompt" not in picture.info, "no picture with a recipe is handed out where none is wanted"


def test_a_trace_database_in_use_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    from engine.runtime.traces import Trace, Traces

    path = tmp_path / "traces.db"
    Traces(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    traces = Traces(path)
    traces.put(b"s", Trace((b"d",)))
    traces.flush()
    assert traces.get(b"s") == Trace((b"d",))
    assert not list(tmp_path.glob("*.unreadable"))
    other.close()
