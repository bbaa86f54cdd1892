"""diffusers folders: every key finds its place, whatever the files are called and however many they are."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from engine.diffusion.checkpoint import CheckpointError, load_text, load_unet, load_vae, open_checkpoint, open_folder
from engine.diffusion.config import PRESETS
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from tests.checkpoints.files import clip_l, published_shapes, write_shapes
from tests.checkpoints.folders import Networks, save_folder
from tests.parity.names import unet_name, vae_name
from tests.parity.small import randomise, small


def networks_of(config):
    return Networks(randomise(UNet(config.unet)), randomise(Vae(config.vae)), randomise(TextEncoder(config.text)))


@pytest.fixture(scope="module")
def sd1():
    return networks_of(small("sd1"))


def assert_same(found, networks, dtype=None):
    """Each network of the folder has the weights it was saved from, to the file's type."""
    loaded = (
        load_unet(found.unet, torch.float32), load_vae(found.vae, torch.float32),
        load_text(found.text, torch.float32, fp16_rounded=False),
    )  # fmt: skip
    for ours, module in zip(loaded, (networks.unet, networks.vae, networks.text), strict=True):
        expected = module.state_dict()
        for name, value in ours.state_dict().items():
            assert torch.equal(value, expected[name].to(dtype).float() if dtype else expected[name]), name


@pytest.mark.parametrize("family", ["sd1", "sd2-v", "sd2-x4", "sd2-unclip-l"])
def test_a_folder_that_diffusers_wrote_gives_the_same_networks(family, tmp_path):
    config = small(family)
    networks = networks_of(config)
    path = save_folder(tmp_path, networks, config)
    found = open_folder(path, config)
    assert found.unexpected == ()
    assert found.config.schedule == config.schedule
    assert found.config.vae.scale_factor == config.vae.scale_factor
    if config.text.project_pooled:  # CLIPTextModel has no projection
        assert not found.text.config.project_pooled
    assert_same(found, networks)


@pytest.mark.parametrize("safe", [True, False])
def test_a_half_precision_variant_is_preferred_and_a_plain_one_taken_otherwise(safe, sd1, tmp_path):
    save_folder(tmp_path / "half", sd1, small("sd1"), variant="fp16", dtype=torch.float16, safe=safe)
    sd1 = networks_of(small("sd1"))  # saving in half precision changed the first ones' text encoder
    save_folder(tmp_path / "plain", sd1, small("sd1"), safe=safe)
    assert_same(open_folder(tmp_path / "half", small("sd1")), sd1, torch.float16)
    shutil.copytree(tmp_path / "half", tmp_path / "plain", dirs_exist_ok=True)
    assert_same(open_folder(tmp_path / "plain", small("sd1")), sd1, torch.float16)
    assert_same(open_folder(tmp_path / "plain", small("sd1"), variants=("", "fp16")), sd1)


def test_safetensors_come_before_pickles(sd1, tmp_path):
    save_folder(tmp_path, sd1, small("sd1"), safe=False)
    for name in ("unet", "vae", "text_encoder"):
        shutil.rmtree(tmp_path / name)
    save_folder(tmp_path, sd1, small("sd1"))
    (tmp_path / "unet" / "diffusion_pytorch_model.fp16.bin").write_bytes(b"rubbish")
    assert_same(open_folder(tmp_path, small("sd1")), sd1)


@pytest.fixture
def sharded(sd1, tmp_path):
    path = save_folder(tmp_path, sd1, small("sd1"), shards="2MB")
    assert len(list((path / "unet").glob("*-of-*.safetensors"))) > 2
    return path


def test_weights_in_shards_are_one_network(sharded, sd1):
    found = open_folder(sharded, small("sd1"))
    assert len(found.unet.shards) > 1
    assert_same(found, sd1)


def test_a_truncated_missing_or_changed_shard_is_named(sharded):
    shard = sorted((sharded / "unet").glob("*-of-*.safetensors"))[1]
    found = open_folder(sharded, small("sd1"))
    whole = shard.read_bytes()
    shard.write_bytes(whole)  # same bytes, another time
    with pytest.raises(CheckpointError, match=f"{shard.name}: found a file that changed"):
        load_unet(found.unet, torch.float32)
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=f"{shard.name}: .*cut short"):
        open_folder(sharded, small("sd1"))
    shard.unlink()
    with pytest.raises(CheckpointError, match=f"{shard.name}: found no readable file"):
        open_folder(sharded, small("sd1"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"weight_map": {"a": "../../secret.safetensors"}}, "no files beside it"),
        ({"weight_map": {"a": "/etc/passwd"}}, "no files beside it"),
        ({"weight_map": {f"k{n}": f"{n}.safetensors" for n in range(1000)}}, "no files beside it"),
        ({"weight_map": {"a": 1}}, "no weight_map"),
        ({}, "no weight_map"),
        ([], "a list"),
    ],
)
def test_a_hostile_table_of_shards_is_refused(table, said, tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(table))
    with pytest.raises(CheckpointError, match=said):
        open_folder(tmp_path)


def test_missing_keys_are_named_in_the_folders_spelling(sharded):
    index = sharded / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    table = json.loads(index.read_text())
    for key in ("conv_out.bias", "mid_block.attentions.0.proj_in.weight"):
        del table["weight_map"][key]
    index.write_text(json.dumps(table))
    with pytest.raises(CheckpointError) as caught:
        open_folder(sharded, small("sd1"))
    assert set(caught.value.problems) == {
        "conv_out.bias is missing", "mid_block.attentions.0.proj_in.weight is missing",
    }  # fmt: skip


