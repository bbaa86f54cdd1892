"""Arithmetic on latents, (batch, channels, h, w): what the latent nodes do (numerics.md, 7.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from engine.diffusion.batch import Batch
from engine.diffusion.guidance import Asking, fit_batch
from engine.diffusion.guiders import GuidanceHooks, GuidancePatch, Guided
from engine.diffusion.pictures import filters
from engine.diffusion.pictures.compose import feathered
from engine.diffusion.pictures.masks import check_inside, resize_mask
from engine.diffusion.resize import common_upscale

MASK_SCALE = 8  # a mask that is made for a latent has a picture's size
TINY = 1e-10  # keeps the directions of empty pixels finite
TINY_SHARPEN = 1e-6
SPREAD = 5.0  # standard deviations above the mean where tone mapping levels off


def fitted(x: Tensor, shape: Sequence[int], method: str = "bilinear") -> Tensor:
    """A latent brought to another's shape: centre-cropped and resized, its batch cut or repeated.

    Raises ValueError if the channels differ.
    """
    if x.shape[1] != shape[1]:
        raise ValueError(
            f"samples2 has {x.shape[1]} channels and samples1 {shape[1]}; they are latents of different models"
        )
    if x.shape[2:] != tuple(shape[2:]):
        x = common_upscale(x, shape[3], shape[2], method, "center")
    return fit_batch(x, shape[0])


def interpolate(a: Tensor, b: Tensor, ratio: float) -> Tensor:
    """``ratio`` of a: directions of the channel vectors and their lengths are mixed apart from each other."""
    length_a, length_b = _lengths(a), _lengths(b)
    mixed = ratio * _direction(a, length_a) + (1.0 - ratio) * _direction(b, length_b)
    return _direction(mixed, _lengths(mixed)) * (ratio * length_a + (1.0 - ratio) * length_b)


def _lengths(x: Tensor) -> Tensor:
    """The length of each channel vector, (batch, 1, h, w)."""
    lengths: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return lengths


def _direction(x: Tensor, length: Tensor) -> Tensor:
    return torch.nan_to_num(x / length)


def composite(destination: Tensor, source: Tensor, x: int, y: int, feather: int) -> Tensor:
    """Put a latent onto another; its edges fade in over `feather` pixels where they are inside of the destination.

    x, y, feather: in latent pixels. What reaches beyond is cut off. Raises ValueError if all of it does.
    """
    height, width = destination.shape[2:]
    check_inside((height, width), x, y, "samples_to (in latent pixels)")
    out = destination.clone()
    under = out[:, :, y : y + source.shape[2], x : x + source.shape[3]]
    rows, columns = under.shape[2:]
    over = fit_batch(source, out.shape[0])[:, :, :rows, :columns]
    ramps = [feather if inside else 0 for inside in (x != 0, y != 0, x + columns < width, y + rows < height)]
    weight = feathered((rows, columns), ramps)
    under.copy_(over * weight + under * (1.0 - weight))
    return out


def crop(x: Tensor, left: int, top: int, width: int, height: int) -> Tensor:
    """A rectangle; its place is moved so that at least 8 latent pixels are left, as in ComfyUI."""
    left, top = max(0, min(left, x.shape[3] - 8)), max(0, min(top, x.shape[2] - 8))
    return x[:, :, top : top + height, left : left + width].clone()


AXES = {"x": 3, "y": 2}


def axis_of(name: str) -> int:
    """The dimension that x or y is. Raises ValueError for t: pictures have no time."""
    if name not in AXES:
        raise ValueError(f"dim {name}: a latent of pictures has no time; choose x or y")
    return AXES[name]


def joined(a: Tensor, b: Tensor, where: str) -> Tensor:
    """Put b after a along x or y, or before it if `where` begins with a minus. Raises ValueError if sides differ."""
    axis = axis_of(where.lstrip("-"))
    b = fit_batch(b, a.shape[0])
    others = [dim for dim in (1, 2, 3) if dim != axis]
    if any(a.shape[dim] != b.shape[dim] for dim in others):
        raise ValueError(
            f"samples1 has the shape {tuple(a.shape)} and samples2 {tuple(b.shape)}: along {where.lstrip('-')} "
            "they fit only if all other sides are equal; scale or crop one of them"
        )
    return torch.cat([b, a] if where.startswith("-") else [a, b], dim=axis)


def cut(x: Tensor, dim: str, index: int, amount: int) -> Tensor:
    """So many columns or rows from `index` on, which counts from the end if it is negative; cut to what there is."""
    axis = axis_of(dim)
    length = x.shape[axis]
    start = min(index, length - 1) if index >= 0 else max(0, length + index)
    return x.narrow(axis, start, min(amount, length - start)).clone()


# -- operations that travel on wires -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tonemap:
    """Reinhard's tone mapping ("Photographic Tone Reproduction for Digital Images", 2002) of the vectors' lengths.

    multiplier: moves the level they cannot exceed, which is the mean and five standard deviations.
    """

    multiplier: float

    def __call__(self, latent: Tensor) -> Tensor:
        """Press long channel vectors together; short ones stay nearly as they are."""
        length = _lengths(latent) + TINY
        dims = list(range(1, length.ndim))
        top = (length.std(dim=dims, keepdim=True) * SPREAD + length.mean(dim=dims, keepdim=True)) * self.multiplier
        scaled = length / top
        return latent / length * (scaled / (scaled + 1.0) * top)


@dataclass(frozen=True, slots=True)
class Sharpen:
    """Sharpening of the vectors' directions; their lengths stay."""

    radius: int
    sigma: float
    alpha: float

    def __call__(self, latent: Tensor) -> Tensor:
        """Sharpen. Raises ValueError if the radius reaches beyond the latent."""
        length = _lengths(latent) + TINY_SHARPEN
        return filters.sharpen(latent / length, self.radius, self.sigma, self.alpha) * length


