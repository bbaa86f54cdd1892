"""DeepCache: the inner part of the network, which changes slowly, is run at some evaluations only.

Ma et al. (arXiv:2312.00858), uniform variant. An approximation: the picture differs from the exact one.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from engine.diffusion.hooks import NO_HOOKS, Hooks, NetworkPatch, Pass, Shortcut


@dataclass
class Memory:
    """What a run keeps: the features by pass, which evaluation it is at, and which passes that has had so far."""

    sigma: float | None = None
    evaluation: int = -1
    seen: Counter[Any] = field(default_factory=Counter)
    features: dict[Any, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class DeepCache(NetworkPatch):
    """Runs the whole network at each `interval`-th evaluation, and only its `depth` outermost blocks at the others.

    start_percent, end_percent: in which part of the way; outside it all evaluations are whole. What other patches do
    in the inner part happens at whole evaluations only.
    """

    interval: int = 3
    depth: int = 3
    start_percent: float = 0.0
    end_percent: float = 1.0

    def hooks(self, moment: Pass) -> Hooks:
        """A shortcut, where the features of the same pass of an earlier evaluation are kept."""
        run, sigma = moment.run, float(moment.sigma)
        if run is None or self.interval < 2:
            return NO_HOOKS
        memory: Memory = run.memory.setdefault(self, Memory())
        if sigma != memory.sigma:
            memory.sigma, memory.evaluation = sigma, memory.evaluation + 1
            memory.seen.clear()
        # one evaluation may take several passes; equal ones are told apart by their order
        kind = (moment.spans, moment.x.shape)
        key = (kind, memory.seen[kind])
        memory.seen[kind] += 1
        inside = run.table.percent_to_sigma(self.end_percent) <= sigma <= run.table.percent_to_sigma(self.start_percent)
        whole = memory.evaluation % self.interval == 0 or not inside

        def keep(features: Tensor) -> None:
            memory.features[key] = features

        return Hooks(shortcut=(Shortcut(self.depth, None if whole else memory.features.get(key), keep),))
