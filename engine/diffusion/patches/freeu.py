"""FreeU: the decoder's features louder, the low frequencies of its skip connections quieter (arXiv:2309.11497)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.hooks import Hooks, NetworkPatch, Pass, Site

FLAT = 1e-12  # a map of one value is scaled by 1
LOW = 1  # half the side of the box of low frequencies, around the middle of the shifted spectrum


@dataclass(frozen=True)
class FreeU(NetworkPatch):
    """Scales b1, s1 where a decoder block has 4·model_channels channels and b2, s2 where it has 2· (numerics.md, 5.6).

    by_structure: version 2, where the features are scaled most where they are largest on average.
    """

    b1: float
    b2: float
    s1: float
    s2: float
    model_channels: int
    by_structure: bool = False

    def hooks(self, moment: Pass) -> Hooks:
        """At each decoder block, before its skip connection is concatenated."""
        scales = {4 * self.model_channels: (self.b1, self.s1), 2 * self.model_channels: (self.b2, self.s2)}

        def change(h: Tensor, skip: Tensor, site: Site) -> tuple[Tensor, Tensor]:
            if h.shape[1] not in scales:
                return h, skip
            b, s = scales[h.shape[1]]
            return louder(h, b, self.by_structure), with_low_frequencies(skip, s)

        return Hooks(output_block=(change,))


def louder(h: Tensor, factor: float, by_structure: bool) -> Tensor:
    """The first half of the channels of h (batch, c, h, w) scaled."""
    half = h.shape[1] // 2
    scale: Tensor | float = factor
    if by_structure:
        mean = h.mean(dim=1, keepdim=True)
        low, high = mean.amin(dim=(2, 3), keepdim=True), mean.amax(dim=(2, 3), keepdim=True)
        scale = (factor - 1.0) * ((mean - low) / (high - low).clamp_min(FLAT)) + 1.0
    return torch.cat([h[:, :half] * scale, h[:, half:]], dim=1)


def with_low_frequencies(x: Tensor, scale: float) -> Tensor:
    """A feature map (batch, c, h, w) with its lowest frequencies scaled; worked out in float32."""
    spectrum = torch.fft.fftshift(torch.fft.fft2(x.float()), dim=(-2, -1))
    row, column = x.shape[-2] // 2, x.shape[-1] // 2
    spectrum[..., row - LOW : row + LOW, column - LOW : column + LOW] *= scale
    changed: Tensor = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real
    return changed.to(x.dtype)
