"""Numbers that stand in tables of the library, beside the page that they are from (numerics.md)."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.inputs import NO_IMAGE
from engine.diffusion.layers import timestep_embedding
from engine.diffusion.schedules import discrete, make_sigmas
from engine.diffusion.sigmas import ALIGN_YOUR_STEPS, align_your_steps

EPS, V = ("sd1", "sd1-inpaint", "sd2-base", "sd2-inpaint", "sd2-depth"), ("sd2-v",)


@pytest.mark.parametrize("family", [*EPS, *V, "sd2-x4"])
def test_betas_and_prediction_of_a_family(family):
    """1.1: b0 and b1 0.00085 and 0.012, but 0.0001 and 0.02 of the x4 upscaler; ε, but v of SD 2's 768 and the x4."""
    schedule = PRESETS[family].schedule
    assert (schedule.beta_start, schedule.beta_end) == ((0.0001, 0.02) if family == "sd2-x4" else (0.00085, 0.012))
    assert schedule.prediction == ("eps" if family in EPS else "v")
    assert schedule.steps == 1000


def test_the_table_follows_its_formula_in_every_entry():
    """1.1: β_k = (√b0 + (√b1 − √b0)·k/999)², σ_k = √((1−ᾱ_k)/ᾱ_k); σ_250 = 0.69579893, σ_750 = 4.09916401 [V]."""
    sigmas = discrete(PRESETS["sd1"].schedule).sigmas
    assert [float(sigmas[k]) for k in (250, 750)] == pytest.approx([0.69579893, 4.09916401], rel=1e-7)
    alpha_bar = 1.0
    for k in range(1000):
        alpha_bar *= 1 - (math.sqrt(0.00085) + (math.sqrt(0.012) - math.sqrt(0.00085)) * k / 999) ** 2
        assert float(sigmas[k]) == pytest.approx(math.sqrt((1 - alpha_bar) / alpha_bar), rel=1e-6)


def test_the_last_entry_of_zero_terminal_snr():
    """1.5: ᾱ'_999 := 4.8973451890853435e−08."""
    from dataclasses import replace

    last = discrete(replace(PRESETS["sd1"].schedule, zero_snr=True)).sigmas[-1]
    assert 1 / (1 + float(last) ** 2) == pytest.approx(4.8973451890853435e-08, rel=1e-6)


def test_a_timestep_is_told_by_cosines_first():
    """1.2: half = C/2, freq_j = 10000^(−j/half); [cos(τ·freq) ; sin(τ·freq)]."""
    made = timestep_embedding(torch.tensor([0.0, 1.0, 999.0]), 10)
    for row, tau in enumerate((0.0, 1.0, 999.0)):
        angles = [tau * 10000 ** (-j / 5) for j in range(5)]
        expected = [math.cos(angle) for angle in angles] + [math.sin(angle) for angle in angles]
        assert made[row].tolist() == pytest.approx(expected, abs=2e-4)  # float32 angles up to 999


def test_what_latents_are_multiplied_by():
    """3.2: 0.18215 for SD 1.x and 2.x, 0.08333 for the x4 upscaler."""
    factors = {family: config.vae.scale_factor for family, config in PRESETS.items()}
    assert factors.pop("sd2-x4") == 0.08333
    assert set(factors.values()) == {0.18215}


def test_the_picture_that_an_inpainting_model_sees_where_there_is_none():
    """3.7: 0.8223, −0.6876, 0.6364, 0.1380."""
    assert NO_IMAGE == (0.8223, -0.6876, 0.6364, 0.1380)


LISTS = {
    "SD1": "14.6146412293 6.4745760956 3.8636745985 2.6946151520 1.8841921177 1.3943805092 0.9642583904 0.6523686016 "
           "0.3977456272 0.1515232662 0.0291671582",
    "SDXL": "14.6146412293 6.3184485287 3.7681790315 2.1811480769 1.3405244945 0.8620721141 0.5550693289 0.3798540708 "
            "0.2332364134 0.1114188177 0.0291671582",
    "SVD": "700 54.5 15.886 7.977 4.248 1.789 0.981 0.403 0.173 0.034 0.002",
}  # fmt: skip


@pytest.mark.parametrize("family", LISTS)
def test_align_your_steps_as_published(family):
    """2.8, from Sabour et al. (arXiv:2404.14507): eleven values, the last of which becomes 0."""
    values = [float(value) for value in LISTS[family].split()]
    assert list(ALIGN_YOUR_STEPS[family]) == values
    assert align_your_steps(family, 10).tolist() == pytest.approx([*values[:-1], 0.0])


# -- the schedules: 2.1 to 2.4, in float64, for other numbers of steps than 2.5 prints ---------------------------


SD = discrete(PRESETS["sd1"].schedule)
TABLE = SD.sigmas.double().numpy()
LOGS = np.log(TABLE)


def at(tau):
    """1.2: sigma(τ), log-interpolated."""
    low, high = math.floor(tau), math.ceil(tau)
    return math.exp((1 - tau % 1) * LOGS[low] + tau % 1 * LOGS[high])


def quadratic(count):
    """2.3: L = S // 2 linear steps, Q = S − L, θ = 0.025."""
    linear, theta = count // 2, 0.025
    rest, missing = count - linear, linear - theta * count
    a, b = missing / (linear * rest**2), theta / linear - 2 * missing / rest**2
    shares = [j * theta / linear if j < linear else a * j**2 + b * j + a * linear**2 for j in range(count)]
    return [(1 - share) * TABLE[-1] for share in [*shares, 1]]


def beta(count):
    """2.2: indices rint(BetaPPF(1 − j/S; 0.6, 0.6)·(K−1)), an equal one left out."""
    places = [int(np.rint(scipy.stats.beta.ppf(1 - j / count, 0.6, 0.6) * 999)) for j in range(count)]
    return [*(TABLE[k] for n, k in enumerate(places) if n == 0 or k != places[n - 1]), 0]


RULES = {
    "simple": lambda n: [*(TABLE[-(1 + int(j * 1000 / n))] for j in range(n)), 0],
    "normal": lambda n: [*(at(999 - 999 * j / (n - 1)) for j in range(n)), 0],
    "sgm_uniform": lambda n: [*(at(999 - 999 * j / n) for j in range(n)), 0],
    "karras": lambda n: [*((TABLE[-1] ** (1 / 7) * (1 - j / (n - 1)) + TABLE[0] ** (1 / 7) * j / (n - 1)) ** 7
                           for j in range(n)), 0],
    "exponential": lambda n: [*(TABLE[-1] ** (1 - j / (n - 1)) * TABLE[0] ** (j / (n - 1)) for j in range(n)), 0],
    "ddim_uniform": lambda n: [*reversed(TABLE[1 :: max(1000 // n, 1)].tolist()), 0],
    "beta": beta,
    "linear_quadratic": quadratic,
    "kl_optimal": lambda n: [*(math.tan(j / (n - 1) * math.atan(TABLE[0]) + (1 - j / (n - 1)) * math.atan(TABLE[-1]))
                               for j in range(n)), 0],
}  # fmt: skip


@pytest.mark.parametrize("steps", [2, 7, 33, 150])
@pytest.mark.parametrize("name", RULES)
def test_a_schedule_follows_its_rule_for_any_number_of_steps(name, steps):
    """2.1: nine rules; 2.2 beta; 2.3 linear_quadratic; 2.4 kl_optimal: tan(a_j·atan σ_min + (1−a_j)·atan σ_max)."""
    assert make_sigmas(SD, name, steps).tolist() == pytest.approx(RULES[name](steps), rel=2e-4, abs=1e-5)
