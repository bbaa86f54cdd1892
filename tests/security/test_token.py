"""The token: without it nothing is answered, with it a server may listen beyond loopback. And silent connections."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.security.test_origins import EVERY, filled, raw, status_of
from tests.web.support import Running, running
from web import gate
from web.security import COOKIE, cookie_of, listen_addresses

TOKEN = "a token of some length"


def host_of(site: Running) -> tuple[str, str]:
    return ("Host", f"127.0.0.1:{site.port}")


async def test_without_the_token_every_route_is_closed(tmp_path: Path) -> None:
    """Exposed servers, 2026: an open port was enough."""
    async with running(tmp_path, token=TOKEN) as site:
        for method, path in EVERY:
            for wrong in (("X", "none"), ("Authorization", "Bearer wrong"), ("Authorization", f"Basic {TOKEN}"),
                          ("Cookie", f"{COOKIE}={TOKEN}"), ("Authorization", "Bearer "), ("Cookie", f"{COOKIE}=")):
                assert await status_of(site, method, filled(path), [host_of(site), wrong]) == 401, (method, path)
        assert await status_of(site, "GET", f"/queue?token={TOKEN.replace(' ', '%20')}", [host_of(site)]) == 401


async def test_the_bearer_header_and_the_cookie_open_every_route_and_the_socket(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as site:
        for right in (("Authorization", f"Bearer {TOKEN}"), ("authorization", f"bearer {TOKEN}"),
                      ("Cookie", f"{COOKIE}={cookie_of(TOKEN)}")):
            assert await status_of(site, "GET", "/queue", [host_of(site), right]) == 200
            assert await status_of(site, "POST", "/queue", [host_of(site), right]) == 200
            assert await status_of(site, "GET", "/ws", [host_of(site), right]) == 101


async def test_an_address_with_the_token_is_exchanged_for_a_cookie(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN) as site:
        async with site.http.get(f"{site.url}/", params={"token": TOKEN}, allow_redirects=False) as answer:
            assert answer.status == 303 and answer.headers["Location"] == "/"
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        kept = ("Cookie", cookie.partition(";")[0])
        assert await status_of(site, "GET", "/queue", [host_of(site), kept]) == 200, "what the browser keeps is enough"
        async with site.http.get(f"{site.url}/", params={"token": "wrong"}, headers={"Cookie": "x=1"}) as answer:
            assert "Set-Cookie" not in answer.headers


async def test_a_foreign_page_is_refused_though_the_browser_has_the_cookie(tmp_path: Path) -> None:
    """CVE-2024-47084: the origin was not checked when a cookie was there."""
    async with running(tmp_path, token=TOKEN) as site:
        cookie = ("Cookie", f"{COOKIE}={cookie_of(TOKEN)}")
        for more in (("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")):
            assert await status_of(site, "POST", "/queue", [host_of(site), cookie, more]) == 403
        assert await status_of(site, "GET", "/queue", [("Host", "evil.example"), cookie]) == 403


async def test_with_a_token_our_addresses_are_good_hosts_and_names_only_if_given(tmp_path: Path) -> None:
    async with running(tmp_path, token=TOKEN, hosts=frozenset({"easel.lan"})) as site:
        right = ("Authorization", f"Bearer {TOKEN}")
        for host, status in (("192.168.1.5:8188", 200), ("[fe80::1]", 200), ("easel.lan", 200), ("evil.example", 403)):
            assert await status_of(site, "GET", "/queue", [("Host", host), right]) == status


def test_listening_beyond_loopback_needs_a_token_and_an_address() -> None:
    assert listen_addresses("0.0.0.0,::", TOKEN) == ["0.0.0.0", "::"]
    for host, token in (("0.0.0.0", None), ("example.org", TOKEN), ("", TOKEN)):
        with pytest.raises(ValueError, match="loopback"):
            listen_addresses(host, token)


async def test_the_token_is_told_nowhere(tmp_path: Path) -> None:
    """InvokeAI 6.13.7: configuration with keys was readable."""
    async with running(tmp_path, token=TOKEN, argv=("server.py", "--token", TOKEN, f"--token={TOKEN}")) as site:
        right = {"Authorization": f"Bearer {TOKEN}"}
        for path in ("/system_stats", "/features", "/settings", "/internal/logs", "/openapi.json", "/history"):
            async with site.http.get(site.url + path, headers=right) as answer:
                assert answer.status == 200 and TOKEN not in await answer.text()


# -- silent connections ------------------------------------------------------------------------------------------


async def test_a_head_that_does_not_come_ends_the_connection(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slowloris: heads that drip in hold a connection each."""
    monkeypatch.setattr(gate, "HEAD_SECONDS", 0.3)
    silent, dripping, served = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(3)]
    dripping[1].write(b"GET /queue HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
    served[1].write(f"GET /queue HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    assert (await served[0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    for reader, _ in (silent, dripping):
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
    await served[0].readuntil(b"}")
    served[1].write(f"GET /queue HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    assert b"HTTP/1.1 200" in await asyncio.wait_for(served[0].readuntil(b"}"), 5), "this one stays"
    for _, writer in (silent, dripping, served):
        writer.transport.abort()


async def test_a_request_that_takes_long_is_not_silent(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "HEAD_SECONDS", 0.2)
    job = (await site.post("/api/jobs", {"workflow": {"1": {"class_type": "Show", "inputs": {"value": 1}}}}))[1]["id"]
    assert (await site.get(f"/api/jobs/{job}?wait=1.5"))[0] == 202
    async with site.http.ws_connect(site.url + "/ws?clientId=me") as ws:
        await ws.receive_json()
        await asyncio.sleep(1.2)
        await ws.send_str("{}")
        assert not ws.closed and "me" in site.server.hub.connections


async def test_too_many_connections_cost_the_oldest_idle_ones(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_CONNECTIONS", 5)
    many = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(20)]
    await asyncio.sleep(1.3)
    head = f"GET /prompt HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nConnection: close\r\n\r\n"
    assert (await raw(site, head.encode())).startswith(b"HTTP/1.1 200")
    ended = [reader.at_eof() or reader.exception() is not None for reader, _ in many]
    assert sum(ended) >= 14
    for _, writer in many:
        writer.transport.abort()
