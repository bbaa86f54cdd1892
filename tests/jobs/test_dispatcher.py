"""What becomes of jobs: order, cancelling, deaths, recovery. Each job tells the fake worker what to do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import time
from dataclasses import replace

import pytest

from engine.jobs.job import DuplicateJob, JobError
from engine.jobs.link import Link
from engine.messages.protocol import AtOnce, Cancel, Run
from tests.jobs.conftest import PATIENCE, new_job


async def test_a_job_runs_and_its_end_is_told_in_the_order_of_the_protocol(desk):
    async with desk() as d:
        seen = []

        def look(job, event):
            name = type(event).__name__
            if name in ("Succeeded", "JobEnded") or (name == "QueueChanged" and job and job.ended):
                seen.append((name, d.queue.history_item("a") != b"{}", d.queue.remaining(),
                             bool(d.queue.queue().running)))

        d.queue.subscribe(look)
        job = await d.queue.submit(new_job("a", {"files": ["a.png"]}, client_id="me"))
        assert (job.state, job.number, d.queue.remaining()) == ("queued", 1, 1)
        await d.heard.ended("a")
        assert [name for each, name, _ in d.heard if each == "a"] == [
            "Started", "QueueChanged", "Cached", "NodeStarted", "NodeShown", "NodeFinished", "Succeeded",
            "QueueChanged", "JobEnded"]
        assert seen == [
            ("Succeeded", False, 1, True), ("QueueChanged", True, 0, False), ("JobEnded", True, 0, False)]
        assert (d.output / "a.png").read_text() == "one half, the other half"
        assert not list((d.data / "attempts").iterdir())
        ended = d.queue.job("a")
        assert (ended.state, ended.attempt, ended.deaths, ended.client_id) == ("succeeded", 1, 0, "me")
        assert [report.state for report in d.queue.record("a").ending.reports] == ["reused", "ran"]


async def test_a_history_entry_has_comfyuis_shape(desk):
    async with desk() as d:
        await d.queue.submit(new_job("a", {"files": ["a.png"]}))
        await d.queue.submit(new_job("b", {"raise": "too bad"}, number=7.5))
        await d.heard.ended("a", "b")
        history = json.loads(d.queue.history_json())
        assert list(history) == ["a", "b"]
        good, bad = history["a"], history["b"]
        assert good["prompt"] == [1, "a", {"2": {"class_type": "B", "inputs": {}}}, {"extra_pnginfo": {}}, ["2"]]
        assert good["outputs"] == {"2": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}}
        assert good["meta"] == {"2": {"node_id": "2", "display_node": "2", "parent_node": None, "real_node_id": "2"}}
        assert good["status"]["status_str"] == "success" and good["status"]["completed"] is True
        assert [name for name, _ in good["status"]["messages"]] == [
            "execution_start", "execution_cached", "execution_success"]
        assert bad["prompt"][0] == 7.5
        assert bad["status"]["status_str"] == "error" and bad["status"]["completed"] is False
        name, data = bad["status"]["messages"][-1]
        assert name == "execution_error"
        assert data.pop("timestamp") > 1e12
        assert data == {
            "prompt_id": "b", "node_id": "2", "node_type": "Raise", "executed": ["1"], "exception_message": "too bad",
            "exception_type": "ValueError", "traceback": ["line 1"], "current_inputs": {"a": ["1"]},
            "current_outputs": ["1"]}
        assert json.loads(d.queue.history_item("b")) == {"b": json.loads(d.queue.history_json())["b"]}


async def test_the_history_survives_a_restart_byte_for_byte(desk):
    async with desk() as d:
        for name in "abc":
            await d.queue.submit(new_job(name))
        await d.heard.ended("a", "b", "c")
        before = d.queue.history_json()
    async with desk() as d:
        assert d.queue.history_json() == before
        assert await d.queue.history() == before
        assert await d.queue.delete_history(["b", "nobody"]) == ["b"]
        assert list(json.loads(d.queue.history_json())) == ["a", "c"]
        assert (await d.queue.submit(new_job("d"))).number == 4
        assert set(await d.queue.clear_history()) >= {"a", "c"}


async def test_a_front_job_runs_before_jobs_that_were_already_handed_to_the_worker(desk):
    async with desk() as d:
        await d.queue.submit(new_job("first", {"hold": str(d.release)}))
        await d.heard.told("first", "Started")
        for name in ("second", "third", "fourth"):
            await d.queue.submit(new_job(name))
        await d.queue.submit(new_job("urgent", front=True))
        await d.queue.submit(new_job("between", number=2.5))
        assert [job.id for job in d.queue.queue().pending] == ["urgent", "second", "between", "third", "fourth"]
        await asyncio.sleep(0)  # the queue looks again at what it handed out
        d.release.touch()
        await d.heard.ended("first", "second", "third", "fourth", "urgent", "between")
        order = [each for each, name, _ in d.heard if name == "Started"]
        assert order == ["first", "urgent", "second", "between", "third", "fourth"]
        assert all(d.queue.job(name).state == "succeeded" for name in order)


async def test_a_job_is_done_with_before_anything_is_told_of_the_next(desk):
    async with desk() as d:
        names = [str(number) for number in range(30)]
        await asyncio.gather(*(d.queue.submit(new_job(name)) for name in names))
        await d.heard.ended(*names)
        told = [(each, name) for each, name, _ in d.heard if name in ("Started", "JobEnded")]
        assert told == [(each, name) for each in names for name in ("Started", "JobEnded")]


async def test_an_end_that_cannot_be_written_is_written_later_and_the_job_stays_visible(desk):
    async with desk() as d:
        await d.queue.submit(new_job("a", {"hold": str(d.release)}))
        await d.heard.told("a", "Started")
        while d.store.job("a").state != "running":
            await asyncio.sleep(0.01)
        d.store._write.execute("PRAGMA busy_timeout = 10")
        blocker = sqlite3.connect(d.store.path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        d.release.touch()
        while not any("cannot be written" in line.text for line in d.queue.logs):
            await asyncio.sleep(0.01)
        assert [job.id for job in d.queue.queue().running] == ["a"] and d.queue.history_json() == b"{}"
        blocker.execute("ROLLBACK")
        blocker.close()
        await d.heard.ended("a")
        assert d.queue.job("a").state == "succeeded" and d.heard.names("a").count("Succeeded") == 1


async def test_a_taken_id_is_refused_whether_pending_running_or_ended(desk):
    async with desk() as d:
        await d.queue.submit(new_job("done"))
        await d.heard.ended("done")
        await d.queue.submit(new_job("runs", {"hold": str(d.release)}))
        await d.heard.told("runs", "Started")
        await d.queue.submit(new_job("waits"))
        for name in ("done", "runs", "waits"):
            with pytest.raises(DuplicateJob, match=f"{name}.*taken"):
                await d.queue.submit(new_job(name))
        with pytest.raises(JobError, match="finite"):
            await d.queue.submit(new_job("odd", number=float("nan")))
        assert d.queue.remaining() == 2
        d.release.touch()
        await d.heard.ended("runs", "waits")


async def test_a_caller_that_gives_up_waiting_does_not_cost_the_job_its_place(desk):
    async with desk() as d:
        task = asyncio.create_task(d.queue.submit(new_job("a")))
        await asyncio.sleep(0)
        task.cancel()
        await d.heard.ended("a")
        assert d.queue.job("a").state == "succeeded"


async def test_pending_jobs_are_cancelled_at_once_and_leave_no_history(desk):
    async with desk() as d:
        await d.queue.submit(new_job("runs", {"hold": str(d.release)}))
        await d.heard.told("runs", "Started")
        for name in ("a", "b", "c", "d"):
            await d.queue.submit(new_job(name, {"files": [name]}))
        assert (await d.queue.cancel("a")).state == "cancelled"
        assert await d.queue.delete_pending(["b", "runs", "nobody"]) == ["b"]
        assert await d.queue.clear_pending() == ["c", "d"]
        assert d.queue.remaining() == 1
        await d.queue.submit(new_job("last"))
        d.release.touch()
        await d.heard.ended("runs", "last")
        assert list(json.loads(d.queue.history_json())) == ["runs", "last"]
        assert {d.queue.job(name).state for name in "abcd"} == {"cancelled"}
        assert not any(d.heard.names(name).count("Started") for name in "abcd")
        assert not list(d.output.iterdir())
        assert await d.queue.cancel("nobody") is None


async def test_a_running_job_is_interrupted_and_kept_in_the_history_as_such(desk):
    async with desk() as d:
        await d.queue.submit(new_job("a", {"hold": str(d.release)}))
        await d.queue.submit(new_job("b"))
        await d.heard.told("a", "Started")
        assert d.queue.interrupt("b") == []
        assert d.queue.interrupt() == ["a"]
        await d.heard.ended("a", "b")
        assert (d.queue.job("a").state, d.queue.job("b").state) == ("cancelled", "succeeded")
        status = json.loads(d.queue.history_item("a"))["a"]["status"]
        assert status["status_str"] == "error" and status["messages"][-1][0] == "execution_interrupted"
        assert len(d.pids) == 1


async def test_a_worker_that_ignores_a_cancel_is_killed_and_the_job_is_cancelled(desk):
    async with desk(cancel_grace=0.2) as d:
        await d.queue.submit(new_job("a", {"seconds": 600, "deaf": True, "files": ["a.png"]}))
        await d.queue.submit(new_job("b"))
        await d.heard.told("a", "Started")
        await d.queue.cancel("a")
        await d.heard.ended("a", "b")
        assert (d.queue.job("a").state, d.queue.job("b").state) == ("cancelled", "succeeded")
        assert d.heard.names("a").count("Interrupted") == 1
        assert not (d.output / "a.png").exists()
        assert len(d.pids) == 2


async def test_a_job_whose_worker_died_is_tried_once_more(desk):
    async with desk() as d:
        todo = {"die": {"signal": signal.SIGKILL, "attempts": 1}, "files": ["1.png", "2.png"], "tear": 1}
        await d.queue.submit(new_job("a", todo))
        await d.queue.submit(new_job("b"))
        await d.heard.ended("a", "b")
        job = d.queue.job("a")
        assert (job.state, job.attempt, job.deaths) == ("succeeded", 2, 1)
        assert d.queue.job("b").deaths == 0
        assert d.heard.names("a").count("Started") == 2 and d.heard.names("a").count("JobEnded") == 1
        assert sorted(file.name for file in d.output.iterdir()) == ["1.png", "2.png"]
        assert list(json.loads(d.queue.history_json())) == ["a", "b"]


async def test_what_a_worker_said_before_it_died_is_heard_even_when_writing_to_it_fails_first(desk):
    """The worker says Started and dies while this loop does not look; then the loop writes before it reads."""
    async with desk() as d:
        await d.queue.submit(new_job("a", {"hold": str(d.release), "die": {"signal": signal.SIGKILL, "attempts": 1}}))
        await d.queue.wait_ready(PATIENCE)
        await asyncio.sleep(0)
        (worker,) = d.queue._crew.workers
        await asyncio.sleep(0)
        with contextlib.suppress(ChildProcessError):  # asyncio's watcher thread has reaped it
            os.waitid(os.P_PID, worker.link.pid, os.WEXITED | os.WNOWAIT)  # blocks the loop until it is dead
        worker.link.send(Cancel(job="nobody"))
        d.release.touch()
        await d.heard.ended("a")
        assert (d.queue.job("a").state, d.queue.job("a").deaths) == ("succeeded", 1)


async def test_a_second_death_fails_the_job_and_says_how_and_leaves_no_file(desk):
    async with desk() as d:
        todo = {"die": {"signal": signal.SIGSEGV}, "files": ["1.png", "2.png"], "tear": 1, "print": "last words"}
        todo["die"]["signal"] = signal.SIGKILL
        await d.queue.submit(new_job("a", todo))
        await d.queue.submit(new_job("b"))
        await d.heard.ended("a", "b")
        assert (d.queue.job("a").state, d.queue.job("a").deaths) == ("failed", 2)
        assert d.queue.job("b").state == "succeeded"
        failed = d.queue.record("a").ending
        assert "SIGKILL" in failed.message and "last words" in failed.message and failed.node is None
        assert d.heard.names("a").count("Failed") == 1
        assert not list(d.output.iterdir()) and not list((d.data / "attempts").iterdir())


async def test_a_silent_worker_is_killed_and_its_job_tried_again(desk):
    async with desk(hang_seconds=2.0) as d:
        await d.queue.submit(new_job("a", {"freeze": 1}))
        await d.heard.ended("a")
        assert (d.queue.job("a").state, d.queue.job("a").deaths) == ("succeeded", 1)
        assert any("no sign of life" in line.text for line in d.queue.logs)


async def test_a_long_job_with_a_heartbeat_is_left_alone(desk):
    async with desk(hang_seconds=3.0) as d:
        await d.queue.submit(new_job("a", {"seconds": 4.5}))
        await d.heard.ended("a")
        assert (d.queue.job("a").state, d.queue.job("a").deaths) == ("succeeded", 0)


async def test_a_worker_that_sends_garbage_is_replaced(desk):
    async with desk() as d:
        await d.queue.submit(new_job("a", {"garbage": 1}))
        await d.heard.ended("a")
        assert d.queue.job("a").state == "failed"
        assert "announced a message of" in d.queue.record("a").ending.message


async def test_a_worker_that_cannot_start_is_tried_again_later_and_the_queue_stays(desk):
    async with desk("--fail-to-start") as d:
        await d.queue.submit(new_job("a"))
        started = time.monotonic()
        while not any("the next start is in 1 s" in line.text for line in d.queue.logs):
            assert time.monotonic() - started < PATIENCE
            await asyncio.sleep(0.02)
        assert any("nonsense" in line.text for line in d.queue.logs)
        assert d.queue.remaining() == 1
        with pytest.raises(TimeoutError):
            await d.queue.wait_ready(0.01)
    async with desk() as d:
        await d.heard.ended("a")
        assert d.queue.job("a").state == "succeeded"


async def test_a_missing_worker_program_is_reported(desk):
    async with desk(command=["/nowhere/python"]) as d:
        while not d.queue.logs:
            await asyncio.sleep(0.01)
        assert "cannot be started" in d.queue.logs[0].text


async def test_stopping_puts_the_running_job_back_and_the_next_server_runs_it(desk):
    async with desk() as d:
        await d.queue.submit(new_job("a", {"hold": str(d.release), "files": ["a.png"]}))
        await d.queue.submit(new_job("b"))
        await d.heard.told("a", "Started")
    assert d.heard.names("a").count("Interrupted") == 0
    assert not list(d.output.iterdir())
    d.release.touch()
    async with desk() as d:
        assert [job.id for job in d.queue.queue().pending] == ["a", "b"]
        await d.heard.ended("a", "b")
        job = d.queue.job("a")
        assert (job.state, job.deaths) == ("succeeded", 0)
        assert [file.name for file in d.output.iterdir()] == ["a.png"]


async def test_stopping_ends_a_worker_that_does_not_listen(desk):
    async with desk(stop_grace=0.2) as d:
        await d.queue.submit(new_job("a", {"seconds": 600, "deaf": True}))
        await d.heard.told("a", "Started")
    async with desk(stop_grace=0.2) as d:
        await d.heard.told("a", "Started")
        assert d.queue.job("a").deaths == 0


async def test_events_of_an_attempt_that_was_taken_back_are_not_believed(desk):
    async with desk(cancel_grace=PATIENCE) as d:
        await d.queue.submit(new_job("a", {"hold": str(d.release), "files": ["a.png"]}))
        await d.heard.told("a", "Started")
        await d.queue.submit(new_job("b", {"files": ["b.png"]}))
        await asyncio.sleep(0)
        os.kill(d.queue.worker_pids()[0], signal.SIGSTOP)
        d.queue.interrupt("a")
        await d.queue.submit(new_job("c", front=True))  # takes b back while nobody listens
        await asyncio.sleep(0.05)
        os.kill(d.queue.worker_pids()[0], signal.SIGCONT)
        await d.heard.ended("a", "b", "c")
        assert [each for each, name, _ in d.heard if name == "Started"] == ["a", "c", "b"]
        assert [d.queue.job(name).state for name in "abc"] == ["cancelled", "succeeded", "succeeded"]


async def _soon(ready):
    async with asyncio.timeout(PATIENCE):
        while not ready():
            await asyncio.sleep(0.01)


async def test_two_workers_share_the_queue(desk):
    async with desk(workers=[(), ()]) as d:
        for name in "abcd":
            await d.queue.submit(new_job(name, {"hold": str(d.release)}))
        await d.heard.until(lambda: len(d.queue.queue().running) == 2)
        assert d.queue.remaining() == 4
        d.release.touch()
        await d.heard.ended(*"abcd")


async def test_each_worker_is_told_its_own_flags_and_the_devices_of_all_are_known(desk):
    async with desk(workers=[("--device", "one"), ("--device", "two")]) as d:
        await _soon(lambda: [each.name for each in d.queue.devices] == ["one", "two"])


async def test_a_worker_that_is_free_takes_what_waits_in_another_ones_hands(desk):
    async with desk(workers=[(), ()]) as d:
        long, short = {"hold": str(d.release)}, {"hold": str(d.data / "short")}
        for name, todo in (("a", long), ("b", short), ("c", {}), ("d", {}), ("e", {})):
            await d.queue.submit(new_job(name, todo))
        await d.heard.until(lambda: len(d.queue.queue().running) == 2)
        (d.data / "short").touch()
        await d.heard.ended(*"bcde")
        assert [job.id for job in d.queue.queue().running] == ["a"]
        d.release.touch()
        await d.heard.ended("a")


async def test_of_two_free_workers_the_one_that_has_the_models_takes_the_job(desk):
    async with desk(workers=[("--device", "one"), ("--device", "two", "--models", "a.safetensors")]) as d:
        await _soon(lambda: len(d.queue.devices) == 2 and any(worker.models for worker in d.queue._crew.workers))
        for name, model, device in (("a", "sub/a.safetensors", "two"), ("b", "b.safetensors", "one")):
            prompt = json.dumps({"2": {"class_type": "B", "inputs": {"ckpt_name": model}}}).encode()
            await d.queue.submit(replace(new_job(name, {"say": True}), prompt=prompt))
            await d.heard.ended(name)
            await _soon(lambda: d.queue.logs)
            assert [line.text for line in d.queue.logs] == [device]
            d.queue.logs.clear()


async def test_a_death_is_felt_only_by_the_dead_workers_job(desk):
    async with desk(workers=[(), ()]) as d:
        await _soon(lambda: [worker.ready for worker in d.queue._crew.workers] == [True, True])
        await d.queue.submit(new_job("a", {"hold": str(d.release)}))
        await d.queue.submit(new_job("b", {"die": {"signal": signal.SIGKILL, "attempts": 1}}))
        await d.heard.ended("b")
        assert [job.id for job in d.queue.queue().running] == ["a"]
        d.release.touch()
        await d.heard.ended("a")
        assert [d.queue.job(name).deaths for name in "ab"] == [0, 1]
        assert d.queue.job("a").attempt == 1


async def test_a_job_whose_worker_died_runs_alone_the_second_time(desk, monkeypatch):
    """So what it does to its worker, if it is its doing, is done to no other job again."""
    sent, send = [], Link.send

    def noting(link, command):
        sent.append(command)
        send(link, command)

    monkeypatch.setattr(Link, "send", noting)
    async with desk() as d:
        await d.queue.submit(new_job("a", {"die": {"signal": signal.SIGKILL, "attempts": 1}}))
        await d.heard.ended("a")
        assert [each.alone for each in sent if isinstance(each, Run)] == [False, True]


async def test_how_many_jobs_run_at_once_is_remembered_and_told_to_each_worker(desk, monkeypatch):
    sent, send = [], Link.send

    def noting(link, command):
        sent.append(command)
        send(link, command)

    monkeypatch.setattr(Link, "send", noting)
    async with desk() as d:
        await d.queue.wait_ready(PATIENCE)
        assert d.queue.set_at_once(4) == 1, "this worker carries out one at a time, whatever it is told"
        assert [each.jobs for each in sent if isinstance(each, AtOnce)] == [1]
        await _soon(lambda: d.queue._store.switched("at_once") == "4")


async def test_one_of_two_running_jobs_is_interrupted_by_name_and_the_oldest_without(desk):
    async with desk(workers=[(), ()]) as d:
        for name in "ab":
            await d.queue.submit(new_job(name, {"hold": str(d.release)}))
        await d.heard.until(lambda: len(d.queue.queue().running) == 2)
        assert d.queue.interrupt("a") == ["a"]
        await d.heard.ended("a")
        assert [job.id for job in d.queue.queue().running] == ["b"]
        await d.queue.submit(new_job("c", {"hold": str(d.release)}))
        await d.heard.until(lambda: len(d.queue.queue().running) == 2)
        assert d.queue.interrupt() == ["b"]
        await d.heard.ended("b")
        assert d.queue.interrupt() == ["c"]
        await d.heard.ended("c")
        assert [d.queue.job(name).state for name in "abc"] == ["cancelled"] * 3


async def test_what_the_worker_says_of_itself_is_known(desk):
    async with desk() as d:
        ready = await d.queue.wait_ready(PATIENCE)
        assert ready is d.queue.specs
        assert (ready.failures, ready.versions) == ({"bad": "traceback"}, {"fake": "1"})
        assert d.queue.devices[0].name == "cpu"
        assert await d.queue.free(models=True, cache=True) == 4096


async def test_a_listener_that_raises_hurts_nobody(desk):
    async with desk() as d:
        def broken(job, event):
            raise RuntimeError("no")

        leave = d.queue.subscribe(broken)
        await d.queue.submit(new_job("a"))
        await d.heard.ended("a")
        leave()
        leave()
        assert d.queue.job("a").state == "succeeded"


async def test_only_the_last_lines_of_the_log_are_kept(desk):
    async with desk() as d:
        await d.queue.submit(new_job("a", {"print": "\n".join(f"line {i}" for i in range(500))}))
        await d.heard.ended("a")
        while not any(line.text == "line 499" for line in d.queue.logs):
            await asyncio.sleep(0.01)
        assert len(d.queue.logs) == 300


async def test_two_hundred_jobs_cost_little(desk):
    """Measured: see the number it prints; the bound only catches a change of order."""
    async with desk() as d:
        await d.queue.wait_ready(PATIENCE)
        jobs = [new_job(str(number)) for number in range(200)]
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(d.queue.submit, jobs))
        posted, posted_wall = time.process_time() - cpu, time.perf_counter() - wall
        await d.heard.ended(*map(str, range(200)))
        whole, whole_wall = time.process_time() - cpu, time.perf_counter() - wall
        print(f"\n200 jobs: posting {posted * 5:.3f} ms CPU each ({posted_wall * 1e3:.0f} ms wall for all); to their"
              f" end {whole * 5:.3f} ms CPU each, {200 / whole_wall:.0f} jobs/s")
        assert posted / 200 < 5e-3


@pytest.mark.full
async def test_ten_thousand_jobs_in_the_queue_all_end_in_order_and_none_is_lost(desk):
    """Most are cancelled from the queue, so that the test ends; the others run past them in their order."""
    async with desk() as d:
        d.queue.pause()
        ids = [f"job {number}" for number in range(10_000)]
        for start in range(0, len(ids), 500):
            await asyncio.gather(*(d.queue.submit(new_job(each)) for each in ids[start : start + 500]))
        assert d.queue.remaining() == len(ids)
        assert [job.id for job in d.queue.queue().pending] == ids
        kept = ids[::100]
        dropped = await d.queue.delete_pending([each for each in ids if each not in set(kept)])
        assert len(dropped) == 9_900
        d.queue.resume()
        await d.heard.ended(*kept)
        assert [each for each, name, _ in d.heard if name == "JobEnded"] == kept
        assert d.queue.remaining() == 0
