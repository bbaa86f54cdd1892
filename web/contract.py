"""What each route takes and gives, beside its path: the table that ``/openapi.json`` is made from.

A test asks that every route stands here, and holds a running server's answers against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from engine.files.userfiles import Entry
from engine.jobs.job import State
from web import shapes
from web.gallery import Item, Items
from web.jobview import JobList, JobView
from web.routes.jobs import AtOnceBody, MoveBody, NewJobBody, PredictionView
from web.routes.models import ModelFile, ModelInfo
from web.routes.operations import Health
from web.routes.workflows import Imported, WorkflowInfo

JSON, BINARY, FORM = "application/json", "application/octet-stream", "multipart/form-data"
PICTURES = ("image/png", "image/jpeg", "image/webp", "image/gif", BINARY)
Schema = Mapping[str, Any]
Parameter = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What a route takes and gives.

    gives: the structure of its JSON answer; None if it answers with no body, or with other ``media`` alone.
    statuses: of answers that are no refusal. takes: the structure of its JSON body; ``form`` that of a multipart form,
    ``raw`` the media type of any other body. optional: it may be left out. unready: 503 is answered like 200.
    """

    gives: Any = None
    media: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    takes: Any = None
    form: Schema | None = None
    raw: str | None = None
    optional: bool = False
    unready: bool = False
    parameters: tuple[Parameter, ...] = ()


def _query(name: str, kind: str, text: str = "", *, required: bool = False, **schema: Any) -> Parameter:
    parameter: dict[str, Any] = {"name": name, "in": "query", "schema": {"type": kind, **schema}}
    if text:
        parameter["description"] = text
    return {**parameter, "required": True} if required else parameter


def _flags(*names: str) -> tuple[Parameter, ...]:
    return tuple(_query(name, "boolean") for name in names)


TEXT: Schema = {"type": "string"}
FILE: Schema = {"type": "string", "format": "binary"}
WAIT = _query("wait", "number", "seconds to wait for the job's end", minimum=0, maximum=300)
KEY: Parameter = {
    "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "a request that is sent twice with one key makes one job",
}
PAGE = (
    _query("limit", "integer", minimum=0, maximum=500, default=50),
    _query("offset", "integer", minimum=0, default=0),
)
DATES = tuple(
    _query(name, "string", "a date like 2026-11-21, or seconds since the epoch",
           pattern=r"^(\d{1,10}|\d{4}-\d\d-\d\d)$") for name in ("after", "before"))
SEARCH = (
    _query("prompt", "string", "words in the texts of the graph"),
    _query("model", "string", "words in the names of its models"),
    _query("seed", "integer", minimum=0, maximum=2**64 - 1),
    *DATES,
    _query("trash", "boolean", "the deleted ones"),
    _query("limit", "integer", minimum=0, maximum=200, default=50),
    PAGE[1],
)
PLACE = (
    _query("filename", "string", "may end in [input], [output] or [temp]", required=True, minLength=1),
    _query("type", "string", enum=["input", "output", "temp"], default="output"),
    _query("subfolder", "string"),
)
UPLOAD: dict[str, Any] = {
    "type": "object", "required": ["image"], "properties": {
        "image": FILE, "type": {"type": "string", "enum": ["input", "output", "temp"]}, "subfolder": TEXT,
        "overwrite": {"type": "string", "enum": ["true", "false"]},
    },
}
MASK: dict[str, Any] = {
    **UPLOAD, "required": ["image", "original_ref"], "properties": {**UPLOAD["properties"], "original_ref": {
        "type": "string", "description": 'JSON: {"filename", "subfolder"?, "type"?}'}},
}
EDIT: Schema = {
    "type": "object", "required": ["image", "prompt"], "properties": {
        "image": FILE, "prompt": TEXT, "n": TEXT, "size": TEXT, "seed": TEXT,
        "response_format": {"type": "string", "enum": ["b64_json", "url"]},
    },
}
PICTURE = ("image/png", "image/webp", "image/jpeg")
NEW_JOB = Operation(
    takes=NewJobBody, gives=JobView, media=PICTURE, statuses=(200, 201, 202), parameters=(WAIT, KEY))
