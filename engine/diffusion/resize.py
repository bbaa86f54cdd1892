"""Resizing pictures and latents as ComfyUI's common_upscale does (numerics.md, 7.2)."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from engine.diffusion.limits import check_size

ALIGNED = 1e-5  # how close to parallel two vectors must be for bislerp not to turn between them


def common_upscale(x: Tensor, width: int, height: int, method: str, crop: str = "disabled") -> Tensor:
    """Resize (batch, c, h, w) to (batch, c, height, width), by one of RESIZE_METHODS.

    crop: "center" cuts to the new aspect first; "disabled" stretches. Raises ValueError for unknown words and for
    sizes that are none or that no machine holds.
    """
    if method not in METHODS:
        raise ValueError(f"no resize method is called {method!r}; choose one of {', '.join(METHODS)}")
    if crop not in ("disabled", "center"):
        raise ValueError(f"crop is {crop!r}; choose disabled or center")
    if width < 1 or height < 1:
        raise ValueError(f"cannot resize to {width}×{height}; both sides are at least 1")
    check_size((*x.shape[:2], height, width), "a scaled batch")
    return METHODS[method](centre_crop(x, width, height) if crop == "center" else x, width, height)


def centre_crop(x: Tensor, width: int, height: int) -> Tensor:
    """The largest central part of (…, h, w) with the aspect of width:height."""
    old_height, old_width = x.shape[-2:]
    old, new = old_width / old_height, width / height
    left = top = 0
    if old > new:
        left = round((old_width - old_width * (new / old)) / 2)
    elif old < new:
        top = round((old_height - old_height * (old / new)) / 2)
    return x[..., top : old_height - top, left : old_width - left]


def _torch(mode: str) -> Callable[[Tensor, int, int], Tensor]:
    def resize(x: Tensor, width: int, height: int) -> Tensor:
        return F.interpolate(x, size=(height, width), mode=mode)

    return resize


def lanczos(x: Tensor, width: int, height: int) -> Tensor:
    """Pillow's 8-bit Lanczos filter on pictures (batch, c, h, w) in 0..1."""
    done = []
    for picture in x:
        pixels = np.clip(255.0 * picture.movedim(0, -1).cpu().numpy(), 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        resized = (
            np.asarray(image.resize((width, height), resample=Image.Resampling.LANCZOS)).astype(np.float32) / 255.0
        )
        done.append(torch.from_numpy(resized if resized.ndim == 3 else resized[..., None]).movedim(-1, 0))
    return torch.stack(done).to(x.device, x.dtype)


def bislerp(x: Tensor, width: int, height: int) -> Tensor:
    """Spherical interpolation of the channel vectors, along rows and then along columns."""
    out = _slerp_rows(x.float(), width)
    return _slerp_rows(out.transpose(-1, -2), height).transpose(-1, -2).to(x.dtype)


def _slerp_rows(x: Tensor, length: int) -> Tensor:
    """(batch, c, h, w) to (batch, c, h, length)."""
    old = x.shape[-1]

    def stretched(ramp: Tensor) -> Tensor:
        return F.interpolate(ramp.reshape(1, 1, 1, -1), size=(1, length), mode="bilinear").reshape(-1)

    positions = stretched(torch.arange(old, dtype=torch.float32))
    following = torch.arange(old, dtype=torch.float32) + 1
    following[-1] -= 1
    first, ratio = positions.long(), positions - positions.floor()
    second = stretched(following).long()
    return _slerp(x[..., first.to(x.device)], x[..., second.to(x.device)], ratio.to(x.device))


def _slerp(a: Tensor, b: Tensor, ratio: Tensor) -> Tensor:
    """Turn from a to b (batch, c, h, n) by a ratio (n,), and blend their lengths."""
    length_a, length_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    unit_a = torch.where(length_a == 0, 0.0, a / length_a)
    unit_b = torch.where(length_b == 0, 0.0, b / length_b)
    dot = (unit_a * unit_b).sum(dim=1, keepdim=True)
    angle = dot.clamp(-1.0, 1.0).acos()
    turned = (((1.0 - ratio) * angle).sin() * unit_a + (ratio * angle).sin() * unit_b) / angle.sin()
    turned = turned * (length_a * (1.0 - ratio) + length_b * ratio)
    turned = torch.where(dot > 1 - ALIGNED, a, turned)  # taken as it is, not blended: part of the reference
    return torch.where(dot < -1 + ALIGNED, a * (1.0 - ratio) + b * ratio, turned)


METHODS: Mapping[str, Callable[[Tensor, int, int], Tensor]] = {
    "nearest-exact": _torch("nearest-exact"),
    "bilinear": _torch("bilinear"),
    "area": _torch("area"),
    "bicubic": _torch("bicubic"),
    "bislerp": bislerp,
    "lanczos": lanczos,
}
RESIZE_METHODS: tuple[str, ...] = tuple(METHODS)
