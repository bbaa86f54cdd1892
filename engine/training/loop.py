"""The training loop: one function for every stage and every fine-tuning.

What a step draws depends on the seed and the step's number alone, never on what came before: so a run that was killed
and resumed goes on exactly as it would have, bit for bit, and nothing but weights, moments and a number is kept.
"""

import csv
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from engine.training import processes

STATE, LOG = "state.pt", "loss.csv"
COLUMNS = ("step", "loss", "rate", "gradient", "seconds")


class TrainingError(RuntimeError):
    """Training that cannot go on; the message says at which step, why, and what to change."""


@dataclass(frozen=True)
class Settings:
    """How to train. A resumed run must have the settings it began with."""

    steps: int
    rate: float
    batch: int
    warm_up: int = 100
    final_rate: float = 0.05  # of `rate`, at the end of the cosine
    accumulate: int = 1  # batches per step
    clip: float = 1.0  # the gradient's largest norm
    weight_decay: float = 0.01
    beta2: float = 0.99
    ema_decay: float = 0.9999
    bf16: bool = False  # autocast; faster on GPUs and on CPUs with AMX, slower on others
    seed: int = 0
    given: str = ""  # what else decides what is trained; a resumed run must have the same
    save_seconds: float = 120.0
    log_every: int = 10


@dataclass(frozen=True)
class Outcome:
    """How far a run came: finished is False when time ran out. loss is the mean of the last logged steps."""

    step: int
    finished: bool
    loss: float
    seconds_per_step: float


LossOf = Callable[[int, int], Tensor]  # step and number of the batch within it, to a scalar loss


def rate_at(step: int, settings: Settings) -> float:
    """Linear warm-up from rate / warm_up, then half a cosine down to final_rate · rate."""
    warm = min(1.0, (step + 1) / max(1, settings.warm_up))
    part = min(1.0, max(0.0, (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)))
    cosine = settings.final_rate + (1 - settings.final_rate) * 0.5 * (1 + math.cos(math.pi * part))
    return settings.rate * warm * cosine


def ema_decay_at(updates: int, decay: float) -> float:
    """The published trainer's warm-up: early averages forget quickly (models.md, 9.3, T14)."""
    return min(decay, (1 + updates) / (10 + updates))


def generator_of(seed: int, step: int, part: int = 0, purpose: int = 0) -> torch.Generator:
    """The generator of one batch: a function of its arguments, on the CPU."""
    mixed = 0
    for number in (seed, step, part, purpose):  # splitmix64, so that neighbouring steps share nothing
        mixed = (mixed + number + 0x9E3779B97F4A7C15) % 2**64
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        mixed ^= mixed >> 31
    return torch.Generator().manual_seed(mixed % 2**63)


