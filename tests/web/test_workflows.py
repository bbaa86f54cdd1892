"""Named inputs, saved workflows as endpoints, A1111's texts, and what goes into pictures."""

from __future__ import annotations

import io
import json
import struct
import time
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pictures

from engine.graph.editor_format import read_editor, write_editor
from engine.graph.registry import scan
from engine.graph.workflow import read_api, write_api
from engine.jobs.job import Job
from tests.served import text_to_image
from tests.web.support import CHAIN, SPECS, FakeDispatcher, Running, png, ready, running
from web.named import named_inputs
from web.parameters import SAMPLERS, SCHEDULES, graph_of, read_parameters, sampler_of, write_parameters
from web.recipes import Recipes

ROOT = Path(__file__).resolve().parents[2]
REAL = scan().specs

# -- named inputs ------------------------------------------------------------------------------------------------


def test_the_names_of_a_text_to_image_graph_are_found_along_its_links() -> None:
    assert named_inputs(read_api(text_to_image())) == {
        "seed": ("5", "seed"), "steps": ("5", "steps"), "cfg": ("5", "cfg"), "sampler_name": ("5", "sampler_name"),
        "scheduler": ("5", "scheduler"), "denoise": ("5", "denoise"), "prompt": ("2", "text"),
        "negative": ("3", "text"), "checkpoint": ("1", "ckpt_name"), "width": ("4", "width"),
        "height": ("4", "height"), "batch_size": ("4", "batch_size")}


@pytest.mark.parametrize("name", ["txt2img", "img2img", "hires"])
def test_every_shipped_workflow_has_a_prompt_and_a_seed(name: str) -> None:
    saved = json.loads((ROOT / "workflows" / f"{name}.json").read_text())
    found = named_inputs(read_editor(saved, REAL).workflow, saved)
    assert {"prompt", "negative", "seed", "steps"} <= found.keys()
    assert ("image" in found) == (name == "img2img")


def test_a_value_behind_a_primitive_is_set_there() -> None:
    graph = text_to_image(seed=["9", 0])
    graph["9"] = {"class_type": "PrimitiveInt", "inputs": {"value": 5}}
    assert named_inputs(read_api(graph))["seed"] == ("9", "value")


def test_a_circle_and_a_graph_without_a_sampler_end() -> None:
    graph = text_to_image()
    graph["4"]["inputs"]["width"] = ["4", 0]
    assert "height" in named_inputs(read_api(graph)) and "width" not in named_inputs(read_api(graph))
    assert named_inputs(read_api(CHAIN)) == {}


# -- A1111's text ------------------------------------------------------------------------------------------------

TEXT = """a (red:1.2) cube, on grass
second line
Negative prompt: blur,
ugly
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 12345, Size: 512x768, \
Model: standin, Clip skip: 2, Lora hashes: "a: 1, b: 2", Version: v1.10"""


def test_a_text_of_parameters_becomes_a_graph_that_makes_the_picture() -> None:
    found = read_parameters(TEXT)
    assert found.prompt == "a (red:1.2) cube, on grass\nsecond line" and found.negative == "blur,\nugly"
    assert found.fields["Lora hashes"] == "a: 1, b: 2" and found.fields["Version"] == "v1.10"
    graph = graph_of(found, lambda model: f"{model}.safetensors")
    sampler = graph["5"]["inputs"]
    assert (sampler["steps"], sampler["cfg"], sampler["seed"]) == (28, 6.5, 12345)
    assert (sampler["sampler_name"], sampler["scheduler"]) == ("dpmpp_2m", "karras")
    assert graph["4"]["inputs"] == {"width": 512, "height": 768, "batch_size": 1}
    assert graph["1"]["inputs"]["ckpt_name"] == "standin.safetensors"
    assert graph["8"]["inputs"]["stop_at_clip_layer"] == -2 and graph["2"]["inputs"]["clip"] == ["8", 0]


@pytest.mark.parametrize("label", SAMPLERS)
@pytest.mark.parametrize("schedule", [*SCHEDULES, None])
def test_every_sampler_and_schedule_of_theirs_is_one_of_ours(label: str, schedule: str | None) -> None:
    choices = {each.name: each.choices.values for each in REAL["KSampler"].inputs if hasattr(each.choices, "values")}
    now = sampler_of({"Sampler": label, **({"Schedule type": schedule} if schedule else {})})
    assert now[0] in choices["sampler_name"] and now[1] in choices["scheduler"]
    if schedule:
        assert sampler_of({"Sampler": f"{label} {schedule}"}) == now, "the older way to write it"


