"""The modules that packs import, by the peer's names, with Easel behind them.

``install`` puts them into ``sys.modules`` once, before the first pack is imported. Each function below makes the
contents of one module; what is not there fails at import, in the pack's report.
"""

from __future__ import annotations

import argparse
import enum
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn, cast

import psutil
import torch

from engine.comfy import graph_utils
from engine.comfy.convert import ExecutionBlocker
from engine.comfy.core_nodes import core_class
from engine.comfy.from_class import FolderNames
from engine.comfy.guiders import CFGGuider, calc_cond_batch, cfg_function, sampling_function
from engine.comfy.running import Host, check_cancelled, report, running, send
from engine.comfy.samplers import K_DIFFUSION, KSampler, PackSampler, ksampler
from engine.diffusion.resize import common_upscale
from engine.diffusion.samplers import SAMPLER_NAMES
from engine.diffusion.schedules import SCHEDULE_NAMES
from engine.diffusion.tensorfile import open_tensors, read_index
from engine.files.folders import MODEL_FOLDERS
from engine.graph.node import Cancelled

MAX_RESOLUTION = 16_384
ANNOTATED = re.compile(r"(?s)(.*) \[(input|output|temp)\]\Z")
Names = dict[str, Any]


class IO(str, enum.Enum):  # noqa: UP042 - str(IO.ANY) is not what packs compare
    """Socket types; unequal only to what cannot be connected."""

    STRING = "STRING"
    IMAGE = "IMAGE"
    MASK = "MASK"
    LATENT = "LATENT"
    BOOLEAN = "BOOLEAN"
    INT = "INT"
    FLOAT = "FLOAT"
    COMBO = "COMBO"
    CONDITIONING = "CONDITIONING"
    SAMPLER = "SAMPLER"
    SIGMAS = "SIGMAS"
    GUIDER = "GUIDER"
    NOISE = "NOISE"
    CLIP = "CLIP"
    CONTROL_NET = "CONTROL_NET"
    VAE = "VAE"
    MODEL = "MODEL"
    CLIP_VISION = "CLIP_VISION"
    CLIP_VISION_OUTPUT = "CLIP_VISION_OUTPUT"
    STYLE_MODEL = "STYLE_MODEL"
    GLIGEN = "GLIGEN"
    UPSCALE_MODEL = "UPSCALE_MODEL"
    PRIMITIVE = "STRING,FLOAT,INT,BOOLEAN"
    NUMBER = "FLOAT,INT"
    ANY = "*"

    def __ne__(self, other: object) -> bool:
        """False if either takes anything, or one set of types holds the other."""
        if not isinstance(other, str) or "*" in (self.value, str.__str__(other)):
            return not isinstance(other, str)
        mine, theirs = set(self.value.split(",")), set(str.__str__(other).split(","))
        return not (mine <= theirs or theirs <= mine)

    def __eq__(self, other: object) -> bool:
        """Equality is that of the text."""
        return isinstance(other, str) and str.__eq__(self.value, other)

    def __hash__(self) -> int:
        """As the text's."""
        return hash(self.value)

    def __str__(self) -> str:
        """Give the type's name in the protocol."""
        return self.value


class ProgressBar:
    """Progress of the node that runs."""

    def __init__(self, total: float, node_id: str | None = None) -> None:
        self.total = total
        self.current = 0.0

    def update(self, value: float) -> None:
        """Go on by some steps."""
        self.update_absolute(self.current + value)

    def update_absolute(self, value: float, total: float | None = None, preview: Any = None) -> None:
        """Be at a step."""
        self.total = total if total is not None else self.total
        self.current = min(value, self.total)
        report(self.current, self.total, preview)


class _Execution:
    def set_progress(
        self, value: float, max_value: float, node_id: str | None = None, preview_image: Any = None
    ) -> None:
        """Report progress of the node that runs."""
        report(value, max_value)


