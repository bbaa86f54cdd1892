"""The saved workflows of adapters: what each does to the starter model's picture.

The adapters are made here, by hand or from seeded random numbers, under the names that the workflows say: what is
asserted holds for any weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.checkpoint import load_text, load_unet, load_vae, open_checkpoint
from engine.diffusion.config import config_to_json
from engine.diffusion.control import ControlConfig, ControlNet
from engine.diffusion.text import tokenizer
from engine.messages.events import Event, NodeStarted
from engine.runtime.settings import Settings
from tests.parity.small import randomise
from tests.served import ROOT
from tests.whole.saved import Pixels, difference, run_saved, warnings

torch.set_num_threads(1)

SIZE = {"4.width": 64, "4.height": 64, "5.steps": 3}
# what makes each quick without changing what it does
SMALL: Mapping[str, Mapping[str, Any]] = {
    "lora": SIZE, "textual_inversion": SIZE, "model_merge": SIZE,
    "controlnet": {**SIZE, "9.width": 64, "9.height": 64},
}  # fmt: skip
BASE = ROOT / "models" / "starter" / "checkpoints" / "base.safetensors"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "starter" / "checkpoints").mkdir(parents=True)
    (folder / "starter" / "checkpoints" / BASE.name).symlink_to(BASE)
    for name in ("loras", "embeddings", "controlnet"):
        (folder / name).mkdir()
    base = open_checkpoint(BASE)
    save_file(reddening(), folder / "loras" / "grey.safetensors")
    assert base.text is not None
    words = load_text(base.text, torch.float32, CPU).state_dict()
    (table,) = [value for name, value in words.items() if name.endswith("token_embedding.weight")]
    (number,) = tokenizer().ids("teal")
    save_file({"emb_params": table[number][None].clone()}, folder / "embeddings" / "teal.safetensors")
    metadata = {"easel.config": config_to_json(base.config)}
    control = ControlNet(ControlConfig(base.config.unet, 3))
    save_file(randomise(control, 4).state_dict(), folder / "controlnet" / "edges.safetensors", metadata=metadata)
    for name, value in control.state_dict().items():
        if "zero_convs" in name or "middle_block_out" in name:
            value.zero_()
    save_file(control.state_dict(), folder / "controlnet" / "untrained.safetensors", metadata=metadata)
    return folder


def reddening() -> dict[str, torch.Tensor]:
    """A LoRA of rank 1 on the last convolution, which then sees less red in the picture than there is.

    What the network takes for noise is what the sampler removes, so the picture becomes redder. The direction is that
    from the latent of grey to that of red; the features it is read from are positive on the whole (SiLU).
    """
    base = open_checkpoint(BASE)
    assert base.vae is not None
    vae = load_vae(base.vae, torch.float32, CPU)
    pictures = torch.full((2, 3, 32, 32), 0.0)
    pictures[1, 0], pictures[1, 1:] = 0.5, -0.5
    with torch.no_grad():
        grey, red = vae.moments(pictures)[0].mean((2, 3))
        weight = load_unet(base.unet, torch.float32, CPU).state_dict()["out.2.weight"]
    down = torch.zeros(1, *weight.shape[1:])
    down[..., 1, 1] = 1.0 / weight.shape[1]
    up = (grey - red).reshape(-1, 1, 1, 1) * base.config.vae.scale_factor
    return {"lora_unet_conv_out.lora_up.weight": up, "lora_unet_conv_out.lora_down.weight": down}


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> Settings:
    import server
    from engine.files.folders import make_folders

    folders = make_folders(data=tmp_path / "data", models=models)
    server._make_folders(folders)
    return Settings(folders, cpu=True, precision="fp32", threads=1, cache_directory=tmp_path / "data" / "cache")


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


def red(picture: Pixels) -> float:
    return float(picture[..., 0].mean() - picture[..., 1:].mean())


def test_a_lora_moves_the_colour_by_its_strength_and_off_is_bit_for_bit_without_it(settings: Settings) -> None:
    made = {s: run("lora", settings, n8__strength_model=s, n8__strength_clip=0.0) for s in (-1.0, 0.0, 0.5, 1.0)}
    assert red(made[0.0]) < red(made[0.5]) - 1 < red(made[1.0]) - 2, "levels of 255"
    assert abs(red(made[-1.0]) - red(made[0.0])) > 3
    text = "a large yellow cube on a pink background"
    plain = run_saved("txt2img", settings, {**SIZE, "2.text": text, "5.steps": 3})
    assert np.array_equal(made[0.0], plain)


def test_a_learned_word_does_what_its_vectors_do(settings: Settings) -> None:
    """The embedding made here holds the very vector that the word teal has; without the file the word is not there."""
    learned = run("textual_inversion", settings)
    named = run("textual_inversion", settings, n2__text="a large teal cube on a grey background")
    assert np.array_equal(learned, named)
    without = run("textual_inversion", settings, n2__text="a large cube on a grey background")
    assert difference(learned, without) > 0.1
    stronger = run("textual_inversion", settings, n2__text="a large (embedding:teal:1.3) cube on a grey background")
    assert difference(stronger, learned) > 0.1
    events: list[Event] = []
    gone = run("textual_inversion", settings, events, n2__text="a large embedding:gone cube on a grey background")
    assert np.array_equal(gone, without)
    assert any("'gone'" in each for each in warnings(events))


def test_a_controlnet_steers_by_the_picture_and_only_while_it_is_on(settings: Settings) -> None:
    first = run("controlnet", settings)
    off = run("controlnet", settings, n12__strength=0.0)
    assert difference(first, off) > 1
    assert np.array_equal(run("controlnet", settings, n12__end_percent=0.0), off)
    edgeless = {"n10__low_threshold": 0.9, "n10__high_threshold": 0.9}  # random weights hear little of the edges
    assert not np.array_equal(run("controlnet", settings, **edgeless), first), "it reads the picture"
    assert 0 < difference(run("controlnet", settings, n12__strength=0.1), off) < difference(first, off)
    untrained = run("controlnet", settings, n11__control_net_name="untrained.safetensors")
    assert np.array_equal(untrained, off), "one whose last layers are zero, as training begins, adds nothing"


def test_a_merge_is_one_model_at_one_and_the_other_at_zero_bit_for_bit(settings: Settings) -> None:
    first, second = run("lora", settings, n8__strength_model=0.0, n8__strength_clip=0.0), run(
        "lora", settings, n8__strength_clip=0.0)
    assert np.array_equal(run("model_merge", settings, n10__ratio=1.0), first)
    assert np.array_equal(run("model_merge", settings, n10__ratio=0.0), second)
    half = run("model_merge", settings)
    assert 0 < difference(half, first) < difference(second, first)
    assert red(first) < red(half) < red(second)
