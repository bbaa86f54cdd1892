"""Latents as files: a safetensors file with the tensor `latent_tensor`, as ComfyUI writes and reads them.

An empty tensor `latent_format_version_0` marks latents that are unscaled; files without it hold scaled ones.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.diffusion.config import PRESETS
from engine.diffusion.tensorfile import CheckpointError, open_tensors, read_index

TENSOR, UNSCALED = "latent_tensor", "latent_format_version_0"
LARGEST = 2**28  # elements: a batch of 64 pictures of 8192×8192


def latent_bytes(samples: Tensor, texts: Mapping[str, str]) -> bytes:
    """The file of an unscaled latent (b, c, h, w), with texts as its metadata. Equal input gives equal bytes."""
    data = samples.detach().cpu().float().contiguous()
    size = 4 * data.numel()
    header = {
        "__metadata__": dict(texts),
        UNSCALED: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
        TENSOR: {"dtype": "F32", "shape": list(data.shape), "data_offsets": [0, size]},
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data is aligned to eight bytes
    return struct.pack("<Q", len(text)) + text + data.numpy().tobytes()


def read_latent(path: Path) -> Tensor:
    """The unscaled latent (b, c, h, w) in a file, float32. CheckpointError for anything else."""
    file = read_index(path)
    entry = file.entries.get(TENSOR)
    if entry is None or len(entry.shape) != 4 or entry.dtype not in ("F32", "F16", "BF16"):
        found = "no latent_tensor" if entry is None else f"latent_tensor of type {entry.dtype}, {list(entry.shape)}"
        raise CheckpointError(path, found, "a latent (batch, channels, height, width)", "Save it with SaveLatent.")
    if entry.nbytes > 4 * LARGEST:
        raise CheckpointError(path, f"{entry.nbytes} bytes", f"at most {4 * LARGEST}", "Save a smaller batch.")
    with open_tensors(path) as get:
        samples = get(TENSOR).to(torch.float32, copy=True)
    return samples if UNSCALED in file.entries else samples * (1.0 / PRESETS["sd1"].vae.scale_factor)
