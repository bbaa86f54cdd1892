"""A small network with patches, and guidance hooks driven without one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.config import ModelConfig
from engine.diffusion.guidance import Call, Condition, prepare_lists
from engine.diffusion.guiders import Guided, Setting, combined, prepared, split_patches
from engine.diffusion.hooks import NO_HOOKS, Hooks, Pass, Run, Span
from engine.diffusion.network import unet_network
from engine.diffusion.noise import run_generator
from engine.diffusion.sampling import Sampling, process_of, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet
from tests.parity.small import noise, randomise, small


def unet(family: str = "sd1") -> tuple[ModelConfig, UNet]:
    config = small(family)
    return config, randomise(UNet(config.unet))


def text(seed: int, width: int = 64) -> tuple[Condition, ...]:
    return (Condition(noise(1, 77, width, seed=seed)),)


def run_of(sigmas: Tensor | None = None, seed: int = 0) -> Run:
    config = small("sd1")
    table = discrete(config.schedule)
    return Run(torch.tensor([14.0, 1.0, 0.0]) if sigmas is None else sigmas, table, run_generator(seed))


def a_pass(size: tuple[int, int] = (8, 8), batch: int = 2, sigma: float = 2.0, run: Run | None = None) -> Pass:
    x = noise(batch, 4, *size, seed=1)
    spans = (Span("positive", 0, batch // 2), Span("negative", batch // 2, batch))
    return Pass(x, torch.tensor(sigma), torch.full((batch,), 500.0), noise(batch, 77, 64, seed=2), spans, run)


def forward(net: UNet, moment: Pass, hooks: Hooks = NO_HOOKS) -> Tensor:
    with torch.no_grad():
        out: Tensor = net(moment.x, moment.timestep, moment.context, hooks=hooks, moment=moment)
    return out


def picture(config: ModelConfig, net: UNet, patches: tuple[Any, ...] = (), **changes: Any) -> Tensor:
    """A short run on a small network: the latent."""
    run = Sampling(
        config=config, latent=torch.zeros(1, 4, 8, 8), positive=text(1), negative=text(2), seed=3, steps=3, cfg=4.0,
        sampler="euler", scheduler="karras", patches=patches,
    )  # fmt: skip
    run = replace(run, **changes)
    return sample(run, unet_network(net, process_of(run), torch.float32, "cpu")).samples


SHAPE = (2, 4, 8, 8)


def guided(
    patch: Any, *, cfg: float = 4.0, sigma: float = 2.0, run: Run | None = None, asked: bool = True,
    answers: dict[str, Tensor] | None = None, **tensors: Tensor,
) -> tuple[Tensor, Guided, list[Call]]:
    """What a guidance patch makes of two guesses: the guess, the moment it was given, the calls it made.

    asked: whether the negative list was asked. answers: by role, to the calls it makes.
    """
    config = small("sd1")
    table = discrete(config.schedule)
    lists = prepare_lists({"positive": text(1), "negative": text(2) if asked else ()}, SHAPE, table)
    usual = {"x": noise(*SHAPE, seed=1) * 3.0, "cond": noise(*SHAPE, seed=2), "uncond": noise(*SHAPE, seed=3)}
    values = usual | tensors
    network, hooks = split_patches([patch])
    moment = Guided(
        values["x"], torch.tensor(sigma), cfg, values["cond"], values["uncond"], values["cond"], lists, network, run
    )
    setting = Setting(hooks, network, run)
    calls: list[Call] = []

    def work() -> Any:
        ready = yield from prepared(moment, setting.hooks)
        return (yield from combined(ready, setting.hooks))

    steps = work()
    try:
        wanted = next(steps)
        while True:
            calls += wanted
            wanted = steps.send([(answers or {})[call.role] for call in wanted])
    except StopIteration as stop:
        return stop.value, moment, calls
