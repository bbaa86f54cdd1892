"""Easel beside its peers, in one run, taking turns, each in a process of its own: `python -m benchmarks`.

    python -m benchmarks                                       # everything that is quick enough
    python -m benchmarks --case step --size 512 --with easel diffusers diffusers-fp32
    python -m benchmarks --case step --with easel inductor     # compiling takes minutes
    python -m benchmarks --case load cold memory
    python -m benchmarks --device cuda --case step decode image cold memory --with easel diffusers inductor

A model of random weights is written once to --models (2 GB). Results are medians with the least and the greatest,
ratios to the first contender, and for the step and the decoder the part of the processor's measured rate.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.peers import CONTENDERS, flops, half, missing, save_for_diffusers
from benchmarks.random_model import write_model
from benchmarks.turns import Setting, Turns, timed
from engine.diffusion.checkpoint import open_checkpoint

TOGETHER = ("step", "decode", "text", "image")  # in one process for each contender
ALONE = ("load", "cold", "memory")  # in a new process each time
COUNTED = ("step", "decode")  # whose operations are counted
COMPILED = ("inductor", "openvino")  # contenders that take minutes to start: they are not measured alone
SIZES = {"sd1": 512, "sd2-v": 768}
QUIET = 1e-9


class Timed(NamedTuple):
    """Seconds of each run (or MiB), of one contender in one case."""

    case: str
    contender: str
    values: list[float]
    busy: list[float]  # seconds of processor time, all threads together; none where another process ran

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)


def roof(device: torch.device) -> float:
    """Operations a second of the best of a few large products of matrices, the type that networks run in."""
    best = 0.0
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for side in (1024, 2048) if device.type == "cpu" else (4096, 8192):
        a = torch.randn(side, side, device=device, dtype=half(device))
        seconds, _ = min(timed(lambda a=a: a @ a, wait) for _ in range(6))  # type: ignore[misc]
        best = max(best, 2 * side**3 / max(seconds, QUIET))
    return best


def together(settings: list[Setting], cases: list[str], rounds: int) -> list[Timed]:
    """Run cases: in each round every contender once."""
    contenders = {setting.name: Turns(setting) for setting in settings}
    results = []
    for case in cases:
        values: dict[str, list[tuple[float, float]]] = {}
        for name, contender in contenders.items():
            first = contender.run(case)
            if first is not None:
                values[name] = []
                print(f"{case}: {name} first in {first[0]:.2f} s", file=sys.stderr, flush=True)
        for _ in range(rounds):
            for name, found in values.items():
                taken = contenders[name].run(case)
                assert taken is not None
                found.append(taken)
        results += [Timed(case, name, [wall for wall, _ in each], [busy for _, busy in each])
                    for name, each in values.items()]  # fmt: skip
    for contender in contenders.values():
        contender.end()
    return results


def alone(model: Path, cases: list[str], names: list[str], rounds: int, size: int, device: str) -> list[Timed]:
    """Run cases in processes of their own, in turns."""
    checkpoint = open_checkpoint(model)
    if any(not name.startswith("easel") for name in names):
        save_for_diffusers(checkpoint, model.with_suffix(""))
    results = []
    for case in cases:
        values: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(1 if case == "memory" else rounds):
            for name in names:
                command = [sys.executable, "-m", "benchmarks.alone", case, name, str(model), str(size), f"--{device}"]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                said = json.loads(done.stdout.splitlines()[-1])
                values[name].append(said["peak" if case == "memory" else "seconds"])
        results += [Timed(case, name, each, []) for name, each in values.items()]
    return results


def table(results: list[Timed], rates: Mapping[tuple[str, str], float]) -> str:
    """Markdown."""
    lines = ["| case | contender | median | least to greatest | ratio | CPU s | ratio | of the roof |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for each in results:
        first = next(other for other in results if other.case == each.case)
        unit, digits = ("MiB", 0) if each.case == "memory" else ("s", 3)
        rate = rates.get((each.case, each.contender))
        lines.append(
            f"| {each.case} | {each.contender} | {each.median:.{digits}f} {unit} "
            f"| {min(each.values):.{digits}f} to {max(each.values):.{digits}f} | {each.median / first.median:.2f} "
            f"| {_busy(each, first)} | {'' if rate is None else f'{rate:.0%}'} |"
        )
    return "\n".join(lines)


def _busy(each: Timed, first: Timed) -> str:
    if not each.busy:
        return "| "
    mine = statistics.median(each.busy)
    return f"{mine:.2f} | {mine / statistics.median(first.busy):.2f}"


def main() -> None:
    """Read the command line, run, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=(*TOGETHER, *ALONE), default=["step", "decode", "text"])
    parser.add_argument("--with", dest="names", nargs="+", choices=CONTENDERS,
                        default=["easel", "easel-plain", "diffusers"])  # fmt: skip
    parser.add_argument("--family", choices=SIZES, default="sd1")
    parser.add_argument("--size", type=int, help="of the picture (default: the family's own)")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--same-pages", action="store_true", help="peers keep their memory as Easel's worker does")
    parser.add_argument("--models", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--json", type=Path, default=Path("data/benchmarks/results"), help="folder for the results")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error(
            "PyTorch finds no CUDA device here. Run the same command on a machine that has one; without --device cuda "
            "the CPU is measured."
        )
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    options.models.mkdir(parents=True, exist_ok=True)
    model = options.models / f"{options.family}.safetensors"
    config = write_model(options.family, model)
    size = options.size or SIZES[options.family]
    lacking = {name: missing(name) for name in options.names}
    for name, packages in lacking.items():
        if packages:
            print(f"{name} is left out: {' and '.join(packages)} not installed here", file=sys.stderr)
    names = [name for name, packages in lacking.items() if not packages]
    inside = [case for case in options.case if case in TOGETHER]
    settings = [
        Setting(name, str(model), size, options.batch, options.device, options.threads, options.same_pages)
        for name in names
    ]

    best = roof(device)
    results = together(settings, inside, options.rounds) if inside else []
    best = max(best, roof(device))
    outside = [case for case in options.case if case in ALONE]
    eager = [name for name in names if name not in COMPILED]
    results += alone(model, outside, eager, options.rounds, size, options.device) if outside else []
    counts = {case: flops(config, case, size, options.batch) for case in inside if case in COUNTED}
    rates = {(each.case, each.contender): counts[each.case] / each.median / best
             for each in results if each.case in counts}  # fmt: skip

    head = f"{options.family} {size}×{size}, batch {options.batch}, {device.type}, {torch.get_num_threads()} threads"
    print(f"{head}; products of matrices run at {best / 1e12:.2f} TFLOP/s here\n\n{table(results, rates)}")
    options.json.mkdir(parents=True, exist_ok=True)
    kept = options.json / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    kept.write_text(json.dumps({
        "what": head, "torch": torch.__version__, "machine": platform.processor() or platform.machine(),
        "roof": best, "operations": counts, "results": [each._asdict() for each in results],
    }, indent=1))  # fmt: skip
    print(f"\nkept as {kept}")


if __name__ == "__main__":
    main()
