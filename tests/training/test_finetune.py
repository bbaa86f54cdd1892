"""Fine-tuning a miniature checkpoint from the command line, and what it writes."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, safe_open

from engine.diffusion.checkpoint import load_unet, open_checkpoint
from engine.diffusion.config import PRESETS
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.training.__main__ import main
from engine.training.family import SIZES, run_stage
from engine.training.finetune import read_examples, read_square
from engine.training.loop import Settings, TrainingError
from engine.training.lora import UNET_TARGET, adapt, lora_name, remove, unet_module

TINY = SIZES["tiny"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A checkpoint a few steps old, so that every layer passes something on."""
    folder = tmp_path_factory.mktemp("base")
    settings = Settings(steps=12, rate=1e-2, batch=8, warm_up=1, ema_decay=0.5)
    for stage in ("vae", "text", "unet"):
        run_stage(stage, TINY, folder, settings=settings, quiet=True)
    return folder / "unet.safetensors"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 50 + number, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"thing number {number}\n")
    return folder


def run(*arguments):
    return main([str(argument) for argument in (*arguments, "--resolution", 32, "--threads", 1)])


def test_a_lora_changes_its_model_when_merged_and_has_the_common_layout(base, images, tmp_path):
    out = tmp_path / "style.safetensors"
    assert run("lora", "--model", base, "--images", images, "--out", out, "--steps", 5, "--rate", "0.01", "--rank", 4,
               "--alpha", 2, "--train-text", "--batch", 2) == 0  # fmt: skip
    tensors = load_file(out)
    unet = load_unet(open_checkpoint(base).unet, torch.float32)
    modules = [name for name, module in unet.named_modules()
               if isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and UNET_TARGET.fullmatch(name)]  # fmt: skip
    names = {lora_name(name, unet): name for name in modules}
    assert {key.split(".")[0] for key in tensors if key.startswith("lora_unet_")} == set(names)
    text_keys = {key.split(".")[0] for key in tensors if key.startswith("lora_te_")}
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj" in text_keys and len(text_keys) == 6
    with safe_open(out, framework="pt") as file:
        metadata = file.metadata()
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("4", "2.0")
    assert "lora --model" in metadata["easel.command"]

    x, t, context = torch.randn(2, 4, 4, 4), torch.tensor([9.0, 500.0]), torch.randn(2, 77, 16)
    with torch.no_grad():
        before = unet(x, t, context)
        for key, name in names.items():  # models.md, 7.1: alpha / rank · up · down
            down, up = tensors[f"{key}.lora_down.weight"].float(), tensors[f"{key}.lora_up.weight"].float()
            weight = unet.get_submodule(name).weight
            delta = float(tensors[f"{key}.alpha"]) / 4 * up.flatten(1) @ down.flatten(1)
            weight += delta.reshape(weight.shape)
            # at this size the inner levels are one pixel, and attention among one token learns no query and no key
            assert delta.abs().max() > 0 or name.endswith(("attn1.to_q", "attn1.to_k")), name
        after = unet(x, t, context)
    assert (after - before).abs().max() > 1e-3


def test_names_of_all_modules_of_the_published_models_are_the_diffusers_ones():
    """192 of them (models.md, 7.1), each once."""
    for family, blocks in (("sd1", {0, 1, 2}), ("sd2-x4", {1, 2, 3})):
        with torch.device("meta"):
            unet = UNet(PRESETS[family].unet)
        names = {unet_module(name) for name, module in unet.named_modules()
                 if isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and UNET_TARGET.fullmatch(name)}  # fmt: skip
        assert len(names) == 192
        downs = {int(name.split(".")[1]) for name in names if name.startswith("down_blocks")}
        ups = {int(name.split(".")[1]) for name in names if name.startswith("up_blocks")}
        assert downs == blocks and ups == {3 - level for level in blocks}
    assert unet_module("input_blocks.8.1.proj_in") == "down_blocks.2.attentions.1.proj_in"
    assert unet_module("middle_block.1.proj_out") == "mid_block.attentions.0.proj_out"
    assert unet_module("output_blocks.11.1.proj_in") == "up_blocks.3.attentions.2.proj_in"


