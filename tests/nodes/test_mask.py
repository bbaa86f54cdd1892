"""Masks: the formulas of numerics.md, 7.1 and 7.5, by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph.types import Image, Mask
from nodes.mask import (
    colour_to_mask,
    combine_masks,
    crop_mask,
    feather_mask,
    grow_mask,
    image_to_mask,
    invert_mask,
    mask_to_image,
    preview_mask,
    solid_mask,
    threshold_mask,
)


def mask(*rows):
    return Mask(torch.tensor([rows], dtype=torch.float32))


def rows_of(made):
    return made.values[0].tolist()


def test_a_mask_becomes_a_grey_picture_and_comes_back():
    values = torch.rand(2, 3, 5)
    picture = mask_to_image(mask=Mask(values))
    assert picture.pixels.shape == (2, 3, 5, 3)
    for channel in ("red", "green", "blue"):
        assert torch.equal(image_to_mask(image=picture, channel=channel).values, values)
    with pytest.raises(ValueError, match="image has 3 channels and no alpha; choose one of red, green, blue"):
        image_to_mask(image=picture, channel="alpha")
    clear = Image(torch.cat([picture.pixels, values[..., None] / 2], dim=-1))
    assert torch.equal(image_to_mask(image=clear, channel="alpha").values, values / 2)


def test_a_colour_marks_the_pixels_that_round_to_it():
    """7.1: round(255·clamp(v)) per channel equals the 24-bit colour; 0.502·255 = 128.01 and 0.505·255 = 128.8."""
    pixels = torch.tensor([[[[1.0, 0.502, 0.0], [1.2, 0.502, -0.1], [1.0, 0.505, 0.0]]]])
    assert rows_of(colour_to_mask(image=Image(pixels), color=0xFF8000)) == [[1, 1, 0]]


def test_a_solid_mask_has_its_value_and_a_size_a_machine_can_hold():
    assert rows_of(solid_mask(value=0.25, width=3, height=1)) == [[0.25] * 3]
    assert rows_of(invert_mask(mask=solid_mask(value=0.25, width=1, height=1))) == [[0.75]]


def test_a_threshold_is_not_reached_by_what_equals_it():
    """7.5: mask > v."""
    assert rows_of(threshold_mask(mask=mask((0.4, 0.5, 0.6)), value=0.5)) == [[0, 0, 1]]


def test_a_crop_outside_of_the_mask_is_refused():
    whole = mask((1, 2, 3), (4, 5, 6))
    assert rows_of(crop_mask(mask=whole, x=1, y=1, width=9, height=9)) == [[5, 6]]
    with pytest.raises(ValueError, match="x 3, y 0 lies outside of mask, which is 3×2; x is at most 2 and y at most 1"):
        crop_mask(mask=whole, x=3, y=0, width=1, height=1)


@pytest.mark.parametrize(("operation", "expected"), [
    ("multiply", [0.12, 0.48]), ("add", [0.7, 1.0]), ("subtract", [0.1, 0.0]), ("and", [0, 1]), ("or", [0, 1]),
    ("xor", [0, 0]),
])  # fmt: skip
def test_two_masks_are_combined(operation, expected):
    """7.5: of 0.4 and 0.3: 0.12, 0.7, 0.1, rounded 0 and 0; of 0.6 and 0.8: 0.48, 1 (clamped), 0, rounded 1 and 1."""
    made = combine_masks(destination=mask((0.4, 0.6)), source=mask((0.3, 0.8)), operation=operation)
    assert made.values[0, 0].tolist() == pytest.approx(expected)


def test_a_mask_is_combined_at_a_place_and_cut_at_the_border():
    made = combine_masks(
        destination=mask((0, 0, 0), (0, 0, 0)), source=mask((1, 1), (1, 1)), x=2, y=1, operation="add"
    )
    assert rows_of(made) == [[0, 0, 0], [0, 0, 1]]
    several = combine_masks(
        destination=mask((0, 0)), source=Mask(torch.tensor([[[1.0]], [[0.5]]])), x=1, y=0, operation="add"
    )
    assert several.values.tolist() == [[[0, 1]], [[0, 0.5]]]
    with pytest.raises(ValueError, match="lies outside of destination, which is 2×1"):
        combine_masks(destination=mask((0, 0)), source=mask((1,)), x=0, y=1, operation="add")


def test_feathering_ramps_and_keeps_the_late_start_of_the_far_edges():
    """7.5: left column k is multiplied by (k+1)/L; the right ramp's first factor, 1/2, falls on column 0."""
    ones = mask((1, 1, 1, 1))
    assert rows_of(feather_mask(mask=ones, left=2)) == [[0.5, 1, 1, 1]]
    assert rows_of(feather_mask(mask=ones, right=2)) == [[0.5, 1, 1, 1]]
    assert rows_of(feather_mask(mask=ones, right=4)) == [[0.25, 1, 0.75, 0.5]]
    assert rows_of(feather_mask(mask=ones, left=4)) == [[0.25, 0.5, 0.75, 1]]
    column = Mask(ones.values.transpose(1, 2))
    assert feather_mask(mask=column, bottom=4).values[0, :, 0].tolist() == [0.25, 1, 0.75, 0.5]
    assert rows_of(feather_mask(mask=ones, left=99)) == [[0.25, 0.5, 0.75, 1]]
    assert rows_of(feather_mask(mask=ones, right=99)) == [[0.25, 1, 0.75, 0.5]], "a ramp is no longer than the side"
    assert feather_mask(mask=column, top=99).values[0, :, 0].tolist() == [0.25, 0.5, 0.75, 1]
    assert feather_mask(mask=column, bottom=99).values[0, :, 0].tolist() == [0.25, 1, 0.75, 0.5]


