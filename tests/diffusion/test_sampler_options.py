"""What samplers can be given besides (numerics.md, 4.5, 4.6, 4.8, 4.9), on the synthetic model of appendix A."""

import math

import pytest
import torch

from engine.diffusion.guidance import Condition
from engine.diffusion.noise import run_generator
from engine.diffusion.resize import common_upscale
from engine.diffusion.samplers import SAMPLER_NAMES, SAMPLERS, SamplerError
from engine.diffusion.sampling import sample
from engine.diffusion.schedules import discrete
from engine.diffusion.solvers.predictor_corrector import _simple_corrector, _simple_predictor
from engine.diffusion.solvers.single_call import lagrange_integrals
from tests.diffusion.synthetic import NEGATIVE, POSITIVE, SD1, Synthetic, synthetic_run

K = SD1.vae.scale_factor


def run(sampler, network=None, sigmas=None, **options):
    changes = {"sampler_options": options} | ({"sigmas": sigmas} if sigmas is not None else {})
    return sample(synthetic_run(sampler, **changes), network or Synthetic()).samples * K


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("euler_ancestral", {"eta": 1.0, "s_noise": 1.0}),
        ("euler_ancestral_cfg_pp", {"eta": 1.0, "s_noise": 1.0}),
        ("lms", {"order": 4}),
        ("dpmpp_3m_sde_gpu", {"eta": 1.0, "s_noise": 1.0}),
        ("dpmpp_2m_sde_heun", {"eta": 1.0, "s_noise": 1.0}),
        ("dpmpp_sde", {"eta": 1.0, "s_noise": 1.0, "r": 0.5}),
        ("dpmpp_2s_ancestral", {"eta": 1.0, "s_noise": 1.0}),
        ("dpm_adaptive", {"order": 3, "rtol": 0.05, "atol": 0.0078, "h_init": 0.05, "pcoeff": 0.0, "icoeff": 1.0,
                          "dcoeff": 0.0, "accept_safety": 0.81, "eta": 0.0, "s_noise": 1.0}),
        ("er_sde", {"max_stage": 3, "s_noise": 1.0}),
        ("sa_solver", {"eta": 1.0, "sde_start_percent": 0.2, "sde_end_percent": 0.8, "s_noise": 1.0,
                       "predictor_order": 3, "corrector_order": 4, "use_pece": False, "simple_order_2": False}),
    ],
)  # fmt: skip
def test_the_nodes_defaults_are_the_plain_sampler(name, options):
    assert torch.equal(run(name, **options), run(name))


def test_an_option_that_a_sampler_does_not_have_is_refused_by_name():
    with pytest.raises(SamplerError, match="'euler' has no option 'eta'; it has none"):
        run("euler", eta=0.0)


@pytest.mark.parametrize("name", ["euler_ancestral", "dpmpp_2s_ancestral", "dpm_2_ancestral"])
def test_without_eta_an_ancestral_sampler_is_its_ordinary_one(name):
    twins = {"euler_ancestral": "euler", "dpm_2_ancestral": "dpm_2"}
    found = run(name, eta=0.0)
    assert torch.equal(found, run(name, eta=0.0, s_noise=7.0)), "no noise is used"
    if name in twins:
        assert torch.allclose(found, run(twins[name]), atol=1e-4)


def test_s_noise_0_leaves_the_noise_out():
    sigmas = torch.tensor([4.0, 2.0, 0.0])
    x = run("euler_ancestral", sigmas=sigmas, s_noise=0.0)
    start = 4.0 * torch.randn((1, 4, 8, 8), generator=run_generator(42))
    down = 2.0**2 / 4.0  # 4: σ_d = t²/s at η = 1
    first = guess(start, 4.0)
    assert torch.allclose(x, guess(start + (start - first) / 4.0 * (down - 4.0), 2.0), atol=1e-4)


def guess(x, sigma, cfg=3.0):
    """Appendix A's model with guidance."""
    u = torch.tanh(x / (1 + sigma**2) ** 0.5)
    positive, negative = 0.8 * u, 0.5 * u + 0.1
    return negative + cfg * (positive - negative)


