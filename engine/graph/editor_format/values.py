"""``widgets_values`` ⇄ values by name.

The list follows the form: required inputs that can be typed in, then optional ones, in declared order, with extras
in between. After a number that may change after each run stands how it changes (a boolean in old files); after the
required inputs of a node with an upload button, the button. Old files hold a dummy for inputs that are links only.

>>> seed = InputSpec("seed", "INT", options={"control_after_generate": True})
>>> spec = NodeSpec("Noise", "Noise", inputs=(seed, InputSpec("scale", "FLOAT", default=1.0)))
>>> [(cell.name, cell.value) for cell in read_list([7, "randomize", 0.5], form(spec)).cells]
[('seed', 7), ('scale', 0.5)]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.graph.editor_format.shapes import EditorNode
from engine.graph.node import WIDGET_KINDS, Fixed, InputSpec, NodeSpec
from engine.graph.problems import shown

CONTROLS = frozenset({"fixed", "increment", "decrement", "randomize", "increment-wrap"})
UPLOADS = ("image", "upload", "choose file to upload", "audio", "video", "file", "", None)
NUMBERS = frozenset({"INT", "FLOAT", "BOOLEAN"})
SEEDS = frozenset({"seed", "noise_seed"})
EMPTY: Mapping[str, Any] = {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}


class Item(msgspec.Struct, frozen=True):
    """One place of the form.

    role: ``widget``, ``control``, ``upload`` or ``dummy``. target: what the value belongs to.
    fill: the value shown when the file has none; UNSET where only the machine can tell (a list of files).
    """

    role: str
    target: str = ""
    kind: str = "*"
    fill: Any = msgspec.UNSET


class Cell(msgspec.Struct, frozen=True):
    """A value, what it belongs to, and where in ``widgets_values`` it stands (or would stand)."""

    name: str
    value: Any
    key: int | str
    stored: bool = True


class Reading(msgspec.Struct, frozen=True):
    """The values that were found, and a remark for each that was not, by name; under no name, one about all."""

    cells: tuple[Cell, ...] = ()
    remarks: Mapping[str, str] = msgspec.field(default_factory=dict)


# -- the form of a node ------------------------------------------------------------------------------------------


def ordered_inputs(spec: NodeSpec) -> list[InputSpec]:
    """Inputs in the order of files: required, then optional, each as declared."""
    return sorted(spec.inputs, key=lambda each: not each.required)


def has_control(entry: InputSpec) -> bool:
    """Whether a value saying how the number changes after a run follows it in files."""
    if "control_after_generate" in entry.options:
        return bool(entry.options["control_after_generate"])
    return entry.kind == "INT" and entry.name in SEEDS


def has_upload(entry: InputSpec) -> bool:
    """Whether the input has an upload button, which has a place of its own."""
    return any(name.endswith("_upload") and value for name, value in entry.options.items())


def form(spec: NodeSpec, *, dummies: bool = False) -> tuple[Item, ...]:
    """The places of ``widgets_values``; with dummies, as in files from before front-end 1.16."""
    return tuple(_items(spec, dummies))


def _items(spec: NodeSpec, dummies: bool) -> Iterator[Item]:
    entries = ordered_inputs(spec)
    upload = any(has_upload(entry) for entry in entries)
    for entry in entries:
        if upload and not entry.required:
            upload = False
            yield Item("upload")
        if entry.widget:
            yield Item("widget", entry.name, entry.kind, fill_of(entry))
        elif dummies and is_dummy(entry):
            yield Item("dummy", entry.name, entry.kind)
        else:
            continue
        if has_control(entry):
            yield Item("control")
    if upload:
        yield Item("upload")


def is_dummy(entry: InputSpec) -> bool:
    """Whether the input could be typed in but is declared as link only (ComfyUI's ``forceInput``)."""
    return entry.link_only and (entry.kind in WIDGET_KINDS or entry.choices is not None)


def fill_of(entry: InputSpec) -> Any:
    """What the form shows before anything is typed."""
    if entry.default is not msgspec.UNSET:
        return entry.default
    if isinstance(entry.choices, Fixed) and entry.choices.values:
        return entry.choices.values[0]
    if entry.choices is not None:
        return msgspec.UNSET
    empty = EMPTY.get(entry.kind, msgspec.UNSET)
    if entry.kind in ("INT", "FLOAT") and entry.minimum is not None and entry.minimum > empty:
        return entry.minimum
    return empty


# -- reading -----------------------------------------------------------------------------------------------------


def read_values(node: EditorNode, spec: NodeSpec | None) -> Reading:
    """Name the values of a node; without a specification, by what the node's own inputs say."""
    if isinstance(node.values, Mapping):
        return _read_object(node.values, spec)
    values = node.values or ()
    if spec is None:
        return guess_names(node, values)
    with_dummies = form(spec, dummies=True)
    plain = form(spec)
    if with_dummies != plain and len(values) in _lengths(with_dummies):
        return read_list(values, with_dummies)
    return read_list(values, plain)


def _lengths(items: Sequence[Item]) -> set[int]:
    """How long a full list may be: the upload button is not always there."""
    return {len(items), len([item for item in items if item.role != "upload"])}


def _read_object(values: Mapping[str, Any], spec: NodeSpec | None) -> Reading:
    if spec is None:
        return Reading(tuple(Cell(name, value, name) for name, value in values.items()))
    items = [item for item in form(spec) if item.role == "widget"]
    return Reading(
        tuple(
            Cell(item.target, exact(item.kind, values[item.target]), item.target) if item.target in values
            else Cell(item.target, item.fill, item.target, stored=False)
            for item in items if item.target in values or item.fill is not msgspec.UNSET
        ),
        {item.target: _missing(item) for item in items if item.target not in values},
    )


def read_list(values: Sequence[Any], items: Sequence[Item]) -> Reading:
    """Read a list along a form. Values beyond the form are ignored; for missing ones the form's own stand in."""
    cells: list[Cell] = []
    remarks: dict[str, str] = {}
    bare = len(values) == sum(item.role == "widget" for item in items)
    position = 0
    for index, item in enumerate(items):
        following = items[index + 1] if index + 1 < len(items) else None
        if item.role == "control":
            position += position < len(values) and _is_control(values[position], following, bare)
            continue
        if item.role == "upload":
            position += position < len(values) and values[position] in UPLOADS
            continue
        if _stray_control(values, position, item, cells):
            position += 1
        if position < len(values):
            if item.role == "widget":
                cells.append(Cell(item.target, exact(item.kind, values[position]), position))
            position += 1
        elif item.role == "widget":
            remarks[item.target] = _missing(item)
            if item.fill is not msgspec.UNSET:
                cells.append(Cell(item.target, item.fill, index, stored=False))
    return Reading(tuple(cells), remarks)


def _is_control(value: Any, following: Item | None, bare: bool) -> bool:
    """Whether a value says how the number before it changes.

    Old files have a boolean, which also is one if the next input is a boolean, unless the list is just as long as
    the form without extras.
    """
    if isinstance(value, bool):
        return not (bare and following is not None and following.kind == "BOOLEAN")
    return value is None or (isinstance(value, str) and value in CONTROLS)


def _stray_control(values: Sequence[Any], position: int, item: Item, cells: Sequence[Cell]) -> bool:
    """Whether a control stands where the form has none: no number is called ``randomize``."""
    if position >= len(values) or not cells or item.kind not in NUMBERS:
        return False
    value = values[position]
    return isinstance(value, str) and value in CONTROLS


def exact(kind: str, value: Any) -> Any:
    """Whole numbers are whole: 20.0 is 20 where an INT is wanted."""
    return int(value) if kind == "INT" and isinstance(value, float) and value.is_integer() else value


def _missing(item: Item) -> str:
    if item.fill is msgspec.UNSET:
        return f"the file holds no value for {item.target!r}, and it has no default; choose one"
    return f"the file holds no value for {item.target!r}; its default {shown(item.fill, 40)} is used"


def guess_names(node: EditorNode, values: Sequence[Any]) -> Reading:
    """Name the values of a node of unknown type by its inputs that stand for form fields, if they line up."""
    if not values:
        return Reading()
    slots = [slot for slot in node.inputs if slot.widget is not None]
    cells: list[Cell] = []
    position = 0
    for index, slot in enumerate(slots):
        if position >= len(values):
            break
        cells.append(Cell(slot.widget or slot.name, values[position], position))
        position += 1
        following = slots[index + 1].kind if index + 1 < len(slots) else ""
        if position < len(values) and _is_guessed_control(slot.kind, slot.name, values[position], following):
            position += 1
    rest = values[position:]
    if len(cells) == len(slots) and slots and (not rest or (len(rest) == 1 and rest[0] in UPLOADS)):
        return Reading(tuple(cells))
    return Reading((), {"":
        f"its {len(values)} values cannot be named, because the type {shown(node.type, 60)!r} is unknown here: "
        f"{shown(list(values), 200)}",
    })


def _is_guessed_control(kind: str, name: str, value: Any, following: str) -> bool:
    if isinstance(value, bool):
        return name in SEEDS and following != "BOOLEAN"
    return kind in ("INT", "FLOAT", "COMBO") and isinstance(value, str) and value in CONTROLS


# -- writing -----------------------------------------------------------------------------------------------------


def write_list(spec: NodeSpec, values: Mapping[str, Any], linked: frozenset[str] = frozenset()) -> list[Any]:
    """Write ``widgets_values``. A linked input keeps its place; null says that there is no value."""
    return [_written(item, values, linked) for item in form(spec)]


def _written(item: Item, values: Mapping[str, Any], linked: frozenset[str]) -> Any:
    if item.role == "control":
        return "fixed"
    if item.role == "upload":
        return "image"
    if item.target in values:
        return values[item.target]
    return item.fill if item.target in linked and item.fill is not msgspec.UNSET else None


def padded(values: Sequence[Any], items: Sequence[Item], length: int) -> list[Any]:
    """Lengthen a list to some length by what the form shows in the missing places."""
    extras = {"control": "fixed", "upload": "image"}
    filled = [extras.get(item.role, None if item.fill is msgspec.UNSET else item.fill) for item in items]
    return [*values, *filled[len(values):length], *([None] * (length - max(len(values), len(filled))))]
