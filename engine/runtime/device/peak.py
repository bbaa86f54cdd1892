"""The most memory that a job took.

On an accelerator it is what torch had allocated there at most; on the CPU it is the process's largest resident size,
which Linux counts (``VmHWM`` in ``/proc/self/status``) and forgets when 5 is written to ``/proc/self/clear_refs``
(proc(5)). Where it cannot be forgotten, what is told is the most since the worker started.
"""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache

import torch

STATUS, FORGET = "/proc/self/status", "/proc/self/clear_refs"
STATUS_BYTES = 16 * 1024
LARGEST = re.compile(rb"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def begin_peak(device: torch.device) -> None:
    """Measure anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        os.pwrite(_opened(FORGET, os.O_WRONLY), b"5", 0)


def read_peak(device: torch.device) -> int | None:
    """Bytes at most since ``begin_peak``; None where it cannot be known."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError):
        found = LARGEST.search(os.pread(_opened(STATUS, os.O_RDONLY), STATUS_BYTES, 0))
        return int(found[1]) * 1024 if found else None
    return None


@cache
def _opened(path: str, flags: int) -> int:
    """The descriptor of a file, which stays open: it is used twice in each job. Raises OSError."""
    return os.open(path, flags | os.O_CLOEXEC)
