"""The denoising network of SD 1.x and 2.x, its blocks listed as they are published (models.md, 2.2).

Build it on the meta device and load it strictly: `checkpoint.load_unet`.
"""

import torch
from torch import Tensor, nn

from engine.diffusion.config import UNetConfig
from engine.diffusion.fast import Conv2d, Linear, map_normed, silu_normed
from engine.diffusion.hooked import run_hooked
from engine.diffusion.hooks import NO_HOOKS, Control, Hooks, Pass, join
from engine.diffusion.layers import Downsample, ResBlock, SpatialTransformer, Told, Upsample, timestep_embedding
from engine.diffusion.replay import Replays
from engine.diffusion.times import Times


class Stage(nn.ModuleList):
    """One numbered entry of the published block list: what runs between two skip connections."""

    def forward(
        self, x: Tensor, told: Told, context: Tensor, size: torch.Size | None = None, skip: Tensor | None = None
    ) -> Tensor:
        """Map x (batch, c, h, w), and the skip connection beside it; `size` is what an upsampler must reach."""
        for layer in self:
            match layer:
                case ResBlock():
                    x, skip = layer(x, told, skip), None
                case SpatialTransformer():
                    x = layer(x, context)
                case Upsample():
                    x = layer(x, size)
                case _:
                    x = layer(x)
        return x


class UNet(nn.Module):
    """Predicts noise (eps) or velocity (v) from a scaled noisy latent, a timestep and a text."""

    packed = False  # see `fast`
    channels_last = False  # whether the weights are, and maps are to be
    last_on_cpu = True  # unless it is packed
    replays: Replays | None = None  # what records its passes, where that helps
    times: Times | None = None  # what keeps what its blocks are told of timesteps, where that helps

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c, d = config.widths
        time = config.time_width

        def res(c_in: int, c_out: int) -> ResBlock:
            return ResBlock(c_in, c_out, config)

        def attend(level: int) -> list[nn.Module]:
            if not config.attention[level]:
                return []
            return [SpatialTransformer(config.widths[level], config.cross_only[level], config)]

        self.time_embed = nn.Sequential(Linear(config.model_channels, time), nn.SiLU(), Linear(time, time))
        self.label_emb = _label_embedding(config)
        self.input_blocks = nn.ModuleList([
            Stage([Conv2d(config.in_channels, a, 3, padding=1)]),
            Stage([res(a, a), *attend(0)]),
            Stage([res(a, a), *attend(0)]),
            Stage([Downsample(a)]),
            Stage([res(a, b), *attend(1)]),
            Stage([res(b, b), *attend(1)]),
            Stage([Downsample(b)]),
            Stage([res(b, c), *attend(2)]),
            Stage([res(c, c), *attend(2)]),
            Stage([Downsample(c)]),
            Stage([res(c, d), *attend(3)]),
            Stage([res(d, d), *attend(3)]),
        ])  # fmt: skip
        self.middle_block = Stage([res(d, d), SpatialTransformer(d, False, config), res(d, d)])
        self.output_blocks = nn.ModuleList([
            Stage([res(d + d, d), *attend(3)]),
            Stage([res(d + d, d), *attend(3)]),
            Stage([res(d + c, d), *attend(3), Upsample(d)]),
            Stage([res(d + c, c), *attend(2)]),
            Stage([res(c + c, c), *attend(2)]),
            Stage([res(c + b, c), *attend(2), Upsample(c)]),
            Stage([res(c + b, b), *attend(1)]),
            Stage([res(b + b, b), *attend(1)]),
            Stage([res(b + a, b), *attend(1), Upsample(b)]),
            Stage([res(b + a, a), *attend(0)]),
            Stage([res(a + a, a), *attend(0)]),
            Stage([res(a + a, a), *attend(0)]),
        ])  # fmt: skip
        self.out = nn.Sequential(
            nn.GroupNorm(config.norm_groups, a), nn.SiLU(), Conv2d(a, config.out_channels, 3, padding=1)
        )

    def forward(
        self, x: Tensor, timestep: Tensor, context: Tensor, y: Tensor | None = None, *,
        control: Control | None = None, hooks: Hooks = NO_HOOKS, moment: Pass | None = None,
    ) -> Tensor:
        """Map x (batch, in channels, h, w), timestep (batch,), context (batch, tokens, context dim) to the prediction.

        y: class indices (batch,) where the config has num_classes; vectors (batch, adm_dim) where it has adm_dim.
        control: residuals to be added inside. hooks: functions to be called inside, which are told of `moment`; it
        is made up from the arguments if there is none. Raises ValueError when y is missing or not wanted.
        """
        told = self.told(x, timestep, y)
        if control is not None:
            hooks = join([hooks, Hooks(control=(control,))])
        if not hooks.empty:
            if moment is None:
                moment = Pass(x, torch.zeros(()), timestep, context)
            return run_hooked(self, x, told, context, hooks, moment)

        h, skips = self.entered(x), []
        for stage in self.input_blocks:
            h = stage(h, told, context)
            skips.append(h)
        h = self.middle_block(h, told, context)
        for stage in self.output_blocks:
            skip = skips.pop()
            h = stage(h, told, context, skips[-1].shape[2:] if skips else None, skip)
        return self.head(h)

    def head(self, h: Tensor) -> Tensor:
        """The way out of the network: (batch, model channels, h, w) to (batch, out channels, h, w)."""
        h = silu_normed(self.out[0], h) if self.packed else map_normed(self.out[0], h, silu=True)
        out: Tensor = self.out[2](h)
        return out.contiguous()

    def entered(self, x: Tensor) -> Tensor:
        """The input in the layout that the layers work in."""
        return x.contiguous(memory_format=torch.channels_last) if self.packed or self.channels_last else x

    def told(self, x: Tensor, timestep: Tensor, y: Tensor | None) -> Told:
        """What the residual blocks are told of timestep (batch,) and label."""
        if (y is None) != (self.label_emb is None):
            wants = "needs a label y (num_classes or adm_dim)" if y is None else "takes no label y"
            raise ValueError(f"this UNet {wants}")
        if self.times is not None and self.replays is None and y is None:  # a recording looks nothing up
            known = self.times.of(self, timestep, x.dtype)
            if known is not None:
                return known
        emb: Tensor = self.time_embed(timestep_embedding(timestep, self.config.model_channels).to(x.dtype))
        return Told(emb if self.label_emb is None else emb + self.label_emb(y))


def _label_embedding(config: UNetConfig) -> nn.Module | None:
    time = config.time_width
    if config.num_classes is not None:
        return nn.Embedding(config.num_classes, time)
    if config.adm_dim is not None:
        return nn.Sequential(nn.Sequential(Linear(config.adm_dim, time), nn.SiLU(), Linear(time, time)))
    return None
