"""What is in a training picture: solids with a shape, a colour and a size, standing in relations, as plain data.

Scenes are unlimited and numbered: the same index gives the same scene for ever (for one `DATA_VERSION`). Some
combinations are never trained on (`is_held_out`), so that a test can ask for what no model has seen.

>>> scene = make_scene(0)
>>> scene == make_scene(0) and not is_held_out(scene)
True
"""

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

DATA_VERSION = "scenes-1"  # goes into every trained file; a change to what is drawn or said needs a new one

Split = Literal["train", "test"]
RelationName = Literal["on", "left", "right", "front"]
Colour = tuple[float, float, float]  # sRGB, 0..1

COLOURS: Mapping[str, Colour] = {
    "red": (0.86, 0.09, 0.10),
    "orange": (0.98, 0.50, 0.03),
    "yellow": (0.98, 0.86, 0.08),
    "green": (0.08, 0.62, 0.16),
    "cyan": (0.10, 0.80, 0.86),
    "blue": (0.10, 0.24, 0.88),
    "purple": (0.52, 0.13, 0.76),
    "pink": (0.98, 0.45, 0.70),
    "white": (0.95, 0.95, 0.95),
    "black": (0.07, 0.07, 0.08),
}
SIZES: Mapping[str, float] = {"small": 0.40, "medium": 0.60, "large": 0.84}  # the solid's radius in world units


class Extent(NamedTuple):
    """A unit solid's half height, the radius of the upright cylinder around it, and how deep what is on it sinks in."""

    half_height: float
    half_width: float
    sink: float


SHAPES: Mapping[str, Extent] = {
    "sphere": Extent(1.0, 1.0, 0.05),
    "cube": Extent(0.80, 1.13, 0.0),  # half the diagonal, since it may be turned
    "cylinder": Extent(0.85, 0.78, 0.0),
    "cone": Extent(0.95, 0.95, 0.22),
    "torus": Extent(0.28, 1.0, 0.06),  # lying
}
STANDING_TORUS = Extent(1.0, 1.0, 0.0)


@dataclass(frozen=True)
class Background:
    """Floor and what is behind it (sRGB). `zenith` is the colour far above the horizon; `tile` a second floor colour.

    `sharp` has a horizon; otherwise the floor passes smoothly into the wall, as in a photographer's studio.
    """

    floor: Colour
    wall: Colour
    zenith: Colour
    sharp: bool = False
    tile: Colour | None = None


BACKGROUNDS: Mapping[str, Background] = {
    "white": Background((0.93, 0.93, 0.93), (0.97, 0.97, 0.97), (0.90, 0.91, 0.93)),
    "grey": Background((0.52, 0.52, 0.54), (0.58, 0.58, 0.60), (0.42, 0.42, 0.45)),
    "black": Background((0.13, 0.13, 0.14), (0.10, 0.10, 0.11), (0.04, 0.04, 0.05)),
    "pink": Background((0.93, 0.70, 0.74), (0.95, 0.76, 0.80), (0.88, 0.62, 0.70)),
    "grass": Background((0.36, 0.60, 0.20), (0.80, 0.90, 0.97), (0.36, 0.62, 0.93), sharp=True),
    "sand": Background((0.86, 0.72, 0.47), (0.99, 0.80, 0.55), (0.55, 0.50, 0.74), sharp=True),
    "tiles": Background((0.88, 0.86, 0.82), (0.72, 0.76, 0.80), (0.56, 0.61, 0.68), True, (0.36, 0.40, 0.46)),
}


