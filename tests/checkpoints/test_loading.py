"""Loading: strict, exact in every type, and honest about what is missing."""

import os
import re

import pytest
import torch

from engine.diffusion.checkpoint import CheckpointError, load_text, load_unet, load_vae, open_checkpoint
from engine.diffusion.config import config_to_json
from engine.diffusion.standin import main, standin_config, write_standin
from tests.checkpoints.files import tensors, write

UNET = "model.diffusion_model."


@pytest.fixture(scope="module")
def state():
    return tensors()


def test_the_standin_loads_without_a_leftover_and_is_the_same_every_time(tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    write_standin(first)
    assert main([str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size < 14_000_000
    found = open_checkpoint(first)
    assert (found.ignored, found.unexpected) == ((), ())
    assert found.config == standin_config()
    assert "untrained" in found.metadata["easel.note"]
    assert len(found.unet.mapping) == 686
    text = load_text(found.text, torch.float32)
    unet, vae = load_unet(found.unet, torch.float32), load_vae(found.vae, torch.float32)
    assert not [name for m in (unet, vae, text) for name, t in (*m.named_parameters(), *m.named_buffers()) if t.is_meta]
    assert found.unet.nbytes == 2 * sum(p.numel() for p in unet.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_type_of_file_gives_its_own_values(dtype, state, tmp_path):
    path = write(tmp_path / "m.safetensors", {name: tensor.to(dtype) for name, tensor in state.items()})
    unet = load_unet(open_checkpoint(path).unet, torch.float32)
    name = "middle_block.1.proj_in.weight"
    assert torch.equal(unet.state_dict()[name], state[UNET + name].to(dtype).float())


def test_text_weights_are_rounded_to_half_unless_asked_otherwise(state, tmp_path):
    name = "cond_stage_model.transformer.text_model.final_layer_norm.weight"
    exact = torch.full((64,), 1.0001)  # not a float16 number
    path = write(tmp_path / "m.safetensors", {**{k: t.float() for k, t in state.items()}, name: exact})
    weights = open_checkpoint(path).text
    rounded = load_text(weights, torch.float32).transformer.final_layer_norm.weight
    assert torch.equal(rounded, exact.half().float())
    assert torch.equal(load_text(weights, torch.float32, fp16_rounded=False).transformer.final_layer_norm.weight, exact)


def test_leftovers_are_ignored_and_strangers_reported(state, tmp_path):
    extra = {
        "betas": torch.ones(9), "alphas_cumprod_prev": torch.ones(9), "sqrt_recipm1_alphas_cumprod": torch.ones(9),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.ones(1, 77),
        "model_ema.decay": torch.tensor(0.9), "model_ema.diffusion_modelout0bias": torch.ones(1),
        "first_stage_model.loss.logvar": torch.ones(1), "surprise.weight": torch.ones(1),
    }  # fmt: skip
    found = open_checkpoint(write(tmp_path / "m.safetensors", state | extra))
    assert found.unexpected == ("surprise.weight",)
    assert set(found.ignored) == set(extra) - {"surprise.weight"}


def test_missing_and_misshapen_keys_are_all_named(state, tmp_path):
    broken = {name: tensor for name, tensor in state.items() if not name.startswith(UNET + "out.2.")}
    broken[UNET + "out.0.weight"] = torch.ones(3)
    broken["first_stage_model.quant_conv.bias"] = torch.zeros(8, dtype=torch.int64)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(write(tmp_path / "m.safetensors", broken))
    assert set(caught.value.problems) == {
        f"{UNET}out.2.weight is missing",
        f"{UNET}out.2.bias is missing",
        f"{UNET}out.0.weight has shape [3], not [16]",
        "first_stage_model.quant_conv.bias is of type I64, not F32, F16 or BF16",
    }
    assert all(problem in str(caught.value) for problem in caught.value.problems)


def test_a_checkpoint_without_vae_or_text_says_so(state, tmp_path):
    only = {name: tensor for name, tensor in state.items() if name.startswith(UNET)}
    found = open_checkpoint(write(tmp_path / "m.safetensors", only))
    assert found.vae is None
    assert found.text is None


def test_the_averaged_weights_are_taken_when_asked_for(state, tmp_path):
    path = write(tmp_path / "m.safetensors", state)
    with pytest.raises(CheckpointError, match="no EMA weights"):
        open_checkpoint(path, weights="ema")
    ema = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): tensor + 1
        for name, tensor in state.items()
        if name.startswith(UNET)
    }
    path = write(tmp_path / "both.safetensors", state | ema)
    name = "time_embed.0.bias"
    for choice, expected in (("model", state[UNET + name]), ("ema", state[UNET + name] + 1)):
        found = open_checkpoint(path, weights=choice)
        assert found.unexpected == ()
        assert torch.equal(load_unet(found.unet, torch.float32).state_dict()[name], expected.float())


def test_a_ckpt_gives_the_same_network_as_the_safetensors_file(state, tmp_path):
    path = tmp_path / "m.ckpt"
    torch.save({"state_dict": state, "global_step": 1}, path)
    from_pickle = load_unet(open_checkpoint(path, standin_config()).unet, torch.float32).state_dict()
    safe = open_checkpoint(write(tmp_path / "m.safetensors", state))
    from_safe = load_unet(safe.unet, torch.float32).state_dict()
    assert all(torch.equal(from_pickle[name], from_safe[name]) for name in from_safe)


def test_a_legacy_ckpt_loads_too(state, tmp_path):
    path = tmp_path / "old.ckpt"
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    assert load_vae(open_checkpoint(path, standin_config()).vae, torch.float32) is not None


def test_a_file_that_changes_after_it_was_opened_is_not_loaded(state, tmp_path):
    path = write(tmp_path / "m.safetensors", state)
    weights = open_checkpoint(path).unet
    write(path, {name: tensor + 1 for name, tensor in state.items()}, note="x")
    with pytest.raises(CheckpointError, match="a file that changed"):
        load_unet(weights, torch.float32)


def test_weights_are_equal_if_the_same_file_was_opened_in_the_same_state(state, tmp_path):
    path = write(tmp_path / "m.safetensors", state)
    first, second = open_checkpoint(path), open_checkpoint(path)
    assert len({first.unet, second.unet, first.text}) == 2
    os.utime(path, ns=(0, 1))
    assert open_checkpoint(path).unet != first.unet


def test_a_broken_configuration_in_the_metadata_is_named(state, tmp_path):
    text = config_to_json(standin_config())
    for change, said in (
        (lambda t: t.replace('"steps"', '"stepz"'), "unknown key 'stepz'"),
        (lambda t: re.sub(r'"pad_id":\d+,', "", t), "key 'pad_id' is missing"),
        (lambda t: t.replace('"model_channels":16', '"model_channels":1000000'), "unet.model_channels: found 1000000"),
        (lambda t: t.replace('"model_channels":16', '"model_channels":true'), "config.unet.model_channels: found True"),
        (lambda _: "[" * 60_000, "not JSON"),
        (lambda _: " " * 70_000, "characters long"),
    ):
        path = write(tmp_path / "m.safetensors", {UNET + "input_blocks.0.0.weight": torch.ones(1)},
                     **{"easel.config": change(text)})  # fmt: skip
        with pytest.raises(CheckpointError, match=re.escape(said)):
            open_checkpoint(path)
