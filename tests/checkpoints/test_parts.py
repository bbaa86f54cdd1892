"""Networks that have a file of their own, in every spelling."""

import re

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.checkpoint import (
    CheckpointError,
    load_text,
    load_unet,
    load_vae,
    open_text,
    open_unet,
    open_vae,
)
from engine.diffusion.config import PRESETS, config_from_json, config_to_json
from engine.diffusion.text import TextEncoder, encode, tokenizer
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from tests.checkpoints.files import published_shapes, write_shapes
from tests.parity.names import unet_name, vae_name
from tests.parity.small import randomise, small

SD1, SD2 = small("sd1"), small("sd2-v")


def same(module, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("spelling", ["whole", "bare", "diffusers"])
def test_a_unet_alone_is_read_in_every_spelling(spelling, tmp_path):
    unet = randomise(UNet(SD1.unet))
    spell = {
        "whole": lambda name: "model.diffusion_model." + name, "bare": str,
        "diffusers": lambda name: unet_name(name, SD1.unet),
    }[spelling]  # fmt: skip
    path = tmp_path / "unet.safetensors"
    save_file({spell(name): value for name, value in unet.state_dict().items()}, path)
    part = open_unet(path, SD1)
    assert part.unexpected == ()
    assert same(load_unet(part.weights, torch.float32), unet)


@pytest.mark.parametrize("spelling", ["whole", "bare", "diffusers"])
@pytest.mark.parametrize("family", ["sd1", "sd2-x4"])
def test_a_vae_alone_is_read_in_every_spelling(spelling, family, tmp_path):
    config = small(family)
    vae = randomise(Vae(config.vae))
    spell = {
        "whole": lambda name: "first_stage_model." + name, "bare": str, "diffusers": lambda n: vae_name(n, config.vae),
    }[spelling]  # fmt: skip
    state = {spell(name): value for name, value in vae.state_dict().items()}
    if spelling == "diffusers":
        state = {n: v[:, :, 0, 0].clone() if "attentions" in n and v.ndim == 4 else v for n, v in state.items()}
    state["loss.logvar"] = torch.zeros(1)
    save_file(state, tmp_path / "vae.safetensors")
    part = open_vae(tmp_path / "vae.safetensors", config)
    assert part.unexpected == ()
    assert same(load_vae(part.weights, torch.float32), vae)


def open_clip_state(text, prefix=""):
    """A TextEncoder's weights in OpenCLIP's names (models.md, 2.4), written from their side."""
    ours = text.state_dict()
    state = {
        f"{prefix}token_embedding.weight": ours["transformer.embeddings.token_embedding.weight"],
        f"{prefix}positional_embedding": ours["transformer.embeddings.position_embedding.weight"],
        f"{prefix}ln_final.weight": ours["transformer.final_layer_norm.weight"],
        f"{prefix}ln_final.bias": ours["transformer.final_layer_norm.bias"],
        f"{prefix}text_projection": ours["text_projection.weight"].T.contiguous(),
    }
    for n in range(text.config.layers - text.config.absent_layers):
        theirs, mine = f"{prefix}transformer.resblocks.{n}.", f"transformer.encoder.layers.{n}."
        for leaf in ("weight", "bias"):
            stacked = torch.cat([ours[f"{mine}self_attn.{k}_proj.{leaf}"] for k in "qkv"])
            state[f"{theirs}attn.in_proj_{leaf}"] = stacked
            for a, b in (("attn.out_proj", "self_attn.out_proj"), ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2"),
                         ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2")):  # fmt: skip
                state[f"{theirs}{a}.{leaf}"] = ours[f"{mine}{b}.{leaf}"]
    return state


@pytest.mark.parametrize("prefix", ["text_model.", "", "cond_stage_model.transformer.text_model."])
def test_a_text_encoder_alone_is_read_in_transformers_spellings(prefix, tmp_path):
    text = randomise(TextEncoder(SD1.text))
    state = {prefix + name.removeprefix("transformer."): value for name, value in text.state_dict().items()}
    save_file(state | {prefix + "embeddings.position_ids": torch.arange(77)[None]}, tmp_path / "t.safetensors")
    part = open_text(tmp_path / "t.safetensors", SD1)
    assert part.unexpected == ()
    assert same(load_text(part.weights, torch.float32, fp16_rounded=False), text)


@pytest.mark.parametrize("prefix", ["", "cond_stage_model.model."])
def test_a_text_encoder_alone_is_read_in_open_clips_spelling(prefix, tmp_path):
    text = randomise(TextEncoder(SD2.text))
    save_file(open_clip_state(text, prefix), tmp_path / "t.safetensors")
    part = open_text(tmp_path / "t.safetensors", SD2)
    assert same(load_text(part.weights, torch.float32, fp16_rounded=False), text)


def test_without_its_last_layer_a_text_encoder_gives_the_same_states_at_every_layer_it_holds(tmp_path):
    text = randomise(TextEncoder(SD2.text))
    state = open_clip_state(text)
    last = SD2.text.layers - 1
    save_file(
        {n: v for n, v in state.items() if f"resblocks.{last}." not in n and n != "text_projection"},
        tmp_path / "t.safetensors",
    )  # fmt: skip
    part = open_text(tmp_path / "t.safetensors", SD2)
    assert (part.config.text.absent_layers, part.config.text.project_pooled) == (1, False)
    short = load_text(part.weights, torch.float32, fp16_rounded=False)
    for skip in (None, 2, 3):
        whole = encode(text, tokenizer(), "a (red:1.3) house", SD2.text, skip)
        ours = encode(short, tokenizer(), "a (red:1.3) house", part.config.text, skip)
        assert torch.allclose(ours.states, whole.states, atol=1e-6)
    with pytest.raises(ValueError, match=r"holds 2 of 3 layers, so layer -1 cannot be read; choose -2"):
        encode(short, tokenizer(), "a house", part.config.text, 1)
    assert config_from_json(config_to_json(part.config)) == part.config


def test_published_parts_are_recognised_from_their_shapes(tmp_path):
    for family in ("sd1", "sd2-v", "sd2-x4"):
        shapes, config = published_shapes(family), PRESETS[family]
        of = {prefix: {n.removeprefix(prefix): s for n, s in shapes.items() if n.startswith(prefix)}
              for prefix in ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.",
                             "cond_stage_model.model.")}  # fmt: skip
        unet = write_shapes(tmp_path / "u.safetensors", of["model.diffusion_model."])
        assert open_unet(unet, prediction=config.schedule.prediction).config == config
        vae = write_shapes(tmp_path / "v.safetensors", of["first_stage_model."])
        assert open_vae(vae).config.vae == config.vae
        text = of["cond_stage_model.transformer."] or of["cond_stage_model.model."]
        found = open_text(write_shapes(tmp_path / "t.safetensors", text))
        assert found.config.text == config.text
        assert found.unexpected == ()


def test_eps_or_v_of_a_unet_alone_is_guessed_and_told_of_and_a_short_note_beside_it_wins(tmp_path):
    prefix = "model.diffusion_model."
    shapes = {n.removeprefix(prefix): s for n, s in published_shapes("sd2-v").items() if n.startswith(prefix)}
    path = write_shapes(tmp_path / "u.safetensors", shapes)
    part = open_unet(path)  # of zeros: the bias that tells is not spread at all
    assert part.config.schedule.prediction == "eps"
    assert part.guess is not None and "put a file u.yaml beside it with the line 'prediction: eps'" in part.guess
    for said in ("v", "eps"):
        (tmp_path / "u.yaml").write_text(f"prediction: {said}\n")
        part = open_unet(path)
        assert part.config.schedule.prediction == said and part.guess is None
    (tmp_path / "u.yaml").write_text("prediction: velocitty\n")
    with pytest.raises(CheckpointError, match="'velocitty', which is none of"):
        open_unet(path)


@pytest.mark.parametrize(
    ("opener", "key", "said"),
    [
        (open_unet, "first_stage_model.encoder.down.0.block.0.norm1.weight", "a VAE alone.*wanted a UNet"),
        (open_vae, "text_model.encoder.layers.0.mlp.fc1.weight", "a text encoder alone.*wanted a VAE"),
        (open_text, "encoder.down_blocks.0.resnets.0.norm1.weight", "a VAE alone.*wanted a text encoder"),
        (open_text, "x", "no network that is known"),
    ],
)
def test_a_file_of_another_kind_is_told_where_it_belongs(opener, key, said, tmp_path):
    with pytest.raises(CheckpointError, match=re.compile(said)):
        opener(write_shapes(tmp_path / "x.safetensors", {key: (2, 2)}))


def test_a_text_encoder_of_another_width_is_refused(tmp_path):
    path = write_shapes(tmp_path / "t.safetensors", {"text_model.embeddings.token_embedding.weight": (49408, 1280)})
    with pytest.raises(CheckpointError, match="a text encoder 1280 wide"):
        open_text(path)


@pytest.mark.parametrize("opener", [open_unet, open_vae, open_text])
def test_a_pickle_that_would_run_something_is_refused_whatever_it_is_opened_as(opener, tmp_path):
    from tests.checkpoints.test_hostile import Payload

    torch.save({"a": Payload(tmp_path / "harm")}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="exec"):
        opener(tmp_path / "m.pt")
    assert not (tmp_path / "harm").exists()


def test_missing_keys_of_a_part_are_named(tmp_path):
    vae = randomise(Vae(SD1.vae))
    state = {name: value for name, value in vae.state_dict().items() if name != "decoder.conv_out.bias"}
    save_file(state, tmp_path / "v.safetensors")
    with pytest.raises(CheckpointError, match=r"decoder\.conv_out\.bias is missing"):
        open_vae(tmp_path / "v.safetensors", SD1)