def test_adapters_begin_as_nothing_and_come_off_without_a_trace():
    torch.manual_seed(0)
    unet, text = UNet(TINY.model.unet).eval(), TextEncoder(TINY.model.text).eval()
    x, t, context = torch.randn(2, 4, 4, 4), torch.tensor([9.0, 10.0]), torch.randn(2, 77, 16)
    weights = {name: value.clone() for name, value in unet.state_dict().items()}
    with torch.no_grad():
        plain = unet(x, t, context)
        adapted = adapt(unet, 4, 4.0, torch.Generator().manual_seed(0))
        assert torch.equal(unet(x, t, context), plain)
        first = next(iter(adapted.values()))
        first.up.weight.fill_(1.0)
        assert not torch.equal(unet(x, t, context), plain)
        remove(unet, adapted)
        assert torch.equal(unet(x, t, context), plain)
    assert set(unet.state_dict()) == set(weights)
    assert all(torch.equal(value, weights[name]) for name, value in unet.state_dict().items())
    assert len(adapt(text, 4, 4.0, torch.Generator())) == 6 * TINY.model.text.layers


def test_dreambooth_draws_its_class_and_writes_a_checkpoint_that_loads(base, images, tmp_path):
    out = tmp_path / "thing.safetensors"
    for path in images.glob("*.txt"):
        path.unlink()
    assert run("dreambooth", "--model", base, "--images", images, "--out", out, "--steps", 3, "--rate", "0.001",
               "--caption", "a sks thing", "--class-prompt", "a thing", "--class-count", 2,
               "--ema", 0) == 0  # fmt: skip
    drawn = sorted((tmp_path / "thing-class").iterdir())
    assert [path.name for path in drawn] == ["prior-0000.png", "prior-0001.png"]
    assert Image.open(drawn[0]).size == (32, 32)
    checkpoint, before = open_checkpoint(out), open_checkpoint(base)
    assert checkpoint.config == before.config
    old, new = load_file(base), load_file(out)
    assert set(old) == set(new)
    changed = {key for key in old if not torch.equal(old[key], new[key])}
    assert changed and all(key.startswith("model.diffusion_model.") for key in changed)


def test_full_training_learns_its_pictures_and_resumes(base, images, tmp_path, capsys):
    out = tmp_path / "full.safetensors"
    common = ("full", "--model", base, "--images", images, "--out", out, "--steps", 30, "--batch", 4, "--rate", "0.003")
    assert run(*common, "--minutes", 0) == 0
    assert "step 0" in capsys.readouterr().out
    assert run(*common) == 2
    assert "resume" in capsys.readouterr().err
    assert run(*common, "--resume") == 0
    rows = (tmp_path / "full-training" / "loss.csv").read_text().splitlines()[1:]
    losses = [float(row.split(",")[1]) for row in rows]
    assert losses[-1] < losses[0]
    load_unet(open_checkpoint(out).unet, torch.float32)


def test_what_cannot_be_trained_is_refused_with_what_to_do(base, images, tmp_path, capsys):
    out = tmp_path / "out.safetensors"
    cases = {
        ("lora", "--images", tmp_path / "no"): "is no folder",
        ("lora", "--images", base.parent): "holds no pictures",
        ("dreambooth", "--images", images): "--class-prompt",
        ("full", "--images", images, "--class-images", images): "--class-prompt",
        ("lora", "--images", images, "--out", base): "is the model itself",
    }
    for (command, *rest), message in cases.items():
        assert run(command, "--model", base, "--out", out, *rest) == 2
        assert message in capsys.readouterr().err
    (images / "2.txt").unlink()
    with pytest.raises(TrainingError, match=r"no caption for 2\.png"):
        read_examples(images, None)
    assert read_examples(images, "a thing")[2][1] == "a thing"


def test_a_broken_picture_is_named_and_a_wide_one_is_cut_in_the_middle(tmp_path):
    (tmp_path / "x.png").write_bytes(b"not a picture")
    with pytest.raises(TrainingError, match=r"x\.png"):
        read_square(tmp_path / "x.png", 8)
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert read_square(tmp_path / "wide.png", 8).eq(1.0).all()
