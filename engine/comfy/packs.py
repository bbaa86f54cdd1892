"""Load node packs: each folder (or ``.py`` file) in a folder of packs is imported; its classes become nodes.

A pack that fails is reported with its traceback, and the rest load.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from engine.comfy.class_node import ClassNode
from engine.comfy.from_class import make_spec
from engine.comfy.imports import install
from engine.comfy.running import Host
from engine.graph.node import Node

if TYPE_CHECKING:
    from engine.files.folders import Folders


@dataclass(frozen=True, slots=True)
class Packs:
    """What packs gave: nodes by class name, failures (pack or pack.Class → traceback), and web folders."""

    nodes: Mapping[str, Node[..., Any]]
    failures: Mapping[str, str] = field(default_factory=dict)
    web: Mapping[str, Path] = field(default_factory=dict)


def load_packs(
    directories: Sequence[Path], folders: Folders, core: Mapping[str, Node[..., Any]], device: torch.device,
    only: Sequence[str] = (),
) -> Packs:
    """Import every pack below some directories. Runs the packs' code: only where the user switched them on.

    only: the names of the packs to import; all if there is none.
    core: the nodes that are there already; a pack cannot take their names. Call it once, in the worker, after the
    core nodes were scanned: ``nodes = {**registry.nodes, **packs.nodes}``, ``failures`` likewise.
    """
    host = Host(folders, device, dict(core))
    install(host)
    nodes: dict[str, Node[..., Any]] = {}
    failures: dict[str, str] = {}
    web: dict[str, Path] = {}
    for path in _paths(directories):
        if only and path.name not in only and path.stem not in only:
            continue
        name = f"custom_nodes.{path.stem if path.is_file() else path.name}".replace(" ", "_")
        name = "custom_nodes." + name.removeprefix("custom_nodes.").replace(".", "_x_")
        try:
            module = _import(path, name)
            classes = dict(getattr(module, "NODE_CLASS_MAPPINGS", None) or {})
            titles = dict(getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {})
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failures[name] = traceback.format_exc()
            sys.modules.pop(name, None)
            continue
        folder = getattr(module, "WEB_DIRECTORY", None)
        if isinstance(folder, str) and path.is_dir() and (path / folder).is_dir():
            web[path.name] = (path / folder).resolve()
        for class_type, cls in classes.items():
            try:
                if class_type in host.nodes:
                    raise ValueError(
                        f"there is a node {class_type} already, in {host.nodes[class_type].spec.module}; it is kept"
                    )
                spec = make_spec(str(class_type), cls, name, str(titles.get(class_type) or ""))
                nodes[spec.class_type] = host.nodes[spec.class_type] = ClassNode(spec, cls, host)
            except Exception:  # noqa: BLE001 - one class must not take the pack with it
                failures[f"{name}.{class_type}"] = traceback.format_exc()
    return Packs(nodes, failures, web)


def _paths(directories: Sequence[Path]) -> Iterator[Path]:
    for directory in directories:
        for path in sorted(directory.iterdir(), key=lambda each: each.name.lower()) if directory.is_dir() else ():
            hidden = path.name.startswith(".") or path.name == "__pycache__" or path.name.endswith(".disabled")
            if not hidden and (path.suffix == ".py" or (path / "__init__.py").is_file()):
                yield path


def _import(path: Path, name: str) -> ModuleType:
    file = path if path.is_file() else path / "__init__.py"
    within = None if path.is_file() else [str(path)]
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=within)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
