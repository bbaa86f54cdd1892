"""Nodes that only hand values on: each value arrives where it is meant, under the default of `/object_info` too.

What the patches then compute is in `tests/patches`, from `numerics.md`; that each comes off is in
`test_model_patches.py`.
"""

from dataclasses import fields, replace

import pytest
import torch

from engine.diffusion.guidance import Condition
from engine.diffusion.patches import attention_guidance, cfg
from engine.diffusion.patches.deepcache import DeepCache
from engine.diffusion.patches.freeu import FreeU
from engine.diffusion.patches.masks import DifferentialDiffusion
from engine.diffusion.patches.process import PREDICTIONS, ContinuousProcess, DiscreteProcess
from engine.diffusion.patches.shrink import DeepShrink
from engine.diffusion.patches.tokens import HyperTile, TokenMerging
from engine.diffusion.standin import write_standin
from engine.diffusion.vae import encode
from engine.graph.types import Conditioning, Image, Sigmas
from nodes import guidance, latent, model_patches, primitives, schedulers
from nodes.loaders import load_checkpoint
from tests.parity.small import noise

EMPTY = Conditioning((Condition(torch.zeros(1, 77, 8)),))
WIDTH = 320
# node → what it is given (no two alike), and the patches that come of it, by the names of their fields
CASES = {
    guidance.guidance_interval: (
        {"start_percent": 0.2, "end_percent": 0.7}, [cfg.GuidanceInterval(start_percent=0.2, end_percent=0.7)],
    ),
    guidance.cfg_zero_star: ({}, [cfg.CfgZeroStar()]),
    guidance.cfg_norm: ({"strength": 0.4}, [cfg.CfgNorm(strength=0.4)]),
    guidance.tangential_damping: ({}, [cfg.Tcfg()]),
    guidance.projected_guidance: (
        {"eta": 0.3, "norm_threshold": 2.0, "momentum": -0.5}, [cfg.Apg(eta=0.3, norm_threshold=2.0, momentum=-0.5)],
    ),
    guidance.mahiro: ({}, [cfg.Mahiro()]),
    guidance.frequency_scaling: (
        {"scale_low": 0.5, "scale_high": 1.5, "freq_cutoff": 7}, [cfg.FreSca(low=0.5, high=1.5, cutoff=7)],
    ),
    guidance.perp_neg: (
        {"empty_conditioning": EMPTY, "neg_scale": 0.5}, [cfg.PerpNegPatch(empty=EMPTY.entries, neg_scale=0.5)],
    ),
    guidance.epsilon_scaling: ({"scaling_factor": 1.02}, [cfg.EpsilonScaling(factor=1.02)]),
    model_patches.discrete_process: (
        {"sampling": "v_prediction", "zsnr": True}, [DiscreteProcess(PREDICTIONS["v_prediction"], zero_snr=True)],
    ),
    model_patches.continuous_edm: (
        {"sampling": "edm", "sigma_max": 80.0, "sigma_min": 0.01},
        # a model of EDM's kind has data of the spread 0.5: Karras et al., arXiv:2206.00364, table 1
        [ContinuousProcess("edm", PREDICTIONS["edm"], sigma_min=0.01, sigma_max=80.0, sigma_data=0.5)],
    ),
    model_patches.continuous_v: (
        {"sampling": "v_prediction", "sigma_max": 80.0, "sigma_min": 0.01},
        [ContinuousProcess("v", PREDICTIONS["v_prediction"], sigma_min=0.01, sigma_max=80.0)],
    ),
    model_patches.rescale_cfg: ({"multiplier": 0.3}, [cfg.RescaleCfg(multiplier=0.3)]),
    model_patches.free_u: (
        {"b1": 1.0, "b2": 2.0, "s1": 3.0, "s2": 4.0}, [FreeU(b1=1.0, b2=2.0, s1=3.0, s2=4.0, model_channels=WIDTH)],
    ),
    model_patches.free_u_2: (
        {"b1": 1.0, "b2": 2.0, "s1": 3.0, "s2": 4.0},
        [FreeU(b1=1.0, b2=2.0, s1=3.0, s2=4.0, model_channels=WIDTH, by_structure=True)],
    ),
    model_patches.hyper_tile: (
        {"tile_size": 64, "swap_size": 3, "max_depth": 1, "scale_depth": True},
        [HyperTile(tile=64, swap=3, depth=1, scale_depth=True)],
    ),
    model_patches.merge_tokens: ({"ratio": 0.6}, [TokenMerging(ratio=0.6)]),
    model_patches.deep_cache: (
        {"interval": 4, "depth": 2, "start_percent": 0.1, "end_percent": 0.9},
        [DeepCache(interval=4, depth=2, start_percent=0.1, end_percent=0.9)],
    ),
    model_patches.deep_shrink: (
        {"block_number": 2, "downscale_factor": 1.5, "start_percent": 0.1, "end_percent": 0.2,
         "downscale_after_skip": False, "downscale_method": "area", "upscale_method": "bislerp"},
        [DeepShrink(block=2, factor=1.5, start_percent=0.1, end_percent=0.2, after_skip=False, down="area",
                    up="bislerp")],
    ),
    model_patches.perturbed_attention: ({"scale": 2.0}, [attention_guidance.PerturbedAttention(scale=2.0)]),
    model_patches.self_attention_guidance: (
        {"scale": 0.7, "blur_sigma": 1.5},
        [attention_guidance.Recording(), attention_guidance.SelfAttentionGuidance(scale=0.7, blur_sigma=1.5)],
    ),
    model_patches.differential_diffusion: ({"strength": 0.6}, [DifferentialDiffusion(strength=0.6)]),
}  # fmt: skip


