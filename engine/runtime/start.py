"""What a process does before it imports torch and the nodes, and a worker's first lines.

    python -m engine.runtime.start --fd 5 --lock data/worker-0.lock --data-directory data --models-directory models

Nothing here imports torch.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from engine.diffusion.kernels import build
from engine.runtime.device.heap import keep_pages, use_large_pages

LARGEST, CUDA = "libtorch_cpu.so", "libtorch_cuda.so"  # torch's libraries


def begin(*, plain: bool) -> None:
    """Call this first, import torch and the nodes then, and end with `settings.collect_seldom`.

    The garbage collector rests meanwhile: it would walk again and again through a million objects that never go.
    The compiled kernels are built, if they have not been, and torch's largest library is opened beside the imports
    (0.2 s of the dynamic linker's work). plain: no kernels are wanted.
    """
    gc.disable()
    keep_pages()
    use_large_pages()
    if not plain:
        build.prepare()
    threading.Thread(target=_open_torch, name="torch", daemon=True).start()


def _open_torch() -> None:
    """Have the dynamic linker do its work; on Linux, without CUDA, whose libraries torch looks for itself."""
    spec = find_spec("torch")
    if sys.platform != "linux" or spec is None or spec.origin is None:
        return
    folder = Path(spec.origin).parent / "lib"
    if (folder / LARGEST).is_file() and not (folder / CUDA).exists():
        with suppress(OSError):  # torch itself says what is wrong with it
            ctypes.CDLL(str(folder / LARGEST))


def main(arguments: Sequence[str] | None = None) -> None:
    """Be a worker: see `worker`."""
    begin(plain="--plain" in (sys.argv[1:] if arguments is None else arguments))
    from engine.runtime import worker

    worker.main(arguments)


if __name__ == "__main__":
    main()
