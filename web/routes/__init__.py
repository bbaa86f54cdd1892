"""The routes, one module per subject. Each lists its own in ``ROUTES``; ``web.app`` puts them together."""

from __future__ import annotations

from typing import NamedTuple

from web.errors import Handler


class Route(NamedTuple):
    """A route; ``web.app`` serves it at ``path`` and at ``/api`` + ``path``."""

    method: str
    path: str
    handler: Handler