JOB = Operation(gives=JobView, media=PICTURE, statuses=(200, 202), parameters=(WAIT,))
ANYTHING, OBJECT, TEXTS = Any, dict[str, Any], list[str]

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    # jobs
    ("POST", "/api/jobs"): NEW_JOB,
    ("GET", "/api/jobs"): Operation(gives=JobList, parameters=(
        _query("state", "string", f"with commas between: {', '.join(get_args(State))}"),
        _query("search", "string", "a text in the workflow"), *PAGE)),
    ("GET", "/api/jobs/{job_id}"): JOB,
    ("PATCH", "/api/jobs/{job_id}"): Operation(takes=MoveBody, gives=JobView),
    ("DELETE", "/api/jobs/{job_id}"): Operation(statuses=(204,)),
    ("GET", "/api/jobs/{job_id}/events"): Operation(media=("text/event-stream",)),
    ("POST", "/api/jobs/{job_id}/cancel"): JOB,
    ("POST", "/api/jobs/{job_id}/retry"): Operation(
        gives=JobView, media=PICTURE, statuses=(200, 201, 202), parameters=(WAIT, KEY)),
    ("POST", "/api/predict"): Operation(takes=NewJobBody, gives=PredictionView),
    ("POST", "/api/queue/pause"): Operation(gives=shapes.Paused),
    ("POST", "/api/queue/resume"): Operation(gives=shapes.Paused),
    ("POST", "/api/queue/at_once"): Operation(gives=shapes.AtOnce, takes=AtOnceBody),
    # saved workflows
    ("GET", "/api/workflows"): Operation(gives=TEXTS),
    ("GET", "/api/workflows/{name}"): Operation(gives=WorkflowInfo),
    ("POST", "/api/workflows/{name}/run"): Operation(
        takes=OBJECT, optional=True, gives=JobView, media=PICTURE, statuses=(200, 201, 202), parameters=(
            WAIT, KEY, _query("client_id", "string", "whose WebSocket is told", maxLength=200, minLength=1),
            _query("webhook", "string", "an address that is told of the job's end"))),
    ("POST", "/api/workflows/import"): Operation(raw=BINARY, gives=Imported),
    # gallery
    ("GET", "/api/gallery"): Operation(gives=Items, parameters=SEARCH),
    ("GET", "/api/gallery/{id}"): Operation(gives=Item),
    ("DELETE", "/api/gallery/{id}"): Operation(statuses=(204,)),
    ("POST", "/api/gallery/{id}/restore"): Operation(gives=Item),
    ("GET", "/api/gallery/{id}/thumbnail"): Operation(media=("image/webp",)),
    # ComfyUI: queue and history
    ("GET", "/api/prompt"): Operation(gives=shapes.QueueLength),
    ("POST", "/api/prompt"): Operation(takes=shapes.PromptBody, gives=shapes.PromptAnswer),
    ("GET", "/api/queue"): Operation(gives=shapes.QueueAnswer),
    ("POST", "/api/queue"): Operation(takes=shapes.ClearBody, optional=True),
    ("POST", "/api/interrupt"): Operation(takes=shapes.InterruptBody, optional=True),
    ("POST", "/api/free"): Operation(
        takes=shapes.FreeBody, gives=shapes.FreeAnswer, optional=True),
    ("GET", "/api/history"): Operation(gives=dict[str, shapes.HistoryEntry], parameters=(
        _query("max_items", "integer", "alone: the newest"), _query("offset", "integer", "counts from the oldest"))),
    ("GET", "/api/history/{prompt_id}"): Operation(gives=dict[str, shapes.HistoryEntry]),
    ("POST", "/api/history"): Operation(takes=shapes.ClearBody, optional=True),
    # ComfyUI: nodes, system, models
    ("GET", "/api/ws"): Operation(statuses=(101,), parameters=(
        _query("clientId", "string", "a newer connection of the same id replaces the older", maxLength=200),)),
    ("GET", "/api/object_info"): Operation(gives=dict[str, shapes.NodeInfo]),
    ("GET", "/api/object_info/{node_class}"): Operation(gives=dict[str, shapes.NodeInfo]),
    ("GET", "/api/system_stats"): Operation(gives=shapes.SystemStats),
    ("GET", "/api/features"): Operation(gives=shapes.Features),
    ("GET", "/api/embeddings"): Operation(gives=TEXTS),
    ("GET", "/api/models"): Operation(gives=TEXTS),
    ("GET", "/api/models/{folder}"): Operation(gives=TEXTS),
    ("GET", "/api/models/{folder}/{filename}/info"): Operation(gives=ModelInfo),
    ("GET", "/api/experiment/models"): Operation(gives=list[shapes.ModelFolder]),
    ("GET", "/api/experiment/models/{folder}"): Operation(gives=list[ModelFile]),
    ("GET", "/api/experiment/models/preview/{folder}/{path_index}/{filename}"): Operation(media=("image/webp",)),
    ("GET", "/api/view_metadata/{folder_name}"): Operation(
        gives=dict[str, str], parameters=(_query("filename", "string", required=True),)),
    ("GET", "/api/workflow_templates"): Operation(gives=dict[str, list[str]]),
    ("GET", "/api/workflow_templates/{pack}/{name}"): Operation(gives=ANYTHING, media=PICTURE),
    ("GET", "/api/i18n"): Operation(gives=OBJECT),
    ("GET", "/api/extensions"): Operation(gives=TEXTS),
    # ComfyUI: files, users, settings
    ("GET", "/api/view"): Operation(media=PICTURES, parameters=(
        *PLACE, _query("preview", "string", "webp;90 or jpeg;Q: the picture reduced to that form"),
        _query("channel", "string", enum=["rgba", "rgb", "a"], default="rgba"))),
    ("DELETE", "/api/view"): Operation(statuses=(204,), parameters=PLACE),
    ("POST", "/api/upload/image"): Operation(form=UPLOAD, gives=shapes.Uploaded),
    ("POST", "/api/upload/mask"): Operation(form=MASK, gives=shapes.Uploaded),
    ("GET", "/api/users"): Operation(gives=shapes.UsersInfo),
    ("POST", "/api/users"): Operation(takes=shapes.UserBody, gives=str),
    ("GET", "/api/userdata"): Operation(gives=shapes.Listing, parameters=(
        _query("dir", "string", required=True), *_flags("recurse", "full_info", "split"))),
    ("GET", "/api/v2/userdata"): Operation(gives=list[Entry], parameters=(_query("path", "string"),)),
    ("GET", "/api/userdata/{file}"): Operation(gives=ANYTHING, media=PICTURES),
    ("POST", "/api/userdata/{file}"): Operation(
        raw=BINARY, optional=True, gives=shapes.Written, parameters=_flags("overwrite", "full_info")),
    ("DELETE", "/api/userdata/{file}"): Operation(statuses=(204,)),
    ("POST", "/api/userdata/{file}/move/{dest}"): Operation(
        gives=shapes.Written, parameters=_flags("overwrite", "full_info")),
    ("GET", "/api/settings"): Operation(gives=OBJECT),
    ("POST", "/api/settings"): Operation(takes=OBJECT),
    ("GET", "/api/settings/{id}"): Operation(gives=ANYTHING),
    ("POST", "/api/settings/{id}"): Operation(takes=ANYTHING),
    # ComfyUI: what only front-ends ask for
    ("GET", "/internal/logs"): Operation(gives=str),
    ("GET", "/internal/logs/raw"): Operation(gives=shapes.RawLogs),
    ("PATCH", "/internal/logs/subscribe"): Operation(takes=shapes.FollowBody),
    ("GET", "/internal/folder_paths"): Operation(gives=dict[str, list[str]]),
    ("GET", "/internal/files/{directory_type}"): Operation(gives=TEXTS),
    # other servers' doors
    ("POST", "/sdapi/v1/txt2img"): Operation(takes=shapes.A1111Body, gives=shapes.A1111Answer),
    ("POST", "/sdapi/v1/img2img"): Operation(takes=shapes.A1111ImageBody, gives=shapes.A1111Answer),
    ("GET", "/sdapi/v1/options"): Operation(gives=OBJECT),
    ("POST", "/sdapi/v1/options"): Operation(takes=OBJECT, gives=OBJECT),
    ("GET", "/sdapi/v1/sd-models"): Operation(gives=list[shapes.A1111Model]),
    ("GET", "/sdapi/v1/samplers"): Operation(gives=list[shapes.A1111Sampler]),
    ("GET", "/sdapi/v1/schedulers"): Operation(gives=list[shapes.A1111Scheduler]),
    ("GET", "/sdapi/v1/progress"): Operation(gives=shapes.A1111Progress),
    ("POST", "/sdapi/v1/interrupt"): Operation(gives=OBJECT),
    ("POST", "/v1/images/generations"): Operation(takes=shapes.GenerationBody, gives=shapes.GenerationAnswer),
    ("POST", "/v1/images/edits"): Operation(form=EDIT, gives=shapes.GenerationAnswer),
    # operation
    ("GET", "/health"): Operation(gives=Health),
    ("GET", "/ready"): Operation(gives=Health, unready=True),
    ("GET", "/metrics"): Operation(media=("text/plain",)),
    ("GET", "/openapi.json"): Operation(gives=OBJECT),
    ("GET", "/docs"): Operation(media=("text/html",)),
}
