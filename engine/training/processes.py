"""Several processes that train one network: each takes its share of a step's batches (`Settings.accumulate`).

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m engine.training family … --accumulate 2

trains what one process would with the same settings, up to rounding, in about half the time: two processes of one
thread each waste less of two cores than one process of two threads does. They share a folder, so they run on one
machine. Started otherwise, a process is alone and nothing here acts.
"""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn


def started() -> int:
    """How many processes `torch.distributed.run` started together: it sets their number in the environment."""
    launched = dist.is_available() and dist.is_torchelastic_launched()
    return int(os.environ["WORLD_SIZE"]) if launched else 1


def join() -> None:
    """Meet the others, if there are any."""
    if started() > 1 and not _together():
        dist.init_process_group("gloo")


def leave() -> None:
    """The end, for all. From here on each is alone."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def _together() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def count() -> int:
    """How many train together."""
    return dist.get_world_size() if _together() else 1


def is_first() -> bool:
    """Whether this is the one that writes files and shows how far it is."""
    return not _together() or dist.get_rank() == 0


def share(parts: int) -> range:
    """Which of a step's batches this process takes."""
    return range(dist.get_rank(), parts, dist.get_world_size()) if _together() else range(parts)


def add_up(parameters: Iterable[nn.Parameter], total: float) -> float:
    """Sum all processes' gradients, in place, and their losses: in one message, as hundreds take longer."""
    if not _together():
        return total
    gradients = []
    for p in parameters:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad  # one process's batches may leave a layer out
        gradients.append(p.grad)
    message = torch.cat([*(g.reshape(-1) for g in gradients), torch.tensor([total])])
    dist.all_reduce(message)
    for gradient, summed in zip(gradients, torch.split(message[:-1], [g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))
    return float(message[-1])


def meet() -> None:
    """Wait for the others."""
    if _together():
        dist.barrier()


def agreed(answer: bool) -> bool:
    """What the first process says, for all: clocks differ."""
    if not _together():
        return answer
    said = torch.tensor([int(answer)])
    dist.broadcast(said, 0)
    return bool(said.item())
