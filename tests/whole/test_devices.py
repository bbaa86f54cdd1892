"""A server with two workers. Both have the CPU here; what they do is what two accelerators' workers would do."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.served import ROOT, Client, served, text_to_image, worker_pids

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("two")
    models = root / "models"
    (models / "checkpoints").mkdir(parents=True)
    (models / "starter").symlink_to(ROOT / "models" / "starter")
    with served(
        root / "data", "--models-directory", str(models), "--devices", "cpu,cpu", "--precision", "fp32"
    ) as running:
        _until(lambda: len(worker_pids(running)) == 2)
        yield running


def _until(ready: Callable[[], Any]) -> None:
    end = time.monotonic() + 90
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def pictures(client: Client, job: str) -> np.ndarray:
    entry = client.wait(job)
    assert entry["status"]["status_str"] == "success", entry["status"]
    made = []
    for image in entry["outputs"]["7"]["images"]:
        status, body = client.send(f"/view?filename={image['filename']}&type={image['type']}")
        assert status == 200
        made.append(np.asarray(Image.open(io.BytesIO(body))).astype(int))
    return np.stack(made)


def batch(*, split: bool, exact: bool = False, prefix: str = "picture") -> dict[str, Any]:
    graph = text_to_image(steps=3, sampler_name="euler_ancestral")
    graph["4"]["inputs"]["batch_size"] = 4
    graph["7"]["inputs"]["filename_prefix"] = prefix
    if split:
        graph["8"] = {"class_type": "SplitOverDevices", "inputs": {"model": ["1", 0], "exact": exact}}
        graph["5"]["inputs"]["model"] = ["8", 0]
    return graph


def test_a_batch_split_over_two_devices_is_the_unsplit_batch(client: Client) -> None:
    whole = pictures(client, client.post(batch(split=False)))
    split = pictures(client, client.post(batch(split=True)))
    exact = pictures(client, client.post(batch(split=True, exact=True)))
    assert whole.shape == (4, 64, 64, 3)
    assert len({each.tobytes() for each in whole}) == 4
    assert np.array_equal(split, whole)
    assert np.abs(exact - whole).max() <= 1  # by rounding: it asks the network for one row at a time


def test_two_jobs_run_at_once_and_one_is_stopped_alone(client: Client) -> None:
    slow = [client.post(text_to_image(steps=5000, seed=seed)) for seed in (11, 12)]
    _until(lambda: len(client.get("/queue")["queue_running"]) == 2)
    assert {entry[1] for entry in client.get("/queue")["queue_running"]} == set(slow)
    assert client.send("/interrupt", {"prompt_id": slow[0]})[0] == 200
    assert client.wait(slow[0])["status"]["status_str"] == "error"
    assert [entry[1] for entry in client.get("/queue")["queue_running"]] == [slow[1]]
    assert pictures(client, client.post(text_to_image(seed=13))).any()  # the free worker goes on
    assert client.send("/interrupt", {})[0] == 200
    assert client.wait(slow[1])["status"]["status_str"] == "error"


def test_the_death_of_a_worker_leaves_the_other_ones_job_alone(client: Client) -> None:
    jobs = [client.post(text_to_image(steps=5000, seed=seed)) for seed in (21, 22)]
    _until(lambda: len(client.get("/queue")["queue_running"]) == 2)
    os.kill(worker_pids(client)[0], signal.SIGKILL)
    _until(lambda: any(client.get(f"/api/jobs/{job}")["deaths"] for job in jobs))
    assert [job for job in jobs if client.get(f"/api/jobs/{job}")["state"] == "running"]
    _until(lambda: len(client.get("/queue")["queue_running"]) == 2)
    assert sorted(client.get(f"/api/jobs/{job}")["deaths"] for job in jobs) == [0, 1]
    for job in jobs:  # each by its name: without one, only the oldest stops
        assert client.send("/interrupt", {"prompt_id": job})[0] == 200
        assert client.wait(job)["status"]["status_str"] == "error"
    assert client.send("/free", {"unload_models": True, "free_memory": True})[0] == 200
    assert [each["name"] for each in client.get("/system_stats")["devices"]] == ["cpu"]  # one device, told once
