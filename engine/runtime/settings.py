"""What a worker is told on its command line, as data; the server passes its own flags on. Imports no torch."""

from __future__ import annotations

import argparse
import gc
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.files.folders import Folders, make_folders, read_extra_model_paths
from engine.files.verdicts import POLICIES, Policy
from engine.runtime.memory_flags import (
    WHAT_IS_FREE,
    Memory,
    add_memory_flags,
    memory_arguments,
    read_memory,
    size_in_bytes,
)
from engine.runtime.precision_flags import (
    ALL_ALIKE,
    NetworkTypes,
    Word,
    add_precision_flags,
    precision_arguments,
    read_types,
)

ROOT = Path(__file__).resolve().parents[2]



def share_cores(environment: MutableMapping[str, str]) -> None:
    """Let a network's idle threads sleep. Before torch is imported, here or in the workers that inherit this.

    Torch's OpenMP threads wait for each other a thousand times in one call of a network. By default they do so
    spinning: where another program wants the same cores, each wait burns the time that the awaited thread needs.
    Measured on two cores, a miniature UNet, two such programs: 0.4 to 2.3 s a call spinning, 0.06 s sleeping; alone
    0.04 s and 0.07 s. What the user has set stays.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & environment.keys():
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def collect_seldom() -> None:
    """Have the collector look at what is made from now on only, and after many objects: called when all is loaded.

    Torch and the nodes are a million objects that never go. A graph of 10,000 nodes makes 100,000 in one go; walking
    through everything each time took longer than carrying such a graph out of the cache (0.33 s, without it 0.12 s).
    After `start.begin` it has not looked at all, and goes on with what comes: finding the one MB of waste takes 0.2 s.
    """
    if gc.isenabled():
        gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


@dataclass(frozen=True, slots=True)
class Settings:
    """folders, and how to compute. memory: how much of it may be used; cache_memory: bytes of it that values may take.

    devices: the names of all workers' devices, and place which of them is this worker's; none: the first accelerator.
    batch_limit: the most pictures that go through a network at once; larger batches are split. safety: what becomes of
    pictures that the checker in the file safety_model flags; verdicts is the database that the server reads.
    """

    folders: Folders
    cpu: bool = False
    devices: tuple[str, ...] = ()
    place: int = 0
    precision: Word = "auto"
    types: NetworkTypes = ALL_ALIKE
    batch_limit: int | None = None
    memory: Memory = WHAT_IS_FREE
    cache_memory: int = 1 * 2**30
    cache_disk: int = 0
    cache_directory: Path | None = None
    threads: int | None = None
    plain: bool = False  # no packed weights, no compiled kernels
    safety: Policy = "off"
    safety_model: Path | None = None
    verdicts: Path | None = None
    packs: tuple[Path, ...] = ()  # folders whose ComfyUI-style node packs are imported
    only_packs: tuple[str, ...] = ()  # of these, only those of these names; all if empty
    deterministic: bool = False
    per_image_seeds: bool = False
    remember: bool = True  # from job to job
    jobs_at_once: int | None = None  # None: several on an accelerator, one on a CPU
    preview_size: int = 512


def add_worker_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that server, worker and headless runs share."""
    group = parser.add_argument_group("folders")
    group.add_argument("--base-directory", type=_directory, action=_Base, metavar="DIR",
                       help="a ComfyUI directory: its models, custom_nodes, input, output, temp and user folders "
                            "are used where no other flag names one")
    group.add_argument("--data-directory", type=Path, default=ROOT / "data", metavar="DIR",
                       help="everything Easel writes lives here (default: data)")
    group.add_argument("--models-directory", type=Path, default=ROOT / "models", metavar="DIR",
                       help="checkpoints/, loras/, vae/ … (default: models)")
    for name in ("input", "output", "temp", "user"):
        group.add_argument(f"--{name}-directory", type=Path, metavar="DIR",
                           help=f"the {name} folder, where it is not in the data directory")
    group.add_argument("--extra-model-paths-config", type=Path, action="extend", nargs="+", default=[], metavar="FILE",
                       help="a ComfyUI extra_model_paths.yaml that names further model folders")
    group.add_argument("--custom-nodes", action="store_true",
                       help="import the node packs in custom_nodes/: they are programs and may do anything you may "
                            "(packs in folders that an extra-model-paths file names are imported too)")
    group.add_argument("--disable-all-custom-nodes", action="store_true",
                       help="import no node packs, but those that --whitelist-custom-nodes names")
    group.add_argument("--whitelist-custom-nodes", nargs="+", default=[], metavar="NAME[@HASH]",
                       help="import only the packs of these names; with the hash that doctor and the log show, only"
                            " while their programs are the same")
    group = parser.add_argument_group("computing")
    group.add_argument("--cpu", action="store_true", help="run networks on the CPU even if there is an accelerator")
    group.add_argument("--devices", type=_devices, default=(), metavar="NAME,…",
                       help="a worker for each, as cuda:0,cuda:1 or cpu,cpu: jobs go to one that is free, and the node "
                            "SplitOverDevices has one batch made by all (run: by the first, with the others' help)")
    group.add_argument("--place", type=int, default=0, help=argparse.SUPPRESS)
    add_precision_flags(group)
    add_memory_flags(group)
    group.add_argument("--batch-limit", type=_at_least_one, metavar="N",
                       help="the most pictures that go through a network at once; larger batches are split "
                            "(default: no limit; the autoencoder takes them one by one)")
    group.add_argument("--jobs-at-once", type=_at_least_one, metavar="N",
                       help="how many jobs a worker carries out at once, their denoising merged into batches; not with "
                            "--deterministic, --per-image-seeds or --cache-none (default: 8 on an accelerator, 1 on a "
                            "CPU)")
    group.add_argument("--deterministic", action="store_true",
                       help="use only algorithms that give the same bits each time; slower on accelerators")
    group.add_argument("--per-image-seeds", action="store_true",
                       help="picture i of a batch is exactly the single picture of the seed plus i; slower")
    group.add_argument("--cache-memory", type=size_in_bytes, default=2**30, metavar="SIZE",
                       help="how much memory values may take that may be wanted again, as 512M or 4G (default: 1G)")
    group.add_argument("--cache-disk", type=size_in_bytes, default=4 * 2**30, metavar="SIZE",
                       help="how much disk such values may take; 0 keeps none (default: 4G)")
    group.add_argument("--cache-none", action="store_true", help="remember nothing from job to job: every node runs")
    group.add_argument("--preview-size", type=_at_least_one, default=512, metavar="N",
                       help="the longest side of previews in pixels (default: 512)")
    group.add_argument("--threads", type=_threads, metavar="N", help="threads per operation (default: all cores)")
    group.add_argument("--plain", action="store_true",
                       help="compute by PyTorch's own operations alone, without packed weights and compiled kernels")
    add_safety_flags(parser)


