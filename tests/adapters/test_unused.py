"""What users are told of adapters' files that hold more than is used."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from nodes.controlnet import load_controlnet, load_gligen
from nodes.vision import load_style
from tests.adapters.graphs import METADATA, write_models


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_models(root)
    return root


@pytest.mark.parametrize(
    ("load", "name", "folder", "prefix", "strange"),
    [(load_controlnet, "c", "controlnet", "control_model.", "control_model.strange.weight"),
     (load_controlnet, "c", "controlnet", "", "strange.weight"),
     (load_controlnet, "t", "controlnet", "", "strange.weight"),
     (load_gligen, "g", "gligen", "", "position_net.strange.weight"),
     (load_style, "s", "style_models", "", "strange.weight")],
)  # fmt: skip
def test_keys_of_an_adapter_that_nothing_uses_are_counted_and_those_of_other_models_are_not(
    load, name, folder, prefix, strange, models, tmp_path
):  # fmt: skip
    """Whole files hold the model that an adapter was trained on besides, which is none of its business."""
    state = {prefix + key: value for key, value in load_file(models / folder / f"{name}.safetensors").items()}
    others = {"model.diffusion_model.out.2.bias": torch.zeros(4)} if prefix or load is load_gligen else {}
    path = tmp_path / "more.safetensors"
    told = []
    context = SimpleNamespace(file=lambda folder, name: path, warn=told.append)
    argument = {load_controlnet: "control_net_name", load_gligen: "gligen_name", load_style: "style_model_name"}[load]
    for more in ({}, {strange: torch.zeros(3)}):
        save_file({**state, **others, **more}, path, metadata=METADATA if load is not load_style else None)
        load(context, **{argument: "more.safetensors"})
    assert told == [f"more.safetensors: 1 of {len(state) + len(others) + 1} keys unused ({strange})"]