def test_growing_makes_a_square_or_a_diamond():
    spot = torch.zeros(1, 5, 5)
    spot[0, 2, 2] = 1
    assert rows_of(grow_mask(mask=Mask(spot), expand=1, tapered_corners=False))[1] == [0, 1, 1, 1, 0]
    diamond = rows_of(grow_mask(mask=Mask(spot), expand=1, tapered_corners=True))
    assert diamond[1] == [0, 0, 1, 0, 0]
    assert diamond[2] == [0, 1, 1, 1, 0]
    assert grow_mask(mask=Mask(spot), expand=16384, tapered_corners=True).values.min() == 1
    assert grow_mask(mask=Mask(spot), expand=-16384, tapered_corners=False).values.max() == 0


@pytest.mark.parametrize("turned", [False, True])
def test_a_diamond_grows_from_end_to_end_of_a_line(turned):
    line = torch.zeros(1, 9, 1)
    line[0, 0] = 1
    line = line.transpose(1, 2) if turned else line
    grown = grow_mask(mask=Mask(line), expand=6, tapered_corners=True).values
    assert grown.flatten().tolist() == [1] * 7 + [0] * 2
    assert grow_mask(mask=Mask(line), expand=16384, tapered_corners=True).values.min() == 1


@settings(deadline=None, max_examples=60)
@given(st.integers(-4, 4), st.booleans(), st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**20))
def test_growing_is_so_many_grey_dilations(amount, tapered, height, width, seed):
    """7.5: |n| iterations of 3×3 grey dilation or erosion, as scipy makes them."""
    from scipy.ndimage import grey_dilation, grey_erosion

    values = torch.rand(2, height, width, generator=torch.Generator().manual_seed(seed))
    corner = 0 if tapered else 1
    footprint = [[corner, 1, corner], [1, 1, 1], [corner, 1, corner]]
    change = grey_erosion if amount < 0 else grey_dilation
    expected = []
    for plane in values.numpy():
        for _ in range(abs(amount)):
            plane = change(plane, footprint=footprint)
        expected.append(torch.from_numpy(plane.copy()))
    made = grow_mask(mask=Mask(values), expand=amount, tapered_corners=tapered).values
    assert torch.equal(made, torch.stack(expected))


def test_a_mask_without_pixels_is_refused_by_name():
    nothing = Mask(torch.zeros(1, 0, 3))
    for change in (grow_mask, feather_mask, crop_mask, mask_to_image):
        with pytest.raises(ValueError, match=r"mask has the shape \(1, 0, 3\)"):
            change(mask=nothing)


def test_a_preview_is_a_temporary_picture(desk):
    shown = preview_mask(desk.context, mask=mask((0, 1)), prompt=None, extra_pnginfo=None)
    (entry,) = shown.values["images"]
    assert entry["type"] == "temp"
    assert (desk.folders.temp / entry["filename"]).is_file()
