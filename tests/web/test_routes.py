"""Queue, history, nodes, models, system and pages."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.web.support import CHAIN, GIB, SPECS, FakeDispatcher, Running, png, running, upload
from web.routes.system import redact
from web.security import listen_addresses


async def test_the_queue_lists_running_and_pending_jobs_with_all_they_are(site: Running) -> None:
    for name in ("a", "b"):
        await site.post("/prompt", {"prompt": CHAIN, "prompt_id": name, "extra_data": {"extra_pnginfo": {"k": name}}})
    site.dispatcher.take_up()
    status, queue = await site.get("/queue")
    assert status == 200
    assert queue == {
        "queue_running": [[1, "a", CHAIN, {"extra_pnginfo": {"k": "a"}}, ["3"]]],
        "queue_pending": [[2, "b", CHAIN, {"extra_pnginfo": {"k": "b"}}, ["3"]]],
    }
    assert (await site.get("/prompt"))[1] == {"exec_info": {"queue_remaining": 2}}


@pytest.mark.parametrize(("path", "body", "calls"), [
    ("/queue", {"clear": True, "unknown": 1}, [("clear_pending", None)]),
    ("/queue", {"delete": ["a", "b"]}, [("delete_pending", ["a", "b"])]),
    ("/queue", {"clear": False, "delete": []}, []),
    ("/queue", None, []),
    ("/history", {"clear": True}, [("clear_history", None)]),
    ("/history", {"delete": ["a"]}, [("delete_history", ["a"])]),
    ("/interrupt", None, [("interrupt", None)]),
    ("/interrupt", b"", [("interrupt", None)]),
    ("/interrupt", {}, [("interrupt", None)]),
    ("/interrupt", {"prompt_id": "a"}, [("interrupt", "a")]),
    ("/free", {"unload_models": True}, [("free", True, False)]),
    ("/free", {"unload_models": True, "free_memory": True}, [("free", True, True)]),
    ("/free", None, [("free", False, False)]),
])
async def test_commands_reach_the_dispatcher(site: Running, path: str, body: Any, calls: list[Any]) -> None:
    answer = {"freed": 4096} if path == "/free" else None
    assert await site.post(path, body) == (200, answer)
    assert await site.post("/api" + path, body) == (200, answer)
    assert site.dispatcher.calls == calls * 2


@pytest.mark.parametrize("path", ["/queue", "/history", "/interrupt", "/free"])
@pytest.mark.parametrize("body", [
    b"{", b"[]", b"7", b'"x"', b'{"clear": "yes", "unload_models": 7, "prompt_id": 7}',
    b'{"delete": "a", "prompt_id": ["a"], "free_memory": []}',
    b'{"delete": [1], "prompt_id": {}, "unload_models": "x"}', b"\xff\xfe", b"[" * 100_000,
])
async def test_commands_out_of_shape_are_refused(site: Running, path: str, body: bytes) -> None:
    status, answer = await site.post(path, body)
    assert status == 400 and answer["error"]["message"]
    assert site.dispatcher.calls == []


async def test_the_history_is_read_whole_in_windows_and_by_job(site: Running) -> None:
    site.dispatcher.kept = {"a": {"outputs": {}}, "b [x]-.1": {"outputs": {}}}
    assert (await site.get("/history"))[1].keys() == {"a", "b [x]-.1"}
    assert (await site.get("/history/a"))[1] == {"a": {"outputs": {}}}
    assert (await site.get("/history/b%20%5Bx%5D-.1"))[1].keys() == {"b [x]-.1"}
    assert (await site.get("/history/none"))[1] == {}
    assert (await site.get("/history/" + "x" * 1_000))[1] == {}
    for query in ("?max_items=2", "?max_items=2&offset=5", "?offset=-1", "?max_items=&offset=0&unknown=1"):
        assert (await site.get("/history" + query))[0] == 200
    assert site.dispatcher.calls[1:] == [
        ("history", 2, None), ("history", 2, 5), ("history", None, None), ("history", None, 0)]
    for query in ("?max_items=x", "?offset=1.5", "?offset=" + "9" * 5_000):
        assert (await site.get("/history" + query))[0] == 400, query


async def test_object_info_lists_nodes_with_the_files_there_are_now(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        models = tmp_path / "models" / "checkpoints"
        (models / "a.safetensors").write_bytes(b"x")
        status, info = await site.get("/object_info")
        assert status == 200 and info["Add"]["input"]["required"]["b"] == [
            "INT", {"default": 1, "min": 0, "max": 9, "tooltip": "The second one."}]
        assert info["LoadModel"]["input"]["required"]["name"][0] == ["a.safetensors"]
        assert info["Show"]["output_node"] is True
        (models / "b.safetensors").write_bytes(b"x")
        assert (await site.get("/object_info"))[1] == info, "listings are kept for a moment"
        site.server.files._clock = lambda: time.monotonic() + 2
        assert (await site.get("/object_info/LoadModel"))[1]["LoadModel"]["input"]["required"]["name"][0] == [
            "a.safetensors", "b.safetensors"]
        assert (await site.get("/object_info"))[1]["LoadModel"]["input"]["required"]["name"][0] == [
            "a.safetensors", "b.safetensors"]
        assert (await site.get("/object_info/Nothing"))[1] == {}


async def test_polling_object_info_makes_its_bytes_once_and_an_upload_shows_at_once(
    site: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from web.routes import nodes

    made: list[str] = []
    real = nodes.object_info
    monkeypatch.setattr(nodes, "object_info", lambda spec, lister: made.append(spec.class_type) or real(spec, lister))
    first = await site.get("/object_info")
    assert len(made) == len(SPECS)
    for _ in range(5):
        assert await site.get("/object_info") == first
    assert len(made) == len(SPECS)
    assert (await site.post("/upload/image", upload(png(), "new.png")))[0] == 200
    assert (await site.get("/object_info"))[1]["LoadPicture"]["input"]["required"]["image"][0] == ["new.png"]


async def test_models_embeddings_and_features_are_listed(site: Running, tmp_path: Path) -> None:
    (tmp_path / "models" / "checkpoints" / "sub").mkdir()
    (tmp_path / "models" / "checkpoints" / "sub" / "<img src=x>.safetensors").write_bytes(b"x")
    (tmp_path / "models" / "embeddings").mkdir()
    (tmp_path / "models" / "embeddings" / "style.v2.pt").write_bytes(b"x")
    assert "checkpoints" in (await site.get("/models"))[1]
    assert (await site.get("/models/checkpoints"))[1] == ["sub/<img src=x>.safetensors"]
    assert (await site.get("/models/unet"))[1] == []
    status, answer = await site.get("/models/chekpoints")
    assert status == 404 and "'checkpoints'" in answer["error"]["message"]
    assert (await site.get("/embeddings"))[1] == ["style.v2"]
    assert (await site.get("/features"))[1] == {
        "supports_preview_metadata": True, "max_upload_size": site.server.config.max_upload}


async def test_system_stats_name_memory_and_devices_and_no_secret(tmp_path: Path) -> None:
    argv = ("server.py", "--port", "1", "--api-token", "s3cret", "--password=pa55")
    async with running(tmp_path, argv=argv) as site:
        _, stats = await site.get("/system_stats")
    assert stats["devices"] == [{
        "name": "cpu", "type": "cpu", "index": 0, "vram_total": 8 * GIB, "vram_free": 4 * GIB, "torch_vram_total": 0,
        "torch_vram_free": 0}]
    assert stats["system"]["ram_total"] > stats["system"]["ram_free"] > 0
    assert stats["system"]["pytorch_version"] == "2.13.0"
    assert stats["system"]["argv"] == ["server.py", "--port", "1", "--api-token", "***", "--password=***"]
    assert redact(["x", "--token", "--port"]) == ["x", "--token", "--port"]


async def test_every_get_answers_head_and_every_route_answers_options(site: Running) -> None:
    for path in ("/prompt", "/queue", "/history", "/object_info", "/system_stats", "/", "/api/features"):
        async with site.http.head(site.url + path) as answer:
            assert answer.status == 200 and await answer.read() == b""
        async with site.http.options(site.url + path) as answer:
            assert answer.status == 200


async def test_what_is_not_there_is_said_in_the_one_shape(site: Running) -> None:
    status, answer = await site.get("/nothing")
    assert status == 404 and answer["error"]["type"] == "not_found" and "/docs" in answer["error"]["message"]
    status, answer = await site.post("/system_stats")
    assert status == 405 and "it takes GET, HEAD" in answer["error"]["message"] and answer["node_errors"] == {}
    async with site.http.post(site.url + "/history/x") as refused:
        assert refused.status == 405 and "GET" in refused.headers["Allow"]
    async with site.http.delete(site.url + "/queue") as refused:
        assert refused.status == 405


async def test_a_bug_is_answered_without_our_insides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeDispatcher):
        def remaining(self) -> int:
            raise RuntimeError("/home/secret/place")

    async with running(tmp_path, Broken()) as site:
        status, answer = await site.get("/prompt")
    assert status == 500 and "secret" not in str(answer) and "/home/secret/place" in caplog.text


async def test_the_root_is_a_plain_page_until_the_editor_is_built(tmp_path: Path) -> None:
    ui = tmp_path / "dist"
    async with running(tmp_path, ui=ui) as site:
        async with site.http.get(site.url + "/") as answer:
            text = await answer.text()
            assert answer.status == 200 and answer.content_type == "text/html" and "Easel" in text
            assert "//" not in text.replace("<!doctype", "") and "script" not in text
        (ui / "assets").mkdir(parents=True)
        (ui / "index.html").write_text("<!doctype html>the editor")
        (ui / "assets" / "main.js").write_text("1")
        (ui / "notes.py").write_text("secret")
        async with site.http.get(site.url + "/") as answer:
            assert await answer.text() == "<!doctype html>the editor" and answer.content_type == "text/html"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        async with site.http.get(site.url + "/assets/main.js") as answer:
            assert answer.content_type == "text/javascript" and await answer.text() == "1"
        assert (await site.get("/notes.py"))[0] == 404
        assert (await site.get("/assets"))[0] == 404


async def test_two_servers_cannot_have_one_port_and_the_error_says_so(site: Running, tmp_path: Path) -> None:
    from engine.files.folders import make_folders
    from web.app import make_app, start
    from web.state import WebConfig

    folders = make_folders(data=tmp_path, models=tmp_path)
    app = make_app(WebConfig(port=site.port), FakeDispatcher(), folders, tmp_path / "s", root=tmp_path)
    with pytest.raises(OSError, match=rf"port {site.port}: .*--port"):
        await start(app)


async def test_both_loopback_addresses_can_be_listened_on(tmp_path: Path) -> None:
    try:
        async with running(tmp_path, host="127.0.0.1,::1") as site, aiohttp.ClientSession() as http:
            async with http.get(f"http://[::1]:{site.port}/prompt") as answer:
                assert answer.status == 200
            assert (await site.get("/prompt"))[0] == 200
    except OSError as error:  # pragma: no cover - a machine without IPv6
        pytest.skip(str(error))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "", "127.0.0.1,0.0.0.0", "127.1"])
def test_listening_beyond_loopback_is_refused_with_what_to_do(host: str) -> None:
    with pytest.raises(ValueError, match=r"loopback only.*IP addresses"):
        listen_addresses(host)


HEAVY = ("torch", "transformers", "safetensors", "networkx", "jsonschema", "PIL", "numpy", "scipy", "psutil", "yaml")


def test_the_server_imports_nothing_heavy() -> None:
    code = (
        "import sys, web.app, engine.jobs.job, engine.jobs.history, engine.graph.graph, engine.files.folders\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
