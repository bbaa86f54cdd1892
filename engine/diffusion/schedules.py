"""The diffusion process as tables, and the lists of sigmas a sampler walks down (numerics.md, 1 and 2).

>>> from engine.diffusion.config import PRESETS
>>> table = discrete(PRESETS["sd1"].schedule)
>>> [round(sigma, 3) for sigma in SCHEDULES["karras"](table, 4).tolist()]
[14.615, 3.169, 0.447, 0.029, 0.0]
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from engine.diffusion.config import ScheduleConfig
from engine.diffusion.process import Continuous, Discrete, Process

__all__ = [
    "SCHEDULES", "SCHEDULE_NAMES", "Continuous", "Discrete", "Process", "ProcessPatch", "ScheduleError", "discrete",
    "ksampler_sigmas", "lcm", "make_sigmas", "patched_process",
]  # fmt: skip

LAST_ZERO_SNR = 4.8973451890853435e-08  # ᾱ that stands for zero at the last step: numerics.md, 1.5
WHOLE = 0.9999  # a denoise above this is the whole schedule
MOST_STEPS = 10_000


class ScheduleError(ValueError):
    """A schedule that cannot be made; the message names what was asked and what can be."""


@lru_cache(maxsize=16)
def discrete(config: ScheduleConfig) -> Discrete:
    """The tables of a process: numerics.md, 1.1; with zero_snr 1.5 (arXiv:2305.08891, Algorithm 1)."""
    root = torch.linspace(config.beta_start**0.5, config.beta_end**0.5, config.steps, dtype=torch.float64)
    alphas_bar = torch.cumprod(1.0 - root**2, dim=0)
    if config.zero_snr:
        amplitude = alphas_bar.sqrt()
        amplitude = (amplitude - amplitude[-1]) * amplitude[0] / (amplitude[0] - amplitude[-1])
        alphas_bar = amplitude**2
        alphas_bar[-1] = LAST_ZERO_SNR
    sigmas = ((1.0 - alphas_bar) / alphas_bar) ** 0.5
    return Discrete(sigmas.float(), sigmas.log().float(), config.prediction)


def lcm(config: ScheduleConfig, entries: int = 50) -> Discrete:
    """The tables of a latent consistency model, which knows every 20th noise level (numerics.md, 1.6)."""
    whole = discrete(config)
    stride = len(whole.sigmas) // entries
    sigmas, logs = whole.sigmas[stride - 1 :: stride], whole.log_sigmas[stride - 1 :: stride]
    return Discrete(sigmas, logs, "lcm", stride=stride, first=stride - 1)


class ProcessPatch:
    """Another diffusion process for a model: a frozen, hashable dataclass."""

    def process(self, config: ScheduleConfig) -> Process:
        """The process, for a model that was trained on `config`."""
        raise NotImplementedError


def patched_process(config: ScheduleConfig, patches: Sequence[object]) -> Process:
    """The process of a model with patches: that of the last `ProcessPatch`, or the configuration's own."""
    for patch in reversed(patches):
        if isinstance(patch, ProcessPatch):
            return patch.process(config)
    return discrete(config)


Schedule = Callable[[Process, int], Tensor]


def _ending_in_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas.float(), torch.zeros(1)])


def simple(table: Process, steps: int) -> Tensor:
    """Evenly spaced entries of the table, from the end."""
    stride = len(table.sigmas) / steps
    return _ending_in_zero(torch.stack([table.sigmas[-(1 + int(step * stride))] for step in range(steps)]))


def _timestep_ends(table: Process) -> tuple[float, float]:
    return float(table.timestep(table.sigmas[-1])), float(table.timestep(table.sigmas[0]))


def normal(table: Process, steps: int) -> Tensor:
    """Evenly spaced timesteps, both ends included."""
    start, end = _timestep_ends(table)
    return _ending_in_zero(table.sigma(torch.linspace(start, end, steps)))


def sgm_uniform(table: Process, steps: int) -> Tensor:
    """Evenly spaced timesteps without the last one."""
    start, end = _timestep_ends(table)
    return _ending_in_zero(table.sigma(torch.linspace(start, end, steps + 1)[:-1]))


