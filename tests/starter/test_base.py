"""The starter's base model: an ordinary checkpoint, small, and its pictures follow the words."""

from __future__ import annotations

import subprocess

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from engine.training.evaluate import Painter, read_painter
from engine.training.scenes import BACKGROUNDS, COLOURS
from tests.served import ROOT

BASE = ROOT / "models" / "starter" / "checkpoints" / "base.safetensors"
LARGEST, LARGEST_TOGETHER = 14_000_000, 40_000_000
SEEN = ("red", "yellow", "blue", "cyan", "green", "purple", "orange", "pink")
NEAR = 0.30  # in sRGB, from a colour to its shades


@pytest.fixture(scope="module")
def painter() -> Painter:
    torch.set_num_threads(1)
    return read_painter(BASE, None)


def share(pixels: Tensor, colour: tuple[float, float, float]) -> float:
    """The part of a picture (3, h, w) in -1..1 whose hue and strength are a colour's, in light or in shade."""
    found = (pixels + 1) / 2
    wanted = torch.tensor(colour)[:, None, None]
    shade = ((found * wanted).sum(dim=0) / wanted.square().sum()).clamp(0.35, 1.2)
    return float(((found - shade * wanted).norm(dim=0) < NEAR * shade).float().mean())


def test_the_files_are_small_and_say_how_they_were_made() -> None:
    listed = subprocess.run(["git", "ls-files", "models"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split()] or [BASE]
    sizes = {path.name: path.stat().st_size for path in files if path.suffix == ".safetensors"}
    assert sizes and max(sizes.values()) <= LARGEST and sum(sizes.values()) <= LARGEST_TOGETHER, sizes
    for path in (each for each in files if each.suffix == ".safetensors"):
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118
        assert {"easel.config", "easel.command", "easel.seed", "easel.data", "easel.steps"} <= set(metadata), path.name


def test_the_colour_that_a_prompt_names_is_what_the_picture_shows(painter: Painter) -> None:
    pictures = painter.draw([f"a large {name} cube on a grey background" for name in SEEN], 4.0, 128, steps=40)
    shares = torch.tensor([[share(picture, COLOURS[name]) for name in SEEN] for picture in pictures])
    assert (shares.diagonal() > 0.02).all(), shares
    assert torch.equal(shares.argmax(dim=0), torch.arange(len(SEEN))), "no other picture shows more of a colour"


def test_the_background_that_a_prompt_names_is_there(painter: Painter) -> None:
    names = ("white", "black", "pink", "grass")
    words = ("on a white background", "on a black background", "on a pink background", "on green grass")
    pictures = painter.draw([f"a small orange sphere {each}" for each in words], 4.0, 128, steps=12)
    floors = torch.stack([(picture[:, -24:, :] + 1).mean(dim=(1, 2)) / 2 for picture in pictures])
    wanted = torch.tensor([BACKGROUNDS[name].floor for name in names])
    assert torch.equal(torch.cdist(floors, wanted).argmin(dim=1), torch.arange(len(names))), floors
