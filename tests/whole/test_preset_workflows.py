"""The saved workflows of models with more inputs, upscalers and the safety checker; what each does to the picture.

No trained part exists for them here: the files have the published layouts and names, narrow layers and random weights
from a fixed seed. What is asserted holds for any weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.diffusion.safety import SafetyConfig
from engine.diffusion.upscale import RrdbConfig
from engine.messages.events import Event, NodeStarted
from engine.runtime.settings import Settings
from tests.parity.small import randomise
from tests.presets import vision, write_published
from tests.served import ROOT
from tests.whole.saved import Pixels, difference, run_saved

torch.set_num_threads(1)

# what makes each quick without changing what it does
SMALL: Mapping[str, Mapping[str, Any]] = {
    "inpaint": {"4.image": "masked.png", "6.steps": 3},
    "outpaint": {"4.image": "small.png", "5.left": 16, "5.right": 24, "5.feathering": 8, "7.steps": 3},
    "depth": {"5.image": "small.png", "9.steps": 3},
    "x4_upscale": {"4.image": "small.png", "5.width": 16, "5.height": 16, "7.steps": 3},
    "esrgan_upscale": {"2.image": "small.png"},
    "safety": {"4.width": 64, "4.height": 64, "5.steps": 2},
    "unclip": {"4.image": "small.png", "7.width": 64, "7.height": 64, "8.steps": 3},
}
CHECKPOINTS = {
    "sd-v1-5-inpainting": "sd1-inpaint", "512-depth-ema": "sd2-depth", "x4-upscaler-ema": "sd2-x4",
    "sd21-unclip-h": "sd2-unclip-h",
}  # fmt: skip
CHECKER = Path("safety_checkers") / "stable-diffusion-safety-checker" / "model.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with random files under the names that the workflows say."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "starter").symlink_to(ROOT / "models" / "starter")
    for name, family in CHECKPOINTS.items():
        write_published(folder / "checkpoints" / f"{name}.safetensors", family)
    (folder / "upscale_models").mkdir()
    torch.save({"params_ema": upscaler().state_dict()}, folder / "upscale_models" / "RealESRGAN_x4plus.pth")
    write_checker(folder / CHECKER, flags_all=False)
    return folder


def upscaler() -> torch.nn.Module:
    return randomise(RrdbConfig(width=8, growth=4, blocks=1, ups=2, unshuffle=1).build())


def write_checker(path: Path, *, flags_all: bool) -> None:
    network = randomise(SafetyConfig(vision(24), 3, 1).build())
    network.concept_embeds_weights.data[:] = -2.0 if flags_all else 2.0  # a cosine is between -1 and 1
    network.special_care_embeds_weights.data[:] = 2.0
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> Settings:
    import server
    from engine.files.folders import make_folders

    folders = make_folders(data=tmp_path / "data", models=models)
    server._make_folders(folders)
    for name in ("example", "example-masked"):
        with Image.open(folders.input / f"{name}.png") as picture:
            picture.resize((64, 64), Image.Resampling.NEAREST).save(folders.input / f"{name}-64.png")
    (folders.input / "example-64.png").rename(folders.input / "small.png")
    (folders.input / "example-masked-64.png").rename(folders.input / "masked.png")
    return Settings(
        folders, cpu=True, precision="fp32", threads=1, cache_directory=tmp_path / "data" / "cache",
    )  # fmt: skip


def run(name: str, settings: Settings, events: list[Event] | None = None, **changes: Any) -> Pixels:
    """The picture that a workflow saves. changes: n6__seed=43 sets the input seed of node 6."""
    given = {key.lstrip("n").replace("__", "."): value for key, value in changes.items()}
    return run_saved(name, settings, {**SMALL[name], **given}, events=events)


@pytest.mark.parametrize("name", list(SMALL))
def test_a_second_run_is_all_reuse(name: str, settings: Settings) -> None:
    first = run(name, settings)
    events: list[Event] = []
    assert np.array_equal(run(name, settings, events), first)
    assert not [event for event in events if isinstance(event, NodeStarted)]


def test_inpainting_changes_the_hole_and_keeps_the_rest(settings: Settings) -> None:
    """The latents of what is kept are the picture's own at the end; the autoencoder smears a little over the edge."""
    first, second = run("inpaint", settings), run("inpaint", settings, n6__seed=43)
    assert first.shape == (64, 64, 3)
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    edge = np.zeros((64, 64), bool)
    edge[:4], edge[-4:], edge[:, :4], edge[:, -4:] = True, True, True, True
    changed = np.abs(first - second).mean(axis=-1)
    assert changed[inside].mean() > 2 * changed[edge].mean()
    whole = np.abs(run("inpaint", settings, n5__noise_mask=False) - first).mean(axis=-1)
    assert whole[edge].mean() > changed[edge].mean(), "without the mask in every step more changes outside"


