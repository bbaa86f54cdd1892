"""What approximations save and change: `python -m benchmarks.approximations [--lcm FILE]`.

The starter model draws pictures exactly and then with each approximation, from the same noise. Time is processor time
of what is approximated alone, the sampling or the decoding; the difference is that of the pictures, as a peak
signal-to-noise ratio in decibels (more is nearer). A small model shows how they behave; how much time they save depends
on how much of it the network takes.

--lcm: an LCM-LoRA of the starter model, which is not shipped; `python -m engine.training family --stage lcm` makes it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.adapters.load import open_lora
from engine.diffusion.adapters.patches import changes
from engine.diffusion.checkpoint import Checkpoint, load_companion, load_text, load_unet, load_vae, open_checkpoint
from engine.diffusion.guidance import Condition
from engine.diffusion.network import unet_network
from engine.diffusion.patches.cfg import GuidanceInterval
from engine.diffusion.patches.deepcache import DeepCache
from engine.diffusion.patches.process import DiscreteProcess
from engine.diffusion.sampling import Sampling, process_of, sample
from engine.diffusion.text import encode, tokenizer
from engine.diffusion.tiny import decode_tiny, open_tiny
from engine.diffusion.unet import UNet
from engine.diffusion.vae import decode

STARTER = Path(__file__).parents[1] / "models" / "starter"
MODEL, TAESD = STARTER / "checkpoints" / "base.safetensors", STARTER / "vae_approx" / "taesd.safetensors"
PROMPTS = (
    "a red cube on top of a blue sphere", "a large green cone to the left of a small yellow torus, on a tiled floor",
    "a purple cylinder", "a white ball in front of an orange cube, on a gray background",
)  # fmt: skip
SIDE = 16
EXACT, DECODED = "exact", "the autoencoder"


@dataclass(frozen=True)
class Way:
    """A way to sample: changes of the run, and whether the LCM-LoRA is on."""

    patches: tuple[Any, ...] = ()
    consistent: bool = False
    run: Mapping[str, Any] = field(default_factory=dict)


def consistency(steps: int) -> Way:
    """Few steps of the sampler `lcm`, without guidance."""
    run = {"steps": steps, "cfg": 1.0, "sampler": "lcm", "scheduler": "sgm_uniform"}
    return Way((DiscreteProcess("lcm"),), consistent=True, run=run)


WAYS: Mapping[str, Way] = {
    EXACT: Way(),
    "DeepCache, every 2nd step": Way((DeepCache(2, 3),)),
    "DeepCache, every 3rd step": Way((DeepCache(3, 3),)),
    "DeepCache, every 5th step": Way((DeepCache(5, 3),)),
    "guidance from 10 % to 80 %": Way((GuidanceInterval(0.1, 0.8),)),
    "guidance from 20 % to 60 %": Way((GuidanceInterval(0.2, 0.6),)),
    "10 steps instead of 20": Way(run={"steps": 10}),
    "4 steps instead of 20": Way(run={"steps": 4}),
    "LCM-LoRA, 8 steps": consistency(8),
    "LCM-LoRA, 4 steps": consistency(4),
    "LCM-LoRA, 2 steps": consistency(2),
}


def decibels(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1."""
    return -10 * math.log10(max(1e-12, float((a - b).square().mean())))


class Ledger:
    """Processor time and nearness to the exact picture of each way."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.nearness: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile."""
        began = time.process_time()
        yield
        self.seconds[name].append(time.process_time() - began)

    def table(self, exact: str) -> Iterator[str]:
        """Rows of Markdown; `exact` is the way that the others are compared with."""
        whole = statistics.median(self.seconds[exact])
        yield "| way | time | of the exact | difference |\n|---|---|---|---|"
        for name, times in self.seconds.items():
            near = self.nearness[name]
            told = f"{min(near):.0f} to {max(near):.0f} dB" if near else ""
            yield f"| {name} | {statistics.median(times):.3f} s | {statistics.median(times) / whole:.0%} | {told} |"


def unets_of(found: Checkpoint, lora: Path | None) -> Mapping[bool, UNet]:
    """The UNet without and, if there is one, with the LCM-LoRA."""
    unets = {False: load_unet(found.unet, torch.float32)}
    if lora is not None:
        patches = open_lora(lora, found.unet).patches(found.unet, 1.0)
        with changes(found.unet, patches, torch.float32) as made:
            unets[True] = load_unet(found.unet, torch.float32, changes=made)
    return unets


def compare(model: Path, lora: Path | None, taesd: Path, rounds: int) -> tuple[Ledger, Ledger]:
    """Draw every prompt in every way, `rounds` times: sampling, and decoding of what was sampled exactly."""
    found = open_checkpoint(model)
    assert found.text is not None and found.vae is not None
    text, vae = load_text(found.text, torch.float32), load_vae(found.vae, torch.float32)
    unets = unets_of(found, lora)
    decoders: dict[str, Callable[[Tensor], Tensor]] = {DECODED: lambda latent: decode(vae, latent)}
    if taesd.exists():
        tiny = load_companion(open_tiny(taesd), torch.float32)
        decoders["TAESD"] = lambda latent: decode_tiny(tiny, latent)
    minus = encode(text, tokenizer(), "", found.config.text).states
    sampled, decoded = Ledger(), Ledger()
    for number, prompt in enumerate(PROMPTS):
        plus = encode(text, tokenizer(), prompt, found.config.text).states
        run = Sampling(
            found.config, torch.zeros(1, 4, SIDE, SIDE), (Condition(plus),), (Condition(minus),), seed=number,
            steps=20, cfg=5.0,
        )  # fmt: skip
        exact = torch.empty(0)
        for turn in range(rounds):
            for name, way in WAYS.items():
                if way.consistent not in unets:
                    continue
                changed = replace(run, patches=way.patches, **way.run)
                network = unet_network(unets[way.consistent], process_of(changed), torch.float32, "cpu")
                with sampled.timed(name):
                    samples = sample(changed, network).samples
                if turn:
                    continue
                picture = decode(vae, samples)
                if name == EXACT:
                    exact, latent = picture, samples
                else:
                    sampled.nearness[name].append(decibels(picture, exact))
            for name, draw in decoders.items():
                with decoded.timed(name):
                    picture = draw(latent)
                if not turn and name != DECODED:
                    decoded.nearness[name].append(decibels(picture, exact))
    return sampled, decoded


def main() -> None:
    """Draw, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.approximations", description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--taesd", type=Path, default=TAESD)
    parser.add_argument("--lcm", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sampled, decoded = compare(options.model, options.lcm, options.taesd, options.rounds)
    print("\n".join([*sampled.table(EXACT), "", *decoded.table(DECODED)]))


if __name__ == "__main__":
    main()
