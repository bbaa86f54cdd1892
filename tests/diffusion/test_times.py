"""What residual blocks are told of timesteps: worked out once for a run, the same as without, and never out of date."""

import pytest
import torch
from torch import Tensor

from engine.diffusion.checkpoint import open_checkpoint
from engine.diffusion.guidance import Condition
from engine.diffusion.hooks import Hooks
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


def watched(unet):
    """How many rows each product for timesteps had."""
    rows = []
    for layer in [each for name, each in unet.named_modules() if name.endswith(("time_embed", "emb_layers"))]:
        layer.register_forward_hook(lambda _layer, given, _made: rows.append(len(given[0])))
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


def test_a_hook_on_the_embedding_is_heard():
    config, unet = network()
    x, context = inputs(config)
    answers = []
    for unet.times in (None, Times()):
        answers.append(asked(unet, x, context, 5.0, 5.0, hooks=Hooks(embedding=(lambda emb, site: 2.0 * emb,))))
    assert far(answers[1], answers[0]) < 1e-5
    assert far(asked(unet, x, context, 5.0, 5.0), answers[0]) > 1e-4


@pytest.mark.parametrize(("sampler", "unforeseen"), [("euler", 0), ("dpm_2", STEPS - 1)])
def test_all_steps_of_a_run_are_one_product_of_each_layer(sampler, unforeseen):
    config = standin_config()
    unet = randomise(UNet(config.unet)).requires_grad_(False)
    x, text = noise(1, 4, 8, 8, seed=1), Condition(noise(1, 77, config.unet.context_dim, seed=2))
    run = Sampling(config, x, (text,), (text,), steps=STEPS, sampler=sampler)
    answers = []
    rows = watched(unet)
    layers = 1 + sum(name.endswith("emb_layers") for name, _ in unet.named_modules())
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

    def replaced():
        unet.time_embed[0].weight = torch.nn.Parameter(unet.time_embed[0].weight * 1.5, requires_grad=False)

    def layer_replaced():
        block = unet.output_blocks[0][0]
        wide, narrow = block.emb_layers[1].weight.shape
        block.emb_layers = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(narrow, wide))

    unet.times = times = Times()
    before = asked(unet, x, context, 7.0, 7.0)
    for change in (changed_in_place, moved, replaced, layer_replaced):
        change()
        unet.times = times
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
