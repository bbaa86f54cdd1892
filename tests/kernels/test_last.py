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


@pytest.mark.parametrize(("shape", "columns"), [((3, 96, 4, 5), 64), ((1, 32, 7, 9), 96), ((2, 64, 1, 16), 32)])
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


@pytest.mark.parametrize("sides", [(4, 4), (1, 16), (7, 9)])
def test_a_product_is_bit_for_bit_the_same_whatever_is_made_beside_it(products, sides):
    torch.manual_seed(0)
    x = torch.randn(6, 96, *sides).contiguous(memory_format=torch.channels_last)
    layer = Conv2d(96, 64, 3, padding=1).to(memory_format=torch.channels_last)
    with torch.no_grad():
        together = layer(x)
        for first, last in ((0, 1), (0, 2), (2, 6), (5, 6)):
            assert torch.equal(layer(x[first:last].contiguous(memory_format=torch.channels_last)), together[first:last])
    assert len(products) == 5

    with torch.no_grad():
        layer(torch.randn(6, 96, 3, 5).contiguous(memory_format=torch.channels_last))
    assert len(products) == 5  # of so few rows the bits follow from how many there are


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
    unet, vae = UNet(config.unet).eval().requires_grad_(False), Vae(config.vae)
    x, timestep = torch.randn(2, 4, 9, 8), torch.tensor([3.0, 700.0])
    context = torch.randn(2, 77, config.unet.context_dim)
    assert goes_last(unet, torch.float32, CPU)
    assert not goes_last(vae, torch.float32, CPU)
    with torch.no_grad():
        wanted = unet(x, timestep, context)
        assert not products
        make_last(unet)
        assert float((unet(x, timestep, context) - wanted).norm() / wanted.norm()) < 1e-5
        assert products


def test_packed_networks_keep_the_kernels_order():
    unet = UNet(standin_config().unet)
    next(each for each in unet.modules() if isinstance(each, Conv2d)).packed = True

    assert not goes_last(unet, torch.bfloat16, CPU)
