"""Self-attention over fewer tokens: windows (HyperTile) and merged tokens (ToMe). Both approximate; both are faster."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from engine.diffusion.hooks import Hooks, NetworkPatch, Pass, Site

LEAST_TILE = 32  # picture pixels
PIXELS = 8  # picture pixels per latent pixel
CELL = 2  # ToMe: one token of each cell of 2×2 is what others are merged into


@dataclass(frozen=True)
class HyperTile(NetworkPatch):
    """Queries attend in windows (tfernd, HyperTile; numerics.md, 5.6). Sizes of windows are drawn at each attention.

    tile: the least side of a window in picture pixels. swap: of how many sizes one is drawn. depth: how many halvings
    of the latent's size are tiled as well; scale_depth: in windows as much larger.
    """

    tile: int = 256
    swap: int = 2
    depth: int = 0
    scale_depth: bool = False

    def hooks(self, moment: Pass) -> Hooks:
        """Before and after each self-attention over as many tokens as a level has."""
        rows, columns = moment.x.shape[-2:]
        levels = [(rows / 2**level) * (columns / 2**level) for level in range(self.depth + 1)]
        least = max(LEAST_TILE, self.tile) // PIXELS
        generator = _generator(moment)
        present: list[Windows | None] = [None]

        def divide(n: Tensor, context: Tensor, value: Tensor, site: Site) -> tuple[Tensor, Tensor, Tensor]:
            present[0] = None
            tokens = n.shape[1]
            if tokens not in levels or context.shape[1] != tokens:  # the x4 upscaler's first attention reads the text
                return n, context, value
            factor = 2 ** levels.index(tokens) if self.scale_depth else 1
            # as in the reference, what is called height has the latent's width, and the other way round
            height = round(math.sqrt(tokens * columns / rows))
            width = round(math.sqrt(tokens * rows / columns))
            down = pick_count(height, least * factor, self.swap, generator)
            across = pick_count(width, least * factor, self.swap, generator)
            if down * across < 2 or height * width != tokens:
                return n, context, value
            windows = present[0] = Windows(down, across, height // down, width // across)
            batch = n.shape[0] * down * across
            # keys and values are not windows but as many runs of consecutive tokens
            return into_windows(n, windows), _runs(context, batch), _runs(value, batch)

        def put_together(out: Tensor, site: Site) -> Tensor:
            return out if present[0] is None else from_windows(out, present[0])

        return Hooks(attn1_input=(divide,), attn1_output=(put_together,))


def pick_count(value: int, least: int, options: int, generator: torch.Generator) -> int:
    """Into how many windows a side is divided: one of the first options whose windows are `least` long or longer.

    The last option is never drawn, as in the reference, where the upper bound is exclusive.
    """
    lengths = [length for length in range(min(least, value), value + 1) if value % length == 0]
    counts = [value // length for length in lengths[:options]]
    if len(counts) < 2:
        return counts[0]
    return counts[int(torch.randint(0, len(counts) - 1, (1,), generator=generator))]


class Windows(NamedTuple):
    """How many there are, and how many tokens each has."""

    down: int
    across: int
    height: int
    width: int


def into_windows(x: Tensor, windows: Windows) -> Tensor:
    """(batch, tokens, width) in raster order to (batch·down·across, height·width, width)."""
    down, across, height, width = windows
    x = x.reshape(-1, down, height, across, width, x.shape[-1]).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, height * width, x.shape[-1])


def from_windows(x: Tensor, windows: Windows) -> Tensor:
    """What `into_windows` made, back in raster order."""
    down, across, height, width = windows
    x = x.reshape(-1, down, across, height, width, x.shape[-1]).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, down * height * across * width, x.shape[-1])


def _runs(x: Tensor, batch: int) -> Tensor:
    return x.reshape(batch, -1, x.shape[-1])


def _generator(moment: Pass) -> torch.Generator:
    """The run's own; a call that belongs to no run draws the same each time."""
    return moment.run.generator if moment.run is not None else torch.Generator().manual_seed(0)


@dataclass(frozen=True)
class TokenMerging(NetworkPatch):
    """Queries of similar tokens are asked once: Bolya and Hoffman (arXiv:2303.17604); numerics.md, 5.6.

    ratio: the share of tokens that are merged into others, where there is one token per latent pixel.
    """

    ratio: float = 0.3

    def hooks(self, moment: Pass) -> Hooks:
        """Before and after each self-attention at the latent's own size."""
        rows, columns = moment.x.shape[-2:]
        generator = _generator(moment)
        undo: list[Callable[[Tensor], Tensor] | None] = [None]

        def merge(n: Tensor, context: Tensor, value: Tensor, site: Site) -> tuple[Tensor, Tensor, Tensor]:
            undo[0] = None
            count = int(n.shape[1] * self.ratio)
            if n.shape[1] != rows * columns or count < 1 or min(rows, columns) < CELL:
                return n, context, value
            merged, undo[0] = merge_tokens(n, destinations(rows, columns, generator), count)
            return merged, context, value

        def restore(out: Tensor, site: Site) -> Tensor:
            return out if undo[0] is None else undo[0](out)

        return Hooks(attn1_input=(merge,), attn1_output=(restore,))


def destinations(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Which tokens others are merged into: one of each whole cell, at random; (rows·columns,) bool."""
    down, across = rows // CELL, columns // CELL
    chosen = torch.randint(CELL * CELL, (down, across, 1), generator=generator)
    cells = torch.zeros(down, across, CELL * CELL, dtype=torch.bool).scatter_(2, chosen, True)
    grid = torch.zeros(rows, columns, dtype=torch.bool)
    grid[: down * CELL, : across * CELL] = (
        cells.reshape(down, across, CELL, CELL).transpose(1, 2).reshape(down * CELL, across * CELL)
    )
    return grid.flatten()


def merge_tokens(x: Tensor, chosen: Tensor, count: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Merge the `count` tokens of x (batch, tokens, width) that are most like a chosen one into it, by the mean.

    chosen (tokens,) bool. Returns the tokens left, the unmerged before the chosen, and what undoes it: merged tokens
    get what their chosen one has.
    """
    batch, tokens, width = x.shape
    places = torch.arange(tokens, device=x.device)
    chosen = chosen.to(x.device)
    target_places, source_places = places[chosen], places[~chosen]
    unit = x / x.norm(dim=-1, keepdim=True)
    likeness, nearest = (unit[:, source_places] @ unit[:, target_places].transpose(1, 2)).max(dim=-1)
    count = min(count, len(source_places))
    order = likeness.argsort(dim=-1, descending=True, stable=True)
    merged, kept = order[:, :count], order[:, count:]  # (batch, ·) numbers of sources
    into = nearest.gather(1, merged)

    def rows(indices: Tensor) -> Tensor:
        return indices[..., None].expand(-1, -1, width)

    sources, targets = x[:, source_places], x[:, target_places]
    targets = targets.scatter_reduce(1, rows(into), sources.gather(1, rows(merged)), "mean", include_self=True)
    left = torch.cat([sources.gather(1, rows(kept)), targets], dim=1)

    def undo(out: Tensor) -> Tensor:
        size = kept.shape[1]
        unmerged, targets = out[:, :size], out[:, size:]
        restored = torch.empty(batch, tokens, out.shape[-1], dtype=out.dtype, device=out.device)
        restored[:, target_places] = targets
        restored.scatter_(1, rows(source_places[kept]), unmerged)
        restored.scatter_(1, rows(source_places[merged]), targets.gather(1, rows(into)))
        return restored

    return left, undo
