"""For those who operate the server: is it alive, is it ready, how much does it do."""

from __future__ import annotations

import msgspec
from aiohttp import web

from web.errors import json_response
from web.metrics import METRICS, exposition, is_ready
from web.routes import Route
from web.state import SERVER


class Health(msgspec.Struct, frozen=True):
    """How the server is: ``ok``, or why not."""

    status: str


async def health(request: web.Request) -> web.Response:
    """GET /health: 200 while the server answers at all; for a supervisor that starts it again. Needs no token."""
    return json_response(Health("ok"))


async def ready(request: web.Request) -> web.Response:
    """GET /ready: 200 if jobs are taken, 503 while nodes are loaded and before the end. Needs no token."""
    server = request.app[SERVER]
    if is_ready(server):
        return json_response(Health("ok"))
    status = "stopping" if server.dispatcher.draining else "loading nodes"
    return json_response(Health(status), status=503, headers={"Retry-After": "5"})


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: figures in Prometheus's text format."""
    body = exposition(request.app[SERVER], request.app[METRICS])
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


ROUTES = (
    Route("GET", "/health", health, doubled=False, role="anybody"),
    Route("GET", "/ready", ready, doubled=False, role="anybody"),
    Route("GET", "/metrics", metrics, doubled=False),
)
