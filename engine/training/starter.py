"""Make the whole starter family from nothing in a given time, on this machine.

    python -m engine.training.starter --budget 30m [--out DIR] [--device cuda]

A short trial tells how fast the machine is; the budget is then divided over the stages, each with as many steps as fit
(at most its own full number), and the plan is kept beside the models: a run that was killed goes on where it was with
the same command. At the end every UNet is judged.

    trial → plan.json → vae → text → checker → unet → v, inpaint, depth → vae4 → x4 → companions → evaluation
"""

import argparse
import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open

from engine.diffusion.unet import UNet
from engine.training import evaluate
from engine.training.family import SIZES, run_stage
from engine.training.loop import TrainingError
from engine.training.stage import Size

PLAN = "plan.json"
RENDERING = 0.08  # of the budget: pictures, depth, places
RENDERED = 48.0  # pictures a second on the core of REFERENCE
LEAST_STEPS = 20
UNITS: Mapping[str, float] = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Share:
    """A stage's part of the budget, and seconds a step takes at the reference speed (docs/training.md)."""

    part: float
    seconds: float


SHARES: Mapping[str, Share] = {
    "vae": Share(0.13, 0.28),
    "text": Share(0.06, 0.33),
    "checker": Share(0.04, 0.17),
    "unet": Share(0.34, 0.39),
    "v": Share(0.06, 0.39),
    "inpaint": Share(0.06, 0.39),
    "depth": Share(0.05, 0.39),
    "vae4": Share(0.05, 0.66),
    "x4": Share(0.05, 0.64),
    "decoder": Share(0.01, 0.20),
    "enlarger": Share(0.02, 0.06),
    "estimator": Share(0.03, 0.25),
    "safety": Share(0.02, 0.10),
    "taesd": Share(0.02, 0.20),
    "edges": Share(0.03, 0.35),
    "style": Share(0.01, 0.15),
    "word": Share(0.005, 0.15),
    "lcm": Share(0.01, 0.40),
}
REFERENCE = 0.36  # seconds that `trial` took where the table was measured
TRIAL_BATCH = 32


@dataclass(frozen=True)
class Plan:
    """What is to be done: how many shards of pictures, and steps of each stage."""

    budget: float  # seconds
    size: str
    shards: int
    steps: Mapping[str, int]


def seconds_of(text: str) -> float:
    """A time as people write it. ValueError otherwise.

    >>> seconds_of("30m"), seconds_of("1.5h"), seconds_of("90s")
    (1800.0, 5400.0, 90.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError(f"{text!r} is no time; write 90s, 30m or 2h")
    return float(match[1]) * UNITS[match[2]]


def trial(size: Size, device: str, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that one training step of the UNet takes on random numbers (the middle of five, after two more)."""
    unet = UNet(size.model.unet).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    side = size.picture // size.model.vae.downscale
    x = torch.zeros((TRIAL_BATCH, 4, side, side), device=device)
    context = torch.zeros((TRIAL_BATCH, 77, size.model.text.width), device=device)
    times = []
    for _ in range(7):
        began = clock()
        unet(x, torch.zeros(TRIAL_BATCH, device=device), context).square().mean().backward()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(clock() - began)
    return sorted(times[2:])[2]


def plan_of(budget: float, name: str, seconds: float) -> Plan:
    """Divide a budget (seconds) on a machine whose `trial` takes so long."""
    size, slower = SIZES[name], seconds / REFERENCE
    steps = {}
    for stage, share in SHARES.items():
        fits = int(budget * (1 - RENDERING) * share.part / (share.seconds * slower))
        steps[stage] = max(LEAST_STEPS, min(size.settings[stage].steps, fits))
    pictures = budget * RENDERING * RENDERED / slower
    shards = max(2, min(size.shards, int(pictures / size.shard)))
    return Plan(budget, name, shards, steps)


def kept_plan(folder: Path, budget: float, name: str, make: Callable[[], Plan]) -> Plan:
    """The plan of a run that was begun, or a new one.

    TrainingError if the folder's has another budget, another size or other stages.
    """
    path = folder / PLAN
    if path.exists():
        plan = Plan(**json.loads(path.read_text(encoding="utf-8")))
        if (plan.budget, plan.size) != (budget, name):
            raise TrainingError(
                f"{path}: begun with a budget of {plan.budget:g} s and size {plan.size}; "
                "go on with these, or train into another folder"
            )
        if set(plan.steps) != set(SHARES):
            raise TrainingError(f"{path}: planned for other stages, by another version; train into another folder")
        return plan
    plan = make()
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(asdict(plan), indent=1), encoding="utf-8")
    part.replace(path)
    return plan


def run_plan(plan: Plan, folder: Path, *, seed: int, device: str, command: str, quiet: bool = False) -> None:
    """Train every stage of a plan that has not ended, each into its file."""
    size = replace(SIZES[plan.size], shards=plan.shards)
    for stage, steps in plan.steps.items():
        if _is_done(folder / f"{stage}.safetensors", steps):
            continue
        settings = replace(size.settings[stage], steps=steps, warm_up=min(size.settings[stage].warm_up, steps // 10))
        if not quiet:
            sys.stderr.write(f"{stage}: {steps} steps\n")
        run_stage(
            stage, size, folder, resume=True, seed=seed, settings=settings, device=device, command=command, quiet=quiet
        )


def _is_done(file: Path, steps: int) -> bool:
    if not file.exists():
        return False
    with safe_open(file, framework="pt") as opened:
        return int((opened.metadata() or {}).get("easel.steps", 0)) >= steps


def main(arguments: Sequence[str]) -> int:
    """Make the family; 0, or 2 with a message when it cannot."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.training.starter", description="Make the starter family from nothing."
    )
    add = parser.add_argument
    add("--budget", required=True, help="how long it may take: 30m, 10h")
    add("--out", type=Path, default=Path("starter"), help="the folder (default: starter)")
    add("--size", default="starter", choices=list(SIZES))
    add("--device", default="cpu")
    add("--seed", type=int, default=0)
    add("--threads", type=int, help="CPU threads; default: torch's own choice")
    add("--judge", type=int, default=200, metavar="N", help="how many held-out prompts to draw at the end; 0 for none")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        budget = seconds_of(options.budget)
        plan = kept_plan(
            options.out, budget, options.size,
            lambda: plan_of(budget, options.size, trial(SIZES[options.size], options.device)),
        )  # fmt: skip
        said = "python -m engine.training.starter " + shlex.join(arguments)
        run_plan(plan, options.out, seed=options.seed, device=options.device, command=said)
    except (TrainingError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return _judge(options, SIZES[options.size].picture) if options.judge else 0


def _judge(options: argparse.Namespace, side: int) -> int:
    base = options.out / "unet.safetensors"
    for name in ("unet", "v"):
        more = [] if name == "unet" else ["--base", str(base)]
        code = evaluate.main([
            "--model", str(options.out / f"{name}.safetensors"), *more, "--judges", str(options.out),
            "--out", str(options.out), "--name", name, "--count", str(options.judge), "--side", str(side),
            "--device", options.device,
        ])  # fmt: skip
        if code:
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
