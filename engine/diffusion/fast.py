"""Layers that can hold their weights packed for the compiled kernels, and work out the same either way.

A layer is packed when it is loaded (`checkpoint.load_unet(..., packed=True)`) and stays so: its weight keeps its name,
its shape and its size, only the order of the numbers is the kernels'. Layers that are not packed are torch's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.kernels import build, norms, ops
from engine.diffusion.tensorfile import Place

LANES = 16  # numbers that the kernels of norms take at a time
# Pixels of one image, from which on summing a layer's weights takes less than the sums save. Not of all images at once:
# a picture must not depend on how many are made beside it.
WORTH_FOLDING = 2048
ROWS = 16  # MKL: products of 1 to 15 rows may differ in bits from the same rows among more; of 16 and more none did


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a network of this type can be packed here. Waits for the kernels if they are being built."""
    return dtype == torch.bfloat16 and device.type == "cpu" and build.available()


def is_folded(size: tuple[int, int]) -> bool:
    """Whether doubling a map to this size is folded into the convolution that follows."""
    return size[0] * size[1] >= WORTH_FOLDING


def make_last(network: nn.Module, apart: Collection[str] = ()) -> None:
    """Have a network's weights and maps channels-last: one of a class that knows `channels_last`.

    apart: weights that are left as they are.
    """
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4 and name not in apart:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    cast(Any, network).channels_last = True


def goes_last(network: nn.Module, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a network is to be channels-last there: where Triton is on CUDA; on the CPU a UNet that is not packed."""
    if device.type == "cpu":
        return bool(getattr(network, "last_on_cpu", False)) and not any(map(is_packed, network.modules()))
    return hasattr(network, "channels_last") and norms.can_be_last(dtype, device)


class Linear(nn.Linear):
    """torch's, with a residual. halves: the columns are values and gates, for `gated`."""

    packed = False
    halves = False

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """X (…, in) to (…, out), plus residual of that shape."""
        if self.packed:
            return ops.linear([x], self.weight, self.out_features, self.bias, residual=residual)
        out = super().forward(x)
        return out if residual is None else residual + out


class Conv2d(nn.Conv2d):
    """torch's; of those with packed weights the callers that can say more at once use `ops` themselves."""

    packed = False
    halves = False

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in, h, w) to (batch, out, h', w')."""
        if not self.packed:
            return self._product(x) if self._is_small(x) else super().forward(x)
        return self.tokens([x]) if self.kernel_size == (1, 1) else self.around(ops.padded(x))

    def _is_small(self, x: Tensor) -> bool:
        """Whether oneDNN would take longer to put the weights in order, at each call, than to multiply.

        A matter of one image, not of the batch: a picture must not depend on how many are made beside it. Of fewer
        rows than ROWS a product's bits follow from how many there are.
        """
        return (
            ROWS <= x.shape[2] * x.shape[3] < self.out_channels and self.kernel_size == (3, 3) and self.stride == (1, 1)
            and self.padding == (1, 1) and x.device.type == "cpu" and x.dtype == torch.float32
            and not torch.is_grad_enabled() and x.is_contiguous(memory_format=torch.channels_last)
        )

    def _product(self, x: Tensor) -> Tensor:
        """The 3×3 convolution of a small channels-last map as one product; a view of channels-last weights will do."""
        around = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))  # (batch, h + 2, w + 2, in)
        pieces = around.unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3).flatten(3)  # (batch, h, w, 9·in)
        return F.linear(pieces, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias).permute(0, 3, 1, 2)

    def tokens(self, parts: Sequence[Tensor]) -> Tensor:
        """A packed 1×1 convolution of maps side by side."""
        height, width = parts[0].shape[-2:]
        out = ops.linear([ops.rows(part) for part in parts], self.weight, self.out_channels, self.bias)
        return ops.picture(out, height, width)

    def enlarged(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """A packed 3×3 convolution of a map that is enlarged to `size` by nearest neighbours."""
        height, width = x.shape[-2:]
        if size == (2 * height, 2 * width) and is_folded(size):
            return ops.doubled_conv3x3(ops.padded(x), self.weight, self.out_channels, self.bias)
        return self.around(ops.padded(x, size))

    def around(self, x: ops.Padded, *, shift: Tensor | None = None, residual: Tensor | None = None) -> Tensor:
        """A packed 3×3 convolution, plus shift (batch, out) and residual."""
        return ops.conv3x3(x, self.weight, self.out_channels, self.bias, shift=shift, residual=residual)


class LayerNorm(nn.LayerNorm):
    """torch's."""

    packed = False

    def forward(self, x: Tensor) -> Tensor:
        """(…, width), same shape out."""
        if self.packed:
            return ops.layer_norm(x, self.weight, self.bias, self.eps)
        return super().forward(x)


