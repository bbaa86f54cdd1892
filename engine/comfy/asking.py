"""A plain function that asks and waits, as a generator that yields its questions.

Packs write samplers and guiders as functions that call the model; Easel's samplers are generators, so that whoever
drives them owns progress, cancelling and memory. The function runs in a thread of its own, of which only one moves
at a time.

>>> def twice(ask):
...     return ask(1) + ask(2)
>>> steps = asking(twice)
>>> next(steps), steps.send(10)
(1, 2)
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import torch

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


class _LeftError(BaseException):
    """Raised in the function when nobody waits for it any more, so that it ends."""


def asking(function: Callable[[Callable[[Q], A]], T]) -> Generator[Q, A, T]:
    """Run ``function(ask)``; what it asks is yielded, what is sent is its answer, what it returns is returned.

    Closing the generator ends the function at its question. What it raises is raised here.
    """
    said: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    heard: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
    context = copy_context()
    # torch keeps both by thread
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def ask(question: Q) -> A:
        said.put(("asks", question))
        goes_on, answer = heard.get()
        if not goes_on:
            heard.put((False, None))  # for a function that catches everything and asks again
            raise _LeftError
        given: A = answer
        return given

    def run() -> None:
        try:
            with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
                said.put(("returns", context.run(function, ask)))
        except BaseException as error:  # noqa: BLE001 - it is raised where the generator is driven
            said.put(("raises", error))

    thread = Thread(target=run, name="pack", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = said.get()
            if kind == "raises":
                raise value
            if kind == "returns":
                returned: T = value
                return returned
            heard.put((True, (yield value)))
    finally:
        heard.put((False, None))
        thread.join()
