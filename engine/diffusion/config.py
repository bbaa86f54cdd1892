"""What a model is, as values: every width, head count, level, beta and scale factor the networks need.

No other module holds such a number, so a miniature model is built, saved and loaded by the code that serves the
published ones.

>>> PRESETS["sd1"].unet.widths
(320, 640, 1280, 1280)
>>> config_from_json(config_to_json(PRESETS["sd2-v"])) == PRESETS["sd2-v"]
True
"""

import dataclasses
import json
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Prediction = Literal["eps", "v"]
Concat = Literal["none", "inpaint", "edit", "depth", "upscale"]


class ConfigError(ValueError):
    """A configuration that cannot be: the message names the key, what was found and what was wanted."""


@dataclass(frozen=True)
class UNetConfig:
    """The denoising network. It always has four levels with two residual blocks each, as every SD 1.x and 2.x has.

    Heads are either a fixed number per block (`num_heads`, SD 1.x and the x4 upscaler) or a fixed width (`head_dim`,
    SD 2.x); the other one is None. `concat` says what the channels after the latent's mean (models.md, 1.1).
    """

    in_channels: int
    out_channels: int
    model_channels: int
    channel_mult: tuple[int, int, int, int]
    attention: tuple[bool, bool, bool, bool]  # which levels have transformer blocks
    cross_only: tuple[bool, bool, bool, bool]  # levels whose attn1 reads the text too; the middle block never does
    num_heads: int | None
    head_dim: int | None
    context_dim: int
    linear_projection: bool
    num_classes: int | None  # a learned table of labels: the x4 upscaler's noise level
    adm_dim: int | None  # a vector condition: unCLIP's image embedding and its noise level
    norm_groups: int
    upcast_attention: bool  # half-precision logits overflow in SD 2.1-v
    concat: Concat

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Channels of the four levels, outermost first."""
        a, b, c, d = self.channel_mult
        return a * self.model_channels, b * self.model_channels, c * self.model_channels, d * self.model_channels

    @property
    def time_width(self) -> int:
        """Width of the timestep embedding."""
        return 4 * self.model_channels

    def heads(self, width: int) -> int:
        """Attention heads of a block of this width."""
        if self.num_heads is not None:
            return self.num_heads
        assert self.head_dim is not None
        return width // self.head_dim


@dataclass(frozen=True)
class VaeConfig:
    """The autoencoder between pixels and latents. `scale_factor` brings latents to the variance the UNet expects."""

    in_channels: int
    channels: int
    channel_mult: tuple[int, ...]
    num_res_blocks: int
    z_channels: int
    embed_dim: int
    norm_groups: int
    scale_factor: float

    @property
    def downscale(self) -> int:
        """Pixels per latent element along one side."""
        return 1 << (len(self.channel_mult) - 1)


@dataclass(frozen=True)
class TextConfig:
    """The text tower of CLIP. `layout` is how its keys are spelled in a single file (models.md, 2.4)."""

    layout: Literal["clip", "open_clip"]
    vocab_size: int
    max_length: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    activation: Literal["quick_gelu", "gelu"]
    norm_eps: float
    start_id: int
    end_id: int
    pad_id: int
    clip_skip: int  # 1: the last layer, 2: the one before; both followed by the final norm
    project_pooled: bool
    embedding_key: Literal["clip_l", "clip_h"]  # which tensor of a textual-inversion file is for this tower
    absent_layers: int = 0  # last layers that a file leaves out because nothing reads them; clip skip still counts them


@dataclass(frozen=True)
class ScheduleConfig:
    """The diffusion process: betas are (√start … √end)² over `steps`, and what the UNet predicts."""

    steps: int
    beta_start: float
    beta_end: float
    prediction: Prediction
    zero_snr: bool


@dataclass(frozen=True)
class ModelConfig:
    """A whole model. `family` is a name of models.md 1.1; it decides nothing that the other values say."""

    family: str
    unet: UNetConfig
    vae: VaeConfig
    text: TextConfig
    schedule: ScheduleConfig


def _presets() -> dict[str, ModelConfig]:
    """The published families: models.md, 1.1 to 1.5."""
    no, yes = (False, False, False, False), (True, True, True, False)
    unet1 = UNetConfig(
        in_channels=4, out_channels=4, model_channels=320, channel_mult=(1, 2, 4, 4), attention=yes, cross_only=no,
        num_heads=8, head_dim=None, context_dim=768, linear_projection=False, num_classes=None, adm_dim=None,
        norm_groups=32, upcast_attention=False, concat="none",
    )  # fmt: skip
    unet2 = replace(unet1, num_heads=None, head_dim=64, context_dim=1024, linear_projection=True)
    unet2v = replace(unet2, upcast_attention=True)
    unet4 = replace(
        unet1, in_channels=7, model_channels=256, channel_mult=(1, 2, 2, 4), attention=(False, True, True, True),
        cross_only=yes, context_dim=1024, linear_projection=True, num_classes=1000, concat="upscale",
    )  # fmt: skip
    vae = VaeConfig(
        in_channels=3, channels=128, channel_mult=(1, 2, 4, 4), num_res_blocks=2, z_channels=4, embed_dim=4,
        norm_groups=32, scale_factor=0.18215,
    )  # fmt: skip
    vae4 = replace(vae, channel_mult=(1, 2, 4), scale_factor=0.08333)
    clip_l = TextConfig(
        layout="clip", vocab_size=49408, max_length=77, width=768, layers=12, heads=12, mlp_width=3072,
        activation="quick_gelu", norm_eps=1e-5, start_id=49406, end_id=49407, pad_id=49407, clip_skip=1,
        project_pooled=False, embedding_key="clip_l",
    )  # fmt: skip
    clip_h = TextConfig(
        layout="open_clip", vocab_size=49408, max_length=77, width=1024, layers=24, heads=16, mlp_width=4096,
        activation="gelu", norm_eps=1e-5, start_id=49406, end_id=49407, pad_id=0, clip_skip=2,
        project_pooled=True, embedding_key="clip_h",
    )  # fmt: skip
    eps = ScheduleConfig(steps=1000, beta_start=0.00085, beta_end=0.012, prediction="eps", zero_snr=False)
    v = replace(eps, prediction="v")
    sd1 = ModelConfig("sd1", unet1, vae, clip_l, eps)
    sd2 = ModelConfig("sd2-base", unet2, vae, clip_h, eps)
    models = (
        sd1,
        ModelConfig("sd1-inpaint", replace(unet1, in_channels=9, concat="inpaint"), vae, clip_l, eps),
        ModelConfig("instruct-pix2pix", replace(unet1, in_channels=8, concat="edit"), vae, clip_l, eps),
        sd2,
        ModelConfig("sd2-v", unet2v, vae, clip_h, v),
        ModelConfig("sd2-depth", replace(unet2, in_channels=5, concat="depth"), vae, clip_h, eps),
        ModelConfig("sd2-inpaint", replace(unet2, in_channels=9, concat="inpaint"), vae, clip_h, eps),
        ModelConfig("sd2-x4", unet4, vae4, clip_h, replace(v, beta_start=0.0001, beta_end=0.02)),
        ModelConfig("sd2-unclip-l", replace(unet2v, adm_dim=1536), vae, clip_h, v),
        ModelConfig("sd2-unclip-h", replace(unet2v, adm_dim=2048), vae, clip_h, v),
    )
    return {model.family: model for model in models}


PRESETS: dict[str, ModelConfig] = _presets()

# The most a configuration read from a file may ask for: about four times the largest published value, so that a hostile
# file cannot make us build an enormous network.
LONGEST_JSON = 64 * 1024
LARGEST = {
    "in_channels": 64, "out_channels": 64, "model_channels": 1280, "channel_mult": 16, "num_heads": 64, "head_dim": 512,
    "context_dim": 8192, "num_classes": 10_000, "adm_dim": 16_384, "norm_groups": 256, "channels": 1024,
    "num_res_blocks": 8, "z_channels": 64, "embed_dim": 64, "vocab_size": 500_000, "max_length": 1024, "width": 8192,
    "layers": 64, "heads": 64, "mlp_width": 32_768, "start_id": 500_000, "end_id": 500_000, "pad_id": 500_000,
    "clip_skip": 64, "absent_layers": 8, "steps": 10_000,
}  # fmt: skip
MAY_BE_ZERO = {"start_id", "end_id", "pad_id", "absent_layers"}


def config_to_json(config: ModelConfig) -> str:
    """Write the configuration as one line of JSON with sorted keys: equal configurations give equal text."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True, separators=(",", ":"))


