"""The members of the LoRA family: what the tensors of a module make of its weight (models.md, 7.1; numerics.md, 8.2).

A kind is one row of `KINDS`: which tensors it needs, its rank, and the function from them to a difference of the
weight. `ROLES` says by the end of a key what a tensor is for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]

ROLES = {  # suffix of a key → what the tensor is for
    "lora_up.weight": "up", "lora_down.weight": "down", "lora_mid.weight": "mid",
    "lora_B.weight": "up", "lora_A.weight": "down", "lora_B.default.weight": "up", "lora_A.default.weight": "down",
    "lora_B": "up", "lora_A": "down", "lora.up.weight": "up", "lora.down.weight": "down",
    "lora_linear_layer.up.weight": "up", "lora_linear_layer.down.weight": "down",
    "up.weight": "up", "down.weight": "down",
    "alpha": "alpha", "lora.alpha": "alpha", "lora_linear_layer.alpha": "alpha",
    "hada_w1_a": "w1_a", "hada_w1_b": "w1_b", "hada_w2_a": "w2_a", "hada_w2_b": "w2_b", "hada_t1": "t1",
    "hada_t2": "t2",
    "lokr_w1": "kron1", "lokr_w1_a": "kron1_a", "lokr_w1_b": "kron1_b", "lokr_w2": "kron2", "lokr_w2_a": "kron2_a",
    "lokr_w2_b": "kron2_b", "lokr_t2": "kron_t2",
    "a1.weight": "a1", "a2.weight": "a2", "b1.weight": "b1", "b2.weight": "b2", "bm.weight": "bm",
    "oft_blocks": "blocks", "rescale": "rescale",
    "dora_scale": "magnitude", "lora_magnitude_vector": "magnitude", "lora_magnitude_vector.weight": "magnitude",
    "lora_magnitude_vector.default.weight": "magnitude",
    "diff": "diff", "w_norm": "diff", "diff_b": "bias", "b_norm": "bias", "set_weight": "set",
}  # fmt: skip
OTHER_KINDS = {  # suffixes of kinds that exist elsewhere and are not applied here
    ".on_input": "(IA)³", ".oft_diag": "OFT with oft_diag", ".oft_r": "PEFT's OFT", ".oft_R.weight": "PEFT's OFT",
    ".boft_R": "PEFT's BOFT", ".boft_s": "PEFT's BOFT",
}  # fmt: skip


def _no_rank(_: Tensors, __: Tensor) -> int:
    return 0


@dataclass(frozen=True)
class Kind:
    """One member of the family. `needs`: sets of roles, any of which is enough, in order.

    delta: the tensors and the present weight, all float32, and the strength, to the difference, which is then times
    strength and alpha/rank. Only a rotation reads the strength, since it is not in proportion to it.
    rank: what alpha is divided by; 0: it is not a factor.
    """

    name: str
    needs: tuple[frozenset[str], ...]
    delta: Callable[[Tensors, Tensor, float], Tensor]
    rank: Callable[[Tensors, Tensor], int] = _no_rank


def _lora(t: Tensors, weight: Tensor, _: float) -> Tensor:
    """Up · down (Hu et al., arXiv:2106.09685), with the core of LoCon's CP form between them if there is one."""
    down = _with_core(t.get("mid"), t["down"])
    return (t["up"].flatten(1) @ down.flatten(1)).reshape(weight.shape)


def _with_core(core: Tensor | None, down: Tensor) -> Tensor:
    return down if core is None else torch.einsum("oqkl,qi->oikl", core, down.flatten(1))


def _loha(t: Tensors, weight: Tensor, _: float) -> Tensor:
    """(A₁B₁) ∘ (A₂B₂): FedPara, Hyeon-Woo et al. (arXiv:2108.06098)."""
    if "t1" in t:
        one = torch.einsum("ijkl,jr,ip->prkl", t["t1"], t["w1_b"], t["w1_a"])
        two = torch.einsum("ijkl,jr,ip->prkl", t["t2"], t["w2_b"], t["w2_a"])
    else:
        one, two = t["w1_a"] @ t["w1_b"], t["w2_a"] @ t["w2_b"]
    return (one * two).reshape(weight.shape)


def _lokr(t: Tensors, weight: Tensor, _: float) -> Tensor:
    """W₁ ⊗ W₂, either of which may itself be a product: LyCORIS, Yeh et al. (arXiv:2309.14859)."""
    one = t["kron1"] if "kron1" in t else t["kron1_a"] @ t["kron1_b"]
    if "kron2" in t:
        two = t["kron2"]
    elif "kron_t2" in t:
        two = torch.einsum("ijkl,jr,ip->prkl", t["kron_t2"], t["kron2_b"], t["kron2_a"])
    else:
        two = t["kron2_a"] @ t["kron2_b"]
    if two.ndim == 4:
        one = one[:, :, None, None]
    return torch.kron(one, two.contiguous()).reshape(weight.shape)


def _lokr_rank(t: Tensors, _: Tensor) -> int:
    return next((t[role].shape[0] for role in ("kron2_b", "kron1_b") if role in t), 0)  # whole factors have none


