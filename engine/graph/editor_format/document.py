"""The editor's saved file as an immutable document that loses nothing, in either of its two versions.

The versions say the same things in different places: version 0.4 writes links as arrays, its counters as
``last_node_id`` and ``last_link_id``, and keeps reroute points in ``extra``; version 1 writes links as objects, its
counters in ``state``, and reroutes at the top. Nodes, groups, subgraph definitions and keys that nobody knows are
carried along as they are.

>>> old = {"nodes": [], "links": [[1, 3, 0, 4, 0, "MODEL"]], "last_node_id": 4, "last_link_id": 1, "version": 0.4}
>>> new = dump_document(load_document(old), 1)
>>> new["links"][0]["origin_id"], new["state"]["lastNodeId"]
(3, 4)
>>> dump_document(load_document(new), 0.4) == old
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.graph.problems import Problem, WorkflowError, shown
from engine.graph.workflow import MAX_NODES, check_depth

Json = Mapping[str, Any]
Version = float  # 0.4 or 1: so the format numbers its versions

LINK_KEYS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
COUNTERS = {"last_node_id": "lastNodeId", "last_link_id": "lastLinkId"}
TAIL = "tail"  # what an array link of version 0.4 holds beyond its six places


class DocumentLink(msgspec.Struct, frozen=True):
    """A link as written; ``rest`` holds ``parentId`` (its last reroute point) and unknown keys."""

    id: Any
    origin_id: Any
    origin_slot: Any
    target_id: Any
    target_slot: Any
    type: Any = None
    rest: Json = msgspec.field(default_factory=dict)


class Document(msgspec.Struct, frozen=True):
    """An editor file.

    version: as found in the file, None if it has none.
    counters: the last ids used, under version 1's names.
    reroutes: the points of native reroutes; None where the file does not mention them.
    rest: everything else at the top (groups, config, definitions, models, id, …).
    """

    version: Any
    nodes: tuple[Json, ...]
    links: tuple[DocumentLink, ...]
    counters: Json = msgspec.field(default_factory=dict)
    reroutes: tuple[Any, ...] | None = None
    extra: Json | None = None
    rest: Json = msgspec.field(default_factory=dict)

    @property
    def form(self) -> Version:
        """The version whose layout the file has: 1 means version 1, anything else 0.4."""
        return 1 if is_version_1(self.version) else 0.4


def is_version_1(version: Any) -> bool:
    """Whether a ``version`` means version 1; every other value, and none at all, means 0.4."""
    return not isinstance(version, bool) and isinstance(version, int | float) and version == 1


# -- reading -----------------------------------------------------------------------------------------------------


def load_document(data: Any) -> Document:
    """Read parsed JSON of either version. Raises WorkflowError with everything that is out of shape."""
    if not isinstance(data, Mapping):
        raise WorkflowError([malformed(f"an editor file is an object with nodes and links; found {shown(data)}")])
    check_depth(data, "the editor file")
    problems: list[Problem] = []
    rest = dict(data)
    version = rest.pop("version", None)
    nodes = _objects(rest.pop("nodes", None), "nodes", problems)
    links = _read_links(rest.pop("links", None), problems)
    extra = rest.get("extra")
    if extra is not None and not isinstance(extra, Mapping):
        problems.append(malformed(f"extra is an object; found {shown(extra)}"))
        extra = None
    elif extra is not None:
        del rest["extra"]
    if len(nodes) > MAX_NODES:
        problems.append(malformed(f"the file has {len(nodes)} nodes; the limit is {MAX_NODES}"))
    counters = _read_counters(rest, problems)
    reroutes = _take_list(rest, "reroutes", problems)
    if not is_version_1(version) and extra is not None:
        links, extra = _unpack_extensions(links, extra, problems)
        if "reroutes" in extra and reroutes is None:
            extra = dict(extra)
            reroutes = _take_list(extra, "reroutes", problems)
    if problems:
        raise WorkflowError(problems)
    return Document(version, nodes, links, counters, reroutes, extra, rest)


def malformed(message: str, node: str | None = None) -> Problem:
    """A problem in the shape of an editor file."""
    return Problem("invalid_workflow", message, node)


def _objects(value: Any, place: str, problems: list[Problem]) -> tuple[Json, ...]:
    if not isinstance(value, list):
        problems.append(malformed(f"{place} is a list of objects; found {shown(value)}"))
        return ()
    for index, each in enumerate(value):
        if not isinstance(each, Mapping):
            problems.append(malformed(f"{place}[{index}] is an object; found {shown(each)}"))
    return tuple(each for each in value if isinstance(each, Mapping))


def _take_list(data: dict[str, Any], key: str, problems: list[Problem]) -> tuple[Any, ...] | None:
    if data.get(key) is None:
        return None
    value = data.pop(key)
    if isinstance(value, list):
        return tuple(value)
    problems.append(malformed(f"{key} is a list; found {shown(value)}"))
    return None


def _read_counters(rest: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    state = rest.pop("state", None)
    if state is not None and not isinstance(state, Mapping):
        problems.append(malformed(f"state is an object of counters; found {shown(state)}"))
        state = None
    old = {new: rest.pop(name) for name, new in COUNTERS.items() if name in rest}
    return {**old, **(state or {})}


def _read_links(value: Any, problems: list[Problem]) -> tuple[DocumentLink, ...]:
    """Read arrays and objects alike; a null link is what old editors left of a deleted one, and is dropped."""
    if value is None:
        return ()
    if not isinstance(value, list):
        problems.append(malformed(f"links is a list; found {shown(value)}"))
        return ()
    links = [_read_link(index, each, problems) for index, each in enumerate(value) if each is not None]
    return tuple(link for link in links if link is not None)


def _read_link(index: int, value: Any, problems: list[Problem]) -> DocumentLink | None:
    if isinstance(value, list) and len(value) >= 5:
        tail = {TAIL: value[6:]} if len(value) > 6 else {}
        kind = value[5] if len(value) > 5 else None
        return DocumentLink(value[0], value[1], value[2], value[3], value[4], kind, tail)
    if isinstance(value, Mapping) and all(key in value for key in LINK_KEYS[:5]):
        rest = {key: each for key, each in value.items() if key not in LINK_KEYS}
        return DocumentLink(
            value["id"], value["origin_id"], value["origin_slot"], value["target_id"], value["target_slot"],
            value.get("type"), rest,
        )
    problems.append(malformed(
        f"links[{index}] is [id, from node, from slot, to node, to slot, type] or an object of these; "
        f"found {shown(value)}"
    ))
    return None


def _unpack_extensions(
    links: tuple[DocumentLink, ...], extra: Json, problems: list[Problem]
) -> tuple[tuple[DocumentLink, ...], Json]:
    """Give each link what ``extra.linkExtensions`` says of it; what belongs to no link stays there."""
    entries = extra.get("linkExtensions")
    if not entries:
        return links, extra
    if not isinstance(entries, list):
        problems.append(malformed(f"extra.linkExtensions is a list; found {shown(entries)}"))
        return links, extra
    position = {_key(link.id): index for index, link in reversed(list(enumerate(links)))}
    changed = list(links)
    left: list[Any] = []
    for entry in entries:
        key = _key(entry["id"]) if isinstance(entry, Mapping) and "id" in entry else None
        index = position.pop(key, None) if key is not None else None
        if index is None:
            left.append(entry)
            continue
        more = {name: value for name, value in entry.items() if name != "id"}
        changed[index] = msgspec.structs.replace(links[index], rest={**links[index].rest, **more})
    kept = {name: value for name, value in extra.items() if name != "linkExtensions"}
    return tuple(changed), {**kept, "linkExtensions": left} if left else kept


def _key(value: Any) -> str:
    return repr(value)


# -- writing -----------------------------------------------------------------------------------------------------


def dump_document(document: Document, version: Version | None = None) -> dict[str, Any]:
    """Write JSON of version 0.4 or 1; without a version, of the one that was read."""
    wanted = document.form if version is None else version
    same = wanted == document.form
    data = dict(document.rest)
    data["nodes"] = list(document.nodes)
    if document.version is not None or not same:
        data["version"] = document.version if same else wanted
    if wanted == 1:
        _write_version_1(document, data)
    else:
        _write_version_04(document, data)
    return data


def _write_version_1(document: Document, data: dict[str, Any]) -> None:
    if document.counters or document.form != 1:
        data["state"] = {**_implied(document), **document.counters}
    data["links"] = [_link_object(link) for link in document.links]
    if document.reroutes is not None:
        data["reroutes"] = list(document.reroutes)
    if document.extra is not None:
        data["extra"] = dict(document.extra)


def _write_version_04(document: Document, data: dict[str, Any]) -> None:
    implied = _implied(document)
    left = {name: value for name, value in document.counters.items() if name not in COUNTERS.values()}
    if any(value != implied.get(name) for name, value in left.items()):
        data["state"] = left
    data.update({name: document.counters[new] for name, new in COUNTERS.items() if new in document.counters})
    data["links"] = [_link_array(link) for link in document.links]
    extensions = [_extension(link) for link in document.links if link.rest.keys() - {TAIL}]
    extra = dict(document.extra or {})
    if extensions:
        left_over = extra.get("linkExtensions")
        extra["linkExtensions"] = extensions + (left_over if isinstance(left_over, list) else [])
    if document.reroutes is not None:
        extra["reroutes"] = list(document.reroutes)
    if extra or document.extra is not None:
        data["extra"] = extra


def _link_object(link: DocumentLink) -> dict[str, Any]:
    return {**{key: getattr(link, key) for key in LINK_KEYS}, **link.rest}


def _link_array(link: DocumentLink) -> list[Any]:
    return [*(getattr(link, key) for key in LINK_KEYS), *link.rest.get(TAIL, ())]


def _extension(link: DocumentLink) -> dict[str, Any]:
    return {"id": link.id, **{name: value for name, value in link.rest.items() if name != TAIL}}


def _implied(document: Document) -> dict[str, int]:
    """The two counters that version 0.4 does not hold: the highest id in use."""
    groups = document.rest.get("groups")
    return {
        "lastGroupId": _highest(groups if isinstance(groups, list) else ()),
        "lastRerouteId": _highest(document.reroutes or ()),
    }


def _highest(entries: Sequence[Any]) -> int:
    ids = (each.get("id") for each in entries if isinstance(each, Mapping))
    return max((each for each in ids if isinstance(each, int) and not isinstance(each, bool)), default=0)
