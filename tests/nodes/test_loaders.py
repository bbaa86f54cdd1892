"""Loaders: the same weights give the same picture from whatever kind of file they come."""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.checkpoint import open_checkpoint
from engine.diffusion.config import config_to_json
from engine.diffusion.standin import standin_config, standin_tensors
from engine.diffusion.tensorfile import CheckpointError
from engine.graph.types import Latent
from engine.messages.events import Failed, Succeeded
from nodes.conditioning import encode_text
from nodes.latent import decode
from nodes.loaders import (
    load_checkpoint,
    load_checkpoint_with_config,
    load_clip,
    load_diffusers,
    load_unet,
    load_vae,
)
from nodes.sampling import sample
from tests.checkpoints.files import published_shapes, write_shapes
from tests.nodes.studio import Bench
from tests.served import ROOT

CONFIG = {"easel.config": config_to_json(standin_config())}
PREFIXES = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text": "cond_stage_model.transformer."}


@pytest.fixture(scope="module")
def state():
    return standin_tensors(standin_config())


def part_of(state, part):
    prefix = PREFIXES[part]
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def picture(desk, model, clip, vae):
    texts = [encode_text(desk.context, text=text, clip=clip) for text in ("a (red:1.2) house", "")]
    latent = sample(
        desk.context, model=model, seed=7, steps=4, cfg=4.0, sampler_name="euler", scheduler="normal",
        positive=texts[0], negative=texts[1], latent_image=Latent(torch.zeros(1, 4, 8, 8)), denoise=1.0,
    )  # fmt: skip
    return decode(desk.context, samples=latent, vae=vae).pixels


def single_file(desk, state, name="m.safetensors", dtype=torch.float16):
    state = {key: value.to(dtype) for key, value in state.items()}
    path = desk.model_folder("checkpoints") / name
    save_file(state, path, metadata=CONFIG)
    return load_checkpoint(desk.context, ckpt_name=name)


@pytest.fixture
def expected(desk, state):
    return picture(desk, *single_file(desk, state))


def test_a_float32_copy_of_a_half_precision_file_gives_the_same_pixels(desk, state, expected):
    assert torch.equal(picture(desk, *single_file(desk, state, "f32.safetensors", torch.float32)), expected)
    rounded = picture(desk, *single_file(desk, state, "bf16.safetensors", torch.bfloat16))
    difference = (rounded - expected).abs()
    assert 0 < difference.mean() < 0.02  # bfloat16 keeps eight bits
    again = {name: value.bfloat16().float() for name, value in state.items()}
    assert torch.equal(picture(desk, *single_file(desk, again, "r.safetensors", torch.float32)), rounded)


def test_a_ckpt_with_its_configuration_beside_it_gives_the_same_pixels(desk, state, expected):
    """Miniature sizes are not all in a yaml file: the library call takes the configuration itself."""
    path = desk.model_folder("checkpoints") / "m.ckpt"
    torch.save({"state_dict": state}, path)
    opened = open_checkpoint(path, standin_config())
    from nodes.loaders import _wrapped

    assert torch.equal(picture(desk, *_wrapped(desk.context, "m.ckpt", opened)), expected)


def test_networks_from_three_files_give_the_same_pixels(desk, state, expected):
    save_file(part_of(state, "unet"), desk.model_folder("diffusion_models") / "u.safetensors", metadata=CONFIG)
    save_file(part_of(state, "vae"), desk.model_folder("vae") / "v.safetensors", metadata=CONFIG)
    save_file(part_of(state, "text"), desk.model_folder("text_encoders") / "t.safetensors", metadata=CONFIG)
    model = load_unet(desk.context, unet_name="u.safetensors", weight_dtype="default")
    clip = load_clip(desk.context, clip_name="t.safetensors", type="stable_diffusion")
    vae = load_vae(desk.context, vae_name="v.safetensors")
    assert torch.equal(picture(desk, model, clip, vae), expected)
    assert desk.warnings == []


