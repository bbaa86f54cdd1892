"""Deterministic samplers that combine the last few evaluations (numerics.md, 4.3)."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.diffusion.solvers.steps import Evaluate, Steps, intervals


def dpmpp_2m(x: Tensor, sigmas: Tensor) -> Steps:
    """DPM-Solver++ (2M): Lu et al. (arXiv:2211.01095), Algorithm 2."""
    before: Tensor | None = None
    h_last = torch.zeros(())
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        h = sigma.log() - sigma_next.log()  # infinite where sigma_next is 0
        guess = denoised
        if before is not None and sigma_next > 0:
            r = h_last / h
            guess = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * before
        x = (sigma_next / sigma) * x - (-h).expm1() * guess
        before, h_last = denoised, h
    return x


def dpmpp_2m_cfg_pp(x: Tensor, sigmas: Tensor) -> Steps:
    """DPM-Solver++ (2M) with CFG++. The history holds unconditional guesses."""
    before: Tensor | None = None
    h_last = torch.zeros(())
    for sigma, sigma_next in intervals(sigmas):
        denoised, uncond = yield Evaluate(x, sigma)
        h = sigma.log() - sigma_next.log()
        decay = sigma_next / sigma
        x_next = denoised + decay * (x - uncond)
        if before is not None and sigma_next > 0:
            r = h_last / h
            x_next = x_next + (1 - decay) * (1 / (2 * r)) * (denoised - before)
        x, before, h_last = x_next, uncond, h
    return x


ADAMS_BASHFORTH = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


def _slope_multistep(
    weights: Callable[[Tensor, int, int], Sequence[float | Tensor]], order: int
) -> Callable[..., Steps]:
    """A sampler that adds weighted slopes of the last steps. weights(sigmas, index, count): newest slope first."""

    def run(x: Tensor, sigmas: Tensor) -> Steps:
        slopes: list[Tensor] = []
        for index, (sigma, sigma_next) in enumerate(intervals(sigmas)):
            denoised = (yield Evaluate(x, sigma)).denoised
            if sigma_next <= 0:
                return denoised
            slopes = [(x - denoised) / sigma, *slopes][:order]
            for weight, slope in zip(weights(sigmas, index, len(slopes)), slopes, strict=True):
                x = x + weight * slope
        return x

    return run


def _ipndm_weights(sigmas: Tensor, index: int, count: int) -> list[Tensor]:
    step = sigmas[index + 1] - sigmas[index]
    return [step * weight for weight in ADAMS_BASHFORTH[count - 1]]


def _ipndm_v_weights(sigmas: Tensor, index: int, count: int) -> list[Tensor]:
    """Variable-step weights as the reference computes them; its A is not the textbook's (numerics.md, 4.3)."""
    h = [sigmas[index + 1 - back] - sigmas[index - back] for back in range(count)]
    h0 = h[0]
    if count == 1:
        return [h0]
    h1 = h[1]
    half = h0 / (2 * h1)
    if count == 2:
        return [h0 * (1 + half), h0 * -half]
    h2 = h[2]
    a = (1 - h0 / (3 * (h0 + h1)) * (h0 * (h0 + h1)) / (h1 * (h1 + h2))) / 2
    if count == 3:
        return [h0 * (1 + half + a), h0 * (-half - (1 + h1 / h2) * a), h0 * (a * h1 / h2)]
    h3 = h[3]
    b = (1 - h0 / (3 * (h0 + h1))) / 2 + (1 - h0 / (2 * (h0 + h1))) * h0 / (6 * (h0 + h1 + h2))
    b = b * h0 * (h0 + h1) * (h0 + h1 + h2) / (h1 * (h1 + h2) * (h1 + h2 + h3))
    q = h1 * (h1 + h2) / (h2 * (h2 + h3))
    return [
        h0 * (1 + half + a + b),
        h0 * (-half - (1 + h1 / h2) * a - (1 + h1 / h2 + q) * b),
        h0 * (a * h1 / h2 + (h1 / h2 + q * (1 + h2 / h3)) * b),
        h0 * (-b * q * h1 / h2),
    ]


# DEIS maps sigma to a time of the variance-preserving process with these ends: arXiv:2204.13902
DEIS_SIGMA_MIN, DEIS_SIGMA_MAX, DEIS_EPS, DEIS_POINTS = 0.002, 80.0, 1e-3, 10_000


def _deis_weights(sigmas: Tensor, index: int, count: int) -> list[Tensor]:
    """Weights of kind "tab": a Riemann sum over 10,000 points, whose coarseness is part of the reference's result."""
    low, high = math.log(DEIS_SIGMA_MIN**2 + 1), math.log(DEIS_SIGMA_MAX**2 + 1)
    beta_d = 2 * (low / DEIS_EPS - high) / (DEIS_EPS - 1)
    beta_min = high - beta_d / 2
    beta_max = beta_min + beta_d
    times = ((beta_min**2 + 2 * beta_d * (sigmas**2 + 1).log()).sqrt() - beta_min) / beta_d
    now, after = times[index], times[index + 1]
    if count == 1:
        return [sigmas[index + 1] - sigmas[index]]
    nodes = [times[index - back] for back in range(count)]
    tau = torch.linspace(float(now), float(after), DEIS_POINTS)
    alpha = (-0.5 * tau**2 * (beta_max - beta_min) - tau * beta_min).exp()
    integrand = 0.5 * (tau * (beta_max - beta_min) + beta_min) / (alpha * (1 - alpha)).sqrt()
    weights = []
    for j, node in enumerate(nodes):
        basis = torch.ones_like(tau)
        for k, other in enumerate(nodes):
            if k != j:
                basis = basis * (tau - other) / (node - other)
        weights.append((integrand * basis).sum() * (after - now) / DEIS_POINTS)
    return weights


def ipndm(x: Tensor, sigmas: Tensor) -> Steps:
    """Improved PNDM: Adams-Bashforth of order 4 with constant weights (arXiv:2202.09778, 2204.13902)."""
    return _slope_multistep(_ipndm_weights, 4)(x, sigmas)


def ipndm_v(x: Tensor, sigmas: Tensor) -> Steps:
    """The same with weights for unequal steps."""
    return _slope_multistep(_ipndm_v_weights, 4)(x, sigmas)


def deis(x: Tensor, sigmas: Tensor) -> Steps:
    """DEIS, "tab" of order 3: Zhang and Chen (arXiv:2204.13902)."""
    return _slope_multistep(_deis_weights, 3)(x, sigmas)
