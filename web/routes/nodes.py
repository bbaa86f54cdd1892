"""GET /object_info: what nodes there are. Clients poll it, so its bytes are kept until something changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec
from aiohttp import web

from engine.graph.node import Files, NodeSpec
from engine.graph.schema import object_info
from web.errors import json_response, raw_json
from web.listings import Listings
from web.routes import Route
from web.specs import known_specs
from web.state import SERVER


class NodeInfo:
    """The bytes of ``/object_info``, made anew only when the specifications or a listed folder changed."""

    def __init__(self, files: Listings) -> None:
        self._files = files
        self._specs: Mapping[str, NodeSpec] | None = None
        self._folders: frozenset[str] = frozenset()
        self._version = -1
        self._body = b""

    async def body(self, specs: Mapping[str, NodeSpec]) -> bytes:
        """The JSON of all nodes."""
        if specs is not self._specs:
            self._folders = folders_of(specs.values())
            self._version = -1
        if not self._files.fresh(self._folders):
            await asyncio.to_thread(self._list_all)
        if self._version != self._files.version or specs is not self._specs:
            self._version, self._specs = self._files.version, specs
            self._body = msgspec.json.encode({
                name: object_info(spec, self._files.list) for name, spec in specs.items()
            })
        return self._body

    def _list_all(self) -> None:
        for folder in self._folders:
            self._files.list(folder)


NODE_INFO: web.AppKey[NodeInfo] = web.AppKey("node_info", NodeInfo)


def folders_of(specs: Iterable[NodeSpec]) -> frozenset[str]:
    """The folders that any of the nodes lists."""
    found: set[str] = set()
    for spec in specs:
        found.update(each.choices.folder for each in spec.inputs if isinstance(each.choices, Files))
    return frozenset(found)


async def get_object_info(request: web.Request) -> web.Response:
    """GET /object_info: every node."""
    return raw_json(await request.app[NODE_INFO].body(await known_specs(request.app[SERVER])))


async def get_one(request: web.Request) -> web.Response:
    """GET /object_info/{node_class}: one node, or ``{}``."""
    spec = (await known_specs(request.app[SERVER])).get(request.match_info["node_class"])
    if spec is None:
        return raw_json(b"{}")
    files = request.app[SERVER].files
    return json_response({spec.class_type: await asyncio.to_thread(object_info, spec, files.list)})


ROUTES = (
    Route("GET", "/object_info", get_object_info),
    Route("GET", "/object_info/{node_class}", get_one),
)
