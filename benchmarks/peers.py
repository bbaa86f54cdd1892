"""What is compared: Easel in its several forms, and diffusers where it is installed. Same weights, same types.

Each contender has the networks of one checkpoint and answers `step`, `decode`, `encode` and `image`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.random_model import diffusers_state
from engine.diffusion.checkpoint import Checkpoint, load_text, load_unet, load_vae
from engine.diffusion.config import ModelConfig, UNetConfig
from engine.diffusion.fast import can_pack, goes_last, make_last
from engine.diffusion.guidance import Condition
from engine.diffusion.layers import ready_for_cuda
from engine.diffusion.network import predicted, unet_network
from engine.diffusion.replay import Replays, cuda_recorder
from engine.diffusion.sampling import Sampling, sample
from engine.diffusion.schedules import discrete
from engine.diffusion.text import TextEncoder, encode, tokenizer
from engine.diffusion.times import Times
from engine.diffusion.unet import UNet
from engine.diffusion.vae import decode

PROMPTS = ("a photo of an astronaut riding a horse on mars", "blurry, low quality")
STEPS = 4  # of a whole image: each costs the same


@dataclass(frozen=True)
class Scene:
    """What is worked out: latents (batch, 4, size/8, size/8) with guidance."""

    checkpoint: Checkpoint
    size: int
    batch: int
    device: torch.device

    @property
    def latent(self) -> Tensor:
        """The same random latent for all."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.batch, 4, self.size // 8, self.size // 8, generator=generator)

    @property
    def context(self) -> Tensor:
        """Stands for both texts of every picture."""
        generator = torch.Generator().manual_seed(1)
        return torch.randn(2 * self.batch, 77, self.checkpoint.config.unet.context_dim, generator=generator)


class Contender:
    """One way of computing; what a case needs is loaded when it is first asked."""

    cases: frozenset[str] = frozenset({"step", "decode", "text", "image"})

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._networks: dict[str, Any] = {}

    def step(self) -> Tensor:
        """One guided evaluation of the network."""
        raise NotImplementedError

    def decode(self) -> Tensor:
        """Latents to pixels."""
        raise NotImplementedError

    def encode(self) -> Tensor:
        """Both prompts."""
        raise NotImplementedError

    def image(self) -> Tensor:
        """Prompts to pixels in a few steps."""
        raise NotImplementedError

    def network(self, name: str, load: Callable[[], Any]) -> Any:
        """A network, loaded once."""
        if name not in self._networks:
            self._networks[name] = load()
        return self._networks[name]


