"""What packs put on a MODEL takes effect on the core network, with the arguments that packs expect."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.graph.graph import resolve
from engine.graph.node import Ui, node
from engine.graph.types import Latent
from engine.graph.workflow import read_api
from engine.messages.events import Failed, Succeeded
from engine.runtime.execute import execute
from engine.runtime.tasks import Job
from engine.runtime.worker import Engine
from tests.served import text_to_image

INSIDE = {"block", "transformer_index", "n_heads", "dim_head", "sigmas", "cond_or_uncond", "original_shape"}
AROUND = {"cond_scale", "timestep", "sigma", "input", "model", "model_options"}
WAYS: dict[str, set[str]] = {
    "attn1_patch": INSIDE, "attn2_patch": INSIDE, "attn1_output_patch": INSIDE, "attn2_output_patch": INSIDE,
    "attn1_replace": INSIDE, "attn2_replace": INSIDE, "input_block_patch": {"block", "sigmas", "cond_or_uncond"},
    "input_block_patch_after_skip": {"block"}, "output_block_patch": {"block"},
    "cfg": AROUND | {"cond", "uncond", "cond_denoised", "uncond_denoised"}, "old_cfg": set(),
    "post_cfg": AROUND | {"denoised", "cond_denoised", "uncond_denoised"}, "pre_cfg": AROUND | {"conds_out"},
    "wrapper": {"input", "timestep", "c", "cond_or_uncond"}, "weights": set(),
}


def sampled(engine: Engine, *patches: tuple[str, float], **more: Any) -> tuple[Any, torch.Tensor | None]:
    """The latent of two steps, through a chain of pack nodes between loader and sampler."""
    graph = text_to_image(steps=2, size=32)
    model = ["1", 0]
    for index, (how, by) in enumerate(patches):
        graph[f"p{index}"] = {"class_type": "PatchModel", "inputs": {"model": model, "how": how, "by": by}}
        model = [f"p{index}", 0]
    graph["5"]["inputs"].update(model=model, **more)
    graph["out"] = {"class_type": "KeepLatent", "inputs": {"value": ["5", 0]}}
    del graph["6"], graph["7"]
    nodes = {**engine.machine.nodes, "KeepLatent": keep}
    resolved = resolve(read_api(graph), {name: each.spec for name, each in nodes.items()}, engine.folders)
    kept.clear()
    ending = execute(Job("job", resolved.graph), replace(engine.machine, nodes=nodes), lambda event: None)
    return ending, kept.get("latent")


kept: dict[str, Any] = {}


@node("KeepLatent", category="test", changed=lambda **_: float("nan"))
def keep(*, value: Latent) -> Ui:
    kept["latent"] = value.samples
    return Ui({"text": ["kept"]})


@pytest.mark.parametrize("how", sorted(WAYS))
def test_each_patch_does_nothing_when_it_does_nothing_and_something_when_it_does(engine: Engine, how: str) -> None:
    told = sys.modules["custom_nodes.easel-fixture.models"].told
    told.clear()
    _, plain = sampled(engine)
    assert plain is not None
    ending, same = sampled(engine, (how, 1.0))
    assert isinstance(ending, Succeeded), ending
    # a cfg function gets x - D and its answer is taken from x again: float32 rounds twice, magnified by sigma of 14.6
    close = {"cfg": 2e-4, "old_cfg": 2e-4, "attn1_replace": 1e-4, "attn2_replace": 1e-4}.get(how, 0.0)
    assert same is not None and torch.allclose(same, plain, rtol=0, atol=close)
    ending, other = sampled(engine, (how, 0.5))
    assert isinstance(ending, Succeeded), ending
    assert other is not None and (other - plain).abs().max() > 1e-3
    assert all(WAYS[how] <= set(each) for each in told.get(how, ()))
    assert bool(told.get(how)) == bool(WAYS[how])


def test_what_functions_inside_are_told_is_right(engine: Engine) -> None:
    told = sys.modules["custom_nodes.easel-fixture.models"].told
    told.clear()
    sampled(engine, ("attn1_patch", 0.9), ("post_cfg", 0.9), ("wrapper", 0.9))
    inside = told["attn1_patch"]
    assert {each["block"][0] for each in inside} == {"input", "middle", "output"}
    assert sorted({each["transformer_index"] for each in inside}) == list(range(len({e["block"] for e in inside})))
    assert all(sorted(each["cond_or_uncond"]) == [0, 1] for each in inside), "both lists in one batch"
    assert all(each["original_shape"] == [2, 4, 4, 4] and each["sigmas"].shape == (2,) for each in inside)
    assert [float(each["sigma"][0]) for each in told["post_cfg"]] == sorted(
        (float(each["sigma"][0]) for each in told["post_cfg"]), reverse=True
    )
    assert all(set(each["c"]) == {"c_crossattn", "transformer_options"} for each in told["wrapper"])
    assert told["wrapper"][0]["cond_or_uncond"] == inside[0]["cond_or_uncond"]


def test_patches_of_several_packs_add_up_and_none_stays_behind(engine: Engine) -> None:
    _, plain = sampled(engine)
    _, one = sampled(engine, ("post_cfg", 0.5))
    _, two = sampled(engine, ("post_cfg", 0.5), ("attn1_patch", 0.5))
    _, again = sampled(engine)
    assert plain is not None and one is not None and two is not None and again is not None
    assert (two - one).abs().max() > 1e-4 and (one - plain).abs().max() > 1e-4
    assert torch.equal(plain, again)


def test_a_function_that_fails_inside_names_the_sampler(engine: Engine) -> None:
    ending, _ = sampled(engine, ("broken", 1.0))
    assert isinstance(ending, Failed)
    assert (ending.node, ending.exception_type) == ("5", "ZeroDivisionError")


def test_free_memory_is_a_real_figure(engine: Engine) -> None:
    import psutil
    from comfy import model_management  # type: ignore[import-not-found]

    total = psutil.virtual_memory().total
    assert model_management.get_total_memory() == total
    assert 0 < model_management.get_free_memory() < total
    assert model_management.get_free_memory(torch.device("cpu"), torch_free_too=True)[0] < total


def test_one_pack_node_of_each_type_between_core_nodes(engine: Engine) -> None:
    """Loader → CLIP, VAE → encode, decode; SIGMAS, SAMPLER, NOISE and GUIDER into the advanced sampler."""
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "standin.safetensors"}},
        "clip": {"class_type": "TouchClip", "inputs": {"value": ["1", 1]}},
        "vae": {"class_type": "TouchVae", "inputs": {"value": ["1", 2]}},
        "text": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red cube", "clip": ["clip", 0]}},
        "latent": {"class_type": "EmptyLatentImage", "inputs": {"width": 32, "height": 32, "batch_size": 1}},
        "s": {"class_type": "BasicScheduler", "inputs": {
            "model": ["1", 0], "scheduler": "normal", "steps": 1, "denoise": 1.0}},
        "sigmas": {"class_type": "TouchSigmas", "inputs": {"value": ["s", 0]}},
        "k": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "sampler": {"class_type": "TouchSampler", "inputs": {"value": ["k", 0]}},
        "n": {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}},
        "noise": {"class_type": "TouchNoise", "inputs": {"value": ["n", 0]}},
        "g": {"class_type": "BasicGuider", "inputs": {"model": ["1", 0], "conditioning": ["text", 0]}},
        "guider": {"class_type": "TouchGuider", "inputs": {"value": ["g", 0]}},
        "run": {"class_type": "SamplerCustomAdvanced", "inputs": {
            "noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["sampler", 0], "sigmas": ["sigmas", 0],
            "latent_image": ["latent", 0]}},
        "decode": {"class_type": "VAEDecode", "inputs": {"samples": ["run", 0], "vae": ["vae", 0]}},
        "out": {"class_type": "PreviewImage", "inputs": {"images": ["decode", 0]}},
    }
    resolved = resolve(read_api(graph), engine.registry.specs, engine.folders, all_or_nothing=True)
    ending = execute(Job("job", resolved.graph), engine.machine, lambda event: None)
    assert isinstance(ending, Succeeded), ending
    assert len(ending.outputs["out"]["images"]) == 1
