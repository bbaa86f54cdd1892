"""PAG and SAG: numerics.md, 5.6."""

from __future__ import annotations

import math

import pytest
import torch

from engine.diffusion.guidance import Condition
from engine.diffusion.guiders import split_patches
from engine.diffusion.hooks import Hooks, Place, join
from engine.diffusion.network import unet_network
from engine.diffusion.patches.attention_guidance import (
    Perturbed,
    PerturbedAttention,
    Recording,
    SelfAttentionGuidance,
    attention_map,
    blurred,
    degrade,
    map_size,
)
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from tests.parity.small import noise
from tests.patches.support import SHAPE, a_pass, forward, guided, picture, run_of, text, unet


def close(a, b, atol=1e-5):
    assert torch.allclose(a, b, atol=atol), float((a - b).abs().max())


def test_perturbed_guidance_goes_away_from_the_perturbed_guess():
    # D ← D + scale·(D₊ - P)
    perturbed = noise(*SHAPE, seed=9)
    found, moment, calls = guided(PerturbedAttention(3.0), answers={"positive": perturbed})
    d = moment.uncond + 4.0 * (moment.cond - moment.uncond)
    close(found, d + 3.0 * (moment.cond - perturbed), atol=1e-4)
    assert [call.patches for call in calls] == [(Perturbed(),)]
    assert torch.equal(calls[0].x, moment.x)
    assert guided(PerturbedAttention(0.0))[2] == [], "a scale of 0 asks for nothing"


def test_the_perturbed_networks_middle_block_passes_values_on():
    _, net = unet()
    moment, seen = a_pass(), {}

    def before(n, context, value, site):
        seen[site.place] = n
        return n, context, value

    def after(out, site):
        seen[site.place, "out"] = out
        return out

    watch = Hooks(attn1_input=(before,), attn1_output=(after,))
    forward(net, moment, join([watch, Perturbed().hooks(moment)]))
    middle, other = Place("middle", 0, 0), Place("input", 1, 0)
    with torch.no_grad():
        layer = net.middle_block[1].transformer_blocks[0].attn1
        close(seen[middle, "out"], layer.to_out(layer.to_v(seen[middle])))  # to_out(to_v(h))
        layer = net.input_blocks[1][1].transformer_blocks[0].attn1
        close(seen[other, "out"], layer(seen[other], seen[other]), atol=1e-4)


def test_perturbed_guidance_at_cfg_1_asks_for_the_positive_list_twice():
    config, net = unet()
    roles: list[list[str]] = []
    answer = unet_network(net, discrete(config.schedule), torch.float32, "cpu")

    def network(calls):
        roles.append([call.role for call in calls])
        return answer(calls)

    run = Sampling(config=config, latent=torch.zeros(1, 4, 16, 16), positive=text(1), negative=text(2), cfg=1.0,
                   steps=1, patches=(PerturbedAttention(3.0),))  # fmt: skip
    sample(run, network)
    assert roles == [["positive"], ["positive"]]


# -- SAG -------------------------------------------------------------------------------------------------------------


def test_attention_is_recorded_for_the_negative_rows_and_changes_nothing():
    _, net = unet()
    run = run_of()
    moment, seen = a_pass((32, 32), run=run), {}

    def before(n, context, value, site):
        if site.place.block == "middle":
            seen["n"] = n
        return n, context, value

    out = forward(net, moment, join([Recording().hooks(moment), Hooks(attn1_input=(before,))]))
    assert torch.equal(out, forward(net, moment))
    (record,) = run.memory[Recording]
    layer = net.middle_block[1].transformer_blocks[0].attn1
    with torch.no_grad():
        q, k = (p(seen["n"][1:]).view(1, 16, layer.heads, -1) for p in (layer.to_q, layer.to_k))
        logits = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
    close(record, logits.softmax(dim=-1))
    assert record.shape == (1, layer.heads, 16, 16)


def test_an_attention_map_sums_to_one_over_the_keys():
    found = attention_map(noise(2, 6, 8, seed=1), noise(2, 6, 8, seed=2), 4)
    assert found.shape == (2, 4, 6, 6)
    close(found.sum(dim=-1), torch.ones(2, 4, 6))


def test_the_blur_is_a_gaussian_of_nine_pixels_with_reflected_edges():
    x = noise(2, 3, 12, 10, seed=1)
    bell = torch.tensor([math.exp(-0.5 * (i / 2.0) ** 2) for i in range(-4, 5)])
    bell = bell / bell.sum()
    found = blurred(x, 2.0)
    for row, column in ((0, 0), (5, 3), (11, 9), (2, 8)):
        total = torch.zeros(2, 3)
        for i in range(-4, 5):
            for j in range(-4, 5):
                r, c = row + i, column + j  # reflected without repeating the edge
                r, c = abs(r) if r < 12 else 22 - r, abs(c) if c < 10 else 18 - c
                total += bell[i + 4] * bell[j + 4] * x[:, :, r, c]
        close(found[:, :, row, column], total)
    assert torch.equal(blurred(x, 0.0), x)


