"""A line plot as SVG: axes linear or logarithmic, names at the ends of the lines. What evaluations and benchmarks draw.

>>> plot_lines([Line("a", [(1.0, 1.0), (10.0, 2.0)])], Axis("steps", log=True), Axis("error")).startswith("<svg")
True
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 820, 480, 70, 190, 30, 50
COLOURS = ("#1b6ca8", "#c8553d", "#2f8f5b", "#8a4fbf", "#b8860b", "#c2407f", "#4d7d8c")
DASHES = ("", "6 3", "1 3")
ROOM = 0.06  # of an axis, kept free at both ends
BETWEEN_NAMES = 15  # pixels


@dataclass(frozen=True)
class Line:
    """Points (x, y) in order, and what is written beside each."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Axis:
    """What is written at an axis, and whether its values, all above 0 then, are drawn by their logarithms."""

    title: str
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, in the axis' own measure."""
        return math.log10(value) if self.log else value

    def ticks(self, low: float, high: float) -> list[tuple[float, str]]:
        """Places with a number between two ends, in the axis' own measure: 1, 2, 5, 10 … or five even steps."""
        if not self.log:
            return [(place, f"{place:.3g}") for place in (low + (high - low) * n / 4 for n in range(5))]
        whole = range(math.floor(low), math.ceil(high) + 1)
        parts = (1, 2, 5) if high - low < 3 else (1,)
        values = [part * 10.0**power for power in whole for part in parts]
        return [(self.at(value), f"{value:g}") for value in values if low <= self.at(value) <= high]


def plot_lines(lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """The lines as an SVG document. ValueError without any point."""
    points = [(x.at(a), y.at(b)) for line in lines for a, b in line.points]
    (x0, x1), (y0, y1) = _ends([a for a, _ in points]), _ends([b for _, b in points])

    def across(place: float) -> float:
        return round(LEFT + (place - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT), 1)

    def down(place: float) -> float:
        return round(HEIGHT - BOTTOM - (place - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x.title, "middle"),
        _text(LEFT, TOP - 12, y.title, "start"),
    ]
    for place, text in x.ticks(x0, x1):
        parts.append(_rule(across(place), TOP, across(place), HEIGHT - BOTTOM))
        parts.append(_text(across(place), HEIGHT - BOTTOM + 18, text, "middle"))
    for place, text in y.ticks(y0, y1):
        parts.append(_rule(LEFT, down(place), WIDTH - RIGHT, down(place)))
        parts.append(_text(LEFT - 8, down(place) + 4, text, "end"))
    lowest = float(TOP)
    for number, line in enumerate(sorted(lines, key=lambda each: down(y.at(each.points[-1][1])))):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        drawn = [(across(x.at(a)), down(y.at(b))) for a, b in line.points]
        lowest = max(lowest + BETWEEN_NAMES, drawn[-1][1])
        parts.append(_path(drawn, colour, 1.6, dash))
        parts.append(_path([drawn[-1], (WIDTH - RIGHT + 8, lowest)], colour, 0.5))
        parts.append(_text(WIDTH - RIGHT + 12, lowest + 4, line.name, "start", colour))
        for (a, b), text in zip(drawn, line.labels, strict=False):
            parts.append(f'<circle cx="{a}" cy="{b}" r="3" fill="{colour}"/>')
            parts.append(_text(a + 6, b - 6, text, "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ends(places: Sequence[float]) -> tuple[float, float]:
    low, high = min(places), max(places)
    room = ROOM * (high - low) or 1.0
    return low - room, high + room


def _path(points: Sequence[tuple[float, float]], colour: str, width: float, dash: str = "") -> str:
    path = " ".join(f"{a},{b}" for a, b in points)
    broken = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{broken}/>'


def _rule(x0: float, y0: float, x1: float, y1: float) -> str:
    return _path([(x0, y0), (x1, y1)], "#ddd", 1)


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
