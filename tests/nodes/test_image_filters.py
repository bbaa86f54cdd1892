"""Blending and filters, by hand and against slower ways to the same number.

Blend modes are those of W3C's Compositing and Blending, chapter 10; parameters and ranges those of nodes.md.
"""

import pytest
import torch
import torch.nn.functional as F

from engine.diffusion.pictures.palette import bayer
from engine.graph.types import Image
from nodes.image_filters import (
    blend,
    blur,
    canny,
    join_colours,
    morphology,
    quantise,
    sharpen,
    split_colours,
)


def grey(*rows):
    return Image(torch.tensor([rows], dtype=torch.float32)[..., None].expand(-1, -1, -1, 3).contiguous())


def noise(batch, height, width, channels=3, seed=0):
    return Image(torch.rand(batch, height, width, channels, generator=torch.Generator().manual_seed(seed)))


def rows_of(image):
    return image.pixels[0, :, :, 0].tolist()


@pytest.mark.parametrize(("mode", "dark", "light"), [
    ("normal", 0.8, 0.3),
    ("multiply", 0.2 * 0.8, 0.6 * 0.3),
    ("screen", 1 - 0.8 * 0.2, 1 - 0.4 * 0.7),
    ("overlay", 2 * 0.2 * 0.8, 1 - 2 * 0.4 * 0.7),
    # W3C Compositing, 10.1.9: D(0.2) = ((16·0.2 − 12)·0.2 + 4)·0.2 = 0.448; 0.2 + 0.6·(0.448 − 0.2); 0.6 − 0.4·0.6·0.4
    ("soft_light", 0.2 + 0.6 * (0.448 - 0.2), 0.6 - 0.4 * 0.6 * 0.4),
    ("difference", 0.0, 0.3),
])  # fmt: skip
def test_blend_modes(mode, dark, light):
    """Base 0.2 and 0.6, over it 0.8 and 0.3; a factor of 1 is the mode alone, of 0.5 half of the base."""
    base, top = grey((0.2, 0.6)), grey((0.8, 0.3))
    assert rows_of(blend(image1=base, image2=top, blend_factor=1.0, blend_mode=mode))[0] == pytest.approx([dark, light])
    half = rows_of(blend(image1=base, image2=top, blend_factor=0.0, blend_mode=mode))[0]
    assert half == pytest.approx([0.2, 0.6])


def test_a_picture_of_another_size_and_depth_is_blended_after_scaling():
    made = blend(image1=noise(1, 4, 6), image2=noise(3, 9, 9, 4), blend_factor=0.5, blend_mode="screen")
    assert made.pixels.shape == (3, 4, 6, 3)


def kernel_of(radius, sigma):
    """What the filter is said to be: exp(−d²/2σ²) on a square from −1 to 1, of sum 1."""
    line = torch.linspace(-1, 1, 2 * radius + 1)
    squares = line[:, None] ** 2 + line**2
    weights = torch.exp(-squares / (2 * sigma**2))
    return weights / weights.sum()


def filtered(pixels, kernel):
    radius = kernel.shape[0] // 2
    x = F.pad(pixels.movedim(-1, 1), (radius,) * 4, mode="reflect")
    return F.conv2d(x, kernel.expand(3, 1, -1, -1), groups=3).movedim(1, -1)


@pytest.mark.parametrize(("radius", "sigma"), [(1, 1.0), (4, 0.3), (7, 10.0)])
def test_a_blur_is_a_gaussian_in_units_of_its_radius(radius, sigma):
    picture = noise(2, 9, 12)
    made = blur(image=picture, blur_radius=radius, sigma=sigma).pixels
    # rows and columns one after the other: other order of sums, 1e-7 each
    assert torch.allclose(made, filtered(picture.pixels, kernel_of(radius, sigma)), atol=1e-6)


def test_a_blur_of_one_pixel_by_hand():
    """Radius 1, σ 1: weights e^−½ : 1 : e^−½, so 0.27407, 0.45186, 0.27407; mirrored at the border."""
    made = rows_of(blur(image=grey(*[(0.0, 1.0, 0.0)] * 3), blur_radius=1, sigma=1.0))
    assert made[1] == pytest.approx([0.54814, 0.45186, 0.54814], abs=1e-5)


@pytest.mark.parametrize(("radius", "sigma", "alpha"), [(1, 1.0, 1.0), (3, 0.5, 0.2)])
def test_sharpening_is_one_kernel(radius, sigma, alpha):
    """Every weight −10·α times the Gaussian's, and the middle one so that all of them make 1."""
    picture = noise(1, 8, 8)
    kernel = -10 * alpha * kernel_of(radius, sigma)
    kernel[radius, radius] += 1 - kernel.sum()
    made = sharpen(image=picture, sharpen_radius=radius, sigma=sigma, alpha=alpha).pixels
    assert torch.allclose(made, filtered(picture.pixels, kernel).clamp(0, 1), atol=1e-5)
    assert torch.equal(sharpen(image=picture, sharpen_radius=1, sigma=1.0, alpha=0.0).pixels, picture.pixels)


def test_a_filter_that_reaches_beyond_the_picture_is_refused():
    with pytest.raises(ValueError, match="a radius of 8 reaches beyond a picture of 12×8; it is at most 7"):
        blur(image=noise(1, 8, 12), blur_radius=8, sigma=1.0)


# -- few colours -------------------------------------------------------------------------------------------------


def colours_of(image):
    return {tuple(pixel) for pixel in image.pixels.reshape(-1, 3).tolist()}


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"])
def test_a_picture_gets_no_more_colours_than_asked(dither):
    made = quantise(image=noise(1, 20, 30, 4), colors=5, dither=dither)
    assert made.pixels.shape == (1, 20, 30, 3)
    assert 1 < len(colours_of(made)) <= 5


