"""``/api/jobs``: one resource for all that can be done with a job, from its creation to its pictures."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from aiohttp import web
from msgspec import Meta

from engine.files import thumbnails
from engine.files.uploads import SNIFFED, sniff
from engine.graph.problems import WorkflowError, nearest, shown
from engine.graph.workflow import is_editor_form, read_json
from engine.jobs.find import Search, needle
from engine.jobs.job import ENDED, DuplicateJob, Job, NewJob, State, StoreError
from engine.jobs.workers import AskError
from web.access import ACCESS, who
from web.board import Told
from web.bodies import MAX_ID, read_body, read_object, whole
from web.errors import Refusal, json_response, problems_response
from web.jobview import JobList, JobView, OutputView, view
from web.routes import Route
from web.routes.files import decode_picture, find_own_file, release, serve_bytes, serve_released, serve_user_file
from web.routes.prompt import BIG_BODY, ask_nodes, finder, is_graph, prepare_posted, read_post, submit
from web.routes.queue import touched
from web.specs import known_specs
from web.state import SERVER, Server
from web.webhooks import Hosts

S = TypeVar("S", bound=msgspec.Struct)

MAX_WAIT = 300.0  # seconds
PREDICT_WAIT = 10.0
PICTURE_WAIT = 60.0  # when only the picture will do and no time is given
MAX_PAGE = 500
MOST_AT_ONCE = 1024  # that may be asked for; a worker takes as many as it can
BEAT_SECONDS = 15.0
LOOK_SECONDS = 1.0  # how often it is looked whether who waits is still there
READ_SECONDS = 60.0  # how long a client of a stream may take to read on
KEYS = uuid.UUID("5ea5e1f0-6a1d-4c0e-9d0b-2f7f4c1b8a11")  # the namespace of ids made from idempotency keys
UNKNOWN_FIELD = re.compile("unknown field `(.*?)`")
STATES: tuple[State, ...] = get_args(State)


class NewJobBody(msgspec.Struct, forbid_unknown_fields=True):
    """A job to be made.

    workflow: in the API form or the editor's. set: inputs to change, as ``{"6.text": "a red cube"}``.
    number: priority, lowest first; front: before all others. targets: ids of the output nodes to deliver.
    webhook: an address that is told of the job's end.
    partial: run the outputs that can run though others cannot. extra_data: as in ``POST /prompt``.
    """

    workflow: dict[str, Any]
    id: str | None = None
    client_id: str | None = None
    number: float | None = None
    front: bool = False
    targets: list[str] | None = None
    partial: bool = False
    set: dict[str, Any] | None = None
    extra_data: dict[str, Any] | None = None
    webhook: str | None = None


class PredictedNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """What would become of a node: ``reused``, ``runs``, or ``depends`` on what the nodes make that run.

    cause, inputs: as of the nodes of a job.
    """

    node: str
    state: Annotated[str, Meta(extra_json_schema={"enum": ["reused", "runs", "depends"]})]
    cause: str = ""
    why: str = ""
    inputs: tuple[str, ...] = ()


class PredictionView(msgspec.Struct, frozen=True):
    """What would become of a workflow's nodes if it ran now, and how many of each there are."""

    reused: int
    runs: int
    depends: int
    nodes: list[PredictedNode]


class AtOnceBody(msgspec.Struct, forbid_unknown_fields=True):
    """How many jobs a worker carries out at once, their denoising merged into batches; 1 is one after another."""

    jobs: int


class MoveBody(msgspec.Struct, forbid_unknown_fields=True):
    """Where a waiting job is to stand: at a position (1 is next), or at a priority."""

    position: int | None = None
    number: float | None = None


async def create(request: web.Request) -> web.StreamResponse:
    """POST /api/jobs: make a job; all of its outputs have to be able to run, unless ``partial`` is true."""
    server = request.app[SERVER]
    body = await read_body(request, server.config.max_upload)
    try:
        new = await _prepare(request, server, body)
    except WorkflowError as error:
        return problems_response(error.problems, listed=True)
    return await create_job(request, new)


async def predict(request: web.Request) -> web.StreamResponse:
    """POST /api/predict: what would become of each node of a workflow if it ran now; nothing is run or queued."""
    server = request.app[SERVER]
    body = await read_body(request, server.config.max_upload)
    try:
        new = await _prepare(request, server, body)
    except WorkflowError as error:
        return problems_response(error.problems, listed=True)
    try:
        found = await server.dispatcher.predict(new.graph, new.metadata, PREDICT_WAIT)
    except AskError as error:
        raise Refusal(422, "not_predictable", f"the worker cannot tell: {error}") from error
    if found is None:
        message = "no worker can tell now; try again in some seconds"
        raise Refusal(503, "not_ready", message, headers={"Retry-After": "5"})
    nodes = [PredictedNode(each.node, each.state, each.cause, each.why, each.inputs) for each in found]
    counts = {state: sum(each.state == state for each in nodes) for state in ("reused", "runs", "depends")}
    return json_response(PredictionView(**counts, nodes=nodes))


