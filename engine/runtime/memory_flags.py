"""The flags that say how much memory may be used: Easel's own and ComfyUI's, as a table. Imports no torch.

>>> parser = argparse.ArgumentParser()
>>> add_memory_flags(parser)
>>> read_memory(parser.parse_args(["--vram", "4G", "--lowvram"]))
Memory(vram=4294967296, ram=None, reserved=None, share=0.25, plan='')
>>> memory_arguments(parser.parse_args(["--reserve-vram", "0.5"]))
['--reserve-vram', '0.5']
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.runtime.device.budget import read_plan

GIB = 2**30
SHARES: Mapping[str, tuple[float, str]] = {
    "gpu_only": (1.0, "the same as --highvram: networks run on the accelerator anyway"),
    "highvram": (1.0, "weights stay in memory while there is room, as is the default"),
    "normalvram": (1.0, "the same as --highvram: nothing is moved that fits"),
    "lowvram": (0.25, "weights of one network take at most a quarter of the budget; the rest is streamed"),
    "novram": (0.0, "weights are streamed, and as few of them are kept in memory as can be"),
}
"""ComfyUI's flags: the part of the budget that the weights of one network may take, and the help."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What may be used, in bytes; None takes what is free less a margin. On a CPU vram and ram mean the same memory.

    reserved: of the accelerator's memory, left to others; share: the part of the budget that the weights of one network
    may take before they are streamed; plan: what every run works by, whatever fits.
    """

    vram: int | None = None
    ram: int | None = None
    reserved: int | None = None
    share: float = 1.0
    plan: str = ""


WHAT_IS_FREE = Memory()


def add_memory_flags(parser: Any) -> None:
    """Add the flags to a parser or one of its groups. argparse refuses two that contradict each other."""
    parser.add_argument("--vram", type=size_in_bytes, metavar="SIZE",
                        help="the most that networks may take of the accelerator's memory, as 4G; what does not fit is "
                             "streamed (default: what is free, less a margin)")
    parser.add_argument("--ram", type=size_in_bytes, metavar="SIZE",
                        help="the most that networks, values and pictures may take of this computer's memory beyond an "
                             "idle worker's; mapped files do not count (default: what is free, less a margin)")
    parser.add_argument("--reserve-vram", type=_gigabytes, metavar="GB",
                        help="how many GiB to leave to others instead of the usual margin, where --vram says nothing")
    group = parser.add_mutually_exclusive_group()
    for name, (_, text) in SHARES.items():
        group.add_argument("--" + name.replace("_", "-"), dest="share", action="store_const", const=name, help=text)
    parser.add_argument("--plan", type=_plan, default="", metavar="PLAN",
                        help="carry every run out like this, whatever fits: rows=N, weights=resident, streamed or "
                             "least, tile=strips, 64, 32 or 16, with commas between; for comparing")


def read_memory(options: argparse.Namespace) -> Memory:
    """What the flags say."""
    reserved = None if options.reserve_vram is None else int(options.reserve_vram * GIB)
    return Memory(options.vram, options.ram, reserved, SHARES[options.share or "highvram"][0], options.plan)


def memory_arguments(options: argparse.Namespace) -> list[str]:
    """The flags again, for another command line."""
    words: list[str] = []
    for name in ("vram", "ram", "reserve_vram", "plan"):
        if getattr(options, name) not in (None, ""):
            words += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    return [*words, "--" + options.share.replace("_", "-")] if options.share else words


def size_in_bytes(text: str) -> int:
    """Bytes from ``512M``, ``4G`` and the like."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"a size is a number with K, M, G or T, as 512M; found {text!r}")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2] or " "))


def _gigabytes(text: str) -> float:
    if not re.fullmatch(r"\d{1,5}(\.\d+)?", text.strip()):
        raise argparse.ArgumentTypeError(f"an amount of memory is a number of GiB, as 0.5; found {text!r}")
    return float(text)


def _plan(text: str) -> str:
    try:
        read_plan(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
