"""The node specifications, from the last run until the worker is ready: the server answers before torch is imported.

They are kept on disk with a key that stands for the node sources; if a source changed, what is on disk is not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from engine.graph.node import NodeSpec
from engine.messages.protocol import Ready
from web.errors import Refusal
from web.state import Dispatcher, Server

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True):
    key: str
    specs: dict[str, NodeSpec]


def source_key(root: Path, folders: Sequence[str] = ("engine", "nodes")) -> str:
    """A hash over path, size and time of change of the Python files below ``root``'s folders."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            state = path.stat()
            digest.update(f"{path.relative_to(root).as_posix()}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


class SpecStore:
    """The newest specifications: the worker's, else those of the last run if the sources are the same."""

    def __init__(self, dispatcher: Dispatcher, path: Path, key: str) -> None:
        self._dispatcher = dispatcher
        self._path = path
        self._key = key
        self._kept = self._read()
        self._ready: Ready | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def current(self) -> Mapping[str, NodeSpec] | None:
        """The specifications, or None before the first set ever; the same object as long as they are the same."""
        ready = self._dispatcher.specs
        if ready is not None and ready is not self._ready:
            self._ready = ready
            told = msgspec.msgpack.decode(ready.specs, type=dict[str, NodeSpec])
            if told != self._kept:
                self._kept = told
                self._keep(told)
        return self._kept

    async def wait(self, timeout: float) -> Mapping[str, NodeSpec] | None:
        """The specifications; waits for the first worker if there are none yet. None if it took too long."""
        specs = self.current
        if specs is None:
            with contextlib.suppress(TimeoutError):
                await self._dispatcher.wait_ready(timeout)
            specs = self.current
        return specs

    async def close(self) -> None:
        """Finish writing."""
        if self._writing is not None:
            await self._writing

    def _read(self) -> Mapping[str, NodeSpec] | None:
        try:
            kept = msgspec.msgpack.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s: cannot be read (%s); waiting for the worker instead", self._path, error)
            return None
        return kept.specs if kept.key == self._key else None

    def _keep(self, specs: Mapping[str, NodeSpec]) -> None:
        previous = self._writing

        async def write() -> None:
            if previous is not None:
                await previous
            await asyncio.to_thread(self._write, specs)

        self._writing = asyncio.get_running_loop().create_task(write())

    def _write(self, specs: Mapping[str, NodeSpec]) -> None:
        part = self._path.with_name(self._path.name + ".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(msgspec.msgpack.encode(_Kept(self._key, dict(specs))))
            part.replace(self._path)
        except (OSError, TypeError, OverflowError) as error:
            # The next start is slower without the file; nothing else is lost.
            log.warning("%s: the node specifications cannot be kept: %s", self._path, error)


async def known_specs(server: Server) -> Mapping[str, NodeSpec]:
    """The specifications for a request. Raises Refusal 503 with Retry-After if the first worker takes too long."""
    specs = await server.specs.wait(server.config.spec_wait)
    if specs is None:
        message = "the worker is still loading its nodes; try again in some seconds"
        raise Refusal(503, "not_ready", message, headers={"Retry-After": "5"})
    return specs
