"""Hypernetworks against numerics.md, 8.3, in every form that files have (models.md, 7.3)."""

from functools import partial

import pytest
import torch

from engine.diffusion.adapters.hypernetwork import open_hypernetwork, read_hypernetwork
from engine.diffusion.hooks import Hooks
from engine.diffusion.tensorfile import CheckpointError
from tests.parity.small import noise


def mlp(width, seed, norm=False, old=False):
    """layer_structure [1, 2, 1]; in the original's numbering an activation takes a number of its own."""
    state, at = {}, 0
    for index, (out, into) in enumerate(((2 * width, width), (width, 2 * width))):
        head = f"linear{index + 1}" if old else f"linear.{at}"
        state[f"{head}.weight"] = noise(out, into, seed=seed + index) / into**0.5
        state[f"{head}.bias"] = noise(out, seed=seed + 10 + index) / 4
        at += 2
        if norm:
            state[f"linear.{at}.weight"] = 1 + noise(out, seed=seed + 20 + index) / 4
            state[f"linear.{at}.bias"] = noise(out, seed=seed + 30 + index) / 4
            at += 1
    return state


def save(tmp_path, widths=(64,), norm=False, old=False, **more):
    data = {width: (mlp(width, 1, norm, old), mlp(width, 5, norm, old)) for width in widths}
    path = tmp_path / "h.pt"
    torch.save({**data, "name": "h", "step": 10, "layer_structure": [1, 2, 1], **more}, path)
    return path, data


def by_hand(state, x, activation, activate_output):
    """Linear, activation after all but the last (also the last if activate_output), norm after each."""
    weights = [key for key in state if key.endswith(".weight")]
    keys = sorted(weights, key=lambda key: int("".join(filter(str.isdigit, key))))
    linears = [key for key in keys if state[key].ndim == 2]
    for key in keys:
        weight, bias = state[key], state[key.replace("weight", "bias")]
        if weight.ndim == 2:
            x = x @ weight.T + bias
            if key != linears[-1] or activate_output:
                x = activation(x)
        else:
            x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt() * weight + bias
    return x


INPUTS = (noise(2, 4, 8, 8), torch.tensor([500.0, 20.0]), noise(2, 77, 64, seed=2))
SWISH = {"swish": lambda x: x * (x + 3).clamp(0, 6) / 6}  # numerics.md 8.3: Hardswish
FUNCTIONS = {
    "linear": lambda x: x, "relu": lambda x: x.clamp(min=0), "leakyrelu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "elu": lambda x: torch.where(x > 0, x, x.exp() - 1), **SWISH, "tanh": torch.tanh,
    "sigmoid": lambda x: 1 / (1 + (-x).exp()), "softsign": lambda x: x / (1 + x.abs()),
    "mish": lambda x: x * torch.tanh((1 + x.exp()).log()),
}  # fmt: skip


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activate_output", [False, True])
@pytest.mark.parametrize("activation", list(FUNCTIONS))
def test_every_kind_of_layer_is_read(activation, activate_output, norm, tmp_path):
    path, data = save(tmp_path, norm=norm, activation_func=activation, activate_output=activate_output,
                      is_layer_norm=norm, use_dropout=True)  # fmt: skip
    x = noise(3, 64)
    for module, state in zip(read_hypernetwork(path)[64], data[64], strict=True):
        wanted = by_hand(state, x, FUNCTIONS[activation], activate_output)
        assert torch.allclose(module(x), wanted, rtol=1e-4, atol=1e-5)  # float32 through four layers


def test_keys_and_values_of_matching_width_are_moved_before_they_are_projected(checkpoint, residency, tmp_path):
    """numerics.md 8.3: k ← k + s·H₀(k), v ← v + s·H₁(v) in attn1 and attn2 of that width; hooks say it as well."""
    path, data = save(tmp_path, activation_func="relu")
    patch = open_hypernetwork(path, checkpoint.unet, 0.5)
    ours = residency.have(checkpoint.unet, (patch,))(*INPUTS)

    def move(n, k, v, _site):
        if k.shape[-1] != 64:
            return n, k, v
        one, two = data[64]
        relu = FUNCTIONS["relu"]
        return n, k + 0.5 * by_hand(one, k, relu, False), v + 0.5 * by_hand(two, v, relu, False)

    plain = residency.have(checkpoint.unet)
    hooked = plain(*INPUTS, hooks=Hooks(attn1_input=(move,), attn2_input=(move,)))
    assert torch.allclose(ours, hooked, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours, plain(*INPUTS), atol=1e-2)


