"""The frames between the server and a worker: a 4-byte big-endian length, then one MessagePack message.

The worker gets the file descriptor of its end of a socketpair on its command line and says ``Ready`` when its
nodes are imported. It ends when the socket closes. Graphs and node specifications travel as ready-made
MessagePack (``msgspec.Raw``): they are encoded once, where they are made.

>>> frame = encode(Cancel(job="a"))
>>> read_frame(frame), decode_command(frame[4:])
((19, True), Cancel(job='a'))
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.messages.events import Event

MAX_FRAME = 512 * 2**20
HEADER = struct.Struct(">I")


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Carry out a job. ``graph`` is the MessagePack of an ``engine.graph.graph.Graph``.

    prompt, extra: JSON as it came: the API graph and ``extra_data``; with ``metadata`` the graph and
        ``extra_pnginfo`` go into the pictures.
    journal: the file in which the worker notes each file it is about to write, a JSON line each, so that
        the files of an attempt that died can be removed.
    alone: no other job may run beside it.
    """

    job: str
    attempt: int
    graph: msgspec.Raw
    prompt: bytes
    extra: bytes
    journal: str
    metadata: bool = True
    previews: str = "none"
    alone: bool = False


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop a job soon: at the next step. A job that is not there is ignored."""

    job: str


class Free(msgspec.Struct, frozen=True, tag="free"):
    """Give memory back: models, and with ``cache`` the cached values too; answered by how many bytes.

    What a running job uses is given back when it has ended.
    """

    request: int
    models: bool = False
    cache: bool = False


class AtOnce(msgspec.Struct, frozen=True, tag="at_once"):
    """Carry out so many jobs at once from now on; 0 stands for as many as the worker would by itself."""

    jobs: int


class Validate(msgspec.Struct, frozen=True, tag="validate"):
    """Have nodes that check their inputs themselves look at a graph; answered by a list of ``Complaint``."""

    request: int
    graph: msgspec.Raw


class Predict(msgspec.Struct, frozen=True, tag="predict"):
    """What would become of the nodes of a graph if it ran now; answered by a list of ``Prediction``.

    metadata: whether its pictures would carry their graph.
    """

    request: int
    graph: msgspec.Raw
    metadata: bool = True


class Prediction(msgspec.Struct, frozen=True, array_like=True):
    """What would become of a node: ``reused``, ``runs`` or ``depends`` (on what comes out of those that run).

    cause, why, inputs: as in the events ``NodeStarted`` and ``NodeReused``.
    """

    node: str
    state: str
    cause: str = ""
    why: str = ""
    inputs: tuple[str, ...] = ()


class Complaint(msgspec.Struct, frozen=True, array_like=True):
    """What a node finds wrong with its inputs. ``code`` is the problem's."""

    node: str
    code: str
    message: str


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End when the running job has ended."""


Question = Validate | Predict | Free
Command = Run | Cancel | AtOnce | Stop | Question


class Device(msgspec.Struct, frozen=True):
    """A device and its memory, in bytes."""

    name: str
    type: str
    index: int
    total: int
    free: int
    torch_total: int = 0
    torch_free: int = 0


class Pack(msgspec.Struct, frozen=True):
    """A node pack that was imported: its folder, and the one of its scripts for front-ends, if it has one."""

    name: str
    folder: str
    web: str | None = None


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker takes jobs: the node specifications (MessagePack of ``dict[str, NodeSpec]``) and what it runs on.

    failures: module name → traceback of node modules that could not be imported.
    at_once: how many jobs the worker carries out at once; most: how many it can be told to.
    pack_routes: (method, path) that node packs wanted to answer.
    """

    specs: msgspec.Raw
    failures: Mapping[str, str]
    devices: tuple[Device, ...]
    versions: Mapping[str, str]
    at_once: int = 1
    most: int = 1
    packs: tuple[Pack, ...] = ()
    pack_routes: tuple[tuple[str, str], ...] = ()


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """The heartbeat, once a second: the worker's control thread runs. models: names of the weight files in memory."""

    devices: tuple[Device, ...] = ()
    models: tuple[str, ...] = ()


class JobEvent(msgspec.Struct, frozen=True, tag="event"):
    """Something happened to a job."""

    job: str
    attempt: int
    event: Event


class LogText(msgspec.Struct, frozen=True, tag="log"):
    """What nodes and libraries printed."""

    text: str


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to a question, as MessagePack; or why there is none."""

    request: int
    value: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: str = ""


Report = Ready | Alive | JobEvent | LogText | Answer

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def encode(message: Any) -> bytes:
    """Make a frame of a message. Raises ValueError if it is beyond ``MAX_FRAME``."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME:
        raise ValueError(f"a message of {len(body)} bytes is beyond the limit of {MAX_FRAME}")
    return HEADER.pack(len(body)) + body


def read_frame(header: bytes | bytearray) -> tuple[int, bool]:
    """The body's length from a frame's first 4 bytes, and whether it is within bounds."""
    (length,) = HEADER.unpack_from(header)
    return length, length <= MAX_FRAME


def decode_command(body: bytes) -> Command:
    """Read what the server said."""
    return _commands.decode(body)


def decode_report(body: bytes) -> Report:
    """Read what a worker said."""
    return _reports.decode(body)
