"""The parts of the UNet. Attribute names are the published checkpoint's keys (models.md, 2.2)."""

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple
from weakref import ref

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import UNetConfig
from engine.diffusion.fast import (
    Conv2d,
    LayerNorm,
    Linear,
    added,
    gated,
    is_packed,
    joined,
    lay_side_by_side,
    linears,
    map_normed,
    normed,
    padded,
)
from engine.diffusion.kernels import attention, ops
from engine.diffusion.kernels.ops import DEPTH

MOST_CONTEXTS = 4  # texts whose keys and values are kept: those of the calls of one step
TRANSFORMER_NORM_EPS = 1e-6  # GroupNorm around the transformer; the residual blocks use torch's default of 1e-5
UNKNOWN: Mapping[nn.Module, Tensor] = MappingProxyType({})


def timestep_embedding(timestep: Tensor, width: int) -> Tensor:
    """Sinusoids of a timestep, cosines first: (batch,) to (batch, width), float32.

    Vaswani et al. (2017), 3.5, with frequencies 10000^(-i/half).
    """
    half = width // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float32, device=timestep.device) / half)
    angle = timestep.float()[:, None] * frequency[None]  # (batch, half)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


class Told(NamedTuple):
    """What residual blocks are told of timestep and label.

    emb: (batch or more, time width); rows: how many of them are meant, None for all (`times.ROWS`). shifts: what blocks
    add for it (batch, their width), where that is known already (`times`).
    """

    emb: Tensor
    shifts: Mapping[nn.Module, Tensor] = UNKNOWN
    rows: int | None = None


class ResBlock(nn.Module):
    """Two convolutions with the timestep added between them, and a shortcut."""

    def __init__(self, c_in: int, c_out: int, config: UNetConfig) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(config.norm_groups, c_in), nn.SiLU(), Conv2d(c_in, c_out, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), Linear(config.time_width, c_out))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(config.norm_groups, c_out),
            nn.SiLU(),
            nn.Identity(),  # the place of the original's dropout, so that the convolution is called out_layers.3
            Conv2d(c_out, c_out, 3, padding=1),
        )
        self.skip_connection = nn.Identity() if c_in == c_out else Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, told: Told, skip: Tensor | None = None) -> Tensor:
        """Map x (batch, c_in, h, w) to (batch, c_out, h, w).

        skip: the rest of the channels, where x has not all of them.
        """
        shift = told.shifts.get(self)
        if shift is None:
            shift = self.emb_layers(told.emb)[: told.rows]
        parts = [x] if skip is None else [x, skip]
        first, second, shortcut = self.in_layers[2], self.out_layers[3], self.skip_connection
        assert isinstance(first, Conv2d) and isinstance(second, Conv2d)
        if first.packed and second.packed and all(part.shape[1] % DEPTH == 0 for part in parts):
            h = first.around(padded(self.in_layers[0], parts), shift=shift)
            if isinstance(shortcut, Conv2d):
                residual = shortcut.tokens(parts)
            else:
                residual = x if skip is None else torch.cat(parts, dim=1)
            return second.around(padded(self.out_layers[0], [h]), residual=residual)
        if skip is not None:
            x = torch.cat(parts, dim=1)
        h = first(map_normed(self.in_layers[0], x, silu=True)) + shift[:, :, None, None]
        out: Tensor = shortcut(x) + second(map_normed(self.out_layers[0], h, silu=True))
        return out


class Kept(NamedTuple):
    """Projected keys and values (batch, keys, width) of a context, as long as that tensor lives unchanged."""

    context: "ref[Tensor]"
    version: int
    keys: Tensor
    values: Tensor


