"""A stand-in for a trained model: the published SD 1.x single-file layout in miniature, filled from a fixed seed.

`python -m engine.diffusion.standin PATH` writes it. It has learned nothing; its pictures are coloured noise that
changes with prompt and seed, which is enough to try everything around a model. The file's metadata says so.
"""

import json
import math
import struct
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.diffusion.config import PRESETS, ModelConfig, TextConfig, config_to_json
from engine.diffusion.meta import on_meta
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae

SEED = 20_220_822
NOTE = "an untrained stand-in made from a fixed seed: it has the architecture of SD 1.x in miniature and knows nothing"
PROMPT_STRENGTH = 0.05  # how far the text bends the predicted noise; larger saturates the picture at usual guidance


def standin_config() -> ModelConfig:
    """SD 1.x with the same blocks, levels and vocabulary, about a twentieth as wide."""
    sd1 = PRESETS["sd1"]
    return replace(
        sd1,
        unet=replace(sd1.unet, model_channels=16, num_heads=2, context_dim=64, norm_groups=8),
        vae=replace(sd1.vae, channels=16, norm_groups=8),
        text=replace(sd1.text, width=64, layers=2, heads=4, mlp_width=128),
    )


def standin_tensors(config: ModelConfig, seed: int = SEED) -> dict[str, Tensor]:
    """Every tensor of the file by its published name, float16 on the CPU. The same seed gives the same bytes."""
    generator = torch.Generator().manual_seed(seed)
    with on_meta():
        unet, vae = UNet(config.unet), Vae(config.vae)
    shapes = {f"model.diffusion_model.{name}": shape for name, shape in _shapes(unet).items()}
    shapes |= {f"first_stage_model.{name}": shape for name, shape in _shapes(vae).items()}
    shapes |= {f"cond_stage_model.transformer.text_model.{name}": s for name, s in _text_shapes(config.text).items()}
    tensors = {name: _fill(name, shape, generator) for name, shape in shapes.items()}
    _lean_on_the_input(tensors, config)
    return {name: tensor.half() for name, tensor in tensors.items()}


def write_standin(path: Path, seed: int = SEED) -> None:
    """Write the stand-in checkpoint. Equal seeds give equal files, byte for byte."""
    config = standin_config()
    metadata = {"easel.config": config_to_json(config), "easel.note": NOTE, "format": "pt"}
    part = path.with_name(path.name + ".part")
    write_safetensors(part, standin_tensors(config, seed), metadata)
    part.replace(path)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write contiguous float16 tensors in sorted order; the safetensors library itself orders metadata at random."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name, tensor in sorted(tensors.items()):
        end = offset + 2 * tensor.numel()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data is aligned to eight bytes
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.contiguous().numpy().tobytes())


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _text_shapes(config: TextConfig) -> dict[str, tuple[int, ...]]:
    """CLIP's keys, listed here so that writing the file need not import transformers (models.md, 2.4)."""
    width, mlp = config.width, config.mlp_width
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.token_embedding.weight": (config.vocab_size, width),
        "embeddings.position_embedding.weight": (config.max_length, width),
    }
    for layer in range(config.layers):
        for part, (rows, columns) in {
            "self_attn.q_proj": (width, width), "self_attn.k_proj": (width, width), "self_attn.v_proj": (width, width),
            "self_attn.out_proj": (width, width), "mlp.fc1": (mlp, width), "mlp.fc2": (width, mlp),
        }.items():  # fmt: skip
            shapes[f"encoder.layers.{layer}.{part}.weight"] = (rows, columns)
            shapes[f"encoder.layers.{layer}.{part}.bias"] = (rows,)
        for norm in ("layer_norm1", "layer_norm2"):
            shapes[f"encoder.layers.{layer}.{norm}.weight"] = shapes[f"encoder.layers.{layer}.{norm}.bias"] = (width,)
    shapes["final_layer_norm.weight"] = shapes["final_layer_norm.bias"] = (width,)
    return shapes


def _fill(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Variance-preserving noise for weights, ones for norms, nearly nothing for biases."""
    if len(shape) == 1:
        return torch.ones(shape) if name.endswith("weight") else 0.02 * torch.randn(shape, generator=generator)
    if "position_embedding" in name:
        return 0.3 * torch.randn(shape, generator=generator)
    if "token_embedding" in name:
        return torch.randn(shape, generator=generator)
    return torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))


def _lean_on_the_input(tensors: dict[str, Tensor], config: ModelConfig) -> None:
    """Let the UNet predict mostly its own input, as a trained eps model does at high noise.

    Each latent channel travels as a pair (x, -x) through the outermost skip connection: the pair's norm has mean zero,
    and silu(a) - silu(-a) = a brings it back. The other channels add what the random network makes of the text.
    """
    unet, latents, width = "model.diffusion_model.", config.unet.out_channels, config.unet.widths[0]
    pairs = 2 * latents
    first, last = tensors[unet + "input_blocks.0.0.weight"], tensors[unet + "output_blocks.11.0.skip_connection.weight"]
    out = tensors[unet + "out.2.weight"]
    first[:pairs] = 0.0
    last[:pairs] = 0.0
    out *= PROMPT_STRENGTH
    out[:, :pairs] = 0.0
    for channel in range(latents):
        for sign, place in ((1.0, 2 * channel), (-1.0, 2 * channel + 1)):
            first[place, channel, 1, 1] = sign
            last[place, width + place] = 1.0
            out[channel, place, 1, 1] = sign
    block = "output_blocks.11."
    for name in (
        "input_blocks.0.0.bias", block + "0.skip_connection.bias", block + "0.out_layers.3.weight",
        block + "0.out_layers.3.bias", block + "1.proj_out.weight", block + "1.proj_out.bias",
    ):  # fmt: skip
        tensors[unet + name][:pairs] = 0.0


def main(arguments: list[str]) -> int:
    """Write the stand-in to the one path given."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m engine.diffusion.standin PATH.safetensors\n")
        return 2
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_standin(path)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {NOTE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
