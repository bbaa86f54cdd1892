"""The description of the API agrees with what is served."""

from __future__ import annotations

from typing import Any

import jsonschema

from tests.web.support import CHAIN, Running
from web.app import ROUTES


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
    assert {("POST", "/api/jobs"), ("POST", "/api/prompt"), ("DELETE", "/api/userdata/{file}")} <= described
    operations = [each for one in told["paths"].values() for each in one.values()]
    assert all(each["summary"] for each in operations)
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert references(told) <= {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}
    assert "#/components/schemas/NodeView" in references(told)
    for schema in told["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


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
