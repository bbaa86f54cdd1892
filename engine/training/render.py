"""Pictures, depth and masks of a scene, by sphere tracing (Hart, 1996), in numpy on one core.

Every solid is a signed distance function of a unit solid. A ray is only traced where it meets the solid's bounding
sphere, and only until it has arrived; what is behind is a plane and a wall, in closed form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.training.scenes import BACKGROUNDS, COLOURS, Background, Scene, Solid, View, axes

Floats = NDArray[np.float32]

FAR = 30.0  # the depth of the sky and of walls, in world units
STEPS = 40  # of the march; what has not arrived by then has grazed the solid and missed
ARRIVED = 1.5e-3  # of the solid's radius: a fifth of a pixel at 128
SHADOW_STEPS = 14
PENUMBRA = 7.0  # larger is a smaller lamp
AMBIENT = 0.36


@dataclass(frozen=True, eq=False)
class Rendering:
    """What the camera sees.

    picture (h, w, 3) sRGB in 0..1; depth (h, w) in world units along the line of sight, FAR at most;
    ids (h, w) int8, the number of the solid seen or -1; coverage (solids, h, w) in 0..1, the part of each pixel that
    shows the solid. Depth and ids are those of one ray, a quarter of a pixel left of and above the pixel's centre.
    """

    picture: Floats
    depth: Floats
    ids: NDArray[np.int8]
    coverage: Floats


def _length(*parts: Floats) -> Floats:
    out: Floats = np.sqrt(sum(part * part for part in parts))
    return out


def _dot(a: Floats, b: Floats) -> Floats:
    """Row by row: (n, 3) with (n, 3) to (n,). Several times faster than a sum over so short an axis."""
    out: Floats = np.einsum("ij,ij->i", a, b)
    return out


def _sphere(x: Floats, y: Floats, z: Floats) -> Floats:
    return _length(x, y, z) - np.float32(1.0)


def _cube(x: Floats, y: Floats, z: Floats) -> Floats:
    a, b, c = np.abs(x) - 0.76, np.abs(y) - 0.76, np.abs(z) - 0.76
    outside = _length(np.maximum(a, 0), np.maximum(b, 0), np.maximum(c, 0))
    out: Floats = outside + np.minimum(np.maximum(a, np.maximum(b, c)), 0) - 0.04
    return out


def _cylinder(x: Floats, y: Floats, z: Floats) -> Floats:
    a, b = _length(x, z) - 0.74, np.abs(y) - 0.81
    out: Floats = _length(np.maximum(a, 0), np.maximum(b, 0)) + np.minimum(np.maximum(a, b), 0) - 0.04
    return out


CONE_SLOPE = (1.9 / np.hypot(1.9, 0.95), 0.95 / np.hypot(1.9, 0.95))  # the mantle's normal: outwards, upwards


def _cone(x: Floats, y: Floats, z: Floats) -> Floats:
    # the larger of two half-space distances is never more than the true one, so the march stays safe
    mantle = _length(x, z) * np.float32(CONE_SLOPE[0]) + (y - np.float32(0.95)) * np.float32(CONE_SLOPE[1])
    out: Floats = np.maximum(mantle, -0.95 - y)
    return out


def _torus(x: Floats, y: Floats, z: Floats) -> Floats:
    return _length(_length(x, z) - 0.72, y) - 0.28


DISTANCES: Mapping[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "sphere": _sphere,
    "cube": _cube,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
}
BOUNDS = {"sphere": 1.001, "cube": 1.36, "cylinder": 1.16, "cone": 1.35, "torus": 1.001}  # of the unit solids


def distance(solid: Solid, x: Floats, y: Floats, z: Floats) -> Floats:
    """Signed distance (n,) from world points to the solid's surface, never more than the true one."""
    scale = np.float32(1.0 / solid.radius)
    cosine, sine = np.float32(np.cos(solid.yaw)), np.float32(np.sin(solid.yaw))
    x, y, z = (x - np.float32(solid.x)) * scale, (y - np.float32(solid.y)) * scale, (z - np.float32(solid.z)) * scale
    x, z = cosine * x - sine * z, sine * x + cosine * z
    if solid.standing:
        y, z = z, y
    return DISTANCES[solid.shape](x, y, z) * np.float32(solid.radius)


