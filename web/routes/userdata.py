"""Users, their files and their settings: ComfyUI's routes over one folder for each user.

Without ``--multi-user`` there is one user, ``default``. With it a request names its user in the header ``comfy-user``;
that keeps the users' files apart, and is no log-in.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from engine.files import userfiles
from engine.graph.problems import WorkflowError, shown
from engine.graph.workflow import read_json
from web.access import who
from web.bodies import CONTROL_BODY, read_body, read_object, text
from web.errors import Refusal, json_response
from web.routes import Route
from web.routes.files import serve_user_file
from web.state import SERVER

T = TypeVar("T")

DEFAULT_USER = "default"
MAX_USERS = 1_000
MAX_SETTINGS = 4 * 2**20  # bytes of a user's settings as they are on disk
SETTINGS = "comfy.settings.json"


@dataclass
class Users:
    """The folders of all users. ``names`` is user id → name, kept in ``users.json`` beside the users' folders."""

    root: Path
    multi: bool
    names: dict[str, str] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # settings and the list of users are read, then written


USERS: web.AppKey[Users] = web.AppKey("users", Users)


def make_users(root: Path, *, multi: bool) -> Users:
    """Read the list of users, if there are several. Raises ValueError if it cannot be read."""
    users = Users(root, multi)
    path = root / "users.json"
    if multi and path.exists():
        try:
            users.names = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except (msgspec.DecodeError, OSError) as error:
            raise ValueError(f"{path}: the list of users cannot be read: {error}; mend it or move it away") from error
    return users


def user_folder(request: web.Request) -> Path:
    """The folder of the request's user. Raises Refusal 401 for an unknown one.

    A token for submitting has files of its own, whatever it sees; one for reading changes none.
    """
    users, identity = request.app[USERS], who(request)
    if identity.role == "submit":
        return users.root / f"@{identity.name}"  # no user's id begins like that
    if not users.multi:
        return users.root / DEFAULT_USER
    name = request.headers.get("comfy-user", "")
    if name not in users.names:
        raise Refusal(401, "unknown_user", f"the header comfy-user names no user: {shown(name)!r}")
    return users.root / name


# -- users -------------------------------------------------------------------------------------------------------


async def get_users(request: web.Request) -> web.Response:
    """GET /users: the users, or how the only one's files are kept."""
    users = request.app[USERS]
    if users.multi:
        return json_response({"storage": "server", "users": users.names})
    return json_response({"storage": "server", "migrated": (users.root / DEFAULT_USER).is_dir()})


async def post_users(request: web.Request) -> web.Response:
    """POST /users: add a user; gives the new id."""
    users = request.app[USERS]
    data = await read_object(request)
    name = (text(data, "username") or "").strip()
    if not users.multi:
        raise Refusal(400, "single_user", "this server has one user; start it with --multi-user to have several")
    if not name:
        raise Refusal(400, "invalid_body", 'username is missing: {"username": "Ada"}')
    async with users.lock:
        if name in users.names.values() or len(users.names) >= MAX_USERS:
            raise Refusal(400, "duplicate_user", f"the name {shown(name)!r} is taken, or there are too many users")
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
        user = f"{plain or 'user'}_{secrets.token_hex(4)}"
        names = {**users.names, user: name}
        await _on_disk(userfiles.write, users.root / "users.json", msgspec.json.encode(names))
        users.names = names
    return json_response(user)


# -- files -------------------------------------------------------------------------------------------------------


async def list_files(request: web.Request) -> web.Response:
    """GET /userdata: the files of a folder, as paths, with what is known of them, or split into parts."""
    name = request.query.get("dir", "")
    if not name:
        raise Refusal(400, "invalid_query", "dir is missing: /userdata?dir=workflows")
    root = user_folder(request)
    folder = _folder(root, name)
    recurse, full, split = (_switch(request, word) for word in ("recurse", "full_info", "split"))
    found = await _on_disk(userfiles.walk, folder, recurse=recurse)
    if full:
        return json_response(await _on_disk(lambda: [userfiles.info(path, folder) for path in found]))
    paths = [path.relative_to(folder).as_posix() for path in found]
    return json_response([[path, *path.split("/")] for path in paths] if split else paths)


async def list_entries(request: web.Request) -> web.Response:
    """GET /v2/userdata: the files and folders of a folder."""
    root = user_folder(request)
    name = request.query.get("path", "").strip("/")
    if not name:
        await _on_disk(root.mkdir, parents=True, exist_ok=True)
    return json_response(await _on_disk(userfiles.entries, _folder(root, name) if name else root.resolve(), root))


async def get_file(request: web.Request) -> web.StreamResponse:
    """GET /userdata/{file}: a file as it is."""
    return serve_user_file(await _existing(request))


async def post_file(request: web.Request) -> web.Response:
    """POST /userdata/{file}: write a file; 409 if it is there and is not to be overwritten."""
    root, path = user_folder(request), _path(request, "file")
    content = await read_body(request, request.app[SERVER].config.max_upload)
    await _on_disk(userfiles.write, path, content, overwrite=_switch(request, "overwrite", default=True))
    return await _written(request, root, path)