@pytest.mark.parametrize(
    ("latent", "tokens", "expected"),
    [((64, 64), 64, (8, 8)), ((64, 96), 96, (8, 12)), ((96, 64), 96, (12, 8)), ((72, 88), 99, (9, 11)),
     ((9, 13), 4, (2, 2)), ((40, 64), 40, (5, 8))],
)  # fmt: skip
def test_the_maps_sides_follow_the_latents_aspect(latent, tokens, expected):
    assert map_size(*latent, tokens) == expected


def test_places_that_are_looked_at_are_blurred():
    # mask = (mean over heads, then sum over queries) > 1.0, nearest-upsampled
    guess = noise(1, 4, 8, 8, seed=1)
    attention = torch.zeros(1, 2, 4, 4)
    attention[..., 1] = 1.0  # everything looks at token 1, which is the upper right quarter
    found = degrade(guess, attention, 2.0)
    assert torch.equal(found[..., :4, :4], guess[..., :4, :4])
    assert torch.equal(found[..., 4:, :], guess[..., 4:, :])
    close(found[..., :4, 4:], blurred(guess, 2.0)[..., :4, 4:])


def test_self_attention_guidance_judges_the_degraded_picture():
    run = run_of()
    attention = torch.zeros(2, 2, 4, 4)
    attention[..., 1] = 1.0
    run.memory[Recording] = [attention]
    seen = noise(*SHAPE, seed=9)
    found, moment, calls = guided(SelfAttentionGuidance(0.5, 2.0), run=run, answers={"negative": seen})
    degraded = degrade(moment.uncond, attention, 2.0)
    d = moment.uncond + 4.0 * (moment.cond - moment.uncond)
    close(found, d + 0.5 * (degraded - seen), atol=1e-4)
    close(calls[0].x, degraded + (moment.x - moment.uncond))
    assert [call.role for call in calls] == ["negative"]
    assert Recording not in run.memory, "a map is used once"


def test_without_a_map_it_does_nothing():
    found, moment, calls = guided(SelfAttentionGuidance(0.5, 2.0), run=run_of())
    close(found, moment.uncond + 4.0 * (moment.cond - moment.uncond), atol=1e-4)
    assert calls == []


SAG = (Recording(), SelfAttentionGuidance(0.75, 2.0))


@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_in_a_run_the_negative_list_is_asked_twice_a_step_whatever_the_scale(cfg):
    config, net = unet()
    roles: list[list[str]] = []
    answer = unet_network(net, discrete(config.schedule), torch.float32, "cpu")

    def network(calls):
        roles.append([call.role for call in calls])
        return answer(calls)

    run = Sampling(config=config, latent=torch.zeros(2, 4, 32, 32), positive=text(1), negative=text(2), cfg=cfg,
                   steps=2, patches=SAG)  # fmt: skip
    sample(run, network)
    assert roles == [["positive", "negative"], ["negative"]] * 2


def test_a_batch_that_is_split_gives_the_same_picture():
    config, net = unet()
    run = Sampling(config=config, latent=torch.zeros(3, 4, 32, 32), positive=text(1), negative=text(2), steps=2,
                   patches=SAG)  # fmt: skip
    table = discrete(config.schedule)
    whole, split = (
        sample(run, unet_network(net, table, torch.float32, "cpu", limit=limit)).samples for limit in (None, 2)
    )
    close(whole, split, atol=2e-3 * float(whole.abs().max()))


def test_small_latents_are_left_alone():
    config, net = unet()
    latent = {"latent": torch.zeros(1, 4, 4, 16)}
    assert torch.equal(picture(config, net, SAG, **latent), picture(config, net, **latent))


@pytest.mark.parametrize("patches", [(PerturbedAttention(3.0),), SAG], ids=["PAG", "SAG"])
def test_on_then_off_is_bit_identical(patches):
    config, net = unet()
    latent = {"latent": torch.zeros(1, 4, 32, 32), "steps": 2}
    before = picture(config, net, **latent)
    on = picture(config, net, patches, **latent)
    assert torch.isfinite(on).all()
    assert not torch.allclose(on, before, rtol=1e-4)
    assert torch.equal(picture(config, net, **latent), before)


def test_patches_of_conditions_reach_their_calls_only():
    config, net = unet()
    seen: dict[str, tuple[object, ...]] = {}
    answer = unet_network(net, discrete(config.schedule), torch.float32, "cpu")

    def network(calls):
        seen.update({call.role: call.patches for call in calls})
        return answer(calls)

    own = (Condition(text(1)[0].states, patches=(Perturbed(),)),)
    run = Sampling(config=config, latent=torch.zeros(1, 4, 16, 16), positive=own, negative=text(2), steps=1,
                   patches=(Recording(),))  # fmt: skip
    sample(run, network)
    assert seen == {"positive": (Recording(), Perturbed()), "negative": (Recording(),)}
    assert split_patches(run.patches)[0] == (Recording(),)
