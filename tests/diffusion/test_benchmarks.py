"""What `python -m benchmarks` compares: weights that no peer can make less of, and peers that compute the same."""

import importlib.util

import pytest
import torch

from benchmarks import __main__ as benchmarks
from benchmarks import peers
from benchmarks.peers import CONTENDERS, Scene
from benchmarks.random_model import random_tensors, write_random
from engine.diffusion.checkpoint import open_checkpoint
from tests.parity.small import small

SHAPES = {
    "a.weight": (64, 32), "b.weight": (64, 32), "norm.weight": (64,), "norm.bias": (64,), "c.weight": (8, 8, 3, 3),
}  # fmt: skip


def test_no_two_weights_are_alike_and_none_is_a_constant():
    made = random_tensors(SHAPES)
    assert {name: tuple(each.shape) for name, each in made.items()} == SHAPES
    assert not torch.equal(made["a.weight"], made["b.weight"])
    assert all(float(each.float().std()) > 0 for each in made.values())
    assert float(made["norm.weight"].float().mean()) == pytest.approx(1.0, abs=0.02)
    again = random_tensors(SHAPES)
    assert all(torch.equal(each, again[name]) for name, each in made.items())


def test_a_peer_that_is_not_installed_is_left_out_and_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert peers.missing("openvino") == ["diffusers", "openvino"]
    assert peers.missing("inductor") == ["diffusers"]
    assert not peers.missing("easel-plain")
    monkeypatch.setattr(benchmarks, "write_model", lambda family, path: small(family))
    monkeypatch.setattr(benchmarks, "roof", lambda device: 1e12)
    asked = []
    monkeypatch.setattr(benchmarks, "together", lambda settings, cases, rounds: asked.extend(settings) or [])
    monkeypatch.setattr("sys.argv", ["benchmarks", "--case", "text", "--with", "easel", "openvino",
                                     "--models", str(tmp_path), "--json", str(tmp_path)])  # fmt: skip
    benchmarks.main()
    assert [setting.name for setting in asked] == ["easel"]
    assert "openvino is left out: diffusers and openvino not installed here" in capsys.readouterr().err


@pytest.mark.skipif(bool(peers.missing("openvino")), reason="needs diffusers and OpenVINO, which nothing here requires")
def test_openvino_computes_what_easel_does(tmp_path):
    write_random(small("sd1"), tmp_path / "m.safetensors")
    scene = Scene(open_checkpoint(tmp_path / "m.safetensors"), 64, 1, torch.device("cpu"))
    wanted, made = CONTENDERS["easel-fp32-plain"](scene), peers.OpenVino(scene, "f32")
    for case in ("step", "decode"):
        one, other = getattr(wanted, case)(), getattr(made, case)()
        if case == "decode":  # Easel's is a picture (batch, h, w, 3) in 0..1
            other = (other.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1)
        assert other.shape == one.shape
        assert float((other - one).norm() / one.norm()) < 1e-4
