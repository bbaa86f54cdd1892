"""Details of numerics.md, appendix B, that no other test is about; its numbers are in the comments."""

import math
from itertools import pairwise

import pytest
import torch

import engine.diffusion.noise
import engine.diffusion.samplers
from engine.diffusion.guidance import Condition, masked, prepare
from engine.diffusion.guiders import cfg_guider
from engine.diffusion.noise import brownian_noise, initial_noise, run_generator
from engine.diffusion.samplers import SAMPLER_NAMES, Evaluate
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
    """B3 and 3.5: √(1 + sigma²) within one part in 100,000 of sigma_max, or above it; else sigma."""
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


# -- ends of lists, which no vector of appendix A has ------------------------------------------------------------


def guess(x, sigma):
    """Appendix A's model at cfg 3."""
    u = torch.tanh(x / math.sqrt(1 + sigma**2))
    positive, negative = 0.8 * u, 0.5 * u + 0.1
    return negative + 3.0 * (positive - negative)


def walked(sampler, sigmas, **changes):
    network = Synthetic()
    run = synthetic_run(sampler, sigmas=torch.tensor(sigmas), **changes)
    return sample(run, network).samples * K, len(network.sigmas)


@pytest.mark.parametrize(
    ("sampler", "sigmas"),
    [
        ("dpm_fast", [4.0, 0.0]), ("dpm_adaptive", [4.0, 0.0]),  # 4.8: σ_end is the entry before 0: no way to go
        ("dpm_fast", [4.0]), ("dpm_adaptive", [4.0]), ("dpmpp_sde", [4.0]), ("dpmpp_2m_sde", [4.0]),  # 3.4, 4.8
        ("dpmpp_2m_sde_heun", [4.0]), ("dpmpp_3m_sde", [4.0]), ("euler", [4.0]), ("sa_solver", [4.0]),  # 3.2
        ("sa_solver", [4.0, 2.0]),  # 4.6: without a 0 at the end the last predicted step is discarded
    ],
)  # fmt: skip
def test_lists_that_go_nowhere_give_the_noisy_latent_back(sampler, sigmas):
    assert torch.allclose(walked(sampler, sigmas)[0], 4.0 * START, atol=1e-5)


TO_ZERO = [name for name in SAMPLER_NAMES if name not in ("plms", "ddim_original", "dpm_fast", "dpm_adaptive", "uni_pc",
                                                          "uni_pc_bh2")]  # fmt: skip


@pytest.mark.parametrize("sampler", TO_ZERO)
def test_a_step_to_zero_takes_the_guess(sampler):
    """4.1 to 4.6: t = 0 gives x ← D, by an Euler step or outright; those left out never reach 0 (4.7, 4.8, 4.10)."""
    found, asked = walked(sampler, [4.0, 0.0])
    assert torch.allclose(found, guess(4.0 * START, 4.0), atol=1e-5)
    assert asked == 1


def test_the_adaptive_sampler_with_eta_stops_short_and_adds_what_is_missing():
    """4.8: the end point is replaced as in ancestral sampling, the controller's order is 1.5; all steps are accepted.

    Steps of order 2 from σ = 4 to 1 by h = 0.3, then by factors 1 + atan(q^{1/(3·1.5)}… − 1) of an error near 0.
    """
    found, asked = walked("dpm_adaptive", [4.0, 1.0, 0.0], sampler_options={
        "order": 2, "rtol": 1e6, "atol": 1e6, "h_init": 0.3, "eta": 1.0, "s_noise": 0.7, "icoeff": 0.1})  # fmt: skip
    generator, x = run_generator(42), 4.0 * START.double()
    place, h, steps = -math.log(4.0), 0.3, 0
    before = x
    while place < -1e-5:
        aim = min(0.0, place + h)
        now, then = math.exp(-place), math.exp(-aim)
        reached = min(0.0, -math.log(then**2 / now))  # η = 1: σ_d = t²/s
        low = x - math.exp(-reached) * math.expm1(reached - place) * (x - guess(x, now)) / now
        high = fast_step(x, place, reached, 2)
        error = float(((low - high) / 1e6 / torch.maximum(torch.ones(()), torch.maximum(low.abs(), before.abs())))
                      .norm()) / 16  # fmt: skip
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (0.1 / 1.5) - 1)
        fresh = torch.randn(START.shape, generator=generator)
        before, x = low, high + fresh * 0.7 * math.sqrt(max(0.0, then**2 - math.exp(-2 * reached)))
        place, h, steps = aim, h * factor, steps + 1
    assert asked == 2 * steps
    assert torch.allclose(found, x.float(), atol=1e-4)


