"""What samplers share: the questions they ask, the answers they get, and Karras's ancestral split."""

from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import NamedTuple, TypeVar

from torch import Tensor


class Evaluate(NamedTuple):
    """A question: the clean latent at x (batch, c, h, w) with noise sigma, a scalar tensor on the CPU."""

    x: Tensor
    sigma: Tensor


class Guess(NamedTuple):
    """An answer: the guided clean latent, and the raw unconditional one where the sampler's row asks for it."""

    denoised: Tensor
    uncond: Tensor


T = TypeVar("T")
Asking = Generator[Evaluate, Guess, T]  # something worked out by asking
Steps = Asking[Tensor]


def intervals(sigmas: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The steps (now, next) of a sigma list, as scalar tensors."""
    return pairwise(sigmas.unbind())


def ancestral_split(sigma: Tensor, sigma_next: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """How far to go down without noise, and how much noise to add: k-diffusion's get_ancestral_step."""
    if eta == 0.0:
        return sigma_next, sigma_next * 0.0
    variance = sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2
    sigma_up = (eta * variance**0.5).minimum(sigma_next)
    return (sigma_next**2 - sigma_up**2) ** 0.5, sigma_up
