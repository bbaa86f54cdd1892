"""Pictures in and out: uploads, and ``/view``, the one way by which users' bytes leave the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from engine.files import thumbnails
from engine.files.contain import OutsideError, contain
from engine.files.folders import ANNOTATED, Folders
from engine.files.uploads import (
    UploadError,
    check_picture,
    is_hidden,
    media_type,
    put_mask,
    safe_name,
    store,
    target_folder,
)
from engine.files.verdicts import HeldBack, Released
from engine.graph.problems import shown
from web.access import who
from web.bodies import IDLE_SECONDS, too_large
from web.errors import Refusal, json_response
from web.routes import Route
from web.security import SANDBOX
from web.state import SERVER, Server

log = logging.getLogger(__name__)

LABEL = "X-Easel-Safety"  # the header of flagged pictures
MAX_FIELDS = 20
MAX_FIELD = 8 * 2**10  # bytes of a field that is no file
# What aiohttp's multipart reader raises on broken boundaries, headers and encodings.
BROKEN_FORM = (HttpProcessingError, web.PayloadAccessError, ValueError, AssertionError, LookupError, RuntimeError)
DRIP_SECONDS = 60.0  # after which an upload has to have come at
DRIP_RATE = 16 * 2**10  # bytes a second, all in all
SLOT_SECONDS = 30.0  # to wait for a place among the uploads
MAX_LINES = 1_000  # boundaries and headers of the parts


@dataclass
class Gates:
    """How many may do heavy work at once: a decoded picture may take a few hundred MiB, an upload fills the disk."""

    decoders: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))


GATES: web.AppKey[Gates] = web.AppKey("gates", Gates)


# -- /view -------------------------------------------------------------------------------------------------------


async def view(request: web.Request) -> web.StreamResponse:
    """GET /view: a picture of the input, output or temp folder, as it is or reduced; 404 for all else."""
    query = request.query
    filename = query.get("filename", "")
    if not filename:
        raise Refusal(400, "invalid_query", "filename is missing: /view?filename=picture.png&type=output")
    channel = query.get("channel", "rgba")
    if channel not in ("rgba", "rgb", "a"):
        raise Refusal(400, "invalid_query", f"channel is rgba, rgb or a; found {shown(channel)!r}")
    path = find_own_file(request, filename, query.get("type", "output"), query.get("subfolder", ""))
    kind = await asyncio.to_thread(_media_type, path) if path is not None else None
    if path is None or kind == "missing":
        # One answer, whether a file is missing, outside or hidden: nobody learns what lies outside.
        raise Refusal(404, "not_found", f"there is no file {shown(filename)!r}")
    released = await release(request, path)
    if kind is None:
        return serve_released(released, path, "application/octet-stream", attachment=True)
    source, preview = released.source, query.get("preview")
    if preview is not None and channel != "a":
        alpha = channel == "rgba"
        body, kind = await decode_picture(request, lambda: thumbnails.make_preview(source, preview, alpha=alpha))
        return serve_bytes(body, kind, path.name, flagged=released.flagged)
    if channel != "rgba":
        make = thumbnails.make_rgb if channel == "rgb" else thumbnails.make_alpha
        body = await decode_picture(request, lambda: make(source))
        return serve_bytes(body, "image/png", path.name, flagged=released.flagged)
    return serve_released(released, path, kind)


async def release(request: web.Request, path: Path) -> Released:
    """The file, if the safety policy lets it leave: every answer with users' pictures asks here first.

    Raises Refusal 403 if it is held back, 404 if it has just gone.
    """
    try:
        return await asyncio.to_thread(request.app[SERVER].config.safety.release, path)
    except HeldBack as reason:
        raise Refusal(403, "held_back", str(reason)) from None
    except OSError:
        raise Refusal(404, "not_found", "the file has just gone") from None


async def delete(request: web.Request) -> web.Response:
    """DELETE /view: remove a picture of the output, input or temp folder; 404 for all that ``GET`` would not show."""
    query = request.query
    folders = request.app[SERVER].files.folders
    filename, where = query.get("filename", ""), query.get("type", "output")
    path = find_file(folders, filename, where, query.get("subfolder", "")) if filename else None
    if path is None or await asyncio.to_thread(_media_type, path) in ("missing", None):
        raise Refusal(404, "not_found", f"there is no picture {shown(filename)!r}")
    try:
        await asyncio.to_thread(path.unlink)
    except FileNotFoundError:
        raise Refusal(404, "not_found", "the file has just gone") from None
    except OSError as error:
        raise Refusal(507, "not_stored", f"the disk refuses it: {error.strerror}") from error
    request.app[SERVER].files.forget(where)
    return web.Response(status=204)


def find_file(folders: Folders, filename: str, kind: str, subfolder: str) -> Path | None:
    """The file that a request names, inside its folder after symbolic links; None if it must not or cannot be."""
    annotated = ANNOTATED.match(filename)
    if annotated:
        filename, kind = annotated["name"], annotated["kind"]
    root = folders.files_kind(kind)
    if root is None:
        raise Refusal(400, "invalid_query", f"type is input, output or temp; found {shown(kind)!r}")
    below = subfolder.strip("/")
    name = f"{below}/{filename}" if below else filename
    try:
        return None if is_hidden(name) else contain(root, name)
    except OutsideError:
        return None


def find_own_file(request: web.Request, filename: str, kind: str, subfolder: str) -> Path | None:
    """The same, unless somebody else's job made it and the request may not see that."""
    server, only = request.app[SERVER], who(request).only
    path = find_file(server.files.folders, filename, kind, subfolder)
    if path is None or only is None:
        return path
    annotated = ANNOTATED.match(filename)
    if annotated:
        filename, kind = annotated["name"], annotated["kind"]
    below, _, name = f"{subfolder.strip('/')}/{filename}".strip("/").rpartition("/")
    return path if kind == "input" or server.dispatcher.owns(kind, below, name, only) else None


