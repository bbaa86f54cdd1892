"""The most memory that a job took.

On an accelerator it is what torch had allocated there at most; on the CPU it is the process's largest resident size,
which Linux counts (``VmHWM`` in ``/proc/self/status``) and forgets when 5 is written to ``/proc/self/clear_refs``
(proc(5)). Where it cannot be forgotten, what is told is the most since the worker started.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import torch

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
LARGEST = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def begin_peak(device: torch.device) -> None:
    """Measure anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        FORGET.write_text("5")


def read_peak(device: torch.device) -> int | None:
    """Bytes at most since ``begin_peak``; None where it cannot be known."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError):
        found = LARGEST.search(STATUS.read_text())
        return int(found[1]) * 1024 if found else None
    return None
