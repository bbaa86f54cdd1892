"""Who may speak to the server, and what browsers may do with its answers.

The server listens on loopback, or elsewhere with a token; any web page can send requests there. Three checks stand
before every route: the ``Host`` must be one of our names (else a foreign name was pointed at us: DNS rebinding); an
``Origin`` must be ours (``null`` and malformed ones are foreign); and a browser that says the request is cross-site is
refused whatever changes something. The body's Content-Type is no defence: clients send any. Then comes the token.

>>> authority("LocalHost:8188"), authority("[::1]"), authority("evil.example:1:2"), authority("127.0.0.1:99999")
(('localhost', 8188), ('::1', None), None, None)
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any, Literal

from aiohttp import web

from web.access import ACCESS, IDENTITY, Role, check_token, want
from web.errors import Handler, Refusal
from web.state import SERVER, WebConfig

READING = frozenset({"GET", "HEAD", "OPTIONS"})
SOCKETS = frozenset({"/ws", "/api/ws"})  # GET, but they carry every event: as dangerous as a change
AUTHORITY = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?))"
    r"(?::(?P<port>[0-9]{1,5}))?\Z"
)
DEFAULT_PORTS = {"http": 80, "https": 443}

# For what users or nodes made: no scripts, no forms, no origin, whatever a browser takes it for.
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
PAGE = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:;"
    " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Front-ends of others have inline scripts and compile templates; they still load nothing from elsewhere.
FOREIGN_PAGE = PAGE.replace("default-src 'self'", "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:")
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


@lru_cache(maxsize=256)
def authority(text: str) -> tuple[str, int | None] | None:
    """Read ``host`` or ``host:port``; None if it is malformed."""
    match = AUTHORITY.match(text)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and port > 65_535:
        return None
    return (match["six"] or match["name"]).lower(), port


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's loopback; ``127.1`` and other odd spellings are not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen_addresses(host: str, token: bool = False) -> list[str]:
    """The addresses of ``--listen``. Raises ValueError for any that is not loopback, unless a token is asked for."""
    addresses = [each.strip() for each in host.split(",")]
    for each in addresses:
        if is_loopback(each) or (token and is_address(each)):
            continue
        raise ValueError(
            f"--listen {each or repr(each)}: without a token Easel listens on loopback only (127.0.0.1, ::1,"
            " localhost), because whoever reaches it can use it; with one, on IP addresses"
        )
    return addresses


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address. No foreign name can be pointed at us under such a Host."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_request(request: web.Request, config: WebConfig, guarded: bool) -> None:
    """Raise Refusal if the request comes from where it must not. ``guarded``: a token is asked for too."""
    headers = request.headers
    hosts = list(headers.getall("Host", []))
    if len(hosts) != 1:
        raise Refusal(400, "invalid_host", f"a request names one Host; found {len(hosts)}")
    host = authority(hosts[0])
    # With a token we may listen anywhere, and are called by our addresses.
    ours = host is not None and (
        host[0] in config.hosts or is_loopback(host[0]) or (guarded and is_address(host[0])))
    if host is None or not ours:
        raise Refusal(403, "foreign_host", f"this server is not called {hosts[0][:100]!r}; use 127.0.0.1 or localhost")
    origins = list(headers.getall("Origin", []))
    if origins and not (len(origins) == 1 and _is_ours(origins[0], host, config)):
        raise Refusal(403, "foreign_origin", f"pages of {origins[0][:100]!r} may not use this server")
    if request.method in READING and request.path not in SOCKETS and "Upgrade" not in headers:
        return
    site = list(headers.getall("Sec-Fetch-Site", []))
    trusted = bool(origins) and origins[0] in config.origins
    if site and not trusted and site not in (["same-origin"], ["none"]):
        raise Refusal(403, "foreign_site", f"a {site[0][:20]!r} page may not use this server")


def _is_ours(origin: str, host: tuple[str, int | None], config: WebConfig) -> bool:
    if origin in config.origins:
        return True
    scheme, separator, rest = origin.partition("://")
    found = authority(rest)
    default = DEFAULT_PORTS.get(scheme)
    if not separator or default is None or found is None:
        return False
    return (found[0], found[1] or default) == (host[0], host[1] or default)


WANTED: web.AppKey[dict[Any, Role | Literal["anybody"]]] = web.AppKey("wanted", dict)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check each request before its handler, also those that no route takes."""
    access = request.app[ACCESS]
    check_request(request, request.app[SERVER].config, access.needed)
    role = request.app[WANTED].get(request.match_info.handler, "read")
    if role != "anybody":
        request[IDENTITY] = check_token(request, access)
        want(request, role)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(415, "encoded_body", "send the body as it is; compressed bodies are not accepted")
    if request.method == "OPTIONS":
        return web.Response(headers={"Allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"})
    return await handler(request)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add to every answer what keeps browsers from misusing it."""
    headers = response.headers
    headers["Server"] = "Easel"  # not which versions of what it is made of
    for name, value in ALWAYS.items():
        if name not in headers:
            headers[name] = value
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-cache"
    if "Content-Security-Policy" not in headers:
        headers["Content-Security-Policy"] = SANDBOX
    elif request.app[SERVER].config.foreign_ui and headers["Content-Security-Policy"] == PAGE:
        headers["Content-Security-Policy"] = FOREIGN_PAGE
