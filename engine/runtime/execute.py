"""Carrying out a graph: the loop that runs what is ready and hears what came of it.

A demand-driven state machine over declared task states; tasks may be added at any time. What is wanted is decided in
``demand``, what a node expands to becomes tasks in ``growth``.

    idle → waiting ─(inputs settled: sign)─→ reused                          known by digest only
                         │ no trace              │ its items are wanted
                         └──→ gathering ←────────┘
                                │ items are there (lazy inputs asked for)
                                └→ ready → running → done
                                              └→ expanded ─(what it expanded to is settled)→ done

One thread at a time changes this state: whoever has called a node's function decides what follows from it, and goes on
with the next node if that is for its own lane, so that a chain of small nodes is carried out without a change of
threads. The caller's thread begins, may do so with a node for the CPU, hears what functions that are awaited and other
jobs report, and ends. Several jobs may be carried out at once: one at a time decides (``Machine.deciding``), and what
one of them makes the others wait for instead of making it too (``Machine.making``).
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from engine.graph.collector import uncollected
from engine.graph.expand import current_call
from engine.messages.events import (
    Cached,
    Event,
    Failed,
    Interrupted,
    NodeFinished,
    NodeReport,
    NodeShown,
    NodeStarted,
    Started,
    Succeeded,
)
from engine.runtime.calls import blocked_by, find_complaints, refuse_nothing, said, short
from engine.runtime.demand import AWAITED, Demand
from engine.runtime.device.relief import Relief
from engine.runtime.growth import grow, trace_of, wires_of
from engine.runtime.lanes import Work
from engine.runtime.tasks import Cancelled, Job, Machine, NodeError, Sink, State, Task


@dataclass(frozen=True, slots=True)
class _Finished:
    """A lane's report: a task's calls returned, or one raised; or it was asked which lazy inputs it needs."""

    task: Task
    results: list[Any] | None
    error: BaseException | None
    seconds: float
    asked: bool = False


@dataclass(frozen=True, slots=True)
class _MadeElsewhere:
    """Another job is done with what a task of this one waits for."""

    task: Task


HERE = "cpu"  # the lane whose nodes any thread may run, the caller's too
TOLD = (State.DONE, State.REUSED, State.FAILED)  # what became of a task in one of these is in the job's record
GLANCE = 0.05  # seconds between looks at a job's token while nothing of its own runs


def execute(job: Job, machine: Machine, tell: Sink) -> Succeeded | Failed | Interrupted:
    """Carry out a job, telling all that happens to one sink; the ending is told and returned.

    A node that raises ends the job as Failed, never as an exception here; what was done stays cached.
    """
    return _Execution(job, machine, tell).run()


class _Execution(Demand):
    """The state of one job. Methods are called under ``Machine.deciding``, but for ``_work`` and what it calls."""

    def __init__(self, job: Job, machine: Machine, tell: Sink) -> None:
        super().__init__(job, machine)
        self._tell = tell
        self._lock = threading.Lock()  # progress is told from lanes
        self.busy: Counter[str] = Counter()  # lane → how many of its tasks run
        self.running: dict[Task, bytes] = {}  # with the signatures under which other jobs may wait for them
        self.elsewhere: dict[Task, None] = {}  # another job makes what they are to make
        self.inbox: SimpleQueue[_Finished | _MadeElsewhere | None] = SimpleQueue()  # for the caller's thread
        self.failure: tuple[Task, BaseException] | None = None
        self.interrupted: Task | None = None
        self.stopping = False
        self.over = False
        self.thread = threading.current_thread()
        self.defect: BaseException | None = None  # of the engine itself
        self.own = ""  # the lane for which the thread that decides can go on,
        self.next: Work | None = None  # and with what

    # -- the job ------------------------------------------------------------------------------------------------

    def run(self) -> Succeeded | Failed | Interrupted:
        """Carry the job out. What goes wrong in the engine itself is raised when nothing of the job runs any more."""
        with uncollected():
            work = self._decide(self._begin, HERE, alone=True)
        while work is not None:
            work = work()
        while not self.over:
            report = self._hear()
            self._decide(partial(self._take_up, report))
        if self.defect is not None:
            raise self.defect
        with self.machine.deciding:
            return self._end()

    def _decide(self, action: Callable[[], None], lane: str = "", *, alone: bool = False) -> Work | None:
        """Change the state and start what can be started then; gives what the calling thread is to go on with.

        lane: that for which it can. alone: only if nothing else is under way.
        """
        with self.machine.deciding:
            self.own = lane
            try:
                if not self.over:  # else somebody woke the caller's thread, and nothing is left to decide
                    action()
                    self.over = self.defect is None and self._advance()
            except BaseException as error:  # noqa: BLE001 - it is raised when nothing of the job runs any more
                self.defect = self.defect or error
                self.job.cancel.cancel()
            self.over = self.over or (self.defect is not None and not self.running)
            work = self._take_next()
            if work is not None and alone and (len(self.running) > 1 or self.elsewhere):
                self.machine.lanes.submit(lane, work)
                return None
            return work

    def _take_next(self) -> Work | None:
        work, self.next = self.next, None
        return work

    def _begin(self) -> None:
        self.tell(Started(self.machine.clock()))
        self._attempt(self._prepare)
        self.swept = True
        cached = [task for task in self.tasks.values() if task.state is State.REUSED]
        self.tell(Cached(
            tuple(task.node.id for task in cached), self.machine.clock(), tuple(task.source for task in cached)
        ))
        for name, ui in list(self.outputs.items()):
            self.tell(NodeShown(name, self._display(name), ui))

    def _advance(self) -> bool:
        """Start what can be started; whether the job is over."""
        while not self._finished():
            self._start_ready()
            if self.running or self.elsewhere:
                return False
            if self.stopping or not self.targets:
                return True
            self._attempt(self.untie)
        return True

    def _hear(self) -> _Finished | _MadeElsewhere | None:
        """What is reported to the caller's thread. None if it is to look again, and now and then if nothing runs."""
        try:
            return self.inbox.get(timeout=None if self.running else GLANCE)
        except Empty:
            return None

    def _take_up(self, report: _Finished | _MadeElsewhere | None) -> None:
        """Go on from a report."""
        if isinstance(report, _Finished):
            self._take(report)
        elif report is not None and report.task in self.elsewhere:
            del self.elsewhere[report.task]
            if self.defect is None:
                self._attempt(lambda: self.look_up_again(report.task))

    def tell(self, event: Event) -> None:
        """Pass an event on, one at a time."""
        with self._lock:
            self._tell(event)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Do something and all that follows from it; what a node's own code raises there fails the job."""
        try:
            action()
            self.settle()
        except NodeError as error:
            self._fail(error.task, error.cause)

    def _prepare(self) -> None:
        graph = self.job.graph
        self.add_graph(graph.nodes, graph.targets)
        self.sweep(list(self.tasks.values()))
        for node, complaint in find_complaints(graph, self.machine.nodes):
            cause = complaint if isinstance(complaint, Exception) else ValueError(complaint)
            raise NodeError(self.tasks[node.id], cause) from cause

    def _display(self, name: str) -> str:
        return self.inner_shown[name][2] if name in self.inner_shown else self.tasks[name].display

    def _finished(self) -> bool:
        if self.job.cancel.cancelled and not self.stopping:
            self._stop()
        if self.stopping:
            return not self.running
        return not self.targets and not self.running  # what is awaited elsewhere is for a target, or for nothing

    def _stop(self) -> None:
        """Start nothing more and ask what runs to end."""
        self.stopping = True
        self.job.cancel.cancel()

    def _reports(self) -> tuple[NodeReport, ...]:
        inner = (
            NodeReport(name, display, kind, "reused", parent=task.node.id, cause="trace")
            for name, (task, kind, display) in self.inner_shown.items() if name not in self.tasks
        )
        return (*(_report(task) for task in self.tasks.values() if task.state in TOLD), *inner)

    def _end(self) -> Succeeded | Failed | Interrupted:
        now, reports = self.machine.clock(), self._reports()
        ending: Succeeded | Failed | Interrupted
        if self.failure is not None:
            task, error = self.failure
            message, lines = said(error)
            ending = Failed(
                time=now, outputs=self.outputs, reports=reports, node=task.node.id, display=task.display,
                class_type=task.node.class_type, exception_type=_type_name(error), message=message,
                traceback=lines, inputs=self._summary(task),
                executed=tuple(self.executed),
            )
        elif self.stopping:
            stopped = self.interrupted
            ending = Interrupted(
                time=now, outputs=self.outputs, reports=reports, node=stopped.node.id if stopped else None,
                display=stopped.display if stopped else None, class_type=stopped.node.class_type if stopped else "",
                executed=tuple(self.executed),
            )
        else:
            ending = Succeeded(time=now, outputs=self.outputs, reports=reports)
        self.tell(ending)
        self.dissolve()
        return ending

    # -- running ------------------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Give ready tasks to their lanes, as many as a lane takes; functions to be awaited all run at once."""
        capacity = self.machine.lanes.capacity
        while not self.stopping and not self.job.cancel.cancelled:
            heads = [
                tasks for lane, tasks in self.ready.items()
                if tasks and (lane == AWAITED or self.busy[lane] < capacity[lane])
            ]
            if not heads:
                return
            task = heapq.heappop(min(heads))[2]
            assert task.signature is not None
            told = self.machine.making.get(task.signature)
            if told is None or task.outputs is not None:  # with outputs it is known, and only its value is wanted
                self._start(task, task.signature if told is None else b"")
            else:
                self.elsewhere[task] = None
                told.append(partial(self.inbox.put, _MadeElsewhere(task)))

    def _start(self, task: Task, signature: bytes) -> None:
        calls = self.calls(task)
        task.state = State.RUNNING
        self.running[task] = signature
        if signature:
            self.machine.making[signature] = []
        self.tell(NodeStarted(task.node.id, task.display, task.why.text, task.why.cause, task.why.inputs))
        context = None
        if task.impl.takes_context:
            context = self.machine.make_context(task.node, task.display, self.job, self.tell)
        if task.impl.is_async:
            self.machine.lanes.run_async(self._work_async(task, calls, context))
            return
        lane = task.impl.spec.lane
        self.busy[lane] += 1
        work = partial(self._work, task, calls, context)
        if lane == self.own and self.next is None and not self.machine.lanes.waiting(lane):
            self.next = work
        else:
            self.machine.lanes.submit(lane, work)

    def _let_others_go_on(self, signature: bytes) -> None:
        """Tell other jobs that what they wait for is made, or will not be."""
        for tell in self.machine.making.pop(signature, ()):
            tell()

    def _work(self, task: Task, calls: list[dict[str, Any]], context: Any) -> Work | None:
        """Call the node's function and decide what follows; gives what the thread is to do next."""
        lane = task.impl.spec.lane
        with self.machine.turn(self.job.id) if lane == "device" else nullcontext():
            report = self._called(task, calls, context)
        here = threading.current_thread() is self.thread
        work = self._decide(partial(self._take, report), lane, alone=here)
        if not self.running and not here:
            self.inbox.put(None)  # the caller's thread ends the job, or looks now and then
        return work

    def _called(self, task: Task, calls: list[dict[str, Any]], context: Any) -> _Finished:
        started = time.perf_counter()
        results: list[Any] = []
        whole = task.impl.spec.whole_lists
        try:
            function = task.impl.function_for(task.node.id)
            for number, arguments in enumerate(calls):
                self.job.cancel.check()
                blocked = blocked_by(arguments, whole)
                if blocked is not None:
                    results.append(blocked)
                    continue
                refuse_nothing(task.node, task.impl.spec, arguments)
                current_call.set((task.node.id, number))
                results.append(self._call(task, function, context, arguments))
        except BaseException as error:  # noqa: BLE001 - a node may raise anything, SystemExit included
            task.memory = self.machine.done(context) or task.memory
            return _Finished(task, None, error, time.perf_counter() - started)
        task.memory = self.machine.done(context) or task.memory
        return _Finished(task, results, None, time.perf_counter() - started)

    def _call(self, task: Task, function: Callable[..., Any], context: Any, arguments: dict[str, Any]) -> Any:
        """Call a node's function, again where memory ran out and something can be done about it.

        Packs' nodes are called once: what they have changed by then is not known.
        """
        relief = getattr(context, "relief", None) or Relief(self.machine.free)
        while True:
            try:
                with self.machine.around():
                    return function(context, **arguments) if context is not None else function(**arguments)
            except Exception as error:
                if task.impl.spec.lane == "packs" or not relief.helps(error):
                    raise
            relief.step("in the node")  # here the error is gone, and with it all that its frames held on to
            task.memory = {"relief": list(relief.done)}

    async def _work_async(self, task: Task, calls: list[dict[str, Any]], context: Any, asked: bool = False) -> None:
        """Await the node's function, all its calls at once; or the one that says which lazy inputs it needs."""
        started = time.perf_counter()
        whole = task.impl.spec.whole_lists

        async def call(number: int, arguments: dict[str, Any]) -> Any:
            blocked = blocked_by(arguments, whole)
            if blocked is not None:
                return None if asked else blocked
            current_call.set((task.node.id, number))
            if asked:
                lazy = task.impl.lazy_for(task.node.id)
                assert lazy is not None
                return await lazy(**arguments)
            function = task.impl.function_for(task.node.id)
            return await (function(context, **arguments) if context is not None else function(**arguments))

        async def together() -> list[Any]:
            return await asyncio.gather(*(call(number, arguments) for number, arguments in enumerate(calls)))

        work = asyncio.ensure_future(together())
        try:
            while not work.done():  # the token is set from another thread, so it is looked at now and then
                await asyncio.wait([work], timeout=0.05)
                if self.job.cancel.cancelled and not work.done():
                    work.cancel()
                    raise Cancelled
            results = work.result()
        except BaseException as error:  # noqa: BLE001 - as above
            task.memory = self.machine.done(context) or task.memory
            self.inbox.put(_Finished(task, None, error, time.perf_counter() - started, asked))
            return
        task.memory = self.machine.done(context) or task.memory
        self.inbox.put(_Finished(task, results, None, time.perf_counter() - started, asked))

    def ask_lazy_later(self, task: Task, calls: list[dict[str, Any]], function: Callable[..., Any]) -> None:
        """Have an async function asked which lazy inputs it needs."""
        self.running[task] = b""
        self.machine.lanes.run_async(self._work_async(task, calls, None, asked=True))

    def _take(self, report: _Finished) -> None:
        """A lane is done with a task."""
        task = report.task
        signature = self.running.pop(task)
        if not task.impl.is_async and not report.asked:
            self.busy[task.impl.spec.lane] -= 1
        try:
            if self.defect is None:
                self._follow_up(task, report)
        finally:
            self._let_others_go_on(signature)

    def _follow_up(self, task: Task, report: _Finished) -> None:
        """Go on from what became of a task."""
        if isinstance(report.error, Cancelled) or (report.error is not None and self.job.cancel.cancelled):
            task.state = State.FAILED
            self.interrupted = self.interrupted or task
            self._stop()
        elif report.error is not None:
            self._fail(task, report.error)
        elif not report.asked:
            task.seconds = report.seconds
            if task.memory and "plan" in task.memory:
                self.plans[task.node.id] = task.memory["plan"]
            self._attempt(lambda: self._returned(task, report.results or []))
        elif task.state is State.ASKING:
            asked = {name for names in report.results or [] for name in names or ()}
            self._attempt(lambda: self.demand_lazy(task, asked))

    def _fail(self, task: Task, error: BaseException) -> None:
        task.state = State.FAILED
        if self.failure is None:
            self.failure = (task, error)
        self._stop()

    def _returned(self, task: Task, results: list[Any]) -> None:
        """The calls of a task returned."""
        grow(self, task, results)
        if task.expanded:
            self.await_expansion(task)
            self.try_close(task)
        else:
            self.conclude(task)

    def conclude(self, task: Task) -> None:
        """Turn what the calls returned into wires, remember it, and let the readers go on."""
        if task.expanded and (task.state is not State.EXPANDED or not self.expansion_is_settled(task)):
            return
        assert task.signature is not None
        before, task.outputs = task.outputs, wires_of(self, task)
        for wire in task.outputs:
            if wire.items is not None:
                self.machine.cache.put(wire.digest, wire.items, task.seconds)
        task.trace, task.lasting = trace_of(self, task)
        if task.lasting:
            self.machine.traces.put(task.signature, task.trace)
        if not task.expanded:
            task.made = None
        task.state = State.DONE
        if not task.finished:
            self.executed.append(task.node.id)
        self.settled(task)
        if not task.finished:
            task.finished = True
            self.tell(NodeFinished(task.node.id, task.display, task.seconds))
        if before is not None and [wire.digest for wire in before] != list(task.trace.digests):
            self.decide_again(task)
        if task.expanded:
            if task.items_wanted:
                self.push(self.want_items, task)
        else:
            self.items_are_there(task)
        self.share(task)

    def _summary(self, task: Task) -> dict[str, Any]:
        """The inputs of a failed node in words, for the error report."""
        summary: dict[str, Any] = {name: [short(value)] for name, value in task.node.literals.items()}
        for name, link in task.node.links.items():
            source = self.tasks[link.node]
            items = source.outputs[link.slot].items if source.outputs else None
            summary[name] = [short(item) for item in items[:8]] if items is not None else [f"from node {link.node}"]
        return summary


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _report(task: Task) -> NodeReport:
    node, parent = task.node, task.parent.node.id if task.parent else None
    if task.state is State.REUSED:
        return NodeReport(node.id, task.display, node.class_type, "reused", parent=parent, cause=task.source)
    return NodeReport(
        node.id, task.display, node.class_type, "ran" if task.state is State.DONE else "failed", task.why.text,
        task.seconds, parent, task.why.cause, task.why.inputs, task.memory or {},
    )
