"""DeepCache (arXiv:2312.00858) and guidance on part of the way (arXiv:2404.07724); percents are numerics.md's, 1.3."""

from __future__ import annotations

import pytest
import torch

from engine.diffusion.network import unet_network
from engine.diffusion.patches.attention_guidance import PerturbedAttention
from engine.diffusion.patches.cfg import GuidanceInterval, RescaleCfg
from engine.diffusion.patches.deepcache import DeepCache
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from tests.diffusion.synthetic import Synthetic, synthetic_run
from tests.parity.small import noise
from tests.patches.support import a_pass, forward, picture, run_of, text, unet

# -- DeepCache -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", range(1, 12))
@pytest.mark.parametrize("size", [(8, 8), (9, 13)])
def test_the_same_input_through_the_shortcut_gives_the_same_result(depth, size):
    """The features of a pass, put back into an equal pass, are what that pass would have made itself."""
    _, net = unet()
    moment = a_pass(size, run=run_of())
    patch = DeepCache(2, depth)
    whole = forward(net, moment, patch.hooks(moment))
    assert torch.equal(whole, forward(net, moment))
    calls = [0]
    for stage in (*net.input_blocks, net.middle_block, *net.output_blocks):
        stage.register_forward_pre_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))
    later = a_pass(size, sigma=1.5, run=moment.run)
    hooks = patch.hooks(later)
    assert hooks.shortcut[0].features is not None
    inner = [0]
    for stage in (*net.input_blocks[depth:], net.middle_block, *net.output_blocks[: 12 - depth]):
        for layer in stage:
            layer.register_forward_pre_hook(lambda *_: inner.__setitem__(0, inner[0] + 1))
    assert torch.equal(forward(net, later, hooks), whole)
    assert inner[0] == 0, "the inner part is not run"


def test_every_third_evaluation_is_whole():
    _, net = unet()
    run, patch = run_of(), DeepCache(3, 3)
    whole = []
    for sigma in (9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0):
        moment = a_pass(sigma=sigma, run=run)
        hooks = patch.hooks(moment)
        whole.append(hooks.shortcut[0].features is None)
        forward(net, moment, hooks)
    assert whole == [True, False, False, True, False, False, True]


def test_outside_its_part_of_the_way_all_is_whole():
    _, net = unet()
    run, patch = run_of(), DeepCache(9, 3, 0.2, 0.5)
    found = {}
    for sigma in (14.0, 6.0, 4.9, 2.0, 1.7, 1.5, 0.1):  # 20 percent is 5.0924, 50 percent 1.6155803 (1.3)
        moment = a_pass(sigma=sigma, run=run)
        hooks = patch.hooks(moment)
        found[sigma] = hooks.shortcut[0].features is None
        forward(net, moment, hooks)
    assert found == {14.0: True, 6.0: True, 4.9: False, 2.0: False, 1.7: False, 1.5: True, 0.1: True}


def test_passes_of_one_evaluation_keep_their_features_apart():
    run, patch = run_of(), DeepCache(2, 3)
    first, second = noise(1, 2, seed=1), noise(1, 2, seed=2)
    for value in (first, second):
        patch.hooks(a_pass(sigma=3.0, run=run)).shortcut[0].keep(value)
    found = [patch.hooks(a_pass(sigma=2.0, run=run)).shortcut[0].features for _ in range(3)]
    assert found[0] is first
    assert found[1] is second
    assert found[2] is None, "a pass that was not there before is whole"
    assert patch.hooks(a_pass((4, 4), sigma=2.0, run=run)).shortcut[0].features is None


