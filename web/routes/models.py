"""What is known of model files: their folders, sizes, previews and the metadata in them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import io
import math
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from aiohttp import web

from engine.diffusion.cards import CARDS, STARTER, card_data, families_of, kind_of, starter_card
from engine.files import thumbnails
from engine.files.contain import OutsideError, contain
from engine.files.folders import ALIASES, PICTURES, WEIGHTS, Folders
from engine.files.metadata import MetadataError, read_metadata, read_shapes
from engine.files.uploads import UploadError
from engine.graph.problems import nearest, shown
from web.errors import Refusal, json_response
from web.routes import Route
from web.routes.files import GATES, serve_bytes
from web.state import SERVER

NOT_LISTED = frozenset({"configs", "custom_nodes"})
COVER = "ssmd_cover_images"
MAX_NOTE = 1_000  # characters


class ModelFile(msgspec.Struct, frozen=True, rename="camel"):
    """A model file; ``path_index`` says in which of the folder's directories it is. Times are epoch seconds."""

    name: str
    path_index: int
    modified: float
    created: float
    size: int


async def get_folders(request: web.Request) -> web.Response:
    """GET /experiment/models: the model folders and where they are."""
    models = request.app[SERVER].files.folders.models
    return json_response([
        {"name": name, "folders": [str(each) for each in paths]} for name, paths in models.items()
        if name not in NOT_LISTED
    ])


async def get_files(request: web.Request) -> web.Response:
    """GET /experiment/models/{folder}: the files of a folder."""
    name = request.match_info["folder"]
    directories = _directories(request, name)
    listings = request.app[SERVER].files
    names = await asyncio.to_thread(listings.list, name)
    return json_response(await asyncio.to_thread(_describe, directories, names))


def _describe(directories: tuple[Path, ...], names: list[str]) -> list[ModelFile]:
    found: list[ModelFile] = []
    for index, directory in enumerate(directories):
        for name in names:
            try:
                state = (directory / name).stat()
            except OSError:
                continue
            found.append(ModelFile(name, index, state.st_mtime, state.st_ctime, state.st_size))
    return found


def _directories(request: web.Request, name: str) -> tuple[Path, ...]:
    models = request.app[SERVER].files.folders.models
    directories = models.get(ALIASES.get(name, name))
    if directories is None:
        raise Refusal(404, "not_found", f"no model folder is called {shown(name)!r}{nearest(name, models)}")
    return directories


async def get_preview(request: web.Request) -> web.Response:
    """GET /experiment/models/preview/{folder}/{path_index}/{filename}: a model's picture as WebP; 404 without one."""
    directories, index = _directories(request, request.match_info["folder"]), request.match_info["path_index"]
    name = request.match_info["filename"]
    missing = Refusal(404, "not_found", f"there is no preview of {shown(name)!r}")
    if not (index.isascii() and index.isdigit() and len(index) < 6 and int(index) < len(directories)):
        raise missing
    async with request.app[GATES].decoders:
        picture = await asyncio.to_thread(_find_preview, directories[int(index)], name)
        if picture is None:
            raise missing
        try:
            body, kind = await asyncio.to_thread(thumbnails.make_preview, picture, "webp;90")
        except (UploadError, OSError):
            raise missing from None
    return serve_bytes(body, kind, "preview.webp")


def _find_preview(directory: Path, name: str) -> Path | BinaryIO | None:
    """The picture beside a model (``model.png``, ``model.preview.png``), or the one inside it."""
    try:
        path = contain(directory, name)
        stem = path.name[: -len(path.suffix)] if path.suffix.lower() in WEIGHTS else path.name
        # Through ``contain`` once more: a link beside the model must not lead outside.
        parent = path.parent.relative_to(directory.resolve()).as_posix()
        for each in sorted(path.parent.glob("*")) if path.parent.is_dir() else ():
            if each.suffix.lower() in PICTURES and each.name[: -len(each.suffix)] in (stem, f"{stem}.preview"):
                return contain(directory, each.name if parent == "." else f"{parent}/{each.name}")
    except OutsideError:
        return None
    return _cover(path) if path.is_file() and path.suffix.lower() in (".safetensors", ".sft") else None


