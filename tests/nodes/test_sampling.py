"""Sampling as nodes: a run in parts is the whole run (numerics.md, 2.6: KSamplerAdvanced)."""

import pytest
import torch

from engine.diffusion.guidance import Condition
from engine.diffusion.standin import write_standin
from engine.graph.types import Conditioning, Latent
from nodes.loaders import load_checkpoint
from nodes.sampling import sample, sample_part


@pytest.fixture
def given(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    loaded = load_checkpoint(desk.context, ckpt_name="s.safetensors")
    text = torch.randn(1, 77, 64, generator=torch.Generator().manual_seed(1))
    return {
        "model": loaded.model, "steps": 6, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal",
        "positive": Conditioning((Condition(text),)), "negative": Conditioning((Condition(-text),)),
    }  # fmt: skip


EMPTY = Latent(torch.zeros(1, 4, 8, 8))


def part(desk, given, latent, start, end, *, noise, leftover):
    return sample_part(
        desk.context, **given, noise_seed=5, latent_image=latent, start_at_step=start, end_at_step=end,
        add_noise="enable" if noise else "disable", return_with_leftover_noise="enable" if leftover else "disable",
    )  # fmt: skip


def test_two_samplers_in_a_row_make_the_picture_of_one(desk, given):
    whole = sample(desk.context, **given, seed=5, latent_image=EMPTY).samples
    first = part(desk, given, EMPTY, 0, 2, noise=True, leftover=True)
    assert first.samples.std() > 2 * whole.std()  # noise is left over
    second = part(desk, given, first, 2, 10_000, noise=False, leftover=False)
    assert torch.allclose(second.samples, whole, atol=1e-4 * float(whole.abs().max()))
    assert torch.equal(part(desk, given, EMPTY, 0, 10_000, noise=True, leftover=False).samples, whole)


def test_without_leftover_noise_the_last_step_goes_to_the_end(desk, given):
    """Rule 1: the last entry that is kept becomes 0."""
    kept = part(desk, given, EMPTY, 0, 2, noise=True, leftover=True).samples
    cleaned = part(desk, given, EMPTY, 0, 2, noise=True, leftover=False).samples
    assert cleaned.std() < kept.std()


def test_a_run_that_starts_after_its_end_gives_the_latent_back(desk, given):
    """Rule 2."""
    latent = Latent(torch.randn(1, 4, 8, 8))
    assert torch.equal(part(desk, given, latent, 6, 10_000, noise=False, leftover=False).samples, latent.samples)


def test_pictures_taken_from_a_batch_are_sampled_as_they_were_in_it(desk, given):
    """numerics.md, 3.1: noise goes by batch_index."""
    from nodes.latent import from_batch

    batch = Latent(torch.zeros(3, 4, 8, 8))
    whole = sample(desk.context, **given, seed=5, latent_image=batch).samples
    second = from_batch(samples=batch, batch_index=1, length=1)
    alone = sample(desk.context, **given, seed=5, latent_image=second).samples
    assert torch.allclose(alone, whole[1:2], atol=1e-4 * float(whole.abs().max()))


def test_an_operation_is_done_to_what_the_prompt_adds(desk, given):
    """cond' = op(cond − uncond) + uncond: one that doubles it makes cfg 1.5 of cfg 3 halved, and so on."""
    from engine.graph.types import LatentOperation
    from nodes.latent_operations import apply_to_guidance, sharpen, tonemap

    def picture(cfg, *operations):
        model = given["model"]
        for operation in operations:
            model = apply_to_guidance(model=model, operation=operation)
        changed = {**given, "model": model, "cfg": cfg}
        return sample(desk.context, **changed, seed=5, latent_image=EMPTY).samples

    plain = picture(3.0)
    twice = picture(1.5, LatentOperation(lambda latent: latent * 2.0))
    assert torch.allclose(twice, plain, atol=1e-4 * float(plain.abs().max()))
    idle = picture(3.0, sharpen(sharpen_radius=2, alpha=0.0))
    assert torch.allclose(idle, plain, atol=1e-4 * float(plain.abs().max()))
    assert not torch.allclose(picture(3.0, tonemap(multiplier=0.1)), plain, atol=1e-2)
    assert torch.equal(picture(3.0), plain), "nothing is left of it"


def test_at_cfg_one_the_operation_is_done_to_the_guess_itself(desk, given):
    """Alone, uncond is not asked and counts as 0, so op(cond): halving it is not what cfg 1 gives without."""
    from engine.graph.types import LatentOperation
    from nodes.latent_operations import apply_to_guidance

    seen = []

    def halve(latent):
        seen.append(latent)
        return latent * 0.5

    model = apply_to_guidance(model=given["model"], operation=LatentOperation(halve))
    changed = {**given, "model": model, "cfg": 1.0, "steps": 1}
    halved = sample(desk.context, **changed, seed=5, latent_image=EMPTY).samples
    plain = sample(desk.context, **{**changed, "model": given["model"]}, seed=5, latent_image=EMPTY).samples
    assert len(seen) == 1
    assert torch.allclose(halved, plain * 0.5, atol=1e-5 * float(plain.abs().max()))


def test_a_latent_that_overflowed_is_not_sampled(desk, given):
    broken = Latent(torch.full((1, 4, 8, 8), torch.nan))
    with pytest.raises(ValueError, match="latent_image holds 256 values of 256 that are NaN or infinite"):
        sample(desk.context, **given, seed=5, latent_image=broken)


def test_an_area_outside_of_the_picture_is_named(desk, given):
    from nodes.conditioning import set_area

    outside = set_area(conditioning=given["positive"], width=64, height=64, x=64, y=0)
    with pytest.raises(ValueError, match=r"positive 1 of 1: its area, 8×8 at x 8, y 0, lies outside the latent"):
        sample(desk.context, **{**given, "positive": outside}, seed=5, latent_image=EMPTY)