def test_er_sde_of_the_first_stage_and_as_an_ordinary_equation():
    # 4.5 with κ(v) = v: r = t/s, x ← r·x + (1 - r)·D, which is an Euler step
    assert torch.allclose(run("er_sde", power=1.0, max_stage=1, s_noise=0.0), run("euler"), atol=1e-4)
    assert not torch.allclose(run("er_sde", max_stage=1), run("er_sde", max_stage=2), atol=1e-3)
    assert not torch.allclose(run("er_sde", max_stage=2), run("er_sde", max_stage=3), atol=1e-3)
    # the reverse-time equation, κ(v) = v^(η+1) at η = 1: noise √(t² - s²·(t/s)⁴) = σ_u, x ← (t/s)²·x + … = ancestral
    assert torch.allclose(run("er_sde", power=2.0, max_stage=1), run("euler_ancestral"), atol=1e-4)


def test_sa_solver_evaluates_again_after_corrections():
    network = Synthetic()
    assert torch.equal(run("sa_solver", network, use_pece=True), run("sa_solver_pece"))
    assert len(network.sigmas) == 15


def test_sa_solver_of_order_1_without_corrector_and_noise_is_ddim():
    # one node: x ← (t/s)·x + (1 - t/s)·D, an Euler step; without noise where η = 0
    found = run("sa_solver", predictor_order=1, corrector_order=0, eta=0.0)
    assert torch.allclose(found, run("euler"), atol=1e-4)
    everywhere = run("sa_solver", predictor_order=1, corrector_order=0, sde_start_percent=0.0, sde_end_percent=1.0)
    assert not torch.allclose(everywhere, found, atol=1e-2)


def test_the_simple_second_order_sums_to_the_first_moment():
    # 4.6: w = 1 - e^{-μh}; predictor: older node ½μh²/(λ_older - λ_i), newest w - that; corrector: newest ½μh
    h, older, tau = 0.4, -0.3, 1.0
    w = 1 - math.exp(-2 * h)
    assert _simple_predictor(older, h, tau) == pytest.approx([w - h**2 / older, h**2 / older])
    assert _simple_corrector(h, tau) == pytest.approx([h, w - h])
    plain = run("sa_solver", predictor_order=2, corrector_order=2)
    simple = run("sa_solver", predictor_order=2, corrector_order=2, simple_order_2=True)
    assert torch.isfinite(simple).all()
    assert not torch.allclose(plain, simple, atol=1e-3)


def test_a_larger_allowed_error_takes_fewer_steps():
    counts = []
    for rtol in (0.005, 0.05, 0.5):
        network = Synthetic()
        run("dpm_adaptive", network, rtol=rtol)
        counts.append(len(network.sigmas))
    assert counts[0] > counts[1] > counts[2]
    network = Synthetic()
    low = run("dpm_adaptive", network, order=2, rtol=0.005)
    assert len(network.sigmas) % 2 == 0  # two calls a step
    assert torch.allclose(low, run("dpm_adaptive", rtol=0.005), atol=2e-2), "both solve one equation"


def test_the_adaptive_sampler_with_eta_adds_noise():
    found = run("dpm_adaptive", eta=1.0)
    assert torch.isfinite(found).all()
    assert not torch.allclose(found, run("dpm_adaptive", eta=1.0, s_noise=0.5), atol=1e-2)


def test_the_adaptive_sampler_says_when_it_cannot_arrive(monkeypatch):
    monkeypatch.setattr("engine.diffusion.solvers.several_calls.MOST_TRIES", 20)
    with pytest.raises(ValueError, match="did not arrive in 20 steps: rtol 0 and atol 0"):
        run("dpm_adaptive", rtol=0.0, atol=0.0)


