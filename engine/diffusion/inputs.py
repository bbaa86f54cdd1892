"""What a UNet reads besides latent, timestep and text: masks, images, depth, labels (numerics.md, 3.7, 9.3 and 9.5).

`extra_inputs` makes the tensors of one condition: "concat" (batch, channels, h, w), put after the scaled latent and not
scaled itself, and "y", the label. What they are made from stands in the condition's `extra`, under ComfyUI's names.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.config import ModelConfig
from engine.diffusion.guidance import Condition
from engine.diffusion.resize import common_upscale
from engine.diffusion.schedules import discrete
from engine.diffusion.unclip import AUGMENTATION_SEED, UNCLIP, image_vector

NO_IMAGE = (0.8223, -0.6876, 0.6364, 0.1380)  # the scaled latent of mid-grey
MOST_AUGMENTATION = 350  # the noise level that noise_augmentation 1 means


@dataclass(frozen=True, eq=False)
class Scene:
    """What one run offers: the scaled latent (batch, c, h, w), the noise mask of that shape if any, its generator."""

    config: ModelConfig
    latent: Tensor
    mask: Tensor | None
    seed: int
    generator: torch.Generator


Inputs = Mapping[str, Tensor]


def extra_inputs(condition: Condition, scene: Scene) -> Inputs:
    """The tensors that this model's UNet wants for one condition; empty for plain models."""
    inputs = dict(CONCATS[scene.config.unet.concat](condition, scene))
    adm = scene.config.unet.adm_dim
    if adm is not None:
        entries = condition.extra.get(UNCLIP, ())
        inputs["y"] = image_vector(entries, adm, scene.seed, scene.generator).expand(scene.latent.shape[0], adm)
    return inputs


def _none(_condition: Condition, _scene: Scene) -> Inputs:
    return {}


def _inpaint(condition: Condition, scene: Scene) -> Inputs:
    """One channel of mask (1 where to paint), four of the picture around it."""
    given = condition.extra.get("concat_mask")
    mask = given.reshape(-1, 1, *given.shape[-2:]).float() if given is not None else scene.mask
    if mask is None:
        ones = torch.ones_like(scene.latent[:, :1])
        return {"concat": torch.cat([ones, ones * torch.tensor(NO_IMAGE).view(1, -1, 1, 1)], dim=1)}
    image = condition.extra.get("concat_latent_image")
    image = image.float() * scene.config.vae.scale_factor if image is not None else scene.latent
    return {"concat": torch.cat([to_batch(_fitted(mask[:, :1], scene).round(), scene),
                                 to_batch(_fitted(image, scene), scene)], dim=1)}  # fmt: skip


def _edit(condition: Condition, scene: Scene) -> Inputs:
    """InstructPix2Pix: the latent of the picture to edit, not scaled."""
    image = condition.extra.get("concat_latent_image")
    image = torch.zeros_like(scene.latent) if image is None else to_batch(_fitted(image.float(), scene), scene)
    return {"concat": image}


def _depth(condition: Condition, scene: Scene) -> Inputs:
    """Relative depth of any size and range (batch, h, w), stretched to -1..1 for each picture."""
    depth = condition.extra.get("depth")
    if depth is None:
        raise ValueError("this model paints over a depth map and the condition has none; add one with a depth node")
    depth = depth.reshape(-1, 1, *depth.shape[-2:]).float()
    depth = F.interpolate(depth, size=tuple(scene.latent.shape[-2:]), mode="bicubic", align_corners=False)
    low, high = depth.amin(dim=(1, 2, 3), keepdim=True), depth.amax(dim=(1, 2, 3), keepdim=True)
    span = torch.where(high > low, high - low, torch.ones(()))  # a flat map is all background
    return {"concat": to_batch(2.0 * (depth - low) / span - 1.0, scene)}


def _upscale(condition: Condition, scene: Scene) -> Inputs:
    """The x4 upscaler: the small picture in -1..1, noised, and how much as a label."""
    image = condition.extra.get("concat_image")
    batch, _, height, width = scene.latent.shape
    if image is None:
        image = torch.zeros(batch, scene.config.unet.in_channels - scene.config.unet.out_channels, height, width)
    augmentation = float(condition.extra.get("noise_augmentation", 0.0))
    level = round(MOST_AUGMENTATION * augmentation)
    image = _fitted(image.float(), scene)
    if augmentation > 0:
        scene.generator.manual_seed(scene.seed + AUGMENTATION_SEED)
        table = discrete(replace(scene.config.schedule, prediction="eps", zero_snr=False))
        alpha_bar = 1.0 / (1.0 + table.sigmas[level] ** 2)
        image = alpha_bar.sqrt() * image + (1 - alpha_bar).sqrt() * torch.randn(image.shape, generator=scene.generator)
    return {"concat": to_batch(image, scene), "y": torch.full((batch,), level)}


CONCATS: Mapping[str, Callable[[Condition, Scene], Inputs]] = {
    "none": _none,
    "inpaint": _inpaint,
    "edit": _edit,
    "depth": _depth,
    "upscale": _upscale,
}


def _fitted(x: Tensor, scene: Scene) -> Tensor:
    """Brought to the latent's size, bilinear with a centre crop, where it differs."""
    height, width = scene.latent.shape[-2:]
    return x if x.shape[-2:] == (height, width) else common_upscale(x, width, height, "bilinear", "center")


def to_batch(x: Tensor, scene: Scene) -> Tensor:
    """Spread items over the batch: numerics.md, 3.8, resize_to_batch."""
    wanted, have = scene.latent.shape[0], x.shape[0]
    if wanted == have:
        return x
    if wanted <= 1:
        return x[:wanted]
    if wanted < have:
        indices = [round(i * (have - 1) / (wanted - 1)) for i in range(wanted)]
    else:
        indices = [min(have - 1, math.floor((i + 0.5) * have / wanted)) for i in range(wanted)]
    return x[torch.tensor(indices)]


def inputs_of(scene: Scene) -> Callable[[Condition], Mapping[str, Any]]:
    """`extra_inputs` for the conditions of one run."""
    return lambda condition: extra_inputs(condition, scene)
