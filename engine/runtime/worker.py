"""A worker: the process that owns a device, imports torch and the nodes, takes jobs and tells what happens to them.

Three threads besides the lanes: the main one takes jobs up in their order and carries them out, or has threads do so
where several run at once (``admission``); the *control* thread reads the server's commands while a node runs; the
*writer* sends what is told, and drops old progress for new.
The process ends when its socket closes.

    python -m engine.runtime.start --fd 5 --lock data/worker-0.lock --data-directory data --models-directory models
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import platform
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from engine.diffusion.kernels import build
from engine.files.digests import Digests
from engine.files.folders import Folders
from engine.files.verdicts import Verdicts
from engine.graph.collector import uncollected
from engine.graph.graph import Graph, GraphNode
from engine.graph.node import LANES, Files, Node, NodeSpec
from engine.graph.registry import Registry, scan
from engine.graph.types import SOCKETS
from engine.messages.events import End, Event, Failed, Interrupted
from engine.messages.protocol import (
    HEADER,
    Alive,
    AtOnce,
    Cancel,
    Command,
    Device,
    Free,
    Pack,
    Question,
    Ready,
    Run,
    Stop,
    decode_command,
    read_frame,
)
from engine.messages.record import VERSION
from engine.runtime.admission import AT_ONCE, Floor, jobs_at_once, needs_of
from engine.runtime.answers import Answers
from engine.runtime.batcher import Batcher
from engine.runtime.cache import ValueCache
from engine.runtime.calls import said
from engine.runtime.context import Studio, finish
from engine.runtime.device.budget import default_budget, read_plan
from engine.runtime.device.costs import Costs
from engine.runtime.device.guests import Guests
from engine.runtime.device.heap import keep_pages, use_large_pages
from engine.runtime.device.memory import Ledger, anonymous, give_back, give_back_early, measure_elsewhere
from engine.runtime.device.peak import begin_peak, read_peak
from engine.runtime.device.precision import choose_dtypes, processor_features, rounds_text
from engine.runtime.device.probe import choose_device, named_devices, probe
from engine.runtime.device.residency import Residency
from engine.runtime.disk import DiskTier
from engine.runtime.execute import execute
from engine.runtime.inspector import OFF, Inspector
from engine.runtime.lanes import Lanes
from engine.runtime.memory_flags import Memory
from engine.runtime.outbox import Outbox
from engine.runtime.recipe import recipe_later
from engine.runtime.record import Recorder, with_plans
from engine.runtime.settings import Settings, add_worker_flags, collect_seldom, read_settings
from engine.runtime.tasks import CancelToken, Job, Machine
from engine.runtime.traces import Traces

if TYPE_CHECKING:
    import torch

HEARTBEAT = 1.0  # seconds
QUIET = 0.1  # seconds without a job after which traces are written
AHEAD = 2  # jobs in line that are looked into, of graphs of at most so many bytes
SHORT = 64 * 1024


class Engine:
    """Everything a worker carries from job to job; used by the headless command too."""

    def __init__(self, settings: Settings) -> None:
        import torch

        keep_pages()  # as `start.begin` does, where that came first
        use_large_pages()
        if not settings.plain:
            build.prepare()

        if settings.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what torch asks for before the first product
            torch.use_deterministic_algorithms(True, warn_only=True)
        devices = named_devices(settings.devices) or (choose_device(settings.cpu),)
        self.device = devices[settings.place]
        sharing = devices.count(self.device)  # workers that have the same device
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if settings.threads or sharing > 1:
            torch.set_num_threads(settings.threads or max(1, torch.get_num_threads() // sharing))
        self.settings = settings
        self._idle = anonymous()
        self.folders: Folders = settings.folders
        self.packs: tuple[Pack, ...] = ()
        self.pack_routes: tuple[tuple[str, str], ...] = ()
        self.registry: Registry = self._find_nodes()
        types = settings.types
        dtypes = choose_dtypes(settings.precision, self.device.type, processor_features(), types)

        costs = settings.cache_directory / "costs.json" if settings.cache_directory else None
        self.costs = Costs(self.device.type, costs)
        self.host, self.ledger = self._make_ledgers(sharing)
        self.costs.room = self.host.make_room
        if self.device.type == "cpu" and (settings.memory.ram, settings.memory.vram) != (None, None):
            give_back_early()

        def reside(device: torch.device, ledger: Ledger | None = None) -> Residency:
            return Residency(
                device, dtypes, ledger=ledger or Ledger(self._budget_of(device, sharing)),
                fp16_rounded_text=rounds_text(types), plain=settings.plain, share=settings.memory.share,
                costs=self.costs, host=self.host,
            )

        self.residency = reside(self.device, self.ledger)
        self.guests = Guests([each for place, each in enumerate(devices) if place != settings.place], reside)
        self.vae_residency = reside(torch.device("cpu"), self.host) if types.cpu_vae else self.residency
        # what computing depends on besides the graph; part of the signature of whatever runs on the device
        self._arithmetic = (
            self.device.type, *map(str, (dtypes.unet, dtypes.vae, dtypes.text)), rounds_text(types), types.cpu_vae,
            settings.batch_limit, settings.per_image_seeds, len(devices), self.residency.packs(dtypes.unet),
            *_said_of(settings.memory),
        )  # fmt: skip
        self._secluded: dict[str, bool] = {}  # by class
        self.inspector = self._make_inspector()
        exact = settings.deterministic or settings.per_image_seeds or not settings.remember
        self.at_once = jobs_at_once(settings.jobs_at_once, self.device.type, exact=exact)
        self.most_at_once = 1 if exact else max(self.at_once, AT_ONCE)
        self.batcher = Batcher()
        self.studio = Studio(
            self.folders, self.residency, self.vae_residency, settings.batch_limit, settings.preview_size,
            self.inspector, settings.per_image_seeds, self.batcher, self.guests,
            read_plan(settings.memory.plan) if settings.memory.plan else None, self.free_idle,
        )
        kept = settings.cache_directory / "traces.db" if settings.cache_directory and settings.remember else None
        self.traces = Traces(kept)
        disk = settings.cache_directory if settings.remember and settings.cache_disk else None
        values = f"values-{settings.place}" if settings.place else "values"  # one worker's alone
        self.cache = ValueCache(
            settings.cache_memory, DiskTier(disk / values, settings.cache_disk) if disk is not None else None
        )
        kinds = {name: str(getattr(dtypes, name)).removeprefix("torch.") for name in ("unet", "vae", "text")}
        self.recorder = Recorder(
            self.registry.nodes, self.folders,
            Digests(settings.cache_directory / "digests.json" if settings.cache_directory else None),
            {"easel": VERSION, "python": platform.python_version(), "torch": str(torch.__version__)},
            probe(self.device).name, {
                **kinds, "text_rounded": rounds_text(types), "cpu_vae": types.cpu_vae,
                "batch_limit": settings.batch_limit, "deterministic": settings.deterministic,
                "per_image_seeds": settings.per_image_seeds, "jobs_at_once": self.at_once,
                "plain": settings.plain,
            },
        )
        self.machine = Machine(
            nodes=self.registry.nodes, cache=self.cache, traces=self.traces,
            lanes=Lanes(LANES, self.most_at_once), make_context=self.studio.context, token_of=self.token_of,
            turn=self.batcher.turn, free=self.free_idle, done=finish,
        )
        self.host.join(self.cache)
        self._idle = anonymous()

    def _make_ledgers(self, sharing: int) -> tuple[Ledger, Ledger]:
        """Those of the computer's memory and of the device's, which are one on a CPU."""
        here = choose_device(cpu=True)
        budget = self._budget_of(here, sharing if self.device.type == "cpu" else 1)
        host = Ledger(budget, measure_elsewhere(lambda: self._idle))
        return host, host if self.device.type == "cpu" else Ledger(self._budget_of(self.device, sharing))

    def _budget_of(self, device: torch.device, sharing: int) -> int:
        """What is asked for, or this worker's part of what is free on the device."""
        wanted = self.settings.memory
        if device.type == "cpu" and self.device.type == "cpu":
            asked = [each for each in (wanted.ram, wanted.vram) if each is not None]
        else:
            asked = [each for each in (wanted.ram if device.type == "cpu" else wanted.vram,) if each is not None]
        found = probe(device)
        return min(asked) if asked else default_budget(found.free, found.total, wanted.reserved) // sharing

    def _make_inspector(self) -> Inspector:
        settings = self.settings
        if settings.safety == "off" or settings.verdicts is None:
            return OFF
        return Inspector(settings.safety, settings.safety_model, Verdicts(settings.verdicts))

    def _find_nodes(self) -> Registry:
        """The core nodes, and those of the packs that are switched on."""
        core = scan()
        if not self.settings.packs:
            return core
        from engine.comfy.packs import load_packs

        packs = load_packs(
            self.settings.packs, self.folders, core.nodes, self.device, self.settings.only_packs
        )
        print(f"node packs: {', '.join(packs.imported) or 'none'}", flush=True)
        self.packs, self.pack_routes = tuple(packs.folders), tuple(packs.routes)
        return Registry({**core.nodes, **packs.nodes}, {**core.failures, **packs.failures})

    def token_of(self, node: GraphNode, impl: Node[..., Any]) -> Any:
        """What a node depends on outside the graph: the state of the files it names, and what it says itself."""
        secluded = self._secluded.get(impl.spec.class_type)
        if secluded is None:
            secluded = self._secluded[impl.spec.class_type] = _is_secluded(impl.spec)
        if secluded:
            return None
        stamps = []
        encodes = any(each.kind == "CLIP" for each in impl.spec.inputs)
        for each in impl.spec.inputs:
            name = node.literals.get(each.name)
            if isinstance(each.choices, Files) and isinstance(name, str):
                path = self.folders.find(each.choices.folder, name)
                if path is None and each.unchecked:
                    continue  # the node checks it itself: it may be the address of something else
                if path is None:
                    raise FileNotFoundError(f"there is no file {name!r} in the folder {each.choices.folder}")
                for part in _read_with(path):
                    status = part.stat()
                    stamps.append((str(part), status.st_size, status.st_mtime_ns, status.st_ino))
            elif (isinstance(name, str) and "embedding:" in name) or (
                each.kind == "STRING" and each.name in node.links and encodes
            ):  # any of them may be meant, and a text that comes by wire may name one
                for each_file in self.folders.list("embeddings"):
                    if (path := self.folders.find("embeddings", each_file)) is not None:
                        status = path.stat()
                        stamps.append((str(path), status.st_size, status.st_mtime_ns, status.st_ino))
        own = impl.token(node.literals, node.links)
        if isinstance(own, float) and math.isnan(own):
            return own
        around = self._arithmetic if impl.spec.lane == "device" else None
        if impl.spec.output_node:  # what it wrote counts only where this run's files are looked for
            around = (str(self.folders.output), str(self.folders.temp), self.inspector.token)
        return (stamps, own, around) if stamps or own is not None or around is not None else None

    def files_of(self, graph: Graph) -> Iterator[Path]:
        """The files that a graph's nodes name."""
        for node in graph.nodes:
            spec = self.registry.specs.get(node.class_type)
            for each in spec.inputs if spec is not None else ():
                name = node.literals.get(each.name)
                if isinstance(each.choices, Files) and isinstance(name, str):
                    path = self.folders.find(each.choices.folder, name)
                    if path is not None:
                        yield path

    def forget(self) -> None:
        """Begin the next job with nothing known."""
        self.cache.clear()
        self.traces.clear()

    def free(self, models: bool, cache: bool) -> int:
        """Give memory back; gives the bytes."""
        freed = 0
        if models:
            freed += self.residency.clear()
            if self.vae_residency is not self.residency:
                freed += self.vae_residency.clear()
            self.guests.clear()
        if cache:
            freed += self.cache.clear()
        give_back(self.device)
        return freed

    def free_idle(self) -> int:
        """Let go of all that nobody uses now; gives the bytes."""
        return self.free(models=True, cache=True)

    def close(self) -> None:
        """Write what is to be kept and end the lanes."""
        self.recorder.digests.close()
        self.costs.flush()
        self.traces.close()
        if self.cache.below is not None:
            self.cache.below.close()
        self.machine.lanes.close()


