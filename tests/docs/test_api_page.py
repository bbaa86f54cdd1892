"""The page about the API says what is there: routes, fields, flags, roles."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from web.access import ROLES
from web.app import ROUTES
from web.options import add_serving_flags
from web.routes.jobs import NewJobBody

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()


def test_every_route_that_the_page_names_is_there() -> None:
    known = {re.sub(r"\{(\w+)[^}]*\}", "{}", path) for route in ROUTES for path in route.paths()}
    named = {re.sub(r"\{\w+\}", "{}", each) for each in re.findall(r"(?<![\w.])(/api/[\w/{}]+|/sdapi/v1/\w+)", PAGE)}
    named = {each.replace("/api/workflows/txt2img/run", "/api/workflows/{}/run").rstrip("/") for each in named}
    assert len(named) > 8 and named <= known, named - known


def test_every_field_of_a_job_and_every_flag_is_on_the_page() -> None:
    for field in NewJobBody.__struct_fields__:
        assert f"`{field}`" in PAGE or f'"{field}"' in PAGE, field
    parser = argparse.ArgumentParser()
    add_serving_flags(parser)
    for action in parser._actions:
        flags = set(action.option_strings)  # the second one is ComfyUI's name for it
        assert flags & {"--help", "--port"} or any(each in PAGE for each in flags), flags
    assert all(f"| `{role}` |" in PAGE for role in ROLES)
