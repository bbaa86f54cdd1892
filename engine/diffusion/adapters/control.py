"""Control networks from their files, and as patches on conditions (models.md, 7.4 and 7.5; numerics.md, 8.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from engine.diffusion.adapters.patches import LowRank, Merge, WeightPatch, low_rank_modules, product
from engine.diffusion.checkpoint import Weights, describe, shapes
from engine.diffusion.config import PRESETS, ModelConfig, UNetConfig
from engine.diffusion.control import SHRINK, ControlConfig, T2IConfig
from engine.diffusion.fingerprint import other_kind
from engine.diffusion.hooks import NO_HOOKS, Hooks, NetworkPatch, Pass, Run
from engine.diffusion.hooks import Control as Added
from engine.diffusion.identify import config_in_metadata
from engine.diffusion.keys import UNET_NAMINGS, Naming, Source, naming_of
from engine.diffusion.resize import common_upscale
from engine.diffusion.tensorfile import CheckpointError, Entry, TensorFile, read_index

POOLED_NAMES = re.compile(r".*_shuffle(_fp16)?")  # they average their residuals over the picture; only names say so
DIFFERENCE = "difference"  # the key that marks a file of differences to a UNet
LOW_RANK = "lora_controlnet"  # the key that marks one of low rank
HINT = "input_hint_block.0.weight"
NAMED = 5  # how many problems a message names
TEXT_KEY = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
LAST_OF_LEVELS = (2, 5, 8, 11)  # the encoder's blocks after which an adapter's four maps are added


@dataclass(frozen=True)
class Control:
    """A control network as a description. pooled: its residuals are averaged over the picture."""

    weights: Weights
    patches: tuple[WeightPatch, ...] = ()
    pooled: bool = False


# -- spellings ---------------------------------------------------------------------------------------------------


def _prefixed(prefix: str, mark: str) -> Naming:
    return Naming(prefix + mark, prefix, lambda name, _entries: Source(prefix + name))


def _diffusers_control(name: str, entries: Mapping[str, Entry]) -> Source:
    module, _, leaf = name.rpartition(".")
    if match := re.fullmatch(r"input_hint_block\.(\d+)", module):
        number = int(match[1]) // 2
        place = {0: "conv_in", 7: "conv_out"}.get(number, f"blocks.{number - 1}")
        return Source(f"controlnet_cond_embedding.{place}.{leaf}")
    if match := re.fullmatch(r"zero_convs\.(\d+)\.0", module):
        return Source(f"controlnet_down_blocks.{match[1]}.{leaf}")
    if module == "middle_block_out.0":
        return Source(f"controlnet_mid_block.{leaf}")
    return UNET_NAMINGS[2].source(name, entries)


def _diffusers_full(name: str, _entries: Mapping[str, Entry]) -> Source:
    if match := re.fullmatch(r"body\.(\d+)\.(.*)", name):
        level, part = divmod(int(match[1]), 2)
        rest = match[2] if match[2].startswith("in_conv") else f"resnets.{part}.{match[2]}"
        return Source(f"adapter.body.{level}.{rest}")
    return Source(f"adapter.{name}")


def _diffusers_light(name: str, _entries: Mapping[str, Entry]) -> Source:
    return Source("adapter." + re.sub(r"^(body\.\d+)\.body\.", r"\1.resnets.", name))


CONTROL_NAMINGS = (
    _prefixed("control_model.", HINT),
    _prefixed("", HINT),
    Naming("controlnet_cond_embedding.conv_in.weight", "", _diffusers_control),
)
FULL_NAMINGS = (
    Naming("adapter.body.0.resnets.0.block1.weight", "adapter.", _diffusers_full),
    _prefixed("", "body.0.block1.weight"),
)
LIGHT_NAMINGS = (
    Naming("adapter.body.0.resnets.0.block1.weight", "adapter.", _diffusers_light),
    _prefixed("", "body.0.body.0.block1.weight"),
)
OWN_PREFIXES = tuple(naming.prefix for naming in (*CONTROL_NAMINGS, *FULL_NAMINGS) if naming.prefix)


# -- opening -----------------------------------------------------------------------------------------------------


def open_control(path: Path, base: tuple[Weights, tuple[WeightPatch, ...]] | None = None) -> Control:
    """Read a ControlNet or a T2I-Adapter from its index, in any layout.

    base: a UNet and what is put on it, to which a file of differences or of low rank is added. Raises CheckpointError
    for another kind of file, missing or misshapen keys, and for such a file without a base.
    """
    file = read_index(path)
    if LOW_RANK in file.entries:
        return _of_low_rank(file, base)
    for namings, configure, called in (
        (CONTROL_NAMINGS, _control_config, "a ControlNet"), (FULL_NAMINGS, _full_config, "a T2I-Adapter"),
        (LIGHT_NAMINGS, _light_config, "a light T2I-Adapter"),
    ):  # fmt: skip
        naming = naming_of(namings, file.entries)
        config = configure(file, naming) if naming else None
        if naming is not None and config is not None:
            weights = describe(file, config, partial(_source, naming, file), called, "control")
            return _with_base(Control(weights, pooled=bool(POOLED_NAMES.fullmatch(path.stem))), file, base)
    kind, move = other_kind(file.entries) or ("no control network that is known", "Choose another file.")
    raise CheckpointError(path, kind, "a ControlNet or a T2I-Adapter for SD 1.x or 2.x", move)


def is_own_key(control: Control, key: str) -> bool:
    """Whether a key of its file is the control network's, used or not; whole files hold another model besides."""
    used = next(source.key for _, source in control.weights.mapping)
    prefix = next((prefix for prefix in OWN_PREFIXES if used.startswith(prefix)), "")
    return key.startswith(prefix) and key not in (DIFFERENCE, LOW_RANK) and not key.endswith((".up", ".down"))