def test_a_picture_with_the_cache_is_close_and_interval_1_is_exact():
    config, net = unet()
    # a smooth network: the random one's answers have nothing to do with each other from step to step
    for parameter in net.parameters():
        parameter.data.mul_(0.8)
    exact = picture(config, net, steps=8)
    cached = picture(config, net, (DeepCache(2, 3),), steps=8)
    assert not torch.equal(cached, exact)
    assert torch.isfinite(cached).all()
    assert torch.equal(picture(config, net, (DeepCache(1, 3),), steps=8), exact)
    assert torch.equal(picture(config, net, steps=8), exact)
    fewer = float((picture(config, net, (DeepCache(2, 11),), steps=8) - exact).abs().mean())
    assert fewer < float((picture(config, net, (DeepCache(8, 1),), steps=8) - exact).abs().mean())


def test_it_works_with_inner_passes_and_split_batches():
    config, net = unet()
    patches = (DeepCache(2, 3), PerturbedAttention(2.0))
    run = Sampling(config=config, latent=torch.zeros(3, 4, 8, 8), positive=text(1), negative=text(2), steps=4,
                   scheduler="karras", patches=patches)  # fmt: skip
    table = discrete(config.schedule)
    whole, split = (
        sample(run, unet_network(net, table, torch.float32, "cpu", limit=limit)).samples for limit in (None, 2)
    )
    assert torch.allclose(whole, split, atol=2e-3 * float(whole.abs().max()))


# -- guidance on part of the way -------------------------------------------------------------------------------------


def asked(patches, **changes):
    """By noise level, how many lists were asked."""
    seen = {}

    def network(calls):
        seen[round(float(calls[0].sigma), 4)] = len(calls)
        return [Synthetic.answer(call) for call in calls]

    found = sample(synthetic_run("euler", patches=patches, **changes), network).samples
    return found, seen


def test_the_negative_list_is_asked_only_on_part_of_the_way():
    # 1.3: sigma at 20 percent is 5.0924, at 50 percent 1.6155803
    sigmas = torch.tensor([14.0, 6.0, 5.0, 2.0, 1.7, 1.6, 0.3, 0.0])
    _, seen = asked((GuidanceInterval(0.2, 0.5),), sigmas=sigmas)
    assert seen == {14.0: 1, 6.0: 1, 5.0: 2, 2.0: 2, 1.7: 2, 1.6: 1, 0.3: 1}
    _, seen = asked((), sigmas=sigmas)
    assert set(seen.values()) == {2}


def test_both_ends_of_the_interval_belong_to_it():
    """1.3: sigma at 20 percent and at 50 percent, to the last bit; a call of no run is guided."""
    run, patch = run_of(), GuidanceInterval(0.2, 0.5)
    start, end = (torch.tensor(run.table.percent_to_sigma(percent)) for percent in (0.2, 0.5))
    for sigma, scale in ((start, 7.0), (end, 7.0), (start * 1.001, 1.0), (end * 0.999, 1.0)):
        assert patch.scale(7.0, sigma, run) == scale
    assert patch.scale(7.0, start * 2, None) == 7.0


def test_outside_it_the_guess_is_the_positive_one():
    sigmas = torch.tensor([14.0, 6.0, 0.0])
    without, _ = asked((GuidanceInterval(0.5, 0.6),), sigmas=sigmas)
    plain, _ = asked((), sigmas=sigmas, cfg=1.0)
    assert torch.equal(without, plain)
    inside, _ = asked((GuidanceInterval(0.0, 1.0),), sigmas=sigmas)
    assert torch.equal(inside, asked((), sigmas=sigmas)[0])


def test_it_goes_with_other_guidance_and_with_samplers_that_need_the_negative():
    sigmas = torch.tensor([14.0, 6.0, 0.0])
    both, _ = asked((RescaleCfg(0.7), GuidanceInterval(0.5, 0.6)), sigmas=sigmas)
    assert torch.allclose(both, asked((), sigmas=sigmas, cfg=1.0)[0], atol=1e-4)
    network = Synthetic()
    roles = []

    def noting(calls):
        roles.append([call.role for call in calls])
        return network(calls)

    sample(synthetic_run("euler_cfg_pp", patches=(GuidanceInterval(0.5, 0.6),), sigmas=sigmas), noting)
    assert roles == [["positive", "negative"]] * 2
