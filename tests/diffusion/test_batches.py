"""Batches of network calls: split under a limit, with the same answers."""

import pytest
import torch
from torch import nn

from engine.diffusion.guidance import Call
from engine.diffusion.network import unet_network
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet
from tests.parity.small import noise, randomise, small


@pytest.mark.parametrize("family", ["sd1", "sd2-x4", "sd2-unclip-l"])
def test_a_limit_splits_batches_and_changes_nothing(family):
    config = small(family)
    unet = randomise(UNet(config.unet))
    sizes: list[int] = []
    unet.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    extras = {}
    if config.unet.in_channels > 4:
        extras["concat"] = noise(3, config.unet.in_channels - 4, 8, 8, seed=9)
    if config.unet.num_classes:
        extras["y"] = torch.tensor([1, 2, 3])
    elif config.unet.adm_dim:
        extras["y"] = noise(3, config.unet.adm_dim, seed=8)
    calls = [
        Call(noise(3, 4, 8, 8, seed=seed), torch.tensor(sigma), noise(3, 77, 64, seed=seed), extras=extras)
        for seed, sigma in ((1, 3.0), (2, 0.7))
    ]
    table = discrete(config.schedule)
    whole = unet_network(unet, table, torch.float32, "cpu")(calls)
    assert sizes == [6]
    for limit, expected in ((6, [6]), (4, [4, 2]), (1, [1] * 6)):
        sizes.clear()
        parts = unet_network(unet, table, torch.float32, "cpu", limit=limit)(calls)
        assert sizes == expected
        for a, b in zip(parts, whole, strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_limit_that_lets_nothing_run_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        unet_network(nn.Identity(), discrete(small("sd1").schedule), torch.float32, "cpu", limit=0)
