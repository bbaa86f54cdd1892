"""Telling other programs that a job has ended: signed, tried again, and only to hosts that the operator named.

A message is ``POST`` with ``{"event": "job.ended", "job": …}`` and the header ``Easel-Signature: t=TIME,v1=HEX``, where
HEX is HMAC-SHA256 with the key in ``webhook-secret`` of the data directory over ``TIME.BODY``. A receiver that answers
2xx has it; others are asked again, later and later, and after ``DELAYS`` no more. One message may come twice.

No request may make the server speak to what only the server can reach (server-side request forgery): the host has to
be named by ``--webhook-host``; its name is resolved once for each attempt, the addresses are checked, and the
connection is made to just those; redirections are not followed. Private addresses have to be named themselves.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from engine.jobs.deliveries import Delivery
from engine.jobs.job import Job, JobDropped, JobEnded
from web.jobview import view
from web.state import Server

log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DELAYS = (5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 3600.0, 3600.0)  # seconds after each attempt that failed
SECONDS = 10.0  # for one attempt
AT_ONCE = 8
MAX_URL = 2_000
PORTS = {"http": 80, "https": 443}
SECRET_FILE = "webhook-secret"  # noqa: S105 - a file's name
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # IPv4 addresses in the last four bytes (RFC 6052)


# -- who may be told ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hosts:
    """Whom ``--webhook-host`` names: names and networks, each with a port or, for None, the usual ones."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[tuple[Network, int | None], ...] = ()

    def check(self, url: str) -> None:
        """Raise ValueError unless this address may be told."""
        if not (self.names or self.networks):
            raise ValueError("this server tells nobody of jobs; start it with --webhook-host HOST to have it do so")
        if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError(f"a webhook is an address of at most {MAX_URL} plain characters")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"the webhook {url[:100]!r} is no address: {error}") from error
        if parts.scheme not in PORTS or not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError(f"a webhook is written like https://host/path; found {url[:100]!r}")
        wanted = port if port is not None else PORTS[parts.scheme]
        address = as_address(parts.hostname)
        if address is not None and not self.names_address(address, wanted):
            raise ValueError(f"--webhook-host does not name the address {address} port {wanted}")
        if address is None and not any(name == parts.hostname and fits(entry, wanted) for name, entry in self.names):
            raise ValueError(f"--webhook-host does not name {parts.hostname[:100]!r} port {wanted}")

    def names_address(self, address: Address, port: int) -> bool:
        """Whether an address was named itself."""
        plain = unwrapped(address)
        return any(plain in network and fits(entry, port) for network, entry in self.networks)

    def lets_resolve(self, address: Address, port: int) -> bool:
        """Whether a name that was named may lead to this address: a public one, or one that was named."""
        plain = unwrapped(address)
        return (plain.is_global and not plain.is_multicast) or self.names_address(plain, port)


def fits(entry: int | None, port: int) -> bool:
    """Whether a port is that of an entry; an entry without one means the usual ports."""
    return port in PORTS.values() if entry is None else port == entry


def read_hosts(texts: Iterable[str]) -> Hosts:
    """Read what ``--webhook-host`` says. Raises ValueError.

    >>> read_hosts(["Example.org:8443", "10.0.0.0/8", "[::1]:9000"]).networks[1]
    (IPv6Network('::1/128'), 9000)
    """
    names: set[tuple[str, int | None]] = set()
    networks: list[tuple[Network, int | None]] = []
    for text in texts:
        try:
            with suppress(ValueError):
                networks.append((ipaddress.ip_network(text, strict=False), None))
                continue
            parts = urlsplit(f"//{text}")
            if not parts.hostname or parts.path or parts.query or parts.username is not None:
                raise ValueError("that is no host")
            address = as_address(parts.hostname)
            if address is not None:
                networks.append((ipaddress.ip_network(address), parts.port))
            else:
                names.add((parts.hostname, parts.port))
        except ValueError as error:
            raise ValueError(
                f"--webhook-host {text!r}: {error}; wanted is example.org, example.org:8443, 10.0.0.5:9000 or"
                " 10.0.0.0/8") from error
    return Hosts(frozenset(names), tuple(networks))


def as_address(host: str) -> Address | None:
    """A host that is written as an IP address; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, if there is one: it is there that packets go."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


class CheckedResolver(AbstractResolver):
    """Resolves names to addresses that may be spoken to; the connection is made to just those."""

    def __init__(self, hosts: Hosts, resolver: AbstractResolver) -> None:
        self._hosts, self._resolver = hosts, resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name that may be spoken to. Raises OSError if there is none."""
        found = await self._resolver.resolve(host, port, family)
        good = [each for each in found
                if (address := as_address(each["host"])) is not None and self._hosts.lets_resolve(address, port)]
        if not good:
            raise OSError(f"{host} leads to private addresses only, which --webhook-host does not name")
        return good

    async def close(self) -> None:
        """Be done."""
        await self._resolver.close()


