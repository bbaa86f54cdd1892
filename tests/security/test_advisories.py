"""The table of ``docs/security.md``: each of its tests is there; and those that stand nowhere else."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.web.support import CHAIN, Running
from web.access import new_secret
from web.app import ROUTES

ROOT = Path(__file__).resolve().parents[2]
ROWS = [line for line in (ROOT / "docs" / "security.md").read_text().splitlines() if line.startswith("| ")][1:]
KNOWN = (
    "CVE-2024-10099", "CVE-2025-6092", "CVE-2026-56670", "CVE-2026-56672", "CVE-2024-10481", "CVE-2026-56674",
    "CVE-2024-12882", "CVE-2026-56673", "CVE-2026-56671", "CVE-2025-6107", "CVE-2024-21574", "CVE-2025-67303",
    "CVE-2026-22777", "CVE-2024-21575", "CVE-2024-21576", "CVE-2024-21577", "CVE-2026-123790", "CVE-2024-31462",
    "CVE-2024-11045", "CVE-2026-111984", "CVE-2026-111985", "CVE-2024-4940", "CVE-2025-31114", "CVE-2024-12029",
    "CVE-2024-11042", "CVE-2025-6237", "CVE-2024-11043", "CVE-2024-10821", "CVE-2024-1561", "CVE-2023-51449",
    "CVE-2021-43831", "CVE-2024-47084", "CVE-2024-47165", "CVE-2025-5320", "CVE-2025-23042", "PYSEC-2024-220",
    "CVE-2024-48052", "CVE-2026-28416", "CVE-2026-59806", "CVE-2024-10569",
    "GHSA-3qqg-pgqq-3695", "GHSA-vv9c-xxg7-wmv7",
)
ISSUES = r"(?:ComfyUI|ComfyUI-Manager|A1111|InvokeAI) (\d[\d.]*(?:, \d[\d.]*)*)"  # numbers, or versions


def test_every_advisory_has_a_row_and_every_row_a_test() -> None:
    text = "\n".join(ROWS)
    assert not [each for each in KNOWN if each not in text]
    tests = {
        node.name: ast.get_docstring(node) or "" for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for row in ROWS:
        named = re.findall(r"`(test_\w+)`", row)
        assert named and not set(named) - set(tests), row
        told = " ".join(f"{name.replace('_', '-')} {tests[name]}" for name in named)
        found = row.split("|")[1]
        ids = [each for pair in re.findall(r"(?:CVE|PYSEC)-(\d{4}-\d+)|GHSA-([\w-]+)", found) for each in pair if each]
        ids += [each for some in re.findall(ISSUES, found) for each in some.split(", ")]
        assert not [each for each in ids if each not in told], f"no test of it says so: {row}"


# -- programs ----------------------------------------------------------------------------------------------------


async def test_cve_2024_21574_nothing_is_installed_by_request(site: Running) -> None:
    """ComfyUI-Manager 1125: it took a list of pip's arguments, and addresses of packs and files to fetch."""
    assert not [each.path for each in ROUTES if re.search("install|pip|customnode|manager|snapshot|reboot", each.path)]
    for path in ("/customnode/install", "/customnode/install/pip", "/customnode/install/git_url", "/manager/reboot",
                 "/externalmodel/install", "/internal/models/download"):
        for prefix in ("", "/api"):
            assert (await site.post(prefix + path, {"pip": ["x"], "files": ["https://example.org/x"]}))[0] in (404, 405)
    assert not {"pip", "ensurepip"} & {name.partition(".")[0] for name in _imported(ROOT / "web", ROOT / "engine")}


