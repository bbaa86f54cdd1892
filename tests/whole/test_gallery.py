"""The gallery with the real engine: found by what pictures show, deleted and brought back, to each their own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from PIL import Image

import easel_client
from tests.served import ROOT, Client, picture_workflow, served, start_server, stop_server, text_to_image

DAY = 86_400.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("easel") / "data"


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[Client]:
    with served(data, "--cpu") as running:
        for seed, text in ((11, "a red cube on a table"), (12, "a BLUE sphere")):
            running.wait(running.post(text_to_image(steps=1, seed=seed, text=text)))
        yield running


def find(client: Client, **query: Any) -> list[dict[str, Any]]:
    page = client.get(f"/api/gallery?{urlencode(query)}")
    assert page["total"] == len(page["items"])
    return list(page["items"])


def test_pictures_are_found_by_prompt_model_seed_and_date(client: Client) -> None:
    blue, red = find(client)
    assert (red["seeds"], blue["seeds"]) == ([11], [12]), "newest first"
    assert red["model"] == "standin.safetensors" and "red cube" in red["prompt"]
    assert [each["id"] for each in find(client, prompt="TABLE cube")] == [red["id"]]
    assert [each["id"] for each in find(client, prompt="blue")] == [blue["id"]]
    assert find(client, prompt="blue cube") == []
    assert [each["id"] for each in find(client, seed=11)] == [red["id"]] and find(client, seed=1) == []
    assert len(find(client, model="standin")) == 2 and find(client, model="other") == []
    assert len(find(client, after=red["created"] - 1)) == 2 and find(client, after=blue["created"] + DAY) == []
    assert find(client, before="2020-01-01") == [] and len(find(client, after="2020-01-01")) == 2
    assert client.get("/api/gallery?limit=1")["total"] == 2
    assert client.get(f"/api/gallery/{red['id']}") == red
    assert client.send(red["url"])[1].startswith(b"\x89PNG")


@pytest.mark.parametrize("query", ["seed=x", "seed=-1", "after=yesterday", "limit=201", "limit=-1", "trash=maybe"])
def test_a_question_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    assert client.send(f"/api/gallery?{query}")[0] == 400


@pytest.mark.parametrize("name", ["0", "99", "x", "-1", "1e3", "9" * 30, "%2e%2e", "..%2f..%2fetc"])
def test_cve_2024_11042_files_are_named_by_number_never_by_path(client: Client, name: str) -> None:
    for method, path in (("GET", ""), ("GET", "/thumbnail"), ("DELETE", ""), ("POST", "/restore")):
        assert client.send(f"/api/gallery/{name}{path}", method=method)[0] in (404, 405)


def test_a_thumbnail_is_made_once_and_is_small(client: Client, data: Path) -> None:
    large = client.wait(client.post(picture_workflow(seed=1, size=700, prefix="large")))
    assert large["status"]["completed"]
    item = find(client)[0]
    status, body = client.send(item["thumbnail"])
    assert status == 200 and Image.open(io.BytesIO(body)).size == (320, 320)
    (kept,) = (data / "cache" / "thumbnails").glob(f"{item['id']}-*.webp")
    kept.write_bytes(b"it is read, not made again")
    assert client.send(item["thumbnail"])[1] == b"it is read, not made again"


def test_what_is_deleted_can_be_brought_back_and_goes_for_good_when_deleted_again(client: Client, data: Path) -> None:
    workflow = picture_workflow(seed=2, prefix="bin")
    client.wait(client.post(workflow))
    item = find(client)[0]
    path = data / "output" / item["filename"]
    content = path.read_bytes()
    assert client.send(f"/api/gallery/{item['id']}", method="DELETE")[0] == 204
    assert not path.exists() and item["id"] not in [each["id"] for each in find(client)]
    (trashed,) = find(client, trash="true")
    assert trashed["id"] == item["id"] and trashed["trashed"]
    assert client.send(f"/api/gallery/{item['id']}/thumbnail")[0] == 200
    client.wait(client.post(workflow))
    again = find(client)[0]
    assert again["filename"] == item["filename"] and again["id"] != item["id"], "made anew, under the free name"
    status, answer = client.send(f"/api/gallery/{item['id']}/restore", method="POST")
    assert status == 409 and item["filename"] in json.loads(answer)["error"]["message"]
    for _ in range(2):
        assert client.send(f"/api/gallery/{again['id']}", method="DELETE")[0] == 204
    assert client.send(f"/api/gallery/{again['id']}")[0] == 404
    status, answer = client.send(f"/api/gallery/{item['id']}/restore", method="POST")
    assert status == 200 and "trashed" not in json.loads(answer)
    assert path.read_bytes() == content
    assert client.send(f"/api/gallery/{item['id']}/restore", method="POST")[0] == 409
    assert list((data / "trash").iterdir()) == []


def test_a_picture_that_was_taken_away_by_hand_is_said_to_be_missing(client: Client, data: Path) -> None:
    client.wait(client.post(picture_workflow(seed=3, prefix="hand")))
    item = find(client)[0]
    (data / "output" / item["filename"]).unlink()
    assert find(client)[0]["missing"] is True
    assert client.send(item["thumbnail"])[0] == 404
    assert client.send(f"/api/gallery/{item['id']}", method="DELETE")[0] == 404


def test_each_token_has_a_gallery_of_its_own_and_who_reuses_a_picture_has_it_too(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def token(name: str, role: str) -> str:
        command = [sys.executable, str(ROOT / "server.py"), "token", "--data-directory", str(data), "add", name,
                   "--role", role]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    secrets = {name: token(name, role) for name, role in (("ada", "submit"), ("eve", "submit"), ("boss", "admin"))}
    server = start_server(data, "--cpu", wait=False)
    try:
        ada, eve, boss = (easel_client.Client(server.address, secret) for secret in secrets.values())

        def ids(who: easel_client.Client) -> list[int]:
            return [each["id"] for each in json.loads(who._send("GET", "/api/gallery"))["items"]]

        job = ada.run(picture_workflow(seed=7))
        (number,) = ids(ada)
        assert (ids(eve), ids(boss)) == ([], [number])
        for path in (job.outputs[0]["url"], f"/api/gallery/{number}", f"/api/gallery/{number}/thumbnail"):
            with pytest.raises(easel_client.EaselError) as refused:
                eve._send("GET", path)
            assert refused.value.status == 404
            assert ada._send("GET", path)
        again = eve.run(picture_workflow(seed=7))
        assert {each["state"] for each in again.data["nodes"]} == {"reused"} and ids(eve) == [number]
        assert eve.fetch(again.outputs[0]) == ada.fetch(job.outputs[0])
        with pytest.raises(easel_client.EaselError, match="not only ada's"):
            ada._send("DELETE", f"/api/gallery/{number}")
        boss._send("DELETE", f"/api/gallery/{number}")
        assert ids(ada) == []
        eve.run(picture_workflow(seed=8, prefix="test"))
        taken = [each["filename"] for each in json.loads(eve._send("GET", "/api/gallery"))["items"]]
        assert taken == [job.outputs[0]["filename"]], "eve's new picture has the name of the old one"
        with pytest.raises(easel_client.EaselError):
            ada.fetch(job.outputs[0])
    finally:
        stop_server(server)
