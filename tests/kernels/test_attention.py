"""Which kernel works out attention on CUDA, and queries, keys and values in one product: all that needs no GPU."""

import logging
import threading

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend

from engine.diffusion.fast import joined
from engine.diffusion.hooks import Hooks
from engine.diffusion.kernels import attention
from engine.diffusion.kernels.attention import Case, preferred
from engine.diffusion.layers import Attention, ready_for_cuda
from engine.diffusion.replay import Replays
from engine.diffusion.standin import standin_config
from engine.diffusion.unet import UNet
from tests.diffusion.tape import record
from tests.parity.small import noise, randomise

CUDNN, FLASH = SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION
EFFICIENT, MATH = SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH
HALF, BRAIN, SINGLE = torch.float16, torch.bfloat16, torch.float32
VOLTA, AMPERE, ADA, HOPPER, BLACKWELL, GEFORCE = (7, 0), (8, 0), (8, 9), (9, 0), (10, 0), (12, 0)


@pytest.mark.parametrize(
    ("case", "kernel"),
    [
        # SD 1.5 at 512 and SD 2.x at 768, level by level: heads of 40, 80 and 160, and of 64
        (Case(40, HALF, HOPPER, 4096, 4096), CUDNN),
        (Case(80, HALF, HOPPER, 1024, 1024), CUDNN),
        (Case(160, HALF, HOPPER, 256, 256), FLASH),
        (Case(64, BRAIN, BLACKWELL, 9216, 9216), CUDNN),
        (Case(64, HALF, HOPPER, 576, 576), FLASH),  # no multiple of 128
        (Case(40, HALF, HOPPER, 4096, 77), FLASH),  # a text
        (Case(40, HALF, ADA, 4096, 4096), FLASH),
        (Case(64, BRAIN, AMPERE, 9216, 9216), FLASH),
        (Case(64, HALF, GEFORCE, 4096, 4096), FLASH),
        (Case(20, HALF, ADA, 64, 64), FLASH),
        (Case(512, HALF, HOPPER, 4096, 4096), EFFICIENT),
        (Case(64, SINGLE, HOPPER, 4096, 4096), EFFICIENT),
        (Case(40, HALF, VOLTA, 4096, 4096), EFFICIENT),
        (Case(40, BRAIN, VOLTA, 4096, 4096), MATH),
        (Case(10, HALF, VOLTA, 64, 64), MATH),
        (Case(10, SINGLE, HOPPER, 64, 64), MATH),
        (Case(40, torch.float64, HOPPER, 64, 64), MATH),
    ],
)
def test_the_kernel_for_each_case(case, kernel):
    order = preferred(case)
    assert order[0] == kernel
    assert sorted(map(int, order)) == sorted(map(int, (CUDNN, FLASH, EFFICIENT, MATH))), "nothing is forbidden"
    after = order[order.index(MATH) + 1 :]
    assert kernel not in after
    if CUDNN in order[: order.index(MATH)]:
        assert kernel == CUDNN, "it is taken first or not at all"


@pytest.fixture
def chosen(monkeypatch):
    """Attention of float32 on the CPU is chosen for as on a GPU; gives the orders that were asked for."""
    orders, by = [], attention._by

    def seen(order, *tensors):
        orders.append(order)
        return by(order, *tensors)

    monkeypatch.setattr(attention, "_case", lambda q, k: Case(q.shape[-1], HALF, ADA, q.shape[-2], k.shape[-2]))
    monkeypatch.setattr(attention, "_by", seen)
    monkeypatch.setattr(attention, "_states", {})
    return orders


def test_the_chosen_kernel_is_used_and_the_setting_put_back(chosen):
    q, k, v = noise(2, 4, 100, 16, seed=1), noise(2, 4, 77, 16, seed=2), noise(2, 4, 77, 16, seed=3)
    before = torch._C._get_sdp_priority_order()
    for _ in range(3):
        made = attention.attention(q, k, v)
        torch.testing.assert_close(made, F.scaled_dot_product_attention(q, k, v), rtol=1e-5, atol=1e-6)
    assert chosen == [preferred(Case(16, HALF, ADA, 100, 77))] * 3
    assert torch._C._get_sdp_priority_order() == before
    assert torch.backends.cuda.flash_sdp_enabled()