def is_bare(layer: nn.Module) -> bool:
    """Whether calling a layer is no more than its class's `forward`: nobody put a function into it."""
    return not layer._forward_hooks and not layer._forward_pre_hooks and "forward" not in vars(layer)


def is_packed(layer: nn.Module) -> bool:
    """Whether a layer is packed; one that something was put around is not."""
    return bool(getattr(layer, "packed", False))


def added(layer: nn.Module, x: Tensor, residual: Tensor | None) -> Tensor:
    """A layer's result plus residual."""
    if isinstance(layer, Linear):
        fused: Tensor = layer(x, residual)
        return fused
    out: Tensor = layer(x)
    return out if residual is None else residual + out


def gated(layer: Linear, x: Tensor) -> Tensor:
    """Value · gelu(gate) of the halves of a projection: (…, in) to (…, out/2)."""
    if is_packed(layer):
        return ops.linear([x], layer.weight, layer.out_features, layer.bias, gated=True)
    value, gate = layer(x).chunk(2, dim=-1)
    out: Tensor = value * F.gelu(gate)
    return out


def linears(layers: Sequence[Linear | Conv2d], x: Tensor) -> tuple[Tensor, ...]:
    """Packed layers of equal widths (convolutions 1×1 among them) of one input (…, in), in one product."""
    packed = [layer.weight for layer in layers]
    return ops.linears(x, packed, packed[0].shape[0], [layer.bias for layer in layers])


def lay_side_by_side(layers: Sequence[nn.Module]) -> None:
    """Put the weights of layers of one input into one memory, one after another; `joined` is then their product."""
    if not _may_join(layers) or joined(layers) is not None:
        return
    weights = [cast(Tensor, layer.weight) for layer in layers]
    together = torch.cat([weight.detach() for weight in weights])
    for weight, part in zip(weights, torch.split(together, list(map(len, weights))), strict=True):
        weight.data = part


def joined(layers: Sequence[nn.Module]) -> Tensor | None:
    """The weights of layers of one input as one matrix (columns of all, in), if they lie one after another in memory.

    It is a view: what changes them changes it. None where something was put around a layer or into it, too.
    """
    if torch.is_grad_enabled() or not _may_join(layers):
        return None
    weights = [cast(Tensor, layer.weight) for layer in layers]
    first, place = weights[0], weights[0].data_ptr()
    storage = first.untyped_storage().data_ptr()
    for weight in weights:
        if weight.data_ptr() != place or weight.untyped_storage().data_ptr() != storage or weight.dtype != first.dtype:
            return None
        place += weight.nbytes
    return first.as_strided((sum(map(len, weights)), first.shape[1]), (first.shape[1], 1))


def _may_join(layers: Sequence[nn.Module]) -> bool:
    """Whether layers are plain ones without bias, of one input."""
    return all(
        type(layer) is Linear and is_bare(layer) and not layer.packed and getattr(layer, "bias", None) is None
        and layer.weight.is_contiguous()
        and layer.in_features == cast(Linear, layers[0]).in_features
        for layer in layers
    )  # fmt: skip


