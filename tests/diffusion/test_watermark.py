"""The invisible watermark: what the invisible-watermark package's method reads is what was written, both ways.

Checked once by hand against version 0.2.0 of the package itself (its decoder reads every mark written here); its rule,
two loops over 4×4 blocks of Haar approximations, is written down anew below as the oracle.
"""

import io

import numpy as np
import pytest
import torch
from PIL import Image as Pictures

from engine.diffusion.watermark import WatermarkError, read_watermark, write_watermark
from engine.graph.types import Image
from nodes.safety import read_mark, write_mark

MARKS = [b"StableDiffusionV1", b"SDV2", b"\x00\xff\x55"]


def smooth(height=288, width=320, seed=0):
    coarse = torch.rand((2, 3, 12, 12), generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.1
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1).movedim(1, -1)


def textured(seed=0):
    grain = torch.rand((2, 288, 320, 3), generator=torch.Generator().manual_seed(seed)) - 0.5
    return (smooth(seed=seed) + 0.4 * grain).clamp(0.02, 0.98)


def saved(pixels):
    """As SaveImage writes: truncated to bytes."""
    return (pixels * 255).clamp(0, 255).to(torch.uint8).numpy()


def approximations(picture):
    """Haar approximations of OpenCV's U: 0.492·(B - Y) + 128, as bytes."""
    r, g, b = (picture[..., channel].astype(np.float64) for channel in range(3))
    u = np.rint(np.clip(0.492 * (b - (0.299 * r + 0.587 * g + 0.114 * b)) + 128, 0, 255))
    return (u[0::2, 0::2] + u[0::2, 1::2] + u[1::2, 0::2] + u[1::2, 1::2]) / 2


def package_reads(picture, length):
    votes = [[] for _ in range(8 * length)]
    found, number = approximations(picture), 0
    for row in range(found.shape[0] // 4):
        for column in range(found.shape[1] // 4):
            block = found[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten()
            value = abs(block[1 + np.argmax(abs(block[1:]))])
            votes[number % (8 * length)].append(value % 36 > 18)
            number += 1
    return np.packbits([np.mean(each) * 255 > 127 for each in votes]).tobytes()


def package_writes(picture, mark):
    """Into U alone: each pixel of an approximation takes half of its change; B and G follow."""
    bits, found, number = np.unpackbits(np.frombuffer(mark, np.uint8)), approximations(picture), 0
    made = picture.astype(np.float64)
    for row in range(found.shape[0] // 4):
        for column in range(found.shape[1] // 4):
            block = found[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten()
            place = 1 + np.argmax(abs(block[1:]))
            change = (block[place] // 36 + 0.25 + 0.5 * bits[number % len(bits)]) * 36 - block[place]
            y, x = 8 * row + 2 * (place // 4), 8 * column + 2 * (place % 4)
            made[y : y + 2, x : x + 2] += change / 2 * np.array([0, -0.395, 2.032])
            number += 1
    return np.rint(np.clip(made, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("pictures", [smooth, textured])
def test_what_is_written_is_read_here_and_by_the_packages_rule(mark, pictures):
    marked = write_watermark(pictures(), mark)
    assert read_watermark(marked, len(mark)) == [mark, mark]
    for each in saved(marked):
        assert package_reads(each, len(mark)) == mark


@pytest.mark.parametrize("mark", MARKS)
def test_what_the_package_writes_is_read(mark):
    """On a picture of loud squares: on quiet ones the package does not find its own marks."""
    loud = torch.rand((256, 256, 3), generator=torch.Generator().manual_seed(1)).repeat_interleave(2, 0)
    written = package_writes(saved(loud.repeat_interleave(2, 1)), mark)
    assert package_reads(written, len(mark)) == mark
    assert read_watermark(torch.from_numpy(written).float()[None] / 255, len(mark)) == [mark]


def test_it_is_hard_to_see_and_red_is_untouched():
    before, after = saved(smooth()).astype(int), saved(write_watermark(smooth(), MARKS[0])).astype(int)
    assert np.array_equal(before[..., 0], after[..., 0])
    changed = np.abs(before - after)
    # one cell of 2×2 in 8×8 moves by half of at most a step and three quarters, in U; blue follows by 2.032
    assert changed.max() <= round(0.5 * 36 * 1.75 * 2.032) + 1
    assert (changed.max(axis=-1) > 0).mean() <= 1 / 16


def test_it_survives_truncation_to_bytes_and_mild_jpeg():
    marked = saved(write_watermark(textured(), MARKS[1]))[0]
    buffer = io.BytesIO()
    Pictures.fromarray(marked).save(buffer, "JPEG", quality=97, subsampling=0)
    again = torch.from_numpy(np.array(Pictures.open(buffer))).float()[None] / 255
    assert read_watermark(again, len(MARKS[1])) == [MARKS[1]]
    assert read_watermark(torch.from_numpy(marked).float()[None] / 255, len(MARKS[1])) == [MARKS[1]]


def test_a_picture_without_a_mark_reads_as_something_else():
    assert read_watermark(textured(), 17)[0] != MARKS[0]


def test_alpha_and_what_does_not_fill_a_square_are_left():
    pixels = torch.cat([smooth(301, 333), torch.rand(2, 301, 333, 1)], dim=-1)
    marked = write_watermark(pixels, b"SDV2")
    assert torch.equal(marked[..., 3], pixels[..., 3])
    assert np.array_equal(saved(marked)[:, 296:], saved(pixels)[:, 296:])
    assert read_watermark(marked, 4) == [b"SDV2"] * 2


def test_what_does_not_fit_is_refused():
    with pytest.raises(WatermarkError, match="64×64 is too small"):
        write_watermark(torch.zeros(1, 64, 64, 3), b"SDV2")
    with pytest.raises(WatermarkError, match="it needs 65536 pixels and 2048 squares of 8×8"):
        write_watermark(torch.zeros(1, 256, 256, 3), b"x" * 256)
    with pytest.raises(WatermarkError, match="1 to 256 bytes; found 0"):
        write_watermark(torch.zeros(1, 256, 256, 3), b"")


def test_the_nodes_write_and_read_text():
    marked = write_mark(image=Image(smooth()), text="Größe")
    assert read_mark(image=marked, length=7) == "Größe"
