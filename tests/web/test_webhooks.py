"""Webhooks: signed, tried again, over a restart too, and never to where nobody sent them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

import easel_client
from tests.web.test_jobs import Api, chain
from tests.web.test_whole import whole
from web import webhooks
from web.webhooks import CheckedResolver, as_address, read_hosts, read_secret, signature, unwrapped

PATIENCE = 25.0
SECRET = b"a secret"


@dataclass
class Receiver:
    """A program that is told; it answers what ``answers`` says, then 200."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        self.came.set()
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.got) < count:
                self.came.clear()
                await self.came.wait()


@contextlib.asynccontextmanager
async def receiving(*answers: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers=list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


def config(receiver: Receiver) -> dict[str, Any]:
    return {"webhook_hosts": read_hosts([f"127.0.0.1:{receiver.port}"]), "webhook_secret": SECRET}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DELAYS", (0.05, 0.05, 0.05))


async def test_the_end_of_a_job_is_told_signed(tmp_path: Path) -> None:
    async with receiving() as receiver, whole(tmp_path, **config(receiver)) as (url, http):
        job = await Api(url, http).make(3, webhook=f"http://127.0.0.1:{receiver.port}/hook?a=1")
        await receiver.until(1)
    headers, body = receiver.got[0]
    told = json.loads(body)
    assert told["event"] == "job.ended" and told["job"]["id"] == job["id"] and told["job"]["state"] == "succeeded"
    assert told["job"]["outputs"] == [{"node": "3", "kind": "text", "text": "3"}]
    assert easel_client.is_signed(SECRET, headers["Easel-Signature"], body)
    assert easel_client.is_signed(SECRET + b"\n", headers["Easel-Signature"], body), "as it is read from the file"
    assert not easel_client.is_signed(b"another", headers["Easel-Signature"], body)
    assert not easel_client.is_signed(SECRET, headers["Easel-Signature"], body + b" ")
    for wrong in ("", "t=1", "t=x,v1=0", signature(SECRET, 1, body)):
        assert not easel_client.is_signed(SECRET, wrong, body), "the last one is too old"


async def test_what_does_not_arrive_is_sent_again_and_redirections_lead_nowhere(tmp_path: Path) -> None:
    async with receiving(500, 302, 404) as receiver, whole(tmp_path, **config(receiver)) as (url, http):
        await Api(url, http).make(3, webhook=f"http://127.0.0.1:{receiver.port}/hook")
        await receiver.until(4)
        deliveries = [headers["Easel-Delivery"] for headers, _ in receiver.got]
    assert [each.partition("-")[2] for each in deliveries] == ["1", "2", "3", "4"]
    assert len({body for _, body in receiver.got}) == 1


@pytest.mark.parametrize("answers", [(410,), (500, 500, 500, 500)])
async def test_who_wants_no_more_or_never_answers_is_given_up(tmp_path: Path, answers: tuple[int, ...]) -> None:
    async with receiving(*answers) as receiver, whole(tmp_path, **config(receiver)) as (url, http):
        api = Api(url, http)
        await api.make(3, webhook=f"http://127.0.0.1:{receiver.port}/first")
        await receiver.until(len(answers))
        await api.make(4, webhook=f"http://127.0.0.1:{receiver.port}/second")
        await receiver.until(len(answers) + 1)
    assert json.loads(receiver.got[-1][1])["job"]["outputs"][0]["text"] == "3", "the second, and nothing of the first"
    assert len(receiver.got) == len(answers) + 1


async def test_a_message_survives_a_restart_and_the_job_that_is_forgotten(tmp_path: Path) -> None:
    async with receiving() as receiver:
        port = receiver.port
        hosts = config(receiver)
    # Nobody listens there now.
    async with whole(tmp_path, **hosts) as (url, http):
        api = Api(url, http)
        job = await api.make(3, webhook=f"http://127.0.0.1:{port}/hook")
        async with asyncio.timeout(PATIENCE):
            while (await api.send("GET", f"/api/jobs/{job['id']}"))[1]["state"] != "succeeded":
                await asyncio.sleep(0.05)
        assert (await api.send("DELETE", f"/api/jobs/{job['id']}"))[0] == 204
    async with receiving() as receiver:
        hosts = config(receiver)
        # The same port is not to be had for sure: tell the row where its receiver is now.
        with contextlib.closing(sqlite3.connect(tmp_path / "jobs.db")) as database:
            changed = database.execute(
                "UPDATE webhooks SET url = ?, due = 0", (f"http://127.0.0.1:{receiver.port}/hook",)).rowcount
            database.commit()
        assert changed == 1
        async with whole(tmp_path, **hosts):
            await receiver.until(1)
    assert json.loads(receiver.got[0][1])["job"] == {"id": job["id"], "state": "succeeded"}


async def test_a_job_cancelled_while_it_waits_is_told_too(tmp_path: Path) -> None:
    async with receiving() as receiver, whole(tmp_path, **config(receiver)) as (url, http):
        api = Api(url, http)
        await api.send("POST", "/api/queue/pause")
        job = await api.make(3, webhook=f"http://127.0.0.1:{receiver.port}/hook")
        await api.send("POST", f"/api/jobs/{job['id']}/cancel")
        await receiver.until(1)
    assert json.loads(receiver.got[0][1])["job"]["state"] == "cancelled"


@pytest.mark.parametrize("url", [
    "http://evil.example/", "http://127.0.0.1:1/", "http://127.0.0.1/", "http://[::1]/", "file:///etc/passwd",
    "gopher://good.example/", "http://user@good.example/", "http://good.example:22/", "http://good.example.evil/",
    "http://good.example#x", "//good.example/", "http:///x", "http://good.example:99999/", "http://go\u00f6d.example/",
    "http://good.example/ x", "http://2130706433/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/", "x" * 3000,
    "http://169.254.169.254/latest/meta-data/", "http://good.example\r\nX: 1/",
])
async def test_cve_2024_12882_and_48052_only_hosts_that_were_named_are_told(tmp_path: Path, url: str) -> None:
    """Server-side request forgery: the server fetched what a request told it to."""
    hosts = {"webhook_hosts": read_hosts(["good.example"]), "webhook_secret": SECRET}
    async with whole(tmp_path, **hosts) as (address, http):
        api = Api(address, http)
        status, answer = await api.send("POST", "/api/jobs", {"workflow": chain(1), "webhook": url})
        assert status == 422 and answer["error"]["type"] == "webhook_refused"
        assert await api.ids() == []


async def test_without_the_flag_nobody_is_told(tmp_path: Path) -> None:
    async with whole(tmp_path) as (url, http):
        status, answer = await Api(url, http).send(
            "POST", "/api/jobs", {"workflow": chain(1), "webhook": "https://example.org/"})
        assert status == 422 and "--webhook-host" in answer["error"]["message"]


class Names(AbstractResolver):
    """Resolves every name to these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
                for each in self.addresses]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "fc00::1",
    "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::",
])
async def test_a_name_that_leads_to_a_private_address_is_not_told(address: str) -> None:
    """DNS rebinding against webhooks: the name is good when it is checked, and private when it is used."""
    resolver = CheckedResolver(read_hosts(["good.example"]), Names(address))
    with pytest.raises(OSError, match="private"):
        await resolver.resolve("good.example", 443)
    mixed = CheckedResolver(read_hosts(["good.example"]), Names(address, "93.184.215.14"))
    assert [each["host"] for each in await mixed.resolve("good.example", 443)] == ["93.184.215.14"]
    inner = as_address(address)
    assert inner is not None
    named = CheckedResolver(read_hosts(["good.example", str(unwrapped(inner))]), Names(address))
    assert [each["host"] for each in await named.resolve("good.example", 443)] == [address], "named itself"


@pytest.mark.parametrize(
    "text", ["", "http://a.example", "a.example/x", "a.example:x", "u@a.example", "a.example:99999"])
def test_a_host_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="--webhook-host"):
        read_hosts([text])


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    first = read_secret(tmp_path)
    assert len(first) > 30 and read_secret(tmp_path) == first
    assert (tmp_path / "webhook-secret").stat().st_mode & 0o777 == 0o600
