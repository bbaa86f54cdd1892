"""Where each running job stands, and those who wait for it: for ``/api/jobs``.

The board hears every event. What a running job's nodes do is kept here only until the job's record is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from engine.jobs.job import Job, JobDropped, JobEnded, QueueChanged
from engine.messages import events

MAX_WAITING = 1_000  # requests that wait, and streams
MAX_WAITING_OF_ONE = 500  # of one token
MAX_QUEUED = 2_000  # events for one stream; a reader that is so far behind misses those that come, but not the end
Told = tuple[str, Any]


class NodeView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node of a job: what became of it, why it ran, how long it took (seconds) and how far it is.

    cause: of a node that ran ``new``, ``input`` (``inputs`` have changed), ``world``, ``file``, ``evicted`` or
    ``remade``; of one that was reused where from: ``memory``, ``disk``, ``trace`` or ``equal``.
    memory: of a node that ran a network, the ``plan`` it worked by, the ``need`` and ``budget`` in bytes, and
    ``relief``: what was done where memory ran out.
    """

    node: str
    display: str
    state: Annotated[str, Meta(extra_json_schema={"enum": ["running", "ran", "reused", "failed"]})]
    class_type: str = ""
    why: str = ""
    seconds: float = 0.0
    value: float | None = None
    max: float | None = None
    cause: str = ""
    inputs: tuple[str, ...] = ()
    memory: Mapping[str, Any] = msgspec.field(default_factory=dict)


@dataclass
class Standing:
    """How far a running job is."""

    nodes: dict[str, NodeView] = field(default_factory=dict)
    total: int | None = None  # nodes in its workflow, counted when somebody asks

    def progress(self, total: int) -> float:
        """The part that is done, from 0 to 1: each node counts alike."""
        done = 0.0
        for each in self.nodes.values():
            if each.state == "running":
                done += (each.value or 0.0) / each.max if each.max else 0.0
            else:
                done += 1.0
        return min(1.0, done / max(1, total))


@dataclass
class Board:
    """Follows running jobs. Use it from the event loop."""

    running: dict[str, Standing] = field(default_factory=dict)
    _followers: dict[str, set[asyncio.Queue[Told]]] = field(default_factory=dict)
    following: Counter[str] = field(default_factory=Counter)  # those who wait, by owner

    def tell(self, job: Job | None, event: Any) -> None:
        """Take an event or notice from the dispatcher."""
        if job is None:
            return
        if isinstance(event, JobEnded | JobDropped):
            self.running.pop(job.id, None)
            self._pass_on(job.id, ("ended", None))
            return
        if isinstance(event, QueueChanged):
            if job.state == "queued":  # put back
                self.running.pop(job.id, None)
            return
        if isinstance(event, events.Started):
            self.running[job.id] = Standing()
            self._pass_on(job.id, ("started", {"time": event.time}))
        elif (standing := self.running.get(job.id)) is not None:
            self._note(job, standing, event)

    def _note(self, job: Job, standing: Standing, event: Any) -> None:
        changed: list[NodeView] = []
        match event:
            case events.Cached():
                sources = event.sources or ("",) * len(event.nodes)
                changed = [
                    NodeView(node, node, "reused", cause=source)
                    for node, source in zip(event.nodes, sources, strict=True)
                ]
            case events.NodeReused():
                changed = [NodeView(event.node, event.display, "reused", cause=event.source)]
            case events.NodeStarted():
                changed = [NodeView(
                    event.node, event.display, "running", why=event.why, cause=event.cause, inputs=event.inputs
                )]
            case events.NodeProgress():
                known = standing.nodes.get(event.node) or NodeView(event.node, event.display, "running")
                changed = [replace(known, value=event.value, max=event.maximum)]
            case events.NodeFinished():
                known = standing.nodes.get(event.node) or NodeView(event.node, event.display, "running")
                changed = [replace(known, state="ran", seconds=event.seconds)]
            case events.NodeShown():
                self._pass_on(job.id, ("shown", {"node": event.node, "display": event.display, "ui": event.ui}))
            case events.NodeText():
                self._pass_on(job.id, ("text", {"node": event.node, "display": event.display, "text": event.text}))
        for each in changed:
            standing.nodes[each.node] = each
            self._pass_on(job.id, ("node", each))

    def _pass_on(self, job_id: str, told: Told) -> None:
        for queue in self._followers.get(job_id, ()):
            if queue.qsize() < MAX_QUEUED:
                queue.put_nowait(told)
            elif told[0] == "ended":  # the one thing that nobody may miss
                queue.get_nowait()
                queue.put_nowait(told)

    @contextlib.contextmanager
    def follow(self, job_id: str, owner: str = "") -> Iterator[asyncio.Queue[Told] | None]:
        """A queue of what happens to a job, the last of it ``ended``; None if too many follow already.

        owner: the token of the request that follows; empty for the local administrator.
        """
        mine = self.following[owner] >= MAX_WAITING_OF_ONE and owner
        if mine or self.following.total() >= MAX_WAITING:
            yield None
            return
        queue: asyncio.Queue[Told] = asyncio.Queue()
        self.following[owner] += 1
        self._followers.setdefault(job_id, set()).add(queue)
        try:
            yield queue
        finally:
            self.following[owner] -= 1
            if not self.following[owner]:
                del self.following[owner]
            self._followers[job_id].discard(queue)
            if not self._followers[job_id]:
                del self._followers[job_id]

    def close(self) -> None:
        """Tell everybody that no more will come."""
        for job_id in list(self._followers):
            self._pass_on(job_id, ("ended", None))
