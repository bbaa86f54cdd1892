"""A real server explains its cache, and after a restart answers an unchanged graph from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    with served(tmp_path / "data", "--cpu") as client:
        job = client.post(graph)
        entry = client.wait(job)
        assert entry["outputs"]["7"]["images"]
        states = told(client, job)
        assert {state for state, _ in states.values()} == {"reused"}, "so nothing is loaded"
        assert {cause for _, cause in states.values()} <= {"trace", "disk"}