def karras_sigmas(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Karras et al. (2022), equation 5."""
    ramp = torch.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    return _ending_in_zero((high + ramp * (low - high)) ** rho)


def exponential_sigmas(steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """Evenly spaced logarithms."""
    return _ending_in_zero(torch.linspace(math.log(sigma_max), math.log(sigma_min), steps).exp())


def ddim_uniform(table: Process, steps: int) -> Tensor:
    """Every q-th entry of the table from entry 1 on. The number of steps may differ from what was asked."""
    stride = max(len(table.sigmas) // steps, 1)
    return _ending_in_zero(table.sigmas[1::stride].flip(0))


def beta_sigmas(table: Process, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Tensor:
    """Quantiles of a beta distribution (arXiv:2407.12173); repeated ones are left out, so the list may be shorter."""
    from scipy import stats  # takes half a second to import

    quantiles = 1 - np.linspace(0, 1, steps, endpoint=False)
    indices = np.rint(stats.beta.ppf(quantiles, alpha, beta) * (len(table.sigmas) - 1)).astype(int)
    kept = [index for place, index in enumerate(indices) if place == 0 or index != indices[place - 1]]
    return _ending_in_zero(table.sigmas[torch.tensor(kept)])


def linear_quadratic(table: Process, steps: int, threshold: float = 0.025) -> Tensor:
    """Half the steps linear down to a threshold, then quadratic: numerics.md, 2.3."""
    if steps == 1:
        return torch.tensor([1.0, 0.0]) * table.sigma_max
    linear = steps // 2
    quadratic = steps - linear
    difference = linear - threshold * steps
    a = difference / (linear * quadratic**2)
    b = threshold / linear - 2 * difference / quadratic**2
    c = a * linear**2
    done = [step * threshold / linear for step in range(linear)]
    done += [a * step**2 + b * step + c for step in range(linear, steps)]
    return torch.tensor([1.0 - part for part in [*done, 1.0]]) * table.sigma_max


def kl_optimal(table: Process, steps: int) -> Tensor:
    """Align Your Steps in closed form: arXiv:2404.14507, theorem 3.1."""
    part = torch.arange(steps, dtype=torch.float) / (steps - 1)
    return _ending_in_zero((part * math.atan(table.sigma_min) + (1 - part) * math.atan(table.sigma_max)).tan())


def leading(table: Process, steps: int) -> Tensor:
    """The original scripts' schedule: timesteps (0, c, 2c, …) + 1 with c = T // steps, then the first entry.

    It does not end in 0: the scripts' last step goes to ᾱ₀ (numerics.md, 4.10). Where `steps` does not divide T the
    scripts take more steps than asked; this takes exactly `steps`, as diffusers' leading spacing does.
    """
    if steps >= len(table.sigmas):
        raise ScheduleError(f"the leading schedule has at most {len(table.sigmas) - 1} steps; {steps} were asked")
    timesteps = torch.arange(steps) * (len(table.sigmas) // steps) + 1
    return torch.cat([table.sigmas[timesteps].flip(0), table.sigmas[:1]])


SCHEDULES: Mapping[str, Schedule] = {
    "simple": simple,
    "sgm_uniform": sgm_uniform,
    "karras": lambda table, steps: karras_sigmas(steps, table.sigma_min, table.sigma_max),
    "exponential": lambda table, steps: exponential_sigmas(steps, table.sigma_min, table.sigma_max),
    "ddim_uniform": ddim_uniform,
    "beta": beta_sigmas,
    "normal": normal,
    "linear_quadratic": linear_quadratic,
    "kl_optimal": kl_optimal,
    "leading": leading,  # native: after ComfyUI's nine
}
SCHEDULE_NAMES: tuple[str, ...] = tuple(SCHEDULES)


def make_sigmas(table: Process, scheduler: str, steps: int) -> Tensor:
    """The sigma list of a schedule; ScheduleError for an unknown name or an impossible number of steps."""
    if scheduler not in SCHEDULES:
        raise ScheduleError(f"no schedule is called {scheduler!r}; choose one of {', '.join(SCHEDULES)}")
    if not 1 <= steps <= MOST_STEPS:
        raise ScheduleError(f"a schedule has 1 to {MOST_STEPS} steps; {steps} were asked")
    return SCHEDULES[scheduler](table, steps)


def ksampler_sigmas(
    table: Process,
    scheduler: str,
    steps: int,
    *,
    denoise: float = 1.0,
    drops_penultimate: bool = False,
    start_at_step: int | None = None,
    end_at_step: int | None = None,
    force_full_denoise: bool = False,
) -> Tensor:
    """The list KSampler walks (numerics.md, 2.6); empty when there is nothing to do.

    drops_penultimate: a property of some samplers. The last three arguments are KSamplerAdvanced's; an end before the
    list's own leaves noise in the result unless force_full_denoise overwrites its last entry with 0.
    """

    def whole(count: int) -> Tensor:
        sigmas = make_sigmas(table, scheduler, count + 1 if drops_penultimate else count)
        return torch.cat([sigmas[:-2], sigmas[-1:]]) if drops_penultimate else sigmas

    if denoise <= 0.0:
        return torch.empty(0)
    sigmas = whole(steps) if denoise > WHOLE else whole(min(int(steps / denoise), MOST_STEPS))[-(steps + 1) :]
    if end_at_step is not None and end_at_step < len(sigmas) - 1:
        sigmas = sigmas[: end_at_step + 1].clone()
        if force_full_denoise:
            sigmas[-1] = 0.0
    if start_at_step is not None:
        if start_at_step >= len(sigmas) - 1:
            return torch.empty(0)
        sigmas = sigmas[start_at_step:]
    return sigmas
