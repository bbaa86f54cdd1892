"""Prompt text to weighted tokens in chunks of the text encoder's length (numerics.md, 6.2 to 6.4).

>>> parse_weights("a (red:1.3) ((house))")
[Piece(text='a ', weight=1.0), Piece(text='red', weight=1.3), Piece(text=' ', weight=1.0), Piece(text='house', weight=1.2100000000000002)]
"""  # noqa: E501

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from torch import Tensor

from engine.diffusion.config import TextConfig

EMPHASIS = 1.1  # what one bare pair of parentheses multiplies by
DEEPEST = 100  # nested groups; a prompt is user text and recursion must end
LARGE_GROUP = 8  # a group with at least so many tokens may be cut at a chunk's end
EMBEDDING = "embedding:"
OPEN, CLOSE = "\0\1", "\0\2"  # stand for \( and \) while groups are found

log = logging.getLogger(__name__)

Token = int | Tensor  # a vocabulary id, or a row of a textual-inversion embedding (width,)
EmbeddingLookup = Callable[[str], Tensor | None]  # a name to its rows (n, width), or None when there is no such file


class PromptError(ValueError):
    """A prompt that cannot be read; the message says where and what to write instead."""


class Piece(NamedTuple):
    """A run of text with one weight."""

    text: str
    weight: float


class WeightedToken(NamedTuple):
    """One position of the text encoder's input."""

    token: Token
    weight: float


Chunk = tuple[WeightedToken, ...]  # exactly the text encoder's length, start and end included


def parse_weights(text: str) -> list[Piece]:
    r"""Split a prompt at its parentheses.

    `(text)` multiplies the weight by 1.1, `(text:1.3)` sets it to 1.3 whatever is around it, and `\(` is a parenthesis.
    Square brackets mean nothing. The pieces still hold their white space.
    """
    pieces = _weighted(text.replace("\\)", CLOSE).replace("\\(", OPEN), 1.0, 0)
    return [Piece(piece.text.replace(CLOSE, ")").replace(OPEN, "("), piece.weight) for piece in pieces]


def _weighted(text: str, weight: float, depth: int) -> list[Piece]:
    if depth > DEEPEST:
        raise PromptError(f"the prompt nests more than {DEEPEST} pairs of parentheses; write (text:weight) instead")
    pieces: list[Piece] = []
    for group in _groups(text):
        if len(group) >= 2 and group[0] == "(" and group[-1] == ")":
            inside, inner_weight = group[1:-1], weight * EMPHASIS
            colon = inside.rfind(":")
            if colon > 0:
                try:
                    inner_weight = float(inside[colon + 1 :])
                    inside = inside[:colon]
                except ValueError:
                    pass  # the colon belongs to the text
            pieces += _weighted(inside, inner_weight, depth + 1)
        else:
            pieces.append(Piece(group, weight))
    return pieces


def _groups(text: str) -> list[str]:
    """Split at the outermost parentheses, which stay on their groups. Depth may be negative after a stray `)`."""
    groups: list[str] = []
    current: list[str] = []
    depth = 0
    for character in text:
        if character == "(":
            if depth == 0 and current:
                groups.append("".join(current))
                current = []
            depth += 1
        elif character == ")":
            depth -= 1
        current.append(character)
        if character == ")" and depth == 0:
            groups.append("".join(current))
            current = []
    if current:
        groups.append("".join(current))
    return groups


def token_groups(
    text: str, tokenize: Callable[[str], Sequence[int]], lookup: EmbeddingLookup | None = None
) -> list[list[WeightedToken]]:
    """A prompt's tokens, grouped as chunking needs them: one group per piece, left-over text or embedding.

    lookup: finds `embedding:name`; None leaves such text to the tokenizer. An unknown name is logged and dropped.
    """
    groups: list[list[WeightedToken]] = []
    for piece in parse_weights(text):
        for part in _split_embeddings(piece.text):
            rest = part
            if lookup is not None and part.startswith(EMBEDDING):
                rows, rest = _find_embedding(part, lookup)
                if rows is not None:
                    groups.append([WeightedToken(row, piece.weight) for row in rows.reshape(-1, rows.shape[-1])])
                if not rest:
                    continue
            groups.append([WeightedToken(token, piece.weight) for token in tokenize(rest)])
    return groups


def _split_embeddings(text: str) -> list[str]:
    head, *tails = re.split(f"[ \n]{EMBEDDING}", text)
    return [part for part in (head, *(EMBEDDING + tail for tail in tails)) if part]


def _find_embedding(part: str, lookup: EmbeddingLookup) -> tuple[Tensor | None, str]:
    """The rows of `embedding:name rest`, and the rest."""
    words = part.removeprefix(EMBEDDING).strip("\n").split()
    if not words:
        raise PromptError("'embedding:' is followed by no name; write embedding:NAME with the name of a file")
    name, rest = words[0], " ".join(words[1:])
    rows = lookup(name)
    if rows is None and (bare := name.strip(",")) != name:
        rows = lookup(bare) if bare else None
        if rows is not None:
            tail = name[len(bare) :] if name.startswith(bare) else ""
            rest = f"{tail} {rest}".strip()
    if rows is None:
        log.warning("no embedding is called %r; it is left out of the prompt", name)
    return rows, rest


def chunks(groups: Iterable[Sequence[WeightedToken]], config: TextConfig) -> list[Chunk]:
    """Lay groups of tokens into chunks of `max_length`: start, up to 75 tokens, end, padding.

    A group of less than 8 tokens is not cut but moved to the next chunk. No tokens give one empty chunk.
    """
    end, pad = WeightedToken(config.end_id, 1.0), WeightedToken(config.pad_id, 1.0)
    start = WeightedToken(config.start_id, 1.0)
    last = config.max_length - 1  # where the end token must stand at the latest
    done: list[Chunk] = []
    chunk = [start]

    def close() -> None:
        chunk.append(end)
        chunk.extend([pad] * (config.max_length - len(chunk)))
        done.append(tuple(chunk))

    for whole in groups:
        group = list(whole)
        cut = len(group) >= LARGE_GROUP or len(group) > last - 1
        while group:
            free = last - len(chunk)
            if len(group) <= free:
                chunk += group
                break
            if cut:
                chunk += group[:free]
                group = group[free:]
            close()
            chunk = [start]
    close()
    return done


def empty_chunk(config: TextConfig) -> Chunk:
    """The chunk of an empty prompt, which weights are measured from."""
    return chunks([], config)[0]
