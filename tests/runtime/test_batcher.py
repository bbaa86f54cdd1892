"""Continuous batching: jobs that sample at once get the pictures that each would get alone.

The jobs here are threads that each run a sampler; a gate lets them begin together, and what is merged is written down.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.diffusion.adapters.load import open_lora
from engine.diffusion.guidance import Call, Condition
from engine.diffusion.network import unet_network
from engine.diffusion.patches.freeu import FreeU
from engine.diffusion.sampling import Sampled, Sampling, process_of, sample
from engine.diffusion.schedules import ProcessPatch, discrete
from engine.diffusion.standin import standin_config, write_standin
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.graph.node import Cancelled
from engine.graph.types import Conditioning, Latent
from engine.messages.events import NodeProgress
from engine.runtime.batcher import Batcher, Round
from engine.runtime.context import NodeContext
from engine.runtime.tasks import CancelToken, Job
from nodes.determinism import per_image_seeds
from nodes.loaders import load_checkpoint
from nodes.sampling import sample as ksampler
from tests.nodes.studio import Desk, standin

PATIENCE = 60.0
torch.set_num_threads(1)  # two cores are shared
CONFIG = standin_config()


@pytest.fixture(scope="module")
def unet() -> Any:
    unet, prefix = UNet(CONFIG.unet), "model.diffusion_model."
    unet.load_state_dict({
        name.removeprefix(prefix): each.float() for name, each in standin(1).items() if name.startswith(prefix)
    })
    return unet.eval()


@pytest.fixture(scope="module")
def vae() -> Any:
    vae, prefix = Vae(CONFIG.vae), "first_stage_model."
    vae.load_state_dict({
        name.removeprefix(prefix): each.float() for name, each in standin(1).items() if name.startswith(prefix)
    })
    return vae.eval()


@dataclass
class Crowd:
    """Runs functions as jobs that enter the device together, and keeps what was merged."""

    most: int = 10**9
    rounds: list[Round] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.batcher = Batcher(self.most, self.rounds.append)

    def run(self, jobs: dict[str, Callable[[], Any]]) -> dict[str, Any]:
        results: dict[str, Any] = {}

        def work(name: str, job: Callable[[], Any]) -> None:
            try:
                with self.batcher.turn(name):
                    results[name] = job()
            except BaseException as error:
                results[name] = error

        threads = [threading.Thread(target=work, args=each) for each in jobs.items()]
        with self.batcher.turn("gate"):
            for thread in threads:
                thread.start()
            while len(self.batcher._entering) < len(threads):
                time.sleep(0.001)
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads), "a job waits for ever"
        return results

    @property
    def merged(self) -> list[tuple[str, ...]]:
        return [group for each in self.rounds for group in each if len(group) > 1]


def text(seed: int, tokens: int = 77) -> tuple[Condition, ...]:
    return (Condition(torch.randn(1, tokens, 64, generator=torch.Generator().manual_seed(seed)) * 0.3),)


def sampling(seed: int, sampler: str = "euler", *, tokens: int = 77, **more: Any) -> Sampling:
    given = {"cfg": 4.0, "steps": 4, "scheduler": "normal"} | more
    return Sampling(
        CONFIG, torch.zeros(1, 4, 8, 8), text(seed, tokens), text(-seed), seed=seed, sampler=sampler, **given
    )


def network_of(unet: Any, one: Sampling, dtype: torch.dtype = torch.float32) -> Any:
    return unet_network(unet, process_of(one), dtype, "cpu")


def difference(a: Sampled, b: Sampled, vae: Any) -> float:
    """The largest of the decoded pictures, of 1."""
    with torch.no_grad():
        one, other = (vae.decode(each.samples) for each in (a, b))
    return float((one - other).abs().max()) / 2  # a decoder's output goes from -1 to 1


def merge(unet: Any, runs: Sequence[Sampling], dtype: torch.dtype = torch.float32) -> tuple[Crowd, list[Sampled]]:
    crowd = Crowd()
    results = crowd.run({
        str(number): lambda one=one: sample(one, crowd.batcher.share(network_of(unet, one, dtype), "k", lambda: False))
        for number, one in enumerate(runs)
    })
    made = [results[str(number)] for number in range(len(runs))]
    for each in made:
        if isinstance(each, BaseException):
            raise each
    return crowd, made


SAMPLERS = ("euler", "euler_ancestral", "heun", "dpmpp_2m", "dpmpp_2m_sde", "uni_pc", "euler_cfg_pp")
STEP = 1 / 255  # of a picture's channel


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_merged_runs_make_the_picture_that_each_makes_alone(unet: Any, vae: Any, sampler: str) -> None:
    """Different seeds, texts of different length, step counts, and with and without guidance, in one crowd."""
    runs = [
        sampling(1, sampler), sampling(2, sampler, tokens=154, steps=5), sampling(3, sampler, cfg=1.0),
        sampling(4, "euler", steps=3, scheduler="karras"),
    ]
    crowd, made = merge(unet, runs)
    assert max(map(len, crowd.merged)) == 4  # all were in one call at least once
    assert sum(len(group) for each in crowd.rounds for group in each) > 2 * len(crowd.rounds)
    for one, together in zip(runs, made, strict=True):
        alone = sample(one, network_of(unet, one))
        assert difference(together, alone, vae) <= STEP
        assert torch.allclose(together.samples, alone.samples, atol=1e-3 * float(alone.samples.std()))


def test_in_bfloat16_merged_latents_are_within_40_db(unet: Any) -> None:
    half = type(unet)(CONFIG.unet).to(torch.bfloat16)
    half.load_state_dict(unet.state_dict())
    runs = [sampling(seed, steps=5) for seed in range(1, 5)]
    crowd, made = merge(half, runs, torch.bfloat16)
    assert crowd.merged
    for one, together in zip(runs, made, strict=True):
        alone = sample(one, network_of(half, one, torch.bfloat16)).samples
        error = float((together.samples - alone).square().mean())
        reach = float(alone.max() - alone.min())
        assert error == 0 or 10 * math.log10(reach**2 / error) >= 40


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


class Jobs:
    """Jobs of one worker: contexts that share its networks and its batcher."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.crowd = desk, Crowd()
        self.tokens: dict[str, CancelToken] = {}
        self.events: dict[str, list[Any]] = {}
        desk.studio = replace(desk.studio, batcher=self.crowd.batcher)

    def context(self, name: str) -> NodeContext:
        self.tokens[name], self.events[name] = CancelToken(), []
        job = Job(id=name, graph=None, cancel=self.tokens[name])  # type: ignore[arg-type]
        return NodeContext(self.desk.studio, self.desk.context._node, "1", job, self.events[name].append)

    def sampler(self, name: str, model: Any, seed: int, steps: int = 4) -> Callable[[], Tensor]:
        return self.sampler_in(self.context(name), model, seed, steps)

    def sampler_in(self, context: NodeContext, model: Any, seed: int, steps: int) -> Callable[[], Tensor]:
        return lambda: ksampler(
            context, model=model, seed=seed, steps=steps, cfg=3.0, sampler_name="euler", scheduler="normal",
            positive=Conditioning(text(seed)), negative=Conditioning(text(-seed)),
            latent_image=Latent(torch.zeros(1, 4, 8, 8)),
        ).samples