def _said_of(memory: Memory) -> tuple[Any, ...]:
    """What of the memory settings may change bits: a budget that is asked for, and a plan.

    The plan of a run follows from these and its shapes. A budget that is what happens to be free is left out: it is
    another after each start, and what was made within it is as good.
    """
    asked = (memory.vram, memory.ram, memory.reserved)
    return (*asked, memory.share, memory.plan) if any(each is not None for each in asked) or memory.plan else ()


def _is_secluded(spec: NodeSpec) -> bool:
    """Whether a node can depend on nothing outside the graph: it has no text that could name something there."""
    closed = {"INT", "FLOAT", "BOOLEAN", *SOCKETS} - {"CLIP"}
    return not (spec.changed or spec.output_node or spec.lane == "device") and all(
        each.kind in closed for each in spec.inputs
    )


MOST_PARTS = 1000  # of a folder: a model's has about thirty files


def _read_with(path: Path) -> list[Path]:
    """The files that are read when a node names one: itself, the yaml beside a weight file, or all in a folder."""
    if path.is_dir():
        inside = (Path(root) / name for root, _, names in os.walk(path) for name in names)
        return sorted(each for each in islice(inside, MOST_PARTS) if each.is_file())
    sidecar = path.with_suffix(".yaml")
    return [path, sidecar] if sidecar != path and sidecar.is_file() else [path]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A job in the inbox, or running: the token that cancels it, and whether anything was told of it."""

    command: Run
    cancel: CancelToken
    begun: threading.Event = field(default_factory=threading.Event)


class Worker:
    """The worker's threads and the jobs that wait for the main one."""

    def __init__(self, connection: socket.socket, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._outbox = Outbox(connection)
        self._inbox: SimpleQueue[Entry | Free | Stop] = SimpleQueue()
        self._lock = threading.Lock()
        self._answers: Answers | None = None
        self._entries: list[Entry] = []  # accepted and not ended; cancelled by job id, all that were received so far
        self._floor = Floor(1)
        self._change: Callable[[int], None] = lambda jobs: None  # how many jobs run at once

    def run(self) -> None:
        """Take jobs until the server says stop."""
        threading.Thread(target=self._read_commands, name="control", daemon=True).start()
        engine = Engine(self._settings)
        for module, trace in engine.registry.failures.items():
            print(f"{module} could not be imported:\n{trace}", flush=True)
        threading.Thread(target=self._beat, args=(engine,), name="heartbeat", daemon=True).start()
        collect_seldom()
        self._answers = Answers(engine.machine, self._outbox.put, engine.free)
        self._floor.set_at_once(engine.at_once)

        def change(jobs: int) -> None:
            now = min(jobs or engine.at_once, engine.most_at_once)
            self._floor.set_at_once(now)
            engine.recorder.plan["jobs_at_once"] = now

        self._change = change
        self._outbox.put(_ready(engine))
        with ThreadPoolExecutor(engine.most_at_once, thread_name_prefix="job") as threads:
            while not isinstance(item := self._next(engine), Stop):
                if isinstance(item, Free):  # again, for what the jobs before it used
                    self._floor.wait_empty()
                    engine.free(item.models, item.cache)
                else:
                    self._take_up(engine, item, threads)
        engine.close()
        self._outbox.close()

    def _next(self, engine: Engine) -> Entry | Free | Stop:
        """What is to be done next; while nothing is, traces are written, not after each of many small jobs."""
        try:
            return self._inbox.get(timeout=QUIET)
        except Empty:
            self._keep_traces(engine)
            return self._inbox.get()

    def _keep_traces(self, engine: Engine) -> None:
        with engine.machine.deciding:
            engine.traces.flush()

    def _take_up(self, engine: Engine, entry: Entry, threads: ThreadPoolExecutor) -> None:
        """Carry a job out when it may run; on a thread of its own, if others may run beside it."""
        try:
            with uncollected():
                graph = msgspec.msgpack.decode(entry.command.graph, type=Graph)
            needs = needs_of(graph, engine.registry.nodes, entry.command.alone)
        except Exception as error:  # noqa: BLE001 - as below
            self._fail(entry, error)
            self._forget(entry)
            return
        self._floor.enter(entry, needs)
        if len(self._floor) == self._floor.at_once == 1 or needs.alone:
            self._carry_out(engine, entry, graph)
            return
        threads.submit(self._carry_out_beside, engine, entry, graph)
        entry.begun.wait()  # jobs are told of in their order

    def _carry_out_beside(self, engine: Engine, entry: Entry, graph: Graph) -> None:
        """The same on a thread of its own: the main one may be waiting for the next job by now."""
        self._carry_out(engine, entry, graph)
        if self._inbox.empty():
            self._keep_traces(engine)

    def _carry_out(self, engine: Engine, entry: Entry, graph: Graph) -> None:
        command = entry.command
        try:
            if entry.cancel.cancelled:  # before it began
                self._outbox.tell(command.job, command.attempt, Interrupted(time=time.time()))
                return
            job = _read_job(engine, entry, graph)
            self._look_ahead(engine)
            if len(self._floor) == 1:
                begin_peak(engine.device)
            engine.recorder.record(graph)  # so that the digests of new files are worked out meanwhile
            execute(job, engine.machine, lambda event: self._tell(engine, entry, _measured(event, engine, graph)))
        except Exception as error:  # noqa: BLE001 - a fault of the engine's own must not take the worker with it
            self._fail(entry, error)
        finally:
            self._forget(entry)
            self._floor.leave(entry)
            if not engine.settings.remember:
                engine.forget()
            entry.begun.set()

    def _fail(self, entry: Entry, error: Exception) -> None:
        """Tell that the engine itself has failed."""
        traceback.print_exc()
        message, lines = said(error)
        failed = Failed(
            time=time.time(), exception_type=type(error).__name__, message=f"the engine failed: {message}",
            traceback=lines,
        )
        self._outbox.tell(entry.command.job, entry.command.attempt, failed)

    def _forget(self, entry: Entry) -> None:
        with self._lock:
            self._entries.remove(entry)

    def _look_ahead(self, engine: Engine) -> None:
        """Let networks that the next jobs name stay longer than others, where there is a choice."""
        if len(engine.residency) < 2:
            return
        with self._lock:
            waiting = [each.command.graph for each in self._entries[len(self._floor) : len(self._floor) + AHEAD]]
        graphs = [msgspec.msgpack.decode(graph, type=Graph) for graph in waiting if len(bytes(graph)) <= SHORT]
        engine.residency.awaited = frozenset(path for graph in graphs for path in engine.files_of(graph))

    def _tell(self, engine: Engine, entry: Entry, event: Event) -> None:
        """Send an event, as the safety policy allows it."""
        allowed = engine.inspector.event(event)
        if allowed is not None:
            self._outbox.tell(entry.command.job, entry.command.attempt, allowed)
        entry.begun.set()

    def _read_commands(self) -> None:
        """The control thread: commands are heard while a node runs."""
        try:
            with self._connection.makefile("rb") as stream:
                while len(header := stream.read(HEADER.size)) == HEADER.size:
                    length, within = read_frame(header)
                    if not within:
                        break
                    self._hear(decode_command(stream.read(length)))
        except Exception:  # noqa: BLE001 - a worker that hears nothing any more must not live on
            traceback.print_exc()
        finally:
            os._exit(0)  # the server is gone, or what it says is not understood: nobody waits for this process

    def _hear(self, command: Command) -> None:
        if isinstance(command, Run):
            entry = Entry(command, CancelToken())
            with self._lock:
                self._entries.append(entry)
            self._inbox.put(entry)
        elif isinstance(command, Cancel):
            with self._lock:
                for entry in self._entries:
                    if entry.command.job == command.job:
                        entry.cancel.cancel()
        elif isinstance(command, Question):
            if isinstance(command, Free) and self._entries:
                self._inbox.put(command)
            if self._answers is not None:  # before that nobody knows that we are here
                self._answers.put(command)
        elif isinstance(command, AtOnce):
            self._change(command.jobs)
        else:
            self._inbox.put(command)

    def _beat(self, engine: Engine) -> None:
        told = False
        while True:
            try:
                devices: tuple[Device, ...] = (probe(engine.device),)
            except Exception:  # noqa: BLE001 - a device that does not answer is no reason to be taken for dead
                devices = ()
                if not told:
                    traceback.print_exc()
                told = True
            self._outbox.put(Alive(devices, engine.residency.files), ("alive",))
            time.sleep(HEARTBEAT)


def _measured(event: Event, engine: Engine, graph: Graph) -> Event:
    """A job's ending says how much memory the job took, and what its pictures depend on."""
    if not isinstance(event, End):
        return event
    record = with_plans(engine.recorder.record(graph), event.reports)
    return replace(event, peak_memory=read_peak(engine.device), run=record)


def _read_job(engine: Engine, entry: Entry, graph: Graph) -> Job:
    command = entry.command
    recipe, info = None, None
    if command.metadata and command.prompt:
        recipe = recipe_later(command.prompt, command.extra, lambda: engine.registry.specs)
    elif command.metadata and command.extra:
        info = msgspec.json.decode(command.extra).get("extra_pnginfo")
    return Job(
        id=command.job, graph=graph, extra=info, recipe=recipe, run=lambda: engine.recorder.record(graph),
        cancel=entry.cancel, attempt=command.attempt, journal=command.journal or None, previews=command.previews,
    )


def _ready(engine: Engine) -> Ready:
    from importlib.metadata import version

    import torch

    return Ready(
        specs=msgspec.Raw(msgspec.msgpack.encode(engine.registry.specs)), failures=engine.registry.failures,
        devices=(probe(engine.device),),
        versions={
            "python": platform.python_version(), "torch": str(torch.__version__),
            "transformers": version("transformers"),
        },
        at_once=engine.at_once, most=engine.most_at_once,
        packs=engine.packs, pack_routes=engine.pack_routes,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Be a worker on the socket whose descriptor is on the command line."""
    parser = argparse.ArgumentParser(prog="engine.runtime.start")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--lock", type=Path, required=True)
    add_worker_flags(parser)
    options = parser.parse_args(arguments)
    connection = socket.socket(fileno=options.fd)
    options.lock.parent.mkdir(parents=True, exist_ok=True)
    with options.lock.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until this process is gone: a new server waits for that
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        Worker(connection, read_settings(options)).run()
    sys.stdout.flush()
    os._exit(0)  # daemon threads inside libraries must not hold the process back
