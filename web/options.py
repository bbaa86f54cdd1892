"""What the command line says about serving: where, for whom, and how it is watched."""

from __future__ import annotations

import argparse
import json
import logging
import socket
import ssl
import sys
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web.access import (
    ROLES,
    SHORTEST,
    Access,
    add_token,
    make_token,
    new_secret,
    read_tokens,
    remove_token,
)
from web.security import is_loopback, listen_addresses

TOKEN_VARIABLE = "EASEL_TOKEN"  # noqa: S105 - the variable's name
DATA = Path(__file__).resolve().parent.parent / "data"
TOKENS_FILE = "tokens.json"  # in the data directory, which is never served


def add_serving_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``serve`` that are about the network and about operating the server."""
    group = parser.add_argument_group("network")
    group.add_argument("--listen", default="127.0.0.1", nargs="?", const="0.0.0.0", metavar="IP",  # noqa: S104
                       help="address to listen on; beyond loopback a token is made, unless there is one"
                            " (default: 127.0.0.1)")
    group.add_argument("--port", type=_port, default=8188, help="port to listen on; 0 takes a free one (default: 8188)")
    group.add_argument("--token", nargs="?", const="auto", metavar="auto",
                       help=f"ask for a token on loopback too. One of your own comes in the environment variable"
                            f" {TOKEN_VARIABLE}; named ones are made by: server.py token add NAME")
    group.add_argument("--host-name", action="append", default=[], metavar="NAME",
                       help="a further name that this server is called by; may be repeated")
    group.add_argument("--tls-cert", "--tls-certfile", type=Path, metavar="FILE",
                       help="serve HTTPS with this certificate (PEM)")
    group.add_argument("--tls-key", "--tls-keyfile", type=Path, metavar="FILE",
                       help="its private key (default: in the file of the certificate)")
    group.add_argument("--webhook-host", action="append", default=[], metavar="HOST[:PORT]",
                       help="a host that may be told of the ends of jobs; a private address has to be named itself,"
                            " such as 10.0.0.0/8; may be repeated")
    group = parser.add_argument_group("operating")
    group.add_argument("--log-format", choices=("text", "json"), default="text",
                       help="json: one object per line, and one for each job that ends")
    group.add_argument("--drain-seconds", type=_seconds, default=10.0, metavar="S",
                       help="how long a running job may go on after SIGTERM (default: 10); it is run again otherwise")
    group.add_argument("--cancel-seconds", type=_seconds, default=120.0, metavar="S",
                       help="how long a job that was told to stop may go on (default: 120); then its worker is ended")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535; found {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86_400.0:
        raise argparse.ArgumentTypeError(f"seconds are a number from 0 to 86400; found {text!r}")
    return seconds


# -- tokens ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Door:
    """Who is let in. ``made`` is a token that was made for this run, to be printed once with the address."""

    access: Access
    made: str | None


def read_door(options: argparse.Namespace, data: Path, environment: MutableMapping[str, str]) -> Door:
    """The tokens that are asked for. Raises ValueError for one that will not do, or a ``--listen`` that will not.

    The token is taken out of the environment, so that workers and node packs do not inherit it.
    """
    given = environment.pop(TOKEN_VARIABLE, None) or None
    if options.token not in (None, "auto"):
        raise ValueError(
            "--token takes no token: everybody on this machine can read a command line; put the token into the"
            f" environment variable {TOKEN_VARIABLE}, or say --token auto to have one made")
    if given is not None and len(given) < SHORTEST:
        raise ValueError(f"{TOKEN_VARIABLE}: a token has at least {SHORTEST} characters; --token auto makes one")
    path = data / TOKENS_FILE
    access = Access(given, path)
    beyond = not all(is_loopback(each.strip()) for each in options.listen.split(","))
    made = None
    if given is None and (options.token == "auto" or (beyond and not access.needed)):  # noqa: S105 - a word
        made = new_secret()
        access = Access(made, path)
    listen_addresses(options.listen, access.needed)
    return Door(access, made)


def printed_address(url: str, made: str | None) -> str:
    """The address to open: with the token that was made, and with an address where it listens on all."""
    for everywhere in ("://0.0.0.0:", "://[::]:"):
        url = url.replace(everywhere, f"://{own_address()}:")
    return f"{url}/?token={made}" if made else url


def own_address() -> str:
    """An address of this machine that others can reach; loopback if it is in no network."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # an address of documentation (RFC 5737): nothing is sent
            return str(probe.getsockname()[0])
    except OSError:
        return "127.0.0.1"


def read_tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    """How HTTPS is served; None if it is not. Raises ValueError for files that will not do."""
    if options.tls_cert is None:
        if options.tls_key is not None:
            raise ValueError("--tls-key needs --tls-cert, the certificate that the key is for")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for flag, path in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
        if path is not None and not path.is_file():
            raise ValueError(f"{flag} {path}: there is no such file")
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ValueError(
            f"--tls-cert {options.tls_cert}: {error}; wanted are a PEM certificate and its private key, without a"
            " password") from error
    return context


def _no_password() -> str:
    raise ValueError("the key has a password")  # else OpenSSL asks the terminal, and nobody answers


# -- logs --------------------------------------------------------------------------------------------------------


class JsonLines(logging.Formatter):
    """Writes each record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; ``fields`` of the record (a mapping given as ``extra``) are put into it."""
        line: dict[str, Any] = {
            "time": round(record.created, 3), "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(), **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=repr)


def use_log_format(name: str) -> None:
    """Have the root logger write in this format."""
    if name == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())


# -- server.py token ---------------------------------------------------------------------------------------------


def token_command(words: Sequence[str]) -> int:
    """Make, list or remove the named tokens of a data directory; gives the exit status."""
    parser = argparse.ArgumentParser(prog="server.py token", description="Make, list or remove tokens.")
    parser.add_argument("--data-directory", type=Path, default=DATA, metavar="DIR", help="the server's (default: data)")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="make a token; it is shown once")
    add.add_argument("name")
    add.add_argument("--role", choices=ROLES, default="submit",
                     help="read: sees all, changes nothing. submit: makes jobs, sees its own. admin: all"
                          " (default: submit)")
    add.add_argument("--sees-all", action="store_true", help="a submit token that sees the jobs of all")
    add.add_argument("--queued", type=_count, metavar="N", help="how many of its jobs may wait or run at once")
    add.add_argument("--per-minute", type=_count, metavar="N", help="how many jobs it may post in a minute")
    remove = actions.add_parser("remove", help="let a token in no more")
    remove.add_argument("name")
    actions.add_parser("list", help="name the tokens and what they may do")
    options = parser.parse_args(words)
    path = options.data_directory.resolve() / TOKENS_FILE
    try:
        if options.action == "add":
            secret = new_secret()
            add_token(path, make_token(
                secret, options.name, options.role, sees_all=options.sees_all, queued=options.queued,
                per_minute=options.per_minute))
            print(secret)
            print(f"This is the token {options.name} ({options.role}); it is kept nowhere, so note it now. From now on"
                  " the server asks everybody for a token.", file=sys.stderr)
        elif options.action == "remove":
            remove_token(path, options.name)
        else:
            for each in read_tokens(path):
                limits = [f"{name} {value}" for name, value in
                          (("queued", each.queued), ("per minute", each.per_minute)) if value is not None]
                made = time.strftime("%Y-%m-%d", time.localtime(each.created))
                sees = "sees all" if each.identity().sees_all else "sees its own"
                print(f"{each.name:24} {each.role:7} {', '.join([sees, *limits, f'made {made}'])}")
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"a limit is a number from 1 to 1000000; found {text!r}")
    return int(text)
