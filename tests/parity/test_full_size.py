"""A full-size random SD 1.5 single file in the published layout: strict, and it renders. 2.1 GB on disk meanwhile."""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.checkpoint import load_text, load_unet, load_vae, open_checkpoint
from engine.diffusion.config import PRESETS
from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.text import encode, tokenizer
from engine.diffusion.vae import decode
from tests.checkpoints.files import published_shapes
from tests.parity.small import normal

IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids"


@pytest.mark.full
def test_a_full_size_sd15_file_loads_strictly_and_renders(tmp_path):
    generator = torch.Generator().manual_seed(0)
    path = tmp_path / "v1-5-random.safetensors"
    state = {}
    for name, shape in published_shapes("sd1").items():
        if name == IDS:
            state[name] = torch.arange(77)[None]
        elif len(shape) == 1:
            state[name] = torch.full(shape, 1.0 if name.endswith("weight") else 0.0, dtype=torch.float16)
        else:
            scale = float(torch.Size(shape[1:]).numel()) ** -0.5
            state[name] = normal(shape, generator).mul_(scale).half()
    save_file(state, path)
    del state
    try:
        found = open_checkpoint(path)
        assert found.config == PRESETS["sd1"]
        assert (found.unexpected, found.ignored) == ((), (IDS,))
        text = load_text(found.text, torch.float32)
        plus, minus = (encode(text, tokenizer(), prompt, found.config.text) for prompt in ("a cat", ""))
        del text
        unet = load_unet(found.unet, torch.float32)
        network = unet_network(unet, discrete(found.config.schedule), torch.float32, "cpu")
        run = Sampling(
            found.config, torch.zeros(1, 4, 16, 16), (Condition(plus.states),), (Condition(minus.states),),
            steps=3, cfg=7.5, sampler="plms", scheduler="leading",
        )  # fmt: skip
        latent = sample(run, network).samples
        del unet, network
        picture = decode(load_vae(found.vae, torch.float32), latent)
        assert picture.shape == (1, 128, 128, 3)
        assert torch.isfinite(picture).all()
        assert float(picture.std()) > 0.01
    finally:
        path.unlink()