def test_dithering_keeps_a_ramps_average_where_plain_rounding_makes_steps():
    ramp = Image(torch.linspace(0, 1, 64)[None, None, :, None].expand(1, 64, 64, 3).contiguous())
    middle = ramp.pixels[:, :, 24:40].mean(dim=1)

    def step(dither):
        made = quantise(image=ramp, colors=4, dither=dither)
        return float((made.pixels[:, :, 24:40].mean(dim=1) - middle).abs().max())

    assert step("floyd-steinberg") < step("none")
    assert step("bayer-8") < step("none")


def test_bayers_matrix_holds_every_level_once():
    """Side 4: sixteen levels, a sixteenth apart, around 0; each 2×2 quarter is the next smaller matrix shifted."""
    matrix = bayer(2)
    assert sorted(matrix.flatten().tolist()) == pytest.approx([(level - 7.5) / 16 for level in range(16)])
    assert (matrix[:2, :2] - bayer(1)).tolist() == [[pytest.approx(-1.5 / 16)] * 2] * 2


# -- edges and shapes --------------------------------------------------------------------------------------------


def square(size=24, low=6, high=18, value=1.0):
    pixels = torch.zeros(1, size, size, 3)
    pixels[:, low:high, low:high] = value
    return pixels


def test_edges_are_where_the_brightness_changes():
    """A blurred square: pixels of its edge within two of the border are found, and none elsewhere."""
    soft = blur(image=Image(square()), blur_radius=2, sigma=1.0).pixels
    soft = soft + 0.002 * torch.rand(soft.shape, generator=torch.Generator().manual_seed(1))  # no two slopes are equal
    made = canny(image=Image(soft), low_threshold=0.2, high_threshold=0.5).pixels
    assert made.shape == (1, 24, 24, 3)
    assert set(made.unique().tolist()) == {0.0, 1.0}
    found = made[0, :, :, 0].bool()
    near = torch.zeros(24, 24, dtype=torch.bool)
    near[4:20, 4:20] = True
    near[8:16, 8:16] = False
    assert not (found & ~near).any()
    assert found[12, 4:8].sum() == 1, "the left side is crossed once"
    assert found[4:8, 12].sum() == 1


def test_a_faint_edge_is_kept_only_where_it_hangs_together_with_a_strong_one():
    pixels = torch.zeros(1, 20, 30, 3)
    ramp = torch.linspace(0.13, 0.6, 30)  # one edge, ever stronger to the right
    pixels[:, 10:] = ramp[None, None, :, None]
    pixels = pixels + 1e-4 * torch.rand(pixels.shape, generator=torch.Generator().manual_seed(2))

    def columns(low, high, width=30):
        made = canny(image=Image(pixels[:, :, :width]), low_threshold=low, high_threshold=high).pixels[0, :, 3:27, 0]
        return int(made.amax(dim=0).sum())

    strong, all_of_it = columns(0.9, 0.9), columns(0.3, 0.9)
    assert 0 < strong < all_of_it
    assert columns(0.3, 0.9, width=12) == 0, "its faint part alone"
    with pytest.raises(ValueError, match=r"low_threshold 0.8 is above high_threshold 0.4"):
        columns(0.8, 0.4)


def test_a_flat_picture_has_no_edges():
    assert canny(image=Image(torch.full((1, 9, 9, 3), 0.5)), low_threshold=0.1, high_threshold=0.2).pixels.max() == 0


@pytest.mark.parametrize(("operation", "expected"), [
    ("erode", [0, 0, 0, 0, 0.5, 0.5]), ("dilate", [1, 1, 1, 1, 1, 0.5]), ("open", [0, 0, 0, 0.5, 0.5, 0.5]),
    ("close", [1, 1, 1, 1, 0.5, 0.5]), ("gradient", [1, 1, 1, 1, 0.5, 0]),
    ("bottom_hat", [1, 0, 1, 0, 0, 0]), ("top_hat", [0, 1, 0, 0.5, 0, 0]),
])  # fmt: skip
def test_morphology_by_hand(operation, expected):
    """A row of 0, 1, 0, 1, ½, ½ and a window of three; beyond the border is nothing."""
    made = morphology(image=grey((0, 1, 0, 1, 0.5, 0.5)), operation=operation, kernel_size=3)
    assert rows_of(made)[0] == expected


def test_a_window_of_even_size_reaches_further_back_than_ahead():
    made = morphology(image=grey((0, 0, 0, 1, 0, 0, 0)), operation="dilate", kernel_size=4)
    assert rows_of(made)[0] == [0, 0, 1, 1, 1, 1, 0]


def test_a_window_larger_than_the_picture_is_the_picture():
    made = morphology(image=noise(1, 5, 4), operation="erode", kernel_size=999)
    assert made.pixels.reshape(-1, 3).unique(dim=0).shape[0] == 1


def test_colours_are_taken_apart_and_put_together():
    """BT.601: red is Y 0.299, U (0 − 0.299)·0.564 + ½, V (1 − 0.299)·0.713 + ½."""
    planes = split_colours(image=Image(torch.tensor([[[[1.0, 0.0, 0.0]]]])))
    assert [float(each.pixels[0, 0, 0, 0]) for each in planes] == pytest.approx([0.299, 0.331364, 0.999813], abs=1e-6)
    picture = noise(2, 5, 7)
    y, u, v = split_colours(image=picture)
    # the published factors are rounded to three digits
    assert torch.allclose(join_colours(y=y, u=u, v=v).pixels, picture.pixels, atol=2e-3)
    with pytest.raises(ValueError, match=r"V is of the size \(batch, height, width\) \(1, 2, 2\) and Y \(2, 5, 7\)"):
        join_colours(y=y, u=u, v=noise(1, 2, 2))
