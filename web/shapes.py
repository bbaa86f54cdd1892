"""The shapes of ComfyUI's protocol, as structures: what its routes take and give, and what its WebSocket says.

They describe: ``/openapi.json`` is made from them, and from it the editor's types. Tests hold the answers of a running
server against them. Fields that may be absent are ``UNSET``.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from engine.files.userfiles import FileInfo

Kind = Literal["input", "output", "temp"]


class Shape(msgspec.Struct):
    """A structure of the protocol."""


# -- queue and history -------------------------------------------------------------------------------------------


class ExecInfo(Shape):
    """How many jobs are not ended, the running one included."""

    queue_remaining: int


class QueueLength(Shape):
    """The length of the queue."""

    exec_info: ExecInfo


class PromptBody(Shape):
    """A workflow to run. ``prompt`` is in the API form or the editor's; unknown keys are ignored.

    number: priority, lowest first; front: before all others (both for administrators). client_id: whose WebSocket is
    told. partial_execution_targets: ids of the output nodes wanted. extra_data: ``extra_pnginfo.workflow`` is the
    editor's file, which pictures then carry.
    """

    prompt: dict[str, Any]
    client_id: str | UnsetType = UNSET
    prompt_id: str | UnsetType = UNSET
    number: float | UnsetType = UNSET
    front: bool | UnsetType = UNSET
    extra_data: dict[str, Any] | UnsetType = UNSET
    partial_execution_targets: list[str] | UnsetType = UNSET


class NodeError(Shape):
    """One thing that is wrong with a node; ``extra_info`` has the input's name and what was received."""

    type: str
    message: str
    details: str
    extra_info: dict[str, Any]


class NodeErrors(Shape):
    """What is wrong with a node, and the output nodes that cannot run for it."""

    errors: list[NodeError]
    dependent_outputs: list[str]
    class_type: str


class PromptAnswer(Shape):
    """A job that is on disk; ``node_errors`` has the outputs that cannot run and were left out."""

    prompt_id: str
    number: float
    node_errors: dict[str, NodeErrors]


QueueItem = tuple[float, str, dict[str, Any], dict[str, Any], list[str]]
"""number, id, graph in the API form, ``extra_data``, ids of the output nodes"""


class QueueAnswer(Shape):
    """Every job that is not ended."""

    queue_running: list[QueueItem]
    queue_pending: list[QueueItem]


class ClearBody(Shape):
    """What to drop: all, or the jobs named."""

    clear: bool | UnsetType = UNSET
    delete: list[str] | UnsetType = UNSET


class InterruptBody(Shape):
    """Which job to stop, if it is the running one; without an id whichever runs."""

    prompt_id: str | UnsetType = UNSET


class FreeBody(Shape):
    """What to give back: models; cached values too."""

    unload_models: bool | UnsetType = UNSET
    free_memory: bool | UnsetType = UNSET


class FreeAnswer(Shape):
    """How many bytes came back."""

    freed: int


class HistoryStatus(Shape):
    """How a job ended, and the messages that its client was sent: names with their data."""

    status_str: Literal["success", "error"]
    completed: bool
    messages: list[tuple[str, dict[str, Any]]]


class NodeMeta(Shape):
    """Where a node stands that shows something; ``real_node_id`` is the user's node above expansions."""

    node_id: str
    display_node: str
    parent_node: str | None
    real_node_id: str


class HistoryEntry(Shape):
    """An ended job; ``outputs`` has what each output node shows, such as ``{"images": [{"filename", …}]}``."""

    prompt: QueueItem
    outputs: dict[str, dict[str, Any]]
    status: HistoryStatus
    meta: dict[str, NodeMeta]


# -- nodes and system --------------------------------------------------------------------------------------------


class NodeInputs(Shape):
    """A node's inputs by section: for each name ``[type or choices, options]``; hidden ones may be a bare type."""

    required: dict[str, list[Any]]
    optional: dict[str, list[Any]] | UnsetType = UNSET
    hidden: dict[str, Any] | UnsetType = UNSET


