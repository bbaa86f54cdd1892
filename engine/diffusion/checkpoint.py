"""Weight files: from a file or a folder to a configuration, and from that to networks with weights.

`open_checkpoint`, `open_folder`, `open_unet`, `open_vae` and `open_text` read indices only and find every missing or
misshapen key; `load_unet`, `load_vae` and `load_text` build a network on the meta device and fill it strictly.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from engine.diffusion.config import PRESETS, ModelConfig, Prediction, TextConfig, UNetConfig, VaeConfig
from engine.diffusion.fast import Packer
from engine.diffusion.fingerprint import TEXT_FAMILIES, VAE_FAMILIES, other_family, other_kind
from engine.diffusion.folder import adjust_to_folder, read_component
from engine.diffusion.identify import config_in_metadata, find_config
from engine.diffusion.keys import (
    EMA,
    IGNORED,
    TEXT_EMBEDDING,
    TEXT_LAYER,
    TEXT_NAMINGS,
    TEXT_PROJECTION,
    UNET,
    UNET_NAMINGS,
    VAE_LEVEL,
    VAE_NAMINGS,
    WHOLE_TEXT_NAMINGS,
    Naming,
    Source,
    ema_source,
    naming_of,
)
from engine.diffusion.meta import on_meta
from engine.diffusion.tensorfile import (
    CheckpointError,
    Entry,
    Place,
    Reader,
    Stamp,
    TensorFile,
    check_numbers,
    open_tensors,
    read_index,
    stamp,
)
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae

__all__ = [
    "Changes", "Checkpoint", "CheckpointError", "CompanionConfig", "Part", "Source", "Weights", "describe",
    "load_companion", "load_text", "load_unet", "load_vae", "open_checkpoint", "open_folder", "open_text", "open_unet",
    "open_vae", "reading", "shapes", "skeleton", "stored",
]  # fmt: skip

Component = Literal["unet", "vae", "text", "companion", "control", "foreign"]
Choice = Literal["model", "ema"]


class CompanionConfig(Hashable, Protocol):
    """The sizes of a network that stands beside a model (image encoder, depth, upscaler), a frozen dataclass."""

    def build(self) -> nn.Module:
        """The network with these sizes; called on the meta device, so it may hold no buffers but those in files."""


NetConfig = UNetConfig | VaeConfig | TextConfig | CompanionConfig

WEIGHT_TYPES = {"F64", "F32", "F16", "BF16"}
NAMED = 12  # how many keys a message names; CheckpointError.problems has all

M = TypeVar("M", bound=nn.Module)
Changes = Mapping[str, Callable[[Tensor], Tensor]]
"""Parameter name → what makes the patched weight of the original one, both float32."""
NO_CHANGES: Changes = MappingProxyType({})
NO_TENSORS: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Weights:
    """One network's weights as a description: nothing is in memory yet.

    mapping pairs each parameter of the module with its source; nbytes is the size in the files. shards are the files
    after the first, where the weights are spread over several.
    """

    path: Path
    stamp: Stamp
    component: Component
    config: NetConfig
    mapping: tuple[tuple[str, Source], ...]
    nbytes: int
    shards: tuple[tuple[Path, Stamp], ...] = ()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checked model. `ignored` are known leftovers; `unexpected` keys are reported but harm nothing.

    guess: what to tell the user if eps or v was guessed.
    """

    path: Path
    config: ModelConfig
    unet: Weights
    vae: Weights | None
    text: Weights | None
    ignored: tuple[str, ...]
    unexpected: tuple[str, ...]
    metadata: Mapping[str, str]
    guess: str | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """One network alone, and the configuration of the family it is made for. guess: as in `Checkpoint`."""

    weights: Weights
    config: ModelConfig
    unexpected: tuple[str, ...]
    guess: str | None = None


