"""What approximations save and change: `python -m benchmarks.approximations`.

The starter model draws one picture exactly and then with each approximation, from the same noise. Time is processor
time of the sampling alone; the difference is that of the pictures, as a peak signal-to-noise ratio in decibels (more is
nearer). A small model shows how they behave; how much time they save depends on how much of it the network takes.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.checkpoint import load_text, load_unet, load_vae, open_checkpoint
from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.patches.cfg import GuidanceInterval
from engine.diffusion.patches.deepcache import DeepCache
from engine.diffusion.sampling import Sampling, process_of, sample
from engine.diffusion.text import encode, tokenizer
from engine.diffusion.vae import decode

MODEL = Path(__file__).parents[1] / "models" / "starter" / "checkpoints" / "base.safetensors"
PROMPTS = ("a photo of a red house by the sea", "a green hill under a blue sky", "a yellow car in a street")
STEPS, CFG, SIDE = 20, 5.0, 16
ROUNDS = 1
WAYS: Mapping[str, tuple[Any, ...]] = {
    "exact": (),
    "DeepCache, every 2nd step": (DeepCache(2, 3),),
    "DeepCache, every 3rd step": (DeepCache(3, 3),),
    "DeepCache, every 5th step": (DeepCache(5, 3),),
    "guidance from 10 % to 80 %": (GuidanceInterval(0.1, 0.8),),
    "guidance from 20 % to 60 %": (GuidanceInterval(0.2, 0.6),),
}


def decibels(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1."""
    return -10 * math.log10(max(1e-12, float((a - b).square().mean())))


def main() -> None:
    """Draw, compare, print."""
    torch.set_num_threads(1)
    found = open_checkpoint(MODEL)
    assert found.text is not None and found.vae is not None
    text, vae = load_text(found.text, torch.float32), load_vae(found.vae, torch.float32)
    unet = load_unet(found.unet, torch.float32)
    minus = encode(text, tokenizer(), "", found.config.text).states
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    nearness: dict[str, list[float]] = {name: [] for name in WAYS}
    for number, prompt in enumerate(PROMPTS):
        plus = encode(text, tokenizer(), prompt, found.config.text).states
        run = Sampling(
            found.config, torch.zeros(1, 4, SIDE, SIDE), (Condition(plus),), (Condition(minus),), seed=number,
            steps=STEPS, cfg=CFG,
        )  # fmt: skip
        network = unet_network(unet, process_of(run), torch.float32, "cpu")
        exact: Tensor | None = None
        for turn in range(ROUNDS):
            for name, patches in WAYS.items():
                began = time.process_time()
                samples = sample(replace(run, patches=patches), network).samples
                seconds[name].append(time.process_time() - began)
                if turn == 0:
                    picture = decode(vae, samples)
                    exact = picture if exact is None else exact
                    nearness[name].append(decibels(picture, exact))
    whole = statistics.median(seconds["exact"])
    print("| way | time | of the exact | difference |\n|---|---|---|---|")
    for name in WAYS:
        taken = statistics.median(seconds[name])
        near = "" if name == "exact" else f"{min(nearness[name]):.0f} to {max(nearness[name]):.0f} dB"
        print(f"| {name} | {taken:.2f} s | {taken / whole:.0%} | {near} |")


if __name__ == "__main__":
    main()
