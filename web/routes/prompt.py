"""POST /prompt: from a body to a job on disk, or to every problem that keeps it from being one."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from aiohttp import web

from engine.files.folders import ANNOTATED, UPLOADED
from engine.graph.checks import FileFinder
from engine.graph.collector import uncollected
from engine.graph.graph import Graph, leave_out, resolve
from engine.graph.node import NodeSpec
from engine.graph.problems import Problem, WorkflowError, shown
from engine.graph.workflow import Workflow, encode_api, is_editor_form, read_api, read_json, set_inputs
from engine.jobs.gallery import Look
from engine.jobs.job import DuplicateJob, Job, NewJob, StoreError, shown_number
from web.access import ACCESS, who
from web.bodies import flag, read_body, text
from web.errors import Refusal, json_response, node_errors
from web.routes import Route
from web.specs import known_specs
from web.state import SERVER, Server

log = logging.getLogger(__name__)

BIG_BODY = 48 * 2**10  # bytes; about 2,000 of the smallest nodes. Larger ones are worked on beside the event loop
SECRETS = frozenset({"auth_token_comfy_org", "api_key_comfy_org"})  # never stored: the history is readable
MAX_LISTED = 10_000  # of its own pictures that a token is told
UNFIT_IN_IDS = frozenset("/\\?#%")  # ids stand in addresses


@dataclass(frozen=True)
class Posted:
    """A body, read: the parts that matter. ``graph`` is the parsed JSON of either form."""

    graph: Any
    id: str
    client_id: str | None
    number: float | None
    front: bool
    targets: list[str] | None
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """A job to submit, and the problems of the outputs that are left out of it.

    checks: some of its nodes check their inputs themselves, which ``ask_nodes`` asks them for.
    """

    job: NewJob
    problems: tuple[Problem, ...]
    checks: bool = False


async def post_prompt(request: web.Request) -> web.Response:
    """POST /prompt: 200 when the job is on disk; 400 with every problem; 503 while no node is known yet."""
    server = request.app[SERVER]
    config = server.config
    body = await read_body(request, config.max_upload)
    specs = await known_specs(server)
    arguments = (body, specs, finder(request), config.metadata != "none", config.previews)
    prepared = await asyncio.to_thread(prepare, *arguments) if len(body) > BIG_BODY else prepare(*arguments)
    prepared = await ask_nodes(server, prepared)
    try:
        job = await submit(request, prepared.job)
    except DuplicateJob as error:
        raise Refusal(409, "duplicate_prompt_id", str(error)) from error
    return json_response({
        "prompt_id": job.id, "number": shown_number(job.number), "node_errors": node_errors(prepared.problems),
    })


async def submit(request: web.Request, new: NewJob) -> Job:
    """Queue a job as the request's own.

    Raises DuplicateJob; Refusal 403 if it may not choose the job's place, 429 beyond what its token may post, and 503
    if the job cannot be put on disk.
    """
    server, identity = request.app[SERVER], who(request)
    if (new.number is not None or new.front) and not identity.may("admin"):
        message = f"only administrators choose a job's place in the queue; the token {identity.name} is for submitting"
        raise Refusal(403, "not_allowed", f"{message}: leave number and front out")
    if server.dispatcher.draining:
        message = "the server is about to stop and takes no further job; post it again when it is back"
        raise Refusal(503, "stopping", message, headers={"Retry-After": "10"})
    try:
        with request.app[ACCESS].posting(identity, lambda: _waiting(server, identity.name)):
            server.hub.hold(identity.name, new.client_id)
            job = await server.dispatcher.submit(replace(new, owner=identity.name))
            server.hub.hold(identity.name, new.client_id)
            return job
    except (StoreError, sqlite3.Error) as error:
        log.error("a job cannot be put on disk: %s", error)
        raise Refusal(503, "not_stored", "the job cannot be put on disk; the server's log says why") from error


def _waiting(server: Server, owner: str) -> int:
    queue = server.dispatcher.queue()
    return sum(job.owner == owner for jobs in (queue.running, queue.pending) for job in jobs)


class _OwnFiles:
    """Finds files for a token that sees only its own: input files, models, and what its own jobs made."""

    def __init__(self, server: Server, owner: str) -> None:
        self._server, self._owner = server, owner

    def find(self, folder: str, name: str) -> object | None:
        """The file, or None if it is not there or somebody else's."""
        annotated = ANNOTATED.match(name) if folder in UPLOADED else None
        kind = annotated["kind"] if annotated else "output" if folder == "output" else "input"
        if kind != "input":
            subfolder, _, filename = (annotated["name"] if annotated else name).rpartition("/")
            if not self._server.dispatcher.owns(kind, subfolder, filename, self._owner):
                return None
        return self._server.files.find(folder, name)

    def list(self, folder: str) -> list[str]:
        """The names that it may know: of the output folder those that its own jobs made."""
        names = self._server.files.list(folder)
        if folder != "output":
            return names
        found, _ = self._server.dispatcher.find_outputs(Look(owner=self._owner, limit=MAX_LISTED))
        own = {f"{each.output.filename} [output]" for each in found if not each.output.subfolder}
        return [each for each in names if each in own]