async def create_job(request: web.Request, new: NewJob) -> web.StreamResponse:
    """Queue a job and answer as the request wants it: at once, when it has ended, or with the picture."""
    server = request.app[SERVER]
    key = _key(request)
    if key is not None:
        owner = who(request).name  # whose key it is: another's, though the same, makes another job
        new = replace(new, id=str(uuid.uuid5(KEYS, f"{owner}\n{key}" if owner else key)))
        if (known := server.dispatcher.job(new.id)) is not None:
            return await _replay(request, known, new)
    try:
        job = await submit(request, new)
    except DuplicateJob as error:
        known = server.dispatcher.job(new.id)
        if key is None or known is None:
            raise Refusal(409, "duplicate_id", str(error)) from error
        return await _replay(request, known, new)
    return await _answer(request, job, status=201)


async def _replay(request: web.Request, known: Job, new: NewJob) -> web.StreamResponse:
    """Answer with the job that an Idempotency-Key has made already. Raises Refusal 422 if it is another one."""
    if known.owner != who(request).name:  # ids can be foretold, and chosen
        raise Refusal(409, "duplicate_id", "the job of this Idempotency-Key is somebody else's; take another key")
    if (known.prompt, tuple(known.targets)) != (new.prompt, tuple(new.targets)):
        raise Refusal(
            422, "key_reused", "this Idempotency-Key was used for another job; take a new key for a new job")
    return await _answer(request, known, status=200, headers={"Idempotency-Replayed": "true"})


async def _prepare(request: web.Request, server: Server, body: bytes) -> NewJob:
    asked = read_new(body)
    check_webhook(server, asked.webhook)
    if asked.id is not None and "Idempotency-Key" in request.headers:
        raise Refusal(400, "invalid_body", "give an id or an Idempotency-Key, not both: the key makes the id")
    posted = read_post({
        "prompt": asked.workflow, "prompt_id": asked.id, "client_id": asked.client_id, "number": asked.number,
        "front": asked.front, "partial_execution_targets": asked.targets, "extra_data": asked.extra_data,
    })
    specs, config = await known_specs(server), server.config
    arguments = (posted, specs, finder(request), config.metadata != "none", config.previews, asked.set)
    if len(body) > BIG_BODY:
        prepared = await asyncio.to_thread(prepare_posted, *arguments)
    else:
        prepared = prepare_posted(*arguments)
    prepared = await ask_nodes(server, prepared)
    if prepared.problems and not asked.partial:
        raise WorkflowError(prepared.problems)
    return replace(prepared.job, webhook=asked.webhook)


def check_webhook(server: Server, url: str | None) -> None:
    """Raise Refusal 422 unless this address may be told of a job's end, or there is none."""
    if url is None:
        return
    hosts = server.config.webhook_hosts or Hosts()
    try:
        hosts.check(url)
    except ValueError as error:
        raise Refusal(422, "webhook_refused", str(error)) from error


def read_new(body: bytes) -> NewJobBody:
    """Read the body of a new job; a bare workflow will do. Raises Refusal or WorkflowError."""
    data = read_json(body)
    if isinstance(data, Mapping) and (is_editor_form(data) or is_graph(data)):
        return NewJobBody(workflow=dict(data))
    return read_as(data, NewJobBody)


