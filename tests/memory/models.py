"""Checkpoints for these tests, and what makes memory run out in the middle of anything."""

from __future__ import annotations

import threading
from dataclasses import replace
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


def write_model(path: Path, width: int = 16, seed: int = 1) -> Path:
    """A checkpoint that opens as any other."""
    config = config_of(width)
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
        given = set(map(_place, filter(torch.is_tensor, tree_leaves((args, kwargs)))))
        fresh = [each for each in filter(torch.is_tensor, tree_leaves(made)) if each.device.type != "meta"]
        if any(each.untyped_storage().nbytes() and _place(each) not in given for each in fresh):
            self._counter.count(str(func))
        return made


def _place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


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

    def around(self) -> Operations:
        """Counts what happens inside."""
        return Operations(self)
