"""What a worker answers while a node runs: questions of the server, each on a thread beside the lanes.

A pack's code may take long to answer, or for ever; the server waits only so long, and a few threads are enough that one
such answer does not hold up the others.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from engine.graph.graph import Graph
from engine.messages.protocol import Answer, Complaint, Free, Predict, Prediction, Question, Validate
from engine.runtime.calls import find_complaints
from engine.runtime.predict import foretell
from engine.runtime.tasks import Job, Machine

THREADS = 4


class Answers:
    """Answers questions; ``say`` sends a message to the server. free: gives back models, values; gives the bytes."""

    def __init__(
        self, machine: Machine, say: Callable[[Answer], None], free: Callable[[bool, bool], int]
    ) -> None:
        self._machine, self._say, self._free = machine, say, free
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="answers")

    def put(self, question: Question) -> None:
        """Have a question answered soon."""
        self._threads.submit(self._answer, question)

    def _answer(self, question: Question) -> None:
        try:
            value: Any
            if isinstance(question, Free):
                value = self._free(question.models, question.cache)
            else:
                value = TABLE[type(question)](self._machine, question)
            self._say(Answer(question.request, msgspec.Raw(msgspec.msgpack.encode(value))))
        except Exception as error:  # noqa: BLE001 - the server is to hear of it, whatever it was
            traceback.print_exc()
            self._say(Answer(question.request, error=f"{type(error).__name__}: {error}"))


def validate(machine: Machine, question: Validate) -> list[Complaint]:
    """Ask the nodes of a graph that check their inputs themselves."""
    graph = msgspec.msgpack.decode(question.graph, type=Graph)
    return [
        Complaint(node.id, "custom_validation_failed", found) if isinstance(found, str)
        else Complaint(node.id, "exception_during_validation", f"{type(found).__name__}: {found}")
        for node, found in find_complaints(graph, machine.nodes)
    ]


def predict(machine: Machine, question: Predict) -> list[Prediction]:
    """Look up what would run, without running anything."""
    graph = msgspec.msgpack.decode(question.graph, type=Graph)
    return foretell(Job("prediction", graph, prompt={} if question.metadata else None), machine)


TABLE: Mapping[type, Callable[[Machine, Any], Any]] = {Validate: validate, Predict: predict}
