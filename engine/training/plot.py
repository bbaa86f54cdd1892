"""A line plot as SVG, in a few lines: two axes, labelled points, a legend.

>>> plot_lines([Line("a", [(0.0, 1.0), (1.0, 2.0)], ["1", "2"])], x="x", y="y", title="t").startswith("<svg")
True
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 560, 400, 60
COLOURS = ("#2563eb", "#dc2626", "#059669", "#9333ea", "#d97706")
TICKS = 5


@dataclass(frozen=True)
class Line:
    """Points (x, y) in order, and what is written beside each."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = field(default=())


def plot_lines(lines: Sequence[Line], *, x: str, y: str, title: str) -> str:
    """The lines as an SVG document; x, y and title are what is written at the axes and above."""
    spans = []
    for axis in (0, 1):
        values = [point[axis] for line in lines for point in line.points]
        low, high = min(values), max(values)
        room = 0.08 * (high - low) or 1.0
        spans.append((low - room, high + room))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        (x0, x1), (y0, y1) = spans
        across = MARGIN + (point[0] - x0) / (x1 - x0) * (WIDTH - 1.5 * MARGIN)
        return round(across, 1), round(HEIGHT - MARGIN - (point[1] - y0) / (y1 - y0) * (HEIGHT - 2 * MARGIN), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(WIDTH / 2, 24, title, "middle"),
        _text(WIDTH / 2, HEIGHT - 14, x, "middle"),
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y)}</text>',
    ]
    for number in range(TICKS):
        for axis, (low, high) in enumerate(spans):
            value = low + (high - low) * number / (TICKS - 1)
            at = place((value, spans[1][0]) if axis == 0 else (spans[0][0], value))
            if axis == 0:
                parts.append(_text(at[0], at[1] + 18, f"{value:.3g}", "middle"))
            else:
                parts.append(_text(at[0] - 6, at[1] + 4, f"{value:.3g}", "end"))
    left, bottom = place((spans[0][0], spans[1][0]))
    parts.append(f'<path d="M{left} {MARGIN}V{bottom}H{WIDTH - MARGIN / 2}" fill="none" stroke="#444"/>')
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(f"{a} {b}" for a, b in map(place, line.points))
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for index, point in enumerate(line.points):
            a, b = place(point)
            parts.append(f'<circle cx="{a}" cy="{b}" r="3" fill="{colour}"/>')
            if index < len(line.labels):
                parts.append(_text(a + 6, b - 6, line.labels[index], "start"))
        parts.append(_text(WIDTH - MARGIN / 2, MARGIN - 12 + 16 * number, line.name, "end", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#222") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
