"""Several jobs on one device: who has it, and the denoising calls of all of them as one batch.

The work of each job that wants the device runs on a thread of its own, but only one of them *holds* the device at a
time. A sampler that asks the network lets go of the device and waits. When nobody may take the device before them,
the first of those that ask *leads a round*: it has all waiting questions answered, those with one key in one call, each
at its own noise level, and every sampler goes on with its own answer.

**Why nobody waits long.** A question is answered by the next round: at most one round is under way when it is put.
Before a round each other job gets at most one stretch of other work on the device (a node up to its end or to its
first question), so that jobs that begin together meet in the same rounds, and none can keep the others waiting.
With a single job on the device the questions go straight to the network, on the job's own thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from engine.diffusion.guidance import Call, Network
from engine.graph.node import Cancelled

MOST_PLACES = 16 * 64 * 64  # places of latents that are merged: eight guided pictures of 512 x 512

Round = tuple[tuple[str, ...], ...]  # the jobs whose questions were put to the network in each call


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What a sampler asks: calls, the network that answers them, and what says which networks are the same."""

    key: Hashable
    network: Network
    calls: Sequence[Call]
    cancelled: Callable[[], bool]
    fits: Callable[[int], bool]

    @property
    def rows(self) -> int:
        """How many latents it is about."""
        return sum(call.x.shape[0] for call in self.calls)

    @property
    def places(self) -> int:
        """How many places of latents it is about."""
        return sum(call.x.shape[0] * call.x.shape[-1] * call.x.shape[-2] for call in self.calls)


@dataclass(slots=True, eq=False)
class _Turn:
    """A thread that holds the device, or waits for it."""

    job: str
    wake: threading.Condition
    question: Question | None = None  # that awaits an answer
    answers: list[Tensor] = field(default_factory=list)
    error: BaseException | None = None

    def result(self) -> list[Tensor]:
        """The answers, or the error in their place."""
        if self.error is not None:
            raise self.error
        return self.answers


@dataclass(slots=True)
class Batcher:
    """The device of one worker, shared by jobs.

    most: places of latents that go through the network at once, unless one job alone asks for more. observe: told of
    each round, for whoever counts.
    """

    most: int = MOST_PLACES
    observe: Callable[[Round], None] = lambda jobs: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _own: threading.local = field(default_factory=threading.local)
    _holder: _Turn | None = None
    _entering: deque[_Turn] = field(default_factory=deque)  # with new work
    _answered: deque[_Turn] = field(default_factory=deque)  # their samplers go on
    _asking: list[_Turn] = field(default_factory=list)
    _spent: set[str] = field(default_factory=set)  # jobs that have had their stretch before the next round

    @contextmanager
    def turn(self, job: str) -> Iterator[None]:
        """Hold the device for some work of a job."""
        turn = _Turn(job, threading.Condition(self._lock))
        with self._lock:
            self._entering.append(turn)
            if self._holder is None:
                self._pass_on()
            self._wait(turn)
        self._own.turn = turn
        try:
            yield
        finally:
            self._own.turn = None
            with self._lock:
                self._pass_on()

    def share(
        self, network: Network, key: Hashable, cancelled: Callable[[], bool],
        fits: Callable[[int], bool] = lambda rows: True,
    ) -> Network:
        """Give a network that answers a job's calls together with those of others.

        key: equal for two networks only if either may answer the other's calls; one that cannot be hashed equals none.
        cancelled: whether the job wants no more answers; it is then told by `Cancelled`. fits: whether there is memory
        for so many latents at once. Outside of a turn the network is asked directly.
        """
        try:
            hash(key)
        except TypeError:  # a pack's patches may be anything
            key = object()

        def answer(calls: Sequence[Call]) -> Sequence[Tensor]:
            turn: _Turn | None = getattr(self._own, "turn", None)
            if turn is None:
                return network(calls)
            return self._ask(turn, Question(key, network, calls, cancelled, fits))

        return answer

    def _ask(self, turn: _Turn, question: Question) -> list[Tensor]:
        with self._lock:
            turn.question, turn.answers, turn.error = question, [], None
            self._asking.append(turn)
            self._pass_on()
            self._wait(turn)
            asking: list[_Turn] = []
            if turn in self._asking:  # not answered: it leads
                asking, self._asking = self._asking, []
                self._spent.clear()
        if asking:
            self._answer(asking)
            with self._lock:
                self._answered.extend(each for each in asking if each is not turn)
        return turn.result()

    def _pass_on(self) -> None:
        """Give the device to who is next, with the lock held. One that asks and was not answered leads a round."""
        self._holder = None
        if self._answered:
            self._holder = self._answered.popleft()
        else:
            new = next((each for each in self._entering if not self._asking or each.job not in self._spent), None)
            if new is not None:
                self._entering.remove(new)
                self._spent.add(new.job)
                self._holder = new
            elif self._asking:
                self._holder = self._asking[0]
        if self._holder is not None:
            self._holder.wake.notify()

    def _wait(self, turn: _Turn) -> None:
        while self._holder is not turn:
            turn.wake.wait()

    def _answer(self, asking: Sequence[_Turn]) -> None:
        """Answer all questions of a round; what goes wrong is kept with those it concerns."""
        groups = [group for alike in _alike(asking) for group in self._portions(alike)]
        self.observe(tuple(tuple(turn.job for turn in group) for group in groups))
        for group in groups:
            try:
                _put(group)
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
                if len(group) == 1:
                    group[0].error = error
                    continue
                for turn in group:  # one of them may be the cause; the others are not to suffer for it
                    try:
                        _put([turn])
                    except BaseException as own:  # noqa: BLE001 - as above
                        turn.error = own
            finally:
                for turn in group:
                    turn.question = None

    def _portions(self, group: Sequence[_Turn]) -> Iterator[list[_Turn]]:
        """Cut a group where it becomes too large to be one batch."""
        portion: list[_Turn] = []
        places = rows = 0
        for turn in group:
            asked = turn.question
            assert asked is not None
            if portion and (places + asked.places > self.most or not asked.fits(rows + asked.rows)):
                yield portion
                portion, places, rows = [], 0, 0
            portion.append(turn)
            places, rows = places + asked.places, rows + asked.rows
        yield portion


def _alike(asking: Sequence[_Turn]) -> list[list[_Turn]]:
    """Those of one key together; those whose job was cancelled are told so and left out."""
    groups: dict[Hashable, list[_Turn]] = {}
    for turn in asking:
        assert turn.question is not None
        if turn.question.cancelled():
            turn.question, turn.error = None, Cancelled()
            continue
        groups.setdefault(turn.question.key, []).append(turn)
    return list(groups.values())


def _put(group: Sequence[_Turn]) -> None:
    """Put the questions of a group to their network as one."""
    questions = [turn.question for turn in group if turn.question is not None]
    answers = list(questions[0].network([call for question in questions for call in question.calls]))
    start = 0
    for turn, question in zip(group, questions, strict=True):
        turn.answers = answers[start : start + len(question.calls)]
        start += len(question.calls)
