"""A simple layered layout: columns by the longest path from a source, top to bottom in the order of the file.

>>> columns({"a": [], "b": ["a"], "c": ["a", "b"]})
{'a': 0, 'b': 1, 'c': 2}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WIDTH = 270.0
GAP_X = 70.0
GAP_Y = 40.0
ROW = 24.0
HEADER = 32.0
TEXT_HEIGHT = 110.0


def columns(sources: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The column of each node, given the nodes that feed it. Nodes on a circle stand right of all others."""
    waiting = {name: len(each) for name, each in sources.items()}
    readers: dict[str, list[str]] = {name: [] for name in sources}
    for name, each in sources.items():
        for source in each:
            readers[source].append(name)
    column = dict.fromkeys(sources, 0)
    ready = [name for name, count in waiting.items() if not count]
    for name in ready:  # grows while it is read
        for reader in readers[name]:
            column[reader] = max(column[reader], column[name] + 1)
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    circle = waiting.keys() - set(ready)
    right = max((column[name] for name in ready), default=-1) + 1
    return {name: right if name in circle else column[name] for name in sources}


def positions(column: Mapping[str, int], heights: Mapping[str, float]) -> dict[str, list[float]]:
    """Top left corners: a column's nodes stand below each other without touching."""
    bottom: dict[int, float] = {}
    placed: dict[str, list[float]] = {}
    for name, index in column.items():
        top = bottom.get(index, 0.0)
        placed[name] = [index * (WIDTH + GAP_X), top]
        bottom[index] = top + HEADER + heights[name] + GAP_Y
    return placed
