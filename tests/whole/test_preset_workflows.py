"""The saved workflows of models with more inputs, upscalers and the safety checker; what each does to the picture.

They use the starter models that Easel ships, and can be given published files instead, as their notes say. Those are
made here: they have the published layouts and names, narrow layers and random weights from a fixed seed. What is
asserted holds for any weights, trained or not; that the starter models are good is what tests/starter sees.
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

from engine.diffusion.checkpoint import load_companion
from engine.diffusion.safety import SafetyConfig
from engine.diffusion.upscale import RrdbConfig, open_upscaler
from engine.messages.events import Event, NodeStarted
from engine.runtime.settings import Settings
from tests.parity.small import randomise
from tests.presets import vision, write_published
from tests.served import ROOT
from tests.whole.saved import More, Pixels, difference, run_saved, warnings

torch.set_num_threads(1)

Changes = Mapping[str, Any]

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
STARTER: Changes = {}  # nothing is to be changed
# what the notes say has to be chosen and linked for a published file; unCLIP has no starter model
PUBLISHED: Mapping[str, Changes] = {
    "inpaint": {"1.ckpt_name": "sd-v1-5-inpainting.safetensors", "6.model": ["1", 0]},
    "depth": {"1.ckpt_name": "512-depth-ema.safetensors", "9.model": ["1", 0], "6.depth_model": ["20", 0]},
    "x4_upscale": {"1.ckpt_name": "x4-upscaler-ema.safetensors", "11.ckpt_name": "x4-upscaler-ema.safetensors"},
    "esrgan_upscale": {"1.model_name": "RealESRGAN_x4plus.pth"},
    "safety": {"7.checker": "stable-diffusion-safety-checker/model.safetensors"},
}
MORE: Mapping[str, More] = {
    "depth": {"20": ("DepthModelFromCheckpoint", {"ckpt_name": "512-depth-ema.safetensors"})},
}
BOTH = pytest.mark.parametrize("published", [False, True], ids=["starter", "published"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the starter models and random files under the names that are published."""
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


def run(
    name: str, settings: Settings, events: list[Event] | None = None, *, published: bool = False,
    more: More | None = None, **changes: Any,
) -> Pixels:
    """The picture that a workflow saves. changes: n6__seed=43 sets the input seed of node 6."""
    given = {key.lstrip("n").replace("__", "."): value for key, value in changes.items()}
    models = PUBLISHED[name] if published else STARTER
    nodes = {**(MORE.get(name, {}) if published else {}), **(more or {})}
    return run_saved(name, settings, {**SMALL[name], **models, **given}, more=nodes, events=events)


def assert_reused(name: str, settings: Settings, first: Pixels, *, published: bool = False, **changes: Any) -> None:
    """Run once more what gave the first picture."""
    events: list[Event] = []
    assert np.array_equal(run(name, settings, events, published=published, **changes), first)
    assert not [event for event in events if isinstance(event, NodeStarted)]


SIZES = {
    "inpaint": (64, 64), "outpaint": (64, 16 + 64 + 24), "depth": (64, 64), "x4_upscale": (64, 64),
    "esrgan_upscale": (128, 128), "safety": (64, 64), "unclip": (64, 64),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SMALL))
def test_it_runs_with_what_it_names_and_a_second_run_is_all_reuse(name: str, settings: Settings) -> None:
    """All but unclip name starter models."""
    first = run(name, settings)
    assert first.shape == (*SIZES[name], 3)
    assert_reused(name, settings, first)


@BOTH
def test_inpainting_changes_the_hole_and_keeps_the_rest(settings: Settings, published: bool) -> None:
    """The latents of what is kept are the picture's own at the end; the autoencoder smears a little over the edge."""
    first = run("inpaint", settings, published=published)
    assert first.shape == (64, 64, 3)
    assert_reused("inpaint", settings, first, published=published)
    second = run("inpaint", settings, published=published, n6__seed=43)
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    edge = np.zeros((64, 64), bool)
    edge[:4], edge[-4:], edge[:, :4], edge[:, -4:] = True, True, True, True
    changed = np.abs(first - second).mean(axis=-1)
    assert changed[inside].mean() > 2 * changed[edge].mean()
    whole = np.abs(run("inpaint", settings, published=published, n5__noise_mask=False) - first).mean(axis=-1)
    assert whole[edge].mean() > changed[edge].mean(), "without the mask in every step more changes outside"