def config_from_json(text: str) -> ModelConfig:
    """Read what `config_to_json` wrote.

    Strict: a missing, unknown, wrongly typed or out-of-range key raises ConfigError naming it.
    """
    if len(text) > LONGEST_JSON:
        raise ConfigError(f"the configuration is {len(text)} characters long; at most {LONGEST_JSON} are read")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the configuration is not JSON: {error}") from None
    config = _read(ModelConfig, data, "config")
    assert isinstance(config, ModelConfig)
    check_config(config)
    return config


def _read(wanted: Any, value: Any, place: str) -> Any:
    """`value` as type `wanted`, or ConfigError naming `place`."""
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        if not isinstance(value, dict):
            raise ConfigError(f"{place}: found {_show(value)}, wanted an object")
        fields = dataclasses.fields(wanted)
        names = [field.name for field in fields]
        if unknown := sorted(set(value) - set(names)):
            raise ConfigError(f"{place}: unknown key {unknown[0]!r}; the keys are {', '.join(names)}")
        if missing := [f.name for f in fields if f.name not in value and f.default is dataclasses.MISSING]:
            raise ConfigError(f"{place}: key {missing[0]!r} is missing")
        hints = get_type_hints(wanted)
        return wanted(**{name: _read(hints[name], value[name], f"{place}.{name}") for name in names if name in value})
    origin, choices = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        if value not in choices:
            raise ConfigError(f"{place}: found {_show(value)}, wanted one of {', '.join(map(str, choices))}")
        return value
    if origin in (UnionType, Union):
        if value is None:
            return None
        return _read(next(choice for choice in choices if choice is not type(None)), value, place)
    if origin is tuple:
        length = None if choices[-1] is Ellipsis else len(choices)
        if not isinstance(value, list) or len(value) > 8 or (length is not None and len(value) != length):
            raise ConfigError(f"{place}: found {_show(value)}, wanted a list of {length or '1 to 8'} values")
        return tuple(_read(choices[0], item, f"{place}[{index}]") for index, item in enumerate(value))
    if wanted is float and type(value) in (int, float):
        return float(value)
    if type(value) is not wanted:  # exactly: True is no int
        raise ConfigError(f"{place}: found {_show(value)}, wanted {wanted.__name__}")
    return value


