"""Who a request is from, and what it may do: tokens with names and roles, of which only hashes are kept.

A request carries its token as ``Authorization: Bearer TOKEN``, as the password of HTTP Basic, or as the cookie that
``/?token=TOKEN`` is exchanged for. The cookie is made from the token by a keyed hash, and the file of tokens holds
hashes of both: whoever reads the file can forge neither.

Where no token is asked for, everybody is the local administrator.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import msgspec
from aiohttp import web

from engine.jobs.job import Job
from web.errors import Refusal

log = logging.getLogger(__name__)

Role = Literal["read", "submit", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may do what those before it may
COOKIE = "easel_token"
COOKIE_SECONDS = 30 * 24 * 3600
SHORTEST = 16  # characters of a token that somebody thought of
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
MAX_TOKENS = 1_000
LOOK_SECONDS = 1.0  # how old what is known of the file may be
MINUTE = 60.0


@dataclass(frozen=True)
class Identity:
    """Who a request is from.

    name: of the token; empty for the local administrator, and stored with every job as its owner.
    sees_all: sees the jobs and files of everybody, not only its own.
    queued: how many of its jobs may wait or run at once; per_minute: how many it may post in a minute.
    """

    name: str = ""
    role: Role = "admin"
    sees_all: bool = True
    queued: int | None = None
    per_minute: int | None = None

    def may(self, role: Role) -> bool:
        """Whether it may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, job: Job) -> bool:
        """Whether it may know of a job."""
        return self.sees_all or job.owner == self.name

    @property
    def only(self) -> str | None:
        """The owner whose jobs are all that it sees; None if it sees everybody's."""
        return None if self.sees_all else self.name


