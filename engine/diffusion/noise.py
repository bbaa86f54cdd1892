"""Random numbers of a run. Every draw names its generator; torch's global one is never touched (numerics.md, 3).

A run owns one CPU generator that plays the part of ComfyUI's global one: seeded and re-seeded where the reference does.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torchsde
from torch import Tensor

from engine.diffusion.transfer import sent

LARGEST_SEED = 2**64 - 1
TREE_DIGITS = 6  # torchsde's default tolerance of 1e-6

Noise = Callable[[Tensor, Tensor], Tensor]  # (from sigma, to sigma) to unit-variance noise of the state's shape


class SeedError(ValueError):
    """A seed outside 0 to 2^64 - 1."""


def run_generator(seed: int) -> torch.Generator:
    """The run's own generator, freshly seeded. Of the seed, torch's CPU generator uses the low 32 bits only."""
    generator = torch.Generator(device="cpu")
    reseed(generator, seed)
    return generator


def reseed(generator: torch.Generator, seed: int) -> None:
    """Seed again, in place."""
    if not 0 <= seed <= LARGEST_SEED:
        raise SeedError(f"seed {seed} is out of range; seeds are 0 to {LARGEST_SEED}")
    generator.manual_seed(seed)


def initial_noise(generator: torch.Generator, shape: Sequence[int], batch_index: Sequence[int] | None = None) -> Tensor:
    """The noise a run starts from (numerics.md, 3.1), float32 on the CPU.

    batch_index: which draw of a sequence of single pictures each item of the batch takes.
    """
    if batch_index is None:
        return torch.randn(tuple(shape), generator=generator)
    if len(batch_index) != shape[0] or any(index < 0 for index in batch_index):
        raise ValueError(f"batch_index {list(batch_index)} does not fit a batch of {shape[0]}")
    wanted = set(batch_index)
    drawn = {}
    for index in range(max(batch_index) + 1):
        single = torch.randn((1, *shape[1:]), generator=generator)
        if index in wanted:
            drawn[index] = single
    return torch.cat([drawn[index] for index in batch_index])


def default_noise(x: Tensor, seed: int) -> Noise:
    """Ancestral noise: a new generator with the run's seed; its first draw equals the initial noise (3.3)."""
    return _draws(x, run_generator(seed))


def following_noise(x: Tensor, seed: int) -> Noise:
    """The draws that follow the initial noise, as in the original scripts, which have one generator for both (4.10)."""
    generator = run_generator(seed)
    torch.randn(x.shape, generator=generator)
    return _draws(x, generator)


def _draws(x: Tensor, generator: torch.Generator) -> Noise:

    def draw(_start: Tensor, _end: Tensor) -> Tensor:
        return sent(torch.randn(x.shape, generator=generator), x.device)

    return draw


def brownian_noise(x: Tensor, sigmas: Tensor, seed: int) -> Noise:
    """Increments of one Brownian path over sigma, so that noise agrees however the interval is divided (3.4)."""
    positive = sigmas[sigmas > 0]
    tree = torchsde.BrownianTree(
        t0=positive.min(), w0=torch.zeros(x.shape, dtype=torch.float32), t1=sigmas.max(), entropy=seed
    )

    # torchsde keeps its ends rounded and warns of, then clips, whatever lies beyond them
    first, last = round(float(positive.min()), TREE_DIGITS), round(float(sigmas.max()), TREE_DIGITS)

    def draw(start: Tensor, end: Tensor) -> Tensor:
        low, high = min(float(start), float(end)), max(float(start), float(end))
        increment: Tensor = tree(max(low, first), min(high, last))
        sign = 1.0 if float(start) < float(end) else -1.0
        return sent(sign * increment / math.sqrt(abs(high - low)), x.device)

    return draw