class _AsyncExecution:
    async def set_progress(
        self, value: float, max_value: float, node_id: str | None = None, preview_image: Any = None
    ) -> None:
        """Report progress of the node that runs."""
        report(value, max_value)


class ComfyAPISync:
    """The API object of plain nodes."""

    def __init__(self) -> None:
        self.execution = _Execution()


class ComfyAPI:
    """The API object of async nodes."""

    def __init__(self) -> None:
        self.execution = _AsyncExecution()


CLIENT = "the client of the job"  # which one the server knows, so that packs cannot write to others
MOST_ROUTES = 1_000  # of all packs; more is a mistake


class _Routes:
    """Takes route decorators and keeps which routes packs wanted: Easel's server answers them with 501."""

    def __init__(self) -> None:
        self.wanted: dict[tuple[str, str], None] = {}

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def decorate(*words: Any, **_: Any) -> Callable[[Any], Any]:
            # route(method, path), static(prefix, folder), or get(path), post(path) …
            named = [word for word in words if isinstance(word, str)]
            if method == "route" and len(named) > 1:
                self._want(named[0].upper(), named[1])
            elif method == "static" and named:
                self._want("GET", named[0].rstrip("/") + "/{path:.*}")
            elif named:
                self._want("*" if method == "view" else method.upper(), named[0])
            return lambda function: function

        return decorate

    def _want(self, method: str, path: str) -> None:
        if path.startswith("/") and len(self.wanted) < MOST_ROUTES:
            self.wanted[method, path] = None


class PromptServer:
    """``PromptServer.instance`` of packs: messages to the client; routes and prompt handlers are not called."""

    instance: PromptServer

    def __init__(self) -> None:
        self.routes = _Routes()
        self.last_node_id: str | None = None
        self.app = self.loop = self.prompt_queue = None
        self.supports = ["custom_nodes_from_web"]

    @property
    def client_id(self) -> str | None:
        """Whom messages go to: the client of the job that runs, by whatever name; None where no node runs."""
        return None if running.get() is None else CLIENT

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        """Send a message to the client of the running job."""
        send(event, data)

    def send_progress_text(self, text: str, node_id: str, sid: str | None = None) -> None:
        """Send a text to the client of the running job."""
        send("progress_text", {"nodeId": node_id, "text": text})

    def add_on_prompt_handler(self, handler: Callable[..., Any]) -> None:
        """Accepted; a pack cannot change what is posted."""


def load_torch_file(path: str, safe_load: bool = True, device: Any = None, return_metadata: bool = False) -> Any:
    """The tensors of a file by name; only weights are ever loaded. Raises CheckpointError."""
    index = read_index(Path(path))
    with open_tensors(Path(path)) as read:
        tensors = {name: read(name).to(device) if device is not None else read(name) for name in index.entries}
    return (tensors, dict(index.metadata)) if return_metadata else tensors


def utils() -> Names:
    """``comfy.utils``."""
    return {
        "ProgressBar": ProgressBar, "common_upscale": common_upscale, "load_torch_file": load_torch_file,
        "PROGRESS_BAR_ENABLED": True,
    }


