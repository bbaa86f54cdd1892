"""What jobs take of memory under a budget, on full-size random checkpoints of SD 1.5.

    python -m benchmarks.memory                     the table of docs/performance-memory.md; --graphs for some of it
    python -m benchmarks.memory tiles               the autoencoder in strips and tiles beside the whole picture
    python -m benchmarks.memory mixed --jobs 500    many short jobs, checkpoints and LoRAs alternating: leaks
    python -m benchmarks.memory recovery --jobs 200 memory runs out at each of so many operations in turn

Each row is a process of its own, a worker's engine, whose anonymous memory (what no file backs) is looked at every
5 ms; *grown* is the most of it less what it was before the job, the engine standing idle. Pictures are of 512 pixels
(--side), enlarged to 768 by the hires fix, steps few, and the weights of full size.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

MIB = 2**20
SHARES = (None, 0.6, 0.4, 0.2)
ALLOWED = 64 * MIB  # beyond the budget
Graph = dict[str, dict[str, Any]]


# -- graphs ------------------------------------------------------------------------------------------------------


def entry(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node of a graph in the API form."""
    return {"class_type": kind, "inputs": inputs}


def text_to_image(side: int = 512, model: str = "a", *, seed: int = 1, steps: int = 2, lora: str = "") -> Graph:
    """A picture from a prompt."""
    graph = {
        "1": entry("CheckpointLoaderSimple", ckpt_name=f"{model}.safetensors"),
        "2": entry("CLIPTextEncode", text="a lighthouse in a storm", clip=["1", 1]),
        "3": entry("CLIPTextEncode", text="", clip=["1", 1]),
        "4": entry("EmptyLatentImage", width=side, height=side, batch_size=1),
        "5": entry("KSampler", model=["1", 0], positive=["2", 0], negative=["3", 0], latent_image=["4", 0], seed=seed,
                   steps=steps, cfg=5.0, sampler_name="euler", scheduler="normal", denoise=1.0),
        "6": entry("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": entry("SaveImage", images=["6", 0], filename_prefix="p"),
    }
    if lora:
        graph["8"] = entry("LoraLoader", model=["1", 0], clip=["1", 1], lora_name=lora, strength_model=0.5,
                           strength_clip=0.5)
        graph["5"]["inputs"]["model"], graph["2"]["inputs"]["clip"] = ["8", 0], ["8", 1]
    return graph


def hires_fix(side: int = 512) -> Graph:
    """A picture, enlarged as a latent and sampled again."""
    graph = text_to_image(side)
    graph["8"] = entry("LatentUpscaleBy", samples=["5", 0], upscale_method="nearest-exact", scale_by=1.5)
    graph["9"] = entry("KSampler", **{**graph["5"]["inputs"], "latent_image": ["8", 0], "denoise": 0.5})
    graph["6"]["inputs"]["samples"] = ["9", 0]
    return graph


def two_checkpoints(side: int = 512) -> Graph:
    """One model begins a picture, another one goes on with it."""
    graph = text_to_image(side)
    graph["11"] = entry("CheckpointLoaderSimple", ckpt_name="b.safetensors")
    graph["12"] = entry("CLIPTextEncode", text="a lighthouse at dawn", clip=["11", 1])
    graph["13"] = entry("CLIPTextEncode", text="", clip=["11", 1])
    graph["15"] = entry("KSampler", **{
        **graph["5"]["inputs"], "model": ["11", 0], "positive": ["12", 0], "negative": ["13", 0],
        "latent_image": ["5", 0], "denoise": 0.6,
    })
    graph["6"]["inputs"] = {"samples": ["15", 0], "vae": ["11", 2]}
    return graph


GRAPHS = {"txt2img": text_to_image, "hires fix": hires_fix, "two checkpoints": two_checkpoints}


# -- checkpoints -------------------------------------------------------------------------------------------------


def write_full_size(path: Path, seed: int) -> None:
    """SD 1.5 with random weights, float16, in the published layout: 2.1 GB."""
    import torch

    from engine.diffusion.config import PRESETS, config_to_json
    from engine.diffusion.standin import write_safetensors

    generator = torch.Generator().manual_seed(seed)
    state = {name: fill(name, shape, generator) for name, shape in published("sd1").items()}
    write_safetensors(path, state, {"easel.config": config_to_json(PRESETS["sd1"]), "format": "pt"})


def full_size(root: Path, name: str, seed: int) -> Path:
    """Such a checkpoint among a root's models, written if it is not there."""
    path = root / "models" / "checkpoints" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_full_size(path, seed)
    return path


def published(family: str) -> Mapping[str, tuple[int, ...]]:
    """The tensors of a family's single file."""
    from engine.diffusion.checkpoint import shapes
    from engine.diffusion.config import PRESETS

    config, places = PRESETS[family], {}
    for prefix, part in (("model.diffusion_model.", config.unet), ("first_stage_model.", config.vae)):
        places |= {prefix + name: shape for name, shape in shapes(part).items()}
    text = {name.replace("transformer.", "cond_stage_model.transformer.text_model.", 1): shape
            for name, shape in shapes(config.text).items() if name.startswith("transformer.")}
    return places | text


def fill(name: str, shape: tuple[int, ...], generator: Any) -> Any:
    """Noise that keeps activations near unit size."""
    import torch

    if len(shape) == 1:
        return torch.full(shape, 1.0 if name.endswith("weight") else 0.0, dtype=torch.float16)
    values = torch.empty(shape, dtype=torch.float32).uniform_(-1, 1, generator=generator)
    return values.mul_(math.sqrt(3.0 / math.prod(shape[1:]))).half()


def write_lora(path: Path, seed: int, width: int) -> None:
    """A LoRA of rank 8 for the first attention of the UNet's middle."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    base = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_"
    state: dict[str, Any] = {}
    for part in "qkv":
        state[f"{base}{part}.lora_down.weight"] = torch.randn(8, width, generator=generator) / width**0.5
        state[f"{base}{part}.lora_up.weight"] = torch.randn(width, 8, generator=generator) / 8**0.5
        state[f"{base}{part}.alpha"] = torch.tensor(8.0)
    save_file(state, path)


# -- one process -------------------------------------------------------------------------------------------------


@contextmanager
def peak(found: dict[str, int]) -> Iterator[None]:
    """Find the most of anonymous memory meanwhile."""
    from engine.runtime.device.memory import anonymous

    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            found["most"] = max(found["most"], anonymous())

    found["most"] = found["before"] = anonymous()
    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def make_engine(root: Path, precision: str, **memory: Any) -> Any:
    """A worker's engine in folders below root."""
    from engine.files.folders import make_folders
    from engine.runtime.memory_flags import Memory
    from engine.runtime.settings import Settings
    from engine.runtime.worker import Engine

    folders = make_folders(data=root / f"data-{os.getpid()}", models=root / "models")
    for folder in (folders.input, folders.output, folders.temp):
        folder.mkdir(parents=True, exist_ok=True)
    return Engine(Settings(folders, cpu=True, precision=precision, remember=False, memory=Memory(**memory)))


def carry_out(engine: Any, graph: Graph) -> Any:
    """Run a graph; gives its ending. Raises RuntimeError if it failed."""
    from engine.graph.graph import resolve
    from engine.graph.workflow import read_api
    from engine.runtime.execute import execute
    from engine.runtime.tasks import Job

    resolved = resolve(read_api(graph), engine.registry.specs, engine.folders).graph
    ending = execute(Job("j", resolved), engine.machine, lambda event: None)
    if type(ending).__name__ != "Succeeded":
        raise RuntimeError("\n".join(getattr(ending, "traceback", ())))
    return ending


def child(arguments: argparse.Namespace) -> None:
    """Run one job and say what it took."""
    engine = make_engine(arguments.root, arguments.precision, ram=arguments.ram, plan=arguments.plan)
    found: dict[str, int] = {}
    began = time.perf_counter()
    with peak(found):
        ending = carry_out(engine, GRAPHS[arguments.graph](arguments.side))
    (shown,) = [each for entries in ending.outputs.values() for each in entries["images"]]
    plans = {f"{each.class_type} {each.node}": dict(each.memory["plan"]) for each in ending.reports if each.memory}
    reliefs = [line for each in ending.reports for line in each.memory.get("relief", ())]
    print(json.dumps({
        "grown": found["most"] - found["before"], "seconds": time.perf_counter() - began, "plans": plans,
        "picture": str(engine.folders.output / shown["filename"]), "relief": reliefs,
    }))


def run_child(arguments: argparse.Namespace, graph: str, ram: int | None = None, plan: str = "") -> dict[str, Any]:
    """Run one job in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.memory", "child", "--root", str(arguments.root), "--graph", graph,
             "--side", str(arguments.side), "--precision", arguments.precision, "--plan", plan,
             *(["--ram", str(ram)] if ram is not None else [])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def difference(one: str, other: str) -> tuple[int, float]:
    """The largest difference of two pictures, of 255, and how far apart they are in dB."""
    import numpy as np
    from PIL import Image

    first, second = (np.asarray(Image.open(each)).astype(float) for each in (one, other))
    mean = float(((first - second) ** 2).mean())
    return int(np.abs(first - second).max()), math.inf if mean == 0 else 10 * math.log10(255**2 / mean)


def words_of(plans: Mapping[str, Mapping[str, Any]]) -> str:
    """The plan of a run in the words of ``--plan``: that of its samplers, and of its autoencoder if that has tiles."""
    merged: dict[str, Any] = {"weights": "resident"}
    for name, plan in plans.items():
        if name.startswith("KSampler") and "rows" in plan:
            merged["rows"] = plan["rows"]
        if "tile" in plan:
            merged["tile"] = plan["tile"]
    return ",".join(f"{name}={value}" for name, value in merged.items())


def table(arguments: argparse.Namespace) -> None:
    """Every graph under every budget."""
    for seed, name in enumerate(("a", "b"), start=1):
        full_size(arguments.root, name, seed)
    print("| graph | budget, MiB | grown, MiB | over, MiB | weights | rows | tile | same plan | to resident | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for graph in arguments.graphs or GRAPHS:
        plain = run_child(arguments, graph)
        seconds = f"{plain['seconds']:.0f}"
        print(f"| {graph} | none | {plain['grown'] / MIB:.0f} | | resident | | | | | {seconds} |", flush=True)
        for share in SHARES[1:]:
            assert share is not None
            budget = int(share * plain["grown"])
            found = run_child(arguments, graph, budget)
            words = words_of(found["plans"])
            forced = plain if words == "weights=resident" else run_child(arguments, graph, plan=words)
            same, _ = difference(found["picture"], forced["picture"])
            most, decibels = difference(found["picture"], plain["picture"])
            over = max(0, found["grown"] - budget)
            samplers = [plan for name, plan in found["plans"].items() if name.startswith("KSampler")]
            streamed = {name.split()[0] for name, plan in found["plans"].items() if plan["weights"] != "resident"}
            tile = next((plan["tile"] for plan in found["plans"].values() if "tile" in plan), "")
            print(
                f"| {graph} | {budget / MIB:.0f} ({share:.0%}) | {found['grown'] / MIB:.0f} | {over / MIB:.0f} |"
                f" {'streamed: ' + ', '.join(sorted(streamed)) if streamed else 'resident'} |"
                f" {samplers[0].get('rows', 'all')} | {tile} | {'equal' if same == 0 else f'{same}/255'} |"
                f" {most}/255, {decibels:.0f} dB | {found['seconds']:.0f} |", flush=True)
            if found["relief"]:
                print(*found["relief"], sep="\n", file=sys.stderr)
            if over > ALLOWED:
                print(f"{graph} at {share}: {over} bytes over the budget", file=sys.stderr)


def tiles(arguments: argparse.Namespace) -> None:
    """How far pictures decoded in parts are from those decoded whole, and what it takes; weights and latent random."""
    import torch

    from engine.diffusion.checkpoint import load_vae, open_checkpoint
    from engine.diffusion.fast import can_pack
    from engine.diffusion.strips import decode_in_strips
    from engine.diffusion.tiling import decode_tiled
    from engine.diffusion.vae import decode
    from engine.runtime.device.budget import OVERLAPS, TILES
    from engine.runtime.device.memory import trim
    from engine.runtime.device.precision import choose_dtypes, processor_features

    weights = open_checkpoint(full_size(arguments.root, "a", 1)).vae
    assert weights is not None
    dtype = choose_dtypes(arguments.precision, "cpu", processor_features()).vae
    vae = load_vae(weights, dtype, packed=can_pack(dtype, torch.device("cpu")))
    side = arguments.side // 8
    latent = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(1))
    ways: dict[str, Callable[[], Any]] = {"whole": lambda: decode(vae, latent)}
    for tile in TILES:
        if tile == "strips":
            ways["in strips"] = lambda: decode_in_strips(vae, latent)
        elif tile < side:
            ways[f"in tiles of {tile}"] = partial(decode_tiled, vae, latent, tile=tile, overlap=OVERLAPS[tile])
    whole = None
    for name, way in ways.items():
        found: dict[str, int] = {}
        trim()  # what was freed before must not be had again unseen
        began = time.process_time()
        with peak(found):
            made = way()
        spent, whole = time.process_time() - began, made if whole is None else whole
        error = float((made - whole).square().mean())
        print(
            f"{name}: {-10 * math.log10(error) if error else math.inf:.1f} dB and"
            f" {float((made - whole).abs().max()) * 255:.2f}/255 at most from the whole picture of {arguments.side}"
            f" pixels; {(found['most'] - found['before']) / MIB:.0f} MiB, {spent:.1f} s of processor time", flush=True,
        )
        del made


# -- many jobs ---------------------------------------------------------------------------------------------------


def mixed(arguments: argparse.Namespace) -> None:
    """Jobs with one of three checkpoints and none or one of four LoRAs; resident memory after each."""
    import psutil

    from engine.runtime.device.memory import anonymous
    from tests.memory.models import config_of, write_model

    root, width = arguments.root, arguments.width
    models = root / "models"
    for name in ("a", "b", "c"):
        path = models / "checkpoints" / f"{name}.safetensors"
        if not path.exists():
            write_model(path, width, ord(name))
    (models / "loras").mkdir(parents=True, exist_ok=True)
    for number in range(4):
        write_lora(models / "loras" / f"{number}.safetensors", number, config_of(width).unet.widths[-1])
    size = (models / "checkpoints" / "a.safetensors").stat().st_size
    engine = make_engine(root, "fp32", ram=arguments.ram or int(5 * size))
    chosen, process, rows = random.Random(7), psutil.Process(), []
    for number in range(arguments.jobs):
        lora = chosen.choice(["", "0.safetensors", "1.safetensors", "2.safetensors", "3.safetensors"])
        carry_out(engine, text_to_image(64, chosen.choice("abc"), seed=number, steps=1, lora=lora))
        rows.append((process.memory_info().rss, anonymous()))
        if number % 50 == 49:
            print(number + 1, *(f"{each / MIB:.0f}" for each in rows[-1]), flush=True)
    for place, name in enumerate(("resident", "anonymous")):
        early = statistics.median(row[place] for row in rows[50:150])
        late = statistics.median(row[place] for row in rows[-100:])
        print(f"{name}: jobs 50-150 {early / MIB:.0f} MiB, last 100 {late / MIB:.0f} MiB, ratio {late / early:.3f};"
              f" checkpoints of {size / 1e6:.0f} MB, {engine.residency.loads} networks loaded")


def recovery(arguments: argparse.Namespace) -> None:
    """Have memory run out at each of many operations of a small job in turn: every one must end with the picture."""
    from tests.memory.models import shallow, write_model
    from tests.memory.test_recovery import Workplace, check_at, seeded, text_to_picture, whole_run

    write_model(arguments.root / "models" / "checkpoints" / "m.safetensors", config=shallow(8))
    place, graph = Workplace(arguments.root), text_to_picture()
    wanted, total = whole_run(place, graph)
    struck = check_at(place, seeded(total, arguments.jobs), graph, wanted)
    print(f"memory ran out at {arguments.jobs} of {total} operations in turn, in {', '.join(sorted(struck))};"
          " every job ended with the same picture, bit for bit")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="table", choices=("table", "tiles", "mixed", "recovery", "child"))
    parser.add_argument("--root", type=Path, help="where models are written and kept (default: a temporary folder)")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--graphs", nargs="*", choices=tuple(GRAPHS))
    parser.add_argument("--graph", choices=tuple(GRAPHS), default="txt2img")
    parser.add_argument("--side", type=int, default=512, help="of the first picture, in pixels")
    parser.add_argument("--ram", type=int)
    parser.add_argument("--plan", default="")
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--width", type=int, default=128, help="of the models of mixed jobs: 128 makes 220 MB")
    arguments = parser.parse_args()
    carried_out = {
        "table": table, "tiles": tiles, "mixed": mixed, "recovery": recovery, "child": child,
    }[arguments.what]
    if arguments.root is not None:
        carried_out(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="easel-memory-") as folder:
        arguments.root = Path(folder)
        carried_out(arguments)


if __name__ == "__main__":
    main()
