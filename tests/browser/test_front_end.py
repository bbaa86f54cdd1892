"""ComfyUI's own front-end, unchanged and never shipped, over ``--front-end-root``: it runs a graph to its picture."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT
from tests.served import served

PACKAGE = "comfyui-frontend-package==1.28.7"  # as ComfyUI 0.3.64 asks for; GPL-3: never shipped

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("front-end")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        pytest.skip(f"{PACKAGE} cannot be installed: {done.stderr[-300:]}")
    return folder / "comfyui_frontend_package" / "static"


def test_comfyuis_front_end_runs_a_graph_and_shows_progress_and_picture(
    front_end: Path, packages: Path, tmp_path: Path
) -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    workflow = json.loads((ROOT / "workflows" / "txt2img.json").read_text())
    for node in workflow["nodes"]:
        if node["type"] == "KSampler":
            node["widgets_values"][2] = 30  # steps: enough for progress to be seen
        if node["type"] == "EmptyLatentImage":
            node["widgets_values"] = [64, 64, 1]
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(workflow))
    with served(tmp_path / "data", "--cpu", "--front-end-root", str(front_end)) as client:
        client.get("/object_info")
        script = Path(__file__).with_name("front_end.mjs")
        done = subprocess.run(
            ["node", str(script), client.address, str(file), str(tmp_path / "shot.png")], capture_output=True,
            text=True, timeout=300, check=False, env={**os.environ, "CHROMIUM": chromium})
        assert done.returncode == 0, done.stdout + done.stderr
        page = client.get("/history")
        assert [entry["status"]["status_str"] for entry in page.values()] == ["success"]