class NodeInfo(Shape):
    """A node class, as ``/object_info`` tells it."""

    input: NodeInputs
    input_order: dict[str, list[str]]
    output: list[str]
    output_is_list: list[bool]
    output_name: list[str]
    name: str
    display_name: str
    description: str
    python_module: str
    category: str
    output_node: bool
    output_tooltips: list[str] | UnsetType = UNSET
    deprecated: bool | UnsetType = UNSET
    experimental: bool | UnsetType = UNSET


class SystemInfo(Shape):
    """The machine and what runs on it; memory in bytes."""

    os: str
    ram_total: int
    ram_free: int
    comfyui_version: str
    easel_version: str
    required_frontend_version: str
    installed_templates_version: str
    required_templates_version: str
    python_version: str
    pytorch_version: str
    embedded_python: bool
    argv: list[str]


class DeviceInfo(Shape):
    """A device and its memory in bytes."""

    name: str
    type: str
    index: int
    vram_total: int
    vram_free: int
    torch_vram_total: int
    torch_vram_free: int


class SystemStats(Shape):
    """The system and its devices."""

    system: SystemInfo
    devices: list[DeviceInfo]


class Features(Shape):
    """What this server can do."""

    supports_preview_metadata: bool
    max_upload_size: int


class ModelFolder(Shape):
    """A kind of model and where its files are."""

    name: str
    folders: list[str]


# -- files, users, logs ------------------------------------------------------------------------------------------


class Uploaded(Shape):
    """Where an uploaded picture is."""

    name: str
    subfolder: str
    type: Kind


class UsersInfo(Shape):
    """How users' files are kept; ``users`` (id → name) only with ``--multi-user``."""

    storage: str
    migrated: bool | UnsetType = UNSET
    users: dict[str, str] | UnsetType = UNSET


class UserBody(Shape):
    """A user to add."""

    username: str


class LogEntry(Shape):
    """A line of the log and its time (ISO 8601)."""

    t: str
    m: str


class TerminalSize(Shape):
    """The terminal that the lines are meant for."""

    cols: int
    rows: int


class RawLogs(Shape):
    """The last lines of the log."""

    entries: list[LogEntry]
    size: TerminalSize


class FollowBody(Shape):
    """Whose WebSocket is told of new lines, or no more."""

    clientId: str  # noqa: N815 - the protocol's name
    enabled: bool | UnsetType = UNSET


class AtOnce(msgspec.Struct, frozen=True):
    """How many jobs a worker carries out at once; 0 while none is ready."""

    at_once: int


class Paused(Shape):
    """Whether the queue is paused."""

    paused: bool


Listing = list[str | FileInfo | list[str]]
"""of ``GET /userdata``: paths; with ``full_info`` what is known of each; with ``split`` ``[path, part, …]``"""
Written = str | FileInfo
"""a file's path, or with ``full_info`` what is known of it"""


# -- other servers' doors ----------------------------------------------------------------------------------------


class A1111Body(Shape):
    """A picture to make; other fields of A1111's that would change it are refused."""

    prompt: str | UnsetType = UNSET
    negative_prompt: str | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    steps: int | UnsetType = UNSET
    cfg_scale: float | UnsetType = UNSET
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET
    batch_size: int | UnsetType = UNSET
    sampler_name: str | UnsetType = UNSET
    scheduler: str | UnsetType = UNSET
    override_settings: dict[str, Any] | UnsetType = UNSET


class A1111ImageBody(A1111Body, kw_only=True):
    """The same, from a picture (base64)."""

    init_images: list[str]
    denoising_strength: float | UnsetType = UNSET


class A1111Answer(Shape):
    """Pictures in base64; ``info`` is JSON with the seed, the job's id, and a text of parameters for each picture."""

    images: list[str]
    parameters: dict[str, Any]
    info: str


class A1111Model(Shape):
    """A checkpoint."""

    title: str
    model_name: str
    hash: str | None
    sha256: str | None
    filename: str
    config: str | None


class A1111Sampler(Shape):
    """A sampler by A1111's name."""

    name: str
    aliases: list[str]
    options: dict[str, Any]


class A1111Scheduler(Shape):
    """A schedule by A1111's name."""

    name: str
    label: str
    aliases: list[str] | None


class A1111Progress(Shape):
    """How far the running job is, from 0 to 1."""

    progress: float
    eta_relative: float
    current_image: str | None
    textinfo: str | None
    state: dict[str, Any]


