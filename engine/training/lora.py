"""Low-rank adapters to train, and their file in the common layout (Hu et al., 2021; models.md, 7.1).

A module W becomes W + (alpha / rank) · up · down. `up` starts at zero, so training begins at the model itself, and W is
never changed, so taking the adapters off leaves it bit for bit.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet


class Adapted(nn.Module):
    """A frozen linear layer or 1×1 convolution with a trainable low-rank addition."""

    def __init__(self, base: nn.Linear | nn.Conv2d, rank: int, alpha: float, generator: torch.Generator) -> None:
        super().__init__()
        self.base, self.scale = base, alpha / rank
        if isinstance(base, nn.Linear):
            self.down: nn.Module = nn.Linear(base.in_features, rank, bias=False)
            self.up: nn.Module = nn.Linear(rank, base.out_features, bias=False)
        else:
            self.down = nn.Conv2d(base.in_channels, rank, 1, bias=False)
            self.up = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        down, up = self.down.weight, self.up.weight
        assert isinstance(down, Tensor) and isinstance(up, Tensor)
        with torch.no_grad():
            bound = 1.0 / math.sqrt(down.shape[1])
            down.copy_((2.0 * torch.rand(down.shape, generator=generator) - 1.0) * bound)
            up.zero_()
        self.to(base.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        """As the base, plus the adapter."""
        out: Tensor = self.base(x) + self.scale * self.up(self.down(x))
        return out


UNET_TARGET = re.compile(r".*\.(proj_in|proj_out|transformer_blocks\..*)")
TEXT_TARGET = re.compile(r".*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)")


def adapt(network: UNet | TextEncoder, rank: int, alpha: float, generator: torch.Generator) -> dict[str, Adapted]:
    """Put an adapter on every projection of the transformers, freeze the rest; returns them by module name."""
    network.requires_grad_(False)
    target = UNET_TARGET if isinstance(network, UNet) else TEXT_TARGET
    adapted: dict[str, Adapted] = {}
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear | nn.Conv2d) and target.fullmatch(name):
            parent, _, leaf = name.rpartition(".")
            adapted[name] = Adapted(module, rank, alpha, generator)
            setattr(network.get_submodule(parent), leaf, adapted[name])
    return adapted


def remove(network: UNet | TextEncoder, adapted: Mapping[str, Adapted]) -> None:
    """Take the adapters off again."""
    for name, module in adapted.items():
        parent, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(parent), leaf, module.base)


# The published single file counts blocks, the common LoRA layout has the diffusers library's names of them.
def unet_module(name: str) -> str:
    """The diffusers name of a transformer's module in a UNet.

    >>> unet_module("output_blocks.3.1.transformer_blocks.0.attn1.to_q")
    'up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q'
    """
    match = re.fullmatch(r"(input_blocks\.(\d+)|middle_block|output_blocks\.(\d+))\.1\.(.*)", name)
    if match is None:
        raise ValueError(f"{name} is not part of a transformer of the UNet")
    _, down, up, rest = match.groups()
    if down is not None:
        level, place = divmod(int(down) - 1, 3)
        return f"down_blocks.{level}.attentions.{place}.{rest}"
    if up is not None:
        level, place = divmod(int(up), 3)
        return f"up_blocks.{level}.attentions.{place}.{rest}"
    return f"mid_block.attentions.0.{rest}"


def lora_name(name: str, network: UNet | TextEncoder) -> str:
    """What the file calls the adapter of a module.

    A text encoder's module is `transformer.encoder.layers.0.…` here and `text_model.encoder.layers.0.…` there.
    """
    if isinstance(network, UNet):
        return "lora_unet_" + unet_module(name).replace(".", "_")
    return "lora_te_text_model_" + name.removeprefix("transformer.").replace(".", "_")


def lora_tensors(
    network: UNet | TextEncoder, adapted: Mapping[str, Adapted], state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The file's tensors: down, up and alpha of each adapter. `state`: the network's parameters by name, averaged."""
    tensors: dict[str, Tensor] = {}
    for name, module in adapted.items():
        down, up = state[f"{name}.down.weight"], state[f"{name}.up.weight"]
        key = lora_name(name, network)
        tensors[f"{key}.lora_down.weight"], tensors[f"{key}.lora_up.weight"] = down, up
        tensors[f"{key}.alpha"] = torch.tensor(module.scale * down.shape[0])
    return tensors