def model_management(host: Host) -> Names:
    """``comfy.model_management``: one device, whose memory is the engine's business."""
    cpu, device = torch.device("cpu"), host.device

    def memory(of: Any = None) -> tuple[int, int]:
        """Bytes that are free, and all: of the device that is asked for, or of the one that networks run on."""
        asked = torch.device(of) if isinstance(of, str | torch.device) else device
        if asked.type == "cuda":
            return torch.cuda.mem_get_info(asked)
        found = psutil.virtual_memory()
        return int(found.available), int(found.total)

    def get_free_memory(dev: Any = None, torch_free_too: bool = False) -> Any:
        free = memory(dev)[0]
        return (free, free) if torch_free_too else free

    def get_total_memory(dev: Any = None, torch_total_too: bool = False) -> Any:
        total = memory(dev)[1]
        return (total, total) if torch_total_too else total

    return {
        "get_torch_device": lambda: device, "intermediate_device": lambda: cpu, "unet_offload_device": lambda: cpu,
        "vae_device": lambda: device, "vae_offload_device": lambda: cpu, "text_encoder_device": lambda: device,
        "text_encoder_offload_device": lambda: cpu, "soft_empty_cache": lambda force=False: None,
        "throw_exception_if_processing_interrupted": check_cancelled, "InterruptProcessingException": Cancelled,
        "load_models_gpu": lambda *args, **kwargs: None, "load_model_gpu": lambda model: None,
        "unload_all_models": lambda: None, "get_free_memory": get_free_memory, "get_total_memory": get_total_memory,
        "is_device_mps": lambda device: False,
        "is_device_cpu": lambda each: torch.device(each).type == "cpu",
        "should_use_fp16": lambda *args, **kwargs: False,
        "processing_interrupted": lambda: False, "OOM_EXCEPTION": torch.cuda.OutOfMemoryError,
        "cpu_state": SimpleNamespace(name="CPU" if device.type == "cpu" else "GPU"),
    }


def folder_paths(host: Host) -> Names:
    """``folder_paths``: Easel's folders."""
    folders = host.folders
    models = cast("dict[str, tuple[Path, ...]]", folders.models)

    as_served = {name: paths for name, paths in models.items() if name in MODEL_FOLDERS}

    def get_filename_list(folder_name: str) -> list[str]:
        names = folders.list(folder_name)
        # folders that a pack has added are known in this process only, so their files cannot be listed by the server
        served = as_served.get(folder_name) is not None and models.get(folder_name) == as_served[folder_name]
        return FolderNames(names, folder_name) if served else names

    def get_full_path(folder_name: str, filename: str) -> str | None:
        path = folders.find(folder_name, filename)
        return str(path) if path is not None else None

    def get_full_path_or_raise(folder_name: str, filename: str) -> str:
        path = get_full_path(folder_name, filename)
        if path is None:
            raise FileNotFoundError(f"there is no file {filename!r} in the model folder {folder_name}")
        return path

    def add_model_folder_path(folder_name: str, full_folder_path: str, is_default: bool = False) -> None:
        known, added = models.get(folder_name, ()), Path(full_folder_path)
        if added not in known:
            models[folder_name] = (added, *known) if is_default else (*known, added)

    def annotated(name: str) -> tuple[str, str | None]:
        match = ANNOTATED.match(name)
        return (match[1], str(folders.files_kind(match[2]))) if match else (name, None)

    def get_annotated_filepath(name: str, default_dir: str | None = None) -> str:
        name, folder = annotated(name)
        return str(Path(folder or default_dir or folders.input) / name)

    def get_save_image_path(
        filename_prefix: str, output_dir: str, image_width: int = 0, image_height: int = 0
    ) -> tuple[str, str, int, str, str]:
        prefix = filename_prefix.replace("%width%", str(image_width)).replace("%height%", str(image_height))
        root = Path(output_dir).resolve()
        folder = (root / prefix).parent.resolve()
        if not folder.is_relative_to(root):
            raise ValueError(f"the file name prefix {filename_prefix!r} leads out of the output folder")
        folder.mkdir(parents=True, exist_ok=True)
        name = Path(prefix).name
        counter = re.compile(re.escape(name) + r"_(\d+)", re.IGNORECASE)
        used = [int(match[1]) for each in folder.iterdir() if (match := counter.match(each.name))]
        subfolder = folder.relative_to(root).as_posix()
        return str(folder), name, max(used, default=0) + 1, "" if subfolder == "." else subfolder, prefix

    checkpoints = models["checkpoints"][0]
    return {
        "get_filename_list": get_filename_list, "get_full_path": get_full_path,
        "get_full_path_or_raise": get_full_path_or_raise, "add_model_folder_path": add_model_folder_path,
        "get_folder_paths": lambda folder_name: [str(each) for each in models.get(folder_name, ())],
        "get_input_directory": lambda: str(folders.input), "get_output_directory": lambda: str(folders.output),
        "get_temp_directory": lambda: str(folders.temp), "get_user_directory": lambda: str(folders.user),
        "get_directory_by_type": lambda kind: str(folders.files_kind(kind)) if folders.files_kind(kind) else None,
        "get_annotated_filepath": get_annotated_filepath, "annotated_filepath": annotated,
        "exists_annotated_filepath": lambda name: Path(get_annotated_filepath(name)).exists(),
        "get_save_image_path": get_save_image_path, "models_dir": str(checkpoints.parent),
        "base_path": str(Path(__file__).resolve().parents[2]),
        "folder_names_and_paths": {
            name: ([str(each) for each in paths], set(MODEL_FOLDERS.get(name, ((), frozenset()))[1]))
            for name, paths in models.items()
        },
        "supported_pt_extensions": set(MODEL_FOLDERS["checkpoints"][1]),
    }


