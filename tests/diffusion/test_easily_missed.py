"""Details of numerics.md, appendix B, that no other test is about; its numbers are in the comments."""

from itertools import pairwise

import pytest
import torch

import engine.diffusion.noise
import engine.diffusion.samplers
from engine.diffusion.guidance import Condition, masked, prepare
from engine.diffusion.guiders import cfg_guider
from engine.diffusion.noise import brownian_noise, initial_noise, run_generator
from engine.diffusion.samplers import Evaluate
from engine.diffusion.sampling import plan_sigmas, sample
from engine.diffusion.schedules import discrete
from tests.diffusion.synthetic import NEGATIVE, POSITIVE, SD1, Synthetic, synthetic_run
from tests.parity.small import noise

TABLE = discrete(SD1.schedule)
K = SD1.vae.scale_factor
START = initial_noise(run_generator(42), (1, 4, 8, 8))


def first_state(run):
    """What the network is asked about first."""
    seen = []

    def network(calls):
        seen.append(calls[0].x)
        return Synthetic()(calls)

    sample(run, network)
    return seen[0]


@pytest.mark.parametrize(("factor", "full"), [(1.0, True), (1 - 0.5e-5, True), (1 - 2e-5, False), (1.5, True)])
def test_only_a_run_from_the_largest_sigma_starts_with_noise_of_the_full_variance(factor, full):
    """B3: √(1 + sigma²) within one part in 100,000 of sigma_max, or above it; else sigma."""
    sigma = TABLE.sigma_max * factor
    x = first_state(synthetic_run("euler", sigmas=torch.tensor([sigma, 1.0, 0.0])))
    sigma = float(torch.tensor(sigma))
    assert torch.allclose(x, START * ((1 + sigma**2) ** 0.5 if full else sigma), rtol=1e-6)


@pytest.mark.parametrize("steps", [1, 8, 20, 50, 333])
def test_ddim_uniform_does_not_start_with_the_full_variance(steps):
    """B3: its first sigma is below sigma_max. From 334 steps on every second entry is taken, the last one too."""
    run = synthetic_run("euler", scheduler="ddim_uniform", steps=steps)
    sigma = float(plan_sigmas(run)[0][0])
    assert torch.allclose(first_state(run), START * sigma, rtol=1e-6)


def test_a_brownian_path_uses_all_bits_of_the_seed():
    """B5: torch's generator sees the low 32 bits only, the tree's all 64."""
    sigmas, x = torch.tensor([10.0, 1.0, 0.0]), torch.zeros(1, 4, 8, 8)
    one, other = (brownian_noise(x, sigmas, seed)(sigmas[0], sigmas[1]) for seed in (7, 7 + 2**32))
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    "changes", [{}, {"denoise": 0.5}, {"start_at_step": 3, "end_at_step": 6}, {"start_at_step": 2}]
)
@pytest.mark.parametrize("sampler", ["dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde_gpu"])
def test_a_brownian_path_spans_the_list_that_is_walked(sampler, changes, monkeypatch):
    """B6: from its smallest sigma above 0 to its largest, not from the model's to the model's."""
    made = []
    tree = engine.diffusion.noise.torchsde.BrownianTree

    def spy(**how):
        made.append((float(how["t0"]), float(how["t1"])))
        return tree(**how)

    monkeypatch.setattr(engine.diffusion.noise.torchsde, "BrownianTree", spy)
    run = synthetic_run(sampler, **changes)
    sigmas = plan_sigmas(run)[0]
    sample(run, Synthetic())
    assert made == [(float(sigmas[sigmas > 0].min()), float(sigmas.max()))]


def test_a_noise_mask_touches_what_is_asked_and_what_is_answered_and_nothing_else():
    """B7: the unconditional answer stays as the network gave it, and sigma times noise fills the kept part."""
    shape, sigma = (1, 4, 8, 8), 2.0
    x, latent, added = noise(*shape, seed=1), noise(*shape, seed=2), noise(*shape, seed=3)
    mask = torch.zeros(shape)
    mask[..., 4:], mask[..., 3] = 1.0, 0.25
    plus, minus = prepare([Condition(POSITIVE)], [Condition(NEGATIVE)], shape, TABLE)
    run = masked(cfg_guider(plus, minus, 3.0, needs_uncond=True), mask, latent, added)(Evaluate(x, torch.tensor(sigma)))
    calls = next(run)
    asked = x * mask + (latent + sigma * added) * (1 - mask)
    assert torch.allclose(calls[0].x, asked, atol=1e-6)
    with pytest.raises(StopIteration) as stop:
        run.send([torch.full(shape, 5.0), torch.full(shape, 2.0)])
    denoised, uncond = stop.value.value
    assert torch.allclose(denoised, (2.0 + 3 * (5.0 - 2.0)) * mask + latent * (1 - mask), atol=1e-6)
    assert torch.equal(uncond, torch.full(shape, 2.0))


@pytest.mark.parametrize("sampler", ["uni_pc", "uni_pc_bh2"])
def test_unipc_of_one_step_gives_the_noise_back(sampler):
    """B9: its loop has nothing to do; x·α₀/αₙ is the noise itself, but for the thousandth that the list ends in."""
    result = sample(synthetic_run(sampler, steps=1), Synthetic()).samples * K
    assert torch.allclose(result, START, rtol=1e-5)


@pytest.mark.parametrize("sampler", ["res_multistep", "res_multistep_cfg_pp", "res_multistep_ancestral"])
def test_multistep_samplers_draw_noise_for_every_step_also_where_it_counts_nothing(sampler, monkeypatch):
    """B11: each of 8 steps but the last, to 0. Whoever shares the generator is moved by it."""
    draws = []
    make = engine.diffusion.samplers.default_noise

    def counting(x, seed):
        draw = make(x, seed)

        def counted(start, end):
            draws.append((float(start), float(end)))
            return draw(start, end)

        return counted

    monkeypatch.setattr(engine.diffusion.samplers, "default_noise", counting)
    run = synthetic_run(sampler)
    sample(run, Synthetic())
    sigmas = plan_sigmas(run)[0].tolist()
    assert draws == list(pairwise(sigmas[:-1]))
