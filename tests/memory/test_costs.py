"""What a pass needs is known before it runs."""

from __future__ import annotations

import json

import pytest
import torch

from engine.diffusion.config import PRESETS
from engine.diffusion.unet import UNet
from engine.runtime.device import costs as costs_module
from engine.runtime.device.costs import (
    Costs,
    bound_unet,
    bound_vae,
    need_of_text,
    profile,
    profile_text,
    profile_unet,
    profile_vae,
)
from tests.memory.models import config_of

BF16 = torch.bfloat16


def test_the_count_is_what_tensors_of_a_real_pass_take():
    """One layer, whose tensors can be added up by hand: input, product and what the activation makes of it."""
    with torch.device("meta"):
        network = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.SiLU(), torch.nn.Linear(32, 8))
    found = profile(network, lambda module: module(torch.empty(100, 8, device="meta")), "cpu")
    assert found.nbytes == 4 * 100 * (8 + 32 + 32), "the product and its activation, while the input is held"
    assert found.order == ("0", "2")


@pytest.mark.parametrize(("rows", "side"), [(1, 16), (2, 64), (8, 32), (2, 96)])
@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
def test_the_bound_of_a_unet_is_above_the_count(family, rows, side):
    config = PRESETS[family].unet
    assert profile_unet(config, BF16, rows, side, side).nbytes <= bound_unet(config, BF16, rows, side, side)


@pytest.mark.parametrize("side", [16, 64, 96])
@pytest.mark.parametrize("encoding", [True, False])
def test_the_bound_of_an_autoencoder_is_above_the_count(encoding, side):
    config = PRESETS["sd1"].vae
    pixels = 8 * side
    given = pixels if encoding else side
    found = profile_vae(config, BF16, given, given, encoding=encoding).nbytes
    assert found <= bound_vae(config, BF16, pixels, pixels)


@pytest.mark.parametrize("family", ["sd1", "sd2-v"])
def test_the_bound_of_a_text_encoder_is_above_the_count(family):
    config = PRESETS[family].text
    found = profile_text(config, torch.float32, chunks=4)
    assert found.nbytes <= need_of_text(config, torch.float32, chunks=4) < 3 * found.nbytes
    assert found.order[0] == "transformer.embeddings.token_embedding"
    assert found.order[-1] == "transformer.final_layer_norm"


def test_the_published_figures_are_met():
    """Live activations of a step of SD 1.5 at 64 × 64, float16, without workspaces: 137 MB for two rows, 68 for one."""
    two, one = (profile_unet(PRESETS["sd1"].unet, torch.float16, rows, 64, 64, kind="none").nbytes for rows in (2, 1))
    assert 0.7 < two / 137e6 < 1.15 and 0.7 < one / 68e6 < 1.25


def test_the_order_is_that_in_which_modules_are_called():
    config = config_of(16).unet
    torch.manual_seed(0)
    network, called = UNet(config), []
    for name, module in network.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            module.register_forward_pre_hook(lambda _module, _inputs, name=name: called.append(name))
    network(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 77, config.context_dim))
    assert list(dict.fromkeys(called)) == list(Costs().order(config))


def test_room_is_made_for_counting_itself(monkeypatch):
    """Torch imports its compiler at the first pass over the meta device; once that is there, nothing is asked for."""
    config, asked = config_of(16).unet, []
    for there, wanted in (("no.such.module", [costs_module.COMPILER_NBYTES]), ("sys", [])):
        monkeypatch.setattr(costs_module, "COMPILER", there)
        costs = Costs()
        costs.room = asked.append
        costs.unet(config, BF16, 1, 8, 8)
        costs.unet(config, BF16, 1, 8, 8)
        assert asked == wanted
        asked.clear()


def test_a_shape_is_counted_once_and_measurements_are_kept(tmp_path):
    file, config = tmp_path / "cache" / "costs.json", config_of(16).unet
    costs = Costs("cpu", file)
    counted = costs.unet(config, BF16, 2, 8, 8)
    assert costs.unet(config, BF16, 2, 8, 8) == counted and costs.passes == 1
    costs.measured("unet", config, BF16, 2, 8, 8, 77, nbytes=counted // 2)
    assert costs.unet(config, BF16, 2, 8, 8) == counted, "a measurement only ever raises an estimate"
    costs.measured("unet", config, BF16, 2, 8, 8, 77, nbytes=counted + 1000)
    costs.flush()
    again = Costs("cpu", file)
    assert again.unet(config, BF16, 2, 8, 8) == counted + 1000 and again.passes == 0
    assert Costs("cuda", file).unet(config, BF16, 2, 8, 8) != counted + 1000, "another device's are not taken"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"torch": 1}', json.dumps({"torch": torch.__version__, "kind": "cpu",
                                                                             "costs": {"a": 1}})])
def test_a_damaged_file_is_begun_anew(tmp_path, text):
    file = tmp_path / "costs.json"
    file.write_text(text)
    assert Costs("cpu", file).unet(config_of(16).unet, BF16, 1, 8, 8) > 0
