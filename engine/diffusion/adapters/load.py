"""From adapter files to patches: everything about a file is checked before it is put on anything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.diffusion.adapters.lora import has_role, match, refuse_stranger, report_unused
from engine.diffusion.adapters.names import belongs_to_text
from engine.diffusion.adapters.patches import Lora, read_again
from engine.diffusion.adapters.schedule import LoraFile, WeightHook
from engine.diffusion.checkpoint import Weights
from engine.diffusion.tensorfile import Stamp, read_index


@dataclass(frozen=True, eq=False)
class OpenedLora:
    """A checked adapter file: how many modules of each network it changes; `unused` says which keys fit nothing."""

    path: Path
    stamp: Stamp
    counts: Mapping[Weights, int]
    unused: str | None

    def patches(self, weights: Weights, strength: float) -> tuple[Lora, ...]:
        """What to put on a network: nothing at strength 0, or if the file has nothing for it."""
        return (Lora(self.path, self.stamp, strength),) if strength != 0 and self.counts[weights] else ()


def open_lora(path: Path, *networks: Weights) -> OpenedLora:
    """Read the index of an adapter and lay it against one or more networks.

    Keys for a text encoder are not called unused where none was given. Raises CheckpointError if the file fits none of
    the networks, or fits one by name but not in shape.
    """
    file = read_index(path)
    matched = {weights: match(file, weights) for weights in networks}
    if not any(each.parts for each in matched.values()):
        raise refuse_stranger(path, file)
    unused = [key for key in file.entries if all(key in each.unused for each in matched.values())]
    if not any(weights.component == "text" for weights in networks):
        unused = [key for key in unused if not belongs_to_text(key)]
    counts = {weights: len(each.parts) for weights, each in matched.items()}
    return OpenedLora(path, file.stamp, counts, report_unused(file, unused))


def open_lora_file(path: Path) -> tuple[Path, Stamp]:
    """Read the index of an adapter whose networks are not known yet; `unused_of_hooks` checks it when they meet it.

    Raises CheckpointError for a file that has nothing that an adapter would have.
    """
    file = read_index(path)
    if not any(has_role(key) for key in file.entries):
        raise refuse_stranger(path, file)
    return path, file.stamp


def unused_of_hooks(hooks: Iterable[object], weights: Weights) -> list[str]:
    """Lay the adapters among hooks against the network they are for; gives what to say of keys that fit nothing.

    Keys for the other network do not count. Raises CheckpointError for a file with keys for this one none of which fit.
    """
    text = weights.component == "text"
    files = {
        hook.source for hook in hooks
        if isinstance(hook, WeightHook) and isinstance(hook.source, LoraFile)
        and (hook.strength_clip if text else hook.strength_model) != 0
    }
    told = []
    for path, seen in sorted((file.path, file.stamp) for file in files):
        file = read_again(path, seen)
        found = match(file, weights)
        unused = [key for key in found.unused if belongs_to_text(key) == text]
        if unused and not found.parts:
            raise refuse_stranger(path, file)
        told.append(report_unused(file, unused))
    return [each for each in told if each]
