"""Deterministic samplers that combine the last few evaluations (numerics.md, 4.3)."""

import torch
from torch import Tensor

from engine.diffusion.solvers.steps import Evaluate, Steps, intervals


def dpmpp_2m(x: Tensor, sigmas: Tensor) -> Steps:
    """DPM-Solver++ (2M): Lu et al. (arXiv:2211.01095), Algorithm 2."""
    before: Tensor | None = None
    h_last = torch.zeros(())
    for sigma, sigma_next in intervals(sigmas):
        denoised = (yield Evaluate(x, sigma)).denoised
        h = sigma.log() - sigma_next.log()  # infinite where sigma_next is 0
        guess = denoised
        if before is not None and sigma_next > 0:
            r = h_last / h
            guess = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * before
        x = (sigma_next / sigma) * x - (-h).expm1() * guess
        before, h_last = denoised, h
    return x
