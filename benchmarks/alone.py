"""Cases that need a process of their own: loading, starting cold, and the memory of a whole picture.

    python -m benchmarks.alone CASE CONTENDER MODEL SIZE

prints one line of JSON. Time runs from before anything is imported.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks.turns import like_a_worker  # noqa: E402


def main(case: str, contender: str, model: Path, size: int) -> dict[str, float]:
    """Run one case; gives seconds, and the peak of memory in MiB: resident, on CUDA what torch has of the device's."""
    easel = contender.startswith("easel")
    if easel:
        like_a_worker()
        import torch

        from benchmarks.peers import CONTENDERS, Easel, Scene
        from engine.diffusion.checkpoint import open_checkpoint
    else:
        import torch
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import CLIPTextModel

        from benchmarks.peers import CONTENDERS, Diffusers, Scene
        from engine.diffusion.checkpoint import open_checkpoint
    device = torch.device("cuda" if torch.cuda.is_available() and "--cpu" not in sys.argv else "cpu")
    imported = time.perf_counter()
    if easel:
        made = CONTENDERS[contender](Scene(open_checkpoint(model), size, 1, device))
        assert isinstance(made, Easel)
        made.unet(), made.vae(), made.text()
        if case == "cold":
            made.step()
    else:
        dtype = torch.float32 if "fp32" in contender else torch.bfloat16
        folder = model.with_suffix("")
        made = CONTENDERS[contender](Scene(open_checkpoint(model), size, 1, device))
        assert isinstance(made, Diffusers)
        made._networks = {
            "unet": UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=dtype),
            "vae": AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=dtype),
            "text": CLIPTextModel.from_pretrained(folder / "text_encoder", torch_dtype=dtype),
        }
        for network in made._networks.values():
            network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        if case == "cold":
            made.step()
    seconds = time.perf_counter() - (imported if case == "load" else BEGAN)
    if case == "memory":
        made.image()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if device.type == "cuda":
        peak = torch.cuda.max_memory_reserved(device) / 2**20
    return {"seconds": seconds, "peak": peak}


if __name__ == "__main__":
    result = main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(result), flush=True)
    os._exit(0)  # nothing to tidy up, and libraries take their time
