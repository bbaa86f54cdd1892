"""Areas, masks, ranges and guidance on the synthetic model: numerics.md, 3.6, 5.2 and 5.3."""

import pytest
import torch

from engine.diffusion.guidance import Area, AreaPart, Condition, combine, prepare, prepare_mask
from engine.diffusion.guiders import cfg_guider
from engine.diffusion.samplers import Evaluate
from engine.diffusion.sampling import sample
from engine.diffusion.schedules import discrete, ksampler_sigmas
from tests.diffusion.synthetic import NEGATIVE, POSITIVE, SD1, Synthetic, synthetic_run
from tests.parity.small import noise

TABLE = discrete(SD1.schedule)
K = SD1.vae.scale_factor
SHAPE = (1, 4, 32, 48)


def ask(guider, x, sigma):
    """Drive a guider with the synthetic model."""
    run = guider(Evaluate(x, torch.tensor(sigma)))
    network = Synthetic()
    try:
        calls = next(run)
        while True:
            calls = run.send(network(calls))
    except StopIteration as stop:
        return stop.value


def model(x, sigma, sign):
    u = torch.tanh(x / (1 + sigma**2) ** 0.5)
    return 0.8 * u if sign > 0 else 0.5 * u + 0.1


def test_cfg_is_on_clean_latents():
    x = noise(*SHAPE)
    plus, minus = prepare([Condition(POSITIVE)], [Condition(NEGATIVE)], SHAPE, TABLE)
    guess = ask(cfg_guider(plus, minus, 3.0), x, 2.0)
    expected = model(x, 2.0, -1) + 3.0 * (model(x, 2.0, 1) - model(x, 2.0, -1))
    assert torch.allclose(guess.denoised, expected, atol=1e-6)
    assert torch.allclose(guess.uncond, model(x, 2.0, -1), atol=1e-6)


def test_at_cfg_1_the_negative_is_not_asked_unless_the_sampler_needs_it():
    for sampler, expected in (("euler", 1), ("euler_cfg_pp", 2)):
        asked = []

        def network(calls, asked=asked):
            asked.append(len(calls))
            return [Synthetic.answer(call) for call in calls]

        sample(synthetic_run(sampler, cfg=1.0, steps=2), network)
        assert set(asked) == {expected}


def test_one_conditions_strength_changes_nothing_but_two_are_weighed():
    x = noise(*SHAPE)
    for conditions, weight in (
        ([Condition(POSITIVE, strength=0.3)], 1.0),
        ([Condition(POSITIVE, strength=3.0), Condition(NEGATIVE, strength=1.0)], 0.75),
    ):
        plus, _ = prepare(conditions, [], SHAPE, TABLE)
        expected = weight * model(x, 2.0, 1) + (1 - weight) * model(x, 2.0, -1)
        assert torch.allclose(ask(cfg_guider(plus, [], 1.0), x, 2.0).denoised, expected, atol=1e-6)


def test_an_area_fades_in_and_its_counterpart_joins_the_negative_list():
    area = Area(16, 24, 0, 8)
    plus, minus = prepare([Condition(POSITIVE, area=area)], [Condition(NEGATIVE)], SHAPE, TABLE)
    assert [part.area for part in minus] == [None, area]
    assert torch.equal(minus[1].condition.states, NEGATIVE)
    x = noise(*SHAPE)
    guess = ask(cfg_guider(plus, minus, 1.0), x, 2.0).denoised
    assert torch.allclose(guess[:, :, :16, 8:32], model(x, 2.0, 1)[:, :, :16, 8:32], atol=1e-6)
    assert float(guess[:, :, 16:].abs().max()) == 0  # nothing covers the rest

    # with a second entry everywhere, the area's weight rises from 1/4 over min(8, 16//4 = 4) rows, but not at the top
    plus, _ = prepare([Condition(POSITIVE, area=area), Condition(NEGATIVE)], [], SHAPE, TABLE)
    guess = ask(cfg_guider(plus, [], 1.0), x, 2.0).denoised
    a, b = model(x, 2.0, 1), model(x, 2.0, -1)
    for row, weight in ((0, 1.0), (11, 1.0), (12, 1.0), (13, 0.75), (15, 0.25)):
        expected = (weight * a + b) / (1 + weight)
        assert torch.allclose(guess[:, :, row, 16], expected[:, :, row, 16], atol=1e-6), row


