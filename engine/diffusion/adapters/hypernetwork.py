"""Hypernetworks: small networks before the keys and values of every attention of one width (models.md, 7.3).

k ← k + s·H₀(k) and v ← v + s·H₁(v) on what goes into `to_k` and `to_v` (numerics.md, 8.3). The small networks become
part of a patched copy of the UNet, so that without them it is the original one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from engine.diffusion.adapters.patches import WeightPatch
from engine.diffusion.checkpoint import Weights, shapes
from engine.diffusion.layers import Attention
from engine.diffusion.tensorfile import CheckpointError, Stamp, read_pickle, stamp

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity, "relu": nn.ReLU, "leakyrelu": nn.LeakyReLU, "elu": nn.ELU, "swish": nn.Hardswish,
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softsign": nn.Softsign, "mish": nn.Mish,
}  # fmt: skip
NUMBER = re.compile(r"linear\.?(\d+)\.weight")
LARGEST = 2**31  # bytes of a file


@dataclass(frozen=True)
class Hypernetwork(WeightPatch):
    """A hypernetwork's file at a strength."""

    path: Path
    stamp: Stamp
    strength: float


class Boosted(nn.Module):
    """A projection whose input is moved by small networks first, one after the other in the order they were put on."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base, self.boosts = base, nn.ModuleList()
        self.strengths: list[float] = []

    def add(self, boost: nn.Module, strength: float) -> None:
        """One small network more, after those there are."""
        self.boosts.append(boost)
        self.strengths.append(strength)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) to (…, out)."""
        for boost, strength in zip(self.boosts, self.strengths, strict=True):
            x = x + strength * boost(x)
        out: Tensor = self.base(x)
        return out


Pair = tuple[nn.Module, nn.Module]


def open_hypernetwork(path: Path, weights: Weights, strength: float) -> Hypernetwork:
    """Check a file against a UNet. Raises CheckpointError if it is none, or has no width that the UNet's text has."""
    seen = stamp(path)
    found = read_hypernetwork(path)
    widths = {shape[1] for name, shape in shapes(weights.config).items() if name.endswith(".to_k.weight")}
    if not widths & found.keys():
        raise CheckpointError(
            path, f"a hypernetwork for attention {_listed(found)} wide", f"one of {_listed(widths)}",
            "It was made for another family of models.",
        )  # fmt: skip
    return Hypernetwork(path, seen, strength)


def install(patch: Hypernetwork, unet: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Put a hypernetwork before every attention whose keys come from its width, after those that are there."""
    if stamp(patch.path) != patch.stamp:
        raise CheckpointError(patch.path, "a file that changed", "the file that was opened", "Run the workflow again.")
    pairs = {width: tuple(each.to(device, dtype) for each in pair)
             for width, pair in read_hypernetwork(patch.path).items()}  # fmt: skip
    for module in unet.modules():
        if isinstance(module, Attention):
            for name, boost in zip(("to_k", "to_v"), pairs.get(_input_width(module.to_k), ()), strict=False):
                layer = getattr(module, name)
                if not isinstance(layer, Boosted):
                    layer = Boosted(layer)
                    setattr(module, name, layer)
                layer.add(boost, patch.strength)


def _input_width(layer: nn.Module) -> int:
    return cast(nn.Linear, layer.base if isinstance(layer, Boosted) else layer).in_features


def read_hypernetwork(path: Path) -> dict[int, Pair]:
    """The networks for keys and for values, by the width they are for. Raises CheckpointError for anything else."""
    size = path.stat().st_size
    if size > LARGEST:
        raise _refuse(path, f"{size} bytes (at most {LARGEST} are read)")
    data = read_pickle(path)
    if not isinstance(data, Mapping):
        raise _refuse(path, f"a {type(data).__name__}")
    activation = data.get("activation_func") or "linear"
    if activation not in ACTIVATIONS:
        raise _refuse(path, f"the activation {str(activation)[:40]!r}, which is none of {', '.join(ACTIVATIONS)}")
    pairs: dict[int, Pair] = {}
    for width, value in data.items():
        if isinstance(width, int) and isinstance(value, tuple | list) and len(value) >= 2:
            made = [_network(path, width, each, activation, bool(data.get("activate_output"))) for each in value[:2]]
            pairs[width] = (made[0], made[1])
    if not pairs:
        raise _refuse(path, "no networks by width")
    return pairs


def _network(path: Path, width: int, state: Any, activation: str, activate_output: bool) -> nn.Module:
    """The layers of one small network; dropout only matters in training."""
    if not isinstance(state, Mapping):
        raise _refuse(path, f"a {type(state).__name__} for width {width}")
    matches = [match for key in state if isinstance(key, str) and (match := NUMBER.fullmatch(key))]
    numbered = sorted((int(match[1]), match[0]) for match in matches)
    linears = [key for _, key in numbered if state[key].ndim == 2]
    layers: list[nn.Module] = []
    present = width
    for _, key in numbered:
        weight, bias = state[key].float(), state.get(key.replace(".weight", ".bias"))
        if weight.shape[-1] != present or bias is None or bias.shape != weight.shape[:1]:
            raise _refuse(path, f"{key} {list(weight.shape)} for width {width} after a layer {present} wide")
        layer: nn.Module
        if weight.ndim == 2:
            layer = nn.Linear(*weight.shape[::-1])
            present = weight.shape[0]
        else:
            layer = nn.LayerNorm(present)
        layer.load_state_dict({"weight": weight, "bias": bias.float()})
        layers.append(layer)
        if weight.ndim == 2 and (key != linears[-1] or activate_output):
            layers.append(ACTIVATIONS[activation]())
    if not linears or present != width:
        raise _refuse(path, f"a network of {len(linears)} layers from {width} to {present}")
    return nn.Sequential(*layers).eval().requires_grad_(False)


def _listed(widths: Any) -> str:
    return ", ".join(map(str, sorted(widths)))


def _refuse(path: Path, found: str) -> CheckpointError:
    return CheckpointError(path, found, "a hypernetwork as A1111's web UI saves them", "Choose another file.")
