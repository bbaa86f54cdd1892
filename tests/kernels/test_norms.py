"""The Triton kernels of GroupNorm and SiLU, by Triton's interpreter, which needs no GPU."""

import importlib.util
import logging
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.diffusion.fast import make_last
from engine.diffusion.kernels import norms
from engine.diffusion.standin import standin_config
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae

CODE = """
import torch
import torch.nn.functional as F
from engine.diffusion.kernels.norms import launched

for shape, groups, silu in (((2, 64, 7, 9), 8, True), ((1, 320, 4, 4), 32, False), ((2, 48, 33, 31), 4, True)):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 1
    weight, bias = torch.randn(shape[1]), torch.randn(shape[1])
    made = launched(x, groups, weight, bias, 1e-5, silu=silu)
    wanted = F.group_norm(x, groups, weight, bias, 1e-5)
    torch.testing.assert_close(made, F.silu(wanted) if silu else wanted, rtol=1e-4, atol=1e-4)
    assert made.is_contiguous(memory_format=torch.channels_last)
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton, which comes with torch for CUDA")
def test_group_norm_is_what_pytorch_makes_of_it():
    surroundings = os.environ | {"TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", CODE], check=True, env=surroundings)


@pytest.fixture
def taken(monkeypatch):
    """Channels-last maps on the CPU are taken, as on CUDA; gives the sizes of those that the kernel is asked for."""
    seen = []

    def launched(x, groups, weight, bias, eps, *, silu):
        seen.append(x.shape)
        out = F.group_norm(x, groups, weight, bias, eps)
        return (F.silu(out) if silu else out).contiguous(memory_format=torch.channels_last)

    monkeypatch.setattr(norms, "takes", lambda x: x.is_contiguous(memory_format=torch.channels_last))
    monkeypatch.setattr(norms, "launched", launched)
    monkeypatch.setattr(norms, "_states", {})
    return seen


def test_a_network_that_is_channels_last_norms_every_map_by_the_kernel(taken):
    torch.manual_seed(0)
    config = standin_config()
    unet, vae = UNet(config.unet).eval().requires_grad_(False), Vae(config.vae).eval().requires_grad_(False)
    x, context = torch.randn(2, 4, 9, 6), torch.randn(2, 77, config.unet.context_dim)
    timestep, pixels = torch.tensor([3.0, 700.0]), torch.randn(1, 3, 32, 16)
    asked = (lambda: unet(x, timestep, context), lambda: vae.decode(x[:1]), lambda: vae.moments(pixels)[0])
    wanted = [ask() for ask in asked]
    assert not taken
    for network in (unet, vae):
        make_last(network)
    for ask, answer in zip(asked, wanted, strict=True):
        torch.testing.assert_close(ask(), answer, rtol=1e-4, atol=1e-5)
    layers = [each for network in (unet, vae) for each in network.modules() if isinstance(each, nn.GroupNorm)]
    assert len(taken) == len(layers)


@pytest.mark.parametrize("fault", [RuntimeError("no compiler"), None])
def test_a_kernel_that_fails_or_differs_is_not_used_again(taken, monkeypatch, caplog, fault):
    def broken(x, *rest, **more):
        taken.append(x.shape)
        if fault:
            raise fault
        return x

    monkeypatch.setattr(norms, "launched", broken)
    x, weight, bias = torch.randn(1, 32, 4, 4), torch.ones(32), torch.zeros(32)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            made = norms.group_norm(x, 8, weight, bias, 1e-5, silu=True)
            torch.testing.assert_close(made, F.silu(F.group_norm(x, 8, weight, bias, 1e-5)))
    assert len(taken) == 1
    assert len(caplog.records) == 1
