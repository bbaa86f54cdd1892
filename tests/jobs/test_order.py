"""The order of waiting jobs, whose they are, and what is remembered over a restart."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.jobs.endings import with_place
from engine.jobs.gallery import Look, Output, find, owned
from engine.jobs.job import Job
from engine.jobs.line import Line, numbers_at, order
from engine.messages.events import Interrupted
from tests.jobs.conftest import PATIENCE, new_job


def job(job_id: str, number: float, sequence: int, **more) -> Job:
    return Job(id=job_id, number=number, sequence=sequence, created=0.0, prompt=b"{}", extra=b"{}", **more)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.data())
def test_a_job_placed_among_equal_priorities_waits_exactly_there(numbers, data):
    line = sorted((job(str(n), float(number), n) for n, number in enumerate(numbers)), key=order)
    mover = data.draw(st.sampled_from(line))
    position = data.draw(st.integers(1, len(line)))
    others = [each for each in line if each is not mover]
    chosen = numbers_at(others, mover.id, position)
    after = sorted((job(each.id, chosen.get(each.id, each.number), each.sequence) for each in line), key=order)
    wanted = [each.id for each in others]
    wanted.insert(position - 1, mover.id)
    assert [each.id for each in after] == wanted


async def test_a_pause_is_remembered_over_a_restart(desk):
    async with desk() as d:
        d.queue.pause()
        await d.queue.submit(new_job("a"))
    async with desk() as d:
        assert d.queue.paused and [each.id for each in d.queue.queue().pending] == ["a"]
        d.queue.resume()
        await d.heard.ended("a")
    async with desk() as d:
        assert not d.queue.paused


async def test_draining_lets_the_running_job_end_and_takes_up_no_other(desk, tmp_path):
    hold = tmp_path / "go on"
    async with desk() as d:
        await d.queue.submit(new_job("a", {"hold": str(hold)}))
        await d.heard.told("a", "NodeStarted")
        await d.queue.submit(new_job("b"))
        draining = asyncio.create_task(d.queue.drain(PATIENCE))
        await asyncio.sleep(0)
        assert d.queue.draining and not draining.done()
        hold.touch()
        await draining
        assert d.queue.job("a").state == "succeeded" and d.queue.job("b").state == "queued"
    async with desk() as d:
        assert not d.queue.draining
        await d.heard.ended("b")


async def test_a_job_that_does_not_end_in_time_runs_again_after_the_next_start(desk, tmp_path):
    hold = tmp_path / "go on"
    async with desk() as d:
        await d.queue.submit(new_job("a", {"hold": str(hold)}))
        await d.heard.told("a", "NodeStarted")
        await d.queue.drain(0.01)
    hold.touch()
    async with desk() as d:
        await d.heard.ended("a")
        assert d.queue.job("a").state == "succeeded"


async def test_jobs_of_equal_priority_can_be_put_in_any_order(desk):
    async with desk() as d:
        d.queue.pause()
        for name in "abcd":
            await d.queue.submit(new_job(name, number=1.0))
        await d.queue.place("d", 2)
        await d.queue.place("a", 4)
        assert [each.id for each in d.queue.queue().pending] == ["d", "b", "c", "a"]
        assert await d.queue.place("nobody", 1) is None
    async with desk() as d:
        assert [each.id for each in d.queue.queue().pending] == ["d", "b", "c", "a"]
        d.queue.resume()
        await d.heard.ended("a", "b", "c", "d")
        assert [each[0] for each in d.heard if each[1] == "Started"] == ["d", "b", "c", "a"]


async def test_the_history_of_one_owner_holds_no_other_jobs_and_can_be_cleared_alone(desk):
    async with desk() as d:
        for name, owner in (("a", "ada"), ("b", "bob"), ("c", "ada")):
            await d.queue.submit(new_job(name, owner=owner))
        await d.heard.ended("a", "b", "c")
        assert list(json.loads(await d.queue.history(owner="ada"))) == ["a", "c"]
        assert list(json.loads(await d.queue.history(1, owner="ada"))) == ["c"]
    async with desk() as d:
        assert list(json.loads(await d.queue.history(owner="ada"))) == ["a", "c"]
        assert await d.queue.clear_history("ada") == ["a", "c"]
        assert list(json.loads(await d.queue.history())) == ["b"]
        assert json.loads(await d.queue.history(owner="ada")) == {}


async def test_a_long_history_is_read_beside_the_event_loop_and_is_the_same(desk, monkeypatch):
    async with desk() as d:
        for n in range(6):
            await d.queue.submit(new_job(str(n)))
        await d.heard.ended(*"012345")
        before = d.queue.history_json()
    monkeypatch.setattr("engine.jobs.dispatcher.FEW", 2)
    async with desk() as d:
        monkeypatch.setattr(d.queue._history, "read", lambda ids: pytest.fail(f"read on the event loop: {ids}"))
        assert await d.queue.history() == before


async def test_files_are_found_again_by_whose_they_are_and_what_they_show(desk, tmp_path):
    async with desk() as d:
        d.queue.described_by(lambda each, ending: [
            Output("output", "", f"{each.id}.png", f"A red cube number-{each.id}", "Model-A.safetensors", (1, 22))])
        for name, owner in (("a", "ada"), ("b", "bob")):
            await d.queue.submit(new_job(name, owner=owner))
        await d.heard.ended("a", "b")
        path = tmp_path / "data" / "jobs.db"

        def names(**look) -> list[str]:
            page, total = find(path, Look(**look))
            assert total == len(page)
            return [each.output.filename for each in page]

        assert names() == ["b.png", "a.png"], "newest first"
        assert names(owner="ada") == ["a.png"]
        assert names(prompt="CUBE number-b") == ["b.png"] and names(prompt="c'ube%") == []
        assert names(seed=22, model="model-a") == ["b.png", "a.png"] and names(seed=2) == []
        assert names(before=0.0) == [] and names(after=0.0) == ["b.png", "a.png"]
        assert owned(path, "output", "", "a.png", "ada") and not owned(path, "output", "", "a.png", "bob")
        await d.queue.delete_history(["a"])
        assert names(owner="ada") == ["a.png"], "a file outlives the job"


async def test_a_description_that_fails_does_not_cost_the_job_its_end(desk):
    async with desk() as d:
        d.queue.described_by(lambda each, ending: 1 // 0)
        await d.queue.submit(new_job("a"))
        await d.heard.ended("a")
        assert d.queue.job("a").state == "succeeded"


def test_an_interruption_before_any_node_names_the_first_that_was_wanted():
    wanted = SimpleNamespace(prompt=b'{"7": {"class_type": "Save", "inputs": {}}}', targets=("7",))
    ending = with_place(wanted, Interrupted(time=1.0))
    assert (ending.node, ending.display, ending.class_type) == ("7", "7", "Save")
    told = Interrupted(time=1.0, node="3", display="3", class_type="Sleep")
    assert with_place(wanted, told) is told


def test_a_job_whose_start_is_not_told_yet_is_shown_as_the_next_that_waits() -> None:
    line = Line()
    for number in range(3):
        line.put(job(f"job{number}", float(number), number))
    for number in range(2):  # the first one's end is being written while the second has begun
        line.running[f"job{number}"] = replace(line.take(f"job{number}"), state="running", started=2.0)
    line.untold.add("job1")
    shown = line.queue()
    assert [each.id for each in shown.running] == ["job0"]
    assert [(each.id, each.state, each.started) for each in shown.pending] == [
        ("job1", "queued", None), ("job2", "queued", None)]
    del line.running["job0"]
    line.untold.discard("job1")
    assert [each.id for each in line.queue().running] == ["job1"]