def test_the_other_form_of_cfg_pp():
    # 4.9: x ← x + (t - s)·(x - D + U - D)/s
    sigmas = torch.tensor([4.0, 2.0])
    start = 4.0 * torch.randn((1, 4, 8, 8), generator=run_generator(42))
    u = torch.tanh(start / 17**0.5)
    uncond, denoised = 0.5 * u + 0.1, guess(start, 4.0)
    expected = start - 2.0 * (start - denoised + uncond - denoised) / 4.0
    assert torch.allclose(run("euler_cfg_pp_alternative", sigmas=sigmas), expected, atol=1e-5)


def test_samplers_with_nodes_of_their_own_are_not_in_the_menu():
    assert {"lcm_upscale", "euler_cfg_pp_alternative"} <= set(SAMPLERS)
    assert not {"lcm_upscale", "euler_cfg_pp_alternative"} & set(SAMPLER_NAMES)


@pytest.mark.parametrize(("scale_steps", "sizes"), [(-1, [8, 11, 13, 16, 16]), (1, [8, 16, 16, 16, 16])])
def test_consistency_steps_enlarge_the_guess_on_the_way(scale_steps, sizes):
    # 4.9: u = linspace(1, ratio, J)[1:], J = max(L//2 + 1, 2), or min(scale_steps + 1, L + 1); L = 6 here
    seen = []

    class Sized(Synthetic):
        def __call__(self, calls):
            seen.append(calls[0].x.shape[-1])
            return super().__call__(calls)

    found = run("lcm_upscale", Sized(), torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.0]), scale_ratio=2.0,
                scale_steps=scale_steps, upscale_method="bilinear")  # fmt: skip
    assert (seen, tuple(found.shape)) == (sizes, (1, 4, 16, 16))


def test_the_enlarging_samplers_noise_goes_on_from_the_initial_noise():
    # 3.3: lcm-upscale draws from the global generator, which the initial noise has moved
    sigmas = torch.tensor([4.0, 2.0])
    generator = run_generator(42)
    start = 4.0 * torch.randn((1, 4, 8, 8), generator=generator)
    grown = common_upscale(guess(start, 4.0), 16, 16, "bicubic")
    expected = grown + 2.0 * torch.randn(grown.shape, generator=generator)
    found = run("lcm_upscale", sigmas=sigmas, scale_ratio=2.0, scale_steps=1, upscale_method="bicubic")
    assert torch.allclose(found, expected, atol=1e-5)


def test_an_enlarging_run_refuses_a_mask():
    masked = synthetic_run("lcm_upscale", noise_mask=torch.ones(1, 1, 8, 8))
    with pytest.raises(SamplerError, match="cannot keep a part of it"):
        sample(masked, Synthetic())


def test_lagrange_integrals_are_exact_for_any_number_of_nodes():
    nodes = [1.0 - 0.1 * k for k in range(9)]
    weights = lagrange_integrals(nodes, 1.0, 0.5)
    for degree in range(9):  # exact for polynomials below the number of nodes
        expected = (0.5 ** (degree + 1) - 1.0) / (degree + 1)
        assert sum(w * node**degree for w, node in zip(weights, nodes, strict=True)) == pytest.approx(expected)


def test_noise_from_elsewhere_starts_the_run():
    given = torch.full((1, 4, 8, 8), 0.5)
    table = discrete(SD1.schedule)
    one = torch.tensor([table.sigma_max])
    found = sample(synthetic_run("euler", sigmas=one, initial=given), Synthetic()).samples * K
    assert torch.allclose(found, (1 + one**2).sqrt() * 0.5, atol=1e-5)


def test_noise_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"the noise has the shape \(1, 4, 9, 8\) and the latent \(1, 4, 8, 8\)"):
        sample(synthetic_run("euler", initial=torch.zeros(1, 4, 9, 8)), Synthetic())


def test_conditions_reach_the_network_with_their_roles():
    roles = set()

    def network(calls):
        roles.update(call.role for call in calls)
        return [Synthetic.answer(call) for call in calls]

    sample(synthetic_run("euler", steps=1, positive=(Condition(POSITIVE),), negative=(Condition(NEGATIVE),)), network)
    assert roles == {"positive", "negative"}
