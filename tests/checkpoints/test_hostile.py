"""Files made to harm: refused with a clear message, in little memory, and nothing in them runs."""

import json
import pickle
import struct
import zipfile

import pytest
import torch

from engine.diffusion.checkpoint import CheckpointError, open_checkpoint
from tests.checkpoints.files import tensors, write


def header_file(path, header: bytes, length: int | None = None, data: bytes = b""):
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 10**9, 4096])
def test_a_header_longer_than_the_file_or_any_sense_is_refused(length, tmp_path):
    """CVE-2026-111985."""
    with pytest.raises(CheckpointError, match=rf"x.safetensors: found a header of {length} bytes"):
        open_checkpoint(header_file(tmp_path / "x.safetensors", b"{}", length))


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"{" * 100_000, "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"[]", "not an object"),
        (b'{"a": 1}', "without a description"),
        (b'{"__metadata__": {"a": 1}}', "metadata that is not text"),
        (b'{"a": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}', "cut short"),
        (b'{"a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 1]}}', r"of shape \[1\] in 1 bytes"),
        (b'{"a": {"dtype": "F16", "shape": [-1], "data_offsets": [0, 2]}}', "broken shape"),
        (b'{"a": {"dtype": "F16", "shape": [0, 4611686018427387904, 4], "data_offsets": [4, 0]}}', "at bytes 4 to 0"),
        (b'{"a": {"dtype": "Q4", "shape": [1], "data_offsets": [0, 1]}}', "unknown type 'Q4'"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_broken_header_is_refused(header, said, tmp_path):
    with pytest.raises(CheckpointError, match=said):
        open_checkpoint(header_file(tmp_path / "x.safetensors", header, data=b"\0\0"))


def test_a_truncated_file_is_refused(tmp_path):
    path = write(tmp_path / "m.safetensors", tensors())
    whole = path.read_bytes()
    for size in (0, 7, 8, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            open_checkpoint(path)


def test_a_pickle_named_safetensors_is_refused_unread(tmp_path):
    torch.save({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(pickle.dumps({"a": 1}))
    for name in ("a", "b"):
        with pytest.raises(CheckpointError, match="found a pickle"):
            open_checkpoint(tmp_path / f"{name}.safetensors")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


@pytest.mark.parametrize("suffix", ["ckpt", "pt", "bin"])
@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_would_run_something_is_refused_with_its_name_and_never_run(suffix, new, tmp_path):
    harm, path = tmp_path / "harm", tmp_path / f"m.{suffix}"
    torch.save({"state_dict": {"a": Payload(harm)}}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(CheckpointError, match="exec") as caught:
        open_checkpoint(path)
    assert "Nothing in it was run" in str(caught.value)
    assert not harm.exists()


def test_a_bare_pickle_is_refused_and_never_run(tmp_path):
    harm, path = tmp_path / "harm", tmp_path / "m.ckpt"
    path.write_bytes(pickle.dumps(Payload(harm)))
    with pytest.raises(CheckpointError):
        open_checkpoint(path)
    assert not harm.exists()


def test_the_trainers_classes_in_published_files_are_harmless_names(tmp_path):
    """sd-v1-4.ckpt mentions ModelCheckpoint and numpy scalars (models.md, 4.1); lightning is not needed to read it."""
    import sys
    import types

    import numpy as np

    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    callback = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = callback
    sys.modules[module.__name__] = module
    sys.modules["pytorch_lightning"] = types.ModuleType("pytorch_lightning")
    sys.modules["pytorch_lightning.callbacks"] = types.ModuleType("pytorch_lightning.callbacks")
    try:
        path = tmp_path / "m.ckpt"
        torch.save({"state_dict": tensors(), "callbacks": {callback: {"best": np.float64(1.0)}}}, path)
    finally:
        for name in ("pytorch_lightning", "pytorch_lightning.callbacks", module.__name__):
            del sys.modules[name]
    from engine.diffusion.standin import standin_config

    assert open_checkpoint(path, standin_config()).unet.nbytes > 0


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "m.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\0" * 50_000_000)
    with pytest.raises(CheckpointError, match="unpacks to 50000000"):
        open_checkpoint(path)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04", b"\x80\x02", b"version https://git-lfs.github.com/x"]
)
def test_rubbish_is_refused_by_every_name(content, tmp_path):
    for suffix in ("safetensors", "ckpt", "pt"):
        path = tmp_path / f"m.{suffix}"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=rf"m\.{suffix}: found"):
            open_checkpoint(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(CheckpointError):
            open_checkpoint(path)


def test_a_hostile_sidecar_is_refused(tmp_path):
    path = write(tmp_path / "m.safetensors", tensors())
    path = tmp_path / "n.safetensors"
    from safetensors.torch import save_file

    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.ones(1)}, path)
    for text in ("{" * 100_000, "a: !!python/object/apply:os.system ['true']", "- 1", "x" * 300_000):
        (tmp_path / "n.yaml").write_text(text)
        with pytest.raises(CheckpointError, match=r"n\.yaml"):
            open_checkpoint(path)


def test_json_with_a_hundred_thousand_keys_is_read_in_little_time(tmp_path):
    header = json.dumps({f"k{i}": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)})
    with pytest.raises(CheckpointError, match="no UNet"):
        open_checkpoint(header_file(tmp_path / "x.safetensors", header.encode()))
