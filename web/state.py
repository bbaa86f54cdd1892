"""What the handlers work with: the configuration, the queue, the folders, the node specifications and the sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from engine.files.verdicts import Exit
from engine.jobs.deliveries import Delivery
from engine.jobs.find import Page, Search
from engine.jobs.gallery import Kept, Look, Output
from engine.jobs.job import Job, Listener, NewJob, Queue, Record
from engine.messages.events import End
from engine.messages.protocol import Complaint, Device, Prediction, Ready
from engine.messages.record import VERSION

if TYPE_CHECKING:
    from web.board import Board
    from web.listings import Listings
    from web.recipes import Metadata
    from web.socket import Hub
    from web.specs import SpecStore
    from web.webhooks import Hosts


@dataclass(frozen=True, kw_only=True)
class WebConfig:
    """How the server behaves.

    host: where to listen; several addresses are comma-separated. Loopback only, unless there is a token.
    token: what each request has to carry, unless ``make_app`` is given the tokens; None lets everybody in.
    hosts, origins: further names (``easel.test``) and origins (``http://localhost:5173``) that may speak to it.
    max_upload: bytes of the largest request body.
    metadata: what pictures carry: their graph and workflow, a text of parameters, or nothing.
    previews: the preview method of jobs.
    spec_wait: seconds to wait for the first node specifications before answering 503.
    check_wait: seconds to wait for nodes that check their inputs themselves; then the job is taken as it is.
    ui: the folder of the built editor; its ``index.html`` is served at ``/``.
    foreign_ui: the folder holds another front-end, which may need inline scripts.
    multi_user: each user, named by the header ``comfy-user``, has files and settings of their own.
    templates: the folder of the workflows that come with Easel.
    safety: which pictures may leave, and by what database of verdicts.
    webhook_hosts: who may be told of the ends of jobs; webhook_secret: the key of these messages.
    data: where the trash folder and thumbnails are; without it, beside the users' folder.
    tell_jobs: write a line into the log for each job that ends.
    argv: the command line, shown by ``/system_stats`` without its secrets.
    """

    host: str = "127.0.0.1"
    port: int = 8188
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    max_upload: int = 100 * 2**20
    metadata: Metadata = "full"
    previews: str = "none"
    spec_wait: float = 30.0
    check_wait: float = 10.0
    ui: Path = field(default_factory=lambda: Path(__file__).parent / "dist")
    foreign_ui: bool = False
    multi_user: bool = False
    templates: Path = field(default_factory=lambda: Path(__file__).parent.parent / "workflows")
    safety: Exit = field(default_factory=Exit)
    webhook_hosts: Hosts | None = None
    webhook_secret: bytes = field(default=b"", repr=False)
    data: Path | None = None
    tell_jobs: bool = False
    argv: tuple[str, ...] = ()
    version: str = VERSION


class Dispatcher(Protocol):
    """What the server asks of the queue; ``engine.jobs.dispatcher.Dispatcher`` does it."""

    @property
    def specs(self) -> Ready | None:
        """What the last worker that got ready said; None before the first."""

    @property
    def devices(self) -> Sequence[Device]:
        """The devices and their memory, as the worker last told."""

    def subscribe(self, listener: Listener) -> object:
        """Call the listener with every event and notice, in order, in the event loop."""

    async def wait_ready(self, timeout: float) -> Ready:
        """Wait until a worker is ready. Raises TimeoutError after ``timeout`` seconds."""

    async def submit(self, new: NewJob) -> Job:
        """Put a job on disk. Raises DuplicateJob, and StoreError or sqlite3.Error if it cannot be written."""

    def queue(self) -> Queue:
        """The jobs that are not ended."""

    def remaining(self) -> int:
        """How many jobs are not ended."""

    async def history(
        self, max_items: int | None = None, offset: int | None = None, owner: str | None = None
    ) -> bytes:
        """The history as JSON, of one owner's jobs if one is named."""

    def history_item(self, job_id: str) -> bytes:
        """The history of one job as JSON; ``{}`` if there is none."""

    def interrupt(self, job_id: str | None = None) -> object:
        """Stop the running job, or the one named if it is running."""

    async def delete_pending(self, ids: Sequence[str]) -> object:
        """Drop jobs that wait."""

    async def clear_pending(self, owner: str | None = None) -> object:
        """Drop all jobs that wait, or all of an owner."""

    async def delete_history(self, ids: Sequence[str]) -> object:
        """Forget ended jobs."""

    async def clear_history(self, owner: str | None = None) -> object:
        """Forget all ended jobs, or all of an owner."""

    def owns(self, kind: str, subfolder: str, filename: str, owner: str) -> bool:
        """Whether a job of an owner delivered this file."""

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop and takes no further job."""

    @property
    def paused(self) -> bool:
        """Whether no further job is taken up."""

    @property
    def at_once(self) -> int:
        """How many jobs a worker carries out at once; 0 before one is ready."""

    def set_at_once(self, jobs: int) -> int:
        """Carry out so many jobs at once, 0 for what the command line says; gives what holds."""

    def recipes_by(self, recipe: Callable[[Job], tuple[bytes, bytes]]) -> None:
        """Have what goes into pictures made by a function."""

    def pause(self) -> None:
        """Let what runs end and take no further job up."""

    def resume(self) -> None:
        """Take jobs up again."""

    def job(self, job_id: str) -> Job | None:
        """A job in any state, or None."""

    def record(self, job_id: str) -> Record | None:
        """How an ended job went; None if it did not run."""

    def find(self, search: Search) -> Page:
        """A page of the ended jobs, newest first. Blocks."""

    async def cancel(self, job_id: str) -> Job | None:
        """Stop a job: a pending one at once, a running one at its next step."""

    async def move(self, job_id: str, number: float) -> Job | None:
        """Give a waiting job another priority; None if it does not wait."""

    async def place(self, job_id: str, position: int) -> Job | None:
        """Have a waiting job wait at a position, 1 is next; None if it does not wait."""

    def described_by(self, describe: Callable[[Job, End], Sequence[Output]]) -> None:
        """Have the files that a job delivers described by a function."""

    def find_outputs(self, look: Look) -> tuple[list[Kept], int]:
        """A page of the files that jobs made, and how many there are. Blocks, as do the next two."""

    def output(self, number: int, owner: str | None) -> Kept | None:
        """A file by its number, if its owner may see it."""

    def output_owners(self, number: int) -> list[str]:
        """Whose jobs delivered a file."""

    async def trash_output(self, number: int, when: float | None) -> None:
        """Note that a file is in the trash folder, or no more."""

    async def forget_output(self, number: int) -> None:
        """Note that a file is gone for good."""

    def due_webhooks(self, now: float, limit: int) -> tuple[list[Delivery], float | None]:
        """Who is to be told now that a job has ended, and when the next one is. Blocks."""

    async def postpone_webhook(self, sequence: int, attempts: int, when: float) -> None:
        """Note that a message did not arrive, and when to try again."""

    async def finish_webhook(self, sequence: int) -> None:
        """Note that a message arrived or was given up."""
    async def complaints(self, graph: bytes, timeout: float) -> list[Complaint]:
        """What nodes that check their inputs themselves say of a graph; nothing if it takes too long."""

    async def predict(self, graph: bytes, metadata: bool, timeout: float) -> list[Prediction] | None:
        """What would become of the nodes of a graph if it ran now; None if no worker answers in time."""

    async def free(self, models: bool, cache: bool) -> int:
        """Give memory back; gives the bytes. What running jobs use is given back when they have ended."""


@dataclass(frozen=True)
class Server:
    """One running server."""

    config: WebConfig
    dispatcher: Dispatcher
    files: Listings
    specs: SpecStore
    hub: Hub
    board: Board


SERVER: web.AppKey[Server] = web.AppKey("server", Server)