def _media_type(path: Path) -> str | None:
    try:
        return media_type(path) if path.is_file() else "missing"
    except OSError:
        return "missing"


async def decode_picture(request: web.Request, work: Callable[[], Any]) -> Any:
    """Decode a picture beside the event loop, few at a time. Raises Refusal for what is none."""
    async with request.app[GATES].decoders:
        try:
            return await asyncio.to_thread(work)
        except UploadError as error:
            raise Refusal(400, "invalid_picture", str(error)) from error
        except FileNotFoundError:
            raise Refusal(404, "not_found", "the file has just gone") from None


def _headers(kind: str, name: str, *, attachment: bool = False, flagged: bool = False) -> dict[str, str]:
    """The headers of every answer with users' bytes."""
    plain = "".join(each if each.isascii() and each.isprintable() and each not in '"\\' else "_" for each in name)
    disposition = f'{"attachment; " if attachment else ""}filename="{plain}"'
    if plain != name:
        disposition += f"; filename*=UTF-8''{quote(name, safe='')}"
    label = {LABEL: "flagged"} if flagged else {}
    return {"Content-Type": kind, "Content-Disposition": disposition, "Content-Security-Policy": SANDBOX, **label}


def _serve_file(path: Path, kind: str, *, attachment: bool = False) -> web.StreamResponse:
    return web.FileResponse(path, headers=_headers(kind, path.name, attachment=attachment))


def serve_bytes(body: bytes, kind: str, name: str, *, flagged: bool = False) -> web.Response:
    """Send a picture that was just made."""
    return web.Response(body=body, headers=_headers(kind, name, flagged=flagged))


def serve_released(released: Released, path: Path, kind: str, *, attachment: bool = False) -> web.StreamResponse:
    """Send a file that may leave: under a policy the bytes that were judged, else the file itself."""
    if isinstance(released.source, Path):
        return _serve_file(released.source, kind, attachment=attachment)
    headers = _headers(kind, path.name, attachment=attachment, flagged=released.flagged)
    return web.Response(body=released.source.getvalue(), headers=headers)


def serve_user_file(path: Path) -> web.StreamResponse:
    """Send a file of the user's or a template: JSON as such, a picture as what it is, all else as a download."""
    if path.suffix == ".json":
        return _serve_file(path, "application/json")
    kind = _media_type(path)
    if kind is None or kind == "missing":
        return _serve_file(path, "application/octet-stream", attachment=True)
    return _serve_file(path, kind)


