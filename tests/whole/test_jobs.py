"""``/api/jobs`` with the real engine: pictures, why each node ran, and what failed."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import easel_client
from tests.served import ROOT, Client, picture_workflow, served, text_to_image


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with served(tmp_path_factory.mktemp("easel") / "data", "--cpu") as running:
        yield running


def make(client: Client, workflow: Any) -> dict[str, Any]:
    status, body = client.send("/api/jobs?wait=60", {"workflow": workflow})
    assert status == 200, body
    job: dict[str, Any] = json.loads(body)
    return job


def picture(client: Client, workflow: Any, accept: str) -> tuple[str, Image.Image]:
    request = urllib.request.Request(
        client.address + "/api/jobs", json.dumps({"workflow": workflow}).encode(), {"Accept": accept})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["Content-Type"], Image.open(io.BytesIO(answer.read()))


def test_a_job_says_how_long_each_node_took_and_why_it_ran(client: Client) -> None:
    first = make(client, picture_workflow(seed=1, prefix="why"))
    assert first["state"] == "succeeded"
    nodes = {each["node"]: each for each in first["nodes"]}
    assert nodes.keys() == {"1", "2", "3"}
    assert all(each["state"] == "ran" and each["seconds"] >= 0 and each["why"] for each in nodes.values())
    assert nodes["1"]["class_type"] == "EmptyImage"
    again = make(client, picture_workflow(seed=1, prefix="why"))
    assert {each["state"] for each in again["nodes"]} == {"reused"}
    (output,) = again["outputs"]
    status, body = client.send(output["url"])
    assert status == 200
    assert Image.open(io.BytesIO(body)).size == (32, 32)


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
def test_the_picture_itself_is_the_answer_for_those_who_accept_nothing_else(client: Client, kind: str) -> None:
    media, made = picture(client, picture_workflow(seed=2, color=0x804020), f"image/{kind}")
    assert media == f"image/{kind}"
    assert made.size == (32, 32)
    assert made.format == kind.upper()


def test_a_failed_job_names_its_node_and_its_error(client: Client) -> None:
    argv = client.get("/system_stats")["system"]["argv"]
    data = Path(argv[argv.index("--data-directory") + 1])
    (data / "input" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no picture")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "broken.png"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    job = make(client, graph)
    assert job["state"] == "failed"
    (error,) = job["errors"]
    assert error["node"] == "1"
    assert error["class_type"] == "LoadImage"
    assert error["message"]
    assert {each["node"]: each["state"] for each in job["nodes"]}["1"] == "failed"


def saved_texts(client: Client) -> dict[str, Any]:
    job = make(client, picture_workflow(seed=5, color=0x102030))
    status, body = client.send(job["outputs"][0]["url"])
    assert status == 200
    return dict(Image.open(io.BytesIO(body)).info)


def test_the_picture_of_a_bare_graph_holds_a_workflow_to_open_in_the_editor(client: Client) -> None:
    texts = saved_texts(client)
    assert json.loads(texts["prompt"]) == picture_workflow(seed=5, color=0x102030)
    workflow = json.loads(texts["workflow"])
    assert {each["type"] for each in workflow["nodes"]} == {"EmptyImage", "ImageInvert", "SaveImage"}
    status, body = client.send("/api/workflows/import", json.dumps(workflow).encode())
    assert status == 200
    assert json.loads(body)["prompt"] == json.loads(texts["prompt"])


def test_pictures_carry_parameters_alone_if_that_is_wanted(tmp_path: Path) -> None:
    with served(tmp_path / "data", "--cpu", "--metadata", "parameters") as client:
        job = make(client, text_to_image(text="ein roter Würfel — 赤"))
        status, body = client.send(job["outputs"][0]["url"])
        assert status == 200
        texts = Image.open(io.BytesIO(body)).info
        assert not {"prompt", "workflow"} & texts.keys()
        assert texts["parameters"].startswith("ein roter Würfel — 赤\nSteps: 2, Sampler: Euler")


# -- the client --------------------------------------------------------------------------------------------------


def test_the_client_runs_follows_finds_and_fetches(client: Client) -> None:
    easel = easel_client.Client(client.address)
    job = easel.run(picture_workflow(seed=9), {"1.width": 48})
    assert job.state == "succeeded"
    assert Image.open(io.BytesIO(easel.fetch(job.outputs[0]))).size == (48, 32)
    names = [name for name, _ in easel.events(job.id)]
    assert names == ["state", "ended"]
    assert job.id in [each.id for each in easel.jobs(state="succeeded", limit=100)]
    assert "txt2img" in easel.workflows()
    with pytest.raises(easel_client.EaselError, match="did you mean 'width'") as refused:
        easel.run(picture_workflow(), {"1.widht": 48})
    assert refused.value.status == 400
    with pytest.raises(easel_client.EaselError, match="prompt"):
        easel.call("txt2img", promt="a red cube")
    made = easel.call("txt2img", prompt="a red cube", steps=1, width=64, height=64)
    assert made.state == "succeeded"
    assert Image.open(io.BytesIO(easel.fetch(made.outputs[0]))).size == (64, 64)


def test_the_client_retries_forgets_uploads_and_says_when_nobody_is_there(client: Client, tmp_path: Path) -> None:
    easel = easel_client.Client(client.address)
    job = easel.run(picture_workflow(seed=11))
    again = easel.wait(easel.retry(job.id).id)
    assert again.state == "succeeded" and again.id != job.id
    easel.delete(job.id)
    with pytest.raises(easel_client.EaselError, match="there is no job"):
        easel.wait(job.id)
    picture = tmp_path / 'a "picture".png'
    picture.write_bytes(easel.fetch(again.outputs[0]))
    name = easel.upload(picture)
    assert name.endswith(".png") and name in client.get("/object_info/LoadImage")["LoadImage"]["input"]["required"][
        "image"][0]
    assert easel.inputs("txt2img")["properties"]["seed"]["maximum"] == 2**64 - 1
    with pytest.raises(easel_client.EaselError, match=r"no server answers at http://127\.0.*: python server\.py"):
        easel_client.Client("http://127.0.0.1:1").workflows()


@pytest.mark.full
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_examples_of_the_page_do_what_it_says(client: Client, tmp_path: Path) -> None:
    """Every line of docs/api.md that calls curl, as it stands, but for the address and a smaller model."""
    page = (ROOT / "docs" / "api.md").read_text().replace("http://127.0.0.1:8188", client.address)
    lines = [line.strip() for line in page.splitlines() if line.startswith("    curl ")]
    assert len(lines) >= 4
    small = (ROOT / "workflows" / "txt2img.json").read_text().replace("base.safetensors", "standin.safetensors")
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "txt2img.json").write_text(small)
    for line in lines:
        command = ["bash", "-c", line]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        if " -o " in line:
            assert Image.open(tmp_path / line.split()[-1]).size == (128, 128)
        else:
            assert json.loads(done.stdout)["state"] in ("queued", "running", "succeeded"), (line, done.stdout[:500])


def test_the_command_line_runs_a_file_on_a_server(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "workflow.json"
    file.write_text(json.dumps(picture_workflow(seed=10)))
    command = [sys.executable, str(ROOT / "server.py"), "run", str(file), "--server", client.address,
               "--set", "1.height=40", "-o", str(tmp_path / "made")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "made").iterdir()
    assert Image.open(made).size == (32, 40)
    done = subprocess.run([*command[:-3], "1.hight=40"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "did you mean 'height'" in done.stderr