class Attention(nn.Module):
    """Multi-head attention of `x` over `context`, which may be `x` itself."""

    def __init__(self, width: int, context_width: int, heads: int, upcast: bool) -> None:
        super().__init__()
        self.heads, self.upcast = heads, upcast
        self.remembers = False  # whether the same context comes again and again: a text does
        self.on_cuda = False  # see `ready_for_cuda`
        self._kept: dict[int, Kept] = {}
        self.to_q = Linear(width, width, bias=False)
        self.to_k = Linear(context_width, width, bias=False)
        self.to_v = Linear(context_width, width, bias=False)
        self.to_out = nn.Sequential(Linear(width, width))

    def forward(self, x: Tensor, context: Tensor, residual: Tensor | None = None) -> Tensor:
        """Map x (batch, tokens, width), context (batch, keys, context width) to (batch, tokens, width).

        residual: what is added to it, of that shape.
        """
        return self.out(self.attend(*self.queries_keys_values(x, context, context)), residual)

    def queries_keys_values(self, x: Tensor, context: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """All three projections; in one product if they are of one input and their weights allow it."""
        if x is context is value:
            layers = (self.to_q, self.to_k, self.to_v)
            if all(map(is_packed, layers)):
                return linears(layers, x)
            weights = joined(layers) if self.on_cuda else None
            if weights is not None:
                return F.linear(x, weights).chunk(3, dim=-1)
        return self.to_q(x), *self.keys_values(context, value)

    def keys_values(self, context: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """The projections of what is attended to; those of a text are kept for the steps that follow."""
        if context is not value or not self.remembers or torch.is_grad_enabled() or context.is_inference():
            return self.to_k(context), self.to_v(value)
        kept = self._kept.get(id(context))
        if kept is None or kept.context() is not context or kept.version != context._version:
            if len(self._kept) >= MOST_CONTEXTS:
                self._kept.clear()
            place, all_kept = id(context), self._kept
            gone = ref(context, lambda _: all_kept.pop(place, None))
            kept = Kept(gone, context._version, self.to_k(context), self.to_v(context))
            all_kept[place] = kept
        return kept.keys, kept.values

    def kept_of(self, context: Tensor) -> Kept | None:
        """What is kept of this text, if something is."""
        kept = self._kept.get(id(context))
        return kept if kept is not None and kept.context() is context else None

    def out(self, h: Tensor, residual: Tensor | None = None) -> Tensor:
        """The output projection of what was attended to (batch, tokens, width), plus residual."""
        return added(self.to_out[0], h, residual)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The attention itself: projected q (batch, tokens, width), k and v (batch, keys, width), shape of q out."""
        if is_packed(self.to_out[0]):
            return ops.attention(q, k, v, self.heads)
        how = attention.attention if self.on_cuda else attention.plain
        out = how(self._split(q), self._split(k), self._split(v), upcast=self.upcast)  # SD 2.1-v's scores exceed 65504
        return out.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)  # (batch, heads, tokens, head width)


def ready_for_cuda(network: nn.Module, shared: Collection[str] = ()) -> None:
    """Have a network's attention choose its kernels, and project queries, keys and values in one product.

    Weights of one layer that belong to this network alone are moved side by side; they take no more room. shared: those
    that another network has as well; where they lie side by side there, they are used so, and stay otherwise.
    Keys and values of a text are made once for all steps, and apart.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, Attention):
            layer.on_cuda = True
            ours = not any(f"{name}.{part}.weight" in shared for part in ("to_q", "to_k", "to_v"))
            if ours and not layer.remembers:
                lay_side_by_side((layer.to_q, layer.to_k, layer.to_v))


class GEGLU(nn.Module):
    """Gated linear unit with an exact GELU: Shazeer (2020). The first half of the projection is the value."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = Linear(width, 2 * inner)
        self.proj.halves = True

    def forward(self, x: Tensor) -> Tensor:
        """(…, width) to (…, inner)."""
        return gated(self.proj, x)


class FeedForward(nn.Module):
    """The transformer's per-token network, four times as wide inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GEGLU(width, 4 * width), nn.Identity(), Linear(4 * width, width))

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(batch, tokens, width), same shape out; plus residual."""
        return added(self.net[2], self.net[0](x), residual)


class TransformerBlock(nn.Module):
    """Self-attention, attention over the text, feed-forward; each added to its input.

    With `cross_only` (the x4 upscaler) the first attention reads the text as well.
    """

    def __init__(self, width: int, cross_only: bool, config: UNetConfig) -> None:
        super().__init__()
        heads, upcast = config.heads(width), config.upcast_attention
        self.cross_only = cross_only
        self.attn1 = Attention(width, config.context_dim if cross_only else width, heads, upcast)
        self.attn2 = Attention(width, config.context_dim, heads, upcast)
        self.attn2.remembers = True
        self.ff = FeedForward(width)
        self.norm1 = LayerNorm(width)
        self.norm2 = LayerNorm(width)
        self.norm3 = LayerNorm(width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map x (batch, tokens, width), context (batch, text tokens, context width)."""
        n = self.norm1(x)
        x = self.attn1(n, context if self.cross_only else n, x)
        x = self.attn2(self.norm2(x), context, x)
        out: Tensor = self.ff(self.norm3(x), x)
        return out


class SpatialTransformer(nn.Module):
    """A transformer block over the pixels of a feature map. SD 1.x projects with convolutions, SD 2.x linearly."""

    def __init__(self, width: int, cross_only: bool, config: UNetConfig) -> None:
        super().__init__()
        self.linear = config.linear_projection
        self.norm = nn.GroupNorm(config.norm_groups, width, eps=TRANSFORMER_NORM_EPS)
        self.proj_in = Linear(width, width) if self.linear else Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, cross_only, config)])
        self.proj_out = Linear(width, width) if self.linear else Conv2d(width, width, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map x (batch, width, h, w), context (batch, text tokens, context width); same shape as x out."""
        h = self.tokens(x)
        for block in self.transformer_blocks:
            h = block(h, context)
        return self.pixels(h, x)

    def tokens(self, x: Tensor) -> Tensor:
        """The way in: (batch, width, h, w) to (batch, h·w, width)."""
        tokens: Tensor
        if is_packed(self.proj_in):
            h = normed(self.norm, [x])
            return ops.linear([h], self.proj_in.weight, x.shape[1], self.proj_in.bias)
        h = map_normed(self.norm, x, silu=False)
        if self.linear:
            tokens = self.proj_in(h.flatten(2).transpose(1, 2))
        else:
            tokens = self.proj_in(h).flatten(2).transpose(1, 2)
        return tokens

    def pixels(self, h: Tensor, x: Tensor) -> Tensor:
        """The way out: tokens (batch, h·w, width) added to what came in, x (batch, width, h, w)."""
        if is_packed(self.proj_out):
            h = ops.linear([h], self.proj_out.weight, x.shape[1], self.proj_out.bias, residual=ops.rows(x))
            return ops.picture(h, *x.shape[-2:])
        if self.linear:
            h = self.proj_out(h).transpose(1, 2).reshape(x.shape)
        else:
            h = self.proj_out(h.transpose(1, 2).reshape(x.shape))
        return x + h


class Downsample(nn.Module):
    """Halve each side, rounding up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.op = Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w) to (batch, width, ⌈h/2⌉, ⌈w/2⌉)."""
        out: Tensor = self.op(x)
        return out


class Upsample(nn.Module):
    """Enlarge to the size of the skip connection that comes next: twice, or one less where a side was odd."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, size: torch.Size | None) -> Tensor:
        """Map x (batch, width, h, w) to (batch, width, *size); None doubles."""
        if self.conv.packed:
            return self.conv.enlarged(x, (size[0], size[1]) if size else (2 * x.shape[2], 2 * x.shape[3]))
        if size is None or tuple(size) == (2 * x.shape[2], 2 * x.shape[3]):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        else:
            x = F.interpolate(x, size=tuple(size), mode="nearest")
        out: Tensor = self.conv(x)
        return out
