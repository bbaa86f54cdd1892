"""Samplers that evaluate the model once a step and look back at most one (numerics.md, 4.1)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.noise import Noise
from engine.diffusion.resize import common_upscale
from engine.diffusion.solvers.steps import Evaluate, Steps, ancestral_split, intervals


def euler(x: Tensor, sigmas: Tensor) -> Steps:
    """Euler steps: Karras et al. (2022), Algorithm 2, without churn."""
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        x = x + (x - denoised) / sigma * (sigma_next - sigma)
    return x


def euler_cfg_pp(x: Tensor, sigmas: Tensor) -> Steps:
    """Euler with CFG++ (arXiv:2406.08070): the noise put back is the unconditional one."""
    for sigma, sigma_next in intervals(sigmas):
        denoised, uncond = yield Evaluate(x, sigma)
        x = denoised + sigma_next * (x - uncond) / sigma
    return x


def euler_cfg_pp_alternative(x: Tensor, sigmas: Tensor) -> Steps:
    """The other form of it (numerics.md, 4.9): the slope is that of the unconditional guess, less the guidance."""
    for sigma, sigma_next in intervals(sigmas):
        denoised, uncond = yield Evaluate(x, sigma)
        x = x + (sigma_next - sigma) * (x - denoised + uncond - denoised) / sigma
    return x


def euler_ancestral(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """Euler to below the next noise level, then fresh noise up to it: k-diffusion."""
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        if sigma_down == 0:
            x = denoised
        else:
            x = x + (x - denoised) / sigma * (sigma_down - sigma) + noise(sigma, sigma_next) * s_noise * sigma_up
    return x


def euler_ancestral_cfg_pp(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """Ancestral Euler with CFG++."""
    for sigma, sigma_next in intervals(sigmas):
        denoised, uncond = yield Evaluate(x, sigma)
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        x_next = denoised
        if sigma_next > 0:
            x_next = denoised + sigma_down * (x - uncond) / sigma
            if eta > 0 and s_noise > 0:
                x_next = x_next + noise(sigma, sigma_next) * s_noise * sigma_up
        x = x_next
    return x


def ddpm(x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """The posterior of Ho et al. (arXiv:2006.11239), written for x = z + sigma·noise."""
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            x = denoised
        else:
            kept = (sigma_next / sigma) ** 2
            spread = sigma_next * ((sigma**2 - sigma_next**2) / sigma**2) ** 0.5
            x = kept * x + (1 - kept) * denoised + noise(sigma, sigma_next) * spread
    return x


def lcm(x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """Latent consistency sampling (arXiv:2310.04378): jump to the guess, add noise again."""
    for sigma, sigma_next in intervals(sigmas):
        x = (yield Evaluate(x, sigma)).denoised
        if sigma_next > 0:
            x = x + sigma_next * noise(sigma, sigma_next)
    return x


def lcm_upscale(
    x: Tensor, sigmas: Tensor, noise: Callable[[Tensor], Tensor], scale_ratio: float = 1.0, scale_steps: int = -1,
    upscale_method: str = "bislerp",
) -> Steps:
    """Latent consistency sampling that enlarges its guess on the way (numerics.md, 4.9).

    The first guesses are resized evenly up to scale_ratio: over scale_steps steps, or half of them at -1. noise: like
    what it is given. Raises ValueError where a side would be nothing.
    """
    entries = len(sigmas)
    count = max(entries // 2 + 1, 2) if scale_steps == -1 else min(scale_steps + 1, entries + 1)
    scales = torch.linspace(1.0, scale_ratio, count)[1:].tolist()
    height, width = x.shape[-2:]
    for index, (sigma, sigma_next) in enumerate(intervals(sigmas)):
        x = (yield Evaluate(x, sigma)).denoised
        if index < len(scales):
            x = common_upscale(x, round(width * scales[index]), round(height * scales[index]), upscale_method)
        if sigma_next > 0:
            x = x + sigma_next * noise(x)
    return x


def gradient_estimation(x: Tensor, sigmas: Tensor, gamma: float = 2.0) -> Steps:
    """Euler plus a correction from the last slope: Permenter and Yuan (arXiv:2306.04848)."""
    before: Tensor | None = None
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            return denoised
        slope, step = (x - denoised) / sigma, sigma_next - sigma
        x = x + slope * step
        if before is not None:
            x = x + (gamma - 1) * (slope - before) * step
        before = slope
    return x


def gradient_estimation_cfg_pp(x: Tensor, sigmas: Tensor, gamma: float = 2.0) -> Steps:
    """The same with CFG++."""
    before: Tensor | None = None
    for sigma, sigma_next in intervals(sigmas):
        denoised, uncond = yield Evaluate(x, sigma)
        if sigma_next == 0:
            return denoised
        slope, step = (x - uncond) / sigma, sigma_next - sigma
        x = denoised + slope * sigma_next
        if before is not None:
            x = x + (gamma - 1) * (slope - before) * step
        before = slope
    return x


def plms(x: Tensor, sigmas: Tensor) -> Steps:
    """Pseudo linear multistep (PNDM, arXiv:2202.09778), as the original scripts run it (numerics.md, 4.10).

    A DDIM step without noise takes y = √ᾱ·x from one ᾱ to the next; for x itself that is x + (t - s)·ε. The first step
    asks twice; later ones combine the last four noise predictions with Adams-Bashforth weights.
    """
    past: list[Tensor] = []
    last = len(sigmas) - 2
    for index, (sigma, sigma_next) in enumerate(intervals(sigmas)):
        eps = (x - (yield Evaluate(x, sigma)).denoised) / sigma
        if not past:
            ahead = sigma if index == last else sigma_next  # "the next timestep" of the last step is itself
            provisional = x + (sigma_next - sigma) * eps
            if ahead == 0:
                raise AssertionError("plms cannot evaluate at sigma 0")
            combined = (eps + (provisional - (yield Evaluate(provisional, ahead)).denoised) / ahead) / 2
        elif len(past) == 1:
            combined = (3 * eps - past[-1]) / 2
        elif len(past) == 2:
            combined = (23 * eps - 16 * past[-1] + 5 * past[-2]) / 12
        else:
            combined = (55 * eps - 59 * past[-1] + 37 * past[-2] - 9 * past[-3]) / 24
        past = [*past[-2:], eps]
        x = x + (sigma_next - sigma) * combined
    return x


def ddim_original(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 0.0) -> Steps:
    """DDIM (arXiv:2010.02502, equations 12 and 16) as the original scripts run it: noise is drawn at every step.

    eta: 0 is deterministic, 1 adds as much noise as DDPM. In x = y/√ᾱ the step's noise σ_η/√ᾱ' is the one that
    ancestral samplers add: η·(σ'/σ)·√(σ² - σ'²).
    """
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta is {eta}; DDIM's is 0 (no noise) to 1")
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        drawn = noise(sigma, sigma_next)  # at eta 0 too
        down, up = ancestral_split(sigma, sigma_next, eta)
        x = denoised + (x - denoised) / sigma * down + drawn * up
    return x


def lms(x: Tensor, sigmas: Tensor, order: int = 4) -> Steps:
    """Linear multistep with exact coefficients: the integral of the Lagrange basis over the step (k-diffusion)."""
    slopes: list[Tensor] = []
    for index, (sigma, sigma_next) in enumerate(intervals(sigmas)):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            return denoised
        slopes = [(x - denoised) / sigma, *slopes][:order]
        nodes = [float(sigmas[index - back]) for back in range(len(slopes))]
        weights = lagrange_integrals(nodes, float(sigma), float(sigma_next))
        x = x + torch.stack([weight * slope for weight, slope in zip(weights, slopes, strict=True)]).sum(dim=0)
    return x


def lagrange_integrals(nodes: list[float], start: float, end: float) -> list[float]:
    """The integrals from start to end of the Lagrange basis polynomials on the nodes, by Gauss-Legendre (exact)."""
    points, shares = np.polynomial.legendre.leggauss(max(3, (len(nodes) + 1) // 2))  # n are exact up to degree 2n - 1
    half, middle = (end - start) / 2, (end + start) / 2
    integrals = []
    for j, node in enumerate(nodes):
        total = 0.0
        for point, share in zip(points.tolist(), shares.tolist(), strict=True):
            u, product = middle + half * point, 1.0
            for k, other in enumerate(nodes):
                if k != j:
                    product *= (u - other) / (node - other)
            total += share * product
        integrals.append(half * total)
    return integrals
