"""Each kind of hostile file in each kind of reader: a clear refusal, in little memory, and nothing runs."""

import json
import subprocess
import sys

import pytest

from tests.checkpoints.hostile_files import MOST, PICKLED, READERS, SAFE, SLOW, STEMS
from tests.served import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and measured as Linux does")


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a process with 400 MB to spare said of every file in every reader."""
    folder = tmp_path_factory.mktemp("hostile")
    run = subprocess.run(
        [sys.executable, "-m", "tests.checkpoints.hostile_files", str(folder)], cwd=ROOT, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


def test_every_reader_met_every_file(told):
    assert len(READERS) == 6
    everywhere = len(SAFE) + len(PICKLED) - len(SLOW)
    assert len(told["outcome"]) == everywhere * len(READERS) + len(SLOW) + len(SAFE) * len(STEMS) * 2


def test_every_hostile_file_is_refused_with_its_name_and_a_reason(told):
    wrong = {case: said for case, (said, _) in told["outcome"].items() if not said.startswith("CheckpointError: ")}
    assert not wrong
    for case, (said, _) in told["outcome"].items():
        assert ": found " in said, case
        assert "; wanted " in said, case
        assert len(said) < 2000, case  # a dozen keys by name


def test_no_hostile_file_takes_much_memory(told):
    assert max(taken for _, taken in told["outcome"].values()) < MOST


def test_nothing_in_a_hostile_file_runs(told):
    """CVE-2024-12029."""
    assert not told["harm"]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("embedding: a program (.pt)", "would call builtins.exec"),
        ("latent: a program, before torch 1.6 (.pt)", "would call exec"),
        ("text encoder: a program in a bare pickle (.pt)", "no whole torch file"),
        ("unet: a pickle by another name (.safetensors)", "found a pickle"),
        ("embedding: a terabyte (.pt)", "would call __builtin__.bytearray"),
        ("checkpoint: a terabyte, before torch 1.6 (.pt)", "would call __builtin__.bytearray"),
        ("vae: 50 million lists (.pt)", "a pickle of 50000003 bytes"),
        ("vae: 3 MB of names, before torch 1.6 (.pt)", "longer than 2097152 bytes"),
        ("latent: a header of 30 MB of empty lists (.safetensors)", "20000003 parts (at most 1000000 are read)"),
        ("folder's vae, shard: a header of 30 MB of empty objects", "20000003 parts"),
        ("folder's unet, shard: a file cut short", "cut short"),
        ("folder's text_encoder, shard: a file cut in its header", "a header of 100 bytes in a file of 13"),
        ("latent: a shape of 2^62 (.safetensors)", "in 2 bytes"),
        ("latent: whole numbers (.safetensors)", "latent_tensor of type I64"),
        ("checkpoint: whole numbers (.safetensors)", "is of type I8, not F32, F16 or BF16"),
        ("text encoder: whole numbers (.pt)", "is of type I8, not F32, F16 or BF16"),
        ("embedding: whole numbers (.pt)", "no rows of a token embedding"),
    ],
)
def test_the_reason_is_the_right_one(case, reason, told):
    assert reason in told["outcome"][case][0]


@pytest.mark.parametrize(
    "text",
    [
        # nested aliases: a few hundred bytes that stand for 9^9 elements, as text and as merged mappings
        "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ) + "prediction: *i\n",
        "a: &a {x: 1}\n" + "".join(
            f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}]}}\n"
            for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ) + "prediction: eps\n",
        "model: {params: {unet_config: {params: {model_channels: .inf}}}}",
        "model: {params: {linear_start: [1]}}",
    ],
)  # fmt: skip
def test_a_sidecar_that_would_grow_or_cannot_be_is_refused(text, tmp_path):
    from engine.diffusion.checkpoint import CheckpointError, open_checkpoint
    from tests.checkpoints.files import write_shapes
    from tests.checkpoints.test_families import published_shapes

    (tmp_path / "n.yaml").write_text(text)
    path = write_shapes(tmp_path / "n.safetensors", published_shapes("sd1"))
    with pytest.raises(CheckpointError, match=r"n\.yaml: found (something else than yaml|a value that cannot be)"):
        open_checkpoint(path)
