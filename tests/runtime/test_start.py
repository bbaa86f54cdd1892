"""What is done before torch is imported."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import gc, sys, threading
from engine.runtime.start import begin

begin(plain=False)
assert "torch" not in sys.modules and not gc.isenabled()
for thread in threading.enumerate():
    if thread.name == "kernels":
        thread.join()
maps = open("/proc/self/maps").read() if sys.platform == "linux" else ""
assert "kernels-" not in maps, "the kernels must not bring another OpenMP library than torch's"

from engine.runtime.settings import collect_seldom

collect_seldom()
assert gc.isenabled() and gc.get_freeze_count() > 1000
"""


def test_what_comes_before_torch_leaves_torch_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_a_worker_begins_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine.runtime.start", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0 and "--lock" in done.stdout, done.stderr