@pytest.mark.parametrize(
    ("areas", "taken"),
    [
        ([None, Area(20, 20, 0, 0), Area(16, 16, 4, 4)], 2),  # the smallest that contains it
        ([Area(16, 16, 4, 4), None, Area(20, 20, 0, 0)], 0),
        ([None, Area(20, 20, 0, 0)], 1),  # the whole frame only where nothing else contains it
        ([Area(4, 4, 8, 8), None, None], 1),  # one inside of it does not count; of two whole frames the first
        ([Area(16, 16, 9, 4), Area(16, 16, 4, 9), Area(9, 16, 4, 4), Area(16, 9, 4, 4)], None),  # one side sticks out
        ([None, Area(8, 8, 8, 8)], None),  # the same area: nothing to add
    ],
)
def test_the_counterpart_of_an_area_has_the_text_of_the_smallest_entry_that_contains_it(areas, taken):
    """5.3, step 4: all else is the area's own: strength, mask, times."""
    own = Condition(POSITIVE, area=Area(8, 8, 8, 8), strength=0.4, start_percent=0.2, end_percent=0.5)
    texts = [torch.full((1, 77, 1), -1.0 - number) for number in range(len(areas))]
    others = [Condition(text, area=area, strength=2.0) for text, area in zip(texts, areas, strict=True)]
    _, minus = prepare([own], others, SHAPE, TABLE)
    added = minus[len(areas) :]
    assert len(added) == (taken is not None)
    for part in added:
        assert torch.equal(part.condition.states, texts[taken])
        assert (part.area, part.condition.strength) == (own.area, 0.4)
        assert (part.start_sigma, part.end_sigma) == (TABLE.percent_to_sigma(0.2), TABLE.percent_to_sigma(0.5))


def test_percentage_areas_and_areas_beyond_the_edge():
    parts, _ = prepare([Condition(POSITIVE, area=AreaPart(0.5, 0.25, 0.5, 0.5))], [], SHAPE, TABLE)
    assert parts[0].area == Area(16, 12, 16, 24)
    plus, _ = prepare([Condition(POSITIVE, area=Area(64, 64, 16, 24))], [], SHAPE, TABLE)
    assert ask(cfg_guider(plus, [], 1.0), noise(*SHAPE), 1.0).denoised[:, :, 16:, 24:].abs().min() > 0


@pytest.mark.parametrize(
    ("area", "found"),
    [(Area(8, 4, 40, 0), "4×8 at x 0, y 40"), (Area(8, 8, 0, 48), "8×8 at x 48, y 0"),
     (Area(8, 8, -1, 0), "8×8 at x 0, y -1"), (AreaPart(0.5, 0.5, 1.0, 0.0), "24×16 at x 0, y 32")],
)  # fmt: skip
@pytest.mark.parametrize("role", ["positive", "negative"])
def test_an_area_outside_of_the_picture_is_refused_by_list_and_number(role, area, found):
    given = [Condition(POSITIVE), Condition(POSITIVE, area=Area(8, 8, 0, 0)), Condition(POSITIVE, area=area)]
    lists = (given, []) if role == "positive" else ([], given)
    with pytest.raises(ValueError, match=f"{role} 3 of 3: its area, {found}, lies outside the latent, which is 48×32"):
        prepare(*lists, SHAPE, TABLE)


def test_a_mask_weighs_and_may_bound_the_area():
    mask = torch.zeros(1, 32, 48)
    mask[:, 4:16, 8:20] = 0.5
    x = noise(*SHAPE)
    a, b = model(x, 2.0, 1), model(x, 2.0, -1)
    masked = Condition(POSITIVE, mask=mask, mask_strength=2.0, strength=3.0)
    plus, _ = prepare([masked, Condition(NEGATIVE)], [], SHAPE, TABLE)
    guess = ask(cfg_guider(plus, [], 1.0), x, 2.0).denoised
    assert torch.allclose(guess[:, :, 4:16, 8:20], ((3 * a + b) / 4)[:, :, 4:16, 8:20], atol=1e-6)
    assert torch.allclose(guess[:, :, 20:], b[:, :, 20:], atol=1e-6)
    bounded = Condition(POSITIVE, mask=mask, set_area_to_bounds=True)
    assert prepare([bounded], [], SHAPE, TABLE)[0][0].area == Area(12, 12, 4, 8)
    nothing = Condition(POSITIVE, mask=torch.zeros(32, 48), set_area_to_bounds=True)
    assert prepare([nothing], [], SHAPE, TABLE)[0][0].area == Area(8, 8, 0, 0)


