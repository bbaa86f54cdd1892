"""Prompts through a small text encoder: weights, chunks, embeddings (numerics.md, 6.5)."""

import pytest
import torch

from engine.diffusion.text import TextEncoder, encode, tokenizer
from tests.parity.small import randomise, small

CONFIG = small("sd1").text


@pytest.fixture(scope="module")
def model():
    return randomise(TextEncoder(CONFIG))


def states(model, text, **options):
    return encode(model, tokenizer(), text, CONFIG, **options).states


def test_a_weight_moves_a_token_away_from_the_empty_prompt(model):
    plain, weighted, empty = (states(model, text) for text in ("red cat", "red (cat:1.5)", ""))
    moved = (plain[:, 2] - empty[:, 2]) * 1.5 + empty[:, 2]
    assert torch.allclose(weighted[:, 2], moved, atol=1e-5)
    others = [position for position in range(77) if position != 2]
    assert torch.allclose(weighted[:, others], plain[:, others], atol=1e-6)


def test_the_pooled_output_is_not_weighted(model):
    pooled = [encode(model, tokenizer(), text, CONFIG).pooled for text in ("red cat", "red (cat:1.5)")]
    assert torch.allclose(*pooled, atol=1e-6)


def test_a_long_prompt_is_its_chunks_side_by_side(model):
    long = states(model, "cat " * 100)
    assert long.shape == (1, 154, CONFIG.width)
    assert torch.allclose(long[:, :77], states(model, "cat " * 75), atol=1e-5)
    assert torch.allclose(long[:, 77:], states(model, "cat " * 25), atol=1e-5)


def test_an_embedding_of_a_words_own_row_is_that_word(model):
    row = model.transformer.embeddings.token_embedding.weight[tokenizer().ids("cat")]
    found = states(model, "red embedding:mine", embedding_lookup={"mine": row}.get)
    assert torch.allclose(found, states(model, "red cat"), atol=1e-6)


def test_an_embedding_of_another_width_is_left_out(model):
    found = states(model, "red embedding:wide", embedding_lookup={"wide": torch.ones(1, 1280)}.get)
    assert torch.allclose(found, states(model, "red"), atol=1e-6)


def test_more_clip_skip_than_layers_is_the_last_layer(model):
    assert torch.equal(states(model, "cat", clip_skip=99), states(model, "cat", clip_skip=1))
    assert not torch.allclose(states(model, "cat", clip_skip=2), states(model, "cat", clip_skip=1))
