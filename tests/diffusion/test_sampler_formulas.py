"""Rules of samplers, step by step in float64: numerics.md, 4.1 to 4.5.

The vectors of appendix A are made with eta and s_noise 1, so they cannot tell where the two belong. Here the rules are
written out as the page has it, in λ = -ln σ, for a guess D and an unconditional guess U that depend on x and σ.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from engine.diffusion.samplers import SAMPLERS
from engine.diffusion.solvers import multistep
from engine.diffusion.solvers.multistep import _deis_weights
from engine.diffusion.solvers.steps import Guess

SIGMAS = [6.0, 3.1, 1.3, 0.45, 0.0]
START = np.random.default_rng(5).normal(size=7) * 6.0
DRAWS = np.random.default_rng(6).normal(size=(16, 7))
ETA, S_NOISE = 0.6, 0.45


def guess(x, sigma):
    return 0.8 * np.tanh(x / 3) + 0.1 * math.sqrt(sigma)


def unconditional(x, sigma):
    return 0.5 * np.tanh(x / 2) - 0.2


class Draws:
    """The noise of a run: the same numbers in the same order, and for which intervals they were asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, a, b):
        self.asked.append((float(a), float(b)))
        return torch.from_numpy(DRAWS[len(self.asked) - 1])


def run(name, **options):
    """What a sampler makes of it, and the intervals it asked noise for."""
    noise, row = Draws(), SAMPLERS[name]
    given = (torch.from_numpy(START), torch.tensor(SIGMAS, dtype=torch.float64))
    steps = row.function(*given, **options) if row.noise == "none" else row.function(*given, noise, **options)
    question = next(steps)
    try:
        while True:
            x, sigma = question.x.numpy(), float(question.sigma)
            question = steps.send(Guess(torch.from_numpy(guess(x, sigma)), torch.from_numpy(unconditional(x, sigma))))
    except StopIteration as end:
        return end.value.numpy(), noise.asked


def split(s, t, eta):
    """A(s,t,η): σ_u = min(t, η·√(t²(s²-t²)/s²)), σ_d = √(t²-σ_u²)."""
    up = min(t, eta * math.sqrt(t**2 * (s**2 - t**2) / s**2))
    return math.sqrt(t**2 - up**2), up


def middle(s, t, r):
    """exp(-(λ(s) + r·h)), h = λ(t) - λ(s)."""
    return math.exp(math.log(s) - r * math.log(s / t))


def steps_of(rule):
    """A rule for one step, x ← rule(x, s, t, draw, history), until σ = 0, where x ← D."""

    def whole(eta, s_noise):
        x, asked, history = START, [], []
        for s, t in pairwise(SIGMAS):
            def draw(a, b):
                asked.append((a, b))
                return s_noise * DRAWS[len(asked) - 1]

            d = guess(x, s)
            x = rule(x, s, t, d, draw, eta, history) if t > 0 else d
            history.insert(0, (d, s, t))
        return x, asked

    return whole


def euler_ancestral(x, s, t, d, draw, eta, _):
    down, up = split(s, t, eta)
    return x + (x - d) / s * (down - s) + draw(s, t) * up


def euler_ancestral_cfg_pp(x, s, t, d, draw, eta, _):
    down, up = split(s, t, eta)
    return d + down * (x - unconditional(x, s)) / s + draw(s, t) * up


def dpm_2_ancestral(x, s, t, d, draw, eta, _):
    down, up = split(s, t, eta)
    m = math.sqrt(s * down)
    two = x + (x - d) / s * (m - s)
    return x + (two - guess(two, m)) / m * (down - s) + draw(s, t) * up


def dpmpp_2s_ancestral(x, s, t, d, draw, eta, _):
    down, up = split(s, t, eta)
    m = math.sqrt(s * down)
    two = m / s * x + (1 - m / s) * d
    return down / s * x + (1 - down / s) * guess(two, m) + draw(s, t) * up


def dpmpp_2s_ancestral_cfg_pp(x, s, t, d, draw, eta, _):
    """The second formula has the new U₂ with the old D (4.2, [V])."""
    down, up = split(s, t, eta)
    m = math.sqrt(s * down)
    two = m / s * (x + d - unconditional(x, s)) + (1 - m / s) * d
    return down / s * (x + d - unconditional(two, m)) + (1 - down / s) * guess(two, m) + draw(s, t) * up