def nodes_names(host: Host) -> Names:
    """What Easel's own package ``nodes`` is given: the core classes by name."""
    classes = {name: core_class(impl, host.folders.list) for name, impl in host.nodes.items()}
    titles = {name: impl.spec.display_name for name, impl in host.nodes.items()}
    return {
        **classes, "NODE_CLASS_MAPPINGS": classes, "NODE_DISPLAY_NAME_MAPPINGS": titles,
        "MAX_RESOLUTION": MAX_RESOLUTION,
    }


def _no_validation(*args: Any, **kwargs: Any) -> NoReturn:
    raise NotImplementedError("Easel checks workflows in its server process; packs cannot do it from here")


def surface(host: Host) -> dict[str, Names]:
    """All modules, by name."""
    blocker = {"ExecutionBlocker": ExecutionBlocker}
    typing = {"IO": IO, "ComfyNodeABC": type("ComfyNodeABC", (), {}), "InputTypeDict": dict, "FileLocator": dict}
    api = {"ComfyAPI": ComfyAPI, "ComfyAPISync": ComfyAPISync}
    server: Names = {"PromptServer": PromptServer}
    PromptServer.instance = PromptServer()
    return {
        "comfy": {}, "comfy.utils": utils(), "comfy.model_management": model_management(host),
        "comfy.comfy_types": typing, "comfy.comfy_types.node_typing": typing,
        "comfy.samplers": {
            "SAMPLER_NAMES": list(SAMPLER_NAMES), "SCHEDULER_NAMES": list(SCHEDULE_NAMES),
            "KSampler": type("KSampler", (), {"SAMPLERS": list(SAMPLER_NAMES), "SCHEDULERS": list(SCHEDULE_NAMES)}),
            "KSAMPLER": KSampler, "Sampler": PackSampler, "ksampler": ksampler, "sampler_object": ksampler,
            "CFGGuider": CFGGuider, "sampling_function": sampling_function, "calc_cond_batch": calc_cond_batch,
            "cfg_function": cfg_function,
        },
        "comfy.k_diffusion": {}, "comfy.k_diffusion.sampling": dict(K_DIFFUSION),
        "comfy.cli_args": {"args": argparse.Namespace(cpu=host.device.type == "cpu", disable_metadata=False)},
        "comfy_execution": {}, "comfy_execution.graph": blocker,
        "comfy_execution.graph_utils": {**vars(graph_utils), **blocker},
        "comfy_api": {}, "comfy_api.v0_0_2": api, "folder_paths": folder_paths(host), "server": server,
        "execution": {"validate_prompt": _no_validation}, "latent_preview": {}, "custom_nodes": {},
    }


def install(host: Host) -> None:
    """Put the modules in ``sys.modules``, anew for each host."""
    for name, contents in surface(host).items():
        module = ModuleType(name, "Made by Easel for node packs.")
        _fill(module, contents)
        module.__path__ = []
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
    import nodes

    _fill(nodes, nodes_names(host))


def _fill(module: ModuleType, contents: Mapping[str, Any]) -> None:
    for key, value in contents.items():
        if not key.startswith("__"):
            setattr(module, key, value)