def read_as(data: Any, kind: type[S]) -> S:
    """Bring parsed JSON into a structure. Raises Refusal 422 that says which field is wrong."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        told = f"the body does not fit: {error}"
        if unknown := UNKNOWN_FIELD.search(told):
            fields = [each.encode_name for each in msgspec.structs.fields(kind)]
            told += nearest(unknown[1], fields) or f"; the fields are {', '.join(fields)}"
        raise Refusal(422, "invalid_body", told) from error


def _key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_ID and key.isprintable()):
        raise Refusal(400, "invalid_key", f"Idempotency-Key has to be a printable text of 1 to {MAX_ID} characters")
    return key


# -- answering ---------------------------------------------------------------------------------------------------


async def _answer(
    request: web.Request, job: Job, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    server = request.app[SERVER]
    accepted = request.headers.get("Accept", "")
    wants_picture = accepted.startswith("image/")
    seconds = _seconds(request, PICTURE_WAIT if wants_picture else 0.0)
    if seconds:
        ended = await wait_for_end(request, job, seconds)
        if ended is None and status != 201:
            message = "too many requests wait for jobs; ask for this one without wait, or in some seconds"
            raise Refusal(503, "too_many_waiting", message, headers={"Retry-After": "5"})
        job = ended or job  # a job that was just made is told, whether it can be waited for or not
        status = 200 if job.state in ENDED else 202
    if wants_picture and job.state in ENDED:
        return await _picture(request, view(server, job, whole=False), accepted)
    if wants_picture and status == 200:
        status = 202
    return json_response(view(server, job, position=position(server, job)), status=status, headers=headers)


def _seconds(request: web.Request, default: float) -> float:
    text = request.query.get("wait")
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= MAX_WAIT:
        raise Refusal(400, "invalid_query", f"wait is a number of seconds, 0 to {MAX_WAIT:g}; found {shown(text)!r}")
    return seconds


async def wait_for_end(request: web.Request, job: Job, seconds: float) -> Job | None:
    """Wait for a job's end, or the client's; gives the job as it is then; None if too many wait already.

    Raises Refusal 401 if the client's token is taken away.
    """
    server, clock = request.app[SERVER], asyncio.get_running_loop().time
    with server.board.follow(job.id, who(request).name) as queue:
        if queue is None:
            return None
        end = clock() + seconds
        while current(server, job).state not in ENDED and (left := end - clock()) > 0:
            try:
                told = await _next(request, queue, min(left, LOOK_SECONDS))
            except ConnectionResetError:  # what is answered now reaches nobody
                break
            if told is not None and told[0] == "ended":
                break
    return current(server, job)


async def _next(request: web.Request, queue: asyncio.Queue[Told], seconds: float) -> Told | None:
    """What is told next, or None if nothing is for some seconds.

    Raises ConnectionResetError if the client has gone, Refusal 401 if its token has.

    aiohttp tells a handler nothing of a client that has gone: without looking it would wait, and hold its place.
    """
    try:
        return await asyncio.wait_for(queue.get(), seconds)
    except TimeoutError:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client has gone") from None
        if not request.app[ACCESS].knows(who(request)):
            raise Refusal(401, "no_token", "the token is no longer good") from None
        return None


def current(server: Server, job: Job) -> Job:
    """The job as it is now; as it was, if it has been deleted meanwhile."""
    return server.dispatcher.job(job.id) or job


def position(server: Server, job: Job) -> int | None:
    """Where a job stands in the queue, from 1; None if it does not wait."""
    if job.state != "queued":
        return None
    pending = server.dispatcher.queue().pending
    return next((place for place, each in enumerate(pending, 1) if each.id == job.id), None)


async def _picture(request: web.Request, shown_job: JobView, accepted: str) -> web.StreamResponse:
    """The first picture of a job; 422 if it made none."""
    if shown_job.state != "succeeded":
        why = "; ".join(each.message for each in shown_job.errors)
        raise Refusal(422, f"job_{shown_job.state}", f"job {shown_job.id} made no picture: {why}")
    first = next((each for each in shown_job.outputs if each.kind == "images" and each.filename), None)
    path = _file_of(request, first) if first is not None else None
    if path is None or not await asyncio.to_thread(path.is_file):
        raise Refusal(422, "no_picture", f"job {shown_job.id} succeeded, but its workflow saves no picture")
    kind = accepted.split(",")[0].split(";")[0].removeprefix("image/").strip()
    released = await release(request, path)
    if kind in ("webp", "jpeg"):
        body, media = await decode_picture(request, lambda: thumbnails.make_preview(released.source, kind))
        return serve_bytes(body, media, path.with_suffix(f".{kind}").name, flagged=released.flagged)
    if isinstance(released.source, Path):
        return serve_user_file(path)
    found = sniff(released.source.getvalue()[:SNIFFED])
    return serve_released(released, path, found or "application/octet-stream", attachment=found is None)


def _file_of(request: web.Request, output: OutputView) -> Path | None:
    return find_own_file(request, output.filename or "", output.type or "", output.subfolder or "")


def _job(request: web.Request) -> Job:
    """The job that a request names. Raises Refusal 404."""
    job_id = request.match_info["job_id"]
    job = request.app[SERVER].dispatcher.job(job_id) if len(job_id) <= MAX_ID else None
    if job is None or not who(request).sees(job):
        raise Refusal(404, "not_found", f"there is no job {shown(job_id)!r}")
    return job


def _own_job(request: web.Request) -> Job:
    """The job that a request names, to change it. Raises Refusal 404, and 403 if it is somebody else's."""
    job, whose = _job(request), touched(request)
    if whose not in (None, job.owner):
        raise Refusal(403, "not_allowed", f"job {job.id} is not one of {whose}'s; only administrators change it")
    return job


