"""The style adapter, by hand: its parts are written out here from the paper's description (arXiv:2302.08453)."""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.guidance import Condition
from engine.diffusion.style import StyleAdapter, StyleConfig
from engine.diffusion.tensorfile import CheckpointError
from engine.graph.types import ClipVisionOutput, Conditioning
from nodes.vision import apply_style, load_style
from tests.parity.small import noise, randomise

CONFIG = StyleConfig(tokens=3, width=32, text_width=64, layers=2)


@pytest.fixture
def network(desk):
    network = randomise(StyleAdapter(CONFIG))
    save_file(network.state_dict(), desk.model_folder("style_models") / "s.safetensors")
    return network


def norm(x, state, name):
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return x * state[f"{name}.weight"] + state[f"{name}.bias"]


def by_hand(seen, state):
    x = norm(torch.cat([seen, state["style_embedding"].expand(len(seen), -1, -1)], dim=1), state, "ln_pre")
    for layer in range(2):
        head = f"transformer_layes.{layer}"
        n = norm(x, state, f"{head}.ln_1")
        q, k, v = (n @ state[f"{head}.attn.in_proj_weight"].T + state[f"{head}.attn.in_proj_bias"]).chunk(3, dim=-1)
        heads = []
        for part in range(8):
            at = slice(4 * part, 4 * part + 4)
            heads.append((q[..., at] @ k[..., at].mT / 2).softmax(-1) @ v[..., at])
        out = torch.cat(heads, -1) @ state[f"{head}.attn.out_proj.weight"].T + state[f"{head}.attn.out_proj.bias"]
        x = x + out
        n = norm(x, state, f"{head}.ln_2") @ state[f"{head}.mlp.c_fc.weight"].T + state[f"{head}.mlp.c_fc.bias"]
        n = n * (1.702 * n).sigmoid()
        x = x + n @ state[f"{head}.mlp.c_proj.weight"].T + state[f"{head}.mlp.c_proj.bias"]
    return norm(x[:, -3:], state, "ln_post") @ state["proj"]


def seen(width=32):
    return ClipVisionOutput(noise(2, 16), noise(2, 5, width, seed=4), noise(2, 5, width, seed=5))


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_the_words_of_all_pictures_go_behind_the_text(strength, desk, network):
    text = Condition(noise(1, 77, 64), start_percent=0.25)
    model = load_style(desk.context, style_model_name="s.safetensors")
    given = seen()
    (entry,) = apply_style(desk.context, conditioning=Conditioning((text,)), style_model=model,
                           clip_vision_output=given, strength=strength, strength_type="multiply").entries  # fmt: skip
    assert entry.states.shape == (1, 77 + 2 * 3, 64)
    assert torch.equal(entry.states[:, :77], text.states)
    wanted = strength * by_hand(given.last_hidden_state, network.state_dict()).flatten(0, 1)
    assert torch.allclose(entry.states[0, 77:], wanted, rtol=1e-4, atol=1e-5)
    assert entry.start_percent == 0.25


def test_what_does_not_belong_together_is_refused(desk, network):
    model = load_style(desk.context, style_model_name="s.safetensors")

    def put(text_width=64, width=32, strength=1.0, kind="multiply"):
        text = Conditioning((Condition(noise(1, 77, text_width)),))
        return apply_style(desk.context, conditioning=text, style_model=model, clip_vision_output=seen(width),
                           strength=strength, strength_type=kind)  # fmt: skip

    with pytest.raises(ValueError, match=r"reads an image encoder 32 wide .* by one 48 wide"):
        put(width=48)
    with pytest.raises(ValueError, match="words are 64 wide and this text's are 96"):
        put(text_width=96)
    with pytest.raises(ValueError, match="choose multiply"):
        put(strength=0.5, kind="attn_bias")
    assert torch.equal(put(kind="attn_bias").entries[0].states, put().entries[0].states)
    save_file({"a": torch.ones(1)}, desk.model_folder("style_models") / "x.safetensors")
    with pytest.raises(CheckpointError, match="wanted a style adapter"):
        load_style(desk.context, style_model_name="x.safetensors")