def finder(request: web.Request) -> FileFinder:
    """What the request's workflow may name as files, and what the request is told of them."""
    server, only = request.app[SERVER], who(request).only
    return server.files if only is None else _OwnFiles(server, only)


def prepare(
    body: bytes, specs: Mapping[str, NodeSpec], files: FileFinder, metadata: bool = True, previews: str = "none"
) -> Prepared:
    """Make a job of a body. Raises WorkflowError with every problem, or Refusal for what is no workflow's fault."""
    with uncollected():
        return prepare_posted(read_post(read_json(body) if body.strip() else {}), specs, files, metadata, previews)


def prepare_posted(
    posted: Posted, specs: Mapping[str, NodeSpec], files: FileFinder, metadata: bool = True, previews: str = "none",
    changes: Mapping[str, Any] | None = None,
) -> Prepared:
    """Make a job of an envelope; ``changes`` are inputs to set, by ``node.input``. Raises WorkflowError."""
    try:
        workflow, extra = read_workflow(posted, specs)
        if changes:
            workflow, extra = change(workflow, extra, changes, specs)
        written = encode_api(workflow)
        resolved = resolve(workflow, specs, files, targets=posted.targets)
        job = NewJob(
            id=posted.id, number=posted.number, front=posted.front, client_id=posted.client_id,
            prompt=written, extra=msgspec.json.encode(extra),
            graph=msgspec.msgpack.encode(resolved.graph), targets=resolved.graph.targets,
            metadata=metadata, previews=previews,
        )
    except OverflowError as error:  # in an input of any type, or in a link's index
        raise WorkflowError([Problem("invalid_prompt", "a number in the workflow does not fit in 64 bits")]) from error
    checks = any(specs[each.class_type].checks for each in resolved.graph.nodes)
    return Prepared(job, resolved.problems, checks)


async def ask_nodes(server: Server, prepared: Prepared) -> Prepared:
    """Leave out the outputs whose nodes find something wrong with their inputs. Raises WorkflowError if none is left.

    The nodes are the worker's: what it does not answer in time is found out when the job begins.
    """
    if not prepared.checks:
        return prepared
    complaints = await server.dispatcher.complaints(prepared.job.graph, server.config.check_wait)
    if not complaints:
        return prepared
    graph = msgspec.msgpack.decode(prepared.job.graph, type=Graph)
    kinds = {each.id: each.class_type for each in graph.nodes}
    found = [Problem(each.code, each.message, each.node, class_type=kinds[each.node]) for each in complaints]
    left = leave_out(graph, found)
    job = replace(prepared.job, graph=msgspec.msgpack.encode(left.graph), targets=left.graph.targets)
    return Prepared(job, (*prepared.problems, *left.problems))


