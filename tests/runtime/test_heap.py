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
from engine.runtime.device.heap import use_large_pages
if {large}:
    use_large_pages()
import torch
tensor = torch.ones(2**24)
middle, inside = tensor.data_ptr() + tensor.nbytes // 2, False
for line in open("/proc/self/smaps"):
    first, *rest = line.split()
    if not first.endswith(":"):
        start, end = (int(each, 16) for each in first.split("-"))
        inside = start <= middle < end
    elif inside and first == "VmFlags:":
        print("hg" in rest)
"""
GRANTS = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not GRANTS.is_file() or "[madvise]" not in GRANTS.read_text(), reason="a system that grants large pages if asked"
)
@pytest.mark.parametrize("large", [True, False])
def test_large_pages_are_asked_for_large_tensors(large):
    """Whether they are granted is the system's to say: where no memory is in one piece, it falls back to small ones."""
    unset = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    code = TENSORS.format(large=large)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unset)
    assert done.stdout.split() == [str(large)]
