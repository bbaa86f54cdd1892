"""GET /object_info: what nodes there are. Clients poll it, so its bytes are kept until something changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec
from aiohttp import web

from engine.graph.checks import FileFinder
from engine.graph.node import Files, NodeSpec
from engine.graph.schema import object_info
from web.access import who
from web.errors import json_response, raw_json
from web.listings import Listings
from web.routes import Route
from web.routes.prompt import finder
from web.specs import known_specs
from web.state import SERVER


class NodeInfo:
    """The bytes of ``/object_info``, made anew only when the specifications or a listed folder changed."""

    def __init__(self, files: Listings) -> None:
        self._files = files
        self._specs: Mapping[str, NodeSpec] | None = None
        self._folders: frozenset[str] = frozenset()
        self._version = -1
        self._entries: dict[str, msgspec.Raw] = {}
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
            self._entries = {name: _entry(spec, self._files) for name, spec in specs.items()}
            self._body = msgspec.json.encode(self._entries)
        return self._body

    async def own_body(self, specs: Mapping[str, NodeSpec], files: FileFinder) -> bytes:
        """The same for a token that sees only its own files: ``files`` lists those of the output folder."""
        await self.body(specs)
        own = {name: spec for name, spec in specs.items() if "output" in folders_of([spec])}
        told = await asyncio.to_thread(lambda: {name: _entry(spec, files) for name, spec in own.items()})
        return msgspec.json.encode({**self._entries, **told})

    def _list_all(self) -> None:
        for folder in self._folders:
            self._files.list(folder)


def _entry(spec: NodeSpec, files: FileFinder) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(object_info(spec, files.list)))


NODE_INFO: web.AppKey[NodeInfo] = web.AppKey("node_info", NodeInfo)


def folders_of(specs: Iterable[NodeSpec]) -> frozenset[str]:
    """The folders that any of the nodes lists."""
    found: set[str] = set()
    for spec in specs:
        found.update(each.choices.folder for each in spec.inputs if isinstance(each.choices, Files))
    return frozenset(found)


async def get_object_info(request: web.Request) -> web.Response:
    """GET /object_info: every node."""
    specs, info = await known_specs(request.app[SERVER]), request.app[NODE_INFO]
    if who(request).only is None:
        return raw_json(await info.body(specs))
    return raw_json(await info.own_body(specs, finder(request)))


async def get_one(request: web.Request) -> web.Response:
    """GET /object_info/{node_class}: one node, or ``{}``."""
    spec = (await known_specs(request.app[SERVER])).get(request.match_info["node_class"])
    if spec is None:
        return raw_json(b"{}")
    return json_response({spec.class_type: await asyncio.to_thread(object_info, spec, finder(request).list)})


ROUTES = (
    Route("GET", "/object_info", get_object_info),
    Route("GET", "/object_info/{node_class}", get_one),
)
