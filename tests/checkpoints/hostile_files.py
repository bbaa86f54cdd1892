"""Reads every hostile file in every kind of reader, within an address space little larger than the process itself.

    python -m tests.checkpoints.hostile_files FOLDER

Run as a process of its own, because the limit stays. Prints JSON: for each case the error and the memory it took.
"""

import json
import pickle
import resource
import struct
import sys
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from engine.diffusion.checkpoint import open_checkpoint, open_folder, open_text, open_unet, open_vae
from engine.diffusion.embedding import read_embedding
from engine.diffusion.latentfile import read_latent
from engine.diffusion.standin import standin_config
from engine.diffusion.tensorfile import CheckpointError
from tests.checkpoints.files import tensors

ROOM = 400 * 2**20  # bytes beyond what the process has when it begins
MOST = 300 * 2**20  # of it, in memory at once


# torch's magic number, its version and an empty description of the machine, each a pickle
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + b"\x80\x02"


NAME = b"X" + struct.pack("<I", 1000) + b"a" * 1000


class Runs:
    """What a pickle of this would do on loading: leave a file."""

    def __init__(self, harm: Path) -> None:
        self.harm = harm

    def __reduce__(self) -> Any:
        return (exec, (f"open({str(self.harm)!r}, 'w').close()",))


class Allocates:
    """A pickle of this asks for a terabyte in a call that torch's weights-only reader allows."""

    def __reduce__(self) -> Any:
        return (bytearray, (10**12,))


def header(path: Path, text: bytes, data: bytes = b"\0\0") -> None:
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def archive(path: Path, pickled: bytes) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("m/data.pkl", pickled)
        file.writestr("m/version", b"3\n")


def short(path: Path) -> None:
    save_file(whole_numbers(), path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)


def legacy(path: Path, value: Any) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def cut_archive(path: Path) -> None:
    torch.save({"a": torch.ones(10_000)}, path)
    path.write_bytes(path.read_bytes()[:5000])


def cut_legacy(path: Path) -> None:
    legacy(path, {"a": torch.ones(10_000)})
    path.write_bytes(path.read_bytes()[:5000])


@lru_cache(maxsize=1)
def whole_numbers() -> dict[str, torch.Tensor]:
    """Every weight of the wrong type, and a latent and an embedding that are whole numbers."""
    named = {name: torch.zeros(value.shape, dtype=torch.int8) for name, value in tensors().items()}
    return {**named, "latent_tensor": torch.zeros(1, 4, 2, 2, dtype=torch.int64)}


SAFE: dict[str, Callable[[Path], None]] = {
    "a header of 2^63 bytes": lambda path: path.write_bytes(struct.pack("<Q", 2**63) + b"{}"),
    "a header of 30 MB of empty lists": lambda path: header(path, b'{"a":[' + b"[]," * 10_000_000 + b"[]]}"),
    "a header of 30 MB of empty objects": lambda path: header(path, b'{"a":[' + b"{}," * 10_000_000 + b"{}]}"),
    "a header of 30 MB of numbers": lambda path: header(path, b'{"a":[' + b"1," * 15_000_000 + b"1]}"),
    "a header of a million parts": lambda path: header(path, b'{"a":[' + b'{"a":1},' * 499_000 + b"0]}"),
    "a header nested a million deep": lambda path: header(path, b'{"a":' + b"[" * 999_999),
    "a shape of 2^62": lambda path: header(
        path, b'{"latent_tensor":{"dtype":"F32","shape":[4611686018427387904,4,1,1],"data_offsets":[0,2]}}'
    ),
    "a type that nobody has": lambda path: header(path, b'{"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}}'),
    "whole numbers": lambda path: save_file(whole_numbers(), path),
    "a file cut short": short,
    "a file cut in its header": lambda path: path.write_bytes(struct.pack("<Q", 100) + b'{"a":'),
    "a pickle by another name": lambda path: torch.save({"a": Runs(path.parent / "harm")}, path),
}
PICKLED: dict[str, Callable[[Path], None]] = {
    "a program": lambda path: torch.save({"state_dict": {"a": Runs(path.parent / "harm")}}, path),
    "a program, before torch 1.6": lambda path: legacy(path, {"a": Runs(path.parent / "harm")}),
    "a program in a bare pickle": lambda path: path.write_bytes(pickle.dumps(Runs(path.parent / "harm"))),
    "a terabyte": lambda path: torch.save({"a": Allocates()}, path),
    "a terabyte, before torch 1.6": lambda path: legacy(path, {"a": Allocates()}),
    "a bare pickle of 50 million lists": lambda path: path.write_bytes(b"\x80\x02" + b"]" * 50_000_000 + b"."),
    "50 million lists": lambda path: archive(path, b"\x80\x02" + b"]" * 50_000_000 + b"."),
    "2 million lists": lambda path: archive(path, b"\x80\x02" + b"]" * 2_000_000 + b"."),
    "3 MB of names, before torch 1.6": lambda path: path.write_bytes(LEGACY_START + NAME * 3000 + b"."),
    "an unfinished pickle": lambda path: archive(path, b"\x80\x02]"),
    "a tensor that says it is larger than its numbers": lambda path: swollen(path),
    "a file cut short": lambda path: cut_archive(path),
    "a file cut short, before torch 1.6": lambda path: cut_legacy(path),
    "an empty file": lambda path: path.touch(),
    "whole numbers": lambda path: torch.save(whole_numbers(), path),
}


