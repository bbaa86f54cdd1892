"""The server, put together: routes, checks, sockets. Imports no torch and nothing heavy; it answers at once."""

from __future__ import annotations

import logging
from pathlib import Path

from aiohttp import web

from engine.files.folders import Folders
from web.board import Board
from web.errors import answer_errors
from web.gate import GATE, Gate
from web.listings import Listings
from web.logbook import LogBook
from web.recipes import Recipes
from web.routes import (
    Route,
    docs,
    doors,
    files,
    internal,
    jobs,
    models,
    nodes,
    pages,
    prompt,
    queue,
    system,
    templates,
    userdata,
    workflows,
)
from web.security import add_headers, guard, listen_addresses
from web.socket import Hub
from web.specs import SpecStore, source_key
from web.state import SERVER, Dispatcher, Server, WebConfig

log = logging.getLogger(__name__)

ROUTES: tuple[Route, ...] = (
    *prompt.ROUTES, *queue.ROUTES, *nodes.ROUTES, *files.ROUTES, *system.ROUTES,
    *models.ROUTES, *userdata.ROUTES, *templates.ROUTES, *internal.ROUTES, *jobs.ROUTES, *workflows.ROUTES,
    *docs.ROUTES, *doors.ROUTES,
)
ROOT = Path(__file__).resolve().parent.parent
MAX_HEADER = 16 * 2**10  # bytes of the request line and of a header
KEEP_ALIVE = 75.0
LINGER_SECONDS = 2.0  # for reading what a refused client still sends, so that it sees the refusal
SHUTDOWN_SECONDS = 5.0


def make_app(
    config: WebConfig, dispatcher: Dispatcher, folders: Folders, specs_cache: Path, *, root: Path = ROOT
) -> web.Application:
    """Make the application.

    specs_cache: the file that keeps the node specifications between runs. root: where the node sources are.
    The caller starts and stops the dispatcher.
    """
    app = web.Application(client_max_size=config.max_upload, middlewares=[answer_errors, guard])
    listings = Listings(folders)
    hub = Hub(dispatcher.remaining)
    specs = SpecStore(dispatcher, specs_cache, source_key(root))
    board = Board()
    app[SERVER] = Server(config, dispatcher, listings, specs, hub, board)
    dispatcher.recipes_by(Recipes(config.metadata))
    app[nodes.NODE_INFO] = nodes.NodeInfo(listings)
    app[files.GATES] = files.Gates()
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

    async def start(_: web.Application) -> None:
        dispatcher.subscribe(hub.tell)
        dispatcher.subscribe(board.tell)
        book.open()

    async def close_sockets(_: web.Application) -> None:
        board.close()
        await hub.close()

    async def clean_up(_: web.Application) -> None:
        book.close()
        await specs.close()

    app[GATE] = gate = Gate()

    async def stop_watching(_: web.Application) -> None:
        gate.close()

    app.on_startup.append(start)
    app.on_shutdown.append(stop_watching)
    app.on_shutdown.append(close_sockets)
    app.on_cleanup.append(clean_up)
    return app


async def start(app: web.Application) -> tuple[web.AppRunner, list[str]]:
    """Listen; gives the runner, whose ``cleanup()`` ends it, and the addresses (port 0 takes a free one).

    Raises ValueError if ``--listen`` names no loopback address, and OSError that says which port is taken.
    """
    config = app[SERVER].config
    addresses = listen_addresses(config.host, config.token)
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
            site = web.TCPSite(runner, address, port, ssl_context=config.tls)
            await site.start()
            found = runner.addresses[-1]
            port = found[1]
            scheme = "https" if config.tls else "http"
            urls.append(f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}")
    except OSError as error:
        await runner.cleanup()
        raise OSError(
            error.errno, f"cannot listen on {config.host} port {port}: {error.strerror}; choose another with --port"
        ) from error
    app[GATE].watch(runner)
    return runner, urls
