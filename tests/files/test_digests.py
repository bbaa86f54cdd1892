"""Digests of large files: in the background, kept by size, time and inode."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from engine.files import digests as module
from engine.files.digests import Digests, sha256


def wait_for(digests: Digests, path: Path) -> str:
    pause = threading.Event()
    for _ in range(2000):
        if found := digests.get(path):
            return found
        pause.wait(0.01)
    raise AssertionError("the digest never came")


def test_asking_never_reads_the_file_and_the_digest_is_there_later(tmp_path: Path, monkeypatch) -> None:
    file, let_go = tmp_path / "w.bin", threading.Event()
    file.write_bytes(b"weights")
    readers: list[str] = []

    def slow(path: Path) -> str:
        readers.append(threading.current_thread().name)
        assert let_go.wait(20)
        return sha256(path)

    monkeypatch.setattr(module, "sha256", slow)
    digests = Digests(tmp_path / "digests.json")
    assert [digests.get(file) for _ in range(5)] == [""] * 5
    let_go.set()
    assert wait_for(digests, file) == hashlib.sha256(b"weights").hexdigest()
    assert readers == ["digests"]
    digests.close()
    assert Digests(tmp_path / "digests.json").get(file) == hashlib.sha256(b"weights").hexdigest()
    assert readers == ["digests"], "it is kept"


@pytest.mark.parametrize("change", ["size", "time", "inode"])
def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path, change: str) -> None:
    file = tmp_path / "w.bin"
    file.write_bytes(b"one")
    digests = Digests(None)
    before = digests.read(file)
    status = file.stat()
    new = tmp_path / "new.bin" if change == "inode" else file
    new.write_bytes(b"three" if change == "size" else b"two")
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns + (change == "time")))
    if new != file:
        new.replace(file)
    assert digests.get(file) == ""
    assert wait_for(digests, file) != before


def test_a_folder_has_a_digest_and_what_is_gone_has_none(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "w.bin").write_bytes(b"one")
    first = sha256(folder)
    (folder / "unet" / "w.bin").write_bytes(b"two")
    assert sha256(folder) != first
    digests = Digests(tmp_path / "no" / "digests.json")
    assert digests.get(tmp_path / "gone") == "" == digests.read(tmp_path / "gone")


def test_what_is_kept_may_be_damaged(tmp_path: Path) -> None:
    kept, file = tmp_path / "digests.json", tmp_path / "w.bin"
    file.write_bytes(b"one")
    for text in ("{", "[1]", '{"a": 1}', '{"a": [1, 2]}', '"x"'):
        kept.write_text(text)
        assert Digests(kept).read(file) == sha256(file)