def normed(norm: nn.GroupNorm, parts: Sequence[Tensor]) -> Tensor:
    """GroupNorm by the kernels: maps side by side to tokens (batch, h·w, c)."""
    return ops.group_norm(parts, norm.num_groups, norm.weight, norm.bias, norm.eps, silu=False)


def padded(norm: nn.Module, parts: Sequence[Tensor]) -> ops.Padded:
    """GroupNorm and SiLU by the kernels, with a border for the 3×3 convolution that follows."""
    assert isinstance(norm, nn.GroupNorm)
    return ops.padded_group_norm(parts, norm.num_groups, norm.weight, norm.bias, norm.eps, silu=True)


def map_normed(norm: nn.Module, x: Tensor, *, silu: bool) -> Tensor:
    """GroupNorm, then SiLU, as a map (batch, c, h, w): PyTorch's, or Triton's where maps are channels-last on CUDA."""
    if isinstance(norm, nn.GroupNorm) and norms.takes(x):
        return norms.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps, silu=silu)
    out: Tensor = norm(x)
    return F.silu(out) if silu else out


def silu_normed(norm: nn.Module, x: Tensor) -> Tensor:
    """GroupNorm and SiLU as a map (batch, c, h, w) of a packed network, by the kernels where they can."""
    assert isinstance(norm, nn.GroupNorm)
    if norm.num_channels % LANES:
        return F.silu(norm(x))
    out = ops.group_norm([x], norm.num_groups, norm.weight, norm.bias, norm.eps, silu=True)
    return ops.picture(out, *x.shape[-2:])


class Packer:
    """Packs the weights of a network that is being loaded.

    It marks the layers at once, by their shapes, and the modules whose class says that they care (`packed`). A network
    most of whose layers cannot be packed, because its widths are no multiples of 32, stays plain as a whole.
    """

    def __init__(self, module: nn.Module) -> None:
        layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, Linear | Conv2d)}
        packable = {f"{name}.weight": layer for name, layer in layers.items() if _is_packable(layer)}
        self._layers = packable if 2 * len(packable) > len(layers) else {}
        # Kept, since the weight of a layer that is streamed is what is being read when they are wanted.
        self._shapes = {name: layer.weight.shape for name, layer in self._layers.items()}
        for layer in self._layers.values():
            layer.packed = True
        for each in module.modules() if self._layers else ():
            if isinstance(each, LayerNorm):
                each.packed = each.normalized_shape[-1] % LANES == 0
            elif hasattr(type(each), "packed") and not isinstance(each, Linear | Conv2d):
                cast(Any, each).packed = True

    def packed(self, name: str, tensor: Tensor, out: Tensor | None = None) -> Tensor | None:
        """A parameter's value as its layer wants it, in `out` if there is one; None if that is the plain one."""
        layer = self._layers.get(name)
        return None if layer is None else ops.pack(tensor, gated=layer.halves, out=out).view(tensor.shape)

    def packed_from(self, name: str, place: Place | None, out: Tensor | None = None) -> Tensor | None:
        """`packed` of a parameter whose value lies in a file as it is, without having it in memory in between.

        Raises CheckpointError if the file ends before it does.
        """
        layer = self._layers.get(name)
        if layer is None or place is None or place.dtype not in ops.KINDS:
            return None
        shape = self._shapes[name]
        try:
            made = ops.pack_file(place.file, place.start, place.dtype, shape, gated=layer.halves, out=out)
        except EOFError:
            raise place.cut_short(name) from None
        return made.view(shape)


def _is_packable(layer: Linear | Conv2d) -> bool:
    if isinstance(layer, Conv2d) and (layer.stride != (1, 1) or layer.padding[0] != layer.kernel_size[0] // 2):
        return False
    return ops.packable(layer.weight.shape)
