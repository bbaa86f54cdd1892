"""WebSockets: one connection per client id, each with its own bounded queue, so that nobody waits for the slowest.

Progress and previews wait as their newest only; results are never dropped. A client that lets too much pile up is
disconnected: everything it missed is in the history, and when it comes back it is told where its job stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from engine.jobs.job import Job, JobDropped, JobEnded, QueueChanged
from web import translate
from web.access import LOCAL, Identity, who
from web.bodies import MAX_ID
from web.errors import Refusal
from web.state import SERVER
from web.translate import Message, Progress

log = logging.getLogger(__name__)

MAX_SOCKETS = 1_000
MAX_MESSAGE = 64 * 2**10  # bytes; a client has nothing to say but its feature flags
MAX_WAITING = 10_000  # messages
MAX_WAITING_BYTES = 64 * 2**20
CROWDED = 64  # messages waiting for one client, from which on node states wait as their newest only
FEW = 16  # with more clients than this, the queue's length goes to bystanders only every STATUS_SECONDS,
STATUS_SECONDS = 0.05
STATUS_RATE = 500  # and there are no more such messages than so many a second, to all of them together
BATCH = 64 * 2**10  # bytes of messages that are written at once
BUFFERED = 64 * 2**10  # bytes that may wait in the connection; what is beyond waits here, where newer replaces older
BUFFER_SECONDS = 0.01
# Some clients begin to listen when their POST /prompt is answered, and wait for ever for what they were told before. A
# job whose results are known ends sooner than they are ready; so what a client is told waits a moment after its posts.
# Those that announce their features when they connect, as editors do, listen from then on and are told at once.
HOLD_SECONDS = 0.025
MOST_HELD = 0.25  # however many it posts
HEARTBEAT = 30.0


class Outbox:
    """The messages that wait for one client, in order."""

    def __init__(self, *, limit: int = MAX_WAITING, limit_bytes: int = MAX_WAITING_BYTES) -> None:
        self._waiting: OrderedDict[object, tuple[bytes, bool]] = OrderedDict()
        self._bytes = 0
        self._limit, self._limit_bytes = limit, limit_bytes
        self._some = asyncio.Event()

    def put(self, data: bytes, *, binary: bool, key: object = None, coalesce: translate.Coalesce = "never") -> bool:
        """Queue a message; gives False if the client lags too far behind."""
        if key is None or coalesce == "never" or (coalesce == "crowded" and len(self._waiting) < CROWDED):
            key = object()
        elif (older := self._waiting.pop(key, None)) is not None:
            self._bytes -= len(older[0])
        self._waiting[key] = (data, binary)
        self._bytes += len(data)
        self._some.set()
        return len(self._waiting) <= self._limit and self._bytes <= self._limit_bytes

    async def some(self) -> None:
        """Wait until there is a message."""
        while not self._waiting:
            self._some.clear()
            await self._some.wait()

    async def get(self) -> tuple[bytes, bool]:
        """The oldest message; waits for one."""
        await self.some()
        return self._pop()

    async def take(self, size: int) -> list[tuple[bytes, bool]]:
        """The oldest messages, about ``size`` bytes of them or all there are; waits for one."""
        found = [await self.get()]
        taken = len(found[0][0])
        while self._waiting and taken < size:
            found.append(self._pop())
            taken += len(found[-1][0])
        return found

    def _pop(self) -> tuple[bytes, bool]:
        _, entry = self._waiting.popitem(last=False)
        self._bytes -= len(entry[0])
        return entry


def frame(data: bytes, *, binary: bool) -> bytes:
    """A message as it goes over the wire from a server: a header, and the data as they are (RFC 6455, 5.2).

    >>> frame(b"abc", binary=False), frame(b"x" * 300, binary=True)[:4]
    (b'\x81\x03abc', b'\x82~\x01,')
    """
    first, length = 0x80 | (WSMsgType.BINARY if binary else WSMsgType.TEXT), len(data)
    if length < 126:
        return bytes((first, length)) + data
    return struct.pack(">BBH", first, 126, length) + data if length < 2**16 else (
        struct.pack(">BBQ", first, 127, length) + data)


def place_of(owner: str, client: str) -> str:
    """Where a client's connection is kept: tokens do not share client ids, which are printable."""
    return f"{owner}\n{client}" if owner else client


