"""What is done around the autoencoder: numerics.md, 7.3."""

import pytest
import torch

from engine.diffusion.vae import Vae, crop_to_encode, decode, encode
from tests.parity.small import noise, randomise, small


@pytest.fixture(scope="module")
def vae():
    return randomise(Vae(small("sd1").vae))


def test_a_picture_is_cut_in_the_middle_to_whole_latent_pixels_and_loses_its_alpha(vae):
    """7.3: each side to a multiple of 8, offset = remainder // 2: of 21 and 31 rows and columns 5 // 2 and 7 // 2."""
    pixels = torch.rand(2, 21, 31, 4)
    assert torch.equal(crop_to_encode(vae, pixels), pixels[:, 2:18, 3:27, :3])
    assert torch.equal(crop_to_encode(vae, pixels[:, :16, :24]), pixels[:, :16, :24, :3])


def test_the_x4_upscalers_autoencoder_cuts_to_multiples_of_4():
    """7.3: 4 for the x4 upscaler's VAE."""
    x4 = Vae(small("sd2-x4").vae)
    pixels = torch.rand(1, 21, 31, 3)
    assert torch.equal(crop_to_encode(x4, pixels), pixels[:, 0:20, 1:29])


def test_a_latent_is_the_mean_of_what_2v_minus_1_encodes_to_without_a_scale(vae):
    """7.3: `2v − 1`; latent = mean of the posterior, not sampled, not multiplied by anything."""
    pixels = torch.rand(1, 16, 24, 3)
    with torch.no_grad():
        moments = vae.quant_conv(vae.encoder((2 * pixels - 1).movedim(-1, 1)))
    latent = encode(vae, pixels)
    assert torch.allclose(latent, moments[:, :4], atol=1e-5)
    assert torch.equal(latent, encode(vae, pixels))


def test_pixels_are_half_of_what_is_decoded_plus_one_and_cut_off(vae):
    """7.3: clamp((y+1)/2, 0, 1); the latent is not multiplied by anything."""
    latent = 3.0 * noise(1, 4, 2, 3)
    with torch.no_grad():
        y = vae.decoder(vae.post_quant_conv(latent))
    expected = torch.minimum(torch.maximum(y / 2 + 0.5, torch.zeros(())), torch.ones(())).movedim(1, -1)
    assert torch.allclose(decode(vae, latent), expected, atol=1e-5)
    assert float(expected.min()) == 0.0, "something is cut off"
