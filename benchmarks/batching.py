"""What continuous batching gives: ``python -m benchmarks.batching [--jobs 8] [--size 512] [--steps 20] [--repeat 3]``.

Jobs that differ in their seeds are posted to a real server at once; the time goes from the first post to the end of the
last job. *together* is with all of them run at once, *in turn* with one after another, which is switched on the same
server (`POST /api/queue/at_once`), by turns, so that both have the same machine. The device is the server's own choice:
without an accelerator it is the CPU, where the miniature stand-in is sampled and a smaller size is usual.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.served import STANDIN, Client, start_server, stop_server, text_to_image


def timed(client: Client, at_once: int, jobs: int, first_seed: int, options: argparse.Namespace) -> float:
    """Seconds for some jobs, so many of them at once."""
    status, answer = client.send("/api/queue/at_once", {"jobs": at_once})
    if status != 200 or json.loads(answer)["at_once"] != at_once:
        raise RuntimeError(f"the server does not run {at_once} jobs at once: {answer[:500]!r}")
    graphs = [text_to_image(options.steps, options.size, first_seed + number) for number in range(jobs)]
    for graph in graphs:
        graph["1"]["inputs"]["ckpt_name"] = options.checkpoint
    began = time.perf_counter()
    posted = [client.post(graph) for graph in graphs]
    for each in posted:
        entry = client.wait(each, 600)
        if entry["status"]["status_str"] != "success":
            raise RuntimeError(str(entry["status"])[:2000])
    return time.perf_counter() - began


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.batching")
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--checkpoint", default=STANDIN.name)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        client = start_server(Path(folder) / "data", "--jobs-at-once", str(options.jobs))
        try:
            client.get("/object_info")
            device = client.get("/system_stats")["devices"][0]["name"]
            timed(client, options.jobs, 2, 1, options)  # weights in memory, kernels chosen
            times: dict[str, list[float]] = {"together": [], "in turn": []}
            for turn in range(options.repeat):
                for name, at_once in (("together", options.jobs), ("in turn", 1)):
                    seed = 1_000 * (2 * turn + (at_once == 1) + 1)
                    times[name].append(timed(client, at_once, options.jobs, seed, options))
        finally:
            stop_server(client)
    together, in_turn = (statistics.median(times[name]) for name in ("together", "in turn"))
    print(f"{device}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.checkpoint}")
    print(f"{options.jobs} jobs of {options.size} pixels and {options.steps} steps, medians of {options.repeat}:")
    print(f"together {together:.2f} s, in turn {in_turn:.2f} s: {in_turn / together:.2f} times as fast")


if __name__ == "__main__":
    main()
