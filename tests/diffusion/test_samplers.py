"""Every sampler against numerics.md, appendix A: vectors made by ComfyUI 0.3.64's own sampling code."""

from dataclasses import replace

import pytest
import torch

from engine.diffusion.samplers import SAMPLER_NAMES, SAMPLERS, SamplerError, sampler_row
from engine.diffusion.sampling import Progress, plan_sigmas, sample
from engine.diffusion.schedules import SCHEDULES
from tests.diffusion.synthetic import SD1, Synthetic, synthetic_run

K = SD1.vae.scale_factor

# name: (calls, first three values, sum of absolute values) of the result times 0.18215
VECTORS = {
    "euler": (8, (0.91803, 0.89297, 0.82203), 268.8670),
    "euler_cfg_pp": (8, (1.04258, 1.03212, 1.00384), 320.9768),
    "euler_ancestral": (8, (-1.43044, -1.40965, -1.46096), 268.4053),
    "euler_ancestral_cfg_pp": (8, (-1.47181, -1.45170, -1.49174), 287.6551),
    "heun": (15, (0.81795, 0.79271, 0.73586), 278.8677),
    "heunpp2": (21, (0.91736, 0.89236, 0.82282), 270.5461),
    "dpm_2": (15, (0.97253, 0.93821, 0.85732), 280.9047),
    "dpm_2_ancestral": (15, (-1.47688, -1.47194, -1.46169), 300.1007),
    "lms": (8, (0.90612, 0.88075, 0.81488), 273.3819),
    "dpm_fast": (8, (0.91205, 0.87508, 0.79906), 282.2336),
    "dpm_adaptive": (21, (1.01036, 0.96448, 0.86345), 283.2254),
    "dpmpp_2s_ancestral": (15, (-1.46017, -1.45140, -1.45802), 291.6161),
    "dpmpp_2s_ancestral_cfg_pp": (15, (-1.50097, -1.49633, -1.49730), 314.8817),
    "dpmpp_sde": (15, (-1.45450, -1.30618, -1.44151), 283.2541),
    "dpmpp_sde_gpu": (15, (-1.45450, -1.30618, -1.44151), 283.2541),
    "dpmpp_2m": (8, (0.88925, 0.86350, 0.80593), 278.2763),
    "dpmpp_2m_cfg_pp": (8, (1.12406, 1.12001, 1.11036), 346.7205),
    "dpmpp_2m_sde": (8, (-1.45733, -1.48829, -1.48696), 283.7998),
    "dpmpp_2m_sde_gpu": (8, (-1.45733, -1.48829, -1.48696), 283.7998),
    "dpmpp_2m_sde_heun": (8, (-1.45601, -1.51185, -1.50914), 288.0874),
    "dpmpp_2m_sde_heun_gpu": (8, (-1.45601, -1.51185, -1.50914), 288.0874),
    "dpmpp_3m_sde": (8, (-1.39401, -1.50309, -1.42681), 267.7944),
    "dpmpp_3m_sde_gpu": (8, (-1.39401, -1.50309, -1.42681), 267.7944),
    "ddpm": (8, (-1.43044, -1.40965, -1.46096), 268.4049),
    "lcm": (8, (-1.46486, -1.45282, -1.45426), 280.3033),
    "ipndm": (8, (0.87811, 0.85160, 0.78734), 278.1234),
    "ipndm_v": (8, (0.89116, 0.86515, 0.80137), 276.4342),
    "deis": (8, (0.90595, 0.88059, 0.81656), 275.3421),
    "res_multistep": (8, (0.88264, 0.85663, 0.80181), 279.8627),
    "res_multistep_cfg_pp": (8, (0.66844, 0.63106, 0.54714), 183.4104),
    "res_multistep_ancestral": (8, (-1.47924, -1.48649, -1.44383), 299.6813),
    "res_multistep_ancestral_cfg_pp": (8, (-0.34049, -0.27462, -0.19857), 50.6949),
    "gradient_estimation": (8, (0.88005, 0.85361, 0.79268), 278.9437),
    "gradient_estimation_cfg_pp": (8, (0.83828, 0.81099, 0.74791), 263.6825),
    "er_sde": (8, (0.83783, 0.83966, -1.21185), 281.7410),
    "seeds_2": (15, (-1.45494, -1.45620, -1.46953), 298.2208),
    "seeds_3": (22, (-1.45197, -1.45658, -1.45310), 294.5605),
    "sa_solver": (8, (-1.44474, 0.81469, -1.46702), 279.1143),
    "sa_solver_pece": (15, (-1.42339, 0.78922, -1.46332), 282.4721),
    "ddim": (8, (0.91803, 0.89297, 0.82203), 268.8670),
    "uni_pc": (8, (0.98091, 0.94516, 0.86279), 282.8851),
    "uni_pc_bh2": (8, (0.98625, 0.95146, 0.86907), 281.5966),
}
NATIVE = ("plms", "ddim_original")


