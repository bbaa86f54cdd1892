"""Networks to one safetensors file, tensor by tensor: nothing is held in memory but the one that is written.

Weights that nothing changed keep the file's own type and bytes; patched ones come in the type that the network is kept
in, so that the saved file loads as the patched network, bit for bit.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.adapters.hypernetwork import Hypernetwork
from engine.diffusion.adapters.patches import Lora, Merge, Multiply, WeightPatch, changes
from engine.diffusion.checkpoint import Weights, reading, shapes, stored
from engine.diffusion.config import ModelConfig, TextConfig, check_config, config_to_json
from engine.diffusion.keys import TEXT_NAMINGS, UNET, VAE, Source, open_clip_naming
from engine.diffusion.tensorfile import TYPE_NAMES, Entry

ALIGNMENT = 8  # the data begins at a multiple of it


@dataclass(frozen=True, eq=False)
class Saving:
    """A network to be written. spell: a parameter's name to its place in the file; storage: what it is kept in."""

    weights: Weights
    patches: tuple[WeightPatch, ...]
    storage: torch.dtype
    spell: Callable[[str], Source]


@dataclass(frozen=True, eq=False)
class Entering:
    """A tensor of the file to be: its type, its shape, and what makes it when its turn comes."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    make: Callable[[], Tensor]


def as_unet(name: str) -> Source:
    """The UNet's place in a single file (models.md, 2.1)."""
    return Source(UNET + name)


def as_vae(name: str) -> Source:
    """The autoencoder's place in a single file."""
    return Source(VAE + name)


def as_vae_alone(name: str) -> Source:
    """In a file of its own: the published names without their prefix."""
    return Source(name)


def as_text(config: TextConfig) -> Callable[[str], Source]:
    """The text encoder's place in a single file: as its family is published (models.md, 2.4)."""
    if config.layout == "clip":
        return lambda name: TEXT_NAMINGS[0].source(name, {})
    prefix = "cond_stage_model.model."
    entries = {f"{prefix}ln_final.weight": Entry((config.width,), "F32")}
    naming = open_clip_naming(prefix)
    return lambda name: naming.source(name, entries)


def as_text_alone(name: str) -> Source:
    """In a file of its own: transformers' names, whatever the family."""
    return TEXT_NAMINGS[4].source(name, {})


def write_networks(
    path: Path, networks: Sequence[Saving], metadata: Mapping[str, str],
    on_tensor: Callable[[int, int], None] = lambda done, total: None,
) -> None:  # fmt: skip
    """Write networks to a new file. on_tensor: told how many tensors are written, of how many; may raise to stop.

    Raises CheckpointError if a file that something comes from changed.
    """
    with ExitStack() as stack:
        entries: dict[str, Entering] = {}
        for network in networks:
            entries.update(_entries(network, stack))
        write_entries(path, entries, metadata, on_tensor)


def write_entries(
    path: Path, entries: Mapping[str, Entering], metadata: Mapping[str, str],
    on_tensor: Callable[[int, int], None] = lambda done, total: None,
) -> None:  # fmt: skip
    """Write a safetensors file in sorted order, each tensor made when its turn comes."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset, names = 0, sorted(entries)
    for name in names:
        entry = entries[name]
        end = offset + torch.Size(entry.shape).numel() * entry.dtype.itemsize
        header[name] = {
            "dtype": TYPE_NAMES[entry.dtype], "shape": list(entry.shape), "data_offsets": [offset, end],
        }  # fmt: skip
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for done, name in enumerate(names, 1):
            entry = entries[name]
            tensor = entry.make()
            assert (tensor.dtype, tuple(tensor.shape)) == (entry.dtype, entry.shape), name
            file.write(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
            on_tensor(done, len(names))


def _entries(network: Saving, stack: ExitStack) -> Iterator[tuple[str, Entering]]:
    read = stack.enter_context(reading(network.weights))
    made = stack.enter_context(changes(network.weights, network.patches, network.storage))
    wanted = shapes(network.weights.config)
    pieces: dict[str, list[tuple[Source, str]]] = {}
    for name in wanted:
        source = network.spell(name)
        pieces.setdefault(source.key, []).append((source, name))
    for key, parts in pieces.items():
        parts.sort(key=lambda part: part[0].rows or (0, 0))
        names = [name for _, name in parts]
        patched = any(name in made for name in names)
        dtype = network.storage if patched else read(names[0]).dtype
        turned = parts[0][0].transpose
        shape = list(wanted[names[0]])[:: -1 if turned else 1]
        shape[0:1] = [shape[0] * len(parts)] if len(parts) > 1 else shape[0:1]

        def make(
            names: list[str] = names, dtype: torch.dtype = dtype, turned: bool = turned, patched: bool = patched
        ) -> Tensor:
            tensors = [stored(read(name), made.get(name), dtype) if patched else read(name) for name in names]
            tensor = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
            return tensor.T if turned else tensor

        yield key, Entering(dtype, tuple(shape), make)


def is_in_weights(patch: Any) -> bool:
    """Whether what a patch does to a model is in a file of its weights."""
    return isinstance(patch, WeightPatch) and not isinstance(patch, Hypernetwork)


def model_metadata(config: ModelConfig, recipe: Mapping[str, Any]) -> dict[str, str]:
    """What a saved model says of itself: its configuration, eps or v, and what it was made of.

    Raises ConfigError for parts that do not belong together, such as a text encoder of another width.
    """
    check_config(config)
    return {
        "format": "pt", "easel.config": config_to_json(config), "easel.recipe": json.dumps(recipe),
        "modelspec.sai_model_spec": "1.0.0", "modelspec.implementation": "sgm",
        "modelspec.prediction_type": "v" if config.schedule.prediction == "v" else "epsilon",
    }  # fmt: skip


def lora_metadata(recipe: Mapping[str, Any]) -> dict[str, str]:
    """What an extracted adapter says of itself."""
    return {"format": "pt", "easel.recipe": json.dumps(recipe)}


def recipe_of(weights: Weights, patches: Sequence[WeightPatch]) -> dict[str, Any]:
    """What a network was made of, as plain data: file names, strengths and ratios; no folders."""
    return {"file": weights.path.name, "patches": [_ingredient(patch) for patch in patches]}


def _ingredient(patch: WeightPatch) -> dict[str, Any]:
    match patch:
        case Lora():
            return {"adapter": patch.path.name, "strength": patch.strength}
        case Merge():
            return {"merge": recipe_of(patch.other, patch.patches), "ratios": [list(row) for row in patch.ratios]}
        case Multiply():
            return {"multiply": patch.pattern, "factor": patch.factor}
        case _:
            return {"patch": type(patch).__name__}