def open_checkpoint(
    path: Path | str,
    config: ModelConfig | None = None,
    *,
    prediction: Prediction | None = None,
    weights: Choice = "model",
    sidecar: Path | None = None,
) -> Checkpoint:
    """Read a single file's index and decide what it is.

    config: wins over what the file, its sidecar or its shapes say. prediction: wins over all else about eps or v.
    weights: "ema" takes the averaged copy of the UNet that full training files hold. sidecar: a configuration file to
    read instead of the one beside the checkpoint.
    Raises CheckpointError: unreadable, another kind of file, undecidable eps or v, missing or misshapen keys.
    """
    file = read_index(Path(path))
    _refuse_other_families(file)
    if UNET + "input_blocks.0.0.weight" not in file.entries:
        kind, move = other_kind(file.entries) or ("no UNet", "Choose a file that holds a whole model.")
        raise CheckpointError(file.path, kind, "a checkpoint", move)
    identified = find_config(file, _without(UNET, file.entries), config, prediction, sidecar)
    model = identified.config

    problems: list[str] = []
    if weights == "ema" and not any(name.startswith(EMA + "diffusion_model") for name in file.entries):
        raise CheckpointError(file.path, "no EMA weights", "model_ema.* keys", "Choose the ordinary weights.")
    sources = {name: ema_source(name) if weights == "ema" else Source(UNET + name) for name in shapes(model.unet)}
    unet = _describe(file, "unet", model.unet, sources, problems)
    vae = text = None
    if _any(file, VAE_NAMINGS[0].prefix + "decoder."):
        vae = _spelled(file, "vae", model.vae, VAE_NAMINGS[0], problems)
    if naming := _whole_text_naming(file, model.text):
        model = replace(model, text=_fitted_text(file, model.text, naming))
        text = _spelled(file, "text", model.text, naming, problems)
    _refuse(file.path, problems, f"family {model.family}")

    rest = _unused(file, (unet, vae, text))
    ignored = tuple(name for name in rest if _is_ignored(name, weights))
    unexpected = tuple(name for name in rest if not _is_ignored(name, weights))
    return Checkpoint(file.path, model, unet, vae, text, ignored, unexpected, file.metadata, identified.guess)


def open_folder(
    path: Path | str,
    config: ModelConfig | None = None,
    *,
    prediction: Prediction | None = None,
    variants: tuple[str, ...] = ("fp16", "", "bf16"),
) -> Checkpoint:
    """Read the indices of a diffusers folder: `unet`, and `vae` and `text_encoder` where they are (models.md, 3).

    variants: the kinds of weights in order of preference, "" the plain ones; fp16 first is ComfyUI's order. eps or v,
    the betas and the VAE's scale are what the folder's configuration files say, unless `prediction` says otherwise.
    """
    path = Path(path)
    file = read_component(path / "unet", "diffusion_pytorch_model", variants)
    if file is None:
        raise CheckpointError(path, "no weights in unet/", "a diffusers folder", "Choose a folder with a whole model.")
    vae_file = read_component(path / "vae", "diffusion_pytorch_model", variants)
    text_file = read_component(path / "text_encoder", "model", variants, pickled="pytorch_model")
    settings, said = adjust_to_folder(path)
    identified = find_config(file, file.entries, config, prediction or said)
    model = settings(identified.config)

    problems: list[str] = []
    unet = _spelled(file, "unet", model.unet, _naming(file, UNET_NAMINGS, "a UNet"), problems)
    vae = text = None
    if vae_file is not None:
        vae = _spelled(vae_file, "vae", model.vae, _naming(vae_file, VAE_NAMINGS, "a VAE"), problems)
    if text_file is not None:
        naming = _naming(text_file, TEXT_NAMINGS, "a text encoder")
        model = replace(model, text=_fitted_text(text_file, model.text, naming))
        text = _spelled(text_file, "text", model.text, naming, problems)
    _refuse(path, problems, f"family {model.family}")
    rest = [
        f"{place}/{name}"
        for place, each, part in (("unet", file, unet), ("vae", vae_file, vae), ("text_encoder", text_file, text))
        if each is not None
        for name in _unused(each, (part,))
    ]
    ignored = tuple(name for name in rest if IGNORED.fullmatch(name.split("/", 1)[1]))
    unexpected = tuple(name for name in rest if name not in set(ignored))
    guess = f"{path.name} has no scheduler/scheduler_config.json. {identified.guess}" if identified.guess else None
    return Checkpoint(path, model, unet, vae, text, ignored, unexpected, file.metadata, guess)


def open_unet(
    path: Path | str,
    config: ModelConfig | None = None,
    *,
    prediction: Prediction | None = None,
    sidecar: Path | None = None,
) -> Part:
    """Read the index of a UNet alone, in published or diffusers names, or of a checkpoint, whose rest is left."""
    file = read_index(Path(path))
    _refuse_other_families(file)
    naming = _naming(file, UNET_NAMINGS, "a UNet")
    identified = find_config(file, _without(naming.prefix, file.entries), config, prediction, sidecar)
    model = identified.config
    problems: list[str] = []
    weights = _spelled(file, "unet", model.unet, naming, problems)
    _refuse(file.path, problems, f"family {model.family}")
    return Part(weights, model, _strangers(file, weights, naming), identified.guess)


