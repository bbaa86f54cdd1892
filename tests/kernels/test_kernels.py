"""The compiled kernels and the networks that use them, against plain PyTorch in float32."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion import strips
from engine.diffusion.checkpoint import load_unet, load_vae, open_checkpoint
from engine.diffusion.config import PRESETS, config_to_json
from engine.diffusion.fast import Conv2d, Linear
from engine.diffusion.hooks import Hooks
from engine.diffusion.kernels import build, ops
from engine.diffusion.standin import standin_tensors, write_safetensors

pytestmark = pytest.mark.skipif(not build.available(), reason=f"no compiled kernels here: {build.why_not()}")

ROUNDING = 0.003  # relative error of one rounding to bfloat16 with its inputs exact: 2^-9 on the average


def far(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).norm() / b.float().norm())


def numbers(*shape: int, scale: float = 1.0) -> Tensor:
    return (torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape))) * scale).bfloat16()


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 154, 700])
@pytest.mark.parametrize("depths", [(32,), (96, 32)])
def test_a_product_of_any_number_of_rows(rows, depths):
    parts = [numbers(rows, depth) for depth in depths]
    weight, bias, residual = numbers(64, sum(depths), scale=0.2), numbers(64), numbers(rows, 64) + 1
    made = ops.linear(parts, ops.pack(weight), 64, bias, residual=residual)
    wanted = F.linear(torch.cat(parts, 1).float(), weight.float(), bias.float()) + residual.float()
    assert far(made, wanted) < ROUNDING


def test_a_gated_product_is_value_times_gelu_of_gate():
    x, weight, bias = numbers(2, 40, 64), numbers(128, 64, scale=0.2), numbers(128)
    value, gate = F.linear(x.float(), weight.float(), bias.float()).chunk(2, -1)
    assert far(ops.linear([x], ops.pack(weight, gated=True), 128, bias, gated=True), value * F.gelu(gate)) < ROUNDING


@pytest.mark.parametrize("size", [(1, 1), (4, 7), (8, 8), (17, 33)])
def test_a_convolution_of_any_size(size):
    x, weight, bias = numbers(2, 64, *size), numbers(32, 64, 3, 3, scale=0.1), numbers(32)
    shift, residual = numbers(2, 32), numbers(2, 32, *size)
    made = ops.conv3x3(ops.padded(x), ops.pack(weight), 32, bias, shift=shift, residual=residual)
    wanted = F.conv2d(x.float(), weight.float(), bias.float(), padding=1) + shift.float()[:, :, None, None] + residual
    assert far(made, wanted) < ROUNDING


@pytest.mark.parametrize("size", [(1, 1), (4, 7), (17, 33)])
def test_a_convolution_of_a_doubled_map_is_four_small_ones(size):
    x, weight, bias = numbers(2, 64, *size), numbers(32, 64, 3, 3, scale=0.1), numbers(32)
    made = ops.doubled_conv3x3(ops.padded(x), ops.pack(weight), 32, bias)
    doubled = F.interpolate(x.float(), scale_factor=2.0, mode="nearest")
    wanted = F.conv2d(doubled, weight.float(), bias.float(), padding=1)
    assert far(made, wanted) < 1.5 * ROUNDING  # sums of weights are rounded as well
    exact = numbers(32, 64, 3, 3).sign()  # of which every sum is exact
    made = ops.doubled_conv3x3(ops.padded(x), ops.pack(exact), 32)
    assert far(made, F.conv2d(doubled, exact.float(), padding=1)) < ROUNDING


@pytest.mark.parametrize("side", [8, 16, 24, 32])
def test_an_image_is_doubled_alike_alone_and_beside_others(side):
    layer = Conv2d(32, 32, 3, padding=1).bfloat16()
    layer.weight = torch.nn.Parameter(ops.pack(numbers(32, 32, 3, 3)).view(32, 32, 3, 3))
    layer.packed = True
    x = numbers(4, 32, side, side)
    with torch.no_grad():
        together = layer.enlarged(x, (2 * side, 2 * side))
        alone = [layer.enlarged(image[None], (2 * side, 2 * side)) for image in x]
    assert torch.equal(together, torch.cat(alone))


def test_enlarging_takes_the_nearest():
    x = numbers(1, 32, 5, 3)
    for size in ((10, 6), (9, 5), (9, 6)):
        made = ops.padded(x, size).data[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
        assert torch.equal(made, F.interpolate(x, size=size, mode="nearest"))


@pytest.mark.parametrize(
    ("queries", "keys", "heads", "width"), [(300, 300, 2, 40), (5, 77, 3, 16), (64, 513, 1, 160), (1, 1, 2, 24)]
)
def test_attention(queries, keys, heads, width):
    q, k, v = numbers(2, queries, heads * width), numbers(2, keys, heads * width), numbers(2, keys, heads * width)
    q = q * 4  # so that the largest score moves from block to block
    split = [x.float().unflatten(-1, (heads, width)).transpose(1, 2) for x in (q, k, v)]
    wanted = F.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
    assert far(ops.attention(q, k, v, heads), wanted) < 2 * ROUNDING


def test_group_norm_of_two_maps_is_that_of_both_together():
    a, b = numbers(2, 48, 9, 6) + 3, numbers(2, 16, 9, 6)
    weight, bias = numbers(64) + 1, numbers(64)
    wanted = F.silu(F.group_norm(torch.cat([a, b], 1).float(), 8, weight.float(), bias.float(), 1e-5))
    made = ops.padded_group_norm([a, b], 8, weight, bias, 1e-5, silu=True)
    inner = made.data[:, 1:-1, 1:-1].permute(0, 3, 1, 2)
    assert far(inner, wanted) < ROUNDING
    assert float(made.data.float().abs().sum()) == pytest.approx(float(inner.float().abs().sum()))  # the border is zero
    joined = ops.padded_group_norm([torch.cat([a, b], 1)], 8, weight, bias, 1e-5, silu=True)
    assert torch.equal(made.data, joined.data)


def test_layer_norm():
    x, weight, bias = numbers(70, 48) + 2, numbers(48) + 1, numbers(48)
    wanted = F.layer_norm(x.float(), (48,), weight.float(), bias.float())
    assert far(ops.layer_norm(x, weight, bias, 1e-5), wanted) < ROUNDING


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_packing_rounds_as_torch_does_and_loses_nothing(dtype):
    weight = torch.randn(64, 96, 3, 3, generator=torch.Generator().manual_seed(1)).to(dtype)
    panels = weight.bfloat16().view(2, 2, 16, 3, 16, 2, 9).permute(0, 6, 3, 1, 4, 2, 5)
    assert torch.equal(ops.pack(weight), panels.flatten())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("shape", "gated"), [((64, 96, 3, 3), False), ((96, 32), False), ((128, 64), True)])
def test_packing_from_a_file_is_packing_what_it_holds(dtype, shape, gated, tmp_path):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    path = tmp_path / "weights"
    path.write_bytes(b"before" + weight.view(torch.uint8).numpy().tobytes())
    with path.open("rb") as file:
        assert torch.equal(ops.pack_file(file.fileno(), 6, dtype, shape, gated=gated), ops.pack(weight, gated=gated))
        with pytest.raises(EOFError):
            ops.pack_file(file.fileno(), 7, dtype, shape, gated=gated)


@pytest.mark.parametrize("rows", [5, 100])
def test_layers_of_one_input_are_one_product(rows):
    x = numbers(2, rows, 64)
    weights, biases = [numbers(32, 64, scale=scale) for scale in (0.2, 0.3, 0.4)], [numbers(32), None, numbers(32) + 1]
    packed = [ops.pack(weight) for weight in weights]
    made = ops.linears(x, packed, 32, biases)
    for each, weight, bias in zip(made, packed, biases, strict=True):
        assert torch.equal(each, ops.linear([x], weight, 32, bias))


@pytest.fixture(scope="module", params=["sd1", "sd2-v"])
def checkpoint(request, tmp_path_factory):
    preset = PRESETS[request.param]
    heads = {"num_heads": 4} if preset.unet.num_heads else {"head_dim": 16}
    config = replace(
        preset, unet=replace(preset.unet, model_channels=32, context_dim=64, **heads),
        vae=replace(preset.vae, channels=32),
        text=replace(PRESETS["sd1"].text, width=64, layers=2, heads=4, mlp_width=128),
    )
    path = tmp_path_factory.mktemp("packed") / "model.safetensors"
    write_safetensors(path, standin_tensors(config), {"easel.config": config_to_json(config)})
    return open_checkpoint(path)


@pytest.mark.parametrize("size", [(16, 16), (9, 21)])
def test_a_packed_unet_is_nearer_to_float32_than_a_plain_one(checkpoint, size):
    exact = load_unet(checkpoint.unet, torch.float32)
    plain = load_unet(checkpoint.unet, torch.bfloat16)
    packed = load_unet(checkpoint.unet, torch.bfloat16, packed=True)
    x, context, timestep = numbers(2, 4, *size), numbers(2, 77, 64), torch.tensor([3.0, 700.0])
    with torch.no_grad():
        wanted = exact(x.float(), timestep, context.float())
        made = packed(x, timestep, context)
        assert far(made, wanted) <= 1.1 * far(plain(x, timestep, context), wanted)
        assert torch.equal(made, packed(x, timestep, context))  # with keys and values that were kept
        nothing = Hooks(middle_block=(lambda h, site: h,))
        assert torch.equal(made, packed(x, timestep, context, hooks=nothing))
        changed = Hooks(attn2_output=(lambda out, site: 0 * out,))
        assert not torch.equal(made, packed(x, timestep, context, hooks=changed))
    layers = [layer for layer in packed.modules() if isinstance(layer, Linear | Conv2d)]
    assert sum(layer.packed for layer in layers) == len(layers) - 5  # in, out and three that halve the size


def test_a_packed_vae_is_nearer_to_float32_than_a_plain_one(checkpoint):
    exact = load_vae(checkpoint.vae, torch.float32)
    plain, packed = (load_vae(checkpoint.vae, torch.bfloat16, packed=each) for each in (False, True))
    latent, pixels = numbers(1, 4, 6, 9), numbers(1, 3, 48, 40)
    with torch.no_grad():
        for ask in (lambda vae, kind: vae.decode(latent.to(kind)), lambda vae, kind: vae.moments(pixels.to(kind))[0]):
            wanted = ask(exact, torch.float32)
            assert far(ask(packed, torch.bfloat16), wanted) <= 1.1 * far(ask(plain, torch.bfloat16), wanted)


@pytest.mark.parametrize("numbers_of_a_strip", [2**21, 2**10])
@pytest.mark.parametrize("size", [(8, 6), (5, 9), (16, 24)])
def test_a_packed_vae_in_strips_gives_the_same_bits(checkpoint, size, numbers_of_a_strip, monkeypatch):
    """Small maps are enlarged and convolved, large ones convolved with folded weights: both are there."""
    monkeypatch.setattr(strips, "STRIP", numbers_of_a_strip)
    monkeypatch.setattr(strips, "LEAST", 1)
    vae = load_vae(checkpoint.vae, torch.bfloat16, packed=True)
    latent = numbers(1, 4, *size)
    pixels = numbers(1, 3, *(8 * side for side in size))
    with torch.no_grad():
        assert torch.equal(strips.decoded_in_strips(vae, latent), vae.decode(latent))
        assert torch.equal(strips.moments_in_strips(vae, pixels), vae.moments(pixels)[0])


def test_a_changed_copy_shares_what_no_change_touches(checkpoint):
    packed = load_unet(checkpoint.unet, torch.bfloat16, packed=True)
    name = "output_blocks.11.0.skip_connection.weight"
    ready = {key: value for key, value in packed.state_dict().items() if key != name}
    copy = load_unet(checkpoint.unet, torch.bfloat16, "cpu", {name: lambda weight: -weight}, ready, packed=True)
    plain = load_unet(checkpoint.unet, torch.bfloat16, "cpu", {name: lambda weight: -weight})
    first, second = packed.state_dict(), copy.state_dict()
    shared = [key for key in first if first[key].data_ptr() == second[key].data_ptr()]
    assert sorted(shared) == sorted(ready)
    x, context, timestep = numbers(1, 4, 8, 8), numbers(1, 77, 64), torch.tensor([300.0])
    with torch.no_grad():
        wanted = plain(x, timestep, context)
        assert far(copy(x, timestep, context), wanted) < 0.03
        assert far(packed(x, timestep, context), wanted) > 0.1


def test_kernels_refuse_other_types():
    with pytest.raises(TypeError, match="float32"):
        ops.linear([torch.zeros(40, 32)], ops.pack(numbers(32, 32)), 32)


def test_a_network_of_other_widths_stays_plain(tmp_path):
    sd1 = PRESETS["sd1"]
    config = replace(
        sd1, unet=replace(sd1.unet, model_channels=24, norm_groups=8, context_dim=64, num_heads=2),
        vae=replace(sd1.vae, channels=16, norm_groups=8),
        text=replace(sd1.text, width=64, layers=2, heads=4, mlp_width=128),
    )  # fmt: skip
    path = tmp_path / "odd.safetensors"
    write_safetensors(path, standin_tensors(config), {"easel.config": config_to_json(config)})
    weights = open_checkpoint(path).unet
    plain, odd = (load_unet(weights, torch.bfloat16, packed=packed) for packed in (False, True))
    x, context, timestep = numbers(1, 4, 8, 8), numbers(1, 77, 64), torch.tensor([300.0])
    with torch.no_grad():
        assert torch.equal(odd(x, timestep, context), plain(x, timestep, context))