LOCAL = Identity()


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token as it is kept: hashes (SHA-256, hexadecimal) of it and of its cookie, and what it may do."""

    name: str
    role: Role
    token: str
    cookie: str
    created: float
    sees_all: bool = False
    queued: int | None = None
    per_minute: int | None = None

    def identity(self) -> Identity:
        """Who comes with it."""
        return Identity(self.name, self.role, self.sees_all or self.role != "submit", self.queued, self.per_minute)


def new_secret() -> str:
    """A token that nobody can guess: 192 random bits."""
    return secrets.token_urlsafe(24)


def cookie_of(token: str) -> str:
    """What a browser keeps instead of the token."""
    return hmac.new(_bytes(token), b"easel browser cookie", hashlib.sha256).hexdigest()


def digest(secret: str) -> str:
    """What is kept of a token or cookie. They are random, so that a plain hash is as good as a slow one."""
    return hashlib.sha256(_bytes(secret)).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def make_token(
    secret: str, name: str = "", role: Role = "admin", *, sees_all: bool = False, queued: int | None = None,
    per_minute: int | None = None,
) -> Token:
    """What is to be kept of a token."""
    return Token(
        name=name, role=role, token=digest(secret), cookie=digest(cookie_of(secret)), created=time.time(),
        sees_all=sees_all, queued=queued, per_minute=per_minute)


# -- the file of tokens ------------------------------------------------------------------------------------------


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file; none if it is not there. Raises ValueError if it cannot be read."""
    try:
        tokens = msgspec.json.decode(path.read_bytes(), type=tuple[Token, ...])
    except (FileNotFoundError, NotADirectoryError):  # the latter is a matter of the data directory, told elsewhere
        return ()
    except (msgspec.DecodeError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{path}: the tokens cannot be read: {why}; mend the file or move it away") from error
    if len(tokens) > MAX_TOKENS:
        raise ValueError(f"{path} holds {len(tokens)} tokens; at most {MAX_TOKENS} are taken")
    return tokens


def write_tokens(path: Path, tokens: Sequence[Token]) -> None:
    """Put the tokens into their file, which only its owner may read, at once or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(list(tokens)), indent=2) + b"\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def add_token(path: Path, token: Token) -> None:
    """Put a token into the file. Raises ValueError for a name that will not do or is taken, and OSError."""
    if not NAME.fullmatch(token.name):
        raise ValueError(f"a token's name has 1 to 40 letters, digits, '.', '_' or '-'; found {token.name[:80]!r}")
    tokens = read_tokens(path)
    if any(each.name == token.name for each in tokens):
        raise ValueError(f"there is a token {token.name!r} already; remove it first, or choose another name")
    write_tokens(path, (*tokens, token))


def remove_token(path: Path, name: str) -> None:
    """Take a token out of the file. Raises ValueError if it is not there, and OSError."""
    tokens = read_tokens(path)
    kept = [each for each in tokens if each.name != name]
    if len(kept) == len(tokens):
        raise ValueError(f"there is no token {name!r}; there are: {', '.join(each.name for each in tokens) or 'none'}")
    write_tokens(path, kept)


# -- asking ------------------------------------------------------------------------------------------------------


@dataclass
class Access:
    """Knows the tokens and follows their file, telling ``changed`` of it. Once a token was needed it stays so.

    secret: a token of the local administrator's, or None. path: the file of further tokens. Raises ValueError if it
    cannot be read.
    """

    secret: str | None = None
    path: Path | None = None
    clock: Callable[[], float] = time.monotonic
    needed: bool = False
    changed: Callable[[], None] = lambda: None
    _own: tuple[Token, ...] = ()
    _tokens: tuple[Token, ...] = ()
    _stamp: tuple[int, int, int] | None = None
    _looked: float = field(default=-1e9)
    _posts: dict[str, deque[float]] = field(default_factory=dict)
    _posting: Counter[str] = field(default_factory=Counter)  # jobs that are being put on disk, by owner
    _known: frozenset[Identity] = frozenset()

    def __post_init__(self) -> None:
        if self.secret is not None:
            self._own = (make_token(self.secret),)
        if self.path is not None:
            self._tokens, self._stamp = read_tokens(self.path), _stamp(self.path)
        self._list_known()
        self.needed = bool(self._own or self._tokens)

    def identify(self, request: web.Request) -> Identity | None:
        """Who a request is from; None if it says nothing that we know."""
        self.look()
        if not self.needed:
            return LOCAL
        given = bearer(request.headers.get("Authorization", ""))
        if given and (found := self._find("token", given)):
            return found
        kept = request.cookies.get(COOKIE)
        return self._find("cookie", kept) if kept else None

    def exchange(self, secret: str) -> bool:
        """Whether this is a token."""
        return bool(secret) and self._find("token", secret) is not None

    def _find(self, what: Literal["token", "cookie"], secret: str) -> Identity | None:
        # Digests of one length are compared in constant time, and all of them: time tells neither which one agrees
        # nor how much of it.
        wanted = digest(secret)
        found = None
        for each in (*self._own, *self._tokens):
            if hmac.compare_digest(wanted, getattr(each, what)):
                found = each
        return found.identity() if found is not None else None

    def look(self) -> None:
        """Read the file again if it has changed; one that cannot be read changes nothing. Tells ``changed``."""
        now = self.clock()
        if self.path is None or now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return
        try:
            self._tokens = read_tokens(self.path)
        except ValueError as error:
            log.error("%s; the tokens known so far stay", error)
        self._stamp = stamp
        self._list_known()
        self.needed = self.needed or bool(self._tokens)
        self.changed()

    def knows(self, identity: Identity) -> bool:
        """Whether there still is a token that gives this identity."""
        return identity in self._known or not self.needed

    def _list_known(self) -> None:
        self._known = frozenset(each.identity() for each in (*self._own, *self._tokens))

    @contextlib.contextmanager
    def posting(self, identity: Identity, waiting: Callable[[], int]) -> Iterator[None]:
        """Count a job while it is put on disk, so that those that come at once are counted too.

        Raises Refusal as ``count_job`` does.
        """
        name = identity.name
        self.count_job(identity, lambda: waiting() + self._posting[name])
        self._posting[name] += 1
        try:
            yield
        finally:
            self._posting[name] -= 1

    def count_job(self, identity: Identity, waiting: Callable[[], int]) -> None:
        """Count a job that is about to be posted. Raises Refusal 429 if it is one too many.

        waiting: gives how many jobs of this owner have not ended.
        """
        if identity.queued is not None and waiting() >= identity.queued:
            message = f"the token {identity.name} may have {identity.queued} jobs in the queue; wait for some to end"
            raise Refusal(429, "too_many_jobs", message, headers={"Retry-After": "5"})
        if identity.per_minute is None:
            return
        now = self.clock()
        posts = self._posts.setdefault(identity.name, deque())
        while posts and now - posts[0] >= MINUTE:
            posts.popleft()
        if len(posts) >= identity.per_minute:
            wait = int(MINUTE - (now - posts[0])) + 1 if posts else int(MINUTE)
            message = f"the token {identity.name} may post {identity.per_minute} jobs a minute; wait {wait} s"
            raise Refusal(429, "too_many_requests", message, headers={"Retry-After": str(wait)})
        posts.append(now)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def bearer(header: str) -> str:
    """The token in an ``Authorization`` header: of the scheme Bearer, or the password of Basic; empty if none.

    >>> bearer("Bearer abc"), bearer("Basic " + base64.b64encode(b"anybody:abc").decode()), bearer("abc")
    ('abc', 'abc', '')
    """
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def check_token(request: web.Request, access: Access) -> Identity:
    """Who the request is from. Raises Refusal 401 unless we know.

    ``/?token=…`` is exchanged for the cookie: raises HTTPSeeOther to ``/``, so that the token leaves the address bar.
    """
    identity = access.identify(request)
    # A foreign page must not make a browser somebody else: whoever is known stays who they are.
    switched = identity is not None and request.headers.get("Sec-Fetch-Site") == "cross-site"
    if request.method == "GET" and request.path == "/" and access.needed and not switched:
        token = request.query.get("token", "")
        if access.exchange(token):
            answer = web.HTTPSeeOther("/")
            answer.set_cookie(
                COOKIE, cookie_of(token), httponly=True, samesite="Strict", path="/", max_age=COOKIE_SECONDS,
                secure=request.secure)
            raise answer
    if identity is None:
        message = "this server wants a token: Authorization: Bearer TOKEN, or once /?token=TOKEN in a browser"
        raise Refusal(401, "no_token", message, headers={"WWW-Authenticate": "Bearer"})
    return identity


IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)
ACCESS: web.AppKey[Access] = web.AppKey("access", Access)


def who(request: web.Request) -> Identity:
    """Who the request is from, as the guard found it."""
    return request[IDENTITY]


def want(request: web.Request, role: Role) -> None:
    """Raise Refusal 403 unless the request's token has this role, or more."""
    identity = who(request)
    if not identity.may(role):
        raise Refusal(403, "not_allowed", f"this needs a token of the role {role}; {identity.name} is {identity.role}")
