"""Random models in the published layouts, with narrow layers, for every family and the networks beside them.

Nothing is trained: the weights come from seeds. What a test sees is arithmetic and plumbing, not pictures of anything.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.diffusion.config import PRESETS, ModelConfig, config_to_json
from engine.diffusion.depth import CHECKPOINT_PREFIX, DepthConfig, _midas
from engine.diffusion.keys import Source
from engine.diffusion.safety import SafetyConfig
from engine.diffusion.text import TextEncoder
from engine.diffusion.unclip import STEPS
from engine.diffusion.unet import UNet
from engine.diffusion.vae import Vae
from engine.diffusion.vision import UNCLIP_PREFIX, VisionConfig, _open_clip, preprocess
from tests.parity.small import randomise, small

UNET, VAE, CLIP_L, CLIP_H = (
    "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.text_model.",
    "cond_stage_model.model.",
)  # fmt: skip
DEPTH = DepthConfig(
    width=64, layers=4, heads=1, mlp_width=128, image_size=64, embedding_width=32, stages=(1, 2, 1),
    stage_widths=(128, 128, 128), neck_widths=(128, 128, 64, 64), fusion_width=32,
)  # fmt: skip


def vision(projection: int = 24) -> VisionConfig:
    return VisionConfig(
        width=64, layers=3, heads=16, mlp_width=96, patch=14, positions=17, projection=projection,
        activation="quick_gelu",
    )  # fmt: skip


def networks(config: ModelConfig, seed: int = 0) -> tuple[UNet, Vae, TextEncoder]:
    """Random networks of a configuration. The autoencoder is certain: samples of what it encodes are the mean."""
    unet, vae, text = UNet(config.unet), Vae(config.vae), TextEncoder(config.text)
    for offset, network in enumerate((unet, vae, text)):
        randomise(network, seed + offset)
    certain = config.vae.embed_dim
    vae.quant_conv.weight.data[certain:] = 0.0
    vae.quant_conv.bias.data[certain:] = -30.0  # the logarithm of the variance
    return unet, vae, text


def published(family: str, seed: int = 0) -> dict[str, Tensor]:
    """Every tensor of a published single file of the family, by its published name, float32."""
    config = small(family)
    unet, vae, text = networks(config, seed)
    state = {UNET + name: value for name, value in unet.state_dict().items()}
    state |= {VAE + name: value for name, value in vae.state_dict().items()}
    state |= open_clip_text(text) if config.text.layout == "open_clip" else {
        CLIP_L + name.removeprefix("transformer."): value for name, value in text.state_dict().items()
    }
    if family == "sd2-depth":
        state |= midas(companion(DEPTH, seed), CHECKPOINT_PREFIX)
    if config.unet.adm_dim:
        state |= open_clip_vision(companion(vision(config.unet.adm_dim // 2), seed), UNCLIP_PREFIX)
        state["noise_augmentor.betas"] = torch.zeros(STEPS)
    return state


def write_published(path: Path, family: str, seed: int = 0) -> Path:
    """Write the file; its metadata holds the narrow sizes, which no published family has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous().clone() for name, value in published(family, seed).items()}
    save_file(state, path, metadata={"easel.config": config_to_json(small(family))})
    return path


def companion(config: VisionConfig | DepthConfig, seed: int = 0) -> nn.Module:
    """A random network beside the model."""
    module = randomise(config.build(), seed)
    for name, parameter in module.named_parameters():
        if "norm" not in name and parameter.ndim == 1:
            parameter.data *= 0.1
        if name.endswith("position_embedding.weight"):
            parameter.data *= math.sqrt(parameter.shape[1]) * 0.1
    return module


def _put(state: dict[str, Tensor], source: Source, value: Tensor) -> None:
    """One parameter into a file that may stack three of them."""
    value = value.T if source.transpose else value
    if source.rows is None:
        state[source.key] = value
        return
    start, end = source.rows
    whole = state.setdefault(source.key, torch.zeros(3 * (end - start), *value.shape[1:]))
    whole[start:end] = value


def open_clip_text(text: TextEncoder) -> dict[str, Tensor]:
    """OpenCLIP's names (models.md, 2.4), made from the map that loads them; its own test compares with transformers."""
    from engine.diffusion.keys import open_clip_naming as text_naming
    from engine.diffusion.tensorfile import Entry

    width = text.config.width
    marks = {f"{CLIP_H}ln_final.weight": Entry((width,), "F32")}
    state: dict[str, Tensor] = {}
    for name, value in text.state_dict().items():
        _put(state, text_naming(CLIP_H).source(name, marks), value)
    return state | {CLIP_H + "logit_scale": torch.zeros(()), CLIP_H + "attn_mask": torch.zeros(77, 77)}


def open_clip_vision(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    from engine.diffusion.tensorfile import Entry

    state: dict[str, Tensor] = {}
    values = module.state_dict()
    width = values["vision_model.embeddings.class_embedding"].shape[0]
    for name, value in values.items():
        source = _open_clip(prefix).source(name, {prefix + "class_embedding": Entry((width,), "F32")})
        _put(state, source, value)
    return state


def midas(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    from engine.diffusion.tensorfile import Entry

    state: dict[str, Tensor] = {}
    values = module.state_dict()
    token = {f"{prefix}pretrained.model.cls_token": Entry((1, 1, values["dpt.embeddings.cls_token"].shape[-1]), "F32")}
    for name, value in values.items():
        _put(state, _midas(prefix).source(name, token), value)
    width = values["dpt.embeddings.cls_token"].shape[-1]
    return state | {prefix + "pretrained.model.head.weight": torch.zeros(10, width)}  # a classifier nobody uses


FAMILIES = tuple(PRESETS)


def safety_checker(config: SafetyConfig, pixels: Tensor, seed: int = 0) -> nn.Module:
    """A random checker whose thresholds lie among the cosines of these pictures: it flags a third of them or so."""
    network = randomise(config.build(), seed)
    with torch.no_grad():
        special, concepts = network(preprocess(pixels, config.vision.size))
        network.special_care_embeds_weights.data = special.median(dim=0).values + 0.02
        network.concept_embeds_weights.data = concepts.max(dim=0).values + 0.5
        network.concept_embeds_weights.data[4] = concepts[:, 4].sort(descending=True).values[len(pixels) // 3]
    return network


def write_bright_checker(path: Path) -> Path:
    """A random checker that flags bright pictures and no dark ones."""
    network = randomise(SafetyConfig(vision(24), 3, 1).build())
    side = vision(24).size
    tones = torch.tensor([0.9, 0.08]).view(2, 1, 1, 1).expand(2, side, side, 3)
    with torch.no_grad():
        cosines = network(preprocess(tones, side))[1][:, 0]
    assert abs(float(cosines[0] - cosines[1])) > 0.05
    sign = 1.0 if cosines[0] > cosines[1] else -1.0
    network.concept_embeds.data[0] *= sign
    network.concept_embeds_weights.data = torch.tensor([float(cosines.mean()) * sign, 2.0, 2.0])
    network.special_care_embeds_weights.data[:] = 2.0
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return path
