"""A server on a loopback port over a fake dispatcher, with a few nodes: what the tests of the web have in common."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
from aiohttp import web
from PIL import Image as Pictures
from PIL.PngImagePlugin import PngInfo

from engine.files.folders import Folders, make_folders
from engine.graph.node import Choice, Files, NodeSpec, Range, Ui, node
from engine.graph.types import Image, Latent
from engine.jobs.deliveries import Delivery
from engine.jobs.find import Page, Search
from engine.jobs.gallery import Kept, Look
from engine.jobs.history import item_json
from engine.jobs.job import DuplicateJob, Job, JobEnded, Listener, NewJob, Queue, QueueChanged, Record
from engine.messages import events
from engine.messages.protocol import Complaint, Device, Prediction, Ready
from web.access import Access
from web.app import make_app, start
from web.state import SERVER, Server, WebConfig

GIB = 2**30


@node("Number", category="test")
def number(*, value: Annotated[int, Range(0, 2**64 - 1)] = 0) -> int:
    """Give a whole number."""
    return value


@node("Add", category="test")
def add(*, a: int, b: Annotated[int, Range(0, 9)] = 1) -> int:
    """Add.

    b: The second one.
    """
    return a + b


@node("Pick", category="test")
def pick(*, value: Any, schedule: Annotated[str, Choice(["normal", "karras"])] = "normal") -> float:
    """Take anything and choose."""
    return float(value)


@node("Empty", category="test")
def empty() -> Latent:
    """Make a latent."""
    raise NotImplementedError


@node("LoadPicture", category="test")
def load(*, image: Annotated[str, Files("input", upload="image")]) -> Image:
    """Load a picture."""
    raise NotImplementedError


@node("LoadModel", category="test")
def load_model(*, name: Annotated[str, Files("checkpoints")]) -> float:
    """Load a model."""
    raise NotImplementedError


@node("Checked", category="test", check=lambda **_: None)
def checked(*, value: int) -> int:
    """Check its input with code of its own."""
    return value


@node("Show", category="test", output=True)
def show(*, value: Any) -> Ui:
    """Show a value."""
    return Ui({"text": [str(value)]})


SPECS: dict[str, NodeSpec] = {each.spec.class_type: each.spec for each in (
    number, add, pick, empty, load, load_model, checked, show)}

CHAIN: dict[str, Any] = {
    "1": {"class_type": "Number", "inputs": {"value": 3}},
    "2": {"class_type": "Add", "inputs": {"a": ["1", 0], "b": 2}},
    "3": {"class_type": "Show", "inputs": {"value": ["2", 0]}},
}
"""1 Number → 2 Add → 3 Show"""


def ready(specs: Mapping[str, NodeSpec] = SPECS) -> Ready:
    return Ready(msgspec.Raw(msgspec.msgpack.encode(dict(specs))), {}, (), {"torch": "2.13.0"})


@dataclass
class FakeDispatcher:
    """A queue in memory that runs a job when the test says so, in the order that the real one keeps."""

    specs: Ready | None = field(default_factory=lambda: ready())
    devices: Sequence[Device] = (Device("cpu", "cpu", 0, 8 * GIB, 4 * GIB),)
    running: list[Job] = field(default_factory=list)
    pending: list[Job] = field(default_factory=list)
    submitted: list[NewJob] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)

    def subscribe(self, listener: Listener) -> None:
        self.listeners.append(listener)

    def tell(self, job: Job | None, event: Any) -> None:
        for each in self.listeners:
            each(job, event)

    async def wait_ready(self, timeout: float) -> Ready:
        await asyncio.wait_for(self.is_ready.wait(), timeout)
        assert self.specs is not None
        return self.specs

    async def submit(self, new: NewJob) -> Job:
        known = [*(each.id for each in [*self.running, *self.pending]), *self.kept]
        if new.id in known:
            raise DuplicateJob(new.id)
        self.submitted.append(new)
        place = float(len(self.submitted))
        number = new.number if new.number is not None else -place if new.front else place
        job = Job(
            id=new.id, number=number, sequence=len(self.submitted), created=time.time(),
            client_id=new.client_id, prompt=new.prompt, extra=new.extra, targets=new.targets, owner=new.owner)
        self.pending.append(job)
        self.tell(None, QueueChanged(self.remaining()))
        return job

    found: list[Complaint] = field(default_factory=list)

    async def complaints(self, graph: bytes, timeout: float) -> list[Complaint]:
        self.calls.append(("complaints", timeout))
        return self.found

    foretold: list[Prediction] | None = None

    async def predict(self, graph: bytes, metadata: bool, timeout: float) -> list[Prediction] | None:
        return self.foretold

    def queue(self) -> Queue:
        return Queue(self.running, self.pending)

    def remaining(self) -> int:
        return len(self.running) + len(self.pending)

    async def history(
        self, max_items: int | None = None, offset: int | None = None, owner: str | None = None
    ) -> bytes:
        self.calls.append(("history", max_items, offset))
        return msgspec.json.encode(self.kept)

    def history_item(self, job_id: str) -> bytes:
        return msgspec.json.encode({job_id: self.kept[job_id]} if job_id in self.kept else {})

    def interrupt(self, job_id: str | None = None) -> None:
        self.calls.append(("interrupt", job_id))

    async def delete_pending(self, ids: Sequence[str]) -> None:
        self.calls.append(("delete_pending", list(ids)))

    async def clear_pending(self, owner: str | None = None) -> None:
        self.calls.append(("clear_pending", owner))

    async def delete_history(self, ids: Sequence[str]) -> None:
        self.calls.append(("delete_history", list(ids)))

    async def clear_history(self, owner: str | None = None) -> None:
        self.calls.append(("clear_history", owner))

    paused: bool = False
    draining: bool = False
    at_once: int = 1

    def recipes_by(self, recipe: Any) -> None:
        self.recipe = recipe

    def set_at_once(self, jobs: int) -> int:
        self.at_once = jobs
        return jobs

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def job(self, job_id: str) -> Job | None:
        return next((each for each in [*self.running, *self.pending] if each.id == job_id), None)

    def record(self, job_id: str) -> Record | None:
        return None

    def find(self, search: Search) -> Page:
        return Page([], 0)

    async def cancel(self, job_id: str) -> Job | None:
        return self.job(job_id)

    async def move(self, job_id: str, number: float) -> Job | None:
        return None

    async def place(self, job_id: str, position: int) -> Job | None:
        return None

    def described_by(self, describe: Any) -> None:
        self.describe = describe

    def find_outputs(self, look: Look) -> tuple[list[Kept], int]:
        return [], 0

    def output(self, number: int, owner: str | None) -> Kept | None:
        return None

    def output_owners(self, number: int) -> list[str]:
        return []

    async def trash_output(self, number: int, when: float | None) -> None: ...

    async def forget_output(self, number: int) -> None: ...

    def due_webhooks(self, now: float, limit: int) -> tuple[list[Delivery], float | None]:
        return [], None

    async def postpone_webhook(self, sequence: int, attempts: int, when: float) -> None: ...

    async def finish_webhook(self, sequence: int) -> None: ...

    def owns(self, kind: str, subfolder: str, filename: str, owner: str) -> bool:
        return False

    async def free(self, models: bool, cache: bool) -> int:
        self.calls.append(("free", models, cache))
        return 4096

    # What the worker would do.

    def take_up(self) -> Job:
        job = msgspec.structs.replace(self.pending.pop(0), state="running")
        self.running.append(job)
        self.tell(job, events.Started(time=1.0))
        self.tell(job, QueueChanged(self.remaining()))
        return job

    def end(self, job: Job, ending: Any) -> None:
        self.tell(job, ending)
        self.kept[job.id] = {"prompt": msgspec.json.decode(item_json(job)), "outputs": ending.outputs}
        self.running = [each for each in self.running if each.id != job.id]
        self.tell(job, QueueChanged(self.remaining()))
        state = "succeeded" if isinstance(ending, events.Succeeded) else "failed"
        self.tell(job, JobEnded(msgspec.structs.replace(job, state=state)))

    def run(self, job: Job, nodes: Sequence[str] = ("1", "2", "3")) -> None:
        self.tell(job, events.Cached(nodes=(), time=1.5))
        for name in nodes:
            self.tell(job, events.NodeStarted(name, name))
            if name == nodes[-1]:
                self.tell(job, events.NodeShown(name, name, {"text": ["5"]}))
            self.tell(job, events.NodeFinished(name, name, 0.1))
        self.end(job, events.Succeeded(time=2.0, outputs={nodes[-1]: {"text": ["5"]}}))


@dataclass
class Running:
    """A running server and a client of it."""

    server: Server
    dispatcher: FakeDispatcher
    folders: Folders
    url: str
    http: aiohttp.ClientSession
    app: web.Application

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def post(self, path: str, data: Any = None, **options: Any) -> tuple[int, Any]:
        body = data if isinstance(data, bytes | str | aiohttp.FormData) or data is None else msgspec.json.encode(data)
        async with self.http.post(self.url + path, data=body, **options) as answer:
            content = await answer.read()
            return answer.status, msgspec.json.decode(content) if content else None

    async def get_raw(self, path: str) -> tuple[int, bytes]:
        async with self.http.get(self.url + path) as answer:
            return answer.status, await answer.read()

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        async with self.http.get(self.url + path, **options) as answer:
            return answer.status, msgspec.json.decode(await answer.read())


@contextlib.asynccontextmanager
async def running(
    tmp_path: Path, dispatcher: FakeDispatcher | None = None, access: Access | None = None, **config: Any
) -> AsyncIterator[Running]:
    dispatcher = dispatcher or FakeDispatcher()
    folders = make_folders(data=tmp_path / "data", models=tmp_path / "models")
    for folder in (folders.input, folders.output, folders.temp, tmp_path / "models" / "checkpoints"):
        folder.mkdir(parents=True, exist_ok=True)
    sources = tmp_path / "sources"
    config.setdefault("ui", tmp_path / "no-dist")
    app = make_app(WebConfig(port=0, **config), dispatcher, folders, tmp_path / "data" / "specs.msgpack", root=sources,
                   access=access)
    runner, urls = await start(app)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
            yield Running(app[SERVER], dispatcher, folders, urls[0], http, app)
    finally:
        await runner.cleanup()


def png(size: tuple[int, int] = (8, 8), color: Any = (255, 0, 0, 128), texts: Mapping[str, str] | None = None) -> bytes:
    info = PngInfo()
    for key, text in (texts or {}).items():
        info.add_text(key, text)
    buffer = io.BytesIO()
    Pictures.new("RGBA", size, color).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def upload(content: bytes, name: str = "picture.png", field_name: str = "image", **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    form.add_field(field_name, content, filename=name, content_type="image/png")
    for key, value in fields.items():
        form.add_field(key, value)
    return form
