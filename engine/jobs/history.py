"""Jobs in ComfyUI's form: the items of ``/queue``, the entries of ``/history`` and the messages both share.

An entry is made once, when its job ends, and kept as bytes; ``/history`` joins bytes. The newest entries stay in
memory up to a bound, older ones are read from the store again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.jobs.job import Job, Record, shown_number
from engine.messages.events import Cached, End, Event, Failed, Interrupted, NodeBlocked, NodeReport, Started, Succeeded

CACHE_BYTES = 64 * 2**20
LARGEST = 256 * 2**10  # bytes of an entry that is kept from the start; a larger one is when it is asked for

_json = msgspec.json.Encoder(enc_hook=repr)  # what a node shows may hold anything; it must never cost the job


def _timestamp(time: float) -> int:
    return int(time * 1000)


def _started(job_id: str, event: Started) -> dict[str, Any]:
    return {"prompt_id": job_id, "timestamp": _timestamp(event.time)}


def _cached(job_id: str, event: Cached) -> dict[str, Any]:
    return {"nodes": event.nodes, "prompt_id": job_id, "timestamp": _timestamp(event.time)}


def _succeeded(job_id: str, event: Succeeded) -> dict[str, Any]:
    return {"prompt_id": job_id, "timestamp": _timestamp(event.time)}


def _failed(job_id: str, event: Failed) -> dict[str, Any]:
    return {
        "prompt_id": job_id, "node_id": event.display or event.node, "node_type": event.class_type,
        "executed": event.executed, "exception_message": event.message, "exception_type": event.exception_type,
        "traceback": event.traceback, "current_inputs": event.inputs, "current_outputs": event.executed,
        "timestamp": _timestamp(event.time),
    }


def _blocked(job_id: str, event: NodeBlocked) -> dict[str, Any]:
    return {
        "prompt_id": job_id, "node_id": event.display, "node_type": event.class_type, "executed": event.executed,
        "exception_message": f"Execution Blocked: {event.message}", "exception_type": "ExecutionBlocked",
        "traceback": [], "current_inputs": [], "current_outputs": [],
    }


def _interrupted(job_id: str, event: Interrupted) -> dict[str, Any]:
    return {
        "prompt_id": job_id, "node_id": event.display or event.node, "node_type": event.class_type,
        "executed": event.executed, "timestamp": _timestamp(event.time),
    }


MESSAGES: dict[type, tuple[str, Callable[[str, Any], dict[str, Any]]]] = {
    Started: ("execution_start", _started),
    Cached: ("execution_cached", _cached),
    Succeeded: ("execution_success", _succeeded),
    Failed: ("execution_error", _failed),
    NodeBlocked: ("execution_error", _blocked),
    Interrupted: ("execution_interrupted", _interrupted),
}


def message(job_id: str, event: Event) -> tuple[str, dict[str, Any]] | None:
    """The name and data of the message that ComfyUI sends, and keeps in the history, for an event; None if none.

    >>> message("a", Started(time=1.5))
    ('execution_start', {'prompt_id': 'a', 'timestamp': 1500})
    """
    row = MESSAGES.get(type(event))
    return (row[0], row[1](job_id, event)) if row else None


def item_json(job: Job) -> bytes:
    """A job as ``/queue`` and ``/history`` show it: ``[number, id, prompt, extra_data, outputs]``."""
    return _json.encode([shown_number(job.number), job.id, msgspec.Raw(job.prompt), msgspec.Raw(job.extra),
                         job.targets])


def history_json(job: Job, record: Record) -> bytes:
    """What a history entry says besides the job itself: ``"outputs"``, ``"status"`` and ``"meta"``, a JSON object.

    Raises TypeError or ValueError if the outputs hold what JSON cannot.
    """
    ending = record.ending
    messages = [message(job.id, event) for event in (*record.events, ending)]
    succeeded = isinstance(ending, Succeeded)
    return _json.encode({
        "outputs": ending.outputs,
        "status": {"status_str": "success" if succeeded else "error", "completed": succeeded, "messages": messages},
        "meta": _meta(ending),
    })


def _meta(ending: End) -> dict[str, dict[str, str | None]]:
    """Where each node that shows something stands; ``real_node_id`` is the user's node at the top of expansions."""
    reports: Mapping[str, NodeReport] = {report.node: report for report in ending.reports}
    meta: dict[str, dict[str, str | None]] = {}
    for node in ending.outputs:
        report = reports.get(node)
        real, seen = node, {node}
        while (above := reports.get(real)) is not None and above.parent is not None and above.parent not in seen:
            real = above.parent
            seen.add(real)
        meta[node] = {
            "node_id": node,
            "display_node": report.display if report else node,
            "parent_node": report.parent if report else None,
            "real_node_id": real,
        }
    return meta