# -- signing -----------------------------------------------------------------------------------------------------


def read_secret(data: Path) -> bytes:
    """The key that messages are signed with; made at the first time. Raises OSError."""
    path = data / SECRET_FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            f.write(secrets.token_urlsafe(32) + "\n")
    return path.read_bytes().strip()


def signature(secret: bytes, now: int, body: bytes) -> str:
    """The header of a message."""
    return f"t={now},v1={hmac.new(secret, b'%d.%b' % (now, body), hashlib.sha256).hexdigest()}"


# -- telling -----------------------------------------------------------------------------------------------------


class Webhooks:
    """Sends what is due. ``resolver`` finds addresses of names, ``clock`` gives seconds since the epoch."""

    def __init__(
        self, server: Server, hosts: Hosts, secret: bytes, *, resolver: AbstractResolver | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.hosts = hosts
        self._server, self._secret, self._clock = server, secret, clock
        self._resolver = resolver
        self._wake = asyncio.Event()
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._loop_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; call it in the event loop."""
        self._loop_task = asyncio.get_running_loop().create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """End; what is not delivered is tried again by the next start."""
        tasks = [each for each in (self._loop_task, *self._busy.values()) if each is not None]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, job: Job | None, event: Any) -> None:
        """Take an event or notice from the dispatcher: a job that ended may have somebody to be told."""
        if isinstance(event, JobEnded | JobDropped):
            self._wake.set()

    async def _run(self) -> None:
        resolver = CheckedResolver(self.hosts, self._resolver or ThreadedResolver())
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, limit=AT_ONCE)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=SECONDS)
        ) as http:
            while True:
                self._wake.clear()
                following = await self._send_due(http)
                with suppress(TimeoutError):
                    async with asyncio.timeout(following):
                        await self._wake.wait()

    async def _send_due(self, http: aiohttp.ClientSession) -> float | None:
        """Begin what is due; gives the seconds until something else is, None if nothing is known of."""
        now = self._clock()
        try:
            found, following = await asyncio.to_thread(self._server.dispatcher.due_webhooks, now, AT_ONCE * 4)
        except Exception:  # the disk: nothing is lost, and it is tried again
            log.exception("the webhooks that are due cannot be read")
            return 30.0
        for each in found:
            if each.sequence not in self._busy and len(self._busy) < AT_ONCE:
                task = asyncio.get_running_loop().create_task(self._send(http, each))
                self._busy[each.sequence] = task
                task.add_done_callback(partial(self._over, each.sequence))
        return None if following is None else max(0.05, following - now)

    def _over(self, sequence: int, _: asyncio.Task[None]) -> None:
        self._busy.pop(sequence, None)
        self._wake.set()

    async def _send(self, http: aiohttp.ClientSession, delivery: Delivery) -> None:
        dispatcher = self._server.dispatcher
        try:
            why = await self._attempt(http, delivery)
            attempts = delivery.attempts + 1
            if why is None:
                await dispatcher.finish_webhook(delivery.sequence)
            elif why is GONE or attempts > len(DELAYS):
                log.warning("job %s: the webhook is given up after %d attempts: %s", delivery.job, attempts, why)
                await dispatcher.finish_webhook(delivery.sequence)
            else:
                await dispatcher.postpone_webhook(
                    delivery.sequence, attempts, self._clock() + DELAYS[attempts - 1])
        except Exception:
            log.exception("job %s: what became of its webhook cannot be noted", delivery.job)
            await asyncio.sleep(5.0)  # it stays due; not again at once

    async def _attempt(self, http: aiohttp.ClientSession, delivery: Delivery) -> str | None:
        """Send a message once; gives why it did not arrive."""
        try:
            self.hosts.check(delivery.url)  # the operator may have taken the host away since
        except ValueError as error:
            log.warning("job %s: %s", delivery.job, error)
            return GONE
        body = self._body(delivery)
        headers = {
            "Content-Type": "application/json", "User-Agent": f"Easel/{self._server.config.version}",
            "Easel-Signature": signature(self._secret, int(self._clock()), body),
            "Easel-Delivery": f"{delivery.sequence}-{delivery.attempts + 1}",
        }
        try:
            async with http.post(delivery.url, data=body, headers=headers, allow_redirects=False) as answer:
                if 200 <= answer.status < 300:
                    return None
                return GONE if answer.status == 410 else f"it answered {answer.status}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    def _body(self, delivery: Delivery) -> bytes:
        job = self._server.dispatcher.job(delivery.job)
        shown: Any = {"id": delivery.job, "state": delivery.state}
        if job is not None and job.sequence == delivery.sequence:
            shown = view(self._server, job, whole=False)
        return msgspec.json.encode({"event": "job.ended", "job": shown})


GONE = "it wants no more"