def _show(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict | list) else f"{type(value).__name__} of {len(value)}"
    return text if len(text) <= 40 else text[:40] + "…"


def check_config(config: ModelConfig) -> None:
    """Raise ConfigError if a size is out of range or the sizes contradict each other."""
    for part_name, part in (
        ("unet", config.unet), ("vae", config.vae), ("text", config.text), ("schedule", config.schedule),
    ):  # fmt: skip
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            for number in value if isinstance(value, tuple) else (value,):
                if type(number) is int:
                    low, high = (0 if field.name in MAY_BE_ZERO else 1), LARGEST[field.name]
                    if not low <= number <= high:
                        raise ConfigError(f"{part_name}.{field.name}: found {number}, wanted {low} to {high}")
    unet, vae, text, schedule = config.unet, config.vae, config.text, config.schedule
    if (unet.num_heads is None) == (unet.head_dim is None):
        raise ConfigError("unet: exactly one of num_heads and head_dim must be given; the other is null")
    for level, width in enumerate(unet.widths):
        if width % unet.norm_groups:
            raise ConfigError(f"unet: level {level} is {width} wide, not a multiple of norm_groups {unet.norm_groups}")
        divisor = unet.num_heads or unet.head_dim or 1
        if (unet.attention[level] or level == len(unet.widths) - 1) and width % divisor:
            raise ConfigError(f"unet: level {level} is {width} wide and cannot be split evenly into heads ({divisor})")
    if unet.num_classes is not None and unet.adm_dim is not None:
        raise ConfigError("unet: num_classes and adm_dim exclude each other")
    if not vae.channel_mult:
        raise ConfigError("vae.channel_mult: found an empty list, wanted 1 to 8 values")
    for level, mult in enumerate(vae.channel_mult):
        if vae.channels * mult % vae.norm_groups:
            raise ConfigError(f"vae: level {level} is not a multiple of norm_groups {vae.norm_groups} wide")
    if vae.channels % vae.norm_groups:
        raise ConfigError(f"vae.channels: found {vae.channels}, wanted a multiple of norm_groups {vae.norm_groups}")
    if not 1e-6 < vae.scale_factor < 1e6:
        raise ConfigError(f"vae.scale_factor: found {vae.scale_factor}, wanted a positive number near 0.1")
    if text.width % text.heads:
        raise ConfigError(f"text: width {text.width} cannot be split evenly into {text.heads} heads")
    if not 0.0 < text.norm_eps < 1.0:
        raise ConfigError(f"text.norm_eps: found {text.norm_eps}, wanted a small positive number")
    if text.clip_skip > text.layers:
        raise ConfigError(f"text.clip_skip: found {text.clip_skip}, wanted 1 to {text.layers} (the layers)")
    if text.absent_layers >= text.clip_skip:
        raise ConfigError(f"text.absent_layers: found {text.absent_layers}, but clip_skip {text.clip_skip} reads them")
    if max(text.start_id, text.end_id, text.pad_id) >= text.vocab_size:
        raise ConfigError("text: start_id, end_id and pad_id must be smaller than vocab_size")
    if text.width != unet.context_dim:
        raise ConfigError(f"unet.context_dim is {unet.context_dim} but text.width is {text.width}; they must be equal")
    if not 0.0 < schedule.beta_start <= schedule.beta_end < 1.0:
        raise ConfigError("schedule: wanted 0 < beta_start ≤ beta_end < 1")
