"""Checkpoints for these tests, and what makes memory run out in the middle of anything."""

from __future__ import annotations

import math
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.diffusion.config import ModelConfig, config_to_json
from engine.diffusion.standin import standin_config, standin_tensors, write_safetensors

TEXT = 16  # the width of texts


def config_of(width: int) -> ModelConfig:
    """The miniature of SD 1.x so many channels wide, its text encoder narrow: a vocabulary's table is large."""
    base = standin_config()
    return replace(
        base, unet=replace(base.unet, model_channels=width, context_dim=TEXT),
        vae=replace(base.vae, channels=min(width, 32)), text=replace(base.text, width=TEXT, mlp_width=2 * TEXT),
    )


def shallow(width: int) -> ModelConfig:
    """As `config_of`, with as few layers as there can be: each is many operations, and what they do repeats itself."""
    base = config_of(width)
    return replace(
        base, unet=replace(base.unet, attention=(True, False, False, False)), text=replace(base.text, layers=1),
        vae=replace(base.vae, num_res_blocks=1),
    )


def write_model(path: Path, width: int = 16, seed: int = 1, config: ModelConfig | None = None) -> Path:
    """A checkpoint that opens as any other."""
    config = config or config_of(width)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, standin_tensors(config, seed), {"easel.config": config_to_json(config), "format": "pt"})
    return path


class Operations(TorchDispatchMode):
    """Counts torch's operations that take memory, in whatever thread it is entered, and has some of them fail.

    Views, what is done in place and tensors of the meta device take none.
    """

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if _takes_memory(func):
            there = [each for each in tree_leaves(made) if torch.is_tensor(each) and each.device.type != "meta"]
            if any(each.untyped_storage().nbytes() for each in there):
                self._counter.count(str(func))
        return made


@cache
def _takes_memory(func: Any) -> bool:
    """Whether what an operation gives is none of what it was given, as its declaration has it."""
    shares = any(each.alias_info is not None for each in func._schema.returns)
    return not shares and func is not torch.ops.aten._unsafe_view.default


class Counter:
    """How many operations there were. fails: the number of the one that runs out of memory."""

    def __init__(self, *fails: int) -> None:
        self.done = 0
        self.failed: list[str] = []
        self._fails = set(fails)
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        """Note an operation. Raises OutOfMemoryError at those that are to fail."""
        with self._lock:
            self.done += 1
            failing = self.done in self._fails
        if failing:
            self.failed.append(name)
            raise torch.OutOfMemoryError(f"out of memory, as a test wants it, in {name}")

    def around(self) -> AbstractContextManager[Any]:
        """Counts what happens inside, until the last operation that is to fail has."""
        return Operations(self) if self.done < max(self._fails, default=math.inf) else nullcontext()
