"""Memory runs out at any operation of a job, and the job ends with the right picture."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.diffusion.checkpoint import open_checkpoint
from engine.files.folders import make_folders
from engine.graph.graph import resolve
from engine.graph.workflow import read_api
from engine.messages.events import Failed, Succeeded
from engine.runtime.device.budget import Plan
from engine.runtime.device.relief import Relief, ran_out
from engine.runtime.execute import execute
from engine.runtime.memory_flags import Memory
from engine.runtime.settings import Settings
from engine.runtime.tasks import Job
from engine.runtime.worker import Engine
from tests.memory.models import Counter, shallow, write_model


def text_to_picture(steps: int = 2, batch: int = 1, sampler: str = "dpmpp_2m") -> dict[str, Any]:
    def entry(kind: str, **inputs: Any) -> dict[str, Any]:
        return {"class_type": kind, "inputs": inputs}

    return {
        "1": entry("CheckpointLoaderSimple", ckpt_name="m.safetensors"),
        "2": entry("CLIPTextEncode", text="a (red:1.2) cat", clip=["1", 1]),
        "3": entry("CLIPTextEncode", text="", clip=["1", 1]),
        "4": entry("EmptyLatentImage", width=64, height=64, batch_size=batch),
        "5": entry("KSampler", model=["1", 0], positive=["2", 0], negative=["3", 0], latent_image=["4", 0], seed=5,
                   steps=steps, cfg=4.0, sampler_name=sampler, scheduler="normal", denoise=1.0),
        "6": entry("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "7": entry("SaveImage", images=["6", 0], filename_prefix="p"),
    }


class Workplace:
    """A worker's engine in folders of its own, which remembers nothing from job to job."""

    def __init__(self, root: Path, **memory: Any) -> None:
        folders = make_folders(data=root / "data", models=root / "models")
        for folder in (folders.input, folders.output, folders.temp):
            folder.mkdir(parents=True, exist_ok=True)
        self.engine = Engine(Settings(
            folders, cpu=True, precision="fp32", threads=1, remember=False, memory=Memory(**memory)
        ))

    def run(self, graph: dict[str, Any], counter: Counter | None = None) -> tuple[Any, np.ndarray]:
        """Carry a graph out with nothing in memory; gives the ending and the pictures (batch, h, w, 3)."""
        engine = self.engine
        engine.forget()
        engine.free(models=True, cache=True)
        around = counter.around if counter is not None else engine.machine.around
        machine = replace(engine.machine, around=around)
        if counter is not None:
            engine.residency._around = counter.around
        try:
            ending = execute(
                Job("j", resolve(read_api(graph), engine.registry.specs, engine.folders).graph), machine,
                lambda event: None,
            )
        finally:
            engine.residency._around = engine.machine.around
        files = [Path(each["filename"]) for each in ending.outputs.get("7", {}).get("images", ())]
        found = [np.asarray(Image.open(engine.folders.output / each)).astype(int) for each in files]
        for each in files:
            (engine.folders.output / each).unlink()
        left = list(engine.folders.output.iterdir())
        assert left == [], "nothing but the pictures was left behind"
        return ending, np.stack(found) if found else np.zeros(0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recovery")
    write_model(root / "models" / "checkpoints" / "m.safetensors", config=shallow(8))
    write_model(root / "models" / "checkpoints" / "wide.safetensors", 32)
    return root


@pytest.fixture(scope="module")
def place(root: Path) -> Iterator[Workplace]:
    made = Workplace(root)
    yield made
    made.engine.close()


def relieved(ending: Any) -> list[str]:
    return [line for report in ending.reports for line in report.memory.get("relief", ())]


def check_at(place: Workplace, indices: list[int], graph: dict[str, Any], wanted: np.ndarray) -> set[str]:
    """Have memory run out at each of the operations in turn; gives the nodes that it happened in."""
    struck = set()
    for index in indices:
        counter = Counter(index)
        ending, pictures = place.run(graph, counter)
        assert isinstance(ending, Succeeded), (index, counter.failed, getattr(ending, "traceback", ""))
        assert counter.failed, index
        assert np.array_equal(pictures, wanted), (index, counter.failed)
        lines = relieved(ending)
        assert lines and all("memory ran out" in line for line in lines), "what was done is in the record"
        struck |= {report.class_type for report in ending.reports if report.memory.get("relief")}
    return struck


def seeded(total: int, count: int) -> list[int]:
    """So many of the operations, the same ones each time."""
    return sorted(random.Random(count).sample(range(1, total + 1), count))


def whole_run(place: Workplace, graph: dict[str, Any]) -> tuple[np.ndarray, int]:
    place.run(graph)  # what is imported and built once is not counted
    counter = Counter()
    ending, wanted = place.run(graph, counter)
    assert isinstance(ending, Succeeded) and counter.done > 1000
    assert relieved(ending) == []
    return wanted, counter.done


def test_memory_runs_out_anywhere_and_the_picture_is_the_same(place: Workplace) -> None:
    graph = text_to_picture()
    wanted, total = whole_run(place, graph)
    check_at(place, seeded(total, 4), graph, wanted)


@pytest.mark.full
def test_memory_runs_out_in_every_part_of_a_job(place: Workplace) -> None:
    """Load, encode, step, decode, save. ``python -m benchmarks.memory recovery`` does the same at 200 operations."""
    graph = text_to_picture()
    wanted, total = whole_run(place, graph)
    struck = check_at(place, sorted({*seeded(total, 21), 1, total - 2, total - 1, total}), graph, wanted)
    assert struck >= {"CLIPTextEncode", "KSampler", "VAEDecode", "SaveImage"}


@pytest.mark.parametrize("times", [2, 4])
def test_again_and_again_goes_down_the_ladder(place: Workplace, times: int) -> None:
    """Two rows become two times one row, then weights are streamed: at most one of 255 apart."""
    graph = text_to_picture()
    wanted, total = whole_run(place, graph)
    middle = total // 2
    ending, pictures = place.run(graph, Counter(*range(middle, middle + times)))
    assert isinstance(ending, Succeeded), getattr(ending, "traceback", "")
    assert np.abs(pictures - wanted).max() <= 1
    report = next(each for each in ending.reports if each.class_type == "KSampler")
    assert len(report.memory["relief"]) == times
    assert "rows=1" in report.memory["relief"][1] and report.memory["plan"]["rows"] == 1


def test_a_node_that_never_fits_fails_and_says_so(place: Workplace) -> None:
    counter = Counter(*range(500, 100_000))
    ending, _ = place.run(text_to_picture(), counter)
    assert isinstance(ending, Failed)
    assert "out of memory" in ending.message
    assert len(counter.failed) < 40, "it was not tried for ever"
    assert place.run(text_to_picture())[0].__class__ is Succeeded, "the next job is none the worse"


@pytest.mark.parametrize("share", [0.6, 0.4, 0.2])
def test_within_a_budget_the_same_picture_is_made_and_no_more_is_held(
    root: Path, place: Workplace, share: float
) -> None:
    """Bit-equal to an unconstrained run by the same plan, one of 255 at most from the resident one."""
    graph = text_to_picture(batch=2)
    graph["1"]["inputs"]["ckpt_name"] = "wide.safetensors"
    _, plain = place.run(graph)
    found = open_checkpoint(root / "models" / "checkpoints" / "wide.safetensors")
    whole = sum(place.engine.residency.size(each)[0] for each in (found.unet, found.vae, found.text) if each)
    tight = Workplace(root, ram=int(share * whole))
    held: list[int] = []
    ledger, make_room = tight.engine.ledger, tight.engine.ledger.make_room
    ledger._elsewhere = lambda known: 0  # what tests before this one left behind is not ours
    ledger.make_room = lambda wanted: [make_room(wanted), held.append(ledger.held + ledger.reserved + wanted)][0]
    try:
        ending, pictures = tight.run(graph)
    finally:
        tight.engine.close()
    assert isinstance(ending, Succeeded)
    plans = {each.class_type: each.memory["plan"] for each in ending.reports if each.memory}
    assert max(held) <= ledger.budget, plans
    assert share > 0.5 or plans["KSampler"]["weights"] == "streamed"
    said = {**plans["KSampler"], **{name: value for name, value in plans["VAEDecode"].items() if name == "tile"}}
    words = ",".join(f"{name}={value}" for name, value in said.items())
    free = Workplace(root, plan=words)
    try:
        assert np.array_equal(free.run(graph)[1], pictures), plans
    finally:
        free.engine.close()
    assert np.abs(pictures - plain).max() <= 1


def test_each_network_of_two_checkpoints_is_loaded_once_in_a_fifth_of_what_they_take(root: Path) -> None:
    """One branch goes to its end before the next begins, so that what had to go is not wanted again."""
    models = root / "models" / "checkpoints"
    (models / "other.safetensors").write_bytes((models / "m.safetensors").read_bytes())
    graph = text_to_picture(steps=1)
    for name, like, changed in (
        ("11", "1", {"ckpt_name": "other.safetensors"}),
        ("12", "2", {"clip": ["11", 1]}), ("13", "3", {"clip": ["11", 1]}),
        ("15", "5", {"model": ["11", 0], "positive": ["12", 0], "negative": ["13", 0], "latent_image": ["5", 0]}),
        ("6", "6", {"samples": ["15", 0], "vae": ["11", 2]}),
    ):
        graph[name] = {**graph[like], "inputs": {**graph[like]["inputs"], **changed}}
    found = open_checkpoint(models / "m.safetensors")
    tight = Workplace(root)
    residency, ledger = tight.engine.residency, tight.engine.ledger
    ledger.budget = 2 * sum(residency.size(each)[0] for each in (found.unet, found.vae, found.text) if each) // 5
    ledger._elsewhere = lambda known: 0
    try:
        ending, _ = tight.run(graph)
    finally:
        tight.engine.close()
    assert isinstance(ending, Succeeded)
    assert ledger.dropped > 0, "not all fitted"
    assert residency.loads == 5, "two text encoders, two UNets and an autoencoder"


@pytest.mark.parametrize(("error", "found"), [
    (MemoryError(), True), (torch.OutOfMemoryError("x"), True),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried"), True),
    (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
    (RuntimeError("shape mismatch"), False), (ValueError("out of memory"), False),
])
def test_which_errors_are_about_memory(error: Exception, found: bool) -> None:
    assert ran_out(error) is found


def test_the_ladder_of_a_decode_ends_with_small_tiles() -> None:
    relief, error = Relief(lambda: 100), MemoryError()
    relief.plan, relief.autoencoder = Plan(), True
    plans = []
    while relief.helps(error):
        relief.step("in the node")
        plans.append((relief.plan.placement, relief.plan.tile))
    assert plans == [
        ("resident", None), ("streamed", None), ("least", None), ("least", "strips"), ("least", 64), ("least", 32),
        ("least", 16),
    ]
    assert relief.done[0] == "memory ran out in the node: freed 100 bytes and tried again"