def test_it_comes_off_without_a_trace_and_its_bytes_count(checkpoint, residency, tmp_path):
    path, data = save(tmp_path)
    plain = residency.have(checkpoint.unet)
    before, size = plain(*INPUTS), residency.nbytes
    residency.have(checkpoint.unet, (open_hypernetwork(path, checkpoint.unet, 1.0),))
    own = sum(value.numel() * 4 for state in data[64] for value in state.values())
    assert residency.nbytes == size + own, "everything else is shared with the plain copy"
    assert residency.have(checkpoint.unet) is plain
    assert torch.equal(plain(*INPUTS), before)


def test_two_of_them_both_count(checkpoint, residency, tmp_path):
    path, _ = save(tmp_path)
    once = open_hypernetwork(path, checkpoint.unet, 0.5)
    twice = residency.have(checkpoint.unet, (once, once))(*INPUTS)
    assert not torch.allclose(twice, residency.have(checkpoint.unet, (once,))(*INPUTS), atol=1e-3)


def test_two_different_ones_move_the_input_in_the_order_they_were_put_on(checkpoint, residency, tmp_path):
    """As attention-input patches do: the second is asked about what the first made of it."""
    data = [({width: (mlp(width, seed), mlp(width, seed + 4)) for width in (64,)}) for seed in (1, 21)]
    put = []
    for number, (each, strength) in enumerate(zip(data, (0.5, 0.8), strict=True)):
        path = tmp_path / f"{number}.pt"
        torch.save({**each, "activation_func": "relu"}, path)
        put.append(open_hypernetwork(path, checkpoint.unet, strength))

    def move(number, strength, n, k, v, _site):
        if k.shape[-1] != 64:
            return n, k, v
        one, two = (by_hand(state, each, FUNCTIONS["relu"], False)
                    for state, each in zip(data[number][64], (k, v), strict=True))  # fmt: skip
        return n, k + strength * one, v + strength * two

    def hooked(*order):
        moves = tuple(partial(move, number, (0.5, 0.8)[number]) for number in order)
        return residency.have(checkpoint.unet)(*INPUTS, hooks=Hooks(attn1_input=moves, attn2_input=moves))

    ours = residency.have(checkpoint.unet, tuple(put))(*INPUTS)
    assert torch.allclose(ours, hooked(0, 1), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours, hooked(1, 0), atol=1e-3), "the order is seen"


def test_the_first_versions_names_are_read(tmp_path):
    path, data = save(tmp_path, old=True)
    x = noise(3, 64)
    wanted = by_hand(data[64][0], x, FUNCTIONS["linear"], False)
    assert torch.allclose(read_hypernetwork(path)[64][0](x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"activation_func": "sine"}, "the activation 'sine'"),
     ({64: ({"linear.0.weight": torch.ones(3, 5), "linear.0.bias": torch.ones(3)},) * 2}, r"linear.0.weight \[3, 5\]"),
     ({64: ({"linear.0.weight": torch.ones(3, 64), "linear.0.bias": torch.ones(3)},) * 2}, "from 64 to 3"),
     ({64: 1}, "no networks by width")],
)  # fmt: skip
def test_what_is_no_hypernetwork_is_refused(change, words, checkpoint, tmp_path):
    path, _ = save(tmp_path)
    data = torch.load(path, weights_only=True)
    torch.save({**data, **change}, path)
    with pytest.raises(CheckpointError, match=words):
        open_hypernetwork(path, checkpoint.unet, 1.0)


def test_one_for_another_family_is_refused_with_both_widths(checkpoint, tmp_path):
    path, _ = save(tmp_path, widths=(24, 48))
    with pytest.raises(CheckpointError, match=r"24, 48 wide; wanted one of 16, 32, 64"):
        open_hypernetwork(path, checkpoint.unet, 1.0)
