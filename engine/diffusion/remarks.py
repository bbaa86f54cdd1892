"""What a user is to be told of a file that was opened, beside what is in it."""

from collections.abc import Iterator

from engine.diffusion.checkpoint import Checkpoint, Part

NAMED = 5  # how many tensors are named


def remarks(name: str, found: Checkpoint | Part) -> Iterator[str]:
    """One sentence each: what was guessed, and how many tensors nothing uses. name: what the user calls the file."""
    if found.guess:
        yield found.guess
    if found.unexpected:
        names = ", ".join(found.unexpected[:NAMED])
        yield f"{name} holds {len(found.unexpected)} tensors that no part of the model uses ({names} …)"
