"""`server.py verify`: a picture is made again from what it carries."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import server
from engine.files.folders import make_folders
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings
from engine.runtime.verify import NotMadeError, compared, verify
from tests.served import ROOT, picture_workflow, text_to_image


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folders = make_folders(data=tmp_path / "data", models=ROOT / "models")
    return Settings(folders, cpu=True, precision="fp32", threads=1, cache_directory=tmp_path / "cache")


def made(settings: Settings, tmp_path: Path, graph: object) -> Path:
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(graph))
    run_file(file, settings, lambda event: None)
    return sorted(settings.folders.output.iterdir())[-1]


def test_a_picture_that_is_made_again_is_the_same_and_none_is_left(settings: Settings, tmp_path: Path) -> None:
    path = made(settings, tmp_path, text_to_image(steps=1, size=32))
    verdict = verify(path, settings)
    assert verdict.same and verdict.pixels == 32 * 32
    assert list(settings.folders.output.iterdir()) == [path]


def test_a_picture_that_was_changed_is_told_apart(settings: Settings, tmp_path: Path) -> None:
    path = made(settings, tmp_path, picture_workflow())
    with Image.open(path) as picture:
        texts = dict(picture.info)
        pixels = np.asarray(picture).copy()
    pixels[3, 4] ^= 8
    about = PngImagePlugin.PngInfo()
    about.add_text("prompt", texts["prompt"])
    Image.fromarray(pixels).save(path, pnginfo=about)
    verdict = verify(path, settings)
    assert (verdict.largest, verdict.differing, verdict.same) == (8, 1, False)


def test_what_makes_no_picture_to_compare_says_so(settings: Settings, tmp_path: Path) -> None:
    path = made(settings, tmp_path, picture_workflow())
    with Image.open(path) as picture:
        about = PngImagePlugin.PngInfo()
        about.add_text("prompt", picture.info["prompt"])
        picture.resize((8, 8)).save(path, pnginfo=about)
    with pytest.raises(NotMadeError, match="none of which is 8×8"):
        verify(path, settings)


def test_the_command_says_what_it_found(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made(settings, tmp_path, picture_workflow())
    words = [str(path), "--data-directory", str(tmp_path / "data"), "--cpu", "--precision", "fp32"]
    assert server.verify(words) == 0
    assert "the same, bit for bit" in capsys.readouterr().out
    assert server.verify([str(tmp_path / "none.png"), *words[1:]]) == 2


def test_the_verdict_counts_pixels_and_finds_the_largest_difference() -> None:
    old = np.zeros((2, 2, 4), np.int16)
    new = old.copy()
    new[0, 0, 1], new[1, 1, 2] = 3, 200
    assert replace(compared(old, new), pixels=0) == replace(compared(new, old), pixels=0)
    assert (compared(old, new).largest, compared(old, new).differing) == (200, 2)
