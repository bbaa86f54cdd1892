"""Model patches as nodes and in whole graphs: what is on a model reaches the picture, and comes off."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from engine.diffusion.adapters.patches import ComputeType
from engine.diffusion.standin import write_standin
from engine.files.folders import make_folders
from engine.graph.registry import scan
from engine.graph.types import SOCKETS, Latent
from engine.messages.events import Succeeded
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings
from engine.runtime.signature import digest
from nodes import custom_sampling, guidance, model_patches, samplers, schedulers
from nodes.loaders import load_checkpoint
from nodes.sampling import sample
from tests.nodes.studio import Desk
from tests.nodes.test_custom_sampling import text


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """One for all, so that the network is built once."""
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def loaded(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    return load_checkpoint(desk.context, ckpt_name="s.safetensors")


def picture(desk, model, size=8):
    latent = Latent(torch.zeros(1, 4, size, size))
    return sample(
        desk.context, model=model, seed=5, steps=2, cfg=4.0, sampler_name="euler", scheduler="karras",
        positive=text(1), negative=text(2), latent_image=latent,
    ).samples  # fmt: skip


RESIZES = {"downscale_method": "bicubic", "upscale_method": "bicubic"}
# class → the node's own inputs, where they have no default; a few where the default does nothing to a small picture
INPUTS = {
    "ModelSamplingDiscrete": {"sampling": "v_prediction"},
    "ModelSamplingContinuousEDM": {"sampling": "edm"},
    "ModelSamplingContinuousV": {"sampling": "v_prediction"},
    "ModelComputeDtype": {"dtype": "bf16"},
    "HyperTile": {"tile_size": 1},
    "PatchModelAddDownscale": {"block_number": 1, **RESIZES},
    "FreSca": {"freq_cutoff": 2},
    "UNetSelfAttentionMultiply": {"v": 0.5},
    "UNetCrossAttentionMultiply": {"out": 0.5},
    "PerpNeg": {"empty_conditioning": text(3), "neg_scale": 0.5},
}
MASKED_ONLY = {"DifferentialDiffusion"}


def patch_nodes():
    """Every node of the two files that changes a model."""
    nodes = {**vars(model_patches), **vars(guidance)}.values()
    found = {each.spec.class_type: each for each in nodes if hasattr(each, "spec")}
    return {name: each for name, each in found.items() if each.spec.input("model") is not None}


@pytest.fixture(scope="module")
def plain(desk, loaded):
    """The pictures of the model without any patch, by size."""
    return {size: picture(desk, loaded.model, size) for size in (8, 32)}


@pytest.mark.parametrize("name", sorted(patch_nodes()))
def test_a_patch_changes_the_picture_and_comes_off(desk, loaded, plain, name):
    node, size = patch_nodes()[name], 32 if name == "SelfAttentionGuidance" else 8
    before = plain[size]
    changed = node(model=loaded.model, **INPUTS.get(name, {}))
    hash(changed.patches)
    on = picture(desk, changed, size)
    assert torch.isfinite(on).all()
    assert torch.equal(on, before) == (name in MASKED_ONLY)
    assert torch.equal(picture(desk, loaded.model, size), before)
    assert loaded.model.patches == ()


def test_sampling_for_other_families_is_refused(loaded):
    for sampling in ("edm_playground_v2.5", "cosmos_rflow"):
        with pytest.raises(ValueError, match=f"'{sampling}', which is for"):
            model_patches.continuous_edm(model=loaded.model, sampling=sampling)


def test_schedules_follow_the_models_process(loaded):
    model = model_patches.discrete_process(model=loaded.model, sampling="lcm")
    sigmas = schedulers.basic(model=model, scheduler="sgm_uniform", steps=4).values
    assert sigmas.tolist() == pytest.approx([14.6146, 4.1708, 1.6679, 0.7325, 0.0], abs=6e-5)  # numerics.md, 1.6 [V]
    assert schedulers.percent_to_sigma(model=model, sampling_percent=0.0, return_actual_sigma=True) == pytest.approx(
        float(sigmas[0]), rel=1e-5
    )


def test_attention_multipliers_scale_the_named_projections(desk, loaded):
    residency = desk.studio.residency
    plain = residency.have(loaded.model.weights).state_dict()
    model = model_patches.multiply_self_attention(model=loaded.model, q=0.5, out=2.0)
    changed = residency.have(model.weights, model.patches).state_dict()
    factors = {".attn1.to_q.weight": 0.5, ".attn1.to_out.0.weight": 2.0, ".attn1.to_out.0.bias": 2.0}
    seen = set()
    for name, value in plain.items():
        factor = next((factor for end, factor in factors.items() if name.endswith(end)), 1.0)
        seen.add(factor)
        assert torch.equal(changed[name], value * factor), name
    assert seen == {0.5, 1.0, 2.0}
    assert model_patches.multiply_cross_attention(model=loaded.model).patches == (), "factors of 1 change nothing"


def test_text_attention_multipliers_reach_the_encoder(desk, loaded):
    clip = model_patches.multiply_text_attention(clip=loaded.clip, k=0.0)
    residency = desk.studio.residency
    changed = residency.have(clip.weights, clip.patches).state_dict()
    zeroed = [name for name, value in changed.items() if "self_attn" in name and not value.any()]
    assert zeroed
    assert {name.split(".")[-2] for name in zeroed if name.endswith("weight")} == {"k_proj"}


def test_a_compute_type_makes_a_copy_of_that_type(desk, loaded):
    weights, residency = loaded.model.weights, desk.studio.residency

    def types(*patches):
        return {each.dtype for each in residency.have(weights, patches).state_dict().values()}

    assert types() == {torch.float32}
    assert types(ComputeType("bf16")) == {torch.bfloat16}
    assert types(ComputeType("bf16"), ComputeType(None)) == {torch.float32}, "the last one counts"
    assert types() == {torch.float32}
    assert residency.dtype("unet", (ComputeType("fp16"),)) == torch.float16


# -- whole graphs ----------------------------------------------------------------------------------------------------


def graph(**models):
    """A prompt to a picture's latent, by custom sampling, with a chain of patches on the model."""
    nodes = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "s.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red circle", "clip": ["1", 1]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler_ancestral"}},
        "7": {"class_type": "RandomNoise", "inputs": {"noise_seed": 3}},
    }  # fmt: skip
    last = ["1", 0]
    for name, inputs in models.items():
        nodes[name] = {"class_type": name, "inputs": {"model": last, **inputs}}
        last = [name, 0]
    nodes |= {
        "6": {"class_type": "BasicScheduler", "inputs": {"model": last, "scheduler": "normal", "steps": 2,
                                                         "denoise": 1.0}},
        "8": {"class_type": "PerpNegGuider", "inputs": {"model": last, "positive": ["2", 0], "negative": ["3", 0],
                                                        "empty_conditioning": ["3", 0], "cfg": 4.0, "neg_scale": 1.0}},
        "9": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["7", 0], "guider": ["8", 0],
                                                                "sampler": ["5", 0], "sigmas": ["6", 0],
                                                                "latent_image": ["4", 0]}},
        "10": {"class_type": "SaveLatent", "inputs": {"samples": ["9", 1], "filename_prefix": "x"}},
    }  # fmt: skip
    return nodes


