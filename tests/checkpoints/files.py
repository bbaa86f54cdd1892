"""Small checkpoint files in the published layout, and hostile ones."""

import json
import struct
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

from engine.diffusion.config import PRESETS, config_to_json
from engine.diffusion.standin import standin_config, standin_tensors


def tensors(seed: int = 1) -> dict[str, torch.Tensor]:
    return standin_tensors(standin_config(), seed)


def write(path: Path, state: dict[str, torch.Tensor], **metadata: str) -> Path:
    metadata.setdefault("easel.config", config_to_json(standin_config()))
    save_file(state, path, metadata=metadata)
    return path


def write_shapes(path: Path, shapes: dict[str, tuple[int, ...]], metadata: dict[str, str] | None = None) -> Path:
    """A file of full size by its header, sparse on disk: names and shapes of a published model without its bytes."""
    header: dict[str, object] = {"__metadata__": metadata or {}}
    offset = 0
    for name, shape in shapes.items():
        size = 2 * int(torch.Size(shape).numel())
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return path


def fill(path: Path, name: str, values: torch.Tensor) -> None:
    """Write the numbers of one tensor into such a file, as float16."""
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        begin, end = json.loads(file.read(length))[name]["data_offsets"]
        data = values.half().numpy().tobytes()
        assert len(data) == end - begin
        file.seek(8 + length + begin)
        file.write(data)


def published_shapes(family: str) -> dict[str, tuple[int, ...]]:
    """Every key of a published single file, from the networks and models.md 2.4."""
    return dict(_published_shapes(family))


@cache
def _published_shapes(family: str) -> dict[str, tuple[int, ...]]:
    from engine.diffusion.unet import UNet
    from engine.diffusion.vae import Vae

    config = PRESETS[family]
    with torch.device("meta"):
        unet, vae = UNet(config.unet), Vae(config.vae)
    shapes = {f"model.diffusion_model.{name}": tuple(t.shape) for name, t in unet.state_dict().items()}
    shapes |= {f"first_stage_model.{name}": tuple(t.shape) for name, t in vae.state_dict().items()}
    return shapes | (clip_l() if config.text.layout == "clip" else open_clip_h())


def clip_l() -> dict[str, tuple[int, ...]]:
    prefix = "cond_stage_model.transformer.text_model."
    shapes = {
        prefix + "embeddings.token_embedding.weight": (49408, 768),
        prefix + "embeddings.position_embedding.weight": (77, 768),
        prefix + "embeddings.position_ids": (1, 77),
        prefix + "final_layer_norm.weight": (768,),
        prefix + "final_layer_norm.bias": (768,),
    }
    for layer in range(12):
        block = f"{prefix}encoder.layers.{layer}."
        for part, rows, columns in (
            ("self_attn.q_proj", 768, 768), ("self_attn.k_proj", 768, 768), ("self_attn.v_proj", 768, 768),
            ("self_attn.out_proj", 768, 768), ("mlp.fc1", 3072, 768), ("mlp.fc2", 768, 3072),
        ):  # fmt: skip
            shapes |= {f"{block}{part}.weight": (rows, columns), f"{block}{part}.bias": (rows,)}
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{block}{norm}.weight": (768,), f"{block}{norm}.bias": (768,)}
    return shapes


def open_clip_h() -> dict[str, tuple[int, ...]]:
    prefix, w = "cond_stage_model.model.", 1024
    shapes = {
        prefix + "token_embedding.weight": (49408, w), prefix + "positional_embedding": (77, w),
        prefix + "ln_final.weight": (w,), prefix + "ln_final.bias": (w,), prefix + "text_projection": (w, w),
        prefix + "logit_scale": (), prefix + "attn_mask": (77, 77),
    }  # fmt: skip
    for layer in range(24):
        block = f"{prefix}transformer.resblocks.{layer}."
        shapes |= {
            block + "attn.in_proj_weight": (3 * w, w), block + "attn.in_proj_bias": (3 * w,),
            block + "attn.out_proj.weight": (w, w), block + "attn.out_proj.bias": (w,),
            block + "mlp.c_fc.weight": (4 * w, w), block + "mlp.c_fc.bias": (4 * w,),
            block + "mlp.c_proj.weight": (w, 4 * w), block + "mlp.c_proj.bias": (w,),
        }  # fmt: skip
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{block}{norm}.weight": (w,), f"{block}{norm}.bias": (w,)}
    return shapes
