"""Why a node runs, as data: what is different from the last time it was looked at.

>>> from engine.runtime.signature import signed_form
>>> recent = Recent()
>>> first = signed_form("Blur", 1, {"radius": 1}, None, [("image", b"a")], None)
>>> recent.explain("5", first).cause
'new'
>>> recent.note("5", first)
>>> recent.explain("5", signed_form("Blur", 1, {"radius": 2}, None, [("image", b"b")], None))
Reason(cause='input', text='radius and image have changed', inputs=('radius', 'image'))
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

Cause = Literal["", "new", "input", "world", "file", "evicted", "remade"]
MOST = 20_000  # nodes that are remembered


class Reason(NamedTuple):
    """A cause, the same in words, and the inputs it lies in."""

    cause: Cause
    text: str
    inputs: tuple[str, ...] = ()


NONE = Reason("", "")
NEW = Reason("new", "it has not run with these inputs before")
FORGOTTEN = Reason("evicted", "what it made of these inputs is no longer known")
GONE_VALUE = Reason("evicted", "its value is wanted and no longer in memory")
REMADE = Reason("remade", "an input was made again and came out different")


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    """What a node was signed with (``signature.signed_form``): links are the digests of its linked inputs."""

    class_type: str
    version: int
    literals: Mapping[str, Any]
    token: Any
    links: tuple[tuple[str, bytes], ...]
    unique: str | None


_decoder = msgspec.msgpack.Decoder(_Seen)


class Recent:
    """The nodes that were looked at last, by id, as they were signed. Used from the executor's thread.

    They are kept as bytes: most are never asked for, and as objects they would take ten times as much memory.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, bytes] = OrderedDict()

    def note(self, node: str, signed: bytes) -> None:
        """Remember what a node was signed with."""
        self._seen[node] = signed
        if len(self._seen) > MOST:
            self._seen.popitem(last=False)

    def explain(self, node: str, signed: bytes) -> Reason:
        """Why a node of which no result is known runs."""
        found = self._seen.get(node)
        if found is None:
            return NEW
        if found == signed:
            return FORGOTTEN
        before, now = _decoder.decode(found), _decoder.decode(signed)
        if before.class_type != now.class_type:
            return NEW
        changed = _changed({**before.literals, **dict(before.links)}, {**now.literals, **dict(now.links)})
        if changed:
            return Reason("input", f"{' and '.join(changed)} {'has' if len(changed) == 1 else 'have'} changed", changed)
        if _restless(now.token):
            return Reason("world", "it says of itself that it may make something else each time")
        if before.token != now.token:
            return Reason("world", "what it depends on outside the graph has changed, as a file it reads")
        return FORGOTTEN


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    names = dict.fromkeys((*now, *before))
    return tuple(name for name in names if name not in before or name not in now or before[name] != now[name])


def _restless(token: Any) -> bool:
    """Whether a token, or a part of it, is unequal to itself or was made so."""
    if isinstance(token, tuple | list):
        return (len(token) == 2 and token[0] == "never equal") or any(_restless(each) for each in token)
    return isinstance(token, float) and math.isnan(token)