@dataclass(frozen=True, slots=True)
class OperateOnGuidance(GuidancePatch):
    """An operation done at each step to what the positive conditions add to the negative ones."""

    operation: Callable[[Tensor], Tensor]

    def hooks(self) -> GuidanceHooks:
        """``cond' = operation(cond − uncond) + uncond``, before both are combined; uncond is 0 if not asked."""

        def before(moment: Guided) -> Asking[tuple[Tensor, Tensor]]:
            yield from ()
            return self.operation(moment.cond - moment.uncond) + moment.uncond, moment.uncond

        return GuidanceHooks(before=(before,))


# -- batches -----------------------------------------------------------------------------------------------------


def join_batches(first: Batch, second: Batch) -> Batch:
    """Both in one batch, the second resized to the first; each item keeps its noise. The mask is the first's."""
    resized = fitted(second.samples, (second.samples.shape[0], *first.samples.shape[1:]))
    return replace(first, samples=torch.cat([first.samples, resized]), batch_index=_index(first) + _index(second))


def _index(batch: Batch, offset: int = 0) -> tuple[int, ...]:
    return batch.batch_index or tuple(range(offset, offset + batch.samples.shape[0]))


def rebatch(batches: Sequence[Batch], size: int) -> list[Batch]:
    """Batches of `size` of a list of batches, in order; where the latents' sizes change, a batch may be smaller.

    Items without a number get the number of their place in the whole list (numerics.md, 3.1).
    """
    made: list[Batch] = []
    offset = 0
    numbered: list[Batch] = []
    for batch in batches:
        numbered.append(replace(batch, batch_index=_index(batch, offset)))
        offset += batch.samples.shape[0]
    for _, group in groupby(numbered, key=lambda batch: tuple(batch.samples.shape[1:])):
        alike = list(group)
        samples = torch.cat([batch.samples for batch in alike])
        masks = torch.cat([_mask(batch) for batch in alike])
        index = tuple(number for batch in alike for number in _index(batch))
        for start in range(0, len(samples), size):
            some = slice(start, start + size)
            mask = masks[some]
            made.append(Batch(samples[some], None if bool((mask == 1).all()) else mask, index[some]))
    return made


def _mask(batch: Batch) -> Tensor:
    """A mask per item (batch, 1, 8h, 8w): ones where there is none."""
    count, _, height, width = batch.samples.shape
    height, width = height * MASK_SCALE, width * MASK_SCALE
    if batch.noise_mask is None:
        return torch.ones(count, 1, height, width)
    return fit_batch(resize_mask(batch.noise_mask, height, width), count)[:, None]
