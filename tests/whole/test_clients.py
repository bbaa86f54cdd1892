"""Programs of others, unchanged, run a job to its picture; and replays of the ways in which the rest of them speak."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.served import Client, picture_workflow, served, start_server, stop_server

PATIENCE = 60.0
TOKEN = "a token for the clients of others"


def workflow(seed: int) -> dict[str, Any]:
    """Every node has a title, as files that ComfyUI's front-end exports."""
    graph = picture_workflow(seed=seed, prefix="client")
    return {name: {**node, "_meta": {"title": "Save Image" if name == "3" else name}} for name, node in graph.items()}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with served(tmp_path_factory.mktemp("easel") / "data", "--cpu") as running:
        yield running


def install(folder: Path, package: str) -> dict[str, str]:
    """Install a package beside everything else; gives the environment to run it in. Skips if it is not to be had."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    if done.returncode != 0:
        pytest.skip(f"{package} cannot be installed: {done.stderr[-300:]}")
    return {**os.environ, "PYTHONPATH": str(folder), "DO_NOT_TRACK": "1", "HOME": str(folder)}


def run(*command: str, **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# -- unchanged programs ------------------------------------------------------------------------------------------


@pytest.mark.full
def test_comfy_api_simplified_gets_its_pictures(client: Client, tmp_path: Path) -> None:
    environment = install(tmp_path / "packages", "comfy-api-simplified")
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(workflow(1)))
    program = (
        "import sys\nfrom comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper\n"
        "api = ComfyApiWrapper(sys.argv[1])\n"
        "made = api.queue_and_wait_images(ComfyWorkflowWrapper(sys.argv[2]), 'Save Image')\n"
        "print([(name, content[:4]) for name, content in made.items()])\n")
    told = run(sys.executable, "-c", program, client.address, str(file), env=environment)
    assert "client_" in told and r"b'\x89PNG'" in told


@pytest.mark.full
def test_comfy_cli_runs_a_workflow_and_names_its_output(client: Client, tmp_path: Path) -> None:
    environment = install(tmp_path / "packages", "comfy-cli")
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(workflow(2)))
    told = run(
        sys.executable, "-m", "comfy_cli", "--skip-prompt", "--no-enable-telemetry", "run", "--workflow", str(file),
        "--host", "127.0.0.1", "--port", client.address.rpartition(":")[2], "--wait", env=environment, cwd=tmp_path)
    assert "/view?filename=client_" in told and "completed" in told


@pytest.mark.full
def test_stable_canvas_comfyui_client_enqueues_and_gets_its_picture(client: Client, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    (tmp_path / "package.json").write_text("{}")
    done = subprocess.run([npm, "install", "--no-audit", "--no-fund", "@stable-canvas/comfyui-client@1.5.9", "ws@8"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"the client cannot be installed: {done.stderr[-300:]}")
    (tmp_path / "run.cjs").write_text(
        "const { Client } = require('@stable-canvas/comfyui-client'); const WebSocket = require('ws');\n"
        "(async () => {\n"
        "  const client = new Client({ api_host: process.argv[2], fetch, WebSocket });\n"
        "  await client.connect();\n"
        "  const { images } = await client.enqueue(JSON.parse(process.argv[3]), {});\n"
        "  const bytes = Buffer.from(await (await fetch(images[0].data)).arrayBuffer());\n"
        "  console.log(images.length, bytes.subarray(1, 4).toString());\n"
        "  process.exit(0);\n})().catch((error) => { console.error(error); process.exit(1); });\n")
    told = run("node", "run.cjs", client.address.removeprefix("http://"), json.dumps(workflow(3)), cwd=tmp_path)
    assert told.split() == ["1", "PNG"]


# -- replays -----------------------------------------------------------------------------------------------------


def ask(address: str, path: str, body: Any = None, **headers: str) -> Any:
    """As many bots do: no word about what the body is."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        content = answer.read()
    return json.loads(content) if answer.headers["Content-Type"] == "application/json" else content


def test_the_polling_style_sees_its_job_in_the_queue_or_the_history_at_every_moment(client: Client) -> None:
    """The whole ``/history`` every 100 ms; a job that is in neither is taken as lost."""
    posted = [
        ask(client.address, "/prompt", {"prompt": workflow(seed), "client_id": "bot"})["prompt_id"]
        for seed in range(10, 30)
    ]
    end = time.monotonic() + PATIENCE
    while True:
        queue = ask(client.address, "/queue")
        history = ask(client.address, "/history")
        waiting = {item[1] for item in queue["queue_running"] + queue["queue_pending"]}
        assert set(posted) <= waiting | set(history), "none is ever lost from sight"
        if set(posted) <= set(history):
            break
        assert time.monotonic() < end
        time.sleep(0.1)
    for job in posted:
        (image,) = history[job]["outputs"]["3"]["images"]
        content = ask(client.address, f"/view?filename={image['filename']}&subfolder=&type={image['type']}")
        assert content.startswith(b"\x89PNG") and history[job]["status"]["completed"]


def test_the_bearer_style_runs_a_job_with_its_header_on_every_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EASEL_TOKEN", TOKEN)
    client = start_server(tmp_path / "data", "--cpu", wait=False)
    try:
        right = {"Authorization": f"Bearer {TOKEN}"}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(client.address, "/prompt", {"prompt": workflow(1)})
        job = ask(client.address, "/prompt", {"prompt": workflow(1)}, **right)["prompt_id"]
        end = time.monotonic() + PATIENCE
        while not (history := ask(client.address, f"/history/{job}", **right)):
            assert time.monotonic() < end
            time.sleep(0.05)
        (image,) = history[job]["outputs"]["3"]["images"]
        assert ask(client.address, f"/view?filename={image['filename']}&type=output", **right).startswith(b"\x89PNG")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(client.address, f"/view?filename={image['filename']}&type=output")
    finally:
        stop_server(client)
