"""Changes to a model: another process, other features, other attention. Its weights' file is never touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from engine.diffusion.adapters.patches import ComputeType, Multiply
from engine.diffusion.patches.attention_guidance import PerturbedAttention, Recording, SelfAttentionGuidance
from engine.diffusion.patches.cfg import RescaleCfg
from engine.diffusion.patches.deepcache import DeepCache
from engine.diffusion.patches.freeu import FreeU
from engine.diffusion.patches.masks import DifferentialDiffusion
from engine.diffusion.patches.process import PREDICTIONS, ContinuousProcess, DiscreteProcess
from engine.diffusion.patches.shrink import DeepShrink
from engine.diffusion.patches.tokens import HyperTile, TokenMerging
from engine.graph.node import Choice, Omittable, Range, node
from engine.graph.types import Clip, Model

N = TypeVar("N", Model, Clip)
PROCESS, UNET = "advanced/model", "model_patches/unet"
ATTENTION = "_for_testing/attention_experiments"

Factor = Annotated[float, Range(0.0, 10.0, step=0.01)]
Part = Annotated[float, Range(0.0, 1.0, step=0.001)]
Sigma = Range(0.0, 1000.0, step=0.001)
RESIZES = ("bicubic", "nearest-exact", "bilinear", "area", "bislerp")


def _with(model: N, *patches: Any) -> N:
    return replace(model, patches=(*model.patches, *patches))


# -- what the network's output means -------------------------------------------------------------------------------


@node("ModelSamplingDiscrete", category=PROCESS)
def discrete_process(
    *, model: Model, sampling: Annotated[str, Choice(("eps", "v_prediction", "lcm", "x0", "img_to_img"))],
    zsnr: bool = False,
) -> Model:
    """Say what a model predicts, where its file does not tell.

    sampling: eps is noise, v_prediction velocity, x0 the picture; lcm is for latent consistency models.
    zsnr: The noise levels end in noise alone, for models that were trained so.
    """
    return _with(model, DiscreteProcess(PREDICTIONS[sampling], zsnr))


OTHER_FAMILIES = {"edm_playground_v2.5": "Playground 2.5", "cosmos_rflow": "Cosmos"}


@node("ModelSamplingContinuousEDM", category=PROCESS)
def continuous_edm(
    *, model: Model,
    sampling: Annotated[str, Choice(("v_prediction", "edm", "edm_playground_v2.5", "eps", "cosmos_rflow"))],
    sigma_max: Annotated[float, Sigma] = 120.0, sigma_min: Annotated[float, Sigma] = 0.002,
) -> Model:
    """Sample a model that was trained on all noise levels between two.

    sampling: What it predicts. Two of the choices are for other families and are refused.
    """
    if sampling in OTHER_FAMILIES:
        raise ValueError(
            f"sampling is {sampling!r}, which is for {OTHER_FAMILIES[sampling]}; this model is of Stable Diffusion 1.x "
            "or 2.x: choose v_prediction, edm or eps"
        )
    spread = 0.5 if sampling == "edm" else 1.0
    return _with(model, ContinuousProcess("edm", PREDICTIONS[sampling], sigma_min, sigma_max, spread))


@node("ModelSamplingContinuousV", category=PROCESS)
def continuous_v(
    *, model: Model, sampling: Annotated[str, Choice(("v_prediction",))],
    sigma_max: Annotated[float, Sigma] = 500.0, sigma_min: Annotated[float, Sigma] = 0.03,
) -> Model:
    """Sample a model that was trained on velocity at all noise levels between two."""
    return _with(model, ContinuousProcess("v", PREDICTIONS[sampling], sigma_min, sigma_max))


@node("RescaleCFG", category=PROCESS)
def rescale_cfg(*, model: Model, multiplier: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.7) -> Model:
    """Keep strong guidance from making pictures too bright or too saturated.

    multiplier: How much of the guidance's surplus is taken back.
    """
    return _with(model, RescaleCfg(multiplier))


@node("ModelComputeDtype", category="advanced/debug/model")
def compute_type(*, model: Model, dtype: Annotated[str, Choice(("default", "fp32", "fp16", "bf16"))]) -> Model:
    """Run a model in another number type than the machine's usual one.

    dtype: fp32 is exact, the others are smaller and faster on many machines.
    """
    return _with(model, ComputeType(None if dtype == "default" else dtype))


# -- what happens inside ---------------------------------------------------------------------------------------------


@node("FreeU", category=UNET)
def free_u(
    *, model: Model, b1: Factor = 1.1, b2: Factor = 1.2, s1: Factor = 0.9, s2: Factor = 0.2,
) -> Model:
    """Make the decoder's features louder and the low frequencies of its shortcuts quieter.

    b1: For the features of the innermost levels.
    b2: For the features of the level outside them.
    s1: For the shortcuts of the innermost levels.
    s2: For the shortcuts of the level outside them.
    """
    return _with(model, FreeU(b1, b2, s1, s2, model.config.unet.model_channels))


@node("FreeU_V2", category=UNET)
def free_u_2(
    *, model: Model, b1: Factor = 1.3, b2: Factor = 1.4, s1: Factor = 0.9, s2: Factor = 0.2,
) -> Model:
    """FreeU, scaling features most where there is most to see.

    b1: For the features of the innermost levels.
    b2: For the features of the level outside them.
    s1: For the shortcuts of the innermost levels.
    s2: For the shortcuts of the level outside them.
    """
    return _with(model, FreeU(b1, b2, s1, s2, model.config.unet.model_channels, by_structure=True))


@node("HyperTile", category=UNET)
def hyper_tile(
    *, model: Model, tile_size: Annotated[int, Range(1, 2048)] = 256, swap_size: Annotated[int, Range(1, 128)] = 2,
    max_depth: Annotated[int, Range(0, 10)] = 0, scale_depth: bool = False,
) -> Model:
    """Attend within windows: much faster for large pictures, and slightly different.

    tile_size: The least side of a window, in pixels.
    swap_size: Of how many sizes one is drawn each time.
    max_depth: How many of the network's inner levels are tiled too.
    scale_depth: Make their windows larger.
    """
    return _with(model, HyperTile(tile_size, swap_size, max_depth, scale_depth))


@node("TomePatchModel", category=UNET)
def merge_tokens(*, model: Model, ratio: Annotated[float, Range(0.0, 1.0, step=0.01)] = 0.3) -> Model:
    """Ask once for places that look alike: faster, and slightly different.

    ratio: Which share of the places is merged into others.
    """
    return _with(model, TokenMerging(ratio))


@node("DeepCache", category=UNET)
def deep_cache(
    *, model: Model, interval: Annotated[int, Range(1, 10)] = 3, depth: Annotated[int, Range(1, 11)] = 3,
    start_percent: Part = 0.0, end_percent: Part = 1.0,
) -> Model:
    """Run the inner part of the network at some steps only: much faster, and slightly different.

    interval: At every how many steps the whole network is run; 1 is every step.
    depth: How many of the outer blocks are run at each step.
    start_percent: Before this part of the way every step is whole.
    end_percent: After this part of the way every step is whole.
    """
    return _with(model, DeepCache(interval, depth, start_percent, end_percent))


@node("PatchModelAddDownscale", category=UNET, display_name="PatchModelAddDownscale (Kohya Deep Shrink)")
def deep_shrink(
    *, model: Model, block_number: Annotated[int, Range(1, 32, step=1)] = 3,
    downscale_factor: Annotated[float, Range(0.1, 9.0, step=0.001)] = 2.0, start_percent: Part = 0.0,
    end_percent: Part = 0.35, downscale_after_skip: bool = True, downscale_method: Annotated[str, Choice(RESIZES)],
    upscale_method: Annotated[str, Choice(RESIZES)],
) -> Model:
    """Find the layout of a large picture at a smaller size, so that its subject is not repeated.

    block_number: After which block of the encoder it is made smaller.
    end_percent: After this part of the way the network sees the full size.
    """
    return _with(model, DeepShrink(
        block_number, downscale_factor, start_percent, end_percent, downscale_after_skip, downscale_method,
        upscale_method,
    ))  # fmt: skip


@node("PerturbedAttentionGuidance", category=UNET)
def perturbed_attention(
    *, model: Model, scale: Annotated[float, Range(0.0, 100.0, step=0.01, round=0.01)] = 3.0
) -> Model:
    """Guide away from what the network sees without looking around. One more evaluation a step.

    scale: How strongly.
    """
    return _with(model, PerturbedAttention(scale))


@node(
    "SelfAttentionGuidance", category="_for_testing", display_name="Self-Attention Guidance", experimental=True
)
def self_attention_guidance(
    *, model: Model, scale: Annotated[float, Range(-2.0, 5.0, step=0.01)] = 0.5,
    blur_sigma: Annotated[float, Range(0.0, 10.0, step=0.1)] = 2.0,
) -> Model:
    """Guide away from a picture that is blurred where the network looks most. One more evaluation a step.

    scale: How strongly.
    blur_sigma: How far it is blurred.
    """
    return _with(model, Recording(), SelfAttentionGuidance(scale, blur_sigma))


@node("DifferentialDiffusion", category="_for_testing", display_name="Differential Diffusion", experimental=True)
def differential_diffusion(
    *, model: Model, strength: Annotated[float, Range(0.0, 1.0, step=0.01), Omittable()] = 1.0
) -> Model:
    """Let grey in a noise mask mean when: the brighter a place, the earlier it is painted anew.

    strength: Below 1, part of the mask as it is counts too.
    """
    return _with(model, DifferentialDiffusion(strength))


# -- weights ---------------------------------------------------------------------------------------------------------

UNET_PROJECTIONS = {"q": "to_q", "k": "to_k", "v": "to_v", "out": r"to_out\.0"}
CLIP_PROJECTIONS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "out_proj"}


def _multiplied(model: N, attention: str, projections: Mapping[str, str], factors: Mapping[str, float]) -> N:
    return _with(model, *(
        Multiply(rf".*\.{attention}\.{projections[name]}\.(weight|bias)", factor)
        for name, factor in factors.items() if factor != 1.0
    ))  # fmt: skip


@node("UNetSelfAttentionMultiply", category=ATTENTION, experimental=True)
def multiply_self_attention(
    *, model: Model, q: Factor = 1.0, k: Factor = 1.0, v: Factor = 1.0, out: Factor = 1.0
) -> Model:
    """Multiply the weights with which places of the picture look at each other."""
    return _multiplied(model, "attn1", UNET_PROJECTIONS, {"q": q, "k": k, "v": v, "out": out})


@node("UNetCrossAttentionMultiply", category=ATTENTION, experimental=True)
def multiply_cross_attention(
    *, model: Model, q: Factor = 1.0, k: Factor = 1.0, v: Factor = 1.0, out: Factor = 1.0
) -> Model:
    """Multiply the weights with which places of the picture look at the text."""
    return _multiplied(model, "attn2", UNET_PROJECTIONS, {"q": q, "k": k, "v": v, "out": out})


@node("CLIPAttentionMultiply", category=ATTENTION, experimental=True)
def multiply_text_attention(
    *, clip: Clip, q: Factor = 1.0, k: Factor = 1.0, v: Factor = 1.0, out: Factor = 1.0
) -> Clip:
    """Multiply the weights with which words look at each other."""
    return _multiplied(clip, "self_attn", CLIP_PROJECTIONS, {"q": q, "k": k, "v": v, "out": out})
