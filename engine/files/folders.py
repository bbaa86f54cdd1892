"""Where files are: model folders, and the input, output, temp and user folders.

The names of the model folders are ComfyUI's, because workflows and ``extra_model_paths.yaml`` use them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from engine.files.contain import OutsideError, contain

WEIGHTS = frozenset({".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".bin", ".pth", ".pkl"})
CONFIGS = frozenset({".yaml"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".apng", ".avif"})
LATENTS = frozenset({".latent"})
TEXTS = frozenset({".txt"})
UPLOADED = ("input", "latents", "texts", "output")  # what Files() may say for the input and output folders
BY_SUFFIX = {"latents": LATENTS, "texts": TEXTS}  # files of the input folder that are told apart by their endings

# name → (folders below the models folder, extensions; none means any)
MODEL_FOLDERS: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = {
    "checkpoints": (("checkpoints",), WEIGHTS),
    "configs": (("configs",), CONFIGS),
    "loras": (("loras",), WEIGHTS),
    "vae": (("vae",), WEIGHTS),
    "text_encoders": (("text_encoders", "clip"), WEIGHTS),
    "diffusion_models": (("diffusion_models", "unet"), WEIGHTS),
    "clip_vision": (("clip_vision",), WEIGHTS),
    "style_models": (("style_models",), WEIGHTS),
    "embeddings": (("embeddings",), WEIGHTS),
    "diffusers": (("diffusers",), frozenset({"folder"})),
    "vae_approx": (("vae_approx",), WEIGHTS),
    "controlnet": (("controlnet", "t2i_adapter"), WEIGHTS),
    "gligen": (("gligen",), WEIGHTS),
    "upscale_models": (("upscale_models",), WEIGHTS),
    "hypernetworks": (("hypernetworks",), WEIGHTS),
    "depth_models": (("depth_models",), WEIGHTS),
    "safety_checkers": (("safety_checkers",), WEIGHTS),
    "photomaker": (("photomaker",), WEIGHTS),
    "classifiers": (("classifiers",), frozenset()),
    "model_patches": (("model_patches",), WEIGHTS),
    "audio_encoders": (("audio_encoders",), WEIGHTS),
}
ALIASES = {"clip": "text_encoders", "unet": "diffusion_models"}
ANNOTATED = re.compile(r"(?s)(?P<name>.*) \[(?P<kind>input|output|temp)\]\Z")
MAX_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Folders:
    """Every folder that Easel reads from or writes to.

    models: folder name → directories, in the order they are searched.
    """

    models: Mapping[str, tuple[Path, ...]]
    input: Path
    output: Path
    temp: Path
    user: Path

    def files_kind(self, kind: str) -> Path | None:
        """The folder called ``input``, ``output`` or ``temp``."""
        return {"input": self.input, "output": self.output, "temp": self.temp}.get(kind)

    def list(self, folder: str) -> list[str]:
        """The files that a ``Files(folder)`` input offers: names relative to the folder, sorted, without doubles.

        For ``input`` these are the pictures at its top level, for ``latents`` and ``texts`` those files there, for
        ``output`` the pictures there as ``name.png [output]``; model folders are listed with their sub-folders.
        """
        if folder == "output":
            pictures = (name for name in _names(self.output) if Path(name).suffix.lower() in PICTURES)
            return sorted(f"{name} [output]" for name in pictures)
        if folder == "input":
            return sorted(name for name in _names(self.input) if Path(name).suffix.lower() in PICTURES)
        if folder in BY_SUFFIX:
            return sorted(name for name in _names(self.input) if Path(name).suffix.lower() in BY_SUFFIX[folder])
        directories = self.models.get(ALIASES.get(folder, folder), ())
        extensions = MODEL_FOLDERS.get(ALIASES.get(folder, folder), ((), frozenset()))[1]
        found: set[str] = set()
        for directory in directories:
            found.update(_walk(directory, extensions))
        return sorted(found, key=str.lower)

    def find(self, folder: str, name: str) -> Path | None:
        """The file a name means, or None if there is none inside the folder.

        In ``input``, ``output``, ``latents`` and ``texts`` a name may be annotated: ``picture.png [output]``, and may
        name a sub-folder; without, it is of the output folder for ``output`` and of the input folder for the others.
        """
        directories: tuple[Path, ...]
        if folder in UPLOADED:
            match = ANNOTATED.match(name)
            kind = match["kind"] if match else "output" if folder == "output" else "input"
            name = match["name"] if match else name
            directories = (getattr(self, kind),)
        else:
            directories = self.models.get(ALIASES.get(folder, folder), ())
        for directory in directories:
            try:
                path = contain(directory, name)
            except OutsideError:
                # A link inside a model folder may lead elsewhere if its owner put it there: see ``_owned``.
                path = _owned(directory, name) if folder not in UPLOADED else directory
            with contextlib.suppress(OSError, ValueError):  # a name that no file can have
                if path != directory and path.exists() and _offered(path, folder):
                    return path
        return None


def _offered(path: Path, folder: str) -> bool:
    if folder in BY_SUFFIX:
        return path.is_file() and path.suffix.lower() in BY_SUFFIX[folder]
    extensions = MODEL_FOLDERS.get(ALIASES.get(folder, folder), ((), frozenset()))[1]
    if "folder" in extensions:
        return path.is_dir()
    return path.is_file() and (not extensions or path.suffix.lower() in extensions)


def _owned(directory: Path, name: str) -> Path:
    """A model file reached through a symbolic link: allowed, because only its owner writes to model folders."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        return directory
    return directory.joinpath(*parts)


