"""Reading a picture back: which solids it shows, in which colours, and how they stand to each other.

A small convolutional network says for each of 32 × 32 places what is seen there (shape, colour) and where in the world
the centre of that solid is; places that agree are one solid. What a caption asked for is then compared with what was
read.

    picture (b, 3, 128, 128) ─ Reader ─ Reading (b, …, 32, 32) ─ solids_of ─ Sight, Sight, … ─ judge(scene, …) ─ Verdict
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.training.scenes import COLOURS, SHAPES, Relation, RelationName, Scene

SHAPE_NAMES, COLOUR_NAMES = tuple(SHAPES), tuple(COLOURS)
NOTHING = len(SHAPE_NAMES)  # the shape of a place that shows no solid
STRIDE = 4  # pixels of a place's side
LEAST_PLACES = 3  # fewer are a border's confusion
SAME_SPOT = 0.45  # world units
# A group of less than such a part of another's places, nearer than so many SAME_SPOTs to it, is that other's border and
# no solid: by whether its colour and its shape are the other's. Where a solid covers another, the answer for the centre
# passes from one to the other, so a few places of a solid seem to lie between them; its shape is seldom mistaken there.
ECHOES: Mapping[tuple[bool, bool], Sequence[tuple[float, float]]] = {
    (True, True): ((0.25, 2.0), (0.125, 3.0)),
    (True, False): ((0.1, 2.0),),
    (False, True): ((0.25, 1.0),),
    (False, False): ((0.25, 1.0),),
}
APART = 0.2  # world units; solids of one colour whose centres are this far apart are two, if their shapes differ
STACKED = 0.55  # of the mean reach of two solids: nearer in the plane, one stands on the other
OFFSETS = (0.0, 0.7, 0.0)  # the middle of all solids' centres: what is regressed is small


class Reading(NamedTuple):
    """What the network says of each place: shape (b, 6, h, w) and colour (b, 10, h, w) logits, centre (b, 3, h, w)."""

    shape: Tensor
    colour: Tensor
    centre: Tensor


@dataclass(frozen=True)
class Sight:
    """A solid that was read: its names, its centre in world units and how many places show it."""

    shape: str
    colour: str
    centre: tuple[float, float, float]
    places: int


class _Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.GroupNorm(8, c_out), nn.GroupNorm(8, c_out)])
        self.short = nn.Identity() if c_in == c_out and stride == 1 else nn.Conv2d(c_in, c_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norms[0](self.first(x)))
        out: Tensor = F.relu(self.norms[1](self.second(h)) + self.short(x))
        return out


class Reader(nn.Module):
    """Pictures (b, 3, h, w) in -1..1, sides multiples of 32, to a `Reading` at a quarter of the size."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(nn.Conv2d(3, w, 5, 2, 2), nn.ReLU(), _Block(w, w, 2))  # 32 × 32
        self.down = nn.ModuleList([_Block(w, 2 * w, 2), _Block(2 * w, 3 * w, 2), _Block(3 * w, 4 * w, 2)])
        self.up = nn.ModuleList([_Block(4 * w + 3 * w, 3 * w), _Block(3 * w + 2 * w, 2 * w), _Block(2 * w + w, 2 * w)])
        self.head = nn.Conv2d(2 * w, NOTHING + 1 + len(COLOUR_NAMES) + 3, 1)

    def forward(self, pixels: Tensor) -> Reading:
        """Read pictures; see the class."""
        h = self.stem(pixels)
        kept = [h]
        for block in self.down:
            h = block(h)
            kept.append(h)
        kept.pop()
        for block in self.up:
            skip = kept.pop()
            h = block(torch.cat([F.interpolate(h, size=skip.shape[-2:], mode="nearest"), skip], dim=1))
        shape, colour, centre = self.head(h).split([NOTHING + 1, len(COLOUR_NAMES), 3], dim=1)
        return Reading(shape, colour, centre)


class Answers(NamedTuple):
    """What is true of each place: shape and colour indices (b, h, w) int64, centre (b, 3, h, w) less `OFFSETS`.

    places (b, h, w) int64: how many places show the solid that is seen here, 0 where there is none.
    """

    shape: Tensor
    colour: Tensor
    centre: Tensor
    places: Tensor


