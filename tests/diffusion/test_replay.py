"""Recorded passes: what is recorded, when again, what is counted; by a stand-in for the graphs of a GPU."""

import gc
from dataclasses import replace

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.guidance import Call, Condition
from engine.diffusion.layers import Attention
from engine.diffusion.network import unet_network
from engine.diffusion.replay import Recorded, Replays, structure_of
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.standin import standin_config
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae, decode
from engine.runtime.device.memory import Ledger
from tests.diffusion.tape import record

CONFIG = standin_config()


def some(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return UNet(CONFIG.unet).eval().requires_grad_(False)


@pytest.fixture
def asked(unet):
    """Ask the network with recordings and without, and have the same answers; gives the recordings."""
    replays = Replays(record)
    played = unet_network(unet, discrete(CONFIG.schedule), torch.float32, "cpu")

    def ask(x, sigma, *texts):
        calls = [Call(x, torch.tensor(sigma), text) for text in texts]
        unet.replays = None
        wanted = unet_network(unet, discrete(CONFIG.schedule), torch.float32, "cpu")(calls)  # with nothing kept
        unet.replays = replays
        found = played(calls)
        for a, b in zip(found, wanted, strict=True):
            assert torch.equal(a, b)

    return ask, replays


def test_a_pass_is_recorded_when_its_shape_comes_for_the_second_time(asked):
    ask, replays = asked
    plus, minus = some(1, 77, CONFIG.unet.context_dim, seed=1), some(1, 77, CONFIG.unet.context_dim, seed=2)
    made = []
    for sigma in (9.0, 5.0, 2.0, 0.5):
        ask(some(1, 4, 8, 8, seed=int(sigma)), sigma, plus, minus)
        made.append(replays.made)
    assert made == [0, 1, 1, 1]


def test_shapes_have_recordings_of_their_own_and_none_is_made_again(asked):
    ask, replays = asked
    text = some(1, 77, CONFIG.unet.context_dim)
    for _ in range(3):
        for height in (8, 16):
            ask(some(1, 4, height, 8), 3.0, text, text)
        ask(some(1, 4, 8, 8), 3.0, text)
    assert replays.made == 3


def test_another_text_or_the_same_changed_is_read_without_recording_anew(asked):
    ask, replays = asked
    x, texts = some(1, 4, 8, 8), [some(1, 77, CONFIG.unet.context_dim, seed=seed) for seed in range(3)]
    for text in (*texts, *texts):
        ask(x, 3.0, text, texts[0])
    texts[1].mul_(2.0)
    ask(x, 3.0, texts[1], texts[0])
    assert replays.made == 1


def test_keys_and_values_of_a_text_are_made_once_for_all_replays(unet):
    replays = unet.replays = Replays(record)
    texts = [layer for layer in unet.modules() if isinstance(layer, Attention) and layer.remembers]
    network = unet_network(unet, discrete(CONFIG.schedule), torch.float32, "cpu")
    text, made = some(1, 77, CONFIG.unet.context_dim), []
    for layer in texts:
        inner = layer.to_k
        project = type(inner).forward.__get__(inner)
        layer.to_k = Counting(inner, lambda x, project=project: made.append(1) or project(x))
    for sigma in (9.0, 5.0, 2.0):
        network([Call(some(1, 4, 8, 8), torch.tensor(sigma), text)])
    assert replays.made == 1
    before = len(made)
    for sigma in (1.0, 0.5, 0.2):
        network([Call(some(1, 4, 8, 8), torch.tensor(sigma), text)])
    assert len(made) == before
    network([Call(some(1, 4, 8, 8), torch.tensor(1.0), text + 1.0)])
    assert len(made) == before + len(texts)


class Counting(torch.nn.Module):
    """A layer that tells how often it is asked."""

    def __init__(self, inner, project):
        super().__init__()
        self.inner, self.project = inner, project

    def forward(self, x):
        return self.project(x)


def test_weights_changed_in_place_are_used_and_weights_elsewhere_are_recorded_anew(unet, asked):
    ask, replays = asked
    x, text = some(1, 4, 8, 8), some(1, 77, CONFIG.unet.context_dim)
    for _ in range(3):
        ask(x, 3.0, text, text)
    layers = [layer for layer in unet.modules() if isinstance(layer, Attention)]
    for layer in layers:  # as a LoRA put on and taken off
        for each in (layer.to_q, layer.to_k, layer.to_v):
            each.weight.add_(0.1)
    ask(x, 3.0, text, text)
    assert replays.made == 1
    unet.load_state_dict({name: value + 0.01 for name, value in unet.state_dict().items()}, assign=True)
    ask(x, 3.0, text, text)
    assert replays.made == 2


def test_networks_with_functions_inside_or_with_streamed_weights_run_by_themselves(unet, asked):
    ask, replays = asked
    text, seen = some(1, 77, CONFIG.unet.context_dim), []
    handle = unet.middle_block.register_forward_hook(lambda *_: seen.append(1))
    for _ in range(3):
        ask(some(1, 4, 8, 8), 3.0, text, text)
    assert len(seen) == 6
    assert replays.made == 0
    handle.remove()
    weight = unet.out[2].weight
    unet.out[2].weight = torch.nn.Parameter(torch.full((1,), 0.1).expand(weight.shape), requires_grad=False)
    for _ in range(3):
        ask(some(1, 4, 8, 8), 3.0, text, text)
    assert replays.made == 0


def test_a_pass_that_cannot_be_recorded_runs_by_itself_and_is_not_tried_again(unet, caplog):
    tries = []

    def refuse(run):
        tries.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    unet.replays = Replays(refuse)
    network = unet_network(unet, discrete(CONFIG.schedule), torch.float32, "cpu")
    call = Call(some(1, 4, 8, 8), torch.tensor(3.0), some(1, 77, CONFIG.unet.context_dim))
    answers = [network([call])[0] for _ in range(4)]
    assert all(torch.equal(each, answers[0]) for each in answers)
    assert len(tries) == 1
    assert "not permitted" in caplog.text


def test_recordings_are_counted_dropped_when_room_is_wanted_and_go_with_their_network():
    ledger = Ledger(1 << 40)
    replays = Replays(record, lambda: ledger.make_room(0))
    ledger.join(replays)
    unet = UNet(CONFIG.unet).eval().requires_grad_(False)
    unet.replays = replays
    network = unet_network(unet, discrete(CONFIG.schedule), torch.float32, "cpu")
    text = some(1, 77, CONFIG.unet.context_dim)
    call = Call(some(1, 4, 8, 8), torch.tensor(3.0), text)
    for _ in range(3):
        first = network([call])[0]
    buffers = 4 * (4 * 8 * 8 + 1 + text.numel())
    assert ledger.held >= 1000 + buffers
    ledger.budget = 0
    assert ledger.make_room(1) >= 1000 + buffers
    assert ledger.held == 0
    assert torch.equal(network([call])[0], first)  # and made again
    assert replays.made == 2
    assert replays.nbytes > 0  # what is playing is not dropped, however little room there is
    del network, unet
    gc.collect()
    assert replays.nbytes == 0


def test_a_run_with_recordings_is_the_run_without(unet):
    network = unet_network(unet, discrete(CONFIG.schedule), torch.float32, "cpu")
    states = [Condition(some(1, 77, CONFIG.unet.context_dim, seed=seed)) for seed in (1, 2)]
    run = Sampling(CONFIG, torch.zeros(2, 4, 8, 8), (states[0],), (states[1],), steps=4, sampler="dpmpp_2m")
    wanted = sample(run, network).samples
    unet.replays = Replays(record)
    assert torch.equal(sample(run, network).samples, wanted)
    assert torch.equal(sample(replace(run, seed=0), network).samples, wanted)
    assert unet.replays.made == 1


def test_decoding_is_recorded_too():
    torch.manual_seed(0)
    config = replace(PRESETS["sd1"].vae, channels=32, channel_mult=(1, 1), num_res_blocks=1)
    vae = Vae(config).eval().requires_grad_(False)
    latents = some(3, 4, 8, 8)
    wanted = decode(vae, latents)
    vae.replays = Replays(record)
    assert torch.equal(decode(vae, latents), wanted)
    assert vae.replays.made == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_graph_of_cuda_gives_what_the_network_gives(unet):
    from engine.diffusion.replay import cuda_recorder

    device = torch.device("cuda")
    unet.to(device, torch.float16)
    network = unet_network(unet, discrete(CONFIG.schedule), torch.float16, device)
    text = some(1, 77, CONFIG.unet.context_dim)
    calls = [[Call(some(1, 4, 8, 8, seed=seed).to(device), torch.tensor(1.0 + seed), text)] for seed in range(4)]
    wanted = [network(call)[0] for call in calls]
    unet.replays = Replays(cuda_recorder(device))
    for call, answer in zip(calls, wanted, strict=True):
        torch.testing.assert_close(network(call)[0], answer, atol=2e-2, rtol=0)
    assert unet.replays.made == 1


@pytest.mark.parametrize("spoil", [lambda answer: answer.fill_(0.5), lambda answer: answer.fill_(torch.nan)])
def test_a_recording_that_answers_differently_never_serves(unet, spoil):
    """Its first answer is right: it would be found by other inputs only."""

    def wrong(run):
        recorded = record(run)
        return Recorded(recorded.answer, lambda: spoil(recorded.answer), recorded.nbytes)

    network = unet_network(unet, discrete(CONFIG.schedule), torch.float32, "cpu")
    calls = [Call(some(1, 4, 8, 8), torch.tensor(3.0), some(1, 77, CONFIG.unet.context_dim))]
    (wanted,) = network(calls)
    replays = unet.replays = Replays(wrong)
    for _ in range(3):
        assert torch.equal(network(calls)[0], wanted)
    assert replays.made == 0
    assert replays.nbytes == 0


def test_a_network_is_gone_through_once_and_again_when_it_is_made_of_something_else(unet, asked, monkeypatch):
    """Each pass compares only: going through a full-size network takes as long as playing its recording."""
    ask, replays = asked
    text, gone_through = some(1, 77, CONFIG.unet.context_dim), []
    monkeypatch.setattr(
        "engine.diffusion.replay.structure_of", lambda module: gone_through.append(1) or structure_of(module)
    )
    for _ in range(4):
        ask(some(1, 4, 8, 8), 3.0, text, text)
    assert (len(gone_through), replays.made) == (1, 1)
    layer = next(each for each in unet.modules() if isinstance(each, Attention) and each.remembers)
    layer.to_k = torch.nn.Linear(CONFIG.unet.context_dim, layer.to_k.out_features, bias=False).requires_grad_(False)
    ask(some(1, 4, 8, 8), 3.0, text, text)  # another layer
    assert (len(gone_through), replays.made) == (2, 2)
    layer.to_k.weight.data = layer.to_k.weight.data * 2.0
    ask(some(1, 4, 8, 8), 3.0, text, text)  # the same weight elsewhere
    assert (len(gone_through), replays.made) == (3, 3)
    layer.to_k.forward = lambda x: layer.to_k.weight.sum() + torch.nn.functional.linear(x, layer.to_k.weight)
    ask(some(1, 4, 8, 8), 3.0, text + 1.0, text)  # a function; of the other text keys are kept
    assert replays.made == 3