def entry(job: Job, rest: bytes) -> bytes:
    """A whole entry, ``"id":{"prompt":[…],"outputs":…}``, from a job and what ``history_json`` made of its end."""
    return b'%b:{"prompt":%b,%b' % (_json.encode(job.id), item_json(job), rest[1:])


def window(length: int, max_items: int | None, offset: int | None) -> tuple[int, int]:
    """Which entries to show, oldest first: ComfyUI's rules.

    ``max_items`` alone means the newest; ``offset`` skips the oldest; both together a window.

    >>> window(10, 3, None), window(10, None, 8), window(10, 3, 2), window(10, 3, 20)
    ((7, 10), (8, 10), (2, 5), (10, 10))
    """
    limit = length if max_items is None else max(0, max_items)
    if offset is None or offset < 0:
        return (max(0, length - limit), length)
    start = min(offset, length)
    return (start, min(length, start + limit))


@dataclass
class History:
    """The entries in the order in which their jobs ended.

    read: fetches entries that are not in memory, as (id, entry) in any order.
    """

    read: Callable[[Sequence[str]], Iterable[tuple[str, bytes]]]
    limit: int = CACHE_BYTES
    _ids: dict[str, str] = field(default_factory=dict)  # id → owner
    _cache: dict[str, bytes] = field(default_factory=dict)
    _cached: int = 0
    _answer: tuple[tuple[int, int], bytes] | None = None  # the last answer to all, while nothing has changed

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._ids

    def load(self, ids: Iterable[tuple[str, str]]) -> None:
        """Take over the ids and owners that the store holds, oldest first; entries are read when they are asked for."""
        self._ids.update(ids)
        self._answer = None

    def add(self, job_id: str, text: bytes, owner: str = "") -> None:
        """Put in the entry of a job that has just ended."""
        self._ids[job_id] = owner
        if len(text) <= LARGEST:
            self._cache[job_id] = text
            self._cached += len(text)
        while self._cached > self.limit:
            self._forget(next(iter(self._cache)))
        self._answer = None

    def remove(self, ids: Iterable[str]) -> None:
        """Take entries out; ids that are not there are ignored."""
        for job_id in ids:
            self._ids.pop(job_id, None)
            self._forget(job_id)
        self._answer = None

    def ids(self, max_items: int | None = None, offset: int | None = None, owner: str | None = None) -> list[str]:
        """The ids in a window, oldest first; those of one owner if one is named."""
        ids = list(self._ids)
        if owner is not None:
            ids = [each for each in ids if self._ids[each] == owner]
        start, stop = window(len(ids), max_items, offset)
        return ids[start:stop]

    def json(self, max_items: int | None = None, offset: int | None = None, owner: str | None = None) -> bytes:
        """The JSON object of a window. Asked for again with nothing changed, it is the same object."""
        if owner is not None:
            return b"{%b}" % b",".join(self._entries(self.ids(max_items, offset, owner)))
        span = window(len(self._ids), max_items, offset)
        if self._answer is not None and self._answer[0] == span:
            return self._answer[1]
        text = b"{%b}" % b",".join(self._entries(self.ids(max_items, offset)))
        if len(text) <= self.limit:
            self._answer = (span, text)
        return text

    def absent(self, max_items: int | None = None, offset: int | None = None, owner: str | None = None) -> list[str]:
        """The ids in a window whose entries would have to be read."""
        span = window(len(self._ids), max_items, offset)
        if owner is None and self._answer is not None and self._answer[0] == span:
            return []
        return [each for each in self.ids(max_items, offset, owner) if each not in self._cache]

    def keep(self, entries: Mapping[str, bytes]) -> None:
        """Take entries that were read elsewhere, as far as there is room."""
        for job_id, text in entries.items():
            if job_id in self._ids and job_id not in self._cache and self._cached + len(text) <= self.limit:
                self._cache[job_id] = text
                self._cached += len(text)

    def item(self, job_id: str) -> bytes:
        """The JSON object with one entry, or ``{}``."""
        return b"{%b}" % b"".join(self._entries([job_id] if job_id in self._ids else []))

    def _entries(self, ids: Sequence[str]) -> Iterator[bytes]:
        absent = [job_id for job_id in ids if job_id not in self._cache]
        fetched = dict(self.read(absent)) if absent else {}
        for job_id, text in fetched.items():
            if self._cached + len(text) > self.limit:
                break
            self._cache[job_id] = text
            self._cached += len(text)
        for job_id in ids:
            text_here = self._cache.get(job_id) or fetched.get(job_id)
            if text_here is not None:
                yield text_here

    def _forget(self, job_id: str) -> None:
        self._cached -= len(self._cache.pop(job_id, b""))