def _source(naming: Naming, file: TensorFile, name: str) -> Source:
    return naming.source(name, file.entries)


def _with_base(control: Control, file: TensorFile, base: tuple[Weights, tuple[WeightPatch, ...]] | None) -> Control:
    if DIFFERENCE not in file.entries:
        return control
    if base is None:
        raise _needs_a_model(file)
    return replace(control, patches=(Merge(*base, (("", 1.0, 1.0),)),))


def _needs_a_model(file: TensorFile) -> CheckpointError:
    return CheckpointError(
        file.path, "differences to a model's weights", "a ControlNet of its own",
        "Load it with Load ControlNet Model (diff), which is given the model.",
    )  # fmt: skip


def _of_low_rank(file: TensorFile, base: tuple[Weights, tuple[WeightPatch, ...]] | None) -> Control:
    """A Control-LoRA (numerics.md, 8.1): a model's own encoder, to which products of low rank are added.

    What the file has whole, such as the layers that read the hint, is its own; all else is the model's.
    """
    if base is None:
        raise _needs_a_model(file)
    model, put = base
    unet, hint = model.config, file.entries.get(HINT)
    if not isinstance(unet, UNetConfig) or unet.in_channels != unet.out_channels:
        raise CheckpointError(
            file.path, f"a model that reads {getattr(unet, 'in_channels', 'no')} channels", "one that reads a latent",
            "Give it a model for text to image, not one for inpainting or depth.",
        )  # fmt: skip
    channels = hint.shape[1] if hint is not None and len(hint.shape) == 4 else 3
    config = ControlConfig(replace(unet, num_classes=None, adm_dim=None, concat="none"), channels)
    theirs, whole = dict(model.mapping), _beside(file, model)
    weights = describe(
        whole, config, lambda name: Source(name) if name in file.entries else theirs.get(name, Source(name)),
        "a Control-LoRA", "control",
    )  # fmt: skip
    _check_products(file, config)
    own = tuple((name, 1.0, 0.0) for name, _ in weights.mapping if name in file.entries)
    merged = (Merge(model, put, (("", 0.0, 1.0), *own)),) if put else ()
    return Control(weights, (*merged, LowRank(file.path, file.stamp)), bool(POOLED_NAMES.fullmatch(file.path.stem)))


def _beside(file: TensorFile, model: Weights) -> TensorFile:
    """The index of a file and of a model's files as of one; what both have is the file's."""
    shards = ((model.path, model.stamp), *model.shards)
    entries: dict[str, Entry] = {}
    shard_of: dict[str, int] = {}
    for number, (path, _) in enumerate(shards, 1):
        for key, entry in read_index(path).entries.items():
            entries[key], shard_of[key] = entry, number
    for key, entry in file.entries.items():
        entries[key], shard_of[key] = entry, 0
    return replace(file, entries=entries, shards=shards, shard_of=shard_of)