def render(scene: Scene, size: int = 128, *, samples: int = 2) -> Rendering:
    """Draw a scene as a square of `size` pixels with samples² rays a pixel (Rendering says what comes out)."""
    fine = size * samples
    rays = _rays(scene.view, fine)
    depth, ids, points = _trace(scene, rays)
    colour = _shade(scene, rays, ids, points)
    _, _, forward = axes(scene.view)
    along = depth * (rays @ forward.astype(np.float32))
    blocks = _pooled(colour.reshape(fine, fine, 3), samples)
    id_map = ids.reshape(size, samples, size, samples)
    coverage = np.stack([
        _pooled((ids == number).astype(np.float32).reshape(fine, fine), samples) for number in range(len(scene.solids))
    ])  # fmt: skip
    return Rendering(
        np.sqrt(np.clip(blocks, 0.0, 1.0)).astype(np.float32),
        np.minimum(along, FAR).reshape(fine, fine)[::samples, ::samples].astype(np.float32),
        id_map[:, 0, :, 0].astype(np.int8),
        coverage.astype(np.float32),
    )


def _pooled(fine: Floats, samples: int) -> Floats:
    """The mean of each samples × samples block of the first two axes."""
    parts = [fine[row::samples, column::samples] for row in range(samples) for column in range(samples)]
    out: Floats = sum(parts[1:], start=parts[0]) / np.float32(len(parts))
    return out


def _rays(view: View, fine: int) -> Floats:
    """Unit directions (fine², 3), row by row from the top left."""
    right, up, forward = axes(view)
    line = (np.arange(fine) + 0.5) / fine * 2.0 - 1.0
    x, y = np.meshgrid(line * view.tangent, -line * view.tangent)
    rays = x.reshape(-1, 1) * right + y.reshape(-1, 1) * up + forward
    out: Floats = (rays / np.sqrt(_dot(rays, rays))[:, None]).astype(np.float32)
    return out


