"""Files of the LoRA family: which tensors are for which module, and what they make of its weight (models.md, 7.1).

A file names modules in one of many spellings (`names.py`) and has several tensors for each, told apart by suffix; what
they make together is in `kinds.py`. Shapes are checked by running that on the meta device, before anything is applied.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.adapters.kinds import KINDS, OTHER_KINDS, ROLES, Kind, Tensors
from engine.diffusion.adapters.names import spellings
from engine.diffusion.checkpoint import Weights, shapes
from engine.diffusion.config import PRESETS
from engine.diffusion.tensorfile import CheckpointError, Entry, TensorFile

NAMED = 5  # how many keys a message names

PEFTS_MAGNITUDE = "lora_magnitude_vector"  # part of the key; `dora_scale` says its axes by its shape
BUNDLED = "bundle_emb."  # textual inversions that travel in the same file


@dataclass(frozen=True, eq=False)
class Part:
    """What a file has for one module: keys by role, the kind they make, and alpha where only the metadata says it."""

    module: str
    keys: Mapping[str, str]
    kind: Kind | None
    alpha: float | None


@dataclass(frozen=True, eq=False)
class Matched:
    """A file laid against a network: the parts that fit, and the keys that are not for it."""

    parts: tuple[Part, ...]
    unused: tuple[str, ...]


def match(file: TensorFile, weights: Weights) -> Matched:
    """Find what a file has for a network and check every shape.

    Raises CheckpointError that names the file, the keys and the shapes: a tensor without its partner, or one that does
    not fit.
    """
    table = spellings(weights)
    found: dict[str, dict[str, str]] = {}
    unused: list[str] = []
    for key in file.entries:
        module, role = _place(key, table)
        if module is None or role in found.get(module, {}):
            unused.append(key)
        else:
            found.setdefault(module, {})[role] = key
    told = _told_alphas(file)
    parts = tuple(Part(module, keys, _kind(file, keys), told(module, keys)) for module, keys in found.items())
    _check(file, parts, weights)
    return Matched(parts, tuple(unused))


def _place(key: str, table: Mapping[str, str]) -> tuple[str | None, str]:
    """The module and the role of a key: where cut in two, a known name and a known suffix are left."""
    base, suffix = key, ""
    for _ in range(3):
        base, dot, last = base.rpartition(".")
        if not dot:
            break
        suffix = f"{last}.{suffix}" if suffix else last
        if suffix in ROLES and base in table:
            return table[base], ROLES[suffix]
    return None, ""


def has_role(key: str) -> bool:
    """Whether a key ends as an adapter's do, whatever module it is for."""
    parts = key.split(".")
    return any(".".join(parts[-count:]) in ROLES for count in (1, 2, 3) if count < len(parts))


def _kind(file: TensorFile, keys: Mapping[str, str]) -> Kind | None:
    for kind in KINDS:
        if any(need <= keys.keys() for need in kind.needs):
            _check_one_kind(file, keys, kind)
            return kind
    if "bias" in keys and keys.keys() <= {"bias", "alpha"}:
        return None
    first = next(iter(keys.values()))
    raise CheckpointError(
        file.path, f"{first} without the tensors that belong to it (there are {', '.join(sorted(keys.values()))})",
        "a whole adapter", "The file is incomplete: fetch it again.",
    )  # fmt: skip


def _check_one_kind(file: TensorFile, keys: Mapping[str, str], kind: Kind) -> None:
    """Raise CheckpointError where a file has two differences for one weight: which one is meant nobody knows."""
    for other in KINDS:
        if other is not kind and any(need <= keys.keys() for need in other.needs):
            raise CheckpointError(
                file.path, f"a {kind.name} and a {other.name} for one module ({', '.join(sorted(keys.values()))})",
                "one of them", "The file was put together wrongly: ask its author.",
            )  # fmt: skip


