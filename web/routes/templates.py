"""What front-ends ask for: workflows to start from, translations, extensions."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from engine.files.contain import OutsideError, contain
from engine.graph.problems import shown
from web import packs
from web.errors import Refusal, json_response
from web.routes import Route
from web.routes.files import serve_user_file
from web.state import SERVER

PACK = "easel"
SERVED = frozenset({".json", ".jpg", ".png", ".webp"})
MAX_EXTENSIONS = 5_000


async def get_templates(request: web.Request) -> web.Response:
    """GET /workflow_templates: the names of the workflows that come with Easel and with node packs, by pack."""
    server = request.app[SERVER]
    names = await asyncio.to_thread(_names, server.config.templates)
    others = await asyncio.to_thread(packs.templates, packs.packs_of(server).values())
    return json_response({**others, **({PACK: names} if names else {})})


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json"))


async def get_template(request: web.Request) -> web.StreamResponse:
    """GET /workflow_templates/{pack}/{name}: a workflow file, or its picture."""
    server, pack, name = request.app[SERVER], request.match_info["pack"], request.match_info["name"]
    if pack == PACK:
        path = await asyncio.to_thread(_find, server.config.templates, name)
    else:
        path = await asyncio.to_thread(packs.find_template, packs.packs_of(server), pack, name)
    if path is None or path.suffix not in SERVED:
        raise Refusal(404, "not_found", f"there is no template {shown(name)!r}")
    return serve_user_file(path)


def _find(folder: Path, name: str) -> Path | None:
    try:
        path = contain(folder, name)
    except OutsideError:
        return None
    return path if path.is_file() else None


async def get_translations(request: web.Request) -> web.Response:
    """GET /i18n: what node packs translate, by language."""
    found = packs.packs_of(request.app[SERVER]).values()
    return json_response(await asyncio.to_thread(packs.translations, found))


async def get_extensions(request: web.Request) -> web.Response:
    """GET /extensions: the scripts that the front-end in use brings along, and those of node packs."""
    server = request.app[SERVER]
    await server.specs.wait(server.config.spec_wait)  # where packs are on, the worker is waited for: it knows them
    own = await asyncio.to_thread(_scripts, server.config.ui)
    return json_response(own + await asyncio.to_thread(packs.scripts, packs.packs_of(server).values()))


def _scripts(root: Path) -> list[str]:
    found = sorted((root / "extensions").rglob("*.js"))[:MAX_EXTENSIONS]
    return [f"/{path.relative_to(root).as_posix()}" for path in found]


ROUTES = (
    Route("GET", "/workflow_templates", get_templates),
    Route("GET", "/workflow_templates/{pack}/{name}", get_template),
    Route("GET", "/i18n", get_translations),
    Route("GET", "/extensions", get_extensions),
)
