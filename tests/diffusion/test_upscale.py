"""Upscalers: the published spellings load strictly, scales are read, tiles and memory are taken care of."""

import sys
import types

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from engine.diffusion.checkpoint import load_companion
from engine.diffusion.foreign import ForeignUpscaler, load_foreign
from engine.diffusion.tensorfile import CheckpointError
from engine.diffusion.upscale import CompactConfig, RrdbConfig, enlarge, open_upscaler
from tests.parity.small import noise, randomise

SMALL = RrdbConfig(width=8, growth=4, blocks=2, ups=2, unshuffle=1)


def network(config, seed=0):
    return randomise(config.build(), seed)


def test_the_published_sizes():
    """models.md, 7.6: ×4, 64 filters, 23 blocks, growth 32 is 702 tensors and 16,697,987 parameters."""
    with torch.device("meta"):
        state = RrdbConfig(64, 32, 23, 2, 1).build().state_dict()
    assert len(state) == 702
    assert sum(value.numel() for value in state.values()) == 16_697_987


def esrgan_names(state, config):
    """The first release's spelling, written down anew (models.md, 7.6: model.0, .1.sub.N, .3, .6, .8, .10 for ×4)."""
    outer = {"conv_first": "model.0", "conv_body": f"model.1.sub.{config.blocks}"}
    place = 2
    for up in range(1, config.ups + 1):  # upsample, convolution, activation
        outer[f"conv_up{up}"] = f"model.{place + 1}"
        place += 3
    outer |= {"conv_hr": f"model.{place}", "conv_last": f"model.{place + 2}"}
    found = {}
    for name, value in state.items():
        part, leaf = name.rsplit(".", 1)
        if part.startswith("body."):
            _, block, dense, conv = part.split(".")
            found[f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{leaf}"] = value
        else:
            found[f"{outer[part]}.{leaf}"] = value
    return found


def bsrgan_names(state, _config):
    outer = {
        "conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_up3": "upconv3",
        "conv_hr": "HRconv",
    }  # fmt: skip
    found = {}
    for name, value in state.items():
        first, rest = name.split(".", 1)
        if first == "body":
            block, dense, tail = rest.split(".", 2)
            found[f"RRDB_trunk.{block}.{dense.upper()}.{tail}"] = value
        else:
            found[f"{outer.get(first, first)}.{rest}"] = value
    return found


SPELLINGS = {"Real-ESRGAN": lambda state, config: state, "ESRGAN": esrgan_names, "BSRGAN": bsrgan_names}


def test_the_first_release_is_spelled_as_published():
    names = set(esrgan_names(SMALL.build().state_dict(), SMALL))
    outer = {name.removesuffix(".weight") for name in names if name.count(".") == 2 and name.endswith(".weight")}
    assert outer == {"model.0", "model.3", "model.6", "model.8", "model.10"}
    assert "model.1.sub.1.RDB3.conv5.0.bias" in names
    assert "model.1.sub.2.weight" in names


@pytest.mark.parametrize("ups", [0, 1, 2, 3])
@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_every_scale_loads_from_every_spelling(spelling, ups, tmp_path):
    config = RrdbConfig(8, 4, 2, ups, 1)
    module = network(config)
    state = SPELLINGS[spelling](module.state_dict(), config)
    save_file(state, tmp_path / "u.safetensors")
    weights, scale = open_upscaler(tmp_path / "u.safetensors")
    assert (weights.config, scale) == (config, 2**ups)
    loaded = load_companion(weights, torch.float32)
    picture = noise(1, 3, 5, 6).sigmoid()
    assert torch.equal(loaded(picture), module(picture))
    assert loaded(picture).shape == (1, 3, 5 * scale, 6 * scale)


@pytest.mark.parametrize(("unshuffle", "scale"), [(2, 2), (4, 1)])
def test_models_of_small_scales_fold_pixels_into_channels(unshuffle, scale, tmp_path):
    """models.md, 7.6: ×2 reads 12 channels, ×1 reads 48; sides that do not fold evenly are padded and cut."""
    config = RrdbConfig(8, 4, 1, 2, unshuffle)
    module = network(config)
    torch.save({"params_ema": module.state_dict(), "params": {}}, tmp_path / "u.pth")
    weights, found = open_upscaler(tmp_path / "u.pth")
    assert (weights.config, found) == (config, scale)
    assert module.conv_first.weight.shape[1] == 3 * unshuffle**2
    picture = noise(1, 3, 7, 9).sigmoid()
    assert module(picture).shape == (1, 3, 7 * scale, 9 * scale)
    padded = F.pad(picture, (0, -9 % unshuffle, 0, -7 % unshuffle), mode="replicate")
    assert torch.equal(module(picture), module(padded)[:, :, : 7 * scale, : 9 * scale])


def test_the_network_is_the_papers():
    """arXiv:1809.00219: residuals of 0.2 in and around the dense blocks; written down anew for one block."""
    module = network(RrdbConfig(8, 4, 1, 1, 1))
    state, x = module.state_dict(), noise(1, 3, 6, 6)

    def conv(name, h):
        return F.conv2d(h, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    h = first = conv("conv_first", x)
    for dense in ("rdb1", "rdb2", "rdb3"):
        known = h
        for index in range(1, 5):
            known = torch.cat([known, F.leaky_relu(conv(f"body.0.{dense}.conv{index}", known), 0.2)], dim=1)
        h = h + 0.2 * conv(f"body.0.{dense}.conv5", known)
    h = first + conv("conv_body", first + 0.2 * h)
    h = F.leaky_relu(conv("conv_up1", h.repeat_interleave(2, 2).repeat_interleave(2, 3)), 0.2)
    expected = conv("conv_last", F.leaky_relu(conv("conv_hr", h), 0.2))
    assert torch.allclose(module(x), expected, atol=1e-5)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_compact_network_adds_detail_to_the_enlarged_picture(scale, prefix, tmp_path):
    config = CompactConfig(8, 3, scale)
    module = network(config)
    torch.save({"params": {prefix + name: value for name, value in module.state_dict().items()}}, tmp_path / "c.pth")
    weights, found = open_upscaler(tmp_path / "c.pth")
    assert (weights.config, found) == (config, scale)
    loaded, picture = load_companion(weights, torch.float32), noise(1, 3, 6, 5).sigmoid()
    assert torch.equal(loaded(picture), module(picture))
    for value in loaded.body[-1].parameters():
        value.zero_()
    expected = picture.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    assert torch.equal(loaded(picture), expected)


def test_a_name_that_claims_endless_layers_builds_none(tmp_path):
    state = dict(network(CompactConfig(8, 1, 2)).state_dict())
    state["body.80000000000.weight"] = torch.zeros(12, 8, 3, 3)
    save_file(state, tmp_path / "c.safetensors")
    with pytest.raises(CheckpointError, match="found 80000000001 layers"):
        open_upscaler(tmp_path / "c.safetensors")


class Repeats(torch.nn.Module):
    """Enlarges by repeating; fails as a full device does for pieces larger than `limit`."""

    def __init__(self, limit=10_000):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.limit, self.sizes = limit, []

    def forward(self, x):
        if max(x.shape[2:]) > self.limit:
            raise torch.OutOfMemoryError("full")
        self.sizes.append(tuple(x.shape[2:]))
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_large_pictures_are_enlarged_in_tiles_of_512_that_overlap_by_32():
    pixels = noise(1, 530, 600, 3).sigmoid()
    module, told = Repeats(), []
    made = enlarge(module, pixels, 2, on_tile=lambda done, total: told.append((done, total)))
    assert torch.allclose(made, pixels.repeat_interleave(2, 1).repeat_interleave(2, 2), atol=1e-6)
    assert module.sizes == [(512, 512), (512, 120), (50, 512), (50, 120)]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_tiles_are_halved_when_memory_runs_out():
    pixels = noise(1, 300, 256, 4).sigmoid()
    module = Repeats(limit=256)
    made = enlarge(module, pixels, 2)
    assert torch.allclose(made, pixels[..., :3].repeat_interleave(2, 1).repeat_interleave(2, 2), atol=1e-6)
    assert max(module.sizes) == (256, 256)
    with pytest.raises(torch.OutOfMemoryError):
        enlarge(Repeats(limit=100), pixels, 2)


def test_an_absurd_size_is_refused_before_anything_is_made():
    with pytest.raises(ValueError, match="an enlarged picture of"):
        enlarge(Repeats(), torch.zeros(1, 1, 1, 3).expand(1, 16384, 16384, 3), 8)


def test_what_is_missing_is_named(tmp_path):
    state = dict(network(SMALL).state_dict())
    del state["body.1.rdb2.conv3.bias"]
    state["conv_hr.weight"] = torch.zeros(9, 8, 3, 3)
    save_file(state, tmp_path / "u.safetensors")
    with pytest.raises(CheckpointError) as caught:
        open_upscaler(tmp_path / "u.safetensors")
    assert caught.value.problems == (
        "body.1.rdb2.conv3.bias is missing", "conv_hr.weight has shape [9, 8, 3, 3], not [8, 8, 3, 3]",
    )  # fmt: skip


def test_other_architectures_need_spandrel_and_say_so(tmp_path, monkeypatch):
    save_file({"layers.0.weight": torch.ones(2)}, tmp_path / "swin.safetensors")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(CheckpointError, match=r"swin\.safetensors.*Install it: pip install spandrel torchvision"):
        open_upscaler(tmp_path / "swin.safetensors")


def test_other_architectures_are_built_by_spandrel_where_it_is_installed(tmp_path, monkeypatch):
    """A stand-in for the library with the three names that are used; checked once against spandrel 0.4.2 by hand."""

    class ImageModelDescriptor:
        def __init__(self, state):
            self.scale = 2
            self.model = torch.nn.Linear(1, 1)
            self.model.weight.data = state["layers.0.weight"].reshape(1, 1)

        def __call__(self, image):
            return image.repeat_interleave(2, 2).repeat_interleave(2, 3) * self.model.weight

    class ModelLoader:
        def __init__(self, device):
            assert device == "cpu"

        def load_from_state_dict(self, state):
            if "layers.0.weight" not in state:
                raise RuntimeError("unknown")
            return ImageModelDescriptor(state) if state["layers.0.weight"].sum() else object()

    library = types.ModuleType("spandrel")
    library.ModelLoader, library.ImageModelDescriptor = ModelLoader, ImageModelDescriptor
    monkeypatch.setitem(sys.modules, "spandrel", library)
    path = tmp_path / "swin.safetensors"
    save_file({"layers.0.weight": torch.tensor([0.5])}, path)
    weights, scale = open_upscaler(path)
    module = load_foreign(weights, torch.float32)
    assert isinstance(module, ForeignUpscaler)
    assert scale == 2
    assert torch.equal(enlarge(module, torch.ones(1, 4, 4, 3), 2), torch.full((1, 8, 8, 3), 0.5))
    assert sum(value.numel() for value in module.state_dict().values()) == 2
    save_file({"layers.0.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="changed"):
        load_foreign(weights, torch.float32)
    with pytest.raises(CheckpointError, match="needs more than a picture"):
        open_upscaler(path)
    save_file({"other": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"does not read \(RuntimeError\)"):
        open_upscaler(path)
