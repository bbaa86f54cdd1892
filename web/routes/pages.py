"""The editor: its built files, or a plain page while it is not built."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from engine.files.contain import OutsideError, contain
from web.errors import Refusal
from web.packs import find_script, packs_of
from web.security import PAGE
from web.state import SERVER

TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
    ".json": "application/json", ".map": "application/json", ".svg": "image/svg+xml", ".png": "image/png",
    ".ico": "image/x-icon", ".webp": "image/webp", ".woff2": "font/woff2", ".wasm": "application/wasm",
    ".txt": "text/plain", ".webmanifest": "application/manifest+json",
}
EXTENSIONS = "extensions/"
WELCOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Easel</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>
<h1>Easel</h1>
<p>A node-graph workflow engine for Stable Diffusion 1.x and 2.x. The server is running; its editor is not built.</p>
<p>Programs speak ComfyUI's protocol with it: <a href="/system_stats">/system_stats</a>,
<a href="/object_info">/object_info</a>, <a href="/queue">/queue</a>, <a href="/history">/history</a>, and
<code>POST /prompt</code> for a workflow.</p>
"""


async def page(request: web.Request) -> web.StreamResponse:
    """GET / and the files of the built editor, and of node packs' scripts; nothing else is served from disk here."""
    root = request.app[SERVER].config.ui
    name = request.match_info["path"] or "index.html"
    path = await asyncio.to_thread(_find, root, name)
    if path is None and name.startswith(EXTENSIONS):
        path = await asyncio.to_thread(find_script, packs_of(request.app[SERVER]), name.removeprefix(EXTENSIONS))
        path = path if path is not None and path.suffix in TYPES else None
    headers = {"Content-Security-Policy": PAGE}
    if path is not None:
        return web.FileResponse(path, headers={**headers, "Content-Type": TYPES[path.suffix]})
    if name == "index.html":
        return web.Response(text=WELCOME, content_type="text/html", charset="utf-8", headers=headers)
    raise Refusal(404, "not_found", f"there is no {request.path[:100]!r} here; /docs lists what there is")


def _find(root: Path, name: str) -> Path | None:
    try:
        path = contain(root, name)
    except OutsideError:
        return None
    return path if path.suffix in TYPES and path.is_file() else None
