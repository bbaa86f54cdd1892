"""Running a function over a picture in overlapping tiles whose seams are blended (numerics.md, 7.4).

For the autoencoder, whose memory grows with the picture. Tiles change the result slightly: group norms see one tile.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from engine.diffusion.vae import Vae, check_latent, crop_to_encode

__all__ = ["decode_tiled", "encode_tiled", "tile_starts", "tiled", "tiles_in_latent"]

OnTile = Callable[[int, int], None]  # (tiles done, tiles in all)
ASPECTS = ((0.5, 2.0), (2.0, 0.5), (1.0, 1.0))  # of the three passes: height and width, in tiles


class Tile(NamedTuple):
    """Where a tile begins and how long it is, along the rows and along the columns."""

    starts: tuple[int, int]
    lengths: tuple[int, int]


def decode_tiled(vae: Vae, latent: Tensor, *, tile: int, overlap: int, on_tile: OnTile | None = None) -> Tensor:
    """Unscaled latent (b, z, h, w) to pixels (b, f·h, f·w, 3) in 0..1: the mean of three passes of different tiles.

    tile, overlap: in latent elements. A latent that fits in a tile takes no seams in that pass.
    """
    check_latent(vae, latent)
    mean = _three_passes(vae, vae.decode, latent, tile, overlap, float(vae.config.downscale), on_tile)
    return ((mean + 1.0) / 2.0).clamp(0.0, 1.0).movedim(1, -1)


def encode_tiled(vae: Vae, pixels: Tensor, *, tile: int, overlap: int, on_tile: OnTile | None = None) -> Tensor:
    """Pixels (b, h, w, 3) in 0..1 to the unscaled latent mean (b, z, h/f, w/f): the mean of three passes.

    tile, overlap: in pixels. Sides that are not multiples of f are cropped centrally.
    """
    f = vae.config.downscale
    if tile % (2 * f) or overlap % f:
        raise ValueError(f"tile size {tile} and overlap {overlap} must be multiples of {2 * f} and {f}")
    x = 2.0 * crop_to_encode(vae, pixels).movedim(-1, 1) - 1.0
    return _three_passes(vae, lambda part: vae.moments(part)[0], x, tile, overlap, 1.0 / f, on_tile)


def _three_passes(
    vae: Vae, run: Callable[[Tensor], Tensor], x: Tensor, tile: int, overlap: int, scale: float, on_tile: OnTile | None
) -> Tensor:
    """The mean of tiles half as high and twice as wide, the other way round, and square."""
    parameter = next(vae.parameters())
    sizes = [(int(tile * rows), int(tile * columns)) for rows, columns in ASPECTS]
    done, total = 0, x.shape[0] * sum(len(list(_tiles(x.shape[2:], size, overlap))) for size in sizes)

    def once(part: Tensor) -> Tensor:
        nonlocal done
        with torch.no_grad():
            result = run(part.to(parameter.device, parameter.dtype)).float().cpu()
        done += 1
        if on_tile is not None:
            on_tile(done, total)
        return result

    passes = [tiled(once, x, size, overlap, scale) for size in sizes]
    return (passes[0] + passes[1] + passes[2]) / 3.0


def tiled(run: Callable[[Tensor], Tensor], x: Tensor, tile: tuple[int, int], overlap: int, scale: float) -> Tensor:
    """Apply `run` to tiles of x (b, c, h, w), one item at a time, and blend; its output is `scale` times as large.

    tile: rows and columns. At every side of a tile the weight rises linearly over the overlap, at the picture's edge
    too, where dividing by the sum of the weights takes it out again.
    """
    results = []
    for item in torch.split(x, 1):
        tiles = list(_tiles(item.shape[2:], tile, overlap))
        if len(tiles) == 1:
            results.append(run(item))
            continue
        total = weights = torch.empty(0)
        for starts, lengths in tiles:
            (top, left), (rows, columns) = starts, lengths
            part = run(item[:, :, top : top + rows, left : left + columns])
            if not total.numel():
                shape = [round(size * scale) for size in item.shape[2:]]
                total, weights = torch.zeros(1, part.shape[1], *shape), torch.zeros(1, 1, *shape)
            fade = round(overlap * scale)
            weight = _feather(part.shape[2], fade)[:, None] * _feather(part.shape[3], fade)
            below, right = round(top * scale), round(left * scale)
            place = (..., slice(below, below + part.shape[2]), slice(right, right + part.shape[3]))
            total[place] += part * weight
            weights[place] += weight
        results.append(total / weights)
    return torch.cat(results)


def _tiles(size: Sequence[int], tile: tuple[int, int], overlap: int) -> Iterator[Tile]:
    rows, columns = (tile_starts(size[axis], tile[axis], overlap) for axis in (0, 1))
    for top, left in product(rows, columns):
        yield Tile((top, left), (min(tile[0], size[0] - top), min(tile[1], size[1] - left)))


def tile_starts(size: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along one axis; the last ones are moved back, never beyond `size - overlap`.

    >>> tile_starts(100, 64, 16), tile_starts(64, 64, 16)
    ([0, 48], [0])
    """
    if size <= tile:
        return [0]
    if tile <= overlap:
        raise ValueError(f"tiles of {tile} cannot overlap by {overlap}; choose a smaller overlap or larger tiles")
    return [max(0, min(size - overlap, start)) for start in range(0, size - overlap, tile - overlap)]


def _feather(length: int, width: int) -> Tensor:
    """Weights along one side of a tile (length,): 1 inside, rising over `width` at both ends."""
    weights = torch.ones(length)
    if width < length:
        ramp = torch.arange(1, width + 1, dtype=torch.float32) / max(1, width)
        weights[:width] *= ramp
        weights[length - width :] *= ramp.flip(0)
    return weights


def tiles_in_latent(tile_size: int, overlap: int, downscale: int) -> tuple[int, int]:
    """Tile and overlap in latent elements from the sizes in pixels that a user gives; an overlap too large is cut.

    >>> tiles_in_latent(512, 64, 8), tiles_in_latent(64, 64, 8)
    ((64, 8), (8, 2))
    """
    if tile_size < 4 * overlap:
        overlap = tile_size // 4
    return tile_size // downscale, overlap // downscale