def same_shapes(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether these are weights of the same network."""
    return {name: t.shape for name, t in one.items()} == {name: t.shape for name, t in other.items()}


class Run:
    """A module in training: its trainable parameters, their average, the optimiser and the step it is at."""

    def __init__(self, module: nn.Module, settings: Settings) -> None:
        self.module, self.settings = module, settings
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.ema = {name: p.detach().clone() for name, p in self.parameters.items()}
        matrices = [p for p in self.parameters.values() if p.ndim > 1]
        others = [p for p in self.parameters.values() if p.ndim <= 1]  # norms and biases are not pulled to zero
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=settings.rate, betas=(0.9, settings.beta2), weight_decay=settings.weight_decay, fused=True
        )
        self.step = self.updates = self.bad = 0

    def save(self, path: Path) -> None:
        """Write everything a resumed run needs; a kill while writing leaves the former file."""
        part = path.with_name(path.name + ".part")
        torch.save(
            {
                "parameters": {name: p.detach() for name, p in self.parameters.items()},
                "ema": self.ema, "optimizer": self.optimizer.state_dict(), "settings": asdict(self.settings),
                "counts": [self.step, self.updates, self.bad],
            },
            part,
        )  # fmt: skip
        part.replace(path)

    def restore(self, path: Path) -> None:
        """Continue from a saved state. TrainingError if it belongs to other settings or another network."""
        state = torch.load(path, weights_only=True, map_location="cpu")
        wanted = asdict(self.settings)
        found = {"given": wanted["given"], **state["settings"]}  # older states say nothing of it
        if changed := [name for name in wanted if found.get(name) != wanted[name]]:
            name = changed[0]
            raise TrainingError(
                f"{path}: it was trained with {name} = {found.get(name)}, and {wanted[name]} is asked; "
                "resume with the settings of the beginning, or train into another folder"
            )
        if not same_shapes(state["parameters"], self.parameters):
            raise TrainingError(f"{path}: it holds another network; train into another folder")
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(state["parameters"][name])
                self.ema[name].copy_(state["ema"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.updates, self.bad = state["counts"]

    def averaged(self) -> dict[str, Tensor]:
        """The module's state with its averaged parameters: what is written to a model file."""
        return {**{name: t.detach().clone() for name, t in self.module.state_dict().items()}, **self.ema}


MOST_BAD = 20  # steps in a row without a finite gradient


def advance(run: Run, loss_of: LossOf) -> tuple[float, float, float]:
    """One step: loss, rate and norm of the gradient. A step with a loss or gradient that is not finite changes nothing.

    Raises TrainingError after MOST_BAD such steps in a row.
    """
    settings = run.settings
    rate = rate_at(run.step, settings)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.zero_grad(set_to_none=True)
    device = next(iter(run.parameters.values())).device.type
    total = 0.0
    for part in processes.share(settings.accumulate):
        with torch.autocast(device, torch.bfloat16, enabled=settings.bf16):
            loss = loss_of(run.step, part) / settings.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    total = processes.add_up(run.parameters.values(), total)
    norm = float(torch.nn.utils.clip_grad_norm_(list(run.parameters.values()), settings.clip))
    if math.isfinite(total) and math.isfinite(norm):
        run.optimizer.step()
        decay = ema_decay_at(run.updates, settings.ema_decay)
        with torch.no_grad():
            torch._foreach_lerp_(list(run.ema.values()), list(run.parameters.values()), 1.0 - decay)
        run.updates += 1
        run.bad = 0
    else:
        run.bad += 1
        if run.bad >= MOST_BAD:
            raise TrainingError(
                f"step {run.step}: the last {run.bad} losses or gradients were not finite numbers; "
                "train with a smaller rate, or without bf16"
            )
    run.step += 1
    return total, rate, norm


def train(
    run: Run,
    loss_of: LossOf,
    folder: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    show: TextIO | None = sys.stderr,
    clock: Callable[[], float] = time.monotonic,
    every: Mapping[int, Callable[[int], None]] | None = None,
) -> Outcome:
    """Train to the end, or for so many minutes, keeping `state.pt` and `loss.csv` in the folder.

    resume: go on from the folder's state if there is one; otherwise a folder with a state is refused (TrainingError).
    every: functions to call with the step's number after each so many steps. show: where the progress bar goes.
    """
    together = processes.count()
    if processes.started() != together:
        raise TrainingError("several processes together train the stages of `family` only; start this one alone")
    if run.settings.accumulate < 1 or run.settings.accumulate % together:
        raise TrainingError(
            f"{run.settings.accumulate} batches a step do not divide among {together} processes; "
            f"set --accumulate to a multiple of {together}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / STATE
    if state.exists():
        if not resume:
            raise TrainingError(f"{state} exists; resume it, or train into another folder")
        run.restore(state)
    processes.meet()  # the first must not write a state before the others have looked for one
    writes = processes.is_first()
    log = _open_log(folder / LOG if writes else Path(os.devnull), run.step)
    show = show if writes else None
    began = saved = clock()
    start, recent = run.step, list[float]()
    with log:
        rows = csv.writer(log)
        while run.step < run.settings.steps and (minutes is None or processes.agreed(clock() - began < 60.0 * minutes)):
            loss, rate, norm = advance(run, loss_of)
            recent = [*recent[-49:], loss]
            now = clock()
            if run.step % run.settings.log_every == 0:
                rows.writerow((run.step, f"{loss:.6g}", f"{rate:.4g}", f"{norm:.4g}", f"{now - began:.1f}"))
            if show is not None:
                _show(show, run, sum(recent) / len(recent), (now - began) / (run.step - start))
            if writes and now - saved > run.settings.save_seconds:
                log.flush()
                run.save(state)
                saved = now
            for interval, call in (every or {}).items():
                if run.step % interval == 0:
                    call(run.step)
    if writes:
        run.save(state)
    if show is not None:
        show.write("\n")
    mean = sum(recent) / len(recent) if recent else math.nan
    return Outcome(run.step, run.step >= run.settings.steps, mean, (clock() - began) / max(1, run.step - start))


def _open_log(path: Path, step: int) -> TextIO:
    """The log without the lines that a killed run wrote after its last saved state."""
    kept: list[list[str]] = []
    if path.exists() and step:
        with path.open(newline="", encoding="utf-8") as file:
            kept = [row for row in list(csv.reader(file))[1:] if row and int(row[0]) <= step]
    file = path.open("w", newline="", encoding="utf-8")
    csv.writer(file).writerows([COLUMNS, *kept])
    return file


def _show(out: TextIO, run: Run, loss: float, seconds: float) -> None:
    """A bar on one line. A file or pipe gets a line only now and then."""
    steps = run.settings.steps
    if not out.isatty() and run.step % max(1, steps // 50) and run.step != steps:
        return
    filled = 24 * run.step // steps
    left = (steps - run.step) * seconds / 60.0
    bar = "█" * filled + "·" * (24 - filled)
    line = f"{bar} {run.step}/{steps}  loss {loss:.4f}  {seconds:.3f} s/step  {left:.0f} min left"
    out.write(f"\r{line}  " if out.isatty() else line + "\n")
    out.flush()
