"""A pack's own samplers and guiders in core nodes: what a pack does as the core does gives the core's latent."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
import torch

from engine.graph.graph import resolve
from engine.graph.node import Ui, node
from engine.graph.types import Latent
from engine.graph.workflow import read_api
from engine.messages.events import Failed, Interrupted, Succeeded
from engine.runtime.cache import ValueCache
from engine.runtime.execute import execute
from engine.runtime.tasks import Job
from engine.runtime.traces import Traces
from engine.runtime.worker import Engine
from tests.parity.small import distance
from tests.served import text_to_image

CLOSE = 1e-5  # relative L2: sums in another order, or three rows at once, which kernels round differently
kept: dict[str, Any] = {}


@node("KeepSampled", category="test", changed=lambda **_: float("nan"))
def keep(*, value: Latent) -> Ui:
    kept["latent"] = value.samples
    return Ui({"text": ["kept"]})


@pytest.fixture
def told(engine: Engine) -> dict[str, Any]:
    found: dict[str, Any] = sys.modules["custom_nodes.easel-fixture.samplers"].told
    found.clear()
    return found


def core_sampler(name: str) -> dict[str, Any]:
    return {"k": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": name}}}


def pack_sampler(name: str, **more: Any) -> dict[str, Any]:
    return {"k": {"class_type": "PackSampler", "inputs": {"name": name, "by": 1.0, **more}}}


def guider(kind: str, **more: Any) -> dict[str, Any]:
    lists = {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "cfg": 3.0}
    return {"g": {"class_type": kind, "inputs": {**lists, **more}}}


def graph(parts: dict[str, Any], seed: int = 7, batch: int = 1) -> dict[str, Any]:
    made: dict[str, Any] = {name: each for name, each in text_to_image(size=32).items() if name in "1234"}
    made["4"]["inputs"]["batch_size"] = batch
    made |= {
        "s": {"class_type": "BasicScheduler",
              "inputs": {"model": ["1", 0], "scheduler": "normal", "steps": 3, "denoise": 1.0}},
        "n": {"class_type": "RandomNoise", "inputs": {"noise_seed": seed}},
        "5": {"class_type": "SamplerCustomAdvanced", "inputs": {
            "noise": ["n", 0], "guider": ["g", 0], "sampler": ["k", 0], "sigmas": ["s", 0], "latent_image": ["4", 0]}},
        "out": {"class_type": "KeepSampled", "inputs": {"value": ["5", 0]}},
    }  # fmt: skip
    return made | guider("CFGGuider") | parts


def run(engine: Engine, parts: dict[str, Any], job: Any = None, on_event: Any = None, **more: Any) -> Any:
    nodes = {**engine.machine.nodes, "KeepSampled": keep}
    resolved = resolve(read_api(graph(parts, **more)), {name: each.spec for name, each in nodes.items()},
                       engine.folders, all_or_nothing=True).graph  # fmt: skip
    kept.clear()
    machine = replace(engine.machine, nodes=nodes, cache=ValueCache(0), traces=Traces())
    made = Job("job", resolved)
    return execute(made, machine, lambda event: on_event(made, event) if on_event else None)


def latent(engine: Engine, parts: dict[str, Any], **more: Any) -> torch.Tensor:
    ending = run(engine, parts, **more)
    assert isinstance(ending, Succeeded), ending
    made: torch.Tensor = kept["latent"]
    return made


def test_a_packs_euler_gives_the_core_eulers_latent_and_its_options_count(
    engine: Engine, told: dict[str, Any]
) -> None:
    core = latent(engine, core_sampler("euler"), batch=2)
    assert torch.equal(latent(engine, pack_sampler("sample_euler"), batch=2), core)
    assert told["seed"] == 7 and told["sigmas"].shape == (4,) and told["sigma_max"] > 14
    assert not torch.equal(latent(engine, pack_sampler("sample_euler", by=0.5), batch=2), core)


def test_a_packs_sampler_works_in_the_simpler_core_node_too(engine: Engine, told: dict[str, Any]) -> None:
    def custom(parts: dict[str, Any]) -> dict[str, Any]:
        lists = {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "cfg": 3.0}
        return parts | {"5": {"class_type": "SamplerCustom", "inputs": {
            **lists, "add_noise": True, "noise_seed": 7, "sampler": ["k", 0], "sigmas": ["s", 0],
            "latent_image": ["4", 0]}}}  # fmt: skip

    assert torch.equal(latent(engine, custom(pack_sampler("sample_euler"))),
                       latent(engine, custom(core_sampler("euler"))))  # fmt: skip


def test_a_packs_ancestral_sampler_draws_the_core_ones_noise(engine: Engine, told: dict[str, Any]) -> None:
    core = latent(engine, core_sampler("euler_ancestral"))
    assert distance(latent(engine, pack_sampler("sample_ancestral")), core) < CLOSE


def test_noise_that_a_pack_draws_globally_comes_of_the_runs_seed_and_of_nothing_else(
    engine: Engine, told: dict[str, Any]
) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = latent(engine, pack_sampler("sample_with_global_noise"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    assert torch.equal(latent(engine, pack_sampler("sample_with_global_noise")), one)
    generator = torch.Generator().manual_seed(7)
    shape = told["drawn"][0].shape
    torch.randn(shape, generator=generator)  # the initial noise
    assert torch.equal(told["drawn"][0], torch.randn(shape, generator=generator))


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "sa_solver"])
def test_a_pack_may_call_a_core_sampler_from_its_own(engine: Engine, told: dict[str, Any], name: str) -> None:
    core = latent(engine, core_sampler(name))
    inner = core_sampler(name)["k"]
    wrapped = {"inner": inner, "k": {"class_type": "WrapSampler", "inputs": {"sampler": ["inner", 0]}}}
    assert torch.equal(latent(engine, wrapped), core)
    assert told["asked"] >= 3


@pytest.mark.parametrize("name", ["Plain", "Batched"])
@pytest.mark.parametrize("cfg", [3.0, 1.0])
def test_a_packs_guider_that_does_as_the_core_gives_the_core_guiders_latent(
    engine: Engine, told: dict[str, Any], name: str, cfg: float
) -> None:
    if name == "Batched" and cfg == 1.0:
        cfg = 2.0  # at 1 the core leaves the negative out, which this guider asks for
    for sampler in ("euler", "euler_cfg_pp"):
        core = latent(engine, core_sampler(sampler) | guider("CFGGuider", cfg=cfg))
        assert torch.equal(latent(engine, core_sampler(sampler) | guider("PackGuider", name=name, cfg=cfg)), core)


def test_what_was_set_on_the_model_works_under_a_packs_guider(engine: Engine, told: dict[str, Any]) -> None:
    patched = {"p": {"class_type": "PatchModel", "inputs": {"model": ["1", 0], "how": "post_cfg", "by": 0.5}}}
    plain = latent(engine, core_sampler("euler"))
    core = latent(engine, core_sampler("euler") | patched | guider("CFGGuider", model=["p", 0]))
    for name in ("Plain", "Batched"):
        parts = core_sampler("euler") | patched | guider("PackGuider", name=name, model=["p", 0])
        assert torch.equal(latent(engine, parts), core)
    assert not torch.equal(core, plain)


def test_a_guider_has_lists_of_its_own_and_begins_each_run_as_it_was_made(
    engine: Engine, told: dict[str, Any]
) -> None:
    core = latent(engine, core_sampler("euler"))
    for _ in range(2):
        three = latent(engine, core_sampler("euler") | guider("PackGuider", name="Three"))
        assert distance(three, core) < CLOSE
    assert told["three"] == [1, 2, 3] * 2


def test_a_packs_sampler_under_a_packs_guider(engine: Engine, told: dict[str, Any]) -> None:
    core = latent(engine, core_sampler("euler"))
    both = pack_sampler("sample_euler") | guider("PackGuider", name="Batched")
    assert torch.equal(latent(engine, both), core)


def test_the_kept_part_of_a_masked_run_is_noised_as_the_pack_says(engine: Engine, told: dict[str, Any]) -> None:
    def masked(parts: dict[str, Any]) -> dict[str, Any]:
        return parts | {
            "m": {"class_type": "SolidMask", "inputs": {"value": 0.5, "width": 32, "height": 32}},
            "8": {"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["4", 0], "mask": ["m", 0]}},
            "5": {**graph({})["5"], "inputs": {**graph({})["5"]["inputs"], "latent_image": ["8", 0]}},
        }

    euler, ddim = (latent(engine, masked(core_sampler(name))) for name in ("euler", "ddim"))
    assert not torch.equal(euler, ddim)  # the same steps, with other noise in the part that is kept
    assert torch.equal(latent(engine, masked(pack_sampler("sample_euler"))), euler)
    assert torch.equal(latent(engine, masked(pack_sampler("sample_euler", inpaint_random=True))), ddim)


@pytest.mark.parametrize(("parts", "words"), [
    (pack_sampler("sample_wrongly"), ("gives back a latent of the shape (1, 4, 4, 4)", "(1, 4, 4, 1)")),
    (pack_sampler("sample_failing"), ("this sampler is broken",)),
    (pack_sampler("sample_setting"), ("sampler_cfg_function", "on the MODEL")),
    (pack_sampler("own"), ("OwnSampler", "KSAMPLER(function")),
    (pack_sampler("nothing"), ("a SAMPLER is", "object")),
    (guider("PackGuider", name="nothing"), ("a GUIDER is", "object")),
    (guider("PackGuider", name="Outside"), ("Outside", "outer_sample", "predict_noise")),
    (core_sampler("euler_cfg_pp") | guider("PackGuider", name="Blind"), ("Blind", "without cfg_pp")),
    ({"inner": core_sampler("euler_cfg_pp")["k"],
      "k": {"class_type": "WrapSampler", "inputs": {"sampler": ["inner", 0]}}}, ("euler_cfg_pp", "unconditional")),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")  # fmt: skip
def test_what_cannot_be_run_says_whose_it_is_and_what_can(
    engine: Engine, told: dict[str, Any], parts: dict[str, Any], words: tuple[str, ...]
) -> None:
    ending = run(engine, core_sampler("euler") | parts)
    assert isinstance(ending, Failed)
    assert all(word in ending.message for word in words), ending.message


def test_a_sampler_without_end_is_stopped_with_its_job_and_leaves_no_thread(
    engine: Engine, told: dict[str, Any]
) -> None:
    def cancel(job: Job, event: Any) -> None:
        if type(event).__name__ == "NodeProgress":
            job.cancel.cancel()

    ending = run(engine, pack_sampler("sample_forever"), on_event=cancel)
    assert isinstance(ending, Interrupted), ending
    assert told["forever"] == "ended"
    assert not [each for each in threading.enumerate() if each.name == "pack"]
