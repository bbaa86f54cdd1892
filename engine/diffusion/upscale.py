"""Networks that enlarge pictures: RRDBNet (ESRGAN, Real-ESRGAN) and SRVGGNetCompact (models.md, 7.6).

Wang et al. (2018), arXiv:1809.00219, and (2021), arXiv:2107.10833. Sizes, scale and spelling are read from the file;
files of other architectures are read through `foreign`.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.checkpoint import Weights, describe
from engine.diffusion.foreign import open_foreign
from engine.diffusion.keys import Source
from engine.diffusion.limits import check_size
from engine.diffusion.tensorfile import CheckpointError, Entry, TensorFile, read_index
from engine.diffusion.tiling import tile_starts, tiled

COLOURS = 3
SLOPE = 0.2  # of the leaky ReLU
RESIDUAL = 0.2  # how much of a block's result is added to its input
DENSE = 5  # convolutions of a dense block
MOST_UPS = 5
TILE, OVERLAP, LEAST_TILE = 512, 32, 128  # pixels


@dataclass(frozen=True)
class RrdbConfig:
    """The sizes of an RRDBNet; ×4 of the papers has 64, 32, 23, 2 doublings. unshuffle: pixels folded into channels."""

    width: int
    growth: int
    blocks: int
    ups: int
    unshuffle: int

    @property
    def scale(self) -> int:
        """How many times larger the result is."""
        return (1 << self.ups) // self.unshuffle

    def build(self) -> nn.Module:
        """The network."""
        return RrdbNet(self)


@dataclass(frozen=True)
class CompactConfig:
    """The sizes of an SRVGGNetCompact: convolutions of a width, between the first and the last."""

    width: int
    convolutions: int
    scale: int

    def build(self) -> nn.Module:
        """The network."""
        return CompactNet(self)


def _conv(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 3, padding=1)


class DenseBlock(nn.Module):
    """Five convolutions, each reading all results before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for index in range(DENSE):
            last = index == DENSE - 1
            self.add_module(f"conv{index + 1}", _conv(width + index * growth, width if last else growth))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w), same shape out."""
        known = [x]
        for conv in list(self.children())[:-1]:
            known.append(F.leaky_relu(conv(torch.cat(known, dim=1)), SLOPE))
        *_, last = self.children()
        out: Tensor = last(torch.cat(known, dim=1)) * RESIDUAL + x
        return out


class Rrdb(nn.Module):
    """Three dense blocks with a residual around them."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(width, growth)
        self.rdb2 = DenseBlock(width, growth)
        self.rdb3 = DenseBlock(width, growth)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w), same shape out."""
        out: Tensor = self.rdb3(self.rdb2(self.rdb1(x))) * RESIDUAL + x
        return out


class RrdbNet(nn.Module):
    """Residual-in-residual dense blocks, then nearest doublings. Attribute names are Real-ESRGAN's keys."""

    def __init__(self, config: RrdbConfig) -> None:
        super().__init__()
        self.config = config
        self.conv_first = _conv(COLOURS * config.unshuffle**2, config.width)
        self.body = nn.ModuleList(Rrdb(config.width, config.growth) for _ in range(config.blocks))
        self.conv_body = _conv(config.width, config.width)
        for index in range(config.ups):
            self.add_module(f"conv_up{index + 1}", _conv(config.width, config.width))
        self.conv_hr = _conv(config.width, config.width)
        self.conv_last = _conv(config.width, COLOURS)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, h, w) in 0..1 to (batch, 3, scale·h, scale·w)."""
        height, width = x.shape[2:]
        fold = self.config.unshuffle
        x = F.pad(x, (0, -width % fold, 0, -height % fold), mode="replicate")
        first = self.conv_first(F.pixel_unshuffle(x, fold))
        deep = first
        for block in self.body:
            deep = block(deep)
        h = first + self.conv_body(deep)
        for index in range(self.config.ups):
            up = self.get_submodule(f"conv_up{index + 1}")
            h = F.leaky_relu(up(F.interpolate(h, scale_factor=2.0, mode="nearest")), SLOPE)
        out: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(h), SLOPE))
        return out[:, :, : height * self.config.scale, : width * self.config.scale]


class CompactNet(nn.Module):
    """Plain convolutions at the small size, then a pixel shuffle, added to the enlarged picture."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [_conv(COLOURS, config.width), nn.PReLU(config.width)]
        for _ in range(config.convolutions):
            layers += [_conv(config.width, config.width), nn.PReLU(config.width)]
        self.body = nn.Sequential(*layers, _conv(config.width, COLOURS * config.scale**2))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, h, w) in 0..1 to (batch, 3, scale·h, scale·w)."""
        scale = self.config.scale
        out: Tensor = F.pixel_shuffle(self.body(x), scale) + F.interpolate(x, scale_factor=scale, mode="nearest")
        return out


# -- running -----------------------------------------------------------------------------------------------------


def enlarge(
    network: nn.Module, pixels: Tensor, scale: int, *, on_tile: Callable[[int, int], None] | None = None
) -> Tensor:
    """Pixels (batch, h, w, 3 or 4) in 0..1 to (batch, scale·h, scale·w, 3), in tiles of 512 that overlap by 32.

    When memory runs out the tiles are halved, down to 128; then torch.OutOfMemoryError. on_tile: tiles done, in all.
    """
    check_size((pixels.shape[0], pixels.shape[1] * scale, pixels.shape[2] * scale, COLOURS), "an enlarged picture")
    x = pixels[..., :COLOURS].movedim(-1, 1).float()
    tile = TILE
    while True:
        try:
            return _enlarge_in_tiles(network, x, scale, tile, on_tile).clamp(0, 1).movedim(1, -1)
        except torch.OutOfMemoryError:
            tile //= 2
            if tile < LEAST_TILE:
                raise


def _enlarge_in_tiles(
    network: nn.Module, x: Tensor, scale: int, tile: int, on_tile: Callable[[int, int], None] | None
) -> Tensor:
    parameter = next(network.parameters())
    total = x.shape[0] * math.prod(len(tile_starts(side, tile, OVERLAP)) for side in x.shape[2:])
    done = 0

    def once(part: Tensor) -> Tensor:
        nonlocal done
        with torch.no_grad():
            made: Tensor = network(part.to(parameter.device, parameter.dtype)).float().cpu()
        done += 1
        if on_tile is not None:
            on_tile(done, total)
        return made

    return tiled(once, x, (tile, tile), OVERLAP, float(scale))


# -- files -------------------------------------------------------------------------------------------------------

PREFIXES = ("", "module.", "netG.", "generator.")  # which trainers put before every name
COMPACT_MARK = "body.0.weight"
SEQUENTIAL = re.compile(r"model\.(\d+)\.weight")


@dataclass(frozen=True)
class Spelling:
    """How a release names an RRDBNet's parameters, and a key that only it has.

    name: our name, the number of blocks and that of doublings, to the key. ups: the doublings that a file's keys tell.
    """

    mark: str
    name: Callable[[str, int, int], str]
    ups: Callable[[Collection[str]], int]


def _real_name(name: str, _blocks: int, _ups: int) -> str:
    return name


def _bsrgan_name(name: str, _blocks: int, _ups: int) -> str:
    for ours, theirs in (
        ("conv_body", "trunk_conv"), ("body.", "RRDB_trunk."), (".rdb", ".RDB"), ("conv_up", "upconv"),
        ("conv_hr", "HRconv"),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name


def _esrgan_name(name: str, blocks: int, ups: int) -> str:
    """The first release's names: a Sequential whose entries are counted, upsampling and activations included."""
    if match := re.fullmatch(r"body\.(\d+)\.rdb(\d)\.(conv\d)\.(\w+)", name):
        return f"model.1.sub.{match[1]}.RDB{match[2]}.{match[3]}.0.{match[4]}"
    part, leaf = name.rsplit(".", 1)
    places = {
        "conv_first": "0", "conv_body": f"1.sub.{blocks}", "conv_hr": str(2 + 3 * ups), "conv_last": str(4 + 3 * ups),
    }  # fmt: skip
    place = places[part] if part in places else str(3 * int(part.removeprefix("conv_up")))
    return f"model.{place}.{leaf}"


