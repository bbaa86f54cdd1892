"""From the engine's events to the messages of ComfyUI's WebSocket protocol: a table, and the progress it needs.

Every message is encoded once, whoever receives it. A message whose ``key`` is set may be replaced by a newer one of
the same key: ``"newest"`` ones always (progress, previews), ``"crowded"`` ones only for a client that lags behind.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from engine.jobs.history import message
from engine.jobs.job import Job, JobEnded, shown_number
from engine.messages import events

MAX_STATES = 2_000  # nodes that a client hears of when it comes back; what ended long ago is left out
STATES_PER_SECOND = 20  # progress_state messages of one job
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PREVIEW, TEXT, PREVIEW_WITH_METADATA = 1, 3, 4
JPEG_TYPE, PNG_TYPE = 1, 2
Coalesce = Literal["never", "newest", "crowded"]
UNTOUCHED = ("", "", 0.0, 1.0)  # of a node of which nothing was told

_json = msgspec.json.Encoder(enc_hook=repr)  # what a node shows may hold anything; it must not stop the others


class Message(msgspec.Struct, frozen=True):
    """One WebSocket message.

    to_all: sent to every client if the job has none of its own; other messages are then sent to nobody.
    rich: the form for clients that announced ``supports_preview_metadata``.
    """

    data: bytes
    binary: bool = False
    key: tuple[object, ...] | None = None
    coalesce: Coalesce = "never"
    to_all: bool = False
    rich: bytes | None = None


@dataclass
class Progress:
    """How far a running job is, for ``progress_state`` and for clients that come back.

    states: of each node the one it is displayed as, its state, how much is done and of how much.
    """

    states: dict[str, tuple[str, str, float, float]] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)  # node → the node it is displayed as
    ended: dict[str, None] = field(default_factory=dict)  # those that ended since the last message
    owed: bool = False  # something changed that no message has told
    clock: Callable[[], float] = time.monotonic
    _told: deque[float] = field(default_factory=lambda: deque(maxlen=STATES_PER_SECOND - 1))  # one is for the end

    def wait(self) -> float:
        """Seconds until the next message may be sent."""
        return max(0.0, self._told[0] + 1.0 - self.clock()) if len(self._told) == self._told.maxlen else 0.0

    def changes(self, job: Job) -> dict[str, dict[str, Any]]:
        """The nodes to tell of now: those that run, and those that ended since the last time."""
        self._told.append(self.clock())
        nodes = self.shown(job, [name for name in (*self.ended, *self.running) if name in self.states])
        self.ended.clear()
        self.owed = False
        return nodes

    def shown(self, job: Job, nodes: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What clients are told of some nodes."""
        found: dict[str, dict[str, Any]] = {}
        for node in nodes:
            display, state, value, maximum = self.states[node]
            found[node] = {
                "value": _number(value), "max": _number(maximum), "state": state, "node_id": node, "prompt_id": job.id,
                "display_node_id": display, "parent_node_id": None if node == display else display,
                "real_node_id": display,
            }
        return found

    def touch(self, node: str, display: str, state: str, value: float, maximum: float) -> None:
        """Note where a node stands; the newest is last."""
        self.states.pop(node, None)
        self.states[node] = (display, state, value, maximum)
        self.owed = True
        if state != "running":
            self.ended[node] = None
        if len(self.states) > MAX_STATES:
            gone = next((name for name in self.states if name not in self.running), None)
            if gone is not None:
                del self.states[gone]
                self.ended.pop(gone, None)


def text_message(kind: str, data: Mapping[str, Any]) -> bytes:
    """Encode a text frame."""
    return _json.encode({"type": kind, "data": data})


def status(remaining: int, client: str | None = None) -> bytes:
    """The length of the queue; the first one names the client's id."""
    data: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": remaining}}}
    if client is not None:
        data["sid"] = client
    return text_message("status", data)


def whole_state(job: Job, progress: Progress) -> bytes:
    """The state of every node touched so far (of the last ``MAX_STATES``), for a client that comes back."""
    return text_message("progress_state", {"prompt_id": job.id, "nodes": progress.shown(job, progress.states)})


def state_message(job: Job, progress: Progress, coalesce: Coalesce = "crowded") -> Message:
    """The nodes that run, and those that ended since the last message."""
    if progress.ended:
        coalesce = "never"  # a newer message tells of these endings no more
    data = text_message("progress_state", {"prompt_id": job.id, "nodes": progress.changes(job)})
    return Message(data, key=("progress_state", job.id), coalesce=coalesce, to_all=True)


def executing(job: Job, node: str | None, display: str | None) -> bytes:
    """A node begins, or, without one, the job has ended."""
    data: dict[str, Any] = {"node": node, "prompt_id": job.id}
    if node is not None:
        data["display_node"] = display
    return text_message("executing", data)


def translate(job: Job, event: Any, progress: Progress) -> Iterator[Message]:
    """The messages for an event, in order; none for an event the protocol does not know."""
    made = TABLE.get(type(event))
    return made(job, event, progress) if made is not None else iter(())


# -- one function per event --------------------------------------------------------------------------------------

