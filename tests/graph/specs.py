"""Specifications of a few ComfyUI nodes by hand, from the published signatures, for tests that need no torch."""

from __future__ import annotations

from typing import Any

from engine.graph.node import Files, Fixed, InputSpec, NodeSpec, OutputSpec

SAMPLERS = Fixed(("euler", "euler_ancestral", "dpmpp_2m", "dpmpp_sde"))
SCHEDULES = Fixed(("simple", "karras", "normal"))
UPSCALE = Fixed(("nearest-exact", "bilinear", "area", "bicubic", "bislerp"))
SEED = {"control_after_generate": True}


def link(name: str, kind: str, **more: Any) -> InputSpec:
    return InputSpec(name, kind, **more)


def whole(name: str, default: int, low: int = 0, high: int = 16384, **more: Any) -> InputSpec:
    return InputSpec(name, "INT", default=default, minimum=low, maximum=high, **more)


def real(name: str, default: float, **more: Any) -> InputSpec:
    return InputSpec(name, "FLOAT", default=default, **more)


def combo(name: str, choices: Fixed | Files, **more: Any) -> InputSpec:
    return InputSpec(name, "COMBO", choices=choices, **more)


def seed(name: str = "seed") -> InputSpec:
    return whole(name, 0, 0, 2**64 - 1, options=SEED)


def spec(class_type: str, inputs: list[InputSpec], outputs: str = "", **more: Any) -> NodeSpec:
    made = tuple(OutputSpec(kind, kind) for kind in outputs.split())
    return NodeSpec(class_type, class_type, inputs=tuple(inputs), outputs=made, **more)


SPECS: dict[str, NodeSpec] = {each.class_type: each for each in (
    spec("CheckpointLoaderSimple", [combo("ckpt_name", Files("checkpoints"))], "MODEL CLIP VAE"),
    spec("LoraLoader", [
        link("model", "MODEL"), link("clip", "CLIP"), combo("lora_name", Files("loras")),
        real("strength_model", 1.0), real("strength_clip", 1.0),
    ], "MODEL CLIP"),
    spec("CLIPTextEncode", [
        InputSpec("text", "STRING", options={"multiline": True, "dynamicPrompts": True}), link("clip", "CLIP"),
    ], "CONDITIONING"),
    spec("ConditioningCombine", [
        link("conditioning_1", "CONDITIONING"), link("conditioning_2", "CONDITIONING"),
    ], "CONDITIONING"),
    spec("KSampler", [
        link("model", "MODEL"), seed(), whole("steps", 20, 1, 10000), real("cfg", 8.0),
        combo("sampler_name", SAMPLERS), combo("scheduler", SCHEDULES), link("positive", "CONDITIONING"),
        link("negative", "CONDITIONING"), link("latent_image", "LATENT"), real("denoise", 1.0),
    ], "LATENT"),
    spec("KSamplerAdvanced", [
        link("model", "MODEL"), combo("add_noise", Fixed(("enable", "disable"))), seed("noise_seed"),
        whole("steps", 20, 1, 10000), real("cfg", 8.0), combo("sampler_name", SAMPLERS),
        combo("scheduler", SCHEDULES), link("positive", "CONDITIONING"), link("negative", "CONDITIONING"),
        link("latent_image", "LATENT"), whole("start_at_step", 0), whole("end_at_step", 10000),
        combo("return_with_leftover_noise", Fixed(("disable", "enable"))),
    ], "LATENT"),
    spec("SamplerCustom", [
        link("model", "MODEL"), InputSpec("add_noise", "BOOLEAN", default=True), seed("noise_seed"),
        real("cfg", 8.0), link("positive", "CONDITIONING"), link("negative", "CONDITIONING"),
        link("sampler", "SAMPLER"), link("sigmas", "SIGMAS"), link("latent_image", "LATENT"),
    ], "LATENT LATENT"),
    spec("EmptyLatentImage", [
        whole("width", 512, 16), whole("height", 512, 16), whole("batch_size", 1, 1, 4096),
    ], "LATENT"),
    spec("LatentUpscale", [
        link("samples", "LATENT"), combo("upscale_method", UPSCALE), whole("width", 512), whole("height", 512),
        combo("crop", Fixed(("disabled", "center"))),
    ], "LATENT"),
    spec("VAEDecode", [link("samples", "LATENT"), link("vae", "VAE")], "IMAGE"),
    spec("LoadImage", [combo("image", Files("input", "image"), options={"image_upload": True})], "IMAGE MASK"),
    spec("LoadImageMask", [
        combo("image", Files("input", "image"), options={"image_upload": True}),
        combo("channel", Fixed(("alpha", "red", "green", "blue"))),
    ], "MASK"),
    spec("SaveImage", [link("images", "IMAGE"), InputSpec("filename_prefix", "STRING", default="ComfyUI")],
         output_node=True),
    spec("PreviewImage", [link("images", "IMAGE")], output_node=True),
    spec("ImageScale", [
        link("image", "IMAGE"), combo("upscale_method", UPSCALE), whole("width", 512), whole("height", 512),
        combo("crop", Fixed(("disabled", "center"))),
    ], "IMAGE"),
    spec("PrimitiveInt", [whole("value", 0, -(2**63), 2**63 - 1, options=SEED)], "INT"),
    spec("Keyframes", [  # has a number that comes by wire only, and an optional field
        InputSpec("strengths", "FLOAT", default=-1.0, link_only=True), real("start", 0.0), real("stop", 1.0),
        InputSpec("note", "STRING", default="", required=False), link("mask", "MASK", required=False),
    ], "KEYS"),
    spec("SeededSwitch", [seed(), InputSpec("on", "BOOLEAN", default=False), whole("count", 3)], "INT"),
    spec("Curve", [InputSpec("points", "COMBO", choices=Fixed(("a",))), link("any", "*", required=False)], "*"),
)}
