"""What goes wrong outside: full disks, folders that cannot be written, replaced files. No job wedges the next."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.files.folders import make_folders
from engine.graph.graph import resolve
from engine.graph.workflow import read_api
from engine.messages.events import Failed, NodeFinished, Succeeded
from engine.runtime.execute import execute
from engine.runtime.settings import Settings
from engine.runtime.tasks import Job
from engine.runtime.worker import Engine
from tests.served import STANDIN, picture_workflow, text_to_image


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    models = tmp_path / "models"
    (models / "checkpoints").mkdir(parents=True)
    shutil.copyfile(STANDIN, models / "checkpoints" / "standin.safetensors")
    folders = make_folders(data=tmp_path / "data", models=models)
    made = Engine(Settings(folders, cpu=True, precision="fp32", threads=1, cache_directory=tmp_path / "cache"))
    yield made
    made.close()


def run(engine: Engine, graph: dict[str, Any], tell: Any = lambda event: None) -> Any:
    resolved = resolve(read_api(graph), engine.registry.specs, engine.folders, all_or_nothing=True)
    return execute(Job("job", resolved.graph), engine.machine, tell)


@pytest.mark.parametrize(("number", "said"), [
    (errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system"), (errno.EACCES, "denied"),
])  # fmt: skip
def test_a_picture_that_cannot_be_saved_fails_its_job_leaves_nothing_and_harms_no_other(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(path: Path, data: bytes) -> int:
        path.touch()  # as a disk that fills up while it is written
        raise OSError(number, __import__("os").strerror(number), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", refuse)
        ending = run(engine, picture_workflow())
    assert isinstance(ending, Failed)
    assert (ending.node, ending.class_type) == ("3", "SaveImage") and said in ending.message
    assert not list(engine.folders.output.iterdir())
    again = run(engine, picture_workflow())
    assert isinstance(again, Succeeded) and len(list(engine.folders.output.iterdir())) == 1
    assert {each.node: each.state for each in again.reports} == {"1": "reused", "2": "reused", "3": "ran"}


def test_an_output_folder_that_cannot_be_made_is_named(engine: Engine) -> None:
    engine.folders.output.parent.mkdir(parents=True, exist_ok=True)
    engine.folders.output.write_text("a file in the place of the folder")
    ending = run(engine, picture_workflow())
    assert isinstance(ending, Failed) and "output" in ending.message
    engine.folders.output.unlink()
    assert isinstance(run(engine, picture_workflow()), Succeeded)


def test_traces_that_cannot_be_written_cost_no_job(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    database = engine.traces._database
    assert database is not None
    database.execute("PRAGMA query_only = ON")  # what a full disk does to it, as far as we see
    assert isinstance(run(engine, picture_workflow()), Succeeded)
    engine.traces.flush()
    assert "traces cannot be written" in caplog.text
    with pytest.raises(sqlite3.OperationalError):
        database.execute("DELETE FROM traces")
    assert isinstance(run(engine, picture_workflow()), Succeeded)


def test_a_model_file_that_is_replaced_between_jobs_is_read_anew(engine: Engine) -> None:
    assert isinstance(run(engine, text_to_image(steps=1, size=32)), Succeeded)
    file = engine.folders.models["checkpoints"][0] / "standin.safetensors"
    replaced = file.with_suffix(".new")
    shutil.copyfile(file, replaced)
    replaced.replace(file)
    again = run(engine, text_to_image(steps=1, size=32))
    assert isinstance(again, Succeeded)
    found = {each.node: (each.state, each.cause) for each in again.reports}
    assert found["1"] == ("ran", "world") and found["5"][0] == "ran"


def test_a_model_file_that_is_replaced_while_a_job_uses_it_fails_that_job_and_says_so(engine: Engine) -> None:
    file = engine.folders.models["checkpoints"][0] / "standin.safetensors"

    def replace_it(event: Any) -> None:
        if isinstance(event, NodeFinished) and event.node == "1":  # it was described; its weights are not read yet
            file.with_suffix(".new").write_bytes(file.read_bytes())
            file.with_suffix(".new").replace(file)

    ending = run(engine, text_to_image(steps=1, size=32), replace_it)
    assert isinstance(ending, Failed)
    assert "standin.safetensors" in ending.message and "changed" in ending.message
    assert isinstance(run(engine, text_to_image(steps=1, size=32)), Succeeded)


def test_a_model_file_that_is_gone_is_named(engine: Engine) -> None:
    resolved = resolve(read_api(text_to_image(steps=1)), engine.registry.specs, engine.folders)
    (engine.folders.models["checkpoints"][0] / "standin.safetensors").unlink()
    ending = execute(Job("job", resolved.graph), engine.machine, lambda event: None)
    assert isinstance(ending, Failed)
    assert ending.node == "1" and "standin.safetensors" in ending.message
    assert isinstance(run(engine, picture_workflow()), Succeeded)
