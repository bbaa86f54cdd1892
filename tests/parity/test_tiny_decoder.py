"""TAESD against diffusers' AutoencoderTiny, in each spelling of its file."""

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

from engine.diffusion.checkpoint import CheckpointError, load_companion
from engine.diffusion.tiny import LATENT_SCALE, decode_tiny, encode_tiny, open_tiny


def theirs():
    torch.manual_seed(0)
    widths = (16, 16, 16, 16)
    return AutoencoderTiny(encoder_block_out_channels=widths, decoder_block_out_channels=widths).eval()


def respelled(half, prefix, lag):
    return {
        f"{prefix}{int(number) + lag}.{rest}": value
        for name, value in half.state_dict().items()
        for _, number, rest in [name.split(".", 2)]
    }


@pytest.mark.parametrize("prefix", ["encoder.layers.", "taesd_encoder.", ""])
def test_it_encodes_as_diffusers_does(tmp_path, prefix):
    oracle, path = theirs(), tmp_path / "encoder.safetensors"
    save_file(respelled(oracle.encoder, prefix, 0), path)
    pixels = torch.rand(2, 21, 32, 4, generator=torch.Generator().manual_seed(1))
    made = encode_tiny(load_companion(open_tiny(path, "encoder"), torch.float32), pixels)
    with torch.no_grad():  # 21 rows: two above and three below are left out, and so is alpha
        wanted = oracle.encode(2.0 * pixels[:, 2:18, :, :3].movedim(-1, 1) - 1.0).latents / LATENT_SCALE
    assert made.shape == (2, 4, 2, 4)
    assert torch.allclose(made, wanted, atol=1e-4)


@pytest.mark.parametrize(("prefix", "lag"), [("decoder.layers.", 0), ("taesd_decoder.", 1), ("", 1)])
def test_it_decodes_as_diffusers_does(tmp_path, prefix, lag):
    oracle, path = theirs(), tmp_path / "decoder.safetensors"
    save_file(respelled(oracle.decoder, prefix, lag), path)
    latent = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(1)) * 8
    made = decode_tiny(load_companion(open_tiny(path), torch.float32), latent)
    with torch.no_grad():
        wanted = (oracle.decode(latent * LATENT_SCALE).sample / 2 + 0.5).clamp(0, 1).movedim(1, -1)
    assert made.shape == (2, 48, 40, 3)
    assert torch.allclose(made, wanted, atol=1e-5)


def test_both_halves_in_one_file_are_told_apart(tmp_path):
    oracle, path = theirs(), tmp_path / "taesd.safetensors"
    save_file(
        {**respelled(oracle.encoder, "taesd_encoder.", 0), **respelled(oracle.decoder, "taesd_decoder.", 1)}, path
    )
    pixels = torch.rand(1, 16, 16, 3)
    encoder, decoder = (load_companion(open_tiny(path, half), torch.float32) for half in ("encoder", "decoder"))
    with torch.no_grad():
        wanted = oracle(2.0 * pixels.movedim(-1, 1) - 1.0).sample
    made = decode_tiny(decoder, encode_tiny(encoder, pixels))
    assert torch.allclose(made, (wanted / 2 + 0.5).clamp(0, 1).movedim(1, -1), atol=1e-4)


@pytest.mark.parametrize(
    ("half", "state", "message"),
    [
        (
            "decoder",
            {"0.weight": torch.zeros(64, 3, 3, 3), "14.weight": torch.zeros(4, 64, 3, 3)},
            "taesd_encoder only",
        ),
        (
            "encoder",
            {"1.weight": torch.zeros(64, 4, 3, 3), "19.weight": torch.zeros(3, 64, 3, 3)},
            "taesd_decoder only",
        ),
    ],
)
def test_the_other_half_alone_is_refused(tmp_path, half, state, message):
    path = tmp_path / "half.safetensors"
    save_file(state, path)
    with pytest.raises(CheckpointError, match=message):
        open_tiny(path, half)


def test_a_picture_of_less_than_eight_pixels_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_file(respelled(theirs().encoder, "", 0), path)
    with pytest.raises(ValueError, match="8×8 is the least"):
        encode_tiny(load_companion(open_tiny(path, "encoder"), torch.float32), torch.zeros(1, 7, 40, 3))
