"""The API described: OpenAPI 3.1 made from the routes, their docstrings and the structures that validate.

The document of one version is always the same bytes; ``python server.py openapi`` prints it without a server.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from web.board import NodeView
from web.contract import FORM, JSON, OPERATIONS, Operation
from web.errors import Fault
from web.jobview import JobView
from web.routes import Route
from web.shapes import SocketMessage

TAGS = (("/api/jobs", "jobs"), ("/api/predict", "jobs"), ("/api/queue/", "jobs"), ("/api/workflows", "workflows"),
        ("/sdapi/", "A1111"), ("/v1/", "OpenAI"), ("/api/gallery", "gallery"), ("/internal/", "internal"),
        ("/health", "operation"), ("/ready", "operation"), ("/metrics", "operation"), ("", "ComfyUI"))
REFERENCE = "#/components/schemas/{name}"
STATUSES = {101: "the WebSocket is open", 200: "done", 201: "made", 202: "not ended yet", 204: "done"}
ROLES = {"read": "a token of any role", "submit": "the role submit", "admin": "the role admin", "anybody": "no token"}
ABOUT = """Jobs and saved workflows, and ComfyUI's protocol (whose routes are there without the prefix /api, too).

A token is needed where the server was started with one, or listens beyond this machine."""


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


class JobEndedMessage(msgspec.Struct, frozen=True, tag_field="event", tag="job.ended"):
    """What a webhook is sent."""

    job: JobView


SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "password": {"type": "http", "scheme": "basic", "description": "any name, and the token as the password"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "easel_token", "description": "given for /?token=TOKEN"},
}


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    kinds = [ErrorBody, Fault, NodeView, SocketMessage, JobEndedMessage]
    for operation in OPERATIONS.values():
        kinds += [each for each in (operation.takes, operation.gives) if each is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    by_kind = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    taken = set(_structures([each.takes for each in OPERATIONS.values() if each.takes is not None]))
    _open({"components": components, "bodies": by_kind})
    for structure in _structures(kinds):
        _say_what_is_there(components[structure.__name__], structure, is_body=structure in taken)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.paths()[-1])
        paths.setdefault(path, {})[route.method.lower()] = _operation(path, route, by_kind)
    refused = {"description": "refused", "content": {JSON: {"schema": by_kind[repr(ErrorBody)]}}}
    hook = {"post": {
        "summary": "a job with a webhook has ended; signed by the header Easel-Signature",
        "operationId": "webhook_job_ended", "responses": {"2XX": {"description": "heard"}},
        "requestBody": {"content": {JSON: {"schema": by_kind[repr(JobEndedMessage)]}}},
    }}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Easel", "version": version, "description": ABOUT},
        "security": [{}, *({name: []} for name in SECURITY)],
        "paths": paths,
        "webhooks": {"job.ended": hook},
        "components": {
            "schemas": {**components, "SocketMessage": by_kind[repr(SocketMessage)]},
            "responses": {"Refused": refused}, "securitySchemes": SECURITY,
        },
    }


def _structures(kinds: Iterable[Any]) -> dict[type[msgspec.Struct], None]:
    """Every structure in some types."""
    found: dict[type[msgspec.Struct], None] = {}

    def walk(kind: Any) -> None:
        if isinstance(kind, msgspec.inspect.StructType) and kind.cls not in found:
            found[kind.cls] = None
            for field in kind.fields:
                walk(field.type)
        for name in ("types", "item_types", "item_type", "key_type", "value_type"):
            inner = getattr(kind, name, ())
            for each in inner if isinstance(inner, tuple) else (inner,):
                walk(each)

    for each in msgspec.inspect.multi_type_info(list(kinds)):
        walk(each)
    return found


def _open(data: Any) -> None:
    """Have objects of any keys say so: generators take those that say nothing for empty ones."""
    if isinstance(data, dict):
        if data.get("type") == "object" and not {"properties", "additionalProperties"} & data.keys():
            data["additionalProperties"] = True
        for each in data.values():
            _open(each)
    elif isinstance(data, list):
        for each in data:
            _open(each)


def _say_what_is_there(schema: dict[str, Any], structure: type[msgspec.Struct], *, is_body: bool) -> None:
    """Have a schema say which fields an answer always has: generated clients take them from ``required``.

    A default says nothing of that, and generators read it as "always there"; so there are none.
    """
    fields = msgspec.structs.fields(structure)
    for field in fields:
        schema["properties"][field.encode_name].pop("default", None)
    if is_body or structure.__struct_config__.omit_defaults:
        return
    kinds = msgspec.inspect.type_info(structure)
    assert isinstance(kinds, msgspec.inspect.StructType)
    nothing = msgspec.NODEFAULT
    always = [field.encode_name for field in kinds.fields
              if field.required or field.default is not nothing or field.default_factory is not nothing]
    tag = [structure.__struct_config__.tag_field] if structure.__struct_config__.tag_field else []
    schema["required"] = [*tag, *always]


def _operation(path: str, route: Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    about = OPERATIONS.get((route.method, path), Operation())
    summary = re.sub(r"^[A-Z]+ \S+: ", "", (route.handler.__doc__ or "").split("\n")[0])
    wanted = route.wanted()
    operation: dict[str, Any] = {
        "summary": summary, "description": f"Needs {ROLES[wanted]}.",
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', path.lower()).strip('_')}",
        "tags": [next(tag for start, tag in TAGS if path.startswith(start))],
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
              for name in re.findall(r"\{(\w+)\}", path)), *about.parameters,
        ],
        "responses": _responses(about, schemas),
    }
    if wanted == "anybody":
        operation["security"] = []
    if content := _body(about, schemas):
        operation["requestBody"] = {"required": not about.optional, "content": content}
    return operation


def _responses(about: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    told = {JSON: {"schema": schemas[repr(about.gives)]}} if about.gives is not None else {}
    text, file = {"schema": {"type": "string"}}, {"schema": {"type": "string", "format": "binary"}}
    other = {each: text if each.startswith("text/") else file for each in about.media}
    responses: dict[str, Any] = {}
    for status in about.statuses:
        content = told if status in (201, 202) else {**told, **other}  # a picture is no promise
        responses[str(status)] = {"description": STATUSES[status], **({"content": content} if content else {})}
    if about.unready:
        responses["503"] = {"description": "not ready", "content": told}
    for refused in ("4XX", "5XX"):
        responses[refused] = {"$ref": "#/components/responses/Refused"}
    return responses


def _body(about: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    if about.takes is not None:
        return {JSON: {"schema": schemas[repr(about.takes)]}}
    if about.form is not None:
        return {FORM: {"schema": about.form}}
    return {about.raw: {"schema": {"type": "string", "format": "binary"}}} if about.raw else {}


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
