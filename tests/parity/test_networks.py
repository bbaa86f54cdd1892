"""Our networks against diffusers 0.42.1 and transformers on random weights, fp32: at most 1e-5 relative L2 per call."""

import json
from functools import cache

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer
from transformers.initialization import no_init_weights

from engine.diffusion.config import PRESETS
from engine.diffusion.text import TextEncoder, encode, tokenizer
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae, decode
from engine.diffusion.vae import encode as encode_pixels
from tests.parity.oracles import diffusers_unet, diffusers_vae
from tests.parity.small import distance, noise, randomise, small, undrawn

CLOSE = 1e-5
FULL_UNETS = [pytest.param(name, marks=pytest.mark.full) for name in ("sd1", "sd2-v")]


def compare_unets(config, size):
    with undrawn():
        unet = randomise(UNet(config))
    oracle = diffusers_unet(unet)
    x, context = noise(2, config.in_channels, *size), noise(2, 77, config.context_dim, seed=2)
    timestep = torch.tensor([981.0, 3.0])
    y = None
    if config.num_classes:
        y = torch.tensor([20, 350])
    elif config.adm_dim:
        y = noise(2, config.adm_dim, seed=3)
    ours, theirs = unet(x, timestep, context, y), oracle(x, timestep, context, class_labels=y).sample
    assert ours.std() > 0.1
    assert distance(ours, theirs) < CLOSE


@pytest.mark.parametrize("family", list(PRESETS))
def test_a_small_unet_of_each_family_equals_diffusers(family):
    compare_unets(small(family).unet, (16, 24))


def test_odd_latent_sizes_equal_diffusers():
    compare_unets(small("sd1").unet, (9, 13))


@pytest.mark.parametrize("family", FULL_UNETS)
def test_a_full_size_unet_equals_diffusers(family):
    compare_unets(PRESETS[family].unet, (16, 16))


def compare_vaes(config, pixels):
    with undrawn():
        vae = randomise(Vae(config))
    oracle = diffusers_vae(vae)
    f = config.downscale
    picture = noise(1, pixels, pixels + f, 3).sigmoid()
    mean = oracle.encode(2 * picture.movedim(-1, 1) - 1).latent_dist.mean
    assert distance(encode_pixels(vae, picture), mean) < CLOSE
    latent = noise(2, config.embed_dim, pixels // f, pixels // f + 1)
    theirs = oracle.decode(latent).sample
    assert distance(vae.decode(latent), theirs) < CLOSE
    assert torch.allclose(decode(vae, latent), (theirs / 2 + 0.5).clamp(0, 1).movedim(1, -1), atol=1e-5)


@pytest.mark.parametrize("family", ["sd1", "sd2-x4"])
def test_a_small_vae_equals_diffusers_both_ways(family):
    compare_vaes(small(family).vae, 64)


@pytest.mark.full
def test_the_full_size_vae_equals_diffusers_both_ways():
    compare_vaes(PRESETS["sd1"].vae, 64)


def clip_oracle(model: TextEncoder) -> CLIPTextModelWithProjection:
    """The public class with a projection, whose keys keep the `text_model.` prefix."""
    c = model.config
    oracle = CLIPTextModelWithProjection(CLIPTextConfig(
        vocab_size=c.vocab_size, hidden_size=c.width, intermediate_size=c.mlp_width, num_hidden_layers=c.layers,
        num_attention_heads=c.heads, hidden_act=c.activation, projection_dim=c.width, eos_token_id=c.end_id,
        bos_token_id=c.start_id, attn_implementation="eager",
    ))  # fmt: skip
    state = {name.replace("transformer.", "text_model."): value for name, value in model.state_dict().items()}
    state.setdefault("text_projection.weight", torch.eye(c.width))
    oracle.load_state_dict(state, strict=True)
    return oracle.eval().requires_grad_(False)


def compare_texts(config):
    with undrawn():
        model = randomise(TextEncoder(config))
    with undrawn(), no_init_weights():
        oracle = clip_oracle(model)
    text = "a photo of an astronaut riding a horse on mars"
    words = tokenizer().ids(text)
    ids = [config.start_id, *words, config.end_id]
    ids += [config.pad_id] * (config.max_length - len(ids))
    theirs = oracle(input_ids=torch.tensor([ids]), output_hidden_states=True)
    norm = oracle.text_model.final_layer_norm
    for skip in sorted({1, 2, 3, config.layers}):
        ours = encode(model, tokenizer(), text, config, clip_skip=skip)
        hidden = norm(theirs.hidden_states[config.layers - skip + 1])
        assert distance(ours.states, hidden) < CLOSE, skip
        assert distance(ours.pooled, theirs.text_embeds) < CLOSE
    default = encode(model, tokenizer(), text, config)
    assert torch.equal(default.states, encode(model, tokenizer(), text, config, clip_skip=config.clip_skip).states)


@pytest.mark.parametrize("family", ["sd1", "sd2-base"])
def test_a_small_text_encoder_equals_transformers_at_every_clip_skip(family):
    compare_texts(small(family).text)


@pytest.mark.full
@pytest.mark.parametrize("family", ["sd1", "sd2-base"])
def test_a_full_size_text_encoder_equals_transformers(family):
    compare_texts(PRESETS[family].text)


@cache
def clip_tokenizer() -> CLIPTokenizer:
    """The public class with the same vocabulary."""
    ours = json.loads(tokenizer()._tokenizer.to_str())["model"]
    return CLIPTokenizer(vocab=ours["vocab"], merges=[tuple(pair) for pair in ours["merges"]], model_max_length=10**9)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text("aeinst'!<|>() 0123,.\t\n"))
@example("it's (a:1.2) caf\u00e9 cafe\u0301 \u732b <|endoftext|> STARTOFTEXT <|StartOfText|>")
def test_texts_become_the_tokens_that_they_are_for_transformers(text):
    assert tokenizer().ids(text) == clip_tokenizer()(text, add_special_tokens=False)["input_ids"]
