"""Samplers that evaluate the model two or three times in a step (numerics.md, 4.2)."""

import torch
from torch import Tensor

from engine.diffusion.noise import Noise
from engine.diffusion.solvers.steps import Asking, Evaluate, Steps, ancestral_split, intervals


def heun(x: Tensor, sigmas: Tensor) -> Steps:
    """Heun's method: Karras et al. (2022), Algorithm 1, without churn."""
    for sigma, sigma_next in intervals(sigmas):
        slope = (x - (yield Evaluate(x, sigma)).denoised) / sigma
        step = sigma_next - sigma
        if sigma_next == 0:
            x = x + slope * step
        else:
            ahead = x + slope * step
            slope_ahead = (ahead - (yield Evaluate(ahead, sigma_next)).denoised) / sigma_next
            x = x + (slope + slope_ahead) / 2 * step
    return x


def heunpp2(x: Tensor, sigmas: Tensor) -> Steps:
    """Heun++: up to three slopes, weighted by their noise levels (Carzit, sd-webui-samplers-scheduler)."""
    first, end = sigmas[0], sigmas[-1]
    for index, (sigma, sigma_next) in enumerate(intervals(sigmas)):
        slope = (x - (yield Evaluate(x, sigma)).denoised) / sigma
        step = sigma_next - sigma
        if sigma_next == end:
            x = x + slope * step
            continue
        two = x + slope * step
        slope_two = (two - (yield Evaluate(two, sigma_next)).denoised) / sigma_next
        sigma_third = sigmas[index + 2]
        if sigma_third == end:
            weight = sigma_next / (2 * first)
            x = x + ((1 - weight) * slope + weight * slope_two) * step
        else:
            three = two + slope_two * (sigma_third - sigma_next)
            slope_three = (three - (yield Evaluate(three, sigma_third)).denoised) / sigma_third
            w2, w3 = sigma_next / (3 * first), sigma_third / (3 * first)
            x = x + ((1 - w2 - w3) * slope + w2 * slope_two + w3 * slope_three) * step
    return x


def _geometric_mean(a: Tensor, b: Tensor) -> Tensor:
    return ((a.log() + b.log()) / 2).exp()


def dpm_2(x: Tensor, sigmas: Tensor) -> Steps:
    """A midpoint method in log sigma, inspired by DPM-Solver-2: Karras et al. (2022), Algorithm 2's heir."""
    for sigma, sigma_next in intervals(sigmas):
        slope = (x - (yield Evaluate(x, sigma)).denoised) / sigma
        if sigma_next == 0:
            x = x + slope * (sigma_next - sigma)
        else:
            middle = _geometric_mean(sigma, sigma_next)
            half = x + slope * (middle - sigma)
            x = x + (half - (yield Evaluate(half, middle)).denoised) / middle * (sigma_next - sigma)
    return x


