"""A picture's style as words: the style adapter of T2I-Adapter (Mou et al., arXiv:2302.08453).

A few learned tokens read what CLIP sees in a picture, through a small transformer, and go behind the text.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.diffusion.checkpoint import Weights, describe
from engine.diffusion.keys import Source
from engine.diffusion.tensorfile import CheckpointError, read_index

MARK, PROJECTION = "style_embedding", "proj"
HEADS = 8
QUICK = 1.702  # of CLIP's approximation of the GELU


@dataclass(frozen=True)
class StyleConfig:
    """`tokens` learned ones, as wide as the image encoder's, projected to the text's width."""

    tokens: int
    width: int
    text_width: int
    layers: int

    def build(self) -> nn.Module:
        """The network with these sizes."""
        return StyleAdapter(self)


class QuickGelu(nn.Module):
    """x · sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * torch.sigmoid(QUICK * x)


class Block(nn.Module):
    """A pre-norm transformer block, as in CLIP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({
            "c_fc": nn.Linear(width, 4 * width), "gelu": QuickGelu(), "c_proj": nn.Linear(4 * width, width),
        })  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width), same shape out."""
        n = self.ln_1(x)
        x = x + self.attn(n, n, n, need_weights=False)[0]
        out: Tensor = x + self.mlp["c_proj"](self.mlp["gelu"](self.mlp["c_fc"](self.ln_2(x))))
        return out


class StyleAdapter(nn.Module):
    """Published names, the misspelled one included."""

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        width = config.width
        self.style_embedding = nn.Parameter(torch.zeros(1, config.tokens, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer_layes = nn.ModuleList(Block(width) for _ in range(config.layers))
        self.proj = nn.Parameter(torch.zeros(width, config.text_width))

    def forward(self, seen: Tensor) -> Tensor:
        """What the image encoder's last layer gave (batch, patches, width) to (batch, tokens, text width)."""
        style = self.style_embedding.expand(len(seen), -1, -1)
        x = self.ln_pre(torch.cat([seen, style], dim=1))
        for layer in self.transformer_layes:
            x = layer(x)
        out: Tensor = self.ln_post(x[:, -style.shape[1] :]) @ self.proj
        return out


def open_style(path: Path) -> Weights:
    """Read a style adapter from its index. CheckpointError for another kind of file, missing or misshapen keys."""
    file = read_index(path)
    tokens, projection = file.entries.get(MARK), file.entries.get(PROJECTION)
    if tokens is None or projection is None or len(tokens.shape) != 3 or len(projection.shape) != 2:
        raise CheckpointError(path, f"no {MARK} and {PROJECTION}", "a style adapter for SD 1.x", "Choose another file.")
    layers = len({key.split(".")[1] for key in file.entries if key.startswith("transformer_layes.")})
    config = StyleConfig(tokens.shape[1], tokens.shape[2], projection.shape[1], layers)
    return describe(file, config, Source, "a style adapter")


def style_tokens(network: nn.Module, seen: Tensor) -> Tensor:
    """The tokens of pictures (batch, patches, width), one after the other: (1, batch · tokens, text width).

    Raises ValueError for an image encoder of another width.
    """
    assert isinstance(network, StyleAdapter)
    width = network.proj.shape[0]
    if seen.shape[-1] != width:
        raise ValueError(
            f"this style model reads an image encoder {width} wide (CLIP ViT-L), and the picture was encoded by one "
            f"{seen.shape[-1]} wide: load the other with Load CLIP Vision"
        )
    with torch.no_grad():
        tokens: Tensor = network(seen.to(network.proj.device, network.proj.dtype))
    return tokens.flatten(0, 1)[None].float().cpu()
