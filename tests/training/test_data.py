"""Which pictures a batch is made of."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from engine.training.data import Bank, choose, scene_of
from engine.training.loop import generator_of
from engine.training.scenes import make_scene

BANK = Bank(Path("unused"), 32, 64, 4, 4, 1)
USUAL = (0.35, 0.45, 0.20)  # of scenes with one, two, three solids


def counts(preference: tuple[float, ...] | None) -> Counter[int]:
    """How many of the pictures of many batches have one, two, three solids."""
    found: Counter[int] = Counter()
    for step in range(200):
        indices = choose(BANK, step, 16, generator_of(0, step), preference)
        assert len(indices) == 16
        found.update(len(scene_of(index, "train").solids) for index in indices.tolist())
    return found


def test_every_picture_is_as_likely_where_nothing_is_preferred() -> None:
    found = counts(None)
    for number, part in enumerate(USUAL, 1):
        assert found[number] / found.total() == pytest.approx(part, abs=0.08)


def test_what_is_preferred_comes_more_often_and_what_is_not_wanted_never() -> None:
    assert counts((0.0, 0.0, 1.0)).keys() == {3}
    weights = (0.6, 1.0, 2.2)
    found, usual = counts(weights), counts(None)
    likely = [weight * usual[number] for number, weight in enumerate(weights, 1)]
    for number, part in enumerate(likely, 1):
        assert found[number] / found.total() == pytest.approx(part / sum(likely), abs=0.04)
    assert found[3] > 1.5 * usual[3]


def test_the_order_of_a_batch_tells_nothing() -> None:
    """Timesteps go by the row, so scenes of three must not come first."""
    first, last = 0, 0
    for step in range(300):
        indices = choose(BANK, step, 16, generator_of(1, step), (1.0, 1.0, 5.0))
        threes = [len(scene_of(index, "train").solids) == 3 for index in indices.tolist()]
        first, last = first + sum(threes[:8]), last + sum(threes[8:])
    assert first == pytest.approx(last, rel=0.1)
    big = Bank(Path("unused"), 32, 256, 100, 100, 1)
    torch.testing.assert_close(
        choose(big, 3, 16, generator_of(2, 3), (1.0, 1.0, 1.0)),
        choose(big, 3, 16, generator_of(2, 3), (2.0, 2.0, 2.0)), rtol=0, atol=0,
    )  # fmt: skip


def test_a_kept_scene_is_the_scene() -> None:
    assert all(scene_of(index, split) == make_scene(index, split) for index in range(8) for split in ("train", "test"))