def _started(job: Job, event: events.Started, progress: Progress) -> Iterator[Message]:
    progress.states.clear()  # a job that is tried again begins anew
    progress.running.clear()
    progress.ended.clear()
    progress.owed = False
    yield _kept(job, event)


def _cached(job: Job, event: events.Cached, progress: Progress) -> Iterator[Message]:
    yield _kept(job, event)


def _node_started(job: Job, event: events.NodeStarted, progress: Progress) -> Iterator[Message]:
    progress.running[event.node] = event.display
    progress.touch(event.node, event.display, "running", 0, 1)
    yield from _state(job, progress)
    yield Message(executing(job, event.node, event.display))


def _node_progress(job: Job, event: events.NodeProgress, progress: Progress) -> Iterator[Message]:
    progress.touch(event.node, event.display, "running", event.value, event.maximum)
    yield from _state(job, progress, "newest")
    data = {"value": _number(event.value), "max": _number(event.maximum), "prompt_id": job.id, "node": event.node}
    yield Message(text_message("progress", data), key=("progress", job.id, event.node), coalesce="newest", to_all=True)


def _preview(job: Job, event: events.Preview, progress: Progress) -> Iterator[Message]:
    is_png = event.image.startswith(PNG_MAGIC)
    about = msgspec.json.encode({
        "node_id": event.node, "prompt_id": job.id, "display_node_id": event.display,
        "parent_node_id": None if event.node == event.display else event.display, "real_node_id": event.display,
        "image_type": "image/png" if is_png else "image/jpeg",
    })
    yield Message(
        struct.pack(">II", PREVIEW, PNG_TYPE if is_png else JPEG_TYPE) + event.image, binary=True,
        key=("preview", job.id, event.node), coalesce="never" if event.kept else "newest", to_all=True,
        rich=struct.pack(">II", PREVIEW_WITH_METADATA, len(about)) + about + event.image,
    )


def _node_text(job: Job, event: events.NodeText, progress: Progress) -> Iterator[Message]:
    node = event.node.encode()
    yield Message(struct.pack(">II", TEXT, len(node)) + node + event.text.encode(), binary=True)


def _node_message(job: Job, event: events.NodeMessage, progress: Progress) -> Iterator[Message]:
    yield Message(text_message(event.event, event.data))


def _node_blocked(job: Job, event: events.NodeBlocked, progress: Progress) -> Iterator[Message]:
    yield _kept(job, event)


def _node_shown(job: Job, event: events.NodeShown, progress: Progress) -> Iterator[Message]:
    data = {"node": event.node, "display_node": event.display, "output": event.ui, "prompt_id": job.id}
    yield Message(text_message("executed", data))


def _node_finished(job: Job, event: events.NodeFinished, progress: Progress) -> Iterator[Message]:
    progress.running.pop(event.node, None)
    maximum = progress.states.get(event.node, UNTOUCHED)[3]
    progress.touch(event.node, event.display, "finished", maximum, maximum)
    yield from _state(job, progress)


def _succeeded(job: Job, event: events.Succeeded, progress: Progress) -> Iterator[Message]:
    yield from _last_state(job, progress)
    yield _kept(job, event)


def _failed(job: Job, event: events.Failed, progress: Progress) -> Iterator[Message]:
    if event.node is not None:
        progress.running.pop(event.node, None)
        _, _, value, maximum = progress.states.get(event.node, UNTOUCHED)
        progress.touch(event.node, event.display or event.node, "error", value, maximum)
    yield from _last_state(job, progress)
    yield _kept(job, event)


def _interrupted(job: Job, event: events.Interrupted, progress: Progress) -> Iterator[Message]:
    yield from _last_state(job, progress)
    yield _kept(job, event, to_all=True)


def _ended(job: Job, notice: JobEnded, progress: Progress) -> Iterator[Message]:
    yield Message(executing(job, None, None))


TABLE: Mapping[type, Callable[[Job, Any, Progress], Iterator[Message]]] = {
    events.Started: _started,
    events.Cached: _cached,
    events.NodeStarted: _node_started,
    events.NodeProgress: _node_progress,
    events.Preview: _preview,
    events.NodeText: _node_text,
    events.NodeMessage: _node_message,
    events.NodeBlocked: _node_blocked,
    events.NodeShown: _node_shown,
    events.NodeFinished: _node_finished,
    events.Succeeded: _succeeded,
    events.Failed: _failed,
    events.Interrupted: _interrupted,
    JobEnded: _ended,
}


def _kept(job: Job, event: events.Event, *, to_all: bool = False) -> Message:
    """A message in the form that the history lists."""
    named = message(job.id, event)
    assert named is not None
    return Message(text_message(*named), to_all=to_all)


def _state(job: Job, progress: Progress, coalesce: Coalesce = "crowded") -> Iterator[Message]:
    """Where the nodes stand, unless too much was told of it just now: then it is owed, and the hub tells it later."""
    if not progress.wait():
        yield state_message(job, progress, coalesce)


def _last_state(job: Job, progress: Progress) -> Iterator[Message]:
    if progress.owed and progress.ended:
        yield state_message(job, progress)


def _number(value: float) -> float:
    """Whole numbers without a point, as clients expect steps."""
    return shown_number(float(value))
