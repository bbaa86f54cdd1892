"""The autoencoder in strips: what it gives whole, to the rounding of statistics, in much less memory."""

from itertools import pairwise

import pytest
import torch

from engine.diffusion import strips
from engine.diffusion.config import PRESETS
from engine.diffusion.strips import Kept, decode_in_strips, encode_in_strips
from engine.diffusion.vae import Vae, decode, encode
from engine.runtime.device.costs import profile_vae
from tests.parity.small import noise, randomise, small


@pytest.fixture(scope="module")
def vae():
    return randomise(Vae(small("sd1").vae))


@pytest.fixture(params=[2**21, 2**9])
def strip(request, monkeypatch):
    """Numbers in a strip: a map in one of them, or in as many as there can be."""
    monkeypatch.setattr(strips, "STRIP", request.param)
    monkeypatch.setattr(strips, "LEAST", 1)
    return request.param


@pytest.mark.parametrize("shape", [(1, 4, 4, 4), (2, 4, 5, 3), (1, 4, 1, 6)])
def test_a_latent_is_decoded_as_it_is_whole(vae, shape, strip):
    latent = 3.0 * noise(*shape)
    made = decode_in_strips(vae, latent)
    assert made.dtype == torch.float32 and made.shape == (shape[0], 8 * shape[2], 8 * shape[3], 3)
    assert torch.allclose(made, decode(vae, latent), atol=1e-5)
    assert float(made.min()) == 0.0, "something is cut off"


@pytest.mark.parametrize("size", [(32, 24), (43, 31)])
def test_a_picture_is_encoded_as_it_is_whole(vae, size, strip):
    pixels = torch.rand(2, *size, 4, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(encode_in_strips(vae, pixels), encode(vae, pixels), atol=1e-4)


def test_the_autoencoder_of_the_x4_upscaler_works_so_too(strip):
    vae = randomise(Vae(small("sd2-x4").vae))
    latent = noise(1, 4, 6, 5)
    assert torch.allclose(decode_in_strips(vae, latent), decode(vae, latent), atol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_a_norm_of_strips_is_that_of_the_whole_map(offset, strip):
    """Means far from zero, which sums of squares lose; and a group of equal numbers, whose variance is none."""
    norm = torch.nn.GroupNorm(4, 16)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = noise(1, 16, 37, 9) * torch.linspace(0.1, 9.0, 37)[:, None] + offset
    x[:, 4:8] = 2.0
    made = strips.norm_of(norm, Kept(x), packed=False).silu(x)
    assert torch.allclose(made, torch.nn.functional.silu(norm(x)), atol=1e-4)


def test_strips_cover_a_map_in_order():
    for channels, height, width in ((128, 512, 512), (512, 64, 64), (32, 70, 6), (3, 1, 1), (256, 1000, 3000)):
        found = list(strips.strips(Kept(torch.empty(1, channels, height, width, device="meta"))))
        assert found[0][0] == 0 and found[-1][1] == height
        assert all(before[1] == after[0] for before, after in pairwise(found))
        assert all((last - first) * width % 32 == 0 for first, last in found[:-1])


def test_every_block_is_told_of(vae):
    told = []
    decode_in_strips(vae, noise(2, 4, 4, 4), lambda done, total: told.append((done, total)))
    assert told == [(n + 1, 24) for n in range(24)]  # three in each of four levels
    told.clear()
    encode_in_strips(vae, noise(1, 32, 32, 3).sigmoid(), lambda done, total: told.append((done, total)))
    assert told == [(n + 1, 8) for n in range(8)]


def test_what_is_no_latent_is_refused(vae):
    with pytest.raises(ValueError, match="wanted"):
        decode_in_strips(vae, noise(1, 3, 8, 8))


@pytest.mark.parametrize("encoding", [False, True])
def test_two_maps_and_a_few_strips_are_held(encoding):
    """Of 128 channels as large as the picture, and when decoding a quarter of one twice as wide."""
    config, dtype = PRESETS["sd1"].vae, torch.bfloat16
    side = 512 if encoding else 64
    whole, parts = (
        profile_vae(config, dtype, side, side, encoding=encoding, strips=each).nbytes for each in (False, True)
    )
    a_map = 128 * 512 * 512 * dtype.itemsize
    assert 2 * a_map < parts < 3.25 * a_map and parts < 0.5 * whole
