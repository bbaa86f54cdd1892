"""Refusals: every one is ComfyUI's error JSON, ``{"error": {type, message, details, extra_info}, "node_errors"}``.

``error.details`` holds our own full message, one problem per line; ``node_errors`` the same problems by node.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from engine.graph.problems import Problem, WorkflowError

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A problem of these codes stands for the whole workflow; all others are the business of one node.
WHOLE = frozenset({"invalid_json", "invalid_workflow", "invalid_prompt", "prompt_no_outputs", "dependency_cycle"})
SHOWN_LINES = 100


class Refusal(Exception):  # noqa: N818 - it is raised to answer, not to report a fault
    """A request is refused with a status, a type for programs and a message for people."""

    def __init__(
        self, status: int, kind: str, message: str, *, details: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.details = status, kind, message, details
        self.headers = headers or {}


def json_response(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        body=msgspec.json.encode(data), status=status, headers=headers, content_type="application/json"
    )


def raw_json(body: bytes) -> web.Response:
    """Answer with JSON that is encoded already."""
    return web.Response(body=body, content_type="application/json")


def refusal_response(refusal: Refusal) -> web.Response:
    """Write a refusal."""
    body = _body(refusal.kind, refusal.message, refusal.details, {})
    return json_response(body, status=refusal.status, headers=refusal.headers)


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong, and with what: of a workflow that was refused, or of a job that failed.

    allowed, minimum, maximum: what would do; nearest: the allowed value that was probably meant.
    """

    type: str
    message: str
    node: str | None = None
    class_type: str | None = None
    input: str | None = None
    allowed: list[Any] | None = None
    minimum: float | None = None
    maximum: float | None = None
    nearest: str | None = None
    traceback: tuple[str, ...] = ()


def fault(problem: Problem) -> Fault:
    """A problem of a workflow, with the values that would do and the one that was probably meant."""
    allowed = problem.extra.get("allowed")
    return Fault(
        problem.code, problem.message, problem.node, problem.class_type, problem.input, allowed,
        minimum=_limit(problem, "min"), maximum=_limit(problem, "max"), nearest=problem.extra.get("nearest"),
    )


def _limit(problem: Problem, name: str) -> float | None:
    value = problem.extra.get(name)
    return value if isinstance(value, int | float) else None


def problems_response(problems: Sequence[Problem], *, listed: bool = False) -> web.Response:
    """Write all problems of a workflow: 400. ``listed``: also as faults, in ``extra_info.problems``."""
    lines = [str(each) for each in problems[:SHOWN_LINES]]
    if len(problems) > SHOWN_LINES:
        lines.append(f"… and {len(problems) - SHOWN_LINES} more")
    details = "\n".join(lines)
    first = problems[0]
    if first.node is None or first.code in WHOLE:
        kind, message = first.code, str(first)
    else:
        kind, message = "prompt_outputs_failed_validation", "the workflow cannot run: " + lines[0]
    extra = {"problems": [fault(each) for each in problems[:SHOWN_LINES]]} if listed else {}
    return json_response(_body(kind, message, details, node_errors(problems), extra), status=400)


UNTOLD = ("dependent_outputs", "nearest")  # in ``extra_info``: told elsewhere


def node_errors(problems: Sequence[Problem]) -> dict[str, dict[str, Any]]:
    """The problems by node, as ComfyUI lists them."""
    found: dict[str, dict[str, Any]] = {}
    for each in problems:
        if each.node is None:
            continue
        empty = {"errors": [], "dependent_outputs": [], "class_type": each.class_type or ""}
        entry = found.setdefault(each.node, empty)
        extra = {name: value for name, value in each.extra.items() if name not in UNTOLD}
        entry["errors"].append({
            "type": each.code, "message": each.message, "details": each.details or each.message, "extra_info": extra,
        })
        for output in each.extra.get("dependent_outputs", ()):
            if output not in entry["dependent_outputs"]:
                entry["dependent_outputs"].append(output)
    return found


def _body(
    kind: str, message: str, details: str, by_node: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "error": {"type": kind, "message": message, "details": details or message, "extra_info": extra or {}},
        "node_errors": by_node,
    }


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what handlers raise into the one shape; a bug becomes a 500 that tells nothing of our insides."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal_response(refusal)
    except WorkflowError as error:
        return problems_response(error.problems)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = f"{request.method} {request.path[:200]}: {error.reason}"
        if isinstance(error, web.HTTPMethodNotAllowed):
            message += f"; it takes {', '.join(sorted(error.allowed_methods))}"
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return refusal_response(Refusal(error.status, f"http_{error.status}", message, headers=headers))
    except (ConnectionError, TimeoutError):
        raise  # the client has gone; there is nobody to answer
    except Exception:
        log.exception("%s %s failed", request.method, request.path[:200])
        return refusal_response(Refusal(500, "internal_error", "the server made a mistake; its log has the details"))