def fast_step(x, start, end, order):
    """4.8 in ℓ = −ln σ, with S(ℓ) = e^{−ℓ}, E = (x − D)/σ; r = ½ for order 2, ⅓ and ⅔ for order 3."""
    h = end - start

    def slope(at, place):
        return (at - guess(at, math.exp(-place))) / math.exp(-place)

    e = slope(x, start)
    plain = x - math.exp(-end) * math.expm1(h) * e
    if order == 1:
        return plain
    r = 1 / 2 if order == 2 else 1 / 3
    one = slope(x - math.exp(-start - r * h) * math.expm1(r * h) * e, start + r * h)
    if order == 2:
        return plain - math.exp(-end) / (2 * r) * math.expm1(h) * (one - e)
    far, r2 = math.exp(-start - 2 / 3 * h), 2 / 3
    two = x - far * math.expm1(r2 * h) * e - far * 2 * (math.expm1(r2 * h) / (r2 * h) - 1) * (one - e)
    return plain - math.exp(-end) / r2 * (math.expm1(h) / h - 1) * (slope(two, start + r2 * h) - e)


@pytest.mark.parametrize(("calls", "orders"), [(1, [1]), (2, [2]), (3, [2, 1]), (6, [3, 2, 1]), (7, [3, 3, 1])])
def test_dpm_fast_divides_the_way_by_the_number_of_calls(calls, orders):
    """4.8: n//3 + 1 even pieces in ln σ; n mod 3 = 0 → [3]·(M − 2) + [2, 1], else [3]·(M − 1) + [n mod 3]."""
    inner = torch.linspace(5.0, 0.9, calls).tolist() if calls > 1 else [5.0]
    sigmas = [*inner, 0.0] if calls > 1 else [5.0, 0.9]
    found, asked = walked("dpm_fast", sigmas)
    x, start, end = 5.0 * START.double(), -math.log(5.0), -math.log(0.9)
    places = [start + (end - start) * number / len(orders) for number in range(len(orders) + 1)]
    for (one, other), order in zip(pairwise(places), orders, strict=True):
        x = fast_step(x, one, other, order)
    assert asked == calls
    assert torch.allclose(found, x.float(), atol=1e-4)


def test_heunpp2_weighs_its_slopes_by_the_first_sigma_and_ends_where_the_list_does():
    """4.2: w₂ = t/(3σ₀), w₃ = v/(3σ₀); then w₂ = t/(2σ₀); the step to the last entry, whatever it is, is Euler's."""
    found, asked = walked("heunpp2", [4.0, 2.0, 1.0, 0.5])

    def slope(x, sigma):
        return (x - guess(x, sigma)) / sigma

    x = 4.0 * START.double()
    d = slope(x, 4.0)
    two = x - 2.0 * d
    d2 = slope(two, 2.0)
    d3 = slope(two - d2, 1.0)
    w2, w3 = 2 / 12, 1 / 12
    x = x - 2.0 * ((1 - w2 - w3) * d + w2 * d2 + w3 * d3)
    d = slope(x, 2.0)
    d2 = slope(x - d, 1.0)
    x = x - (1 - 1 / 8) * d - 1 / 8 * d2
    x = x - 0.5 * slope(x, 1.0)
    assert asked == 6  # 3 + 2 + 1
    assert torch.allclose(found, x.float(), atol=1e-4)


def test_ancestral_noise_is_drawn_for_the_whole_batch_whatever_its_numbers():
    """3.3: batch_index chooses the initial noise only."""
    latent, sigmas = torch.zeros(2, 4, 8, 8), [4.0, 2.0]
    x, _ = walked("euler_ancestral", sigmas, latent=latent, batch_index=(3, 1))
    generator = run_generator(42)
    draws = [torch.randn((1, 4, 8, 8), generator=generator) for _ in range(4)]
    start = 4.0 * torch.cat([draws[3], draws[1]])
    down = 2.0**2 / 4.0  # η = 1: σ_d = t²/s, σ_u = √(t² − σ_d²)
    fresh = torch.randn((2, 4, 8, 8), generator=run_generator(42))
    expected = start + (start - guess(start, 4.0)) / 4.0 * (down - 4.0) + fresh * math.sqrt(4.0 - down**2)
    assert torch.allclose(x, expected, atol=1e-5)
