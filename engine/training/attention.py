"""Attention as training on a CPU likes it: two products and a softmax."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


def plain_attention(device: str) -> ExitStack:
    """Within it, attention on a CPU is not fused; other devices keep their own way.

    Over a few tokens, a CPU's fused attention takes a third of a training step, most of it backwards. torch's unfused
    path takes a tenth more than `_Plain`, as it looks for rows that are wholly masked.
    """
    within = ExitStack()
    if device == "cpu":
        within.enter_context(sdpa_kernel(SDPBackend.MATH))  # also where `_Plain` does not reach or does not act
        within.enter_context(_Plain())
    return within


class _Plain(TorchFunctionMode):
    """Attention without mask and dropout. Under autocast its scores are bfloat16, as the rest of the network is.

    torch's own path keeps them in float32 there, which costs a twelfth of a step of the starter's UNet.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        special = len(args) != 3 or any(given.get(name) for name in ("dropout_p", "is_causal", "enable_gqa"))
        if func is not F.scaled_dot_product_attention or special or given.get("attn_mask") is not None:
            return func(*args, **given)
        q, k, v = args
        scale = given.get("scale")
        scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.transpose(-1, -2)
        return scores.softmax(dim=-1) @ v
