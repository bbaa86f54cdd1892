"""Pictures from files and to files."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

import nodes.image
from engine.files.metadata import read_metadata
from engine.graph.types import Image
from engine.messages.events import NodeProgress, Preview, Succeeded
from nodes.animation import save_png, save_webp
from nodes.image import load_image, load_image_mask, load_output, save_image, scale_image_by, send_image


def test_a_mask_is_read_from_the_channel_that_was_chosen(desk):
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2], pixels[..., 3] = 10, 20, 30, 40
    Pictures.fromarray(pixels).save(desk.folders.input / "a.png")
    for channel, expected in (("red", 10), ("green", 20), ("blue", 30), ("alpha", 255 - 40)):
        mask = load_image_mask(desk.context, image="a.png", channel=channel).values
        assert mask.shape == (1, 4, 6)
        assert torch.allclose(mask, torch.full((1, 4, 6), expected / 255))


def test_saving_cuts_off_what_is_beyond_a_level_and_outside_of_the_range(desk):
    """numerics.md, 7.1: truncation, not rounding: 0.999 is 254.7 levels."""
    values = torch.tensor([-0.5, 0.0, 0.5, 0.999, 1.0, 7.0])
    save_image(
        desk.context, images=Image(values.view(1, 1, 6, 1).expand(-1, -1, -1, 3)), filename_prefix="t", prompt=None,
        extra_pnginfo=None,
    )  # fmt: skip
    with Pictures.open(next(desk.folders.output.glob("t*.png"))) as picture:
        assert np.asarray(picture)[0, :, 0].tolist() == [0, 0, 127, 254, 255, 255]


@pytest.mark.parametrize(
    ("kind", "expected"), [(np.int32, [0, 0, 1, 3, 117, 255]), (np.uint16, [0, 100, 255, 255, 255, 255])]
)
def test_deep_greys_are_brought_to_eight_bits_as_in_comfyui(kind, expected, desk):
    """numerics.md, 7.1: mode "I" is divided by 255; mode "I;16" is only cut off at 255."""
    values = np.array([[0, 100, 300, 1000, 30_000, 65_535]], kind)
    Pictures.fromarray(values).save(desk.folders.input / "deep.tiff")
    shown = load_image(desk.context, image="deep.tiff").image.pixels * 255
    assert shown[0, 0, :, 1].round().tolist() == expected
    mask = load_image_mask(desk.context, image="deep.tiff", channel="red").values * 255
    assert mask[0, 0].round().tolist() == expected


def test_only_a_palettes_transparency_and_an_alpha_channel_make_a_mask(desk):
    """numerics.md, 7.1: a colour named transparent in an RGB or grey picture is not looked at."""
    folder = desk.folders.input
    Pictures.new("RGB", (6, 4), (9, 9, 9)).save(folder / "rgb.png", transparency=(9, 9, 9))
    palette = Pictures.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(folder / "p.png", transparency=1)
    Pictures.new("LA", (6, 4), (9, 51)).save(folder / "la.png")
    found = {name: load_image(desk.context, image=f"{name}.png").mask.values for name in ("rgb", "p", "la")}
    assert torch.equal(found["rgb"], torch.zeros(1, 64, 64))
    assert found["p"].tolist() == [[[0.0, 1.0]]]
    assert torch.allclose(found["la"], torch.full((1, 4, 6), 0.8))


def levels(desk, name):
    return (load_image(desk.context, image=name).image.pixels[:, 0, 0, 0] * 255).round().tolist()


def test_frames_are_a_batch_but_for_those_of_another_size_and_of_stereo_pictures(desk):
    """numerics.md, 7.1: frames with another size than the first are skipped; of MPO only the first is taken."""
    one, two, three = (Pictures.new("L", (6, 4), level) for level in (10, 20, 30))
    other = Pictures.new("L", (5, 4), 99)
    folder = desk.folders.input
    one.save(folder / "pages.tiff", save_all=True, append_images=[two, other, three])
    assert levels(desk, "pages.tiff") == [10, 20, 30]
    one.convert("RGB").save(folder / "stereo.mpo", save_all=True, append_images=[two.convert("RGB")])
    with Pictures.open(folder / "stereo.mpo") as picture:
        assert (picture.format, picture.n_frames) == ("MPO", 2)
    assert levels(desk, "stereo.mpo") == [10]


def test_a_picture_is_turned_as_its_camera_was_held(desk):
    """numerics.md, 7.1: EXIF transpose; orientation 6 is a quarter turn clockwise, so the left column comes on top."""
    exif = Pictures.Exif()
    exif[0x0112] = 6
    pixels = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
    Pictures.fromarray(pixels).save(desk.folders.input / "held.png", exif=exif)
    shown = load_image(desk.context, image="held.png").image.pixels[0, :, :, 0] * 255
    assert shown.round().tolist() == [[40, 10], [50, 20], [60, 30]]


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


def test_a_saved_picture_is_loaded_from_the_output_folder(desk):
    saved = save_image(
        desk.context, images=Image(torch.full((1, 2, 3, 3), 0.2)), filename_prefix="x/kept", prompt=None,
        extra_pnginfo=None,
    )  # fmt: skip
    (desk.folders.output / "top.png").write_bytes(saved.files[0].read_bytes())
    assert desk.folders.list("output") == ["top.png [output]"]
    for name in ("top.png [output]", "top.png", "x/kept_00001_.png [output]"):
        assert torch.allclose(load_output(desk.context, image=name).image.pixels, torch.tensor(0.2))
    Pictures.new("RGB", (1, 1)).save(desk.folders.input / "in.png")
    assert load_output(desk.context, image="in.png [input]").image.pixels.shape == (1, 1, 1, 3)
    for name in ("in.png", "../input/in.png [output]", "../input/in.png"):
        with pytest.raises(FileNotFoundError):
            load_output(desk.context, image=name)


@pytest.mark.parametrize(("save", "extension", "more"), [
    (save_webp, ".webp", {"lossless": True, "quality": 80, "method": "fastest"}), (save_png, ".png", {}),
])  # fmt: skip
def test_a_batch_becomes_one_moving_picture_that_carries_its_workflow(desk, save, extension, more):
    pixels = torch.rand(3, 4, 6, 3)
    prompt = {"1": {"class_type": "EmptyImage", "inputs": {}}}
    shown = save(
        desk.context, images=Image(pixels), filename_prefix="moving", fps=8.0, prompt=prompt,
        extra_pnginfo={"workflow": {"nodes": []}}, **more,
    )  # fmt: skip
    assert shown.values == {
        "images": [{"filename": f"moving_00001_{extension}", "subfolder": "", "type": "output"}], "animated": [True],
    }  # fmt: skip
    (path,) = shown.files
    with Pictures.open(path) as picture:
        assert picture.n_frames == 3
        picture.seek(1)
        picture.load()
        assert picture.info["duration"] == 125, "an eighth of a second"
        seen = np.array(picture.convert("RGB"))
    assert np.array_equal(seen, (pixels[1] * 255).to(torch.uint8).numpy())
    texts = read_metadata(path)
    assert (json.loads(texts["prompt"]), json.loads(texts["workflow"])) == (prompt, {"nodes": []})


def test_a_moving_picture_without_recipe_carries_none(desk):
    shown = save_webp(
        desk.context, images=Image(torch.rand(1, 2, 2, 3)), filename_prefix="m", method="default", prompt=None,
        extra_pnginfo=None,
    )  # fmt: skip
    assert read_metadata(shown.files[0]) == {}


def test_pictures_are_sent_to_the_client_and_no_file_is_written(desk):
    pixels = torch.rand(3, 4, 5, 3)
    assert send_image(desk.context, images=Image(pixels)) is None
    sent = [event for event in desk.events if isinstance(event, Preview)]
    assert all(event.kept for event in sent)
    for event, expected in zip(sent, pixels, strict=True):
        with Pictures.open(io.BytesIO(event.image)) as picture:
            assert (picture.format, picture.info) == ("PNG", {})
            assert np.array_equal(np.array(picture), (expected * 255).to(torch.uint8).numpy())
    assert not desk.folders.output.exists()
    assert not desk.folders.temp.exists()
    told = [(event.value, event.maximum) for event in desk.events if isinstance(event, NodeProgress)]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_pictures_are_sent_again_on_each_run(bench):
    graph = {
        "1": ("EmptyImage", {"width": 4, "height": 4, "batch_size": 2, "color": 255}),
        "2": ("SaveImageWebsocket", {"images": ["1", 0]}),
    }  # fmt: skip
    for _ in range(2):
        ending, events = bench.run(graph)
        assert isinstance(ending, Succeeded), ending
        assert len([event for event in events if isinstance(event, Preview)]) == 2
