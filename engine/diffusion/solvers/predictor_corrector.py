"""UniPC and SA-Solver: a prediction, then a correction with the new evaluation (numerics.md, 4.6 and 4.7)."""

import math

import torch
from torch import Tensor

from engine.diffusion.noise import Noise
from engine.diffusion.process import Process
from engine.diffusion.solvers.steps import Asking, Evaluate, Steps


def uni_pc(x: Tensor, sigmas: Tensor) -> Steps:
    """UniPC with B(h) = h: Zhao et al. (arXiv:2302.04867), order 3, predicting the clean latent."""
    return _uni_pc(x, sigmas, second_form=False)


def uni_pc_bh2(x: Tensor, sigmas: Tensor) -> Steps:
    """UniPC with B(h) = exp(h) - 1."""
    return _uni_pc(x, sigmas, second_form=True)


UNI_PC_LAST = 0.001  # stands for the final sigma 0


def _uni_pc(x: Tensor, sigmas: Tensor, second_form: bool) -> Steps:
    """Works on y = α·x with α = 1/√(1+σ²), v = √(1-α²) and λ = ln(α/v)."""
    times = torch.where(sigmas == 0, torch.tensor(UNI_PC_LAST), sigmas)
    alpha = 1 / (1 + times**2).sqrt()
    v = (1 - alpha**2).sqrt()
    lam = alpha.log() - v.log()
    n = len(times) - 1
    most = min(3, n - 1)
    y = x * alpha[0]
    if most == 0:  # a single step never updates: the reference returns the noise it was given
        return y / alpha[-1]

    def model(y: Tensor, index: int) -> Asking[Tensor]:
        return (yield Evaluate(y * (1 + times[index] ** 2).sqrt(), times[index])).denoised

    guesses = [(yield from model(y, 0))]  # newest last
    for j in range(1, n + 1):
        order = min(j, most, n + 1 - j)
        p = j - 1
        h = lam[j] - lam[p]
        newest = guesses[-1]
        ratios = [(lam[p - back] - lam[p]) / h for back in range(1, order)]
        slopes = [(guesses[-1 - back] - newest) / ratio for back, ratio in zip(range(1, order), ratios, strict=True)]
        grown = (-h).expm1()
        b = grown if second_form else -h
        system, right = _uni_pc_system([*ratios, torch.ones(())], h, b)
        base = (v[j] / v[p]) * y - alpha[j] * grown * newest
        scale = alpha[j] * b

        predicted = base
        if order == 2:
            predicted = base - scale * 0.5 * slopes[0]
        elif order > 2:
            weights = torch.linalg.solve(system[:-1, :-1], right[:-1])
            predicted = base - scale * sum(w * slope for w, slope in zip(weights, slopes, strict=True))
        if j == n:
            y = predicted
            break
        guess = yield from model(predicted, j)
        weights = torch.tensor([0.5]) if order == 1 else torch.linalg.solve(system, right)
        correction = weights[-1] * (guess - newest)
        for weight, slope in zip(weights[:-1], slopes, strict=True):
            correction = correction + weight * slope
        y = base - scale * correction
        guesses = [*guesses[-2:], guess]
    return y / alpha[-1]


