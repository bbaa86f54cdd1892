"""The built editor is committed: these say when it is stale, too large, or reaches outside."""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT, UI

DIST = ROOT / "web" / "dist"
SINGLE = ["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts",
          "../../workflows/txt2img.json"]


def files() -> list[Path]:
    return sorted(each for each in DIST.rglob("*") if each.is_file())


def test_the_bundle_was_built_from_these_sources() -> None:
    sources = [str(each.relative_to(UI)) for each in (UI / "src").rglob("*")
               if each.is_file() and not each.name.endswith(".d.ts")]
    total = hashlib.sha256()
    for name in sorted([*sources, *SINGLE], key=str.encode):
        total.update(f"{hashlib.sha256((UI / name).read_bytes()).hexdigest()}  {name}\n".encode())
    built = (DIST / "inputs.sha256").read_text().strip()
    assert built == total.hexdigest(), "web/dist is stale: run npm run build in web/ui and commit web/dist"


def test_the_bundle_is_small_and_has_no_source_maps() -> None:
    packed = sum(len(gzip.compress(each.read_bytes(), 9, mtime=0)) for each in files())
    assert packed < 450 * 2**10  # the budget of the editor's issue
    assert sum(each.stat().st_size for each in files()) < 3 * 2**20
    assert not [each for each in files() if each.suffix == ".map"]


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = (DIST / "index.html").read_text()
    for reference in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert (DIST / reference).is_file(), reference
    for style in DIST.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//|@import", style.read_text()), style.name


@pytest.mark.full
def test_building_again_gives_the_same_bytes(packages: Path, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    assert npm is not None
    done = subprocess.run(
        [npm, "exec", "--", "vite", "build", "--outDir", str(tmp_path / "dist")], cwd=packages, capture_output=True,
        text=True, timeout=300,
    )
    assert done.returncode == 0, done.stderr
    built = {str(each.relative_to(tmp_path / "dist")): each.read_bytes()
             for each in (tmp_path / "dist").rglob("*") if each.is_file()}
    assert built.keys() == {str(each.relative_to(DIST)) for each in files()}
    assert [name for name, content in built.items() if (DIST / name).read_bytes() != content] == []


@pytest.mark.full
def test_the_types_of_the_routes_are_those_that_the_server_describes(packages: Path, tmp_path: Path) -> None:
    described = tmp_path / "openapi.json"
    command = [sys.executable, str(ROOT / "server.py"), "openapi"]
    described.write_bytes(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120).stdout)
    done = subprocess.run(
        ["node", "scripts/types.mjs", str(described), "--check"], cwd=packages, capture_output=True, text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.full
def test_the_unit_tests_types_and_style_of_the_editor_pass(packages: Path) -> None:
    for script in (["run", "check"], ["test"]):
        done = subprocess.run(["npm", *script], cwd=packages, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
