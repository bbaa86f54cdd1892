"""A real server and worker, as users meet them."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.served import (
    ROOT,
    STANDIN,
    Client,
    number_workflow,
    picture_workflow,
    served,
    start_server,
    stop_server,
    text_to_image,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("easel")
    models = root / "models"
    (models / "checkpoints").mkdir(parents=True)
    (models / "starter").symlink_to(ROOT / "models" / "starter")
    return {"data": root / "data", "models": models}


@pytest.fixture(scope="module")
def client(folders: dict[str, Path]) -> Iterator[Client]:
    with served(folders["data"], "--models-directory", str(folders["models"]), "--cpu") as running:
        yield running


def picture(client: Client, entry: dict[str, Any], node: str) -> Image.Image:
    (image,) = entry["outputs"][node]["images"]
    status, body = client.send(
        f"/view?filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}"
    )
    assert status == 200
    return Image.open(io.BytesIO(body))


def test_a_posted_graph_becomes_a_png_that_holds_its_prompt_and_workflow(client: Client) -> None:
    graph = text_to_image()
    editor = {"nodes": [], "links": [], "version": 0.4, "extra": {"note": "mine"}}
    job = client.post(graph, client_id="me", extra_data={"extra_pnginfo": {"workflow": editor}})
    entry = client.wait(job)
    assert entry["status"]["status_str"] == "success", entry["status"]
    made = picture(client, entry, "7")
    assert made.format == "PNG"
    assert json.loads(made.info["prompt"])["5"]["inputs"]["seed"] == 1
    assert json.loads(made.info["workflow"]) == editor


def test_the_saved_default_workflow_is_accepted_as_the_editor_wrote_it(client: Client) -> None:
    """The file as it is; it is interrupted, because 50 steps at 512 pixels take their time here."""
    saved = json.loads((ROOT / "workflows" / "txt2img.json").read_text())
    job = client.post(saved)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not client.get("/queue")["queue_running"]:
        time.sleep(0.05)
    while not client.get(f"/history/{job}") and time.monotonic() < deadline:
        client.send("/interrupt", {})
        time.sleep(0.1)
    assert client.get(f"/history/{job}")[job]["status"]["status_str"] == "error"
    messages = [name for name, _ in client.get(f"/history/{job}")[job]["status"]["messages"]]
    assert "execution_interrupted" in messages


def test_an_unchanged_graph_runs_no_node_and_answers_at_once(client: Client) -> None:
    graph = text_to_image(seed=11)
    first = client.wait(client.post(graph))
    times = []
    for _ in range(5):
        before = time.monotonic()
        again = client.wait(client.post(graph))
        times.append(time.monotonic() - before)
        assert again["outputs"] == first["outputs"]
        cached = next(data for name, data in again["status"]["messages"] if name == "execution_cached")
        assert set(cached["nodes"]) == set(graph)
    print(f"re-posted and answered in {sorted(times)[2] * 1000:.1f} ms")
    assert min(times) < 0.5


def test_no_torch_in_the_servers_process(client: Client) -> None:
    maps = Path(f"/proc/{client.process.pid}/maps").read_text()
    assert "libtorch" not in maps
    assert "_sqlite3" in maps, "the check sees loaded libraries"


def test_jobs_and_history_survive_a_restart_and_what_was_only_shown_is_made_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shown = {**picture_workflow(), "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}}
    with served(data) as client:
        job = client.post(picture_workflow())
        before = client.wait(job)
        client.wait(client.post(shown))
    with served(data) as client:
        assert client.get(f"/history/{job}")[job]["outputs"] == before["outputs"]
        again = client.wait(client.post(picture_workflow()))
        cached = next(data for name, data in again["status"]["messages"] if name == "execution_cached")
        assert set(cached["nodes"]) == {"1", "2", "3"}, "traces survive too"
        assert not any((data / "temp").iterdir())
        entry = client.wait(client.post(shown))
        cached = next(data for name, data in entry["status"]["messages"] if name == "execution_cached")
        assert "3" not in cached["nodes"], "temporary files outlive no server"
        (picture,) = entry["outputs"]["3"]["images"]
        assert picture["type"] == "temp" and (data / "temp" / picture["filename"]).is_file()


def test_two_servers_do_not_share_a_data_directory(client: Client, folders: dict[str, Path]) -> None:
    with pytest.raises(RuntimeError, match="another server"):
        start_server(folders["data"])


# -- bad input: a clear error, and the server goes on -------------------------------------------------------------


def hostile(kind: str) -> bytes:
    if kind == "length of 2^63":
        return struct.pack("<Q", 2**63) + b"{}"
    if kind == "truncated":
        return STANDIN.read_bytes()[:100_000]
    if kind == "deep":
        body = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
        return struct.pack("<Q", len(body)) + body
    if kind == "pickle":
        return pickle.dumps(_Bomb())
    return b""


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/easel-was-here"),))


@pytest.mark.parametrize("kind", ["length of 2^63", "truncated", "deep", "pickle", "empty"])
@pytest.mark.parametrize("extension", ["safetensors", "ckpt"])
def test_a_hostile_checkpoint_is_that_nodes_error(
    client: Client, folders: dict[str, Path], kind: str, extension: str
) -> None:
    name = f"{kind.split()[0]}.{extension}"
    (folders["models"] / "checkpoints" / name).write_bytes(hostile(kind))
    graph = text_to_image()
    graph["1"]["inputs"]["ckpt_name"] = name
    entry = client.wait(client.post(graph))
    error = next(data for event, data in entry["status"]["messages"] if event == "execution_error")
    assert error["node_id"] == "1"
    assert error["node_type"] == "CheckpointLoaderSimple"
    assert name in error["exception_message"]
    assert not Path("/tmp/easel-was-here").exists()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b"[]", ""),
        (b"{}", "prompt"),
    ],
)
def test_a_body_that_is_no_job_is_a_400(client: Client, body: bytes, says: str) -> None:
    status, answer = client.send("/prompt", body)
    assert status == 400
    assert says in json.loads(answer)["error"]["message"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"seed": 2**64}, "value_bigger_than_max"),
        ({"seed": -1}, "value_smaller_than_min"),
        ({"steps": "many"}, "invalid_input_type"),
        ({"scheduler": "karas"}, "value_not_in_list"),
        ({"model": ["2", 0]}, "return_type_mismatch"),
        ({"model": ["99", 0]}, "bad_linked_input"),
    ],
)
def test_a_wrong_input_is_a_400_that_names_it(client: Client, change: dict[str, Any], code: str) -> None:
    graph = text_to_image(**change)
    status, answer = client.send("/prompt", {"prompt": graph})
    assert status == 400
    (error,) = json.loads(answer)["node_errors"]["5"]["errors"]
    assert error["type"] == code
    assert error["extra_info"]["input_name"] == next(iter(change))


def test_the_server_still_works_after_all_that(client: Client) -> None:
    assert client.wait(client.post(number_workflow(7)))["outputs"] == {"3": {"text": ["7"]}}


def test_a_failing_node_fails_its_job_only(client: Client, folders: dict[str, Path]) -> None:
    (folders["data"] / "input" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no picture")
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "broken.png"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    bad, good = client.post(graph), client.post(number_workflow(8))
    assert client.wait(bad)["status"]["status_str"] == "error"
    assert client.wait(good)["status"]["status_str"] == "success"


def test_a_stopped_server_puts_its_job_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    client = start_server(data)
    try:
        client.wait(client.post(number_workflow(1)))
        long_job = client.post(text_to_image(steps=2000, size=256))
        deadline = time.monotonic() + 30
        while not client.get("/queue")["queue_running"] and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        stop_server(client)
    with served(data) as client:
        queue = client.get("/queue")
        assert [item[1] for item in queue["queue_running"] + queue["queue_pending"]] == [long_job]


def test_every_folder_flag_and_previews(tmp_path: Path) -> None:
    """All folders elsewhere, a model folder from ComfyUI's yaml, no metadata, previews on."""
    folders = {name: tmp_path / f"my-{name}" for name in ("input", "output", "temp", "user")}
    elsewhere = tmp_path / "comfyui" / "models" / "checkpoints"
    elsewhere.mkdir(parents=True)
    (elsewhere / "mine.safetensors").symlink_to(STANDIN)
    config = tmp_path / "comfyui" / "extra_model_paths.yaml"
    config.write_text("comfyui:\n  base_path: .\n  checkpoints: models/checkpoints/\n")
    flags = [part for name, path in folders.items() for part in (f"--{name}-directory", str(path))]
    flags += ["--extra-model-paths-config", str(config), "--disable-metadata", "--preview-method", "auto", "--cpu"]
    flags += ["--precision", "fp32", "--models-directory", str(tmp_path / "none")]
    with served(tmp_path / "data", *flags) as client:
        assert client.get("/models/checkpoints") == ["mine.safetensors"]
        graph = text_to_image(steps=3)
        graph["1"]["inputs"]["ckpt_name"] = "mine.safetensors"
        frames = asyncio.run(_frames_of(client, graph))
        (file,) = folders["output"].iterdir()
        with Image.open(file) as made:
            assert not {"prompt", "workflow"} & set(made.info)
    previews = [frame for frame in frames if isinstance(frame, bytes)]
    assert previews, "a preview was sent"
    assert previews[0][:8] == struct.pack(">II", 1, 1), "PREVIEW_IMAGE, JPEG"
    with Image.open(io.BytesIO(previews[0][8:])) as preview:
        assert preview.format == "JPEG"
    progress = [frame["data"]["value"] for frame in frames if isinstance(frame, dict) and frame["type"] == "progress"]
    assert progress
    assert progress == sorted(progress)


async def _frames_of(client: Client, graph: Any) -> list[Any]:
    """What a WebSocket client hears of one job."""
    frames: list[Any] = []
    async with (
        aiohttp.ClientSession(client.address) as session,
        session.ws_connect("/ws?clientId=watcher", timeout=aiohttp.ClientWSTimeout(ws_close=5)) as socket,
    ):
        job = await asyncio.to_thread(client.post, graph, client_id="watcher")
        async for message in socket:
            frame = message.data if message.type is aiohttp.WSMsgType.BINARY else json.loads(message.data)
            frames.append(frame)
            if isinstance(frame, dict) and frame["type"] == "executing" and frame["data"]["node"] is None:
                assert frame["data"]["prompt_id"] == job
                return frames
    raise AssertionError("the socket closed early")
