"""One form into another: what ``python server.py convert`` does with a file's text.

Pictures and latents carry texts by name; the caller reads them (``engine.files.metadata.read_metadata``) and hands
them to ``choose_text``, because this package knows no files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from engine.graph.editor_format.document import dump_document, load_document
from engine.graph.editor_format.read import read_editor
from engine.graph.editor_format.write import write_editor
from engine.graph.node import NodeSpec
from engine.graph.problems import Problem, WorkflowError
from engine.graph.workflow import check_depth, is_editor_form, read_api, read_json, write_api

Form = Literal["api", "editor", "v1"]
FORMS: tuple[Form, ...] = ("api", "editor", "v1")
_NOT_A_NUMBER = re.compile(r"\b(?:NaN|Infinity)\b")


class Conversion(msgspec.Struct, frozen=True):
    """The result, ready for JSON; ``form`` says what it is, and ``missing`` names types that are unknown here."""

    form: Form
    data: dict[str, Any]
    missing: Mapping[str, tuple[str, ...]]
    notes: tuple[Problem, ...]


def convert(text: bytes | str, specs: Mapping[str, NodeSpec], to: Form | None = None) -> Conversion:
    """Convert the text of a workflow in either form; by default into the other one.

    to: ``api``, ``editor`` (version 0.4) or ``v1`` (the editor's version 1).
    Raises WorkflowError if the text is neither form, or malformed.
    """
    data = unwrapped(parse(text))
    if to is not None and to not in FORMS:
        raise ValueError(f"there is no form {to!r}; forms are {', '.join(FORMS)}")
    if is_editor_form(data):
        return _from_editor(data, specs, to or "api")
    return _from_api(data, specs, to or "editor")


def unwrapped(data: Any) -> Any:
    """The workflow in a saved body of ``POST /prompt``, ``{"prompt": …}``, or of ``POST /api/jobs``; else the data."""
    for name in ("prompt", "workflow"):
        body = data.get(name) if isinstance(data, Mapping) and not is_editor_form(data) else None
        if isinstance(body, Mapping) and "class_type" not in body:
            return body
    return data


def choose_text(texts: Mapping[str, str], to: Form | None = None) -> str:
    """Choose among the texts in a picture: ``prompt`` is what ran, ``workflow`` what was on the screen.

    Raises WorkflowError if neither is there.
    """
    order = ("workflow", "prompt") if to in ("editor", "v1") else ("prompt", "workflow")
    for name in order:
        if name in texts:
            return texts[name]
    found = ", ".join(sorted(texts)) or "nothing"
    hint = "; its 'parameters' are of another program and no graph" if "parameters" in texts else ""
    raise WorkflowError([Problem("no_workflow", f"the file carries no workflow; found {found}{hint}")])


def parse(text: bytes | str) -> Any:
    """Parse JSON, as ``read_json`` does, but also with Python's NaN, which ComfyUI writes into pictures, as null."""
    content = text.removeprefix(b"\xef\xbb\xbf") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        return read_json(content, "the file")
    except WorkflowError:
        plain = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
        if not _NOT_A_NUMBER.search(plain):
            raise
        try:
            data = json.loads(plain, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            data = None
        if data is None:
            raise
        check_depth(data, "the file")
        return data


def _from_editor(data: Mapping[str, Any], specs: Mapping[str, NodeSpec], to: Form) -> Conversion:
    if to == "api":
        converted = read_editor(data, specs)
        return Conversion(to, write_api(converted.workflow), converted.missing, converted.notes)
    document = load_document(data)
    return Conversion(to, dump_document(document, 1 if to == "v1" else 0.4), {}, ())


def _from_api(data: Any, specs: Mapping[str, NodeSpec], to: Form) -> Conversion:
    workflow = read_api(data)
    missing: dict[str, list[str]] = {}
    for node_id, node in workflow.nodes.items():
        if node.class_type not in specs:
            missing.setdefault(node.class_type, []).append(node_id)
    named = {kind: tuple(ids) for kind, ids in missing.items()}
    if to == "api":
        return Conversion(to, write_api(workflow), named, ())
    written = write_editor(workflow, specs)
    return Conversion(to, dump_document(load_document(written), 1) if to == "v1" else written, named, ())