@dataclass(frozen=True)
class Solid:
    """One object. (x, y, z) is its centre: x to the right, y up from the floor, z towards the viewer."""

    shape: str
    colour: str
    size: str
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    yaw: float = 0.0  # radians about the vertical
    standing: bool = False  # only a torus can lie or stand

    @property
    def radius(self) -> float:
        """World units; the shape's extents are multiples of it."""
        return SIZES[self.size]

    @property
    def extent(self) -> Extent:
        """In world units."""
        unit = STANDING_TORUS if self.standing else SHAPES[self.shape]
        return Extent(*(value * self.radius for value in unit))

    @property
    def bottom(self) -> float:
        """Height of its lowest point over the floor."""
        return self.y - self.extent.half_height

    @property
    def top(self) -> float:
        """Height of its highest point over the floor."""
        return self.y + self.extent.half_height


class Relation(NamedTuple):
    """Solid number `subject` is on, left of, right of or in front of solid number `reference`."""

    subject: int
    name: RelationName
    reference: int


@dataclass(frozen=True)
class View:
    """The camera: it stands at `eye` and looks at `target`; the picture is 2·`tangent` wide at distance one."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    tangent: float
    light: tuple[float, float, float]  # towards the light, length one


@dataclass(frozen=True)
class Scene:
    """One to three solids, how they stand to each other, where, and who looks."""

    solids: tuple[Solid, ...]
    relations: tuple[Relation, ...]
    background: str
    view: View
    index: int = 0


def holds(relation: Relation, solids: tuple[Solid, ...]) -> bool:
    """Whether the geometry bears the relation out, by the solids' bounding cylinders."""
    return PREDICATES[relation.name](solids[relation.subject], solids[relation.reference])


def _is_on(a: Solid, b: Solid) -> bool:
    gap = a.bottom - b.top
    return math.hypot(a.x - b.x, a.z - b.z) < 0.35 * b.extent.half_width and -1e-6 <= gap + b.extent.sink <= 0.02


def _is_left_of(a: Solid, b: Solid) -> bool:
    beside = abs(a.z - b.z) < a.extent.half_width + b.extent.half_width
    return beside and a.x + a.extent.half_width < b.x - b.extent.half_width


def _is_in_front_of(a: Solid, b: Solid) -> bool:
    aligned = abs(a.x - b.x) < a.extent.half_width + b.extent.half_width
    return aligned and a.z - a.extent.half_width > b.z + b.extent.half_width


PREDICATES: Mapping[str, Callable[[Solid, Solid], bool]] = {
    "on": _is_on,
    "left": _is_left_of,
    "right": lambda a, b: _is_left_of(b, a),
    "front": _is_in_front_of,
}


def describe(scene: Scene) -> str:
    """What can be said about a scene without sizes and numbers: equal descriptions are the same combination."""
    names = [f"{solid.colour} {solid.shape}" for solid in scene.solids]
    if not scene.relations:
        return f"{names[0]} / {scene.background}"
    facts = []
    for subject, name, reference in scene.relations:
        # left and right say the same thing from two sides
        first, word, second = (reference, "left", subject) if name == "right" else (subject, name, reference)
        facts.append(f"{names[first]} {word} {names[second]}")
    return ", ".join(sorted(facts))


HELD_OUT_PART = 8  # one combination in so many


def is_held_out(scene: Scene) -> bool:
    """Whether this combination is kept out of training: its description decides, not its index."""
    return zlib.crc32(describe(scene).encode()) % HELD_OUT_PART == 0


def make_scene(index: int, split: Split = "train", *, objects: int | None = None, seed: int = 0) -> Scene:
    """Scene number `index` of a split: a pure function of its arguments.

    objects: how many solids (1 to 3); None mixes them 35 : 45 : 20. `seed` numbers independent collections.
    Raises ValueError for a count outside 1 to 3.
    """
    if objects is not None and not 1 <= objects <= 3:
        raise ValueError(f"a scene has 1 to 3 solids; {objects} were asked")
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    count = objects if objects is not None else int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.20]))
    while True:
        scene = _draw(rng, count, index)
        if scene is not None and is_held_out(scene) == (split == "test"):
            return scene


SPLITS: tuple[Split, ...] = ("train", "test")