@pytest.fixture
def jobs(desk: Desk) -> Jobs:
    write_standin(desk.model_folder("checkpoints") / "s.safetensors", 1)
    return Jobs(desk)


def model(jobs: Jobs) -> Any:
    return load_checkpoint(jobs.desk.context, ckpt_name="s.safetensors").model


def test_other_weights_patches_or_seeds_per_picture_are_other_keys(jobs: Jobs) -> None:
    """Two plain jobs merge; one with a LoRA, one with FreeU and one with seeds per picture run in turns with them."""
    module = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    rank = {"up": (16, 2), "down": (2, 16)}
    save_file(
        {f"{module}.lora_{side}.weight": torch.full(shape, 0.2) for side, shape in rank.items()},
        jobs.desk.model_folder("loras") / "l.safetensors",
    )
    plain = model(jobs)
    lora = open_lora(jobs.desk.model_folder("loras") / "l.safetensors", plain.weights).patches(plain.weights, 1.0)
    wanted = {
        "a": plain, "b": plain, "each": per_image_seeds(model=plain), "lora": replace(plain, patches=lora),
        "free": replace(plain, patches=(FreeU(1.3, 1.4, 0.9, 0.2, CONFIG.unet.model_channels),)),
    }  # fmt: skip
    samplers = {name: jobs.sampler(name, one, number) for number, (name, one) in enumerate(wanted.items())}
    results = jobs.crowd.run(samplers)
    assert {frozenset(group) for group in jobs.crowd.merged} == {frozenset("ab")}
    assert max(map(len, jobs.crowd.rounds)) == 4  # all others beside them, each by itself
    for name, run in samplers.items():
        alone = run()
        assert torch.allclose(results[name], alone, atol=1e-4 * float(alone.std())), name
    assert not torch.allclose(results["lora"], jobs.sampler("again", plain, 3)())


def test_equal_patches_of_two_jobs_are_one_key(jobs: Jobs) -> None:
    plain = model(jobs)
    one, other = (replace(plain, patches=(Multiplied(0.9),)) for _ in range(2))
    jobs.crowd.run({"a": jobs.sampler("a", one, 1), "b": jobs.sampler("b", other, 2)})
    assert jobs.crowd.merged


@dataclass(frozen=True)
class Multiplied(ProcessPatch):
    """A patch that is equal to another with the same number."""

    by: float

    def process(self, config: Any) -> Any:
        return discrete(config)


def test_progress_of_each_job_is_told_in_order_and_to_it_alone(jobs: Jobs) -> None:
    plain = model(jobs)
    jobs.crowd.run({name: jobs.sampler(name, plain, number, 2 + number) for number, name in enumerate("abc")})
    for number, name in enumerate("abc"):
        told = [each.value for each in jobs.events[name] if isinstance(each, NodeProgress)]
        assert told == list(range(1, 3 + number)), name


