"""The ×4 upscaler's two stages: its UNet, and its decoder made used to what the UNet gives it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.config import ModelConfig
from engine.diffusion.inputs import MOST_AUGMENTATION
from engine.diffusion.text import TextEncoder
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.training import data
from engine.training.contrast import encode_texts
from engine.training.files import TEXT, UNET, VAE, fill, mark_of, unet_keys, vae_keys, write_model
from engine.training.loop import Outcome, Run
from engine.training.objectives import SQUARE_WEIGHT, X0, Objective, alphas_bar, draw, drop_text, initialise, noised
from engine.training.stage import Place, Work

CLEANER = 3  # the power of a uniform number that says how noisy the small picture is: half have a level below 44


def noise_levels(count: int, generator: torch.Generator) -> Tensor:
    """Noise levels of small pictures (count,), 0 to MOST_AUGMENTATION, the low ones most often.

    The published upscaler drew them evenly. A small network does best at what it sees most, and people set
    noise_augmentation to 0 or little.
    """
    return (torch.rand(count, generator=generator) ** CLEANER * (MOST_AUGMENTATION + 1)).long()


@dataclass(frozen=True, eq=False)
class _Batch:
    """What the UNet is asked: `predict` takes a noisy latent (b, 4, h, w) and timesteps (b,) to v."""

    indices: Tensor
    x0: Tensor
    noise: Tensor
    timesteps: Tensor
    predict: Callable[[Tensor, Tensor], Tensor]
    generator: torch.Generator  # for what else is drawn by chance


def _batches(place: Place, model: ModelConfig, vae: Vae, mark: str, unet: UNet) -> Callable[[int, int], _Batch]:
    """The f4 latents of large pictures, and a question about each beside the noised small one and its caption."""
    text = fill(TextEncoder(model.text), place.read("text"), TEXT, "transformer.").to(place.device)
    bank = place.bank()
    rows, small_from = data.latents(bank, vae, mark), data.pictures(bank)
    table = alphas_bar(model.schedule)
    empty = encode_texts(text, [""], model.text)

    def batch_of(step: int, part: int) -> _Batch:
        generator = place.generator(step, part)
        indices = data.choose(bank, step, place.settings.batch, generator)
        x0 = rows[indices].float().to(place.device)
        small = F.avg_pool2d(data.signed(small_from[indices]), model.vae.downscale)
        level = noise_levels(len(small), generator)
        small = noised(small, torch.randn(small.shape, generator=generator), table[level].view(-1, 1, 1, 1))
        small, level = small.to(place.device), level.to(place.device)
        context = encode_texts(text, data.captions_of(bank, indices, generator), model.text)
        context = drop_text(context, empty, generator)
        noise, timesteps = draw(x0, model.schedule.steps, generator)

        def predict(x: Tensor, t: Tensor) -> Tensor:
            answer: Tensor = unet(torch.cat([x, small], dim=1), t, context, level)
            return answer

        return _Batch(indices, x0, noise, timesteps, predict, generator)

    return batch_of


def x4_stage(place: Place, stage: str) -> Work:
    """The upscaler: v-prediction in the f4 latent of the large picture, beside the noised small one."""
    vae_file = place.read("vae4")
    model = replace(place.size.upscaler, vae=vae_file.config.vae)
    vae = fill(Vae(model.vae), vae_file, VAE).to(place.device)
    unet = initialise(UNet(model.unet))
    unet.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(unet, place.settings)
    batch_of = _batches(place, model, vae, mark_of(vae_file), unet)
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

    What the UNet gets wrong is unlike what the decoder was trained on; a decoder that has seen it makes fewer blotches
    of it. The encoder and the UNet stay what they are.
    """
    file = place.read("x4")
    model, f = file.config, file.config.vae.downscale
    vae = fill(Vae(model.vae), file, VAE).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    unet = fill(UNet(model.unet), file, UNET).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    run = Run(vae, place.settings)
    batch_of = _batches(place, model, vae, mark_of(file), unet)
    rows, crop = data.pictures(place.bank()), place.size.crop // f
    table, predicts = alphas_bar(model.schedule), X0[model.schedule.prediction]

    def loss_of(step: int, part: int) -> Tensor:
        batch = batch_of(step, part)
        alpha_bar = table.to(place.device)[batch.timesteps].view(-1, 1, 1, 1)
        x = noised(batch.x0, batch.noise, alpha_bar)
        with torch.no_grad():
            latent = predicts(x, batch.predict(x, batch.timesteps).float(), alpha_bar) / model.vae.scale_factor
        side = place.size.picture // f
        top, left = (int(torch.randint(side - crop + 1, (), generator=batch.generator)) for _ in range(2))
        pixels = data.signed(rows[batch.indices])[:, :, f * top : f * (top + crop), f * left : f * (left + crop)]
        error: Tensor = vae.decode(latent[:, :, top : top + crop, left : left + crop]) - pixels.to(place.device)
        return error.abs().mean() + SQUARE_WEIGHT * error.square().mean()

    def write(outcome: Outcome) -> Path:
        tensors = vae_keys(run.averaged()) | file.under(UNET)
        write_model(place.file(stage), tensors, model, place.recipe, outcome)
        return place.file(stage)

    return Work(run, loss_of, write)
