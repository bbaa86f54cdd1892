"""Sweeps: one picture for each value of an input, side by side; and prompts from a file. Easel's own nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from engine.diffusion.pictures.grid import sheet
from engine.diffusion.samplers import SAMPLER_NAMES
from engine.diffusion.schedules import SCHEDULE_NAMES
from engine.graph.expand import Expand, Subgraph
from engine.graph.node import (
    Choice,
    Context,
    ControlAfterGenerate,
    DynPrompt,
    Files,
    Range,
    RawLink,
    Text,
    node,
)
from engine.graph.sweep import Axis, axis_of, vary
from engine.graph.types import Conditioning, Image, Latent, Model, Vae
from engine.graph.workflow import Link

MOST_PICTURES = 400
MOST_BYTES = 4 * 2**20  # of a file of prompts
MOST_PROMPTS = 10_000
Lines = Annotated[str, Text(multiline=True)]
Letters = Annotated[int, Range(0, 200, step=1)]
Gap = Annotated[int, Range(0, 256, step=1)]


class Plot(NamedTuple):
    """The sheet, and the pictures on it, row by row."""

    grid: Image
    images: list[Image]


@node("XYPlot", category="sweeps", display_name="XY Plot", returns=("grid", "images"))
def plot(
    *, image: Annotated[Image, RawLink()], x: str = "", x_values: Lines = "", y: str = "", y_values: Lines = "",
    letters: Letters = 24, gap: Gap = 8, graph: DynPrompt,
) -> Plot | Expand:
    """Make a picture again and again with other values of one or two inputs, and put all on one sheet.

    image: The picture to vary. Only what depends on the two inputs is made anew.
    x: The input that changes from column to column, as NODE.INPUT, such as 5.cfg.
    x_values: Its values, one on each line.
    y: The input that changes from row to row; may be empty.
    y_values: Its values, one on each line.
    letters: Height of the labels' letters in pixels; 0 leaves labels out.
    gap: Pixels between pictures.
    """
    link = image
    assert isinstance(link, Link)
    columns, rows = axis_of(graph, "x", x, x_values), axis_of(graph, "y", y, y_values)
    _check_count(columns, rows)
    cells, made = vary(graph, link, columns, rows)
    return _on_a_sheet(made, cells, columns.labels, rows.labels, letters, gap)


def _check_count(columns: Axis, rows: Axis) -> None:
    count = len(columns.labels) * len(rows.labels)
    if count > MOST_PICTURES:
        raise ValueError(
            f"{len(columns.labels)} values of x and {len(rows.labels)} of y are {count} pictures; the limit is "
            f"{MOST_PICTURES}: take fewer values"
        )


def _on_a_sheet(
    made: Subgraph, cells: Sequence[Link], columns: Sequence[str], rows: Sequence[str], letters: int, gap: int
) -> Expand:
    """The graph of the cells, and a sheet of what they make."""
    numbered = {f"cell_{number}": cell for number, cell in enumerate(cells)}
    page = made.add(
        "PictureSheet", columns=list(columns), rows=list(rows), letters=letters, gap=gap, **numbered
    )  # fmt: skip
    return Expand((page.out(0), page.out(1)), made.nodes)


@node("PictureSheet", category="sweeps", display_name="Picture Sheet", returns=("grid", "images"))
def picture_sheet(
    *, columns: Any | None = None, rows: Any | None = None, letters: Letters = 24, gap: Gap = 8, **cells: Image
) -> Plot:
    """Put pictures on one sheet, with labels. XY Plot and Guidance Sweep expand to it.

    columns: A list of labels, or a text with one on each line.
    rows: A list of labels, or a text with one on each line.
    cells: Further inputs, cell_0, cell_1 and so on, row by row.
    """
    labels, names = [_labels(each) for each in (columns, rows)], sorted(cells, key=_number)
    pictures = [cells[name] for name in names]
    if len(pictures) != len(labels[0]) * len(labels[1]):
        raise ValueError(
            f"{len(pictures)} pictures are linked and there are places for {len(labels[0])} × {len(labels[1])}: "
            "as many as labels of columns times labels of rows"
        )
    width = len(labels[0])
    by_row = [[each.pixels for each in pictures[start : start + width]] for start in range(0, len(pictures), width)]
    return Plot(Image(sheet(by_row, labels[0], labels[1], letters, gap)), pictures)


def _labels(given: Any) -> list[str]:
    """Labels of a list, or of a text with one on each line; one empty label if there are none."""
    labels = given.splitlines() if isinstance(given, str) else list(given or ())
    return [str(label) for label in labels] or [""]


def _number(name: str) -> tuple[int, str]:
    """Numbers in names count as numbers: cell_10 comes after cell_9."""
    found = re.search(r"\d+", name)
    return int(found[0]) if found else -1, name


@node("GuidanceSweep", category="sweeps", display_name="Guidance Sweep", returns=("grid", "images"))
def sweep_guidance(
    *, model: Model, positive: Conditioning, negative: Conditioning, latent_image: Latent, vae: Vae,
    seed: Annotated[int, Range(0, 2**64 - 1), ControlAfterGenerate()] = 0, cfg_values: str = "3, 5, 7.5, 10",
    steps_values: str = "10, 20, 30", sampler_name: Annotated[str, Choice(SAMPLER_NAMES)],
    scheduler: Annotated[str, Choice(SCHEDULE_NAMES)],
    denoise: Annotated[float, Range(0.0, 1.0, step=0.01)] = 1.0, letters: Letters = 24, gap: Gap = 8,
) -> Plot | Expand:
    """Sample the same picture with several strengths of guidance (columns) and numbers of steps (rows).

    cfg_values: How strongly to follow the prompt, with commas between.
    steps_values: How many times the model is asked, with commas between.
    letters: Height of the labels' letters in pixels; 0 leaves labels out.
    gap: Pixels between pictures.
    """
    guidance, steps = _numbers("cfg_values", cfg_values, float), _numbers("steps_values", steps_values, int)
    columns, rows = Axis("", "cfg", guidance), Axis("", "steps", steps)
    _check_count(columns, rows)
    made = Subgraph()
    cells = []
    for count in steps:
        for cfg in guidance:
            sampled = made.add(
                "KSampler", model=model, seed=seed, steps=count, cfg=cfg, sampler_name=sampler_name,
                scheduler=scheduler, positive=positive, negative=negative, latent_image=latent_image, denoise=denoise,
            )  # fmt: skip
            cells.append(made.add("VAEDecode", samples=sampled.out(0), vae=vae).out(0))
    return _on_a_sheet(made, cells, columns.labels, rows.labels, letters, gap)


def _numbers(name: str, text: str, kind: type[float] | type[int]) -> tuple[Any, ...]:
    """Numbers with commas between. Raises ValueError that names the input and the word that is none."""
    words = [word.strip() for word in re.split(r"[,\n]", text) if word.strip()]
    if not words:
        raise ValueError(f"{name} is empty; write numbers with commas between, such as 3, 5, 7")
    made = []
    for word in words:
        try:
            number = kind(word)
        except ValueError:
            raise ValueError(f"{name}: {word!r} is no {LIMITS[kind][0]}; write such as 3, 5, 7") from None
        what, least, most = LIMITS[kind]
        if not least <= number <= most:
            raise ValueError(f"{name}: {word} is out of range; a {what} here is from {least} to {most}")
        made.append(number)
    return tuple(made)


LIMITS: Mapping[type, tuple[str, float, float]] = {int: ("whole number", 1, 10_000), float: ("number", 0, 100)}
"""What KSampler takes for its steps and its cfg."""


# -- prompts -----------------------------------------------------------------------------------------------------


@node("PromptsFromFile", category="sweeps", display_name="Prompts from File", lane="io", returns=("prompt",))
def prompts_from_file(
    context: Context, *, file: Annotated[str, Files("texts")], start: Annotated[int, Range(0, MOST_PROMPTS)] = 0,
    count: Annotated[int, Range(0, MOST_PROMPTS)] = 0,
) -> list[str]:
    """Read prompts from a text file in the input folder: what follows runs once for each. Lines takes a typed text.

    file: One prompt on each line; empty lines and lines that begin with # are left out.
    start: How many prompts are skipped.
    count: How many are taken; 0 is all.
    """
    path = context.file("texts", file)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{file} has {size} bytes; the limit is {MOST_BYTES}, so split it")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is no UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}") from error
    return _prompts(file, text, start, count)


def _prompts(place: str, text: str, start: int, count: int) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    taken = found[start : start + count if count else None]
    if not taken:
        raise ValueError(f"{place} holds {len(found)} prompts and start is {start}: none is left; start earlier")
    if len(taken) > MOST_PROMPTS:
        raise ValueError(f"{place} holds {len(taken)} prompts; the limit is {MOST_PROMPTS}: use start and count")
    return taken
