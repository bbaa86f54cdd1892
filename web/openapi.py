"""The API described: OpenAPI 3.1 made from the routes, their docstrings and the structures that validate."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from web.errors import Fault
from web.gallery import Item, Items
from web.jobview import JobList, JobView
from web.routes import Route
from web.routes.jobs import MoveBody, NewJobBody, PredictionView
from web.routes.models import ModelInfo
from web.routes.operations import Health
from web.routes.workflows import Imported, WorkflowInfo

TAGS = (("/api/jobs", "jobs"), ("/api/predict", "jobs"), ("/api/queue/", "jobs"), ("/api/workflows", "workflows"),
        ("/sdapi/", "A1111"), ("/v1/", "OpenAI"), ("/api/gallery", "gallery"), ("/internal/", "internal"),
        ("/health", "operation"), ("/ready", "operation"), ("/metrics", "operation"), ("", "ComfyUI"))


class ErrorInfo(msgspec.Struct, frozen=True):
    """What went wrong: a type for programs, a message for people; ``extra_info.problems`` lists faults."""

    type: str
    message: str
    details: str
    extra_info: dict[str, Any]


class ErrorBody(msgspec.Struct, frozen=True):
    """Every refusal; ``node_errors`` has the problems of a workflow by node."""

    error: ErrorInfo
    node_errors: dict[str, Any]


# (method, path) → the structure of the body, of the answer, the status, and the query parameters
BODIES: Mapping[tuple[str, str], Any] = {
    ("POST", "/api/jobs"): NewJobBody, ("POST", "/api/predict"): NewJobBody, ("PATCH", "/api/jobs/{job_id}"): MoveBody,
    ("POST", "/api/workflows/{name}/run"): dict[str, Any],
}
ANSWERS: Mapping[tuple[str, str], Any] = {
    ("POST", "/api/predict"): PredictionView,
    ("POST", "/api/jobs"): JobView, ("GET", "/api/jobs"): JobList, ("GET", "/api/jobs/{job_id}"): JobView,
    ("PATCH", "/api/jobs/{job_id}"): JobView, ("POST", "/api/jobs/{job_id}/cancel"): JobView,
    ("POST", "/api/jobs/{job_id}/retry"): JobView, ("GET", "/api/workflows"): list[str],
    ("GET", "/api/workflows/{name}"): WorkflowInfo, ("POST", "/api/workflows/{name}/run"): JobView,
    ("POST", "/api/workflows/import"): Imported,
    ("GET", "/api/gallery"): Items, ("GET", "/api/gallery/{id}"): Item, ("POST", "/api/gallery/{id}/restore"): Item,
    ("GET", "/health"): Health, ("GET", "/ready"): Health,
    ("GET", "/api/models/{folder}/{filename}/info"): ModelInfo,
}
WAIT = {"name": "wait", "in": "query", "description": "seconds to wait for the job's end",
        "schema": {"type": "number", "minimum": 0, "maximum": 300}}
WAITING = frozenset({
    ("POST", "/api/jobs"), ("GET", "/api/jobs/{job_id}"), ("POST", "/api/jobs/{job_id}/retry"),
    ("POST", "/api/workflows/{name}/run"),
})
MAKING = frozenset({("POST", "/api/jobs"), ("POST", "/api/jobs/{job_id}/retry"), ("POST", "/api/workflows/{name}/run")})
LISTING: list[dict[str, Any]] = [
    {"name": "state", "in": "query", "description": "states with commas between", "schema": {"type": "string"}},
    {"name": "search", "in": "query", "description": "a text in the workflow", "schema": {"type": "string"}},
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 500, "default": 50}},
    {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0, "default": 0}},
]
PAGE = LISTING[2:]
SEARCHING: list[dict[str, Any]] = [
    {"name": "prompt", "in": "query", "description": "words in the texts of the graph", "schema": {"type": "string"}},
    {"name": "model", "in": "query", "description": "words in the names of its models", "schema": {"type": "string"}},
    {"name": "seed", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 2**64 - 1}},
    *({"name": name, "in": "query", "description": "a date like 2026-11-21, or seconds since the epoch",
       "schema": {"type": "string", "pattern": r"^(\d{1,10}|\d{4}-\d\d-\d\d)$"}} for name in ("after", "before")),
    {"name": "trash", "in": "query", "description": "the deleted ones", "schema": {"type": "boolean"}},
]
QUERIES: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("GET", "/api/jobs"): LISTING, ("GET", "/api/gallery"): [*SEARCHING, *PAGE],
}
REFERENCE = "#/components/schemas/{name}"


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    kinds = [ErrorBody, Fault, *BODIES.values(), *ANSWERS.values()]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    by_kind = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.paths()[-1])
        paths.setdefault(path, {})[route.method.lower()] = _operation(route.method, path, route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Easel", "version": version, "description":
                 "Jobs and saved workflows, and ComfyUI's protocol (also without the prefix /api)."},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(method: str, path: str, route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    place = (method, path)
    summary = re.sub(r"^[A-Z]+ \S+: ", "", (route.handler.__doc__ or "").split("\n")[0])
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    if place in WAITING:
        parameters.append(WAIT)
    if place in MAKING:
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 200}})
    parameters += QUERIES.get(place, [])
    good: dict[str, Any] = {"description": "done"}
    if place in ANSWERS:
        good["content"] = {"application/json": {"schema": schemas[repr(ANSWERS[place])]}}
        if place in WAITING:
            good["content"]["image/png"] = {}
    responses = {"2XX": good, "4XX": {
        "description": "refused", "content": {"application/json": {"schema": schemas[repr(ErrorBody)]}}}}
    operation: dict[str, Any] = {
        "summary": summary, "operationId": f"{method.lower()}_{re.sub(r'[^a-z0-9]+', '_', path.lower()).strip('_')}",
        "tags": [next(tag for start, tag in TAGS if path.startswith(start))], "parameters": parameters,
        "responses": responses,
    }
    if place in BODIES:
        content = {"application/json": {"schema": schemas[repr(BODIES[place])]}}
        operation["requestBody"] = {"required": place != ("POST", "/api/workflows/{name}/run"), "content": content}
    return operation


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px/1.5 ui-monospace,monospace}"
    "pre{background:#f4f4f4;padding:.7rem;overflow:auto}b{display:inline-block;min-width:4.5rem}"
    "@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#ddd}pre{background:#262626}a{color:#8bf}}"
)


def page(described: Mapping[str, Any]) -> str:
    """The document as a page to read: no script, nothing from elsewhere."""
    groups: dict[str, list[str]] = {}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            detail = {key: operation[key] for key in ("parameters", "requestBody", "responses") if operation.get(key)}
            groups.setdefault(operation["tags"][0], []).append(
                f"<details><summary><b>{method.upper()}</b> <code>{html.escape(path)}</code> "
                f"{html.escape(operation['summary'])}</summary><pre>{_pretty(detail)}</pre></details>")
    sections = [f"<h2>{html.escape(tag)}</h2>{''.join(groups[tag])}" for _, tag in TAGS if tag in groups]
    schemas = "".join(
        f'<details id="{html.escape(name)}"><summary><code>{html.escape(name)}</code> '
        f"{html.escape(schema.get('description', '').split(chr(10))[0])}</summary>"
        f"<pre>{_pretty(schema)}</pre></details>"
        for name, schema in described["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Easel API</title><style>{STYLE}</style>'
        f'<h1>Easel API</h1><p>The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>'
        f"{''.join(dict.fromkeys(sections))}<h2>Structures</h2>{schemas}</html>"
    )


def _pretty(data: Any) -> str:
    return html.escape(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