def test_outpainting_makes_the_picture_wider_and_paints_the_margins(settings: Settings) -> None:
    first, second = run("outpaint", settings), run("outpaint", settings, n7__seed=43)
    assert first.shape == (64, 16 + 64 + 24, 3)
    changed = np.abs(first - second).mean(axis=(0, 2))
    assert changed[:8].mean() > 2 * changed[40:56].mean() < changed[-8:].mean()


def test_the_picture_follows_the_depth(settings: Settings) -> None:
    """Another depth, and nothing else, makes another picture; the same depth with another range makes the same."""
    first = run("depth", settings)
    assert first.shape == (64, 64, 3)
    other = settings.folders.input / "other.png"
    with Image.open(settings.folders.input / "small.png") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    graph = {"6.image": ["12", 0]}
    flipped = run_saved(
        "depth", settings, {**SMALL["depth"], **graph}, more={"12": ("LoadImage", {"image": "other.png"})}
    )
    assert difference(flipped, first) > 1
    darker = {
        "12": ("ImageBlend", {"image1": ["6", 0], "image2": ["13", 0], "blend_factor": 0.5, "blend_mode": "normal"}),
        "13": ("EmptyImage", {"width": 64, "height": 64, "batch_size": 1, "color": 0}),
    }
    halved = run_saved("depth", settings, {**SMALL["depth"], "7.depth": ["12", 0]}, more=darker)
    assert np.abs(halved - first).max() <= 1


def test_the_upscaler_makes_the_picture_four_times_larger_from_what_it_sees(settings: Settings) -> None:
    first = run("x4_upscale", settings)
    assert first.shape == (64, 64, 3)
    assert difference(run("x4_upscale", settings, n4__image="masked.png"), first) < 1e-3  # the same colours
    assert difference(run("x4_upscale", settings, n5__crop="disabled", n4__image="example.png"), first) > 0.1
    assert difference(run("x4_upscale", settings, n6__noise_augmentation=0.5), first) > 0.1


def test_esrgan_makes_the_picture_four_times_larger_as_the_network_says(settings: Settings) -> None:
    made = run("esrgan_upscale", settings)
    with Image.open(settings.folders.input / "small.png") as picture:
        pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)
    with torch.no_grad():
        expected = upscaler()(pixels.movedim(-1, 0)[None]).clamp(0, 1)[0].movedim(0, -1) * 255
    assert made.shape == (256, 256, 3)
    assert np.abs(made - np.floor(expected.numpy())).max() <= 1


def test_the_gate_blacks_out_what_is_flagged_and_nothing_else(settings: Settings, models: Path) -> None:
    plain = run("safety", settings, n8__action="label")
    assert plain.any()
    assert np.array_equal(run("safety", settings), plain)
    write_checker(models / "safety_checkers" / "all.safetensors", flags_all=True)
    flagged = {"n7__checker": "all.safetensors"}
    assert not run("safety", settings, **flagged).any()
    assert np.array_equal(run("safety", settings, n8__action="label", **flagged), plain)
    blurred = run("safety", settings, n8__action="blur", **flagged)
    assert 0 < blurred.std() < plain.std()


def test_the_picture_guides_unclip_with_its_strength(settings: Settings) -> None:
    first = run("unclip", settings)
    assert first.shape == (64, 64, 3)
    none = run("unclip", settings, n6__strength=0.0)
    weak = run("unclip", settings, n6__strength=0.2)
    assert 0 < difference(weak, none) < difference(first, none)
    assert difference(run("unclip", settings, n6__noise_augmentation=0.8), first) > 0.1
    other = run("unclip", settings, n4__image="example.png")  # larger: scaled to what the encoder reads
    assert difference(other, none) > 0.1
