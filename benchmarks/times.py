"""What it brings to know timesteps beforehand (`engine.diffusion.times`): ``python -m benchmarks.times FILE``.

One guided evaluation of a checkpoint's UNet, with and without, in turns, both as a worker has them: medians of the
clock and of processor time, and how far the answers are from each other.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from benchmarks.turns import like_a_worker, timed


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.times", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="a checkpoint")
    parser.add_argument("--size", type=int, default=512, help="of the picture")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    options = parser.parse_args()
    like_a_worker()

    import torch

    from benchmarks.peers import Easel, Scene
    from engine.diffusion.checkpoint import open_checkpoint
    from engine.diffusion.times import Times

    dtype = torch.float32 if options.precision == "fp32" else torch.bfloat16
    scene = Scene(open_checkpoint(options.file), options.size, 1, torch.device("cpu"))
    contender, times = Easel(scene, dtype, True), Times()
    unet = contender.unet()
    taken: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    answers = {}
    for turn in range(-1, options.rounds):  # the first is not counted
        for name, found in taken.items():
            unet.times = times if name == "with" else None
            seconds = timed(lambda name=name: answers.update({name: contender.step()}))  # type: ignore[misc]
            if turn >= 0:
                found.append(seconds)
    for name, found in taken.items():
        wall, busy = zip(*found, strict=True)
        print(
            f"{name}: {statistics.median(wall):.4f} s ({min(wall):.4f} to {max(wall):.4f}), "
            f"of processor time {statistics.median(busy):.4f} s ({min(busy):.4f} to {max(busy):.4f})"
        )
    away = float((answers["with"] - answers["without"]).norm() / answers["without"].norm())
    print(f"relative difference {away:.2g}; a timestep takes {times.nbytes} bytes")


if __name__ == "__main__":
    main()