@pytest.mark.parametrize("name", [name for name in SAMPLER_NAMES if name not in NATIVE])
def test_a_sampler_reproduces_its_vector_and_number_of_calls(name):
    calls, first, total = VECTORS[name]
    network = Synthetic()
    x = sample(synthetic_run(name), network).samples * K
    assert len(network.sigmas) == calls
    # values are printed to 1e-5 and 1e-4; 256 elements are summed
    assert x.flatten()[:3].tolist() == pytest.approx(first, abs=1e-4)
    assert float(x.abs().sum()) == pytest.approx(total, abs=256 * 1e-5)


def test_the_menu_is_in_comfyuis_order_with_native_samplers_last():
    peers = [name for name in VECTORS if name in SAMPLERS]
    assert list(SAMPLER_NAMES) == [*peers, *NATIVE]


def test_an_unknown_sampler_is_refused_by_name_not_replaced():
    with pytest.raises(SamplerError, match="no sampler is called 'eular'"):
        sampler_row("eular")


def test_plms_refuses_every_schedule_but_leading():
    for scheduler in ("normal", "karras"):
        with pytest.raises(SamplerError, match=f"'leading', not '{scheduler}'"):
            plan_sigmas(synthetic_run("plms", scheduler=scheduler))


def test_plms_calls_the_model_once_more_than_it_steps():
    network = Synthetic()
    sample(synthetic_run("plms", scheduler="leading", steps=50), network)
    assert len(network.sigmas) == 51  # the first step asks twice (numerics.md, 4.10)


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_a_run_is_the_same_twice_and_other_seeds_differ(name):
    scheduler = "leading" if name in NATIVE else "karras"
    runs = [
        sample(synthetic_run(name, seed=seed, scheduler=scheduler, steps=4), Synthetic()).samples for seed in (7, 7, 8)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.isfinite(runs[0]).all()


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_one_step_gives_a_finite_latent(name):
    scheduler = "leading" if name in NATIVE else "karras"
    assert torch.isfinite(sample(synthetic_run(name, steps=1, scheduler=scheduler), Synthetic()).samples).all()


def test_progress_counts_the_steps_and_a_raising_callback_stops_the_run():
    seen: list[Progress] = []
    sample(synthetic_run("euler"), Synthetic(), on_step=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 9))
    assert {progress.steps for progress in seen} == {8}

    class StopError(Exception):
        pass

    def stop(progress):
        if progress.step == 3:
            raise StopError

    network = Synthetic()
    with pytest.raises(StopError):
        sample(synthetic_run("euler"), network, on_step=stop)
    assert len(network.sigmas) == 3


def test_the_widest_seed_works_with_every_kind_of_noise():
    for name in SAMPLER_NAMES:
        scheduler = "leading" if name in NATIVE else "karras"
        run = synthetic_run(name, seed=2**64 - 1, steps=3, scheduler=scheduler)
        assert torch.isfinite(sample(run, Synthetic()).samples).all()


def test_ddim_of_the_original_scripts_refuses_other_schedules_and_impossible_eta():
    for scheduler in [name for name in SCHEDULES if name != "leading"]:
        with pytest.raises(SamplerError, match=f"needs the schedule 'leading', not '{scheduler}'"):
            plan_sigmas(synthetic_run("ddim_original", scheduler=scheduler))
    run = synthetic_run("ddim_original", scheduler="leading")
    with pytest.raises(ValueError, match=r"eta is 1\.5"):
        sample(replace(run, sampler_options={"eta": 1.5}), Synthetic())
    with pytest.raises(SamplerError, match="'euler' has no option 'eta'; it has none"):
        sample(replace(synthetic_run("euler"), sampler_options={"eta": 1.0}), Synthetic())


def test_noise_is_added_in_proportion_to_eta():
    run = synthetic_run("ddim_original", scheduler="leading", steps=10)
    results = [sample(replace(run, sampler_options={"eta": eta}), Synthetic()).samples for eta in (0, 0.5, 1)]
    assert torch.equal(results[0], sample(run, Synthetic()).samples)
    assert 0 < (results[1] - results[0]).norm() < (results[2] - results[0]).norm()
