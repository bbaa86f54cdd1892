"""What is told waits for what is to be on disk before it."""

from __future__ import annotations

import asyncio

from engine.jobs.telling import Telling


async def test_what_follows_an_end_waits_until_that_is_written() -> None:
    told: list[str] = []
    faults: list[Exception] = []
    telling = Telling(faults.append)
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    telling.then(lambda: told.append("a"))
    telling.when(first, lambda written: told.append(f"b {written.result()}"))
    telling.then(lambda: told.append("c"))
    telling.when(second, lambda written: told.append("d"))
    telling.then(lambda: told.append("e"))
    second.set_result("too")
    await asyncio.sleep(0)
    assert told == ["a"]
    first.set_result("written")
    await telling.settled()
    assert told == ["a", "b written", "c", "d", "e"]
    assert not len(telling)
    assert not faults


async def test_an_action_may_ask_for_something_else_to_be_written_first() -> None:
    told: list[str] = []
    telling = Telling(lambda error: told.append("fault"))
    loop = asyncio.get_running_loop()
    again = loop.create_future()

    def go_on(written: asyncio.Future[str]) -> asyncio.Future[str] | None:
        if written.exception() is not None:
            return again
        told.append(written.result())
        return None

    failing: asyncio.Future[str] = loop.create_future()
    failing.set_exception(OSError())
    telling.when(failing, go_on)
    telling.then(lambda: told.append("after"))
    assert not told
    again.set_result("the second time")
    await telling.settled()
    assert told == ["the second time", "after"]


async def test_a_fault_is_reported_and_nothing_waits_for_ever() -> None:
    faults: list[Exception] = []
    telling = Telling(faults.append)
    written = asyncio.get_running_loop().create_future()
    telling.when(written, lambda done: done.result())
    written.set_exception(KeyError("x"))
    await telling.settled()
    await asyncio.sleep(0)
    assert [type(each) for each in faults] == [KeyError]
    assert not len(telling)
