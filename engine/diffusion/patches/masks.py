"""How a run's noise mask changes on the way."""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.guiders import GuidanceHooks, GuidancePatch
from engine.diffusion.hooks import Run


@dataclass(frozen=True)
class DifferentialDiffusion(GuidancePatch):
    """The larger the mask's value, the earlier a place is freed: Levin and Fried (arXiv:2306.00950); numerics.md, 3.6.

    strength: below 1, part of the mask as it was is mixed in.
    """

    strength: float = 1.0

    def hooks(self) -> GuidanceHooks:
        """For the mask."""
        return GuidanceHooks(mask=(self.mask,))

    def mask(self, mask: Tensor, sigma: Tensor, run: Run) -> Tensor:
        """1 where the mask (batch, c, h, w) reaches the part of the way that is still to go, else 0."""
        table = run.table
        last = max(table.sigma_min, float(run.sigmas[-1]))
        ends = torch.stack([run.sigmas[0], torch.tensor(last), sigma.float().cpu()])
        start, end, now = (float(timestep) for timestep in table.timestep(ends))
        to_go = (now - end) / (start - end) if start != end else 0.0
        hard = (mask >= to_go).to(mask.dtype)
        return self.strength * hard + (1.0 - self.strength) * mask if 0.0 < self.strength < 1.0 else hard
