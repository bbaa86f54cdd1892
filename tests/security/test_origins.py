"""Who may speak to the server: every route against foreign hosts, origins and sites."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.web.support import Running, running
from web.app import ROUTES

# Every route of the application, by hand: a new one fails the test until it is listed here and thought about.
CHANGING = {
    ("POST", "/prompt"), ("POST", "/queue"), ("POST", "/interrupt"), ("POST", "/history"), ("POST", "/free"),
    ("DELETE", "/view"), ("POST", "/upload/image"), ("POST", "/upload/mask"), ("GET", "/ws"), ("POST", "/users"),
    ("POST", "/userdata/{file}"), ("DELETE", "/userdata/{file}"), ("POST", "/userdata/{file}/move/{dest}"),
    ("POST", "/settings"), ("POST", "/settings/{id}"),
}
READING = {
    ("GET", path) for path in (
        "/prompt", "/queue", "/history", "/history/{prompt_id}", "/object_info", "/object_info/{node_class}", "/view",
        "/system_stats", "/features", "/models", "/models/{folder}", "/embeddings", "/experiment/models",
        "/experiment/models/{folder}", "/experiment/models/preview/{folder}/{path_index}/{filename}",
        "/view_metadata/{folder_name}", "/users", "/userdata", "/v2/userdata", "/userdata/{file}", "/settings",
        "/settings/{id}", "/workflow_templates", "/workflow_templates/{pack}/{name}", "/i18n", "/extensions",
    )
}
# Those without a double under /api.
CHANGING_ONCE = {
    ("PATCH", "/internal/logs/subscribe"), ("POST", "/api/jobs"), ("POST", "/api/predict"),
    ("POST", "/api/jobs/{job_id}/cancel"),
    ("DELETE", "/api/gallery/{id}"), ("POST", "/api/gallery/{id}/restore"),
    ("POST", "/api/jobs/{job_id}/retry"), ("PATCH", "/api/jobs/{job_id}"), ("DELETE", "/api/jobs/{job_id}"),
    ("POST", "/api/queue/pause"), ("POST", "/api/queue/resume"), ("POST", "/api/queue/at_once"),
    ("POST", "/api/workflows/import"), ("POST", "/api/workflows/{name}/run"),
    *(("POST", f"/sdapi/v1/{name}") for name in ("txt2img", "img2img", "options", "interrupt")),
    ("POST", "/v1/images/generations"), ("POST", "/v1/images/edits"),
}
READING_ONCE = {
    ("GET", path) for path in (
        "/internal/logs", "/internal/logs/raw", "/internal/folder_paths", "/internal/files/{directory_type}",
        "/api/jobs", "/api/jobs/{job_id}", "/api/jobs/{job_id}/events",
        "/api/workflows", "/api/workflows/{name}", "/openapi.json", "/docs",
        "/api/gallery", "/api/gallery/{id}", "/api/gallery/{id}/thumbnail", "/api/models/{folder}/{filename}/info",
        "/health", "/ready", "/metrics",
        *(f"/sdapi/v1/{name}" for name in ("options", "sd-models", "samplers", "schedulers", "progress")),
    )
}
OPEN = {"/health", "/ready"}  # need no token, and tell nothing
DOUBLED = sorted(CHANGING | READING)
ALL = sorted(CHANGING | READING | CHANGING_ONCE | READING_ONCE)
EVERY = [(method, prefix + path) for method, path in DOUBLED for prefix in ("", "/api")] + [
    ("GET", "/"), *sorted(CHANGING_ONCE | READING_ONCE)]
PARAMETERS = {"node_class": "Add", "folder": "checkpoints", "folder_name": "checkpoints", "path_index": "0",
              "directory_type": "input", "pack": "easel"}
FOREIGN_ORIGINS = [
    "http://evil.example", "https://evil.example:8188", "null", "http://127.0.0.1:99999", "http://", "", "127.0.0.1",
    "file://", "http://127.0.0.1:{port}@evil.example", "http://127.0.0.1:{port}.evil.example", "http://localhost:1",
    "chrome-extension://abc", "http://127.0.0.1:{port} http://evil.example", "http://127.0.0.1:{port}/", "*",
    "HTTP//127.0.0.1", "http://[::1", "http://0x7f.1:{port}", "ws://127.0.0.1:{port}",
]
FOREIGN_HOSTS = [
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "0.0.0.0:{port}", "192.168.0.1",
    "localhost.evil.example", "127.1:{port}", "2130706433:{port}", "0x7f.0.0.1", "127.0.0.1:99999", "127.0.0.1:x",
    "localhost@evil.example", "[::2]:{port}", "[::1", "localhost:{port}:1", "a" * 300, "127.0.0.1, evil.example",
]


async def raw(site: Running, request: bytes, wait: float = 5.0) -> bytes:
    """Send bytes as they are; gives what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(65_536), wait)
    finally:
        writer.transport.abort()


async def status_of(site: Running, method: str, path: str, headers: list[tuple[str, str]]) -> int:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Content-Length: 0", "", ""]
    if "/ws" in path:
        lines[-3:-3] = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    answer = await raw(site, "\r\n".join(lines).encode("latin-1"))
    return int(answer.split(b" ", 2)[1])


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: PARAMETERS.get(match[1], "x"), path)


def plain(path: str) -> str:
    """A route's path without the patterns of its parameters."""
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", path)


def test_every_route_is_listed_here() -> None:
    listed = {(each.method, plain(each.path), each.doubled) for each in ROUTES}
    assert listed == {(*each, True) for each in DOUBLED} | {(*each, False) for each in CHANGING_ONCE | READING_ONCE}


