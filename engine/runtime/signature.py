"""Digests of values: equal digests mean equal values, whatever made them.

>>> digest([1, "a"]) == digest([1, "a"]), digest([1, "a"]) == digest(["a", 1])
(True, False)

A value of a type that is not in the table has no digest of its own; its wire gets a *derived* one, made of the
signature of the node that made it, and allows no early cut-off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import torch

from engine.diffusion.checkpoint import Weights

DIGEST_SIZE = 16
MAX_NESTING = 50
PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_canonical = msgspec.msgpack.Encoder(order="deterministic")


class Unknown(Exception):  # noqa: N818 - a decision, not an error
    """The value has no digest of its own."""


def digest(value: Any) -> bytes | None:
    """The digest of a value by its content, or None if its type has none."""
    try:
        return blake2b(_canonical.encode(_form(value, 0)), digest_size=DIGEST_SIZE).digest()
    except (Unknown, TypeError, ValueError, OverflowError, RuntimeError):  # sparse tensors, lone surrogates, …
        return None


def derived(signature: bytes, slot: int, index: int) -> bytes:
    """The digest of a value that is known only by how it was made."""
    return blake2b(b"derived" + signature + slot.to_bytes(4, "big") + index.to_bytes(4, "big"), digest_size=16).digest()


def join(digests: list[bytes]) -> bytes:
    """The digest of a wire from those of its items."""
    return blake2b(b"wire" + b"".join(digests), digest_size=DIGEST_SIZE).digest()


def signed_form(
    class_type: str, version: int, literals: Mapping[str, Any], token: Any, inputs: list[tuple[str, bytes]],
    unique: str | None,
) -> bytes:
    """What a node will be run with: its recipe, with its inputs' digests in the place of their recipes."""
    return _canonical.encode(
        (class_type, version, literals, token, sorted(inputs) if len(inputs) > 1 else inputs, unique)
    )


def signature(form: bytes) -> bytes:
    """The digest of that."""
    return blake2b(form, digest_size=DIGEST_SIZE).digest()


def token_digest(token: Any) -> bytes:
    """The digest of what a node says of the world outside; one that is NaN has another each time."""
    return blake2b(_canonical.encode(token), digest_size=DIGEST_SIZE).digest()


def encodable(value: Any) -> bool:
    """Whether a literal is plain data, which stands for itself in a signature."""
    if value is None or type(value) in (str, bool, float):
        return True
    if type(value) is int:
        return -(2**63) <= value < 2**64
    if type(value) not in (list, dict):
        return False
    try:
        _canonical.encode(value)
    except (TypeError, OverflowError, RecursionError):
        return False
    return True


def _form(value: Any, depth: int) -> Any:
    """A plain structure that stands for the value; its MessagePack is what is hashed."""
    if type(value) in PLAIN or isinstance(value, (int, float, str, bytes)):
        return value
    if depth > MAX_NESTING:
        raise Unknown
    for kind, form in FORMS.items():
        if isinstance(value, kind):
            return form(value, depth + 1)
    raise Unknown


def _tensor(tensor: torch.Tensor, depth: int) -> Any:
    if tensor.device.type != "cpu":
        raise Unknown
    flat = tensor.detach().contiguous()
    content: Any = flat.view(torch.uint8).numpy() if flat.numel() and flat.dim() else flat.numpy().tobytes()
    return ("tensor", str(flat.dtype), list(flat.shape), blake2b(content, digest_size=DIGEST_SIZE).digest())


def _sequence(value: Any, depth: int) -> Any:
    return (type(value).__name__, [_form(each, depth) for each in value])


def _mapping(value: Mapping[Any, Any], depth: int) -> Any:
    pairs = [[_form(key, depth), _form(each, depth)] for key, each in value.items()]
    return ("mapping", sorted(pairs, key=lambda pair: (str(pair[0]), type(pair[0]).__name__)))


def _fields(value: Any, depth: int) -> Any:
    return (type(value).__qualname__, [_form(getattr(value, each.name), depth) for each in fields(value)])


def _weights(value: Weights, depth: int) -> Any:
    """Which file, as it was, and which of its tensors: its gigabytes are never read for this."""
    files = [(str(path), list(stamp)) for path, stamp in ((value.path, value.stamp), *value.shards)]
    return ("weights", files, value.component, _form(value.config, depth), value.mapping)


def _frozen(value: Any, depth: int) -> Any:
    """A frozen dataclass of the diffusion library: a configuration, a condition."""
    if is_dataclass(value) and not isinstance(value, type) and type(value).__module__.startswith("engine."):
        return _fields(value, depth)
    raise Unknown


FORMS: Mapping[type, Callable[[Any, int], Any]] = {
    torch.Tensor: _tensor,
    Weights: _weights,
    Path: lambda value, depth: ("path", str(value)),
    frozenset: lambda value, depth: ("set", sorted(map(repr, value))),
    tuple: _sequence,
    list: _sequence,
    Mapping: _mapping,
    object: _frozen,
}
"""Each kind of value and the structure that stands for it; the first that fits is taken."""
