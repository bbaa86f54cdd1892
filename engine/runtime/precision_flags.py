"""The flags that say which number type networks compute in: Easel's own and ComfyUI's, as a table. Imports no torch.

>>> parser = argparse.ArgumentParser()
>>> add_precision_flags(parser)
>>> options = parser.parse_args(["--force-fp32", "--bf16-vae", "--fp8_e5m2-unet"])
>>> options.precision, read_types(options)
('fp32', NetworkTypes(unet=None, vae='bf16', text=None, cpu_vae=False))
>>> precision_notes(options)
['--fp8_e5m2-unet has no effect: Easel does not compute in 8 bits']
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Word = Literal["auto", "fp32", "fp16", "bf16"]
TypeName = Literal["fp64", "fp32", "fp16", "bf16"]
WORDS: tuple[Word, ...] = ("auto", "fp32", "fp16", "bf16")


@dataclass(frozen=True, slots=True)
class NetworkTypes:
    """What single networks compute in, where that is not what ``--precision`` says of all of them.

    text: ``fp16`` is how ComfyUI treats text encoders unless told otherwise (weights rounded to float16, arithmetic in
    float32) and so the same as None; ``fp32`` leaves the weights as they are; ``bf16`` computes in bfloat16.
    """

    unet: TypeName | None = None
    vae: TypeName | None = None
    text: TypeName | None = None
    cpu_vae: bool = False


ALL_ALIKE = NetworkTypes()


class Flag(NamedTuple):
    """A flag, the option it sets and to what; flags of one option exclude each other. type None: has no effect."""

    name: str
    option: Literal["precision", "unet_type", "vae_type", "text_type"]
    type: TypeName | None
    help: str


EIGHT_BITS = "accepted for ComfyUI's sake, no effect"
FLAGS = (
    Flag("--force-fp32", "precision", "fp32", "the same as --precision fp32"),
    Flag("--force-fp16", "precision", "fp16", "the same as --precision fp16"),
    Flag("--fp32-unet", "unet_type", "fp32", "compute the denoising network in float32"),
    Flag("--fp64-unet", "unet_type", "fp64", "compute the denoising network in float64"),
    Flag("--bf16-unet", "unet_type", "bf16", "compute the denoising network in bfloat16"),
    Flag("--fp16-unet", "unet_type", "fp16", "compute the denoising network in float16"),
    Flag("--fp8_e4m3fn-unet", "unet_type", None, EIGHT_BITS),
    Flag("--fp8_e5m2-unet", "unet_type", None, EIGHT_BITS),
    Flag("--fp8_e8m0fnu-unet", "unet_type", None, EIGHT_BITS),
    Flag("--fp16-vae", "vae_type", "fp16", "compute the autoencoder in float16; may give black pictures"),
    Flag("--fp32-vae", "vae_type", "fp32", "compute the autoencoder in float32"),
    Flag("--bf16-vae", "vae_type", "bf16", "compute the autoencoder in bfloat16"),
    Flag("--fp8_e4m3fn-text-enc", "text_type", None, EIGHT_BITS),
    Flag("--fp8_e5m2-text-enc", "text_type", None, EIGHT_BITS),
    Flag("--fp16-text-enc", "text_type", "fp16", "round text encoder weights to float16, as is the default"),
    Flag("--fp32-text-enc", "text_type", "fp32", "do not round text encoder weights to float16, as ComfyUI does"),
    Flag("--bf16-text-enc", "text_type", "bf16", "compute the text encoder in bfloat16"),
)
OPTIONS = ("precision", "unet_type", "vae_type", "text_type")


def add_precision_flags(parser: Any) -> None:
    """Add the flags to a parser or one of its groups. argparse refuses two that contradict each other."""
    for option in OPTIONS:
        group = parser.add_mutually_exclusive_group()
        default = "auto" if option == "precision" else None
        if option == "precision":
            group.add_argument("--precision", choices=WORDS, default=default,
                               help="number type of the networks (default: auto, the fastest that shows no difference; "
                                    "fp32 is exact)")
        for flag in FLAGS:
            if flag.option == option:
                group.add_argument(flag.name, dest=option, action="store_const", const=flag.type or flag.name,
                                   default=default, help=flag.help)
    parser.add_argument("--cpu-vae", action="store_true", help="run the autoencoder on the CPU")


def read_types(options: argparse.Namespace) -> NetworkTypes:
    """What the flags say of single networks; those without effect say nothing."""
    silent = {flag.name for flag in FLAGS if flag.type is None}
    unet, vae, text = (
        None if value in silent else value for value in (options.unet_type, options.vae_type, options.text_type)
    )
    return NetworkTypes(unet, vae, text, options.cpu_vae)


def precision_arguments(options: argparse.Namespace) -> list[str]:
    """The flags again, for another command line."""
    words = ["--precision", options.precision]
    words += [
        flag.name for flag in FLAGS
        if flag.option != "precision" and flag.type is not None and getattr(options, flag.option) == flag.type
    ]  # fmt: skip
    return [*words, "--cpu-vae"] if options.cpu_vae else words


def precision_notes(options: argparse.Namespace) -> list[str]:
    """A line for each flag that was given and does nothing."""
    return [
        f"{flag.name} has no effect: Easel does not compute in 8 bits"
        for flag in FLAGS if flag.type is None and getattr(options, flag.option) == flag.name
    ]  # fmt: skip