@pytest.mark.parametrize("kind", ["plain", "shards", "fp16", "bin"])
def test_a_diffusers_folder_gives_the_same_pixels(kind, desk, state, expected):
    from engine.diffusion.text import TextEncoder
    from engine.diffusion.unet import UNet
    from engine.diffusion.vae import Vae
    from tests.checkpoints.folders import Networks, save_folder

    config = standin_config()
    unet, vae, text = UNet(config.unet), Vae(config.vae), TextEncoder(config.text)
    unet.load_state_dict({n: v.float() for n, v in part_of(state, "unet").items()})
    vae.load_state_dict({n: v.float() for n, v in part_of(state, "vae").items()})
    clip = {n.replace("text_model.", "transformer."): v.float() for n, v in part_of(state, "text").items()}
    text.load_state_dict(clip)
    how = {
        "plain": {}, "shards": {"shards": "1MB"}, "fp16": {"variant": "fp16", "dtype": torch.float16},
        "bin": {"safe": False},
    }[kind]  # fmt: skip
    path = save_folder(desk.model_folder("diffusers") / "m", Networks(unet, vae, text), config, **how)
    assert desk.folders.list("diffusers") == ["m"]
    if kind == "bin":  # no metadata: miniature sizes have to be told
        from engine.diffusion.checkpoint import open_folder
        from nodes.loaders import _wrapped

        loaded = _wrapped(desk.context, "m", open_folder(path, config))
    else:
        _write_config_into(path)
        loaded = load_diffusers(desk.context, model_path="m")
    assert torch.equal(picture(desk, *loaded), expected)


def _write_config_into(path):
    """easel.config in the first file of the UNet, for sizes that no published family has."""
    from safetensors.torch import load_file

    first = sorted(path.glob("unet/*.safetensors"))[0]
    save_file(load_file(first), first, metadata={**CONFIG, "format": "pt"})


def test_a_chosen_configuration_says_eps_or_v(desk, state):
    single_file(desk, state)
    for said, prediction in (("prediction: v", "v"), ("model:\n  params:\n    linear_start: 0.001", "eps")):
        (desk.model_folder("configs") / "c.yaml").write_text(said)
        loaded = load_checkpoint_with_config(desk.context, config_name="c.yaml", ckpt_name="m.safetensors")
        assert loaded.model.config.schedule.prediction == prediction
    assert loaded.model.config.schedule.beta_start == 0.001
    assert loaded.model.config.unet == standin_config().unet


def test_what_is_not_supported_is_refused_by_name(desk):
    with pytest.raises(ValueError, match="fp8_e5m2 is not supported"):
        load_unet(desk.context, unet_name="u.safetensors", weight_dtype="fp8_e5m2")
    with pytest.raises(ValueError, match="sd3 are not supported"):
        load_clip(desk.context, clip_name="t.safetensors", type="sd3")


def test_an_incomplete_checkpoint_gives_what_it_holds(desk, state):
    only = {name: value for name, value in state.items() if name.startswith(PREFIXES["unet"])}
    loaded = single_file(desk, only)
    assert (loaded.clip, loaded.vae) == (None, None)
    assert len(loaded.model.weights.mapping) == len(only)


def test_what_reads_a_part_that_a_checkpoint_lacks_ends_with_an_error_that_names_both(tmp_path, state):
    bench = Bench(tmp_path, tmp_path / "models")
    folder = bench.folders.models["checkpoints"][0]
    folder.mkdir(parents=True)
    with_vae = {name: value for name, value in state.items() if not name.startswith(PREFIXES["text"])}
    save_file(with_vae, folder / "m.safetensors", metadata=CONFIG)
    graph = {
        "load": ("CheckpointLoaderSimple", {"ckpt_name": "m.safetensors"}),
        "empty": ("EmptyLatentImage", {"width": 64, "height": 64, "batch_size": 1}),
        "decode": ("VAEDecode", {"samples": ["empty", 0], "vae": ["load", 2]}),
        "save": ("SaveImage", {"images": ["decode", 0], "filename_prefix": "p"}),
    }
    assert isinstance(bench.run(graph)[0], Succeeded)
    graph["text"] = ("CLIPTextEncode", {"clip": ["load", 1], "text": "a cube"})
    graph["show"] = ("PreviewAny", {"source": ["text", 0]})
    ending, _ = bench.run(graph)
    assert isinstance(ending, Failed)
    assert (ending.node, ending.class_type) == ("text", "CLIPTextEncode")
    assert "clip is empty: node load" in ending.message


