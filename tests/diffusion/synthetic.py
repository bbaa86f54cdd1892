"""The synthetic model of numerics.md, appendix A: D_pos = 0.8·tanh(u), D_neg = 0.5·tanh(u) + 0.1, u = x/√(1+σ²)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.diffusion.config import PRESETS
from engine.diffusion.guidance import Call, Condition
from engine.diffusion.sampling import Sampling

SD1 = PRESETS["sd1"]
POSITIVE, NEGATIVE = torch.full((1, 77, 1), 1.0), torch.full((1, 77, 1), -1.0)


@dataclass
class Synthetic:
    """A network that counts how often it is asked; it tells positive from negative by the sign of the text."""

    sigmas: list[float] = field(default_factory=list)

    def __call__(self, calls: list[Call]) -> list[Tensor]:
        self.sigmas.append(float(calls[0].sigma))
        return [self.answer(call) for call in calls]

    @staticmethod
    def answer(call: Call) -> Tensor:
        u = call.x / (1.0 + call.sigma**2) ** 0.5
        if bool((call.context > 0).all()):
            return 0.8 * torch.tanh(u)
        return 0.5 * torch.tanh(u) + 0.1


def synthetic_run(sampler: str, **changes: object) -> Sampling:
    values: dict[str, object] = {
        "config": SD1, "latent": torch.zeros(1, 4, 8, 8), "positive": (Condition(POSITIVE),),
        "negative": (Condition(NEGATIVE),), "seed": 42, "steps": 8, "cfg": 3.0, "sampler": sampler,
        "scheduler": "karras",
    }  # fmt: skip
    return Sampling(**(values | changes))  # type: ignore[arg-type]