def open_vae(path: Path | str, config: ModelConfig | None = None) -> Part:
    """Read the index of a VAE alone, in published or diffusers names, or of a checkpoint, whose rest is left."""
    file = read_index(Path(path))
    naming = _naming(file, VAE_NAMINGS, "a VAE")
    levels = {match[1] for name in file.entries if (match := VAE_LEVEL.match(name))}
    model = config or config_in_metadata(file) or PRESETS[VAE_FAMILIES.get(len(levels), "sd1")]
    problems: list[str] = []
    weights = _spelled(file, "vae", model.vae, naming, problems)
    _refuse(file.path, problems, f"family {model.family}")
    return Part(weights, model, _strangers(file, weights, naming))


def open_text(path: Path | str, config: ModelConfig | None = None) -> Part:
    """Read the index of a text encoder alone, in transformers' or OpenCLIP's names, or of a checkpoint.

    Its width tells SD 1.x's from SD 2.x's; CheckpointError for any other width.
    """
    file = read_index(Path(path))
    naming = _naming(file, TEXT_NAMINGS, "a text encoder")
    model = config or config_in_metadata(file)
    if model is None:
        shape = file.entries[naming.source(TEXT_EMBEDDING, file.entries).key].shape
        width = shape[-1] if shape else 0
        if width not in TEXT_FAMILIES:
            raise CheckpointError(
                file.path, f"a text encoder {width} wide", "CLIP-L (768) or OpenCLIP-H (1024)",
                "Choose the text encoder of an SD 1.x or 2.x model.",
            )  # fmt: skip
        model = PRESETS[TEXT_FAMILIES[width]]
    model = replace(model, text=_fitted_text(file, model.text, naming))
    problems: list[str] = []
    weights = _spelled(file, "text", model.text, naming, problems)
    _refuse(file.path, problems, f"family {model.family}")
    return Part(weights, model, _strangers(file, weights, naming))


def load_unet(
    weights: Weights,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    changes: Changes = NO_CHANGES,
    ready: Mapping[str, Tensor] = NO_TENSORS,
    *,
    packed: bool = False,
) -> UNet:
    """Build and fill the UNet. CheckpointError if the file changed since it was opened.

    changes: what adapters make of single weights. ready: tensors of another copy of this network, used where nothing
    changes them instead of reading them again. packed: in the layout of the compiled kernels (`fast.can_pack` says
    whether they are to be had); `ready` must then be of a packed copy.
    """
    assert isinstance(weights.config, UNetConfig)
    config = weights.config
    return _load(weights, lambda: UNet(config), dtype, torch.device(device), changes, ready, packed=packed)


def load_vae(
    weights: Weights,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    changes: Changes = NO_CHANGES,
    ready: Mapping[str, Tensor] = NO_TENSORS,
    *,
    packed: bool = False,
) -> Vae:
    """Build and fill the autoencoder: see `load_unet`."""
    assert isinstance(weights.config, VaeConfig)
    config = weights.config
    return _load(weights, lambda: Vae(config), dtype, torch.device(device), changes, ready, packed=packed)


def load_text(
    weights: Weights,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    changes: Changes = NO_CHANGES,
    ready: Mapping[str, Tensor] = NO_TENSORS,
    *,
    fp16_rounded: bool = True,
) -> TextEncoder:
    """Build and fill the text encoder: see `load_unet`.

    fp16_rounded: round every weight to float16 first, and after changes, as ComfyUI does on every device (numerics.md,
    6.1 and 8.2).
    """
    assert isinstance(weights.config, TextConfig)
    config = weights.config
    through = torch.float16 if fp16_rounded else None
    return _load(weights, lambda: TextEncoder(config), dtype, torch.device(device), changes, ready, through)


def load_companion(
    weights: Weights,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    changes: Changes = NO_CHANGES,
    ready: Mapping[str, Tensor] = NO_TENSORS,
    *,
    packed: bool = False,
) -> nn.Module:
    """Build and fill a network beside the model: see `load_unet`."""
    config = weights.config
    assert not isinstance(config, UNetConfig | VaeConfig | TextConfig)
    return _load(weights, config.build, dtype, torch.device(device), changes, ready, packed=packed)


