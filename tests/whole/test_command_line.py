"""The command line, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.served import ROOT, text_to_image


def easel(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "server.py"), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that `run` made."""
    folder = tmp_path_factory.mktemp("made")
    file = folder / "flow.json"
    file.write_text(json.dumps(text_to_image(steps=1)))
    done = easel(
        "run",
        file,
        "--set",
        "2.text=a green cone",
        "--set",
        "7.filename_prefix=out",
        "-o",
        folder / "pictures",
        "--data-directory",
        folder / "data",
        "--threads",
        "1",
    )
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "pictures").iterdir()
    assert done.stdout.strip() == f"7: {path}"
    return path


def test_a_picture_converts_to_the_graph_that_made_it(made: Path) -> None:
    done = easel("convert", made)
    graph = json.loads(done.stdout)
    assert graph["2"]["inputs"]["text"] == "a green cone"
    assert json.loads(easel("convert", made, "--to", "editor").stdout)["version"] == 0.4


def test_wrong_inputs_are_told_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_text(json.dumps(text_to_image()))
    done = easel("run", file, "--set", "5.scheduler=karas", "--set", "5.steps=0", "--data-directory", tmp_path / "data")
    assert done.returncode == 2
    assert "did you mean 'karras'?" in done.stderr
    assert "0 is below the smallest allowed, 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--port", "99999"), "a port is a number from 0 to 65535"),
        (("--port", "many"), "a port is a number"),
        (("--listen", "example.org"), "loopback only"),
        (("run", "no-such-file.json"), "No such file"),
        (("convert", "README.md"), "not valid JSON"),
        (("nodes", "KSamplr"), "did you mean 'KSampler'?"),
        (("run", "workflows/txt2img.json", "-o", "README.md"), "File exists"),
        (("convert", "workflows/txt2img.json", "-o", "no/such/folder/x.json"), "cannot be written"),
    ],
)
def test_wrong_words_get_a_sentence_and_no_traceback(words: tuple[str, ...], says: str) -> None:
    done = easel(*(str(ROOT / word) if word in ("README.md", "workflows/txt2img.json") else word for word in words))
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{sys.executable} {ROOT / 'server.py'} nodes KSampler | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "{"
    assert "Traceback" not in done.stderr


def test_a_saved_body_with_an_editors_file_in_it_converts_as_the_file_does(tmp_path: Path) -> None:
    saved = json.loads((ROOT / "workflows" / "txt2img.json").read_text())
    plain = easel("convert", ROOT / "workflows" / "txt2img.json")
    for name in ("prompt", "workflow"):
        file = tmp_path / "body.json"
        file.write_text(json.dumps({name: saved, "client_id": "me"}))
        done = easel("convert", file)
        assert (done.returncode, done.stdout) == (0, plain.stdout), done.stderr


@pytest.mark.parametrize("command", ["run", "verify", "convert"])
def test_a_file_that_is_not_there_is_told_before_anything_heavy_is_loaded(command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "server.py"), command, str(tmp_path / "nowhere.json")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert done.returncode == 2 and "No such file" in done.stderr
    assert "argparse" in loaded and "torch" not in loaded


def test_what_the_system_says_is_told_in_words(tmp_path: Path) -> None:
    done = easel("run", tmp_path / "nowhere.json")
    assert done.returncode == 2 and "No such file" in done.stderr and "Errno" not in done.stderr
    taken = tmp_path / "a file"
    taken.touch()
    done = easel("--port", "0", "--data-directory", taken)
    assert done.returncode == 1 and "Errno" not in done.stderr and str(taken) in done.stderr
