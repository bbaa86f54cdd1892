"""The reference page of the nodes, made from their specifications: ``docs/nodes.md``.

Written by ``python server.py nodes --markdown``; nothing in it is written by hand, so it cannot go out of date unseen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.graph.node import Ask, Files, Fixed, InputSpec, NodeSpec

HEAD = """\
# Nodes

Every node that Easel has, by menu heading. Names, order, defaults and ranges of nodes that ComfyUI has too are
ComfyUI's: they are the file format. `python server.py nodes NAME` shows one as the protocol describes it.

This page is made: `python server.py nodes --markdown > docs/nodes.md`.
"""
MANY = 12  # choices; more are counted instead of listed


def reference_page(specs: Mapping[str, NodeSpec], left_out: Mapping[str, str]) -> str:
    """All nodes as Markdown, by category and name, and after them what is left out: class → reason."""
    by_category: defaultdict[str, list[NodeSpec]] = defaultdict(list)
    for spec in specs.values():
        by_category[spec.category].append(spec)
    parts = [HEAD]
    for category in sorted(by_category):
        parts.append(f"## {_escaped(category)}\n")
        parts.extend(_entry(spec) for spec in sorted(by_category[category], key=lambda each: each.class_type))
    parts.append("## Left out\n\nNodes of ComfyUI 0.3.64 that Easel does not have, and why.\n")
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for name, reason in left_out.items():
        if name not in specs:
            by_reason[reason].append(name)
    parts.extend(f"- {reason}: {', '.join(f'`{name}`' for name in names)}" for reason, names in by_reason.items())
    return "\n".join(parts) + "\n"


def _entry(spec: NodeSpec) -> str:
    """One node: its name, what it does, what goes in, what comes out."""
    flags = [word for word, on in (
        ("shows or saves", spec.output_node), ("takes whole lists", spec.whole_lists),
        ("deprecated", spec.deprecated), ("experimental", spec.experimental),
    ) if on]  # fmt: skip
    shown = f" “{spec.display_name}”" if spec.display_name != spec.class_type else ""
    lines = [f"### {_escaped(spec.class_type)}{shown}", ""]
    if spec.description:
        lines += [spec.description, ""]
    if flags:
        lines += [f"*{', '.join(flags)}*", ""]
    lines += [_input_line(each) for each in spec.inputs if not each.hidden]
    if spec.others:
        lines.append("- … any further linked inputs")
    outputs = ", ".join(
        ("list of " if each.is_list else "") + f"`{each.name}`" + (f" ({each.kind})" if each.name != each.kind else "")
        for each in spec.outputs
    )
    lines += [f"- → {outputs or 'nothing'}", ""]
    return "\n".join(lines)


def _input_line(spec: InputSpec) -> str:
    facts = [_kind(spec)]
    if not spec.required:
        facts.append("optional")
    if spec.default is not msgspec.UNSET:
        default = _number(spec, spec.default) if spec.kind == "FLOAT" else spec.default
        facts.append(f"default {_value(default)}")
    if spec.minimum is not None or spec.maximum is not None:
        facts.append(f"{_number(spec, spec.minimum)} … {_number(spec, spec.maximum)}")
    return f"- `{spec.name}`: {', '.join(facts)}" + (f". {spec.tooltip}" if spec.tooltip else "")


def _kind(spec: InputSpec) -> str:
    match spec.choices:
        case Fixed(values) if len(values) > MANY:
            return f"one of {len(values)}, such as {', '.join(_value(each) for each in values[:3])}"
        case Fixed(values):
            return f"one of {', '.join(_value(each) for each in values)}"
        case Files(folder):
            return f"a file of `{folder}`"
        case Ask():
            return "one of what the node offers"
        case None:
            return "anything" if spec.kind == "*" else spec.kind


def _number(spec: InputSpec, number: Any) -> str:
    """A bound as its kind is written: 0 and 0.0 are equal, so annotations that hold either may be one object."""
    if number is None:
        return ""
    return str(float(number) if spec.kind == "FLOAT" else number)


def _value(value: object) -> str:
    return f"`{value}`" if value != "" else "empty"


def _escaped(text: str) -> str:
    return text.replace("_", "\\_")