def dpm_2_ancestral(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """The same to below the next noise level, then fresh noise."""
    for sigma, sigma_next in intervals(sigmas):
        slope = (x - (yield Evaluate(x, sigma)).denoised) / sigma
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        if sigma_down == 0:
            x = x + slope * (sigma_down - sigma)
        else:
            middle = _geometric_mean(sigma, sigma_down)
            half = x + slope * (middle - sigma)
            slope = (half - (yield Evaluate(half, middle)).denoised) / middle
            x = x + slope * (sigma_down - sigma) + noise(sigma, sigma_next) * s_noise * sigma_up
    return x


def dpmpp_2s_ancestral(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """DPM-Solver++(2S) with ancestral noise: Lu et al. (arXiv:2211.01095), Algorithm 1."""
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        if sigma_down == 0:
            x = x + (x - denoised) / sigma * (sigma_down - sigma)
        else:
            middle = _geometric_mean(sigma, sigma_down)
            half = (middle / sigma) * x + (1 - middle / sigma) * denoised
            denoised = (yield Evaluate(half, middle)).denoised
            x = (sigma_down / sigma) * x + (1 - sigma_down / sigma) * denoised
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * s_noise * sigma_up
    return x


def dpmpp_2s_ancestral_cfg_pp(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0) -> Steps:
    """The same with CFG++. The last line takes the new unconditional guess and the old denoised one."""
    for sigma, sigma_next in intervals(sigmas):
        denoised, uncond = yield Evaluate(x, sigma)
        sigma_down, sigma_up = ancestral_split(sigma, sigma_next, eta)
        if sigma_down == 0:
            x = denoised + sigma_down * (x - uncond) / sigma
        else:
            middle = _geometric_mean(sigma, sigma_down)
            half = (middle / sigma) * (x + denoised - uncond) + (1 - middle / sigma) * denoised
            denoised_half, uncond_half = yield Evaluate(half, middle)
            x = (sigma_down / sigma) * (x + denoised - uncond_half) + (1 - sigma_down / sigma) * denoised_half
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * s_noise * sigma_up
    return x


def dpmpp_sde(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0, r: float = 0.5) -> Steps:
    """DPM-Solver++ for the stochastic equation, two calls a step (k-diffusion). Both noises start at sigma."""
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            x = denoised
            continue
        h = sigma.log() - sigma_next.log()
        middle = (sigma.log() - r * h).exp()
        weight = 1 / (2 * r)

        down, up = ancestral_split(sigma, middle, eta)
        half = (down / sigma) * x + (1 - down / sigma) * denoised + noise(sigma, middle) * s_noise * up
        denoised_half = (yield Evaluate(half, middle)).denoised

        down, up = ancestral_split(sigma, sigma_next, eta)
        mixed = (1 - weight) * denoised + weight * denoised_half
        x = (down / sigma) * x + (1 - down / sigma) * mixed + noise(sigma, sigma_next) * s_noise * up
    return x


def seeds_2(x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0, r: float = 0.5) -> Steps:
    """SEEDS-2: exponential integrators with matched noise, Gonzalez et al. (arXiv:2305.14267)."""
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            x = denoised
            continue
        h = sigma.log() - sigma_next.log()
        h_eta = h * (1 + eta)
        middle = (sigma.log() - r * h).exp()

        z1 = (-(-2 * r * h * eta).expm1()) ** 0.5 * noise(sigma, middle)
        half = (middle / sigma) * (-r * h * eta).exp() * x - (-r * h_eta).expm1() * denoised + middle * s_noise * z1
        denoised_half = (yield Evaluate(half, middle)).denoised

        mixed = denoised + (denoised_half - denoised) / (2 * r)
        z2 = z1 * ((r - 1) * h * eta).exp() + (-(2 * (r - 1) * h * eta).expm1()) ** 0.5 * noise(middle, sigma_next)
        x = (sigma_next / sigma) * (-h * eta).exp() * x - (-h_eta).expm1() * mixed + sigma_next * s_noise * z2
    return x


def seeds_3(
    x: Tensor, sigmas: Tensor, noise: Noise, eta: float = 1.0, s_noise: float = 1.0,
    r1: float = 1 / 3, r2: float = 2 / 3,
) -> Steps:  # fmt: skip
    """SEEDS-3: the same with three calls a step."""

    def phi(z: Tensor) -> Tensor:
        return (z.expm1() - z) / z

    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        if sigma_next == 0:
            x = denoised
            continue
        h = sigma.log() - sigma_next.log()
        h_eta = h * (1 + eta)
        s1, s2 = (sigma.log() - r1 * h).exp(), (sigma.log() - r2 * h).exp()

        z1 = (-(-2 * r1 * h * eta).expm1()) ** 0.5 * noise(sigma, s1)
        two = (s1 / sigma) * (-r1 * h * eta).exp() * x - (-r1 * h_eta).expm1() * denoised + s1 * s_noise * z1
        denoised_two = (yield Evaluate(two, s1)).denoised

        a2 = r2 / r1 * phi(-r2 * h_eta)
        a1 = (-r2 * h_eta).expm1() - a2
        z2 = z1 * ((r1 - r2) * h * eta).exp() + (-(2 * (r1 - r2) * h * eta).expm1()) ** 0.5 * noise(s1, s2)
        three = (s2 / sigma) * (-r2 * h * eta).exp() * x - (a1 * denoised + a2 * denoised_two) + s2 * s_noise * z2
        denoised_three = (yield Evaluate(three, s2)).denoised

        b3 = phi(-h_eta) / r2
        b1 = (-h_eta).expm1() - b3
        z3 = z2 * ((r2 - 1) * h * eta).exp() + (-(2 * (r2 - 1) * h * eta).expm1()) ** 0.5 * noise(s2, sigma_next)
        mixed = b1 * denoised + b3 * denoised_three
        x = (sigma_next / sigma) * (-h * eta).exp() * x - mixed + sigma_next * s_noise * z3
    return x


def dpm_fast(x: Tensor, sigmas: Tensor) -> Steps:
    """DPM-Solver-fast: Lu et al. (arXiv:2206.00927), Algorithm 3 and 3.4. It sees only the ends of the list."""
    ends = _ends(sigmas)
    if ends is None:
        return x
    start, end = ends
    calls = len(sigmas) - 1
    segments = calls // 3 + 1
    orders = [3] * (segments - 2) + [2, 1] if calls % 3 == 0 else [3] * (segments - 1) + [calls % 3]
    times = torch.linspace(float(start), float(end), segments + 1)
    for order, time, time_next in zip(orders, times[:-1], times[1:], strict=True):
        eps = yield from _eps(x, time)
        if order == 1:
            x = x - (-time_next).exp() * (time_next - time).expm1() * eps
        elif order == 2:
            x, _ = yield from _second_order(x, time, time_next, eps, 0.5)
        else:
            _, middle = yield from _second_order(x, time, time_next, eps, 1 / 3)
            x = yield from _third_order(x, time, time_next, eps, middle)
    return x


MOST_TRIES = 10_000  # of the adaptive step size, whose settings can be such that it never arrives


def dpm_adaptive(
    x: Tensor, sigmas: Tensor, noise: Noise, order: int = 3, rtol: float = 0.05, atol: float = 0.0078,
    h_init: float = 0.05, pcoeff: float = 0.0, icoeff: float = 1.0, dcoeff: float = 0.0, accept_safety: float = 0.81,
    eta: float = 0.0, s_noise: float = 1.0,
) -> Steps:
    """DPM-Solver-12/23 with step-size control: arXiv:2206.00927, appendix C. It ignores the number of steps.

    order: of the better of the two solutions compared, 2 or 3. The three coefficients are those of the step size's
    controller (Söderlind 2003). With eta a step stops short and fresh noise makes up for it.
    """
    ends = _ends(sigmas)
    if ends is None:
        return x
    if order not in (2, 3):
        raise ValueError(f"dpm_adaptive is of order 2 or 3, not {order}")
    time, end = ends
    low_before, h = x, torch.tensor(h_init)
    control = _StepSize(pcoeff, icoeff, dcoeff, 1.5 if eta else order)
    for _ in range(MOST_TRIES):
        if time >= end - 1e-5:
            return x
        time_next = reached = torch.minimum(end, time + h)
        sigma, sigma_next, added = (-time).exp(), (-time_next).exp(), torch.zeros(())
        if eta:
            down, _ = ancestral_split(sigma, sigma_next, eta)
            reached = torch.minimum(end, -down.log())
            added = (sigma_next**2 - (-reached).exp() ** 2).clamp_min(0) ** 0.5
        eps = yield from _eps(x, time)
        if order == 2:
            low = x - (-reached).exp() * (reached - time).expm1() * eps
            high, _ = yield from _second_order(x, time, reached, eps, 0.5)
        else:
            low, middle = yield from _second_order(x, time, reached, eps, 1 / 3)
            high = yield from _third_order(x, time, reached, eps, middle)
        allowed = torch.maximum(torch.tensor(atol, device=x.device), rtol * torch.maximum(low.abs(), low_before.abs()))
        error = float(torch.linalg.norm((low - high) / allowed)) / x.numel() ** 0.5
        factor = control.factor(error)
        if factor >= accept_safety:
            control.accept(error)
            low_before, x, time = low, high, time_next
            if eta:
                x = x + noise(sigma, sigma_next) * s_noise * added
        h = h * factor
    raise ValueError(
        f"dpm_adaptive did not arrive in {MOST_TRIES} steps: rtol {rtol:g} and atol {atol:g} ask for more than float32 "
        f"can give, or accept_safety {accept_safety:g} for more than any step offers; allow a larger error"
    )


class _StepSize:
    """A digital controller of the step size: Söderlind (2003), as k-diffusion has it, its factor limited softly."""

    def __init__(self, p: float, i: float, d: float, order: float) -> None:
        self.powers = ((p + i + d) / order, -(p + 2 * d) / order, d / order)
        self.past: list[float] = []  # of the last two accepted steps, newest first

    def factor(self, error: float) -> float:
        """What the step size is to be multiplied by."""
        quality = 1 / (error + 1e-8)
        if not self.past:
            self.past = [quality, quality]
        product = 1.0
        for value, power in zip((quality, *self.past), self.powers, strict=True):
            product *= value**power
        return float(1 + torch.atan(torch.tensor(product - 1)))

    def accept(self, error: float) -> None:
        """Remember an accepted step."""
        self.past = [1 / (error + 1e-8), self.past[0]]


def _ends(sigmas: Tensor) -> tuple[Tensor, Tensor] | None:
    """Start and end in -log sigma; the end is the last sigma above 0."""
    if len(sigmas) <= 1:
        return None
    last = sigmas[-1] if sigmas[-1] > 0 else sigmas[-2]
    return -sigmas[0].log(), -last.log()


def _eps(x: Tensor, time: Tensor) -> Asking[Tensor]:
    sigma = (-time).exp()
    return (x - (yield Evaluate(x, sigma)).denoised) / sigma


def _second_order(x: Tensor, time: Tensor, time_next: Tensor, eps: Tensor, r: float) -> Asking[tuple[Tensor, Tensor]]:
    """The second-order step and the noise found at its inner point."""
    h = time_next - time
    inner = time + r * h
    eps_inner = yield from _eps(x - (-inner).exp() * (r * h).expm1() * eps, inner)
    scale = (-time_next).exp() * h.expm1()
    return x - scale * eps - scale / (2 * r) * (eps_inner - eps), eps_inner


def _third_order(
    x: Tensor, time: Tensor, time_next: Tensor, eps: Tensor, eps_inner: Tensor, r1: float = 1 / 3, r2: float = 2 / 3
) -> Asking[Tensor]:
    """The third-order step, which shares the inner point at r1 with the second-order one."""
    h = time_next - time
    outer = time + r2 * h
    grown = (r2 * h).expm1()
    bend = (-outer).exp() * (r2 / r1) * (grown / (r2 * h) - 1)
    eps_outer = yield from _eps(x - (-outer).exp() * grown * eps - bend * (eps_inner - eps), outer)
    scale = (-time_next).exp()
    return x - scale * h.expm1() * eps - scale / r2 * (h.expm1() / h - 1) * (eps_outer - eps)
