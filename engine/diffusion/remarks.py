"""What a user is to be told of a file that was opened, beside what is in it."""

from collections.abc import Callable, Iterator, Sequence

from engine.diffusion.checkpoint import Checkpoint, Part, Weights
from engine.diffusion.keys import IGNORED
from engine.diffusion.tensorfile import read_index

NAMED = 5  # how many tensors are named


def remarks(name: str, found: Checkpoint | Part) -> Iterator[str]:
    """One sentence each: what was guessed, and how many tensors nothing uses. name: what the user calls the file."""
    if found.guess:
        yield found.guess
    if found.unexpected:
        names = _named(found.unexpected)
        yield f"{name} holds {len(found.unexpected)} tensors that no part of the model uses ({names} …)"


def unused(name: str, weights: Weights, own: Callable[[str], bool]) -> Iterator[str]:
    """One sentence if an adapter's file holds tensors of its own kind that nothing uses.

    own: whether a key is the adapter's; whole files hold the model that it was trained on besides.
    """
    used = {source.key for _, source in weights.mapping}
    entries = read_index(weights.path).entries
    left = [key for key in entries if key not in used and own(key) and not IGNORED.fullmatch(key)]
    if left:
        more = " …" if len(left) > NAMED else ""
        yield f"{name}: {len(left)} of {len(entries)} keys unused ({_named(left)}{more})"


def _named(keys: Sequence[str]) -> str:
    return ", ".join(keys[:NAMED])
