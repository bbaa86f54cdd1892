"""What residual blocks are told of timesteps: worked out once for a run, the same as without, and never out of date."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.checkpoint import open_checkpoint
from engine.diffusion.guidance import Condition
from engine.diffusion.hooks import Hooks
from engine.diffusion.kernels import build
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.standin import standin_config
from engine.diffusion.times import MOST, ROWS, Times
from engine.diffusion.unet import UNet
from engine.runtime.device.precision import choose_dtypes
from engine.runtime.device.residency import Residency
from tests.memory.models import TEXT, config_of, write_model
from tests.parity.small import noise, randomise, small

STEPS = 5


def network(family="sd1"):
    config = small(family)
    return config, randomise(UNet(config.unet)).requires_grad_(False)


def inputs(config, batch=2):
    return noise(batch, config.unet.in_channels, 8, 8, seed=1), noise(batch, 77, config.unet.context_dim, seed=2)


def asked(unet, x, context, *timesteps, **more) -> Tensor:
    with torch.no_grad():
        return unet(x, torch.tensor(timesteps), context, **more)


def far(a, b):
    return float((a - b).norm() / b.norm())


def of_times(unet):
    """The layers that are told of timesteps."""
    groups = [each for name, each in unet.named_modules() if name.endswith(("time_embed", "emb_layers"))]
    return [layer for group in groups for layer in group if isinstance(layer, torch.nn.Linear)]


def watched(unet, monkeypatch):
    """How many rows each product for timesteps had."""
    rows, linear, weights = [], F.linear, {id(layer.weight) for layer in of_times(unet)}

    def counted(x, weight, bias=None):
        if id(weight) in weights:
            rows.append(len(x))
        return linear(x, weight, bias)

    monkeypatch.setattr(F, "linear", counted)
    return rows


@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
def test_the_answer_is_the_plain_one(family):
    config, unet = network(family)
    x, context = inputs(config, 3)
    for timesteps in ((500.0, 500.0, 500.0), (1.0, 981.5, 1.0)):
        unet.times = None
        plain = asked(unet, x, context, *timesteps)
        unet.times = Times()
        unet.times.expect(unet, lambda: [981.5, 500.0, 20.0])
        assert far(asked(unet, x, context, *timesteps), plain) < 1e-5
        hooked = asked(unet, x, context, *timesteps, hooks=Hooks(embedding=(lambda emb, site: emb,)))
        assert torch.equal(hooked, asked(unet, x, context, *timesteps))


@pytest.mark.parametrize("change", [lambda emb, site: 2.0 * emb, lambda emb, site: emb.mul_(2.0)])
def test_a_hook_on_the_embedding_is_heard(change):
    config, unet = network()
    x, context = inputs(config)
    answers = []
    for unet.times in (None, Times()):
        answers.append(asked(unet, x, context, 5.0, 5.0, hooks=Hooks(embedding=(change,))))
    assert far(answers[1], answers[0]) < 1e-5
    assert far(asked(unet, x, context, 5.0, 5.0), answers[0]) > 1e-4


class Boosted(torch.nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base, self.strength = base, 2.0

    def forward(self, x):
        return self.base(x) * self.strength


def test_what_is_put_into_layers_or_around_them_is_heard():
    config, unet = network()
    x, context = inputs(config)
    block = unet.middle_block[0]
    unet.times = times = Times()
    before = asked(unet, x, context, 5.0, 5.0)

    def check():
        unet.times = times
        found = asked(unet, x, context, 5.0, 5.0)
        unet.times = None
        assert torch.equal(found, asked(unet, x, context, 5.0, 5.0))
        assert far(found, before) > 1e-5

    for layer in (unet.time_embed, block.emb_layers[1]):
        for put in (layer.register_forward_hook, layer.register_forward_pre_hook):
            where = put(lambda _layer, given, *made: made[0] * 2.0 if made else (given[0] * 2.0,))
            check()
            where.remove()
    layer = block.emb_layers[1]
    layer.forward = lambda x: torch.nn.functional.linear(x, layer.weight) * 2.0
    check()
    del layer.forward
    block.emb_layers[1] = Boosted(layer)
    check()
    block.emb_layers[1].strength = 3.0
    check()
    block.emb_layers[1] = layer
    unet.times = times
    assert torch.equal(asked(unet, x, context, 5.0, 5.0), before)


def test_a_copy_of_a_network_is_its_own():
    config, unet = network()
    x, context = inputs(config)
    unet.times = Times()
    before = asked(unet, x, context, 5.0, 5.0)
    other = copy.deepcopy(unet)
    assert torch.equal(asked(other, x, context, 5.0, 5.0), before)
    other.time_embed[0].weight.mul_(2.0)
    assert far(asked(other, x, context, 5.0, 5.0), before) > 1e-5
    assert torch.equal(asked(unet, x, context, 5.0, 5.0), before)


def test_another_type_is_seen():
    config, unet = network()
    x, context = inputs(config)
    unet.times = times = Times()
    asked(unet, x, context, 5.0, 5.0)
    unet.bfloat16()
    found = asked(unet, x.bfloat16(), context.bfloat16(), 5.0, 5.0)
    assert found.dtype == torch.bfloat16
    unet.times = None
    assert far(found.float(), asked(unet, x.bfloat16(), context.bfloat16(), 5.0, 5.0).float()) < 0.02
    assert times.nbytes > 0


@pytest.mark.skipif(not build.available(), reason=f"no compiled kernels here: {build.why_not()}")
def test_packed_weights_give_the_bits_of_the_plain_way(tmp_path):
    checkpoint = open_checkpoint(write_model(tmp_path / "m.safetensors", 32))
    residency = Residency(torch.device("cpu"), choose_dtypes("bf16", "cpu", frozenset()), 2**40)
    unet = residency.have(checkpoint.unet)
    assert any(getattr(layer, "packed", False) for layer in of_times(unet))
    given = noise(2, 4, 8, 8, seed=1).bfloat16(), noise(2, 77, TEXT, seed=2).bfloat16()
    known = asked(unet, *given, 700.0, 30.0)
    assert residency.times.nbytes > 0
    unet.times = None
    assert torch.equal(asked(unet, *given, 700.0, 30.0), known)


@pytest.mark.parametrize(("sampler", "unforeseen"), [("euler", 0), ("dpm_2", STEPS - 1)])
def test_all_steps_of_a_run_are_one_product_of_each_layer(monkeypatch, sampler, unforeseen):
    config = standin_config()
    unet = randomise(UNet(config.unet)).requires_grad_(False)
    x, text = noise(1, 4, 8, 8, seed=1), Condition(noise(1, 77, config.unet.context_dim, seed=2))
    run = Sampling(config, x, (text,), (text,), steps=STEPS, sampler=sampler)
    answers = []
    rows, layers = watched(unet, monkeypatch), len(of_times(unet))
    for unet.times in (None, Times()):
        rows.clear()
        answers.append(sample(run, unet_network(unet, discrete(config.schedule), torch.float32, "cpu")).samples)
    assert far(answers[1], answers[0]) < 1e-4
    assert len(rows) == layers * (1 + unforeseen)
    assert set(rows) == {ROWS}
    sample(run, unet_network(unet, discrete(config.schedule), torch.float32, "cpu"))
    assert len(rows) == layers * (1 + unforeseen), "the next run has them"


def test_bits_of_a_step_do_not_follow_from_what_is_made_beside_it():
    _, unet = network()
    with torch.no_grad():
        alone = Times().of(unet, torch.tensor([300.0]), torch.float32)
        times = Times()
        times.expect(unet, lambda: [900.0, 600.0, 300.0, 50.0])
        times.of(unet, torch.tensor([900.0]), torch.float32)
        beside = times.of(unet, torch.tensor([50.0, 300.0, 300.0]), torch.float32)
    assert torch.equal(beside.emb[1:], alone.emb.expand(2, -1))
    assert len(beside.shifts) > 20
    for block, shift in beside.shifts.items():
        assert torch.equal(shift[1:], alone.shifts[block].expand(2, -1))


def test_weights_that_change_or_are_others_are_seen():
    config, unet = network()
    x, context = inputs(config)

    def changed_in_place():
        unet.middle_block[0].emb_layers[1].weight.mul_(1.5)

    def moved():
        weight = unet.input_blocks[1][0].emb_layers[1].weight
        weight.data = weight * 1.5

    def moved_twice():
        """What comes last may lie where the first was."""
        weight = unet.middle_block[0].emb_layers[1].weight
        before = weight.data
        for factor in (1.5, 3.0):
            weight.data = before
            weight.data = before * factor
            if factor < 2.0:
                asked(unet, x, context, 7.0, 7.0)

    def replaced():
        unet.time_embed[0].weight = torch.nn.Parameter(unet.time_embed[0].weight * 1.5, requires_grad=False)

    def layer_replaced():
        block = unet.output_blocks[0][0]
        wide, narrow = block.emb_layers[1].weight.shape
        block.emb_layers = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(narrow, wide))

    unet.times = times = Times()
    before = asked(unet, x, context, 7.0, 7.0)
    for change in (changed_in_place, moved, moved_twice, replaced, layer_replaced):
        unet.times = times
        change()
        after = asked(unet, x, context, 7.0, 7.0)
        unet.times = None
        assert far(after, asked(unet, x, context, 7.0, 7.0)) < 1e-5
        assert not torch.equal(after, before)
        before = after


def test_as_many_timesteps_are_kept_as_there_is_room_for():
    _, unet = network()
    times = Times()
    timesteps = torch.linspace(0, 999, 3 * MOST).flip(0).tolist()
    times.expect(unet, lambda: timesteps)
    with torch.no_grad():
        for each in timesteps:
            told = times.of(unet, torch.tensor([each]), torch.float32)
            width = told.emb.shape[1] + sum(shift.shape[1] for shift in told.shifts.values())
            assert times.nbytes <= MOST * width * 4
        many = torch.arange(MOST + 5).float()
        assert len(times.of(unet, many, torch.float32).emb) == len(many)
    assert times.nbytes > 0


def test_gradients_flow():
    config, unet = network()
    unet.times = Times()
    unet.time_embed[0].weight.requires_grad_(True)
    x, context = inputs(config)
    unet(x, torch.tensor([7.0, 7.0]), context).sum().backward()
    assert float(unet.time_embed[0].weight.grad.abs().sum()) > 0


def test_what_they_take_is_in_the_budget(tmp_path):
    checkpoint = open_checkpoint(write_model(tmp_path / "m.safetensors"))
    config = config_of(16)
    residency = Residency(torch.device("cpu"), choose_dtypes("fp32", "cpu"), 2**40)
    unet = residency.have(checkpoint.unet)
    asked(unet, noise(1, 4, 8, 8, seed=1), noise(1, 77, TEXT, seed=2), 5.0)
    taken = residency.times.nbytes
    assert taken >= 4 * config.unet.time_width
    assert residency.ledger.held == residency.nbytes + taken
    while residency.ledger.drop_one() is not None:
        pass
    assert residency.ledger.held == 0
    assert Residency(torch.device("cpu"), choose_dtypes("fp32", "cpu"), 2**40, plain=True).times is None
