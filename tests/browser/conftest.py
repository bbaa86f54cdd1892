"""A real server, and a headless Chromium driven by playwright-core from the editor's own packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UI = ROOT / "web" / "ui"
FLOWS = Path(__file__).with_name("flows.mjs")
START_SECONDS = 120.0


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of the editor's sources, with its packages installed as the lock file says."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed; the editor's bundle is committed, only its tests need them")
    if not (UI / "node_modules" / "playwright-core").is_dir():
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=UI, check=True, timeout=300)
    return UI


@contextmanager
def serving(data: Path, port: int = 0, more: tuple[str, ...] = ()) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server over the stand-in model: its address and its process, which is ended with the block."""
    command = [sys.executable, str(ROOT / "server.py"), "--port", str(port), "--preview-method", "auto",
               "--threads", "1", "--data-directory", str(data), *more]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    lines: list[str] = []
    try:
        for line in server.stdout:
            lines.append(line)
            found = re.search(r"http://\S+", line)
            if found:
                break
        else:
            pytest.fail("the server ended: " + "".join(lines))
        threading.Thread(target=server.stdout.read, daemon=True).start()  # so that it never waits for a reader
        _wait_ready(found[0])
        yield found[0], server
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty data folder."""
    with serving(tmp_path_factory.mktemp("data")) as (address, _):
        yield address


def _wait_ready(address: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address + "/object_info", timeout=60):
                return
        except urllib.error.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


@pytest.fixture(scope="session")
def browser(packages: Path) -> Iterator[dict[str, str]]:
    """One Chromium for all flows, each of which has a profile of its own: the environment that leads to it."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    environment = {**os.environ, "CHROMIUM": chromium}
    process = subprocess.Popen(["node", str(FLOWS.with_name("browser.mjs"))], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None and process.stdout is not None
    try:
        place = process.stdout.readline().strip()
        assert place.startswith("ws://"), place or "the browser did not start"
        yield {**environment, "EASEL_BROWSER": place}
    finally:
        process.stdin.close()
        process.wait(timeout=30)


@pytest.fixture
def start(browser: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start one of the flows at an address."""
    shots = os.environ.get("EASEL_SHOTS", str(tmp_path))

    def start(address: str, name: str, *files: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["node", str(FLOWS), address, name, shots, *map(str, files)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=browser,
        )

    return start


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a flow; gives what it printed, and fails with what went wrong."""
    try:
        printed, _ = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, printed
    return printed


@pytest.fixture
def flow(start: Callable[..., subprocess.Popen[str]], address: str) -> Callable[..., str]:
    """Run one of the flows against the common server."""
    return lambda name, *files: finish(start(address, name, *files))
