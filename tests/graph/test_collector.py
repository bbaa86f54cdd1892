"""The collector is paused for a step, whoever else is in one, and is afterwards as it was before."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from engine.graph.collector import uncollected


@pytest.fixture(autouse=True)
def _collector_is_on() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_is_paused_within_and_goes_on_afterwards() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer step is still under way"
    assert gc.isenabled()


def test_it_goes_on_after_a_step_that_raises() -> None:
    with pytest.raises(ZeroDivisionError), uncollected():
        _ = 1 / 0
    assert gc.isenabled()


def test_one_that_is_off_stays_off() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_it_goes_on_when_the_last_of_several_threads_is_done() -> None:
    inside, go = threading.Event(), threading.Event()

    def step() -> None:
        with uncollected():
            inside.set()
            go.wait(10)

    other = threading.Thread(target=step)
    with uncollected():
        other.start()
        inside.wait(10)
    assert not gc.isenabled()
    go.set()
    other.join()
    assert gc.isenabled()