SLOW = ("2 million lists",)  # as much as is read at all: one reader is enough


def swollen(path: Path) -> None:
    torch.save({"emb_params": torch.ones(7, 11)}, path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:  # stored, not compressed
        for name, content in members.items():
            if name.endswith("data.pkl"):  # BININT1 7 and 11 in the shape and the strides
                content = content.replace(b"K\x07K\x0b", b"J\xff\xff\xff\x7fK\x0b")
            file.writestr(name, content)


Reader = tuple[str, Callable[[Path], object]]
SIZES = standin_config()  # told, so that a file gets as far as its weights
READERS: tuple[Reader, ...] = (
    ("checkpoint", lambda path: open_checkpoint(path, SIZES)),
    ("unet", lambda path: open_unet(path, SIZES)),
    ("vae", lambda path: open_vae(path, SIZES)),
    ("text encoder", lambda path: open_text(path, SIZES)),
    ("embedding", lambda path: read_embedding(path, SIZES.text)),
    ("latent", read_latent),
)
STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


def in_folders(root: Path, path: Path) -> list[tuple[str, Callable[[], object]]]:
    """The file as each part of a diffusers folder, alone and as a shard."""
    found: list[tuple[str, Callable[[], object]]] = []
    for part, stem in STEMS.items():
        for kind, name in (("alone", stem), ("shard", "0")):
            folder = root.with_name(f"{root.name}{part}-{kind}")
            (folder / part).mkdir(parents=True)
            (folder / part / f"{name}.safetensors").hardlink_to(path)
            if kind == "shard":
                table = {"weight_map": {"a": "0.safetensors"}}
                (folder / part / f"{stem}.safetensors.index.json").write_text(json.dumps(table))
            if part != "unet":  # which is read first
                (folder / "unet").mkdir()
                save_file({"conv_in.weight": torch.ones(1)}, folder / "unet" / f"{STEMS['unet']}.safetensors")
            found.append((f"{part}, {kind}", lambda folder=folder: open_folder(folder, SIZES)))  # type: ignore[misc]
    return found


def cases(folder: Path) -> list[tuple[str, Callable[[], object]]]:
    """Each hostile file in each reader, as a name and something to call."""
    found: list[tuple[str, Callable[[], object]]] = []
    for ending, table in ((".safetensors", SAFE), (".pt", PICKLED)):
        for number, (name, make) in enumerate(table.items()):
            path = folder / f"{number}{ending}"
            make(path)
            for reader, read in READERS[:1] if name in SLOW else READERS:
                found.append((f"{reader}: {name} ({ending})", lambda read=read, path=path: read(path)))
            if ending == ".safetensors":
                found += [(f"folder's {part}: {name}", read) for part, read in in_folders(folder / f"{number}-", path)]
    return found


def memory(what: str) -> int:
    """VmSize, VmHWM … of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def main() -> None:
    folder = Path(sys.argv[1])
    every = cases(folder)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the files
    before, size = memory("VmHWM"), memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
    outcome = {}
    for name, read in every:
        try:
            read()
            error = "nothing"
        except CheckpointError as refused:
            error = f"CheckpointError: {refused}"
        except BaseException as other:
            error = f"{type(other).__name__}: {other}"
        outcome[name] = (error, max(0, memory("VmHWM") - before))
    print(json.dumps({"outcome": outcome, "harm": (folder / "harm").exists()}))


if __name__ == "__main__":
    main()
