"""What branches cost that run together: ``python -m benchmarks.branches [--repeat 5]``.

Two CPU branches of one second, of which one is in NumPy and one waits, beside a node on the device lane that multiplies
matrices with one thread for as long. *alone* is each of the three as a job of its own, *together* one job with all of
them, in seconds from its beginning to its end; medians. Wanted: together at most 1.3 times the longest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from engine.graph.graph import resolve
from engine.graph.node import node
from engine.graph.registry import Registry
from engine.graph.workflow import read_api
from engine.messages.events import Succeeded
from engine.runtime.execute import execute
from engine.runtime.tasks import Job, Machine
from tests.runtime.toolbox import NODES, NoFiles, make_machine

SIDE = 512


@node("BranchNumpy", category="benchmark")
def branch_numpy(*, rounds: int, seed: int) -> int:
    """Add and sort in NumPy."""
    values = np.random.default_rng(seed).random(200_000)
    for _ in range(rounds):
        values = np.sort(np.sqrt(values) + values[::-1])
        values /= values[-1]
    return int(values.sum())


@node("BranchWaiting", category="benchmark")
def branch_waiting(*, rounds: int, seed: int) -> int:
    """Wait, a millisecond each round."""
    time.sleep(rounds / 1000)
    return seed


@node("BranchDevice", category="benchmark", lane="device")
def branch_device(*, rounds: int, seed: int) -> int:
    """Multiply matrices."""
    matrix = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) / SIDE
    for _ in range(rounds):
        matrix = matrix @ matrix
    return int(matrix.isfinite().all())


BRANCHES = {each.spec.class_type: each for each in (branch_numpy, branch_waiting, branch_device)}


def one_second(name: str) -> int:
    """So many rounds of a branch take about a second, called by itself."""
    if name == "BranchWaiting":
        return 1000
    rounds = 1
    while True:
        began = time.perf_counter()
        BRANCHES[name](rounds=rounds, seed=0)
        seconds = time.perf_counter() - began
        if seconds > 0.2:
            return max(1, round(rounds / seconds))
        rounds *= 2


def timed(machine: Machine, branches: dict[str, int], seed: int) -> float:
    """Seconds for one job with some branches, each shown by a node of its own."""
    graph: dict[str, Any] = {}
    for name, rounds in branches.items():
        graph[name] = {"class_type": name, "inputs": {"rounds": rounds, "seed": seed}}
        graph[f"show {name}"] = {"class_type": "Show", "inputs": {"value": [name, 0]}}
    resolved = resolve(read_api(graph), {name: each.spec for name, each in machine.nodes.items()}, NoFiles()).graph
    began = time.perf_counter()
    ending = execute(Job("job", resolved), machine, lambda event: None)
    if not isinstance(ending, Succeeded):
        raise RuntimeError(repr(ending)[:2000])
    return time.perf_counter() - began


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.branches")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    made = make_machine()
    machine = replace(made, nodes={**NODES, **Registry(BRANCHES).nodes})
    rounds = {name: one_second(name) for name in BRANCHES}
    alone: dict[str, list[float]] = {name: [] for name in BRANCHES}
    together: list[float] = []
    for repeat in range(options.repeat):
        for name, times in alone.items():
            times.append(timed(machine, {name: rounds[name]}, 2 * repeat))
        together.append(timed(machine, rounds, 2 * repeat + 1))
    made.lanes.close()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    medians = {name: statistics.median(times) for name, times in alone.items()}
    for name, seconds in medians.items():
        print(f"{name} alone: {seconds:.2f} s")
    whole = statistics.median(together)
    print(f"together: {whole:.2f} s, {whole / max(medians.values()):.2f} times the longest alone")


if __name__ == "__main__":
    main()
