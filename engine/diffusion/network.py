"""The innermost layer: calls to the UNet, merged into batches where their shapes agree."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.diffusion.guidance import Call, Network
from engine.diffusion.process import Process
from engine.diffusion.unet import UNet

LONGEST_STRETCH = 4  # texts of different length share a batch if none is repeated more often than this


def unet_network(
    unet: UNet, table: Process, dtype: torch.dtype, device: torch.device | str, *, limit: int | None = None
) -> Network:
    """Answers calls with the UNet's clean latents, float32 (numerics.md, 1.4).

    Calls with equal shapes run as one batch, each at its own sigma; the answers differ from single runs by rounding.
    limit: the most items that run at once; larger batches are split. ValueError below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"a batch limit of {limit} lets nothing run; give at least 1")
    device = torch.device(device)

    def answer(calls: Sequence[Call]) -> list[Tensor]:
        answers: list[Tensor | None] = [None] * len(calls)
        for indices in batches(calls):
            parts = _run(unet, table, [calls[index] for index in indices], dtype, device, limit)
            for index, part in zip(indices, parts, strict=True):
                answers[index] = part
        return [part for part in answers if part is not None]

    return answer


def batches(calls: Sequence[Call]) -> list[list[int]]:
    """Which calls may run together, as lists of indices, in order of first appearance."""
    groups: list[list[int]] = []
    for index, call in enumerate(calls):
        for group in groups:
            if _alike(calls[group[0]], call) and _stretch([*(calls[i] for i in group), call]) is not None:
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


def _alike(a: Call, b: Call) -> bool:
    return (
        a.x.shape[1:] == b.x.shape[1:]
        and a.context.shape[2] == b.context.shape[2]
        and a.patches == b.patches
        and _shapes(a) == _shapes(b)
    )


def _shapes(call: Call) -> dict[str, object]:
    return {name: value.shape[1:] if isinstance(value, Tensor) else value for name, value in call.extras.items()}


def _stretch(calls: Sequence[Call]) -> int | None:
    """The common number of tokens, or None where repeating to it would cost too much."""
    lengths = [call.context.shape[1] for call in calls]
    common = math.lcm(*lengths)
    return common if common // min(lengths) <= LONGEST_STRETCH else None


def _run(
    unet: UNet, table: Process, calls: Sequence[Call], dtype: torch.dtype, device: torch.device, limit: int | None
) -> list[Tensor]:
    sizes = [call.x.shape[0] for call in calls]
    x = torch.cat([call.x for call in calls]).to(device).float()
    sigma = torch.cat([call.sigma.reshape(1).expand(size) for call, size in zip(calls, sizes, strict=True)])
    timestep = table.timestep(sigma).float().to(device)
    sigma = sigma.to(device).view(-1, *[1] * (x.ndim - 1))
    tokens = _stretch(calls)
    assert tokens is not None
    # attention does not notice a text that is repeated whole
    context = torch.cat([call.context.repeat(1, tokens // call.context.shape[1], 1) for call in calls])
    model_input = x * table.c_in(sigma)
    if "concat" in calls[0].extras:
        model_input = torch.cat([model_input, torch.cat([call.extras["concat"] for call in calls]).to(device)], dim=1)
    y = torch.cat([call.extras["y"] for call in calls]).to(device) if "y" in calls[0].extras else None
    if y is not None and y.is_floating_point():
        y = y.to(dtype)
    most = limit or len(x)
    with torch.no_grad():
        parts = [
            unet(
                model_input[start : start + most].to(dtype), timestep[start : start + most],
                context[start : start + most].to(device, dtype), y[start : start + most] if y is not None else None,
            ).float()
            for start in range(0, len(x), most)
        ]
    output = parts[0] if len(parts) == 1 else torch.cat(parts)
    return list(torch.split(table.denoised(x, sigma, output), sizes))
