"""The networks beside the model against transformers, with the same random weights, in float32."""

import re

import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engine.diffusion.checkpoint import load_companion, open_checkpoint
from engine.diffusion.depth import CHECKPOINT_PREFIX, DepthConfig, estimate_depth, open_depth
from engine.diffusion.tensorfile import CheckpointError
from engine.diffusion.vision import UNCLIP_PREFIX, VisionConfig, encode_images, open_vision, preprocess
from tests.parity.small import distance, noise
from tests.presets import DEPTH, companion, midas, open_clip_vision, vision, write_published

CLOSE = 1e-5


def vision_oracle(config: VisionConfig, state: dict[str, torch.Tensor]) -> CLIPVisionModelWithProjection:
    oracle = CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=config.width, intermediate_size=config.mlp_width, num_hidden_layers=config.layers,
        num_attention_heads=config.heads, image_size=56, patch_size=config.patch, hidden_act=config.activation,
        projection_dim=config.projection,
    ))  # fmt: skip
    oracle.load_state_dict(state, strict=True)
    return oracle.eval().requires_grad_(False)


def test_the_image_encoder_equals_transformers():
    module = companion(vision())
    oracle = vision_oracle(vision(), module.state_dict())
    pixels = noise(2, 70, 60, 3).sigmoid()
    ours = encode_images(module, pixels)
    theirs = oracle(pixel_values=preprocess(pixels, 56), output_hidden_states=True)
    assert ours.embeds.std() > 0.1
    assert distance(ours.embeds, theirs.image_embeds) < CLOSE
    assert distance(ours.last, theirs.last_hidden_state) < CLOSE
    assert distance(ours.penultimate, theirs.hidden_states[-2]) < CLOSE


def test_preprocessing_is_that_of_the_published_encoders():
    """The mean and deviation of models.md, 6; bytes are rounded; a long picture is cut at both ends."""
    grey = torch.full((1, 300, 224, 3), 0.5)
    found = preprocess(grey)
    assert found.shape == (1, 3, 224, 224)
    assert found[0, :, 0, 0].tolist() == pytest.approx([
        (128 / 255 - 0.48145466) / 0.26862954, (128 / 255 - 0.4578275) / 0.26130258,
        (128 / 255 - 0.40821073) / 0.27577711,
    ])  # fmt: skip
    striped = torch.zeros(1, 448, 224, 3)
    striped[:, 112:336] = 1.0
    middle = preprocess(striped)
    assert (middle > 0).all()
    assert (preprocess(striped, crop=False) < 0).any()


