"""Which jobs of a worker run at once. What decides is here, and pure; the worker's threads follow it.

Jobs begin in their order. Beside others a job runs if all that read model files read the same, which is when their
denoising can be one batch and their weights are in memory once; others wait, as they would with one job at a time. A
job with nodes of packs runs alone, since packs take the process for theirs; so does one that is tried again after its
worker died, so that whatever killed the worker takes no other job with it the second time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.files.folders import UPLOADED
from engine.graph.graph import Graph
from engine.graph.node import Files, Node

AT_ONCE = 8  # jobs, on an accelerator


@dataclass(frozen=True, slots=True)
class Needs:
    """What decides beside whom a job may run: whether it has to be alone, and the model files it reads."""

    alone: bool = False
    models: frozenset[tuple[str, str]] = frozenset()


def needs_of(graph: Graph, nodes: Mapping[str, Node[..., Any]], alone: bool = False) -> Needs:
    """The needs of a graph. A class that is not there is the job's own problem, and told when it runs."""
    models = set()
    for node in graph.nodes:
        impl = nodes.get(node.class_type)
        if impl is None:
            continue
        if impl.spec.lane == "packs":
            return Needs(alone=True)
        for each in impl.spec.inputs:
            if not isinstance(each.choices, Files) or each.choices.folder in UPLOADED:
                continue
            if each.name in node.links:
                return Needs(alone=True)  # nobody knows which one yet
            if isinstance(name := node.literals.get(each.name), str):
                models.add((each.choices.folder, name))
    return Needs(alone, frozenset(models))


def may_join(new: Needs, running: Mapping[object, Needs], at_once: int) -> bool:
    """Whether a job may run beside those that run.

    >>> with_a, with_b, plain = Needs(models=frozenset("a")), Needs(models=frozenset("b")), Needs()
    >>> [may_join(each, {"first": with_a}, 2) for each in (with_a, with_b, plain, Needs(alone=True))]
    [True, False, True, False]
    """
    if not running:
        return True
    if len(running) >= at_once or new.alone:
        return False
    return all(
        not each.alone and (each.models == new.models or not (each.models and new.models))
        for each in running.values()
    )


@dataclass(slots=True)
class Floor:
    """The jobs that run, by any key, and how many may. Used by several threads."""

    at_once: int
    _running: dict[object, Needs] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __len__(self) -> int:
        """How many jobs run."""
        return len(self._running)

    def enter(self, job: object, needs: Needs) -> None:
        """Wait until a job may run, then count it among those that do."""
        with self._changed:
            self._changed.wait_for(lambda: may_join(needs, self._running, self.at_once))
            self._running[job] = needs

    def leave(self, job: object) -> None:
        """A job has ended."""
        with self._changed:
            del self._running[job]
            self._changed.notify_all()

    def wait_empty(self) -> None:
        """Wait until no job runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running)

    def set_at_once(self, jobs: int) -> None:
        """Let so many jobs run from now on; those that run go on."""
        with self._changed:
            self.at_once = jobs
            self._changed.notify_all()


def jobs_at_once(wanted: int | None, device: str, *, exact: bool) -> int:
    """How many jobs a worker runs at once: as wanted, otherwise one on a CPU and several on an accelerator.

    exact: pictures are to be the same bits each time, which merged batches do not promise: then it is one.
    """
    if exact:
        return 1
    return wanted or (1 if device == "cpu" else AT_ONCE)
