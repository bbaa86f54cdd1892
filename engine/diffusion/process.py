"""The diffusion process a network was trained on: its noise levels, and what its output means (numerics.md, 1).

>>> process = continuous("edm", sigma_min=0.002, sigma_max=120.0)
>>> round(float(process.timestep(torch.tensor(1.0).exp())), 4)
0.25
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Parameterisation = Literal["eps", "v", "edm", "x0", "lcm", "img_to_img"]

BEFORE_ALL = 999_999_999.9  # the sigma of "0 percent": larger than any
LCM_SIGMA_DATA = 0.5
LCM_TIMESTEP_SCALE = 10.0

Timestep = Callable[[Tensor], Tensor]  # what the network is told of a noise level


class Meaning(NamedTuple):
    """A parameterisation: what the input is multiplied by, and the clean latent that an output means.

    c_in(sigma, sigma_data); denoised(x, sigma, output, sigma_data, timestep of a sigma). All float32
    and broadcastable to x.
    """

    c_in: Callable[[Tensor, float], Tensor]
    denoised: Callable[[Tensor, Tensor, Tensor, float, Timestep], Tensor]


def _unit_variance(sigma: Tensor, sigma_data: float) -> Tensor:
    """Karras et al. (2022), table 1."""
    return 1.0 / (sigma**2 + sigma_data**2) ** 0.5


def _from_noise(x: Tensor, sigma: Tensor, output: Tensor, _sigma_data: float, _timestep: Timestep) -> Tensor:
    return x - sigma * output


def _from_velocity(x: Tensor, sigma: Tensor, output: Tensor, sigma_data: float, _timestep: Timestep) -> Tensor:
    variance = sigma**2 + sigma_data**2
    return x * sigma_data**2 / variance - output * sigma * sigma_data / variance**0.5


def _from_edm(x: Tensor, sigma: Tensor, output: Tensor, sigma_data: float, timestep: Timestep) -> Tensor:
    """Karras et al. (2022), table 1: velocity with the other sign."""
    return _from_velocity(x, sigma, -output, sigma_data, timestep)


def _from_clean(_x: Tensor, _sigma: Tensor, output: Tensor, _sigma_data: float, _timestep: Timestep) -> Tensor:
    return output


def _from_consistency(x: Tensor, sigma: Tensor, output: Tensor, _sigma_data: float, timestep: Timestep) -> Tensor:
    """The boundary condition of consistency models (arXiv:2310.04378, appendix)."""
    scaled, data = LCM_TIMESTEP_SCALE * timestep(sigma).float(), LCM_SIGMA_DATA
    c_skip = data**2 / (scaled**2 + data**2)
    c_out = scaled / (scaled**2 + data**2) ** 0.5
    return c_out * (x - sigma * output) + c_skip * x


PARAMETERISATIONS: Mapping[str, Meaning] = {
    "eps": Meaning(_unit_variance, _from_noise),
    "v": Meaning(_unit_variance, _from_velocity),
    "edm": Meaning(_unit_variance, _from_edm),
    "x0": Meaning(_unit_variance, _from_clean),
    "lcm": Meaning(_unit_variance, _from_consistency),
    "img_to_img": Meaning(lambda sigma, _sigma_data: torch.ones_like(sigma), _from_clean),
}


@dataclass(frozen=True, eq=False)
class Levels:
    """Noise levels and their logarithms (T,), ascending, float32 on the CPU, and what the network's output means.

    sigma_data: the standard deviation that clean latents are taken to have.
    """

    sigmas: Tensor
    log_sigmas: Tensor
    prediction: Parameterisation
    sigma_data: float = 1.0

    @property
    def sigma_min(self) -> float:
        """The least noise the model was trained on."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """The most noise the model was trained on."""
        return float(self.sigmas[-1])

    def c_in(self, sigma: Tensor) -> Tensor:
        """What a noisy latent is multiplied by on its way into the network."""
        return PARAMETERISATIONS[self.prediction].c_in(sigma, self.sigma_data)

    def timestep(self, sigma: Tensor) -> Tensor:
        """What the network is told of a noise level (…,)."""
        raise NotImplementedError

    def denoised(self, x: Tensor, sigma: Tensor, output: Tensor) -> Tensor:
        """The clean latent that a network's `output` at (x, sigma) means; all float32, sigma broadcastable to x."""
        meaning = PARAMETERISATIONS[self.prediction]
        return meaning.denoised(x, sigma, output, self.sigma_data, self.timestep)