def answers_of(scenes: Sequence[Scene], ids: Tensor) -> Answers:
    """The truth for scenes and the number of the solid seen at each place, ids (b, h, w), -1 for none."""
    shape = torch.full(ids.shape, NOTHING)
    colour = torch.zeros(ids.shape, dtype=torch.int64)
    centre = torch.zeros((ids.shape[0], 3, *ids.shape[1:]))
    places = torch.zeros(ids.shape, dtype=torch.int64)
    for row, scene in enumerate(scenes):
        for number, solid in enumerate(scene.solids):
            here = ids[row] == number
            shape[row][here] = SHAPE_NAMES.index(solid.shape)
            colour[row][here] = COLOUR_NAMES.index(solid.colour)
            place = torch.tensor((solid.x, solid.y, solid.z)) - torch.tensor(OFFSETS)
            centre[row][:, here] = place[:, None]
            places[row][here] = int(here.sum())
    return Answers(shape, colour, centre, places)


def reading_loss(reading: Reading, truth: Answers) -> Tensor:
    """Cross-entropy of shape everywhere and of colour where there is a solid, and the distance of its centre there.

    Every solid counts alike, whether LEAST_PLACES or hundreds show it: solids are what is judged, and the small and
    half hidden ones are the hard ones. All places without a solid together count as much as all solids.
    """
    solid = truth.shape != NOTHING
    shape = F.cross_entropy(reading.shape, truth.shape, reduction="none")
    loss = shape[~solid].sum() / max(1, int((~solid).sum()))
    if bool(solid.any()):
        weight = 1.0 / truth.places[solid].clamp(min=LEAST_PLACES)
        weight = weight / weight.sum()
        colours = reading.colour.movedim(1, -1)[solid]
        off = F.smooth_l1_loss(reading.centre, truth.centre, beta=0.1, reduction="none").mean(dim=1)
        colour = F.cross_entropy(colours, truth.colour[solid], reduction="none")
        loss = loss + (weight * (shape[solid] + colour + off[solid])).sum()
    return loss


def mirrored(answers: Answers, which: Tensor) -> Answers:
    """What is true of the mirror images of some pictures, `which` (b,) bool: a scene's mirror image is a scene, too."""
    turned = Answers(*(each.flip(-1) for each in answers))
    turned.centre[:, 0] *= -1.0
    return Answers(*(
        torch.where(which.view(-1, *[1] * (each.ndim - 1)), other, each)
        for each, other in zip(answers, turned, strict=True)
    ))  # fmt: skip


def read_twice(reader: Reader, pixels: Tensor) -> Reading:
    """What is read of pictures and of their mirror images, averaged: fewer mistakes than in one reading."""
    one, other = reader(pixels), Reading(*(each.flip(-1) for each in reader(pixels.flip(-1))))
    other.centre[:, 0] *= -1.0
    shape, colour = (
        0.5 * (F.log_softmax(a, dim=1) + F.log_softmax(b, dim=1)) for a, b in zip(one[:2], other[:2], strict=True)
    )
    return Reading(shape, colour, 0.5 * (one.centre + other.centre))


def solids_of(reading: Reading) -> list[list[Sight]]:
    """The solids of each picture, the one with most places first."""
    shapes = F.log_softmax(reading.shape, dim=1)
    return [
        _solids(shapes[row].flatten(1), reading.colour[row].flatten(1), reading.centre[row].flatten(1))
        for row in range(len(shapes))
    ]


def _solids(shapes: Tensor, colours: Tensor, centres: Tensor) -> list[Sight]:
    """One picture's, from (6, n), (10, n) and (3, n): places of a colour whose centres agree are one solid.

    What shape it has all of its places say together: a half hidden solid looks like another one at its border.
    """
    solid = shapes.argmax(dim=0) != NOTHING
    likeliest = shapes[:NOTHING].argmax(dim=0)
    groups: list[Sight] = []
    for colour in sorted(set(colours.argmax(dim=0)[solid].tolist())):
        left = solid & (colours.argmax(dim=0) == colour)
        while bool(left.any()):
            middle = centres[:, left].median(dim=1).values
            first = centres[:, left][:, (centres[:, left] - middle[:, None]).norm(dim=0).argmin()]
            here = left & ((centres - first[:, None]).norm(dim=0) < SAME_SPOT)
            here = _one_of_two(here, likeliest, centres)
            shape = int(shapes[:NOTHING, here].sum(dim=1).argmax())
            x, y, z = (centres[:, here].median(dim=1).values + torch.tensor(OFFSETS)).tolist()
            groups.append(Sight(SHAPE_NAMES[shape], COLOUR_NAMES[colour], (x, y, z), int(here.sum())))
            left = left & ~here
    groups.sort(key=lambda sight: -sight.places)
    kept: list[Sight] = []
    for sight in groups:
        if sight.places >= LEAST_PLACES and not any(echoes(sight, other) for other in kept):
            kept.append(sight)
    return kept


