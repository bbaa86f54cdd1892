"""What a node's specification says, in other forms: the protocol's ``/object_info`` entry and JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.graph.node import Ask, Files, Fixed, InputSpec, NodeSpec

Lister = Callable[[str], list[str]]  # the files of a folder
JSON_TYPES = {"INT": "integer", "FLOAT": "number", "STRING": "string", "BOOLEAN": "boolean"}
TYPED = frozenset({*JSON_TYPES, "FLOATS"})  # kinds that the browser would offer a field for
LINK_SCHEMA: Mapping[str, Any] = {
    "type": "array", "prefixItems": [{"type": "string"}, {"type": "integer", "minimum": 0}], "items": False,
    "minItems": 2, "maxItems": 2,
}

TOO_LARGE = {"type": "integer", "anyOf": [{"minimum": 2**64}, {"exclusiveMaximum": -(2**63)}]}
ANYTHING: Mapping[str, Any] = {"not": TOO_LARGE}  # numbers have to fit in a message


def choices_of(spec: InputSpec, lister: Lister) -> list[Any]:
    """The values a combo box offers now."""
    match spec.choices:
        case Fixed(values):
            return list(values)
        case Files(folder):
            return list(lister(folder))
        case Ask() | None:
            return []


def object_info(spec: NodeSpec, lister: Lister) -> dict[str, Any]:
    """The node's entry in ComfyUI's ``/object_info``; combo boxes in the list form that all clients read."""
    sections: dict[str, dict[str, Any]] = {"required": {}}
    for each in spec.inputs:
        section = sections.setdefault("hidden" if each.hidden else "required" if each.required else "optional", {})
        kind: Any = choices_of(each, lister) if each.choices is not None else each.kind
        options = input_options(each)
        section[each.name] = [kind, options] if options else [kind]
    if spec.hidden:
        sections["hidden"] = {**spec.hidden, **sections.get("hidden", {})}
    info: dict[str, Any] = {
        "input": sections,
        "input_order": {name: list(section) for name, section in sections.items()},
        "output": [each.kind for each in spec.outputs],
        "output_is_list": [each.is_list for each in spec.outputs],
        "output_name": [each.name for each in spec.outputs],
        "name": spec.class_type,
        "display_name": spec.display_name,
        "description": spec.description,
        "python_module": spec.module,
        "category": spec.category,
        "output_node": spec.output_node,
    }
    if any(each.tooltip for each in spec.outputs):
        info["output_tooltips"] = [each.tooltip for each in spec.outputs]
    if spec.deprecated:
        info["deprecated"] = True
    if spec.experimental:
        info["experimental"] = True
    return info


def input_options(spec: InputSpec) -> dict[str, Any]:
    """The options of an input in the protocol's spelling, in the order people know them."""
    named = {
        "default": spec.default, "min": spec.minimum, "max": spec.maximum, "step": spec.step, "round": spec.round,
        "lazy": spec.lazy or None, "forceInput": (spec.link_only and spec.kind in TYPED) or None,
        "rawLink": spec.raw_link or None, "tooltip": spec.tooltip or None,
    }
    options = {name: value for name, value in named.items() if value is not None and value is not msgspec.UNSET}
    return {**options, **spec.options}


def json_schema(spec: NodeSpec, lister: Lister) -> dict[str, Any]:
    """JSON Schema (2020-12) of the node's ``inputs`` in the API form: each a link, or a value if one can be typed."""
    properties = {each.name: _input_schema(each, lister) for each in spec.inputs}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.class_type,
        "description": spec.description,
        "type": "object",
        "properties": properties,
        "required": [each.name for each in spec.inputs if each.required],
    }


def _input_schema(spec: InputSpec, lister: Lister) -> dict[str, Any]:
    forms: list[dict[str, Any]] = [dict(LINK_SCHEMA)]
    if spec.choices is not None and not spec.link_only:
        forms.insert(0, {} if isinstance(spec.choices, Ask) else {"enum": choices_of(spec, lister)})
    elif spec.widget:
        form: dict[str, Any] = {"type": JSON_TYPES[spec.kind]}
        if spec.kind == "INT":
            form |= {"minimum": -(2**63), "maximum": 2**64 - 1}  # what a message can carry
        if spec.minimum is not None:
            form["minimum"] = spec.minimum
        if spec.maximum is not None:
            form["maximum"] = spec.maximum
        forms.insert(0, form)
    elif "*" in spec.kind or any(part in JSON_TYPES for part in spec.kind.split(",")):
        forms = [dict(ANYTHING)]
    schema: dict[str, Any] = forms[0] if len(forms) == 1 else {"anyOf": forms}
    schema = dict(schema)
    if spec.default is not msgspec.UNSET:
        schema["default"] = spec.default
    if spec.tooltip:
        schema["description"] = spec.tooltip
    return schema
