"""Values at the border of a pack's node: one pair of functions per socket type.

Inside Easel values are immutable and typed; a pack sees ComfyUI's tensors, dictionaries and lists. Keys that Easel
does not know travel along in ``extra``. A socket type that is not in the table is not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from engine.comfy.facades import ClipFacade, ClipVisionFacade, ClipVisionOutputFacade, ModelFacade, VaeFacade
from engine.comfy.guiders import guider_in, guider_out
from engine.comfy.samplers import sampler_in, sampler_out
from engine.diffusion.guidance import Area, AreaPart, Condition
from engine.diffusion.sampling import seed_noise
from engine.graph.types import (
    Blocker,
    Clip,
    ClipVision,
    ClipVisionOutput,
    Conditioning,
    Guider,
    Image,
    Latent,
    LatentOperation,
    Mask,
    Model,
    Noise,
    Sampler,
    Sigmas,
    TimestepsRange,
    Vae,
)


class ExecutionBlocker:
    """What a pack returns in the place of a value that it withholds."""

    def __init__(self, message: str | None) -> None:
        self.message = message


class Pair(NamedTuple):
    """How values of a socket type leave Easel and come back."""

    native: type
    outwards: Callable[[Any], Any]
    inwards: Callable[[Any], Any]


def image_in(pixels: Any) -> Image:
    """A tensor (batch, height, width, channels), or one picture, as Image. Raises TypeError for anything else."""
    if not isinstance(pixels, torch.Tensor) or pixels.dim() not in (3, 4):
        raise TypeError(f"an IMAGE is a tensor (batch, height, width, channels); found {_described(pixels)}")
    return Image(pixels if pixels.dim() == 4 else pixels[None])


def mask_in(values: Any) -> Mask:
    """A tensor (batch, height, width), or one mask, or (batch, 1, height, width), as Mask. Raises TypeError."""
    if not isinstance(values, torch.Tensor) or values.dim() not in (2, 3, 4):
        raise TypeError(f"a MASK is a tensor (batch, height, width); the node returned {_described(values)}")
    if values.dim() == 4:
        values = values[:, 0]
    return Mask(values if values.dim() == 3 else values[None])


def latent_out(latent: Latent) -> dict[str, Any]:
    """ComfyUI's latent dictionary."""
    made: dict[str, Any] = {**latent.extra, "samples": latent.samples}
    if latent.noise_mask is not None:
        made["noise_mask"] = latent.noise_mask
    if latent.batch_index is not None:
        made["batch_index"] = list(latent.batch_index)
    return made


def latent_in(value: Any) -> Latent:
    """A latent dictionary as Latent; what it does not know goes to ``extra``. Raises TypeError."""
    if not isinstance(value, Mapping) or not isinstance(value.get("samples"), torch.Tensor):
        raise TypeError(f"a LATENT is a dictionary with a tensor called samples; the node returned {_described(value)}")
    mask, index = value.get("noise_mask"), value.get("batch_index")
    if isinstance(mask, torch.Tensor) and mask.dim() < 4:
        mask = mask.reshape(-1, 1, *mask.shape[-2:])
    known = ("samples", "noise_mask", "batch_index")
    return Latent(
        value["samples"], mask, None if index is None else tuple(int(each) for each in index),
        {key: each for key, each in value.items() if key not in known},
    )


DEFAULTS: Mapping[str, Any] = {
    "strength": 1.0, "mask_strength": 1.0, "set_area_to_bounds": False, "start_percent": 0.0, "end_percent": 1.0,
    "patches": (), "hooks": (), "default": False,
}
"""Fields of a condition that its dictionary leaves out when they have these values."""


def conditioning_out(value: Conditioning) -> list[list[Any]]:
    """ComfyUI's list of [text, dictionary]."""
    return [[each.states, _condition_out(each)] for each in value.entries]


def _condition_out(each: Condition) -> dict[str, Any]:
    made: dict[str, Any] = {**each.extra, "pooled_output": each.pooled}
    if isinstance(each.area, AreaPart):
        made["area"] = ("percentage", *each.area)
    elif each.area is not None:
        made["area"] = tuple(each.area)
    if each.mask is not None:
        made["mask"] = each.mask
    made.update({key: getattr(each, key) for key, usual in DEFAULTS.items() if getattr(each, key) != usual})
    return made