LAYOUTS = {
    "transformers": lambda module: dict(module.state_dict()),
    "whole CLIP": lambda module: {**module.state_dict(), "text_model.final_layer_norm.weight": torch.ones(3)},
    "OpenCLIP": lambda module: open_clip_vision(module, "visual."),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_an_image_encoder_loads_from_each_spelling(layout, tmp_path):
    module = companion(vision())
    path = tmp_path / "v.safetensors"
    save_file({name: value.contiguous() for name, value in LAYOUTS[layout](module).items()}, path)
    weights = open_vision(path)
    assert weights.config == vision()
    loaded = load_companion(weights, torch.float32)
    for name, value in module.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_open_clip_names_of_the_image_encoder_are_the_published_ones():
    """models.md, 1.5 and 2.4; block 0 of `embedder.model.visual.` in the unCLIP files."""
    state = open_clip_vision(companion(vision()), UNCLIP_PREFIX)
    names = {re.sub(r"resblocks\.\d+", "resblocks.N", name.removeprefix(UNCLIP_PREFIX)) for name in state}
    block = "transformer.resblocks.N."
    assert names == {
        "class_embedding", "conv1.weight", "positional_embedding", "ln_pre.weight", "ln_pre.bias", "ln_post.weight",
        "ln_post.bias", "proj", block + "ln_1.weight", block + "ln_1.bias", block + "ln_2.weight", block + "ln_2.bias",
        block + "attn.in_proj_weight", block + "attn.in_proj_bias", block + "attn.out_proj.weight",
        block + "attn.out_proj.bias", block + "mlp.c_fc.weight", block + "mlp.c_fc.bias", block + "mlp.c_proj.weight",
        block + "mlp.c_proj.bias",
    }  # fmt: skip
    module = companion(vision()).state_dict()
    prefix = "vision_model.encoder.layers.1.self_attn."
    stacked = torch.cat([module[f"{prefix}{part}_proj.weight"] for part in "qkv"])
    assert torch.equal(state[UNCLIP_PREFIX + "transformer.resblocks.1.attn.in_proj_weight"], stacked)
    assert torch.equal(state[UNCLIP_PREFIX + "proj"], module["visual_projection.weight"].T)


def test_published_sizes_are_read_from_shapes():
    """ViT-L/14 of OpenAI and ViT-H/14 of OpenCLIP (models.md, 1.5): 632,076,800 parameters with the projection."""
    from pathlib import Path

    from engine.diffusion.tensorfile import Entry, Stamp, TensorFile
    from engine.diffusion.vision import NAMINGS, vision_config

    sizes = {
        "h": VisionConfig(1280, 32, 16, 5120, 14, 257, 1024, "gelu"),
        "l": VisionConfig(1024, 24, 16, 4096, 14, 257, 768, "quick_gelu"),
    }
    for config in sizes.values():
        with torch.device("meta"):
            module = config.build()
        entries = {name: Entry(tuple(value.shape), "F16") for name, value in module.state_dict().items()}
        file = TensorFile(Path("v.safetensors"), Stamp(0, 0, 0), entries, {})
        assert vision_config(file, NAMINGS[0]) == config
    with torch.device("meta"):
        assert sum(value.numel() for value in sizes["h"].build().state_dict().values()) == 632_076_800


def test_a_file_without_an_image_encoder_is_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "v.safetensors")
    with pytest.raises(CheckpointError, match=r"v\.safetensors: found no image encoder"):
        open_vision(tmp_path / "v.safetensors")
    state = dict(companion(vision()).state_dict())
    del state["vision_model.encoder.layers.1.mlp.fc2.bias"]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"layers\.1\.mlp\.fc2\.bias is missing"):
        open_vision(tmp_path / "w.safetensors")


# -- depth -------------------------------------------------------------------------------------------------------


def test_a_depth_network_loads_from_a_transformers_folder(tmp_path):
    network = companion(DEPTH)
    network.save_pretrained(tmp_path / "dpt")
    weights = open_depth(tmp_path / "dpt" / "model.safetensors")
    assert weights.config == DEPTH
    assert_same_network(load_companion(weights, torch.float32), network)


@pytest.mark.parametrize("prefix", ["", CHECKPOINT_PREFIX])
def test_a_depth_network_loads_from_midas_names(prefix, tmp_path):
    network = companion(DEPTH)
    save_file(midas(network, prefix), tmp_path / "m.safetensors")
    weights = open_depth(tmp_path / "m.safetensors")
    assert weights.config == DEPTH
    assert_same_network(load_companion(weights, torch.float32), network)


def test_a_published_depth_checkpoint_holds_both_networks(tmp_path):
    path = write_published(tmp_path / "512-depth-ema.safetensors", "sd2-depth")
    found = open_checkpoint(path)
    assert (found.config.family, found.unexpected) == ("sd2-depth", ())
    assert any(name.startswith(CHECKPOINT_PREFIX) for name in found.ignored)
    assert_same_network(load_companion(open_depth(path), torch.float32), companion(DEPTH))


def assert_same_network(loaded, network):
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    pixels = noise(1, 40, 56, 3).sigmoid()
    assert torch.equal(estimate_depth(loaded, pixels), estimate_depth(network, pixels))