def _check(file: TensorFile, parts: Iterable[Part], weights: Weights) -> None:
    wanted = shapes(weights.config)
    problems = []
    for part in parts:
        if "alpha" in part.keys and math.prod(file.entries[part.keys["alpha"]].shape) != 1:
            problems.append(f"{part.keys['alpha']} {list(file.entries[part.keys['alpha']].shape)} is not one number")
        for leaf, change in differences(part, lambda key: _meta(file.entries[key])).items():
            name = f"{part.module}.{leaf}"
            if name not in wanted:
                problems.append(f"{_shown(file, part)} changes {name}, which this model does not have")
                continue
            try:
                change(torch.empty(wanted[name], device="meta"), 1.0)
            except (RuntimeError, LookupError, ValueError):
                problems.append(f"{_shown(file, part)} does not fit {name} {list(wanted[name])}")
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        made_for = _family(file, parts)
        raise CheckpointError(
            file.path, "; ".join(problems[:NAMED]) + more,
            f"an adapter whose shapes fit this model ({_width(weights)})",
            f"Use it with a model of family {made_for}." if made_for else "Use it with the model it is for.",
            tuple(problems),
        )  # fmt: skip


def _meta(entry: Entry) -> Tensor:
    return torch.empty(entry.shape, device="meta")


def _shown(file: TensorFile, part: Part) -> str:
    return ", ".join(f"{key} {list(file.entries[key].shape)}" for role, key in part.keys.items() if role != "alpha")


FAMILIES = {
    PRESETS["sd1"].unet.context_dim: "SD 1.x", PRESETS["sd2-base"].unet.context_dim: "SD 2.x", 2048: "SDXL",
}  # fmt: skip


def _family(file: TensorFile, parts: Iterable[Part]) -> str | None:
    """Which models a file is made for: the text's width is that of attn2.to_k's input (models.md, 7.1)."""
    for part in parts:
        if part.module.endswith("attn2.to_k") and "down" in part.keys:
            return FAMILIES.get(file.entries[part.keys["down"]].shape[1])
    return None


def _width(weights: Weights) -> str:
    config: Any = weights.config
    return f"{weights.component}, text {getattr(config, 'context_dim', None) or getattr(config, 'width', '?')} wide"


Change = Callable[[Tensor, float], Tensor]


def differences(part: Part, get: Callable[[str], Tensor]) -> Mapping[str, Change]:
    """What a part makes of its module's `weight` and `bias`, by that name: a weight and a strength to the new weight.

    get: a key to its tensor. All arithmetic is float32, as in ComfyUI.
    """
    made: dict[str, Change] = {}
    if part.kind is not None:
        made["weight"] = _weight_change(part, part.kind, get)
    if "bias" in part.keys:
        made["bias"] = lambda bias, strength: bias + strength * get(part.keys["bias"]).float().reshape(bias.shape)
    return MappingProxyType(made)


def _weight_change(part: Part, kind: Kind, get: Callable[[str], Tensor]) -> Change:
    def change(weight: Tensor, strength: float) -> Tensor:
        t = {role: get(key).float() for role, key in part.keys.items()}
        delta = kind.delta(t, weight, strength)
        scale = _scale(kind, t, part.alpha, weight)
        if "magnitude" in t:
            magnitude = t["magnitude"]
            if PEFTS_MAGNITUDE in part.keys["magnitude"]:
                magnitude = magnitude.flatten()  # one per output, for a convolution too: (1, out, 1, 1)
            return decomposed(weight, scale * delta, magnitude, strength)
        if kind.name == "weight":
            return weight + delta  # replaced, whatever the strength
        return weight + (strength * scale) * delta

    return change


def _scale(kind: Kind, t: Tensors, told: float | None, weight: Tensor) -> float:
    """Alpha / rank; 1 where no alpha is said or nothing has a rank (a LoKr of whole factors)."""
    rank = kind.rank(t, weight)
    if "alpha" in t and t["alpha"].is_meta:
        return 1.0  # only shapes are asked about
    alpha = float(t["alpha"]) if "alpha" in t else told
    return alpha / rank if rank and alpha is not None else 1.0


