"""The gallery: files that jobs made, found by prompt, model, seed and date; thumbnails; deleted and brought back."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from aiohttp import web

from engine.files.uploads import UploadError
from engine.graph.problems import shown
from engine.jobs.gallery import Kept, Look
from engine.jobs.job import StoreError
from web.access import who
from web.bodies import MAX_ID, whole
from web.errors import Refusal, json_response
from web.gallery import GALLERY, Item, Items
from web.routes import Route
from web.routes.files import GATES, release, serve_bytes
from web.routes.queue import touched
from web.state import SERVER

MAX_PAGE = 200
MAX_NUMBER = 2**63 - 1


async def list_files(request: web.Request) -> web.Response:
    """GET /api/gallery: files by words of ``prompt`` and ``model``, ``seed``, and date (``after``, ``before``)."""
    query, limit, offset = request.query, whole(request, "limit"), whole(request, "offset")
    limit, offset = 50 if limit is None else limit, offset or 0
    if not (0 <= limit <= MAX_PAGE and 0 <= offset < 2**31):
        raise Refusal(400, "invalid_query", f"limit is 0 to {MAX_PAGE}, offset 0 or more")
    trash = query.get("trash", "false")
    if trash not in ("true", "false"):
        raise Refusal(400, "invalid_query", f"trash is true or false; found {shown(trash)!r}")
    look = Look(
        prompt=query.get("prompt", "")[:MAX_ID], model=query.get("model", "")[:MAX_ID], seed=_seed(request),
        after=_date(request, "after"), before=_date(request, "before"), trashed=trash == "true",
        owner=who(request).only, offset=offset, limit=limit)
    server, gallery = request.app[SERVER], request.app[GALLERY]

    def find() -> Items:
        found, total = server.dispatcher.find_outputs(look)
        return Items([gallery.item(each) for each in found], total, offset, limit)

    return json_response(await asyncio.to_thread(find))


def _seed(request: web.Request) -> int | None:
    text = request.query.get("seed", "")
    if not text:
        return None
    if not text.isdecimal() or not text.isascii() or len(text) > 20:
        raise Refusal(400, "invalid_query", f"seed is a whole number; found {shown(text)!r}")
    return int(text)


def _date(request: web.Request, name: str) -> float | None:
    """A time in seconds since the epoch, or a date as in ISO 8601; one without a zone is the server's time."""
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        seconds = float(text) if text.replace(".", "", 1).isdecimal() else datetime.fromisoformat(text).timestamp()
        if 0 <= seconds < 1e11:
            return seconds
    except (ValueError, OverflowError, OSError):
        pass
    raise Refusal(400, "invalid_query", f"{name} is a date like 2026-11-21, or seconds; found {shown(text)!r}")


async def read_file(request: web.Request) -> web.Response:
    """GET /api/gallery/{id}: one file."""
    return await _answer(request, await _kept(request))


async def thumbnail(request: web.Request) -> web.Response:
    """GET /api/gallery/{id}/thumbnail: the file as a small WebP picture; it is made once."""
    kept, gallery = await _kept(request), request.app[GALLERY]
    path = gallery.path(kept)
    if path is None:
        raise _gone(kept)
    released = await release(request, path)
    async with request.app[GATES].decoders:
        try:
            body = await asyncio.to_thread(gallery.thumbnail, kept, released.source)
        except UploadError as error:
            raise Refusal(422, "no_picture", f"{kept.output.filename} is no picture: {error}") from error
    if body is None:
        raise _gone(kept)
    return serve_bytes(body, "image/webp", f"{kept.id}.webp", flagged=released.flagged)


async def delete(request: web.Request) -> web.Response:
    """DELETE /api/gallery/{id}: move a file to the trash folder; one that is there already goes for good."""
    await _own(request)
    server, gallery = request.app[SERVER], request.app[GALLERY]
    async with gallery.making:
        kept = await _kept(request)  # as it is now
        if kept.trashed is not None:
            await _do(lambda: gallery.remove(kept), kept)
            await _noted(server.dispatcher.forget_output(kept.id))
        else:
            await _do(lambda: gallery.discard(kept), kept)
            await _noted(server.dispatcher.trash_output(kept.id, time.time()))
    return web.Response(status=204)


async def restore(request: web.Request) -> web.Response:
    """POST /api/gallery/{id}/restore: move a file back from the trash folder. 409 if it is not there."""
    await _own(request)
    server, gallery = request.app[SERVER], request.app[GALLERY]
    async with gallery.making:
        kept = await _kept(request)
        if kept.trashed is None:
            raise Refusal(409, "not_deleted", f"{kept.output.filename} is not deleted")
        await _do(lambda: gallery.restore(kept), kept)
        await _noted(server.dispatcher.trash_output(kept.id, None))
    return await _answer(request, await _kept(request))


async def _answer(request: web.Request, kept: Kept) -> web.Response:
    item: Item = await asyncio.to_thread(request.app[GALLERY].item, kept)
    return json_response(item)


async def _kept(request: web.Request) -> Kept:
    """The file that a request names. Raises Refusal 404."""
    text, dispatcher = request.match_info["id"], request.app[SERVER].dispatcher
    kept = None
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MAX_NUMBER:
        kept = await asyncio.to_thread(dispatcher.output, int(text), who(request).only)
    if kept is None:
        raise Refusal(404, "not_found", f"the gallery has no file {shown(text)!r}")
    return kept


async def _own(request: web.Request) -> Kept:
    """The same, to change it. Raises Refusal 403 if somebody else's job delivered it, too or alone."""
    kept, whose = await _kept(request), touched(request)
    if whose is not None:
        owners = await asyncio.to_thread(request.app[SERVER].dispatcher.output_owners, kept.id)
        if owners != [whose]:
            message = f"{kept.output.filename} is not only {whose}'s; an administrator may delete it"
            raise Refusal(403, "not_allowed", message)
    return kept


async def _do(work: Callable[[], None], kept: Kept) -> None:
    try:
        await asyncio.to_thread(work)
    except FileExistsError:
        name = kept.output.filename
        raise Refusal(409, "name_taken", f"there is a file {name} again; move it away first") from None
    except FileNotFoundError:
        raise _gone(kept) from None
    except OSError as error:
        raise Refusal(507, "not_stored", f"the disk refuses it: {error.strerror}") from error


async def _noted(writing: Awaitable[None]) -> None:
    try:
        await writing
    except (sqlite3.Error, StoreError) as error:
        raise Refusal(503, "not_stored", "the change cannot be put on disk; the server's log says why") from error


def _gone(kept: Kept) -> Refusal:
    return Refusal(404, "not_found", f"{kept.output.filename} is not there any more; somebody took it away")


ROUTES = (
    Route("GET", "/api/gallery", list_files, doubled=False),
    Route("GET", "/api/gallery/{id}", read_file, doubled=False),
    Route("GET", "/api/gallery/{id}/thumbnail", thumbnail, doubled=False),
    Route("DELETE", "/api/gallery/{id}", delete, doubled=False),
    Route("POST", "/api/gallery/{id}/restore", restore, doubled=False),
)
