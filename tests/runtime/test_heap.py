"""Feature maps keep their memory from one use to the next."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import ctypes, resource
from engine.runtime.device.heap import keep_pages
if {kept}:
    keep_pages()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
size = 64 * 2**20
for turn in range(4):
    place = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(place, 1, size)
    libc.free(place)
    if turn == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_large_blocks_are_not_given_back_after_each_use():
    def faults(kept):
        code = CODE.format(kept=kept)
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    assert faults(False) > 10 * max(1, faults(True))


TENSORS = """
import resource
from engine.runtime.device.heap import use_large_pages
if {large}:
    use_large_pages()
import torch
torch.ones(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
GRANTS = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not GRANTS.is_file() or "[madvise]" not in GRANTS.read_text(), reason="a system that grants large pages if asked"
)
def test_large_tensors_are_in_large_pages():
    def faults(large):
        code = TENSORS.format(large=large)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unset)
        return int(done.stdout)

    unset = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    assert faults(False) > 5 * faults(True)