class Connection:
    """One client. ``identity`` says whose: it is told of no job that it may not see."""

    def __init__(
        self, client: str, socket: web.WebSocketResponse, transport: asyncio.Transport, identity: Identity = LOCAL
    ) -> None:
        self.client = client
        self.identity = identity
        self.place = place_of(identity.name, client)
        self.previews_with_metadata = False
        self.listens = False  # it has said something of itself, so it hears us too
        self.outbox = Outbox()
        self._socket = socket
        self._transport = transport
        self._held_from = self._held_until = 0.0

    def hold(self) -> None:
        """Keep what the client is told for a moment: it is about to be answered that a job of its own is queued."""
        if self.listens:
            return
        now = asyncio.get_running_loop().time()
        if now >= self._held_until:
            self._held_from = now
        self._held_until = min(now + HOLD_SECONDS, self._held_from + MOST_HELD)

    def send(self, message: Message) -> None:
        """Queue a message; disconnect a client that lags too far behind."""
        data = message.rich if message.rich is not None and self.previews_with_metadata else message.data
        if not self.outbox.put(data, binary=message.binary, key=message.key, coalesce=message.coalesce):
            log.warning("client %s reads too slowly and is disconnected", self.client)
            self._transport.abort()

    async def write(self) -> None:
        """Send what waits, until the connection ends.

        aiohttp writes each message by itself, which costs a system call and wakes the client each time; messages come
        in bursts, and a burst is written at once.
        """
        loop = asyncio.get_running_loop()
        while not self._socket.closed and not self._transport.is_closing():
            await self.outbox.some()
            while (rest := self._held_until - loop.time()) > 0:
                await asyncio.sleep(rest)
            messages = await self.outbox.take(BATCH)
            if self._socket.closed or self._transport.is_closing():
                return
            self._transport.write(b"".join([frame(data, binary=binary) for data, binary in messages]))
            while self._transport.get_write_buffer_size() > BUFFERED and not self._transport.is_closing():
                await asyncio.sleep(BUFFER_SECONDS)  # the client reads more slowly than it is told

    async def close(self, code: int, reason: bytes) -> None:
        """Close politely."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close(code=code, message=reason)


class Hub:
    """All connections; told of every event, it tells those whom it concerns."""

    def __init__(self, remaining: Callable[[], int]) -> None:
        self.connections: dict[str, Connection] = {}
        self._remaining = remaining
        self._progress: dict[str, tuple[Job, Progress]] = {}
        self._owing: set[str] = set()  # jobs of which a progress_state is put off
        self._status_due: asyncio.TimerHandle | None = None
        self._status_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    # What happens.

    def tell(self, job: Job | None, event: Any) -> None:
        """Take an event or notice from the dispatcher; called in the event loop, in order."""
        if isinstance(event, QueueChanged):
            if job is not None and job.state == "queued":  # put back: its worker died, or the server stops
                self._progress.pop(job.id, None)
            self._tell_status(event.remaining)
        elif job is not None and not isinstance(event, JobDropped):
            self._tell_event(job, event)

    def _tell_event(self, job: Job, event: Any) -> None:
        if isinstance(event, JobEnded):
            _, progress = self._progress.pop(job.id, (job, Progress()))
        else:
            _, progress = self._progress.get(job.id) or self._progress.setdefault(job.id, (job, Progress()))
        for message in translate.translate(job, event, progress):
            self._send(job, message)
        if progress.owed and job.id not in self._owing and job.id in self._progress:
            self._owing.add(job.id)
            asyncio.get_running_loop().call_later(progress.wait(), self._pay, job.id)

    def _pay(self, job_id: str) -> None:
        """Tell where a job's nodes stand, if that was put off."""
        self._owing.discard(job_id)
        job, progress = self._progress.get(job_id, (None, None))
        if job is None or progress is None or not progress.owed:
            return
        if wait := progress.wait():
            self._owing.add(job_id)
            asyncio.get_running_loop().call_later(wait, self._pay, job_id)
        else:
            self._send(job, translate.state_message(job, progress))

    def _send(self, job: Job, message: Message) -> None:
        if job.client_id is not None:
            connection = self.connections.get(place_of(job.owner, job.client_id))
            if connection is not None:
                connection.send(message)
        elif message.to_all:
            for each in list(self.connections.values()):
                if each.identity.sees(job):
                    each.send(message)

    def _tell_status(self, remaining: int) -> None:
        """Tell the clients of running jobs at once, because the order matters to them; crowds not too often."""
        loop = asyncio.get_running_loop()
        message = Message(translate.status(remaining), key=("status",), coalesce="crowded")
        pause = max(STATUS_SECONDS, len(self.connections) / STATUS_RATE)
        calm = loop.time() - self._status_at >= pause and self._status_due is None
        if calm or len(self.connections) <= FEW:
            self._status_at = loop.time()
            concerned = list(self.connections.values())
        else:
            places = {place_of(job.owner, job.client_id or "") for job, _ in self._progress.values()}
            concerned = [self.connections[place] for place in places if place in self.connections]
            if self._status_due is None:
                self._status_due = loop.call_later(pause, self._tell_all_status)
        for each in concerned:
            each.send(message)

    def _tell_all_status(self) -> None:
        self._status_due = None
        self._status_at = asyncio.get_running_loop().time()
        message = Message(translate.status(self._remaining()), key=("status",), coalesce="crowded")
        for each in list(self.connections.values()):
            each.send(message)

    def hold(self, owner: str, client: str | None) -> None:
        """Keep what a client is told for a moment, if it is connected: it has just posted a job."""
        connection = self.connections.get(place_of(owner, client)) if client is not None else None
        if connection is not None:
            connection.hold()

    # Connections.

    def connect(self, connection: Connection) -> None:
        """Add a client, in place of an older connection of the same id, and tell it where its jobs stand."""
        older = self.connections.get(connection.place)
        self.connections[connection.place] = connection
        if older is not None:
            self._later(older.close(WSCloseCode.POLICY_VIOLATION, b"replaced by a newer connection"))
        connection.send(Message(translate.status(self._remaining(), connection.client)))
        for job, progress in self._progress.values():
            if job.client_id is None or place_of(job.owner, job.client_id) != connection.place:
                continue
            for node, display in progress.running.items():
                connection.send(Message(translate.executing(job, node, display)))
            connection.send(Message(translate.whole_state(job, progress)))

    def expel(self, known: Callable[[Identity], bool]) -> None:
        """Close the connections of tokens that are gone, or may do something else now."""
        for each in [each for each in self.connections.values() if not known(each.identity)]:
            self.disconnect(each)
            self._later(each.close(WSCloseCode.POLICY_VIOLATION, b"the token is no longer good"))

    def disconnect(self, connection: Connection) -> None:
        """Forget a client, unless a newer connection has taken its place."""
        if self.connections.get(connection.place) is connection:
            del self.connections[connection.place]

    async def close(self) -> None:
        """Say good-bye to everybody."""
        if self._status_due is not None:
            self._status_due.cancel()
        farewells = [each.close(WSCloseCode.GOING_AWAY, b"the server stops") for each in self.connections.values()]
        await asyncio.gather(*farewells, *self._tasks, return_exceptions=True)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def websocket(request: web.Request) -> web.StreamResponse:
    """GET /ws: the events of the client's jobs."""
    server = request.app[SERVER]
    client = request.query.get("clientId") or uuid.uuid4().hex
    if len(client) > MAX_ID or not client.isprintable():
        raise Refusal(400, "invalid_query", f"clientId has to be a printable text of at most {MAX_ID} characters")
    place = place_of(who(request).name, client)
    if len(server.hub.connections) >= MAX_SOCKETS and place not in server.hub.connections:
        raise Refusal(503, "too_many_clients", f"{MAX_SOCKETS} clients are connected; close some")
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT, compress=False, max_msg_size=MAX_MESSAGE, timeout=5.0)
    await socket.prepare(request)
    if request.transport is None:  # it has gone
        return socket
    connection = Connection(client, socket, request.transport, who(request))
    server.hub.connect(connection)
    writer = asyncio.get_running_loop().create_task(connection.write())
    first = True
    try:
        async for message in socket:
            if first and message.type is WSMsgType.TEXT:
                first = False
                _read_features(connection, message.data, features(server.config.max_upload))
    finally:
        server.hub.disconnect(connection)
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
    return socket


def features(max_upload: int) -> dict[str, Any]:
    """What this server can do, for ``/features`` and the ``feature_flags`` message."""
    return {"supports_preview_metadata": True, "max_upload_size": max_upload}


def _read_features(connection: Connection, text: str, ours: dict[str, Any]) -> None:
    """Take the client's feature flags, if that is what its first message is, and answer with ours."""
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return
    if not isinstance(data, dict) or data.get("type") != "feature_flags":
        return
    connection.listens = True
    flags = data.get("data")
    connection.previews_with_metadata = isinstance(flags, dict) and flags.get("supports_preview_metadata") is True
    connection.send(Message(translate.text_message("feature_flags", ours)))
