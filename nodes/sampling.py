"""Sampling: from noise to a picture's latent."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from engine.diffusion.samplers import SAMPLER_NAMES
from engine.diffusion.sampling import Sampling
from engine.diffusion.schedules import SCHEDULE_NAMES
from engine.graph.node import Choice, Context, ControlAfterGenerate, Range, node
from engine.graph.types import Conditioning, Latent, Model


@node("KSampler", category="sampling", lane="device")
def sample(
    context: Context, *, model: Model, seed: Annotated[int, Range(0, 2**64 - 1), ControlAfterGenerate()] = 0,
    steps: Annotated[int, Range(1, 10_000)] = 20, cfg: Annotated[float, Range(0.0, 100.0, step=0.1, round=0.01)] = 8.0,
    sampler_name: Annotated[str, Choice(SAMPLER_NAMES)], scheduler: Annotated[str, Choice(SCHEDULE_NAMES)],
    positive: Conditioning, negative: Conditioning, latent_image: Latent,
    denoise: Annotated[float, Range(0.0, 1.0, step=0.01)] = 1.0,
) -> Latent:
    """Denoise a latent, guided by a prompt.

    model: The network that removes the noise.
    seed: The number the noise is made from; the same seed gives the same picture.
    steps: How many times the model is asked; 20 to 30 is usual.
    cfg: How strongly to follow the prompt.
    sampler_name: How a step is made.
    scheduler: How the noise is spread over the steps.
    positive: What the picture is to show.
    negative: What it is not to show.
    latent_image: Where to start; an empty latent for a new picture.
    denoise: How much of the starting picture is replaced: 1 is all of it.
    """
    sampling = Sampling(
        config=model.config, latent=latent_image.samples, positive=positive.entries, negative=negative.entries,
        seed=seed, steps=steps, cfg=cfg, sampler=sampler_name, scheduler=scheduler, denoise=denoise,
        noise_mask=latent_image.noise_mask, batch_index=latent_image.batch_index,
    )
    return replace(latent_image, samples=context.sample(model, sampling).samples)


SWITCH = ("enable", "disable")


@node("KSamplerAdvanced", category="sampling", display_name="KSampler (Advanced)", lane="device")
def sample_part(
    context: Context, *, model: Model, add_noise: Annotated[str, Choice(SWITCH)],
    noise_seed: Annotated[int, Range(0, 2**64 - 1), ControlAfterGenerate()] = 0,
    steps: Annotated[int, Range(1, 10_000)] = 20, cfg: Annotated[float, Range(0.0, 100.0, step=0.1, round=0.01)] = 8.0,
    sampler_name: Annotated[str, Choice(SAMPLER_NAMES)], scheduler: Annotated[str, Choice(SCHEDULE_NAMES)],
    positive: Conditioning, negative: Conditioning, latent_image: Latent,
    start_at_step: Annotated[int, Range(0, 10_000)] = 0, end_at_step: Annotated[int, Range(0, 10_000)] = 10_000,
    return_with_leftover_noise: Annotated[str, Choice(tuple(reversed(SWITCH)))],
) -> Latent:
    """Take some of the steps of a run; another sampler may take the others.

    add_noise: Disable it where the latent comes from another sampler with noise left over.
    noise_seed: The number the noise is made from.
    steps: How many steps the whole run has.
    start_at_step: The first step that is taken.
    end_at_step: The first step that is not taken.
    return_with_leftover_noise: Enable it where another sampler goes on.
    """
    sampling = Sampling(
        config=model.config, latent=latent_image.samples, positive=positive.entries, negative=negative.entries,
        seed=noise_seed, steps=steps, cfg=cfg, sampler=sampler_name, scheduler=scheduler,
        noise_mask=latent_image.noise_mask, batch_index=latent_image.batch_index, add_noise=add_noise == "enable",
        start_at_step=start_at_step, end_at_step=end_at_step,
        force_full_denoise=return_with_leftover_noise == "disable",
    )
    return replace(latent_image, samples=context.sample(model, sampling).samples)
