"""What travels on wires between nodes.

Each class names its socket type in the protocol. The values are immutable: a node that changes something
returns a new value (``dataclasses.replace``), because the old one may be cached and read by others.
Model, Clip and Vae are descriptions (which weights, with what applied), not weights: they are cheap to
hash and keep, and the device memory behind them is the business of ``engine.runtime.device.residency``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from engine.diffusion.adapters.control import Control
    from engine.diffusion.adapters.schedule import Keyframe, WeightHook
    from engine.diffusion.checkpoint import Weights
    from engine.diffusion.config import ModelConfig
    from engine.diffusion.guidance import Condition
    from engine.diffusion.guiders import Guiding
    from engine.diffusion.samplers import SamplerRow


@dataclass(frozen=True, slots=True)
class Image:
    """A batch of pictures: ``pixels`` is (batch, height, width, 3 or 4), float32 in 0..1."""

    socket: ClassVar[str] = "IMAGE"
    pixels: Tensor


@dataclass(frozen=True, slots=True)
class Mask:
    """A batch of masks: ``values`` is (batch, height, width), float32 in 0..1; 1 marks what is to be painted."""

    socket: ClassVar[str] = "MASK"
    values: Tensor


@dataclass(frozen=True, slots=True)
class Latent:
    """A batch of latents, unscaled: ``samples`` is (batch, 4, height / 8, width / 8), float32.

    noise_mask: (batch, 1, height, width), where 1 is to be repainted.
    batch_index: which draw of the seed's noise each item uses.
    extra: keys of ComfyUI's latent dictionary that Easel does not know, kept.
    """

    socket: ClassVar[str] = "LATENT"
    samples: Tensor
    noise_mask: Tensor | None = None
    batch_index: tuple[int, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What guides a picture: a list of encoded texts, each with its area, mask and time range."""

    socket: ClassVar[str] = "CONDITIONING"
    entries: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A denoising network: its weights, its configuration, and what is applied to it, in order."""

    socket: ClassVar[str] = "MODEL"
    weights: Weights
    config: ModelConfig
    patches: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Clip:
    """A text encoder; ``stop_at`` is the layer to read, counted from the end (-1 is the last), or the model's own.

    carried: hooks that what it encodes takes along, for the denoising network. scheduled: hooks on itself whose
    keyframes count: texts are encoded anew for each part of the run.
    """

    socket: ClassVar[str] = "CLIP"
    weights: Weights
    config: ModelConfig
    stop_at: int | None = None
    patches: tuple[Any, ...] = ()
    carried: tuple[WeightHook, ...] = ()
    scheduled: tuple[WeightHook, ...] = ()


@dataclass(frozen=True, slots=True)
class Vae:
    """An autoencoder between pictures and latents."""

    socket: ClassVar[str] = "VAE"
    weights: Weights
    config: ModelConfig


@dataclass(frozen=True, slots=True)
class Loop:
    """What a for-each goes through: the items, and what the first round finds as the result so far."""

    socket: ClassVar[str] = "LOOP"
    items: tuple[Any, ...]
    initial: Any = None


@dataclass(frozen=True, slots=True)
class Sampler:
    """How steps are made: the name of a sampler and what it is given besides (`engine.diffusion.samplers`).

    row: a sampler that is not in the table there: a pack's own.
    """

    socket: ClassVar[str] = "SAMPLER"
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    row: SamplerRow | None = None


@dataclass(frozen=True, slots=True)
class Sigmas:
    """The noise levels that a sampler walks: ``values`` is (steps + 1,), float32, usually falling to 0."""

    socket: ClassVar[str] = "SIGMAS"
    values: Tensor


@dataclass(frozen=True, slots=True)
class Noise:
    """Where a run's noise comes from: a seed, or nothing at all (``silent``).

    make: noise that a pack makes itself for a latent, (batch, channels, height, width).
    """

    socket: ClassVar[str] = "NOISE"
    seed: int = 0
    silent: bool = False
    make: Callable[[Latent], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Guider:
    """A model and how it is guided."""

    socket: ClassVar[str] = "GUIDER"
    model: Model
    guiding: Guiding


@dataclass(frozen=True, slots=True)
class ControlNet:
    """A network that steers another by a picture: a ControlNet or a T2I-Adapter."""

    socket: ClassVar[str] = "CONTROL_NET"
    network: Control


@dataclass(frozen=True, slots=True)
class Gligen:
    """A network that puts texts into boxes."""

    socket: ClassVar[str] = "GLIGEN"
    weights: Weights


@dataclass(frozen=True, slots=True)
class ClipVision:
    """An image encoder."""

    socket: ClassVar[str] = "CLIP_VISION"
    weights: Weights


@dataclass(frozen=True, slots=True)
class ClipVisionOutput:
    """What an image encoder makes of pictures; the names are ComfyUI's.

    image_embeds: (batch, projection). last_hidden_state, penultimate_hidden_states: (batch, 1 + patches, width), both
    before the final norm.
    """

    socket: ClassVar[str] = "CLIP_VISION_OUTPUT"
    image_embeds: Tensor
    last_hidden_state: Tensor
    penultimate_hidden_states: Tensor


@dataclass(frozen=True, slots=True)
class DepthModel:
    """A network that tells how near each part of a picture is."""

    socket: ClassVar[str] = "DEPTH_MODEL"
    weights: Weights


@dataclass(frozen=True, slots=True)
class UpscaleModel:
    """A network that enlarges pictures; ``scale`` is how many times."""

    socket: ClassVar[str] = "UPSCALE_MODEL"
    weights: Weights
    scale: int


@dataclass(frozen=True, slots=True)
class SafetyChecker:
    """A network that tells pictures that not everybody wants to see."""

    socket: ClassVar[str] = "SAFETY_CHECKER"
    weights: Weights


@dataclass(frozen=True, slots=True)
class LatentOperation:
    """What is to be done to a latent, given on to be done elsewhere; called with ``latent``, it gives another."""

    socket: ClassVar[str] = "LATENT_OPERATION"
    operation: Callable[[Tensor], Tensor]

    def __call__(self, latent: Tensor) -> Tensor:
        """Do it."""
        return self.operation(latent)


@dataclass(frozen=True, slots=True)
class StyleModel:
    """A network that makes words of a picture's style."""

    socket: ClassVar[str] = "STYLE_MODEL"
    weights: Weights


