"""How soon a worker samples, and what a small picture takes in one that is warm: `python -m benchmarks.worker`.

ready: from the start of the process to the first evaluation of the UNet, with a float16 file of SD 1.5's size in the
page cache: what lies between is importing, finding the nodes, reading weights and encoding both texts.
starter: a picture of 20 steps with the starter model at its own size, from the job's begin to the file of the picture,
in a worker that has drawn one before.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STEPS = 20
PICTURES = 6  # of the starter model in one process; the first is not counted


def workflow(checkpoint: str, side: int, seed: int) -> dict[str, Any]:
    """Text to picture, in the API's form."""
    def text(words: str) -> dict[str, Any]:
        return {"class_type": "CLIPTextEncode", "inputs": {"text": words, "clip": ["1", 1]}}

    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": text("a red house by the sea"),
        "3": text("blurry"),
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": side, "height": side, "batch_size": 1}},
        "5": {"class_type": "KSampler", "inputs": {
            "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0], "seed": seed,
            "steps": STEPS, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
        }},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "benchmark"}},
    }  # fmt: skip


def inside(case: str, models: Path, checkpoint: str, side: int, began: float) -> None:
    """What one process does, begun as a worker is; prints a line of JSON: seconds of each run."""
    from engine.runtime.start import begin

    begin(plain=False)
    from engine.graph.graph import resolve
    from engine.graph.workflow import read_api
    from engine.messages.events import Succeeded
    from engine.runtime.execute import execute
    from engine.runtime.settings import add_worker_flags, collect_seldom, read_settings
    from engine.runtime.tasks import CancelToken, Job
    from engine.runtime.worker import Engine

    parser = argparse.ArgumentParser()
    add_worker_flags(parser)
    with tempfile.TemporaryDirectory() as data:
        settings = read_settings(parser.parse_args(
            ["--cpu", "--models-directory", str(models), "--data-directory", data]
        ))  # fmt: skip
        for folder in (settings.folders.input, settings.folders.output, settings.folders.temp, settings.folders.user):
            folder.mkdir(parents=True, exist_ok=True)
        engine = Engine(settings)
        collect_seldom()
        if case == "ready":
            from engine.diffusion.unet import UNet

            def reached(*_: Any, **__: Any) -> None:
                print(json.dumps([time.time() - began]), flush=True)
                os._exit(0)

            UNet.forward = reached  # type: ignore[assignment,method-assign]
        seconds = []
        for seed in range(PICTURES):
            graph = resolve(
                read_api(workflow(checkpoint, side, seed)), engine.registry.specs, engine.folders, all_or_nothing=True
            ).graph
            job = Job(id=str(seed), graph=graph, prompt=None, extra=None, cancel=CancelToken())
            start = time.perf_counter()
            ending = execute(job, engine.machine, lambda event: None)
            seconds.append(time.perf_counter() - start)
            if not isinstance(ending, Succeeded):
                raise RuntimeError(f"the picture was not made: {ending}")
        engine.close()
        print(json.dumps(seconds[1:]), flush=True)


def main() -> None:
    """Measure both, or what is asked for, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=("ready", "starter"), default=["ready", "starter"])
    parser.add_argument("--rounds", type=int, default=3, help="processes for each")
    parser.add_argument("--models", type=Path, default=Path("data/benchmarks"))
    parser.add_argument("--side", type=int, default=128, help="of the starter model's picture")
    options = parser.parse_args()
    # as on every start but the first, modules are there compiled
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for case in options.case:
        if case == "ready":
            from benchmarks.random_model import write_model

            folder = options.models / "checkpoints"
            folder.mkdir(parents=True, exist_ok=True)
            write_model("sd1", options.models / "sd1.safetensors")
            if not (folder / "sd1.safetensors").exists():
                (folder / "sd1.safetensors").hardlink_to(options.models / "sd1.safetensors")
            given = [str(options.models), "sd1.safetensors", "512"]
            with (options.models / "sd1.safetensors").open("rb") as file:  # into the page cache
                while file.read(2**24):
                    pass
        else:
            given = [str(ROOT / "models" / "starter"), "base.safetensors", str(options.side)]
        values: list[float] = []
        for _ in range(options.rounds):
            command = [sys.executable, "-m", "benchmarks.worker", "inside", case, *given, repr(time.time())]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=kept)
            values += json.loads(done.stdout.splitlines()[-1])
        print(f"{case}: {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f}, of {len(values)})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        inside(sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]), float(sys.argv[6]))
    else:
        main()
