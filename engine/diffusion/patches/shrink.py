"""Deep Shrink: the inner part of the network works on a smaller picture while its layout is found.

kohya-ss, "HyperHires" / "Deep Shrink" (2023): a network asked for more pixels than it was trained on repeats its
subject; shown fewer inside, it does not.
"""

from dataclasses import dataclass

from torch import Tensor

from engine.diffusion.hooks import NO_HOOKS, Hooks, NetworkPatch, Pass, Site
from engine.diffusion.resize import common_upscale


@dataclass(frozen=True)
class DeepShrink(NetworkPatch):
    """Divides the sides of an input block's result by `factor`; the decoder enlarges again where it meets larger skips.

    start_percent, end_percent: in which part of the way. after_skip: the skip connection keeps its size.
    """

    block: int = 3
    factor: float = 2.0
    start_percent: float = 0.0
    end_percent: float = 0.35
    after_skip: bool = True
    down: str = "bicubic"
    up: str = "bicubic"

    def hooks(self, moment: Pass) -> Hooks:
        """None outside its part of the way."""
        if moment.run is not None:
            table, sigma = moment.run.table, float(moment.sigma)
            if not table.percent_to_sigma(self.end_percent) <= sigma <= table.percent_to_sigma(self.start_percent):
                return NO_HOOKS

        def shrink(h: Tensor, site: Site) -> Tensor:
            if site.place.number != self.block:
                return h
            width, height = round(h.shape[-1] / self.factor), round(h.shape[-2] / self.factor)
            return common_upscale(h, max(1, width), max(1, height), self.down)

        def enlarge(h: Tensor, skip: Tensor, site: Site) -> tuple[Tensor, Tensor]:
            if h.shape[-2:] != skip.shape[-2:]:
                h = common_upscale(h, skip.shape[-1], skip.shape[-2], self.up)
            return h, skip

        if self.after_skip:
            return Hooks(input_block_after_skip=(shrink,), output_block=(enlarge,))
        return Hooks(input_block=(shrink,), output_block=(enlarge,))