@dataclass(frozen=True, slots=True)
class Hooks:
    """What is put on models for single conditionings."""

    socket: ClassVar[str] = "HOOKS"
    hooks: tuple[WeightHook, ...]


@dataclass(frozen=True, slots=True)
class HookKeyframes:
    """How strong hooks are from when on, by time."""

    socket: ClassVar[str] = "HOOK_KEYFRAMES"
    keyframes: tuple[Keyframe, ...]


@dataclass(frozen=True, slots=True)
class TimestepsRange:
    """A part of a run, from 0 to 1."""

    socket: ClassVar[str] = "TIMESTEPS_RANGE"
    start_percent: float
    end_percent: float


class Floats:
    """Numbers in a list, or one, as packs make them; only the socket is known to Easel."""

    socket: ClassVar[str] = "FLOATS"


@dataclass(frozen=True, slots=True)
class Blocker:
    """Stands for a value that was withheld: what depends on it does not run. A message makes that an error."""

    message: str | None = None


SOCKETS = frozenset({
    "IMAGE", "MASK", "LATENT", "CONDITIONING", "MODEL", "CLIP", "VAE", "CLIP_VISION", "CLIP_VISION_OUTPUT",
    "CONTROL_NET", "STYLE_MODEL", "GLIGEN", "UPSCALE_MODEL", "SAMPLER", "SIGMAS", "NOISE", "GUIDER", "HOOKS",
    "HOOK_KEYFRAMES", "TIMESTEPS_RANGE", "LATENT_OPERATION", "DEPTH_MODEL", "SAFETY_CHECKER", "LOOP",
})
"""Socket types whose values only come by wire: nobody can type one in."""


def overlap(found: str, wanted: str) -> bool:
    """Whether a wire of type ``found`` may end in a socket of type ``wanted``; both may be comma-separated sets.

    >>> overlap("IMAGE", "IMAGE,MASK"), overlap("LATENT", "*"), overlap("LATENT", "IMAGE")
    (True, True, False)
    """
    if found == wanted or "*" in (found, wanted):
        return True
    return not {part.strip() for part in found.split(",")}.isdisjoint(part.strip() for part in wanted.split(","))
