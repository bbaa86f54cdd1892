"""Train from the command line.

`family` makes Easel's own models from nothing, stage by stage; `lora`, `dreambooth` and `full` fine-tune a checkpoint:

    python -m engine.training family --stage vae --out DIR --minutes 60
    python -m engine.training lora --model FILE --images DIR --out FILE
"""

import argparse
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engine.diffusion.checkpoint import CheckpointError
from engine.training import processes
from engine.training.family import SIZES, STAGES, run_stage
from engine.training.finetune import Job, Method, Prior, fine_tune
from engine.training.loop import Outcome, Settings, TrainingError
from engine.training.stage import PREFERRING


@dataclass(frozen=True)
class Usual:
    """What a method takes where the command line says nothing."""

    method: Method
    help: str
    rate: float
    steps: int


METHODS: Mapping[str, Usual] = {
    "lora": Usual("lora", "train small adapters; writes a LoRA in the common layout", 1e-4, 1000),
    "dreambooth": Usual("dreambooth", "teach one thing with prior preservation; writes a checkpoint", 2e-6, 800),
    "full": Usual("full", "train every weight of the UNet; writes a checkpoint", 1e-5, 2000),
}


OVERRIDES: Mapping[str, type] = {
    "steps": int, "batch": int, "accumulate": int, "rate": float, "warm_up": int, "ema_decay": float,
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """What may be said on the command line."""
    top = argparse.ArgumentParser(prog="python -m engine.training", description="Train models.")
    commands = top.add_subparsers(dest="command", required=True)
    family = commands.add_parser("family", help="make Easel's own models from nothing, stage by stage")
    family.add_argument("--stage", required=True, choices=list(STAGES))
    family.add_argument("--size", default="starter", choices=list(SIZES))
    family.add_argument("--out", required=True, type=Path, help="the folder of all stages")
    family.add_argument(
        "--from", dest="start", type=Path, metavar="FILE",
        help="a full checkpoint: serves where the folder has no files yet; unet goes on from its UNet, text from its "
             "text encoder and the folder's vision tower, which vision makes; checker: a checker's file to go on from",
    )  # fmt: skip
    family.add_argument("--shards", type=int, help="how many shards of 256 pictures, instead of the size's own")
    family.add_argument("--least-snr", type=float, help="no noise level's error counts less than at this SNR")
    family.add_argument(
        "--prefer", type=float, nargs=3, metavar="N",
        help=f"{', '.join(PREFERRING)}: how much scenes of one, two, three solids are preferred",
    )
    for name, kind in OVERRIDES.items():
        family.add_argument(f"--{name.replace('_', '-')}", type=kind, help="instead of the size's own")
    family.add_argument(
        "--bf16", action="store_true", default=None, help="mixed precision: faster on GPUs and with AMX"
    )
    _add_common(family)
    for name, usual in METHODS.items():
        command = commands.add_parser(name, help=usual.help)
        _add_fine_tuning(command, usual)
        _add_common(command)
    return top


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--minutes", type=float, help="stop after so long; the file is written all the same")
    command.add_argument("--resume", action="store_true", help="go on from the saved state")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--device", default="cpu")
    command.add_argument("--threads", type=int, help="CPU threads; default: torch's own choice")


def _add_fine_tuning(command: argparse.ArgumentParser, usual: Usual) -> None:
    add = command.add_argument
    add("--model", required=True, type=Path, help="the checkpoint to start from")
    add("--images", required=True, type=Path, help="a folder of pictures, captions in .txt files beside them")
    add("--out", required=True, type=Path, help="the file to write")
    add("--steps", type=int, default=usual.steps)
    add("--rate", type=float, default=usual.rate)
    add("--batch", type=int, default=1)
    add("--accumulate", type=int, default=1, help="batches per step")
    add("--resolution", type=int, default=512, help="side of the square pictures are cut to")
    add("--caption", help="for pictures without a text file")
    add("--class-prompt", help="prior preservation: what the class is called")
    add("--class-images", type=Path, help="prior preservation: pictures of the class; missing ones are drawn")
    add("--class-count", type=int, default=50)
    add("--prior-weight", type=float, default=1.0)
    add("--min-snr", type=float, help="weigh noise levels with this gamma; 5 is usual")
    add("--drop-text", type=float, default=0.1, help="part of the captions that is left out")
    add("--flip", action="store_true", help="train on mirror images too")
    add("--bf16", action="store_true", help="mixed precision")
    add("--ema", type=float, default=0.9999, help="decay of the average that is written")
    if usual.method == "lora":
        add("--rank", type=int, default=8)
        add("--alpha", type=float, help="default: the rank")
        add("--train-text", action="store_true", help="adapt the text encoder too (SD 1.x)")


def job_of(options: argparse.Namespace) -> Job:
    """The fine-tuning job that the command line describes."""
    usual = METHODS[options.command]
    settings = Settings(
        steps=options.steps, rate=options.rate, batch=options.batch, accumulate=options.accumulate,
        warm_up=min(100, max(1, options.steps // 10)), ema_decay=options.ema, bf16=options.bf16, seed=options.seed,
    )  # fmt: skip
    prior = None
    if options.class_prompt is not None:
        folder = options.class_images or options.out.with_name(options.out.stem + "-class")
        prior = Prior(options.class_prompt, folder, options.class_count, options.prior_weight)
    elif options.class_images is not None:
        raise TrainingError("--class-images wants --class-prompt: what the class is called")
    is_lora = usual.method == "lora"
    rank = options.rank if is_lora else 1
    return Job(
        usual.method, options.model, options.images, options.out, settings, resolution=options.resolution,
        caption=options.caption, prior=prior, rank=rank,
        alpha=options.alpha if is_lora and options.alpha is not None else float(rank),
        train_text=is_lora and options.train_text, dropped_text=options.drop_text, gamma=options.min_snr,
        flip=options.flip,
    )  # fmt: skip


def _run(options: argparse.Namespace, said: str) -> tuple[Path, Outcome]:
    if options.command == "family":
        processes.join()
        size = SIZES[options.size]
        size = replace(size, shards=options.shards or size.shards)
        if options.least_snr is not None:
            size = replace(size, limits=replace(size.limits, least=options.least_snr))
        if options.prefer is not None:
            one, two, three = options.prefer
            size = replace(size, preference=(one, two, three))
        given = {name: value for name in (*OVERRIDES, "bf16") if (value := getattr(options, name)) is not None}
        return run_stage(
            options.stage, size, options.out, minutes=options.minutes, resume=options.resume, seed=options.seed,
            settings=replace(size.settings[options.stage], **given), device=options.device, command=said,
            start=options.start,
        )  # fmt: skip
    job = job_of(options)
    outcome = fine_tune(job, command=said, resume=options.resume, minutes=options.minutes, device=options.device)
    return job.out, outcome


def main(arguments: list[str]) -> int:
    """Run a command; 0 when it did what was asked, 2 with a message when it could not."""
    options = parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        path, outcome = _run(options, "python -m engine.training " + shlex.join(arguments))
        first = processes.is_first()  # asked before `leave`
    except (TrainingError, CheckpointError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        processes.leave()
    if first:
        state = "finished" if outcome.finished else "stopped; go on with --resume"
        sys.stdout.write(f"{path}: step {outcome.step}, loss {outcome.loss:.4f}, {state}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
