"""Lists of sigmas that are no menu schedule, and what can be done with a list (numerics.md, 2.7 and 2.8).

A list is one row of float32 numbers (n + 1,) for n steps, usually falling and usually ending in 0.

>>> split(torch.tensor([3.0, 2.0, 1.0, 0.0]), 1)
(tensor([3., 2.]), tensor([2., 1., 0.]))
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.process import Process
from engine.diffusion.schedules import (
    MOST_STEPS,
    ScheduleError,
    beta_sigmas,
    exponential_sigmas,
    karras_sigmas,
    make_sigmas,
)
from engine.diffusion.solvers.steps import intervals

EMPTY = torch.empty(0)
FLIPPED_ZERO = 1e-4  # a list that starts at 0 would never leave it


def basic(table: Process, scheduler: str, steps: int, denoise: float) -> Tensor:
    """A menu schedule, or its last part; nothing at denoise 0. The threshold is 1, not KSampler's 0.9999."""
    if denoise <= 0.0:
        return EMPTY
    whole = min(int(steps / denoise), MOST_STEPS) if denoise < 1.0 else steps
    return make_sigmas(table, scheduler, whole)[-(steps + 1) :]


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """The schedule of Karras et al. (2022), equation 5, between any ends."""
    return karras_sigmas(steps, sigma_min, sigma_max, _positive(rho, "rho"))


def exponential(steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """Evenly spaced logarithms between any ends."""
    return exponential_sigmas(steps, _positive(sigma_min, "sigma_min"), _positive(sigma_max, "sigma_max"))


def beta(table: Process, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Tensor:
    """Quantiles of a beta distribution of any shape (arXiv:2407.12173)."""
    return beta_sigmas(table, steps, _positive(alpha, "alpha"), _positive(beta, "beta"))


def _ending_in_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])


def polyexponential(steps: int, sigma_min: float, sigma_max: float, rho: float = 1.0) -> Tensor:
    """Logarithms spaced by a power of an even ramp (k-diffusion); rho 1 is the exponential schedule."""
    low, high = math.log(_positive(sigma_min, "sigma_min")), math.log(_positive(sigma_max, "sigma_max"))
    return _ending_in_zero((torch.linspace(1, 0, steps) ** rho * (high - low) + low).exp())


def variance_preserving(steps: int, beta_d: float = 19.9, beta_min: float = 0.1, eps_s: float = 0.001) -> Tensor:
    """The continuous variance-preserving process: Karras et al. (2022), table 1."""
    time = torch.linspace(1, eps_s, steps)
    return _ending_in_zero((beta_d * time**2 / 2 + beta_min * time).expm1().sqrt())


def laplace(steps: int, sigma_min: float, sigma_max: float, mu: float = 0.0, beta: float = 0.5) -> Tensor:
    """Quantiles of a Laplace distribution of log sigma (arXiv:2407.03297). The list does not end in 0."""
    offset = 0.5 - torch.linspace(0, 1, steps)
    logs = mu - beta * offset.sign() * (1 - 2 * offset.abs() + 1e-5).log()
    return logs.exp().clamp(sigma_min, sigma_max)


def sd_turbo(table: Process, steps: int, denoise: float = 1.0) -> Tensor:
    """The ten noise levels that SD Turbo was distilled for (arXiv:2311.17042), or some of the lower ones."""
    first = 10 - int(10 * denoise)
    timesteps = torch.tensor([999 - 100 * index for index in range(10)][first : first + steps])
    return _ending_in_zero(table.sigma(timesteps))


ALIGN_YOUR_STEPS: Mapping[str, tuple[float, ...]] = {  # published for ten steps: Sabour et al. (arXiv:2404.14507)
    "SD1": (
        14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092, 0.9642583904,
        0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582,
    ),
    "SDXL": (
        14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141, 0.5550693289,
        0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582,
    ),
    "SVD": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}  # fmt: skip


def align_your_steps(model_type: str, steps: int, denoise: float = 1.0) -> Tensor:
    """The published list of a family, interpolated to another number of steps, or its last part (2.8)."""
    total = round(steps * denoise) if denoise < 1.0 else steps
    if total <= 0:
        return EMPTY
    known = ALIGN_YOUR_STEPS[model_type]
    sigmas = torch.tensor(known if steps + 1 == len(known) else log_interpolated(known, steps + 1))
    sigmas = sigmas[-(total + 1) :].clone()
    sigmas[-1] = 0.0
    return sigmas


def log_interpolated(sigmas: tuple[float, ...], count: int) -> tuple[float, ...]:
    """As many points on the piecewise linear curve through the logarithms, evenly spaced."""
    ramp = np.linspace(0, 1, len(sigmas))
    made = np.interp(np.linspace(0, 1, count), ramp, np.log(np.array(sigmas)))
    return tuple(np.exp(made).tolist())


def split(sigmas: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """The steps before a step, and those from it on; the noise level between belongs to both."""
    return sigmas[: step + 1], sigmas[step:]


def split_denoise(sigmas: Tensor, denoise: float) -> tuple[Tensor, Tensor]:
    """The same, where the lower part is to have this share of the steps."""
    steps = max(len(sigmas) - 1, 0)
    low = round(steps * denoise)
    return (sigmas[:-low] if low else sigmas[:0]), sigmas[-(low + 1) :]


def flip(sigmas: Tensor) -> Tensor:
    """From the end to the start, to add noise step by step."""
    flipped = sigmas.flip(0)
    if len(flipped) and flipped[0] == 0:
        flipped[0] = FLIPPED_ZERO
    return flipped


def with_first(sigmas: Tensor, sigma: float) -> Tensor:
    """Another first entry; an empty list stays empty."""
    changed = sigmas.clone()
    changed[:1] = sigma
    return changed


SPACINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda part: part,
    "cosine": lambda part: torch.sin(part * math.pi / 2),
    "sine": lambda part: 1 - torch.cos(part * math.pi / 2),
}


def extend(sigmas: Tensor, steps: int, start_at: float, end_at: float, spacing: str) -> Tensor:
    """Divide each interval that starts between two noise levels into `steps`; a negative start_at is infinite."""
    inner = SPACINGS[spacing](torch.linspace(0, 1, steps + 1)[1:-1])
    upper = math.inf if start_at < 0 else start_at
    values = []
    for sigma, sigma_next in intervals(sigmas):
        values.append(sigma.reshape(1))
        if end_at <= float(sigma) <= upper:
            values.append(sigma + inner * (sigma_next - sigma))
    return torch.cat([*values, sigmas[-1:]])


def percent_to_sigma(table: Process, percent: float, actual: bool) -> float:
    """The noise level at a part of the way; `actual` gives the process's own ends at 0 and 1 (1.3)."""
    if actual and percent == 0.0:
        return table.sigma_max
    if actual and percent == 1.0:
        return table.sigma_min
    return table.percent_to_sigma(percent)


def _positive(value: float, name: str) -> float:
    if value <= 0.0:
        raise ScheduleError(f"{name} is {value}, and there is no such schedule; choose more than 0")
    return value
