"""A context for calling nodes: real folders, real networks, no executor; and whole graphs, run with one."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from engine.diffusion.standin import standin_config, standin_tensors
from engine.files.folders import Folders, make_folders
from engine.messages.events import Event, NodeText
from engine.runtime.context import NodeContext, Studio
from engine.runtime.device.precision import choose_dtypes
from engine.runtime.device.residency import Residency
from engine.runtime.headless import run_file
from engine.runtime.settings import Settings
from engine.runtime.tasks import CancelToken, Job
from tests.served import ROOT


@lru_cache(maxsize=4)
def standin(seed: int) -> dict[str, torch.Tensor]:
    """The miniature checkpoint's tensors, made once; not to be changed."""
    return standin_tensors(standin_config(), seed)


class Desk:
    """Folders below one directory, and a context that writes down what it is told."""

    def __init__(self, root: Path) -> None:
        self.folders: Folders = make_folders(data=root / "data", models=root / "models")
        self.folders.input.mkdir(parents=True)
        cpu = torch.device("cpu")
        self.studio = Studio(self.folders, Residency(cpu, choose_dtypes("fp32", "cpu"), 2**30))
        self.events: list[Event] = []
        job = Job(id="j", graph=None, prompt=None, extra=None, cancel=CancelToken())
        self.context = NodeContext(self.studio, _node(), "1", job, self.events.append)

    def model_folder(self, name: str) -> Path:
        folder = self.folders.models[name][0]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, NodeText)]


def _node() -> Any:
    class Named:
        id = "1"
        literals: Mapping[str, Any] = {}
        links: Mapping[str, Any] = {}

    return Named()


class Bench:
    """Runs graphs without a server, in folders of its own; what is cached on disk lasts from run to run."""

    def __init__(self, root: Path, models: Path = ROOT / "models") -> None:
        self.root = root
        self.folders = make_folders(data=root / "data", models=models)
        for folder in (self.folders.input, self.folders.output, self.folders.temp):
            folder.mkdir(parents=True)
        self.settings = Settings(
            self.folders, cpu=True, precision="fp32", threads=1, cache_directory=root / "cache"
        )

    def run(self, graph: Mapping[str, tuple[str, Mapping[str, Any]]]) -> tuple[Any, list[Event]]:
        """Run id → (class, inputs); gives the ending and what was told."""
        file = self.root / "graph.json"
        file.write_text(json.dumps({
            name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in graph.items()
        }))
        events: list[Event] = []
        return run_file(file, self.settings, events.append), events