# -- reading -----------------------------------------------------------------------------------------------------


async def list_jobs(request: web.Request) -> web.Response:
    """GET /api/jobs: jobs by ``state`` (several with commas) and ``search``, a page of ``limit`` from ``offset``."""
    server = request.app[SERVER]
    states = _states(request.query.get("state", ""))
    text = request.query.get("search", "")[:MAX_ID]
    limit, offset = whole(request, "limit"), whole(request, "offset")
    limit, offset = 50 if limit is None else limit, offset or 0
    if not (0 <= limit <= MAX_PAGE and 0 <= offset < 2**31):
        raise Refusal(400, "invalid_query", f"limit is 0 to {MAX_PAGE}, offset 0 or more")
    queue, sees = server.dispatcher.queue(), who(request).sees
    live = [(job, None) for job in queue.running] + [(job, place) for place, job in enumerate(queue.pending, 1)]
    fitting = [(job, place) for job, place in live if job.state in states and sees(job)]
    if text:
        fitting = await asyncio.to_thread(_holding, text, fitting)
    shown_live = fitting[offset : offset + limit]
    ended = tuple(each for each in states if each in ENDED)
    search = Search(ended, text, who(request).only, max(0, offset - len(fitting)), limit - len(shown_live))
    page = await asyncio.to_thread(server.dispatcher.find, search)
    listed = [view(server, job, position=place, whole=False) for job, place in shown_live]
    alive = {job.id for job, _ in fitting}
    fresh = [job for job in page.jobs if job.id not in alive]  # a job may have ended while the disk was read
    listed += [view(server, job, whole=False) for job in fresh]
    total = len(fitting) + page.total - (len(page.jobs) - len(fresh))
    return json_response(JobList(listed, total, offset, limit, server.dispatcher.paused, server.dispatcher.at_once))


def _holding(text: str, live: list[tuple[Job, int | None]]) -> list[tuple[Job, int | None]]:
    sought = needle(text).encode()
    return [(job, place) for job, place in live if sought in job.prompt.lower()]


def _states(text: str) -> tuple[State, ...]:
    wanted = [each for each in text.split(",") if each]
    unknown = [each for each in wanted if each not in STATES]
    if unknown:
        raise Refusal(400, "invalid_query", f"state is one of {', '.join(STATES)}; found {shown(unknown[0])!r}")
    return tuple(each for each in STATES if each in wanted) if wanted else STATES


async def read(request: web.Request) -> web.StreamResponse:
    """GET /api/jobs/{job_id}: a job; with ``wait`` when it has ended; its picture for ``Accept: image/png``."""
    return await _answer(request, _job(request))


