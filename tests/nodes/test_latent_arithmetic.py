"""Latents cut, turned, mixed: the formulas of numerics.md, 7.5, by hand."""

import math

import pytest
import torch
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from engine.graph.types import Latent, Mask
from engine.runtime.signature import digest
from nodes.latent_operations import add, apply, interpolate, multiply, sharpen, subtract, tonemap
from nodes.latent_transform import (
    FLIPS,
    batch,
    blend,
    composite,
    composite_masked,
    concatenate,
    crop,
    cut,
    flip,
    rebatch,
    rotate,
    seed_behaviour,
)


def latent(*rows, **more):
    """One latent of one channel, a number per pixel."""
    return Latent(torch.tensor([[rows]], dtype=torch.float32), **more)


def noise(count, height, width, channels=4, seed=0, **more):
    made = torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return Latent(made, **more)


def rows_of(made):
    return made.samples[0, 0].tolist()


# -- onto each other ---------------------------------------------------------------------------------------------


def test_a_latent_is_put_onto_another_in_picture_pixels():
    made = composite(samples_to=latent((0, 0, 0), (0, 0, 0)), samples_from=latent((1, 2), (3, 4)), x=16, y=8)
    assert rows_of(made) == [[0, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match=r"x 3, y 0 lies outside of samples_to \(in latent pixels\), which is 3×2"):
        composite(samples_to=latent((0, 0, 0), (0, 0, 0)), samples_from=latent((1,)), x=24, y=0)


def test_edges_inside_of_the_destination_fade_in():
    """F = 2: row t is multiplied by (t + 1)/2 on each side that is inside; here left and right, not top and bottom."""
    made = composite(
        samples_to=latent([0.0] * 6), samples_from=latent([1.0] * 4), x=8, y=0, feather=16,
    )  # fmt: skip
    assert rows_of(made) == [[0, 0.5, 1, 1, 0.5, 0]]
    made = composite(samples_to=latent([0.0] * 6), samples_from=latent([1.0] * 6), x=0, y=0, feather=16)
    assert rows_of(made) == [[1] * 6], "no edge is inside"
    made = composite(samples_to=latent([0.0] * 6), samples_from=latent([1.0] * 9), x=24, y=0, feather=16)
    assert rows_of(made) == [[0, 0, 0, 0.5, 1, 1]], "what reaches beyond has no edge"


@settings(deadline=None, max_examples=40)
@for_all(st.integers(8, 12), st.integers(8, 12), st.integers(0, 2), st.integers(0, 2), st.booleans())
def test_what_is_cut_out_and_put_back_changes_nothing(height, width, x, y, masked):
    whole = noise(2, height, width)
    part = crop(samples=whole, width=64, height=64, x=8 * x, y=8 * y)
    x, y = min(x, width - 8), min(y, height - 8)  # 7.5: LatentCrop keeps 8 latent pixels
    assert part.samples.shape == (2, 4, 8, 8)
    back = (
        composite_masked(destination=whole, source=part, x=8 * x, y=8 * y, mask=Mask(torch.rand(1, 5, 5)))
        if masked else composite(samples_to=whole, samples_from=part, x=8 * x, y=8 * y)
    )  # fmt: skip
    assert torch.allclose(back.samples, whole.samples, atol=1e-6)


def test_a_masked_composite_mixes():
    """mask·src + (1 − mask)·dst: 0.25·4 + 0.75·8 = 7."""
    made = composite_masked(
        destination=latent((8, 8)), source=latent((4,)), x=8, y=0, mask=Mask(torch.full((1, 2, 2), 0.25))
    )
    assert rows_of(made) == [[8, 7]]
    whole = composite_masked(destination=latent((8, 8)), source=latent((4,)), resize_source=True)
    assert rows_of(whole) == [[4, 4]]
    outside = composite_masked(destination=latent((8, 8)), source=latent((4,)), x=800, y=0)
    assert rows_of(outside) == [[8, 8]]


def test_a_blend_is_weighted_by_the_first():
    """f·a + (1 − f)·b: 0.25·8 + 0.75·4 = 5."""
    assert rows_of(blend(samples1=latent((8,)), samples2=latent((4,)), blend_factor=0.25)) == [[5]]
    assert blend(samples1=noise(2, 4, 6), samples2=noise(1, 9, 9), blend_factor=0.5).samples.shape == (2, 4, 4, 6)


# -- turning and cutting -----------------------------------------------------------------------------------------


def test_a_quarter_turn_is_clockwise():
    whole = latent((1, 2, 3), (4, 5, 6))
    assert rows_of(rotate(samples=whole, rotation="90 degrees")) == [[4, 1], [5, 2], [6, 3]]
    assert rows_of(rotate(samples=whole, rotation="180 degrees")) == [[6, 5, 4], [3, 2, 1]]
    assert rows_of(rotate(samples=whole, rotation="270 degrees")) == [[3, 6], [2, 5], [1, 4]]
    assert rows_of(flip(samples=whole, flip_method=FLIPS[0])) == [[4, 5, 6], [1, 2, 3]]
    assert rows_of(flip(samples=whole, flip_method=FLIPS[1])) == [[3, 2, 1], [6, 5, 4]]


def test_latents_are_joined_on_each_side():
    a, b = latent((1,)), latent((2,))
    assert rows_of(concatenate(samples1=a, samples2=b, dim="x")) == [[1, 2]]
    assert rows_of(concatenate(samples1=a, samples2=b, dim="-x")) == [[2, 1]]
    assert rows_of(concatenate(samples1=a, samples2=b, dim="y")) == [[1], [2]]
    assert rows_of(concatenate(samples1=a, samples2=b, dim="-y")) == [[2], [1]]
    with pytest.raises(ValueError, match="along x they fit only if all other sides are equal"):
        concatenate(samples1=a, samples2=latent((2,), (3,)), dim="x")
    with pytest.raises(ValueError, match="dim t: a latent of pictures has no time"):
        concatenate(samples1=a, samples2=b, dim="-t")


def test_a_cut_counts_from_either_end_and_ends_with_the_latent():
    whole = latent((1, 2, 3, 4))
    assert rows_of(cut(samples=whole, dim="x", index=1, amount=2)) == [[2, 3]]
    assert rows_of(cut(samples=whole, dim="x", index=-2, amount=9)) == [[3, 4]]
    assert rows_of(cut(samples=whole, dim="x", index=99, amount=9)) == [[4]]
    assert rows_of(cut(samples=whole, dim="x", index=-99, amount=1)) == [[1]]
    assert rows_of(cut(samples=whole, dim="y", index=0, amount=1)) == [[1, 2, 3, 4]]


# -- arithmetic --------------------------------------------------------------------------------------------------


def test_latents_are_added_subtracted_and_multiplied():
    assert rows_of(add(samples1=latent((1, 2)), samples2=latent((3, 5)))) == [[4, 7]]
    assert rows_of(subtract(samples1=latent((1, 2)), samples2=latent((3, 5)))) == [[-2, -3]]
    assert rows_of(multiply(samples=latent((1, 2)), multiplier=-1.5)) == [[-1.5, -3]]


def test_the_second_is_brought_to_the_firsts_shape():
    made = add(samples1=noise(3, 4, 6), samples2=noise(2, 8, 8))
    assert made.samples.shape == (3, 4, 4, 6)
    with pytest.raises(ValueError, match="samples2 has 4 channels and samples1 3"):
        subtract(samples1=noise(1, 4, 4, channels=3), samples2=noise(1, 4, 4))


def vectors(*rows):
    """One latent whose pixels in a row are these channel vectors."""
    return Latent(torch.tensor(rows, dtype=torch.float32).T[None, :, None, :])


def test_interpolation_mixes_directions_and_lengths_apart():
    """Of (2, 0) and (0, 4), a half each: direction (1, 1)/√2, length 3. A zero vector has no direction."""
    made = interpolate(
        samples1=vectors((2, 0), (0, 0), (0, 3)), samples2=vectors((0, 4), (0, 0), (0, 0)), ratio=0.5
    ).samples[0, :, 0].T.tolist()  # fmt: skip
    assert made[0] == pytest.approx([3 / math.sqrt(2)] * 2)
    assert made[1] == [0, 0]
    assert made[2] == pytest.approx([0, 1.5])


def test_all_of_one_latent_is_that_latent():
    first, second = noise(2, 5, 5, seed=1), noise(2, 5, 5, seed=2)
    assert torch.allclose(interpolate(samples1=first, samples2=second, ratio=1.0).samples, first.samples, atol=1e-6)
    assert torch.allclose(interpolate(samples1=first, samples2=second, ratio=0.0).samples, second.samples, atol=1e-6)


def test_tone_mapping_by_hand():
    """Lengths 1 and 3: mean 2, deviation √2 (of a sample), level 2 + 5√2 = 9.0711; l → l/(l/9.0711 + 1)."""
    made = apply(samples=vectors((1, 0), (0, 3)), operation=tonemap(multiplier=1.0)).samples[0, :, 0].T.tolist()
    level = 2 + 5 * math.sqrt(2)
    assert made[0] == pytest.approx([1 / (1 / level + 1), 0])
    assert made[1] == pytest.approx([0, 3 / (3 / level + 1)])


def test_sharpening_keeps_lengths_where_all_directions_agree():
    """Lengths of 1.25 and more: directions are taken with 1e-6 added, which turns those of hardly any length."""
    lengths = 0.5 + torch.rand(1, 1, 6, 6)
    even = Latent(lengths.expand(1, 4, 6, 6) * torch.tensor([1.0, -2.0, 0.5, 1.0])[:, None, None])
    made = apply(samples=even, operation=sharpen(sharpen_radius=2, sigma=1.0, alpha=0.5)).samples
    assert torch.allclose(made, even.samples, atol=1e-4)
    rough = noise(1, 6, 6)
    assert not torch.allclose(apply(samples=rough, operation=sharpen(sharpen_radius=2)).samples, rough.samples)
    with pytest.raises(ValueError, match="a radius of 9 reaches beyond a picture of 6×6; it is at most 5"):
        apply(samples=rough, operation=sharpen())


def test_equal_operations_have_equal_digests():
    assert digest(tonemap(multiplier=1.0)) == digest(tonemap(multiplier=1.0)) is not None
    assert digest(tonemap(multiplier=1.0)) != digest(tonemap(multiplier=2.0))


# -- batches -----------------------------------------------------------------------------------------------------


def numbered(*numbers, side=2, **more):
    values = torch.tensor(numbers, dtype=torch.float32)
    return Latent(values[:, None, None, None].expand(-1, 4, side, side).contiguous(), **more)


def first_of(made):
    return made.samples[:, 0, 0, 0].tolist()


def test_a_joined_batch_keeps_each_items_noise():
    """3.1: concatenation; a missing list is 0..B−1."""
    made = batch(samples1=numbered(1, 2, batch_index=(5, 6)), samples2=numbered(3, 4, side=3))
    assert (first_of(made), made.batch_index) == ([1, 2, 3, 4], (5, 6, 0, 1))
    assert made.samples.shape == (4, 4, 2, 2)


def test_a_fixed_seed_gives_every_item_the_firsts_noise():
    assert seed_behaviour(samples=numbered(1, 2, batch_index=(7, 8)), seed_behavior="fixed").batch_index == (7, 7)
    assert seed_behaviour(samples=numbered(1, 2), seed_behavior="fixed").batch_index == (0, 0)
    assert seed_behaviour(samples=numbered(1, batch_index=(7,)), seed_behavior="random").batch_index is None


def test_batches_are_made_anew_with_masks_and_numbers():
    """3.1: a missing list is a running index over all inputs; where one item has a mask, the others get ones."""
    mask = torch.zeros(1, 1, 16, 16)
    given = [numbered(1), numbered(2, 3, noise_mask=mask), numbered(4, batch_index=(9,))]
    made = rebatch(latents=given, batch_size=[2])
    assert [first_of(each) for each in made] == [[1, 2], [3, 4]]
    assert [each.batch_index for each in made] == [(0, 1), (2, 9)]
    assert [each.noise_mask[:, 0, 0, 0].tolist() for each in made] == [[1, 0], [0, 1]]


def test_latents_of_another_size_begin_a_batch_of_their_own():
    made = rebatch(latents=[numbered(1), numbered(2, side=3), numbered(3, 4, 5, side=3)], batch_size=[3])
    assert [first_of(each) for each in made] == [[1], [2, 3, 4], [5]]
    assert all(each.noise_mask is None for each in made)