def describe(
    file: TensorFile, config: CompanionConfig, source: Callable[[str], Source], kind: str,
    component: Component = "companion",
) -> Weights:
    """The description of a network beside the model. `source`: a parameter's name to its place in the file.

    Raises CheckpointError that names every key that is missing or misshapen; `kind` says what the file should hold.
    """
    problems: list[str] = []
    weights = _describe(file, component, config, {name: source(name) for name in shapes(config)}, problems)
    _refuse(file.path, problems, kind)
    return weights


@contextmanager
def reading(weights: Weights, passing: Collection[str] = ()) -> Iterator[Reader]:
    """A function from a parameter's name to its tensor: in the network's shape and the file's type, on the CPU.

    It may share memory with the file. passing: parameters that are read one after another, each good until the next one
    is asked for. Raises CheckpointError if a file changed since it was opened.
    """
    files = ((weights.path, weights.stamp), *weights.shards)
    for path, seen in files:
        if stamp(path) != seen:
            raise CheckpointError(path, "a file that changed", "the file that was opened", "Load it again.")
    sources = dict(weights.mapping)
    with ExitStack() as stack:
        get = [
            stack.enter_context(open_tensors(path, {sources[name].key for name in passing if sources[name].shard == n}))
            for n, (path, _) in enumerate(files)
        ]

        def read(name: str) -> Tensor:
            source = sources[name]
            tensor = get[source.shard](source.key)
            if source.rows is not None:
                tensor = tensor[slice(*source.rows)]
            if source.transpose:
                tensor = tensor.T
            if source.matrix:
                tensor = tensor[..., None, None]
            return tensor

        def place(name: str) -> Place | None:
            source = sources[name]
            as_it_is = source.rows is None and not source.transpose and not source.matrix
            return get[source.shard].place(source.key) if as_it_is else None

        yield Reader(read, place)


def _load(
    weights: Weights,
    build: Callable[[], M],
    dtype: torch.dtype,
    device: torch.device,
    changes: Changes,
    ready: Mapping[str, Tensor],
    through: torch.dtype | None = None,
    packed: bool = False,
) -> M:
    with on_meta():
        module = build()
    state: dict[str, Tensor] = {}
    packer = Packer(module) if packed else None
    with reading(weights, [name for name, _ in weights.mapping if name in changes or name not in ready]) as read:
        for name, _ in weights.mapping:
            change = changes.get(name)
            if change is None and name in ready:
                state[name] = ready[name]
                continue
            made = None
            if packer is not None and change is None and weights.component not in CHECKED:
                made = packer.packed_from(name, read.place(name))
            if made is None:
                tensor = checked(weights, name, read)
                if change or through:
                    tensor = stored(tensor, change, through or dtype)
                made = None if packer is None else packer.packed(name, tensor)
            if made is None:
                # copied, so that a later change of the mapped file cannot reach (or crash) a running model
                made = tensor.to(device, dtype, copy=True, memory_format=torch.contiguous_format)
            state[name] = made
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(False)


CHECKED: frozenset[Component] = frozenset({"control"})
"""Components that a picture is made without: of NaN in it nobody could tell which of a run's files it came from."""


def checked(weights: Weights, name: str, read: Reader) -> Tensor:
    """A parameter as it is read. Raises CheckpointError for numbers that are none in a component that is checked."""
    tensor: Tensor = read(name)
    if weights.component in CHECKED:
        source = dict(weights.mapping)[name]
        path = weights.shards[source.shard - 1][0] if source.shard else weights.path
        check_numbers(path, source.key, tensor)
    return tensor


def stored(tensor: Tensor, change: Callable[[Tensor], Tensor] | None, storage: torch.dtype) -> Tensor:
    """A weight of a file, changed, in the type it is kept in: arithmetic is float32, from what that type holds."""
    tensor = tensor.to(storage)
    return tensor if change is None else change(tensor.float()).to(storage)


def _any(file: TensorFile, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in file.entries)


def _without(prefix: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name.removeprefix(prefix): entry for name, entry in entries.items() if name.startswith(prefix)}


def _naming(file: TensorFile, namings: tuple[Naming, ...], wanted: str) -> Naming:
    if naming := naming_of(namings, file.entries):
        return naming
    kind, move = other_kind(file.entries) or ("no network that is known", "Choose another file.")
    raise CheckpointError(file.path, kind, wanted, move)


