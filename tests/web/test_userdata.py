"""Files and settings of users, what is known of models, templates, logs: ComfyUI's smaller routes."""

from __future__ import annotations

import asyncio
import base64
import logging
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.messages.protocol import Pack
from tests.web.support import FakeDispatcher, Running, png, ready, running
from web.routes.internal import LOGS


async def send(site: Running, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
    async with site.http.request(method, site.url + path, data=data, headers=headers) as answer:
        content = await answer.read()
        return answer.status, msgspec.json.decode(content) if content else None


def safetensors(metadata: dict[str, str]) -> bytes:
    header = msgspec.json.encode({"__metadata__": metadata})
    return struct.pack("<Q", len(header)) + header


# -- userdata ----------------------------------------------------------------------------------------------------


async def test_a_file_is_written_read_listed_moved_and_deleted(site: Running) -> None:
    assert (await send(site, "POST", "/userdata/workflows%2Fa%20b.json", {"x": 1})) == (200, "workflows/a b.json")
    assert (await site.get("/userdata/workflows%2Fa%20b.json")) == (200, {"x": 1})
    assert (await site.get("/api/userdata?dir=workflows")) == (200, ["a b.json"])
    status, moved = await send(site, "POST", "/userdata/workflows%2Fa%20b.json/move/workflows%2Fsub%2Fc.json")
    assert (status, moved) == (200, "workflows/sub/c.json")
    assert (await site.get("/userdata?dir=workflows")) == (200, [])
    assert (await site.get("/userdata?dir=workflows&recurse=true")) == (200, ["sub/c.json"])
    _, parts = await site.get("/userdata?dir=workflows&recurse=true&split=true")
    assert parts == [["sub/c.json", "sub", "c.json"]]
    ((info,),) = [(await site.get("/userdata?dir=workflows&recurse=true&full_info=true"))[1]]
    assert info["path"] == "sub/c.json" and info["size"] == 7 and info["modified"] > 1e12
    assert (await send(site, "DELETE", "/userdata/workflows%2Fsub%2Fc.json")) == (204, None)
    assert (await site.get("/userdata/workflows%2Fsub%2Fc.json"))[0] == 404
    assert (await send(site, "DELETE", "/userdata/workflows%2Fsub%2Fc.json"))[0] == 404


async def test_the_editors_own_dot_files_are_kept_too(site: Running) -> None:
    assert (await send(site, "POST", "/userdata/workflows%2F.index.json", {"favorites": []}))[0] == 200
    assert (await site.get("/userdata/workflows%2F.index.json")) == (200, {"favorites": []})


async def test_without_overwrite_a_taken_name_is_a_409_and_nothing_changes(site: Running) -> None:
    for name in ("a.json", "b.json"):
        await send(site, "POST", f"/userdata/{name}", name.encode())
    assert (await send(site, "POST", "/userdata/a.json?overwrite=false", b"new"))[0] == 409
    assert (await send(site, "POST", "/userdata/a.json/move/b.json?overwrite=false"))[0] == 409
    assert (await site.get_raw("/userdata/a.json")) == (200, b"a.json")
    assert (await site.get_raw("/userdata/b.json")) == (200, b"b.json")
    status, info = await send(site, "POST", "/userdata/a.json/move/b.json?full_info=true")
    assert status == 200 and info["path"] == "b.json" and info["size"] == 6
    assert (await site.get_raw("/userdata/b.json")) == (200, b"a.json")


async def test_the_newer_listing_tells_files_from_folders(site: Running) -> None:
    assert (await site.get("/v2/userdata")) == (200, [])
    await send(site, "POST", "/userdata/workflows%2Fa.json", b"{}")
    (folder,) = (await site.get("/v2/userdata"))[1]
    assert folder == {"name": "workflows", "path": "workflows", "type": "directory"}
    (file,) = (await site.get("/v2/userdata?path=workflows"))[1]
    assert file["path"] == "workflows/a.json" and file["type"] == "file" and file["size"] == 2


@pytest.mark.parametrize("name", ["..%2Fx.json", "%2Fetc%2Fpasswd", "a%2F..%2F..%2Fx", "x.part", "C:%5Cx", "con.json"])
async def test_no_user_file_lies_outside(site: Running, name: str) -> None:
    """CVE-2025-67303's neighbours: the folder of all users, with the list of them, is out of reach too."""
    before = set(site.folders.user.parent.rglob("*"))
    assert (await send(site, "POST", f"/userdata/{name}", b"x"))[0] == 400
    assert (await site.get(f"/userdata/{name}"))[0] == 404
    await send(site, "POST", "/userdata/fine.json", b"x")
    assert (await send(site, "POST", f"/userdata/fine.json/move/{name}"))[0] == 400
    new = {path.relative_to(site.folders.user).as_posix() for path in
           set(site.folders.user.parent.rglob("*")) - before if path != site.folders.user}
    assert new == {"default", "default/fine.json"}


async def test_cve_2026_56672_active_user_files_are_downloads(site: Running) -> None:
    for name in ("x.html", "x.svg", "x.js", "x.xml"):
        await send(site, "POST", f"/userdata/{name}", b"<script>alert(1)</script>")
        async with site.http.get(f"{site.url}/userdata/{name}") as answer:
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Content-Disposition"].startswith("attachment")
            assert "sandbox" in answer.headers["Content-Security-Policy"]


# -- settings and users ------------------------------------------------------------------------------------------


async def test_settings_are_merged_and_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        assert (await site.get("/settings")) == (200, {})
        assert (await site.get("/settings/Comfy.Theme")) == (200, None)
        assert (await send(site, "POST", "/settings", {"a": 1, "b": {"c": [2]}}))[0] == 200
        assert (await send(site, "POST", "/settings/Comfy.Theme", "dark\r\nevil = 1"))[0] == 200
        assert (await send(site, "POST", "/settings/a", b"{"))[0] == 400
    async with running(tmp_path) as site:
        assert (await site.get("/settings")) == (200, {"a": 1, "b": {"c": [2]}, "Comfy.Theme": "dark\r\nevil = 1"})


async def test_settings_changed_at_once_are_all_kept(site: Running) -> None:
    await asyncio.gather(*(send(site, "POST", f"/settings/s{n}", n) for n in range(30)))
    assert (await site.get("/settings"))[1] == {f"s{n}": n for n in range(30)}


async def test_the_only_user_needs_no_name_and_cannot_be_joined(site: Running) -> None:
    assert (await site.get("/users")) == (200, {"storage": "server", "migrated": False})
    assert (await send(site, "POST", "/users", {"username": "Ada"}))[0] == 400


async def test_several_users_have_files_of_their_own(tmp_path: Path) -> None:
    async with running(tmp_path, multi_user=True) as site:
        _, ada = await send(site, "POST", "/users", {"username": "Ada ../Ä"})
        _, bob = await send(site, "POST", "/users", {"username": "Bob"})
        assert (await send(site, "POST", "/users", {"username": "Bob"}))[0] == 400
        headers = {"comfy-user": ada}
        assert (await send(site, "POST", "/userdata/a.json", b"1", **headers))[0] == 200
        assert (await site.get("/userdata/a.json", headers=headers)) == (200, 1)
        assert (await site.get("/userdata/a.json", headers={"comfy-user": bob}))[0] == 404
        for unknown in ("", "..", "users.json", "x"):
            assert (await site.get("/userdata/a.json", headers={"comfy-user": unknown}))[0] == 401
    async with running(tmp_path, multi_user=True) as site:
        assert (await site.get("/users"))[1]["users"] == {ada: "Ada ../Ä", bob: "Bob"}


# -- models ------------------------------------------------------------------------------------------------------


async def test_models_are_described_with_their_previews_and_metadata(site: Running, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "checkpoints"
    cover = base64.b64encode(png((4, 4))).decode()
    (folder / "a.safetensors").write_bytes(safetensors({"title": "A", "ssmd_cover_images": f'["{cover}"]'}))
    (folder / "b.safetensors").write_bytes(safetensors({}))
    (folder / "b.preview.png").write_bytes(png((6, 6)))
    (folder / "c.ckpt").write_bytes(b"no picture in here")
    status, listed = await site.get("/experiment/models")
    starter = folder.parent / "starter" / "checkpoints"
    assert status == 200 and {"name": "checkpoints", "folders": [str(folder), str(starter)]} in listed
    status, files = await site.get("/experiment/models/checkpoints")
    assert [(each["name"], each["pathIndex"]) for each in files] == [
        ("a.safetensors", 0), ("b.safetensors", 0), ("c.ckpt", 0)]
    assert files[2]["size"] == 18 and files[2]["modified"] > 1e9
    for name, status in (("a.safetensors", 200), ("b.safetensors", 200), ("b", 200), ("c.ckpt", 404), ("d", 404)):
        found, body = await site.get_raw(f"/experiment/models/preview/checkpoints/0/{name}")
        assert found == status and (status == 404 or body[8:12] == b"WEBP"), name
    for path in ("checkpoints/9/a.safetensors", "checkpoints/x/a.safetensors", "nowhere/0/a.safetensors"):
        assert (await site.get_raw(f"/experiment/models/preview/{path}"))[0] == 404
    assert (await site.get("/view_metadata/checkpoints?filename=a.safetensors"))[1]["title"] == "A"
    for query in ("checkpoints?filename=b.safetensors", "checkpoints?filename=c.ckpt", "checkpoints", "nowhere"):
        assert (await site.get(f"/view_metadata/{query}"))[0] == 404
    assert (await site.get("/experiment/models/nowhere"))[0] == 404


async def test_a_cover_that_is_no_picture_and_a_header_that_lies_are_404(site: Running, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "checkpoints"
    contents = [safetensors({"ssmd_cover_images": cover}) for cover in ("[]", "{", '["%%%"]', '["aGVsbG8="]')]
    contents += [struct.pack("<Q", 2**63) + b"{}", b"", struct.pack("<Q", 50_000) + b"[" * 50_000]
    for number, content in enumerate(contents):
        (folder / f"{number}.safetensors").write_bytes(content)
        assert (await site.get(f"/experiment/models/preview/checkpoints/0/{number}.safetensors"))[0] == 404


# -- what front-ends ask for -------------------------------------------------------------------------------------


async def test_the_shipped_workflows_are_templates(site: Running) -> None:
    _, packs = await site.get("/workflow_templates")
    assert "txt2img" in packs["easel"]
    status, workflow = await site.get("/api/workflow_templates/easel/txt2img.json")
    assert status == 200 and workflow["nodes"]
    for path in ("easel/none.json", "other/txt2img.json", "easel/..%2Fserver.py", "easel/input"):
        assert (await site.get(f"/api/workflow_templates/{path}"))[0] == 404


async def test_another_front_end_is_served_with_its_extensions_and_may_run_inline_scripts(tmp_path: Path) -> None:
    ui = tmp_path / "ui"
    (ui / "extensions" / "core").mkdir(parents=True)
    (ui / "index.html").write_text("<script>1</script>")
    (ui / "extensions" / "core" / "a.js").write_text("1")
    async with running(tmp_path, ui=ui, foreign_ui=True) as site:
        assert (await site.get("/extensions")) == (200, ["/extensions/core/a.js"])
        assert (await site.get_raw("/extensions/core/a.js"))[1] == b"1"
        async with site.http.get(site.url + "/") as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "'unsafe-inline' 'unsafe-eval'" in policy and "http" not in policy
        assert (await site.get("/i18n")) == (200, {})


async def test_what_node_packs_bring_for_front_ends_is_served_and_nothing_else_of_them(tmp_path: Path) -> None:
    """``pack/web/js/a.js``, a workflow, translations; beside them the pack's programs, and a link that leads out."""
    pack = tmp_path / "my pack"
    for name, content in {
        "web/js/a.js": "1", "web/b.txt": "2", "web/data.bin": "3", "__init__.py": "4", "example/w.json": "{}",
        "example/w.py": "5", "locales/de/main.json": '{"a": {"b": "c"}}', "locales/de/nodeDefs.json": '{"N": {}}',
        "locales/fr/main.json": "no JSON", "locales/en/settings.json": '{"s": "t"}',
    }.items():
        (pack / name).parent.mkdir(parents=True, exist_ok=True)
        (pack / name).write_text(content)
    (pack / "web" / "out.js").symlink_to(pack / "__init__.py")
    told = msgspec.structs.replace(ready(), packs=(
        Pack("my pack", str(pack), str(pack / "web")), Pack("bare", str(tmp_path / "bare"))))
    async with running(tmp_path, FakeDispatcher(specs=told)) as site:
        assert (await site.get("/extensions"))[1] == ["/extensions/my%20pack/js/a.js", "/extensions/my%20pack/out.js"]
        async with site.http.get(site.url + "/extensions/my%20pack/js/a.js") as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, "text/javascript", b"1")
        assert (await site.get_raw("/extensions/my%20pack/b.txt")) == (200, b"2")
        for path in ("my%20pack/out.js", "my%20pack/data.bin", "my%20pack/../__init__.py", "my%20pack/..%2F__init__.py",
                     "bare/a.js", "other/a.js", "my%20pack"):
            assert (await site.get(f"/extensions/{path}"))[0] == 404, path
        assert (await site.get("/workflow_templates"))[1]["my pack"] == ["w"]
        assert (await site.get("/workflow_templates/my%20pack/w.json")) == (200, {})
        for name in ("w.py", "..%2F__init__.py", "..%2Fexample%2Fw.py"):
            assert (await site.get(f"/workflow_templates/my%20pack/{name}"))[0] == 404
        assert (await site.get("/i18n")) == (200, {
            "de": {"a": {"b": "c"}, "nodeDefs": {"N": {}}}, "en": {"settings": {"s": "t"}}})


async def test_logs_are_listed_and_told_to_those_who_follow(site: Running) -> None:
    async with site.http.ws_connect(f"{site.url}/ws?clientId=me") as ws:
        await ws.receive_json()
        assert (await send(site, "PATCH", "/internal/logs/subscribe", {"clientId": "me", "enabled": True}))[0] == 200
        logging.getLogger("somewhere").warning("the kettle boils")
        message = await ws.receive_json(timeout=5)
        assert message["type"] == "logs" and message["data"]["entries"][-1]["m"] == "the kettle boils\n"
        await send(site, "PATCH", "/internal/logs/subscribe", {"clientId": "me", "enabled": False})
        logging.getLogger("somewhere").warning("the kettle whistles")
        with pytest.raises(TimeoutError):
            await ws.receive_json(timeout=0.3)
    assert "the kettle boils" in (await site.get("/internal/logs"))[1]
    raw = (await site.get("/internal/logs/raw"))[1]
    assert raw["entries"][-1]["m"] == "the kettle whistles\n" and raw["size"]["cols"]
    assert (await site.get("/api/internal/logs"))[0] == 404
    assert (await send(site, "PATCH", "/internal/logs/subscribe", {}))[0] == 400


async def test_those_who_followed_the_log_and_left_are_forgotten(site: Running) -> None:
    """Each id that ever followed was kept until a line was logged to it."""
    book = site.app[LOGS]
    for n in range(5):
        async with site.http.ws_connect(f"{site.url}/ws?clientId=c{n}") as ws:
            await ws.receive_json()
            body = {"clientId": f"c{n}", "enabled": True}
            assert (await send(site, "PATCH", "/internal/logs/subscribe", body))[0] == 200
            assert book.followers == {f"c{n}"}
        async with asyncio.timeout(10):
            while site.server.hub.connections:
                await asyncio.sleep(0.01)
    await send(site, "PATCH", "/internal/logs/subscribe", {"clientId": "never connected", "enabled": True})
    assert book.followers == set()


async def test_folders_and_their_newest_files_are_listed(site: Running) -> None:
    (site.folders.input / "a.png").write_bytes(png())
    (site.folders.input / ".b.part").write_bytes(b"")
    assert (await site.get("/internal/files/input")) == (200, ["a.png"])
    assert (await site.get("/internal/files/models"))[0] == 400
    assert "checkpoints" in (await site.get("/internal/folder_paths"))[1]
