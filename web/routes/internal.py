"""What only front-ends ask for: logs, folders and the files in them. Not part of the public API."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from engine.files.uploads import is_hidden
from engine.graph.problems import shown
from web.access import who
from web.bodies import flag, read_object, text
from web.errors import Refusal, json_response
from web.logbook import SIZE, LogBook
from web.routes import Route
from web.socket import place_of
from web.state import SERVER

LOGS: web.AppKey[LogBook] = web.AppKey("logs", LogBook)
MAX_FILES = 10_000


async def get_logs(request: web.Request) -> web.Response:
    """GET /internal/logs: the last lines, as one text."""
    return json_response("".join(f"{each['t']} - {each['m']}" for each in request.app[LOGS].entries()))


async def get_raw_logs(request: web.Request) -> web.Response:
    """GET /internal/logs/raw: the last lines, each with its time."""
    return json_response({"entries": request.app[LOGS].entries(), "size": SIZE})


async def follow_logs(request: web.Request) -> web.Response:
    """PATCH /internal/logs/subscribe: have a connected client told each line, or no more."""
    data = await read_object(request)
    client, book = text(data, "clientId"), request.app[LOGS]
    if client is None:
        raise Refusal(400, "invalid_body", "clientId is missing: the id that the client's WebSocket was opened with")
    place = place_of(who(request).name, client)
    if not flag(data, "enabled"):
        book.followers.discard(place)
    else:
        book.follow(place)
    return web.Response()


async def get_folder_paths(request: web.Request) -> web.Response:
    """GET /internal/folder_paths: where each kind of model is looked for."""
    models = request.app[SERVER].files.folders.models
    return json_response({name: [str(each) for each in paths] for name, paths in models.items()})


async def get_files(request: web.Request) -> web.Response:
    """GET /internal/files/{directory_type}: the names of the files in input, output or temp, newest first."""
    kind = request.match_info["directory_type"]
    folder = request.app[SERVER].files.folders.files_kind(kind)
    if folder is None:
        raise Refusal(400, "invalid_path", f"the folder is input, output or temp; found {shown(kind)!r}")
    return json_response(await asyncio.to_thread(_newest, folder))


def _newest(folder: Path) -> list[str]:
    found: list[tuple[float, str]] = []
    for path in folder.glob("*"):
        try:
            if path.is_file() and not is_hidden(path.name):
                found.append((-path.stat().st_mtime, path.name))
        except OSError:  # it has just gone
            continue
    return [name for _, name in sorted(found)[:MAX_FILES]]


ROUTES = (
    Route("GET", "/internal/logs", get_logs, doubled=False, role="admin"),
    Route("GET", "/internal/logs/raw", get_raw_logs, doubled=False, role="admin"),
    Route("PATCH", "/internal/logs/subscribe", follow_logs, doubled=False, role="admin"),
    Route("GET", "/internal/folder_paths", get_folder_paths, doubled=False, role="admin"),
    Route("GET", "/internal/files/{directory_type}", get_files, doubled=False, role="admin"),
)
