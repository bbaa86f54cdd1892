"""Keys and values of a text are made once for all steps of a run, and go with the run."""

import gc

import pytest
import torch

from engine.diffusion.guidance import Call
from engine.diffusion.layers import Attention
from engine.diffusion.network import unet_network
from engine.diffusion.replay import Replays
from engine.diffusion.schedules import discrete
from engine.diffusion.standin import standin_config
from engine.diffusion.times import Times
from engine.diffusion.unet import UNet
from tests.diffusion.tape import record


def recorded(unet):
    unet.replays = Replays(record)


def known(unet):
    unet.times = Times()


def test_a_text_is_projected_once_however_many_steps_there_are():
    config = standin_config()
    torch.manual_seed(0)
    unet = UNet(config.unet).eval().requires_grad_(False)
    texts = [layer for layer in unet.modules() if isinstance(layer, Attention) and layer.remembers]
    made = []
    for layer in texts:
        layer.to_k.register_forward_hook(lambda *_: made.append(1))
    network = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, 8, 8, generator=generator)
    states = [torch.randn(2, 77, config.unet.context_dim, generator=generator) for _ in range(2)]

    def ask(network, sigma, plus, minus):  # conditions are cut to the batch anew each time
        return network([Call(x, torch.tensor(sigma), text[:1]) for text in (plus, minus)])

    first = ask(network, 3.0, *states)
    assert len(made) == len(texts)
    again = ask(network, 3.0, *states)
    assert len(made) == len(texts)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))

    other = ask(network, 3.0, states[1], states[0])
    assert len(made) == 2 * len(texts)
    assert torch.allclose(other[0], first[1], atol=1e-5)
    assert not torch.allclose(other[0], first[0], atol=1e-3)

    states[0].add_(1.0)  # what was kept of it is not used
    changed = ask(network, 3.0, *states)
    assert len(made) == 3 * len(texts)
    assert not torch.allclose(changed[0], first[0], atol=1e-3)

    del network
    gc.collect()
    assert not any(layer._kept for layer in texts)


@pytest.mark.parametrize("prepared", [lambda unet: None, recorded, known])
def test_texts_and_runs_of_inference_mode_have_the_same_answers(prepared):
    """As of packs that prepare a text, or run a network, in torch's inference mode: such tensors count no changes."""
    config = standin_config()
    torch.manual_seed(0)
    unet = UNet(config.unet).eval().requires_grad_(False)
    x, text = torch.randn(1, 4, 8, 8), torch.randn(1, 77, config.unet.context_dim)
    with torch.inference_mode():
        same = text.clone()
    network = unet_network(unet, discrete(config.schedule), torch.float32, "cpu")
    (wanted,) = network([Call(x, torch.tensor(3.0), text)])
    prepared(unet)
    for _ in range(3):
        for given in (text, same):
            for inside in (True, False):
                with torch.inference_mode(inside):
                    (found,) = network([Call(x, torch.tensor(3.0), given)])
                torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