def decomposed(weight: Tensor, delta: Tensor, magnitude: Tensor, strength: float) -> Tensor:
    """Weight-decomposed adaptation: DoRA, Liu et al. (arXiv:2402.09353), eq. 5: m · (W + Δ) / ‖W + Δ‖.

    The norm runs over the axes in which `magnitude` has size 1. Strength goes from W to the result in a straight line.
    ComfyUI takes the norm of W instead of W + Δ where there is one magnitude per output; PEFT and LyCORIS, with which
    such files are trained, take the definition's (models.md, 7.1).
    """
    if magnitude.ndim == 1:
        magnitude = magnitude.reshape(-1, *[1] * (weight.ndim - 1))  # PEFT's: one per output
    magnitude = magnitude.reshape(*magnitude.shape, *[1] * (weight.ndim - magnitude.ndim))
    merged = weight + delta
    axes = tuple(axis for axis, size in enumerate(magnitude.shape) if size == 1)
    if not axes:
        raise ValueError("a magnitude for every number of the weight")
    norm = torch.linalg.vector_norm(merged, dim=axes, keepdim=True) + torch.finfo(weight.dtype).eps
    if (magnitude * norm).shape != norm.shape:
        raise ValueError("a magnitude for other axes")
    turned: Tensor = merged * (magnitude / norm)
    return turned if strength == 1.0 else weight + strength * (turned - weight)


def _told_alphas(file: TensorFile) -> Callable[[str, Mapping[str, str]], float | None]:
    """The alpha that PEFT's settings in the metadata give a module, for diffusers' files without alpha tensors."""
    try:
        told = json.loads(file.metadata.get("lora_adapter_metadata", "{}"))
    except ValueError:
        told = {}
    if not isinstance(told, dict) or not told:
        return lambda _module, _keys: None

    def alpha(_module: str, keys: Mapping[str, str]) -> float | None:
        down = keys.get("down")
        if down is None:
            return None
        head, _, path = down.rpartition(".lora_A")[0].partition(".")
        said = {key.removeprefix(f"{head}."): value for key, value in told.items() if key.startswith(f"{head}.")}
        value = _by_pattern(said.get("alpha_pattern"), path, said.get("lora_alpha"))
        if not isinstance(value, int | float) or not math.isfinite(value):
            return None
        rank = file.entries[down].shape[0] if file.entries[down].shape else 1
        return float(value) * math.sqrt(rank) if said.get("use_rslora") else float(value)

    return alpha


def _by_pattern(patterns: Any, path: str, otherwise: Any) -> Any:
    if isinstance(patterns, dict):
        for pattern, value in patterns.items():
            if isinstance(pattern, str) and (path == pattern or path.endswith(f".{pattern}")):
                return value
    return otherwise


def report_unused(file: TensorFile, unused: Iterable[str]) -> str | None:
    """What to say of keys that nothing uses, or None if there are none."""
    keys = [key for key in unused if not key.startswith(BUNDLED)]
    if not keys:
        return None
    kinds = sorted({kind for key in keys for suffix, kind in OTHER_KINDS.items() if key.endswith(suffix)})
    more = f"; {', '.join(kinds)} is not applied" if kinds else ""
    names = ", ".join(keys[:NAMED]) + (" …" if len(keys) > NAMED else "")
    return f"{file.path.name}: {len(keys)} of {len(file.entries)} keys unused ({names}){more}"


def refuse_stranger(path: Path, file: TensorFile) -> CheckpointError:
    """What to say of a file that has nothing for the models it was given to."""
    kinds = sorted({kind for key in file.entries for suffix, kind in OTHER_KINDS.items() if key.endswith(suffix)})
    names = ", ".join(list(file.entries)[:NAMED])
    return CheckpointError(
        path, f"{'an adapter of kind ' + ', '.join(kinds) if kinds else 'no adapter for this model'} ({names} …)",
        "a LoRA, LoCon, LoHa, LoKr, GLoRA, OFT, BOFT, DoRA or difference for SD 1.x or 2.x",
        "Choose a file that was made for this family of models.",
    )  # fmt: skip