def _check_products(file: TensorFile, config: ControlConfig) -> None:
    wanted, problems = shapes(config), []
    for module in low_rank_modules(file):
        name, keys = f"{module}.weight", (f"{module}.up", f"{module}.down")
        found = [file.entries[key].shape for key in keys if key in file.entries]
        shown = ", ".join(f"{key} {list(shape)}" for key, shape in zip(keys, found, strict=False))
        if name not in wanted or len(found) < len(keys):
            wrong = f"without {keys[1]}" if name in wanted else f"for {name}, which this model does not have"
            problems.append(f"{shown} {wrong}")
            continue
        try:
            product(*(torch.empty(shape, device="meta") for shape in (*found, wanted[name])))
        except (RuntimeError, IndexError):
            problems.append(f"{shown} does not fit {name} {list(wanted[name])}")
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise CheckpointError(
            file.path, "; ".join(problems[:NAMED]) + more, "a Control-LoRA whose shapes fit this model",
            "Use it with a model of the family that it was made for.", tuple(problems),
        )  # fmt: skip


def _shape(file: TensorFile, naming: Naming, name: str) -> tuple[int, ...]:
    entry = file.entries.get(naming.source(name, file.entries).key)
    return entry.shape if entry is not None else ()


def _control_config(file: TensorFile, naming: Naming) -> ControlConfig:
    """The family is told by the text's width, or by a configuration in the file's metadata."""
    text, hint, first = (_shape(file, naming, name) for name in (TEXT_KEY, HINT, "input_blocks.0.0.weight"))
    model = config_in_metadata(file) or _family(file, text)
    unet = replace(
        model.unet, in_channels=first[1] if len(first) == 4 else model.unet.in_channels, num_classes=None, adm_dim=None,
        concat="none",
    )  # fmt: skip
    return ControlConfig(unet, hint[1] if len(hint) == 4 else 3)


def _family(file: TensorFile, text: tuple[int, ...]) -> ModelConfig:
    width = text[1] if len(text) == 2 else 0
    for name in ("sd1", "sd2-base"):
        if PRESETS[name].unet.context_dim == width:
            return PRESETS[name]
    raise CheckpointError(
        file.path, f"a ControlNet for texts {width} wide", "one for SD 1.x (768) or SD 2.x (1024)",
        "Choose one that was made for this family of models.",
    )  # fmt: skip


