"""What a network's output means: numerics.md 1.4 to 1.6, with the check values there."""

import math

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.process import PARAMETERISATIONS, Discrete, continuous
from engine.diffusion.schedules import discrete, lcm, sgm_uniform

SD1 = discrete(PRESETS["sd1"].schedule)


def process(prediction, sigma_data=1.0):
    return Discrete(SD1.sigmas, SD1.log_sigmas, prediction, sigma_data)


def test_a_perfect_network_of_each_kind_gives_back_the_clean_latent():
    """What each kind is trained to answer for z + sigma·n, written down from its definition."""
    z, n, sigma = torch.tensor([0.3]), torch.tensor([-1.2]), torch.tensor([2.0])
    x = z + sigma * n
    a, b = 1 / math.sqrt(1 + 4), 2 / math.sqrt(1 + 4)  # √ᾱ and √(1 - ᾱ)
    answers = {"eps": n, "v": a * n - b * z, "x0": z, "img_to_img": z, "edm": b * z - a * n}
    for prediction, answer in answers.items():
        assert torch.allclose(process(prediction).denoised(x, sigma, answer), z, atol=1e-6), prediction
    assert set(PARAMETERISATIONS) == {*answers, "lcm"}


def test_a_perfect_edm_network_of_half_the_variance_gives_back_the_clean_latent():
    """Karras et al. (2022), equation 7 and table 1, sigma_data 0.5: D = c_skip·x + c_out·F."""
    x, sigma, output = torch.tensor([1.7]), torch.tensor([2.0]), torch.tensor([0.4])
    c_skip, c_out = 0.25 / (4 + 0.25), 2 * 0.5 / math.sqrt(4 + 0.25)
    made = process("edm", 0.5)
    assert float(made.denoised(x, sigma, output)) == pytest.approx(c_skip * 1.7 + c_out * 0.4, rel=1e-6)
    assert float(made.c_in(sigma)) == pytest.approx(1 / math.sqrt(4.25), rel=1e-6)


def test_only_img_to_img_does_not_scale_its_input():
    sigma = torch.tensor([3.0])
    for prediction in PARAMETERISATIONS:
        expected = 1.0 if prediction == "img_to_img" else 1 / math.sqrt(10)
        assert float(process(prediction).c_in(sigma)) == pytest.approx(expected)


def test_consistency_models_know_every_twentieth_level():
    table = lcm(PRESETS["sd1"].schedule)
    assert len(table.sigmas) == 50
    assert table.sigma_min == pytest.approx(0.1345, abs=5e-5)
    assert float(table.sigmas[-1]) == float(SD1.sigmas[-1])
    assert table.timestep(SD1.sigmas[torch.tensor([0, 19, 20, 30, 999])]).tolist() == [19, 19, 19, 39, 999]
    assert torch.allclose(table.sigma(torch.tensor([19.0, 999.0, 0.0])), table.sigmas[torch.tensor([0, 49, 0])])
    between = float(table.sigma(torch.tensor(29.0)))
    assert between == pytest.approx(math.sqrt(float(table.sigmas[0] * table.sigmas[1])), rel=1e-5)


@pytest.mark.parametrize("percent", [0.001, 0.3, 0.5, 0.97, 0.999])
def test_a_percent_counts_999_timesteps_whatever_the_tables_length(percent):
    """1.3 on 1.6's table of 50: q = (999·(1 − p) − 19)/20 within 0..49, between two logarithms."""
    table = lcm(PRESETS["sd1"].schedule)
    q = min(max((999 * (1 - percent) - 19) / 20, 0), 49)
    low, high = SD1.sigmas[19 + 20 * math.floor(q)], SD1.sigmas[19 + 20 * math.ceil(q)]
    expected = float(low) ** (1 - q % 1) * float(high) ** (q % 1)
    assert table.percent_to_sigma(percent) == pytest.approx(expected, rel=1e-5)


def test_consistency_models_walk_the_reference_schedule():
    """numerics.md, 1.6: sgm_uniform, 4 steps."""
    expected = [14.6146, 4.1708, 1.6679, 0.7325, 0.0]
    assert torch.allclose(sgm_uniform(lcm(PRESETS["sd1"].schedule), 4), torch.tensor(expected), atol=5e-5)


def test_consistency_models_mix_in_the_input_by_the_boundary_condition():
    table = lcm(PRESETS["sd1"].schedule)
    sigma = table.sigmas[:1].clone()
    x, output = torch.tensor([0.8]), torch.tensor([-0.5])
    u = 10 * 19
    expected = u / math.sqrt(u**2 + 0.25) * (0.8 + float(sigma) * 0.5) + 0.25 / (u**2 + 0.25) * 0.8
    assert float(table.denoised(x, sigma, output)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("axis", "low", "high", "told"),
    [("edm", 0.002, 120.0, lambda s: math.log(s) / 4), ("v", 0.03, 500.0, lambda s: 2 / math.pi * math.atan(s))],
)
def test_a_continuous_process_tells_the_network_any_noise_level(axis, low, high, told):
    made = continuous(axis, sigma_min=low, sigma_max=high)
    assert (made.sigma_min, made.sigma_max) == (pytest.approx(low, rel=1e-5), pytest.approx(high, rel=1e-5))
    levels = torch.tensor([low, 0.7, 1.0, 14.6, high])
    assert torch.allclose(made.timestep(levels), torch.tensor([told(float(s)) for s in levels]), rtol=1e-5, atol=1e-6)
    assert torch.allclose(made.sigma(made.timestep(levels)), levels, rtol=1e-3)
    assert made.percent_to_sigma(0.5) == pytest.approx(math.sqrt(low * high), rel=1e-4)
    assert made.percent_to_sigma(0.0) > 9e8
    assert made.percent_to_sigma(1.0) == 0.0


def test_a_continuous_process_without_a_range_is_refused():
    for low, high in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="0 < sigma_min < sigma_max"):
            continuous("v", sigma_min=low, sigma_max=high)


def test_a_run_may_bring_a_process_of_its_own():
    from engine.diffusion.sampling import plan_sigmas
    from tests.diffusion.synthetic import synthetic_run

    made = continuous("edm", sigma_min=0.002, sigma_max=120.0)
    sigmas, _, table = plan_sigmas(synthetic_run("euler", process=made))
    assert table is made
    assert float(sigmas[0]) == pytest.approx(120.0, rel=1e-5)
