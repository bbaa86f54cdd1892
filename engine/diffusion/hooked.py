"""The UNet's forward pass with places for patches: the same layers in the same order as `unet.UNet.forward`.

It stands beside the plain pass, not in it, so that a network without patches pays nothing; with hooks that change
nothing its result is bit-identical to the plain one, and a test says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from engine.diffusion.hooks import (
    AttentionInput,
    AttentionReplace,
    Block,
    Change,
    Hooks,
    Pass,
    Place,
    Site,
    replacement,
)  # fmt: skip
from engine.diffusion.layers import Attention, ResBlock, SpatialTransformer, Told, TransformerBlock, Upsample

if TYPE_CHECKING:
    from engine.diffusion.unet import UNet


def run_hooked(unet: UNet, x: Tensor, told: Told, context: Tensor, hooks: Hooks, moment: Pass) -> Tensor:
    """Map x (batch, in channels, h, w) to the prediction, calling the hooks."""
    walk = _Walk(hooks, moment, context)
    if hooks.embedding:
        told = _told(told, hooks, walk.site("input", 0, x))
    h, skips = unet.entered(x), []
    shortcut = hooks.shortcut[-1] if hooks.shortcut else None
    features = shortcut.features if shortcut is not None else None
    inputs, outputs = list(enumerate(unet.input_blocks)), list(enumerate(unet.output_blocks))
    resume = len(inputs) - shortcut.depth if shortcut is not None else -1
    if features is not None:
        inputs, outputs = inputs[:-resume], outputs[resume:]
    for number, stage in inputs:
        h = walk.stage(stage, h, told, "input", number)
        for control in hooks.control:
            h = _added(h, control.input.get(number), "input", number)
        site = walk.site("input", number, h)
        h = _changed(h, hooks.input_block, site)
        skips.append(h)
        h = _changed(h, hooks.input_block_after_skip, site)

    if features is None:
        h = walk.stage(unet.middle_block, h, told, "middle", 0)
        for control in hooks.control:
            h = _added(h, control.middle, "middle", 0)
        h = _changed(h, hooks.middle_block, walk.site("middle", 0, h))
    else:
        h = features
    for number, stage in outputs:
        if shortcut is not None and features is None and number == resume:
            shortcut.keep(h)
        skip = skips.pop()
        for control in hooks.control:
            skip = _added(skip, control.output.get(len(skips)), "output", len(skips))
        site = walk.site("output", number, h)
        for change in hooks.output_block:
            h, skip = change(h, skip, site)
        h = walk.stage(
            stage, torch.cat([h, skip], dim=1), told, "output", number, skips[-1].shape[2:] if skips else None
        )
    return unet.head(h)


class _Walk:
    """One pass; it counts the transformers."""

    def __init__(self, hooks: Hooks, moment: Pass, context: Tensor) -> None:
        self.hooks, self.moment, self.context = hooks, moment, context
        self.transformer = 0

    def site(self, block: Block, number: int, h: Tensor) -> Site:
        """A place outside of attention."""
        return Site(self.moment, Place(block, number), (h.shape[-2], h.shape[-1]))

    def stage(
        self, stage: torch.nn.Module, x: Tensor, told: Told, block: Block, number: int,
        size: torch.Size | None = None,
    ) -> Tensor:
        """`unet.Stage.forward`."""
        for layer in cast(torch.nn.ModuleList, stage):
            match layer:
                case ResBlock():
                    x = layer(x, told)
                case SpatialTransformer():
                    x = self.spatial(layer, x, block, number)
                case Upsample():
                    x = layer(x, size)
                case _:
                    x = layer(x)
        return x

    def spatial(self, layer: SpatialTransformer, x: Tensor, block: Block, number: int) -> Tensor:
        """`layers.SpatialTransformer.forward`."""
        h = layer.tokens(x)
        for index, transformer in enumerate(layer.transformer_blocks):
            site = Site(
                self.moment, Place(block, number, index), (x.shape[-2], x.shape[-1]), transformer=self.transformer
            )
            h = self.block(cast(TransformerBlock, transformer), h, site)
            self.transformer += 1
        return layer.pixels(h, x)

    def block(self, layer: TransformerBlock, x: Tensor, site: Site) -> Tensor:
        """`layers.TransformerBlock.forward`."""
        hooks = self.hooks
        n = layer.norm1(x)
        context = self.context if layer.cross_only else n
        x = _attention(layer.attn1, x, n, context, hooks.attn1_input, hooks.attn1_replace, hooks.attn1_output, site)
        x = _changed(x, hooks.between, site)
        n = layer.norm2(x)
        x = _attention(
            layer.attn2, x, n, self.context, hooks.attn2_input, hooks.attn2_replace, hooks.attn2_output, site
        )
        out: Tensor = layer.ff(layer.norm3(x), x)
        return out


def _attention(
    layer: Attention, x: Tensor, n: Tensor, context: Tensor, inputs: tuple[AttentionInput, ...],
    replaced: Mapping[Place, AttentionReplace], outputs: tuple[Change, ...], site: Site,
) -> Tensor:
    """`layers.Attention.forward` of n, added to x."""
    site = site._replace(heads=layer.heads, attend=layer.attend)
    value = context
    for change in inputs:
        n, context, value = change(n, context, value, site)
    replace = replacement(replaced, site.place)
    if replace is None:
        h = layer.attend(*layer.queries_keys_values(n, context, value))
    else:
        h = replace(layer.to_q(n), *layer.keys_values(context, value), site)
    return x + _changed(layer.out(h), outputs, site) if outputs else layer.out(h, x)


def _told(told: Told, hooks: Hooks, site: Site) -> Told:
    """What hooks on the embedding make of it. What is known of the old one is let go, unless they change nothing."""
    before = told.emb[: told.rows]
    emb = _changed(before.clone(), hooks.embedding, site)  # they may do it in place
    known = bool(told.shifts) or told.rows is not None
    return told if known and emb.dtype == before.dtype and torch.equal(emb, before) else Told(emb)


def _changed(x: Tensor, changes: tuple[Change, ...], site: Site) -> Tensor:
    for change in changes:
        x = change(x, site)
    return x


def _added(h: Tensor, residual: Tensor | None, block: str, number: int) -> Tensor:
    if residual is None:
        return h
    if residual.shape[1:] != h.shape[1:] or residual.shape[0] not in (1, h.shape[0]):
        raise ValueError(
            f"a control residual for {block} block {number} has the shape {tuple(residual.shape)}, and the network's "
            f"feature map there {tuple(h.shape)}: the control network was made for another model or another size"
        )
    return h + residual.to(h.dtype)