@pytest.fixture
def run(tmp_path):
    folders = make_folders(data=tmp_path / "data", models=tmp_path / "models")
    checkpoints = tmp_path / "models" / "checkpoints"
    checkpoints.mkdir(parents=True)
    write_standin(checkpoints / "s.safetensors")
    settings = Settings(folders, cpu=True, precision="fp32", threads=1, cache_directory=tmp_path / "cache")

    def run(nodes):
        file = tmp_path / "workflow.json"
        file.write_text(json.dumps(nodes))
        ending = run_file(file, settings, lambda event: None)
        assert isinstance(ending, Succeeded), ending
        entry = ending.outputs["10"]["latents"][0]
        path = folders.output / entry["subfolder"] / entry["filename"]
        return load_file(path)["latent_tensor"], {report.state for report in ending.reports}

    return run


def test_a_graph_of_patches_and_custom_sampling_runs_and_is_reused(run):
    plain, _ = run(graph())
    patches = {
        "FreeU_V2": {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}, "RescaleCFG": {"multiplier": 0.7},
        "PerturbedAttentionGuidance": {"scale": 3.0}, "ModelSamplingDiscrete": {"sampling": "eps", "zsnr": True},
    }  # fmt: skip
    patched, _ = run(graph(**patches))
    assert torch.isfinite(patched).all()
    assert not torch.allclose(patched, plain, atol=1e-3)
    again, states = run(graph())
    assert torch.equal(again, plain)
    assert states == {"reused"}


def test_every_value_on_these_wires_has_a_digest(loaded):
    model = loaded.model
    for name, node in patch_nodes().items():
        model = node(model=model, **INPUTS.get(name, {}))
    guider = custom_sampling.cfg_guider(model=model, positive=text(1), negative=text(2))
    values = [model, guider, samplers.lms(), schedulers.karras(), custom_sampling.random_noise(noise_seed=3)]
    assert all(digest(value) is not None for value in values)
    other = replace(model, patches=model.patches[:-1])
    assert digest(other) != digest(model)
    assert digest(replace(other, patches=(*other.patches, model.patches[-1]))) == digest(model)


def test_all_sockets_of_these_nodes_are_known():
    for name in ("SamplerCustomAdvanced", "CFGGuider", "SelfAttentionGuidance"):
        spec = scan().specs[name]
        assert {each.kind for each in spec.inputs if not each.widget} <= SOCKETS
