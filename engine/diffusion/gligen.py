"""GLIGEN: boxes with texts of their own, put in by gated attention: Li et al. (arXiv:2301.07093).

Beside each transformer block of a UNet stands a fuser, between its self-attention and its attention over the text.
Build it on the meta device and load it strictly: `checkpoint.load_companion`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.diffusion.config import UNetConfig
from engine.diffusion.layers import Attention, FeedForward, TransformerBlock
from engine.diffusion.meta import on_meta
from engine.diffusion.unet import UNet

FREQUENCIES, TEMPERATURE = 8, 100.0
SIDES = 4  # of a box: left, top, right, bottom


@dataclass(frozen=True)
class GligenConfig:
    """A GLIGEN for text boxes: fusers for a UNet, and `hidden`, the width inside of what makes the objects' tokens."""

    unet: UNetConfig
    hidden: int

    def build(self) -> nn.Module:
        """The network with these sizes."""
        return Gligen(self)


class PositionNet(nn.Module):
    """A text's embedding and a box's place to one token; learned stand-ins where there is no object."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        place = FREQUENCIES * 2 * SIDES
        self.linears = nn.Sequential(
            nn.Linear(width + place, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, width)
        )
        self.null_positive_feature = nn.Parameter(torch.zeros(width))
        self.null_position_feature = nn.Parameter(torch.zeros(place))

    def forward(self, boxes: Tensor, present: Tensor, texts: Tensor) -> Tensor:
        """Boxes (batch, objects, 4) in 0..1, present (batch, objects) 0 or 1, texts (batch, objects, width)."""
        mask = present[..., None]
        places = waves(boxes)
        texts = texts * mask + (1 - mask) * self.null_positive_feature
        places = places * mask + (1 - mask) * self.null_position_feature
        tokens: Tensor = self.linears(torch.cat([texts, places], dim=-1))
        return tokens


def waves(boxes: Tensor) -> Tensor:
    """Sines and cosines of places (…, 4) at growing frequencies, cosine after sine: (…, 64)."""
    frequency = TEMPERATURE ** (torch.arange(FREQUENCIES, device=boxes.device, dtype=boxes.dtype) / FREQUENCIES)
    angle = boxes[..., None, :] * frequency[:, None]  # (…, frequencies, 4)
    return torch.stack([angle.sin(), angle.cos()], dim=-2).flatten(-3)


class Fuser(nn.Module):
    """Self-attention over pixels and objects, let in by a learned gate."""

    def __init__(self, width: int, text_width: int, heads: int) -> None:
        super().__init__()
        self.linear = nn.Linear(text_width, width)
        self.attn = Attention(width, width, heads, False)
        self.ff = FeedForward(width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.alpha_attn = nn.Parameter(torch.tensor(0.0))
        self.alpha_dense = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor, objects: Tensor) -> Tensor:
        """Map x (batch, tokens, width), objects (batch, objects, text width); shape of x out."""
        both = self.norm1(torch.cat([x, self.linear(objects)], dim=1))
        x = x + self.alpha_attn.tanh() * self.attn(both, both)[:, : x.shape[1]]
        out: Tensor = x + self.alpha_dense.tanh() * self.ff(self.norm2(x))
        return out


class Gligen(nn.Module):
    """The object tokens' network, and one fuser for each transformer block, in the order in which they run."""

    def __init__(self, config: GligenConfig) -> None:
        super().__init__()
        unet = config.unet
        self.position_net = PositionNet(unet.context_dim, config.hidden)
        self.fusers = nn.ModuleList(
            Fuser(width, unet.context_dim, unet.heads(width)) for width in transformers(unet).values()
        )


def transformers(config: UNetConfig) -> dict[str, int]:
    """The name of each transformer block of a UNet and its width, in the order in which they run."""
    with on_meta():
        unet = UNet(config)
    found = {name: module for name, module in unet.named_modules() if isinstance(module, TransformerBlock)}
    order = ("input_blocks", "middle_block", "output_blocks")
    names = sorted(found, key=lambda name: order.index(name.split(".")[0]))
    return {name: found[name].norm1.normalized_shape[0] for name in names}
