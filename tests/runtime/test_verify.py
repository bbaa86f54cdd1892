"""`server.py verify`: a picture is made again from what it carries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

import server
from engine.files.digests import sha256
from engine.files.folders import make_folders
from engine.files.metadata import read_metadata
from engine.messages.record import KEY, read_record
from engine.runtime import workflow_file
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings
from engine.runtime.verify import NotMadeError, compared, verify
from tests.served import ROOT, STANDIN, picture_workflow, text_to_image


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


def test_both_commands_read_their_file_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    text_of = workflow_file.read_text
    monkeypatch.setattr(workflow_file, "read_text", lambda path: (read.append(path), text_of(path))[1])
    words = ["--data-directory", str(tmp_path / "data"), "--cpu", "--precision", "fp32"]
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(picture_workflow()))
    assert server.run([str(file), "--quiet", *words]) == 0
    picture = sorted(settings.folders.output.iterdir())[-1]
    assert server.verify([str(picture), *words]) == 0
    assert read == [file, picture]


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


# -- the run record ------------------------------------------------------------------------------------------------


def rewritten(path: Path, change: Callable[[dict[str, Any]], None], *, pixel: bool) -> None:
    """Change what a picture says of its run, and perhaps the picture."""
    with Image.open(path) as picture:
        about, pixels = PngImagePlugin.PngInfo(), np.asarray(picture).copy()
        record = json.loads(picture.info[KEY])
        change(record)
        about.add_text("prompt", picture.info["prompt"])
        about.add_text(KEY, json.dumps(record))
    if pixel:
        pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path, pnginfo=about)


def test_a_picture_carries_its_run_record(settings: Settings, tmp_path: Path) -> None:
    path = made(settings, tmp_path, text_to_image(steps=1, size=32, seed=7))
    record = read_record(read_metadata(path)[KEY])
    assert record is not None
    assert set(record.versions) == {"easel", "python", "torch"}
    assert record.device == "cpu" and record.plan["unet"] == "float32"
    assert record.seeds == {"5.seed": 7}
    assert {node: plan["weights"] for node, plan in record.memory.items()} == dict.fromkeys("2356", "resident")
    assert [(each.folder, each.name, each.size) for each in record.weights] == [
        ("checkpoints", STANDIN.name, STANDIN.stat().st_size)
    ]
    assert verify(path, settings).changes in ((), (f"the digest of checkpoints/{STANDIN.name} was not recorded, so "
                                                   "nobody knows whether it is the same file",))


def test_verify_says_what_is_different(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made(settings, tmp_path, text_to_image(steps=1, size=32))

    def change(record: dict[str, Any]) -> None:
        record["versions"]["torch"] = "1.0"
        record["device"] = "cuda:0 Some GPU"
        record["plan"]["unet"] = "float16"
        record["memory"]["5"] = {"weights": "streamed", "rows": 1}
        record["weights"][0]["sha256"] = "ab" * 32

    rewritten(path, change, pixel=True)
    verdict = verify(path, settings)
    digest = sha256(STANDIN)
    assert not verdict.same
    assert verdict.changes == (
        f"torch was 1.0 and is {torch.__version__}", "the device was cuda:0 Some GPU and is cpu",
        "unet was float16 and is float32", "the plan of node 5 was rows=1 and is everything at once",
        f"the weights checkpoints/{STANDIN.name} have the SHA-256 {digest} and had {'ab' * 32}",
    )
    folders = settings.folders
    words = ["--cpu", "--precision", "fp32", "--threads", "1", "--data-directory", str(folders.output.parent),
             "--models-directory", str(ROOT / "models")]
    assert server.verify([str(path), *words]) == 1
    assert "torch was 1.0" in capsys.readouterr().out


def test_a_digest_that_is_the_same_is_no_difference(settings: Settings, tmp_path: Path) -> None:
    path = made(settings, tmp_path, text_to_image(steps=1, size=32))
    digest = sha256(STANDIN)
    rewritten(path, lambda record: record["weights"][0].update(sha256=digest), pixel=True)
    assert verify(path, settings).changes == ()


def test_without_metadata_a_picture_carries_no_record(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(picture_workflow()))
    run_file(file, settings, lambda event: None, metadata=False)
    (path,) = settings.folders.output.iterdir()
    assert read_metadata(path) == {}
