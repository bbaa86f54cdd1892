"""Textual-inversion files: words that were learned, as rows of the text encoder's token embedding (models.md, 7.2)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.config import TextConfig
from engine.diffusion.tensorfile import CheckpointError, open_tensors, read_index, read_pickle

ENDINGS = ("", ".safetensors", ".pt", ".bin")  # tried in this order behind the name in a prompt
MOST_ROWS = 750  # ten chunks of a prompt; published ones have 1 to 75
LARGEST_FILE = 2**26
BUNDLED = ("bundle_emb.", ".string_to_param.")


def read_embedding(path: Path, config: TextConfig) -> Tensor:
    """The rows (n, width) that a file has for a text encoder, float32; of another width if that is all it holds.

    Raises CheckpointError for anything that is no textual inversion, and for pickles that are more than weights.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise _refuse(path, f"{size} bytes (at most {LARGEST_FILE} are read)")
    if path.suffix.lower() == ".safetensors":
        names = list(read_index(path).entries)
        with open_tensors(path) as get:
            data: Any = {name: get(name).clone() for name in names}
    else:
        data = read_pickle(path, (torch.nn.ParameterDict,))
    rows = _rows(data, config)
    if rows is None or not rows.is_floating_point() or rows.ndim not in (1, 2) or not rows.numel():
        raise _refuse(path, "no rows of a token embedding")
    rows = rows.detach().float().reshape(-1, rows.shape[-1])
    if len(rows) > MOST_ROWS:
        raise _refuse(path, f"{len(rows)} rows (at most {MOST_ROWS} are read)")
    if not bool(torch.isfinite(rows).all()):
        raise _refuse(path, "values that are no numbers")
    return rows


def find_embedding(name: str, offered: Iterable[str]) -> str | None:
    """The offered file that `embedding:NAME` means: its path below the folder or its bare name, with or without ending.

    >>> find_embedding("cat", ["animals/cat.pt", "cat.safetensors"])
    'cat.safetensors'
    """
    files = list(offered)
    for ending in ENDINGS:
        wanted = name + ending
        for file in files:
            if wanted in (file, file.rpartition("/")[2]):
                return file
    return None


def _rows(data: Any, config: TextConfig) -> Tensor | None:
    """The tensor in whatever a trainer wrote: numerics.md, 6.3."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, list):
        tensors = [t for each in data if isinstance(each, Mapping) for t in _tensors(each)]
        fitting = [t.reshape(-1, t.shape[-1]) for t in tensors if t.ndim and t.shape[-1] == config.width]
        return torch.cat(fitting) if fitting else None
    if not isinstance(data, Mapping):
        return None
    if "string_to_param" in data:
        inner = data["string_to_param"]
        return next(iter(_tensors(inner)), None) if hasattr(inner, "values") else None
    if isinstance(found := data.get(config.embedding_key), Tensor):
        return found
    bundled = [
        tensor for key, tensor in data.items()
        if isinstance(key, str) and isinstance(tensor, Tensor) and key.startswith(BUNDLED[0]) and BUNDLED[1] in key
    ]  # fmt: skip
    if bundled:
        return torch.cat([tensor.reshape(-1, tensor.shape[-1]) for tensor in bundled])
    return next(iter(_tensors(data)), None)


def _tensors(data: Any) -> list[Tensor]:
    return [value for value in data.values() if isinstance(value, Tensor)]


def _refuse(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        path, found, "a textual inversion: a few rows as wide as the text encoder", "Choose another file."
    )
