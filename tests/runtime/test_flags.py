"""ComfyUI's command line: each flag changes something, or is accepted with a line that says it does not."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.files.folders import make_folders, read_extra_model_paths
from engine.runtime.memory_flags import SHARES
from engine.runtime.peer_flags import NOTHING, add_peer_flags, peer_notes
from engine.runtime.settings import add_worker_flags, read_folders, read_packs, read_settings, worker_arguments
from tests.served import ROOT

# every flag that ComfyUI 0.3.64 prints with --help, by name
FLAGS = """
--listen --port --tls-keyfile --tls-certfile --enable-cors-header --max-upload-size --base-directory
--extra-model-paths-config --output-directory --temp-directory --input-directory --auto-launch --disable-auto-launch
--cuda-device --default-device --cuda-malloc --disable-cuda-malloc --force-fp32 --force-fp16 --fp32-unet --fp64-unet
--bf16-unet --fp16-unet --fp8_e4m3fn-unet --fp8_e5m2-unet --fp8_e8m0fnu-unet --fp16-vae --fp32-vae --bf16-vae --cpu-vae
--fp8_e4m3fn-text-enc --fp8_e5m2-text-enc --fp16-text-enc --fp32-text-enc --bf16-text-enc --force-channels-last
--directml --oneapi-device-selector --disable-ipex-optimize --supports-fp8-compute --preview-method --preview-size
--cache-classic --cache-lru --cache-none --use-split-cross-attention --use-quad-cross-attention
--use-pytorch-cross-attention --use-sage-attention --use-flash-attention --disable-xformers --force-upcast-attention
--dont-upcast-attention --gpu-only --highvram --normalvram --lowvram --novram --cpu --reserve-vram --async-offload
--force-non-blocking --default-hashing-function --disable-smart-memory --deterministic --fast --mmap-torch-files
--disable-mmap --dont-print-server --quick-test-for-ci --windows-standalone-build --disable-metadata
--disable-all-custom-nodes --whitelist-custom-nodes --disable-api-nodes --multi-user --verbose --log-stdout
--front-end-version --front-end-root --user-directory --enable-compress-response-body --comfy-api-base --database-url
"""
PEER = FLAGS.split()


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_worker_flags(parser)
    add_peer_flags(parser)
    return parser.parse_args(words)


def test_every_flag_of_the_peer_is_known() -> None:
    source = "".join((ROOT / name).read_text() for name in (
        "server.py", "web/options.py", "engine/runtime/settings.py", "engine/runtime/precision_flags.py",
        "engine/runtime/peer_flags.py", "engine/runtime/memory_flags.py",
    ))
    unknown = [flag for flag in PEER if f'"{flag}"' not in source and flag not in (
        "--input-directory", "--output-directory", "--temp-directory", "--user-directory",  # made of their names
        *("--" + name.replace("_", "-") for name in SHARES),
    )]
    assert not unknown


VALUES = {
    "--listen": "0.0.0.0,::", "--port": "8189", "--tls-keyfile": "key.pem", "--tls-certfile": "cert.pem",
    "--enable-cors-header": "*", "--max-upload-size": "10", "--base-directory": "tests", "--output-directory": "tests",
    "--extra-model-paths-config": "README.md LICENSE", "--temp-directory": "tests", "--input-directory": "tests",
    "--user-directory": "tests", "--cuda-device": "0", "--default-device": "1", "--directml": "0",
    "--oneapi-device-selector": "gpu", "--preview-method": "auto", "--preview-size": "256", "--cache-lru": "5",
    "--reserve-vram": "1.5", "--default-hashing-function": "sha256", "--fast": "fp16_accumulation autotune",
    "--whitelist-custom-nodes": "a b", "--verbose": "DEBUG", "--front-end-version": "a/b@1.0",
    "--front-end-root": "tests", "--comfy-api-base": "https://example.org", "--database-url": "sqlite:///x.db",
}
"""What follows a flag, as the peer wants it; nothing follows the others."""
ASK = """
import json, sys
from server import precision_notes, serving_parser
from engine.runtime.peer_flags import peer_notes
parser = serving_parser()
def said(words):
    options = parser.parse_args(words)
    notes = [*precision_notes(options), *peer_notes(options)]
    return {name: repr(value) for name, value in vars(options).items()}, notes
usual, _ = said([])
for words in json.load(sys.stdin):
    options, notes = said(words)
    print(json.dumps([words[0], [name for name in usual if usual[name] != options[name]], notes]))
