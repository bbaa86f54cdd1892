"""Scenes, their pictures and what is said about them, checked against each other."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.training.captions import INVERSE, NOUNS, PLACES, SIZE_WORDS, WORDS, altered, caption
from engine.training.render import FAR, distance, render
from engine.training.scenes import (
    COLOURS,
    Relation,
    axes,
    describe,
    holds,
    is_held_out,
    make_scene,
)

SOME = 60


@pytest.fixture(scope="module")
def drawn():
    scenes = [make_scene(index) for index in range(SOME)]
    return [(scene, render(scene, 64)) for scene in scenes]


def test_the_same_index_gives_the_same_picture_and_another_gives_another():
    first, again, other = (render(make_scene(index), 32).picture for index in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_relation_is_borne_out_by_the_geometry_and_its_opposite_is_not():
    opposite = {"left": "right", "right": "left"}
    for index in range(300):
        scene = make_scene(index)
        for relation in scene.relations:
            assert holds(relation, scene.solids)
            swapped = Relation(relation.reference, relation.name, relation.subject)
            assert not holds(swapped, scene.solids)
            if relation.name in opposite:
                assert not holds(Relation(relation.subject, opposite[relation.name], relation.reference), scene.solids)


def test_relations_can_be_seen_in_masks_and_depth(drawn):
    rows, columns = np.mgrid[0:64, 0:64]
    for scene, out in drawn:
        for subject, name, reference in scene.relations:
            a, b = out.coverage[subject], out.coverage[reference]
            x = [float((mask * columns).sum() / mask.sum()) for mask in (a, b)]
            y = [float((mask * rows).sum() / mask.sum()) for mask in (a, b)]
            z = [float(np.median(out.depth[out.ids == number])) for number in (subject, reference)]
            seen = {"left": x[0] < x[1], "right": x[0] > x[1], "on": y[0] < y[1], "front": z[0] < z[1]}
            assert seen[name], f"scene {scene.index}: {scene.relations}"


def test_points_at_the_depth_of_a_solid_lie_on_its_surface(drawn):
    line = np.arange(64) + 0.25  # the ray of depth and ids: a quarter of a pixel left of and above the centre
    for scene, out in drawn:
        right, up, forward = axes(scene.view)
        x, y = np.meshgrid((line / 32 - 1) * scene.view.tangent, -(line / 32 - 1) * scene.view.tangent)
        points = scene.view.eye + out.depth[..., None] * (x[..., None] * right + y[..., None] * up + forward)
        for number, solid in enumerate(scene.solids):
            here = points[out.ids == number].astype(np.float32)
            off = np.abs(distance(solid, *here.T))
            assert off.max() < 3e-3 * solid.radius  # the march stops at half of this


def test_masks_and_ids_agree(drawn):
    for scene, out in drawn:
        assert (out.coverage.sum(axis=0) <= 1 + 1e-6).all()
        for number in range(len(scene.solids)):
            assert (out.coverage[number][out.ids == number] > 0).all()
            assert (out.ids[out.coverage[number] == 1] == number).all()
            assert out.coverage[number].sum() > 12  # nothing is so hidden or so small that it cannot be seen
        assert (out.depth > 1).all() and (out.depth <= FAR).all()


def test_a_solid_has_its_colour_in_the_picture(drawn):
    for scene, out in drawn:
        for number, solid in enumerate(scene.solids):
            pixels = out.picture[out.coverage[number] == 1]
            nearest = min(COLOURS, key=lambda name: np.abs(_hue(pixels) - _hue(np.array([COLOURS[name]]))).sum())
            if solid.colour not in ("white", "black"):  # those have no hue
                assert nearest == solid.colour, f"scene {scene.index}"


def _hue(pixels):
    """Direction of the mean linear colour: what lamp and shadow leave alone."""
    mean = (pixels.astype(np.float64) ** 2).mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_training_scenes_and_test_scenes_share_no_combination():
    train = {describe(make_scene(index, objects=1)) for index in range(1500)}
    test = {describe(make_scene(index, "test", objects=1)) for index in range(200)}
    assert test and not train & test
    assert all(is_held_out(make_scene(index, "test")) for index in range(50))


def test_left_and_right_are_one_combination():
    scene = next(s for s in (make_scene(i, objects=2) for i in range(100)) if s.relations[0].name == "left")
    said_from_the_other_side = replace(scene, relations=(Relation(0, "right", 1),))
    another = replace(scene, relations=(Relation(1, "right", 0),))
    assert describe(said_from_the_other_side) == describe(scene)
    assert describe(another) != describe(scene)


def test_counts_outside_one_to_three_are_refused():
    with pytest.raises(ValueError, match="1 to 3"):
        make_scene(0, objects=4)


COLOUR = "|".join(COLOURS)
NOUN = {word: shape for shape, words in NOUNS.items() for word in words}
SIZE = {word: size for size, words in SIZE_WORDS.items() for word in words}
THING = rf"(?:an?|the) (?:(?:{'|'.join(SIZE)}) )?(?:{COLOUR}) (?:{'|'.join(NOUN)})"
FORWARDS = {word: name for name, words in WORDS.items() for word in words}
PHRASES = sorted({*FORWARDS, *(word for words in INVERSE.values() for word in words)}, key=len, reverse=True)


def _solid_of(text, scene):
    """The number of the solid a phrase names, its size checked."""
    *before, colour, noun = text.split()[1:]
    found = [n for n, s in enumerate(scene.solids) if s.colour == colour and s.shape == NOUN[noun]]
    assert len(found) == 1, text
    if before:
        assert scene.solids[found[0]].size == SIZE[before[0]]
    return found[0]


def test_captions_say_only_what_is_true():
    """A reader that knows the words but not how captions are made."""
    said = 0
    inverse = {word: name for name, words in INVERSE.items() for word in words if word not in FORWARDS}
    for index in range(300):
        scene = make_scene(index)
        for seed in range(3):
            text = caption(scene, seed)
            named = {_solid_of(match, scene) for match in re.findall(THING, text)}
            assert named == set(range(len(scene.solids))), text
            for first, word, second in re.findall(rf"({THING}) ({'|'.join(PHRASES)}) (?=({THING}))", text):
                a, b = _solid_of(first, scene), _solid_of(second, scene)
                relation = Relation(a, FORWARDS[word], b) if word in FORWARDS else Relation(b, inverse[word], a)
                assert holds(relation, scene.solids), text
                said += 1
            for name, phrases in PLACES.items():
                if any(text.endswith(" " + phrase) for phrase in phrases):
                    assert name == scene.background, text
    assert said > 500  # the reader did read relations


def test_an_altered_scene_differs_in_one_fact_and_its_relations_are_false():
    kinds = Counter()
    for index in range(300):
        scene = make_scene(index)
        other = altered(scene, index % 7)
        assert other == altered(scene, index % 7)
        if other.relations != scene.relations:
            changed = [relation for relation in other.relations if relation not in scene.relations]
            assert len(changed) == 1 and not holds(changed[0], scene.solids) and other.solids == scene.solids
            kinds["swapped" if changed[0].name in {r.name for r in scene.relations} else "renamed"] += 1
            continue
        (before, after) = next((a, b) for a, b in zip(scene.solids, other.solids, strict=True) if a != b)
        assert (before.shape == after.shape) != (before.colour == after.colour)
        assert sum(a != b for a, b in zip(scene.solids, other.solids, strict=True)) == 1
        kinds["shape" if before.colour == after.colour else "colour"] += 1
    assert set(kinds) == {"swapped", "renamed", "shape", "colour"} and min(kinds.values()) > 15


def test_captions_vary_and_repeat_with_their_seed():
    scene = make_scene(3, objects=3)
    assert caption(scene, 5) == caption(scene, 5)
    assert len({caption(scene, seed) for seed in range(40)}) > 25


def test_an_article_fits_its_noun():
    for index in range(200):
        assert not re.search(r"\ba (?=orange)|\ban (?!orange|image)", caption(make_scene(index), 1))
