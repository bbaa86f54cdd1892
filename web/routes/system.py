"""What the machine is and has: memory, devices, models, features."""

from __future__ import annotations

import asyncio
import platform
import re
import sys
from collections.abc import Iterable

from aiohttp import web

from engine.files.folders import ALIASES
from engine.graph.problems import nearest, shown
from web.bodies import flag, read_object
from web.errors import Refusal, json_response
from web.routes import Route
from web.socket import features, websocket
from web.state import SERVER

PROTOCOL_VERSION = "0.3.64"  # of ComfyUI: clients read from it what they may ask for
SECRET = re.compile(r"(?i)(token|password|secret|key|auth)")


def redact(argv: Iterable[str]) -> list[str]:
    """The command line without the values of options that name a secret.

    >>> redact(["server.py", "--api-token", "abc", "--port=1", "--password=x"])
    ['server.py', '--api-token', '***', '--port=1', '--password=***']
    """
    shown_words: list[str] = []
    hide_next = False
    for word in argv:
        name, equals, _ = word.partition("=")
        is_secret = name.startswith("-") and bool(SECRET.search(name))
        if hide_next and not word.startswith("-"):
            shown_words.append("***")
        else:
            shown_words.append(f"{name}=***" if is_secret and equals else word)
        hide_next = is_secret and not equals
    return shown_words


async def get_system_stats(request: web.Request) -> web.Response:
    """GET /system_stats: the system and its devices; memory in bytes."""
    import psutil

    server = request.app[SERVER]
    memory = psutil.virtual_memory()
    ready = server.dispatcher.specs
    return json_response({
        "system": {
            "os": platform.system().lower() if sys.platform != "linux" else "posix",
            "ram_total": memory.total, "ram_free": memory.available,
            "comfyui_version": PROTOCOL_VERSION, "easel_version": server.config.version,
            "required_frontend_version": "", "installed_templates_version": "", "required_templates_version": "",
            "python_version": sys.version, "pytorch_version": ready.versions.get("torch", "") if ready else "",
            "embedded_python": False, "argv": redact(server.config.argv),
        },
        "devices": [
            {
                "name": each.name, "type": each.type, "index": each.index, "vram_total": each.total,
                "vram_free": each.free, "torch_vram_total": each.torch_total, "torch_vram_free": each.torch_free,
            }
            for each in server.dispatcher.devices
        ],
    })


async def get_features(request: web.Request) -> web.Response:
    """GET /features: what this server can do."""
    return json_response(features(request.app[SERVER].config.max_upload))


async def get_models(request: web.Request) -> web.Response:
    """GET /models: the names of the model folders."""
    return json_response(list(request.app[SERVER].files.folders.models))


async def get_model_files(request: web.Request) -> web.Response:
    """GET /models/{folder}: the files in a model folder; 404 if there is no such folder."""
    name = request.match_info["folder"]
    files = request.app[SERVER].files
    known = files.folders.models
    if ALIASES.get(name, name) not in known:
        raise Refusal(404, "not_found", f"no model folder is called {shown(name)!r}{nearest(name, known)}")
    return json_response(await asyncio.to_thread(files.list, name))


async def get_embeddings(request: web.Request) -> web.Response:
    """GET /embeddings: the names of the embeddings, without extensions."""
    names = await asyncio.to_thread(request.app[SERVER].files.list, "embeddings")
    return json_response([name.rpartition(".")[0] or name for name in names])


async def free(request: web.Request) -> web.Response:
    """POST /free: give memory back, and say how much; what running jobs use follows when they have ended."""
    data = await read_object(request)
    freed = await request.app[SERVER].dispatcher.free(
        models=flag(data, "unload_models"), cache=flag(data, "free_memory")
    )
    return json_response({"freed": freed})


ROUTES = (
    Route("GET", "/ws", websocket),
    Route("GET", "/system_stats", get_system_stats),
    Route("GET", "/features", get_features),
    Route("GET", "/models", get_models),
    Route("GET", "/models/{folder}", get_model_files),
    Route("GET", "/embeddings", get_embeddings),
    Route("POST", "/free", free, role="admin"),
)
