"""Tiles (numerics.md, 7.4): where they lie, how they are blended, and that nothing shows of them."""

import pytest
import torch
import torch.nn.functional as F

from engine.diffusion.standin import standin_config
from engine.diffusion.tiling import decode_tiled, encode_tiled, tile_starts, tiled
from engine.diffusion.vae import Vae, decode, encode
from tests.parity.small import noise, randomise


@pytest.mark.parametrize(
    ("size", "tile", "overlap", "starts"),
    [
        (64, 64, 16, [0]), (65, 64, 16, [0, 48]), (112, 64, 16, [0, 48]), (113, 64, 16, [0, 48, 96]),
        (100, 32, 8, [0, 24, 48, 72]), (10, 4, 0, [0, 4, 8]),
    ],
)  # fmt: skip
def test_tiles_start_where_the_reference_puts_them(size, tile, overlap, starts):
    assert tile_starts(size, tile, overlap) == starts


def test_tiles_that_would_never_advance_are_refused():
    with pytest.raises(ValueError, match="cannot overlap by 64"):
        tile_starts(100, 64, 64)


def test_seams_are_blended_linearly_over_the_overlap():
    """One row of 10 in tiles of 6 that overlap by 2: starts 0 and 4. The function numbers the tiles.

    Weights of both tiles: 1/2 1 1 1 1 1/2 → in the overlap (columns 4, 5) they are 1 : 1/2 and 1/2 : 1.
    """
    calls = []

    def number(part):
        calls.append(part.shape[3])
        return torch.full_like(part, float(len(calls)))

    out = tiled(number, torch.zeros(1, 1, 1, 10), (1, 6), 2, 1.0)
    third = 1 / 3
    expected = [1, 1, 1, 1, 1 + third, 2 - third, 2, 2, 2, 2]
    assert torch.allclose(out.flatten(), torch.tensor(expected))


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_local_function_shows_no_seams(scale):
    x = torch.rand(2, 3, 36, 52, generator=torch.Generator().manual_seed(0))

    def resize(part):
        return F.interpolate(part, scale_factor=scale, mode="area" if scale < 1 else "nearest")

    assert torch.allclose(tiled(resize, x, (16, 24), 4, scale), resize(x), atol=1e-6)


@pytest.fixture(scope="module")
def vae():
    return randomise(Vae(standin_config().vae))


def test_what_fits_into_a_tile_is_decoded_and_encoded_whole(vae):
    latent, pixels = noise(2, 4, 4, 4), noise(2, 33, 34, 3).sigmoid()
    assert torch.allclose(decode_tiled(vae, latent, tile=16, overlap=2), decode(vae, latent), atol=1e-6)
    assert torch.allclose(encode_tiled(vae, pixels, tile=128, overlap=32), encode(vae, pixels), atol=1e-5)


def test_every_tile_of_the_three_passes_is_reported(vae):
    """Latent 8×8 in tiles of 8 with overlap 2: halves start at 0, 2, 4: 3 × 1, 1 × 3 and the whole."""
    told = []
    out = decode_tiled(vae, noise(2, 4, 8, 8), tile=8, overlap=2, on_tile=lambda n, total: told.append((n, total)))
    assert out.shape == (2, 64, 64, 3)
    assert told == [(n + 1, 14) for n in range(14)]


def test_a_tiled_decode_is_the_mean_of_three_tilings(vae):
    latent = noise(1, 4, 8, 12)
    parts = [tiled(vae.decode, latent, size, 2, 8.0) for size in ((4, 16), (16, 4), (8, 8))]
    expected = ((sum(parts) / 3 + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert torch.allclose(decode_tiled(vae, latent, tile=8, overlap=2), expected, atol=1e-6)
    assert (decode_tiled(vae, latent, tile=8, overlap=2) - decode(vae, latent)).abs().max() > 1e-3


def test_tiles_that_do_not_meet_latents_are_refused(vae):
    with pytest.raises(ValueError, match="multiples of 16 and 8"):
        encode_tiled(vae, noise(1, 64, 64, 3).sigmoid(), tile=40, overlap=8)
    with pytest.raises(ValueError, match="wanted"):
        decode_tiled(vae, noise(1, 3, 8, 8), tile=8, overlap=2)
