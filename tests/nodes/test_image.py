"""Pictures from files."""

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

import nodes.image
from engine.graph.types import Image
from nodes.image import load_image, load_image_mask, scale_image_by


def test_a_mask_is_read_from_the_channel_that_was_chosen(desk):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2], pixels[..., 3] = 10, 20, 30, 40
    Pictures.fromarray(pixels).save(desk.folders.input / "a.png")
    for channel, expected in (("red", 10), ("green", 20), ("blue", 30), ("alpha", 255 - 40)):
        mask = load_image_mask(desk.context, image="a.png", channel=channel).values
        assert mask.shape == (1, 4, 6)
        assert torch.allclose(mask, torch.full((1, 4, 6), expected / 255))


def test_a_picture_without_alpha_is_opaque_everywhere(desk):
    Pictures.new("L", (6, 4), 51).save(desk.folders.input / "grey.png")
    assert load_image_mask(desk.context, image="grey.png", channel="alpha").values.max() == 0
    assert torch.allclose(load_image_mask(desk.context, image="grey.png", channel="red").values, torch.tensor(0.2))


def test_frames_times_pixels_are_bounded_before_anything_is_decoded(desk, monkeypatch):
    frames = [Pictures.new("RGB", (20, 10), (n, 0, 0)) for n in range(8)]
    frames[0].save(desk.folders.input / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(desk.folders.input / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert load_image(desk.context, image="a.webp").image.pixels.shape == (8, 10, 20, 3)
    monkeypatch.setattr(nodes.image, "MAX_PIXELS", 8 * 200 - 1)
    monkeypatch.setattr(Pictures.Image, "convert", lambda *_: pytest.fail("decoded"))
    for name in ("a.gif", "a.webp"):
        with pytest.raises(ValueError, match=rf"{name} has 8 frames of 20×10 pixels; the limit is 1599"):
            load_image(desk.context, image=name)


def test_later_pages_that_are_larger_than_the_first_count_too(desk, monkeypatch):
    pages = [Pictures.new("RGB", size) for size in ((2, 2), (50, 50))]
    pages[0].save(desk.folders.input / "a.tif", save_all=True, append_images=pages[1:])
    assert load_image(desk.context, image="a.tif").image.pixels.shape == (1, 2, 2, 3)
    monkeypatch.setattr(nodes.image, "MAX_PIXELS", 100)
    with pytest.raises(ValueError, match="50×50"):
        load_image(desk.context, image="a.tif")


def test_a_picture_is_scaled_by_a_factor():
    scaled = scale_image_by(image=Image(torch.rand(1, 5, 7, 3)), upscale_method="area", scale_by=0.5)
    assert scaled.pixels.shape == (1, 2, 4, 3)
