"""Whole runs, from noise to decoded picture, against diffusers' own pipeline with the same random networks.

Both get the same texts and noise, and ours the oracle's list of sigmas. The pictures may differ by one level of 255;
where the rules are the same, 0.002 levels are measured, and 0.05 allowed. Differences by rule are named where they are.
"""

from functools import lru_cache

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)

from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, plan_sigmas, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae, decode
from tests.parity.oracles import diffusers_unet, diffusers_vae
from tests.parity.small import noise, randomise, small

COMMON = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PREDICTION = {"eps": "epsilon", "v": "v_prediction"}
FAMILIES = ("sd1", "sd2-v")  # eps and v
CFG, SEED, SIZE = 5.0, 3, (1, 4, 8, 8)
LEVEL = 1 / 255
ROUNDING = 0.05 * LEVEL


@lru_cache(maxsize=4)
def networks(family):
    """Our networks and diffusers' with the same weights."""
    config = small(family)
    unet, vae = randomise(UNet(config.unet)), randomise(Vae(config.vae))
    return unet, vae, diffusers_unet(unet), diffusers_vae(vae)


def texts():
    return noise(1, 77, 64, seed=5), noise(1, 77, 64, seed=6)


def oracle(family, scheduler, start, steps, *, eta=0.0, generator=None, unet=None, taken=None):
    """diffusers' pipeline: the picture (1, h, w, 3) after so many of the steps, and the latent, unscaled.

    start: the scheduler's own state before the first step.
    """
    _, _, their_unet, their_vae = networks(family)
    pipeline = StableDiffusionPipeline(
        vae=their_vae, text_encoder=None, tokenizer=None, unet=unet or their_unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    states = []

    def keep(_pipeline, _step, _timestep, values):
        states.append(values["latents"])
        return values

    positive, negative = texts()
    scheduler.set_timesteps(steps)
    pipeline(
        prompt_embeds=positive, negative_prompt_embeds=negative, num_inference_steps=steps, guidance_scale=CFG,
        latents=start / scheduler.init_noise_sigma, eta=eta, generator=generator, output_type="latent",
        height=64, width=64, callback_on_step_end=keep,
    )  # fmt: skip
    return states[-1 if taken is None else taken - 1]


def pictures_of(family, ours, theirs):
    """Ours decoded by us, theirs by diffusers' own autoencoder and picture processor; both latents scaled."""
    _, vae, _, their_vae = networks(family)
    k = vae.config.scale_factor
    shown = their_vae.decode(theirs / k).sample
    return decode(vae, ours / k), (shown / 2 + 0.5).clamp(0, 1).movedim(1, -1)


def assert_same_pictures(family, ours, theirs, level=ROUNDING):
    one, other = pictures_of(family, ours, theirs)
    assert float(other.std()) > 0.1  # a picture with detail …
    assert float(((other > 0) & (other < 1)).float().mean()) > 0.5  # … most of which is not clipped
    assert float((one - other).abs().max()) <= level
    assert float((ours - theirs).abs().max()) < 1e-3 * float(theirs.abs().max())


def our_run(family, sampler, **more):
    config = small(family)
    unet = networks(family)[0]
    positive, negative = texts()
    run = Sampling(
        config, torch.zeros(SIZE), (Condition(positive),), (Condition(negative),), seed=SEED, cfg=CFG,
        sampler=sampler, **more,
    )  # fmt: skip
    network = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    return sample(run, network).samples * config.vae.scale_factor, run


def variance_preserving(x, sigma):
    return x / (1 + float(sigma) ** 2) ** 0.5


def prediction(family):
    return PREDICTION[small(family).schedule.prediction]


# -- the original scripts' samplers ---------------------------------------------------------------------------------


def on_the_leading_schedule(family, sampler, scheduler, steps, *, eta=0.0, unet=None, **more):
    """Both make the scripts' own timesteps. generator: one draws the initial noise and then that of each step."""
    ours, run = our_run(family, sampler, scheduler="leading", steps=steps, **more)
    sigmas, row, _ = plan_sigmas(run)
    start = noise(*SIZE, seed=SEED)
    if not row.starts_from_noise:
        start = variance_preserving(start * float(sigmas[0]), sigmas[0])
    generator = torch.Generator().manual_seed(SEED)
    torch.randn(SIZE, generator=generator)
    theirs = oracle(family, scheduler, start, steps, eta=eta, generator=generator, unet=unet)
    return ours, theirs * (1 + float(sigmas[-1]) ** 2) ** 0.5  # back to x = z + sigma·noise


@pytest.mark.parametrize(("steps", "family"), [(50, "sd1"), (30, "sd1"), (10, "sd2-base")])
def test_plms_equals_diffusers_pndm(steps, family):
    scheduler = PNDMScheduler(**COMMON, skip_prk_steps=True, set_alpha_to_one=False)
    assert_same_pictures(family, *on_the_leading_schedule(family, "plms", scheduler, steps))


def saying_noise(unet, scheduler):
    """The velocity network, answering with the noise that it implies: eps = √ᾱ·v + √(1 - ᾱ)·y."""
    oracle_unet = diffusers_unet(unet)
    velocity_of = oracle_unet.forward

    def forward(y, t, **more):
        bar = scheduler.alphas_cumprod[t]
        return (bar.sqrt() * velocity_of(y, t, **{**more, "return_dict": False})[0] + (1 - bar).sqrt() * y,)

    oracle_unet.forward = forward
    return oracle_unet


def test_plms_of_a_velocity_model_equals_diffusers_pndm_of_the_noise_it_implies():
    """For v the two differ by rule: the original scripts combine eps of several steps, diffusers the raw v outputs.

    numerics.md, 4.10. Told the noise, diffusers walks the scripts' way.
    """
    scheduler = PNDMScheduler(**COMMON, skip_prk_steps=True, set_alpha_to_one=False)
    told = saying_noise(networks("sd2-v")[0], scheduler)
    assert_same_pictures("sd2-v", *on_the_leading_schedule("sd2-v", "plms", scheduler, 20, unet=told))


def ddim(family):
    return DDIMScheduler(**COMMON, set_alpha_to_one=False, clip_sample=False, prediction_type=prediction(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_ddim_on_the_leading_schedule_equals_diffusers_ddim(family):
    assert_same_pictures(family, *on_the_leading_schedule(family, "ddim", ddim(family), 20))


@pytest.mark.parametrize(("eta", "family"), [(0.0, "sd1"), (0.5, "sd1"), (1.0, "sd1"), (1.0, "sd2-v")])
def test_ddim_of_the_original_scripts_equals_diffusers_ddim_at_every_eta(eta, family):
    options = {"sampler_options": {"eta": eta}}
    assert_same_pictures(
        family, *on_the_leading_schedule(family, "ddim_original", ddim(family), 20, eta=eta, **options)
    )


# -- samplers in the frame x = z + sigma·noise ----------------------------------------------------------------------


def on_their_sigmas(family, sampler, scheduler, steps=12, *, generator=None, taken=None):
    """Both walk the oracle's own list of sigmas, or its first part."""
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas[: None if taken is None else taken + 1].clone()
    ours, _ = our_run(family, sampler, sigmas=sigmas)
    start = noise(*SIZE, seed=SEED) * float(sigmas[0])
    return ours, oracle(family, scheduler, start, steps, generator=generator, taken=taken)


@pytest.mark.parametrize("family", FAMILIES)
def test_euler_equals_diffusers_euler(family):
    """diffusers starts from noise of another size (√(1 + sigma²)); both are given the same start."""
    scheduler = EulerDiscreteScheduler(**COMMON, prediction_type=prediction(family), timestep_spacing="leading")
    assert_same_pictures(family, *on_their_sigmas(family, "euler", scheduler))


@pytest.mark.parametrize("family", FAMILIES)
def test_lms_equals_diffusers_lms_up_to_the_last_step(family):
    """The last step, to 0, is another by rule: ComfyUI takes the clean guess, diffusers extrapolates (4.3)."""
    scheduler = LMSDiscreteScheduler(**COMMON, prediction_type=prediction(family), timestep_spacing="leading")
    assert_same_pictures(family, *on_their_sigmas(family, "lms", scheduler, taken=11))


@pytest.mark.parametrize("family", FAMILIES)
def test_ancestral_euler_equals_diffusers_with_the_same_noise(family):
    """Each draws from a generator of the run's seed: the first draw is the initial noise again (3.3)."""
    scheduler = EulerAncestralDiscreteScheduler(
        **COMMON, prediction_type=prediction(family), timestep_spacing="leading"
    )
    generator = torch.Generator().manual_seed(SEED)
    assert_same_pictures(family, *on_their_sigmas(family, "euler_ancestral", scheduler, generator=generator))


# -- samplers that diffusers runs in the variance-preserving frame --------------------------------------------------


def in_both_frames(family, sampler, scheduler, steps=12):
    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas.clone()
    ours, _ = our_run(family, sampler, sigmas=sigmas)
    start = variance_preserving(noise(*SIZE, seed=SEED) * float(sigmas[0]), sigmas[0])
    return ours, oracle(family, scheduler, start, steps) * (1 + float(sigmas[-1]) ** 2) ** 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_dpmpp_2m_equals_diffusers_multistep_dpm_solver(family):
    scheduler = DPMSolverMultistepScheduler(
        **COMMON, prediction_type=prediction(family), timestep_spacing="leading", algorithm_type="dpmsolver++",
        solver_order=2, final_sigmas_type="zero",
    )  # fmt: skip
    assert_same_pictures(family, *in_both_frames(family, "dpmpp_2m", scheduler))


UNIPC = {"uni_pc": "bh1", "uni_pc_bh2": "bh2"}


def unipc(family, sampler, final):
    """numerics.md, 4.7: data prediction, order 3, corrector on but after the last step, falling order at the end."""
    return UniPCMultistepScheduler(
        **COMMON, prediction_type=prediction(family), timestep_spacing="leading", solver_order=3, predict_x0=True,
        solver_type=UNIPC[sampler], lower_order_final=True, disable_corrector=[], final_sigmas_type=final,
    )  # fmt: skip


@pytest.mark.parametrize("steps", [3, 12])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sampler", list(UNIPC))
def test_unipc_equals_diffusers_unipc(sampler, family, steps):
    """On a list that ends above 0 the rules are the same."""
    assert_same_pictures(family, *in_both_frames(family, sampler, unipc(family, sampler, "sigma_min"), steps))


@pytest.mark.parametrize("family", FAMILIES)
def test_unipc_to_zero_equals_diffusers_but_for_the_thousandth_of_noise_that_comfyui_leaves(family):
    """By rule ComfyUI steps to sigma 0.001 instead of 0, diffusers to 0. Measured: 0.17 levels.

    Only bh2: bh1's own formula has -∞ · 0 there, and diffusers' pictures are NaN.
    """
    ours, theirs = in_both_frames(family, "uni_pc_bh2", unipc(family, "uni_pc_bh2", "zero"))
    assert_same_pictures(family, ours, theirs, level=LEVEL)
    _, theirs = in_both_frames(family, "uni_pc", unipc(family, "uni_pc", "zero"), steps=3)
    assert not bool(theirs.isfinite().all())
