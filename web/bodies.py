"""Reading what a stranger sends: bounded in size, time and depth, and JSON whatever the Content-Type says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from engine.graph.problems import shown
from engine.graph.workflow import read_json
from web.errors import Refusal

CONTROL_BODY = 2**20  # bytes of a body that only names jobs or switches
BODY_SECONDS = 60.0
IDLE_SECONDS = 30.0
SMALL_BODY = 64 * 2**10  # bytes of a body that need no room
ROOM_BODIES = 4  # of the largest size: the room for all that arrive at once
ROOM_SECONDS = 10.0
MAX_IDS = 100_000
MAX_ID = 200


@dataclass
class Room:
    """How many bytes of bodies may be in memory while they arrive, all of them together."""

    left: int

    async def take(self, size: int) -> None:
        """Take some of it, waiting for it for a while. Raises Refusal 503."""
        end = asyncio.get_running_loop().time() + ROOM_SECONDS
        while self.left < size:
            if asyncio.get_running_loop().time() >= end:
                message = "too many large bodies arrive at once; send it again in some seconds"
                raise Refusal(503, "too_many_bodies", message, headers={"Retry-After": "10"})
            await asyncio.sleep(0.05)
        self.left -= size


ROOM: web.AppKey[Room] = web.AppKey("room", Room)


async def read_body(request: web.Request, limit: int) -> bytes:
    """Read the body. Raises Refusal: 413 beyond ``limit`` bytes, 408 if it comes too slowly, 503 if many come."""
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    if not request.body_exists:
        return b""
    parts: list[bytes] = []
    size = taken = 0
    room = request.app[ROOM]
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                if size > SMALL_BODY:
                    await room.take(len(chunk))
                    taken += len(chunk)
                parts.append(chunk)
    except TimeoutError:
        raise Refusal(408, "timeout", f"the body did not arrive within {BODY_SECONDS:g} s") from None
    except (ValueError, web.PayloadAccessError) as error:  # a broken chunk or encoding
        raise Refusal(400, "invalid_body", f"the body cannot be read: {shown(error)}") from error
    finally:
        room.left += taken
    return b"".join(parts)


def too_large(limit: int) -> Refusal:
    """The refusal of a body beyond its limit."""
    return Refusal(413, "body_too_large", f"the body is larger than the {limit} bytes allowed here")


async def read_object(request: web.Request, limit: int = CONTROL_BODY) -> Mapping[str, Any]:
    """Read a body that is a JSON object; an empty one is ``{}``. Raises Refusal or WorkflowError."""
    body = await read_body(request, limit)
    data = read_json(body) if body.strip() else {}
    if not isinstance(data, Mapping):
        raise Refusal(400, "invalid_body", f"the body has to be a JSON object; found {shown(data)}")
    return data


def flag(data: Mapping[str, Any], name: str) -> bool:
    """A switch; absent is off. Raises Refusal for anything but true, false and null."""
    value = data.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Refusal(400, "invalid_body", f"{name} has to be true or false; found {shown(value)}")


def text(data: Mapping[str, Any], name: str, limit: int = MAX_ID) -> str | None:
    """A short text, or None if it is absent. Raises Refusal if it is no text, too long or has control characters."""
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > limit or not value.isprintable():
        wanted = f"a printable text of 1 to {limit} characters"
        raise Refusal(400, "invalid_body", f"{name} has to be {wanted}; found {shown(value)}")
    return value


def ids(data: Mapping[str, Any], name: str) -> list[str] | None:
    """A list of ids, or None if it is absent. Raises Refusal."""
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_IDS or any(not isinstance(each, str) for each in value):
        raise Refusal(400, "invalid_body", f"{name} has to be a list of ids (texts); found {shown(value)}")
    return value


def whole(request: web.Request, name: str) -> int | None:
    """A whole number from the query, or None if it is absent. Raises Refusal."""
    value = request.query.get(name)
    if value is None or value == "":
        return None
    try:
        if len(value) > 18:
            raise ValueError
        return int(value)
    except ValueError:
        raise Refusal(400, "invalid_query", f"{name} has to be a whole number; found {shown(value)!r}") from None