def dpmpp_sde(x, s, t, d, draw, eta, _):
    """r = ½, so f = 1/(2r) = 1: both noises start at s."""
    m = middle(s, t, 0.5)
    a, b = split(s, m, eta)
    two = a / s * x + (1 - a / s) * d + draw(s, m) * b
    a, b = split(s, t, eta)
    return a / s * x + (1 - a / s) * guess(two, m) + draw(s, t) * b


def seeds_2(x, s, t, d, draw, eta, _):
    h, r = math.log(s / t), 0.5
    wide, m = h * (1 + eta), middle(s, t, r)
    z1 = math.sqrt(1 - math.exp(-2 * r * h * eta)) * draw(s, m)
    two = m / s * math.exp(-r * h * eta) * x - math.expm1(-r * wide) * d + m * z1
    better = d + (guess(two, m) - d) / (2 * r)
    z2 = z1 * math.exp((r - 1) * h * eta) + math.sqrt(1 - math.exp(2 * (r - 1) * h * eta)) * draw(m, t)
    return t / s * math.exp(-h * eta) * x - math.expm1(-wide) * better + t * z2


def seeds_3(x, s, t, d, draw, eta, _):
    h, r1, r2 = math.log(s / t), 1 / 3, 2 / 3
    wide, s1, s2 = h * (1 + eta), middle(s, t, r1), middle(s, t, r2)

    def phi(z):
        return (math.expm1(z) - z) / z

    z1 = math.sqrt(1 - math.exp(-2 * r1 * h * eta)) * draw(s, s1)
    d2 = guess(s1 / s * math.exp(-r1 * h * eta) * x - math.expm1(-r1 * wide) * d + s1 * z1, s1)
    a2 = r2 / r1 * phi(-r2 * wide)
    a1 = math.expm1(-r2 * wide) - a2
    z2 = z1 * math.exp((r1 - r2) * h * eta) + math.sqrt(1 - math.exp(2 * (r1 - r2) * h * eta)) * draw(s1, s2)
    d3 = guess(s2 / s * math.exp(-r2 * h * eta) * x - (a1 * d + a2 * d2) + s2 * z2, s2)
    b3 = phi(-wide) / r2
    b1 = math.expm1(-wide) - b3
    z3 = z2 * math.exp((r2 - 1) * h * eta) + math.sqrt(1 - math.exp(2 * (r2 - 1) * h * eta)) * draw(s2, t)
    return t / s * math.exp(-h * eta) * x - (b1 * d + b3 * d3) + t * z3


def first_line(x, s, t, d, eta):
    h = math.log(s / t)
    return t / s * math.exp(-h * eta) * x + (1 - math.exp(-h * (1 + eta))) * d


def fresh(s, t, draw, eta):
    return draw(s, t) * t * math.sqrt(1 - math.exp(-2 * math.log(s / t) * eta))


def dpmpp_2m_sde(heun):
    def rule(x, s, t, d, draw, eta, history):
        new, h = first_line(x, s, t, d, eta), math.log(s / t)
        if history:
            d_before, s_before, t_before = history[0]
            wide, r = h * (1 + eta), math.log(s_before / t_before) / h
            share = 1 - (1 - math.exp(-wide)) / wide if heun else 0.5 * (1 - math.exp(-wide))
            new = new + share * (d - d_before) / r
        return new + fresh(s, t, draw, eta)

    return rule


def dpmpp_3m_sde(x, s, t, d, draw, eta, history):
    new, h = first_line(x, s, t, d, eta), math.log(s / t)
    wide = h * (1 + eta)
    phi2 = (math.exp(-wide) - 1) / wide + 1
    phi3 = phi2 / wide - 0.5
    rs = [math.log(s_before / t_before) / h for _, s_before, t_before in history]
    if len(history) == 1:
        new = new + phi2 * (d - history[0][0]) / rs[0]
    elif history:
        g0, g1 = (d - history[0][0]) / rs[0], (history[0][0] - history[1][0]) / rs[1]
        new = new + phi2 * (g0 + (g0 - g1) * rs[0] / (rs[0] + rs[1])) - phi3 * (g0 - g1) / (rs[0] + rs[1])
    return new + fresh(s, t, draw, eta)


# -- rules without noise of their own, and those without options ----------------------------------------------------


def heun(x, s, t, d, draw, eta, _):
    slope = (x - d) / s
    two = x + slope * (t - s)
    return x + (slope + (two - guess(two, t)) / t) / 2 * (t - s)


