"""A checkpoint's configuration, from the most to the least explicit source; refused rather than guessed.

The order: what the caller says, `easel.config` in the file's metadata, the sidecar NAME.yaml of the original release,
the shapes. Whether the model predicts noise (eps) or velocity (v) is in no shape: models.md, 2.6. The names of the
published files, which come without anything that says it, say it too; of others one weight gives a hint, which is taken
and told of.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from engine.diffusion.config import (
    PRESETS,
    ConfigError,
    ModelConfig,
    Prediction,
    UNetConfig,
    check_config,
    config_from_json,
)
from engine.diffusion.fingerprint import FINGERPRINTS, Fingerprint, fingerprint
from engine.diffusion.tensorfile import CheckpointError, Entry, TensorFile, open_tensors

LONGEST_SIDECAR = 2**18
PREDICTION_NAMES: Mapping[str, Prediction] = {
    "epsilon": "eps", "eps": "eps", "v": "v", "velocity": "v", "v_prediction": "v",
}  # fmt: skip
ARCHITECTURES: Mapping[str, Prediction] = {
    "stable-diffusion-v1": "eps", "stable-diffusion-v1-inpainting": "eps", "stable-diffusion-v2-512": "eps",
    "stable-diffusion-v2-768-v": "v", "stable-diffusion-v2-depth": "eps", "stable-diffusion-v2-inpainting": "eps",
    "stable-diffusion-v2-unclip-l": "v", "stable-diffusion-v2-unclip-h": "v",
}  # fmt: skip
PUBLISHED: Mapping[str, Prediction] = {
    "512-base-ema": "eps", "v2-1_512-ema-pruned": "eps", "v2-1_512-nonema-pruned": "eps",
    "768-v-ema": "v", "v2-1_768-ema-pruned": "v", "v2-1_768-nonema-pruned": "v",
}  # fmt: skip


@dataclass(frozen=True)
class Identified:
    """A file's configuration, and what to tell the user of it if something was guessed."""

    config: ModelConfig
    guess: str | None = None


def find_config(
    file: TensorFile,
    unet: Mapping[str, Entry],
    config: ModelConfig | None,
    prediction: Prediction | None,
    chosen: Path | None = None,
) -> Identified:
    """The configuration of a file. `unet` are its entries with the UNet's prefix removed.

    chosen: an original configuration file that somebody chose; it wins over the metadata and the file's own sidecar.
    """
    if config is not None:
        return Identified(_predicting(config, prediction))
    found = config_in_metadata(file)
    if found is not None and chosen is None:
        return Identified(_predicting(found, prediction))
    sidecar = _read_sidecar(chosen or file.path.with_suffix(".yaml"), chosen is not None)
    if found is not None:
        config = _predicting(_adjusted(file, found, sidecar), prediction or _sidecar_prediction(sidecar))
        return Identified(config)
    said = prediction or _metadata_prediction(file) or _sidecar_prediction(sidecar) or _marker_prediction(file)
    if chosen is not None:
        said = prediction or _sidecar_prediction(sidecar)
    family = _family(file, unet, sidecar, said)
    found = _adjusted(file, family.config, sidecar)
    return replace(family, config=replace(found, schedule=replace(found.schedule, zero_snr="ztsnr" in file.entries)))


def config_in_metadata(file: TensorFile) -> ModelConfig | None:
    """The configuration that a file written by Easel carries, or None. CheckpointError if it cannot be read."""
    if (text := file.metadata.get("easel.config")) is not None:
        try:
            return config_from_json(text)
        except ConfigError as error:
            raise CheckpointError(
                file.path, f"easel.config in its metadata that cannot be read ({error})", "a configuration",
                "Give the configuration explicitly, or write the file again.",
            ) from None  # fmt: skip
    return None


def _predicting(config: ModelConfig, prediction: Prediction | None) -> ModelConfig:
    if prediction is None:
        return config
    return replace(config, schedule=replace(config.schedule, prediction=prediction))


def _family(
    file: TensorFile, unet: Mapping[str, Entry], sidecar: dict[str, Any] | None, said: Prediction | None
) -> Identified:
    mark = fingerprint(unet)
    families = FINGERPRINTS.get(mark, ()) if mark is not None else ()
    if not families and sidecar is not None:
        open_clip = "OpenCLIP" in str(_at(sidecar, "cond_stage_config", "target"))
        return Identified(_predicting(PRESETS["sd2-base" if open_clip else "sd1"], said or "eps"))
    if not families:
        raise CheckpointError(
            file.path, f"a UNet with {_show(mark)}", "a known family (" + ", ".join(PRESETS) + ")",
            "Give the configuration, or put the original NAME.yaml beside the file.",
        )  # fmt: skip
    if len(families) == 1:
        return Identified(_predicting(PRESETS[families[0]], said))
    said, guess = said or PUBLISHED.get(file.path.stem), None
    if said is None:
        said, guess = _guess_prediction(file)
    config = next(PRESETS[family] for family in families if PRESETS[family].schedule.prediction == said)
    return Identified(config, guess)


TELLING = (  # the end of its name, published and diffusers'
    "output_blocks.11.1.transformer_blocks.0.norm1.bias", "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias",
)  # fmt: skip
SPREAD_OF_V = 0.09  # above this the model predicts velocity


