"""A real server with a safety policy: a random checker that flags bright pictures stands for the published one."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from PIL import Image

from tests.presets import write_bright_checker
from tests.served import ROOT, Client, picture_workflow, served, text_to_image

BRIGHT, DARK = 0x000010, 0xFFFFEF  # the workflow inverts them


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("easel")


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[Client]:
    checker = write_bright_checker(place / "checker.safetensors")
    flags = ("--cpu", "--safety", "blur", "--safety-model", str(checker), "--preview-method", "latent2rgb")
    with served(place / "data", *flags) as running:
        yield running


def make(client: Client, workflow: Any) -> dict[str, Any]:
    status, body = client.send("/api/jobs?wait=120", {"workflow": workflow})
    assert status == 200, body
    job: dict[str, Any] = json.loads(body)
    assert job["state"] == "succeeded", job
    return job


def test_flagged_pictures_are_blurred_before_they_are_written_and_all_say_so(client: Client, place: Path) -> None:
    for color, flagged in ((BRIGHT, True), (DARK, False)):
        job = make(client, picture_workflow(color=color, prefix=f"policy{flagged}"))
        (output,) = job["outputs"]
        assert output["flagged"] is flagged
        with urllib.request.urlopen(client.address + output["url"], timeout=60) as answer:
            body, label = answer.read(), answer.headers["X-Easel-Safety"]
        assert label == ("flagged" if flagged else None)
        assert (place / "data" / "output" / output["filename"]).read_bytes() == body
        assert "prompt" in Image.open(io.BytesIO(body)).info


def test_files_that_nobody_checked_are_not_served_on_any_route(client: Client, place: Path) -> None:
    """A picture that a node pack wrote by itself, and one that took the place of a checked one."""
    job = make(client, picture_workflow(color=DARK, seed=3, prefix="replaced"))
    (output,) = job["outputs"]
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (250, 250, 250)).save(buffer, "PNG")
    for name in (output["filename"], "own.png"):
        path = place / "data" / "output" / name
        path.unlink(missing_ok=True)
        path.write_bytes(buffer.getvalue())
        for form in ("", "&preview=webp", "&channel=rgb", "&channel=a"):
            status, body = client.send(f"/view?filename={name}{form}")
            assert (status, json.loads(body)["error"]["type"]) == (403, "held_back")
            status, body = client.send(f"/api/view?filename={name}{form}")
            assert status == 403
    for accept in ("image/png", "image/webp"):
        request = urllib.request.Request(f"{client.address}/api/jobs/{job['id']}?wait=1", headers={"Accept": accept})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=60)
        assert caught.value.code == 403


def test_a_job_whose_file_was_replaced_is_not_handed_out_by_the_other_doors(client: Client, place: Path) -> None:
    body = {"prompt": "a red cube", "steps": 1, "width": 64, "height": 64}
    status, made = client.send("/sdapi/v1/txt2img", {**body, "seed": 5})
    assert status == 200, made
    (picture,) = json.loads(made)["images"]
    saved = {path.read_bytes() for path in (place / "data" / "output").glob("*.png")}
    assert base64.b64decode(picture) in saved  # what left is what was judged and written
    status, made = client.send("/v1/images/generations", {**body, "seed": 6, "size": "64x64"})
    assert status == 200, made
    assert base64.b64decode(json.loads(made)["data"][0]["b64_json"]) in {
        path.read_bytes() for path in (place / "data" / "output").glob("*.png")
    }


def test_previews_are_blurred_to_eight_by_eight(client: Client) -> None:
    async def previews() -> list[bytes]:
        found = []
        async with aiohttp.ClientSession() as http:
            address = client.address.replace("http", "ws") + "/ws?clientId=me"
            async with http.ws_connect(address, timeout=aiohttp.ClientWSTimeout(ws_close=25)) as socket:
                body = {"prompt": text_to_image(steps=2, size=128, seed=77), "client_id": "me"}
                async with http.post(client.address + "/prompt", json=body) as answer:
                    assert answer.status == 200
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        found.append(bytes(message.data[8:]))
                    elif message.type is aiohttp.WSMsgType.TEXT and '"execution_success"' in message.data:
                        return found
        raise AssertionError("the socket closed before the job ended")

    found = asyncio.run(asyncio.wait_for(previews(), 120))
    assert found
    for each in found:
        picture = Image.open(io.BytesIO(each)).convert("RGB")
        small = picture.resize((8, 8), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BILINEAR)
        distance = np.abs(np.asarray(picture, np.float32) - np.asarray(small, np.float32)).mean()
        assert distance < 8  # blurring it again changes it little (the first step is noise all over)


def test_a_policy_without_a_checker_is_refused_at_the_start(tmp_path: Path) -> None:
    for flags, says in (
        (("--safety", "blur"), "--safety blur needs --safety-model FILE"),
        (("--safety", "label", "--safety-model", str(tmp_path / "no.bin")), "there is no such file"),
    ):
        done = subprocess.run(
            [sys.executable, str(ROOT / "server.py"), "--port", "0", "--data-directory", str(tmp_path / "data"),
             *flags],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert says in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_thumbnail_of_the_gallery_is_held_back_when_its_file_is(client: Client, place: Path) -> None:
    job = make(client, picture_workflow(color=DARK, prefix="shelf"))
    filename = job["outputs"][0]["filename"]
    item = next(each for each in client.get("/api/gallery")["items"] if each["filename"] == filename)
    status, body = client.send(item["thumbnail"])
    assert status == 200 and body.startswith(b"RIFF")
    (place / "data" / "output" / filename).write_bytes(b"\x89PNG\r\n\x1a\n something that was never checked")
    status, body = client.send(item["thumbnail"])
    assert status == 403 and b"held_back" in body