def test_a_cancelled_job_leaves_the_others_right(jobs: Jobs) -> None:
    plain = model(jobs)
    samplers = {name: jobs.sampler(name, plain, number, 6) for number, name in enumerate("abc")}
    told = jobs.events["b"].append

    def cancel_later(event: Any) -> None:
        told(event)
        if isinstance(event, NodeProgress) and event.value == 2:
            jobs.tokens["b"].cancel()

    context = jobs.context("b")
    context._tell = cancel_later
    samplers["b"] = jobs.sampler_in(context, plain, 1, 6)
    results = jobs.crowd.run(samplers)
    assert isinstance(results["b"], Cancelled)
    for number, name in ((0, "a"), (2, "c")):
        alone = jobs.sampler("alone", plain, number, 6)()
        assert torch.allclose(results[name], alone, atol=1e-4 * float(alone.std()))
    asked = [sum("b" in group for each in jobs.crowd.rounds for group in each), len(jobs.crowd.rounds)]
    assert asked[0] <= 3 and asked[1] >= 6


def test_a_job_whose_call_fails_takes_no_other_with_it(unet: Any, vae: Any) -> None:
    crowd = Crowd()

    def brittle(calls: Sequence[Call]) -> Sequence[Tensor]:
        if any(bool((call.context > 100).any()) for call in calls):
            raise FloatingPointError("too large a text")
        return network_of(unet, sampling(1))(calls)

    def job(one: Sampling) -> Callable[[], Sampled]:
        return lambda: sample(one, crowd.batcher.share(brittle, "k", lambda: False))

    good = [sampling(1), sampling(2)]
    bad = replace(sampling(3), positive=(Condition(torch.full((1, 77, 64), 101.0)),))
    results = crowd.run({"a": job(good[0]), "bad": job(bad), "b": job(good[1])})
    assert isinstance(results["bad"], FloatingPointError)
    assert any("bad" in group for group in crowd.merged)
    for name, one in (("a", good[0]), ("b", good[1])):
        assert difference(results[name], sample(one, network_of(unet, one)), vae) <= STEP


def test_batches_are_cut_where_they_become_too_large(unet: Any) -> None:
    crowd = Crowd(most=3 * 2 * 64)  # three guided pictures of 8 x 8
    runs = [sampling(seed) for seed in range(1, 6)]
    crowd.run({
        str(number): lambda one=one: sample(one, crowd.batcher.share(network_of(unet, one), "k", lambda: False))
        for number, one in enumerate(runs)
    })
    assert max(map(len, crowd.merged)) == 3
    assert all(sum(map(len, each)) <= 5 for each in crowd.rounds)


def test_no_more_is_merged_than_there_is_memory_for(unet: Any) -> None:
    crowd = Crowd()
    runs = [sampling(seed) for seed in range(1, 6)]

    def shared(one: Sampling) -> Any:
        return crowd.batcher.share(network_of(unet, one), "k", lambda: False, lambda rows: rows <= 4)

    crowd.run({str(number): lambda one=one: sample(one, shared(one)) for number, one in enumerate(runs)})
    assert max(map(len, crowd.merged)) == 2


def test_no_question_waits_for_more_than_one_round_and_a_stretch_of_each_other_job() -> None:
    """Two jobs ask ten questions each; a third has forty pieces of other work, which would hold them up for ever."""
    crowd = Crowd()
    order: list[str] = []

    def network(calls: Sequence[Call]) -> Sequence[Tensor]:
        return [call.x for call in calls]

    def asks(name: str) -> Callable[[], None]:
        def job() -> None:
            ask = crowd.batcher.share(network, "k", lambda: False)
            for _ in range(10):
                ask([Call(torch.zeros(1, 4, 8, 8), torch.tensor(1.0), torch.zeros(1, 77, 64))])
                order.append(name)

        return job

    busy = threading.Event()

    def many_nodes() -> None:
        for _ in range(40):
            with crowd.batcher.turn("busy"):
                order.append("work")
        busy.set()

    thread = threading.Thread(target=many_nodes)

    def first() -> None:
        thread.start()
        asks("a")()

    crowd.run({"a": first, "b": asks("b")})
    thread.join(PATIENCE)
    assert busy.is_set()
    answered = [index for index, what in enumerate(order) if what == "a"]
    between = [order[start + 1 : end].count("work") for start, end in pairwise(answered)]
    assert max(between) <= 1, order


def test_a_job_that_is_alone_asks_its_network_on_its_own_thread() -> None:
    seen: list[str] = []

    def network(calls: Sequence[Call]) -> Sequence[Tensor]:
        seen.append(threading.current_thread().name)
        return [call.x for call in calls]

    batcher = Batcher()
    ask = batcher.share(network, "k", lambda: False)
    call = Call(torch.zeros(1, 4, 8, 8), torch.tensor(1.0), torch.zeros(1, 77, 64))
    ask([call])  # outside of a turn
    with batcher.turn("a"):
        ask([call])
        ask([call])
    assert seen == [threading.current_thread().name] * 3
