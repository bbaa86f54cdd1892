"""Pictures in and out."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from engine.files.uploads import UploadError, safe_name, sniff, store
from tests.web.support import Running, png, upload

RED, BLUE = png(color=(255, 0, 0, 128)), png(color=(0, 0, 255, 255))


def picture(kind: str, size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (10, 200, 30)).save(buffer, kind)
    return buffer.getvalue()


async def fetch(site: Running, query: str) -> tuple[int, bytes, Any]:
    async with site.http.get(site.url + "/view?" + query) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_an_uploaded_picture_comes_back_as_it_was(site: Running) -> None:
    assert await site.post("/upload/image", upload(RED)) == (
        200, {"name": "picture.png", "subfolder": "", "type": "input"})
    status, body, headers = await fetch(site, "filename=picture.png&type=input")
    assert status == 200 and body == RED
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == 'filename="picture.png"'
    assert headers["X-Content-Type-Options"] == "nosniff" and "sandbox" in headers["Content-Security-Policy"]
    assert (await fetch(site, "filename=picture.png%20%5Binput%5D"))[1] == RED
    assert (await fetch(site, "filename=picture.png%20%5Binput%5D&type=output"))[1] == RED
    assert (await fetch(site, "filename=picture.png"))[0] == 404, "the type is output unless told"


async def test_equal_content_is_stored_once_and_other_content_gets_a_number(site: Running) -> None:
    names = []
    for content in (RED, RED, BLUE, BLUE, RED):
        _, answer = await site.post("/upload/image", upload(content))
        names.append(answer["name"])
    assert names == ["picture.png", "picture.png", "picture (1).png", "picture (1).png", "picture.png"]
    assert sorted(each.name for each in site.folders.input.iterdir()) == ["picture (1).png", "picture.png"]
    for word in ("true", "1"):
        _, answer = await site.post("/upload/image", upload(BLUE, overwrite=word))
        assert answer["name"] == "picture.png"
    assert (site.folders.input / "picture.png").read_bytes() == BLUE


async def test_uploads_at_once_under_one_name_lose_nothing(site: Running) -> None:
    pictures = [png(color=(n, 0, 0, 255)) for n in range(12)]
    answers = await asyncio.gather(*(site.post("/upload/image", upload(each)) for each in pictures))
    names = [answer["name"] for _, answer in answers]
    assert len(set(names)) == 12
    assert [(site.folders.input / name).read_bytes() for name in names] == pictures
    assert list(site.folders.temp.iterdir()) == [], "nothing half done is left"


async def test_type_and_subfolder_choose_the_place(site: Running) -> None:
    _, answer = await site.post("/upload/image", upload(RED, type="temp", subfolder="a/b"))
    assert answer == {"name": "picture.png", "subfolder": "a/b", "type": "temp"}
    assert (site.folders.temp / "a" / "b" / "picture.png").read_bytes() == RED
    assert (await fetch(site, "filename=picture.png&type=temp&subfolder=a/b"))[1] == RED
    assert (await fetch(site, "filename=a/b/picture.png&type=temp"))[1] == RED


async def test_names_with_brackets_and_other_letters_survive(site: Running) -> None:
    for name in ("a [b]-c.1.png", "größe 図.png", "x y.PNG"):
        _, answer = await site.post("/upload/image", upload(RED, name))
        assert answer["name"] == name
        async with site.http.get(site.url + "/view", params={"filename": name, "type": "input"}) as got:
            assert await got.read() == RED
            assert got.headers["Content-Disposition"].isascii()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
async def test_the_content_says_what_a_picture_is_not_its_name(site: Running, kind: str) -> None:
    content = picture(kind)
    _, answer = await site.post("/upload/image", upload(content, "anything.png"))
    status, body, headers = await fetch(site, f"filename={answer['name']}&type=input")
    assert (status, body) == (200, content)
    assert headers["Content-Type"] == f"image/{kind.lower()}"


async def test_previews_and_channels_reduce_a_picture(site: Running) -> None:
    (site.folders.output / "a.png").write_bytes(RED)

    async def look(query: str) -> Image.Image:
        status, body, headers = await fetch(site, "filename=a.png&" + query)
        assert status == 200
        found = Image.open(io.BytesIO(body))
        assert headers["Content-Type"] == f"image/{(found.format or '').lower()}"
        return found

    webp = await look("preview=webp;90")
    assert webp.format == "WEBP" and webp.convert("RGBA").getpixel((3, 3))[3] == 128  # type: ignore[index]
    assert (await look("preview=jpeg;40")).format == "JPEG"
    assert (await look("preview=nonsense;x")).format == "WEBP"
    assert (await look("preview=jpeg;40&channel=rgb")).mode == "RGB"
    rgb = await look("channel=rgb")
    assert rgb.format == "PNG" and rgb.mode == "RGB" and rgb.getpixel((0, 0)) == (255, 0, 0)
    alpha = await look("channel=a")
    assert alpha.format == "PNG" and alpha.convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 128)
    assert (await look("channel=a&preview=jpeg;40")).format == "PNG"
    assert (await fetch(site, "filename=a.png&channel=x"))[0] == 400


async def test_what_cannot_be_viewed_is_said(site: Running) -> None:
    (site.folders.output / "broken.png").write_bytes(RED[:40])
    (site.folders.output / "empty.png").write_bytes(b"")
    assert (await fetch(site, ""))[0] == 400
    assert (await fetch(site, "filename=a.png&type=models"))[0] == 400
    assert (await fetch(site, "filename=none.png"))[0] == 404
    assert (await fetch(site, "filename=broken.png&preview=webp"))[0] == 400
    status, _, headers = await fetch(site, "filename=empty.png")
    assert status == 200 and headers["Content-Type"] == "application/octet-stream"


async def test_a_picture_is_deleted_and_nothing_else_can_be(site: Running) -> None:
    (site.folders.output / "a.png").write_bytes(RED)
    (site.folders.output / "notes.txt").write_text("not a picture")
    (site.folders.output.parent / "outside.png").write_bytes(RED)

    async def remove(query: str, **headers: str) -> int:
        async with site.http.delete(site.url + "/view?" + query, headers=headers) as answer:
            return answer.status

    assert await remove("filename=a.png", Origin="http://elsewhere.example") == 403
    assert await remove("filename=notes.txt") == 404
    assert await remove("filename=../outside.png") == 404
    assert await remove("filename=") == 404
    assert await remove("filename=a.png") == 204
    assert await remove("filename=a.png") == 404
    assert sorted(each.name for each in site.folders.output.iterdir()) == ["notes.txt"]
    assert (site.folders.output.parent / "outside.png").is_file()


async def test_a_mask_is_put_on_its_original_and_the_texts_stay(site: Running) -> None:
    (site.folders.output / "original.png").write_bytes(png(color=(9, 8, 7, 255), texts={"workflow": '{"nodes":[]}'}))
    mask = png(color=(0, 0, 0, 77))
    ref = msgspec.json.encode({"filename": "original.png", "type": "output"}).decode()
    status, answer = await site.post("/upload/mask", upload(mask, "clip-mask.jpg", original_ref=ref))
    assert status == 200 and answer == {"name": "clip-mask.png", "subfolder": "", "type": "input"}
    stored = Image.open(site.folders.input / "clip-mask.png")
    assert stored.convert("RGBA").getpixel((4, 4)) == (9, 8, 7, 77)
    assert stored.text == {"workflow": '{"nodes":[]}'}  # type: ignore[attr-defined]


@pytest.mark.parametrize("ref", [
    None, "", "rubbish", "[]", "{}", '{"filename": 7}', '{"filename": "none.png"}', '{"filename": "../x.png"}',
    '{"filename": "a.png", "type": "models"}', '{"filename": "a.png", "subfolder": 7}', "[" * 5_000,
    '{"filename": "small.png"}',
])
async def test_a_mask_without_a_sound_original_is_refused(site: Running, ref: str | None) -> None:
    (site.folders.output / "small.png").write_bytes(png((3, 3)))
    fields = {} if ref is None else {"original_ref": ref}
    status, answer = await site.post("/upload/mask", upload(RED, **fields))
    assert status == 400 and answer["error"]["message"]
    assert list(site.folders.input.iterdir()) == []


async def test_a_full_disk_is_told_and_leaves_nothing_behind(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    status, answer = await site.post("/upload/image", upload(RED))
    assert status == 507 and answer["error"]["type"] == "not_stored"
    assert list(site.folders.input.iterdir()) == list(site.folders.temp.iterdir()) == []


def test_a_taken_folder_name_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    part = tmp_path / "x.part"
    part.write_bytes(RED)
    assert store(part, tmp_path, "a.png") == "a (1).png"
    part.write_bytes(RED)
    with pytest.raises(UploadError, match="folder"):
        store(part, tmp_path, "a.png", overwrite=True)


def test_magic_numbers_are_read_whole() -> None:
    assert sniff(b"RIFF1234WEBP") == "image/webp" and sniff(b"XXXX1234WEBP") is None
    assert sniff(b"RIFF1234WAVE") is None and sniff(b"") is None
    assert safe_name("C:\\fakepath\\a.png") == "a.png"
