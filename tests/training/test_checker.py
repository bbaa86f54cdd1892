"""Reading pictures back: with perfect answers of the network everything is found, and nothing that is not there."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from engine.training.checker import (
    COLOUR_NAMES,
    NOTHING,
    OFFSETS,
    SHAPE_NAMES,
    Answers,
    Reader,
    Reading,
    Sight,
    answers_of,
    echoes,
    judge,
    mirrored,
    read_twice,
    reading_loss,
    relation_of,
    solids_of,
)
from engine.training.render import render
from engine.training.scenes import COLOURS, SHAPES, Relation, Scene, make_scene


def sights(scene: Scene) -> list[Sight]:
    return [Sight(s.shape, s.colour, (s.x, s.y, s.z), 20) for s in scene.solids]


def certain(truth: Answers) -> Reading:
    """What a network without faults would say."""
    shape = torch.nn.functional.one_hot(truth.shape, NOTHING + 1).movedim(-1, 1).float()
    colour = torch.nn.functional.one_hot(truth.colour, len(COLOUR_NAMES)).movedim(-1, 1).float()
    return Reading(shape, colour, truth.centre)


def test_every_relation_follows_from_the_centres_alone() -> None:
    for index in range(800):
        scene = make_scene(index)
        seen = sights(scene)
        for subject, name, reference in scene.relations:
            assert relation_of(seen[subject], seen[reference]) == name, (index, name)


def test_what_is_there_is_judged_perfect_and_one_change_is_noticed() -> None:
    for index in range(200):
        scene = make_scene(index, "test")
        seen = sights(scene)
        assert judge(scene, seen).perfect
        assert judge(scene, [seen[-1], *seen[:-1]]).perfect, "order does not matter"
        shapes, colours = list(SHAPES), list(COLOURS)
        first = scene.solids[0]
        for changed in (
            replace(first, shape=shapes[(shapes.index(first.shape) + 1) % 5]),
            replace(first, colour=colours[(colours.index(first.colour) + 1) % 10]),
        ):
            assert not judge(replace(scene, solids=(changed, *scene.solids[1:])), seen).perfect
        if scene.relations:
            subject, name, reference = scene.relations[0]
            turned = Relation(reference, name, subject)
            assert not judge(replace(scene, relations=(turned, *scene.relations[1:])), seen).perfect
        assert not judge(scene, [*seen, Sight("cube", "red", (3.0, 0.0, 0.0), 9)]).perfect
        assert not judge(scene, seen[1:]).perfect


def test_a_verdict_counts_what_is_right() -> None:
    scene = make_scene(0, "test", objects=2)
    a, b = sights(scene)
    other = next(name for name in SHAPE_NAMES if name not in (a.shape, b.shape))
    verdict = judge(scene, [replace(a, shape=other), b])
    assert (verdict.solids, verdict.colours, verdict.shapes, verdict.kinds) == (2, 2, 1, 1)
    assert (verdict.relations, verdict.right_relations, verdict.surplus) == (1, 1, 0)
    gone = judge(scene, [b])
    assert (gone.colours, gone.shapes, gone.right_relations, gone.surplus) == (1, 1, 0, 0)
    assert judge(scene, []).kinds == 0
    assert judge(scene, [a, b] * 9).kinds == 0, "noise"


def test_a_network_without_faults_finds_every_solid_of_rendered_scenes() -> None:
    scenes = [make_scene(index, "test") for index in range(60)]
    ids = torch.stack([torch.from_numpy(render(scene, 32, samples=1).ids) for scene in scenes])
    truth = answers_of(scenes, ids)
    found = solids_of(certain(truth))
    verdicts = [judge(scene, seen) for scene, seen in zip(scenes, found, strict=True)]
    assert all(verdict.perfect for verdict in verdicts), [i for i, v in enumerate(verdicts) if not v.perfect]
    sure = certain(truth)
    least = reading_loss(Reading(sure.shape * 50, sure.colour * 50, sure.centre), truth)
    assert float(least) < 1e-6


@pytest.mark.parametrize("side", [32, 128])
def test_the_network_reads_a_quarter_of_the_size(side: int) -> None:
    reading = Reader(8)(torch.zeros(2, 3, side, side))
    assert reading.shape.shape == (2, 6, side // 4, side // 4)
    assert reading.colour.shape[1] == 10
    assert reading.centre.shape[1] == 3


def test_a_mirror_image_has_left_and_right_exchanged_and_nothing_else() -> None:
    scenes = [make_scene(index, "train") for index in range(40)]
    truth = answers_of(scenes, torch.stack([torch.from_numpy(render(s, 32, samples=1).ids) for s in scenes]))
    which = torch.arange(40) % 2 == 1
    found = zip(solids_of(certain(truth)), solids_of(certain(mirrored(truth, which))), which.tolist(), strict=True)
    changed = 0
    for straight, other, turned in found:
        assert [(s.shape, s.colour, s.places) for s in straight] == [(s.shape, s.colour, s.places) for s in other]
        side = {"left": "right", "right": "left"} if turned else {}
        for a, b in pairwise(straight):
            relation = relation_of(a, b)
            seen = relation_of(other[straight.index(a)], other[straight.index(b)])
            assert seen == side.get(relation, relation)
            changed += seen != relation
    assert changed > 3


def test_reading_twice_says_of_a_mirror_image_the_mirror_image() -> None:
    torch.manual_seed(0)
    reader, pixels = Reader(8), torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        here, there = read_twice(reader, pixels), read_twice(reader, pixels.flip(-1))
    for name in Reading._fields:
        sign = torch.tensor([-1.0, 1.0, 1.0]).view(3, 1, 1) if name == "centre" else 1.0
        assert torch.allclose(getattr(here, name), getattr(there, name).flip(-1) * sign, atol=1e-5)
    once = reader(pixels)
    assert not torch.allclose(here.centre, once.centre, atol=1e-3)


@pytest.mark.parametrize("nearer", [0.3, 0.55])
@pytest.mark.parametrize("index", [73, 607, 612])
def test_two_solids_of_one_colour_that_touch_are_two(index, nearer):
    scene = make_scene(index, "test")
    lower, upper = scene.solids
    assert lower.colour == upper.colour and scene.relations[0].name == "on" and lower.shape == "torus"
    ids = torch.from_numpy(render(scene, 32, samples=1).ids)[None]
    reading = certain(answers_of([scene], ids))
    middle = (lower.y + upper.y) / 2 - OFFSETS[1]
    reading.centre[:, 1] -= nearer * (reading.centre[:, 1] - middle) * (ids >= 0)  # as the network sees them: nearer
    (seen,) = solids_of(reading)
    assert judge(scene, seen).perfect, seen


def test_a_borders_confusion_of_shapes_stays_one_solid():
    scene = make_scene(1, "test", objects=1)
    ids = torch.from_numpy(render(scene, 32, samples=1).ids)[None]
    reading = certain(answers_of([scene], ids))
    places = (ids[0] == 0).nonzero()
    for row, column in places[:: max(1, len(places) // 6)]:  # some say another shape, and put the centre a little off
        reading.shape[0, :, row, column] = reading.shape[0, :, row, column].roll(
            1 if scene.solids[0].shape != "torus" else -1
        )
        reading.centre[0, 0, row, column] += 0.1
    (seen,) = solids_of(reading)
    assert [sight.shape for sight in seen] == [scene.solids[0].shape]


@pytest.mark.parametrize(
    ("shape", "colour", "places", "away", "is_border"),
    [
        ("cone", "red", 24, 0.8, True),  # what passes from one centre to another is of both names
        ("cone", "red", 12, 1.3, True),
        ("cone", "red", 14, 1.3, False),
        ("cone", "red", 12, 1.4, False),
        ("cone", "red", 26, 0.8, False),
        ("torus", "red", 9, 0.8, True),
        ("torus", "red", 9, 1.0, False),
        ("torus", "red", 14, 0.5, False),  # a ring under a cone of its colour
        ("cone", "blue", 24, 0.4, True),
        ("cone", "blue", 24, 0.5, False),
        ("cube", "blue", 24, 0.4, True),
        ("cube", "blue", 24, 0.5, False),
        ("cube", "blue", 26, 0.4, False),
    ],
)
def test_a_small_group_is_a_border_by_its_names_size_and_place(shape, colour, places, away, is_border):
    other = Sight("cone", "red", (0.0, 0.0, 0.0), 100)
    assert echoes(Sight(shape, colour, (0.0, away, 0.0), places), other) == is_border


def test_every_solid_counts_alike_however_small_it_is() -> None:
    scenes = (make_scene(index, "test", objects=2) for index in range(50))
    scene = next(s for s in scenes if {solid.size for solid in s.solids} == {"small", "large"})
    ids = torch.from_numpy(render(scene, 32, samples=1).ids)[None]
    truth = answers_of([scene], ids)
    counts = [int((truth.places == n).sum()) for n in truth.places.unique().tolist() if n]
    assert sorted(counts) == sorted(truth.places.unique().tolist()[1:]), "each place knows how many show its solid"

    def loss_when_wrong(number: int) -> float:
        sure = certain(truth)
        shape = sure.shape * 9.0
        wrong = torch.full_like(shape, 0.0)
        wrong[:, (SHAPE_NAMES.index(scene.solids[number].shape) + 1) % 5] = 9.0
        shape = torch.where((ids == number)[:, None], wrong, shape)
        return float(reading_loss(Reading(shape, sure.colour * 50, sure.centre), truth))

    first, second = loss_when_wrong(0), loss_when_wrong(1)
    assert first == pytest.approx(second, rel=0.02) and first > 1.0
