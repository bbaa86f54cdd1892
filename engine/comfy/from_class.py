"""A ComfyUI-style class as a node: its ``INPUT_TYPES`` become a specification, its method the function.

>>> class Half:
...     INPUT_TYPES = classmethod(lambda cls: {"required": {"value": ("FLOAT", {"default": 1.0, "min": 0.0})}})
...     RETURN_TYPES, FUNCTION, CATEGORY = ("FLOAT",), "halve", "maths"
...     def halve(self, value):
...         return (value / 2,)
>>> spec = make_spec("Half", Half, "custom_nodes.half")
>>> spec.inputs[0].kind, spec.inputs[0].minimum, spec.outputs[0].kind
('FLOAT', 0.0, 'FLOAT')
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from engine.graph.node import Choices, Files, Fixed, InputSpec, NodeSpec, OutputSpec

NUMBERS = ("INT", "FLOAT")
KNOWN = ("default", "min", "max", "step", "round", "lazy", "rawLink", "forceInput", "tooltip", "options")
MAX_CHOICES = 100_000


def make_spec(class_type: str, cls: type, module: str, display_name: str = "", version: int = 1) -> NodeSpec:
    """Read a class. Raises TypeError or whatever the class raises; the caller names the pack.

    version: part of the node's key; another one when the pack's programs are others.
    """
    function = getattr(cls, str(getattr(cls, "FUNCTION", "")), None)
    if not callable(function):
        named = getattr(cls, "FUNCTION", None)
        raise TypeError(f"{class_type}: FUNCTION is {named!r}, which is no method of the class")
    types: Any = cls.INPUT_TYPES()  # type: ignore[attr-defined]
    if not isinstance(types, Mapping):
        raise TypeError(f"{class_type}: INPUT_TYPES returns {type(types).__name__}; it has to be a dictionary")
    validated, all_validated, types_validated = _validated(cls)
    inputs: list[InputSpec] = []
    for section in ("required", "optional"):
        for name, entry in dict(types.get(section) or {}).items():
            free = all_validated or name in validated
            inputs.append(read_input(class_type, str(name), entry, required=section == "required", unchecked=free))
    hidden: dict[str, str] = {}
    for name, entry in dict(types.get("hidden") or {}).items():
        if isinstance(entry, tuple | list):
            each = read_input(class_type, str(name), entry, required=False, unchecked=True)
            inputs.append(msgspec.structs.replace(each, hidden=True))
        else:
            hidden[str(name)] = str(entry)
    return NodeSpec(
        class_type=class_type, display_name=display_name or class_type, category=str(getattr(cls, "CATEGORY", "")),
        description=inspect.cleandoc(str(getattr(cls, "DESCRIPTION", "") or "")), module=module, inputs=tuple(inputs),
        outputs=_read_outputs(cls), hidden=hidden, output_node=bool(getattr(cls, "OUTPUT_NODE", False)),
        whole_lists=bool(getattr(cls, "INPUT_IS_LIST", False)), changed=hasattr(cls, "IS_CHANGED"),
        deprecated=bool(getattr(cls, "DEPRECATED", False)), experimental=bool(getattr(cls, "EXPERIMENTAL", False)),
        others=_others(types.get("optional"), function), unchecked_types=types_validated,
        checks=hasattr(cls, "VALIDATE_INPUTS"), lane="packs", version=version,
    )


def read_input(class_type: str, name: str, entry: Any, *, required: bool, unchecked: bool) -> InputSpec:
    """One entry of ``INPUT_TYPES``: ``(type,)`` or ``(type, options)``. Raises TypeError that names it."""
    if not isinstance(entry, tuple | list) or not entry:
        raise TypeError(f"{class_type}: the input {name} is {entry!r:.80}; it has to be a tuple (type, options)")
    options: dict[str, Any] = dict(entry[1]) if len(entry) > 1 and isinstance(entry[1], Mapping) else {}
    kind, choices = kind_of(entry[0]), _choices(entry[0], options)
    if choices is not None:
        kind = "COMBO"
    rest = {key: value for key, value in options.items() if key not in KNOWN and _plain(value)}
    number = kind in NUMBERS
    default = options.get("default")
    return InputSpec(
        name=name, kind=kind, required=required,
        default=default if _plain(default) and default is not None else msgspec.UNSET,
        minimum=_number(options, "min") if number else None, maximum=_number(options, "max") if number else None,
        step=_number(options, "step") if number else None, round=_number(options, "round") if number else None,
        choices=choices, lazy=bool(options.get("lazy")), link_only=bool(options.get("forceInput")),
        raw_link=bool(options.get("rawLink")), tooltip=str(options.get("tooltip") or ""), options=rest,
        unchecked=unchecked,
    )


def kind_of(declared: Any) -> str:
    """The socket type that a class declares. An object that is unequal to nothing (``__ne__``) takes anything."""
    if isinstance(declared, list | tuple):
        return "COMBO"
    if not (declared != "\0one") and not (declared != "\0another"):  # noqa: SIM202 - the packs overload !=
        return "*"
    return str(declared)


class FolderNames(list[str]):
    """The files of a model folder, as packs are given them: where they stand as they are, the server lists anew."""

    def __init__(self, names: Iterable[str], folder: str) -> None:
        super().__init__(names)
        self.folder = folder


def _choices(declared: Any, options: Mapping[str, Any]) -> Choices | None:
    values = declared if isinstance(declared, list | tuple) else options.get("options") if declared == "COMBO" else None
    if values is None:
        return None
    if isinstance(values, FolderNames):
        return Files(values.folder)
    if options.get("image_upload") and options.get("image_folder", "input") == "input":
        return Files("input", upload="image")
    listed = list(values)[:MAX_CHOICES]
    return Fixed(tuple(value if isinstance(value, str | int | float | bool) else str(value) for value in listed))


def _number(options: Mapping[str, Any], name: str) -> Any:
    value = options.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _plain(value: Any) -> bool:
    """Whether a value can be sent to the server and the browser."""
    try:
        msgspec.msgpack.encode(value)
        msgspec.json.encode(value)
    except (TypeError, OverflowError, ValueError, RecursionError):
        return False
    return True


def _read_outputs(cls: type) -> tuple[OutputSpec, ...]:
    kinds = [kind_of(each) for each in getattr(cls, "RETURN_TYPES", ())]

    def at(name: str, index: int, otherwise: Any) -> Any:
        values: Sequence[Any] = getattr(cls, name, None) or ()
        return values[index] if index < len(values) else otherwise

    return tuple(
        OutputSpec(
            name=str(at("RETURN_NAMES", index, kind)), kind=kind, is_list=bool(at("OUTPUT_IS_LIST", index, False)),
            tooltip=str(at("OUTPUT_TOOLTIPS", index, "") or ""),
        )
        for index, kind in enumerate(kinds)
    )


def _others(optional: Any, function: Callable[..., Any]) -> str:
    """Whether undeclared inputs are passed: all if the optional ones claim to hold any name, links for ``**kwargs``."""
    if optional is not None and "\0any name" in optional:
        return "all"
    kinds = {each.kind for each in inspect.signature(function).parameters.values()}
    return "links" if inspect.Parameter.VAR_KEYWORD in kinds else ""


def _validated(cls: type) -> tuple[frozenset[str], bool, bool]:
    """Which inputs ``VALIDATE_INPUTS`` checks itself, whether all, and whether it checks the types of links."""
    function = getattr(cls, "VALIDATE_INPUTS", None)
    if function is None:
        return frozenset(), False, False
    parameters = inspect.signature(function).parameters
    every = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    return frozenset(parameters) - {"input_types"}, every, "input_types" in parameters
