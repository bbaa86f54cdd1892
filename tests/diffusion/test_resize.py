"""Resizing: numerics.md, 7.2; and the quick preview."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engine.diffusion.preview import latent_to_rgb
from engine.diffusion.resize import RESIZE_METHODS, centre_crop, common_upscale
from tests.parity.small import noise


def test_the_menu():
    assert RESIZE_METHODS == ("nearest-exact", "bilinear", "area", "bicubic", "bislerp", "lanczos")


@pytest.mark.parametrize("mode", ["nearest-exact", "bilinear", "area", "bicubic"])
def test_torchs_modes_without_antialias(mode):
    x = noise(2, 4, 9, 7)
    assert torch.equal(common_upscale(x, 5, 13, mode), F.interpolate(x, size=(13, 5), mode=mode))


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_the_same_size_changes_nothing_but_lanczos_rounding(method):
    x = noise(1, 3, 6, 8).sigmoid()
    assert torch.allclose(common_upscale(x, 8, 6, method), x, atol=1 / 255 if method == "lanczos" else 1e-6)


def test_centre_crop_keeps_the_middle():
    x = torch.arange(48.0).reshape(1, 1, 6, 8)
    assert torch.equal(centre_crop(x, 10, 10), x[..., 1:7])
    assert torch.equal(centre_crop(x, 20, 10), x[:, :, 1:5])
    assert torch.equal(centre_crop(x, 4, 3), x)


def test_bislerp_turns_between_directions_and_blends_lengths():
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0]]).reshape(1, 2, 1, 2)  # (1, 0) and (0, 3), side by side
    out = common_upscale(x, 4, 1, "bislerp")[0, :, 0]
    # bilinear positions of 4 from 2: 0, 0.25, 0.75, 1; lengths blend 1 to 3, angles 0 to 90 degrees
    angles = torch.atan2(out[1], out[0]).rad2deg().tolist()
    assert angles == pytest.approx([0, 22.5, 67.5, 90], abs=1e-3)
    assert out.norm(dim=0).tolist() == pytest.approx([1, 1.5, 2.5, 3], abs=1e-5)


def test_bislerp_takes_the_first_of_two_parallel_vectors_and_blends_opposite_ones():
    parallel = torch.tensor([[1.0, 3.0]]).reshape(1, 1, 1, 2)
    assert common_upscale(parallel, 4, 1, "bislerp").flatten().tolist() == pytest.approx([1, 1, 1, 3])
    opposite = torch.tensor([[1.0, -1.0]]).reshape(1, 1, 1, 2)
    assert common_upscale(opposite, 4, 1, "bislerp").flatten().tolist() == pytest.approx([1, 0.5, -0.5, -1])
    # a zero vector stays zero and stands at a right angle: sin(r·90°)·(‖a‖(1 − r) + ‖b‖r) along b, r = 0.25, 0.75
    half = common_upscale(torch.tensor([[0.0, 3.0]]).reshape(1, 1, 1, 2), 4, 1, "bislerp").flatten().tolist()
    assert half == pytest.approx([0, 0.38268 * 0.75, 0.92388 * 2.25, 3], abs=1e-4)
    zero = torch.zeros(1, 4, 3, 3)
    assert torch.equal(common_upscale(zero, 6, 6, "bislerp"), torch.zeros(1, 4, 6, 6))


def test_lanczos_is_pillows():
    from PIL import Image

    pixels = (noise(10, 12, 3).sigmoid() * 255).to(torch.uint8)
    expected = np.asarray(Image.fromarray(pixels.numpy()).resize((5, 7), Image.Resampling.LANCZOS)) / 255
    out = common_upscale(pixels.movedim(-1, 0)[None] / 255.0 + 1e-4, 5, 7, "lanczos")
    assert np.allclose(out[0].movedim(0, -1).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((4, 4, "cubic"), "'cubic'"), ((4, 4, "area", "left"), "'left'"), ((0, 4, "area"), "0×4")],
)
def test_impossible_requests_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        common_upscale(noise(1, 3, 4, 4), *arguments)


def test_a_preview_is_a_small_picture_of_the_latent():
    grey = latent_to_rgb(torch.zeros(1, 4, 3, 5))
    assert grey.shape == (3, 5, 3)
    assert grey.dtype == np.uint8
    assert set(grey.flatten().tolist()) == {127}
    bright = latent_to_rgb(torch.tensor([2.0, 1.0, 0.0, -1.0]).reshape(4, 1, 1).expand(4, 2, 2))
    assert (bright > 200).all()
    assert latent_to_rgb(torch.full((4, 2, 2), float("nan"))).shape == (2, 2, 3)
    with pytest.raises(ValueError, match=r"\(1, 9, 2, 2\)"):
        latent_to_rgb(torch.zeros(1, 9, 2, 2))
