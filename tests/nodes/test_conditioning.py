"""Prompts with learned words."""

import pytest
import torch
from safetensors.torch import save_file

from engine.diffusion.standin import write_standin
from nodes.conditioning import encode_text
from nodes.loaders import load_checkpoint


@pytest.fixture
def clip(desk):
    write_standin(desk.model_folder("checkpoints") / "s.safetensors")
    return load_checkpoint(desk.context, ckpt_name="s.safetensors").clip


def states(desk, clip, text):
    return encode_text(desk.context, text=text, clip=clip).entries[0].states


def test_an_embedding_equal_to_a_words_own_row_changes_nothing(desk, clip):
    encoder = desk.context.text_encoder(clip)
    row = encoder.transformer.embeddings.token_embedding.weight[2368]  # "cat</w>"
    save_file({"emb_params": row[None].clone()}, desk.model_folder("embeddings") / "pet.safetensors")
    plain = states(desk, clip, "a cat on a mat")
    assert torch.allclose(states(desk, clip, "a embedding:pet on a mat"), plain, atol=1e-5)
    assert not torch.allclose(states(desk, clip, "a dog on a mat"), plain, atol=1e-3)
    weighted = states(desk, clip, "a (cat:1.5) on a mat")
    assert torch.allclose(states(desk, clip, "a (embedding:pet:1.5) on a mat"), weighted, atol=1e-5)
    assert desk.warnings == []


def test_an_unknown_or_unfitting_embedding_is_left_out_and_told_of(desk, clip):
    bare = states(desk, clip, "a mat")
    assert torch.equal(states(desk, clip, "a embedding:nothing, mat"), bare)
    assert desk.warnings == ["no embedding is called 'nothing'; it is left out of the prompt"]
    save_file({"emb_params": torch.ones(1, 1280)}, desk.model_folder("embeddings") / "wide.safetensors")
    desk.events.clear()
    assert torch.isfinite(states(desk, clip, "a embedding:wide mat")).all()
    assert "1280 wide and was made for another model" in desk.warnings[0]
    assert bare.shape == (1, 77, 64)