def _uni_pc_system(ratios: list[Tensor], h: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The linear system of the weights: rows are powers of the ratios."""
    z = -h
    g = z.expm1() / z - 1
    rows, right = [], []
    points = torch.stack(ratios)
    for q in range(1, len(ratios) + 1):
        rows.append(points ** (q - 1))
        right.append(g * math.factorial(q) / b)
        g = g / z - 1 / math.factorial(q + 1)
    return torch.stack(rows), torch.stack(right)


NOISY_FROM, NOISY_TO = 0.2, 0.8  # the part of the way that is stochastic


def sa_solver(
    x: Tensor, sigmas: Tensor, noise: Noise, table: Process, eta: float = 1.0, sde_start_percent: float = NOISY_FROM,
    sde_end_percent: float = NOISY_TO, s_noise: float = 1.0, predictor_order: int = 3, corrector_order: int = 4,
    use_pece: bool = False, simple_order_2: bool = False,
) -> Steps:
    """SA-Solver: stochastic Adams, a prediction and a correction with one call a step (arXiv:2309.05019).

    eta: how stochastic the part of the way between the two percents is. use_pece: evaluate again after each
    correction. simple_order_2: the paper's shorter coefficients where two nodes are used.
    """
    if len(sigmas) <= 1:
        return x
    upper, lower = table.percent_to_sigma(sde_start_percent), table.percent_to_sigma(sde_end_percent)
    lam = -sigmas.log()
    n = len(sigmas) - 1
    ends_in_zero = bool(sigmas[-1] == 0)
    kept = max(predictor_order, corrector_order)
    guesses: list[Tensor] = []
    predicted = x
    tau_last, h_last, added = 0.0, torch.zeros(()), torch.zeros(())
    for i in range(n):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        guesses = [*guesses, (yield Evaluate(predicted, sigma)).denoised][-kept:]
        last = bool(sigma_next == 0)
        predictor = min(predictor_order, len(guesses))
        corrector = 0 if i == 0 or (last and not use_pece) else min(corrector_order, len(guesses))
        if ends_in_zero:
            predictor, corrector = min(predictor, n - 1 - i), min(corrector, n - i)

        if corrector == 0:
            x = predicted
        else:
            nodes = [float(lam[i - k]) for k in range(corrector)]
            if simple_order_2 and corrector == 2:
                weights = _simple_corrector(float(lam[i] - lam[i - 1]), tau_last)
            else:
                weights = _adams(nodes, float(lam[i - 1]), float(lam[i]), tau_last)
            x = (sigma / sigmas[i - 1]) * (-(tau_last**2) * h_last).exp() * x
            for weight, guess in zip(weights, reversed(guesses), strict=False):
                x = x + weight * guess
            if tau_last > 0:
                x = x + added
            if use_pece:
                guesses[-1] = (yield Evaluate(x, sigma)).denoised

        if last:
            x = guesses[-1]
        else:
            tau = eta if upper >= float(sigma_next) >= lower else 0.0
            h = lam[i + 1] - lam[i]
            nodes = [float(lam[i - k]) for k in range(predictor)]
            if simple_order_2 and predictor == 2:
                weights = _simple_predictor(nodes[1] - nodes[0], float(h), tau)
            else:
                weights = _adams(nodes, float(lam[i]), float(lam[i + 1]), tau)
            predicted = (sigma_next / sigma) * (-(tau**2) * h).exp() * x
            for weight, guess in zip(weights, reversed(guesses), strict=False):
                predicted = predicted + weight * guess
            if tau > 0:
                added = noise(sigma, sigma_next) * sigma_next * (-(-2 * tau**2 * h).expm1()).sqrt() * s_noise
                predicted = predicted + added
            tau_last, h_last = tau, h
    return x


def sa_solver_pece(x: Tensor, sigmas: Tensor, noise: Noise, table: Process) -> Steps:
    """The same, evaluating again after each correction."""
    return sa_solver(x, sigmas, noise, table, use_pece=True)


def _simple_predictor(older: float, h: float, tau: float) -> list[float]:
    """Weights of the newest node and the older one, which lies at λ + `older` (numerics.md, 4.6)."""
    mu = 1 + tau**2
    second = 0.5 * mu * h**2 / older
    return [-math.expm1(-mu * h) - second, second]


def _simple_corrector(h: float, tau: float) -> list[float]:
    """Weights of the new node and the one a step before."""
    mu = 1 + tau**2
    return [0.5 * mu * h, -math.expm1(-mu * h) - 0.5 * mu * h]


def _adams(nodes: list[float], start: float, end: float, tau: float) -> list[float]:
    """The integrals of μ·exp(μ(λ - end))·ℓ_j(λ) from start to end, exactly, with μ = 1 + τ²."""
    mu = 1 + tau**2
    # moments of (λ - end)^k under the weight, by parts: M_0 = 1 - e^{-μh}, M_k = -(-h)^k·e^{-μh} - k/μ·M_{k-1}
    h = end - start
    decay = math.exp(-mu * h)
    moments = [-math.expm1(-mu * h)]
    for k in range(1, len(nodes)):
        moments.append(-((-h) ** k) * decay - k / mu * moments[-1])
    weights = []
    for j, node in enumerate(nodes):
        polynomial = [1.0]  # coefficients of ℓ_j in powers of (λ - end), lowest first
        for k, other in enumerate(nodes):
            if k != j:
                scale, root = 1 / (node - other), other - end
                shifted = [0.0, *polynomial]
                polynomial = [scale * (a - root * b) for a, b in zip(shifted, [*polynomial, 0.0], strict=True)]
        weights.append(sum(c * m for c, m in zip(polynomial, moments, strict=True)))
    return weights