def test_a_range_switches_an_entry_off():
    x = noise(*SHAPE)
    plus, _ = prepare([Condition(POSITIVE, start_percent=0.2, end_percent=0.5)], [], SHAPE, TABLE)
    for sigma, active in ((5.2, False), (5.0, True), (1.62, True), (1.6, False)):  # 0.2 → 5.0924, 0.5 → 1.6156
        guess = ask(cfg_guider(plus, [], 1.0), x, sigma).denoised
        assert bool(guess.any()) == active, sigma


def test_combining_nothing_gives_nothing():
    assert torch.equal(combine([], [], [], torch.ones(SHAPE)), torch.zeros(SHAPE))


def test_a_noise_mask_keeps_what_it_does_not_cover():
    latent, mask = noise(1, 4, 16, 16) * 3, torch.zeros(128, 128)
    mask[:, 64:] = 1.0
    run = synthetic_run("euler", latent=latent, noise_mask=mask, steps=10, denoise=0.6, scheduler="normal")
    out = sample(run, Synthetic()).samples
    # the reference keeps it to 3e-7 of the scaled latent (appendix A)
    assert torch.allclose(out[..., :7] * K, latent[..., :7] * K, atol=1e-6)
    assert not torch.allclose(out[..., 9:], latent[..., 9:], atol=0.1)


def test_a_mask_is_resized_bilinearly_and_stays_fractional():
    mask = torch.tensor([[0.0, 1.0]])
    assert prepare_mask(mask, (2, 4, 1, 4)).shape == (2, 4, 1, 4)
    assert prepare_mask(mask, (1, 1, 1, 4)).flatten().tolist() == [0.0, 0.25, 0.75, 1.0]


def test_ddim_paints_around_a_mask_with_another_noise_than_euler():
    latent, mask = noise(1, 4, 8, 8), torch.zeros(8, 8)
    mask[:4] = 1.0
    seen = {}
    for sampler in ("euler", "ddim"):
        first = []

        def network(calls, first=first):
            first.append(calls[0].x)
            return Synthetic()(calls)

        sample(synthetic_run(sampler, latent=latent, noise_mask=mask), network)
        seen[sampler] = first[0]
    assert torch.equal(seen["euler"][:, :, :4], seen["ddim"][:, :, :4])
    fresh = torch.randn(latent.shape, generator=torch.Generator().manual_seed(43))  # seed 42 + 1
    sigma = ksampler_sigmas(TABLE, "karras", 8)[0]
    assert torch.allclose(seen["ddim"][:, :, 4:], (latent * K + sigma * fresh)[:, :, 4:], atol=1e-5)


def test_ksampler_advanced_counts_and_leftover_noise():
    network = Synthetic()
    sample(synthetic_run("euler", steps=20, start_at_step=5, end_at_step=12), network)
    assert len(network.sigmas) == 7
    latent = noise(1, 4, 8, 8)
    untouched = sample(synthetic_run("euler", latent=latent, steps=20, start_at_step=20), network)
    assert torch.equal(untouched.samples, latent)
    # two halves, the first leaving its noise, are one whole
    whole = sample(synthetic_run("euler", steps=10), Synthetic()).samples
    first = sample(synthetic_run("euler", steps=10, end_at_step=4), Synthetic()).samples
    second = synthetic_run("euler", steps=10, start_at_step=4, add_noise=False, latent=first)
    assert torch.allclose(sample(second, Synthetic()).samples, whole, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_an_empty_latent_of_another_models_channels_is_brought_to_this_ones(channels):
    """numerics.md, 3.1: all zeros, so only its size is meant; ComfyUI's fix_empty_latent_channels."""
    found = sample(synthetic_run("euler", latent=torch.zeros(1, channels, 8, 8)), Synthetic()).samples
    assert torch.equal(found, sample(synthetic_run("euler"), Synthetic()).samples)
    nothing = synthetic_run("euler", latent=torch.zeros(2, channels, 8, 8), denoise=0.0)
    assert sample(nothing, Synthetic()).samples.shape == (2, 4, 8, 8)


def test_a_latent_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 16, 8, 8\); this model wants \(batch, 4"):
        sample(synthetic_run("euler", latent=torch.ones(1, 16, 8, 8)), Synthetic())
    from engine.diffusion.schedules import ScheduleError

    with pytest.raises(ScheduleError, match="none NaN"):
        sample(synthetic_run("euler", scheduler="kl_optimal", steps=1), Synthetic())
