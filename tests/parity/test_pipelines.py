"""Whole runs against diffusers' schedulers, with the same random UNet and guidance."""

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
)

from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, plan_sigmas, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet
from tests.parity.oracles import diffusers_unet
from tests.parity.small import noise, randomise, small

COMMON = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
PREDICTION = {"eps": "epsilon", "v": "v_prediction"}


def oracle_run(scheduler, unet, start, positive, negative, cfg, steps, draw=dict, taken=None):
    """The diffusers pipeline's loop: y in the variance-preserving frame. draw: what a step is given besides.

    taken: how many of the steps.
    """
    scheduler.set_timesteps(steps)
    y = start
    for t in scheduler.timesteps[:taken]:
        model_input = scheduler.scale_model_input(torch.cat([y, y]), t)
        minus, plus = unet(model_input, t, torch.cat([negative, positive])).sample.chunk(2)
        y = scheduler.step(minus + cfg * (plus - minus), t, y, return_dict=False, **draw())[0]
    return y


def run_both(family, sampler, scheduler, steps, draw=dict, **more):
    config = small(family)
    unet = randomise(UNet(config.unet))
    positive, negative = noise(1, 77, 64, seed=5), noise(1, 77, 64, seed=6)
    run = Sampling(
        config, torch.zeros(1, 4, 8, 8), (Condition(positive),), (Condition(negative),),
        seed=3, steps=steps, cfg=5.0, sampler=sampler, scheduler="leading", **more,
    )  # fmt: skip
    table = discrete(config.schedule)
    ours = sample(run, unet_network(unet, table, torch.float32, "cpu")).samples * config.vae.scale_factor
    sigmas, row, _ = plan_sigmas(run)
    first, last = float(sigmas[0]), float(sigmas[-1])
    start = noise(1, 4, 8, 8, seed=3)
    if not row.starts_from_noise:
        start = start * first / (1 + first**2) ** 0.5
    y = oracle_run(scheduler, diffusers_unet(unet), start, positive, negative, 5.0, steps, draw)
    return ours, y * (1 + last**2) ** 0.5  # back to x = z + sigma·noise


def assert_same(ours, theirs):
    # 1/255 of the range is the goal for pictures; latents of fp32 runs agree far closer
    assert float((ours - theirs).abs().max()) < 1e-3 * float(theirs.abs().max())


@pytest.mark.parametrize(("steps", "family"), [(50, "sd1"), (20, "sd1"), (30, "sd1"), (10, "sd2-base")])
def test_plms_equals_diffusers_pndm(steps, family):
    """For eps only: diffusers combines raw v outputs, the original scripts combine eps (numerics.md, 4.10)."""
    scheduler = PNDMScheduler(**COMMON, skip_prk_steps=True, set_alpha_to_one=False)
    assert_same(*run_both(family, "plms", scheduler, steps))


@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
def test_ddim_on_the_leading_schedule_equals_diffusers_ddim(family):
    prediction = PREDICTION[small(family).schedule.prediction]
    scheduler = DDIMScheduler(**COMMON, set_alpha_to_one=False, clip_sample=False, prediction_type=prediction)
    assert_same(*run_both(family, "ddim", scheduler, 20))


@pytest.mark.parametrize(("eta", "family"), [(0.0, "sd1"), (0.5, "sd1"), (1.0, "sd1"), (1.0, "sd2-v")])
def test_ddim_of_the_original_scripts_equals_diffusers_ddim_at_every_eta(eta, family):
    """One generator draws the initial noise and then that of each step, as in the scripts."""
    prediction = PREDICTION[small(family).schedule.prediction]
    scheduler = DDIMScheduler(**COMMON, set_alpha_to_one=False, clip_sample=False, prediction_type=prediction)
    generator = torch.Generator().manual_seed(3)
    torch.randn(1, 4, 8, 8, generator=generator)

    def draw():
        return {"eta": eta, "variance_noise": torch.randn(1, 4, 8, 8, generator=generator)}

    assert_same(*run_both(family, "ddim_original", scheduler, 20, draw, sampler_options={"eta": eta}))


def run_both_on_their_sigmas(family, sampler, scheduler, draw=dict, steps=12):
    """Both walk the oracle's own list of sigmas but for the last step, in the frame x = z + sigma·noise.

    The last step, to 0, is another in ComfyUI's lms: it takes the clean guess, where diffusers extrapolates.
    """
    config = small(family)
    unet = randomise(UNet(config.unet))
    positive, negative = noise(1, 77, 64, seed=5), noise(1, 77, 64, seed=6)
    scheduler.set_timesteps(steps)
    run = Sampling(
        config, torch.zeros(1, 4, 8, 8), (Condition(positive),), (Condition(negative),),
        seed=3, cfg=5.0, sampler=sampler, sigmas=scheduler.sigmas[:-1].clone(),
    )  # fmt: skip
    network = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    ours = sample(run, network).samples * config.vae.scale_factor
    start = noise(1, 4, 8, 8, seed=3) * float(scheduler.sigmas[0])
    oracle = diffusers_unet(unet)
    return ours, oracle_run(scheduler, oracle, start, positive, negative, 5.0, steps, draw, steps - 1)


SIGMA_SPACE = {"euler": EulerDiscreteScheduler, "lms": LMSDiscreteScheduler}


@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
@pytest.mark.parametrize("sampler", list(SIGMA_SPACE))
def test_a_sampler_equals_diffusers_on_its_own_list_of_sigmas(sampler, family):
    prediction = PREDICTION[small(family).schedule.prediction]
    scheduler = SIGMA_SPACE[sampler](**COMMON, prediction_type=prediction, timestep_spacing="leading")
    assert_same(*run_both_on_their_sigmas(family, sampler, scheduler))


@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
def test_ancestral_euler_equals_diffusers_with_the_same_noise(family):
    prediction = PREDICTION[small(family).schedule.prediction]
    scheduler = EulerAncestralDiscreteScheduler(**COMMON, prediction_type=prediction, timestep_spacing="leading")
    generator = torch.Generator().manual_seed(3)
    assert_same(*run_both_on_their_sigmas(family, "euler_ancestral", scheduler, lambda: {"generator": generator}))


@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
def test_dpmpp_2m_equals_diffusers_multistep_dpm_solver(family):
    """diffusers works in the variance-preserving frame y = x/√(1 + sigma²)."""
    config, steps = small(family), 12
    scheduler = DPMSolverMultistepScheduler(
        **COMMON, prediction_type=PREDICTION[config.schedule.prediction], timestep_spacing="leading",
        algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero",
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    unet = randomise(UNet(config.unet))
    positive, negative = noise(1, 77, 64, seed=5), noise(1, 77, 64, seed=6)
    run = Sampling(
        config, torch.zeros(1, 4, 8, 8), (Condition(positive),), (Condition(negative),),
        seed=3, cfg=5.0, sampler="dpmpp_2m", sigmas=scheduler.sigmas.clone(),
    )  # fmt: skip
    network = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    ours = sample(run, network).samples * config.vae.scale_factor
    first = float(scheduler.sigmas[0])
    start = noise(1, 4, 8, 8, seed=3) * first / (1 + first**2) ** 0.5
    assert_same(ours, oracle_run(scheduler, diffusers_unet(unet), start, positive, negative, 5.0, steps))
