"""Tensors on their way to a device, without anybody waiting for them."""

import torch
from torch import Tensor


def sent(x: Tensor, device: torch.device | str, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor on a device, queued behind what the device has to do; the same tensor if it is there.

    A copy from ordinary memory makes the program wait until the device has come to it, and the device then idles until
    more is queued; one from page-locked memory does not. Never for tensors that come back: those must have arrived.
    """
    device = torch.device(device)
    if device.type == "cuda" and x.device.type == "cpu":
        x = x.pin_memory()  # kept by torch until it was read
    if device.type == "cpu":
        return x.to(device, dtype)
    return x.to(device, dtype, non_blocking=True)
