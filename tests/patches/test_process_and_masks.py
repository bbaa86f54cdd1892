"""ModelSampling* and differential diffusion: numerics.md, 1.5, 1.6 and 3.6."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.guidance import prepare_mask
from engine.diffusion.patches.masks import DifferentialDiffusion
from engine.diffusion.patches.process import ContinuousProcess, DiscreteProcess
from engine.diffusion.sampling import plan_sigmas, process_of, sample
from engine.diffusion.schedules import discrete, make_sigmas, patched_process
from tests.diffusion.synthetic import Synthetic, synthetic_run
from tests.parity.small import noise
from tests.patches.support import picture, run_of, unet

SD1 = PRESETS["sd1"].schedule


def test_a_model_may_be_told_what_it_predicts():
    x, output = noise(1, 4, 8, 8, seed=1), noise(1, 4, 8, 8, seed=2)
    sigma = torch.tensor(2.0)
    # 1.4: eps x - σF; v x/(σ²+1) - Fσ/√(σ²+1); x0 and img_to_img F
    expected = {"eps": x - 2.0 * output, "v": x / 5.0 - output * 2.0 / 5.0**0.5, "x0": output, "img_to_img": output}
    for prediction, guess in expected.items():
        table = DiscreteProcess(prediction).process(SD1)
        assert torch.allclose(table.denoised(x, sigma, output), guess, atol=1e-5)
        assert torch.equal(table.sigmas, discrete(SD1).sigmas)
    assert float(DiscreteProcess("img_to_img").process(SD1).c_in(sigma)) == 1.0
    assert float(DiscreteProcess("x0").process(SD1).c_in(sigma)) == pytest.approx(5.0**-0.5)


def test_zero_snr_overrides_the_models_own():
    sigmas = DiscreteProcess("v", zero_snr=True).process(SD1).sigmas
    # 1.5 [V]
    assert sigmas[[0, 500, 998, 999]].tolist() == pytest.approx([0.02916716, 1.77455747, 2254.238, 4518.7637], rel=1e-4)
    stretched = replace(SD1, zero_snr=True)
    assert float(DiscreteProcess("v").process(stretched).sigmas[-1]) == pytest.approx(14.61464119)


def test_consistency_models_know_fifty_levels():
    table = DiscreteProcess("lcm").process(SD1)
    # 1.6 [V]: sgm_uniform, 4 steps
    found = make_sigmas(table, "sgm_uniform", 4).tolist()
    assert found == pytest.approx([14.6146, 4.1708, 1.6679, 0.7325, 0.0], abs=6e-5)
    assert len(table.sigmas) == 50


def test_continuous_processes():
    edm = ContinuousProcess("edm", "edm", 0.002, 120.0, 0.5).process(SD1)
    assert (edm.sigma_min, edm.sigma_max) == (pytest.approx(0.002), pytest.approx(120.0, rel=1e-5))
    assert float(edm.timestep(torch.tensor(2.0))) == pytest.approx(0.25 * 0.6931472)  # 1.6: 0.25·ln σ
    assert float(edm.c_in(torch.tensor(2.0))) == pytest.approx(4.25**-0.5)
    v = ContinuousProcess("v", "v", 0.03, 500.0).process(SD1)
    assert float(v.timestep(torch.tensor(1.0))) == pytest.approx(0.5)  # (2/π)·atan 1
    with pytest.raises(ValueError, match="wanted 0 < sigma_min < sigma_max"):
        ContinuousProcess("v", "v", 3.0, 2.0).process(SD1)


def test_the_last_process_counts_and_reaches_sigmas_and_network():
    patches = (DiscreteProcess("lcm"), DiscreteProcess("v", True))
    assert patched_process(SD1, patches).prediction == "v"
    assert patched_process(SD1, ()) is discrete(SD1)
    run = synthetic_run("euler", patches=patches, scheduler="normal")
    assert float(plan_sigmas(run)[0][0]) == pytest.approx(4518.7637, rel=1e-4)
    assert process_of(run).prediction == "v"


def test_another_process_makes_another_picture_and_comes_off():
    config, net = unet()
    before = picture(config, net)
    for patch in (DiscreteProcess("v"), DiscreteProcess("lcm"), DiscreteProcess("x0", True),
                  ContinuousProcess("edm", "edm", 0.002, 120.0, 0.5)):  # fmt: skip
        on = picture(config, net, (patch,))
        assert torch.isfinite(on).all()
        assert not torch.allclose(on, before, rtol=1e-3)
    assert torch.equal(picture(config, net), before)


# -- differential diffusion ------------------------------------------------------------------------------------------


def test_a_place_is_free_when_its_grey_reaches_what_is_to_go():
    run = run_of(torch.tensor([14.61464119, 5.0, 0.0]))
    mask = torch.linspace(0, 1, 11).view(1, 1, 1, 11)
    # 3.6: θ = (τ(σ) - τ(σ_to))/(τ(σ_from) - τ(σ_to)), σ_to = max(σ_min, last); τ(14.6) = 999, τ(σ_min) = 0
    for sigma, timestep in ((14.61464119, 999), (1.61827886, 500), (0.34393123, 100), (0.02916716, 0)):
        theta = timestep / 999
        found = DifferentialDiffusion().mask(mask, torch.tensor(sigma), run)
        assert torch.equal(found, (mask >= theta).float()), sigma
    mixed = DifferentialDiffusion(0.25).mask(mask, torch.tensor(1.61827886), run)
    assert torch.allclose(mixed, 0.25 * (mask >= 500 / 999).float() + 0.75 * mask)
    hard = DifferentialDiffusion(0.0).mask(mask, torch.tensor(1.61827886), run)
    assert torch.equal(hard, (mask >= 500 / 999).float())  # 3.6: only 0 < strength < 1 mixes


def test_part_of_a_run_counts_from_its_own_ends():
    run = run_of(torch.tensor([4.09916401, 1.0, 0.34393123]))  # timesteps 750 to 100
    mask = torch.linspace(0, 1, 11).view(1, 1, 1, 11)
    found = DifferentialDiffusion().mask(mask, torch.tensor(1.61827886), run)  # timestep 500
    assert torch.equal(found, (mask >= (500 - 100) / (750 - 100)).float())


def test_in_a_run_white_is_painted_from_the_start_and_black_is_kept():
    latent = noise(1, 4, 8, 8, seed=1)
    grey = torch.zeros(1, 1, 8, 8)
    grey[..., 2:4] = 0.5
    grey[..., 4:] = 1.0
    # a schedule that asks at σ_min at last has θ = 0 there and frees all: this one does not
    changes = {"latent": latent, "noise_mask": grey, "steps": 6, "scheduler": "simple"}
    found = sample(synthetic_run("euler", patches=(DifferentialDiffusion(),), **changes), Synthetic()).samples
    plain = sample(synthetic_run("euler", **changes), Synthetic()).samples
    assert torch.allclose(found[..., :2], latent[..., :2], atol=1e-5)
    white = prepare_mask(grey, latent.shape) == 1.0
    assert torch.allclose(found[white], plain[white], atol=1e-4), "the synthetic model looks at each place alone"
    assert not torch.allclose(found[..., 2:4], plain[..., 2:4], atol=1e-2)
