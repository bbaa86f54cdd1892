"""A real server explains its cache, and after a restart answers an unchanged graph from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from tests.served import Client, served, text_to_image


def predicted(client: Client, graph: Any) -> dict[str, tuple[str, str]]:
    status, body = client.send("/api/predict", {"workflow": graph})
    assert status == 200, body
    return {each["node"]: (each["state"], each.get("cause", "")) for each in json.loads(body)["nodes"]}


def told(client: Client, job: str) -> dict[str, tuple[str, str]]:
    nodes = client.get(f"/api/jobs/{job}")["nodes"]
    return {each["node"]: (each["state"], each.get("cause", "")) for each in nodes}


def test_predictions_reasons_and_a_restart_that_loads_no_model(tmp_path: Path) -> None:
    graph, other = text_to_image(), text_to_image(seed=2)
    with served(tmp_path / "data", "--cpu") as client:
        client.get("/object_info")
        client.wait(client.post(graph))
        assert {state for state, _ in predicted(client, graph).values()} == {"reused"}
        found = predicted(client, other)
        assert found["5"] == ("runs", "input") and found["6"] == ("depends", "") and found["2"][0] == "reused"
        job = client.post(other)
        client.wait(job)
        assert told(client, job)["5"] == ("ran", "input") and told(client, job)["2"] == ("reused", "memory")
        (sampler,) = (each for each in client.get(f"/api/jobs/{job}")["nodes"] if each["node"] == "5")
        assert sampler["inputs"] == ["seed"] and sampler["why"] == "seed has changed"
        free = client.get("/system_stats")["devices"][0]
        assert free["vram_free"] > 0
        _a_change_of_the_world_and_a_value_that_is_gone(client, tmp_path / "data" / "input" / "mine.png")
    with served(tmp_path / "data", "--cpu") as client:
        job = client.post(graph)
        entry = client.wait(job)
        assert entry["outputs"]["7"]["images"]
        states = told(client, job)
        assert {state for state, _ in states.values()} == {"reused"}, "so nothing is loaded"
        assert {cause for _, cause in states.values()} == {"trace", "disk"}
        assert states["5"] == ("reused", "disk") and states["7"] == ("reused", "trace")


def _a_change_of_the_world_and_a_value_that_is_gone(client: Client, file: Path) -> None:
    def graph(prefix: str) -> dict[str, Any]:
        return {
            "load": {"class_type": "LoadImage", "inputs": {"image": file.name}},
            "invert": {"class_type": "ImageInvert", "inputs": {"image": ["load", 0]}},
            "save": {"class_type": "SaveImage", "inputs": {"images": ["invert", 0], "filename_prefix": prefix}},
        }

    def ran(workflow: Any) -> dict[str, tuple[str, str]]:
        """What was foretold of a graph and what became of it, which is the same but for what depends."""
        before = predicted(client, workflow)
        job = client.post(workflow)
        client.wait(job)
        after = told(client, job)
        sure = {name: ("ran" if state == "runs" else state, cause) for name, (state, cause) in before.items()
                if state != "depends"}  # fmt: skip
        assert {name: after[name] for name in sure} == sure
        return after

    def new_picture(colour: str) -> None:
        Image.new("RGB", (8, 8), colour).save(file.with_suffix(".new"), "PNG")
        file.with_suffix(".new").replace(file)

    new_picture("red")
    assert set(ran(graph("a")).values()) == {("ran", "new")}
    new_picture("blue")
    assert ran(graph("a")) == {"load": ("ran", "world"), "invert": ("ran", "input"), "save": ("ran", "input")}
    assert ran(graph("a"))["save"] == ("reused", "trace")
    assert client.send("/free", {"free_memory": True})[0] == 200
    assert ran(graph("b")) == {"load": ("ran", "evicted"), "invert": ("ran", "evicted"), "save": ("ran", "input")}
    for written in (file.parent.parent / "output").glob("b_*"):
        written.unlink()
    assert ran(graph("b")) == {"load": ("reused", "memory"), "invert": ("reused", "memory"), "save": ("ran", "file")}
