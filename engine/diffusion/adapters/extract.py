"""A LoRA out of a difference of weights: the best approximation of a rank (Eckart and Young, 1936)."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from engine.diffusion.adapters.patches import WeightPatch, patched
from engine.diffusion.checkpoint import Weights

LoraType = Literal["standard", "full_diff"]
PREFIXES = {"unet": "diffusion_model.", "clip_l": "text_encoders.clip_l.transformer.text_model.",
            "clip_h": "text_encoders.clip_h.transformer.text_model."}  # fmt: skip


def extract(
    weights: Weights, patches: tuple[WeightPatch, ...], rank: int, kind: LoraType, biases: bool, prefix: str,
    on_tensor: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Tensor]:  # fmt: skip
    """Read a network whose weights are a difference (ModelMergeSubtract) as an adapter, float16.

    kind: "standard" takes `rank` singular values of each matrix, "full_diff" the differences as they are. biases: take
    those and the norms' along. What did not change is left out. on_tensor: told how far it is; may raise to stop.
    """
    tensors: dict[str, Tensor] = {}
    total = len(weights.mapping)
    for done, (name, value, _) in enumerate(patched(weights, patches, torch.float32), 1):
        on_tensor(done, total)
        module, _, leaf = name.removeprefix("transformer.").rpartition(".")
        head, value = prefix + module, value.float()
        if not bool(value.any()) or (value.ndim < 2 and not biases):
            continue
        if leaf == "bias":
            tensors[f"{head}.diff_b"] = value.half().contiguous()
        elif value.ndim < 2 or kind == "full_diff":
            tensors[f"{head}.diff"] = value.half().contiguous()
        else:
            tensors.update({f"{head}.{key}": each for key, each in low_rank(value, rank).items()})
    return tensors


def low_rank(difference: Tensor, rank: int) -> Mapping[str, Tensor]:
    """A matrix or a convolution's kernel (out, in, …) as up · down of at most `rank`, float16.

    The root of each singular value is on either side.
    """
    flat = difference.flatten(1)
    u, s, v = torch.linalg.svd(flat, full_matrices=False)
    rank = min(rank, len(s))
    root = s[:rank].sqrt()
    ones = [1] * (difference.ndim - 2)
    up = (u[:, :rank] * root).reshape(-1, rank, *ones)
    down = (root[:, None] * v[:rank]).reshape(rank, *difference.shape[1:])
    return {"lora_up.weight": up.half().contiguous(), "lora_down.weight": down.half().contiguous()}
