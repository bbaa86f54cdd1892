"""Objectives against values worked out by hand, and masks."""

import numpy as np
import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.training.masks import boxes, make_masks, strokes
from engine.training.objectives import Objective, SnrLimits, alphas_bar, draw, drop_text, noised, widen_input

EPS, V = PRESETS["sd1"].schedule, PRESETS["sd2-v"].schedule


def test_the_first_and_last_signal_shares_are_the_published_ones():
    table = alphas_bar(EPS)  # models.md, 1.3: 0.99915 and 0.0046601
    assert table[0].item() == pytest.approx(0.99915, abs=1e-7)
    assert table[-1].item() == pytest.approx(0.0046601, abs=1e-7)


def test_the_loss_of_eps_and_v_is_the_square_worked_out_by_hand():
    """One pixel, x0 = 2, noise = -1, and a network that always says 0.5."""
    x0, noise, t = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), -1.0), torch.tensor([999])
    shown = []

    def say(x, timesteps):
        shown.append((x.item(), timesteps.item()))
        return torch.full_like(x, 0.5)

    # √ᾱ = √0.0046601 = 0.068265, √(1-ᾱ) = 0.997667
    assert Objective(EPS).loss(say, x0, noise, t).item() == pytest.approx((0.5 + 1.0) ** 2)
    v = 0.068265 * -1.0 - 0.997667 * 2.0
    assert Objective(V).loss(say, x0, noise, t).item() == pytest.approx((0.5 - v) ** 2, rel=1e-4)
    assert shown[0] == (pytest.approx(0.068265 * 2.0 - 0.997667, abs=1e-5), 999)


def test_a_network_that_knows_the_answer_has_no_loss_and_its_answer_leads_back_to_the_picture():
    """The engine's own reading of an answer (sigma frame) agrees with what was trained."""
    from engine.diffusion.schedules import discrete

    torch.manual_seed(0)
    x0, noise = torch.randn(3, 4, 5, 5), torch.randn(3, 4, 5, 5)
    t = torch.tensor([3, 400, 990])
    for schedule in (EPS, V):
        share = alphas_bar(schedule)[t].view(-1, 1, 1, 1)
        truth = noise if schedule.prediction == "eps" else share.sqrt() * noise - (1 - share).sqrt() * x0
        assert Objective(schedule).loss(lambda x, _, truth=truth: truth, x0, noise, t).item() < 1e-12
        sigma = discrete(schedule).sigmas[t].view(-1, 1, 1, 1)
        x = noised(x0, noise, share) * (sigma**2 + 1).sqrt()
        assert torch.allclose(discrete(schedule).denoised(x, sigma, truth), x0, atol=2e-4)  # σ reaches 14


def test_eps_and_v_are_weighed_so_that_both_are_one_weight_of_the_picture():
    """Error in x0 of 1 is an error of √SNR in eps and √(SNR + 1) in v; times the weight both give the SNR in limits."""
    for limits in (SnrLimits(most=5.0), SnrLimits(least=1.0), SnrLimits(0.25, 5.0)):
        for snr in (0.01, 1.0, 5.0, 80.0):
            value, wanted = torch.tensor(snr), min(max(snr, limits.least), limits.most)
            assert (limits.weight("eps", value) * value).item() == pytest.approx(wanted)
            assert (limits.weight("v", value) * (value + 1)).item() == pytest.approx(wanted)


def test_timesteps_are_spread_over_the_batch():
    _, timesteps = draw(torch.zeros(10, 4, 2, 2), 1000, torch.Generator().manual_seed(1))
    assert [int(t) // 100 for t in timesteps] == list(range(10))


def test_about_a_tenth_of_the_texts_is_dropped():
    context, empty = torch.ones(4000, 2, 3), torch.zeros(1, 2, 3)
    out = drop_text(context, empty, torch.Generator().manual_seed(0))
    dropped = (out == 0).all(dim=(1, 2))
    assert 340 < int(dropped.sum()) < 460  # 400 ± 3 standard deviations
    assert (out[~dropped] == 1).all()


def test_new_input_channels_start_at_zero():
    state = {"input_blocks.0.0.weight": torch.ones(8, 4, 3, 3), "other": torch.ones(1)}
    wide = widen_input(state, 9)
    assert wide["input_blocks.0.0.weight"].shape == (8, 9, 3, 3)
    assert wide["input_blocks.0.0.weight"][:, :4].eq(1).all() and wide["input_blocks.0.0.weight"][:, 4:].eq(0).all()
    with pytest.raises(ValueError, match="4 channels"):
        widen_input(state, 3)


def test_a_quarter_of_the_masks_covers_everything_and_the_rest_leaves_something():
    masks = make_masks(400, 32, 0)
    parts = masks.mean(dim=(1, 2, 3))
    assert masks.shape == (400, 1, 32, 32) and set(masks.unique().tolist()) == {0.0, 1.0}
    assert 70 <= int((parts == 1).sum()) <= 130  # 100 ± 3.5 standard deviations, and few strokes fill everything
    assert (parts > 0).all()
    assert 0.1 < parts[parts < 1].mean() < 0.6
    assert torch.equal(masks, make_masks(400, 32, 0)) and not torch.equal(masks, make_masks(400, 32, 1))


def test_a_box_mask_is_made_of_rectangles_and_a_stroke_is_not():
    rng = np.random.default_rng(3)
    assert all(boxes(64, rng).any() for _ in range(20))
    drawn = strokes(64, rng)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert 0 < drawn.sum() < 0.95 * (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
