"""Pictures cut, turned, padded, put together: numerics.md, 7.1, 7.2 and 7.5, by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph.types import Image, Mask
from nodes.compositing import composite, composite_by_alpha, join_alpha, split_alpha
from nodes.image import (
    add_noise,
    batch_images,
    image_size,
    images_from_batch,
    rebatch_images,
    repeat_images,
    scale_to_pixels,
    scale_to_side,
)
from nodes.image_transform import FLIPS, ROTATIONS, crop, flip, pad_for_outpainting, resize_and_pad, rotate, stitch


def grey(*rows):
    """One picture, a number per pixel."""
    return Image(torch.tensor([rows], dtype=torch.float32)[..., None].expand(-1, -1, -1, 3).contiguous())


def noise(batch, height, width, channels=3, seed=0):
    return Image(torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(seed)))


def rows_of(image, channel=0):
    return image.pixels[0, :, :, channel].tolist()


PICTURE = grey((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_a_crop_is_cut_to_the_picture_and_begins_inside():
    assert rows_of(crop(image=PICTURE, width=2, height=1, x=1, y=1)) == [pytest.approx([0.5, 0.6])]
    assert rows_of(crop(image=PICTURE, width=99, height=99, x=50, y=50)) == [pytest.approx([0.6])]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 8), st.integers(0, 8), st.data())
def test_what_is_cut_out_and_put_back_changes_nothing(height, width, x, y, data):
    picture = noise(data.draw(st.integers(1, 2)), height, width, data.draw(st.sampled_from((3, 4))))
    x, y = min(x, width - 1), min(y, height - 1)
    part = crop(image=picture, width=data.draw(st.integers(1, 9)), height=data.draw(st.integers(1, 9)), x=x, y=y)
    assert torch.equal(composite(destination=picture, source=part, x=x, y=y).pixels, picture.pixels)


def test_a_quarter_turn_is_clockwise_and_four_of_them_are_none():
    """7.5: rot90, k = 1, 2, 3, clockwise."""
    turned = rotate(image=PICTURE, rotation="90 degrees")
    assert rows_of(turned) == [pytest.approx([0.4, 0.1]), pytest.approx([0.5, 0.2]), pytest.approx([0.6, 0.3])]
    assert torch.equal(rotate(image=turned, rotation="270 degrees").pixels, PICTURE.pixels)
    half = rotate(image=PICTURE, rotation=ROTATIONS[2])
    assert torch.equal(flip(image=flip(image=half, flip_method=FLIPS[0]), flip_method=FLIPS[1]).pixels, PICTURE.pixels)


def test_flipping_at_the_x_axis_swaps_rows():
    assert rows_of(flip(image=PICTURE, flip_method=FLIPS[0]))[0] == pytest.approx([0.4, 0.5, 0.6])
    assert rows_of(flip(image=PICTURE, flip_method=FLIPS[1]))[0] == pytest.approx([0.3, 0.2, 0.1])


# -- sizes -------------------------------------------------------------------------------------------------------


def test_a_picture_is_scaled_to_a_number_of_pixels():
    """7.2: f = √(int(mp·1048576)/(W·H)), round: of 30×40 for 0.01 MP f = √(10485/1200) = 2.956: 89×118."""
    scaled = scale_to_pixels(image=noise(1, 40, 30), upscale_method="area", megapixels=0.01)
    assert scaled.pixels.shape == (1, 118, 89, 3)


def test_the_longer_side_gets_the_length():
    assert scale_to_side(image=noise(1, 4, 6), upscale_method="area", largest_size=9).pixels.shape == (1, 6, 9, 3)
    assert scale_to_side(image=noise(1, 6, 4), upscale_method="area", largest_size=9).pixels.shape == (1, 9, 6, 3)
    assert scale_to_side(image=noise(1, 5, 5), upscale_method="area", largest_size=3).pixels.shape == (1, 3, 3, 3)
    with pytest.raises(ValueError, match="cannot resize to 0×0; both sides are at least 1"):
        scale_to_side(image=noise(1, 5, 5), upscale_method="area", largest_size=0)


def test_a_picture_that_no_machine_holds_is_not_made():
    with pytest.raises(ValueError, match="a scaled batch of 900×3×16384×16384 takes"):
        scale_to_side(image=Image(torch.zeros(1, 1, 1, 3).expand(900, 2, 2, 3)), upscale_method="area",
                      largest_size=16384)  # fmt: skip
    with pytest.raises(ValueError, match="a repeated batch of 4096×4×900×900×3 takes"):
        repeat_images(image=Image(torch.zeros(1, 1, 1, 3).expand(4, 900, 900, 3)), amount=4096)


def test_the_size_comes_out_as_numbers_and_is_told(desk):
    assert image_size(desk.context, image=noise(4, 2, 3), unique_id="1") == (3, 2, 4)
    assert desk.warnings == ["width: 3, height: 2\n batch size: 4"]


# -- batches -----------------------------------------------------------------------------------------------------


def numbered(*numbers, height=1):
    return Image(torch.tensor(numbers)[:, None, None, None].expand(-1, height, 1, 3).float())


def numbers_of(image):
    return image.pixels[:, 0, 0, 0].tolist()


def test_batches_are_repeated_cut_and_made_anew():
    assert numbers_of(repeat_images(image=numbered(1, 2), amount=2)) == [1, 2, 1, 2]
    assert numbers_of(images_from_batch(image=numbered(1, 2, 3), batch_index=1, length=9)) == [2, 3]
    assert numbers_of(images_from_batch(image=numbered(1, 2, 3), batch_index=9, length=1)) == [3]
    made = rebatch_images(images=[numbered(1), numbered(2, 3), numbered(4, 5)], batch_size=[2])
    assert [numbers_of(each) for each in made] == [[1, 2], [3, 4], [5]]


def test_pictures_of_several_sizes_make_no_batch():
    with pytest.raises(ValueError, match="images holds pictures of 1×1 with 3 channels and 1×2 with 3 channels"):
        rebatch_images(images=[numbered(1), numbered(1, height=2)], batch_size=[2])


def test_a_picture_with_alpha_joins_a_batch_without():
    assert batch_images(image1=noise(1, 2, 2), image2=noise(1, 3, 5, 4)).pixels.shape == (2, 2, 2, 3)
    joined = batch_images(image1=noise(1, 2, 2, 4), image2=noise(1, 2, 2)).pixels
    assert torch.equal(joined[1, ..., 3], torch.ones(2, 2))


def test_grain_is_the_seeds_and_as_strong_as_asked():
    picture = Image(torch.full((1, 64, 64, 3), 0.5))
    first = add_noise(image=picture, seed=3, strength=0.1)
    assert torch.equal(first.pixels, add_noise(image=picture, seed=3, strength=0.1).pixels)
    assert not torch.equal(first.pixels, add_noise(image=picture, seed=4, strength=0.1).pixels)
    assert float((first.pixels - 0.5).std()) == pytest.approx(0.1, rel=0.05)  # of 12,288 draws: 0.6 % is usual
    assert torch.equal(add_noise(image=picture, seed=2**64 - 1, strength=0.0).pixels, picture.pixels)


# -- side by side and around -------------------------------------------------------------------------------------


def test_pictures_are_stitched_on_each_side():
    a, b = grey((0.0,), (0.0,)), grey((1.0,), (1.0,))
    assert rows_of(stitch(image1=a, image2=b, direction="right")) == [[0, 1], [0, 1]]
    assert rows_of(stitch(image1=a, image2=b, direction="left")) == [[1, 0], [1, 0]]
    assert rows_of(stitch(image1=a, image2=b, direction="down")) == [[0], [0], [1], [1]]
    assert rows_of(stitch(image1=a, image2=b, direction="up")) == [[1], [1], [0], [0]]
    assert stitch(image1=a, direction="up") is a


def test_a_stitched_picture_is_scaled_to_the_side_where_they_meet():
    made = stitch(image1=noise(1, 4, 6), image2=noise(1, 8, 4), direction="right", match_image_size=True)
    assert made.pixels.shape == (1, 4, 6 + 2, 3)
    made = stitch(image1=noise(1, 4, 6), image2=noise(1, 8, 4), direction="down", match_image_size=True)
    assert made.pixels.shape == (1, 4 + 12, 6, 3)


def test_a_picture_that_is_not_scaled_stands_in_the_middle():
    made = stitch(
        image1=grey((0.5,), (0.5,), (0.5,)), image2=grey((0.25,)), direction="right", match_image_size=False,
        spacing_color="white",
    )  # fmt: skip
    assert rows_of(made) == [[0.5, 1], [0.5, 0.25], [0.5, 1]]


def test_a_strip_between_pictures_is_even_and_coloured():
    made = stitch(image1=grey((0.0,)), image2=grey((0.0,)), spacing_width=3, spacing_color="red").pixels
    assert made.shape == (1, 1, 1 + 4 + 1, 3)
    assert made[0, 0, 2].tolist() == [1, 0, 0]
    clear = stitch(image1=noise(1, 1, 1, 4), image2=noise(1, 1, 1, 4), spacing_width=2, spacing_color="blue").pixels
    assert clear[0, 0, 1].tolist() == [0, 0, 1, 1], "opaque"


def test_the_shorter_batch_repeats_its_last_picture():
    made = stitch(image1=numbered(0, 0, 0), image2=numbered(0, 1), match_image_size=False)
    assert made.pixels[:, 0, :, 0].tolist() == [[0, 0], [0, 1], [0, 1]]


def test_a_picture_fits_into_a_size_with_a_border():
    made = resize_and_pad(
        image=grey((0.5, 0.5), (0.5, 0.5)), target_width=4, target_height=2, padding_color="white",
        interpolation="nearest-exact",
    )  # fmt: skip
    assert rows_of(made) == [[1, 0.5, 0.5, 1]] * 2
    tall = resize_and_pad(
        image=grey((0.5, 0.5), (0.5, 0.5)), target_width=2, target_height=7, padding_color="white",
        interpolation="nearest-exact",
    )  # fmt: skip
    assert rows_of(tall) == [[1, 1]] * 2 + [[0.5, 0.5]] * 2 + [[1, 1]] * 3


@pytest.mark.parametrize("turned", [False, True])
def test_a_picture_that_is_much_too_long_keeps_a_pixel(turned):
    long = torch.full((1, 40, 1, 3), 0.5)
    made = resize_and_pad(
        image=Image(long.transpose(1, 2) if turned else long), target_width=5, target_height=5, padding_color="black",
        interpolation="area",
    )  # fmt: skip
    lines = made.pixels[0, :, :, 0].T if turned else made.pixels[0, :, :, 0]
    assert lines.tolist() == [[0, 0, 0.5, 0, 0]] * 5


def test_outpainting_is_grey_outside_and_feathered_inside():
    """7.5: fill 0.5; inside, d = distance to an extended side, mask = ((F − d)/F)²: here F = 2, d = 0, 1: 1, 0.25."""
    padded = pad_for_outpainting(image=Image(torch.zeros(1, 5, 6, 3)), left=8, feathering=2)
    assert padded.image.pixels.shape == (1, 5, 14, 3)
    assert padded.image.pixels[0, 0, :, 0].tolist() == [0.5] * 8 + [0] * 6
    assert padded.mask.values[0, 2].tolist() == [1] * 8 + [1, 0.25, 0, 0, 0, 0]


def test_the_far_side_is_feathered_one_pixel_less():
    """7.5: rows are i from the top and H − i from the bottom, so the last row is at distance 1, not 0."""
    padded = pad_for_outpainting(image=Image(torch.zeros(1, 6, 5, 3)), bottom=8, feathering=2)
    assert padded.mask.values[0, :, 0].tolist() == [0, 0, 0, 0, 0, 0.25] + [1] * 8


def test_a_feather_of_half_the_picture_or_more_is_left_out():
    padded = pad_for_outpainting(image=Image(torch.zeros(1, 4, 9, 3)), top=8, feathering=2)
    assert padded.mask.values[0, 8:].max() == 0


# -- onto each other ---------------------------------------------------------------------------------------------


def test_a_masked_picture_is_mixed_in():
    """7.5: mask·src + (1 − mask)·dst on the visible part: 0.25·1 + 0.75·0.2 = 0.4."""
    made = composite(
        destination=grey((0.2, 0.2, 0.2)), source=grey((1.0, 1.0)), x=1, y=0, mask=Mask(torch.tensor([[[0.0, 0.25]]]))
    )
    assert rows_of(made)[0] == pytest.approx([0.2, 0.2, 0.4])


def test_a_source_is_repeated_over_the_batch_and_stretched_if_asked():
    made = composite(destination=numbered(0, 0), source=grey((1.0,)), x=0, y=0)
    assert numbers_of(made) == [1, 1]
    whole = composite(destination=grey((0, 0), (0, 0)), source=grey((1.0,)), resize_source=True)
    assert rows_of(whole) == [[1, 1], [1, 1]]


def test_a_source_is_pasted_whole_and_stretched_smoothly():
    """7.5: on the visible part, which for three channels, five columns and two rows is all of it; bilinear if asked."""
    made = composite(destination=Image(torch.zeros(1, 4, 9, 3)), source=Image(torch.ones(1, 2, 5, 3)), x=2, y=1).pixels
    assert made[0, :, :, 1].tolist() == [[0] * 9, [0, 0, 1, 1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1, 0, 0], [0] * 9]
    whole = composite(destination=grey([0] * 4, [0] * 4), source=grey((0, 1)), resize_source=True)
    assert rows_of(whole) == [[0, 0.25, 0.75, 1]] * 2


def test_what_lies_outside_changes_nothing_and_no_input_is_touched():
    before = PICTURE.pixels.clone()
    assert torch.equal(composite(destination=PICTURE, source=grey((1.0,)), x=3, y=0).pixels, before)
    composite(destination=PICTURE, source=grey((1.0,)), x=0, y=0)
    assert torch.equal(PICTURE.pixels, before)


def test_transparency_is_taken_off_and_put_back():
    clear = noise(2, 3, 4, 4)
    pixels, mask = split_alpha(image=clear)
    assert torch.allclose(mask.values, 1 - clear.pixels[..., 3])
    assert torch.allclose(join_alpha(image=pixels, alpha=mask).pixels, clear.pixels, atol=1e-6)
    assert split_alpha(image=noise(1, 2, 2)).mask.values.max() == 0, "without alpha all is opaque"
    one = join_alpha(image=noise(3, 2, 2), alpha=Mask(torch.ones(1, 8, 8)))
    assert one.pixels.shape == (3, 2, 2, 4)
    assert one.pixels[..., 3].max() == 0


# source 0.8 with alpha 0.5 (premultiplied 0.4), destination 0.6 with alpha 0.25 (premultiplied 0.15)
PORTER_DUFF = {
    "ADD": (0.55 / 0.75, 0.75),
    "CLEAR": (0.0, 0.0),
    "DARKEN": ((0.75 * 0.4 + 0.5 * 0.15 + 0.15) / 0.625, 0.625),
    "DST": (0.6, 0.25),
    "DST_ATOP": ((0.5 * 0.15 + 0.75 * 0.4) / 0.5, 0.5),
    "DST_IN": (0.6, 0.125),
    "DST_OUT": (0.6, 0.125),
    "DST_OVER": ((0.15 + 0.75 * 0.4) / 0.625, 0.625),
    "LIGHTEN": ((0.75 * 0.4 + 0.5 * 0.15 + 0.4) / 0.625, 0.625),
    "MULTIPLY": (0.06 / 0.125, 0.125),
    "OVERLAY": ((0.125 - 2 * (0.25 - 0.4) * (0.5 - 0.15)) / 0.625, 0.625),
    "SCREEN": ((0.4 + 0.15 - 0.06) / 0.625, 0.625),
    "SRC": (0.8, 0.5),
    "SRC_ATOP": ((0.25 * 0.4 + 0.5 * 0.15) / 0.25, 0.25),
    "SRC_IN": (0.8, 0.125),
    "SRC_OUT": (0.8, 0.375),
    "SRC_OVER": ((0.4 + 0.5 * 0.15) / 0.625, 0.625),
    "XOR": ((0.75 * 0.4 + 0.5 * 0.15) / 0.5, 0.5),
}


# source 0.2 with alpha 0.5 (premultiplied 0.1), destination 0.3 with alpha 0.8 (premultiplied 0.24): nothing is cut off
FAINT = {
    "ADD": (0.34, 1.0),
    "CLEAR": (0.0, 0.0),
    "DARKEN": ((0.2 * 0.1 + 0.5 * 0.24 + 0.1) / 0.9, 0.9),
    "DST": (0.3, 0.8),
    "DST_ATOP": ((0.2 * 0.1 + 0.5 * 0.24) / 0.5, 0.5),
    "DST_IN": (0.3, 0.4),
    "DST_OUT": (0.3, 0.4),
    "DST_OVER": ((0.24 + 0.2 * 0.1) / 0.9, 0.9),
    "LIGHTEN": ((0.2 * 0.1 + 0.5 * 0.24 + 0.24) / 0.9, 0.9),
    "MULTIPLY": (0.024 / 0.4, 0.4),
    "OVERLAY": (2 * 0.1 * 0.24 / 0.9, 0.9),
    "SCREEN": ((0.1 + 0.24 - 0.024) / 0.9, 0.9),
    "SRC": (0.2, 0.5),
    "SRC_ATOP": ((0.8 * 0.1 + 0.5 * 0.24) / 0.8, 0.8),
    "SRC_IN": (0.2, 0.4),
    "SRC_OUT": (0.2, 0.1),
    "SRC_OVER": ((0.1 + 0.5 * 0.24) / 0.9, 0.9),
    "XOR": ((0.2 * 0.1 + 0.5 * 0.24) / 0.5, 0.5),
}


@pytest.mark.parametrize("mode", PORTER_DUFF)
@pytest.mark.parametrize(("numbers", "expected"), [((0.8, 0.5, 0.6, 0.25), PORTER_DUFF), ((0.2, 0.5, 0.3, 0.8), FAINT)])
def test_porter_and_duffs_operators(numbers, expected, mode):
    """Porter and Duff (1984), table 1, and Android's PorterDuff.Mode; masks are 1 where it is transparent."""
    source, source_alpha, destination, destination_alpha = numbers
    made = composite_by_alpha(
        source=grey((source,)), source_alpha=Mask(torch.tensor([[[1 - source_alpha]]])),
        destination=grey((destination,)), destination_alpha=Mask(torch.tensor([[[1 - destination_alpha]]])), mode=mode,
    )  # fmt: skip
    colour, alpha = expected[mode]
    assert rows_of(made.image)[0] == pytest.approx([min(1.0, colour)], abs=1e-6)
    assert made.mask.values[0, 0].tolist() == pytest.approx([1 - alpha], abs=1e-6)


def test_a_source_of_another_size_and_depth_is_brought_to_the_destinations():
    made = composite_by_alpha(
        source=noise(3, 7, 9, 4), source_alpha=Mask(torch.zeros(3, 2, 2)), destination=noise(2, 4, 4),
        destination_alpha=Mask(torch.zeros(2, 4, 4)), mode="SRC",
    )  # fmt: skip
    assert made.image.pixels.shape == (2, 4, 4, 3)
    assert made.mask.values.shape == (2, 4, 4)
