"""What a denoising network starts as and is trained to say, and how much each noise level counts; a loss of pictures.

Sources: Ho et al. (2020), equation 14 (eps); Salimans and Ho (2022), section 4 (truncated SNR) and appendix D (v);
Hang et al. (2023), min-SNR.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.diffusion.config import Prediction, ScheduleConfig
from engine.diffusion.schedules import discrete
from engine.diffusion.unet import UNet

DROPPED_TEXT = 0.1  # models.md, 9.3, T3
SQUARE_WEIGHT = 2.0  # of L2 beside L1 in pictures: it does not give up a colour that L1 takes for an outlier

Predict = Callable[[Tensor, Tensor], Tensor]  # noisy latent (b, c, h, w) and timesteps (b,) to the network's answer


def alphas_bar(schedule: ScheduleConfig) -> Tensor:
    """The signal's share of the variance at each timestep (T,), float32: 1 / (1 + σ²)."""
    return 1.0 / (1.0 + discrete(schedule).sigmas ** 2)


def noised(x0: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """What the network is shown: √ᾱ·x₀ + √(1−ᾱ)·ε, of unit variance if x₀ is. alpha_bar (b, 1, 1, 1)."""
    return alpha_bar.sqrt() * x0 + (1.0 - alpha_bar).sqrt() * noise


TARGETS: Mapping[Prediction, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "eps": lambda x0, noise, alpha_bar: noise,
    "v": lambda x0, noise, alpha_bar: alpha_bar.sqrt() * noise - (1.0 - alpha_bar).sqrt() * x0,
}
# What the squared error in eps or v is, in terms of the squared error of x₀, by the signal-to-noise ratio.
PER_X0: Mapping[Prediction, Callable[[Tensor], Tensor]] = {
    "eps": lambda snr: snr,
    "v": lambda snr: snr + 1.0,
}


@dataclass(frozen=True)
class SnrLimits:
    """The squared error of x₀ counts SNR times, but no less than `least` and no more than `most`.

    most alone is min-SNR, least alone the truncated SNR. Both matter to a small network: by the SNR alone what is
    almost clean, whose error is texture, outweighs what is almost noise, where words decide which solid goes where.
    """

    least: float = 0.0
    most: float = math.inf

    def weight(self, prediction: Prediction, snr: Tensor) -> Tensor:
        """How much the squared error in `prediction` counts."""
        return snr.clamp(self.least, self.most) / PER_X0[prediction](snr)


SMALL_NETWORK = SnrLimits(0.25, 5.0)  # 5: Hang et al., section 3.4; 0.25 evens out noise levels on starter latents


@dataclass(frozen=True)
class Objective:
    """Noise schedule and weighting. limits None: every timestep's error counts alike, as in the published models."""

    schedule: ScheduleConfig
    limits: SnrLimits | None = None

    def loss(self, predict: Predict, x0: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The mean squared error, weighted, of scaled latents x0 and noise (b, c, h, w) at timesteps (b,) int64."""
        alpha_bar = alphas_bar(self.schedule).to(x0.device)[timesteps].view(-1, 1, 1, 1)
        wanted = TARGETS[self.schedule.prediction](x0, noise, alpha_bar)
        error = (predict(noised(x0, noise, alpha_bar), timesteps).float() - wanted).square().mean(dim=(1, 2, 3))
        if self.limits is not None:
            snr = (alpha_bar / (1.0 - alpha_bar)).view(-1)
            error = error * self.limits.weight(self.schedule.prediction, snr)
        return error.mean()


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 + SQUARE_WEIGHT · L2 of pictures."""
    error = made - wanted
    return error.abs().mean() + SQUARE_WEIGHT * error.square().mean()


def draw(x0: Tensor, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise like x0 and timesteps (b,), spread evenly over the batch (one per equal part), which steadies the loss.

    Drawn on the CPU, so that a run does not depend on its device.
    """
    noise = torch.randn(x0.shape, generator=generator)
    part = (torch.arange(len(x0)) + torch.rand(len(x0), generator=generator)) / len(x0)
    timesteps = (part * steps).long().clamp(max=steps - 1)
    return noise.to(x0.device), timesteps.to(x0.device)


def drop_text(context: Tensor, empty: Tensor, generator: torch.Generator, part: float = DROPPED_TEXT) -> Tensor:
    """Replace the text (b, tokens, width) of about `part` of the batch by the empty prompt's (1 or b, tokens, width).

    Classifier-free guidance needs a network that knows both: Ho and Salimans (2022), Algorithm 1.
    """
    dropped = torch.rand(len(context), generator=generator) < part
    return torch.where(dropped.view(-1, 1, 1).to(context.device), empty, context)


def initialise(unet: UNet) -> UNet:
    """Start every residual branch and the answer at zero, as the published trainer does: early steps stay calm."""
    for name, parameter in unet.named_parameters():
        if any(part in name for part in ("out_layers.3.", "proj_out.")) or name.startswith("out.2."):
            nn.init.zeros_(parameter)
    return unet


def widen_input(state: Mapping[str, Tensor], channels: int) -> dict[str, Tensor]:
    """A base UNet's weights for a variant that reads `channels` channels: the new ones start at zero (T7, T10, T11).

    So the variant begins as the base and ignores what it has not learned to use. Raises ValueError for fewer channels.
    """
    name = "input_blocks.0.0.weight"
    first = state[name]
    if channels < first.shape[1]:
        raise ValueError(f"{name} reads {first.shape[1]} channels; a variant cannot start from it with {channels}")
    new = first.new_zeros(first.shape[0], channels - first.shape[1], *first.shape[2:])
    return {**state, name: torch.cat([first, new], dim=1)}