def _names(directory: Path) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_file() and not entry.name.startswith("."):
                    yield entry.name
    except FileNotFoundError:
        return


def _walk(directory: Path, extensions: frozenset[str]) -> Iterator[str]:
    """Relative names of the files below a directory, or of the model folders if that is what is wanted."""
    count = 0
    for root, folders, names in os.walk(directory, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = Path(root).relative_to(directory)
        depth = len(relative.parts)
        if depth > 8:
            folders.clear()
        if "folder" in extensions:
            if "model_index.json" in names:
                yield relative.as_posix()
                folders.clear()
            continue
        for name in names:
            if not extensions or Path(name).suffix.lower() in extensions:
                yield (relative / name).as_posix()
                count += 1
        if count > MAX_FILES:
            return


def make_folders(
    *, data: Path, models: Path, extra: Sequence[ExtraPaths] = (),
    input_directory: Path | None = None, output: Path | None = None, temp: Path | None = None, user: Path | None = None,
) -> Folders:
    """Lay out the folders below a data and a models directory; each may be set by itself. Nothing is created.

    Every model folder is followed by the one of its name below ``starter``: the models that Easel comes with.
    """
    by_name = {
        name: (*(models / each for each in below), models / "starter" / name)
        for name, (below, _) in MODEL_FOLDERS.items()
    }
    for each in extra:
        key = ALIASES.get(each.name, each.name)
        known = by_name.get(key, ())
        by_name[key] = (*each.paths, *known) if each.first else (*known, *each.paths)
    return Folders(
        models=by_name, input=input_directory or data / "input", output=output or data / "output",
        temp=temp or data / "temp", user=user or data / "user",
    )


class ExtraPaths(NamedTuple):
    """Further folders of one name; ``first``: before those that are there, and thereby the place for new files."""

    name: str
    paths: tuple[Path, ...]
    first: bool = False


def read_extra_model_paths(path: Path) -> list[ExtraPaths]:
    """Read ComfyUI's ``extra_model_paths.yaml``: sections of folder names and paths, relative to ``base_path``.

    A relative ``base_path`` or path is relative to the yaml file; several paths stand on lines of one text. A section
    with ``is_default: true`` comes before all folders there are. Raises ValueError that names the section.
    """
    import yaml

    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(data, dict | None):
        raise ValueError(f"{path}: the file has to be a mapping of sections; found a {type(data).__name__}")
    found: list[ExtraPaths] = []
    for section, entries in (data or {}).items():
        if not isinstance(entries, dict):
            raise ValueError(f"{path}: section {section!r} is not a mapping of folder names to paths")
        here = path.resolve().parent
        base = here / Path(str(entries.get("base_path") or ".")).expanduser()
        for name, text in entries.items():
            if name in ("base_path", "is_default") or text is None:
                continue
            if not isinstance(text, str):
                raise ValueError(
                    f"{path}: section {section!r}, {name}: found a {type(text).__name__}; give one path, or several on "
                    f"lines of their own:\n  {name}: |\n    first/path\n    second/path"
                )
            paths = tuple(base / Path(line.strip()).expanduser() for line in text.splitlines() if line.strip())
            found.append(ExtraPaths(str(name), paths, bool(entries.get("is_default"))))
    return found