def _guess_prediction(file: TensorFile) -> tuple[Prediction, str | None]:
    """Eps or v by the spread of one bias, the last resort: ComfyUI's rule (numerics.md, 1.1; models.md, 2.6).

    Gives what to tell the user too, since fine-tunes drift. Raises CheckpointError where the bias tells nothing.
    """
    key = next((key for key in file.entries if key.endswith(TELLING)), None)
    if key is None or file.entries[key].shape != (PRESETS["sd2-base"].unet.model_channels,):
        return "eps", None  # whichever: the check of all keys and shapes is what refuses this file
    shard = file.shard_of.get(key, 0)
    with open_tensors(file.shards[shard - 1][0] if shard else file.path) as get:
        spread = float(get(key).float().std(correction=0))
    how = (
        f"put a file {file.path.stem}.yaml beside it with the line 'prediction: eps' (512-base models) or "
        "'prediction: v' (768-v models; wrongly chosen, v gives over-saturated noise and eps a brown mush), or the "
        "model's original yaml; or load it with Load Checkpoint With Config"
    )
    if not math.isfinite(spread):
        raise CheckpointError(
            file.path, "an SD 2.x model whose weights do not tell whether it predicts noise (eps) or velocity (v), as "
            f"{key} holds numbers that are not finite", "one of the two", f"{how[0].upper()}{how[1:]}.",
        )  # fmt: skip
    guess: Prediction = "v" if spread > SPREAD_OF_V else "eps"
    return guess, (
        f"{file.path.name} does not say whether it predicts noise (eps) or velocity (v). It is taken for {guess}, "
        f"since the standard deviation of {key} is {spread:.3f}: above {SPREAD_OF_V} is v, as in ComfyUI. That can be "
        f"wrong for fine-tunes and merges; to say which it is, {how}"
    )


def _show(mark: Fingerprint | None) -> str:
    if mark is None:
        return "too few keys to tell"
    return ", ".join(f"{name} {value}" for name, value in mark._asdict().items())


def _metadata_prediction(file: TensorFile) -> Prediction | None:
    said = PREDICTION_NAMES.get(file.metadata.get("modelspec.prediction_type", "").lower())
    architecture = file.metadata.get("modelspec.architecture", "").lower().split("/")[0]
    return said or ARCHITECTURES.get(architecture)


def _marker_prediction(file: TensorFile) -> Prediction | None:
    return "v" if "v_pred" in file.entries else None


def _sidecar_prediction(sidecar: dict[str, Any] | None) -> Prediction | None:
    if sidecar is None:
        return None
    return PREDICTION_NAMES[str(sidecar.get("parameterization", "eps"))]


class _PlainLoader(yaml.SafeLoader):
    """Safe yaml without aliases: nested, a few hundred bytes of them stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def _read_sidecar(path: Path, needed: bool = False) -> dict[str, Any] | None:
    """`model.params` of an original configuration file, or None when there is no such file.

    A file may also just say `prediction: eps` or `prediction: v`.
    """
    if not needed and not path.is_file():
        return None

    def refuse(found: str) -> CheckpointError:
        return CheckpointError(path, found, "the model's original yaml", "Correct it or move it away.")

    if not path.is_file():
        raise refuse("no such file")
    if (size := path.stat().st_size) > LONGEST_SIDECAR:
        raise refuse(f"{size} bytes")
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise refuse(f"something else than yaml ({type(error).__name__})") from None
    params = _at(data, "model", "params")
    if params is None and isinstance(data, dict) and "prediction" in data:
        params = {"parameterization": data["prediction"]}
    if not isinstance(params, dict):
        raise refuse("no model.params")
    if (said := str(params.get("parameterization", "eps"))) not in PREDICTION_NAMES:
        raise refuse(f"the prediction {said[:40]!r}, which is none of {', '.join(PREDICTION_NAMES)}")
    return params


def _at(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _adjusted(file: TensorFile, config: ModelConfig, sidecar: dict[str, Any] | None) -> ModelConfig:
    """The family's configuration with the numbers that the sidecar gives."""
    if sidecar is None:
        return config
    unet, dd = (
        _at(sidecar, "unet_config", "params") or {},
        _at(sidecar, "first_stage_config", "params", "ddconfig") or {},
    )
    try:
        schedule = replace(
            config.schedule,
            beta_start=float(sidecar.get("linear_start", config.schedule.beta_start)),
            beta_end=float(sidecar.get("linear_end", config.schedule.beta_end)),
        )
        vae = replace(
            config.vae,
            scale_factor=float(sidecar.get("scale_factor", config.vae.scale_factor)),
            channels=int(dd.get("ch", config.vae.channels)),
            channel_mult=tuple(int(mult) for mult in dd.get("ch_mult", config.vae.channel_mult)),
        )
        found = replace(config, unet=_sidecar_unet(config.unet, unet), vae=vae, schedule=schedule)
        check_config(found)
    except (ConfigError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(
            file.path.with_suffix(".yaml"), f"a value that cannot be ({error})", "the model's original yaml",
            "Correct it or move it away.",
        ) from None  # fmt: skip
    return found


def _sidecar_unet(config: UNetConfig, params: dict[str, Any]) -> UNetConfig:
    mult = params.get("channel_mult", config.channel_mult)
    if len(mult) != len(config.channel_mult):
        raise ConfigError(f"channel_mult has {len(mult)} levels, not {len(config.channel_mult)}")
    heads, head_dim = params.get("num_heads"), params.get("num_head_channels")
    return replace(
        config,
        in_channels=int(params.get("in_channels", config.in_channels)),
        model_channels=int(params.get("model_channels", config.model_channels)),
        channel_mult=(int(mult[0]), int(mult[1]), int(mult[2]), int(mult[3])),
        context_dim=int(params.get("context_dim", config.context_dim)),
        linear_projection=bool(params.get("use_linear_in_transformer", config.linear_projection)),
        num_heads=config.num_heads if heads is None and head_dim is None else _heads(heads),
        head_dim=config.head_dim if heads is None and head_dim is None else _heads(head_dim),
    )


def _heads(value: Any) -> int | None:
    """The original files write -1 for a number that the other of the two decides."""
    return None if value is None or int(value) < 0 else int(value)
