"""One contender in a process of its own: `python -m benchmarks.turns '{"name": "easel", …}'`.

It reads names of cases from standard input and answers each with a line of JSON: seconds by the clock and of processor
time. So each has the settings, and the habits of the allocator, that it has where it is used: Easel those of a worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setting:
    """Who works out what. pages: whether peers keep their memory as Easel's worker does."""

    name: str
    model: str
    size: int
    batch: int
    device: str
    threads: int | None
    pages: bool


class Turns:
    """A contender's process."""

    def __init__(self, setting: Setting) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.turns", json.dumps(asdict(setting))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def run(self, case: str) -> tuple[float, float] | None:
        """Seconds by the clock and of processor time; None if this contender does not do that."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(case + "\n")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contender ended with status {self._process.wait()}; see what it said above")
        said = json.loads(line)
        return None if said is None else (said["seconds"], said["busy"])

    def end(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def timed(run: Callable[[], Any], wait: Callable[[], Any] = lambda: None) -> tuple[float, float]:
    """Seconds of a call, all of its work done, and of processor time: what other programs do disturbs that less."""
    wait()
    began, busy = time.perf_counter(), time.process_time()
    run()
    wait()
    return time.perf_counter() - began, time.process_time() - busy


def like_a_worker() -> None:
    """Keep memory as a worker does; before torch is imported."""
    from engine.runtime.device.heap import keep_pages, use_large_pages

    keep_pages()
    use_large_pages()


def main() -> None:
    """Answer until there is nothing to read."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    setting = Setting(**json.loads(sys.argv[1]))
    if setting.pages or setting.name.startswith("easel"):
        like_a_worker()
    import torch

    from benchmarks.peers import CONTENDERS, Scene
    from engine.diffusion.checkpoint import open_checkpoint

    if setting.threads:
        torch.set_num_threads(setting.threads)
    device = torch.device(setting.device)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    scene = Scene(open_checkpoint(Path(setting.model)), setting.size, setting.batch, device)
    contender = CONTENDERS[setting.name](scene)
    for line in sys.stdin:
        case = line.strip()
        if case not in contender.cases:
            print("null", file=replies)
            continue
        seconds, busy = timed(getattr(contender, "encode" if case == "text" else case), wait)
        print(json.dumps({"seconds": seconds, "busy": busy}), file=replies)


if __name__ == "__main__":
    main()
