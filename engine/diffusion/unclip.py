"""What SD 2.1-unclip reads of pictures: their CLIP embeddings, noised, and how much (numerics.md, 5.4).

The published L model's embeddings were trained normalised by statistics that are in no checkpoint; like ComfyUI, Easel
takes them as they are for both models.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.layers import timestep_embedding

UNCLIP = "unclip_conditioning"  # the key of a condition's `extra`
STEPS = 1000
MERGED_AUGMENTATION = 0.05  # noise on the sum of several pictures
AUGMENTATION_SEED = -10  # added to the run's seed


@lru_cache(maxsize=1)
def cosine_alphas_cumprod() -> Tensor:
    """ᾱ of the squared-cosine schedule (1000,), float32: Nichol and Dhariwal (2021), equation 17, betas at most 0.999.

    >>> round(float(cosine_alphas_cumprod()[500]), 4)
    0.4925
    """

    def level(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - level((i + 1) / STEPS) / level(i / STEPS), 0.999) for i in range(STEPS)]
    return torch.cumprod(1.0 - torch.tensor(betas, dtype=torch.float64), dim=0).float()


def image_vector(
    entries: Sequence[Mapping[str, Any]], width: int, seed: int, generator: torch.Generator
) -> Tensor:
    """The vector (1, width) of all pictures of a condition: their noised embeddings and noise levels, added up.

    entries: each has `clip_vision_output` with `image_embeds` (batch, width / 2), `strength` and `noise_augmentation`.
    Without any it is zero. Reseeds the generator with seed - 10 for each picture; the sum of several is noised again
    with what the generator gives next. ValueError for embeddings of another width.
    """
    made = []
    for entry in entries:
        embeds: Tensor = entry["clip_vision_output"].image_embeds
        if embeds.ndim != 2 or 2 * embeds.shape[1] != width:
            raise ValueError(
                f"this unCLIP model reads image embeddings {width // 2} wide; the image encoder made "
                f"{tuple(embeds.shape)}, so it is another model's: take the one in the checkpoint"
            )
        for embedding in embeds.float():
            generator.manual_seed(seed + AUGMENTATION_SEED)
            noised = _noised(embedding[None], float(entry["noise_augmentation"]), generator)
            made.append(noised * float(entry["strength"]))
    if not made:
        return torch.zeros(1, width)
    total = torch.stack(made).sum(dim=0)
    return total if len(made) == 1 else _noised(total[:, : width // 2], MERGED_AUGMENTATION, generator)


def _noised(embedding: Tensor, augmentation: float, generator: torch.Generator) -> Tensor:
    """The embedding (1, d) with noise, followed by the sinusoids of its level: (1, 2·d)."""
    level = round((STEPS - 1) * augmentation)
    alpha_bar = cosine_alphas_cumprod()[level]
    noise = torch.randn(embedding.shape, generator=generator)
    mixed = alpha_bar.sqrt() * embedding + (1 - alpha_bar).sqrt() * noise
    return torch.cat([mixed, timestep_embedding(torch.tensor([level]), embedding.shape[1])], dim=1)