def _counted(template: str) -> Callable[[Collection[str]], int]:
    def count(names: Collection[str]) -> int:
        return next(number for number in range(len(names) + 1) if template.format(number + 1) not in names)

    return count


def _ups_of_sequential(names: Collection[str]) -> int:
    """The last convolution stands at 4 + 3 for each doubling."""
    return (max(int(match[1]) for name in names if (match := SEQUENTIAL.fullmatch(name))) - 4) // 3


SPELLINGS = (
    Spelling("body.0.rdb1.conv1.weight", _real_name, _counted("conv_up{}.weight")),
    Spelling("RRDB_trunk.0.RDB1.conv1.weight", _bsrgan_name, _counted("upconv{}.weight")),
    Spelling("model.1.sub.0.RDB1.conv1.0.weight", _esrgan_name, _ups_of_sequential),
)


def open_upscaler(path: Path | str) -> tuple[Weights, int]:
    """Read the index of an upscaler: its description and how many times it enlarges.

    Raises CheckpointError: another kind of file, missing or misshapen keys, a kind that needs spandrel where it is not
    installed.
    """
    file = read_index(Path(path))
    for prefix in PREFIXES:
        inner = {name.removeprefix(prefix): entry for name, entry in file.entries.items() if name.startswith(prefix)}
        for spelling in SPELLINGS:
            if spelling.mark in inner:
                return _open_rrdb(file, prefix, inner, spelling)
        if COMPACT_MARK in inner and "body.1.weight" in inner:
            return _open_compact(file, prefix, inner)
    return open_foreign(file)


