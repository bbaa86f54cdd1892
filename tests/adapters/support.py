"""Adapter files for the miniature network, and what they make of its weights."""

import numpy as np
import torch
from safetensors.torch import save_file

from engine.diffusion.adapters.load import open_lora
from engine.diffusion.adapters.patches import changes
from engine.diffusion.checkpoint import reading
from tests.parity.small import noise

LINEAR = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"  # (16, 16) in the miniature
THEIRS = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
KOHYA = "lora_unet_" + THEIRS.replace(".", "_")
CONV = "lora_unet_down_blocks_0_resnets_0_conv1"  # (16, 16, 3, 3)
CONV_MODULE = "input_blocks.1.0.in_layers.2"
POINTWISE = "lora_unet_down_blocks_0_attentions_0_proj_in"  # (16, 16, 1, 1)


def draw(*shape):
    draw.seed += 1
    return noise(*shape, seed=draw.seed) / 4


draw.seed = 0


def save(tmp_path, state, name="l.safetensors", **metadata):
    save_file(state, tmp_path / name, metadata=metadata or None)
    return tmp_path / name


def patches(path, weights, strength=1.0):
    return open_lora(path, weights).patches(weights, strength)


def weights_of(residency, weights, put=()):
    return residency.have(weights, put).state_dict()


def changed(weights, path, strength=1.0):
    """Weights before and after, for those parameters that an adapter makes others."""
    put = patches(path, weights, strength)
    return {name: (value, after) for name, value, after in after_patches(weights, put)}


def after_patches(weights, put):
    """Name, the file's weight and the patched one (float32), of all parameters that patches change."""
    with reading(weights) as read, changes(weights, put, torch.float32) as made:
        return [(name, read(name).float(), change(read(name).float())) for name, change in made.items()]


def linear_lora(head=KOHYA, up=".lora_up.weight", down=".lora_down.weight", rank=2):
    return {f"{head}{up}": draw(16, rank), f"{head}{down}": draw(rank, 16)}


def close(found, wanted):
    """float32, one multiplication of small matrices apart: 1e-6 is some units in the last place."""
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)
