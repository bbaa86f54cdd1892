"""The queue and the history, and what stops or clears them."""

from __future__ import annotations

import msgspec
from aiohttp import web

from engine.jobs.history import item_json
from web.bodies import MAX_ID, flag, ids, read_object, text, whole
from web.errors import json_response, raw_json
from web.routes import Route
from web.state import SERVER


async def get_queue(request: web.Request) -> web.Response:
    """GET /queue: every job that is not ended."""
    queue = request.app[SERVER].dispatcher.queue()
    return json_response({
        "queue_running": [msgspec.Raw(item_json(job)) for job in queue.running],
        "queue_pending": [msgspec.Raw(item_json(job)) for job in queue.pending],
    })


async def post_queue(request: web.Request) -> web.Response:
    """POST /queue: drop waiting jobs, all or those named."""
    dispatcher = request.app[SERVER].dispatcher
    data = await read_object(request)
    clear, delete = flag(data, "clear"), ids(data, "delete")
    if clear:
        await dispatcher.clear_pending()
    if delete:
        await dispatcher.delete_pending(delete)
    return web.Response()


async def interrupt(request: web.Request) -> web.Response:
    """POST /interrupt: stop the running job, or the one named if it is the running one."""
    data = await read_object(request)
    request.app[SERVER].dispatcher.interrupt(text(data, "prompt_id"))
    return web.Response()


async def get_history(request: web.Request) -> web.Response:
    """GET /history: ended jobs, the whole or a window of it."""
    max_items, offset = whole(request, "max_items"), whole(request, "offset")
    # ComfyUI's clients say -1 where they mean nothing.
    wanted = None if max_items is None or max_items < 0 else max_items
    start = None if offset is None or offset < 0 else offset
    return raw_json(request.app[SERVER].dispatcher.history_json(wanted, start))


async def get_history_item(request: web.Request) -> web.Response:
    """GET /history/{prompt_id}: one ended job, or ``{}``."""
    job_id = request.match_info["prompt_id"]
    if len(job_id) > MAX_ID:
        return raw_json(b"{}")
    return raw_json(request.app[SERVER].dispatcher.history_item(job_id))


async def post_history(request: web.Request) -> web.Response:
    """POST /history: forget ended jobs, all or those named."""
    dispatcher = request.app[SERVER].dispatcher
    data = await read_object(request)
    clear, delete = flag(data, "clear"), ids(data, "delete")
    if clear:
        await dispatcher.clear_history()
    if delete:
        await dispatcher.delete_history(delete)
    return web.Response()


ROUTES = (
    Route("GET", "/queue", get_queue),
    Route("POST", "/queue", post_queue),
    Route("POST", "/interrupt", interrupt),
    Route("GET", "/history", get_history),
    Route("POST", "/history", post_history),
    Route("GET", "/history/{prompt_id}", get_history_item),
)