def add_safety_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the safety policy."""
    group = parser.add_argument_group("safety")
    group.add_argument("--safety", choices=POLICIES, default="off",
                       help="check every picture before it is saved or shown; flagged ones are labelled, blurred or "
                            "blackened, and files that were not checked are not served (default: off)")
    group.add_argument("--safety-model", type=Path, metavar="FILE",
                       help="the checker: model.safetensors or pytorch_model.bin of stable-diffusion-safety-checker")


def check_safety_flags(options: argparse.Namespace) -> None:
    """Raise ValueError if a policy is wanted and there is no checker."""
    if options.safety != "off" and options.safety_model is None:
        raise ValueError(
            f"--safety {options.safety} needs --safety-model FILE, the model.safetensors or pytorch_model.bin of a "
            "safety checker"
        )
    if options.safety != "off" and not options.safety_model.is_file():
        raise ValueError(f"--safety-model {options.safety_model}: there is no such file")


def check_devices(options: argparse.Namespace) -> None:
    """Raise ValueError where flags say different things of the devices."""
    if options.cpu and options.devices:
        raise ValueError("--cpu and --devices exclude each other; write --devices cpu")
    if not 0 <= options.place < max(1, len(options.devices)):
        raise ValueError(f"--place {options.place} is none of the {len(options.devices)} devices")


def _devices(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.lower().split(","))
    if not all(re.fullmatch(r"cpu|cuda:\d{1,3}", name) for name in names):
        raise argparse.ArgumentTypeError(
            f"devices are cpu, cuda:0, cuda:1 and so on, with commas between; found {text!r}")
    return names


def _directory(text: str) -> Path:
    path = Path(text).expanduser().resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return path


class _Base(argparse.Action):
    """Names the folders below a base directory, as far as they are not named."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        namespace.base_directory = values
        if namespace.models_directory == ROOT / "models":
            namespace.models_directory = values / "models"
        for name in ("input", "output", "user"):
            key = f"{name}_directory"
            setattr(namespace, key, getattr(namespace, key) or values / name)
        namespace.temp_directory = namespace.temp_directory or values


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"threads are a number from 1 to 1024; found {text!r}")
    return int(text)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a limit is a whole number of at least 1; found {text!r}")
    return int(text)


