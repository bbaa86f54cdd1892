"""What a network needs besides its weights: estimated from shapes before it runs, corrected by what was measured.

A pass over the meta device computes nothing and allocates nothing, but makes the same tensors in the same order; how
many bytes of them live at once is counted from when each one's storage comes and goes. Attention is taken as fused.
Such a pass takes up to a second for a full-size network, so its result is kept by configuration, type and shape, in a
file too; and where a rough bound is well within the memory there is, no pass is made.

>>> from engine.diffusion.config import PRESETS
>>> round(bound_unet(PRESETS["sd1"].unet, torch.float16, 2, 64, 64) / 2**20)
432
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine.diffusion.config import TextConfig, UNetConfig, VaeConfig
from engine.diffusion.meta import on_meta
from engine.diffusion.strips import decoded_in_strips, moments_in_strips
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae

log = logging.getLogger(__name__)

UNET_MAPS = 64  # feature maps of the first width that live at once, at most: a bound, no estimate
VAE_MAPS = 16  # likewise, at the picture's size
TEXT_MAPS = 24  # of states, likewise
WORKSPACES = {"cpu": 2**62, "cuda": 64 * 2**20}  # that one convolution takes at most, by kind of device
KEPT = 2_000  # shapes in the file
COMPILER, COMPILER_NBYTES = "torch._dynamo", 72 * 2**20  # measured with torch 2.13


class Profile(NamedTuple):
    """What a pass needs besides weights and inputs, in bytes, and its leaf modules in the order they are called."""

    nbytes: int
    order: tuple[str, ...]


# -- the pass over the meta device ---------------------------------------------------------------------------------


def profile(module: nn.Module, run: Callable[[nn.Module], Any], kind: str) -> Profile:
    """Count the bytes that live at once while `run` is given the module, which is on the meta device.

    kind: "cpu" or "cuda": what single operations take for themselves differs.
    """
    order: dict[str, None] = {}
    hooks = [
        leaf.register_forward_pre_hook(lambda _module, _inputs, name=name: order.setdefault(name))
        for name, leaf in module.named_modules() if next(leaf.parameters(recurse=False), None) is not None
    ]
    live = _Live(kind, [*module.parameters(), *module.buffers()])
    try:
        with torch.no_grad(), _FusedAttention(), live:
            run(module)
    finally:
        for hook in hooks:
            hook.remove()
    return Profile(live.peak, tuple(order))


class _FusedAttention(TorchFunctionMode):
    """Attention that makes its result and nothing else, as the fused kernels do."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        q, _, v = args[:3]
        batch, heads, tokens = q.shape[:3]
        return q.new_empty((batch, tokens, heads, v.shape[-1])).transpose(1, 2)


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of storages that were made under it and have not gone."""

    def __init__(self, kind: str, there: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._kind = kind
        self._seen = {each.untyped_storage()._cdata for each in there}  # views of weights are nothing new

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor):
                self._add(each)
        self.peak = max(self.peak, self.now + self._workspace(func, args, result))
        return result

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, nbytes = storage._cdata, storage.nbytes()
        if key not in self._seen:
            self._seen.add(key)
            self.now += nbytes
            weakref.finalize(storage, self._gone, key, nbytes)

    def _gone(self, key: int, nbytes: int) -> None:
        self._seen.discard(key)
        self.now -= nbytes

    def _workspace(self, func: Any, args: Sequence[Any], result: Any) -> int:
        """What an operation takes for itself: convolutions bring all three tensors into a layout of their own."""
        if func is not torch.ops.aten.convolution.default:
            return 0
        wanted = sum(_nbytes(each) for each in (args[0], args[1], result))
        return min(wanted, WORKSPACES.get(self._kind, 0))


def _nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def profile_unet(
    config: UNetConfig, dtype: torch.dtype, rows: int, height: int, width: int, tokens: int = 77, kind: str = "cpu"
) -> Profile:
    """One call of the UNet: latents (rows, in channels, height, width) and texts (rows, tokens, context dim)."""

    def run(unet: nn.Module) -> Tensor:
        y = None
        if config.adm_dim is not None:
            y = torch.empty(rows, config.adm_dim, dtype=dtype, device="meta")
        elif config.num_classes is not None:
            y = torch.empty(rows, dtype=torch.int64, device="meta")
        x = torch.empty(rows, config.in_channels, height, width, dtype=dtype, device="meta")
        context = torch.empty(rows, tokens, config.context_dim, dtype=dtype, device="meta")
        made: Tensor = unet(x, torch.empty(rows, device="meta"), context, y)
        return made.float()

    return profile(_on_meta(lambda: UNet(config), dtype), run, kind)


def profile_vae(
    config: VaeConfig, dtype: torch.dtype, height: int, width: int, *, encoding: bool = False, strips: bool = False,
    kind: str = "cpu",
) -> Profile:
    """Decoding one latent of height × width, or encoding a picture of that size; whole or in strips."""

    def run(vae: nn.Module) -> Any:
        assert isinstance(vae, Vae)
        if encoding:
            pixels = torch.empty(1, config.in_channels, height, width, dtype=dtype, device="meta")
            return moments_in_strips(vae, pixels) if strips else vae.moments(pixels)
        latent = torch.empty(1, config.embed_dim, height, width, dtype=dtype, device="meta")
        made = decoded_in_strips(vae, latent) if strips else vae.decode(latent)
        return (made.float() + 1.0).div(2.0).clamp(0.0, 1.0)

    return profile(_on_meta(lambda: Vae(config), dtype), run, kind)


def profile_text(config: TextConfig, dtype: torch.dtype, chunks: int = 1, kind: str = "cpu") -> Profile:
    """Encoding chunks of a prompt."""

    def run(encoder: nn.Module) -> Any:
        assert isinstance(encoder, TextEncoder)
        tokens = torch.empty(chunks, config.max_length, dtype=torch.int64, device="meta")
        embedded = encoder.transformer.embeddings.token_embedding(tokens)
        return encoder.transformer(embedded, 1)

    return profile(_on_meta(lambda: TextEncoder(config), dtype), run, kind)


def _on_meta(build: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    with on_meta():
        return build().to(dtype).eval().requires_grad_(False)


# -- bounds: never less than what a pass counts ---------------------------------------------------------------------


def bound_unet(config: UNetConfig, dtype: torch.dtype, rows: int, height: int, width: int) -> int:
    """More bytes than a call takes."""
    largest = 9 * 2 * config.widths[-1] ** 2 * dtype.itemsize  # the weight of a convolution, in a layout of its own
    return rows * height * width * config.widths[0] * dtype.itemsize * UNET_MAPS + 2 * largest


def bound_vae(config: VaeConfig, dtype: torch.dtype, height: int, width: int) -> int:
    """More bytes than decoding to, or encoding, a picture of this size takes."""
    inner = height * width // config.downscale**2 * config.channels * config.channel_mult[-1]
    return (height * width * config.channels + inner) * dtype.itemsize * VAE_MAPS


def need_of_text(config: TextConfig, dtype: torch.dtype, chunks: int = 4) -> int:
    """More bytes than encoding so many chunks of a prompt takes."""
    return chunks * config.max_length * config.width * max(4, dtype.itemsize) * TEXT_MAPS


# -- what was counted and measured, kept ----------------------------------------------------------------------------


@dataclass(slots=True)
class Cost:
    """Of one shape: what a pass over the meta device counted, and the most that was measured."""

    counted: int
    measured: int = 0

    @property
    def nbytes(self) -> int:
        """What to reckon with."""
        return max(self.counted, self.measured)


class Costs:
    """Needs by configuration, type and shape. Any thread may ask.

    room: called with the bytes that are about to be taken by counting itself.
    """

    def __init__(self, kind: str = "cpu", file: Path | None = None) -> None:
        self.kind = kind
        self.passes = 0  # made over the meta device
        self.room: Callable[[int], Any] = lambda nbytes: None
        self._file = file
        self._lock = threading.Lock()
        self._known: dict[str, Cost] = {}
        self._orders: dict[str, tuple[str, ...]] = {}
        self._changed = False
        if file is not None and file.is_file():
            self._read(file)

    def unet(self, config: UNetConfig, dtype: torch.dtype, rows: int, height: int, width: int, tokens: int = 77) -> int:
        """Bytes that one call of this many rows takes."""
        key = _key("unet", config, dtype, rows, height, width, tokens)
        return self._cost(key, lambda: profile_unet(config, dtype, rows, height, width, tokens, self.kind))

    def vae(
        self, config: VaeConfig, dtype: torch.dtype, height: int, width: int, *, encoding: bool = False,
        strips: bool = False,
    ) -> int:
        """Bytes that decoding a latent of this size takes, or encoding a picture; whole or in strips."""
        key = _key("encode" if encoding else "decode", config, dtype, height, width, *(["strips"] if strips else []))
        return self._cost(
            key,
            lambda: profile_vae(config, dtype, height, width, encoding=encoding, strips=strips, kind=self.kind),
        )

    def order(self, config: Any) -> tuple[str, ...]:
        """The leaf modules of a network in the order in which they are called; nothing where no pass is known."""
        key = _key("order", config)
        if key not in self._orders:
            self._begin()
            made: list[str] = []
            if isinstance(config, UNetConfig):
                made += profile_unet(config, torch.float32, 1, 16, 16, kind=self.kind).order
            elif isinstance(config, VaeConfig):
                for encoding in (True, False):
                    side = 4 * config.downscale if encoding else 4
                    made += profile_vae(config, torch.float32, side, side, encoding=encoding, kind=self.kind).order
            elif isinstance(config, TextConfig):
                made += profile_text(config, torch.float32, kind=self.kind).order
            self._orders[key] = tuple(made)
        return self._orders[key]

    def measured(self, what: str, config: Any, dtype: torch.dtype, *shape: int, nbytes: int) -> None:
        """Note what a pass took. It only ever raises an estimate; of shapes nobody asked for nothing is kept."""
        with self._lock:
            known = self._known.get(_key(what, config, dtype, *shape))
            if known is not None and nbytes > known.nbytes:
                known.measured = nbytes
                self._changed = True

    def flush(self) -> None:
        """Write what is new to the file."""
        with self._lock:
            if self._file is None or not self._changed:
                return
            self._changed = False
            rows = dict(list(self._known.items())[-KEPT:])
            text = json.dumps({"torch": str(torch.__version__), "kind": self.kind,
                               "costs": {key: asdict(cost) for key, cost in rows.items()}})
        part = self._file.with_suffix(".part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text)
            part.replace(self._file)
        except OSError as error:
            log.warning("%s cannot be written, so what was measured is not kept: %s", self._file, error)

    def _cost(self, key: str, count: Callable[[], Profile]) -> int:
        with self._lock:
            known = self._known.get(key)
        if known is None:
            self._begin()
            counted = count().nbytes
            with self._lock:
                self.passes += 1
                known = self._known.setdefault(key, Cost(counted))
                self._changed = True
        return known.nbytes

    def _begin(self) -> None:
        """Make room for what the first pass over the meta device brings with it: torch imports its compiler."""
        if COMPILER not in sys.modules:
            self.room(COMPILER_NBYTES)

    def _read(self, file: Path) -> None:
        try:
            data = json.loads(file.read_text())
            if data["torch"] == str(torch.__version__) and data["kind"] == self.kind:
                self._known = {
                    str(key): Cost(int(each["counted"]), int(each["measured"])) for key, each in data["costs"].items()
                }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s cannot be read and is begun anew: %s", file, error)


def _key(what: str, config: Any, *rest: Any) -> str:
    return blake2b(repr((what, config, *rest)).encode(), digest_size=12).hexdigest()
