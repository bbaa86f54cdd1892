"""Adapter nodes: what they put on, what they say, and that strength 0 is nothing."""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.config import config_to_json
from engine.diffusion.standin import standin_config
from engine.graph.types import Latent
from nodes.adapters import load_lora, load_lora_for_model
from nodes.conditioning import encode_text
from nodes.loaders import load_checkpoint
from nodes.sampling import sample
from tests.nodes.studio import standin
from tests.parity.small import noise

UNET_KEY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v"
TEXT_KEY = "lora_te_text_model_encoder_layers_0_mlp_fc1"


@pytest.fixture
def loaded(desk):
    path = desk.model_folder("checkpoints") / "m.safetensors"
    save_file(standin(1), path, metadata={"easel.config": config_to_json(standin_config())})
    state = {
        f"{UNET_KEY}.lora_up.weight": noise(64, 4, seed=1), f"{UNET_KEY}.lora_down.weight": noise(4, 64, seed=2),
        f"{TEXT_KEY}.lora_up.weight": noise(128, 4, seed=3), f"{TEXT_KEY}.lora_down.weight": noise(4, 64, seed=4),
    }  # fmt: skip
    save_file(state, desk.model_folder("loras") / "l.safetensors")
    return load_checkpoint(desk.context, ckpt_name="m.safetensors")


def picture(desk, model, clip):
    text = encode_text(desk.context, text="a red cube", clip=clip)
    return sample(
        desk.context, model=model, seed=7, steps=2, cfg=4.0, sampler_name="euler", scheduler="normal", positive=text,
        negative=text, latent_image=Latent(torch.zeros(1, 4, 8, 8)), denoise=1.0,
    ).samples  # fmt: skip


def test_a_lora_changes_model_and_text_encoder_and_comes_off_again(desk, loaded):
    plain = picture(desk, loaded.model, loaded.clip)
    model, clip = load_lora(desk.context, model=loaded.model, clip=loaded.clip, lora_name="l.safetensors",
                            strength_model=1.0, strength_clip=1.0)  # fmt: skip
    assert desk.warnings == []
    pictures = [plain, picture(desk, model, loaded.clip), picture(desk, loaded.model, clip), picture(desk, model, clip)]
    for index, one in enumerate(pictures):
        assert not any(torch.equal(one, two) for two in pictures[index + 1 :])
    assert torch.equal(picture(desk, loaded.model, loaded.clip), plain)


def test_strength_zero_is_nothing_for_each_of_the_two(desk, loaded):
    def put(one, two):
        return load_lora(desk.context, model=loaded.model, clip=loaded.clip, lora_name="l.safetensors",
                         strength_model=one, strength_clip=two)  # fmt: skip

    assert put(0.0, 0.0) == (loaded.model, loaded.clip)
    assert put(0.0, 1.0).model == loaded.model
    assert put(1.0, 0.0).clip == loaded.clip
    assert load_lora_for_model(
        desk.context, model=loaded.model, lora_name="l.safetensors", strength_model=0.0
    ) == loaded.model


def test_for_the_model_alone_the_texts_part_is_left_out_without_complaint(desk, loaded):
    model = load_lora_for_model(desk.context, model=loaded.model, lora_name="l.safetensors", strength_model=0.5)
    both = load_lora(desk.context, model=loaded.model, clip=loaded.clip, lora_name="l.safetensors",
                     strength_model=0.5, strength_clip=1.0)  # fmt: skip
    assert model == both.model
    assert desk.warnings == []


def test_unused_keys_are_told(desk, loaded):
    path = desk.model_folder("loras") / "x.safetensors"
    state = {f"{UNET_KEY}.diff": noise(64, 64), "strange.alpha": torch.ones(())}
    save_file(state, path)
    load_lora_for_model(desk.context, model=loaded.model, lora_name="x.safetensors", strength_model=1.0)
    assert desk.warnings == ["x.safetensors: 1 of 2 keys unused (strange.alpha)"]
