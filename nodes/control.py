"""The flow of a graph: choosing between branches, going through lists.

A branch that is not chosen is not run. A for-each runs what lies between ``ForEach`` and ``ForEachEnd`` once per item,
each round for itself: where one item of a list has changed, only its round runs again.

    NumberList → ForEach ─item→ (any nodes) ─value→ ForEachEnd → collected, last
                    └──────────────loop────────────────↑
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from engine.graph.expand import Expand
from engine.graph.graph import GraphNode
from engine.graph.node import DynPrompt, Inner, Lazy, LinkOnly, Name, Range, RawLink, Text, node
from engine.graph.types import Blocker, Loop
from engine.graph.workflow import Link

CASES = 8
MOST_NUMBERS = 100_000
BEGINNING = "ForEach"
LOOP, ITEM, INDEX, SO_FAR = range(4)  # the outputs of ForEach


# -- choosing ----------------------------------------------------------------------------------------------------


@node(
    "LazyIf", category="logic", display_name="If", returns=["*"],
    lazy=lambda condition, **branches: ["then"] if condition else ["otherwise"],
)
def choose(
    *, condition: bool, then: Annotated[Any | None, Lazy()] = None, otherwise: Annotated[Any | None, Lazy()] = None
) -> Any:
    """Pass one of two values on; the other is not even made. A branch that is not linked withholds what follows.

    then: What comes out if the condition holds.
    otherwise: What comes out if it does not.
    """
    value = then if condition else otherwise
    return Blocker() if value is None else value


Case = Annotated[Any | None, Lazy()]


@node(
    "LazySwitch", category="logic", display_name="Switch", returns=["*"], lazy=lambda index, **cases: [f"case{index}"]
)
def switch(
    *, index: Annotated[int, Range(0, CASES - 1)] = 0, case0: Case = None, case1: Case = None, case2: Case = None,
    case3: Case = None, case4: Case = None, case5: Case = None, case6: Case = None, case7: Case = None,
) -> Any:
    """Pass on the value with a number; the others are not even made. One that is not linked withholds what follows."""
    value = (case0, case1, case2, case3, case4, case5, case6, case7)[index]
    return Blocker() if value is None else value


# -- lists -------------------------------------------------------------------------------------------------------


@node("NumberList", category="logic/list", display_name="Numbers")
def numbers(
    *, start: Annotated[int, Range(-(2**31), 2**31)] = 0, stop: Annotated[int, Range(-(2**31), 2**31)] = 4,
    step: Annotated[int, Range(-(2**31), 2**31)] = 1,
) -> list[int]:
    """A list of whole numbers: what follows runs once for each.

    start: The first one.
    stop: The list ends before it.
    step: From one to the next; negative to go down.
    """
    if step == 0:
        raise ValueError("step is 0, so the list would never end; use 1, or -1 to go down")
    made = range(start, stop, step)
    if len(made) > MOST_NUMBERS:
        raise ValueError(f"this would be a list of {len(made)} numbers; the limit is {MOST_NUMBERS}: take larger steps")
    return list(made)


@node("TextLines", category="logic/list", display_name="Lines")
def lines(*, text: Annotated[str, Text(multiline=True)] = "") -> list[str]:
    """The lines of a text that are not empty, as a list: what follows runs once for each."""
    return [line for line in text.splitlines() if line.strip()]


@node("CollectList", category="logic/list", display_name="Collect", returns=["*"])
def collect(*, value0: list[Any] | None = None, value1: list[Any] | None = None, **values: list[Any]) -> list[Any]:
    """Put values and lists into one list, in the order of their names (value2 before value10).

    value0: The first; inputs with other names may be linked too.
    """
    named = {"value0": value0 or [], "value1": value1 or [], **values}
    return [each for name in sorted(named, key=_natural) for each in named[name]]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", name)]


# -- going through a list ----------------------------------------------------------------------------------------


class Begun(NamedTuple):
    """What a round of a for-each starts from."""

    loop: Annotated[Loop, Name("loop")]
    item: Annotated[list[Any], Name("item")]
    number: Annotated[list[int], Name("index")]
    so_far: Annotated[list[Any], Name("so_far")]


@node(BEGINNING, category="logic", display_name="For Each")
def for_each(*, items: Annotated[list[Any], LinkOnly()], initial: list[Any] | None = None) -> Begun:
    """Begin a for-each: what lies between here and its end runs once per item.

    items: The list to go through.
    initial: What the first round finds at so_far; each later one finds the value of the round before.
    """
    first = initial[0] if initial else None
    return Begun(Loop(tuple(items), first), items, list(range(len(items))), [first])


class Ended(NamedTuple):
    """What came of the rounds."""

    collected: Annotated[list[Any], Name("collected")]
    last: Annotated[Any, Name("last")]


@node("ForEachEnd", category="logic", display_name="For Each: End")
def for_each_end(
    *, loop: Annotated[Loop, RawLink()], value: Annotated[Any, RawLink()], graph: DynPrompt,
    rounds: Annotated[Loop | None, Inner()] = None,
) -> Ended | Expand:
    """End a for-each.

    loop: The loop output of the node where it begins.
    value: What a round makes; the next one finds it at so_far.
    """
    begin, made = _as_link(loop, "loop"), _as_link(value, "value")
    if (found := graph.node(begin.node).class_type) != BEGINNING:
        raise ValueError(
            f"the loop input of the end of a for-each is linked to a node of the class {found}; link it to the loop"
            " output of the node For Each itself, since what lies between the two is what runs once per item"
        )
    if rounds is None:  # the list is asked for by a node inside, so that what makes it runs first
        again = {"class_type": "ForEachEnd", "inputs": {"loop": begin, "value": made, "rounds": begin}}
        return Expand((Link("rounds", 0), Link("rounds", 1)), {"rounds": again})
    body = _between(graph, begin.node, made.node)
    nodes: dict[str, dict[str, Any]] = {}
    values: list[Any] = []
    for index, item in enumerate(rounds.items):
        so_far = values[-1] if values else rounds.initial
        given = {LOOP: Loop((item,), so_far), ITEM: item, INDEX: index, SO_FAR: so_far}
        for name, each in body.items():
            nodes[f"{index}.{name}"] = {"class_type": each.class_type, "inputs": {
                **each.literals,
                **{key: _moved(link, index, begin.node, body, given) for key, link in each.links.items()},
            }}
        values.append(_moved(made, index, begin.node, body, given))
    last = values[-1] if values else rounds.initial
    if any(isinstance(each, Link) for each in values):
        linked = {f"value{index}": each for index, each in enumerate(values)}
        nodes["collected"] = {"class_type": "CollectList", "inputs": linked}
        return Expand((Link("collected", 0), last), nodes)
    return Expand((values, last), nodes)


def _as_link(value: Any, name: str) -> Link:
    if not isinstance(value, Link):
        raise ValueError(f"the end of a for-each has no link at {name}; link it to the nodes of the loop")
    return value


def _moved(link: Link, index: int, begin: str, body: Mapping[str, GraphNode], given: Mapping[int, Any]) -> Any:
    """Where a link of the body leads in one round: to a node of the round, to what the round was given, or outside."""
    if link.node == begin:
        return given[link.slot]
    return Link(f"{index}.{link.node}", link.slot) if link.node in body else link


def _between(graph: Any, begin: str, end: str) -> dict[str, GraphNode]:
    """The nodes that ``end`` needs and that depend on ``begin``. Iterative."""
    needed: dict[str, GraphNode] = {}
    readers: dict[str, list[str]] = {}
    for name, each in _ancestors(graph, begin, end):
        needed[name] = each
        for link in each.links.values():
            readers.setdefault(link.node, []).append(name)
    found: dict[str, GraphNode] = {}
    stack = [begin]
    while stack:
        for name in readers.get(stack.pop(), ()):
            if name not in found:
                found[name] = needed[name]
                stack.append(name)
    return found


def _ancestors(graph: Any, begin: str, end: str) -> Iterator[tuple[str, GraphNode]]:
    """A node and all that it reads, as far as ``begin``."""
    seen, stack = {begin}, [end]
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            each = graph.node(name)
            yield name, each
            stack.extend(link.node for link in each.links.values())
