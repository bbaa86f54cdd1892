"""What is wanted, what is known, what has to run: the part of the executor that decides.

There are two kinds of demand. ``want_digest`` settles a task's output digests, by its trace if its signature has
one, else by running it. ``want_items`` has the values themselves in memory: from the cache, or by running the task,
which wants its inputs' items in turn. Both work through an explicit stack, and tasks may be added at any time.

**Why nothing waits for ever.** A waiting task waits for the tasks it reads, an expanded one for those it expanded to,
and a follower for its leader: a task with the same signature that is to be made once for both. In the order of the job
(``Task.key``) a task comes after what it reads, and after what it expands to, which is put right before it; and of
equal tasks that still wait for their inputs the earliest leads. As long as an expansion reads only what comes before
its expander, every wait leads to an earlier task, so the waits form no circle. Two things break that order: following
a later task that has *run* (harmless while it runs, since it needs nothing more, but then it may expand), and an
expansion that reads what comes after its expander (through ``DYNPROMPT`` a node can name any other). So when nothing
runs and nothing is ready, every demanded task waits for another one, and walking along the waits ends in a circle
(``untie``). If there is a follower in the circle, it is set free to be made by itself: that is always allowed,
following only saves work, and each task is freed at most once. If there is none, the graph really depends on itself,
and that is the error of the node that expanded.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from engine.graph.node import LANES
from engine.graph.workflow import Link
from engine.messages.events import Event, NodeBlocked, NodeReused, NodeShown
from engine.runtime.book import Book
from engine.runtime.reasons import GONE_VALUE, NONE, REMADE, Reason
from engine.runtime.signature import signature, signed_form, token_digest
from engine.runtime.tasks import At, Job, Machine, NodeError, State, Task, Wire
from engine.runtime.traces import Trace, missing_file

STEPS: Mapping[State, str] = {
    State.WAITING: "_sign", State.GATHERING: "_gather", State.EXPANDED: "conclude", State.DONE: "_collect",
    State.REUSED: "_collect",
}
"""Where a task goes on when what it waited for is there. By name: bound methods would make a circle of references."""
AWAITED = "awaited"  # in the place of a lane: functions to be awaited, any number at once


class Demand(Book):
    """The tasks of one job and what is wanted of them. Used on one thread."""

    def __init__(self, job: Job, machine: Machine) -> None:
        super().__init__(job, machine)
        self.outputs: dict[str, Mapping[str, Any]] = {}
        self.inner_shown: dict[str, tuple[Task, str, str]] = {}  # shown by traces: id → (expander, class, display)
        self.executed: list[str] = []
        self.ready: dict[str, list[tuple[tuple[int, ...], int, Task]]] = {lane: [] for lane in (*LANES, AWAITED)}
        self.ties = count()
        self.in_flight: dict[bytes, Task] = {}  # by signature
        self.merged: dict[Task, list[Task]] = {}  # leader → followers
        self.swept = False  # the first look-up is over; from now on what is shown is told at once

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        raise NotImplementedError

    def ask_lazy_later(self, task: Task, calls: list[dict[str, Any]], function: Callable[..., Any]) -> None:
        """Have an async function asked which lazy inputs it needs; ``demand_lazy`` hears the answer."""
        raise NotImplementedError

    # -- digests ------------------------------------------------------------------------------------------------

    def want_digest(self, task: Task) -> None:
        """Begin to settle a task's digests."""
        if task.state is not State.IDLE:
            return
        task.state = State.WAITING
        task.demanded = None
        if task.closed:
            self.open_again(task)
        deferred, tasks = task.impl.deferred, self.tasks
        for name, link in task.node.links.items():
            if tasks[link.node].outputs is None and name not in deferred:
                sources = [tasks[link.node] for name, link in task.node.links.items() if name not in deferred]
                self._await_digests(task, sources)
                return
        self._sign(task)

    def _await_digests(self, task: Task, sources: Sequence[Task]) -> bool:
        """Wait for what is not settled among some tasks; whether there is any."""
        waits = {source for source in sources if source.outputs is None}
        for source in dict.fromkeys(sources) if waits else ():
            if source in waits:
                self.digest_waiters.setdefault(source, []).append(task)
                self.push(self.want_digest, source)
        return self._wait(task, waits)

    def _wait(self, task: Task, sources: set[Task]) -> bool:
        """Note whom a task waits for from now on; whether it is anybody."""
        if sources:
            self.waits[task] = sources
        else:
            self.waits.pop(task, None)
        return bool(sources)

    def sweep(self, order: Sequence[Task]) -> None:
        """Look up all that the targets need, each task after those it reads: so none of them has to wait."""
        tasks = self.tasks
        needed = {tasks[name] for name in self.targets}
        for task in reversed(order):
            if task in needed:
                deferred = task.impl.deferred
                needed.update([tasks[link.node] for name, link in task.node.links.items() if name not in deferred])
        for task in order:
            if task in needed:
                self.want_digest(task)

    def _sign(self, task: Task) -> None:
        """Give the task its signature, and reuse what it made before if that is known.

        A lazy or raw input is signed by the recipe of its source, so that it need not be evaluated to look this up;
        a node that can see the graph is signed by the recipes of all its inputs, since it may read anything there.
        """
        if task.state is not State.WAITING or task in self.waits:
            return  # it was decided again meanwhile
        impl = task.impl
        links = task.node.links.items()
        if impl.sees_graph or impl.deferred:
            inputs = [(name, self._signed_by(task, name, link)) for name, link in links]
        else:
            tasks = self.tasks
            inputs = [(name, tasks[link.node].outputs[link.slot].digest) for name, link in links]  # type: ignore[index]
        spec = impl.spec
        unique = None
        token = self.tokens.get(task.node.id)
        if spec.hidden:
            kinds = spec.hidden.values()
            unique = task.node.id if "UNIQUE_ID" in kinds else None
            if "PROMPT" in kinds:  # a picture with its recipe does not do for one without
                token = (token, self.job.has_recipe)
        signed = signed_form(spec.class_type, spec.version, task.forms, token, inputs, unique)
        task.signature = signature(signed)
        self._look_up(task, signed)

    def _signed_by(self, task: Task, name: str, link: Link) -> bytes:
        """What stands for an input in the signature of a node that has lazy or raw inputs, or sees the graph."""
        deferred = name in task.impl.deferred
        found = b"" if deferred else self.wire(link).digest
        if deferred or task.impl.sees_graph:
            found += self.recipe(link.node) + link.slot.to_bytes(4, "big")
        return found

    def _look_up(self, task: Task, signed: bytes) -> None:
        assert task.signature is not None
        trace = self.machine.traces.get(task.signature)
        reason = None
        if trace is None:
            reason = task.why if task.why.cause else self.machine.recent.explain(task.node.id, signed)
        elif trace.files and (gone := missing_file(trace)) is not None:
            reason = Reason("file", f"the file it wrote is gone: {gone}")
        elif trace.world and (changed := self._changed_inside(trace)) is not None:
            reason = Reason("world", f"what a {changed} inside it depends on has changed")
        self.note(task, signed)
        if trace is not None and reason is None:
            self._reuse(task, trace)
            return
        assert reason is not None
        task.why = reason
        self.push(self._gather, task)

    def note(self, task: Task, signed: bytes) -> None:
        """Remember what a task was signed with, to say next time what is different."""
        self.machine.recent.note(task.node.id, signed)

    def place(self, task: Task) -> str:
        """Where the values of a task that is known are: in memory, on disk, or nowhere: only its trace is known."""
        assert task.outputs is not None
        found = "memory" if task.outputs else "trace"
        for wire in task.outputs:
            place = self.machine.cache.place(wire.digest)
            if not place:
                return "trace"
            if place == "disk":
                found = place
        return found

    def _changed_inside(self, trace: Trace) -> str | None:
        """The class of the first node of a remembered expansion for which the world outside is another now."""
        for node, before in trace.world:
            impl = self.machine.nodes.get(node.class_type)
            try:
                now = token_digest(self.machine.token_of(node, impl)) if impl else None
            except Exception:  # noqa: BLE001 - the node will say it itself when it is run
                now = None
            if now != before:
                return node.class_type
        return None

    def _reuse(self, task: Task, trace: Trace) -> None:
        """Settle a task by its trace."""
        task.trace = trace
        task.state = State.REUSED
        task.outputs = [Wire(each) for each in trace.digests]
        task.source = self.place(task)
        if self.swept:
            self.tell(NodeReused(task.node.id, task.display, task.source))
        self.settled(task)
        if task.items_wanted:
            self.push(self.want_items, task)

    def settled(self, task: Task) -> None:
        """A task's digests are known: what it shows is delivered, and its readers may go on."""
        trace = task.trace
        if trace is not None and (trace.ui is not None or trace.inner or trace.blocked):
            self._show(task, trace)
        if task.node.id in self.targets:
            del self.targets[task.node.id]
            task.open_readers -= 1
        if self.digest_waiters and (waiters := self.digest_waiters.pop(task, None)):
            self._wake(task, waiters)
        if task.open_readers == 0 or task.state is not State.REUSED:
            self.try_close(task)

    def _show(self, task: Task, trace: Trace) -> None:
        for text in trace.blocked:
            node = task.node
            self.tell(NodeBlocked(node.id, task.display, node.class_type, text, tuple(self.executed)))
        shown = [] if trace.ui is None else [(task.node.id, task.display, trace.ui)]
        if task.state is State.REUSED:  # else the nodes of the expansion are there and show it themselves
            for each in trace.inner:
                name, display = task.node.id + each.suffix, each.display or task.display
                self.inner_shown[name] = (task, each.class_type, display)
                shown.append((name, display, each.ui))
        for name, display, ui in shown:
            self.outputs[name] = ui
            if self.swept:
                self.tell(NodeShown(name, display, ui))

    def _wake(self, source: Task, waiters: Sequence[Task]) -> None:
        """Tell tasks that what they await of a source is there."""
        for task in waiters:
            waits = self.waits.get(task)
            if waits and source in waits:
                waits.discard(source)
                if not waits:
                    del self.waits[task]
                    self.push(getattr(self, STEPS[task.state]), task)

    # -- items --------------------------------------------------------------------------------------------------

    def want_items(self, task: Task) -> None:
        """Have the items of a task's outputs in memory."""
        task.items_wanted = True
        if task.open_readers == 0:
            return  # those who wanted them have them by now
        if task.state not in (State.REUSED, State.DONE) or (task.expanded and task in self.waits):
            return
        if self._recall(task):
            self.items_are_there(task)
        elif task.expanded:
            self._collect(task)
        else:
            task.why = task.why if task.why.cause else GONE_VALUE
            task.state = State.GATHERING
            self.open_again(task)
            self.push(self._gather, task)

    def _recall(self, task: Task) -> bool:
        """Try to have every output of a task from memory."""
        assert task.outputs is not None
        for wire in task.outputs:
            if wire.items is None:
                wire.items = self.machine.cache.get(wire.digest)
        return all(wire.items is not None for wire in task.outputs)

    def _items_of(self, link: Link) -> tuple[Any, ...] | None:
        """The items of a settled wire if they are in memory."""
        wire = self.wire(link)
        if wire.items is None:
            wire.items = self.machine.cache.get(wire.digest)
        return wire.items

    def _await_items(self, task: Task, links: Iterable[Link]) -> bool:
        """Wait for the items of wires; whether there are any to wait for."""
        waits = set(self.waits.get(task, ()))
        for link in links:
            source = self.tasks[link.node]
            if source in waits:
                continue
            if source.outputs is None:
                self.digest_waiters.setdefault(source, []).append(task)
                self.push(self.want_digest, source)
            elif self._items_of(link) is None:
                self.item_waiters.setdefault(source, []).append(task)
                self.push(self.want_items, source)
            else:
                continue
            waits.add(source)
        return self._wait(task, waits)

    def _gather(self, task: Task) -> None:
        """Wait for the items of the demanded inputs; then ask for lazy ones; then be ready."""
        if task.state not in (State.WAITING, State.GATHERING) or task in self.waits:
            return  # it is further, or was decided again meanwhile
        task.state = State.GATHERING
        if self._lead(task):
            demanded = self.demanded(task)
            names = demanded - task.impl.raw if task.impl.raw else demanded
            if not self._await_items(task, [task.node.links[name] for name in names]):
                self._ask_lazy(task)

    def items_are_there(self, task: Task) -> None:
        """Let those go on that waited for a task's values."""
        if waiters := self.item_waiters.pop(task, None):
            self._wake(task, waiters)

    def _ask_lazy(self, task: Task) -> None:
        """Ask the node which lazy inputs it needs, until it asks for nothing new."""
        function = task.impl.lazy_for(task.node.id)
        if function is None or not self._open_names(task):
            self._be_ready(task)
            return
        if task.impl.lazy_is_async:
            task.state = State.ASKING
            self.ask_lazy_later(task, self.calls(task), function)
            return
        try:
            asked = {name for arguments in self.calls(task) for name in function(**arguments) or ()}
        except Exception as error:
            raise NodeError(task, error) from error
        self.demand_lazy(task, asked)

    def demand_lazy(self, task: Task, asked: set[str]) -> None:
        """Demand the lazy inputs that a node has asked for."""
        task.state = State.GATHERING
        new = asked.intersection(self._open_names(task))
        if new:
            self.demanded(task).update(new)
            self.push(self._gather, task)
        else:
            self._be_ready(task)

    def _open_names(self, task: Task) -> list[str]:
        demanded = self.demanded(task)
        return [name for name in task.node.links if name in task.impl.lazy_names and name not in demanded]

    def _be_ready(self, task: Task) -> None:
        task.state = State.READY
        lane = AWAITED if task.impl.is_async else task.impl.spec.lane
        heapq.heappush(self.ready[lane], (task.key, next(self.ties), task))

    # -- equal tasks --------------------------------------------------------------------------------------------

    def _lead(self, task: Task) -> bool:
        """Whether the task is to be run for all with its signature; otherwise it will have what the leader makes.

        Of equal tasks that still wait for their inputs the earliest leads: one of them may read another (0 + 0 is
        equal to what 0 + (0 + 0) is), and then the reader must not hold up what it reads.
        """
        assert task.signature is not None
        if task.alone:
            return True
        if task.leader is not None:
            return False
        first = self.in_flight.setdefault(task.signature, task)
        if first is task:
            return True
        above = task.parent
        while above is not None and first.state is State.EXPANDED:
            if above is first:
                raise NodeError(first, ValueError(
                    f"it expands into itself without end: node {task.node.id} ({task.node.class_type}) has the same"
                    " inputs again"
                ))
            above = above.parent
        if first.state in (State.READY, State.RUNNING, State.EXPANDED) or first.key < task.key:
            self._follow(task, first)
            return False
        self.in_flight[task.signature] = task
        for each in (*self.merged.pop(first, ()), first):
            self._follow(each, task)
        first.state = State.GATHERING
        self.waits.pop(first, None)
        return True

    def _follow(self, task: Task, leader: Task) -> None:
        task.leader = leader
        self.merged.setdefault(leader, []).append(task)

    def _unfollow(self, task: Task) -> None:
        if task.leader is not None:
            self.merged[task.leader].remove(task)
            task.leader = None

    def share(self, task: Task) -> None:
        """Give what a task made to those with the same signature."""
        assert task.outputs is not None
        assert task.signature is not None
        if self.in_flight.get(task.signature) is task:
            del self.in_flight[task.signature]
        for twin in self.merged.pop(task, ()):
            twin.leader, twin.trace, twin.state, twin.why = None, task.trace, State.REUSED, NONE
            twin.source = "equal"
            if self.swept:
                self.tell(NodeReused(twin.node.id, twin.display, twin.source))
            twin.outputs = [Wire(wire.digest, wire.items) for wire in task.outputs]
            twin.lasting = task.lasting
            if task.expanded:  # what the outputs are made of may still be made, for both
                twin.made, twin.expanded = task.made, True
                self.hold(twin)
            self.settled(twin)
            self.want_items(twin) if twin.items_wanted else self.items_are_there(twin)

    def untie(self) -> None:
        """Nothing runs and something is wanted: set a follower free. Raises NodeError if the graph is a circle."""
        task = next(self.tasks[name] for name in self.targets)
        path: dict[Task, None] = {}
        while task not in path:
            path[task] = None
            following = task.leader or next(iter(self.waits.get(task, ())), None)
            if following is None:
                raise AssertionError(f"node {task.node.id} is {task.state}, but waits for nothing and does not run")
            task = following
        tasks = list(path)
        circle = tasks[tasks.index(task):]
        follower = next((each for each in circle if each.leader is not None), None)
        if follower is not None:
            self._unfollow(follower)
            follower.alone = True
            self.push(self._gather, follower)
            return
        names = " ← ".join(each.node.id for each in (*circle[:20], circle[0]))
        expander = next((each for each in circle if each.state is State.EXPANDED), circle[0])
        raise NodeError(expander, ValueError(f"the graph it made depends on itself in a circle: {names}"))

    # -- expanded tasks -----------------------------------------------------------------------------------------

    def await_expansion(self, task: Task) -> None:
        """Wait until what a task expanded to is settled."""
        task.state = State.EXPANDED
        if not self._await_digests(task, self.sources(task)):
            self.push(self.conclude, task)

    def expansion_is_settled(self, task: Task) -> bool:
        """Whether nothing that a task expanded to was opened again meanwhile; if it was, that is waited for."""
        if all(source.outputs is not None for source in self.sources(task)):
            return True
        self.await_expansion(task)
        return False

    def conclude(self, task: Task) -> None:
        """What a task returned, or expanded to, is settled: make wires of it."""
        raise NotImplementedError

    def _collect(self, task: Task) -> None:
        """Take the items of an expanded task over from where they are made."""
        if task.open_readers == 0:
            return  # those who wanted them have them by now
        assert task.made is not None
        assert task.outputs is not None
        open_slots = [slot for slot, wire in enumerate(task.outputs) if wire.items is None]
        if task not in self.held:
            self.hold(task)  # it had let go: an expansion has come to read it after all its readers were done
        links = [each.link for slot in open_slots for each in task.made.columns[slot] if isinstance(each, At)]
        if self._await_items(task, links):
            return
        for slot in open_slots:
            items: list[Any] = []
            for each in task.made.columns[slot]:
                items.extend(self._items_of(each.link) or ()) if isinstance(each, At) else items.append(each)
            wire = task.outputs[slot]
            wire.items = tuple(items)
            self.machine.cache.put(wire.digest, wire.items, task.seconds)
        self.let_go(task)
        self.items_are_there(task)

    # -- deciding again -----------------------------------------------------------------------------------------

    def decide_again(self, task: Task) -> None:
        """A value was made again and differs from its trace: what was settled by the old one is looked up anew."""
        stack = list(task.readers)
        while stack:
            reader = stack.pop()
            if reader.state is State.DONE and reader.expanded:
                if reader not in self.held:
                    self.hold(reader)
                self.push(self.await_expansion, reader)  # what it took over is another value now
                continue
            if reader.state is State.REUSED:
                self._reopen(reader)
                stack.extend(reader.readers)
            elif reader.state is not State.GATHERING:
                continue
            twins = self.merged.pop(reader, [])
            for each in twins:
                each.leader = None
            for each in (reader, *twins):
                self._forget_decision(each)

    def _reopen(self, task: Task) -> None:
        """What a task was known by no longer holds, so it may want its inputs after all; a target is due again."""
        task.outputs, task.trace, task.made, task.expanded = None, None, None, False
        self.let_go(task)
        self.open_again(task)
        if task.node.id in self.due and task.node.id not in self.targets:
            self.targets[task.node.id] = None
            task.open_readers += 1

    def look_up_again(self, task: Task) -> None:
        """Another job has made, or failed to make, what a task is to make: see whether it is known now."""
        if task.state is not State.READY:
            return
        twins = self.merged.pop(task, [])
        for each in twins:
            each.leader = None
        for each in (task, *twins):
            self._forget_decision(each, each.why)

    def _forget_decision(self, task: Task, why: Reason = REMADE) -> None:
        """Have a task signed and looked up anew."""
        self._unfollow(task)
        if task.signature is not None and self.in_flight.get(task.signature) is task:
            del self.in_flight[task.signature]
        task.signature = None
        self.waits.pop(task, None)
        task.why = why
        task.state = State.IDLE
        self.push(self.want_digest, task)
