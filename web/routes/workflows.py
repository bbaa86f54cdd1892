"""Saved workflows: listed, described, run by the names of their inputs; and graphs read out of what others made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from engine.files.metadata import MetadataError, read_metadata
from engine.graph.editor_format.convert import unwrapped
from engine.graph.node import NodeSpec
from engine.graph.problems import WorkflowError, nearest, shown
from engine.graph.workflow import is_editor_form, read_api, read_json, write_api
from engine.jobs.job import NewJob
from web import parameters, saved
from web.bodies import read_body, read_object, text
from web.errors import Refusal, json_response, problems_response
from web.routes import Route
from web.routes.jobs import check_webhook, create_job
from web.routes.prompt import ask_nodes, finder, prepare_posted, read_post
from web.routes.userdata import user_folder
from web.specs import known_specs
from web.state import SERVER, Server

BINARY = (b"\x89PNG", b"RIFF", b"\xff\xd8\xff")


class WorkflowInfo(msgspec.Struct, frozen=True):
    """A saved workflow: its name, the JSON Schema of its inputs, and where to post them."""

    name: str
    inputs: dict[str, Any]
    run: str


class Imported(msgspec.Struct, frozen=True):
    """A workflow out of a file or a text, in both forms; ``source`` says in which it was found."""

    source: str  # workflow, prompt or parameters
    prompt: dict[str, Any]
    workflow: dict[str, Any]


def folders(request: web.Request) -> tuple[Path, ...]:
    """Where workflows are: the user's own first, then those that come with Easel."""
    return (user_folder(request) / "workflows", request.app[SERVER].config.templates)


async def list_workflows(request: web.Request) -> web.Response:
    """GET /api/workflows: the names of the saved workflows."""
    return json_response(await asyncio.to_thread(saved.names, folders(request)))


async def load(request: web.Request, name: str) -> saved.Saved:
    """The saved workflow of a name. Raises Refusal 404, or WorkflowError."""
    specs, where = await known_specs(request.app[SERVER]), folders(request)
    path = await asyncio.to_thread(saved.find, where, name)
    if path is None:
        known = await asyncio.to_thread(saved.names, where)
        raise Refusal(404, "not_found", f"no workflow is called {shown(name)!r}{nearest(name, known)}")
    return await asyncio.to_thread(saved.read, path, name, specs)


async def describe(request: web.Request) -> web.Response:
    """GET /api/workflows/{name}: the inputs of a saved workflow."""
    server, name = request.app[SERVER], request.match_info["name"]
    found = await load(request, name)
    specs = await known_specs(server)
    inputs = await asyncio.to_thread(saved.schema, found, specs, finder(request).list)
    return json_response(WorkflowInfo(name, inputs, f"/api/workflows/{name.replace('/', '%2F')}/run"))


async def run(request: web.Request) -> web.StreamResponse:
    """POST /api/workflows/{name}/run: run a saved workflow; the body gives some of its inputs by name."""
    server, query = request.app[SERVER], request.query
    given = dict(await read_object(request))
    webhook, client = query.get("webhook"), text(dict(query), "client_id")
    check_webhook(server, webhook)
    new = await prepare_saved(request, request.match_info["name"], given)
    if isinstance(new, web.Response):
        return new
    return await create_job(request, replace(new, webhook=webhook, client_id=client))


async def prepare_saved(request: web.Request, name: str, given: Mapping[str, Any]) -> NewJob | web.Response:
    """The job of a saved workflow with some inputs set, or the answer that refuses it."""
    server = request.app[SERVER]
    specs, config = await known_specs(server), server.config
    try:
        found = await load(request, name)
        posted = read_post({"prompt": found.file})
        prepared = await asyncio.to_thread(
            prepare_posted, posted, specs, finder(request), config.metadata != "none", config.previews,
            saved.changes(found, given))
        prepared = await ask_nodes(server, prepared)
        if prepared.problems:
            raise WorkflowError(prepared.problems)
    except WorkflowError as error:
        return problems_response(error.problems, listed=True)
    return prepared.job


async def import_workflow(request: web.Request) -> web.Response:
    """POST /api/workflows/import: the workflow in a picture, in a file of either form, or in A1111's text."""
    server = request.app[SERVER]
    body = await read_body(request, server.config.max_upload)
    specs = await known_specs(server)
    return json_response(await asyncio.to_thread(import_bytes, body, specs, server))


def import_bytes(body: bytes, specs: Mapping[str, NodeSpec], server: Server) -> Imported:
    """Find a workflow in what was sent. Raises Refusal 422 if there is none, or WorkflowError."""
    if body.startswith(BINARY):
        try:
            texts = read_metadata(body)
        except MetadataError as error:
            raise Refusal(422, "no_workflow", f"the picture's texts cannot be read: {error}") from error
        for source in ("workflow", "prompt"):
            if source in texts:
                return _both(source, read_json(texts[source], f"the text {source}"), specs)
        if "parameters" not in texts:
            raise Refusal(422, "no_workflow", f"the picture carries no workflow; its texts are {list(texts)[:10]}")
        return _of_text(texts["parameters"], specs, server)
    if body.lstrip().startswith(b"{"):
        data = unwrapped(read_json(body))
        if isinstance(data, Mapping) and set(data) == {"parameters"}:
            return _of_text(str(data["parameters"]), specs, server)
        return _both("workflow" if is_editor_form(data) else "prompt", data, specs)
    return _of_text(body.decode("utf-8", errors="replace"), specs, server)


def _both(source: str, data: Any, specs: Mapping[str, NodeSpec]) -> Imported:
    from engine.graph.editor_format.write import write_editor

    found = saved.read_data(data, "sent", specs)
    editor = data if is_editor_form(data) else write_editor(found.workflow, specs)
    return Imported(source, write_api(found.workflow), editor)


def _of_text(told: str, specs: Mapping[str, NodeSpec], server: Server) -> Imported:
    from engine.graph.editor_format.write import write_editor

    def checkpoint(model: str) -> str:
        names = server.files.list("checkpoints")
        plain = {name.rpartition("/")[2].rpartition(".")[0]: name for name in names}
        if not model:  # the text names none: the one that A1111's door takes first
            return names[0] if names else "model.safetensors"
        return plain.get(model, f"{model}.safetensors")

    try:
        graph = parameters.graph_of(parameters.read_parameters(told), checkpoint)
    except ValueError as error:
        raise Refusal(422, "no_workflow", str(error)) from error
    return Imported("parameters", graph, write_editor(read_api(graph), specs))


ROUTES = (
    Route("GET", "/api/workflows", list_workflows, doubled=False),
    Route("POST", "/api/workflows/import", import_workflow, doubled=False),
    Route("GET", "/api/workflows/{name}", describe, doubled=False),
    Route("POST", "/api/workflows/{name}/run", run, doubled=False),
)
