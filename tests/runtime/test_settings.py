"""What a worker's process is given before it starts."""

import os
import subprocess
import sys

import pytest

from engine.runtime.settings import share_cores


def test_threads_sleep_while_they_wait_unless_the_user_chose_otherwise():
    environment: dict[str, str] = {}
    share_cores(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE"}
    for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "100"), ("KMP_BLOCKTIME", "5")):
        chosen = {name: value}
        share_cores(chosen)
        assert chosen == {name: value}


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp is torch's OpenMP on Linux only")
def test_torch_hears_of_it_in_a_process_that_sets_it_before_the_import():
    code = "import os; from engine.runtime.settings import share_cores; share_cores(os.environ); import torch"
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    shown = subprocess.run(
        [sys.executable, "-c", code], env={**clean, "OMP_DISPLAY_ENV": "VERBOSE"}, capture_output=True, text=True,
        check=True, timeout=60,
    ).stderr  # fmt: skip
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in shown
    assert "GOMP_SPINCOUNT = '0'" in shown
