"""Every saved workflow runs, and its effect on the picture is seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation

from engine.graph.editor_format.document import dump_document, load_document
from engine.graph.graph import resolve
from engine.graph.problems import WorkflowError
from engine.graph.registry import scan
from engine.messages.events import Succeeded
from engine.runtime.headless import open_workflow, run_file
from engine.runtime.settings import Settings
from engine.runtime.workflow_file import read_file
from engine.training.captions import caption
from engine.training.render import render
from engine.training.scenes import make_scene
from tests.served import ROOT
from tests.whole.saved import note_of
from tests.whole.test_adapter_workflows import SMALL as ADAPTERS
from tests.whole.test_preset_workflows import SMALL as PRESETS

WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))

# what makes each quick without changing what it does
SMALL: Mapping[str, Mapping[str, str]] = {
    "txt2img": {"4.width": "64", "4.height": "64", "5.steps": "4"},
    "img2img": {"8.width": "64", "8.height": "64", "5.steps": "4"},
    "area_composition": {"5.steps": "3"},
    "xy_plot": {"4.width": "64", "4.height": "64", "7.y_values": "1\n2", "7.letters": "12"},
    "hires": {"4.width": "64", "4.height": "64", "5.steps": "3", "8.width": "96", "8.height": "96", "9.steps": "2"},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    import server
    from engine.files.folders import make_folders

    folders = make_folders(data=tmp_path / "data", models=ROOT / "models")
    server._make_folders(folders)
    return Settings(folders, cpu=True, precision="fp32", threads=1)


def run(name: str, settings: Settings, **changes: str) -> npt.NDArray[np.float32]:
    values = {**SMALL[name], **{key.replace("__", "."): value for key, value in changes.items()}}
    values = {key.lstrip("n"): value for key, value in values.items()}
    ending = run_file(ROOT / "workflows" / f"{name}.json", settings, lambda event: None, changes=values)
    assert isinstance(ending, Succeeded), ending
    (shown,) = ending.outputs.values()
    with Image.open(settings.folders.output / shown["images"][0]["filename"]) as picture:
        assert "workflow" in picture.info
        return np.asarray(picture, dtype=np.float32)


def test_every_workflow_has_a_test() -> None:
    assert {path.stem for path in WORKFLOWS} == set(SMALL) | set(PRESETS) | set(ADAPTERS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_whole_editor_files(path: Path) -> None:
    data = json.loads(path.read_text())
    assert dump_document(load_document(data)) == data
    opened = open_workflow(read_file(path), scan().specs)
    assert not opened.notes


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_workflow_explains_itself_in_two_sentences(path: Path) -> None:
    note = note_of(path.stem)
    assert note.endswith(".")
    assert note.count(". ") == 1


def test_txt2img_follows_seed_and_prompt(settings: Settings) -> None:
    first = run("txt2img", settings)
    assert first.shape == (64, 64, 3)
    assert np.array_equal(first, run("txt2img", settings))
    assert not np.array_equal(first, run("txt2img", settings, n5__seed="43"))
    assert not np.array_equal(first, run("txt2img", settings, n2__text="a bowl of fruit"))


def test_img2img_keeps_more_of_the_picture_the_less_it_denoises(settings: Settings) -> None:
    kept = run("img2img", settings, n5__denoise="0.0")  # only through the autoencoder
    distances = [float(np.abs(run("img2img", settings, n5__denoise=d) - kept).mean()) for d in ("0.1", "0.5", "1.0")]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_hires_is_the_first_pass_larger_and_worked_over(settings: Settings) -> None:
    picture = run("hires", settings)
    assert picture.shape == (96, 96, 3)
    untouched = run("hires", settings, n9__denoise="0.0")
    assert not np.array_equal(picture, untouched)


def test_each_area_follows_its_own_text(settings: Settings) -> None:
    """Another text on one side changes that side more than the other, which only hears of it inside the network."""
    plain = run("area_composition", settings)
    assert plain.shape == (128, 256, 3)
    left, right = slice(0, 128), slice(128, 256)
    for node, here, there in (("n7__text", left, right), ("n8__text", right, left)):
        changed = np.abs(run("area_composition", settings, **{node: "a bowl of fruit"}) - plain)
        assert changed[:, here].mean() > 2 * changed[:, there].mean()


def test_a_plot_is_a_sheet_of_the_pictures_that_single_runs_make(settings: Settings) -> None:
    page = run("xy_plot", settings)
    head, gap = 24, 8  # letters of 12 pixels and half of that above and below
    side = page.shape[1] - 3 * 64 - 2 * gap
    assert page.shape[0] == head + 2 * 64 + gap
    assert 0 < side <= 64
    one = run("xy_plot", settings, n7__x_values="7", n7__y_values="2", n7__letters="0")
    assert one.shape == (64, 64, 3)
    assert np.array_equal(page[head + 64 + gap :, -64:], one), "the last column and row: cfg 7, steps 2"
    assert not np.array_equal(page[head : head + 64, -64:], one)
    assert page[:head, side:].min() < 100, "labels"


UNSHIPPED = {"unclip": "sd21-unclip-h.safetensors"}
"""What has to be fetched, by the workflows that need it; all others run in a fresh clone."""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_whatever_a_workflow_names_is_there_for_a_new_user(path: Path, settings: Settings) -> None:
    """The models that are shipped, and the pictures that are put into the input folder."""
    specs = scan().specs
    workflow = open_workflow(read_file(path), specs).workflow
    if path.stem in UNSHIPPED:
        with pytest.raises(WorkflowError, match=UNSHIPPED[path.stem]):
            resolve(workflow, specs, settings.folders, all_or_nothing=True)
    else:
        resolve(workflow, specs, settings.folders, all_or_nothing=True)


def test_the_scene_that_workflows_start_from_is_one_that_no_model_was_trained_on(settings: Settings) -> None:
    """And in its twin the sphere, with some room around it, is transparent."""
    scene = make_scene(279, "test", objects=2)
    assert "orange sphere right of a big yellow cube, on green grass" in caption(scene, 0)
    seen = render(scene, 128, samples=4)
    with Image.open(settings.folders.input / "scene.png") as picture:
        assert picture.size == (128, 128)
        assert np.abs(np.asarray(picture, np.float32) - 255 * seen.picture).max() < 2
        plain = np.asarray(picture)
    with Image.open(settings.folders.input / "scene-masked.png") as picture:
        masked = np.asarray(picture)
    assert np.array_equal(masked[..., :3], plain)
    hole = masked[..., 3] == 0
    assert hole[binary_dilation(seen.coverage[1] > 0, iterations=3)].all()
    assert not hole[seen.coverage[0] > 0].any()


@pytest.mark.full
@pytest.mark.parametrize("path", [path for path in WORKFLOWS if path.stem not in UNSHIPPED], ids=lambda path: path.stem)
def test_workflows_run_as_they_are(path: Path, settings: Settings) -> None:
    ending = run_file(path, settings, lambda event: None)
    assert isinstance(ending, Succeeded), ending