def dpm_2(x, s, t, d, draw, eta, _):
    m = math.sqrt(s * t)
    two = x + (x - d) / s * (m - s)
    return x + (two - guess(two, m)) / m * (t - s)


def ddpm(x, s, t, d, draw, eta, _):
    """As the page says it is computed: x' = x/√(1+s²), ε = (x−D)/s, posterior mean and noise, and back."""
    now, then = 1 / (1 + s**2), 1 / (1 + t**2)
    a = now / then
    mean = (x * math.sqrt(now) - (1 - a) * ((x - d) / s) / math.sqrt(1 - now)) / math.sqrt(a)
    return (mean + math.sqrt((1 - a) * (1 - then) / (1 - now)) * draw(s, t)) / math.sqrt(then)


def dpmpp_2m(x, s, t, d, draw, eta, history):
    better = d
    if history:
        d_before, s_before, t_before = history[0]
        r = math.log(s_before / t_before) / math.log(s / t)
        better = (1 + 1 / (2 * r)) * d - d_before / (2 * r)
    return t / s * x + (1 - t / s) * better


def adams_bashforth(x, s, t, slopes):
    """Newest slope first: 1; (3,−1)/2; (23,−16,5)/12; (55,−59,37,−9)/24."""
    weights = {1: [1], 2: [3 / 2, -1 / 2], 3: [23 / 12, -16 / 12, 5 / 12], 4: [55 / 24, -59 / 24, 37 / 24, -9 / 24]}
    return x + (t - s) * sum(w * slope for w, slope in zip(weights[len(slopes)], slopes, strict=True))


def lagrange(x, s, t, slopes):
    """lms: each slope times ∫ ℓ_j du from s to t, over the levels that the slopes are of."""
    levels = SIGMAS[: SIGMAS.index(t)][::-1][: len(slopes)]
    for j, slope in enumerate(slopes):
        basis = np.poly1d([1.0])
        for k, level in enumerate(levels):
            if k != j:
                basis *= np.poly1d([1.0, -level]) / (levels[j] - level)
        whole = basis.integ()
        x = x + (whole(t) - whole(s)) * slope
    return x


def with_slopes(rule):
    def whole(x, s, t, d, draw, eta, history):
        slopes = [slope for _, _, _, slope in history]
        return rule(x, s, t, [(x - d) / s, *slopes][:4])

    return whole


def gradient(x, s, t, slopes):
    """γ = 2."""
    x = x + slopes[0] * (t - s)
    return x + (slopes[0] - slopes[1]) * (t - s) if len(slopes) > 1 else x


