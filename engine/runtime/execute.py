"""Carrying out a graph: a demand-driven state machine over declared task states.

There are two kinds of demand. ``want_digest`` settles a task's output digests, by its trace if its signature has
one, else by running it. ``want_items`` has the values themselves in memory: from the cache, or by running the task,
which wants its inputs' items in turn. Both work through an explicit stack, and tasks may be added at any time.

    idle → waiting ─(inputs settled: sign)─→ reused                          known by digest only
                         │ no trace              │ its items are wanted
                         └──→ gathering ←────────┘
                                │ items are there (lazy inputs asked for)
                                └→ ready → running → done

One thread, the caller's, changes this state; lanes run the nodes' functions and report to it through a queue.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from typing import Any

from engine.graph.graph import GraphNode
from engine.graph.node import LANES
from engine.graph.plan import Plan, make_plan
from engine.graph.workflow import Link
from engine.messages.events import (
    Cached,
    Event,
    Failed,
    Interrupted,
    NodeFinished,
    NodeReport,
    NodeShown,
    NodeStarted,
    NodeText,
    Started,
    Succeeded,
)
from engine.runtime.calls import arguments_of_calls, blocked_by, messages_of, read_results, short
from engine.runtime.signature import derived, digest, join, signature
from engine.runtime.tasks import Cancelled, Job, Machine, Sink, State, Task, Wire
from engine.runtime.traces import Trace, missing_file


@dataclass(frozen=True, slots=True)
class _Finished:
    """A lane's report: a task's calls returned, or one raised."""

    task: Task
    results: list[Any] | None
    error: BaseException | None
    seconds: float


def execute(job: Job, machine: Machine, tell: Sink) -> Succeeded | Failed | Interrupted:
    """Carry out a job, telling all that happens to one sink; the ending is told and returned.

    A node that raises ends the job as Failed, never as an exception here; what was done stays cached.
    """
    return _Execution(job, machine, tell).run()


class _Execution:
    """The state of one job. Every method runs on the caller's thread except ``_work``."""

    def __init__(self, job: Job, machine: Machine, tell: Sink) -> None:
        self.job = job
        self.machine = machine
        self._tell = tell
        self._lock = threading.Lock()  # progress is told from lanes
        self.tasks: dict[str, Task] = {}
        self.due: set[str] = set()  # what the job is for
        self.targets: dict[str, None] = {}  # of those, what is not delivered yet
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self.plan: Plan | None = None
        self.tokens: dict[str, Any] = {}
        self.stack: list[tuple[Callable[[Task], None], Task]] = []
        self.ready: list[tuple[int, int, Task]] = []
        self.ties = count()
        self.busy: set[str] = set()  # lanes
        self.running: dict[Task, None] = {}
        self.inbox: SimpleQueue[_Finished] = SimpleQueue()
        self.in_flight: dict[bytes, Task] = {}  # by signature
        self.merged: dict[Task, list[Task]] = {}  # running or gathering task → tasks with the same signature
        self.executed: list[str] = []
        self.failure: tuple[Task, BaseException] | None = None
        self.interrupted: Task | None = None
        self.stopping = False
        self.swept = False  # the first look-up is over; from now on what is shown is told at once

    # -- the job ------------------------------------------------------------------------------------------------

    def run(self) -> Succeeded | Failed | Interrupted:
        self.tell(Started(self.machine.clock()))
        try:
            self._prepare()
            self._settle()
        except _NodeError as error:
            self.failure, self.stopping = (error.task, error.cause), True
        self.swept = True
        cached = tuple(task.node.id for task in self.tasks.values() if task.state is State.REUSED)
        self.tell(Cached(cached, self.machine.clock()))
        for name in list(self.outputs):
            self.tell(NodeShown(name, self.tasks[name].display, self.outputs[name]))
        while not self._finished():
            self._start_ready()
            if not self.running:
                if self.stopping or not self.targets:
                    break
                stuck = ", ".join(f"{task.node.id} {task.state}" for task in list(self.tasks.values())[:20])
                raise AssertionError(f"nothing runs, but {list(self.targets)[:20]} are not made: {stuck}")
            self._take(self.inbox.get())
        return self._end()

    def tell(self, event: Event) -> None:
        """Pass an event on, one at a time."""
        with self._lock:
            self._tell(event)

    def add(self, nodes: Sequence[GraphNode], targets: Iterable[str]) -> None:
        """Add tasks; each node comes after those it reads, which may be there already."""
        for node in nodes:
            task = self.tasks[node.id] = Task(node, self.machine.nodes[node.class_type], node.id, len(self.tasks))
            for link in node.links.values():
                source = self.tasks[link.node]
                source.readers.append(task)
                source.open_readers += 1
        for name in targets:
            self.due.add(name)
            self.targets[name] = None
            self.tasks[name].open_readers += 1

    def _prepare(self) -> None:
        graph = self.job.graph
        self.add(graph.nodes, graph.targets)
        for node in graph.nodes:
            impl = self.machine.nodes[node.class_type]
            try:
                token = self.machine.token_of(node, impl)
            except Exception as error:
                raise _NodeError(self.tasks[node.id], error) from error
            if token is not None:
                self.tokens[node.id] = _unequal(token)
        specs = {name: self.machine.nodes[name].spec for name in {node.class_type for node in graph.nodes}}
        self.plan = make_plan(graph, specs, self.tokens)
        for name in graph.targets:
            self._push(self._want_digest, self.tasks[name])

    def _finished(self) -> bool:
        if self.job.cancel.cancelled and not self.stopping:
            self._stop()
        if self.stopping:
            return not self.running
        return not self.targets and not self.running

    def _stop(self) -> None:
        """Start nothing more and ask what runs to end."""
        self.stopping = True
        self.job.cancel.cancel()

    def _end(self) -> Succeeded | Failed | Interrupted:
        now, reports = self.machine.clock(), tuple(map(_report, filter(_worth_telling, self.tasks.values())))
        ending: Succeeded | Failed | Interrupted
        if self.failure is not None:
            task, error = self.failure
            ending = Failed(
                time=now, outputs=self.outputs, reports=reports, node=task.node.id, display=task.display,
                class_type=task.node.class_type, exception_type=_type_name(error), message=str(error) or repr(error),
                traceback=tuple(traceback.format_exception(error)), inputs=self._summary(task),
                executed=tuple(self.executed),
            )
        elif self.stopping:
            stopped = self.interrupted
            ending = Interrupted(
                time=now, outputs=self.outputs, reports=reports, node=stopped.node.id if stopped else None,
                class_type=stopped.node.class_type if stopped else "", executed=tuple(self.executed),
            )
        else:
            ending = Succeeded(time=now, outputs=self.outputs, reports=reports)
        self.tell(ending)
        return ending

    # -- demand -------------------------------------------------------------------------------------------------

    def _push(self, step: Callable[[Task], None], task: Task) -> None:
        self.stack.append((step, task))

    def _settle(self) -> None:
        """Do every step that needs no waiting."""
        while self.stack:
            step, task = self.stack.pop()
            step(task)

    def _want_digest(self, task: Task) -> None:
        """Begin to settle a task's digests."""
        if task.state is not State.IDLE:
            return
        task.state = State.WAITING
        lazy = {each.name for each in task.impl.spec.inputs if each.lazy}
        task.demanded = {name for name in task.node.links if name not in lazy}
        self._await_digests(task)

    def _await_digests(self, task: Task) -> None:
        """Wait for the digests of the demanded inputs; then sign."""
        sources = {self.tasks[task.node.links[name].node] for name in task.demanded}
        task.waiting_for = {source for source in sources if source.outputs is None}
        if not task.waiting_for:
            self._push(self._sign, task)
        for source in task.waiting_for:
            source.digest_waiters.append(task)
            self._push(self._want_digest, source)

    def _sign(self, task: Task) -> None:
        """Give the task its signature, and reuse what it made before if that is known."""
        assert self.plan is not None
        inputs: list[tuple[str, bytes]] = []
        lazy = {each.name for each in task.impl.spec.inputs if each.lazy}
        for name, link in task.node.links.items():
            if name in lazy:  # a lazy input is known by its recipe, so that it need not be evaluated to look this up
                inputs.append((name, self.plan.keys[link.node] + link.slot.to_bytes(4, "big")))
            else:
                inputs.append((name, self._wire(link).digest))
        spec = task.impl.spec
        unique = task.node.id if "UNIQUE_ID" in spec.hidden.values() else None
        task.signature = signature(
            spec.class_type, spec.version, task.node.literals, self.tokens.get(task.node.id), inputs, unique
        )
        self._look_up(task)

    def _lead(self, task: Task) -> bool:
        """Whether the task is to be run for all with its signature; otherwise it will have what the leader makes.

        Of equal tasks that still wait for their inputs the earliest leads: one of them may read another (0 + 0 is
        equal to what 0 + (0 + 0) is), and then the reader must not hold up what it reads.
        """
        assert task.signature is not None
        first = self.in_flight.setdefault(task.signature, task)
        if first is task:
            return True
        if first.state in (State.READY, State.RUNNING) or first.position < task.position:
            self.merged.setdefault(first, []).append(task)
            return False
        self.in_flight[task.signature] = task
        self.merged[task] = [*self.merged.pop(first, ()), first]
        first.waiting_for.clear()
        return True

    def _look_up(self, task: Task) -> None:
        assert task.signature is not None
        trace = self.machine.traces.get(task.signature)
        gone = missing_file(trace) if trace else None
        if trace is None:
            task.why = task.why or "it has not run with these inputs before"
        elif gone is not None:
            task.why = f"the file it wrote is gone: {gone}"
        elif task.impl.spec.output_node and trace.ui is None:
            task.why = "what it shows is not known"
        else:
            self._reuse(task, trace)
            return
        self._push(self._gather, task)

    def _reuse(self, task: Task, trace: Trace) -> None:
        """Settle a task by its trace."""
        task.trace = trace
        task.state = State.REUSED
        task.outputs = [Wire(each) for each in trace.digests]
        self._settled(task)
        if task.items_wanted:
            self._push(self._want_items, task)

    def _settled(self, task: Task) -> None:
        """A task's digests are known: what it shows is delivered, and its readers may go on."""
        if task.trace is not None and task.trace.ui is not None:
            self.outputs[task.node.id] = task.trace.ui
            if self.swept:
                self.tell(NodeShown(task.node.id, task.display, task.trace.ui))
        if task.node.id in self.targets:
            del self.targets[task.node.id]
            task.open_readers -= 1
        waiters, task.digest_waiters = task.digest_waiters, []
        self._wake(task, waiters)
        self._try_close(task)

    def _wake(self, source: Task, waiters: Sequence[Task]) -> None:
        """Tell tasks that what they await of a source is there."""
        for task in waiters:
            if source in task.waiting_for:
                task.waiting_for.discard(source)
                if not task.waiting_for:
                    self._push(self._sign if task.state is State.WAITING else self._gather, task)

    def _want_items(self, task: Task) -> None:
        """Have the items of a task's outputs in memory."""
        task.items_wanted = True
        if task.state in (State.REUSED, State.DONE):
            if self._recall(task):
                self._items_are_there(task)
                return
            task.why = task.why or "its value is wanted and no longer in memory"
            task.state = State.GATHERING
            self._push(self._gather, task)

    def _recall(self, task: Task) -> bool:
        """Try to have every output of a task from memory."""
        assert task.outputs is not None
        for wire in task.outputs:
            if wire.items is None:
                wire.items = self.machine.cache.get(wire.digest)
        return all(wire.items is not None for wire in task.outputs)

    def _gather(self, task: Task) -> None:
        """Wait for the items of the demanded inputs; then ask for lazy ones; then be ready."""
        task.state = State.GATHERING
        if not self._lead(task):
            return
        for name in task.demanded:
            link = task.node.links[name]
            source = self.tasks[link.node]
            if source in task.waiting_for:
                continue
            if source.outputs is None:
                task.waiting_for.add(source)
                source.digest_waiters.append(task)
                self._push(self._want_digest, source)
                continue
            wire = source.outputs[link.slot]
            if wire.items is None:
                wire.items = self.machine.cache.get(wire.digest)
            if wire.items is None:
                task.waiting_for.add(source)
                source.item_waiters.append(task)
                self._push(self._want_items, source)
        if not task.waiting_for:
            self._ask_lazy(task)

    def _items_are_there(self, task: Task) -> None:
        waiters, task.item_waiters = task.item_waiters, []
        self._wake(task, waiters)

    def _ask_lazy(self, task: Task) -> None:
        """Demand the lazy inputs that the node asks for, until it asks for nothing new."""
        if task.impl.lazy is not None:
            lazy = [each.name for each in task.impl.spec.inputs if each.lazy and each.name in task.node.links]
            open_names = [name for name in lazy if name not in task.demanded]
            if open_names:
                try:
                    asked = {name for arguments in self._calls(task) for name in task.impl.lazy(**arguments)}
                except Exception as error:  # noqa: BLE001 - a node may raise anything
                    self._fail(task, error)
                    return
                new = asked.intersection(open_names)
                if new:
                    task.demanded |= new
                    self._push(self._gather, task)
                    return
        task.state = State.READY
        heapq.heappush(self.ready, (task.position, next(self.ties), task))

    # -- running ------------------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Give ready tasks to their lanes, one per lane at a time; functions to be awaited all run at once."""
        later: list[tuple[int, int, Task]] = []
        while self.ready and not self.stopping and not self.job.cancel.cancelled:
            entry = heapq.heappop(self.ready)
            task = entry[2]
            lane = task.impl.spec.lane
            if not task.impl.is_async and lane in self.busy:
                later.append(entry)
                if len(self.busy) == len(LANES):
                    break
                continue
            self._start(task)
        for entry in later:
            heapq.heappush(self.ready, entry)

    def _start(self, task: Task) -> None:
        try:
            calls = self._calls(task)
        except Exception as error:  # noqa: BLE001 - reported as this node's
            self._fail(task, error)
            return
        task.state = State.RUNNING
        self.running[task] = None
        self.tell(NodeStarted(task.node.id, task.display, task.why))
        context = None
        if task.impl.takes_context:
            context = self.machine.make_context(task.node, task.display, self.job, self.tell)
        if task.impl.is_async:
            self.machine.lanes.run_async(self._work_async(task, calls, context))
            return
        self.busy.add(task.impl.spec.lane)
        self.machine.lanes.submit(task.impl.spec.lane, lambda: self._work(task, calls, context))

    def _work(self, task: Task, calls: list[dict[str, Any]], context: Any) -> None:
        """Call the node's function; on a lane's thread."""
        started = time.perf_counter()
        results: list[Any] = []
        function = task.impl.function
        try:
            for arguments in calls:
                self.job.cancel.check()
                blocked = blocked_by(arguments)
                if blocked is not None:
                    results.append(blocked)
                else:
                    results.append(function(context, **arguments) if context is not None else function(**arguments))
        except BaseException as error:  # noqa: BLE001 - a node may raise anything, SystemExit included
            self.inbox.put(_Finished(task, None, error, time.perf_counter() - started))
            return
        self.inbox.put(_Finished(task, results, None, time.perf_counter() - started))

    async def _work_async(self, task: Task, calls: list[dict[str, Any]], context: Any) -> None:
        """Await the node's function, all its calls at once."""
        started = time.perf_counter()

        async def call(arguments: dict[str, Any]) -> Any:
            blocked = blocked_by(arguments)
            if blocked is not None:
                return blocked
            function = task.impl.function
            return await (function(context, **arguments) if context is not None else function(**arguments))

        work = asyncio.ensure_future(asyncio.gather(*map(call, calls)))
        try:
            while not work.done():  # the token is set from another thread, so it is looked at now and then
                await asyncio.wait([work], timeout=0.05)
                if self.job.cancel.cancelled and not work.done():
                    work.cancel()
                    raise Cancelled
            results = work.result()
        except BaseException as error:  # noqa: BLE001 - as above
            self.inbox.put(_Finished(task, None, error, time.perf_counter() - started))
            return
        self.inbox.put(_Finished(task, results, None, time.perf_counter() - started))

    def _take(self, report: _Finished) -> None:
        """A lane is done with a task."""
        task = report.task
        del self.running[task]
        if not task.impl.is_async:
            self.busy.discard(task.impl.spec.lane)
        task.seconds = report.seconds
        if isinstance(report.error, Cancelled) or (report.error is not None and self.job.cancel.cancelled):
            task.state = State.FAILED
            self.interrupted = self.interrupted or task
            self._stop()
            return
        if report.error is not None:
            self._fail(task, report.error)
            return
        try:
            self._finish(task, report.results or [])
            self._settle()
        except _NodeError as error:
            self._fail(error.task, error.cause)

    def _fail(self, task: Task, error: BaseException) -> None:
        task.state = State.FAILED
        if self.failure is None:
            self.failure = (task, error)
        self._stop()

    def _finish(self, task: Task, results: list[Any]) -> None:
        """Turn what the calls returned into wires, remember it, and let the readers go on."""
        try:
            slots, ui, files = read_results(task.impl, results)
        except TypeError as error:
            raise _NodeError(task, error) from error
        assert task.signature is not None
        before, task.outputs = task.outputs, []
        for slot, items in enumerate(slots):
            each = [digest(item) or derived(task.signature, slot, index) for index, item in enumerate(items)]
            wire = Wire(join(each), items)
            task.outputs.append(wire)
            self.machine.cache.put(wire.digest, items, task.seconds)
        task.trace = Trace(tuple(wire.digest for wire in task.outputs), task.seconds, ui, files)
        self.machine.traces.put(task.signature, task.trace)
        task.state = State.DONE
        self.executed.append(task.node.id)
        for message in messages_of(slots if slots else [tuple(results)]):
            self.tell(NodeText(task.node.id, task.display, message))
        self._settled(task)
        self.tell(NodeFinished(task.node.id, task.display, task.seconds))
        if before is not None and [wire.digest for wire in before] != list(task.trace.digests):
            self._decide_again(task)
        self._items_are_there(task)
        self.in_flight.pop(task.signature, None)
        for twin in self.merged.pop(task, ()):
            self._share(task, twin)

    def _share(self, task: Task, twin: Task) -> None:
        """Give a task what its equal made."""
        assert task.outputs is not None
        twin.trace, twin.state, twin.why = task.trace, State.REUSED, ""
        twin.outputs = [Wire(wire.digest, wire.items) for wire in task.outputs]
        self._settled(twin)
        self._items_are_there(twin)

    def _decide_again(self, task: Task) -> None:
        """A value was made again and differs from its trace: what was settled by the old one is looked up anew."""
        stack = list(task.readers)
        while stack:
            reader = stack.pop()
            if reader.state is State.REUSED:
                self._reopen(reader)
                stack.extend(reader.readers)
            elif reader.state is not State.GATHERING:
                continue
            twins = self.merged.pop(reader, [])
            for each in (reader, *twins):
                self._forget_decision(each)

    def _reopen(self, task: Task) -> None:
        """What a task was known by no longer holds, so it may want its inputs after all; a target is due again."""
        task.outputs, task.trace = None, None
        if task.closed:
            task.closed = False
            for link in task.node.links.values():
                self.tasks[link.node].open_readers += 1
        if task.node.id in self.due and task.node.id not in self.targets:
            self.targets[task.node.id] = None
            task.open_readers += 1

    def _forget_decision(self, task: Task) -> None:
        """Have a task signed and looked up anew."""
        if task.signature is not None and self.in_flight.get(task.signature) is task:
            del self.in_flight[task.signature]
        task.signature = None
        task.waiting_for.clear()
        task.why = "an input was made again and came out different"
        task.state = State.IDLE
        self._push(self._want_digest, task)

    # -- closing: who may still want what ------------------------------------------------------------------------

    def _try_close(self, task: Task) -> None:
        """Release what nobody can want any more.

        A task is closed when it will never need its inputs again: it is done, or it is known by digest (or was
        never asked for) and all its readers are closed. A wire whose readers are all closed lets go of its items.
        """
        stack = [task]
        while stack:
            each = stack.pop()
            if each.open_readers == 0 and each.outputs is not None:
                for wire in each.outputs:
                    wire.items = None
            at_rest = each.state in (State.REUSED, State.IDLE) and each.open_readers == 0
            if each.closed or not (each.state is State.DONE or at_rest):
                continue
            each.closed = True
            for link in each.node.links.values():
                source = self.tasks[link.node]
                source.open_readers -= 1
                if source.open_readers == 0:
                    stack.append(source)

    # -- values -------------------------------------------------------------------------------------------------

    def _wire(self, link: Link) -> Wire:
        outputs = self.tasks[link.node].outputs
        assert outputs is not None
        return outputs[link.slot]

    def _calls(self, task: Task) -> list[dict[str, Any]]:
        """The keyword arguments of each call; lazy inputs that are not evaluated are None."""
        items: dict[str, tuple[Any, ...]] = {}
        for name in task.demanded:
            wire = self._wire(task.node.links[name])
            assert wire.items is not None, f"input {name} of node {task.node.id} was released too early"
            items[name] = wire.items
        hidden: Mapping[str, Any] = {
            "PROMPT": self.job.prompt, "EXTRA_PNGINFO": self.job.extra, "UNIQUE_ID": task.node.id, "DYNPROMPT": None,
        }
        return arguments_of_calls(task.impl, items, task.node.literals, hidden)

    def _summary(self, task: Task) -> dict[str, Any]:
        """The inputs of a failed node in words, for the error report."""
        summary: dict[str, Any] = {name: [short(value)] for name, value in task.node.literals.items()}
        for name, link in task.node.links.items():
            source = self.tasks[link.node]
            items = source.outputs[link.slot].items if source.outputs else None
            summary[name] = [short(item) for item in items[:8]] if items is not None else [f"from node {link.node}"]
        return summary


class _NodeError(Exception):
    """Something of a node's raised outside its function."""

    def __init__(self, task: Task, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.task, self.cause = task, cause


def _unequal(token: Any) -> Any:
    """A token that is NaN equals nothing, itself included: the node runs each time."""
    if isinstance(token, float) and math.isnan(token):
        return ("never equal", time.time_ns())
    return token


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _worth_telling(task: Task) -> bool:
    return task.state in (State.DONE, State.REUSED, State.FAILED)


def _report(task: Task) -> NodeReport:
    state = {State.DONE: "ran", State.REUSED: "reused"}.get(task.state, "failed")
    return NodeReport(
        task.node.id, task.display, task.node.class_type, state, task.why if state != "reused" else "", task.seconds
    )
