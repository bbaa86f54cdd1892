"""Node packs on a real server: off unless switched on, and a broken one harms nobody."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.served import ROOT, Client, number_workflow, served, worker_pids

PACKS = ROOT / "tests" / "comfy" / "packs"


def test_packs_named_in_a_configuration_file_are_nodes_like_any_other(tmp_path: Path) -> None:
    config = tmp_path / "extra_model_paths.yaml"
    config.write_text(f"mine:\n  custom_nodes: {PACKS}\n")
    with served(tmp_path / "data", "--extra-model-paths-config", str(config), "--cancel-seconds", "0.3") as client:
        info = client.get("/object_info")
        packs = {name: each for name, each in info.items() if each["python_module"].startswith("custom_nodes.")}
        assert len(packs) > 5
        assert client.wait(client.post(number_workflow(3)))["outputs"] == {"3": {"text": ["3"]}}
        _what_a_pack_refuses_is_refused_when_it_is_posted(client)
        for path, expected in (("/fixture", 501), ("/api/fixture", 501), ("/fixture/more", 404), ("/other", 404)):
            status, body = client.send(path)
            assert status == expected, (path, body)
        assert "no code of packs" in str(json.loads(client.send("/fixture")[1])["error"]["message"])
        _a_node_that_hangs_is_interrupted_and_the_queue_goes_on(client)
    log = (tmp_path / "data.log").read_text()
    assert "custom_nodes.broken could not be imported" in log
    assert "Traceback" in log


def _what_a_pack_refuses_is_refused_when_it_is_posted(client: Client) -> None:
    def graph(value: int) -> dict[str, Any]:
        return {
            "a": {"class_type": "Plus", "inputs": {"a": 1, "b": 0}},
            "x": {"class_type": "Checked", "inputs": {"value": value, "other": 2, "link": ["a", 0]}},
            "out": {"class_type": "Show", "inputs": {"value": ["x", 0]}},
        }

    status, body = client.send("/prompt", {"prompt": graph(500)})
    errors = json.loads(body)["node_errors"]["x"]
    assert status == 400 and errors["errors"][0]["type"] == "custom_validation_failed", body
    assert "500 is too much" in str(errors) and errors["dependent_outputs"] == ["out"]
    assert client.wait(client.post(graph(50)))["outputs"] == {"out": {"text": [50]}}


def _a_node_that_hangs_is_interrupted_and_the_queue_goes_on(client: Client) -> None:
    """Its worker is replaced, since nothing else ends it; what waits behind it runs there; it is not tried again."""
    hangs = {
        "x": {"class_type": "Hangs", "inputs": {"value": 1}},
        "out": {"class_type": "Show", "inputs": {"value": ["x", 0]}},
    }
    before = worker_pids(client)
    stuck, behind = client.post(hangs), [client.post(number_workflow(value)) for value in (41, 42)]
    end = time.monotonic() + 60
    while not any(each["state"] == "running" for each in client.get(f"/api/jobs/{stuck}")["nodes"]):
        assert time.monotonic() < end, "the node was never begun"
        time.sleep(0.02)
    assert [each[1] for each in client.get("/queue")["queue_running"]] == [stuck]
    assert client.send("/interrupt", b"", method="POST")[0] == 200
    for job, value in zip(behind, (41, 42), strict=True):
        assert client.wait(job)["outputs"] == {"3": {"text": [str(value)]}}
    ended = client.wait(stuck)["status"]
    assert ended["status_str"] == "error" and ended["messages"][-1][0] == "execution_interrupted"
    assert client.get(f"/api/jobs/{stuck}")["state"] == "cancelled"
    assert not set(before) & set(worker_pids(client)), "the worker that hung is gone"
    assert client.get("/queue") == {"queue_running": [], "queue_pending": []}


def test_packs_are_off_by_default(tmp_path: Path) -> None:
    with served(tmp_path / "data") as client:
        modules = {each["python_module"] for each in client.get("/object_info").values()}
    assert not {name for name in modules if name.startswith("custom_nodes.")}