def read_post(data: Any) -> Posted:
    """Read the envelope: ComfyUI's, or a bare workflow in either form. Unknown keys are ignored."""
    if not isinstance(data, Mapping):
        raise Refusal(400, "invalid_prompt", f"the body has to be a JSON object; found {shown(data)}")
    if is_editor_form(data) or is_graph(data):
        data = {"prompt": data}
    if data.get("prompt") is None:
        message = 'No prompt provided: the body needs "prompt", the workflow to run'
        raise Refusal(400, "no_prompt", message, details=message)
    extra = data.get("extra_data")
    if not (extra is None or isinstance(extra, Mapping)):
        raise Refusal(400, "invalid_prompt", f"extra_data has to be an object; found {shown(extra)}")
    return Posted(
        graph=data["prompt"], id=_job_id(data), client_id=text(data, "client_id"), number=_number(data),
        front=flag(data, "front"), targets=_targets(data),
        extra={name: value for name, value in (extra or {}).items() if name not in SECRETS},
    )


def read_workflow(posted: Posted, specs: Mapping[str, NodeSpec]) -> tuple[Workflow, Mapping[str, Any]]:
    """The workflow in the API form, and the extra data; an editor's file goes into the pictures as it is."""
    if not is_editor_form(posted.graph):
        return read_api(posted.graph), posted.extra
    from engine.graph.editor_format.read import read_editor

    workflow = read_editor(posted.graph, specs).workflow
    pnginfo = posted.extra.get("extra_pnginfo")
    kept = pnginfo if isinstance(pnginfo, Mapping) else {}
    return workflow, {**posted.extra, "extra_pnginfo": {"workflow": posted.graph, **kept}}


def change(
    workflow: Workflow, extra: Mapping[str, Any], changes: Mapping[str, Any], specs: Mapping[str, NodeSpec]
) -> tuple[Workflow, Mapping[str, Any]]:
    """Set inputs, in the editor's file for the pictures too. Raises WorkflowError for those that are not there."""
    changed = set_inputs(workflow, changes)
    pnginfo = extra.get("extra_pnginfo")
    saved = pnginfo.get("workflow") if isinstance(pnginfo, Mapping) else None
    if not (isinstance(pnginfo, Mapping) and is_editor_form(saved)):
        return changed, extra
    from engine.graph.editor_format.document import dump_document, load_document
    from engine.graph.editor_format.update import apply_to_document
    from engine.graph.editor_format.write import write_editor

    try:
        file = dump_document(apply_to_document(load_document(saved), changed, specs))
    except WorkflowError:  # a value with no place of its own in the file: laid out anew, it says what was run
        file = write_editor(changed, specs)
    return changed, {**extra, "extra_pnginfo": {**pnginfo, "workflow": file}}


def is_graph(data: Mapping[str, Any]) -> bool:
    """Whether a body is a bare API graph: all its values are nodes."""
    return bool(data) and all(isinstance(each, Mapping) and "class_type" in each for each in data.values())


def _job_id(data: Mapping[str, Any]) -> str:
    """The caller's own id, or a new one."""
    chosen = text(data, "prompt_id")
    if chosen is None:
        return str(uuid.uuid4())
    if chosen in (".", "..") or not UNFIT_IN_IDS.isdisjoint(chosen):
        unfit = " ".join(sorted(UNFIT_IN_IDS))
        raise Refusal(400, "invalid_prompt", f"prompt_id {shown(chosen)!r} may not hold any of {unfit}")
    return chosen


def _number(data: Mapping[str, Any]) -> float | None:
    value = data.get("number")
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) < 2**53:
        raise Refusal(400, "invalid_prompt", f"number is the job's place in the queue; found {shown(value)}")
    return number


def _targets(data: Mapping[str, Any]) -> list[str] | None:
    value = data.get("partial_execution_targets")
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str | int) for each in value):
        raise Refusal(400, "invalid_prompt", f"partial_execution_targets is a list of node ids; found {shown(value)}")
    return [str(each) for each in value]


async def get_prompt(request: web.Request) -> web.Response:
    """GET /prompt: how many jobs are not ended."""
    return json_response({"exec_info": {"queue_remaining": request.app[SERVER].dispatcher.remaining()}})


ROUTES = (Route("GET", "/prompt", get_prompt), Route("POST", "/prompt", post_prompt))