def conditioning_in(value: Any) -> Conditioning:
    """A conditioning list as Conditioning; unknown keys are kept. Raises TypeError that says which entry is wrong."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"a CONDITIONING is a list of [tensor, dictionary]; the node returned {_described(value)}")
    return Conditioning(tuple(_condition_in(index, each) for index, each in enumerate(value)))


def _condition_in(index: int, entry: Any) -> Condition:
    if not (
        isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], torch.Tensor)
        and isinstance(entry[1], Mapping)
    ):
        raise TypeError(f"entry {index} of a CONDITIONING is [tensor, dictionary]; found {_described(entry)}")
    rest = dict(entry[1])
    area = rest.pop("area", None)
    if area is not None:
        area = AreaPart(*area[1:]) if area[0] == "percentage" else Area(*(int(side) for side in area))
    known = {key: rest.pop(key) for key in DEFAULTS if rest.get(key) is not None}
    pooled, mask = rest.pop("pooled_output", None), rest.pop("mask", None)
    return Condition(entry[0], pooled, area=area, mask=mask, **known, extra=rest)


def sigmas_in(values: Any) -> Sigmas:
    """A row of noise levels as Sigmas. Raises TypeError for anything else."""
    if not isinstance(values, torch.Tensor) or values.dim() != 1:
        raise TypeError(f"a SIGMAS is a tensor of one row; the node returned {_described(values)}")
    return Sigmas(values.float().cpu())


class NoiseFacade:
    """A NOISE as packs know it: a seed, and the noise for a latent."""

    def __init__(self, value: Noise) -> None:
        self.value = value
        self.seed = value.seed

    def generate_noise(self, input_latent: Mapping[str, Any]) -> torch.Tensor:
        """Noise of the shape of a latent dictionary's samples."""
        latent = latent_in(input_latent)
        if self.value.make is not None:
            return self.value.make(latent)
        if self.value.silent:
            return torch.zeros_like(latent.samples)
        return seed_noise(latent.samples, self.seed, latent.batch_index)


def noise_in(value: Any) -> Noise:
    """An object with a seed that generates noise, as Noise. Raises TypeError for anything else."""
    if isinstance(value, NoiseFacade):
        return value.value
    if not callable(getattr(value, "generate_noise", None)):
        raise TypeError(f"a NOISE has generate_noise(latent) and seed; the node returned {_described(value)}")
    seed = int(getattr(value, "seed", None) or 0)
    return Noise(seed, make=lambda latent: value.generate_noise(latent_out(latent)))


def operation_in(value: Any) -> LatentOperation:
    """A function of ``latent`` as a LATENT_OPERATION. Raises TypeError for what cannot be called."""
    if not callable(value):
        raise TypeError(f"a LATENT_OPERATION is called with latent=…; the node returned {_described(value)}")
    return LatentOperation(lambda latent: value(latent=latent))


def range_in(value: Any) -> TimestepsRange:
    """A pair of parts of a run as a TIMESTEPS_RANGE. Raises TypeError for anything else."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise TypeError(f"a TIMESTEPS_RANGE is (start, end), parts of a run; the node returned {_described(value)}")
    return TimestepsRange(float(value[0]), float(value[1]))


PAIRS: Mapping[str, Pair] = {
    "IMAGE": Pair(Image, lambda value: value.pixels, image_in),
    "MASK": Pair(Mask, lambda value: value.values, mask_in),
    "LATENT": Pair(Latent, latent_out, latent_in),
    "CONDITIONING": Pair(Conditioning, conditioning_out, conditioning_in),
    "SIGMAS": Pair(Sigmas, lambda value: value.values, sigmas_in),
    "NOISE": Pair(Noise, NoiseFacade, noise_in),
    "SAMPLER": Pair(Sampler, sampler_out, sampler_in),
    "GUIDER": Pair(Guider, guider_out, lambda value: guider_in(value, lambda conds: conditioning_in(conds).entries)),
    "MODEL": Pair(Model, ModelFacade, ModelFacade.value_of),
    "CLIP": Pair(Clip, ClipFacade, ClipFacade.value_of),
    "VAE": Pair(Vae, VaeFacade, VaeFacade.value_of),
    "CLIP_VISION": Pair(ClipVision, ClipVisionFacade, ClipVisionFacade.value_of),
    "CLIP_VISION_OUTPUT": Pair(ClipVisionOutput, ClipVisionOutputFacade, ClipVisionOutputFacade.value_of),
    "LATENT_OPERATION": Pair(LatentOperation, lambda value: value, operation_in),
    "TIMESTEPS_RANGE": Pair(TimestepsRange, lambda value: (value.start_percent, value.end_percent), range_in),
}
_BY_TYPE = {pair.native: (socket, pair) for socket, pair in PAIRS.items()}


def outwards(value: Any, seen: dict[int, tuple[Any, str]] | None = None) -> Any:
    """A value as a pack sees it. ``seen`` remembers what was made of which type, for sockets that take anything."""
    found = _BY_TYPE.get(type(value))
    if found is None:
        return ExecutionBlocker(value.message) if isinstance(value, Blocker) else value
    made = found[1].outwards(value)
    if seen is not None:
        seen[id(made)] = (made, found[0])
    return made


def inwards(value: Any, kind: str, seen: Mapping[int, tuple[Any, str]] | None = None) -> Any:
    """What a pack returned for a socket of a type as Easel keeps it. Raises TypeError if it is something else.

    A socket that takes anything gives back a value that came in as the type it came in with.
    """
    if isinstance(value, ExecutionBlocker):
        return Blocker(value.message)
    pair = PAIRS.get(kind)
    if pair is None and seen is not None and id(value) in seen:
        pair = PAIRS[seen[id(value)][1]]
    if pair is None or value is None or isinstance(value, pair.native | Blocker):
        return value
    return pair.inwards(value)


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}{tuple(shape)}" if shape is not None else f"{type(value).__name__} {value!r:.80}"
