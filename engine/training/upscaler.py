"""The ×4 upscaler: the stage that trains its UNet. Its f4 VAE is the stage "vae4" of `family`."""

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.inputs import MOST_AUGMENTATION
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.training import data
from engine.training.contrast import encode_texts
from engine.training.files import TEXT, VAE, fill, mark_of, unet_keys, write_model
from engine.training.loop import Outcome, Run
from engine.training.objectives import Objective, alphas_bar, draw, drop_text, initialise, noised
from engine.training.stage import Place, Work

LEVEL_POWER = 3  # of a uniform number, which then is the noise level's part of the most: half are below 44
LEAST_SNR = 1.0  # no noise level's error counts less: in much noise the network must say what the small picture tells


def noise_levels(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels of small pictures (count,), 0 to MOST_AUGMENTATION, the low ones most often.

    The published upscaler drew them evenly. A small network does best at what it sees most, and people set
    noise_augmentation to 0 or little.
    """
    return (torch.rand(count, generator=generator) ** LEVEL_POWER * (MOST_AUGMENTATION + 1)).long()


def x4_stage(place: Place, stage: str) -> Work:
    """The upscaler: v-prediction in the f4 latent of the large picture, beside the noised small one."""
    vae_file, text_file = place.read("vae4"), place.read("text")
    model = replace(place.size.upscaler, vae=vae_file.config.vae)
    vae = fill(Vae(model.vae), vae_file, VAE).to(place.device)
    text = fill(TextEncoder(model.text), text_file, TEXT, "transformer.").to(place.device)
    unet = initialise(UNet(model.unet))
    unet.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(unet, place.settings)
    bank = place.bank()
    latents, pictures = data.latents(bank, vae, mark_of(vae_file)), data.pictures(bank)
    limits = replace(place.size.limits, least=max(place.size.limits.least, LEAST_SNR))
    objective = Objective(model.schedule, limits)
    table = alphas_bar(model.schedule)
    empty = encode_texts(text, [""], model.text)

    def loss_of(step: int, part: int) -> Tensor:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        x0 = latents[indices].float().to(place.device)
        small = F.avg_pool2d(data.signed(pictures[indices]), model.vae.downscale)
        level = noise_levels(len(small), generator)
        signal = torch.where(level > 0, table[level], 1.0)  # noise_augmentation 0 adds none at all
        small = noised(small, torch.randn(small.shape, generator=generator), signal.view(-1, 1, 1, 1))
        small, level = small.to(place.device), level.to(place.device)
        context = encode_texts(text, data.captions_of(bank, indices, generator), model.text)
        context = drop_text(context, empty, generator)
        noise, timesteps = draw(x0, model.schedule.steps, generator)
        return objective.loss(lambda x, t: unet(torch.cat([x, small], dim=1), t, context, level), x0, noise, timesteps)

    def write(outcome: Outcome) -> Path:
        write_model(place.file(stage), unet_keys(run.averaged()) | vae_file.under(VAE), model, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)
