"""Sampling put together from parts: noise, guider, sampler, sigmas."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple, cast

from engine.diffusion.guiders import Cfg, DualCfg, PerpNeg
from engine.diffusion.sampling import Sampled, Sampling, noised_latent, seed_noise
from engine.graph.node import Choice, Context, ControlAfterGenerate, Name, Range, node
from engine.graph.types import Conditioning, Guider, Latent, Model, Noise, Sampler, Sigmas

Seed = Annotated[int, Range(0, 2**64 - 1), ControlAfterGenerate()]
Scale = Annotated[float, Range(0.0, 100.0, step=0.1, round=0.01)]


class Denoised(NamedTuple):
    """Where a run ended, and the last clean guess on its way there."""

    output: Annotated[Latent, Name("output")]
    denoised: Annotated[Latent, Name("denoised_output")]


def _both(latent: Latent, sampled: Sampled) -> Denoised:
    return Denoised(replace(latent, samples=sampled.samples), replace(latent, samples=sampled.denoised))


def _sampling(model: Model, noise: Noise, sampler: Sampler, sigmas: Sigmas, latent: Latent) -> Sampling:
    return Sampling(
        config=model.config, latent=latent.samples, positive=(), negative=(), seed=noise.seed,
        sampler=sampler.row or sampler.name, sampler_options=sampler.options, sigmas=sigmas.values,
        noise_mask=latent.noise_mask, batch_index=latent.batch_index,
        add_noise=not noise.silent, initial=noise.make(latent) if noise.make else None,
    )  # fmt: skip


@node("SamplerCustom", category="sampling/custom_sampling", lane="device")
def sample(
    context: Context, *, model: Model, add_noise: bool = True, noise_seed: Seed = 0, cfg: Scale = 8.0,
    positive: Conditioning, negative: Conditioning, sampler: Sampler, sigmas: Sigmas, latent_image: Latent,
) -> Denoised:
    """Denoise a latent with a sampler and noise levels of your own.

    add_noise: Turn it off where the latent comes from another sampler with noise left over.
    noise_seed: The number the noise is made from.
    cfg: How strongly to follow the prompt.
    """
    run = _sampling(model, Noise(noise_seed, silent=not add_noise), sampler, sigmas, latent_image)
    run = replace(run, guiding=Cfg(positive.entries, negative.entries, cfg))
    return _both(latent_image, context.sample(model, run))


@node("SamplerCustomAdvanced", category="sampling/custom_sampling", lane="device")
def sample_advanced(
    context: Context, *, noise: Noise, guider: Guider, sampler: Sampler, sigmas: Sigmas, latent_image: Latent
) -> Denoised:
    """Denoise a latent with noise, guidance, sampler and noise levels of your own."""
    run = replace(_sampling(guider.model, noise, sampler, sigmas, latent_image), guiding=guider.guiding)
    return _both(latent_image, context.sample(guider.model, run))


GUIDERS = "sampling/custom_sampling/guiders"


@node("CFGGuider", category=GUIDERS)
def cfg_guider(*, model: Model, positive: Conditioning, negative: Conditioning, cfg: Scale = 8.0) -> Guider:
    """Guide towards one prompt and away from another.

    cfg: How strongly.
    """
    return Guider(model, Cfg(positive.entries, negative.entries, cfg))


@node("DualCFGGuider", category=GUIDERS)
def dual_guider(
    *, model: Model, cond1: Conditioning, cond2: Conditioning, negative: Conditioning, cfg_conds: Scale = 8.0,
    cfg_cond2_negative: Scale = 8.0, style: Annotated[str, Choice(("regular", "nested"))],
) -> Guider:
    """Guide from a negative to a second prompt, and from that to a first.

    cfg_conds: How strongly from the second to the first.
    cfg_cond2_negative: How strongly from the negative to the second.
    """
    shape = cast(Literal["regular", "nested"], style)
    scales = (cfg_conds, cfg_cond2_negative)
    return Guider(model, DualCfg(cond1.entries, cond2.entries, negative.entries, *scales, shape))


@node("BasicGuider", category=GUIDERS)
def basic_guider(*, model: Model, conditioning: Conditioning) -> Guider:
    """Follow one prompt without guidance, as distilled models want it."""
    return Guider(model, Cfg(conditioning.entries))


@node("PerpNegGuider", category="_for_testing", experimental=True)
def perp_neg_guider(
    *, model: Model, positive: Conditioning, negative: Conditioning, empty_conditioning: Conditioning,
    cfg: Scale = 8.0, neg_scale: Annotated[float, Range(0.0, 100.0, step=0.01)] = 1.0,
) -> Guider:
    """Guide away only from what of the negative prompt is not in the positive one.

    empty_conditioning: An empty prompt, which both are measured from.
    neg_scale: How strongly to go away from the negative.
    """
    lists = (positive.entries, negative.entries, empty_conditioning.entries)
    return Guider(model, PerpNeg(*lists, cfg, neg_scale))


@node("RandomNoise", category="sampling/custom_sampling/noise")
def random_noise(*, noise_seed: Seed = 0) -> Noise:
    """Make the noise of a seed."""
    return Noise(noise_seed)


@node("DisableNoise", category="sampling/custom_sampling/noise")
def no_noise() -> Noise:
    """Add no noise: for a latent that has its noise already."""
    return Noise(silent=True)


@node("AddNoise", category="_for_testing/custom_sampling/noise")
def add_noise(*, model: Model, noise: Noise, sigmas: Sigmas, latent_image: Latent) -> Latent:
    """Add as much noise to a latent as lies between the ends of a list of sigmas."""
    if not len(sigmas.values):
        return latent_image
    ends = sigmas.values[0], sigmas.values[-1]
    amount = abs(float(ends[0] - ends[1])) if len(sigmas.values) > 1 else float(ends[0])
    latent = latent_image.samples
    added = noise.make(latent_image) if noise.make else seed_noise(latent, noise.seed, latent_image.batch_index)
    return replace(
        latent_image, samples=noised_latent(latent, model.config, added * (0.0 if noise.silent else amount))
    )
