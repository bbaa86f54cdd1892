"""Train from the command line: `python -m engine.training family --stage vae --out DIR`."""

import argparse
import shlex
import sys
from pathlib import Path

from engine.training.family import SIZES, STAGES, run_stage
from engine.training.loop import TrainingError


def parser() -> argparse.ArgumentParser:
    """What may be said on the command line."""
    top = argparse.ArgumentParser(prog="python -m engine.training", description="Train models.")
    commands = top.add_subparsers(dest="command", required=True)
    family = commands.add_parser("family", help="make Easel's own models from nothing, stage by stage")
    family.add_argument("--stage", required=True, choices=list(STAGES))
    family.add_argument("--size", default="starter", choices=list(SIZES))
    family.add_argument("--out", required=True, type=Path, help="the folder of all stages")
    for command in (family,):
        command.add_argument("--minutes", type=float, help="stop after so long; the file is written all the same")
        command.add_argument("--resume", action="store_true", help="go on from the saved state")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--device", default="cpu")
        command.add_argument("--threads", type=int, help="CPU threads; default: torch's own choice")
    return top


def main(arguments: list[str]) -> int:
    """Run a command; 0 when it did what was asked, 2 with a message when it could not."""
    import torch

    options = parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    said = "python -m engine.training " + shlex.join(arguments)
    try:
        path, outcome = run_stage(
            options.stage, SIZES[options.size], options.out, minutes=options.minutes, resume=options.resume,
            seed=options.seed, device=options.device, command=said,
        )  # fmt: skip
    except TrainingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    state = "finished" if outcome.finished else "stopped; go on with --resume"
    sys.stdout.write(f"{path}: step {outcome.step}, loss {outcome.loss:.4f}, {state}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