class GenerationBody(Shape):
    """Pictures to make of a text; ``seed`` is not OpenAI's, and ``model`` is a checkpoint or one of theirs."""

    prompt: str
    model: str | UnsetType = UNSET
    n: int | UnsetType = UNSET
    size: str | UnsetType = UNSET
    response_format: Literal["b64_json", "url"] | UnsetType = UNSET
    seed: int | UnsetType = UNSET


class GeneratedImage(Shape):
    """A picture: in base64, or its address. ``flagged`` by the safety policy is not OpenAI's."""

    flagged: bool
    b64_json: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class GenerationAnswer(Shape):
    """The pictures made."""

    created: int
    data: list[GeneratedImage]


# -- what the WebSocket says -------------------------------------------------------------------------------------


class Said(msgspec.Struct, tag_field="type"):
    """A text message of the WebSocket."""


class StatusData(Shape):
    """The length of the queue; ``sid`` is the client's id, in the first message."""

    status: QueueLength
    sid: str | UnsetType = UNSET


class Status(Said, tag="status"):
    """The queue has changed; also the first message of all."""

    data: StatusData


class FeatureFlags(Said, tag="feature_flags"):
    """The server's answer to the client's flags."""

    data: Features


class JobTime(Shape):
    """A job and a time in milliseconds since the epoch."""

    prompt_id: str
    timestamp: int


class ExecutionStart(Said, tag="execution_start"):
    """A job begins."""

    data: JobTime


class CachedData(JobTime):
    """The nodes that will not run."""

    nodes: list[str]


class ExecutionCached(Said, tag="execution_cached"):
    """The cache was looked into."""

    data: CachedData


class ExecutingData(Shape):
    """The node that begins; ``null`` when the job has ended."""

    node: str | None
    prompt_id: str
    display_node: str | UnsetType = UNSET


class Executing(Said, tag="executing"):
    """A node begins, or the job has ended."""

    data: ExecutingData


class ProgressData(Shape):
    """How far a node is."""

    value: float
    max: float
    prompt_id: str
    node: str


class ProgressMessage(Said, tag="progress"):
    """A node did a step."""

    data: ProgressData


class NodeProgressState(Shape):
    """Where a node stands."""

    value: float
    max: float
    state: Literal["running", "finished", "error"]
    node_id: str
    prompt_id: str
    display_node_id: str
    parent_node_id: str | None
    real_node_id: str


class ProgressStateData(Shape):
    """The nodes that run, and those that ended since the last message; all of them after connecting."""

    prompt_id: str
    nodes: dict[str, NodeProgressState]


class ProgressState(Said, tag="progress_state"):
    """Where nodes stand; at most 20 a second for a job."""

    data: ProgressStateData


class ExecutedData(Shape):
    """What an output node shows."""

    node: str
    display_node: str
    output: dict[str, Any] | None
    prompt_id: str


class Executed(Said, tag="executed"):
    """An output node has ended, or its outputs are known."""

    data: ExecutedData


class ExecutionSuccess(Said, tag="execution_success"):
    """A job has succeeded."""

    data: JobTime


class ErrorData(Shape):
    """What went wrong, and where; without a time if an output was only blocked."""

    prompt_id: str
    node_id: str | None
    node_type: str | None
    executed: list[str]
    exception_message: str
    exception_type: str
    traceback: list[str]
    current_inputs: dict[str, Any] | list[Any]
    current_outputs: list[str]
    timestamp: int | UnsetType = UNSET


class ExecutionError(Said, tag="execution_error"):
    """A node raised, or blocked an output with a message."""

    data: ErrorData


class InterruptedData(JobTime):
    """Where the job was stopped."""

    node_id: str | None
    node_type: str | None
    executed: list[str]


class ExecutionInterrupted(Said, tag="execution_interrupted"):
    """A job was stopped."""

    data: InterruptedData


class LogsData(Shape):
    """New lines."""

    entries: list[LogEntry]
    size: TerminalSize | None


class Logs(Said, tag="logs"):
    """Lines were logged; to clients that asked for them."""

    data: LogsData


SocketMessage = (
    Status | FeatureFlags | ExecutionStart | ExecutionCached | Executing | ProgressMessage | ProgressState | Executed
    | ExecutionSuccess | ExecutionError | ExecutionInterrupted | Logs
)
