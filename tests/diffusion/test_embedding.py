"""Textual inversions: every trainer's file, found by name, and put where the prompt says."""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.config import PRESETS
from engine.diffusion.embedding import find_embedding, read_embedding
from engine.diffusion.tensorfile import CheckpointError

TEXT = PRESETS["sd1"].text
ROWS = torch.arange(3.0)[:, None].expand(3, 768).clone()
OTHER = torch.ones(2, 1280)

PICKLES = {
    "the common trainer": {"string_to_token": {"*": 265}, "string_to_param": {"*": ROWS}, "name": "x", "step": 1},
    "the original trainer": {"string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(ROWS)})},
    "diffusers": {"<cat>": ROWS},
    "a list": [{"a": ROWS[:1], "b": OTHER}, {"c": ROWS[1:]}],
    "a tensor": ROWS,
}
SAFE = {
    "one tensor": {"emb_params": ROWS},
    "two text encoders": {"clip_g": OTHER, "clip_l": ROWS},
    "bundled": {"bundle_emb.a.string_to_param.*": ROWS[:1], "bundle_emb.b.string_to_param.*": ROWS[1:]},
    "half": {"emb_params": ROWS.half()},
}


@pytest.mark.parametrize("kind", list(PICKLES))
def test_a_pickled_embedding_of_each_trainer_is_read(kind, tmp_path):
    torch.save(PICKLES[kind], tmp_path / "a.pt")
    assert torch.equal(read_embedding(tmp_path / "a.pt", TEXT), ROWS)


@pytest.mark.parametrize("kind", list(SAFE))
def test_a_safetensors_embedding_of_each_trainer_is_read(kind, tmp_path):
    save_file({name: tensor.contiguous() for name, tensor in SAFE[kind].items()}, tmp_path / "a.safetensors")
    assert torch.equal(read_embedding(tmp_path / "a.safetensors", TEXT), ROWS)


def test_a_single_vector_is_one_row(tmp_path):
    save_file({"emb_params": torch.ones(768)}, tmp_path / "a.safetensors")
    assert read_embedding(tmp_path / "a.safetensors", TEXT).shape == (1, 768)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"a": torch.ones(751, 4)}, "751 rows"), ({"a": torch.ones(1, 1, 4)}, "no rows"),
        ({"a": torch.ones(4, dtype=torch.int32)}, "no rows"), ({"a": torch.full((1, 4), torch.nan)}, "no numbers"),
        ({}, "no rows"),
    ],
)  # fmt: skip
def test_what_is_no_embedding_is_refused(state, said, tmp_path):
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=said):
        read_embedding(tmp_path / "a.safetensors", TEXT)


def test_a_file_far_too_large_is_refused_unread(tmp_path):
    with (tmp_path / "a.pt").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(CheckpointError, match="1073741824 bytes"):
        read_embedding(tmp_path / "a.pt", TEXT)


@pytest.mark.parametrize("suffix", ["pt", "bin"])
def test_an_embedding_that_would_run_something_is_refused_and_never_run(suffix, tmp_path):
    from tests.checkpoints.test_hostile import Payload

    torch.save({"string_to_param": {"*": Payload(tmp_path / "harm")}}, tmp_path / f"a.{suffix}")
    with pytest.raises(CheckpointError, match="exec"):
        read_embedding(tmp_path / f"a.{suffix}", TEXT)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cat", "cat.safetensors"), ("cat.pt", "animals/cat.pt"), ("animals/cat", "animals/cat.pt"),
        ("dog", "animals/dog.bin"), ("cow", None), ("../secret", None), ("nimals/cat", None),
    ],
)  # fmt: skip
def test_a_name_is_found_below_the_folder_with_or_without_its_ending(name, found):
    assert find_embedding(name, ["animals/cat.pt", "animals/dog.bin", "cat.safetensors"]) == found
