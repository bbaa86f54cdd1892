"""The server, put together: routes, checks, sockets. Imports no torch and nothing heavy; it answers at once."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from aiohttp import web

from engine.files.folders import Folders
from web.access import ACCESS, Access
from web.board import Board
from web.bodies import CONTROL_BODY, ROOM, ROOM_BODIES, Room
from web.errors import Handler, answer_errors
from web.gallery import GALLERY, Gallery
from web.gate import GATE, Gate
from web.listings import Listings
from web.logbook import LogBook
from web.metrics import METRICS, Metrics
from web.packs import refuse_pack_routes
from web.recipes import Recipes
from web.routes import (
    Route,
    docs,
    doors,
    files,
    gallery,
    internal,
    jobs,
    models,
    nodes,
    operations,
    pages,
    prompt,
    queue,
    system,
    templates,
    userdata,
    workflows,
)
from web.security import WANTED, add_headers, guard, listen_addresses
from web.socket import Hub
from web.specs import SpecStore, source_key
from web.state import SERVER, Dispatcher, Server, WebConfig
from web.webhooks import Webhooks

log = logging.getLogger(__name__)

ROUTES: tuple[Route, ...] = (
    *prompt.ROUTES, *queue.ROUTES, *nodes.ROUTES, *files.ROUTES, *system.ROUTES,
    *models.ROUTES, *userdata.ROUTES, *templates.ROUTES, *internal.ROUTES, *jobs.ROUTES, *workflows.ROUTES,
    *docs.ROUTES, *doors.ROUTES, *operations.ROUTES, *gallery.ROUTES,
)
ROOT = Path(__file__).resolve().parent.parent
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})  # other words are not kept
MAX_HEADER = 16 * 2**10  # bytes of the request line and of a header
KEEP_ALIVE = 75.0
LINGER_SECONDS = 2.0  # for reading what a refused client still sends, so that it sees the refusal
SHUTDOWN_SECONDS = 5.0


def make_app(
    config: WebConfig, dispatcher: Dispatcher, folders: Folders, specs_cache: Path, *, root: Path = ROOT,
    access: Access | None = None,
) -> web.Application:
    """Make the application.

    specs_cache: the file that keeps the node specifications between runs. root: where the node sources are.
    access: the tokens; without it, that of the configuration.
    The caller starts and stops the dispatcher.
    """
    around = [count, answer_errors, guard, refuse_pack_routes]
    app = web.Application(client_max_size=config.max_upload, middlewares=around)
    listings = Listings(folders)
    hub = Hub(dispatcher.remaining)
    specs = SpecStore(dispatcher, specs_cache, source_key(root))
    board = Board()
    app[ACCESS] = access or Access(config.token)
    app[WANTED] = {route.handler: route.wanted() for route in ROUTES}
    app[SERVER] = Server(config, dispatcher, listings, specs, hub, board)
    dispatcher.recipes_by(Recipes(config.metadata))
    app[METRICS] = metrics = Metrics(tell_jobs=config.tell_jobs)
    data = config.data or folders.user.parent
    app[GALLERY] = Gallery(folders, data / "trash", data / "cache" / "thumbnails")
    dispatcher.described_by(app[GALLERY].describe)
    app[nodes.NODE_INFO] = nodes.NodeInfo(listings)
    app[files.GATES] = files.Gates()
    app[ROOM] = Room(ROOM_BODIES * max(config.max_upload, CONTROL_BODY))
    app[doors.CHOSEN] = doors.Chosen()
    app[userdata.USERS] = userdata.make_users(folders.user, multi=config.multi_user)
    app[internal.LOGS] = book = LogBook(hub)
    for route in ROUTES:
        for path in route.paths():
            # A GET answers HEAD too.
            if route.method == "GET":
                app.router.add_get(path, route.handler)
            else:
                app.router.add_route(route.method, path, route.handler)
    app.router.add_get("/{path:.*}", pages.page)
    app.on_response_prepare.append(add_headers)

    hooks = None
    if config.webhook_hosts is not None:
        hooks = Webhooks(app[SERVER], config.webhook_hosts, config.webhook_secret)

    async def start(_: web.Application) -> None:
        dispatcher.subscribe(hub.tell)
        dispatcher.subscribe(board.tell)
        dispatcher.subscribe(metrics.tell)
        if hooks is not None:
            dispatcher.subscribe(hooks.tell)
            hooks.start()
        book.open()

    async def close_sockets(_: web.Application) -> None:
        board.close()
        await hub.close()

    async def clean_up(_: web.Application) -> None:
        book.close()
        if hooks is not None:
            await hooks.stop()
        await specs.close()

    app[GATE] = gate = Gate(app[ACCESS].look)
    app[ACCESS].changed = lambda: hub.expel(app[ACCESS].knows)

    async def stop_watching(_: web.Application) -> None:
        gate.close()

    app.on_startup.append(start)
    app.on_shutdown.append(stop_watching)
    app.on_shutdown.append(close_sockets)
    app.on_cleanup.append(clean_up)
    return app


@web.middleware
async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the answers, by method and status."""
    method, status = request.method if request.method in METHODS else "other", "gone"
    try:
        response = await handler(request)
        status = str(response.status)
        return response
    except web.HTTPException as answer:
        status = str(answer.status)
        raise
    finally:
        request.app[METRICS].requests[method, status] += 1


async def start(app: web.Application, tls: ssl.SSLContext | None = None) -> tuple[web.AppRunner, list[str]]:
    """Listen; gives the runner, whose ``cleanup()`` ends it, and the addresses (port 0 takes a free one).

    tls: serves HTTPS. Raises ValueError if ``--listen`` names no loopback address and no token is asked for, and
    OSError that says which port is taken.
    """
    config = app[SERVER].config
    addresses = listen_addresses(config.host, app[ACCESS].needed)
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, auto_decompress=False, keepalive_timeout=KEEP_ALIVE,
        shutdown_timeout=SHUTDOWN_SECONDS, lingering_time=LINGER_SECONDS, max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
    )
    await runner.setup()
    urls: list[str] = []
    port = config.port
    try:
        for address in addresses:
            site = web.TCPSite(runner, address, port, ssl_context=tls)
            await site.start()
            found = runner.addresses[-1]
            port = found[1]
            host = f"[{address}]" if ":" in address else address
            urls.append(f"http{'s' if tls else ''}://{host}:{port}")
    except OSError as error:
        await runner.cleanup()
        raise OSError(
            error.errno, f"cannot listen on {config.host} port {port}: {error.strerror}; choose another with --port"
        ) from error
    app[GATE].watch(runner)
    return runner, urls