def test_outpainting_makes_the_picture_wider_and_paints_the_margins(settings: Settings) -> None:
    first, second = run("outpaint", settings), run("outpaint", settings, n7__seed=43)
    assert first.shape == (64, 16 + 64 + 24, 3)
    changed = np.abs(first - second).mean(axis=(0, 2))
    assert changed[:8].mean() > 2 * changed[40:56].mean() < changed[-8:].mean()


@BOTH
def test_the_picture_follows_the_depth(settings: Settings, published: bool) -> None:
    """Another depth, and nothing else, makes another picture; the same depth with another range makes the same."""
    first = run("depth", settings, published=published)
    assert_reused("depth", settings, first, published=published)
    assert first.shape == (64, 64, 3)
    darker: More = {
        "21": ("ImageBlend", {"image1": ["6", 0], "image2": ["22", 0], "blend_factor": 0.5, "blend_mode": "normal"}),
        "22": ("EmptyImage", {"width": 64, "height": 64, "batch_size": 1, "color": 0}),
    }
    halved = run("depth", settings, published=published, more=darker, n7__depth=["21", 0])
    assert np.abs(halved - first).max() <= 1
    if not published:  # a starter model might have learned nothing yet, and hears nothing of the depth then
        return
    other = settings.folders.input / "other.png"
    with Image.open(settings.folders.input / "small.png") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    load: More = {"21": ("LoadImage", {"image": "other.png"})}
    assert difference(run("depth", settings, published=True, more=load, n6__image=["21", 0]), first) > 1


@BOTH
def test_the_upscaler_makes_the_picture_four_times_larger_from_what_it_sees(
    settings: Settings, published: bool
) -> None:
    first = run("x4_upscale", settings, published=published)
    assert_reused("x4_upscale", settings, first, published=published)
    assert first.shape == (64, 64, 3)
    same_colours = run("x4_upscale", settings, published=published, n4__image="masked.png")
    assert difference(same_colours, first) < 1e-3
    if not published:  # a starter model might have learned nothing yet, and hears nothing of the picture then
        return
    other = run("x4_upscale", settings, published=True, n5__crop="disabled", n4__image="example.png")
    assert difference(other, first) > 0.1
    # from no noise at all, as the starter model is used, to much
    assert difference(run("x4_upscale", settings, published=True, n6__noise_augmentation=0.5), first) > 0.1


@BOTH
def test_esrgan_makes_the_picture_larger_as_the_network_says(settings: Settings, published: bool) -> None:
    made = run("esrgan_upscale", settings, published=published)
    assert_reused("esrgan_upscale", settings, made, published=published)
    with Image.open(settings.folders.input / "small.png") as picture:
        pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)
    weights, scale = open_upscaler(ROOT / "models" / "starter" / "upscale_models" / "x2.safetensors")
    network, scale = (upscaler(), 4) if published else (load_companion(weights, torch.float32, "cpu"), scale)
    with torch.no_grad():
        expected = network(pixels.movedim(-1, 0)[None]).clamp(0, 1)[0].movedim(0, -1) * 255
    assert made.shape == (64 * scale, 64 * scale, 3)
    assert np.abs(made - np.floor(expected.numpy())).max() <= 1


def test_the_gate_blurs_or_blacks_out_what_is_flagged_and_nothing_else(settings: Settings, models: Path) -> None:
    plain = run("safety", settings, published=True, n8__action="label")
    assert plain.any()
    assert np.array_equal(run("safety", settings, published=True), plain)
    assert_reused("safety", settings, plain, published=True)
    write_checker(models / "safety_checkers" / "all.safetensors", flags_all=True)
    flagged = {"n7__checker": "all.safetensors"}
    assert not run("safety", settings, n8__action="black", **flagged).any()
    assert np.array_equal(run("safety", settings, n8__action="label", **flagged), plain)
    blurred = run("safety", settings, **flagged)
    assert 0 < blurred.std() < plain.std()
    events: list[Event] = []
    starters = run("safety", settings, events)  # whether it has found a purple solid is for the weights to say
    assert np.array_equal(starters, blurred if any("flagged" in each for each in warnings(events)) else plain)


def test_the_picture_guides_unclip_with_its_strength(settings: Settings) -> None:
    first = run("unclip", settings)
    assert first.shape == (64, 64, 3)
    none = run("unclip", settings, n6__strength=0.0)
    weak = run("unclip", settings, n6__strength=0.2)
    assert 0 < difference(weak, none) < difference(first, none)
    assert difference(run("unclip", settings, n6__noise_augmentation=0.8), first) > 0.1
    other = run("unclip", settings, n4__image="example.png")  # larger: scaled to what the encoder reads
    assert difference(other, none) > 0.1
