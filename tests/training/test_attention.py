"""Attention while training on a CPU: the same answers, and no fused kernel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import ProfilerActivity, profile

from engine.training.attention import plain_attention
from engine.training.loop import generator_of

GENERATOR = generator_of(0, 0)
MASK = torch.rand(5, 9, generator=GENERATOR) < 0.7
GIVEN = (
    {}, {"scale": 0.3}, {"attn_mask": MASK}, {"is_causal": True},
    {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": 0.5},  # as transformers calls it
)  # fmt: skip


def operations(run):
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        run()
    return {event.key for event in seen.key_averages()}


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: "-".join(given) or "plain")
def test_answers_and_gradients_are_those_of_torch(given):
    q, k, v = (torch.randn(2, 4, n, 8, generator=GENERATOR, requires_grad=True) for n in (5, 9, 9))
    wanted = F.scaled_dot_product_attention(q, k, v, **given)
    gradients = torch.autograd.grad(wanted.square().sum(), (q, k, v))
    with plain_attention("cpu"):
        found = F.scaled_dot_product_attention(q, k, v, **given)
        assert torch.allclose(found, wanted, atol=1e-6)
        for one, other in zip(torch.autograd.grad(found.square().sum(), (q, k, v)), gradients, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


def test_no_kernel_is_fused_within_and_no_rows_are_searched_for():
    x = torch.randn(2, 9, 16, generator=GENERATOR)
    q = x.unflatten(-1, (2, 8)).transpose(1, 2)
    several = nn.MultiheadAttention(16, 2, batch_first=True)

    def run():
        F.scaled_dot_product_attention(q, q, q, attn_mask=None, dropout_p=0.0, is_causal=False)

    assert any("flash" in name for name in operations(run))
    with plain_attention("cpu"):
        plain = operations(run)
        many = operations(lambda: several(x, x, x, need_weights=False)[0].sum().backward())
        with torch.autocast("cpu", torch.bfloat16):
            mixed = operations(run)
    assert not any("flash" in name for name in plain | many | mixed)
    assert not any("attention_math" in name for name in plain | mixed)


def test_under_autocast_the_answer_is_near_to_float32s():
    own = generator_of(0, 1)
    q, k, v = (torch.randn(2, 4, n, 8, generator=own) for n in (5, 9, 9))
    wanted = F.scaled_dot_product_attention(q, k, v)
    with plain_attention("cpu"), torch.autocast("cpu", torch.bfloat16):
        found = F.scaled_dot_product_attention(q, k, v)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), wanted, atol=0.03)  # bfloat16 has eight bits