def _cover(path: Path) -> BinaryIO | None:
    try:
        pictures = msgspec.json.decode(read_metadata(path).get(COVER, "[]"), type=list[str])
        return io.BytesIO(base64.b64decode(pictures[0], validate=True)) if pictures else None
    except (MetadataError, OSError, msgspec.DecodeError, binascii.Error, ValueError):
        return None


async def get_metadata(request: web.Request) -> web.Response:
    """GET /view_metadata/{folder_name}: the texts in a safetensors file; 404 if there are none."""
    name, filename = request.match_info["folder_name"], request.query.get("filename", "")
    _directories(request, name)
    texts = await asyncio.to_thread(_read_texts, request.app[SERVER].files.folders, name, filename)
    if not texts:
        raise Refusal(404, "not_found", f"there is no metadata of {shown(filename)!r}")
    return json_response(texts)


def _read_texts(folders: Folders, folder: str, filename: str) -> dict[str, str]:
    path = folders.find(folder, filename) if filename.lower().endswith((".safetensors", ".sft")) else None
    try:
        return read_metadata(path) if path is not None else {}
    except (MetadataError, OSError):
        return {}


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model file: what it is, by its tensors' names and shapes, and what its card says.

    families: several where no shape tells them apart. cards: one for each family that was published.
    """

    folder: str
    file: str
    bytes: int
    kind: str
    tensors: int
    parameters: int
    families: tuple[str, ...] = ()
    cards: list[dict[str, Any]] = msgspec.field(default_factory=list)
    note: str = ""  # what the file says of itself


async def get_info(request: web.Request) -> web.Response:
    """GET /api/models/{folder}/{file}/info: what a model file is, its licence, intended use, limits and training."""
    folder, name = request.match_info["folder"], request.match_info["filename"]
    _directories(request, folder)
    try:
        info = await asyncio.to_thread(_read_info, request.app[SERVER].files.folders, folder, name)
    except MetadataError as error:
        raise Refusal(422, "unreadable", f"{shown(name)!r}: {error}") from error
    except OSError:
        info = None
    if info is None:
        raise Refusal(404, "not_found", f"there is no model {shown(name)!r} in the folder {shown(folder)!r}")
    return json_response(info)


def _read_info(folders: Folders, folder: str, name: str) -> ModelInfo | None:
    path = folders.find(folder, name)
    if path is None or not path.is_file():
        return None
    about = ModelInfo(
        folder=folder, file=name, bytes=path.stat().st_size, tensors=0, parameters=0,
        kind="not told: only the headers of safetensors files are read here",
    )
    if path.suffix.lower() not in (".safetensors", ".sft"):
        return about
    shapes = read_shapes(path)
    families = families_of(shapes)
    texts = read_metadata(path)
    cards = {family: CARDS[family] for family in families}
    if (own := starter_card(texts)) is not None:
        cards = {STARTER: own}
    parameters = sum(math.prod(each.shape) for each in shapes.values())
    return msgspec.structs.replace(
        about, kind=kind_of(shapes), tensors=len(shapes), families=families,
        parameters=max(0, min(parameters, 2**63 - 1)),  # a header may claim anything
        cards=[card_data(family, card) for family, card in cards.items()],
        note=texts.get("easel.note", "")[:MAX_NOTE],
    )


ROUTES = (
    Route("GET", "/api/models/{folder}/{filename:.+}/info", get_info, doubled=False),
    Route("GET", "/experiment/models", get_folders),
    Route("GET", "/experiment/models/{folder}", get_files),
    Route("GET", "/experiment/models/preview/{folder}/{path_index}/{filename:.*}", get_preview),
    Route("GET", "/view_metadata/{folder_name}", get_metadata),
)
