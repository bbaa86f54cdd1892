"""The queue and the history, and what stops or clears them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from aiohttp import web

from engine.jobs.history import item_json
from web.access import who
from web.bodies import MAX_ID, flag, ids, read_object, text, whole
from web.errors import json_response, raw_json
from web.routes import Route
from web.state import SERVER


async def get_queue(request: web.Request) -> web.Response:
    """GET /queue: every job that is not ended."""
    queue, sees = request.app[SERVER].dispatcher.queue(), who(request).sees
    return json_response({
        "queue_running": [msgspec.Raw(item_json(job)) for job in queue.running if sees(job)],
        "queue_pending": [msgspec.Raw(item_json(job)) for job in queue.pending if sees(job)],
    })


async def post_queue(request: web.Request) -> web.Response:
    """POST /queue: drop waiting jobs, all or those named."""
    dispatcher = request.app[SERVER].dispatcher
    data = await read_object(request)
    clear, delete = flag(data, "clear"), ids(data, "delete")
    if clear:
        await dispatcher.clear_pending(touched(request))
    if delete:
        await dispatcher.delete_pending(own(request, delete))
    return web.Response()


async def interrupt(request: web.Request) -> web.Response:
    """POST /interrupt: stop the running job, of several the one that has run longest, or the one named if it runs."""
    data = await read_object(request)
    stop_running(request, text(data, "prompt_id"))
    return web.Response()


def stop_running(request: web.Request, job_id: str | None = None) -> None:
    """Stop a job that runs and is the request's to stop: the one that has run longest, or the job named."""
    dispatcher, whose = request.app[SERVER].dispatcher, touched(request)
    if whose is None:
        dispatcher.interrupt(job_id)
        return
    own = [job.id for job in dispatcher.queue().running if job.owner == whose]
    for each in own[:1] if job_id is None else [job_id] if job_id in own else []:
        dispatcher.interrupt(each)


def touched(request: web.Request) -> str | None:
    """Whose jobs the request may change; None is everybody's. Only administrators touch those of others."""
    identity = who(request)
    return None if identity.may("admin") else identity.name


def own(request: web.Request, wanted: Sequence[str]) -> Sequence[str]:
    """Those of the jobs that the request may change."""
    whose = touched(request)
    if whose is None:
        return wanted
    jobs = (request.app[SERVER].dispatcher.job(each) for each in wanted)
    return [job.id for job in jobs if job is not None and job.owner == whose]


async def get_history(request: web.Request) -> web.Response:
    """GET /history: ended jobs, the whole or a window of it."""
    max_items, offset = whole(request, "max_items"), whole(request, "offset")
    # ComfyUI's clients say -1 where they mean nothing.
    wanted = None if max_items is None or max_items < 0 else max_items
    start = None if offset is None or offset < 0 else offset
    return raw_json(await request.app[SERVER].dispatcher.history(wanted, start, who(request).only))


async def get_history_item(request: web.Request) -> web.Response:
    """GET /history/{prompt_id}: one ended job, or ``{}``."""
    job_id = request.match_info["prompt_id"]
    dispatcher = request.app[SERVER].dispatcher
    if len(job_id) > MAX_ID or not may_see(request, job_id):
        return raw_json(b"{}")
    return raw_json(dispatcher.history_item(job_id))


def may_see(request: web.Request, job_id: str) -> bool:
    """Whether the request may know of a job. Nobody is asked about who sees all, for clients poll this."""
    identity = who(request)
    if identity.sees_all:
        return True
    job = request.app[SERVER].dispatcher.job(job_id)
    return job is not None and identity.sees(job)


async def post_history(request: web.Request) -> web.Response:
    """POST /history: forget ended jobs, all or those named."""
    dispatcher = request.app[SERVER].dispatcher
    data = await read_object(request)
    clear, delete = flag(data, "clear"), ids(data, "delete")
    if clear:
        await dispatcher.clear_history(touched(request))
    if delete:
        await dispatcher.delete_history(own(request, delete))
    return web.Response()


ROUTES = (
    Route("GET", "/queue", get_queue),
    Route("POST", "/queue", post_queue),
    Route("POST", "/interrupt", interrupt),
    Route("GET", "/history", get_history),
    Route("POST", "/history", post_history),
    Route("GET", "/history/{prompt_id}", get_history_item),
)