def read_folders(options: argparse.Namespace) -> Folders:
    """The folders that the flags name. Raises ValueError for a configuration file that cannot be read."""
    extra = [each for path in options.extra_model_paths_config for each in read_extra_model_paths(path)]
    return make_folders(
        data=options.data_directory.resolve(), models=options.models_directory.resolve(), extra=extra,
        input_directory=_absolute(options.input_directory), output=_absolute(options.output_directory),
        # emptied at each start, so it is a folder of its own below the one that is named; ComfyUI does the same
        temp=_absolute(options.temp_directory / "temp" if options.temp_directory else None),
        user=_absolute(options.user_directory),
    )


def read_packs(options: argparse.Namespace) -> tuple[Path, ...]:
    """The folders of node packs that the user switched on, by flag or by naming them in a configuration file."""
    if options.disable_all_custom_nodes and not options.whitelist_custom_nodes:
        return ()
    packs = [(options.base_directory or ROOT) / "custom_nodes"] if options.custom_nodes else []
    for path in options.extra_model_paths_config:
        named = (more for more in read_extra_model_paths(path) if more.name == "custom_nodes")
        packs.extend(each for more in named for each in more.paths)
    return tuple(packs)


def _absolute(path: Path | None) -> Path | None:
    return path.resolve() if path else None


def verdicts_file(options: argparse.Namespace) -> Path:
    """Where verdicts on pictures are kept."""
    data: Path = options.data_directory.resolve()
    return data / "safety.db"


def read_settings(options: argparse.Namespace) -> Settings:
    """The settings that the flags say. Raises ValueError where they do not go together."""
    check_safety_flags(options)
    check_devices(options)
    return Settings(
        folders=read_folders(options), cpu=options.cpu, devices=options.devices, place=options.place,
        precision=options.precision,
        types=read_types(options), memory=read_memory(options),
        batch_limit=options.batch_limit,
        cache_memory=options.cache_memory, cache_disk=options.cache_disk,
        cache_directory=options.data_directory.resolve() / "cache", threads=options.threads,
        plain=options.plain, packs=read_packs(options),
        only_packs=tuple(options.whitelist_custom_nodes), deterministic=options.deterministic,
        per_image_seeds=options.per_image_seeds, jobs_at_once=options.jobs_at_once,
        remember=not options.cache_none, preview_size=options.preview_size,
        safety=options.safety, safety_model=_absolute(options.safety_model), verdicts=verdicts_file(options),
    )


def worker_arguments(options: argparse.Namespace) -> list[str]:
    """The flags again, for a worker's command line."""
    arguments = [
        "--data-directory", str(options.data_directory.resolve()),
        "--models-directory", str(options.models_directory.resolve()), *precision_arguments(options),
        *memory_arguments(options),
    ]
    for name in ("input", "output", "temp", "user"):
        path = getattr(options, f"{name}_directory")
        if path:
            arguments += [f"--{name}-directory", str(path.resolve())]
    for path in options.extra_model_paths_config:
        arguments += ["--extra-model-paths-config", str(path.resolve())]
    for name in ("custom_nodes", "disable_all_custom_nodes", "deterministic", "cache_none", "per_image_seeds", "plain"):
        if getattr(options, name):
            arguments.append("--" + name.replace("_", "-"))
    if options.base_directory:
        arguments[:0] = ["--base-directory", str(options.base_directory)]
    if options.whitelist_custom_nodes:
        arguments += ["--whitelist-custom-nodes", *options.whitelist_custom_nodes]
    for name in ("preview_size", "cache_memory", "cache_disk"):
        arguments += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    if options.cpu:
        arguments.append("--cpu")
    if options.devices:
        arguments += ["--devices", ",".join(options.devices)]
    for name in ("batch_limit", "jobs_at_once"):
        if getattr(options, name):
            arguments += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    if options.safety != "off":
        arguments += ["--safety", options.safety, "--safety-model", str(options.safety_model.resolve())]
    if options.threads:
        arguments += ["--threads", str(options.threads)]
    return arguments
