"""One sampling run from beginning to end: noise, sigmas, sampler, guidance.

`Sampling` is everything a run needs, as data. `start` is the run as a generator that asks for network calls; `sample`
drives it with one network, a batching driver may drive many.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.diffusion.config import ModelConfig
from engine.diffusion.guidance import Call, Condition, Guider, Network, Part, masked, prepare_lists, prepare_mask
from engine.diffusion.guiders import Cfg, Guiding, Setting, split_patches
from engine.diffusion.hooks import Run, lent_by_nobody
from engine.diffusion.inputs import Scene, inputs_of
from engine.diffusion.limits import check_finite
from engine.diffusion.network import unet_network
from engine.diffusion.noise import LARGEST_SEED, initial_noise, reseed, run_generator
from engine.diffusion.process import Process
from engine.diffusion.samplers import SamplerError, SamplerRow, sampler_row, start_sampler
from engine.diffusion.schedules import WHOLE, ScheduleError, ksampler_sigmas, patched_process

__all__ = [
    "Progress", "Sampled", "Sampling", "noised_latent", "plan_sigmas", "process_of", "sample", "seed_noise", "start",
    "unet_network",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sampling:
    """A run as data. Latents are unscaled, (batch, c, h, w), as they travel between nodes.

    sigmas: a list made elsewhere; otherwise scheduler, steps and denoise make it (KSampler's rules, numerics.md, 2.6).
    add_noise: False starts from the latent as it is. start_at_step and the two after it are KSamplerAdvanced's.
    process: what the network's output means, where it is not what the configuration says; the network needs the same.
    patches: the model's: what is changed in the network, in guidance and in the process.
    guiding: how to guide, where it is not positive, negative and cfg that say it.
    initial: the noise to start from, where it is not the seed's.
    sampler: its name, or the row of one that is not in the table.
    sampler_options: what some samplers take besides, such as ddim_original's eta: see `SamplerRow.options`.
    networks: has further networks in memory for patches that bring some, by weights and what is put on them.
    noise_mask: 1 where to paint, 0 where to keep, any size. batch_index: which noise of a sequence each item takes.
    """

    config: ModelConfig
    latent: Tensor
    positive: tuple[Condition, ...]
    negative: tuple[Condition, ...]
    seed: int = 0
    steps: int = 20
    cfg: float = 8.0
    sampler: str | SamplerRow = "euler"
    scheduler: str = "normal"
    denoise: float = 1.0
    sigmas: Tensor | None = None
    noise_mask: Tensor | None = None
    batch_index: tuple[int, ...] | None = None
    add_noise: bool = True
    start_at_step: int | None = None
    end_at_step: int | None = None
    force_full_denoise: bool = False
    process: Process | None = None
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    patches: tuple[Any, ...] = ()
    guiding: Guiding | None = None
    initial: Tensor | None = None
    networks: Callable[[Any, tuple[Any, ...]], Any] = lent_by_nobody


class Sampled(NamedTuple):
    """A run's result: the latent, and the last clean guess, both unscaled, float32 on the CPU."""

    samples: Tensor
    denoised: Tensor


class Progress(NamedTuple):
    """Where a run is: step of steps, the noise level, and the present guess (scaled, on the run's device)."""

    step: int
    steps: int
    sigma: float
    denoised: Tensor


OnStep = Callable[[Progress], None]
Running = Generator[list[Call], list[Tensor], Sampled]


def sample(
    sampling: Sampling, network: Network, *, on_step: OnStep | None = None, device: torch.device | str = "cpu"
) -> Sampled:
    """Drive a run with one network. `on_step` is called after each evaluation and may raise to stop the run."""
    run = start(sampling, on_step=on_step, device=device)
    try:
        calls = next(run)
        while True:
            calls = run.send(list(network(calls)))
    except StopIteration as stop:
        result: Sampled = stop.value
        return result
    finally:
        run.close()


def plan_sigmas(sampling: Sampling) -> tuple[Tensor, SamplerRow, Process]:
    """The list a run will walk, its sampler's row and its tables. Raises SamplerError or ScheduleError."""
    table = process_of(sampling)
    if sampling.sigmas is not None:
        return sampling.sigmas.float().cpu(), sampler_row(sampling.sampler), table
    row = sampler_row(sampling.sampler, sampling.scheduler)
    sigmas = ksampler_sigmas(
        table,
        sampling.scheduler,
        sampling.steps,
        denoise=sampling.denoise,
        drops_penultimate=row.drops_penultimate,
        start_at_step=sampling.start_at_step,
        end_at_step=sampling.end_at_step,
        force_full_denoise=sampling.force_full_denoise,
    )
    return sigmas, row, table


def process_of(sampling: Sampling) -> Process:
    """What the network's output means in this run: the network layer needs the same."""
    if sampling.process is not None:
        return sampling.process
    return patched_process(sampling.config.schedule, sampling.patches)


def start(sampling: Sampling, *, on_step: OnStep | None = None, device: torch.device | str = "cpu") -> Running:
    """The run as a generator: yields lists of calls, wants their answers (clean latents, float32) in the same order."""
    sampling = _with_channels(sampling)
    sigmas, row, table = plan_sigmas(sampling)
    _check(sampling, sigmas, row)
    if len(sigmas) == 0:
        return Sampled(sampling.latent, sampling.latent)
    k = sampling.config.vae.scale_factor
    generator = run_generator(sampling.seed)
    latent = sampling.latent.float().cpu()
    if sampling.initial is not None:
        noise = sampling.initial.float().cpu()
    elif sampling.add_noise:
        noise = initial_noise(generator, latent.shape, sampling.batch_index)
    else:
        noise = latent * 0.0
    scaled = latent * k if bool(latent.any()) else latent
    x = _noised(scaled, noise, float(sigmas[0]), _is_full(sampling, row, table, float(sigmas[0]))).to(device)

    run = Run(sigmas, table, generator, networks=sampling.networks)
    guider = _guider(sampling, row, run, scaled, noise, torch.device(device))
    steps = start_sampler(row, x, sigmas, sampling.seed, table, sampling.sampler_options, generator)
    denoised = x
    done = 0
    try:
        question = next(steps)
        while True:
            guess = yield from guider(question)
            denoised = guess.denoised
            done = max(done, _step_of(question.sigma, sigmas))
            if on_step is not None:
                on_step(Progress(done, len(sigmas) - 1, float(question.sigma), denoised))
            question = steps.send(guess)
    except StopIteration as stop:
        x = stop.value
    finally:
        steps.close()  # a pack's sampler waits in a thread, which a run that is stopped must not leave behind
    return Sampled(x.float().cpu() / k, denoised.float().cpu() / k)


def seed_noise(latent: Tensor, seed: int, batch_index: tuple[int, ...] | None = None) -> Tensor:
    """The noise of a seed for a latent (batch, c, h, w)."""
    return initial_noise(run_generator(seed), latent.shape, batch_index)


def noised_latent(latent: Tensor, config: ModelConfig, noise: Tensor) -> Tensor:
    """An unscaled latent (batch, c, h, w) with noise added where it is scaled. What is not finite becomes 0 (3.5)."""
    k = config.vae.scale_factor
    return torch.nan_to_num((latent.float() * k + noise) / k, nan=0.0, posinf=0.0, neginf=0.0)


def _with_channels(sampling: Sampling) -> Sampling:
    """An empty latent made for another model gets this one's number of channels (numerics.md, 3.1)."""
    latent, channels = sampling.latent, sampling.config.vae.embed_dim
    if latent.ndim != 4 or latent.shape[1] == channels or bool(latent.any()):
        return sampling
    return replace(sampling, latent=latent.new_zeros((latent.shape[0], channels, *latent.shape[2:])))


def _check(sampling: Sampling, sigmas: Tensor, row: SamplerRow) -> None:
    channels = sampling.config.vae.embed_dim
    if sampling.latent.ndim != 4 or sampling.latent.shape[1] != channels:
        shape = tuple(sampling.latent.shape)
        raise ValueError(
            f"cannot sample a latent of shape {shape}; this model wants (batch, {channels}, height, width)"
        )
    check_finite(sampling.latent, "latent_image")
    if sampling.initial is not None and sampling.initial.shape != sampling.latent.shape:
        raise ValueError(
            f"the noise has the shape {tuple(sampling.initial.shape)} and the latent {tuple(sampling.latent.shape)}; "
            "noise is made for the latent it is added to"
        )
    if row.changes_size and sampling.noise_mask is not None:
        raise SamplerError(f"the sampler {row.name!r} enlarges the latent on its way and cannot keep a part of it")
    if sigmas.ndim != 1 or not bool((sigmas >= 0).all()):
        raise ScheduleError("a list of sigmas is one row of numbers, none negative and none NaN; choose more steps")


def _noised(latent: Tensor, noise: Tensor, sigma: float, full: bool) -> Tensor:
    return latent + noise * (math.sqrt(1.0 + sigma**2) if full else sigma)


def _is_full(sampling: Sampling, row: SamplerRow, table: Process, sigma: float) -> bool:
    """Whether the run starts from all the noise there is (numerics.md, 3.5)."""
    whole = sampling.sigmas is None and sampling.denoise > WHOLE and not sampling.start_at_step
    if row.starts_from_noise and whole and not bool(sampling.latent.any()):
        return True
    return math.isclose(table.sigma_max, sigma, rel_tol=1e-5) or sigma > table.sigma_max


def _guider(
    sampling: Sampling, row: SamplerRow, run: Run, scaled: Tensor, noise: Tensor, device: torch.device
) -> Guider:
    """The layers between this run's sampler and the network; latent and noise are on the CPU."""
    mask = prepare_mask(sampling.noise_mask, scaled.shape) if sampling.noise_mask is not None else None
    inputs = inputs_of(Scene(sampling.config, scaled, mask, sampling.seed, run.generator))
    guiding = sampling.guiding or Cfg(sampling.positive, sampling.negative, sampling.cfg)
    lists = prepare_lists(guiding.conditions(), scaled.shape, run.table, inputs)

    def ready(conditions: Sequence[Condition]) -> Sequence[Part]:
        return prepare_lists({"": conditions}, scaled.shape, run.table, inputs)[""]

    run = replace(run, prepare=ready)
    network, hooks = split_patches(sampling.patches)
    guider = guiding.guider(lists, Setting(hooks, network, run, row.needs_uncond))
    if row.inpaint_noise == "fresh":  # drawn even without a mask: it moves the run's generator (numerics.md, 3.6)
        reseed(run.generator, (sampling.seed + 1) % (LARGEST_SEED + 1))
        noise = torch.randn(noise.shape, generator=run.generator)
    if mask is None:
        return guider

    def changed(mask: Tensor, sigma: Tensor) -> Tensor:
        for change in hooks.mask:
            mask = change(mask, sigma, run)
        return mask

    return masked(guider, mask.to(device), scaled.to(device), noise.to(device), changed)


def _step_of(sigma: Tensor, sigmas: Tensor) -> int:
    """The number, from 1, of the step that an evaluation at this noise level belongs to."""
    return min(int((sigmas[:-1] > sigma * (1 + 1e-6)).sum()) + 1, max(1, len(sigmas) - 1))
