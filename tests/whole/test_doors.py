"""A1111's and OpenAI's clients make pictures here."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from tests.served import Client, served
from web.parameters import read_parameters


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with served(tmp_path_factory.mktemp("easel") / "data", "--cpu") as running:
        yield running


def ask(client: Client, path: str, body: Any) -> tuple[int, Any]:
    status, answer = client.send(path, body)
    return status, json.loads(answer)


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


SMALL = {"prompt": "a red cube", "steps": 1, "width": 64, "height": 64}


def test_a1111_makes_pictures_of_a_text_and_of_a_picture(client: Client) -> None:
    body = {**SMALL, "seed": 5, "sampler_name": "Euler a", "scheduler": "Karras", "batch_size": 2, "cfg_scale": 6.5}
    status, made = ask(client, "/sdapi/v1/txt2img", body)
    assert status == 200, made
    assert [opened(each).size for each in made["images"]] == [(64, 64)] * 2
    info = json.loads(made["info"])
    assert (info["seed"], info["all_seeds"]) == (5, [5, 5])
    assert [read_parameters(each).fields["Sampler"] for each in info["infotexts"]] == ["Euler a"] * 2
    graph = json.loads(opened(made["images"][0]).info["prompt"])
    sampler = next(each["inputs"] for each in graph.values() if each["class_type"] == "KSampler")
    assert (sampler["sampler_name"], sampler["scheduler"], sampler["cfg"]) == ("euler_ancestral", "karras", 6.5)
    body = {**SMALL, "init_images": [made["images"][0]], "denoising_strength": 0.5}
    status, again = ask(client, "/sdapi/v1/img2img", body)
    assert status == 200, again
    assert opened(again["images"][0]).size == (64, 64)


def test_a1111_lists_what_there_is_and_chooses_a_model(client: Client) -> None:
    assert {"base", "standin"} <= {each["model_name"] for each in client.get("/sdapi/v1/sd-models")}
    assert "Euler a" in [each["name"] for each in client.get("/sdapi/v1/samplers")]
    assert client.get("/sdapi/v1/schedulers")
    assert ask(client, "/sdapi/v1/options", {"sd_model_checkpoint": "standin"})[0] == 200
    assert client.get("/sdapi/v1/options")["sd_model_checkpoint"] == "standin.safetensors"
    assert ask(client, "/sdapi/v1/options", {"sd_model_checkpoint": "standing"})[0] == 422
    assert client.get("/sdapi/v1/progress")["progress"] == 0.0
    assert ask(client, "/sdapi/v1/interrupt", {})[0] == 200


@pytest.mark.parametrize(("path", "body", "says"), [
    ("sdapi/v1/txt2img", {**SMALL, "enable_hr": True}, "enable_hr"),
    ("sdapi/v1/txt2img", {**SMALL, "sampler_name": "Eulr"}, "euler"),
    ("sdapi/v1/txt2img", {**SMALL, "steps": "many"}, "steps"),
    ("sdapi/v1/txt2img", {**SMALL, "n_iter": 3}, "batch_size"),
    ("sdapi/v1/img2img", SMALL, "init_images"),
    ("sdapi/v1/img2img", {**SMALL, "init_images": ["%"]}, "base64"),
    ("sdapi/v1/img2img", {**SMALL, "init_images": [base64.b64encode(b"<svg/>").decode()]}, "picture"),
    ("v1/images/generations", {}, "prompt"),
    ("v1/images/generations", {"prompt": "x", "n": 99}, "n is 1"),
    ("v1/images/generations", {"prompt": "x", "model": "standing"}, "standin"),
    ("v1/images/generations", {"prompt": "x", "size": "big"}, "512x512"),
])
def test_what_a_door_cannot_do_is_refused_and_named(client: Client, path: str, body: Any, says: str) -> None:
    status, answer = ask(client, f"/{path}", body)
    assert 400 <= status < 500
    assert says in answer["error"]["message"] + answer["error"]["details"]


def test_openai_makes_pictures_of_a_text_and_of_a_picture(client: Client) -> None:
    own = json.loads(client.send("/api/workflow_templates/easel/txt2img.json")[1])
    edit = json.loads(client.send("/api/workflow_templates/easel/img2img.json")[1])
    for name, file in (("txt2img", own), ("img2img", edit)):
        for node in file["nodes"]:
            if node["type"] == "KSampler":
                node["widgets_values"][2] = 1  # step
        assert client.send(f"/userdata/workflows%2F{name}.json", file)[0] == 200
    status, made = ask(client, "/v1/images/generations", {"prompt": "a red cube", "n": 2, "size": "64x64"})
    assert status == 200, made
    assert [opened(each["b64_json"]).size for each in made["data"]] == [(64, 64)] * 2
    body = {"prompt": "a red cube", "size": "64x64", "response_format": "url", "model": "dall-e-3"}
    status, linked = ask(client, "/v1/images/generations", body)
    assert status == 200
    assert client.send(linked["data"][0]["url"].removeprefix(client.address))[1].startswith(b"\x89PNG")
    for model, used in (("dall-e-2", "base.safetensors"), ("standin", "standin.safetensors")):
        status, named = ask(client, "/v1/images/generations", {"prompt": "x", "size": "64x64", "model": model})
        graph = json.loads(opened(named["data"][0]["b64_json"]).info["prompt"])
        assert [each["inputs"]["ckpt_name"] for each in graph.values() if "ckpt_name" in each["inputs"]] == [used]
    form = multipart({"prompt": "a blue cube", "size": "64x64"}, base64.b64decode(made["data"][0]["b64_json"]))
    status, edited = form_post(client, "/v1/images/edits", form)
    assert status == 200, edited
    assert opened(edited["data"][0]["b64_json"]).size == (64, 64)


def multipart(fields: dict[str, str], picture: bytes) -> bytes:
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return b"".join(parts) + head + picture + b"\r\n--b--\r\n"


def form_post(client: Client, path: str, body: bytes) -> tuple[int, Any]:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        client.address + path, body, {"Content-Type": "multipart/form-data; boundary=b"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
