"""The description of the API agrees with what is served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec

from tests.web.support import CHAIN, Running, png, upload
from web.app import ROUTES
from web.contract import OPERATIONS


def references(data: Any) -> set[str]:
    if isinstance(data, dict):
        own = {data["$ref"]} if isinstance(data.get("$ref"), str) else set()
        return own.union(*(references(each) for each in data.values()))
    return set().union(*(references(each) for each in data)) if isinstance(data, list) else set()


async def test_every_route_is_described_and_every_reference_leads_somewhere(site: Running) -> None:
    status, told = await site.get("/openapi.json")
    assert status == 200 and told["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, operations in told["paths"].items() for method in operations}
    assert len(described) == len(ROUTES)
    assert described == set(OPERATIONS), "each says in web.contract what it takes and gives"
    assert {("POST", "/api/jobs"), ("POST", "/api/prompt"), ("DELETE", "/api/userdata/{file}")} <= described
    operations = [each for one in told["paths"].values() for each in one.values()]
    assert all(each["summary"] for each in operations)
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert references(told) <= {
        f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in told["components"][kind]}
    assert "#/components/schemas/NodeView" in references(told)
    for schema in told["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def exactly(kind: Any, data: Any) -> Any:
    """Data as its structure, which has to have a field for everything in it."""
    read = msgspec.convert(data, kind)
    assert json.loads(msgspec.json.encode(read)) == data
    return read


# (path, and the route if it is another)
ANSWERS = [
    ("/api/prompt", None), ("/api/queue", None), ("/api/object_info", None),
    ("/api/object_info/Show", "/api/object_info/{node_class}"), ("/api/system_stats", None), ("/api/features", None),
    ("/api/embeddings", None), ("/api/models", None), ("/api/models/checkpoints", "/api/models/{folder}"),
    ("/api/experiment/models", None), ("/api/experiment/models/checkpoints", "/api/experiment/models/{folder}"),
    ("/api/models/checkpoints/m.safetensors/info", "/api/models/{folder}/{filename}/info"),
    ("/api/workflow_templates", None), ("/api/i18n", None), ("/api/extensions", None), ("/api/users", None),
    ("/api/userdata?dir=workflows", "/api/userdata"), ("/api/userdata?dir=workflows&split=true", "/api/userdata"),
    ("/api/userdata?dir=workflows&full_info=true", "/api/userdata"), ("/api/v2/userdata", None),
    ("/api/settings", None), ("/api/settings/a", "/api/settings/{id}"), ("/internal/logs", None),
    ("/internal/logs/raw", None), ("/internal/folder_paths", None),
    ("/internal/files/input", "/internal/files/{directory_type}"), ("/api/workflows", None),
    ("/api/workflows/saved", "/api/workflows/{name}"), ("/api/gallery", None), ("/health", None), ("/ready", None),
    ("/sdapi/v1/options", None), ("/sdapi/v1/sd-models", None), ("/sdapi/v1/samplers", None),
    ("/sdapi/v1/schedulers", None), ("/sdapi/v1/progress", None),
]


async def test_answers_are_exactly_what_is_described(site: Running) -> None:
    (site.folders.models["checkpoints"][0] / "m.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    assert (await site.post("/userdata/workflows%2Fsaved.json", CHAIN))[0] == 200
    assert (await site.post("/settings", {"a": [1]}))[0] == 200
    exactly(OPERATIONS["POST", "/api/upload/image"].gives, (await site.post("/upload/image", upload(png())))[1])
    for _ in range(2):
        status, answer = await site.post("/prompt", {"prompt": CHAIN})
        assert status == 200
        exactly(OPERATIONS["POST", "/api/prompt"].gives, answer)
    site.dispatcher.take_up()
    for path, route in ANSWERS:
        status, answer = await site.get(path)
        assert status == 200, (path, answer)
        exactly(OPERATIONS["GET", route or path].gives, answer)


def test_the_command_prints_the_same_document_each_time() -> None:
    root = Path(__file__).resolve().parents[2]
    runs = [subprocess.run([sys.executable, "server.py", "openapi"], cwd=root, capture_output=True, check=True,
                           env={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")]
    assert runs[0] == runs[1] and json.loads(runs[0])["openapi"] == "3.1.0"


async def test_generated_clients_are_told_which_fields_are_always_there(site: Running) -> None:
    """Generators read a default as "always there", and an object without more as an empty one."""
    _, told = await site.get("/openapi.json")
    schemas = told["components"]["schemas"]
    assert "default" not in json.dumps(schemas)
    assert {"position", "errors"} < set(schemas["JobView"]["required"])
    assert not {"nodes", "workflow"} & set(schemas["JobView"]["required"])
    assert schemas["NewJobBody"]["required"] == ["workflow"]
    assert schemas["NewJobBody"]["properties"]["workflow"]["additionalProperties"] is True


async def test_answers_fit_their_structures(site: Running) -> None:
    _, told = await site.get("/openapi.json")

    def check(name: str, data: Any) -> None:
        schema = {**told, "$ref": f"#/components/schemas/{name}"}
        jsonschema.Draft202012Validator(schema).validate(data)

    check("JobView", (await site.post("/api/jobs", {"workflow": CHAIN}))[1])
    check("JobList", (await site.get("/api/jobs"))[1])
    for body in ({"workflow": {}}, {"workflow": {"1": {"class_type": "Shw", "inputs": {}}}}, []):
        status, answer = await site.post("/api/jobs", body)
        assert status in (400, 422)
        check("ErrorBody", answer)
        for problem in answer["error"]["extra_info"].get("problems", []):
            check("Fault", problem)


async def test_the_page_needs_no_script_and_nothing_from_elsewhere(site: Running) -> None:
    async with site.http.get(site.url + "/docs") as answer:
        text = await answer.text()
        assert answer.status == 200 and answer.content_type == "text/html"
    assert "/api/jobs/{job_id}" in text and "<script" not in text
    assert "https://" not in text.replace("https://json-schema.org", "") and "//cdn" not in text
