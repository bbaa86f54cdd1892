"""A workflow as it is written down: the API form, node id → class and inputs.

>>> workflow = read_api({"1": {"class_type": "Add", "inputs": {"a": 1, "b": ["2", 0]}}})
>>> workflow.nodes["1"].inputs["b"]
Link(node='2', slot=0)
>>> write_api(workflow)
{'1': {'class_type': 'Add', 'inputs': {'a': 1, 'b': ['2', 0]}}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.graph.problems import Problem, Suggestions, WorkflowError, shown

MAX_NODES = 20_000
MAX_NAME = 4_096
MAX_DEPTH = 100
MAX_TEXT = 10_000_000


class Link(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another node's output. A large graph has tens of thousands, and none can be part of a circle of references."""

    node: str
    slot: int


class WorkflowNode(msgspec.Struct, frozen=True, omit_defaults=True, rename={"meta": "_meta"}):
    """A node as written: values that were typed in, and links. As JSON it is the API form (``encode_api``)."""

    class_type: str
    inputs: Mapping[str, Any]
    meta: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Workflow(msgspec.Struct, frozen=True):
    """Nodes by id, in the order of the file."""

    nodes: Mapping[str, WorkflowNode]


def is_link(value: object) -> bool:
    """Whether a JSON value is a link: ``[node id, output index]``."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    node, slot = value
    if type(node) is str and type(slot) is int:
        return True  # nearly all are
    return isinstance(node, str) and isinstance(slot, int | float) and not isinstance(slot, bool)


def read_json(text: bytes | str, what: str = "the body") -> Any:
    """Parse JSON that a stranger sent. Raises WorkflowError for malformed text and for nesting beyond bounds."""
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WorkflowError([Problem("invalid_json", f"{what} is not valid JSON: {error}")]) from error
    except RecursionError as error:
        raise WorkflowError([Problem("invalid_json", f"{what} is nested too deeply")]) from error
    check_depth(data, what)
    return data


def check_depth(data: Any, what: str) -> None:
    """Raise WorkflowError if the lists and dicts of parsed JSON are nested too deeply. Iterative, breadth first."""
    level = [data] if type(data) in (dict, list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        rows = [each if type(each) is list else each.values() for each in level]
        level = [child for row in rows for child in row if type(child) is dict or type(child) is list]
    if level:
        raise WorkflowError([Problem("invalid_json", f"{what} is nested more than {MAX_DEPTH} levels deep")])


def read_api(data: Any) -> Workflow:
    """Read the API form (parsed JSON). Raises WorkflowError with every node that is no node."""
    if not isinstance(data, Mapping):
        raise WorkflowError([_invalid(f"a workflow is an object of nodes by id; found {type(data).__name__}")])
    if len(data) > MAX_NODES:
        raise WorkflowError([_invalid(f"the workflow has {len(data)} nodes; the limit is {MAX_NODES}")])
    nodes: dict[str, WorkflowNode] = {}
    problems: list[Problem] = []
    for node_id, entry in data.items():
        read = _read_entry(node_id, entry)
        if isinstance(read, Problem):
            problems.append(read)
        else:
            nodes[node_id] = read
    if problems:
        raise WorkflowError(problems)
    return Workflow(nodes)


def _read_value(value: Any) -> Any:
    """A JSON value of an input: a link, a wrapped list, or itself."""
    if type(value) is list:
        return Link(value[0], int(value[1])) if is_link(value) else value
    if type(value) is dict and "__value__" in value:
        return value["__value__"]
    return value


def write_value(value: Any) -> Any:
    """The JSON of an input: lists are wrapped, because a bare list of two may be taken for a link."""
    if isinstance(value, Link):
        return [value.node, value.slot]
    if isinstance(value, list | tuple):
        return {"__value__": list(value)}
    return value


def write_api(workflow: Workflow) -> dict[str, Any]:
    """Write the API form, ready for JSON."""
    written: dict[str, Any] = {}
    for node_id, each in workflow.nodes.items():
        entry: dict[str, Any] = {
            "class_type": each.class_type,
            "inputs": {name: write_value(value) for name, value in each.inputs.items()},
        }
        if each.meta:
            entry["_meta"] = dict(each.meta)
        written[node_id] = entry
    return written


def encode_api(workflow: Workflow) -> bytes:
    """The JSON of the API form; what ``write_api`` gives is made only where there are lists to wrap."""
    lists = any(type(value) in (list, tuple) for each in workflow.nodes.values() for value in each.inputs.values())
    return msgspec.json.encode(write_api(workflow) if lists else workflow.nodes)


def is_editor_form(data: Any) -> bool:
    """Whether parsed JSON is the editor's file (nodes and links with positions) and not the API form."""
    if not isinstance(data, Mapping) or "nodes" not in data:
        return False
    nodes = data["nodes"]  # what is no list is a malformed file, unless it is a node of the API form with that id
    return not (isinstance(nodes, Mapping) and "class_type" in nodes)


def set_inputs(workflow: Workflow, changes: Mapping[str, Any]) -> Workflow:
    """Replace inputs, named ``node.input`` (``6.text``), by values.

    Raises WorkflowError that names each node or input that is not there, with the nearest match.
    """
    nodes = dict(workflow.nodes)
    suggest = Suggestions()
    problems: list[Problem] = []
    for key, value in changes.items():
        node_id, _, name = key.rpartition(".")
        if node_id not in nodes:
            problems.append(_invalid(f"set {key}: there is no node {node_id!r}{suggest(node_id, nodes)}"))
            continue
        inputs = nodes[node_id].inputs
        if name not in inputs:
            problems.append(_invalid(f"set {key}: node {node_id} has no input {name!r}{suggest(name, inputs)}"))
            continue
        nodes[node_id] = msgspec.structs.replace(nodes[node_id], inputs={**inputs, name: value})
    if problems:
        raise WorkflowError(problems)
    return Workflow(nodes)


def _invalid(message: str, node_id: str | None = None) -> Problem:
    return Problem("invalid_prompt", message, node_id)


def _read_entry(node_id: Any, entry: Any) -> WorkflowNode | Problem:
    """A node of parsed JSON, or what is wrong with it."""
    if not isinstance(node_id, str) or len(node_id) > MAX_NAME:
        return _invalid(f"a node's id is a text of at most {MAX_NAME} characters; found {shown(node_id)}")
    if type(entry) is not dict and not isinstance(entry, Mapping):
        return _invalid(f"a node is an object with class_type and inputs; found {shown(entry)}", node_id)
    class_type = entry.get("class_type")
    if not isinstance(class_type, str) or len(class_type) > MAX_NAME:
        found = "nothing" if class_type is None else shown(class_type)
        return _invalid(f"the node needs a class_type, the name of its class; found {found}", node_id)
    inputs = entry.get("inputs", {})
    if type(inputs) is not dict and not isinstance(inputs, Mapping):
        return _invalid(f"inputs is an object of values by name; found {shown(inputs)}", node_id)
    read: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            return _invalid(f"a text is longer than {MAX_TEXT} characters", node_id)
        read[name] = _read_value(value)
    meta = entry.get("_meta")
    return WorkflowNode(class_type, read, meta if isinstance(meta, Mapping) else {})
