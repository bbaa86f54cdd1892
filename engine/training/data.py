"""Training pictures on disk: rendered once, in shards, and again whenever a shard is missing.

How many shards there are at a step depends on the step alone, so training starts with the first ones and a resumed run
sees what it would have seen.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.diffusion.vae import Vae
from engine.training.captions import altered, caption
from engine.training.checker import STRIDE
from engine.training.masks import make_masks
from engine.training.render import render
from engine.training.scenes import COLOURS, DATA_VERSION, Colour, Scene, Split, make_scene

CAPTIONS = 16  # wordings of each scene


@dataclass(frozen=True)
class Bank:
    """A collection of scenes: `shards` times `shard` pictures of size × size in `folder`.

    `first` shards are there at the start, and one more after every `every` steps.
    """

    folder: Path
    size: int
    shard: int
    shards: int
    first: int
    every: int
    split: Split = "train"

    def at(self, step: int) -> int:
        """How many pictures there are at a step."""
        return self.shard * min(self.shards, self.first + step // self.every)


Kind = Callable[[Bank, int], NDArray[np.generic]]  # makes one shard: (bank, number) to (shard, …)


def _pictures(bank: Bank, number: int) -> NDArray[np.generic]:
    scenes = (make_scene(index, bank.split) for index in _indices(bank, number))
    return np.stack([np.rint(255 * render(scene, bank.size).picture).astype(np.uint8) for scene in scenes])


def _disparities(bank: Bank, number: int) -> NDArray[np.generic]:
    scenes = (make_scene(index, bank.split) for index in _indices(bank, number))
    return np.stack([(1.0 / render(scene, bank.size, samples=1).depth).astype(np.float16) for scene in scenes])


def _places(bank: Bank, number: int) -> NDArray[np.generic]:
    scenes = (make_scene(index, bank.split) for index in _indices(bank, number))
    return np.stack([render(scene, bank.size // STRIDE, samples=1).ids for scene in scenes])


def _indices(bank: Bank, number: int) -> range:
    return range(number * bank.shard, (number + 1) * bank.shard)


PICTURES: Mapping[str, Kind] = {"pictures": _pictures, "disparity": _disparities}


class Rows:
    """One kind of array over a bank, read by picture number; shards are made when first asked for."""

    def __init__(self, bank: Bank, name: str, make: Kind) -> None:
        self.bank, self.name, self.make = bank, name, make
        self._open: dict[int, NDArray[np.generic]] = {}

    def __getitem__(self, indices: Tensor) -> Tensor:
        """The rows (n, …) of these pictures (n,)."""
        rows = [self._shard(int(i) // self.bank.shard)[int(i) % self.bank.shard] for i in indices]
        return torch.from_numpy(np.stack(rows))

    def _shard(self, number: int) -> NDArray[np.generic]:
        if number not in self._open:
            bank = self.bank
            path = bank.folder / f"{DATA_VERSION}-{bank.split}-{bank.size}-{self.name}-{bank.shard}-{number:04}.npy"
            if not path.exists():
                bank.folder.mkdir(parents=True, exist_ok=True)
                part = path.with_name(f"{path.name}.{os.getpid()}.part")
                # what lies on disk must not depend on the precision of the step that happened to ask for it
                with (
                    part.open("wb") as file,
                    torch.autocast("cpu", enabled=False),
                    torch.autocast("cuda", enabled=False),
                ):
                    np.save(file, self.make(bank, number))
                part.replace(path)
            self._open[number] = np.load(path, mmap_mode="r")
        return self._open[number]


def pictures(bank: Bank) -> Rows:
    """Pictures (n, size, size, 3), uint8."""
    return Rows(bank, "pictures", _pictures)


def disparities(bank: Bank) -> Rows:
    """Inverse depth (n, size, size), float16: near is large, as the published depth estimator has it."""
    return Rows(bank, "disparity", _disparities)


def places(bank: Bank) -> Rows:
    """The number of the solid that is seen at each of a picture's places (n, size / 4, size / 4), int8, -1 for none."""
    return Rows(bank, "places", _places)


def signed(pixels: Tensor) -> Tensor:
    """uint8 (n, h, w, 3) to -1..1 (n, 3, h, w), channels last in memory, which convolutions on CPUs like."""
    return (pixels.float() / 127.5 - 1.0).movedim(-1, 1).contiguous(memory_format=torch.channels_last)


def latents(bank: Bank, vae: Vae, mark: str) -> Rows:
    """Scaled latent means (n, z, h, w), float16. `mark` names the VAE, so that another one's are not taken."""
    source = pictures(bank)

    def make(bank: Bank, number: int) -> NDArray[np.generic]:
        return _encoded(vae, signed(source[torch.tensor(_indices(bank, number))]))

    return Rows(bank, f"latents-{mark}", make)