def _full_config(file: TensorFile, naming: Naming) -> T2IConfig | None:
    first = _shape(file, naming, "conv_in.weight")
    if len(first) != 4:
        return None
    firsts = [_shape(file, naming, f"body.{2 * level}.block1.weight") for level in range(4)]
    return T2IConfig(first[1] // SHRINK**2, tuple(shape[0] for shape in firsts if shape), 2, None)


def _light_config(file: TensorFile, naming: Naming) -> T2IConfig:
    first = _shape(file, naming, "body.0.in_conv.weight")
    outer = [_shape(file, naming, f"body.{level}.out_conv.weight") for level in range(4)]
    blocks = next(n for n in range(1, 100) if not _shape(file, naming, f"body.0.body.{n}.block1.weight"))
    channels = first[1] // SHRINK**2 if len(first) == 4 else 3
    return T2IConfig(
        channels, tuple(shape[0] for shape in outer if shape), blocks, tuple(shape[1] for shape in outer if shape)
    )


# -- applying ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ControlPatch(NetworkPatch):
    """A control network at work: its residuals are added in each pass between two parts of the run.

    hint: the picture (batch, channels, h, w) in 0..1, any size. text: (1, tokens, width) instead of the condition's.
    """

    shares: ClassVar[str] = "control"
    control: Control
    hint: Tensor
    strength: float
    start_percent: float = 0.0
    end_percent: float = 1.0
    text: Tensor | None = None

    def told(self, extra: Mapping[str, Any]) -> NetworkPatch:
        """With the condition's text for control networks, if it has one."""
        text = extra.get("cross_attn_controlnet")
        return self if text is self.text else replace(self, text=text)

    def hooks(self, moment: Pass) -> Hooks:
        """Nothing outside of its part of the run; otherwise what the network adds."""
        run = moment.run
        if run is None:
            raise LookupError("a control network works within a run, and this is a lone call")
        start, end = (run.table.percent_to_sigma(percent) for percent in (self.start_percent, self.end_percent))
        if not end <= float(moment.sigma) <= start:
            return NO_HOOKS
        network = run.networks(self.control.weights, self.control.patches)
        added = APPLY[type(self.control.weights.config)](self, network, moment, run)
        return Hooks(control=(added,))

    def picture(self, moment: Pass, run: Run, channels: int, dtype: torch.dtype) -> Tensor:
        """The hint as large as the latent of this pass wants it, one for each row, on its device (numerics.md, 8.1).

        Nearest neighbour and a crop in the middle; kept for the run.
        """
        height, width = (SHRINK * side for side in moment.x.shape[-2:])
        key = (ControlPatch, id(self.hint), height, width, channels)
        if key not in run.memory:
            hint = common_upscale(self.hint, width, height, "nearest-exact", "center")
            if channels == 1 and hint.shape[1] > 1:
                hint = hint.mean(dim=1, keepdim=True)
            if hint.shape[1] != channels:
                raise ValueError(
                    f"{self.control.weights.path.name} reads pictures of {channels} channels; found {hint.shape[1]}"
                )
            run.memory[key] = hint.to(moment.x.device, dtype)
        kept: Tensor = run.memory[key]
        return kept[rows_of(moment, len(kept))]

    def added(self, residual: Tensor) -> Tensor:
        """A residual at this patch's strength."""
        if self.control.pooled:
            residual = residual.mean(dim=(2, 3), keepdim=True).expand(residual.shape)
        return residual * self.strength


def dtype_of(network: Any) -> torch.dtype:
    """The type that a network computes in."""
    parameters = getattr(network, "parameters", None)
    first: Tensor | None = next(parameters(), None) if parameters is not None else None
    return first.dtype if first is not None else torch.float32


def rows_of(moment: Pass, count: int) -> list[int]:
    """Which of `count` pictures each row of a pass takes: in order, from the first again where there are fewer."""
    spans = moment.spans or ()
    rows = [(span.first + row) % count for span in spans for row in range(span.stop - span.start)]
    return rows or [row % count for row in range(len(moment.x))]


def _apply_control(patch: ControlPatch, network: Any, moment: Pass, run: Run) -> Added:
    config = patch.control.weights.config
    assert isinstance(config, ControlConfig)
    context = moment.context
    if patch.text is not None:
        context = patch.text.to(context.device, context.dtype).expand(len(context), -1, -1)
    if context.shape[-1] != config.unet.context_dim:
        raise ValueError(
            f"{patch.control.weights.path.name} was made for texts {config.unet.context_dim} wide; this model's are "
            f"{context.shape[-1]} wide: choose a ControlNet for its family"
        )
    dtype = dtype_of(network)  # the UNet's own may be another (ModelComputeDtype); residuals are cast where they go
    x = moment.x[:, : config.unet.in_channels].to(dtype)
    hint = patch.picture(moment, run, config.hint_channels, dtype)
    found = network(x, hint, moment.timestep, context.to(dtype))
    return Added(
        output={number: patch.added(residual) for number, residual in enumerate(found.skips)},
        middle=patch.added(found.middle),
    )


def _apply_t2i(patch: ControlPatch, network: Any, moment: Pass, run: Run) -> Added:
    """Its maps do not depend on the noise: they are made once for a size."""
    config = patch.control.weights.config
    assert isinstance(config, T2IConfig)
    picture = patch.picture(moment, run, config.in_channels, dtype_of(network))
    key = (T2IConfig, id(patch.hint), patch.control, tuple(picture.shape), tuple(moment.spans))
    if key not in run.memory:
        run.memory[key] = network(picture)
    maps = zip(LAST_OF_LEVELS, run.memory[key], strict=True)
    return Added(input={number: patch.added(each) for number, each in maps})


APPLY: Mapping[type, Callable[[ControlPatch, Any, Pass, Run], Added]] = {
    ControlConfig: _apply_control, T2IConfig: _apply_t2i,
}  # fmt: skip


def hint_of(pixels: Tensor) -> Tensor:
    """A picture as nodes have it (batch, h, w, channels) as a hint (batch, 3, h, w); transparency is left out."""
    return pixels[..., :3].movedim(-1, 1).contiguous().to(torch.float32)
