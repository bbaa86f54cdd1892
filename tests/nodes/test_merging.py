"""Merges against the formulas of numerics.md, 8.4, and saved files that load as what was saved, bit for bit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.diffusion.checkpoint import open_checkpoint
from engine.diffusion.config import ConfigError, config_to_json
from engine.diffusion.standin import standin_config
from engine.diffusion.tensorfile import CheckpointError
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.runtime.signature import digest
from nodes import merging
from nodes.adapters import load_lora, load_lora_for_model
from nodes.loaders import load_checkpoint, load_clip, load_unet, load_vae
from tests.nodes.studio import standin
from tests.parity.small import noise, randomise, small

KEY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v"
TEXT_KEY = "lora_te_text_model_encoder_layers_0_mlp_fc1"
CONFIG = {"easel.config": config_to_json(standin_config())}


@pytest.fixture
def loaded(desk):
    """Three checkpoints of one family, and a LoRA."""
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        path = desk.model_folder("checkpoints") / f"{name}.safetensors"
        save_file(standin(seed), path, metadata=CONFIG)
    lora = {
        f"{KEY}.lora_up.weight": noise(64, 4), f"{KEY}.lora_down.weight": noise(4, 64, seed=2),
        f"{TEXT_KEY}.lora_up.weight": noise(128, 4), f"{TEXT_KEY}.lora_down.weight": noise(4, 64, seed=2),
    }  # fmt: skip
    save_file(lora, desk.model_folder("loras") / "l.safetensors")
    return [load_checkpoint(desk.context, ckpt_name=f"{name}.safetensors") for name in "abc"]


def state(desk, part):
    network = desk.studio.residency.have(part.weights, getattr(part, "patches", ()))
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, two):
    assert one.keys() == two.keys()
    return [name for name in one if not torch.equal(one[name], two[name])] == []


def lora_on(desk, model):
    return load_lora_for_model(desk.context, model=model, lora_name="l.safetensors", strength_model=0.5)


def test_a_simple_merge_mixes_every_weight(desk, loaded):
    """numerics.md 8.4: ratio·W₁ + (1 - ratio)·W₂, in float32 and in this order."""
    a, b = loaded[0].model, loaded[1].model
    merged = state(desk, merging.merge_models(desk.context, model1=a, model2=b, ratio=0.3))
    one, two = state(desk, a), state(desk, b)
    assert same(merged, {name: one[name] * 0.3 + (1.0 - 0.3) * two[name] for name in one})
    assert same(state(desk, merging.merge_models(desk.context, model1=a, model2=b, ratio=1.0)), one)
    assert same(state(desk, merging.merge_models(desk.context, model1=a, model2=b, ratio=0.0)), two)


def test_patches_count_before_the_merge_on_either_side(desk, loaded):
    """numerics.md 8.4: W₁ includes patches already on model1, W₂ its own."""
    a, b = loaded[0].model, loaded[1].model
    one, two = lora_on(desk, a), lora_on(desk, b)
    merged = state(desk, merging.merge_models(desk.context, model1=one, model2=two, ratio=0.25))
    w1, w2 = state(desk, one), state(desk, two)
    assert not same(w1, state(desk, a))
    assert same(merged, {name: w1[name] * 0.25 + 0.75 * w2[name] for name in w1})


def test_a_difference_is_taken_and_added(desk, loaded):
    """numerics.md 8.4: subtract is m·W₁ - m·W₂, add W₁ + W₂; "add difference" is both."""
    a, b, c = (each.model for each in loaded)
    difference = merging.subtract_models(desk.context, model1=a, model2=b, multiplier=0.7)
    w = [state(desk, each) for each in (a, b, c)]
    minus = {name: w[0][name] * 0.7 + (-0.7) * w[1][name] for name in w[0]}
    assert same(state(desk, difference), minus)
    both = merging.add_models(desk.context, model1=c, model2=difference)
    assert same(state(desk, both), {name: w[2][name] + minus[name] for name in minus})


def test_blocks_have_ratios_of_their_own_and_the_rest_takes_inputs(desk, loaded):
    """numerics.md 8.4: the longest prefix that fits; others use the first argument, "input"."""
    a, b = loaded[0].model, loaded[1].model
    merged = state(desk, merging.merge_blocks(desk.context, model1=a, model2=b, input=0.2, middle=0.5, out=0.9))
    one, two = state(desk, a), state(desk, b)
    for name in one:
        ratio = 0.5 if name.startswith("middle_block") else 0.9 if name.startswith("out") else 0.2
        assert torch.equal(merged[name], one[name] * ratio + (1.0 - ratio) * two[name]), name


def test_every_block_may_have_a_ratio(desk, loaded):
    """ModelMergeSD1: the longest prefix: input_blocks.1. is not input_blocks.10. ."""
    a, b = loaded[0].model, loaded[1].model
    ratios = {prefix: index / 40 for index, prefix in enumerate(merging.BLOCKS)}
    merge = merging.merge_sd1
    given = {merge.parameters[prefix]: ratio for prefix, ratio in ratios.items()}
    merged = state(desk, merge(desk.context, model1=a, model2=b, **given))
    one, two = state(desk, a), state(desk, b)
    for name in one:
        ratio = next(ratio for prefix, ratio in ratios.items() if name.startswith(prefix))
        assert torch.equal(merged[name], one[name] * ratio + (1.0 - ratio) * two[name]), name


def test_text_encoders_merge_as_models_do_and_are_rounded_to_half(desk, loaded):
    """numerics.md 8.2 and 6.1: float32 arithmetic from float16 weights, cast to float16."""
    a, b = loaded[0].clip, loaded[1].clip
    one, two = state(desk, a), state(desk, b)
    for merged, wanted in (
        (merging.merge_clips(desk.context, clip1=a, clip2=b, ratio=0.3), lambda x, y: x * 0.3 + (1.0 - 0.3) * y),
        (merging.subtract_clips(desk.context, clip1=a, clip2=b, multiplier=2.0), lambda x, y: x * 2.0 - 2.0 * y),
        (merging.add_clips(desk.context, clip1=a, clip2=b), lambda x, y: x + y),
    ):
        assert same(state(desk, merged), {name: wanted(one[name], two[name]).half().float() for name in one})


def test_a_merge_keeps_one_network_in_memory(desk, loaded):
    a, b = loaded[0].model, loaded[1].model
    residency = desk.studio.residency
    residency.clear()
    network = residency.have(a.weights, merging.merge_models(desk.context, model1=a, model2=b, ratio=0.5).patches)
    assert residency.nbytes == sum(value.numel() * 4 for value in network.state_dict().values())


def test_a_merge_is_part_of_the_signature(desk, loaded):
    a, b, c = (each.model for each in loaded)
    marks = {
        digest(merging.merge_models(desk.context, model1=a, model2=two, ratio=ratio))
        for two in (b, c, lora_on(desk, b)) for ratio in (0.5, 0.6)
    }  # fmt: skip
    assert len(marks) == 6
    assert None not in marks
    again = merging.merge_models(desk.context, model1=a, model2=b, ratio=0.5)
    assert digest(again) in marks


def test_models_of_other_families_are_refused_with_names_and_shapes(desk, loaded):
    config = small("sd2-base")
    unet = randomise(UNet(config.unet))
    path = desk.model_folder("diffusion_models") / "two.safetensors"
    save_file(unet.state_dict(), path, metadata={"easel.config": config_to_json(config)})
    two = load_unet(desk.context, unet_name="two.safetensors", weight_dtype="default")
    with pytest.raises(CheckpointError, match=r"two\.safetensors: found .*\[128\], here \[64\]"):
        merging.merge_models(desk.context, model1=loaded[0].model, model2=two, ratio=0.5)


def test_a_difference_goes_onto_an_inpainting_model_but_for_its_first_layer(desk, loaded):
    """The known recipe: inpainting + (model - base). Its first convolution has nine channels and stays."""
    plain = standin_config()
    config = replace(plain, unet=replace(plain.unet, in_channels=9, concat="inpaint"))
    path = desk.model_folder("diffusion_models") / "inpaint.safetensors"
    save_file(randomise(UNet(config.unet)).state_dict(), path, metadata={"easel.config": config_to_json(config)})
    paint = load_unet(desk.context, unet_name="inpaint.safetensors", weight_dtype="default")
    a, b = loaded[0].model, loaded[1].model
    difference = merging.subtract_models(desk.context, model1=a, model2=b)
    merged = state(desk, merging.add_models(desk.context, model1=paint, model2=difference))
    own, added = state(desk, paint), state(desk, difference)
    first = "input_blocks.0.0.weight"
    assert torch.equal(merged[first], own[first])
    assert same(
        {name: value for name, value in merged.items() if name != first},
        {name: own[name] + added[name] for name in own if name != first},
    )
    assert desk.warnings == [f"{first} is for another task in a.safetensors and stays as it is"]


def saved_file(desk, ui):
    (path,) = ui.files
    assert ui.values["files"][0]["filename"] == path.name
    return Path(path)


def test_a_saved_checkpoint_loads_as_what_was_saved(desk, loaded):
    a, b, c = loaded
    model, clip = load_lora(
        desk.context, model=merging.merge_models(desk.context, model1=a.model, model2=b.model, ratio=0.3),
        clip=merging.merge_clips(desk.context, clip1=a.clip, clip2=b.clip, ratio=0.6),
        lora_name="l.safetensors", strength_model=0.5, strength_clip=0.5,
    )  # fmt: skip
    prompt = {"1": {"class_type": "CheckpointSave", "inputs": {}}}
    ui = merging.save_checkpoint(
        desk.context, model=model, clip=clip, vae=c.vae, filename_prefix="checkpoints/mix", prompt=prompt,
        extra_pnginfo={"workflow": {"nodes": []}},
    )  # fmt: skip
    path = saved_file(desk, ui)
    assert path == desk.folders.output / "checkpoints" / "mix_00001_.safetensors"
    path.rename(desk.model_folder("checkpoints") / "mix.safetensors")
    again = load_checkpoint(desk.context, ckpt_name="mix.safetensors")
    for one, two in zip(again, (model, clip, c.vae), strict=True):
        assert same(state(desk, one), state(desk, two))
    opened = open_checkpoint(desk.folders.find("checkpoints", "mix.safetensors"))
    assert opened.config == standin_config()
    assert opened.unexpected == ()
    with safe_open(desk.folders.find("checkpoints", "mix.safetensors"), "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["prompt"]) == prompt
    assert json.loads(metadata["workflow"]) == {"nodes": []}
    recipe = json.loads(metadata["easel.recipe"])
    assert recipe["model"]["file"] == "a.safetensors"
    assert recipe["model"]["patches"] == [
        {"merge": {"file": "b.safetensors", "patches": []}, "ratios": [["", 0.3, 0.7]]},
        {"adapter": "l.safetensors", "strength": 0.5},
    ]
    assert str(desk.folders.output) not in json.dumps(metadata), "no folder of this machine"


def test_what_nothing_changed_keeps_its_bytes(desk, loaded):
    a = loaded[0]
    ui = merging.save_model(desk.context, model=lora_on(desk, a.model), filename_prefix="m", prompt=None,
                            extra_pnginfo=None)  # fmt: skip
    written = load_file(saved_file(desk, ui))
    original = load_file(a.model.weights.path)
    name = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_v.weight"
    assert [key for key in written if written[key].dtype != torch.float16] == [name]
    assert all(torch.equal(written[key], original[key]) for key in written if key != name)


def test_what_is_not_part_of_the_weights_is_named_when_a_model_is_saved(desk, loaded):
    from engine.diffusion.adapters.hypernetwork import Hypernetwork

    a = loaded[0]
    patch = Hypernetwork(a.model.weights.path, a.model.weights.stamp, 1.0)
    model = replace(a.model, patches=(patch,))
    merging.save_model(desk.context, model=model, filename_prefix="m", prompt=None, extra_pnginfo=None)
    assert desk.warnings == ["Hypernetwork on the model: not part of its weights, so not in the saved file"]


def test_parts_saved_alone_load_alone(desk, loaded):
    a = loaded[0]
    model, clip = load_lora(desk.context, model=a.model, clip=a.clip, lora_name="l.safetensors",
                            strength_model=1.0, strength_clip=1.0)  # fmt: skip
    for folder, save, given, load in (
        ("diffusion_models", merging.save_model, {"model": model},
         lambda name: load_unet(desk.context, unet_name=name, weight_dtype="default")),
        ("text_encoders", merging.save_clip, {"clip": clip},
         lambda name: load_clip(desk.context, clip_name=name, type="stable_diffusion")),
        ("vae", merging.save_vae, {"vae": a.vae}, lambda name: load_vae(desk.context, vae_name=name)),
    ):  # fmt: skip
        path = saved_file(desk, save(desk.context, **given, filename_prefix="part", prompt=None, extra_pnginfo=None))
        path.rename(desk.model_folder(folder) / path.name)
        assert same(state(desk, load(path.name)), state(desk, *given.values()))
    assert desk.warnings == []


def test_an_sd2_checkpoint_is_saved_in_openclips_layout(desk):
    config = small("sd2-v")
    text = {
        name.replace("transformer.", "text_model.", 1): value
        for name, value in randomise(TextEncoder(config.text)).state_dict().items()
    }
    metadata = {"easel.config": config_to_json(config)}
    for folder, tensors in (
        ("diffusion_models", randomise(UNet(config.unet)).state_dict()), ("text_encoders", text),
        ("vae", randomise(Vae(config.vae)).state_dict()),
    ):  # fmt: skip
        save_file({name: value.half() for name, value in tensors.items()},
                  desk.model_folder(folder) / "p.safetensors", metadata=metadata)  # fmt: skip
    parts = (
        load_unet(desk.context, unet_name="p.safetensors", weight_dtype="default"),
        load_clip(desk.context, clip_name="p.safetensors", type="stable_diffusion"),
        load_vae(desk.context, vae_name="p.safetensors"),
    )
    ui = merging.save_checkpoint(desk.context, model=parts[0], clip=parts[1], vae=parts[2], filename_prefix="two",
                                 prompt=None, extra_pnginfo=None)  # fmt: skip
    path = saved_file(desk, ui)
    with safe_open(path, "pt") as file:
        keys = set(file.keys())
        shape = file.get_slice("cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight").get_shape()
    assert shape == [192, 64], "queries, keys and values stacked"
    assert "cond_stage_model.model.text_projection" in keys
    path.rename(desk.model_folder("checkpoints") / "two.safetensors")
    again = load_checkpoint(desk.context, ckpt_name="two.safetensors")
    assert again.model.config.schedule.prediction == "v"
    for one, two in zip(again, parts, strict=True):
        assert same(state(desk, one), state(desk, two))


def test_parts_that_do_not_belong_together_are_not_saved(desk, loaded):
    a = loaded[0]
    clip = replace(a.clip, config=replace(a.clip.config, text=replace(a.clip.config.text, width=96)))
    with pytest.raises(ConfigError, match=r"unet.context_dim is 64 but text.width is 96"):
        merging.save_checkpoint(desk.context, model=a.model, clip=clip, vae=a.vae, filename_prefix="x",
                                prompt=None, extra_pnginfo=None)  # fmt: skip
    assert not list(desk.folders.output.glob("*"))


def extracted(desk, given, **more):
    ui = merging.save_lora(desk.context, filename_prefix="loras/x", prompt=None, extra_pnginfo=None, **given, **more)
    path = saved_file(desk, ui)
    path.replace(desk.model_folder("loras") / "x.safetensors")


def test_an_extracted_lora_of_enough_rank_gives_the_difference_back(desk, loaded):
    """A difference made by a LoRA of rank 4 has four singular values; float16 is what the file holds."""
    a = loaded[0]
    model, clip = load_lora(desk.context, model=a.model, clip=a.clip, lora_name="l.safetensors",
                            strength_model=1.0, strength_clip=1.0)  # fmt: skip
    given = {
        "model_diff": merging.subtract_models(desk.context, model1=model, model2=a.model),
        "text_encoder_diff": merging.subtract_clips(desk.context, clip1=clip, clip2=a.clip),
    }
    extracted(desk, given, rank=4, lora_type="standard", bias_diff=True)
    names = set(load_file(desk.folders.find("loras", "x.safetensors")))
    assert names == {
        f"diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_v.{side}.weight"
        for side in ("lora_up", "lora_down")
    } | {
        f"text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.{side}.weight"
        for side in ("lora_up", "lora_down")
    }
    again, clip_again = load_lora(desk.context, model=a.model, clip=a.clip, lora_name="x.safetensors",
                                  strength_model=1.0, strength_clip=1.0)  # fmt: skip
    for one, two, plain in ((again, model, a.model), (clip_again, clip, a.clip)):
        got, wanted, before = state(desk, one), state(desk, two), state(desk, plain)
        for name in wanted:
            size = float((wanted[name] - before[name]).norm())
            assert float((got[name] - wanted[name]).norm()) <= 2e-3 * size  # two factors of 11 bits each


@pytest.mark.parametrize("kind", ["standard", "full_diff"])
def test_a_whole_difference_of_two_models_is_extracted(kind, desk, loaded):
    a, b = loaded[0].model, loaded[1].model
    difference = merging.subtract_models(desk.context, model1=a, model2=b)
    errors = []
    for rank in (1, 64):
        extracted(desk, {"model_diff": difference}, rank=rank, lora_type=kind, bias_diff=True)
        put = load_lora_for_model(desk.context, model=b, lora_name="x.safetensors", strength_model=1.0)
        got, wanted, before = state(desk, put), state(desk, a), state(desk, b)
        name = "middle_block.1.transformer_blocks.0.attn2.to_v.weight"
        errors.append(float((got[name] - wanted[name]).norm() / (wanted[name] - before[name]).norm()))
        bias = "middle_block.0.in_layers.2.bias"
        assert torch.allclose(got[bias], wanted[bias], atol=1e-3)
    assert errors[1] < 2e-3, "64 is the whole rank"
    assert (errors[0] > 0.1) == (kind == "standard"), "rank 1 of 64 is not much"
    assert desk.warnings == []


def test_nothing_to_extract_is_said(desk, loaded):
    a = loaded[0].model
    for given, words in (({}, "there is no difference"), (
        {"model_diff": merging.subtract_models(desk.context, model1=a, model2=a)}, "0 everywhere",
    )):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            merging.save_lora(desk.context, filename_prefix="x", rank=1, lora_type="standard", prompt=None,
                              extra_pnginfo=None, **given)  # fmt: skip
