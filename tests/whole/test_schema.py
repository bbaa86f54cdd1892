"""The API against its own description, by schemathesis: whatever is sent, no fault and no answer out of shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.served import served
from web.app import ROUTES
from web.openapi import document

schemathesis = pytest.importorskip("schemathesis", reason="it is in requirements-dev.txt")

EXAMPLES = 12
RENDERS = {"/sdapi/v1/txt2img": 2, "/v1/images/generations": 4}  # examples where most make a picture
LEFT_OUT = ("/api/ws",)  # a WebSocket: tests/web/test_socket.py
OPERATIONS = [
    (method.upper(), path) for path, operations in document(ROUTES, "0").get("paths", {}).items()
    for method in operations if path not in LEFT_OUT
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with served(tmp_path_factory.mktemp("easel") / "data", "--cpu") as client:
        told = schemathesis.openapi.from_dict(without_tuples(client.get("/openapi.json")))
        told.config.update(base_url=client.address)
        yield told


def without_tuples(data: Any) -> Any:
    """The document with lists of any length for tuples: schemathesis 4.32 writes those in an older draft's way and then
    refuses what it wrote. tests/web/test_openapi.py holds answers against the document as it is."""
    if isinstance(data, dict):
        left_out = {"prefixItems", "items"} if "prefixItems" in data else set()
        return {key: without_tuples(value) for key, value in data.items() if key not in left_out}
    return [without_tuples(each) for each in data] if isinstance(data, list) else data


@pytest.mark.full
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_brings_a_fault_or_an_answer_that_was_not_described(schema: Any, method: str, path: str) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
    from schemathesis.specs.openapi.checks import status_code_conformance as status_conformance

    @given(case=schema[path][method].as_strategy())
    @settings(max_examples=RENDERS.get(path, EXAMPLES), deadline=None, database=None, derandomize=True,
              phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck))
    def send(case: Any) -> None:
        if path == "/api/queue/pause":
            case.operation.schema["/api/queue/resume"]["POST"].Case().call(timeout=60)
        case.call_and_validate(timeout=60, checks=[
            not_a_server_error, response_schema_conformance, content_type_conformance, status_conformance])

    send()
