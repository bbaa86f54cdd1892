"""What node packs bring for front-ends: scripts, workflows to start from, translations. Only of packs that are on.

Routes that packs want to answer are refused.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from engine.files.contain import OutsideError, contain
from engine.messages.protocol import Pack
from web.errors import Handler, Refusal
from web.state import SERVER, Server

log = logging.getLogger(__name__)

TEMPLATES = ("example_workflows", "example", "examples", "workflow", "workflows")  # the first that there is
LOCALES, MAIN = "locales", "main.json"
UNDER_A_NAME = ("nodeDefs", "commands", "settings")  # files of a language that have a key of their own
MAX_FILES = 5_000
MAX_TEXTS = 4 * 2**20  # bytes of a file of translations


def packs_of(server: Server) -> Mapping[str, Pack]:
    """The packs that the worker has imported, by name."""
    ready = server.dispatcher.specs
    return {each.name: each for each in ready.packs} if ready is not None else {}


@web.middleware
async def refuse_pack_routes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say of a route that a pack wanted to answer, and nobody else does, that packs get none here: 501."""
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed, Refusal) as error:
        ready = request.app[SERVER].dispatcher.specs
        routes = ready.pack_routes if ready is not None else ()
        if error.status not in (404, 405) or not wanted(routes, request.method, request.path):
            raise
    raise Refusal(
        501, "pack_route",
        f"{request.method} {request.path[:200]}: a node pack wants to answer this itself, and Easel's server runs no"
        " code of packs; the pack's nodes work, what it adds to the editor by this route does not",
    )


def wanted(routes: Iterable[tuple[str, str]], method: str, path: str) -> bool:
    """Whether one of the routes, as aiohttp writes them, is meant by a path or by ``/api`` and it.

    >>> routes = (("GET", "/a/{name}"), ("*", "/b/{rest:.*}"))
    >>> [wanted(routes, "GET", each) for each in ("/a/x", "/api/a/x", "/a/x/y", "/b/x/y", "/a")]
    [True, True, False, True, False]
    """
    return any(
        kind in ("*", method) and re.fullmatch(rf"(?:/api)?{_pattern(route)}", path) for kind, route in routes
    )


@cache
def _pattern(route: str) -> str:
    parts = re.split(r"(\{[^{}]*\})", route)
    return "".join(
        re.escape(part) if not part.startswith("{") else ".*" if ":" in part else "[^/]+" for part in parts
    )


def scripts(packs: Iterable[Pack]) -> list[str]:
    """The addresses of the scripts that front-ends load. Blocks, as all here do."""
    return [
        f"/extensions/{quote(pack.name)}/{quote(path.relative_to(pack.web).as_posix())}"
        for pack in packs if pack.web is not None for path in sorted(Path(pack.web).rglob("*.js"))[:MAX_FILES]
    ]


def find_script(packs: Mapping[str, Pack], name: str) -> Path | None:
    """The file of a pack that ``PACK/path`` means; None if there is none, or it leads outside."""
    pack = packs.get(name.partition("/")[0])
    return _inside(Path(pack.web), name.partition("/")[2]) if pack is not None and pack.web is not None else None


def templates(packs: Iterable[Pack]) -> dict[str, list[str]]:
    """The names of the workflows that packs bring, by pack."""
    found = {pack.name: sorted(path.stem for path in folder.glob("*.json"))
             for pack in packs if (folder := _template_folder(pack)) is not None}
    return {name: names for name, names in found.items() if names}


def find_template(packs: Mapping[str, Pack], pack: str, name: str) -> Path | None:
    """The file of a pack's workflow, or its picture."""
    folder = _template_folder(packs[pack]) if pack in packs else None
    return _inside(folder, name) if folder is not None else None


def _template_folder(pack: Pack) -> Path | None:
    return next((folder for each in TEMPLATES if (folder := Path(pack.folder) / each).is_dir()), None)


def translations(packs: Iterable[Pack]) -> dict[str, Any]:
    """What packs translate: language → texts, those of later packs over those of earlier ones."""
    found: dict[str, Any] = {}
    for pack in packs:
        folder = Path(pack.folder) / LOCALES
        for language in sorted(folder.iterdir()) if folder.is_dir() else ():
            texts = {name: read for name in UNDER_A_NAME if (read := _texts(folder, language, f"{name}.json"))}
            _merge(found.setdefault(language.name, {}), {**_texts(folder, language, MAIN), **texts})
    return {language: texts for language, texts in found.items() if texts}


def _texts(folder: Path, language: Path, name: str) -> dict[str, Any]:
    path = _inside(folder, f"{language.name}/{name}")
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_TEXTS), type=dict[str, Any])  # cut short, it is no JSON
    except (msgspec.DecodeError, RecursionError, OSError) as error:
        log.warning("%s: the translations cannot be read: %s", path, error)
        return {}


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _inside(folder: Path, name: str) -> Path | None:
    try:
        path = contain(folder, name)
    except OutsideError:
        return None
    return path if path.is_file() else None
