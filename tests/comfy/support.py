"""A machine with the fixture packs and a few core nodes, and workflows in short form."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.comfy.packs import Packs
from engine.graph.graph import Graph, resolve
from engine.graph.node import Ui, node
from engine.graph.types import Model
from engine.graph.workflow import read_api
from engine.messages.events import NodeMessage
from engine.runtime.execute import execute
from engine.runtime.tasks import Job
from tests.runtime.toolbox import NoFiles, PlainContext

HERE = Path(__file__).parent / "packs"
MODEL: Any = Model(SimpleNamespace(path=Path("model"), stamp=(1, 2, 3)), SimpleNamespace())  # type: ignore[arg-type]
given: dict[str, Any] = {}
previews: list[bytes] = []


class Context(PlainContext):
    def progress(self, value: float, total: float, preview: Any = None) -> None:
        super().progress(value, total)
        if preview is not None:
            previews.append(preview())

    def check(self) -> None:
        self.job.cancel.check()

    def send(self, event: str, data: Any) -> None:
        self.tell(NodeMessage(self.node_id, self.display, event, data))


def made(kind: Any) -> Any:
    """A core node that makes a value of a type, and one that looks at it."""
    name = kind.socket.title()

    def make() -> Any:
        return given["value"]

    def look(*, value: Any) -> Ui:
        given["seen"] = value
        return Ui({"text": [type(value).__name__]})

    make.__annotations__["return"] = kind
    look.__annotations__["value"] = kind
    never = node(f"Make{name}", category="test", changed=lambda: float("nan"))(make)
    return [never, node(f"Look{name}", category="test", output=True)(look)]


def graph_of(packs: tuple[Packs, Any], workflow: dict[str, Any]) -> Graph:
    api = {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in workflow.items()}
    return resolve(read_api(api), {name: each.spec for name, each in packs[1].nodes.items()}, NoFiles()).graph


def run(packs: tuple[Packs, Any], workflow: dict[str, Any], job: Job | None = None) -> tuple[Any, list[Any]]:
    events: list[Any] = []
    return execute(job or Job("job", graph_of(packs, workflow)), packs[1], events.append), events


def shows(kind: str, slot: int = 0, **inputs: Any) -> dict[str, Any]:
    return {"x": (kind, inputs), "out": ("Show", {"value": ["x", slot]})}
