"""The transformer that CLIP's text and image towers are made of (Radford et al., 2021).

Attribute names are transformers' keys, which are those of the published files. Written out here because importing
transformers' own takes seconds and 130 MB.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["quick_gelu", "gelu"]


class Attention(nn.Module):
    """Self-attention over the tokens. causal: each sees itself and those before."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width), same shape out."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Two linear layers."""

    def __init__(self, width: int, inner: int, activation: Activation) -> None:
        super().__init__()
        self.quick = activation == "quick_gelu"
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width), same shape out."""
        h = self.fc1(x)
        out: Tensor = self.fc2(h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h))
        return out


class Layer(nn.Module):
    """One block, with the norms first."""

    def __init__(
        self, width: int, heads: int, inner: int, activation: Activation, eps: float, *, causal: bool
    ) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.self_attn = Attention(width, heads, causal)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, inner, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width), same shape out."""
        x = x + self.self_attn(self.layer_norm1(x))
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class Layers(nn.Module):
    """So many blocks."""

    def __init__(
        self, count: int, width: int, heads: int, inner: int, activation: Activation, eps: float, *, causal: bool
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(width, heads, inner, activation, eps, causal=causal) for _ in range(count)
        )