# -- uploads -----------------------------------------------------------------------------------------------------


@dataclass
class Form:
    """A multipart form: short fields, and one file on disk. ``picture`` is None until the file came."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str = ""
    picture: Path | None = None


class Bounded:
    """A body's stream that ends in a refusal: 413 beyond ``limit`` bytes, 408 when nothing or little comes for a while.

    The multipart reader skips what stands before the first boundary, without any bound of its own.
    """

    def __init__(self, request: web.Request, limit: int) -> None:
        self._content = request.content
        self._limit = limit
        self._read = self._lines = 0
        self._began = asyncio.get_running_loop().time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self, n: int = -1) -> bytes:
        """Read up to ``n`` bytes."""
        return await self._bounded(self._content.read(n))

    async def readline(self, **options: Any) -> bytes:
        """Read a line. Raises ValueError when there are too many: reading lines that have come does not yield."""
        self._lines += 1
        if self._lines > MAX_LINES:
            raise ValueError(f"more than {MAX_LINES} lines outside of the parts")
        return await self._bounded(self._content.readline(**options))

    async def _bounded(self, reading: Any) -> bytes:
        end = self._began + DRIP_SECONDS + self._read / DRIP_RATE
        try:
            async with asyncio.timeout_at(min(end, asyncio.get_running_loop().time() + IDLE_SECONDS)):
                chunk: bytes = await reading
        except TimeoutError:
            wanted = f"{DRIP_RATE} bytes a second, and some at least every {IDLE_SECONDS:g} s"
            raise Refusal(408, "timeout", f"the body comes too slowly; {wanted} are waited for") from None
        self._read += len(chunk)
        if self._read > self._limit:
            raise too_large(self._limit)
        return chunk


async def upload_image(request: web.Request) -> web.Response:
    """POST /upload/image: store a picture; it gets the name it came with, or a numbered one."""
    return await _upload(request, masked=False)


async def upload_mask(request: web.Request) -> web.Response:
    """POST /upload/mask: store the picture that ``original_ref`` names, with the alpha of the one sent."""
    return await _upload(request, masked=True)


async def _upload(request: web.Request, *, masked: bool) -> web.Response:
    server = request.app[SERVER]
    limit = server.config.max_upload
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    if not request.content_type.startswith("multipart/form-data"):
        raise Refusal(415, "unsupported_body", f"an upload is multipart/form-data; found {request.content_type[:100]}")
    try:
        answer = await _receive(request, server, masked)
    except UploadError as error:
        raise Refusal(415 if error.unsupported else 400, "invalid_upload", str(error)) from error
    except ConnectionError:
        raise
    except OSError as error:
        log.error("an upload cannot be stored: %s", error)
        raise Refusal(507, "not_stored", "the upload cannot be stored; the server's log says why") from error
    server.files.forget("input")
    return json_response(answer)


async def _receive(request: web.Request, server: Server, masked: bool) -> dict[str, str]:
    """Read a form into a folder of its own and store its picture. Raises UploadError, Refusal or OSError."""
    gates, temp = request.app[GATES], server.files.folders.temp
    temp.mkdir(parents=True, exist_ok=True)
    async with upload_slot(request):
        with tempfile.TemporaryDirectory(prefix=".upload-", dir=temp) as scratch:
            form = await read_form(request, Path(scratch), server.config.max_upload)
            async with gates.decoders:
                return await asyncio.to_thread(_take, request, form, Path(scratch), masked)


@contextlib.asynccontextmanager
async def upload_slot(request: web.Request) -> AsyncIterator[None]:
    """A place among those who upload. Raises Refusal 503 when none gets free for a while."""
    uploads = request.app[GATES].uploads
    try:
        async with asyncio.timeout(SLOT_SECONDS):
            await uploads.acquire()
    except TimeoutError:
        message = "too many uploads are under way; send it again in some seconds"
        raise Refusal(503, "too_many_uploads", message, headers={"Retry-After": "10"}) from None
    try:
        yield
    finally:
        uploads.release()


async def read_form(request: web.Request, scratch: Path, limit: int) -> Form:
    """Read a multipart form; its file goes into the folder ``scratch``. Raises Refusal."""
    form = Form()
    try:
        reader = MultipartReader(request.headers, Bounded(request, limit))  # type: ignore[arg-type]
        count = 0
        while (part := await reader.next()) is not None:
            count += 1
            if count > MAX_FIELDS or not isinstance(part, BodyPartReader):
                raise Refusal(400, "invalid_upload", f"the form has nested parts, or more than {MAX_FIELDS} fields")
            await _read_part(part, form, scratch)
    except BROKEN_FORM as error:
        raise Refusal(400, "invalid_upload", f"the form cannot be read: {shown(str(error))}") from error
    if form.picture is None:
        raise Refusal(400, "invalid_upload", "the form has no file in its field 'image'")
    return form


async def _read_part(part: BodyPartReader, form: Form, scratch: Path) -> None:
    if part.headers.get("Content-Encoding") or part.headers.get("Content-Transfer-Encoding", "binary") not in (
        "binary", "8bit", "7bit",
    ):
        raise Refusal(415, "encoded_body", "send each part as it is; encoded parts are not accepted")
    if part.name == "image" and part.filename is not None and form.picture is None:
        form.filename, path = part.filename, scratch / "picture.part"
        with path.open("wb") as file:
            while chunk := await part.read_chunk(2**18):
                file.write(chunk)
        form.picture = path
        return
    value = bytearray()
    while chunk := await part.read_chunk(MAX_FIELD):
        value += chunk
        if len(value) > MAX_FIELD:
            raise Refusal(400, "invalid_upload", f"the field {shown(part.name or '')!r} is longer than {MAX_FIELD}")
    form.fields[(part.name or "")[:100]] = value.decode()


def _take(request: web.Request, form: Form, scratch: Path, masked: bool) -> dict[str, str]:
    """Check a form's picture and store it. Raises UploadError or Refusal."""
    assert form.picture is not None
    folders, identity = request.app[SERVER].files.folders, who(request)
    kind = form.fields.get("type") or "input"
    root = folders.files_kind(kind)
    if root is None:
        raise UploadError(f"type is input, output or temp; found {shown(kind)!r}")
    overwrite = form.fields.get("overwrite", "").lower() in ("true", "1")
    if not identity.may("admin") and (kind != "input" or overwrite):
        message = "which is for submitting, uploads to the input folder and overwrites nothing"
        raise Refusal(403, "not_allowed", f"the token {identity.name}, {message}")
    subfolder = form.fields.get("subfolder", "")
    name = safe_name(form.filename)
    check_picture(form.picture)
    picture = form.picture
    flagged = False
    if masked:
        original = _original(request, form.fields.get("original_ref"))
        try:
            released = request.app[SERVER].config.safety.release(original)
        except HeldBack as reason:
            raise Refusal(403, "held_back", str(reason)) from None
        flagged = released.flagged
        picture = scratch / "masked.part"
        put_mask(form.picture, released.source, picture)
        name = str(Path(name).with_suffix(".png"))
    folder = target_folder(root, subfolder)
    request.app[SERVER].config.safety.sent(picture, flagged=flagged)
    stored = store(picture, folder, name, overwrite=overwrite)
    return {"name": stored, "subfolder": subfolder, "type": kind}


def _original(request: web.Request, text: str | None) -> Path:
    try:
        reference = msgspec.json.decode(text or "")
    except (msgspec.DecodeError, RecursionError) as error:
        raise UploadError(f"original_ref has to be JSON: {error}") from error
    if not isinstance(reference, dict) or not isinstance(reference.get("filename"), str):
        raise UploadError('original_ref has to be {"filename", "subfolder"?, "type"?}')
    subfolder, kind = reference.get("subfolder") or "", reference.get("type") or "output"
    if not isinstance(subfolder, str) or not isinstance(kind, str):
        raise UploadError("original_ref: subfolder and type are texts")
    path = find_own_file(request, reference["filename"], kind, subfolder)
    if path is None or not path.is_file():
        raise UploadError(f"original_ref: there is no file {shown(reference['filename'])!r}")
    return path


ROUTES = (
    Route("GET", "/view", view),
    Route("DELETE", "/view", delete, role="admin"),
    Route("POST", "/upload/image", upload_image),
    Route("POST", "/upload/mask", upload_mask),
)