# Where a third solid may go, by the relation of the second to the first: (relation, which solid it refers to).
THIRD: Mapping[RelationName, tuple[tuple[RelationName, int], ...]] = {
    "on": (("on", 1), ("left", 0), ("right", 0), ("front", 0)),
    "left": (("right", 0), ("left", 1), ("on", 0), ("on", 1), ("front", 0), ("front", 1)),
    "right": (("left", 0), ("right", 1), ("on", 0), ("on", 1), ("front", 0), ("front", 1)),
    "front": (("on", 0), ("left", 0), ("right", 0), ("left", 1), ("right", 1)),
}
OVERHANG = 1.6  # how much wider than its support a solid may be
RELATIONS: tuple[RelationName, ...] = ("on", "left", "right", "front")


def _draw(rng: np.random.Generator, count: int, index: int) -> Scene | None:
    """One attempt; None where solids would meet or hide each other."""
    kinds: list[tuple[str, str]] = []
    while len(kinds) < count:  # a phrase like "the red cube" must mean one solid
        kind = (str(rng.choice(list(SHAPES))), str(rng.choice(list(COLOURS))))
        if kind not in kinds:
            kinds.append(kind)
    sizes = [str(rng.choice(list(SIZES), p=[0.27, 0.46, 0.27])) for _ in kinds]
    relations: list[Relation] = []
    if count > 1:
        relations.append(Relation(1, RELATIONS[int(rng.integers(4))], 0))
    if count > 2:
        options = THIRD[relations[0].name]
        name, reference = options[int(rng.integers(len(options)))]
        relations.append(Relation(2, name, reference))

    bearing = {relation.reference for relation in relations if relation.name == "on"}
    solids: list[Solid] = []
    for number, ((shape, colour), size) in enumerate(zip(kinds, sizes, strict=True)):
        standing = shape == "torus" and number not in bearing and bool(rng.integers(2))
        solid = Solid(shape, colour, size, yaw=float(rng.uniform(-0.6, 0.6)), standing=standing)
        relation = next((relation for relation in relations if relation.subject == number), None)
        if relation is None:
            solids.append(_on_floor(solid))
        else:
            solids.append(_placed(solid, relation.name, solids[relation.reference], rng))
    centred = _centred(solids, rng)
    if any(name == "on" and _overhangs(solids[a], solids[b]) for a, name, b in relations):
        return None  # what stands below would be in the dark
    if not all(holds(relation, centred) for relation in relations) or _meet(centred):
        return None
    view = _view(centred, rng)
    if _least_visible(centred, view) < 0.5:
        return None
    # black on black could not be told from nothing
    backgrounds = [name for name in BACKGROUNDS if name not in {solid.colour for solid in centred}]
    return Scene(centred, tuple(relations), str(rng.choice(backgrounds)), view, index)


def _overhangs(a: Solid, b: Solid) -> bool:
    return a.extent.half_width > OVERHANG * b.extent.half_width


def _on_floor(solid: Solid) -> Solid:
    return replace(solid, y=solid.extent.half_height)


def _placed(solid: Solid, name: RelationName, other: Solid, rng: np.random.Generator) -> Solid:
    """The solid put where the relation says, with a little play."""
    reach = solid.extent.half_width + other.extent.half_width
    gap = float(rng.uniform(0.06, 0.40))
    play = float(rng.uniform(-1.0, 1.0))
    if name == "on":
        y = other.top - other.extent.sink + solid.extent.half_height
        slip = 0.0 if other.shape in ("sphere", "cone", "torus") else 0.15 * other.extent.half_width
        return replace(solid, x=other.x + play * slip, y=y, z=other.z)
    if name == "front":
        return _on_floor(replace(solid, x=other.x + 0.55 * play * reach, z=other.z + reach + gap))
    side = -1.0 if name == "left" else 1.0
    return _on_floor(replace(solid, x=other.x + side * (reach + gap), z=other.z + 0.25 * play * reach))


