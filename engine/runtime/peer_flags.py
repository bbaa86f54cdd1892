"""The flags of ComfyUI 0.3.64 that mean nothing here, as a table: accepted, so that its launch scripts work.

Those that mean something are with what they change: in ``server.py``, ``settings``, ``precision_flags`` and
``memory_flags``.

>>> parser = argparse.ArgumentParser()
>>> add_peer_flags(parser)
>>> peer_notes(parser.parse_args(["--cache-lru", "10"]))
['--cache-lru has no effect: the cache has a budget in bytes']
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

ATTENTION = "Easel uses torch's own attention"
MEMORY = "models stay while there is room"
WAITING = "copies wait as torch thinks best"
FOREIGN = "such devices are not supported"
RIGHT = "attention is computed in the type that is right for it"
NOTHING: Mapping[str, tuple[int | str, str]] = {
    "--enable-cors-header": ("?", "pages of other origins are refused; --host-name names another host of this server"),
    "--cuda-malloc": (0, "torch chooses its allocator"),
    "--disable-cuda-malloc": (0, "torch chooses its allocator"),
    "--force-channels-last": (0, "the layout of tensors is chosen for the device"),
    "--directml": ("?", FOREIGN),
    "--oneapi-device-selector": (1, FOREIGN),
    "--disable-ipex-optimize": (0, FOREIGN),
    "--supports-fp8-compute": (0, "Easel does not compute in 8 bits"),
    "--cache-classic": (0, "there is one cache, and it keeps what is worth most"),
    "--cache-lru": (1, "the cache has a budget in bytes"),
    "--use-split-cross-attention": (0, ATTENTION),
    "--use-quad-cross-attention": (0, ATTENTION),
    "--use-pytorch-cross-attention": (0, "it is what Easel does"),
    "--use-sage-attention": (0, ATTENTION),
    "--use-flash-attention": (0, ATTENTION),
    "--disable-xformers": (0, "Easel does not use xformers"),
    "--force-upcast-attention": (0, RIGHT),
    "--dont-upcast-attention": (0, RIGHT),
    "--async-offload": (0, WAITING),
    "--force-non-blocking": (0, WAITING),
    "--default-hashing-function": (1, "files are told apart by size, time and inode"),
    "--disable-smart-memory": (0, MEMORY),
    "--fast": ("*", "nothing is traded for speed; --precision chooses the number type"),
    "--mmap-torch-files": (0, "weight files are always mapped"),
    "--disable-mmap": (0, "weight files are always mapped"),
    "--dont-print-server": (0, "the server prints where it is and little else"),
    "--disable-api-nodes": (0, "there are none"),
    "--front-end-version": (1, "nothing is downloaded; --front-end-root serves another front-end"),
    "--enable-compress-response-body": (0, "answers are short, or compressed already"),
    "--comfy-api-base": (1, "there are no nodes that call it"),
    "--database-url": (1, "jobs are kept in the data directory"),
    "--log-stdout": (0, "the log goes to the terminal"),
    "--disable-auto-launch": (0, "no browser is opened unless --auto-launch says so"),
}
"""Flag → how many values follow it, and why it does nothing."""


def add_peer_flags(parser: argparse.ArgumentParser) -> None:
    """Accept the flags; they are not listed by ``--help``."""
    for name, (values, _) in NOTHING.items():
        how: dict[str, Any] = {"action": "store_true"} if values == 0 else {"nargs": values, "const": True}
        if values == 1:
            how = {}
        elif values == "*":
            how = {"nargs": "*"}
        parser.add_argument(name, dest=name, default=None, help=argparse.SUPPRESS, **how)


def peer_notes(options: argparse.Namespace) -> list[str]:
    """A line for each of the flags that was given."""
    return [
        f"{name} has no effect: {why}" for name, (_, why) in NOTHING.items() if getattr(options, name, None) is not None
    ]
