"""The promise of the queue: ``kill -9`` of anything at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

from msgspec.structs import replace

from engine.jobs.link import _has_open, _holder, wait_for_old_workers
from engine.jobs.store import open_store
from tests.jobs.conftest import PATIENCE, ROOT, new_job, worker_command

JOBS = 200
KILLS = 8
STATES = ("succeeded", "failed", "cancelled")


def worker_of(data) -> int | None:
    """The worker that holds the lock now: a number that is merely written there may be another process's by now."""
    lock = data / "workers" / "worker-0.lock"
    pid = _holder(lock)
    return pid if pid and _has_open(pid, lock) else None


def kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_at_random_each_of_200_jobs_ends_once_and_no_file_is_orphaned(tmp_path):
    """The server posts 200 jobs of two files each; server, worker or both are killed while they run.

    That a job ends only once is watched from outside, by triggers in the database that write down each change of
    state. A job that lost two workers fails by rule; then it must have no files.
    """
    seed = random.SystemRandom().randrange(2**32)  # another one each time; what fails shows it
    print("seed", seed)
    chance = random.Random(seed)
    data, output = tmp_path / "data", tmp_path / "output"
    output.mkdir()
    open_store(data).close()
    watcher = sqlite3.connect(data / "jobs.db")
    watcher.executescript("""
        CREATE TABLE seen (id TEXT, old TEXT, new TEXT, changed INTEGER);
        CREATE TRIGGER added AFTER INSERT ON jobs BEGIN INSERT INTO seen VALUES (new.id, NULL, new.state, 0); END;
        CREATE TRIGGER changed AFTER UPDATE OF state ON jobs
            BEGIN INSERT INTO seen VALUES (new.id, old.state, new.state, new.state <> old.state); END;
        CREATE TRIGGER removed AFTER DELETE ON jobs BEGIN INSERT INTO seen VALUES (old.id, old.state, 'gone', 0); END;
    """)
    watcher.close()
    command = [sys.executable, "-m", "tests.jobs.server_process", str(data), str(output), str(JOBS)]
    said: list[str] = []
    workers: set[int] = set()
    for round_number in range(KILLS + 1):
        last = round_number == KILLS
        with (tmp_path / f"said-{round_number}").open("w+") as out:
            server = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
            try:
                for _ in range(0 if last else chance.randint(0, 2)):  # first workers alone, then the server
                    time.sleep(chance.uniform(0.05, 0.5))
                    workers.add(pid := worker_of(data) or 0)
                    if pid and chance.random() < 0.5:
                        kill(pid)
                if last:
                    assert server.wait(PATIENCE) == 0
                else:
                    time.sleep(chance.uniform(0.02, 0.7))
                    victims = [server.pid, worker_of(data)][: chance.randint(1, 2)]
                    chance.shuffle(victims)
                    for victim in victims:
                        kill(victim)
            finally:
                server.kill()
                server.wait()
                workers.add(worker_of(data) or 0)
                out.seek(0)
                said += out.read().splitlines()
    deadline = time.monotonic() + PATIENCE
    while not all(pid == 0 or gone(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert all(pid == 0 or gone(pid) for pid in workers), "a worker was left behind"

    database = sqlite3.connect(data / "jobs.db")
    states = dict(database.execute("SELECT id, state FROM jobs"))
    seen = database.execute("SELECT id, old, new, changed FROM seen").fetchall()
    database.close()
    assert sorted(map(int, states)) == list(range(JOBS)), "lost or invented"
    assert not [row for row in seen if row[2] == "gone"]
    assert all(sum(old is None for each, old, _, _ in seen if each == name) == 1 for name in states), "added twice"
    ends = [name for name, _, new, _ in seen if new in STATES]
    assert sorted(ends) == sorted(states), "each ends exactly once"
    assert not [row for row in seen if row[1] in STATES], "changed after its end"
    told = [line.split()[1] for line in said if line.startswith("ended ")]
    assert len(told) == len(set(told)), "told twice"
    succeeded = [name for name, state in states.items() if state == "succeeded"]
    assert set(states.values()) <= {"succeeded", "failed"} and len(succeeded) >= JOBS - KILLS
    wanted = {f"{name}-{half}.png" for name in succeeded for half in "ab"}
    assert {file.name for file in output.iterdir()} == wanted
    assert all(file.read_text() == "one half, the other half" for file in output.iterdir())
    assert not list((data / "attempts").iterdir())
    restarts = sum(1 for _, old, new, _ in seen if (old, new) == ("running", "queued"))
    print(f"{restarts} attempts died, {len(states) - len(succeeded)} jobs failed by two deaths")


async def test_a_job_that_the_server_died_with_runs_again_and_does_not_count_it(desk):
    async with desk() as d:
        await d.queue.submit(new_job("a", {"hold": str(d.release)}))
        await d.heard.told("a", "Started")
        # What a killed server leaves behind: the job says it is running, and there are its unfinished files.
        state = d.store.job("a")
    store = open_store(d.data)
    await store.update(replace(state, state="running", attempt=1, started=1.0))
    store.close()
    (d.output / "half.png.part").write_text("")
    (d.data / "attempts" / f"{state.sequence}-1.jsonl").write_text(
        f'{{"part": "{d.output}/half.png.part", "file": "{d.output}/half.png"}}\n')
    d.release.touch()
    async with desk() as d:
        await d.heard.ended("a")
        job = d.queue.job("a")
        assert (job.state, job.deaths) == ("succeeded", 0)
        assert not list(d.output.iterdir())


async def test_an_old_worker_that_does_not_end_is_killed_before_anything_is_recovered(tmp_path):
    lock = tmp_path / "worker-0.lock"
    code = ("import fcntl, os, sys, time; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT);"
            "fcntl.flock(f, fcntl.LOCK_EX); os.pwrite(f, str(os.getpid()).encode(), 0); print(flush=True);"
            "time.sleep(600)")
    old = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE)
    try:
        old.stdout.readline()
        await wait_for_old_workers(tmp_path, 0.2)
        assert await asyncio.to_thread(old.wait, PATIENCE) == -signal.SIGKILL
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        old.kill()
        old.wait()
        old.stdout.close()


async def test_a_process_that_merely_has_an_old_workers_number_is_left_alone(tmp_path):
    (tmp_path / "worker-0.lock").write_text(f"{os.getpid()}\n")
    await wait_for_old_workers(tmp_path, 0.2)


async def test_a_worker_ends_when_its_server_is_killed(tmp_path):
    (tmp_path / "output").mkdir()
    code = """if 1:
        import asyncio, os, sys
        from pathlib import Path
        from engine.jobs.dispatcher import Dispatcher
        from engine.jobs.store import open_store
        async def main():
            data = Path(sys.argv[1])
            queue = Dispatcher(open_store(data), worker_command=sys.argv[2:], data_directory=data)
            await queue.start()
            await queue.wait_ready()
            print(*queue.worker_pids(), flush=True)
            os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    found = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code, str(tmp_path), *worker_command(tmp_path / "output")],
        stdout=subprocess.PIPE, cwd=ROOT, timeout=PATIENCE, check=False)
    assert found.returncode == -signal.SIGKILL
    await wait_for_old_workers(tmp_path / "workers", PATIENCE)
    pid = int(found.stdout)
    for _ in range(500):
        if gone(pid):
            break
        await asyncio.sleep(0.01)
    assert gone(pid)