async def delete_file(request: web.Request) -> web.Response:
    """DELETE /userdata/{file}: remove a file."""
    await _on_disk((await _existing(request)).unlink)
    return web.Response(status=204)


async def move_file(request: web.Request) -> web.Response:
    """POST /userdata/{file}/move/{dest}: give a file another name; 409 if that is taken."""
    root, source, target = user_folder(request), await _existing(request), _path(request, "dest")
    if source != target:
        await _on_disk(userfiles.move, source, target, overwrite=_switch(request, "overwrite", default=True))
    return await _written(request, root, target)


async def _written(request: web.Request, root: Path, path: Path) -> web.Response:
    found = await _on_disk(userfiles.info, path, root)
    return json_response(found if _switch(request, "full_info") else found.path)


def _path(request: web.Request, part: str) -> Path:
    name = request.match_info[part]
    path = userfiles.find(user_folder(request), name)
    if path is None:
        raise Refusal(400, "invalid_path", f"{shown(name)!r} is no path inside the user's folder")
    return path


async def _existing(request: web.Request) -> Path:
    """The file that a request names. One answer, whether it is missing or outside."""
    name = request.match_info["file"]
    path = userfiles.find(user_folder(request), name)
    if path is None or not await asyncio.to_thread(path.is_file):
        raise Refusal(404, "not_found", f"there is no file {shown(name)!r}")
    return path


def _folder(root: Path, name: str) -> Path:
    folder = userfiles.find(root, name.strip("/"))
    if folder is None or not folder.is_dir():
        raise Refusal(404, "not_found", f"there is no folder {shown(name)!r}")
    return folder


def _switch(request: web.Request, name: str, *, default: bool = False) -> bool:
    value = request.query.get(name)
    return default if value is None else value.lower() in ("true", "1", "yes", "on")


async def _on_disk(work: Callable[..., T], *values: Any, **options: Any) -> T:
    """Do something with files beside the event loop; what the file system says becomes a refusal."""
    try:
        return await asyncio.to_thread(work, *values, **options)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise Refusal(409, "name_taken", "there is a file or folder of that name; use overwrite=true, or another"
                      " name") from error
    except FileNotFoundError as error:
        raise Refusal(404, "not_found", "the file has just gone") from error
    except OSError as error:
        raise Refusal(507, "not_stored", f"the disk refuses it: {error.strerror}") from error


# -- settings ----------------------------------------------------------------------------------------------------


async def get_settings(request: web.Request) -> web.Response:
    """GET /settings: all settings of the user."""
    return json_response(await _read_settings(user_folder(request)))


async def get_setting(request: web.Request) -> web.Response:
    """GET /settings/{id}: one setting, or null."""
    return json_response((await _read_settings(user_folder(request))).get(request.match_info["id"]))


async def post_settings(request: web.Request) -> web.Response:
    """POST /settings: put these settings over those that are there."""
    await _merge(request, dict(await read_object(request)))
    return web.Response()


async def post_setting(request: web.Request) -> web.Response:
    """POST /settings/{id}: set one setting."""
    body = await read_body(request, CONTROL_BODY)
    name = request.match_info["id"]
    if len(name) > 200:
        raise Refusal(400, "invalid_path", "the id of a setting has at most 200 characters")
    try:
        value = read_json(body)
    except WorkflowError as error:
        raise Refusal(400, "invalid_json", str(error)) from error
    await _merge(request, {name: value})
    return web.Response()


async def _merge(request: web.Request, changes: dict[str, Any]) -> None:
    folder = user_folder(request)
    async with request.app[USERS].lock:
        content = msgspec.json.encode({**await _read_settings(folder), **changes})
        if len(content) > MAX_SETTINGS:
            raise Refusal(413, "too_many_settings", f"the settings would take more than {MAX_SETTINGS} bytes")
        await _on_disk(userfiles.write, folder / SETTINGS, content)


async def _read_settings(folder: Path) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(await asyncio.to_thread((folder / SETTINGS).read_bytes))
    except (FileNotFoundError, msgspec.DecodeError):
        return {}  # a file that was damaged by hand is written anew with the next setting
    return data if isinstance(data, dict) else {}


ROUTES = (
    Route("GET", "/users", get_users),
    Route("POST", "/users", post_users, role="admin"),
    Route("GET", "/userdata", list_files),
    Route("GET", "/v2/userdata", list_entries),
    Route("GET", "/userdata/{file}", get_file),
    Route("POST", "/userdata/{file}", post_file),
    Route("DELETE", "/userdata/{file}", delete_file),
    Route("POST", "/userdata/{file}/move/{dest}", move_file),
    Route("GET", "/settings", get_settings),
    Route("GET", "/settings/{id}", get_setting),
    Route("POST", "/settings", post_settings),
    Route("POST", "/settings/{id}", post_setting),
)
