"""What can truthfully be said about a scene, in varied words.

>>> from engine.training.scenes import make_scene
>>> caption(make_scene(4), 0)
'a little white cone, a cyan torus and a cyan cone'
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from engine.training.scenes import COLOURS, RELATIONS, SHAPES, Relation, Scene, Solid, holds

T = TypeVar("T")

NOUNS: Mapping[str, tuple[str, ...]] = {  # the first is by far the most usual
    "sphere": ("sphere", "ball"),
    "cube": ("cube", "block"),
    "cylinder": ("cylinder",),
    "cone": ("cone",),
    "torus": ("torus", "ring", "donut"),
}
SIZE_WORDS: Mapping[str, tuple[str, ...]] = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}
WORDS: Mapping[str, tuple[str, ...]] = {  # the subject comes first
    "on": ("on top of", "on", "standing on", "stacked on"),
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "front": ("in front of",),
}
INVERSE: Mapping[str, tuple[str, ...]] = {  # the reference comes first
    "on": ("under", "below", "underneath"),
    "left": ("right of", "to the right of"),
    "right": ("left of", "to the left of"),
    "front": ("behind",),
}
PLACES: Mapping[str, tuple[str, ...]] = {
    "white": ("on a white background", "in front of a white wall", "in a white room"),
    "grey": ("on a grey background", "on a gray background", "in a grey studio"),
    "black": ("on a black background", "in the dark", "on a dark background"),
    "pink": ("on a pink background", "in a pink room"),
    "grass": ("on green grass", "in a meadow under a blue sky", "on a lawn"),
    "sand": ("on sand", "in the desert at sunset", "on a beach at sunset"),
    "tiles": ("on a tiled floor", "on a checkered floor"),
}
OPENINGS = ("", "a picture of ", "a photo of ", "a render of ", "an image of ", "a 3d render of ")
OPENING_ODDS = (0.60, 0.12, 0.10, 0.08, 0.05, 0.05)


def caption(scene: Scene, seed: int) -> str:
    """One sentence about the scene, true and unambiguous; other seeds give other words for the same facts.

    Every solid is named with colour and shape; its size, the place and the opening are said or left out. The relations
    are said, in either direction, but for one caption in twelve that only lists what there is.
    """
    rng = np.random.default_rng([seed, scene.index, 0xCA])
    return _pick(rng, OPENINGS, OPENING_ODDS) + _sentence(scene, rng) + _place(scene, rng)


def altered(scene: Scene, seed: int) -> Scene:
    """A scene as like this one as can be of which its caption is not true: what its `caption` says is false here.

    One thing is changed: a shape, a colour, or how two solids stand, half of the time by putting each in the other's
    place. Only what is said counts: the geometry stays as it is, so this scene is not to be rendered.
    """
    rng = np.random.default_rng([seed, scene.index, 0xA1])
    if scene.relations and rng.random() < 0.5:
        number = int(rng.integers(len(scene.relations)))
        old = scene.relations[number]
        swapped = Relation(old.reference, old.name, old.subject)
        others = [swapped] * 3 + [old._replace(name=name) for name in RELATIONS if name != old.name]
        false = [other for other in others if not holds(other, scene.solids)]
        relations = list(scene.relations)
        relations[number] = _pick(rng, false)
        return replace(scene, relations=tuple(relations))
    number = int(rng.integers(len(scene.solids)))
    solid = scene.solids[number]
    if rng.random() < 0.7:
        changed = replace(solid, shape=_pick(rng, [shape for shape in SHAPES if shape != solid.shape]))
    else:
        changed = replace(solid, colour=_pick(rng, [colour for colour in COLOURS if colour != solid.colour]))
    return replace(scene, solids=(*scene.solids[:number], changed, *scene.solids[number + 1 :]))


def _sentence(scene: Scene, rng: np.random.Generator) -> str:
    names = [_name(solid, rng) for solid in scene.solids]
    if len(scene.solids) == 1 or rng.random() < 1 / 12:
        order = rng.permutation(len(names))
        return _listed([_article(names[number]) for number in order])
    if len(scene.relations) == 1:
        return _clause(scene.relations[0], names, rng, set())
    return _pick(rng, FORMS)(scene.relations, names, rng)


def _two_clauses(relations: Sequence[Relation], names: Sequence[str], rng: np.random.Generator) -> str:
    """`a red cube on a blue sphere, and a green cone left of the blue sphere`."""
    said: set[int] = set()
    first = _clause(relations[0], names, rng, said)
    join = _pick(rng, (", and ", " and ", "; ", ", "))
    return first + join + _clause(relations[1], names, rng, said)


def _together(relations: Sequence[Relation], names: Sequence[str], rng: np.random.Generator) -> str:
    """List the solids, then say how they stand."""
    listed = _listed([_article(name) for name in names])
    said = set(range(len(names)))
    return listed + ", " + " and ".join(_clause(relation, names, rng, said) for relation in relations)


Form = Callable[[Sequence[Relation], Sequence[str], np.random.Generator], str]
FORMS: tuple[Form, ...] = (_two_clauses, _two_clauses, _two_clauses, _together)


def _clause(relation: Relation, names: Sequence[str], rng: np.random.Generator, said: set[int]) -> str:
    """`a red cube on top of a blue sphere`, or the other way round; `the` for what was named before."""
    subject, name, reference = relation
    words = WORDS[name]
    if rng.random() < 0.25:
        subject, reference, words = reference, subject, INVERSE[name]
    first = _mention(names, subject, said)
    return f"{first} {_pick(rng, words)} {_mention(names, reference, said)}"


def _mention(names: Sequence[str], number: int, said: set[int]) -> str:
    if number in said:
        return "the " + " ".join(names[number].split()[-2:])  # colour and shape are enough to know it by
    said.add(number)
    return _article(names[number])


def _name(solid: Solid, rng: np.random.Generator) -> str:
    nouns = NOUNS[solid.shape]
    noun = nouns[0] if rng.random() < 0.75 else _pick(rng, nouns)
    words = [solid.colour, noun]
    if solid.size in SIZE_WORDS and rng.random() < 0.6:
        words.insert(0, _pick(rng, SIZE_WORDS[solid.size]))
    return " ".join(words)


def _place(scene: Scene, rng: np.random.Generator) -> str:
    if rng.random() < 0.25:
        return ""
    # after a clause, "in front of a white wall" or "on sand" would seem to belong to the last solid alone
    return (" " if len(scene.solids) == 1 else ", ") + _pick(rng, PLACES[scene.background])


def _article(name: str) -> str:
    return ("an " if name[0] in "aeiou" else "a ") + name


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _pick(rng: np.random.Generator, options: Sequence[T], odds: Sequence[float] | None = None) -> T:
    return options[int(rng.choice(len(options), p=odds))]
