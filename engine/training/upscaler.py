"""The ×4 upscaler's two stages: its UNet, and its decoder made used to what the UNet gives it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from engine.training.files import TEXT, UNET, VAE, Trained, fill, mark_of, unet_keys, vae_keys, write_model
from engine.training.loop import Outcome, Run
from engine.training.objectives import X0, Objective, alphas_bar, draw, drop_text, initialise, noised, picture_loss
from engine.training.stage import Place, Work

LEVEL_POWER = 3  # of a uniform number, which then is the noise level's part of the most: half are below 44


def noise_levels(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels of small pictures (count,), 0 to MOST_AUGMENTATION, the low ones most often.

    The published upscaler drew them evenly. A small network does best at what it sees most, and people set
    noise_augmentation to 0 or little.
    """
    return (torch.rand(count, generator=generator) ** LEVEL_POWER * (MOST_AUGMENTATION + 1)).long()


@dataclass(frozen=True, eq=False)
class _Batch:
    """What the UNet is asked: `predict` takes a noisy latent (b, 4, h, w) and timesteps (b,) to v."""

    pixels: Tensor  # the large pictures (b, 3, 4h, 4w) in -1..1
    x0: Tensor
    noise: Tensor
    timesteps: Tensor
    predict: Callable[[Tensor, Tensor], Tensor]
    generator: torch.Generator  # for what else is drawn by chance


def _batches(
    place: Place, bank: data.Bank, file: Trained, unet: UNet, purpose: int = 0
) -> Callable[[int, int], _Batch]:
    """By step and part: latents of large pictures, and a question about each beside the noised small one and a caption.

    file: what holds the VAE. purpose: as of `Place.generator`.
    """
    model = file.config
    vae = fill(Vae(model.vae), file, VAE).to(place.device)
    text = fill(TextEncoder(model.text), place.read("text"), TEXT, "transformer.").to(place.device)
    latents, pictures = data.latents(bank, vae, mark_of(file)), data.pictures(bank)
    table = alphas_bar(model.schedule)
    empty = encode_texts(text, [""], model.text)

    def batch_of(step: int, part: int) -> _Batch:
        generator = place.generator(step, part, purpose)
        indices = data.choose(bank, step, place.settings.batch, generator)
        x0, pixels = latents[indices].float().to(place.device), data.signed(pictures[indices])
        small = F.avg_pool2d(pixels, model.vae.downscale)
        level = noise_levels(len(small), generator)
        signal = torch.where(level > 0, table[level], 1.0)  # noise_augmentation 0 adds none at all
        small = noised(small, torch.randn(small.shape, generator=generator), signal.view(-1, 1, 1, 1))
        small, level = small.to(place.device), level.to(place.device)
        context = encode_texts(text, data.captions_of(bank, indices, generator), model.text)
        context = drop_text(context, empty, generator)
        noise, timesteps = draw(x0, model.schedule.steps, generator)

        def predict(x: Tensor, t: Tensor) -> Tensor:
            answer: Tensor = unet(torch.cat([x, small], dim=1), t, context, level)
            return answer

        return _Batch(pixels, x0, noise, timesteps, predict, generator)

    return batch_of


def x4_stage(place: Place, stage: str) -> Work:
    """The upscaler: v-prediction in the f4 latent of the large picture, beside the noised small one."""
    vae_file = place.read("vae4")
    model = replace(place.size.upscaler, vae=vae_file.config.vae)
    unet = initialise(UNet(model.unet))
    unet.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(unet, place.settings)
    batch_of = _batches(place, place.bank(), vae_file, unet)
    objective = Objective(model.schedule, place.size.limits)

    def loss_of(step: int, part: int) -> Tensor:
        batch = batch_of(step, part)
        return objective.loss(batch.predict, batch.x0, batch.noise, batch.timesteps)

    def write(outcome: Outcome) -> Path:
        write_model(place.file(stage), unet_keys(run.averaged()) | vae_file.under(VAE), model, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)


def x4_decoder_stage(place: Place, stage: str) -> Work:
    """The upscaler's decoder further, on latents as its UNet predicts them from all levels of noise.

    What the UNet gets wrong is unlike anything the decoder was trained on. The encoder and the UNet stay what they are.
    """
    file = place.read("x4")
    model, f = file.config, file.config.vae.downscale
    vae = fill(Vae(model.vae), file, VAE).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    unet = fill(UNet(model.unet), file, UNET).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    run = Run(vae, place.settings)
    batch_of = _batches(place, place.bank(whole=True), file, unet, purpose=1)
    side, crop = place.size.picture // f, place.size.crop // f
    table, x0_by = alphas_bar(model.schedule), X0[model.schedule.prediction]

    def loss_of(step: int, part: int) -> Tensor:
        batch = batch_of(step, part)
        alpha_bar = table.to(place.device)[batch.timesteps].view(-1, 1, 1, 1)
        x = noised(batch.x0, batch.noise, alpha_bar)
        with torch.no_grad():
            latent = x0_by(x, batch.predict(x, batch.timesteps).float(), alpha_bar) / model.vae.scale_factor
        top, left = (int(torch.randint(side - crop + 1, (), generator=batch.generator)) for _ in range(2))
        wanted = batch.pixels[:, :, f * top : f * (top + crop), f * left : f * (left + crop)].to(place.device)
        return picture_loss(vae.decode(latent[:, :, top : top + crop, left : left + crop]), wanted)

    def write(outcome: Outcome) -> Path:
        tensors = vae_keys(run.averaged()) | file.under(UNET)
        write_model(place.file(stage), tensors, model, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write, beside=(unet,))
