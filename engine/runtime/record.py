"""Making the run record of a job: what it depends on besides its graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from engine.files.digests import Digests
from engine.files.folders import UPLOADED, Folders
from engine.graph.graph import Graph
from engine.graph.node import Files, Node
from engine.messages.events import NodeReport
from engine.messages.record import RunRecord, WeightFile

SEEDS = ("seed", "noise_seed")


def with_plans(record: RunRecord, reports: Iterable[NodeReport]) -> RunRecord:
    """A job's record, which says how its nodes used memory."""
    return replace(record, memory={each.node: each.memory["plan"] for each in reports if "plan" in each.memory})


@dataclass(frozen=True, slots=True)
class Named:
    """What a class of nodes names: inputs with seeds, and inputs with files of weights with their folders."""

    seeds: tuple[str, ...]
    weights: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Recorder:
    """Makes run records. plan: what holds for all jobs of this worker."""

    nodes: Mapping[str, Node[..., Any]]
    folders: Folders
    digests: Digests
    versions: Mapping[str, str]
    device: str
    plan: dict[str, str | int | bool | None]
    _named: dict[str, Named] = field(default_factory=dict)

    def record(self, graph: Graph, *, wait: bool = False) -> RunRecord:
        """The record of a graph. Digests that are not known are left out, and worked out for the next time.

        wait: work them out now.
        """
        seeds: dict[str, int] = {}
        weights: dict[tuple[str, str], WeightFile] = {}
        for node in graph.nodes:
            named = self._named.get(node.class_type) or self._look_at(node.class_type)
            for name in named.seeds:
                if isinstance(value := node.literals.get(name), int):
                    seeds[f"{node.id}.{name}"] = value
            for name, folder in named.weights:
                value = node.literals.get(name)
                if isinstance(value, str) and (folder, value) not in weights:
                    weights.update(self._weights(folder, value, wait))
        return RunRecord(self.versions, self.device, dict(self.plan), seeds, tuple(weights.values()))

    def _weights(self, folder: str, name: str, wait: bool) -> Iterator[tuple[tuple[str, str], WeightFile]]:
        path = self.folders.find(folder, name)
        if path is None:
            return
        digest = self.digests.read(path) if wait else self.digests.get(path)
        try:
            size = path.stat().st_size
        except OSError:
            return
        yield (folder, name), WeightFile(folder, name, size, digest)

    def _look_at(self, class_type: str) -> Named:
        impl = self.nodes.get(class_type)
        inputs = impl.spec.inputs if impl is not None else ()
        named = self._named[class_type] = Named(
            tuple(each.name for each in inputs if each.name in SEEDS),
            tuple(
                (each.name, each.choices.folder) for each in inputs
                if isinstance(each.choices, Files) and each.choices.folder not in UPLOADED
            ),
        )
        return named