"""


def test_every_flag_of_the_peer_is_taken_with_its_value_and_changes_something_or_says_that_it_does_not() -> None:
    asked = json.dumps([[flag, *VALUES.get(flag, "").split()] for flag in PEER])
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, input=asked, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = {flag: (changed, notes) for flag, changed, notes in map(json.loads, done.stdout.splitlines())}
    assert set(found) == set(PEER), done.stderr
    assert [flag for flag, (changed, _) in found.items() if not changed] == []
    assert [flag for flag in NOTHING if len(found[flag][1]) != 1] == []


def test_flags_without_effect_say_so_each_in_one_line() -> None:
    words = {0: [], 1: ["1"], "?": [], "*": ["fp16_accumulation", "autotune"]}
    for name, (values, why) in NOTHING.items():
        assert peer_notes(parse(name, *words[values])) == [f"{name} has no effect: {why}"]
    assert peer_notes(parse()) == []


def test_a_base_directory_names_what_no_other_flag_names(tmp_path: Path) -> None:
    options = parse("--output-directory", str(tmp_path / "mine"), "--base-directory", str(tmp_path), "--custom-nodes")
    folders = read_folders(options)
    assert (folders.input, folders.output, folders.temp) == (tmp_path / "input", tmp_path / "mine", tmp_path / "temp")
    assert folders.models["checkpoints"][0] == tmp_path / "models" / "checkpoints"
    assert read_packs(options) == (tmp_path / "custom_nodes",)


def test_a_worker_gets_the_settings_of_its_server(tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_text("mine: {custom_nodes: packs}")
    for words in (
        [], ["--cache-none", "--plain", "--deterministic", "--preview-size", "64", "--cpu", "--per-image-seeds"],
        ["--base-directory", str(tmp_path), "--custom-nodes", "--whitelist-custom-nodes", "a", "b"],
        ["--extra-model-paths-config", str(config), str(config), "--threads", "1", "--temp-directory", str(tmp_path)],
        ["--extra-model-paths-config", str(config), "--disable-all-custom-nodes"],
    ):
        options = parse(*words)
        assert read_settings(parse(*worker_arguments(options))) == read_settings(options), words


def test_packs_can_be_switched_off_and_named(tmp_path: Path) -> None:
    assert read_packs(parse("--custom-nodes", "--disable-all-custom-nodes")) == ()
    chosen = read_settings(parse("--custom-nodes", "--disable-all-custom-nodes", "--whitelist-custom-nodes", "one"))
    assert chosen.packs == (ROOT / "custom_nodes",) and chosen.only_packs == ("one",)


def test_default_folders_of_a_configuration_come_first(tmp_path: Path) -> None:
    config = tmp_path / "extra.yaml"
    config.write_text(
        "a:\n  base_path: one\n  is_default: true\n  loras: x\n  vae: |\n    y\n    z\n\nb:\n  loras: /two/x\n"
    )
    here = tmp_path.resolve()
    folders = make_folders(data=tmp_path, models=tmp_path / "models", extra=read_extra_model_paths(config))
    assert (folders.models["loras"][0], folders.models["loras"][-1]) == (here / "one" / "x", Path("/two/x"))
    assert folders.models["vae"][:2] == (here / "one" / "y", here / "one" / "z")


@pytest.mark.parametrize(("text", "said"), [
    ("a:\n  loras: [x, y]\n", "'a', loras: found a list; give one path, or several on lines of their own"),
    ("a:\n  loras: {x: y}\n", "found a dict"),
    ("- a\n- b\n", "mapping of sections; found a list"),
    ("a: b\n", "section 'a' is not a mapping"),
    ("a: [", "cannot be read as YAML"),
])  # fmt: skip
def test_a_configuration_that_means_nothing_says_where(tmp_path: Path, text: str, said: str) -> None:
    config = tmp_path / "extra.yaml"
    config.write_text(text)
    with pytest.raises(ValueError, match=r"extra\.yaml") as raised:
        read_extra_model_paths(config)
    assert said in str(raised.value)


def test_main_is_the_server_and_ends_when_asked_to_load_the_nodes_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "main.py"), "--quick-test-for-ci", "--cpu", "--port", "0", "--cache-classic",
            "--data-directory", str(tmp_path / "data"), "--dont-print-server", "--threads", "1",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--cache-classic has no effect: there is one cache" in done.stderr


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, str(ROOT / "main.py"), "--tls-keyfile", "key.pem", "--port", "0",
            "--data-directory", str(tmp_path / "data"),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and "needs --tls-cert" in done.stderr