class Easel(Contender):
    """Easel's own networks. packed: with compiled kernels, as `auto` takes them where they are to be had."""

    def __init__(self, scene: Scene, dtype: torch.dtype, packed: bool, plain: bool = False) -> None:
        super().__init__(scene)
        self.dtype, self.packed, self.plain = dtype, packed and can_pack(dtype, scene.device), plain
        self._context = scene.context.to(scene.device, dtype)
        self._replays = Replays(cuda_recorder(scene.device)) if packed and scene.device.type == "cuda" else None

    def _laid(self, network: Any) -> Any:
        """A network as a worker has it."""
        if not self.plain and goes_last(network, self.dtype, self.scene.device):
            make_last(network)
        if not self.plain and isinstance(network, UNet) and self.scene.device.type == "cpu":
            network.times = Times()
        if not self.plain and self.scene.device.type == "cuda":
            ready_for_cuda(network)
        return network

    def unet(self) -> UNet:
        """The denoising network."""
        weights, device = self.scene.checkpoint.unet, self.scene.device
        made: UNet = self.network(
            "unet", lambda: self._laid(load_unet(weights, self.dtype, device, packed=self.packed))
        )
        made.replays = self._replays
        return made

    def vae(self) -> Any:
        """The autoencoder."""
        weights, device = self.scene.checkpoint.vae, self.scene.device
        assert weights is not None
        made = self.network("vae", lambda: self._laid(load_vae(weights, self.dtype, device, packed=self.packed)))
        made.replays = self._replays
        return made

    def text(self) -> Any:
        """The text encoder, float32 as `auto` has it."""
        weights = self.scene.checkpoint.text
        assert weights is not None
        return self.network("text", lambda: load_text(weights, torch.float32, self.scene.device))

    def step(self) -> Tensor:  # noqa: D102
        x = torch.cat([self.scene.latent] * 2).to(self.scene.device, self.dtype)
        timestep = torch.full((len(x),), 500.0, device=self.scene.device)
        with torch.no_grad():
            plus, minus = predicted(self.unet(), x, timestep, self._context).float().chunk(2)
        return minus + 7.5 * (plus - minus)

    def decode(self) -> Tensor:  # noqa: D102
        return decode(self.vae(), self.scene.latent)

    def encode(self) -> Tensor:  # noqa: D102
        config = self.scene.checkpoint.config.text
        return torch.cat([encode(self.text(), tokenizer(), prompt, config).states for prompt in PROMPTS])

    def image(self) -> Tensor:  # noqa: D102
        config, device = self.scene.checkpoint.config, self.scene.device
        plus, minus = self.encode().chunk(2)
        network = unet_network(self.unet(), discrete(config.schedule), self.dtype, device)
        run = Sampling(
            config, torch.zeros_like(self.scene.latent), (Condition(plus),), (Condition(minus),), steps=STEPS, cfg=7.5
        )
        return decode(self.vae(), sample(run, network, device=device).samples)