def _one_of_two(here: Tensor, shapes: Tensor, centres: Tensor) -> Tensor:
    """The places (n,) that stay when those of two solids of one colour, one on the other, were taken for one's.

    They are two if the two most frequent shapes have centres of their own; a border's confusion has not.
    """
    counts = torch.bincount(shapes[here], minlength=NOTHING)
    (_, fewer), (most, other) = counts.topk(2)
    if int(fewer) < LEAST_PLACES:
        return here
    middles = [centres[:, here & (shapes == shape)].median(dim=1).values for shape in (most, other)]
    if math.dist(middles[0].tolist(), middles[1].tolist()) < APART:
        return here
    near, far = ((centres - middle[:, None]).norm(dim=0) for middle in middles)
    stay = here & (near <= far)
    return stay if bool(stay.any()) else here  # a median of coordinates can lie beside all places


def echoes(sight: Sight, other: Sight) -> bool:
    """Whether what was taken for a solid is the border of a larger one; see ECHOES."""
    apart = math.dist(sight.centre, other.centre)
    limits = ECHOES[sight.colour == other.colour, sight.shape == other.shape]
    return any(sight.places < part * other.places and apart < near * SAME_SPOT for part, near in limits)


def relation_of(a: Sight, b: Sight) -> str:
    """How `a` stands to `b`: "on", "under", "left", "right", "front" or "behind"."""
    dx, dy, dz = (one - other for one, other in zip(a.centre, b.centre, strict=True))
    if math.hypot(dx, dz) < STACKED * max(0.5, abs(dy)) or (abs(dy) > 0.5 and abs(dy) > math.hypot(dx, dz)):
        return "on" if dy > 0 else "under"
    if abs(dx) > abs(dz):
        return "left" if dx < 0 else "right"
    return "front" if dz > 0 else "behind"


@dataclass(frozen=True)
class Verdict:
    """How much of what was asked for is there: counts of right ones and of all."""

    solids: int
    colours: int
    shapes: int
    kinds: int  # solids with both right
    relations: int
    right_relations: int
    surplus: int  # solids nobody asked for

    @property
    def perfect(self) -> bool:
        """Every solid and relation is as asked, and nothing else is there."""
        return self.kinds == self.solids and self.right_relations == self.relations and self.surplus == 0


def judge(scene: Scene, seen: Sequence[Sight]) -> Verdict:
    """Compare what was read with what a scene's caption says.

    Solids are matched so that most names agree. A relation is right only if the matched solids bear it out: a solid
    that is missing, or of which neither name is right, stands in none.
    """
    wanted = scene.solids
    best, matched = (-1, -1, -1), tuple[int | None, ...]()
    slots = [*range(len(seen)), *[None] * len(wanted)]
    for order in set(permutations(slots, len(wanted))) if len(seen) <= MOST_SIGHTS else ():
        pairs = [(solid, seen[n]) for solid, n in zip(wanted, order, strict=True) if n is not None]
        names = sum((s.shape == t.shape) + (s.colour == t.colour) for s, t in pairs)
        kinds = sum(s.shape == t.shape and s.colour == t.colour for s, t in pairs)
        relations = sum(_borne_out(relation, order, scene, seen) for relation in scene.relations)
        if (kinds, names, relations) > best:
            best, matched = (kinds, names, relations), order
    pairs = [(solid, seen[n]) for solid, n in zip(wanted, matched, strict=False) if n is not None]
    return Verdict(
        solids=len(wanted),
        colours=sum(s.colour == t.colour for s, t in pairs),
        shapes=sum(s.shape == t.shape for s, t in pairs),
        kinds=max(0, best[0]),
        relations=len(scene.relations),
        right_relations=max(0, best[2]),
        surplus=max(0, len(seen) - len(wanted)),
    )


MOST_SIGHTS = 7  # more is noise, not a picture of solids


def _borne_out(relation: Relation, order: Sequence[int | None], scene: Scene, seen: Sequence[Sight]) -> bool:
    pair = []
    for number in (relation.subject, relation.reference):
        place = order[number]
        if place is None:
            return False
        solid, sight = scene.solids[number], seen[place]
        if solid.shape != sight.shape and solid.colour != sight.colour:
            return False
        pair.append(sight)
    name: RelationName = relation.name
    return relation_of(pair[0], pair[1]) == name