def _open_rrdb(
    file: TensorFile, prefix: str, inner: Mapping[str, Entry], spelling: Spelling
) -> tuple[Weights, int]:
    ups = max(0, spelling.ups(inner.keys()))
    blocks = 0
    while spelling.name(f"body.{blocks}.rdb1.conv1.weight", blocks, ups) in inner:
        blocks += 1

    def key(name: str) -> str:
        return spelling.name(name, blocks, ups)

    growth, width = _shape(file, inner, key("body.0.rdb1.conv1.weight"))[:2]
    channels = _shape(file, inner, key("conv_first.weight"))[1]
    unshuffle = math.isqrt(channels // COLOURS)
    if channels != COLOURS * unshuffle**2 or ups > MOST_UPS or 2**ups % unshuffle:
        raise CheckpointError(
            file.path, f"an ESRGAN of {channels} input channels and {ups} doublings", "3, 12 or 48 channels",
            "It is none of the known kinds.",
        )  # fmt: skip
    config = RrdbConfig(width, growth, blocks, ups, unshuffle)
    return describe(file, config, lambda name: Source(prefix + key(name)), "an ESRGAN upscaler"), config.scale


def _open_compact(file: TensorFile, prefix: str, inner: Mapping[str, Entry]) -> tuple[Weights, int]:
    last = max(int(match[1]) for name in inner if (match := re.fullmatch(r"body\.(\d+)\.weight", name)))
    width = _shape(file, inner, COMPACT_MARK)[0]
    outputs = _shape(file, inner, f"body.{last}.weight")[0]
    scale = math.isqrt(outputs // COLOURS)
    # a name may claim any number of layers: no more are built than the file has tensors
    if outputs != COLOURS * scale**2 or last % 2 or last >= len(inner) or scale > 2**MOST_UPS:
        raise CheckpointError(
            file.path, f"{last + 1} layers and {outputs} output channels", "a compact upscaler", "The file is damaged."
        )
    config = CompactConfig(width, last // 2 - 1, scale)
    return describe(file, config, lambda name: Source(prefix + name), "a compact upscaler"), scale


def _shape(file: TensorFile, inner: Mapping[str, Entry], key: str) -> tuple[int, ...]:
    """The shape of a 3×3 convolution."""
    entry = inner.get(key)
    if entry is None or len(entry.shape) != 4 or 0 in entry.shape:
        found = f"{key} of shape {list(entry.shape)}" if entry else f"no {key}"
        raise CheckpointError(file.path, found, "a convolution of an upscaler", "The file is damaged: fetch it again.")
    return entry.shape