def _whole_text_naming(file: TensorFile, config: TextConfig) -> Naming | None:
    """The spelling of a checkpoint's text encoder; that of its family if only the mark is missing, to say so."""
    if naming := naming_of(WHOLE_TEXT_NAMINGS, file.entries):
        return naming
    family = WHOLE_TEXT_NAMINGS[:2] if config.layout == "clip" else WHOLE_TEXT_NAMINGS[2:]
    return next((naming for naming in family if _any(file, naming.prefix)), None)


def _fitted_text(file: TensorFile, config: TextConfig, naming: Naming) -> TextConfig:
    """The configuration without what SD 2.x files may lack and never use: the last layer, and the projection."""
    held = [naming.source(TEXT_LAYER.format(layer), {}).key in file.entries for layer in range(config.layers)]
    absent = config.layers - (held.index(False) if False in held else config.layers)
    if absent >= config.clip_skip or any(held[config.layers - absent :]):
        absent = 0  # a layer that is needed is missing, or one in between: an error that names its keys
    projected = config.project_pooled and naming.source(TEXT_PROJECTION, {}).key in file.entries
    return replace(config, absent_layers=absent, project_pooled=projected)


def _refuse_other_families(file: TensorFile) -> None:
    if family := other_family(file.entries):
        raise CheckpointError(
            file.path, family, "a Stable Diffusion 1.x or 2.x model", "Easel does not run this family."
        )


def _refuse(path: Path, problems: list[str], kind: str) -> None:
    if problems:
        more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise CheckpointError(
            path, "; ".join(problems[:NAMED]) + more, f"every weight of {kind}",
            "The file is incomplete, or its configuration is another: give the configuration, or fetch it again.",
            tuple(problems),
        )  # fmt: skip


def skeleton(config: NetConfig) -> nn.Module:
    """A network of this configuration on the meta device: its modules and shapes, without any memory."""
    with on_meta():
        match config:
            case UNetConfig():
                return UNet(config)
            case VaeConfig():
                return Vae(config)
            case TextConfig():
                return TextEncoder(config)
            case _:
                return config.build()


@lru_cache(maxsize=32)
def shapes(config: NetConfig) -> Mapping[str, tuple[int, ...]]:
    """Every parameter a network of this configuration has, without allocating any."""
    module = skeleton(config)
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _spelled(
    file: TensorFile, component: Component, config: NetConfig, naming: Naming, problems: list[str]
) -> Weights:
    sources = {name: naming.source(name, file.entries) for name in shapes(config)}
    return _describe(file, component, config, sources, problems)


def _describe(
    file: TensorFile,
    component: Component,
    config: NetConfig,
    sources: Mapping[str, Source],
    problems: list[str],
) -> Weights:
    """Pair every parameter with its key; what does not fit is added to `problems`."""
    wanted = shapes(config)
    for name, source in sources.items():
        entry = file.entries.get(source.key)
        if entry is None:
            problems.append(f"{source.key} is missing")
            continue
        shape = wanted[name][::-1] if source.transpose else wanted[name]
        if source.rows is not None:
            shape = (3 * shape[0], *shape[1:])  # q, k and v in one
        if source.matrix:
            shape = shape[:2]
        if entry.shape != shape:
            problems.append(f"{source.key} has shape {list(entry.shape)}, not {list(shape)}")
        elif entry.dtype not in WEIGHT_TYPES:
            problems.append(f"{source.key} is of type {entry.dtype}, not F32, F16 or BF16")
    problems[:] = list(dict.fromkeys(problems))  # the thirds of one OpenCLIP tensor are one problem
    keys = {source.key for source in sources.values()}
    nbytes = sum(file.entries[key].nbytes for key in keys if key in file.entries)
    mapping = tuple(
        (name, source._replace(shard=file.shard_of.get(source.key, 0))) for name, source in sources.items()
    )
    return Weights(file.path, file.stamp, component, config, mapping, nbytes, file.shards)


def _unused(file: TensorFile, parts: tuple[Weights | None, ...]) -> list[str]:
    used = {source.key for part in parts if part for _, source in part.mapping}
    return [name for name in file.entries if name not in used]


def _strangers(file: TensorFile, weights: Weights, naming: Naming) -> tuple[str, ...]:
    """Keys of the network's own prefix that nothing uses; the rest of a whole checkpoint is none of its business."""
    rest = _unused(file, (weights,))
    return tuple(name for name in rest if name.startswith(naming.prefix) and not IGNORED.fullmatch(name))


def _is_ignored(name: str, weights: Choice) -> bool:
    if name.startswith(EMA if weights == "model" else UNET):  # the copy that was not chosen
        return True
    return IGNORED.fullmatch(name) is not None
