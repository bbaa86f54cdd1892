"""The gallery's files when two ask at once, and when the disk refuses."""

from __future__ import annotations

import io
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from engine.files import thumbnails
from engine.files.folders import make_folders
from engine.jobs import gallery as rows
from engine.jobs.gallery import Kept, Output
from tests.web.support import FakeDispatcher, png, running
from web.gallery import Gallery

KEPT = Kept(7, Output("output", "", "a.png"), "job", 1.0)


def gallery_with_a_picture(tmp_path: Path) -> Gallery:
    folders = make_folders(data=tmp_path / "data", models=tmp_path / "models")
    folders.output.mkdir(parents=True)
    (folders.output / "a.png").write_bytes(png())
    return Gallery(folders, tmp_path / "data" / "trash", tmp_path / "data" / "thumbnails")


def test_two_requests_for_a_new_thumbnail_are_both_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wrote the same file, and the second found it gone."""
    gallery, both = gallery_with_a_picture(tmp_path), threading.Barrier(8, timeout=20)
    monkeypatch.setattr(thumbnails, "make_thumbnail", lambda *_: str(both.wait()).encode() * 2**20)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: gallery.thumbnail(KEPT, gallery.folders.output / "a.png"), range(8)))
    assert {len(each or b"") for each in made} == {2**20}
    (kept,) = gallery.thumbnails.iterdir()
    assert kept.read_bytes() in made and kept.suffix == ".webp"


def test_a_thumbnail_that_cannot_be_kept_is_answered(tmp_path: Path) -> None:
    gallery = gallery_with_a_picture(tmp_path)
    gallery.thumbnails.write_bytes(b"a file where the folder should be")
    assert (gallery.thumbnail(KEPT, gallery.folders.output / "a.png") or b"")[:4] == b"RIFF"


async def test_a_disk_that_refuses_is_told_and_a_failed_restore_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class One(FakeDispatcher):
        trashed: float | None = 1.0

        def output(self, number: int, owner: str | None) -> Kept:
            return replace(KEPT, trashed=self.trashed)

        async def trash_output(self, number: int, when: float | None) -> None:
            self.trashed = when

    def full(source: Any, place: Any) -> None:
        Path(place).write_bytes(b"a par")
        raise OSError(28, "No space left on device")

    async with running(tmp_path, One()) as site:
        trash = tmp_path / "data" / "trash"
        trash.mkdir()
        (trash / "7.png").write_bytes(png())
        with monkeypatch.context() as broken:
            broken.setattr(shutil, "move", full)
            status, answer = await site.post("/api/gallery/7/restore")
            assert status == 507 and "No space left" in answer["error"]["message"]
        assert not (site.folders.output / "a.png").exists()
        assert (await site.post("/api/gallery/7/restore"))[0] == 200
        assert (site.folders.output / "a.png").read_bytes() == png()
        with monkeypatch.context() as broken:
            broken.setattr(shutil, "move", full)
            async with site.http.delete(f"{site.url}/api/gallery/7") as refused:
                assert refused.status == 507


def test_the_gallery_knows_no_files_of_the_temp_folder(tmp_path: Path) -> None:
    """Their names would be looked for in the output folder."""
    path = tmp_path / "jobs.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE outputs ({rows.COLUMNS})")
        for number, kind in ((1, "output"), (2, "temp")):
            connection.execute(
                f"INSERT INTO outputs ({rows.COLUMNS}) VALUES (?, ?, '', 'a.png', '', '', '', 'job', 1.0, NULL)",
                (number, kind))
    connection.close()
    assert rows.one(path, 1, None) is not None and rows.one(path, 2, None) is None


@pytest.mark.parametrize(("kind", "broken"), [
    ("avif", lambda data: data[: data.index(b"mdat") + 4].ljust(len(data), b"\0")),
    ("png", lambda data: data[:40]),
    ("tiff", lambda data: data[:30]),
    ("webp", lambda data: data[:24] + bytes(len(data) - 24)),
    ("gif", lambda data: data[:14]),
    ("bmp", lambda data: data[:20]),
])
async def test_a_damaged_file_is_no_picture_and_no_fault(tmp_path: Path, kind: str, broken: Any) -> None:
    """Each of Pillow's decoders has errors of its own; AVIF's was not known, and answered with 500."""
    class One(FakeDispatcher):
        def output(self, number: int, owner: str | None) -> Kept:
            return replace(KEPT, output=Output("output", "", "a.png"))

    whole = io.BytesIO()
    Image.effect_noise((64, 48), 90).convert("RGB").save(whole, format=kind)
    async with running(tmp_path, One()) as site:
        (site.folders.output / "a.png").write_bytes(broken(whole.getvalue()))
        assert (await site.get("/api/gallery/7/thumbnail"))[0] == 422
        for query in ("preview=webp", "channel=rgb", "channel=a"):
            assert (await site.get(f"/view?filename=a.png&{query}"))[0] == 400