class Diffusers(Contender):
    """diffusers' networks, channels-last, with our weights. compiled: by inductor, with freezing."""

    def __init__(self, scene: Scene, dtype: torch.dtype, compiled: bool) -> None:
        super().__init__(scene)
        self.dtype, self.compiled = dtype, compiled

    def _ready(self, model: Any, part: str = "") -> Any:
        """A model as it runs. part: what of it is compiled, if not the whole."""
        model = model.to(self.scene.device, self.dtype).to(memory_format=torch.channels_last)
        model = model.eval().requires_grad_(False)
        if self.compiled:
            import torch._inductor.config as inductor

            inductor.freezing = self.scene.device.type == "cpu"
            mode = "default" if self.scene.device.type == "cpu" else "max-autotune"
            compiled = model.get_submodule(part)
            compiled.forward = torch.compile(compiled.forward, mode=mode, dynamic=False)
        return model

    def unet(self) -> Any:
        """The denoising network."""
        return self.network("unet", lambda: self._ready(diffusers_unet(self.scene.checkpoint)))

    def vae(self) -> Any:
        """The autoencoder."""
        return self.network("vae", lambda: self._ready(diffusers_vae(self.scene.checkpoint), "decoder"))

    def step(self) -> Tensor:  # noqa: D102
        x = torch.cat([self.scene.latent] * 2).to(self.scene.device, self.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        context = self.scene.context.to(self.scene.device, self.dtype)
        timestep = torch.tensor(500, device=self.scene.device)
        with torch.no_grad():
            plus, minus = self.unet()(x, timestep, context, return_dict=False)[0].float().chunk(2)
        return minus + 7.5 * (plus - minus)

    def decode(self) -> Tensor:  # noqa: D102
        with torch.no_grad():
            parts = [self.vae().decode(z.to(self.scene.device, self.dtype), return_dict=False)[0]
                     for z in self.scene.latent.split(1)]  # fmt: skip
        return torch.cat(parts).float().cpu()

    def encode(self) -> Tensor:  # noqa: D102
        text = self.network("text", self._text)
        ids = torch.full((2, 77), self.scene.checkpoint.config.text.end_id, device=self.scene.device)
        with torch.no_grad():
            return text(ids).last_hidden_state.float().cpu()  # type: ignore[no-any-return]

    def _text(self) -> Any:
        weights = self.scene.checkpoint.text
        assert weights is not None
        return transformers_text(load_text(weights, self.dtype, self.scene.device))

    def image(self) -> Tensor:  # noqa: D102
        self.encode()
        for _ in range(STEPS):
            self.step()
        return self.decode()


class Traced(torch.nn.Module):
    """A network of tensors in and one tensor out, as OpenVINO reads them."""

    def __init__(self, network: Any, name: str) -> None:
        super().__init__()
        self.network, self.ask = network, {"unet": self._unet, "vae": self._vae}[name]

    def forward(self, *inputs: Tensor) -> Tensor:  # noqa: D102
        out: Tensor = self.ask(*inputs)
        return out

    def _unet(self, x: Tensor, timestep: Tensor, context: Tensor) -> Any:
        return self.network(x, timestep, context, return_dict=False)[0]

    def _vae(self, latent: Tensor) -> Any:
        return self.network.decode(latent, return_dict=False)[0]


class OpenVino(Contender):
    """diffusers' networks converted for OpenVINO, with our weights and one shape. On a CPU only.

    precision: the type it is to compute in, as OpenVINO spells it.
    """

    cases = frozenset({"step", "decode"})

    def __init__(self, scene: Scene, precision: str = "bf16") -> None:
        super().__init__(scene)
        self.precision = precision

    def _ready(self, name: str, load: Callable[[Checkpoint], Any], *inputs: Tensor) -> Any:
        import openvino

        scene = self.scene
        path = scene.checkpoint.unet.path.with_suffix("") / f"openvino-{name}-{scene.size}-{scene.batch}.xml"
        if not path.is_file():  # converting takes minutes
            with torch.no_grad():
                traced = Traced(load(scene.checkpoint).float().eval(), name)
                shapes = [list(each.shape) for each in inputs]
                model = openvino.convert_model(traced, example_input=inputs, input=shapes)
            path.parent.mkdir(exist_ok=True)
            # as float16 it would round constants too: those of timesteps alone took the answer 1 % off, in float32
            openvino.save_model(model, path, compress_to_fp16=False)
            del traced, model
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }  # fmt: skip
        return openvino.Core().compile_model(path, "CPU", settings)

    def step(self) -> Tensor:  # noqa: D102
        inputs = (torch.cat([self.scene.latent] * 2), torch.tensor(500.0), self.scene.context)
        unet = self.network("unet", lambda: self._ready("unet", diffusers_unet, *inputs))
        plus, minus = torch.from_numpy(unet([each.numpy() for each in inputs])[0]).chunk(2)
        return minus + 7.5 * (plus - minus)

    def decode(self) -> Tensor:  # noqa: D102
        parts = self.scene.latent.split(1)
        vae = self.network("vae", lambda: self._ready("vae", diffusers_vae, parts[0]))
        return torch.cat([torch.from_numpy(vae([part.numpy()])[0].copy()) for part in parts])


def transformers_text(encoder: TextEncoder) -> Any:
    """Transformers' text encoder with the weights of ours, its type and place."""
    from transformers import CLIPTextConfig, CLIPTextModel

    c = encoder.config
    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig(
            vocab_size=c.vocab_size, hidden_size=c.width, intermediate_size=c.mlp_width, num_hidden_layers=c.layers,
            num_attention_heads=c.heads, hidden_act=c.activation, bos_token_id=c.start_id, eos_token_id=c.end_id,
        ))  # fmt: skip
    model.load_state_dict(encoder.transformer.state_dict(), strict=True, assign=True)
    place = encoder.transformer.embeddings.token_embedding.weight.device
    model.embeddings.register_buffer("position_ids", torch.arange(c.max_length, device=place)[None], persistent=False)
    return model.eval().requires_grad_(False)