@given(text=st.text(max_size=60), negative=st.text(max_size=30), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
def test_what_is_written_is_read_back(text: str, negative: str, seed: int) -> None:
    text, negative = (each.replace("\r", " ").replace("Negative prompt:", "").strip() for each in (text, negative))
    graph = text_to_image(text=text, seed=seed, steps=9)
    graph["3"]["inputs"]["text"] = negative
    written = write_parameters(read_api(graph))
    assert written is not None
    found = read_parameters(written)
    assert (found.prompt, found.negative, found.fields["Seed"]) == (text, negative, str(seed))
    assert sampler_of(found.fields) == ("euler", "normal") and found.fields["Size"] == "64x64"


@pytest.mark.parametrize("text", ["", "a red cube", "a\nSteps: x", "a\nSteps: 1, Size: 9", "a\nSteps: 1, Seed: 1e9",
                                  "x" * 2_000_000, "Steps: " + "9" * 50])
def test_a_text_that_is_none_is_refused_with_what_was_wanted(text: str) -> None:
    with pytest.raises(ValueError, match=r"has to|written like|at most"):
        graph_of(read_parameters(text), str)


@pytest.mark.parametrize("line", [
    "x" + " " * 10_000 + "x", "a:" + " " * 10_000, 'a: "' + '\\"' * 5_000, 'a: "' * 5_000, "," * 10_000,
    "a " * 5_000 + ":"])
def test_a_hostile_line_of_parameters_is_read_at_once(line: str) -> None:
    """The first took minutes: an expression that went back over the blanks, in a stranger's picture."""
    began = time.monotonic()
    with pytest.raises(ValueError, match="no text of parameters"):
        read_parameters(f"a cube\n{line}")
    assert time.monotonic() - began < 5


def test_commas_inside_of_quotes_do_not_end_a_value() -> None:
    found = read_parameters('a cube\nSteps: 2,no name, Odd: "a, \\"b: c" , Open: "d, Size: 8x8,')
    assert found.fields == {"Steps": "2", "Odd": 'a, \\"b: c', "Open": "d", "Size": "8x8"}


# -- saved workflows ---------------------------------------------------------------------------------------------


def real_site(tmp_path: Path) -> Any:
    return running(tmp_path, FakeDispatcher(specs=ready(REAL)))


async def test_a_saved_workflow_is_described_and_run_by_the_names_of_its_inputs(tmp_path: Path) -> None:
    async with real_site(tmp_path) as site:
        (tmp_path / "models" / "checkpoints" / "base.safetensors").write_bytes(b"")
        assert {"txt2img", "img2img", "hires"} <= set((await site.get("/api/workflows"))[1])
        status, about = await site.get("/api/workflows/txt2img")
        assert status == 200 and about["run"] == "/api/workflows/txt2img/run"
        schema = about["inputs"]
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["properties"]["prompt"]["type"] == "string"
        assert schema["properties"]["steps"] | {"description": ""} == {
            "type": "integer", "minimum": 1, "maximum": 10000, "default": 25, "description": ""}
        assert "karras" in schema["properties"]["scheduler"]["enum"]
        body = {"prompt": "a blue sphere", "seed": 7, "5.steps": 3}
        status, job = await site.post("/api/workflows/txt2img/run", body)
        assert status == 201 and job["state"] == "queued"
        new = site.dispatcher.submitted[0]
        graph = json.loads(new.prompt)
        assert graph["2"]["inputs"]["text"] == "a blue sphere"
        assert (graph["5"]["inputs"]["seed"], graph["5"]["inputs"]["steps"]) == (7, 3)
        assert (new.client_id, new.webhook) == (None, None)
        assert (await site.post("/api/workflows/txt2img/run?client_id=me", {}))[1]["client_id"] == "me"
        status, answer = await site.post("/api/workflows/txt2img/run?webhook=http://127.0.0.1/x", {})
        assert (status, answer["error"]["type"]) == (422, "webhook_refused")
        assert (await site.post("/api/workflows/txt2img/run?client_id=%0a", {}))[0] == 400
        assert len(site.dispatcher.submitted) == 2
        drawn = json.loads(new.extra)["extra_pnginfo"]["workflow"]
        assert write_api(read_editor(drawn, REAL).workflow) == graph, "the picture tells what was run"
        shipped = json.loads((ROOT / "workflows" / "txt2img.json").read_text())
        assert [each["pos"] for each in drawn["nodes"]] == [each["pos"] for each in shipped["nodes"]]


async def test_wrong_names_and_values_are_told_with_the_nearest(tmp_path: Path) -> None:
    async with real_site(tmp_path) as site:
        (tmp_path / "models" / "checkpoints" / "base.safetensors").write_bytes(b"")
        status, answer = await site.post("/api/workflows/txt2img/run", {"promt": "x"})
        assert status == 400 and answer["error"]["extra_info"]["problems"][0]["nearest"] == "prompt"
        status, answer = await site.post("/api/workflows/txt2img/run", {"scheduler": "karas"})
        (problem,) = answer["error"]["extra_info"]["problems"]
        assert status == 400 and (problem["input"], problem["nearest"]) == ("scheduler", "karras")
        for name in ("txt2imgg", "..%2Fserver", "%2Fetc%2Fpasswd", "txt2img.json"):
            assert (await site.get(f"/api/workflows/{name}"))[0] == 404
            assert (await site.post(f"/api/workflows/{name}/run", {}))[0] == 404
        assert site.dispatcher.submitted == []


async def test_a_users_own_workflow_may_name_its_inputs(site: Running) -> None:
    file = write_editor(read_api(CHAIN), SPECS)
    file["extra"] = {"easel": {"inputs": {"number": "1.value", "nothing": "9.x"}}}
    await site.post("/userdata/workflows%2Fmine%2Fsum.json", file)
    assert "mine/sum" in (await site.get("/api/workflows"))[1]
    _, about = await site.get("/api/workflows/mine%2Fsum")
    assert list(about["inputs"]["properties"]) == ["number"]
    assert (await site.post(about["run"], {"number": 8}))[0] == 201
    assert json.loads(site.dispatcher.submitted[0].prompt)["1"]["inputs"]["value"] == 8
    await site.post("/userdata/workflows%2Fbroken.json", b"{")
    assert (await site.get("/api/workflows/broken"))[0] == 400


async def test_what_others_made_is_imported_from_pictures_files_and_texts(tmp_path: Path) -> None:
    async with real_site(tmp_path) as site:
        (tmp_path / "models" / "checkpoints" / "base.safetensors").write_bytes(b"")
        graph = text_to_image()
        editor = write_editor(read_api(graph), REAL)
        for body, source in (
            (png(texts={"prompt": json.dumps(graph), "workflow": json.dumps(editor)}), "workflow"),
            (png(texts={"prompt": json.dumps(graph)}), "prompt"), (json.dumps(graph), "prompt"),
            (json.dumps(editor), "workflow"),
        ):
            status, found = await site.post("/api/workflows/import", body)
            assert (status, found["source"]) == (200, source)
            assert write_api(read_editor(found["workflow"], REAL).workflow) == found["prompt"] == graph
        jpeg = io.BytesIO()
        comment = b"UNICODE\0" + TEXT.encode("utf-16-be")
        exif = b"II" + struct.pack("<HIHHHIIIHHHIII", 42, 8, 1, 0x8769, 4, 1, 26, 0, 1, 0x9286, 7, len(comment), 44, 0)
        Pictures.new("RGB", (8, 8)).save(jpeg, "JPEG", exif=b"Exif\0\0" + exif + comment)
        for body in (jpeg.getvalue(), TEXT, png(texts={"parameters": TEXT}), json.dumps({"parameters": "a\nSteps: 2"})):
            status, found = await site.post("/api/workflows/import", body)
            assert (status, found["source"]) == (200, "parameters")
        assert (await site.post("/api/workflows/import", png(texts={"parameters": TEXT})))[1]["prompt"]["1"][
            "inputs"]["ckpt_name"] == "standin.safetensors"
        for body in (png(), b"RIFF", b"a red cube", b"", b"\xff\xfe"):
            assert (await site.post("/api/workflows/import", body))[0] == 422


# -- what goes into pictures -------------------------------------------------------------------------------------


def job_of(graph: Any, extra: Any = None) -> Job:
    return Job(id="j", number=0, sequence=0, created=0, prompt=msgspec.json.encode(graph),
               extra=msgspec.json.encode(extra or {}))


def test_parameters_alone_and_nothing_are_choices() -> None:
    prompt, extra = Recipes("parameters")(job_of(text_to_image()))
    text = json.loads(extra)["extra_pnginfo"]["parameters"]
    assert prompt == b"" and text.startswith("a red cube\nSteps: 2, Sampler: Euler, Schedule type: Normal")
    assert json.loads(Recipes("parameters")(job_of(CHAIN))[1]) == {"extra_pnginfo": {}}
    assert Recipes("none")(job_of(CHAIN)) == (msgspec.json.encode(CHAIN), b"{}")
