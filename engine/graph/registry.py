"""Find nodes: every ``Node`` at the top level of a module of the ``nodes`` package.

Importing a node module registers nothing; this scan does. A module that fails to import is reported with its
traceback, and the rest load.
"""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType

from engine.graph.node import Node, NodeSpec


@dataclass(frozen=True, slots=True)
class Registry:
    """Nodes by class name, and what could not be loaded: module name → traceback."""

    nodes: Mapping[str, Node[..., object]]
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def specs(self) -> dict[str, NodeSpec]:
        """The specifications by class name."""
        return {name: each.spec for name, each in self.nodes.items()}


def make_registry(modules: Iterable[ModuleType]) -> Registry:
    """Gather the nodes of modules. Raises ValueError if two nodes have the same class name."""
    nodes: dict[str, Node[..., object]] = {}
    for module in modules:
        for value in vars(module).values():
            if not isinstance(value, Node) or value.spec.module != module.__name__:
                continue
            name = value.spec.class_type
            if name in nodes:
                raise ValueError(f"{module.__name__} and {nodes[name].spec.module} both define the node {name}")
            nodes[name] = value
    return Registry(nodes)


def scan(package: str = "nodes") -> Registry:
    """Import each module of a package and gather its nodes; failures are reported, not raised."""
    root = importlib.import_module(package)
    modules: list[ModuleType] = []
    failures: dict[str, str] = {}
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda each: each.name):
        name = f"{package}.{info.name}"
        try:
            modules.append(importlib.import_module(name))
        except Exception:  # noqa: BLE001 - a broken module must not take the others with it
            failures[name] = traceback.format_exc()
    return Registry(make_registry(modules).nodes, failures)
