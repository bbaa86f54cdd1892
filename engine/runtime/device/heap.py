"""How the C library and torch keep the memory that weights and feature maps are in."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # what glibc's mallopt calls by these numbers
LARGEST_KEPT = 2**30  # bytes; only blocks beyond it have pages of their own


def keep_pages() -> None:
    """Have the C library keep the memory of feature maps instead of giving it back to the system after each use.

    It gives blocks of more than 32 MiB back at once, and each that is asked for again is a system call and a page fault
    for every 4 KiB: 11,000 of them in one decoding of a 512×512 picture, 514 with this. No effect but on glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(TRIM_THRESHOLD, LARGEST_KEPT)


def use_large_pages() -> None:
    """Have torch ask the system for pages of 2 MiB for tensors of that size and more, on Linux.

    To be called before the first tensor is made. Weights of 2 GB are 500,000 page faults of 4 KiB otherwise. What the
    user has set stays, and systems that grant no large pages are as before.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