@pytest.mark.parametrize("fault", [RuntimeError("no such kernel"), None])
def test_a_kernel_that_fails_or_differs_is_not_chosen_again(chosen, monkeypatch, caplog, fault):
    asked = []

    def broken(order, q, k, v):
        asked.append(order)
        if fault:
            raise fault
        return torch.full_like(q, torch.nan)

    monkeypatch.setattr(attention, "_by", broken)
    q = noise(1, 2, 64, 8, seed=1)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            torch.testing.assert_close(attention.attention(q, q, q), F.scaled_dot_product_attention(q, q, q))
    assert len(asked) == 1
    assert len(caplog.records) == 1


def test_running_out_of_memory_is_no_fault_of_the_kernels(chosen, monkeypatch):
    def full(order, q, k, v):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(attention, "_by", full)
    q = noise(1, 2, 64, 8, seed=1)
    with pytest.raises(torch.OutOfMemoryError):
        attention.attention(q, q, q)
    assert not attention._states


def test_threads_that_choose_at_once_leave_the_setting_as_it_was(chosen):
    before = torch._C._get_sdp_priority_order()

    def work(width):
        q = noise(1, 1, 8, width, seed=width)
        for _ in range(100):
            attention.attention(q, q, q)

    threads = [threading.Thread(target=work, args=(width,)) for width in (8, 512, 16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(chosen) == 300
    assert torch._C._get_sdp_priority_order() == before


def beyond():
    """Queries, keys and values whose scores exceed float16's range before they are scaled."""
    q = torch.full((1, 1, 128, 64), 300.0, dtype=HALF)
    k = q.clone()
    k[:, :, 1:] = -300.0
    return q, k, noise(1, 1, 128, 64, seed=3).half()


def test_scores_beyond_float16_are_worked_out_in_float32():
    q, k, v = beyond()
    wanted = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
    torch.testing.assert_close(attention.plain(q, k, v, upcast=True).float(), wanted, rtol=1e-3, atol=1e-3)


# -- queries, keys and values ----------------------------------------------------------------------------------------


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return randomise(UNet(standin_config().unet)).eval().requires_grad_(False)


@pytest.fixture
def products(monkeypatch):
    """The shapes of the weights of all products."""
    seen, linear = [], F.linear

    def counted(x, weight, bias=None):
        seen.append(tuple(weight.shape))
        return linear(x, weight, bias)

    monkeypatch.setattr(F, "linear", counted)
    return seen


def asked(unet, **more):
    x, context = noise(2, 4, 8, 8, seed=1), noise(2, 77, unet.config.context_dim, seed=2)
    with torch.no_grad():
        return unet(x, torch.tensor([7.0, 500.0]), context, **more)


def parts(layer):
    return layer.to_q, layer.to_k, layer.to_v


def own(unet):
    """The layers that attend to what they are asked about."""
    return [each for each in unet.modules() if isinstance(each, Attention) and not each.remembers]


def memory(unet):
    return {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in unet.parameters()}


def far(a, b):
    return float((a - b).norm() / b.norm())


def test_three_projections_are_one_product_of_the_same_memory(unet, products):
    plain, before, count = asked(unet), {name: each.clone() for name, each in unet.state_dict().items()}, len(products)
    size = sum(memory(unet).values())
    ready_for_cuda(unet)
    products.clear()
    assert far(asked(unet), plain) < 1e-5
    layers = own(unet)
    assert len(products) == count - 2 * len(layers)
    assert products.count((3 * 16, 16)) == sum(layer.to_q.in_features == 16 for layer in layers)
    assert sum(memory(unet).values()) == size
    assert all(torch.equal(each, before[name]) for name, each in unet.state_dict().items())
    hooked = Hooks(between=(lambda h, site: h,))
    assert torch.equal(asked(unet, hooks=hooked), asked(unet))
    ready_for_cuda(unet)
    assert sum(memory(unet).values()) == size


def test_weights_that_change_or_move_are_followed(unet):
    ready_for_cuda(unet)
    first, other = own(unet)[:2]
    before = asked(unet)
    first.to_k.weight.mul_(3.0)
    changed = asked(unet)
    other.to_v.weight.data = other.to_v.weight * 2.0
    moved = asked(unet)
    with torch.no_grad():
        assert joined(parts(first)) is not None
        assert joined(parts(other)) is None
    for layer in own(unet):
        layer.on_cuda = False
    assert far(moved, asked(unet)) < 1e-5
    other.to_v.weight.data = other.to_v.weight / 2.0
    assert far(changed, asked(unet)) < 1e-5
    assert not torch.allclose(changed, before)
    assert not torch.allclose(changed, moved)


def test_a_copy_with_patches_shares_what_it_shared(unet):
    """As the copy of a network with a LoRA in memory: some layers all its own, some in part, some not at all."""
    ready_for_cuda(unet)
    before = asked(unet)
    names = {id(each): name for name, each in unet.named_modules()}
    whole, partly, *rest = own(unet)
    copy = UNet(standin_config().unet).eval().requires_grad_(False)
    changed = {f"{names[id(whole)]}.{part}.weight" for part in ("to_q", "to_k", "to_v")}
    changed |= {f"{names[id(partly)]}.to_q.weight", f"{names[id(partly)]}.to_v.weight"}
    state = {name: each * 1.5 if name in changed else each for name, each in unet.state_dict().items()}
    copy.load_state_dict(state, assign=True)
    copy.requires_grad_(False)
    plain = asked(copy)
    ready_for_cuda(copy, state.keys() - changed)
    assert far(asked(copy), plain) < 1e-5
    assert torch.equal(asked(unet), before)
    with torch.no_grad():
        assert joined(parts(copy.get_submodule(names[id(whole)]))) is not None
        assert joined(parts(copy.get_submodule(names[id(partly)]))) is None
        for layer in rest:
            theirs = joined(parts(copy.get_submodule(names[id(layer)])))
            assert theirs.data_ptr() == joined(parts(layer)).data_ptr()


def test_layers_that_something_was_put_around_are_asked_themselves(unet):
    class Around(torch.nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base = base

        def forward(self, x):
            return self.base(x) * 2.0

    ready_for_cuda(unet)
    before = asked(unet)
    layer = own(unet)[0]
    hook = layer.to_v.register_forward_hook(lambda _layer, _given, made: made * 2.0)
    hooked = asked(unet)
    layer.on_cuda = False
    assert far(hooked, asked(unet)) < 1e-5
    assert not torch.allclose(hooked, before)
    hook.remove()
    layer.on_cuda = True
    layer.to_k = Around(layer.to_k)
    made = asked(unet)
    layer.on_cuda = False
    assert far(made, asked(unet)) < 1e-5
    assert not torch.allclose(made, before)


def test_a_recording_goes_on_when_weights_are_changed_in_place(unet):
    ready_for_cuda(unet)
    replays, block = Replays(record), unet.middle_block[1].transformer_blocks[0]
    given = {"x": noise(2, 6, 64, seed=1), "context": noise(2, 77, unet.config.context_dim, seed=2)}

    def run(inputs):
        return block(inputs["x"], inputs["context"])

    def ask():
        with torch.no_grad():
            return replays.ask(block, run, given)

    first = [ask() for _ in range(3)][-1]
    for each in parts(block.attn1):
        each.weight.mul_(1.25)
    second = ask()
    assert replays.made == 1
    with torch.no_grad():
        assert joined(parts(block.attn1)) is not None
        assert far(second, run(given)) < 1e-6
    assert not torch.allclose(first, second)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("width", [40, 64, 80, 160])
@pytest.mark.parametrize(("queries", "keys"), [(4096, 4096), (576, 576), (1024, 77)])
@pytest.mark.parametrize("dtype", [HALF, BRAIN])
def test_the_chosen_kernel_on_a_gpu(width, queries, keys, dtype):
    q, k, v = (noise(2, 8, count, width, seed=count + seed).cuda().to(dtype)
               for seed, count in enumerate((queries, keys, keys)))  # fmt: skip
    wanted = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
    with torch.no_grad():
        for _ in range(2):
            assert far(attention.attention(q, k, v, upcast=True).float(), wanted) < 0.01
    assert all(attention._states.values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_chosen_kernels_keep_scores_in_float32():
    q, k, v = (each.cuda() for each in beyond())
    wanted = F.scaled_dot_product_attention(q.float(), k.float(), v.float())
    with torch.no_grad():
        for _ in range(2):
            assert far(attention.attention(q, k, v, upcast=True).float(), wanted) < 0.01
