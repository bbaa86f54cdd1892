"""Multistep samplers that add noise of their own (numerics.md, 4.3 to 4.5)."""

import torch
from torch import Tensor

from engine.diffusion.noise import Noise
from engine.diffusion.solvers.steps import Evaluate, Steps, ancestral_split, intervals


def dpmpp_2m_sde(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """DPM-Solver++ (2M) for the stochastic equation, midpoint form (k-diffusion)."""
    return _dpmpp_2m_sde(x, sigmas, noise, eta, s_noise, heun=False)


def dpmpp_2m_sde_heun(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """The same, Heun form."""
    return _dpmpp_2m_sde(x, sigmas, noise, eta, s_noise, heun=True)


def _dpmpp_2m_sde(x: Tensor, sigmas: Tensor, noise: Noise, eta: float, s_noise: float, heun: bool) -> Steps:
    before: Tensor | None = None
    h_last = torch.zeros(())
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            x = denoised
        else:
            h = sigma.log() - sigma_next.log()
            h_eta = h * (1 + eta)
            x = (sigma_next / sigma) * (-h * eta).exp() * x - (-h_eta).expm1() * denoised
            if before is not None:
                change = (denoised - before) * h / h_last
                bend = (-h_eta).expm1() / h_eta + 1 if heun else -(-h_eta).expm1() / 2
                x = x + bend * change
            x = x + noise(sigma, sigma_next) * sigma_next * (-(-2 * h * eta).expm1()).sqrt() * s_noise
            h_last = h
        before = denoised
    return x


def dpmpp_3m_sde(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """DPM-Solver++ (3M) for the stochastic equation (k-diffusion)."""
    guesses: list[Tensor] = []  # newest first
    hs: list[Tensor] = []
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            x = denoised
        else:
            h = sigma.log() - sigma_next.log()
            h_eta = h * (1 + eta)
            x = (sigma_next / sigma) * (-h * eta).exp() * x - (-h_eta).expm1() * denoised
            phi_2 = (-h_eta).expm1() / h_eta + 1
            if len(guesses) >= 2:
                r0, r1 = hs[0] / h, hs[1] / h
                g0, g1 = (denoised - guesses[0]) / r0, (guesses[0] - guesses[1]) / r1
                slope, bend = g0 + (g0 - g1) * r0 / (r0 + r1), (g0 - g1) / (r0 + r1)
                x = x + phi_2 * slope - (phi_2 / h_eta - 0.5) * bend
            elif guesses:
                x = x + phi_2 * (denoised - guesses[0]) / (hs[0] / h)
            x = x + noise(sigma, sigma_next) * sigma_next * (-(-2 * h * eta).expm1()).sqrt() * s_noise
            hs = [h, *hs[:1]]
        guesses = [denoised, *guesses[:1]]
    return x


def res_multistep(x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """Refined exponential solver, second order (arXiv:2308.02157). It draws noise at every step and adds none of it."""
    return _res_multistep(x, sigmas, noise, eta=0.0, cfg_pp=False)


def res_multistep_cfg_pp(x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """The same with CFG++."""
    return _res_multistep(x, sigmas, noise, eta=0.0, cfg_pp=True)


def res_multistep_ancestral(x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """The same with ancestral noise."""
    return _res_multistep(x, sigmas, noise, eta=1.0, cfg_pp=False)


def res_multistep_ancestral_cfg_pp(x: Tensor, sigmas: Tensor, noise: Noise) -> Steps:
    """The same with ancestral noise and CFG++."""
    return _res_multistep(x, sigmas, noise, eta=1.0, cfg_pp=True)


def _res_multistep(x: Tensor, sigmas: Tensor, noise: Noise, eta: float, cfg_pp: bool, s_noise: float = 1.0) -> Steps:
    before: Tensor | None = None
    sigma_before = down_before = sigmas[0]
    for sigma, sigma_next in intervals(sigmas):
        denoised, uncond = yield Evaluate(x, sigma)
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        history = uncond if cfg_pp else denoised
        if before is None or sigma_down == 0:
            if cfg_pp:
                x = denoised + sigma_down * (x - uncond) / sigma
            else:
                x = x + (x - denoised) / sigma * (sigma_down - sigma)
        else:
            h = sigma.log() - sigma_down.log()
            c2 = (down_before.log() - sigma_before.log()) / h  # λ(σ before) - λ(down before), over H
            phi_1 = (-h).expm1() / -h
            phi_2 = (phi_1 - 1) / -h
            b1, b2 = torch.nan_to_num(phi_1 - phi_2 / c2), torch.nan_to_num(phi_2 / c2)
            base = x + denoised - uncond if cfg_pp else x
            x = (-h).exp() * base + h * (b1 * history + b2 * before)
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * s_noise * sigma_up
        before, sigma_before, down_before = history, sigma, sigma_down
    return x


ER_SDE_POINTS = 200


def er_sde(
    x: Tensor, sigmas: Tensor, noise: Noise, s_noise: float = 1.0, max_stage: int = 3, power: float | None = None
) -> Steps:
    """Extended reverse-time SDE solver of order max_stage (1 to 3): Cui et al. (arXiv:2309.06169).

    power: the noise scale is sigma to this power instead of the paper's: 1 is the ordinary equation, 2 the reverse-time
    stochastic one.
    """

    def scaler(sigma: Tensor) -> Tensor:
        return sigma * ((sigma**0.3).exp() + 10.0) if power is None else sigma**power

    before: Tensor | None = None
    slope_before: Tensor | None = None
    for index, (sigma, sigma_next) in enumerate(intervals(sigmas)):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            x = denoised
        else:
            r = scaler(sigma_next) / scaler(sigma)
            step = sigma_next - sigma
            x = r * x + (1 - r) * denoised
            if before is not None and max_stage > 1:
                stride = -step / ER_SDE_POINTS
                u = sigma_next + torch.arange(ER_SDE_POINTS, dtype=torch.float32) * stride
                slope = (denoised - before) / (sigma - sigmas[index - 1])
                x = x + (step + (1 / scaler(u)).sum() * stride * scaler(sigma_next)) * slope
                if slope_before is not None and max_stage > 2:
                    bend = (slope - slope_before) / ((sigma - sigmas[index - 2]) / 2)
                    integral = ((u - sigma) / scaler(u)).sum() * stride
                    x = x + (step**2 / 2 + integral * scaler(sigma_next)) * bend
                slope_before = slope
            spread = torch.nan_to_num((sigma_next**2 - sigma**2 * r**2).sqrt())
            x = x + noise(sigma, sigma_next) * s_noise * spread
        before = denoised
    return x
