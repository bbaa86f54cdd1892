"""The description of the API, for programs and for people."""

from __future__ import annotations

from functools import cache

from aiohttp import web

from web import openapi
from web.errors import json_response
from web.routes import Route
from web.security import PAGE
from web.state import SERVER


@cache
def described(version: str) -> dict[str, object]:
    """The description of all routes."""
    from web.app import ROUTES  # the routes below are among them

    return openapi.document(ROUTES, version)


async def get_document(request: web.Request) -> web.Response:
    """GET /openapi.json: the API as OpenAPI 3.1."""
    return json_response(described(request.app[SERVER].config.version))


async def get_page(request: web.Request) -> web.Response:
    """GET /docs: the API as a page to read."""
    text = openapi.page(described(request.app[SERVER].config.version))
    return web.Response(
        text=text, content_type="text/html", charset="utf-8", headers={"Content-Security-Policy": PAGE})


ROUTES = (
    Route("GET", "/openapi.json", get_document, doubled=False),
    Route("GET", "/docs", get_page, doubled=False),
)