def _centred(solids: list[Solid], rng: np.random.Generator) -> tuple[Solid, ...]:
    left = min(solid.x - solid.extent.half_width for solid in solids)
    right = max(solid.x + solid.extent.half_width for solid in solids)
    depth = (min(solid.z for solid in solids) + max(solid.z for solid in solids)) / 2
    play = 0.75 if len(solids) == 1 else 0.25
    dx = float(rng.uniform(-play, play)) - (left + right) / 2
    dz = float(rng.uniform(-0.3, 0.3)) - depth
    return tuple(replace(solid, x=solid.x + dx, z=solid.z + dz) for solid in solids)


def _meet(solids: tuple[Solid, ...]) -> bool:
    """Whether two solids' bounding cylinders overlap by more than one lies in the other's top."""
    for number, a in enumerate(solids):
        for b in solids[:number]:
            apart = math.hypot(a.x - b.x, a.z - b.z) > a.extent.half_width + b.extent.half_width
            above = a.bottom >= b.top - b.extent.sink - 1e-6 or b.bottom >= a.top - a.extent.sink - 1e-6
            if not apart and not above:
                return True
    return False


def _view(solids: tuple[Solid, ...], rng: np.random.Generator) -> View:
    """A camera in front and a little above, far enough back to see everything."""
    half_width = max(abs(solid.x) + solid.extent.half_width for solid in solids)
    top = max(solid.top for solid in solids)
    nearest = max(solid.z + solid.extent.half_width for solid in solids)
    tangent = 0.36
    aim = max(0.62, 0.48 * top)
    distance = max(5.2, nearest + (max(half_width, top - aim, aim + 0.15) + 0.25) / tangent)
    pitch = float(rng.uniform(0.26, 0.38))
    eye = (float(rng.uniform(-0.35, 0.35)), aim + distance * math.sin(pitch), distance * math.cos(pitch))
    light = np.array([rng.uniform(-0.9, 0.9), 1.5, rng.uniform(0.5, 1.1)])
    x, y, z = (float(value) for value in light / np.linalg.norm(light))
    return View(eye, (0.0, aim, 0.0), tangent, (x, y, z))


def axes(view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The camera's unit vectors: right, up, forward (each (3,), float64)."""
    forward = np.subtract(view.target, view.eye)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 1.0, 0.0))
    right = right / np.linalg.norm(right)
    return right, np.cross(right, forward), forward


def project(point: tuple[float, float, float], view: View) -> tuple[float, float, float]:
    """A point's place in the picture (x and y in -1..1, y upwards) and its distance along the line of sight."""
    right, up, forward = axes(view)
    offset = np.subtract(point, view.eye)
    depth = float(offset @ forward)
    return float(offset @ right) / (depth * view.tangent), float(offset @ up) / (depth * view.tangent), depth


def _least_visible(solids: tuple[Solid, ...], view: View) -> float:
    """The part of the most hidden solid that is seen, each taken as an ellipse in the picture."""
    offsets = [(x, y) for x in np.linspace(-0.9, 0.9, 9) for y in np.linspace(-0.9, 0.9, 9) if x * x + y * y < 1]
    ellipses = []
    for solid in solids:
        x, y, depth = project((solid.x, solid.y, solid.z), view)
        reach = depth * view.tangent
        ellipses.append((x, y, depth, solid.extent.half_width / reach, solid.extent.half_height / reach))
    least = 1.0
    for number, (x, y, depth, a, b) in enumerate(ellipses):
        nearer = [other for place, other in enumerate(ellipses) if place != number and other[2] < depth]
        seen = sum(
            not any(((x + u * a - ox) / oa) ** 2 + ((y + v * b - oy) / ob) ** 2 < 1 for ox, oy, _, oa, ob in nearer)
            for u, v in offsets
        )
        least = min(least, seen / len(offsets))
    return least