@dataclass(frozen=True, eq=False)
class Discrete(Levels):
    """A trained process of T noise levels.

    stride and first: entry k of the table is timestep `stride·k + first` of the network (consistency models).
    """

    stride: int = 1
    first: int = 0

    def timestep(self, sigma: Tensor) -> Tensor:
        """The timestep of the nearest trained noise level in log space (…,) int64; the first one on ties."""
        distance = (sigma.float().log().reshape(-1) - self.log_sigmas.to(sigma.device)[:, None]).abs()
        return self.stride * distance.argmin(dim=0).reshape(sigma.shape) + self.first

    def sigma(self, timestep: Tensor) -> Tensor:
        """The noise level at a real timestep (…,), interpolated in log space."""
        place = ((timestep.float() - self.first) / self.stride).clamp(0, len(self.sigmas) - 1)
        low, high, weight = place.floor().long(), place.ceil().long(), place.frac()
        return ((1 - weight) * self.log_sigmas[low] + weight * self.log_sigmas[high]).exp()

    def percent_to_sigma(self, percent: float) -> float:
        """The noise level that remains after this part of the way, for start and end percents."""
        if percent <= 0.0:
            return BEFORE_ALL
        if percent >= 1.0:
            return 0.0
        return float(self.sigma(torch.tensor(999.0 * (1.0 - percent))))  # 999 whatever the table's length, as ComfyUI


class Axis(NamedTuple):
    """How a continuous process tells the network of a noise level, and back."""

    timestep: Callable[[Tensor], Tensor]
    sigma: Callable[[Tensor], Tensor]


AXES: Mapping[str, Axis] = {
    "edm": Axis(lambda sigma: 0.25 * sigma.log(), lambda timestep: (4.0 * timestep).exp()),
    "v": Axis(lambda sigma: 2 / math.pi * sigma.atan(), lambda timestep: (timestep * math.pi / 2).tan()),
}


@dataclass(frozen=True, eq=False)
class Continuous(Levels):
    """A process of all noise levels between two: the table is only there for schedules that want one."""

    axis: Literal["edm", "v"] = "edm"

    def timestep(self, sigma: Tensor) -> Tensor:
        """What the network is told of a noise level (…,), a real number."""
        return AXES[self.axis].timestep(sigma.float())

    def sigma(self, timestep: Tensor) -> Tensor:
        """The noise level that the network knows by this number (…,)."""
        return AXES[self.axis].sigma(timestep.float())

    def percent_to_sigma(self, percent: float) -> float:
        """The noise level that remains after this part of the way, evenly in log space."""
        if percent <= 0.0:
            return BEFORE_ALL
        if percent >= 1.0:
            return 0.0
        low, high = math.log(self.sigma_min), math.log(self.sigma_max)
        return math.exp(low + (1.0 - percent) * (high - low))


Process = Discrete | Continuous


def continuous(
    axis: Literal["edm", "v"],
    *,
    sigma_min: float,
    sigma_max: float,
    prediction: Parameterisation = "v",
    sigma_data: float = 1.0,
) -> Continuous:
    """A continuous process (numerics.md, 1.6): EDM's usual bounds are 0.002 to 120, continuous v's 0.03 to 500."""
    if not 0.0 < sigma_min < sigma_max:
        raise ValueError(f"noise levels from {sigma_min} to {sigma_max}: wanted 0 < sigma_min < sigma_max")
    sigmas = torch.linspace(math.log(sigma_min), math.log(sigma_max), 1000).exp()
    return Continuous(sigmas, sigmas.log(), prediction, sigma_data, axis)
