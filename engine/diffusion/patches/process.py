"""Another diffusion process for a model: numerics.md, 1.5 and 1.6."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from engine.diffusion.config import ScheduleConfig
from engine.diffusion.process import Parameterisation, Process, continuous
from engine.diffusion.schedules import ProcessPatch, discrete, lcm

PREDICTIONS: Mapping[str, Parameterisation] = {
    "eps": "eps", "v_prediction": "v", "lcm": "lcm", "x0": "x0", "img_to_img": "img_to_img", "edm": "edm",
}  # fmt: skip
"""ComfyUI's names of what a network's output means, and ours."""


@dataclass(frozen=True)
class DiscreteProcess(ProcessPatch):
    """The model's own noise levels, its output read in another way; zero_snr stretches them to no signal at the end.

    "lcm" keeps every 20th level, as latent consistency models were distilled.
    """

    prediction: Parameterisation
    zero_snr: bool = False

    def process(self, config: ScheduleConfig) -> Process:
        """The tables, from the model's own betas."""
        config = replace(config, zero_snr=self.zero_snr)
        return lcm(config) if self.prediction == "lcm" else replace(discrete(config), prediction=self.prediction)


@dataclass(frozen=True)
class ContinuousProcess(ProcessPatch):
    """All noise levels between two, for networks that were trained on real numbers: see `process.continuous`."""

    axis: Literal["edm", "v"]
    prediction: Parameterisation
    sigma_min: float
    sigma_max: float
    sigma_data: float = 1.0

    def process(self, config: ScheduleConfig) -> Process:
        """The process, whatever the model's own was. Raises ValueError unless 0 < sigma_min < sigma_max."""
        return continuous(
            self.axis, sigma_min=self.sigma_min, sigma_max=self.sigma_max, prediction=self.prediction,
            sigma_data=self.sigma_data,
        )  # fmt: skip
