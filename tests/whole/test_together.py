"""Several jobs at once in a real server: their pictures, the queue, and what an interruption stops."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.messages.events import Succeeded
from tests.nodes.studio import Bench
from tests.served import Client, served, text_to_image

pytestmark = pytest.mark.full
PATIENCE = 120.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together") / "data"


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[Client]:
    with served(data, "--cpu", "--precision", "fp32", "--jobs-at-once", "4") as client:
        client.get("/object_info")
        yield client


def running(client: Client) -> list[str]:
    return [each[1] for each in client.get("/queue")["queue_running"]]


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def pixels(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int16)


def test_jobs_that_run_at_once_make_the_pictures_of_jobs_that_run_alone(
    client: Client, data: Path, tmp_path: Path
) -> None:
    graphs = [text_to_image(steps=8 + seed, seed=seed, text="a red cube " * seed) for seed in range(1, 4)]
    posted = [client.post(each) for each in graphs]
    until(lambda: len(running(client)) == 3)
    assert running(client) == posted, "the oldest first"
    assert client.get("/api/jobs")["at_once"] == 4
    entries = [client.wait(each) for each in posted]
    bench = Bench(tmp_path)
    for graph, entry in zip(graphs, entries, strict=True):
        ending, _ = bench.run({name: (each["class_type"], each["inputs"]) for name, each in graph.items()})
        assert isinstance(ending, Succeeded)
        (alone,) = ending.outputs["7"]["images"]
        (together,) = entry["outputs"]["7"]["images"]
        a = pixels(bench.folders.output / alone["subfolder"] / alone["filename"])
        b = pixels(data / "output" / together["subfolder"] / together["filename"])
        assert int(np.abs(a - b).max()) <= 1


def test_an_interruption_without_an_id_stops_the_oldest_and_leaves_the_others(client: Client) -> None:
    posted = [client.post(text_to_image(steps=400 if number == 0 else 20, seed=20 + number)) for number in range(3)]
    until(lambda: running(client) == posted)
    client.send("/interrupt", {})
    assert client.wait(posted[0])["status"]["messages"][-1][0] == "execution_interrupted"
    assert [client.wait(each)["status"]["status_str"] for each in posted[1:]] == ["success", "success"]


def test_how_many_run_at_once_can_be_set_while_jobs_wait(client: Client) -> None:
    status, body = client.send("/api/queue/at_once", {"jobs": 1})
    assert (status, json.loads(body)) == (200, {"at_once": 1})
    posted = [client.post(text_to_image(steps=30, seed=40 + number)) for number in range(3)]
    most = 0
    while not all(client.get(f"/history/{each}") for each in posted):
        most = max(most, len(running(client)))
    assert most == 1
    assert json.loads(client.send("/api/queue/at_once", {"jobs": 0})[1]) == {"at_once": 4}
    assert client.send("/api/queue/at_once", {"jobs": -1})[0] == 422
