"""Load node packs: each folder (or ``.py`` file) in a folder of packs is imported; its classes become nodes.

A pack that fails is reported with its traceback, and the rest load. What was imported is told with a hash of its
programs; who allows a pack with that hash (``NAME@HASH``) has it refused when they have changed.
"""

from __future__ import annotations

import hashlib
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
from engine.comfy.imports import PromptServer, install
from engine.comfy.running import Host
from engine.graph.node import Node
from engine.messages.protocol import Pack

if TYPE_CHECKING:
    from engine.files.folders import Folders


PROGRAMS = frozenset({
    ".py", ".pyc", ".pyx", ".so", ".pyd", ".dylib", ".dll", ".sh", ".js", ".mjs", ".toml", ".cfg", ".txt",
})
SHORT_HASH = 16  # digits that are shown
LEAST_HASH = 12  # digits that allow a pack
VERSION_DIGITS = 12  # digits that are part of the keys of its nodes: changed programs may make something else


@dataclass(frozen=True, slots=True)
class Packs:
    """What packs gave: nodes by class name, and failures (pack or pack.Class → traceback).

    imported: the packs, each as ``NAME@HASH``. folders: those that are folders, with what they have for front-ends.
    routes: (method, path) that packs wanted to answer.
    """

    nodes: Mapping[str, Node[..., Any]]
    failures: Mapping[str, str] = field(default_factory=dict)
    imported: Sequence[str] = ()
    folders: Sequence[Pack] = ()
    routes: Sequence[tuple[str, str]] = ()


def load_packs(
    directories: Sequence[Path], folders: Folders, core: Mapping[str, Node[..., Any]], device: torch.device,
    only: Sequence[str] = (),
) -> Packs:
    """Import every pack below some directories. Runs the packs' code: only where the user switched them on.

    only: the names of the packs to import, ``NAME`` or ``NAME@HASH``; all if there is none.
    core: the nodes that are there already; a pack cannot take their names. Call it once, in the worker, after the
    core nodes were scanned: ``nodes = {**registry.nodes, **packs.nodes}``, ``failures`` likewise.
    """
    host = Host(folders, device, dict(core))
    install(host)
    nodes: dict[str, Node[..., Any]] = {}
    failures: dict[str, str] = {}
    imported: list[str] = []
    places: list[Pack] = []
    allowed = dict(each.partition("@")[::2] for each in only)
    for path in pack_paths(directories):
        known = next((each for each in (path.name, path.stem) if each in allowed), None)
        if only and known is None:
            continue
        name = f"custom_nodes.{path.stem if path.is_file() else path.name}".replace(" ", "_")
        name = "custom_nodes." + name.removeprefix("custom_nodes.").replace(".", "_x_")
        try:
            programs = fingerprint(path)
            _check_allowed(programs, allowed.get(known or "", ""))
            module = _import(path, name)
            classes = dict(getattr(module, "NODE_CLASS_MAPPINGS", None) or {})
            titles = dict(getattr(module, "NODE_DISPLAY_NAME_MAPPINGS", None) or {})
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failures[name] = traceback.format_exc()
            sys.modules.pop(name, None)
            continue
        imported.append(f"{path.stem}@{programs[:SHORT_HASH]}")
        if path.is_dir():
            named = getattr(module, "WEB_DIRECTORY", None)
            scripts = (path / named).resolve() if isinstance(named, str) and (path / named).is_dir() else None
            places.append(Pack(path.name, str(path.resolve()), str(scripts) if scripts else None))
        for class_type, cls in classes.items():
            try:
                if class_type in host.nodes:
                    raise ValueError(
                        f"there is a node {class_type} already, in {host.nodes[class_type].spec.module}; it is kept"
                    )
                title, version = str(titles.get(class_type) or ""), int(programs[:VERSION_DIGITS], 16)
                spec = make_spec(str(class_type), cls, name, title, version)
                nodes[spec.class_type] = host.nodes[spec.class_type] = ClassNode(spec, cls, host)
            except Exception:  # noqa: BLE001 - one class must not take the pack with it
                failures[f"{name}.{class_type}"] = traceback.format_exc()
    return Packs(nodes, failures, imported, places, tuple(PromptServer.instance.routes.wanted))


def fingerprint(path: Path) -> str:
    """SHA-256 (hexadecimal) over names and contents of a pack's programs. Raises OSError."""
    found = [path] if path.is_file() else sorted(
        each for each in path.rglob("*")
        if each.suffix.lower() in PROGRAMS and "__pycache__" not in each.parts and each.is_file())
    digest = hashlib.sha256()
    for each in found:
        name, content = each.relative_to(path.parent).as_posix().encode(), each.read_bytes()
        digest.update(b"%d %b %d " % (len(name), name, len(content)) + content)
    return digest.hexdigest()


def _check_allowed(programs: str, wanted: str) -> None:
    """Raise PermissionError unless a pack's programs are those that were allowed; any are if there is no hash."""
    if wanted and not (len(wanted) >= LEAST_HASH and programs.startswith(wanted.lower())):
        raise PermissionError(
            f"its programs are not those that were allowed: found {programs[:SHORT_HASH]}, wanted {wanted}"
            f" (at least {LEAST_HASH} digits); look at what has changed before you allow it")


def pack_paths(directories: Sequence[Path]) -> Iterator[Path]:
    """The packs below some directories, by name, whether they are switched on or not."""
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