def _glora(t: Tensors, weight: Tensor, _: float) -> Tensor:
    """W·A + B, both of low rank: Chavan et al. (arXiv:2306.07967).

    A convolution's A acts on input channels, equally at every tap. Old files have the two matrices of each pair the
    other way round.
    """
    a1, a2, b1 = t["a1"].flatten(1), t["a2"].flatten(1), t["b1"].flatten(1)
    if _is_old_glora(t, weight):
        scaled = weight.flatten(1) @ a2 @ a1
        return (scaled + t["b2"].flatten(1) @ b1).reshape(weight.shape)
    scaled = torch.einsum("oi...,ir,rj->oj...", weight, a1, a2)
    b2 = _with_core(t.get("bm"), t["b2"]).flatten(1)
    return scaled + (b1 @ b2).reshape(weight.shape)


def _is_old_glora(t: Tensors, weight: Tensor) -> bool:
    """The old layout is A₂ (in, r), A₁ (r, in), B₂ (out, r), B₁ (r, in); in the present one 1 and 2 are exchanged.

    Where all matrices are square both fit, and the old one is meant, as in ComfyUI.
    """
    outer = t["b2"].shape[0] == weight.shape[0] and t["a2"].shape[0] == weight[0].numel()
    return outer and t["a1"].shape[0] == t["a2"].shape[1] == t["b1"].shape[0] == t["b2"].shape[1]


def _glora_rank(t: Tensors, weight: Tensor) -> int:
    return (t["a1"] if _is_old_glora(t, weight) else t["a2"]).shape[0]


def _orthogonal(t: Tensors, weight: Tensor, strength: float) -> Tensor:
    """Rotations of the outputs: OFT, Qiu et al. (arXiv:2306.07280), a rotation for each block of outputs.

    Blocks of four axes are BOFT's, Liu et al. (arXiv:2311.06243): a butterfly of such steps. `rescale` multiplies
    every output afterwards. At a strength s every rotation R becomes s·R + (1 - s)·I, and, as in ComfyUI, the
    difference is times s once more. LyCORIS, which writes such files, takes s once, and limits rotations to alpha times
    the number of outputs instead of alpha. ComfyUI leaves `rescale` out of OFT; here it counts for both.
    """
    blocks = t["blocks"]
    number, size = blocks.shape[-3], blocks.shape[-1]
    if blocks.ndim > 4 or number * size != weight.shape[0] or (blocks.ndim == 4 and size % 2):
        raise ValueError("blocks for another weight")
    identity = torch.eye(size, device=blocks.device)
    rotations = strength * _rotations(blocks, t.get("alpha")) + (1.0 - strength) * identity
    rotated = weight.flatten(1)  # (outputs, everything else)
    if blocks.ndim == 3:
        rotated = rotations.mT @ rotated.reshape(number, size, -1)
    else:
        for level, of_level in enumerate(rotations):
            rotated = _butterfly(of_level, rotated, size // 2 * 2**level)
    rotated = rotated.reshape(weight.shape)
    if "rescale" in t:
        rotated = rotated * t["rescale"].reshape(weight.shape[0], *[1] * (weight.ndim - 1))
    return rotated - weight


def _rotations(blocks: Tensor, limit: Tensor | None) -> Tensor:
    """Cayley's transform (I + Q)(I - Q)⁻¹ of each block's skew part Q = B - Bᵀ (…, size, size).

    limit: what the norm of all of Q is held to; 0 and None are no limit.
    """
    skew = blocks - blocks.mT
    if limit is not None:
        norm = torch.linalg.vector_norm(skew) + 1e-8
        skew = skew * torch.where(limit > 0, limit / norm, 1.0).clamp(max=1.0).reshape(())
    identity = torch.eye(blocks.shape[-1], device=blocks.device)
    rotations: Tensor = torch.linalg.solve(identity - skew, identity + skew)
    return rotations


def _butterfly(rotations: Tensor, x: Tensor, reach: int) -> Tensor:
    """Rotate rows that lie `reach` apart with each other: x (rows, columns), rotations (blocks, size, size)."""
    number, size, _ = rotations.shape
    columns = x.shape[1]
    beside = x.reshape(-1, 2, reach, columns).transpose(1, 2).reshape(number, size, columns)
    rotated = (rotations @ beside).reshape(-1, reach, 2, columns)
    return rotated.transpose(1, 2).reshape(-1, columns)


def _diff(t: Tensors, weight: Tensor, _: float) -> Tensor:
    return t["diff"].reshape(weight.shape)


def _set(t: Tensors, weight: Tensor, _: float) -> Tensor:
    return t["set"].reshape(weight.shape) - weight


KINDS = (
    Kind("LoRA", (frozenset({"up", "down"}),), _lora, lambda t, _: t["down"].shape[0]),
    Kind("LoHa", (frozenset({"w1_a", "w1_b", "w2_a", "w2_b"}),), _loha, lambda t, _: t["w1_b"].shape[0]),
    Kind("LoKr", (
        frozenset({"kron1", "kron2"}), frozenset({"kron1", "kron2_a", "kron2_b"}),
        frozenset({"kron1_a", "kron1_b", "kron2"}), frozenset({"kron1_a", "kron1_b", "kron2_a", "kron2_b"}),
    ), _lokr, _lokr_rank),
    Kind("GLoRA", (frozenset({"a1", "a2", "b1", "b2"}),), _glora, _glora_rank),
    Kind("OFT", (frozenset({"blocks"}),), _orthogonal),
    Kind("difference", (frozenset({"diff"}),), _diff),
    Kind("weight", (frozenset({"set"}),), _set),
)  # fmt: skip
