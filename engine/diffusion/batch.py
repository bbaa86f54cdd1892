"""Cutting and repeating batches of latents: their noise masks and the draws of the seed's noise go along."""

from dataclasses import dataclass

from torch import Tensor

from engine.diffusion.guidance import fit_batch


@dataclass(frozen=True, eq=False)
class Batch:
    """Latents (b, c, h, w) with an optional mask (1 or b or fewer, 1, h, w) and which draw of noise each item takes."""

    samples: Tensor
    noise_mask: Tensor | None
    batch_index: tuple[int, ...] | None


def part_of_batch(batch: Batch, first: int, length: int) -> Batch:
    """`length` items from `first` on; both are cut to what there is. Each item keeps its own noise."""
    size = batch.samples.shape[0]
    first = min(size - 1, first)
    last = first + min(size - first, length)
    mask = batch.noise_mask
    if mask is not None and mask.shape[0] > 1:
        mask = fit_batch(mask, size)[first:last]
    index = batch.batch_index[first:last] if batch.batch_index is not None else tuple(range(first, last))
    return Batch(batch.samples[first:last].clone(), mask, index)


def repeat_batch(batch: Batch, amount: int) -> Batch:
    """The whole batch `amount` times; where items had numbers, the copies get numbers of their own."""
    mask = batch.noise_mask
    if mask is not None and mask.shape[0] > 1:
        mask = fit_batch(mask, batch.samples.shape[0]).repeat(amount, 1, 1, 1)
    index = batch.batch_index
    if index is not None:
        offset = max(index) - min(index) + 1
        index = tuple(each + turn * offset for turn in range(amount) for each in index)
    return Batch(batch.samples.repeat(amount, 1, 1, 1), mask, index)
