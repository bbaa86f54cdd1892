"""Guidance patches: each formula of numerics.md, 5.6, written out again beside what the patch makes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from engine.diffusion.guiders import PerpNeg
from engine.diffusion.patches.cfg import (
    Apg,
    CfgNorm,
    CfgZeroStar,
    EpsilonScaling,
    FreSca,
    Mahiro,
    PerpNegPatch,
    RescaleCfg,
    Tcfg,
)
from tests.parity.small import noise
from tests.patches.support import SHAPE, guided, picture, run_of, text, unet

ITEM = (1, 2, 3)


def close(a, b, atol=1e-4):
    assert torch.allclose(a, b, atol=atol), float((a - b).abs().max())


def cfg_of(moment):
    return moment.uncond + moment.cfg * (moment.cond - moment.uncond)


def test_rescaled_guidance():
    # v_k = (x/(σ²+1) - D_k)·√(σ²+1)/σ; ρ = std(v_pos)/std(v); v' = φρv + (1-φ)v; D = x/(σ²+1) - v'σ/√(σ²+1)
    found, moment, _ = guided(RescaleCfg(0.7), sigma=2.0)
    x, sigma = moment.x, 2.0

    def velocity(guess):
        return (x / (sigma**2 + 1) - guess) * (sigma**2 + 1) ** 0.5 / sigma

    positive, negative = velocity(moment.cond), velocity(moment.uncond)
    v = negative + 4.0 * (positive - negative)
    scaled = torch.stack([0.7 * p.std() / each.std() * each + 0.3 * each for p, each in zip(positive, v, strict=True)])
    close(found, x / 5.0 - scaled * sigma / 5.0**0.5)
    close(guided(RescaleCfg(0.0))[0], cfg_of(moment))
    close(guided(RescaleCfg(0.7), cfg=1.0)[0], moment.cond)


def test_zero_star_scales_the_negative():
    # a = ⟨x-D₊, x-D₋⟩/(‖x-D₋‖²+1e-8); D + D₋(a-1) + cfg·D₋(1-a): guidance with D₋·a in the place of D₋
    found, moment, _ = guided(CfgZeroStar())
    p, n = moment.x - moment.cond, moment.x - moment.uncond
    a = torch.stack([(i * j).sum() / ((j * j).sum() + 1e-8) for i, j in zip(p, n, strict=True)]).view(-1, 1, 1, 1)
    close(found, cfg_of(moment) + moment.uncond * (a - 1) + 4.0 * moment.uncond * (1 - a))
    close(found, moment.uncond * a + 4.0 * (moment.cond - moment.uncond * a))


def test_the_norm_is_nowhere_larger_than_the_positive_guess():
    # D·clamp(‖D₊‖_c/(‖D‖_c+1e-8), 0, 1)·strength
    found, moment, _ = guided(CfgNorm(1.0))
    lengths = moment.cond.pow(2).sum(dim=1).sqrt()
    assert (found.pow(2).sum(dim=1).sqrt() <= lengths + 1e-5).all()
    d = cfg_of(moment)
    factor = (lengths / d.pow(2).sum(dim=1).sqrt()).clamp(0, 1)[:, None]
    close(guided(CfgNorm(0.5))[0], d * factor * 0.5)


def test_epsilon_scaling():
    found, moment, _ = guided(EpsilonScaling(1.25))
    close(found, moment.x - (moment.x - cfg_of(moment)) / 1.25)


def test_mahiro():
    # leap = cfg·D₊; merge = (leap+D)/2; sim = mean cosine similarity of signed roots; k = 2(sim+1)
    found, moment, _ = guided(Mahiro())
    d, leap = cfg_of(moment), 4.0 * moment.cond
    merge = (leap + d) / 2
    roots = [each.sign() * each.abs() ** 0.5 for each in (4.0 * moment.uncond, merge)]
    k = 2 * (F.cosine_similarity(*roots, dim=1).mean() + 1)
    close(found, (k * d + (4 - k) * leap) / 4)


def test_tangential_damping_keeps_what_lies_along_the_common_direction():
    # x-D₋ projected on the first right singular vector of [x-D₋; x-D₊], per item
    found, moment, _ = guided(Tcfg())
    expected = []
    for x, cond, uncond in zip(moment.x, moment.cond, moment.uncond, strict=True):
        rows = torch.stack([(x - uncond).flatten(), (x - cond).flatten()]).double()
        # the direction is the leading eigenvector of RᵀR, found from the small RRᵀ
        values, vectors = torch.linalg.eigh(rows @ rows.T)
        direction = vectors[:, -1] @ rows / values[-1].sqrt()
        negative = x - ((rows[0] @ direction) * direction).reshape(x.shape).float()
        expected.append(negative + 4.0 * (cond - negative))
    close(found, torch.stack(expected), atol=1e-3)


def apg(cond, difference, eta, threshold):
    changed = []
    for item, d in zip(cond, difference, strict=True):
        if threshold > 0:
            d = d * min(1.0, threshold / float(d.norm()))
        along = (d * item).sum() / (item * item).sum() * item
        changed.append(d - along + eta * along)
    return torch.stack(changed)


@pytest.mark.parametrize(("eta", "threshold"), [(1.0, 0.0), (0.0, 5.0), (0.4, 12.0)])
def test_projected_guidance(eta, threshold):
    # g split to D₊; D₊ := D₋ + g⊥ + η·g∥ + (D₊-D₋)/cfg
    found, moment, _ = guided(Apg(eta, threshold, 0.0))
    difference = moment.cond - moment.uncond
    cond = moment.uncond + apg(moment.cond, difference, eta, threshold) + difference / 4.0
    close(found, moment.uncond + 4.0 * (cond - moment.uncond))


def test_projected_guidance_remembers_until_the_noise_rises():
    run = run_of()
    patch = Apg(0.3, 0.0, -0.5)
    g = noise(*SHAPE, seed=2) - noise(*SHAPE, seed=3)

    def step(sigma, average):
        found, moment, _ = guided(patch, sigma=sigma, run=run)
        close(found, moment.uncond + 4.0 * (apg(moment.cond, average, 0.3, 0.0) + g / 4.0))

    step(3.0, g)
    step(2.0, g - 0.5 * g)
    step(1.0, g - 0.5 * 0.5 * g)
    step(1.5, g)  # the noise rose
    step(1.0, g - 0.5 * g)
    step(1.0, g - 0.5 * 0.5 * g)  # as samplers do that ask twice at one noise level
    found, moment, _ = guided(Apg(0.3, 0.0, 0.5), sigma=1.0, run=run)
    close(found, moment.uncond + 4.0 * (apg(moment.cond, g, 0.3, 0.0) + g / 4.0))  # another patch remembers nothing


def test_projected_guidance_outside_of_a_run_has_no_past():
    found, moment, _ = guided(Apg(0.3, 0.0, -0.5), run=None)
    difference = moment.cond - moment.uncond
    close(found, moment.uncond + 4.0 * (apg(moment.cond, difference, 0.3, 0.0) + difference / 4.0))


def test_frequencies_of_guidance_are_scaled_apart():
    found, moment, _ = guided(FreSca(0.5, 2.0, 2))
    g = moment.cond - moment.uncond
    frequency = torch.fft.fftfreq(8) * 8  # the box around the middle of the shifted spectrum is -2 … 1
    low = ((frequency >= -2) & (frequency <= 1)).float()
    low = low[:, None] * low[None, :]
    filtered = torch.fft.ifft2(torch.fft.fft2(g) * (0.5 * low + 2.0 * (1 - low))).real
    close(found, moment.uncond + 4.0 * filtered)
    close(guided(FreSca(1.0, 1.0, 20))[0], cfg_of(moment))
    close(guided(FreSca(0.5, 2.0, 10_000))[0], moment.uncond + 4.0 * 0.5 * g)  # a box larger than the spectrum is all


@pytest.mark.parametrize("patch", [Tcfg(), Apg(), FreSca(0.5, 2.0, 2)])
def test_what_prepares_two_guesses_leaves_one_alone(patch):
    found, moment, _ = guided(patch, cfg=1.0, asked=False, uncond=torch.zeros(SHAPE))
    close(found, moment.cond)


def test_perp_neg_as_a_patch_asks_for_the_empty_text():
    config, net = unet()
    empty = text(9)
    by_patch = picture(config, net, (PerpNegPatch(empty, 0.8),))
    by_guider = picture(config, net, guiding=PerpNeg(text(1), text(2), empty, 4.0, 0.8))
    # the same formula; other batches make other rounding
    close(by_patch, by_guider, atol=1e-3)
    assert not torch.allclose(by_patch, picture(config, net), atol=1e-2)
    masked = replace(empty[0], mask=torch.ones(1, 8, 8))
    close(picture(config, net, (PerpNegPatch((masked,), 0.8),)), by_patch, atol=1e-3)


@pytest.mark.parametrize(
    "patch",
    [RescaleCfg(), CfgZeroStar(), CfgNorm(), EpsilonScaling(), Mahiro(), Tcfg(), Apg(), FreSca(1.0, 1.25, 2)],
    ids=lambda patch: type(patch).__name__,
)
def test_on_then_off_is_bit_identical(patch):
    config, net = unet()
    before = picture(config, net)
    on = picture(config, net, (patch,))
    assert torch.isfinite(on).all()
    assert not torch.allclose(on, before, atol=1e-3)
    assert torch.equal(picture(config, net), before)
