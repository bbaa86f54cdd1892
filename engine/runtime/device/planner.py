"""From a network and the shapes of a run to its plan: sizes are looked up, `budget` decides."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from engine.diffusion.checkpoint import Weights
from engine.diffusion.config import TextConfig, UNetConfig, VaeConfig
from engine.runtime.device.budget import MIB, Plan, Tile, plan_autoencoder, plan_sampling
from engine.runtime.device.costs import bound_unet, bound_vae, need_of_text
from engine.runtime.device.memory import anonymous
from engine.runtime.device.residency import Residency

OVERHEAD = 64 * MIB  # what a process takes for itself while it works: libraries read late, and its allocator
SCRATCH = 96 * MIB  # and for a network's pass: measured with SD 1.5 on two cores, buffers of oneDNN and of its threads
AMPLE = 0.7  # of the budget: if all is well within, nothing is counted exactly
EVERY = 0.01  # seconds between two looks at how large the process is


def scratch(residency: Residency) -> int:
    """What a pass takes besides what is counted: on the CPU libraries keep buffers of their own."""
    return min(SCRATCH, residency.budget // 12) if residency.device.type == "cpu" else 0


def usable(residency: Residency) -> int:
    """What of the budget networks may reckon with."""
    return residency.budget - (min(OVERHEAD, residency.budget // 8) if residency.device.type == "cpu" else 0)


def unet_need(
    residency: Residency, weights: Weights, dtype: torch.dtype, height: int, width: int, tokens: int, rows: int
) -> Callable[[int], int]:
    """Bytes that a call of so many rows takes: a bound where that is well within the memory there is."""
    config = weights.config
    assert isinstance(config, UNetConfig)
    whole, _ = residency.size(weights)
    if whole + bound_unet(config, dtype, rows, height, width) <= AMPLE * usable(residency) * residency.share:
        return lambda count: bound_unet(config, dtype, count, height, width)
    return lambda count: residency.costs.unet(config, dtype, count, height, width, tokens) + scratch(residency)


def plan_unet(
    residency: Residency, weights: Weights, patches: tuple[Any, ...], need: Callable[[int], int], rows: int
) -> Plan:
    """How to sample with a UNet."""
    whole, least = residency.size(weights, patches)
    return plan_sampling(
        usable(residency), weights=whole, least=least, need=need, rows=rows, share=residency.share
    )


def vae_need(
    residency: Residency, weights: Weights, dtype: torch.dtype, height: int, width: int, *, encoding: bool,
    tile: Tile | None = None,
) -> int:
    """Bytes that decoding a latent of this size takes, or encoding a picture of it, whole or in parts."""
    config = weights.config
    assert isinstance(config, VaeConfig)
    if tile == "strips":
        return residency.costs.vae(config, dtype, height, width, encoding=encoding, strips=True)
    if tile is not None:
        height = width = tile * config.downscale if encoding else tile
    whole, _ = residency.size(weights)
    scale = 1 if encoding else config.downscale
    bound = bound_vae(config, dtype, height * scale, width * scale)
    if whole + bound <= AMPLE * usable(residency) * residency.share:
        return bound
    return residency.costs.vae(config, dtype, height, width, encoding=encoding)


def plan_vae(
    residency: Residency, weights: Weights, need: Callable[[Tile | None], int], kept: int
) -> Plan:
    """How to decode or encode. need: bytes for it whole or in parts; kept: of what goes in and comes out."""
    whole, least = residency.size(weights)
    return plan_autoencoder(
        usable(residency), weights=whole, least=least, need=need(None) + kept,
        tiled=lambda tile: need(tile) + (kept if tile == "strips" else 2 * kept), share=residency.share,
    )


def text_need(weights: Weights, dtype: torch.dtype) -> int:
    """Bytes that encoding a prompt takes."""
    assert isinstance(weights.config, TextConfig)
    return need_of_text(weights.config, dtype)


@contextmanager
def watched(residency: Residency, note: Callable[[int], None]) -> Iterator[None]:
    """Measure what is taken besides weights meanwhile, and note it.

    On CUDA that is what torch counts; on the CPU the process is looked at every hundredth of a second, less what is
    known to be held, so that what passes quickly may be missed. It is compared with what it was when room was made for
    the network: a ring is held from then on, but takes nothing before it is filled.
    """
    if residency.device.type == "cuda":
        before = torch.cuda.memory_allocated(residency.device)
        most = torch.cuda.max_memory_allocated(residency.device)
        yield
        if (now := torch.cuda.max_memory_allocated(residency.device)) > most:
            note(now - before)
        return
    ended = threading.Event()
    before = largest = residency.ledger.apart

    def look() -> None:
        nonlocal largest
        while not ended.wait(EVERY):
            largest = max(largest, anonymous() - residency.ledger.held)

    thread = threading.Thread(target=look, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    note(max(0, largest - before))