def changed_latents(
    bank: Bank, vae: Vae, mark: str, name: str, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> Rows:
    """As `latents`, of pictures (n, size, size, 3) that were changed in a way called `name`."""
    source = pictures(bank)

    def make(bank: Bank, number: int) -> NDArray[np.generic]:
        changed = change(source[torch.tensor(_indices(bank, number))].numpy())
        return _encoded(vae, signed(torch.from_numpy(changed)))

    return Rows(bank, f"{name}-{mark}", make)


def plain_scene(index: int) -> Scene:
    """A training scene of one solid, which is white."""
    scene = make_scene(index, "train", objects=1)
    return replace(scene, solids=(replace(scene.solids[0], colour="white"),))


def recoloured_latents(bank: Bank, vae: Vae, mark: str, name: str, colour: Colour) -> Rows:
    """As `latents`, of the scenes of `plain_scene` whose solid has a colour (sRGB, 0..1) called `name`."""
    tint = np.array(colour, np.float32) / np.array(COLOURS["white"], np.float32)

    def make(bank: Bank, number: int) -> NDArray[np.generic]:
        drawn = []
        for index in _indices(bank, number):
            seen = render(plain_scene(index), bank.size)
            part = seen.coverage[0][..., None]  # light is the square of what is stored, so colours multiply there too
            drawn.append(np.rint(255 * seen.picture * (1.0 - part + part * tint)).astype(np.uint8))
        return _encoded(vae, signed(torch.from_numpy(np.stack(drawn))))

    return Rows(bank, f"{name}-{mark}", make)


def inpainting(bank: Bank, vae: Vae, mark: str) -> Rows:
    """What an inpainting UNet reads: mask, then the masked picture's scaled latent (n, 1 + z, h, w), float16."""
    source = pictures(bank)

    def make(bank: Bank, number: int) -> NDArray[np.generic]:
        picture = signed(source[torch.tensor(_indices(bank, number))])
        mask = make_masks(bank.shard, bank.size, number)
        hidden = _encoded(vae, picture * (1.0 - mask))  # the hole is mid-grey: models.md, 9.2
        small = F.interpolate(mask, size=hidden.shape[-2:], mode="nearest").numpy().astype(np.float16)
        return np.concatenate([small, hidden], axis=1)

    return Rows(bank, f"inpainting-{mark}", make)


def depth_maps(bank: Bank, downscale: int) -> Rows:
    """What a depth UNet reads: disparity at latent size, stretched to -1..1 (n, 1, h, w), float16."""
    source = disparities(bank)

    def make(bank: Bank, number: int) -> NDArray[np.generic]:
        depth = source[torch.tensor(_indices(bank, number))].float()[:, None]
        depth = F.interpolate(depth, scale_factor=1 / downscale, mode="bicubic", align_corners=False)
        low, high = depth.amin(dim=(1, 2, 3), keepdim=True), depth.amax(dim=(1, 2, 3), keepdim=True)
        return (2.0 * (depth - low) / (high - low).clamp(min=1e-6) - 1.0).numpy().astype(np.float16)

    return Rows(bank, f"depth-{downscale}", make)


def _encoded(vae: Vae, pixels: Tensor) -> NDArray[np.float16]:
    device = next(vae.parameters()).device
    with torch.no_grad():
        parts = [vae.moments(part.to(device))[0].cpu() for part in torch.split(pixels, 16)]
    out: NDArray[np.float16] = (torch.cat(parts) * vae.config.scale_factor).numpy().astype(np.float16)
    return out


CANDIDATES = 8  # so many times as many pictures as are wanted are looked at where some are preferred


def choose(
    bank: Bank, step: int, count: int, generator: torch.Generator, preference: Sequence[float] | None = None
) -> Tensor:
    """Picture numbers (count,) of a batch, some perhaps twice.

    preference: how many times as likely as it is a scene of one, two, three solids is taken. They are drawn from
    CANDIDATES · count scenes, so a kind that is rare comes at most so many times as often.
    """
    if preference is None:
        return torch.randint(bank.at(step), (count,), generator=generator)
    candidates = torch.randint(bank.at(step), (CANDIDATES * count,), generator=generator)
    weights = torch.tensor([preference[len(scene_of(index, bank.split).solids) - 1] for index in candidates.tolist()])
    return candidates[torch.multinomial(weights, count, replacement=True, generator=generator)]


@functools.cache
def scene_of(index: int, split: Split) -> Scene:
    """`make_scene`, kept for good: many attempts make one scene, and training sees each again and again.

    All scenes of the starter's size are some tens of megabytes.
    """
    return make_scene(index, split)


def captions_of(bank: Bank, indices: Tensor, generator: torch.Generator) -> list[str]:
    """A caption for each picture, in one of its wordings."""
    return [caption(scene, seed) for scene, seed in _told(bank, indices, generator)]


def captions_and_wrong(
    bank: Bank, indices: Tensor, generator: torch.Generator, count: int
) -> tuple[list[str], list[list[str]]]:
    """A caption for each picture, and so many that are false by one word or two each; the wording is the same."""
    told = list(_told(bank, indices, generator))
    wrong = [[caption(altered(scene, seed + CAPTIONS * k), seed) for k in range(count)] for scene, seed in told]
    return [caption(scene, seed) for scene, seed in told], wrong


def _told(bank: Bank, indices: Tensor, generator: torch.Generator) -> Iterator[tuple[Scene, int]]:
    seeds = torch.randint(CAPTIONS, (len(indices),), generator=generator)
    for index, seed in zip(indices.tolist(), seeds.tolist(), strict=True):
        yield scene_of(index, bank.split), seed