def diffusers_unet(checkpoint: Checkpoint) -> Any:
    """Diffusers' UNet with a checkpoint's weights, float16."""
    from diffusers import UNet2DConditionModel

    config: UNetConfig = checkpoint.config.unet
    down = ["CrossAttnDownBlock2D" if each else "DownBlock2D" for each in config.attention]
    up = ["CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(config.attention)]
    with torch.device("meta"):
        model = UNet2DConditionModel(
            in_channels=config.in_channels, out_channels=config.out_channels, block_out_channels=config.widths,
            down_block_types=down, up_block_types=up, cross_attention_dim=config.context_dim,
            attention_head_dim=[config.heads(width) for width in config.widths],
            use_linear_projection=config.linear_projection, norm_num_groups=config.norm_groups,
        )  # fmt: skip
    state = load_unet(checkpoint.unet, torch.float16).state_dict()
    model.load_state_dict(diffusers_state("unet", state), strict=True, assign=True)
    return model


def diffusers_vae(checkpoint: Checkpoint) -> Any:
    """Diffusers' autoencoder with a checkpoint's weights, float16."""
    from diffusers import AutoencoderKL

    config = checkpoint.config.vae
    assert checkpoint.vae is not None
    levels = len(config.channel_mult)
    with torch.device("meta"):
        model = AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels,
            block_out_channels=[config.channels * mult for mult in config.channel_mult],
            layers_per_block=config.num_res_blocks, scaling_factor=config.scale_factor,
            norm_num_groups=config.norm_groups,
        )  # fmt: skip
    state = load_vae(checkpoint.vae, torch.float16).state_dict()
    model.load_state_dict(diffusers_state("vae", state), strict=True, assign=True)
    return model


Make = Callable[[Scene], Contender]
CONTENDERS: Mapping[str, Make] = {
    "easel": lambda scene: Easel(scene, half(scene.device), True),
    "easel-plain": lambda scene: Easel(scene, half(scene.device), False, plain=True),
    "easel-fp32": lambda scene: Easel(scene, torch.float32, False),
    "easel-fp32-plain": lambda scene: Easel(scene, torch.float32, False, plain=True),
    "diffusers": lambda scene: Diffusers(scene, half(scene.device), False),
    "diffusers-fp32": lambda scene: Diffusers(scene, torch.float32, False),
    "inductor": lambda scene: Diffusers(scene, half(scene.device), True),
    "openvino": OpenVino,
}


def half(device: torch.device) -> torch.dtype:
    """The 16-bit type that a device is fast in."""
    return torch.bfloat16 if device.type == "cpu" else torch.float16


def needs(name: str) -> tuple[str, ...]:
    """The packages that a contender needs besides Easel's own."""
    return () if name.startswith("easel") else ("diffusers", "openvino") if name == "openvino" else ("diffusers",)


def missing(name: str) -> list[str]:
    """Those of them that are not installed here."""
    return [package for package in needs(name) if importlib.util.find_spec(package) is None]


def flops(config: ModelConfig, case: str, size: int, batch: int) -> int:
    """Multiplications and additions of a step or of decoding, counted on the meta device."""
    from torch.utils.flop_counter import FlopCounterMode

    from engine.diffusion.unet import UNet
    from engine.diffusion.vae import Vae

    side = size // 8
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        if case == "step":
            UNet(config.unet)(
                torch.empty(2 * batch, 4, side, side), torch.empty(2 * batch),
                torch.empty(2 * batch, 77, config.unet.context_dim),
            )  # fmt: skip
        else:
            Vae(config.vae).decode(torch.empty(batch, 4, side, side))
    return counter.get_total_flops()


def save_for_diffusers(checkpoint: Checkpoint, folder: Path) -> None:
    """The checkpoint as the folders that diffusers and transformers load from, float16; kept if it is there."""
    if not (folder / "unet").is_dir():
        diffusers_unet(checkpoint).save_pretrained(folder / "unet")
        diffusers_vae(checkpoint).save_pretrained(folder / "vae")
        assert checkpoint.text is not None
        transformers_text(load_text(checkpoint.text, torch.float16)).save_pretrained(folder / "text_encoder")
