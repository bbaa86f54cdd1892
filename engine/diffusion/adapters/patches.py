"""What may be put on a network's weights, as data, and how it is worked out: parameter name → patched weight.

A patch is a frozen, hashable description (which file in which state, how strong); a network with patches is described
by its `Weights` and the tuple of them, in order. `changes` turns that into functions of single weights; nothing ever
subtracts: without the patches the original bytes are read again.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.adapters.lora import differences, match
from engine.diffusion.checkpoint import Changes, Weights, reading, shapes, stored
from engine.diffusion.tensorfile import CheckpointError, Stamp, TensorFile, check_numbers, open_tensors, read_index


class WeightPatch:
    """Something that changes weights. What is not one (attention hooks, guidance) is no business of the weights."""


@dataclass(frozen=True)
class Lora(WeightPatch):
    """An adapter file of the LoRA family at a strength."""

    path: Path
    stamp: Stamp
    strength: float


@dataclass(frozen=True)
class Merge(WeightPatch):
    """Another network's weights, patched themselves, added to the present ones: own · W + others · W₂.

    ratios: (prefix of the parameter's name, own, others); the longest prefix that fits counts, "" fits all.
    """

    other: Weights
    patches: tuple[WeightPatch, ...]
    ratios: tuple[tuple[str, float, float], ...]

    def ratio(self, name: str) -> tuple[float, float]:
        """What this merge multiplies a parameter and the other network's by."""
        fitting = [row for row in self.ratios if name.startswith(row[0])]
        if not fitting:
            return 1.0, 0.0
        _, own, others = max(fitting, key=lambda row: len(row[0]))
        return own, others


@dataclass(frozen=True)
class Toward(WeightPatch):
    """A part of the way from a network's own weights, as they are in its file, to another's: W + s·(W₂ - W₀)."""

    other: Weights
    strength: float


@dataclass(frozen=True)
class LowRank(WeightPatch):
    """Products up · down that a file has by the network's own names: `NAME.up` and `NAME.down` for `NAME.weight`."""

    path: Path
    stamp: Stamp


@dataclass(frozen=True)
class Multiply(WeightPatch):
    """Every parameter whose whole name fits a pattern, times a factor."""

    pattern: str
    factor: float


@dataclass(frozen=True, eq=False)
class Difference(WeightPatch):
    """Tensors to be added, by parameter: weight · own + strength · difference. They come from a program, not a file."""

    differences: Mapping[str, Tensor]
    strength: float = 1.0
    own: float = 1.0


COMPUTE_TYPES: Mapping[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class ComputeType(WeightPatch):
    """The network is kept and run in this type; None is what the engine chose."""

    name: str | None


def compute_type(patches: Iterable[Any], usual: torch.dtype) -> torch.dtype:
    """The type that a network with these patches runs in: the last one asked for."""
    asked = [patch.name for patch in patches if isinstance(patch, ComputeType)]
    return COMPUTE_TYPES[asked[-1]] if asked and asked[-1] is not None else usual


def weight_patches(patches: Iterable[Any]) -> tuple[WeightPatch, ...]:
    """Those of a model's patches that change its weights, in order."""
    return tuple(patch for patch in patches if isinstance(patch, WeightPatch))


Opened = Mapping[str, Callable[[Tensor], Tensor]]
Opener = Callable[[Any, Weights, torch.dtype, ExitStack], Opened]


@contextmanager
def changes(weights: Weights, patches: Iterable[WeightPatch], storage: torch.dtype) -> Iterator[Changes]:
    """What the patches make of single weights, in order, as long as the files they come from are open.

    storage: the type that weights are kept in, from which other networks' weights start too. Raises CheckpointError for
    a file that changed, does not fit or holds what is no number.
    """
    with ExitStack() as stack:
        chains: dict[str, list[Callable[[Tensor], Tensor]]] = {}
        for patch in patches:
            for name, change in OPENERS.get(type(patch), _nothing)(patch, weights, storage, stack).items():
                chains.setdefault(name, []).append(change)
        yield {name: partial(_in_order, chain) for name, chain in chains.items()}


def _in_order(chain: list[Callable[[Tensor], Tensor]], weight: Tensor) -> Tensor:
    for change in chain:
        weight = change(weight)
    return weight


def _open_lora(patch: Lora, weights: Weights, _storage: torch.dtype, stack: ExitStack) -> Opened:
    file = read_again(patch.path, patch.stamp)
    get = partial(_finite, file.path, stack.enter_context(open_tensors(file.path)))
    made: dict[str, Callable[[Tensor], Tensor]] = {}
    for part in match(file, weights).parts:
        for leaf, change in differences(part, get).items():
            made[f"{part.module}.{leaf}"] = partial(_at_strength, change, patch.strength)
    return made


def _open_low_rank(patch: LowRank, _weights: Weights, _storage: torch.dtype, stack: ExitStack) -> Opened:
    file = read_again(patch.path, patch.stamp)
    get = partial(_finite, file.path, stack.enter_context(open_tensors(file.path)))

    def change(module: str, weight: Tensor) -> Tensor:
        return weight + product(get(f"{module}.up").float(), get(f"{module}.down").float(), weight)

    return {f"{module}.weight": partial(change, module) for module in low_rank_modules(file)}


def low_rank_modules(file: TensorFile) -> list[str]:
    """The modules that a file has an `up` for."""
    return [key.removesuffix(".up") for key in file.entries if key.endswith(".up")]


def product(up: Tensor, down: Tensor, weight: Tensor) -> Tensor:
    """Up · down in the weight's shape, of matrices or of convolutions' kernels."""
    return (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)


def _finite(path: Path, get: Callable[[str], Tensor], key: str) -> Tensor:
    tensor = get(key)
    check_numbers(path, key, tensor)
    return tensor


def _at_strength(change: Callable[[Tensor, float], Tensor], strength: float, weight: Tensor) -> Tensor:
    return change(weight, strength)


def _open_merge(patch: Merge, weights: Weights, storage: torch.dtype, stack: ExitStack) -> Opened:
    read = stack.enter_context(reading(patch.other))
    inner = stack.enter_context(changes(patch.other, patch.patches, storage))
    made: dict[str, Callable[[Tensor], Tensor]] = {}
    for name in mergeable(weights, patch.other).names:
        own, others = patch.ratio(name)
        if (own, others) != (1.0, 0.0):
            made[name] = partial(_merged, name, own, others, read, inner.get(name), storage)
    return made


def _merged(
    name: str, own: float, others: float, read: Callable[[str], Tensor], change: Callable[[Tensor], Tensor] | None,
    storage: torch.dtype, weight: Tensor,
) -> Tensor:  # fmt: skip
    if own != 1.0:
        weight = weight * own
    if others == 0.0:
        return weight
    other = read(name).to(storage).float()
    if change is not None:
        other = change(other)
    return weight + others * other


def _open_toward(patch: Toward, weights: Weights, storage: torch.dtype, stack: ExitStack) -> Opened:
    own, other = stack.enter_context(reading(weights)), stack.enter_context(reading(patch.other))

    def change(name: str, weight: Tensor) -> Tensor:
        way = other(name).to(storage).float() - own(name).to(storage).float()
        return weight + patch.strength * way

    return {name: partial(change, name) for name in mergeable(weights, patch.other).names}


def _nothing(_patch: WeightPatch, _weights: Weights, _storage: torch.dtype, _stack: ExitStack) -> Opened:
    return {}  # one that becomes part of the loaded network, such as a hypernetwork


def _open_multiply(patch: Multiply, weights: Weights, _storage: torch.dtype, _stack: ExitStack) -> Opened:
    pattern = re.compile(patch.pattern)
    return {name: partial(_times, patch.factor) for name, _ in weights.mapping if pattern.fullmatch(name)}


def _open_difference(patch: Difference, weights: Weights, _storage: torch.dtype, _stack: ExitStack) -> Opened:
    known = shapes(weights.config)
    made: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, tensor in patch.differences.items():
        if tensor.numel() != math.prod(known[name]):
            raise ValueError(
                f"a difference for {name} has the shape {list(tensor.shape)}, and the weight {list(known[name])}: "
                "it was made for another model"
            )
        made[name] = partial(_plus, tensor.reshape(known[name]), patch.strength, patch.own)
    return made


def _plus(difference: Tensor, strength: float, own: float, weight: Tensor) -> Tensor:
    return weight * own + strength * difference.to(weight.device, weight.dtype)


def _times(factor: float, weight: Tensor) -> Tensor:
    return weight * factor


OPENERS: Mapping[type, Opener] = {
    Lora: _open_lora, Merge: _open_merge, Multiply: _open_multiply,
    Difference: _open_difference,
    Toward: _open_toward, LowRank: _open_low_rank,
}


@dataclass(frozen=True)
class Mergeable:
    """Which parameters two networks share, and those whose shapes differ but may."""

    names: tuple[str, ...]
    kept: tuple[str, ...]


FIRST = "input_blocks.0.0.weight"  # its input channels are the task's: inpainting and depth models have more


def mergeable(weights: Weights, other: Weights) -> Mergeable:
    """The parameters that two networks share. Raises CheckpointError, naming shapes, for networks of other families.

    A ControlNet shares its encoder with a UNet. What only one of them has is left as it is; so is the first convolution
    of UNets for different tasks: adding the difference of two models to an inpainting model is a known use.
    """
    ours, theirs = shapes(weights.config), shapes(other.config)
    common = [name for name, _ in weights.mapping if name in theirs]
    differing = [name for name in common if ours[name] != theirs[name]]
    kept = tuple(name for name in differing if name == FIRST and ours[name][0] == theirs[name][0])
    misfits = [name for name in differing if name not in kept]
    strange = weights.component != other.component and (weights.component, other.component) != ("control", "unet")
    if misfits or strange:
        shown = "; ".join(f"{name} {list(theirs[name])}, here {list(ours[name])}" for name in misfits[:5])
        more = f" and {len(misfits) - 5} more" if len(misfits) > 5 else ""
        raise CheckpointError(
            other.path, f"{shown}{more}" if misfits else f"a {other.component} network",
            f"a {weights.component} network like that of {weights.path.name}",
            "Merge networks of one family.", tuple(misfits),
        )  # fmt: skip
    left = set(kept)
    return Mergeable(tuple(name for name in common if name not in left), kept)


def read_again(path: Path, seen: Stamp) -> TensorFile:
    """The index of a file that was read before. CheckpointError if it changed since."""
    file = read_index(path)
    if file.stamp != seen:
        raise CheckpointError(path, "a file that changed", "the file that was opened", "Run the workflow again.")
    return file


def patched(
    weights: Weights, patches: Iterable[WeightPatch], storage: torch.dtype
) -> Iterator[tuple[str, Tensor, bool]]:
    """Every parameter of a patched network: its name, its value, and whether it is another than the file's.

    Unpatched ones come in the file's own type, the others in `storage`.
    """
    with reading(weights) as read, changes(weights, patches, storage) as made:
        for name, _ in weights.mapping:
            change = made.get(name)
            yield name, stored(read(name), change, storage) if change else read(name), change is not None