def test_midas_names_are_the_published_ones():
    """models.md, 5.2, written down anew; 414 parameters become 366, q, k and v of twelve layers being stacked."""
    sizes = DepthConfig(
        width=768, layers=12, heads=12, mlp_width=3072, image_size=384, embedding_width=64, stages=(3, 4, 9),
        stage_widths=(256, 512, 1024), neck_widths=(256, 512, 768, 768), fusion_width=256,
    )  # fmt: skip
    with torch.device("meta"):
        network = sizes.build()
    from engine.diffusion.depth import _midas_name

    assert sum(value.numel() for value in network.state_dict().values()) == 122_377_985
    theirs: dict[str, list[int | None]] = {}
    for name in network.state_dict():
        key, third = _midas_name(name)
        theirs.setdefault(key, []).append(third)
    assert (len(network.state_dict()), len(theirs)) == (414, 366)
    assert all(thirds in ([None], [0, 1, 2]) for thirds in theirs.values())
    leaves = ("weight", "bias")
    block = [f"{part}.{leaf}" for part in ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
             for leaf in leaves]  # fmt: skip
    bit = "pretrained.model.patch_embed.backbone."
    expected = {f"pretrained.model.blocks.{n}.{part}" for n in range(12) for part in block}
    expected |= {"pretrained.model.cls_token", "pretrained.model.pos_embed", bit + "stem.conv.weight"}
    expected |= {f"{bit}stem.norm.{leaf}" for leaf in leaves}
    for stage, count in enumerate((3, 4, 9)):
        for number in range(count):
            names = ["conv1", "conv2", "conv3"] + (["downsample.conv"] if number == 0 else [])
            norms = ["norm1", "norm2", "norm3"] + (["downsample.norm"] if number == 0 else [])
            here = f"{bit}stages.{stage}.blocks.{number}."
            expected |= {f"{here}{part}.weight" for part in names}
            expected |= {f"{here}{part}.{leaf}" for part in norms for leaf in leaves}
    both = [
        "pretrained.model.patch_embed.proj", "pretrained.model.norm", "pretrained.act_postprocess3.0.project.0",
        "pretrained.act_postprocess4.0.project.0", "pretrained.act_postprocess3.3", "pretrained.act_postprocess4.3",
        "pretrained.act_postprocess4.4", "scratch.output_conv.0", "scratch.output_conv.2", "scratch.output_conv.4",
    ]  # fmt: skip
    for k in range(1, 5):
        both.append(f"scratch.refinenet{k}.out_conv")
        both += [f"scratch.refinenet{k}.resConfUnit{unit}.conv{conv}" for unit in (1, 2) for conv in (1, 2)]
        expected.add(f"scratch.layer{k}_rn.weight")
    expected |= {f"{part}.{leaf}" for part in both for leaf in leaves}
    assert set(theirs) == expected
    assert _midas_name("neck.fusion_stage.layers.0.projection.bias")[0] == "scratch.refinenet4.out_conv.bias"


def test_depth_is_stretched_to_the_full_range_of_each_picture():
    network = companion(DEPTH)
    depth = estimate_depth(network, noise(2, 48, 80, 3).sigmoid())
    assert depth.shape == (2, 48, 80)
    assert depth.amin(dim=(1, 2)).tolist() == [0.0, 0.0]
    assert depth.amax(dim=(1, 2)).tolist() == [1.0, 1.0]
    for parameter in network.head.parameters():
        parameter.data.zero_()
    assert not estimate_depth(network, torch.rand(1, 48, 80, 3)).any()  # all at one distance


def test_another_depth_network_is_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "d.safetensors")
    with pytest.raises(CheckpointError, match=r"d\.safetensors: found no depth network"):
        open_depth(tmp_path / "d.safetensors")
    save_file({"dpt.embeddings.cls_token": torch.zeros(1, 1, 64)}, tmp_path / "large.safetensors")
    with pytest.raises(CheckpointError, match=r"found no dpt\.embeddings\.position_embeddings; wanted the hybrid"):
        open_depth(tmp_path / "large.safetensors")
