"""Values: what tells them apart, and which of them stay in memory."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.diffusion.adapters.schedule import LoraFile
from engine.diffusion.checkpoint import open_checkpoint
from engine.graph.types import Latent, Model
from engine.runtime.cache import OVERHEAD, ValueCache, size_of
from engine.runtime.signature import digest
from tests.served import STANDIN


def values() -> list[Any]:
    """Values that are all different, some by very little."""
    ones = torch.ones(2, 3)
    return [
        None, 0, 1, True, False, 1.0, "1", b"1", [1], (1,), [[1]], {}, {"a": 1}, {"a": 1.0}, {1: 1}, {"1": 1},
        {"a": 1, "b": 2}, {"a": 2, "b": 1}, ones, ones.double(), ones.half(), ones.reshape(3, 2), ones.flatten(),
        ones * 2, torch.ones(()), torch.zeros(0), torch.zeros(0, 1), Latent(ones), Latent(ones, ones),
        Latent(ones, None, (0, 1)),
        Latent(ones, None, (1, 0)), Latent(ones, extra={"theirs": 1}),
    ]  # fmt: skip


def test_equal_values_have_equal_digests_and_others_do_not() -> None:
    first, second = [digest(each) for each in values()], [digest(each) for each in values()]  # made twice
    assert first == second and None not in first
    assert len(set(first)) == len(first)
    assert digest({"b": 2, "a": 1}) == digest({"a": 1, "b": 2}), "the order of keys means nothing"
    assert digest(torch.arange(6).reshape(2, 3).T) == digest(torch.arange(6).reshape(2, 3).T.contiguous())


def test_weights_are_told_apart_by_their_file_as_it_was_and_by_what_is_applied_in_order() -> None:
    opened = open_checkpoint(STANDIN)
    assert opened.unet is not None and opened.text is not None
    model = Model(opened.unet, opened.config)
    first, second = LoraFile(Path("a"), (1, 1, 1)), LoraFile(Path("b"), (1, 1, 1))
    other = [
        model, replace(model, weights=replace(model.weights, stamp=(0, 0, 0))),
        replace(model, weights=replace(model.weights, path=Path("elsewhere"))), Model(opened.text, opened.config),
        replace(model, patches=(first,)), replace(model, patches=(second,)),
        replace(model, patches=(first, second)), replace(model, patches=(second, first)),
    ]
    found = [digest(each) for each in other]
    assert None not in found and len(set(found)) == len(found)
    assert digest(Model(opened.unet, opened.config)) == found[0]


def test_what_belongs_to_nobody_here_has_no_digest() -> None:
    held = Latent(torch.ones(1), extra={"theirs": object()})
    for value in (object(), SimpleNamespace(a=1), lambda: None, [1, object()], held):
        assert digest(value) is None
    deep: Any = []
    for _ in range(1_000):
        deep = [deep]
    assert digest(deep) is None, "and no depth is too much to ask"


@pytest.mark.parametrize("seed", range(5))
def test_the_memory_tier_never_holds_more_than_its_budget(seed: int) -> None:
    source = random.Random(seed)
    cache = ValueCache(20_000)
    for number in range(400):
        cache.put(b"%d" % source.randrange(120), (bytes(source.randrange(30_000)),), source.random())
        assert cache.nbytes <= cache.budget, number
        assert cache.nbytes == sum(each.nbytes for each in cache._entries.values())


def test_what_costs_most_seconds_per_byte_stays_and_what_nobody_asks_for_goes_in_the_end() -> None:
    size = 1_000 + size_of(b"") + OVERHEAD
    cache = ValueCache(3 * size)
    cache.put(b"dear", (bytes(1_000),), 10.0)
    cache.put(b"cheap", (bytes(1_000),), 0.1)
    cache.put(b"middle", (bytes(1_000),), 1.0)
    cache.put(b"new", (bytes(1_000),), 0.5)
    assert not cache.place(b"cheap") and cache.place(b"dear") and cache.place(b"middle") and cache.place(b"new")
    cache.put(b"small", (bytes(10),), 0.4)  # for its few bytes it is dearer than any other but one
    assert cache.place(b"small") and not cache.place(b"new")
    cache = ValueCache(3 * size)
    cache.put(b"dear", (bytes(1_000),), 10.0)
    for number in itertools.count():
        cache.put(b"%d" % number, (bytes(1_000),), 1.0)
        if not cache.place(b"dear"):
            break
        assert number < 50, "it was asked for once and would stay for ever"
    assert number > 3
