"""A worker's networks on the devices of other workers, for batches that are split over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from engine.runtime.device.residency import Residency


class Guests:
    """Networks in memory on further devices; nothing is there before it is first asked for.

    reside: makes the residency of a device, with a budget of what is free there by then.
    """

    def __init__(self, devices: Sequence[torch.device], reside: Callable[[torch.device], Residency]) -> None:
        self._devices = tuple(devices)
        self._reside = reside
        self._made: list[Residency] = []

    def __iter__(self) -> Iterator[Residency]:
        """The residency of each device."""
        for number, device in enumerate(self._devices):
            if number == len(self._made):
                self._made.append(self._reside(device))
            yield self._made[number]

    def clear(self) -> None:
        """Let all networks go."""
        for each in self._made:
            each.clear()
        self._made.clear()
