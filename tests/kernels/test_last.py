"""Networks that are not packed work channels-last on the CPU, with products in place of small convolutions."""

import pytest
import torch

from engine.diffusion import fast
from engine.diffusion.fast import Conv2d, goes_last, make_last
from engine.diffusion.standin import standin_config
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae

CPU = torch.device("cpu")


@pytest.fixture
def products(monkeypatch):
    """The sizes of maps whose convolution is one product."""
    seen = []
    plain = Conv2d._product

    def counted(layer, x):
        seen.append(tuple(x.shape))
        return plain(layer, x)

    monkeypatch.setattr(fast.Conv2d, "_product", counted)
    return seen


@pytest.mark.parametrize(("shape", "columns"), [((3, 96, 4, 5), 64), ((1, 32, 7, 9), 96), ((2, 64, 1, 1), 32)])
def test_a_product_is_the_convolution(products, shape, columns):
    torch.manual_seed(0)
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last)
    layer = Conv2d(shape[1], columns, 3, padding=1).requires_grad_(False)
    with torch.no_grad():
        wanted = torch.nn.functional.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)
        for weights in (torch.contiguous_format, torch.channels_last):
            made = layer.to(memory_format=weights)(x)
            assert float((made - wanted).norm() / wanted.norm()) < 1e-6
            assert made.is_contiguous(memory_format=torch.channels_last)
    assert products == [shape, shape]


@pytest.mark.parametrize("layer", [Conv2d(32, 64, 3), Conv2d(32, 64, 3, stride=2, padding=1), Conv2d(32, 64, 1)])
def test_other_convolutions_are_pytorchs(products, layer):
    with torch.no_grad():
        layer(torch.randn(1, 32, 4, 4).contiguous(memory_format=torch.channels_last))
    layer = Conv2d(32, 64, 3, padding=1)
    layer(torch.randn(1, 32, 4, 4).contiguous(memory_format=torch.channels_last))  # with gradients
    assert not products


def test_a_network_that_is_channels_last_gives_the_plain_answer(products):
    torch.manual_seed(0)
    config = standin_config()
    unet, vae = UNet(config.unet).eval().requires_grad_(False), Vae(config.vae).eval().requires_grad_(False)
    x, context = torch.randn(2, 4, 9, 6), torch.randn(2, 77, config.unet.context_dim)
    timestep, pixels = torch.tensor([3.0, 700.0]), torch.randn(1, 3, 32, 16)
    asked = (lambda: unet(x, timestep, context), lambda: vae.decode(x[:1]), lambda: vae.moments(pixels)[0])
    with torch.no_grad():
        wanted = [ask() for ask in asked]
        assert not products
        for network in (unet, vae):
            assert goes_last(network, torch.float32, CPU)
            make_last(network)
        for ask, answer in zip(asked, wanted, strict=True):
            assert float((ask() - answer).norm() / answer.norm()) < 1e-5
        assert products
        alone = unet(x[1:], timestep[1:], context[1:])
        torch.testing.assert_close(alone, unet(x, timestep, context)[1:], rtol=1e-4, atol=1e-5)


def test_packed_networks_keep_the_kernels_order():
    unet = UNet(standin_config().unet)
    next(each for each in unet.modules() if isinstance(each, Conv2d)).packed = True

    assert not goes_last(unet, torch.bfloat16, CPU)
