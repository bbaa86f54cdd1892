"""Schedules of the custom sampling nodes and operations on lists: numerics.md, 2.7 and 2.8, whose values are [V]."""

import math

import pytest
import torch

from engine.diffusion import sigmas as lists
from engine.diffusion.schedules import MOST_STEPS, ScheduleError, discrete, make_sigmas
from tests.diffusion.synthetic import SD1

TABLE = discrete(SD1.schedule)
LIST = torch.tensor([4.0, 3.0, 2.0, 1.0, 0.0])


def close(found, expected):
    assert found.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def printed(found, expected, places=4):
    """Equal to what the reference prints, rounded to so many places."""
    assert found.tolist() == pytest.approx(expected, rel=0, abs=0.5001 * 10.0**-places)


def test_sd_turbo_takes_the_lower_noise_levels_of_ten():
    # 2.7: S=4, d=0.5
    printed(lists.sd_turbo(TABLE, 4, 0.5), [1.6129, 1.1606, 0.8299, 0.5693, 0.0])
    assert len(lists.sd_turbo(TABLE, 10)) == 11
    assert lists.sd_turbo(TABLE, 1)[0] == pytest.approx(TABLE.sigma_max, rel=1e-6)


def test_the_variance_preserving_schedule():
    # 2.7: VP S=5
    printed(lists.variance_preserving(5), [152.17, 17.049, 3.4222, 0.95753, 0.010486, 0.0], places=2)
    printed(lists.variance_preserving(5)[3:], [0.95753, 0.010486, 0.0], places=5)


def test_the_laplace_schedule_is_clamped_and_has_no_zero():
    # 2.7: Laplace S=6 with the node's default ends
    printed(lists.laplace(6, 0.0291675, 14.614642), [14.6146, 1.5811, 1.1180, 0.8944, 0.6325, 0.0292])


def test_align_your_steps_interpolates_and_ends_in_zero():
    expected = [
        14.6146, 9.7275, 6.4746, 5.0016, 3.8637, 3.2266, 2.6946, 2.2533, 1.8842, 1.6209, 1.3944, 1.1595, 0.9643, 0.7931,
        0.6524, 0.5094, 0.3977, 0.2455, 0.1515, 0.0665, 0.0,
    ]  # fmt: skip
    printed(lists.align_your_steps("SD1", 20), expected)  # 2.8: SD1 S=20
    assert lists.align_your_steps("SDXL", 10).tolist()[:2] == pytest.approx([14.6146412293, 6.3184485287])
    part = lists.align_your_steps("SD1", 10, 0.35)  # round(3.5) is 4
    close(part, [0.9642583904, 0.6523686016, 0.3977456272, 0.1515232662, 0.0])
    assert len(lists.align_your_steps("SD1", 10, 0.04)) == 0  # round(0.4) is 0


def test_basic_takes_the_last_part_of_a_longer_list_below_denoise_1():
    assert torch.equal(lists.basic(TABLE, "karras", 8, 1.0), make_sigmas(TABLE, "karras", 8))
    assert torch.equal(lists.basic(TABLE, "normal", 10, 0.6), make_sigmas(TABLE, "normal", 16)[-11:])
    # 2.7: the threshold is 1, not KSampler's 0.9999
    assert torch.equal(lists.basic(TABLE, "normal", 20_000 // 2, 0.99995), make_sigmas(TABLE, "normal", MOST_STEPS))
    assert torch.equal(lists.basic(TABLE, "simple", 9999, 0.99995), make_sigmas(TABLE, "simple", 9999)[-10_000:])
    assert len(lists.basic(TABLE, "normal", 10, 0.0)) == 0


def test_exponential_karras_and_polyexponential_between_any_ends():
    close(lists.exponential(3, 0.1, 10.0), [10.0, 1.0, 0.1, 0.0])
    close(lists.polyexponential(3, 0.1, 10.0, 1.0), [10.0, 1.0, 0.1, 0.0])
    close(lists.polyexponential(3, 0.1, 10.0, 2.0), [10.0, 0.1 * 100**0.25, 0.1, 0.0])
    close(lists.karras(3, 0.1, 10.0, 1.0), [10.0, 5.05, 0.1, 0.0])
    with pytest.raises(ScheduleError, match="sigma_min is 0"):
        lists.exponential(3, 0.0, 10.0)
    with pytest.raises(ScheduleError, match="rho is 0"):
        lists.karras(3, 0.1, 10.0, 0.0)
    with pytest.raises(ScheduleError, match="alpha is 0"):
        lists.beta(TABLE, 3, 0.0)


def test_a_split_list_has_the_level_between_in_both_parts():
    high, low = lists.split(LIST, 1)
    assert (high.tolist(), low.tolist()) == ([4.0, 3.0], [3.0, 2.0, 1.0, 0.0])
    high, low = lists.split_denoise(LIST, 0.5)  # round(4 · 0.5) is 2
    assert (high.tolist(), low.tolist()) == ([4.0, 3.0, 2.0], [2.0, 1.0, 0.0])
    high, low = lists.split_denoise(LIST, 0.0)
    assert (high.tolist(), low.tolist()) == ([], [0.0])  # 2.7: k = 0 leaves the high part empty


def test_a_flipped_list_does_not_start_at_zero():
    assert lists.flip(LIST).tolist() == pytest.approx([0.0001, 1.0, 2.0, 3.0, 4.0])
    assert lists.flip(LIST[:3]).tolist() == [2.0, 3.0, 4.0]
    assert LIST[-1] == 0.0, "the list given is not changed"
    assert len(lists.flip(torch.empty(0))) == 0


def test_the_first_entry_can_be_set():
    assert lists.with_first(LIST, 136.0).tolist() == [136.0, 3.0, 2.0, 1.0, 0.0]
    assert LIST[0] == 4.0


def test_steps_are_divided_where_they_start_between_two_levels():
    close(lists.extend(LIST, 2, -1.0, 3.0, "linear"), [4.0, 3.5, 3.0, 2.5, 2.0, 1.0, 0.0])
    close(lists.extend(LIST, 2, 3.0, 2.0, "linear"), [4.0, 3.0, 2.5, 2.0, 1.5, 1.0, 0.0])
    close(lists.extend(LIST, 2, -1.0, 4.0, "cosine"), [4.0, 4.0 - math.sin(math.pi / 4), 3.0, 2.0, 1.0, 0.0])
    close(lists.extend(LIST, 2, -1.0, 4.0, "sine"), [4.0, 3.0 + math.cos(math.pi / 4), 3.0, 2.0, 1.0, 0.0])
    assert torch.equal(lists.extend(LIST, 1, -1.0, 0.0, "linear"), LIST)
    assert len(lists.extend(torch.empty(0), 2, -1.0, 0.0, "linear")) == 0


def test_a_percent_is_a_sigma_and_the_ends_may_be_the_models_own():
    assert lists.percent_to_sigma(TABLE, 0.5, False) == pytest.approx(1.6155803, rel=1e-6)  # 1.3 [V]
    assert lists.percent_to_sigma(TABLE, 0.0, False) == 999_999_999.9
    assert lists.percent_to_sigma(TABLE, 0.0, True) == pytest.approx(14.61464119)
    assert lists.percent_to_sigma(TABLE, 1.0, True) == pytest.approx(0.02916716, rel=1e-6)
    assert lists.percent_to_sigma(TABLE, 1.0, False) == 0.0