PLAIN = {
    "euler": lambda x, s, t, d, draw, eta, _: x + (x - d) / s * (t - s),
    "ddim": lambda x, s, t, d, draw, eta, _: x + (x - d) / s * (t - s),
    "euler_cfg_pp": lambda x, s, t, d, draw, eta, _: d + t * (x - unconditional(x, s)) / s,
    "lcm": lambda x, s, t, d, draw, eta, _: d + t * draw(s, t),
    "ddpm": ddpm, "heun": heun, "dpm_2": dpm_2, "dpmpp_2m": dpmpp_2m, "ipndm": with_slopes(adams_bashforth),
    "lms": with_slopes(lagrange), "gradient_estimation": with_slopes(gradient),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_sampler_without_options_follows_its_rule(name):
    """numerics.md, 4.1 to 4.3."""
    x, asked, history = START, [], []
    for s, t in pairwise(SIGMAS):

        def draw(a, b):
            asked.append((a, b))
            return DRAWS[len(asked) - 1]

        d = guess(x, s)
        slope = (x - d) / s
        plain = [entry[:3] for entry in history] if name == "dpmpp_2m" else history
        x, history = PLAIN[name](x, s, t, d, draw, 1.0, plain) if t > 0 else d, [(d, s, t, slope), *history]
    found, intervals = run(name)
    np.testing.assert_allclose(found, x, rtol=1e-6 if name == "lms" else 1e-10)  # lms integrates numerically
    assert len(intervals) == len(asked)


RULES = {
    "euler_ancestral": euler_ancestral, "euler_ancestral_cfg_pp": euler_ancestral_cfg_pp,
    "dpm_2_ancestral": dpm_2_ancestral, "dpmpp_2s_ancestral": dpmpp_2s_ancestral,
    "dpmpp_2s_ancestral_cfg_pp": dpmpp_2s_ancestral_cfg_pp, "dpmpp_sde": dpmpp_sde, "seeds_2": seeds_2,
    "seeds_3": seeds_3, "dpmpp_2m_sde": dpmpp_2m_sde(False), "dpmpp_2m_sde_heun": dpmpp_2m_sde(True),
    "dpmpp_3m_sde": dpmpp_3m_sde,
}  # fmt: skip


@pytest.mark.parametrize(("eta", "s_noise"), [(1.0, 1.0), (ETA, 1.0), (1.0, S_NOISE), (ETA, S_NOISE)])
@pytest.mark.parametrize("name", RULES)
def test_a_sampler_follows_its_rule(name, eta, s_noise):
    """numerics.md, 4.1, 4.2 and 4.4; noise is asked for the intervals N(a,b) that are named there, in their order."""
    found, asked = run(name, eta=eta, s_noise=s_noise)
    wanted, intervals = steps_of(RULES[name])(eta, s_noise)
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    np.testing.assert_allclose(asked, intervals, rtol=1e-10)


def test_er_sde_follows_its_rule():
    """numerics.md, 4.5: κ(v) = v·(e^{v^0.3} + 10), sums over 200 points, noise s_noise·√(t² - s²r²)."""

    def kappa(v):
        return v * (np.exp(v**0.3) + 10)

    x, before, slopes = START, [], []
    for i, (s, t) in enumerate(pairwise(SIGMAS)):
        d = guess(x, s)
        if t == 0:
            x = d
            break
        r, delta = kappa(t) / kappa(s), t - s
        x = r * x + (1 - r) * d
        step = -delta / 200
        u = t + np.arange(200) * step
        if i >= 1:
            slope = (d - before[-1]) / (s - SIGMAS[i - 1])
            x = x + (delta + step * (1 / kappa(u)).sum() * kappa(t)) * slope
            if i >= 2:
                bend = (slope - slopes[-1]) / ((s - SIGMAS[i - 2]) / 2)
                x = x + (delta**2 / 2 + step * ((u - s) / kappa(u)).sum() * kappa(t)) * bend
            slopes.append(slope)
        x = x + DRAWS[i] * S_NOISE * math.sqrt(t**2 - s**2 * r**2)
        before.append(d)
    found, _ = run("er_sde", s_noise=S_NOISE)
    np.testing.assert_allclose(found, x, rtol=1e-5)  # the points are summed in float32


@pytest.mark.parametrize("index", [2, 4, 6])
def test_deis_sums_over_ten_thousand_points(index):
    """numerics.md, 4.3: C_j = Σ_{q=0}^{9999} w(τ_q)·ℓ_j(τ_q)·(τ_next - τ_cur)/10000, both ends included."""
    sigmas = torch.tensor([14.6146, 8.0, 4.0, 2.0, 1.0, 0.4, 0.1, 0.0292])
    low, high, eps = math.log(0.002**2 + 1), math.log(80.0**2 + 1), 1e-3
    beta_d = 2 * (low / eps - high) / (eps - 1)
    beta_m = high - beta_d / 2
    tau = (np.sqrt(beta_m**2 + 2 * beta_d * np.log(sigmas.double().numpy() ** 2 + 1)) - beta_m) / beta_d
    q = np.linspace(tau[index], tau[index + 1], 10_000)
    a = np.exp(-0.5 * q**2 * beta_d - q * beta_m)
    w = 0.5 * (q * beta_d + beta_m) / np.sqrt(a * (1 - a))
    nodes = tau[[index, index - 1, index - 2]]
    wanted = []
    for j in range(3):
        others = [node for k, node in enumerate(nodes) if k != j]
        basis = (q - others[0]) * (q - others[1]) / ((nodes[j] - others[0]) * (nodes[j] - others[1]))
        wanted.append((w * basis).sum() * (tau[index + 1] - tau[index]) / 10_000)
    found = torch.stack(_deis_weights(sigmas, index, 3)).double().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4)  # near the end of the way float32 has 3e-5


def test_the_ends_of_deiss_time():
    """numerics.md, 4.3: σ_a = 0.002, σ_b = 80, ε = 1e-3, 10,000 points. That σ_b is 80 and not 81 changes weights by
    less than 1e-6, so that no result could tell."""
    assert (multistep.DEIS_SIGMA_MIN, multistep.DEIS_SIGMA_MAX) == (0.002, 80.0)
    assert (multistep.DEIS_EPS, multistep.DEIS_POINTS) == (1e-3, 10_000)
