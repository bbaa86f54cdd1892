"""What happens to a job, in the order it happens. The engine tells these to one sink and knows no listener.

The order of one job: ``Started``, ``Cached``, then per node ``NodeStarted``, ``NodeProgress``/``Preview``…,
``NodeShown`` if it shows something, ``NodeFinished``; and at the end exactly one of ``Succeeded``, ``Failed``,
``Interrupted``. Progress and previews may be dropped for newer ones; nothing else is ever dropped.

``node`` is the id of the node that runs, ``display`` the id of the user's node it stands for (they differ only
inside expansions).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.messages.record import RunRecord


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A worker took the job up."""

    time: float  # seconds since the epoch, here and below


class Cached(msgspec.Struct, frozen=True, tag="cached", omit_defaults=True):
    """These nodes will not run: their results are known. Sent once, after the first look-up.

    sources: for each node where its result is: ``memory``, ``disk``, or ``trace`` (known by its digest, not at hand).
    """

    nodes: tuple[str, ...]
    time: float
    sources: tuple[str, ...] = ()


class NodeReused(msgspec.Struct, frozen=True, tag="node_reused"):
    """After the first look-up a node turned out not to have to run; ``source`` as in ``Cached``, or ``equal``."""

    node: str
    display: str
    source: str


class NodeStarted(msgspec.Struct, frozen=True, tag="node_started", omit_defaults=True):
    """A node begins to run; ``why`` says why it was not reused, ``cause`` the same in one word.

    cause: ``new`` (not seen before), ``input`` (``inputs`` have changed), ``world`` (what it depends on outside the
    graph), ``file`` (one that it wrote is gone), ``evicted`` (its result is no longer there), ``remade`` (an input came
    out different when it was made again).
    """

    node: str
    display: str
    why: str = ""
    cause: str = ""
    inputs: tuple[str, ...] = ()


class NodeProgress(msgspec.Struct, frozen=True, tag="node_progress"):
    """A running node did ``value`` of ``maximum``."""

    node: str
    display: str
    value: float
    maximum: float


class Preview(msgspec.Struct, frozen=True, tag="preview"):
    """A picture of what a running node is making: a JPEG file. A ``kept`` one is a result, PNG: none is dropped."""

    node: str
    display: str
    image: bytes
    kept: bool = False


class NodeText(msgspec.Struct, frozen=True, tag="node_text"):
    """Something a running node says to the user."""

    node: str
    display: str
    text: str


class NodeMessage(msgspec.Struct, frozen=True, tag="node_message"):
    """A message of a pack's own, passed on to the client as it is."""

    node: str
    display: str
    event: str
    data: Any


class NodeBlocked(msgspec.Struct, frozen=True, tag="node_blocked"):
    """An output node was kept from running by a blocker with a message; the job goes on."""

    node: str
    display: str
    class_type: str
    message: str
    executed: tuple[str, ...] = ()


class NodeShown(msgspec.Struct, frozen=True, tag="node_shown"):
    """What an output node shows; also told for an output node that was reused."""

    node: str
    display: str
    ui: Mapping[str, Any]


class NodeFinished(msgspec.Struct, frozen=True, tag="node_finished"):
    """A node ended well after ``seconds``."""

    node: str
    display: str
    seconds: float


class NodeReport(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What became of one node: for the job's record.

    cause, inputs: as in ``NodeStarted``; of a node that was reused ``cause`` is where from, as in ``NodeReused``.
    memory: how it used memory, if it ran a network: ``plan``, ``need`` and ``budget`` in bytes; and ``relief``, what
    was done where memory ran out.
    """

    node: str
    display: str
    class_type: str
    state: str  # ran, reused, failed
    why: str = ""
    seconds: float = 0.0
    parent: str | None = None
    cause: str = ""
    inputs: tuple[str, ...] = ()
    memory: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What each ending carries: what is shown, per node, and what became of every node.

    peak_memory: bytes that the job took at most: of the accelerator's memory, or of the worker's on the CPU.
    run: what its pictures depend on besides their graph.
    """

    time: float
    outputs: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    reports: tuple[NodeReport, ...] = ()
    peak_memory: int | None = None
    run: RunRecord | None = None


class Succeeded(Ending, frozen=True, kw_only=True, tag="succeeded"):
    """Every target was delivered."""


class Failed(Ending, frozen=True, kw_only=True, tag="failed"):
    """A node raised. ``node`` is None when the job failed outside any node (its worker died)."""

    node: str | None = None
    display: str | None = None
    class_type: str = ""
    exception_type: str = ""
    message: str = ""
    traceback: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = msgspec.field(default_factory=dict)  # summaries, for people
    executed: tuple[str, ...] = ()


class Interrupted(Ending, frozen=True, kw_only=True, tag="interrupted"):
    """The job was cancelled; ``node`` was running."""

    node: str | None = None
    display: str | None = None
    class_type: str = ""
    executed: tuple[str, ...] = ()


Event = (
    Started | Cached | NodeReused | NodeStarted | NodeProgress | Preview | NodeText | NodeMessage
    | NodeBlocked | NodeShown | NodeFinished
    | Succeeded | Failed | Interrupted
)
End = Succeeded | Failed | Interrupted
