"""diffusers folders: which files hold a component's weights, and what the configuration files say (models.md, 3)."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.diffusion.config import ConfigError, ModelConfig, Prediction, check_config
from engine.diffusion.tensorfile import CheckpointError, Entry, TensorFile, read_index

LONGEST_CONFIG = 2**20
LONGEST_INDEX = 2**23  # a UNet's index of shards has 60 KB
MOST_SHARDS = 100
PREDICTION_TYPES: Mapping[str, Prediction] = {"epsilon": "eps", "v_prediction": "v", "velocity": "v"}


def read_component(
    folder: Path, stem: str, variants: tuple[str, ...], pickled: str | None = None
) -> TensorFile | None:
    """The index of a component's weights, spread over shards or not; None when the folder holds none.

    stem: the file's name without variant and ending; pickled: the same for .bin files. Safetensors come before .bin,
    which is read weights-only; within each the variants in their order.
    """
    for name, ending in ((stem, ".safetensors"), (pickled or stem, ".bin")):
        for variant in variants:
            dotted = f".{variant}" if variant else ""
            if (path := folder / f"{name}{dotted}{ending}").is_file():
                return read_index(path)
            for index in (f"{name}{ending}.index{dotted}.json", f"{name}{ending}{dotted}.index.json"):
                if (path := folder / index).is_file():
                    return _read_shards(path)
    return None


def _read_shards(index: Path) -> TensorFile:
    """One index of the tensors in several files. The files are those beside it that it names, no others."""
    weight_map = _read_json(index, LONGEST_INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map or not all(isinstance(v, str) for v in weight_map.values()):
        raise CheckpointError(index, "no weight_map", "a table of shards", "Fetch the folder again.")
    names = sorted(set(weight_map.values()))
    if len(names) > MOST_SHARDS or not all(re.fullmatch(r"[\w.-]+", name) and name[0] != "." for name in names):
        raise CheckpointError(index, "shards that are no files beside it", "plain file names", "Do not trust it.")
    files = [read_index(index.parent / name) for name in names]
    entries: dict[str, Entry] = {}
    shard_of: dict[str, int] = {}
    for key, name in weight_map.items():
        number = names.index(name)
        if key not in files[number].entries:
            raise CheckpointError(index, f"{key!r}, which {name} does not hold", "whole shards", "Fetch them again.")
        entries[key], shard_of[key] = files[number].entries[key], number
    first = files[0]
    shards = tuple((file.path, file.stamp) for file in files[1:])
    return TensorFile(first.path, first.stamp, entries, first.metadata, shards, shard_of)


def adjust_to_folder(folder: Path) -> tuple[Callable[[ModelConfig], ModelConfig], Prediction | None]:
    """What the folder's configuration files change in a family's configuration, and eps or v where they say it.

    CheckpointError for a process or a prediction that SD 1.x and 2.x do not have.
    """
    path = folder / "scheduler" / "scheduler_config.json"
    scheduler = _read_json(path, LONGEST_CONFIG) if path.is_file() else {}
    vae_path = folder / "vae" / "config.json"
    vae = _read_json(vae_path, LONGEST_CONFIG) if vae_path.is_file() else {}

    def refuse(found: str, wanted: str) -> CheckpointError:
        return CheckpointError(path, found, wanted, "Easel runs SD 1.x and 2.x models only.")

    said: Prediction | None = None
    if scheduler:
        kind = scheduler.get("prediction_type", "epsilon")  # files from before velocity do not say
        if not isinstance(kind, str) or kind not in PREDICTION_TYPES:
            raise refuse(f"prediction_type {str(kind)[:40]!r}", "epsilon or v_prediction")
        said = PREDICTION_TYPES[kind]
        betas = scheduler.get("beta_schedule", "scaled_linear")
        if betas != "scaled_linear" or scheduler.get("trained_betas") is not None:
            raise refuse(f"beta_schedule {str(betas)[:40]!r}", "scaled_linear without trained_betas")

    def adjust(config: ModelConfig) -> ModelConfig:
        old = config.schedule
        try:
            schedule = replace(
                old,
                steps=int(scheduler.get("num_train_timesteps", old.steps)),
                beta_start=float(scheduler.get("beta_start", old.beta_start)),
                beta_end=float(scheduler.get("beta_end", old.beta_end)),
                zero_snr=old.zero_snr or scheduler.get("rescale_betas_zero_snr") is True,
            )
            scale = float(vae.get("scaling_factor", config.vae.scale_factor))
            found = replace(config, schedule=schedule, vae=replace(config.vae, scale_factor=scale))
            check_config(found)
        except (ConfigError, TypeError, ValueError, OverflowError) as error:
            raise refuse(f"a value that cannot be ({error})", "the model's own configuration") from None
        return found

    return adjust, said


def _read_json(path: Path, longest: int) -> dict[str, Any]:
    def refuse(found: str) -> CheckpointError:
        return CheckpointError(path, found, "a JSON object", "Fetch the folder again.")

    if (size := path.stat().st_size) > longest:
        raise refuse(f"{size} bytes (at most {longest} are read)")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise refuse(f"something else ({type(error).__name__})") from None
    if not isinstance(data, dict):
        raise refuse(f"a {type(data).__name__}")
    return data
