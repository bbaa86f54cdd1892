"""TAESD's decoder against diffusers' AutoencoderTiny, in each spelling of its file."""

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

from engine.diffusion.checkpoint import CheckpointError, load_companion
from engine.diffusion.tiny import LATENT_SCALE, decode_tiny, open_tiny


def theirs():
    torch.manual_seed(0)
    widths = (16, 16, 16, 16)
    return AutoencoderTiny(encoder_block_out_channels=widths, decoder_block_out_channels=widths).eval()


@pytest.mark.parametrize(("prefix", "lag"), [("decoder.layers.", 0), ("taesd_decoder.", 1), ("", 1)])
def test_it_decodes_as_diffusers_does(tmp_path, prefix, lag):
    oracle = theirs()
    state = {}
    for name, value in oracle.decoder.state_dict().items():
        _, number, rest = name.split(".", 2)
        state[f"{prefix}{int(number) + lag}.{rest}"] = value
    path = tmp_path / "decoder.safetensors"
    save_file(state, path)
    latent = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(1)) * 8
    made = decode_tiny(load_companion(open_tiny(path), torch.float32), latent)
    with torch.no_grad():
        wanted = (oracle.decode(latent * LATENT_SCALE).sample / 2 + 0.5).clamp(0, 1).movedim(1, -1)
    assert made.shape == (2, 48, 40, 3)
    assert torch.allclose(made, wanted, atol=1e-5)


def test_an_encoder_alone_is_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_file({"0.weight": torch.zeros(64, 3, 3, 3), "14.weight": torch.zeros(4, 64, 3, 3)}, path)
    with pytest.raises(CheckpointError, match="taesd_encoder only"):
        open_tiny(path)
