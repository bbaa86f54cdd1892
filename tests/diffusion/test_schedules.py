"""Tables and sigma lists against numerics.md, 1 and 2: values printed by ComfyUI 0.3.64."""

import math

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.schedules import (
    SCHEDULE_NAMES,
    ScheduleError,
    discrete,
    karras_sigmas,
    ksampler_sigmas,
    make_sigmas,
)

SD, X4 = discrete(PRESETS["sd1"].schedule), discrete(PRESETS["sd2-x4"].schedule)

# numerics.md 2.5: ten steps on the SD table
TEN_STEPS = """
simple 14.614641 8.302803 5.087763 3.321083 2.276463 1.612886 1.160578 0.829860 0.569285 0.341674 0
normal 14.614640 7.839883 4.609174 2.918307 1.950161 1.344928 0.932358 0.624977 0.368658 0.029167 0
sgm_uniform 14.614640 8.307171 5.092408 3.325069 2.279731 1.615580 1.162865 0.831884 0.571189 0.343705 0
karras 14.614643 9.102929 5.478392 3.168605 1.749418 0.914073 0.446918 0.201398 0.081910 0.029167 0
exponential 14.614640 7.324869 3.671230 1.840024 0.922221 0.462218 0.231664 0.116110 0.058195 0.029167 0
ddim_uniform 8.390685 5.134431 3.347764 2.292854 1.623692 1.168216 0.835653 0.574050 0.346187 0.041314 0
beta 14.614641 11.54277 7.371844 4.372802 2.615236 1.618279 1.027329 0.654885 0.395510 0.199059 0
linear_quadratic 14.614641 14.541568 14.468495 14.395422 14.322349 14.249275 13.620845 11.881703 9.031848 5.071280 0
kl_optimal 14.614633 4.232350 2.393719 1.597066 1.132997 0.815244 0.572914 0.372484 0.195288 0.029167 0
"""
LISTS = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in TEN_STEPS.strip().splitlines()}
COMFYUI = (
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
)


@pytest.mark.parametrize("name", list(LISTS))
def test_ten_steps_of_every_schedule(name):
    assert make_sigmas(SD, name, 10).tolist() == pytest.approx(LISTS[name], rel=1e-5, abs=1e-6)


def test_the_menu_is_comfyuis_and_then_ours():
    assert (*COMFYUI, "leading") == SCHEDULE_NAMES


def test_the_tables():
    some = {0: 0.02916716, 1: 0.04131441, 10: 0.09829108, 100: 0.34393123, 500: 1.61827886, 900: 8.34659672,
            998: 14.52627563, 999: 14.61464119}  # fmt: skip
    assert {k: float(SD.sigmas[k]) for k in some} == pytest.approx(some, rel=1e-6)
    assert [float(X4.sigmas[k]) for k in (0, 500, 999)] == pytest.approx(
        [0.01000050, 1.42078996, 36.91191101], rel=1e-6
    )


def test_zero_terminal_snr():
    from dataclasses import replace

    table = discrete(replace(PRESETS["sd1"].schedule, zero_snr=True))
    expected = [0.02916716, 1.77455747, 2254.238, 4518.7637]
    assert [float(table.sigmas[k]) for k in (0, 500, 998, 999)] == pytest.approx(expected, rel=1e-5)


def test_a_sigma_becomes_the_nearest_integer_timestep():
    """1.2: the first index of the nearest logarithm; 1.0 → 354, 0.5 → 169 [V]."""
    assert SD.timestep(torch.tensor([1.0, 0.5, 1e9, 1e-9])).tolist() == [354, 169, 999, 0]
    assert SD.timestep(SD.sigmas).tolist() == list(range(1000))
    assert SD.timestep(torch.tensor(1.0)).shape == ()


def test_a_timestep_becomes_an_interpolated_sigma():
    """1.2: between logarithms; sigma(999) = 14.6146402 [V], not the table's 14.6146412."""
    assert float(SD.sigma(torch.tensor(999.0))) == pytest.approx(14.6146402, rel=1e-7)
    low, high = float(SD.sigma(torch.tensor(500.0))), float(SD.sigma(torch.tensor(501.0)))
    assert float(SD.sigma(torch.tensor(500.5))) == pytest.approx(math.sqrt(low * high), rel=1e-6)


