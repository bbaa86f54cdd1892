"""The routes, one module per subject. Each lists its own in ``ROUTES``; ``web.app`` puts them together."""

from __future__ import annotations

from typing import Literal, NamedTuple

from web.access import Role
from web.errors import Handler


class Route(NamedTuple):
    """A route; ``web.app`` serves it at ``path`` and, if it is ``doubled``, at ``/api`` + ``path`` too.

    role: what a token has to be for it; without one, reading is for all and changing for those who may submit.
    """

    method: str
    path: str
    handler: Handler
    doubled: bool = True
    role: Role | Literal["anybody"] | None = None

    def wanted(self) -> Role | Literal["anybody"]:
        """The role that a token needs; ``anybody`` needs no token."""
        return self.role or ("read" if self.method == "GET" else "submit")

    def paths(self) -> tuple[str, ...]:
        """Where it is served."""
        return (self.path, f"/api{self.path}") if self.doubled else (self.path,)