def _imported(*folders: Path) -> set[str]:
    found: set[str] = set()
    for path in (each for folder in folders for each in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
    return found


def test_cve_2024_21576_2024_21577_2025_31114_no_node_evaluates_its_inputs() -> None:
    """Nothing calls ``eval``, ``exec`` or ``compile``; a method of that name is another matter."""
    for path in (each for folder in ("engine", "nodes", "web") for each in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), f"{path}:{node.lineno}"


def test_a_pack_that_was_allowed_by_its_hash_is_refused_when_it_has_changed(tmp_path: Path) -> None:
    """ComfyUI-Manager 2816, LLMVISION: packs that turned on those who had looked at them."""
    torch = pytest.importorskip("torch")
    from engine.comfy.packs import load_packs
    from engine.files.folders import make_folders

    pack = tmp_path / "packs" / "mine"
    pack.mkdir(parents=True)
    (pack / "__init__.py").write_text("NODE_CLASS_MAPPINGS = {}\n")
    (pack / "weights.bin").write_bytes(b"1")

    def load(*only: str) -> Any:
        before = set(sys.modules)
        try:
            folders = make_folders(data=tmp_path / "data", models=tmp_path / "models")
            return load_packs([tmp_path / "packs"], folders, {}, torch.device("cpu"), only)
        finally:
            for name in set(sys.modules) - before:
                sys.modules.pop(name)

    (allowed,) = load("mine").imported
    assert re.fullmatch("mine@[0-9a-f]{16}", allowed)
    (pack / "weights.bin").write_bytes(b"2")
    assert load(allowed).imported == [allowed], "what is no program may change"
    assert load("other").imported == [] and not load("other").failures
    short = load(allowed[:10])
    assert short.imported == [] and "at least 12 digits" in short.failures["custom_nodes.mine"]
    (pack / "inner.py").write_text("import os\n")
    changed = load(allowed)
    assert changed.imported == [] and "not those that were allowed" in changed.failures["custom_nodes.mine"]
    assert load("mine").imported != [allowed]


# -- names and values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..\\..\\x", "CON", "con.json", "a:b", "x.", "x ", "NUL.txt", "a\\b", "a|b", "C:x"])
async def test_cve_2024_31462_names_that_lead_elsewhere_on_windows_are_refused(site: Running, name: str) -> None:
    """Of a saved workflow, whatever this machine is: the folder may be carried to another."""
    before = {each for each in site.folders.user.rglob("*") if each.is_file()}
    async with site.http.post(f"{site.url}/userdata/{_encoded(f'workflows/{name}')}", data=b"{}") as answer:
        assert answer.status == 400, await answer.text()
    async with site.http.get(f"{site.url}/api/workflows/{_encoded(name)}") as answer:
        assert answer.status == 404
    assert {each for each in site.folders.user.rglob("*") if each.is_file()} == before


def _encoded(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


async def test_cve_2026_22777_line_ends_in_settings_come_back_as_they_were(site: Running) -> None:
    """ComfyUI-Manager wrote a query parameter with line ends into its config.ini, where they began a setting."""
    hostile = {"a": "x\r\nsecurity_level = weak\r\n[other]\n\0\u2028", "b\r\nc = d": 1}
    assert (await site.post("/settings", hostile))[0] == 200
    assert (await site.post("/settings/one", msgspec.json.encode("y\r\nz = 1")))[0] == 200
    assert (await site.get("/settings"))[1] == {**hostile, "one": "y\r\nz = 1"}
    lines = (site.folders.user / "default" / "comfy.settings.json").read_bytes().splitlines()
    assert len(lines) == 1


async def test_a_seed_beyond_sixty_four_bits_is_refused(site: Running) -> None:
    for value in (2**64, -(2**63) - 1, 10**400):
        graph = {**CHAIN, "1": {"class_type": "Number", "inputs": {"value": value}}}
        assert (await site.post("/prompt", {"prompt": graph}))[0] == 400
        assert (await site.post("/api/jobs", {"workflow": graph}))[0] == 400
        assert (await site.post("/api/jobs", {"workflow": CHAIN, "set": {"1.value": value}}))[0] == 400


def test_cve_2025_6107_a_tensors_name_reaches_no_attribute(tmp_path: Path) -> None:
    """ComfyUI walked the path of attributes that a file's key names, and set what it found there."""
    torch = pytest.importorskip("torch")
    from engine.diffusion.checkpoint import open_checkpoint
    from tests.checkpoints.files import tensors, write

    hostile = "__class__.__init__.__globals__"
    plain = open_checkpoint(write(tmp_path / "plain.safetensors", tensors()))
    for prefix in ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.", ""):
        name = f"{prefix}{hostile}"
        found = open_checkpoint(write(tmp_path / "x.safetensors", {**tensors(), name: torch.ones(1)}))
        assert found.unexpected == (name,), "it is told, and belongs to no network"
        for part in ("unet", "vae", "text"):
            assert getattr(found, part).mapping == getattr(plain, part).mapping


def test_a1111_2571_tokens_cannot_be_guessed() -> None:
    """A1111's share addresses had five letters."""
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100 and all(len(each) >= 32 for each in made)  # 192 bits in base64