@pytest.fixture
def loaded(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    return load_checkpoint(desk.context, ckpt_name="s.safetensors")


def held(patches):
    """Each patch's class and fields: those with tensors are equal to themselves only."""
    return [(type(patch), {each.name: getattr(patch, each.name) for each in fields(patch)}) for patch in patches]


@pytest.mark.parametrize("node", CASES, ids=lambda node: node.spec.class_type)
def test_what_a_node_is_given_is_what_its_patch_holds(node, loaded):
    given, wanted = CASES[node]
    config = loaded.model.config
    model = replace(loaded.model, config=replace(config, unet=replace(config.unet, model_channels=WIDTH)))
    assert held(node(model=model, **given).patches) == held(wanted)
    twice = node(model=node(model=model, **given), **given)
    assert held(twice.patches) == held([*wanted, *wanted]), "patches pile up in order"


def test_every_patch_of_weights_or_guidance_is_in_the_table():
    nodes = {each for module in (guidance, model_patches) for each in vars(module).values() if hasattr(each, "spec")}
    weights = {model_patches.compute_type, model_patches.multiply_self_attention,
               model_patches.multiply_cross_attention, model_patches.multiply_text_attention}  # fmt: skip
    assert nodes == set(CASES) | weights, "the others have tests of their own in test_model_patches.py"


def test_a_lists_first_noise_level_is_replaced():
    given = Sigmas(torch.tensor([14.0, 5.0, 0.0]))
    assert schedulers.set_first(sigmas=given, sigma=80.0).values.tolist() == [80.0, 5.0, 0.0]
    assert given.values.tolist() == [14.0, 5.0, 0.0]


@pytest.mark.parametrize(("node", "value"), [(primitives.multiline_string, "a\nb"), (primitives.boolean, True)])
def test_a_primitive_is_its_value(node, value):
    assert node(value=value) == value


def test_encoding_in_tiles_that_hold_the_whole_picture_is_encoding(desk, loaded):
    pixels = noise(1, 64, 64, 3).sigmoid()
    made = latent.encode_in_tiles(desk.context, pixels=Image(pixels), vae=loaded.vae, tile_size=128, overlap=32)
    whole = encode(desk.context.autoencoder(loaded.vae), pixels)
    assert torch.allclose(made.samples, whole, atol=1e-5)  # as in tests/diffusion/test_tiling.py: rounding