def test_percents_become_sigmas():
    expected = {0.1: 8.3071709, 0.2: 5.0924082, 0.5: 1.6155803, 0.8: 0.5711889, 0.9: 0.3437048}
    assert {p: SD.percent_to_sigma(p) for p in expected} == pytest.approx(expected, rel=1e-6)
    assert (SD.percent_to_sigma(0.0), SD.percent_to_sigma(-1), SD.percent_to_sigma(1.0)) == (
        999999999.9,
        999999999.9,
        0,
    )


def test_ddim_uniform_may_take_more_steps_than_asked():
    counts = {20: 20, 30: 31, 42: 44, 59: 63, 6: 7, 1: 1}
    assert {steps: len(make_sigmas(SD, "ddim_uniform", steps)) - 1 for steps in counts} == counts
    assert float(make_sigmas(SD, "ddim_uniform", 20)[0]) == pytest.approx(11.0283, abs=1e-4)


def test_beta_may_take_fewer_steps_than_asked():
    assert len(make_sigmas(SD, "beta", 138)) == 139
    assert len(make_sigmas(SD, "beta", 139)) < 140


def test_one_step():
    for name in ("karras", "exponential", "normal", "simple", "sgm_uniform", "linear_quadratic"):
        assert make_sigmas(SD, name, 1).tolist() == pytest.approx([14.61464, 0], rel=1e-6)
    assert make_sigmas(SD, "kl_optimal", 1)[0].isnan()


def test_leading_is_the_original_scripts_schedule():
    sigmas = make_sigmas(SD, "leading", 50)
    assert len(sigmas) == 51
    assert SD.timestep(sigmas).tolist() == [*range(981, 0, -20), 0]
    assert torch.equal(sigmas[-1], SD.sigmas[0])  # ᾱ₀, not 1, ends the last step
    with pytest.raises(ScheduleError, match="at most 999 steps; 1000 were asked"):
        make_sigmas(SD, "leading", 1000)


def test_karras_on_another_range():
    assert karras_sigmas(2, 0.5, 2.0).tolist() == pytest.approx([2.0, 0.5, 0.0])


def test_denoise_takes_the_end_of_a_longer_list():
    """2.6: S' = int(S/d), the last S+1 entries; above 0.9999 the whole list, at 0 none."""
    whole = ksampler_sigmas(SD, "normal", 16)
    assert torch.equal(ksampler_sigmas(SD, "normal", 10, denoise=0.6), whole[-11:])  # int(10 / 0.6) = 16
    assert torch.equal(ksampler_sigmas(SD, "normal", 16, denoise=0.99995), whole)
    assert len(ksampler_sigmas(SD, "normal", 10, denoise=0.0)) == 0


def test_some_samplers_drop_the_penultimate_sigma():
    eleven = make_sigmas(SD, "karras", 11).tolist()
    assert ksampler_sigmas(SD, "karras", 10, drops_penultimate=True).tolist() == [*eleven[:-2], 0.0]


def test_ksampler_advanced_cuts_the_list():
    """2.6: entries 0..end, then without the first `start`; a last entry of 0 if the noise is not to be left over."""
    whole = ksampler_sigmas(SD, "normal", 20)
    cut = ksampler_sigmas(SD, "normal", 20, start_at_step=5, end_at_step=12)
    assert torch.equal(cut, whole[5:13])  # seven steps
    forced = ksampler_sigmas(SD, "normal", 20, start_at_step=5, end_at_step=12, force_full_denoise=True)
    assert torch.equal(forced[:-1], whole[5:12])
    assert forced[-1] == 0
    assert len(ksampler_sigmas(SD, "normal", 20, start_at_step=20)) == 0
    assert torch.equal(ksampler_sigmas(SD, "normal", 20, start_at_step=0, end_at_step=10_000), whole)


@pytest.mark.parametrize(
    ("name", "steps", "said"), [("carras", 5, "no schedule is called 'carras'"), ("normal", 0, "0 were")]
)
def test_impossible_schedules_are_refused(name, steps, said):
    with pytest.raises(ScheduleError, match=said):
        make_sigmas(SD, name, steps)
