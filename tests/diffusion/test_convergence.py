"""Deterministic samplers converge as fast as their theory says, and the page in docs/ says what is measured."""

import re

import pytest
import torch

from benchmarks.convergence import NO_ORDER, ORDERS, SHORT, WHOLE, draw, exact, measured_order, page, run, steps_of
from engine.diffusion.samplers import SAMPLER_NAMES, SAMPLERS
from tests.served import ROOT

torch.set_num_threads(1)

# Halving the step of a method of order p divides the error by 2^p·(1 + c·h): with h = ln(2 / 0.5) / 128 = 0.011 in log
# sigma and c of some units, log2 of that is within 0.1 of p. heunpp2 is the farthest: 0.09.
NEAR = 0.15


@pytest.fixture(scope="module")
def measured():
    return {name: measured_order(name) for name in ORDERS}


@pytest.mark.parametrize("name", list(ORDERS))
def test_a_sampler_has_the_order_of_its_theory(name, measured):
    assert abs(measured[name] - ORDERS[name][0]) < NEAR


def test_every_sampler_that_draws_no_noise_is_measured_or_excused():
    quiet = {name for name in SAMPLER_NAMES if SAMPLERS[name].noise == "none"}
    assert quiet <= set(ORDERS) | set(NO_ORDER)
    drawn_for_nothing = {"res_multistep", "res_multistep_cfg_pp", "ddim_original"}  # what is drawn counts 0
    assert drawn_for_nothing <= set(ORDERS)


def test_the_adaptive_sampler_keeps_its_tolerance_whatever_number_of_steps_is_asked():
    """rtol 0.05 and atol 0.0078 per step (numerics.md, 4.8); it takes about ten of them over the whole range."""
    few, many = (run("dpm_adaptive", steps, WHOLE) for steps in (8, 64))
    assert few == many
    assert few.error < 10 * 0.05
    assert run("dpm_adaptive", 8, SHORT).error < 0.05


def test_the_known_answer_solves_the_probability_flow_equation():
    """dx/dσ = (x - D(x, σ))/σ, by a central difference."""
    start = torch.ones(1, 4, 1, 1, dtype=torch.float64) * 3
    sigma, h = 1.3, 1e-5
    slope = (exact(start, 2.0, sigma + h) - exact(start, 2.0, sigma - h)) / (2 * h)
    x = exact(start, 2.0, sigma)
    spread = torch.tensor([0.25, 0.5, 1.0, 2.0], dtype=torch.float64).view(1, 4, 1, 1)
    centre = torch.tensor([0.5, -0.3, 1.0, 0.0], dtype=torch.float64).view(1, 4, 1, 1)
    clean = (spread**2 * x + sigma**2 * centre) / (spread**2 + sigma**2)
    assert torch.allclose(slope, (x - clean) / sigma, atol=1e-8)


def test_more_steps_of_a_higher_order_beat_fewer_calls_of_a_lower():
    assert run("dpmpp_2m", 32, WHOLE).error < 0.2 * run("euler", 32, WHOLE).error
    assert run("uni_pc_bh2", 32, WHOLE).error < 0.2 * run("dpmpp_2m", 32, WHOLE).error


def test_the_page_says_what_is_measured(measured):
    text = (ROOT / "docs" / "convergence.md").read_text()
    said = {name: (int(order), float(found)) for name, order, found in
            re.findall(r"^\| `(\w+)` \| (\d) \| ([\d.]+) \|", text, re.MULTILINE)}  # fmt: skip
    assert said.keys() == ORDERS.keys()
    for name, (order, found) in said.items():
        assert order == ORDERS[name][0]
        assert found == pytest.approx(measured[name], abs=0.02)


def test_the_plot_is_a_drawing_of_its_results():
    pair = ("euler", "heun")
    results = {name: [run(name, steps_of(name, each), WHOLE) for each in (3, 4, 5, 6, 7, 8)] for name in pair}
    drawing = draw(results)
    lines = re.findall(r'<polyline points="([\d., ]+)" fill="none" stroke="#\w+" stroke-width="1.6"', drawing)
    assert [len(line.split()) for line in lines] == [6, 6]
    heights = [[float(point.split(",")[1]) for point in line.split()] for line in lines]
    assert all(line == sorted(line) for line in heights)  # errors fall, and the page's y grows downwards
    every = dict.fromkeys(ORDERS, results["euler"])
    assert page(dict.fromkeys(ORDERS, 1.0), every).count("| `") == len(ORDERS)
    committed = (ROOT / "docs" / "convergence.svg").read_text()
    assert all(f">{name}</text>" in committed for name in ("euler", "uni_pc_bh2", "dpm_fast"))