def _trace(scene: Scene, rays: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Distance along each ray (n,), the solid it meets (-1: none) and the point (n, 3)."""
    eye = np.array(scene.view.eye, np.float32)
    with np.errstate(divide="ignore"):
        down = np.where(rays[:, 1] < -1e-4, -eye[1] / rays[:, 1], np.inf).astype(np.float32)
    depth: Floats = np.minimum(down, np.float32(4 * FAR))
    ids = np.full(len(rays), -1, np.int64)
    for number, solid in enumerate(scene.solids):
        near, chance = _bounding_sphere(solid, eye, rays)
        active = np.flatnonzero(chance & (near < depth))
        t = near[active]
        direction = rays[active]
        reached: list[tuple[NDArray[np.int64], Floats]] = []
        for _ in range(STEPS):
            step = distance(solid, *(eye[axis] + t * direction[:, axis] for axis in range(3)))
            arrived = step < ARRIVED * solid.radius
            if arrived.any():
                reached.append((active[arrived], t[arrived]))
            t = t + step
            # past the far side of the bounding sphere there is nothing left to meet
            going = ~arrived & (t < near[active] + 2.0 * BOUNDS[solid.shape] * solid.radius)
            active, t, direction = active[going], t[going], direction[going]
            if not len(active):
                break
        for places, distances in reached:
            nearer = distances < depth[places]
            depth[places[nearer]] = distances[nearer]
            ids[places[nearer]] = number
    points: Floats = eye + depth[:, None] * rays
    return depth, ids, points


def _bounding_sphere(solid: Solid, origin: Floats, rays: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Where each ray enters the solid's bounding sphere, and whether it does."""
    offset = origin - np.array([solid.x, solid.y, solid.z], np.float32)
    along = rays @ offset
    radius = np.float32(BOUNDS[solid.shape] * solid.radius)
    square = along * along - (offset @ offset - radius * radius)
    return -along - np.sqrt(np.maximum(square, 0.0)), square > 0.0


def _shade(scene: Scene, rays: Floats, ids: NDArray[np.int64], points: Floats) -> Floats:
    """Linear colour (n, 3): one lamp with soft shadows, light from the sky, darkness near contacts, a highlight."""
    background = BACKGROUNDS[scene.background]
    floor = points[:, 1] < 1e-3
    normals = np.zeros_like(points)
    normals[:, 1] = 1.0
    albedo = _floor(background, points)
    for number, solid in enumerate(scene.solids):
        seen = np.flatnonzero(ids == number)
        normals[seen] = _normals(solid, points[seen])
        albedo[seen] = _linear(COLOURS[solid.colour])
    lit = np.flatnonzero((ids >= 0) | (floor & (np.abs(points[:, 0]) < 9.0) & (points[:, 2] > -9.0)))
    p, n = points[lit], normals[lit]
    light = np.array(scene.view.light, np.float32)
    facing = np.maximum(n @ light, 0.0)
    shadow = np.ones(len(lit), np.float32)
    sky = 0.5 + 0.5 * n[:, 1]
    for solid in scene.solids:
        shadow *= _soft_shadow(solid, p, n, light, facing > 0)
        sky *= 1.0 - _occlusion(solid, p, n)
    half = light - rays[lit]
    half /= np.sqrt(_dot(half, half))[:, None]
    gloss = np.maximum(_dot(n, half), 0.0) ** 40 * shadow * (ids[lit] >= 0)
    amount = AMBIENT * (0.45 + 0.55 * sky) * np.minimum(1.0, 0.25 + sky) + 0.78 * facing * shadow
    # the floor shows its named colour where nothing shades it
    level = np.where(ids[lit] >= 0, 1.0, 1.0 / (AMBIENT + 0.78 * light[1])).astype(np.float32)
    colour = albedo
    colour[lit] = albedo[lit] * (amount * level)[:, None] + 0.35 * gloss[:, None]
    return _behind(background, rays, points, ids, colour)


def _linear(colour: tuple[float, float, float]) -> Floats:
    """SRGB to linear light with a gamma of 2, which is near enough and quick to undo."""
    return np.square(np.array(colour, np.float32))


def _floor(background: Background, points: Floats) -> Floats:
    albedo = np.broadcast_to(_linear(background.floor), points.shape).copy()
    if background.tile is not None:
        odd = (np.floor(points[:, 0] / 1.1) + np.floor(points[:, 2] / 1.1)) % 2 == 1
        albedo[odd] = _linear(background.tile)
    return albedo


def _behind(background: Background, rays: Floats, points: Floats, ids: NDArray[np.int64], colour: Floats) -> Floats:
    """Put wall or sky where the floor ends: at the horizon, or gradually."""
    empty = ids < 0
    foot, span = (0.186, 0.30) if background.sharp else (0.28, 0.40)
    rise = np.clip((rays[:, 1] + np.float32(foot)) / np.float32(span), 0.0, 1.0)[:, None]
    sky = _linear(background.wall) * (1 - rise) + _linear(background.zenith) * rise
    start, end = (-7.6, -8.0) if background.sharp else (-1.5, -7.0)  # where the floor begins and ends to fade
    far = np.clip((np.float32(start) - points[:, 2]) / np.float32(start - end), 0.0, 1.0)
    far = np.where(points[:, 1] > 1e-3, 1.0, far * far * (3 - 2 * far))[:, None]
    out: Floats = np.where(empty[:, None], colour * (1 - far) + sky * far, colour).astype(np.float32)
    return out


def _normals(solid: Solid, points: Floats) -> Floats:
    """Outward unit normals (n, 3), by central differences."""
    step = np.float32(2e-3 * solid.radius)
    columns = []
    for axis in range(3):
        shift = np.zeros(3, np.float32)
        shift[axis] = step
        ahead, behind = points + shift, points - shift
        columns.append(distance(solid, *ahead.T) - distance(solid, *behind.T))
    normals = np.stack(columns, axis=1)
    out: Floats = (normals / np.maximum(np.sqrt(_dot(normals, normals)), 1e-12)[:, None]).astype(np.float32)
    return out


def _soft_shadow(solid: Solid, points: Floats, normals: Floats, light: Floats, facing: NDArray[np.bool_]) -> Floats:
    """The part of the lamp each point sees past the solid: the narrowest cone on the way (Quilez's estimate)."""
    out = np.ones(len(points), np.float32)
    centre = np.array([solid.x, solid.y, solid.z], np.float32)
    offset = centre - points
    along = offset @ light
    radius = np.float32(BOUNDS[solid.shape] * solid.radius)
    across = np.sqrt(np.maximum(_dot(offset, offset) - along * along, 0.0))
    reach = radius + np.maximum(along, 0.0) / PENUMBRA
    active = np.flatnonzero(facing & (along > -radius) & (across < reach))
    start = points[active] + normals[active] * np.float32(0.02)
    t = np.maximum(along[active] - 1.6 * radius, 0.03)
    end = along[active] + radius
    best = np.ones(len(active), np.float32)
    left = np.arange(len(active))
    for _ in range(SHADOW_STEPS):
        here = t[left]
        d = distance(solid, *(start[left, axis] + here * light[axis] for axis in range(3)))
        best[left] = np.minimum(best[left], np.clip(0.5 + 0.5 * PENUMBRA * d / here, 0.0, 1.0))
        t[left] = here + np.maximum(d, 0.05 * radius)
        left = left[(best[left] > 0.0) & (t[left] < end[left])]
        if not len(left):
            break
    out[active] = best * best * (3 - 2 * best)
    return out


def _occlusion(solid: Solid, points: Floats, normals: Floats) -> Floats:
    """The part of the sky a ball of the solid's size hides: cosine times solid angle."""
    offset = np.array([solid.x, solid.y, solid.z], np.float32) - points
    square = np.maximum(_dot(offset, offset), 1e-6)
    radius = 0.9 * min(solid.extent.half_width, solid.extent.half_height)
    cosine = np.maximum(_dot(offset, normals), 0.0) / np.sqrt(square)
    part: Floats = np.minimum(cosine * (radius * radius) / square, 0.85).astype(np.float32)
    return part
