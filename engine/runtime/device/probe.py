"""What devices there are and how much memory they have."""

from __future__ import annotations

from collections.abc import Sequence

import psutil
import torch

from engine.messages.protocol import Device


def choose_device(cpu: bool) -> torch.device:
    """The device that networks run on: the first accelerator unless the CPU is asked for."""
    return torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")


def named_devices(names: Sequence[str]) -> tuple[torch.device, ...]:
    """The devices of these names, such as cuda:1 or cpu. Raises ValueError if there is no such device here."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for name in names:
        if name != "cpu" and int(name.rpartition(":")[2]) >= count:
            raise ValueError(f"--devices {','.join(names)}: there is no {name}; torch finds {count} CUDA devices here")
    return tuple(torch.device(name) for name in names)


def probe(device: torch.device) -> Device:
    """The device's name and memory, as ``/system_stats`` shows it."""
    if device.type == "cuda":
        index = device.index or 0
        free, total = torch.cuda.mem_get_info(index)
        reserved = torch.cuda.memory_reserved(index)
        unused = reserved - torch.cuda.memory_allocated(index)
        name = f"cuda:{index} {torch.cuda.get_device_name(index)}"
        return Device(name, "cuda", index, total, free + unused, reserved, unused)
    memory = psutil.virtual_memory()
    return Device("cpu", "cpu", 0, memory.total, memory.available, memory.total, memory.available)