async def test_the_application_serves_exactly_these_routes_twice_and_the_pages(site: Running) -> None:
    """CVE-2024-1561."""
    from web.app import make_app
    from web.state import WebConfig

    app = make_app(WebConfig(), site.dispatcher, site.folders, site.folders.user / "specs")
    served = {(each.method, each.resource.canonical) for each in app.router.routes() if each.method != "HEAD"}  # type: ignore[union-attr]
    doubled = {(method, prefix + path) for method, path in CHANGING | READING for prefix in ("", "/api")}
    assert served == doubled | CHANGING_ONCE | READING_ONCE | {("GET", "/{path}")}


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_dns_rebinding_a_foreign_host_is_refused_on_every_route(site: Running, method: str, path: str) -> None:
    """ComfyUI issues 12860 and 14085: only Host and Origin were compared, Host itself never checked."""
    host = ("Host", f"evil.example:{site.port}")
    assert await status_of(site, method, filled(path), [host]) == 403
    assert await status_of(site, method, filled(path), [host, ("Origin", f"http://evil.example:{site.port}")]) == 403
    assert await status_of(site, method, filled(path), []) == 400


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_cve_2024_10481_and_2024_11045_foreign_pages_are_refused(site: Running, method: str, path: str) -> None:
    """Requests of other web sites, hijacked web sockets, ``Origin: null`` that skipped the check (2026-56674)."""
    host = ("Host", f"127.0.0.1:{site.port}")
    for origin in ("http://evil.example", "null", "http://127.0.0.1:99999"):
        assert await status_of(site, method, filled(path), [host, ("Origin", origin)]) == 403, origin


@pytest.mark.parametrize(("method", "path"), sorted(CHANGING | CHANGING_ONCE))
async def test_what_changes_something_is_closed_to_other_sites_without_an_origin(
    site: Running, method: str, path: str
) -> None:
    host = ("Host", f"localhost:{site.port}")
    for word in ("cross-site", "same-site", "rubbish", ""):
        for prefix in ("", "/api") if (method, path) in CHANGING else ("",):
            assert await status_of(site, method, prefix + filled(path), [host, ("Sec-Fetch-Site", word)]) == 403, word
    two = [host, ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
    assert await status_of(site, method, filled(path), two) == 403
    for word in ("same-origin", "none"):
        assert await status_of(site, method, filled(path), [host, ("Sec-Fetch-Site", word)]) != 403


async def test_an_upgrade_is_refused_by_its_header_however_its_path_is_written(site: Running) -> None:
    headers = [("Host", "localhost"), ("Sec-Fetch-Site", "cross-site"), ("Upgrade", "websocket")]
    for path in ("/ws", "/%77s", "/api/ws", "/api/%77%73", "/nothing"):
        assert await status_of(site, "GET", path, headers) == 403


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_every_kind_of_foreign_origin_is_refused(site: Running, origin: str) -> None:
    """CVE-2026-56674, CVE-2024-47165, CVE-2025-5320: null, aliases and malformed origins."""
    headers = [("Host", f"127.0.0.1:{site.port}"), ("Origin", origin.format(port=site.port))]
    for method, path in (("POST", "/prompt"), ("GET", "/ws"), ("POST", "/upload/image"), ("OPTIONS", "/prompt")):
        assert await status_of(site, method, path, headers) == 403


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_every_kind_of_foreign_host_is_refused(site: Running, host: str) -> None:
    for method, path in (("POST", "/prompt"), ("GET", "/queue"), ("GET", "/ws"), ("GET", "/nothing")):
        assert await status_of(site, method, path, [("Host", host.format(port=site.port))]) in (400, 403)


async def test_two_hosts_or_two_origins_are_refused(site: Running) -> None:
    ours, page = ("Host", f"127.0.0.1:{site.port}"), ("Origin", f"http://127.0.0.1:{site.port}")
    assert await status_of(site, "GET", "/queue", [ours, ("Host", "evil.example")]) == 400
    assert await status_of(site, "POST", "/queue", [ours, page, ("Origin", "http://evil.example")]) == 403


async def test_our_own_pages_and_programs_are_let_in(site: Running) -> None:
    for host in (f"127.0.0.1:{site.port}", f"localhost:{site.port}", f"LOCALHOST:{site.port}", f"[::1]:{site.port}",
                 "127.0.0.5", "localhost"):
        origin = ("Origin", f"http://{host}")
        for more in ([], [origin], [origin, ("Sec-Fetch-Site", "same-origin")]):
            assert await status_of(site, "POST", "/queue", [("Host", host), *more]) == 200, (host, more)
            assert await status_of(site, "GET", "/ws", [("Host", host), *more]) == 101, (host, more)


async def test_names_and_origins_that_the_owner_adds_are_let_in(tmp_path: Any) -> None:
    hosts, origins = frozenset({"easel.test"}), frozenset({"http://localhost:5173"})
    async with running(tmp_path, hosts=hosts, origins=origins) as site:
        assert await status_of(site, "POST", "/queue", [("Host", "easel.test")]) == 200
        dev = [("Host", "localhost:1"), ("Origin", "http://localhost:5173"), ("Sec-Fetch-Site", "same-site")]
        assert await status_of(site, "POST", "/queue", dev) == 200
        assert await status_of(site, "POST", "/queue", [("Host", "other.test")]) == 403


async def test_no_answer_invites_other_origins_or_redirects(site: Running) -> None:
    """CVE-2024-4940: no redirect that a parameter names."""
    for _, path in EVERY:
        url = site.url + filled(path) + "?filename=http://evil.example&url=http://evil.example&next=//evil.example"
        async with site.http.get(url, allow_redirects=False) as answer:
            assert not any(name.lower().startswith("access-control") for name in answer.headers)
            assert not 300 <= answer.status < 400 and "Location" not in answer.headers
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Content-Security-Policy" in answer.headers
