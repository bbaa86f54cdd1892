"""Which number type each network computes in: decided by wish, kind of device and what the processor can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from engine.runtime.precision_flags import ALL_ALIKE, NetworkTypes, Word

Precision = Word
DTYPES: Mapping[str, torch.dtype] = {
    "fp64": torch.float64, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16,
}  # fmt: skip
FAST_BF16 = frozenset({"amx_bf16", "avx512_bf16"})  # instructions that multiply bfloat16 faster than float32


@dataclass(frozen=True, slots=True)
class Dtypes:
    """The type that each network computes in."""

    unet: torch.dtype
    vae: torch.dtype
    text: torch.dtype


EXACT = Dtypes(torch.float32, torch.float32, torch.float32)
FAST_CPU = Dtypes(torch.bfloat16, torch.bfloat16, torch.float32)
HALF_UNET = Dtypes(torch.float16, torch.float32, torch.float32)  # float16 overflows in some autoencoders
WORDS: Mapping[str, Dtypes] = {"fp32": EXACT, "fp16": HALF_UNET, "bf16": FAST_CPU}


def choose_dtypes(
    precision: Precision, kind: str, features: frozenset[str] = frozenset(), types: NetworkTypes = ALL_ALIKE
) -> Dtypes:
    """The types for a wish, on a kind of device ("cpu", "cuda") whose processor has these features.

    ``auto`` takes the fastest type whose picture stays within 35 dB of float32's. On the CPU that is bfloat16 where
    the processor multiplies it (2 to 4 times as fast as float32 on AVX-512; after 20 Euler steps 43 dB with the
    stand-in model), otherwise float32. float16 is 10 times as slow there. On a GPU it is float16 for the UNet, and
    float32 for the rest. Samplers that extrapolate (lms, ipndm, uni_pc) magnify any rounding: for those, or to repeat
    a picture on another machine, fp32. Text encoders stay in float32 everywhere: they are small, and their rounding
    would show in every step.

    types: exceptions for single networks; with ``cpu_vae`` the autoencoder's type is the CPU's.

    >>> choose_dtypes("auto", "cpu", frozenset({"avx512_bf16"})).unet
    torch.bfloat16
    >>> choose_dtypes("fp32", "cpu", types=NetworkTypes(vae="bf16"))
    Dtypes(unet=torch.float32, vae=torch.bfloat16, text=torch.float32)
    """
    here = _whole(precision, kind, features)
    vae = _whole(precision, "cpu" if types.cpu_vae else kind, features).vae
    return Dtypes(
        DTYPES[types.unet] if types.unet else here.unet,
        DTYPES[types.vae] if types.vae else vae,
        torch.bfloat16 if types.text == "bf16" else here.text,
    )


def _whole(precision: Precision, kind: str, features: frozenset[str]) -> Dtypes:
    if precision != "auto":
        return WORDS[precision]
    if kind == "cuda":
        return HALF_UNET
    return FAST_CPU if features & FAST_BF16 else EXACT


def rounds_text(types: NetworkTypes) -> bool:
    """Whether text encoder weights are rounded to float16 on loading, as ComfyUI does (numerics.md, 6.1)."""
    return types.text in (None, "fp16")


def processor_features() -> frozenset[str]:
    """The names of what this machine's processor can do, as torch reports them."""
    return frozenset(name for name, value in torch.cpu.get_capabilities().items() if value is True)
