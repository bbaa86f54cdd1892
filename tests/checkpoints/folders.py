"""diffusers folders, written by diffusers and transformers themselves."""

from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler
from transformers import CLIPTextConfig, CLIPTextModel

from engine.diffusion.config import ModelConfig
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from tests.parity.oracles import diffusers_unet, diffusers_vae


class Networks:
    """Our three networks, whose weights a folder is to hold."""

    def __init__(self, unet: UNet, vae: Vae, text: TextEncoder) -> None:
        self.unet, self.vae, self.text = unet, vae, text


def transformers_text(text: TextEncoder, layers: int) -> CLIPTextModel:
    c = text.config
    model = CLIPTextModel(CLIPTextConfig(
        vocab_size=c.vocab_size, hidden_size=c.width, intermediate_size=c.mlp_width, num_hidden_layers=layers,
        num_attention_heads=c.heads, hidden_act=c.activation, eos_token_id=c.end_id, bos_token_id=c.start_id,
    ))  # fmt: skip
    state = {name.removeprefix("transformer."): value for name, value in text.state_dict().items()}
    model.load_state_dict({name: state[name] for name in model.state_dict()}, strict=True)
    return model


def save_folder(
    path: Path, networks: Networks, config: ModelConfig, *, variant: str | None = None,
    dtype: torch.dtype | None = None, shards: str = "10GB", safe: bool = True, text_layers: int | None = None,
) -> Path:  # fmt: skip
    how: dict[str, Any] = {"variant": variant, "max_shard_size": shards}
    for name, module in (
        ("unet", diffusers_unet(networks.unet)),
        ("vae", diffusers_vae(networks.vae)),
        ("text_encoder", transformers_text(networks.text, text_layers or config.text.layers)),
    ):
        module = module.to(dtype) if dtype else module
        if safe:
            module.save_pretrained(path / name, **how)
            continue
        (path / name).mkdir(parents=True)
        stem = "pytorch_model" if name == "text_encoder" else "diffusion_pytorch_model"
        torch.save(module.state_dict(), path / name / f"{stem}{f'.{variant}' if variant else ''}.bin")
    s = config.schedule
    DDIMScheduler(
        beta_start=s.beta_start, beta_end=s.beta_end, beta_schedule="scaled_linear", steps_offset=1,
        prediction_type={"eps": "epsilon", "v": "v_prediction"}[s.prediction],
    ).save_pretrained(path / "scheduler")  # fmt: skip
    (path / "model_index.json").write_text("{}")
    return path