def test_a_pickle_that_would_run_something_is_refused_in_every_part(sd1, tmp_path):
    from tests.checkpoints.test_hostile import Payload

    for name, stem in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"),
                       ("text_encoder", "pytorch_model")):  # fmt: skip
        path = save_folder(tmp_path / name, sd1, small("sd1"), safe=False)
        torch.save({"a": Payload(tmp_path / "harm")}, path / name / f"{stem}.bin")
        with pytest.raises(CheckpointError, match=rf"{stem}\.bin.*exec"):
            open_folder(path, small("sd1"))
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("layers", [23, 24])
@pytest.mark.parametrize("family", list(PRESETS))
def test_a_published_folder_is_recognised_from_its_shapes(family, layers, tmp_path):
    """Of the original size, by names and shapes alone; SD 2.x folders hold 23 of 24 text layers."""
    config = PRESETS[family]
    if config.text.layout == "clip" and layers == 23:
        return
    write_published(tmp_path, family, layers)
    prediction = {"eps": "epsilon", "v": "v_prediction"}[config.schedule.prediction]
    betas = {"beta_start": config.schedule.beta_start, "beta_end": config.schedule.beta_end}
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(
        json.dumps({"prediction_type": prediction, "beta_schedule": "scaled_linear", **betas})
    )
    found = open_folder(tmp_path)
    text = config.text
    if text.layout == "open_clip":
        text = replace(text, project_pooled=False, absent_layers=24 - layers)
    assert found.config == replace(config, text=text)
    assert found.unexpected == ()


def write_published(path, family, layers):
    config = PRESETS[family]
    published = published_shapes(family)
    unet, vae, text = {}, {}, {}
    for name, shape in published.items():
        if name.startswith("model.diffusion_model."):
            unet[unet_name(name.removeprefix("model.diffusion_model."), config.unet)] = shape
        elif name.startswith("first_stage_model."):
            theirs = vae_name(name.removeprefix("first_stage_model."), config.vae)
            vae[theirs] = shape[:2] if "attentions" in theirs and len(shape) == 4 else shape
    width = config.text.width
    for name, shape in clip_l().items():
        name = name.removeprefix("cond_stage_model.transformer.")
        shape = tuple({768: width, 3072: 4 * width}.get(n, n) for n in shape)
        if ".layers.0." in name:
            text |= {name.replace(".layers.0.", f".layers.{n}."): shape for n in range(min(layers, config.text.layers))}
        elif ".layers." not in name:
            text[name] = shape
    for folder, stem, shapes in (
        ("unet", "diffusion_pytorch_model", unet), ("vae", "diffusion_pytorch_model", vae),
        ("text_encoder", "model", text),
    ):  # fmt: skip
        (path / folder).mkdir(parents=True)
        write_shapes(path / folder / f"{stem}.safetensors", shapes)


def test_an_sd2_folder_without_a_scheduler_is_guessed_at_and_the_user_told(tmp_path):
    """As a single file is (numerics.md, 1.1); these weights are zeros, whose spread is below 0.09."""
    write_published(tmp_path / "m", "sd2-v", 23)
    found = open_folder(tmp_path / "m")
    assert found.config.schedule.prediction == "eps"
    assert str(found.guess).startswith("m has no scheduler/scheduler_config.json. diffusion_pytorch_model.safetensors")
    told = open_folder(tmp_path / "m", prediction="v")
    assert (told.config.schedule.prediction, told.guess) == ("v", None)
    (tmp_path / "m" / "unet" / "diffusion_pytorch_model.yaml").write_text("prediction: v\n")
    assert open_folder(tmp_path / "m").config.schedule.prediction == "v"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prediction_type": "sample"}, "prediction_type 'sample'"), ({"beta_schedule": "linear"}, "'linear'"),
        ({"beta_start": "x"}, "cannot be"), ({"beta_start": 2.0}, "beta_start"),
        ({"trained_betas": [1]}, "trained_betas"), ({"num_train_timesteps": 10**9}, "schedule.steps"),
    ],
)  # fmt: skip
def test_a_process_that_easel_does_not_have_is_refused(settings, said, tmp_path):
    write_published(tmp_path, "sd1", 12)
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=said):
        open_folder(tmp_path)


def test_a_folder_without_a_unet_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no weights in unet/"):
        open_folder(tmp_path)


def test_old_names_of_the_vaes_attention_are_read(sd1, tmp_path):
    from safetensors.torch import load_file, save_file

    path = save_folder(tmp_path, sd1, small("sd1")) / "vae" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = load_file(path)
    for new, before in old.items():
        state = {name.replace(f".{new}.", f".{before}."): value for name, value in state.items()}
    assert any("proj_attn" in name for name in state)
    save_file(state, path)
    found = open_folder(tmp_path, small("sd1"))
    assert found.unexpected == ()
    assert_same(found, sd1)


@pytest.mark.parametrize("lacks", ["layer", "projection", "both"])
def test_an_sd2_file_may_lack_what_nothing_reads(lacks, tmp_path):
    shapes = published_shapes("sd2-v")
    if lacks != "projection":
        shapes = {name: shape for name, shape in shapes.items() if ".resblocks.23." not in name}
    if lacks != "layer":
        del shapes["cond_stage_model.model.text_projection"]
    text = open_checkpoint(write_shapes(tmp_path / "m.safetensors", shapes), prediction="v").config.text
    assert text.absent_layers == (0 if lacks == "projection" else 1)
    assert text.project_pooled == (lacks == "layer")


def test_a_text_layer_that_is_read_may_not_be_missing(tmp_path):
    shapes = {name: shape for name, shape in published_shapes("sd2-v").items() if ".resblocks.22." not in name}
    with pytest.raises(CheckpointError, match=r"resblocks\.22\.ln_1\.weight is missing"):
        open_checkpoint(write_shapes(tmp_path / "m.safetensors", shapes), prediction="v")