def test_strange_tensors_are_told_of(desk, state):
    extra = part_of(state, "vae") | {"surprise": torch.ones(1)}
    save_file(extra, desk.model_folder("vae") / "v.safetensors", metadata=CONFIG)
    load_vae(desk.context, vae_name="v.safetensors")
    assert desk.warnings == ["v.safetensors holds 1 tensors that no part of the model uses (surprise …)"]
    save_file({"a": torch.ones(1)}, desk.model_folder("vae") / "w.safetensors")
    with pytest.raises(CheckpointError, match="wanted a VAE"):
        load_vae(desk.context, vae_name="w.safetensors")


def test_a_guess_at_eps_or_v_is_told_each_time_and_a_yaml_ends_it(desk):
    path = desk.model_folder("checkpoints") / "tuned.safetensors"
    write_shapes(path, published_shapes("sd2-v"))  # of zeros
    assert load_checkpoint(desk.context, ckpt_name="tuned.safetensors").model.config.schedule.prediction == "eps"
    assert load_unet_of_checkpoint(desk, path).config.schedule.prediction == "eps"
    assert len(desk.warnings) == 2
    assert all("It is taken for eps" in each and "put a file tuned.yaml" in each for each in desk.warnings)
    path.with_suffix(".yaml").write_text("prediction: v\n")
    assert load_checkpoint(desk.context, ckpt_name="tuned.safetensors").model.config.schedule.prediction == "v"
    assert len(desk.warnings) == 2


def load_unet_of_checkpoint(desk, path):
    link = desk.model_folder("diffusion_models") / path.name
    link.symlink_to(path)
    return load_unet(desk.context, unet_name=path.name, weight_dtype="default")


def test_what_is_read_with_a_file_belongs_to_its_state(tmp_path):
    """A yaml beside a checkpoint, or any file of a folder, that changes must make the loader run again."""
    from engine.runtime.worker import _read_with

    file, folder = tmp_path / "m.ckpt", tmp_path / "m"
    file.touch()
    assert _read_with(file) == [file]
    (tmp_path / "m.yaml").touch()
    assert _read_with(file) == [file, tmp_path / "m.yaml"]
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "config.json").touch()
    (folder / "model_index.json").touch()
    assert _read_with(folder) == [folder / "model_index.json", folder / "unet" / "config.json"]


def test_a_models_card_is_told_if_it_has_the_sizes_of_a_published_one(desk, state):
    from dataclasses import replace

    from engine.diffusion.config import PRESETS
    from nodes.loaders import tell_of_model

    model = single_file(desk, state).model
    told = tell_of_model(model=model)
    assert "no published one" in told.text
    assert "not known here" in told.licence
    starter = ROOT / "models" / "starter" / "checkpoints" / "base.safetensors"
    base = replace(model, weights=replace(model.weights, path=starter))
    told = tell_of_model(model=base)
    assert told.licence.startswith("Apache-2.0")
    assert "Predicts noise; made for 128×128 pixels" in told.text
    assert "steps on rendered scenes (scenes-1)" in told.text
    told = tell_of_model(model=replace(model, config=PRESETS["sd2-v"]))
    assert told.licence == "CreativeML Open RAIL++-M"
    for part in ("768×768", "Predicts velocity", "Limits: ", "viewer discretion", "155,000"):
        assert part in told.text