async def follow(request: web.Request) -> web.StreamResponse:
    """GET /api/jobs/{job_id}/events: what happens to a job, as server-sent events, until it ends."""
    server, job = request.app[SERVER], _job(request)
    with server.board.follow(job.id, who(request).name) as queue:
        if queue is None:
            raise Refusal(503, "too_many_waiting", "too many requests follow jobs; try again later",
                          headers={"Retry-After": "5"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        job = current(server, job)
        await _write(request, response, _event("state", view(server, job, position=position(server, job))))
        clock = asyncio.get_running_loop().time
        told_at = clock()
        while job.state not in ENDED:
            try:
                told = await _next(request, queue, LOOK_SECONDS)
            except (Refusal, ConnectionResetError):  # the token or the client has gone
                return response
            if told is None and clock() - told_at < BEAT_SECONDS:
                continue
            told_at = clock()
            if told is None:
                await _write(request, response, b": alive\n\n")  # for proxies, and clients that watch the time
                continue
            if told[0] == "ended":
                break
            await _write(request, response, _event(*told))
        job = current(server, job)
        await _write(request, response, _event("ended", view(server, job)))
        await response.write_eof()
    return response


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Send a part of a stream. Ends the connection and raises ConnectionResetError if the client does not read."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client does not read") from None


def _event(kind: str, data: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(data, enc_hook=repr))


# -- changing ----------------------------------------------------------------------------------------------------


async def cancel(request: web.Request) -> web.StreamResponse:
    """POST /api/jobs/{job_id}/cancel: stop a job; a running one stops at its next step. 409 if it has ended."""
    server, job = request.app[SERVER], _own_job(request)
    if job.state in ENDED:
        raise Refusal(409, "already_ended", f"job {job.id} has ended: {job.state}")
    await server.dispatcher.cancel(job.id)
    return await _answer(request, current(server, job))


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/jobs/{job_id}: forget an ended job; its pictures stay. 409 if it has not ended."""
    server, job = request.app[SERVER], _own_job(request)
    if job.state not in ENDED:
        raise Refusal(409, "not_ended", f"job {job.id} is {job.state}; cancel it first")
    await server.dispatcher.delete_history([job.id])
    return web.Response(status=204)


async def retry(request: web.Request) -> web.StreamResponse:
    """POST /api/jobs/{job_id}/retry: run an ended job's workflow again, as a new job."""
    server, job = request.app[SERVER], _job(request)
    if job.state not in ENDED:
        raise Refusal(409, "not_ended", f"job {job.id} is {job.state}; it needs no second start yet")
    posted = read_post({
        "prompt": msgspec.json.decode(job.prompt), "client_id": job.client_id,
        "extra_data": msgspec.json.decode(job.extra), "partial_execution_targets": list(job.targets),
    })
    specs, config = await known_specs(server), server.config
    try:
        prepared = await asyncio.to_thread(
            prepare_posted, posted, specs, finder(request), config.metadata != "none", config.previews)
        prepared = await ask_nodes(server, prepared)
        if prepared.problems:
            raise WorkflowError(prepared.problems)
    except WorkflowError as error:
        return problems_response(error.problems, listed=True)
    return await create_job(request, prepared.job)


async def move(request: web.Request) -> web.StreamResponse:
    """PATCH /api/jobs/{job_id}: give a waiting job another place. 409 if it does not wait."""
    server, job = request.app[SERVER], _job(request)
    asked = read_as(dict(await read_object(request)), MoveBody)
    if (asked.position is None) == (asked.number is None):
        raise Refusal(422, "invalid_body", 'give a position or a number: {"position": 1}')
    if asked.number is not None and not abs(asked.number) < 2**53:
        raise Refusal(422, "invalid_body", "number is beyond what a priority may be")
    try:
        if asked.number is not None:
            moved = await server.dispatcher.move(job.id, asked.number)
        else:
            moved = await server.dispatcher.place(job.id, asked.position or 0)
    except (StoreError, sqlite3.Error) as error:
        raise Refusal(503, "not_stored", "the new place cannot be put on disk; the server's log says why") from error
    if moved is None:
        raise Refusal(409, "not_waiting", f"job {job.id} is {current(server, job).state}; only waiting jobs move")
    return await _answer(request, moved)


async def pause(request: web.Request) -> web.Response:
    """POST /api/queue/pause: let what runs end and start nothing more."""
    request.app[SERVER].dispatcher.pause()
    return json_response({"paused": True})


async def resume(request: web.Request) -> web.Response:
    """POST /api/queue/resume: start jobs again."""
    request.app[SERVER].dispatcher.resume()
    return json_response({"paused": False})


async def set_at_once(request: web.Request) -> web.Response:
    """POST /api/queue/at_once: how many jobs a worker carries out at once; 0 for what the command line says."""
    asked = read_as(dict(await read_object(request)), AtOnceBody)
    if not 0 <= asked.jobs <= MOST_AT_ONCE:
        raise Refusal(422, "invalid_body", f"jobs is a number from 0 to {MOST_AT_ONCE}; found {asked.jobs}")
    return json_response({"at_once": request.app[SERVER].dispatcher.set_at_once(asked.jobs)})


ROUTES = (
    Route("POST", "/api/jobs", create, doubled=False),
    Route("POST", "/api/predict", predict, doubled=False),
    Route("GET", "/api/jobs", list_jobs, doubled=False),
    Route("GET", "/api/jobs/{job_id}", read, doubled=False),
    Route("GET", "/api/jobs/{job_id}/events", follow, doubled=False),
    Route("POST", "/api/jobs/{job_id}/cancel", cancel, doubled=False),
    Route("POST", "/api/jobs/{job_id}/retry", retry, doubled=False),
    Route("PATCH", "/api/jobs/{job_id}", move, doubled=False, role="admin"),
    Route("DELETE", "/api/jobs/{job_id}", delete, doubled=False),
    Route("POST", "/api/queue/pause", pause, doubled=False, role="admin"),
    Route("POST", "/api/queue/resume", resume, doubled=False, role="admin"),
    Route("POST", "/api/queue/at_once", set_at_once, doubled=False, role="admin"),
)
