"""The routes, one module per subject. Each lists its own in ``ROUTES``; ``web.app`` puts them together."""

from __future__ import annotations

from typing import NamedTuple

from web.errors import Handler


class Route(NamedTuple):
    """A route; ``web.app`` serves it at ``path`` and, if it is ``doubled``, at ``/api`` + ``path`` too."""

    method: str
    path: str
    handler: Handler
    doubled: bool = True

    def paths(self) -> tuple[str, ...]:
        """Where it is served."""
        return (self.path, f"/api{self.path}") if self.doubled else (self.path,)
