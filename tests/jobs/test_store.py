"""The database: what is committed, what is refused, what is kept, what a damaged file does."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys

import pytest
from msgspec.structs import replace

from engine.jobs.job import DataDirectoryInUseError, DuplicateJob, Job, StoreError
from engine.jobs.store import Bounds, open_store


def job(sequence: int, **more) -> Job:
    known = {"id": f"job {sequence}", "number": float(sequence), "sequence": sequence, "created": 1.5,
             "prompt": b'{"1": 2}', "extra": b"{}", "targets": ("1", "x-[y]")}
    return Job(**known | more)


def done(waiting: Job) -> Job:
    return replace(waiting, state="succeeded", attempt=1, started=2.0, ended=3.0)


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


async def test_a_job_comes_back_as_it_was_put_in(store):
    waiting = job(3, client_id="me", metadata=False, previews="auto", number=-0.5)
    await store.add(waiting, b"graph")
    assert store.live() == [waiting] and store.job("job 3") == waiting
    assert store.graph(3) == b"graph"
    assert (store.job("nobody"), store.graph(4), store.result("job 3"), store.ended_attempt(3)) == (None,) * 4
    running = replace(waiting, state="running", attempt=2, deaths=1, started=9.0)
    await store.update(running)
    assert store.job("job 3") == running
    await store.end(done(waiting), b"result", b"{}")
    assert store.live() == [] and store.listed() == [("job 3", "")]
    assert store.job("job 3") == done(waiting)
    assert (store.graph(3), store.result("job 3"), store.ended_attempt(3)) == (None, b"result", 1)
    assert list(store.histories(["job 3", "nobody"])) == [(done(waiting), b"{}")]


async def test_nothing_ends_twice(store):
    await store.add(job(1), b"")
    await store.end(done(job(1)), b"first", b"{}")
    with pytest.raises(StoreError, match="ended already"):
        await store.end(replace(done(job(1)), state="failed"), b"second", b"{}")
    with pytest.raises(StoreError, match="ended already"):
        await store.drop([job(1)])
    await store.update(replace(job(1), state="running"))
    assert (store.job("job 1").state, store.result("job 1")) == ("succeeded", b"first")


async def test_what_waits_is_committed_together_and_a_refused_write_spoils_no_other(store):
    statements = []
    store._write.set_trace_callback(statements.append)
    writes = [store.add(job(n, id="twin" if n in (5, 6) else f"{n}"), b"g") for n in range(1, 101)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(each) for each in results].count(type(None)) == 99
    assert isinstance(results[5], DuplicateJob) and "twin" in str(results[5])
    assert len(store.live()) == 99
    assert statements.count("COMMIT") < 20


async def test_a_failing_disk_fails_every_write_of_the_transaction_and_the_store_goes_on(store):
    blocker = sqlite3.connect(store.path, isolation_level=None)
    store._write.execute("PRAGMA busy_timeout = 10")
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await store.add(job(1), b"")
    blocker.execute("ROLLBACK")
    blocker.close()
    await store.add(job(1), b"")
    assert [each.id for each in store.live()] == ["job 1"]


async def test_the_history_is_bounded_in_number_and_the_oldest_leave(tmp_path):
    store = open_store(tmp_path, bounds=Bounds(jobs=3))
    removed = []
    for n in (4, 3, 2, 1, 5):
        await store.add(job(n), b"")
        removed += await store.end(done(job(n)), b"", b"{}")
    assert (removed, [each for each, _ in store.listed()]) == (["job 4", "job 3"], ["job 2", "job 1", "job 5"])
    assert store._read.execute("SELECT count(*) FROM bodies").fetchone() == (3,)
    store.close()


async def test_the_history_is_bounded_in_bytes_across_restarts(tmp_path):
    for n in (1, 2, 3):
        store = open_store(tmp_path, bounds=Bounds(size=6_000))
        await store.add(job(n), b"")
        await store.end(done(job(n)), b"x" * 2_000, b"{}")
        store.close()
    store = open_store(tmp_path)
    assert [each for each, _ in store.listed()] == ["job 2", "job 3"]
    store.close()


async def test_dropped_jobs_are_kept_but_not_listed_and_forgetting_removes_only_ended_jobs(store):
    for n in range(1, 5):
        await store.add(job(n), b"")
    await store.drop([replace(job(1), state="cancelled", ended=1.0)])
    await store.end(done(job(2)), b"", b"{}")
    await store.end(done(job(3)), b"", b"{}")
    assert ([each for each, _ in store.listed()], store.job("job 1").state) == (["job 2", "job 3"], "cancelled")
    assert await store.forget(["job 2", "job 4", "job 2"]) == ("job 2",)
    assert set(await store.forget(None)) == {"job 1", "job 3"}
    assert [each.id for each in store.live()] == ["job 4"]


async def test_sequence_numbers_are_never_given_twice(tmp_path):
    store = open_store(tmp_path)
    await store.add(job(7), b"")
    await store.end(done(job(7)), b"", b"{}")
    await store.forget(None)
    store.close()
    store = open_store(tmp_path)
    assert store.last_sequence() == 7
    store.close()


async def test_a_second_server_on_a_data_directory_is_refused(store, tmp_path):
    with pytest.raises(DataDirectoryInUseError, match=f"process {os.getpid()}.*--data-directory"):
        open_store(tmp_path)
    store.close()
    open_store(tmp_path).close()
    with pytest.raises(StoreError, match="closed"):
        store.add(job(1), b"")


@pytest.mark.parametrize("place", ["header", "page"])
async def test_a_damaged_database_is_set_aside_whole(tmp_path, place):
    store = open_store(tmp_path)
    for n in range(1, 200):
        await store.add(job(n), b"g" * 200)
    store.close()
    damaged = bytearray((tmp_path / "jobs.db").read_bytes())
    start = 0 if place == "header" else 4096
    damaged[start : start + 4096] = b"\xa5" * 4096
    (tmp_path / "jobs.db").write_bytes(damaged)
    store = open_store(tmp_path)
    (aside,) = tmp_path.glob("jobs.db.damaged-*[0-9]")
    assert aside.read_bytes() == damaged
    assert "damaged" in store.notice and aside.name in store.notice
    await store.add(job(1), b"")
    assert len(store.live()) == 1
    store.close()


def test_a_database_of_a_newer_easel_is_refused_and_left_alone(tmp_path):
    open_store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "jobs.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer Easel"):
        open_store(tmp_path)
    assert not list(tmp_path.glob("*damaged*"))


def test_migrations_are_listed(tmp_path):
    store = open_store(tmp_path)
    assert store._read.execute("SELECT version FROM migrations").fetchall() == [(1,), (2,)]
    assert store._read.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._write.execute("PRAGMA synchronous").fetchone() == (1,)
    store.close()
    store = open_store(tmp_path, durable="full")
    assert store._write.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_the_queue_reaches_no_torch_and_no_web_server():
    code = ("import sys, engine.jobs.dispatcher; found = {'torch', 'aiohttp', 'transformers'} & set(sys.modules);"
            " sys.exit(str(found) if found else 0)")
    subprocess.run([sys.executable, "-c", code], check=True)
