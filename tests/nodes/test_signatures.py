"""Names, order, defaults and ranges are ComfyUI's: they are the file format (reference: ComfyUI 0.3.64's nodes)."""

import pytest

from engine.graph.node import Files, Fixed
from engine.graph.registry import scan

SEED = (0, 0, 2**64 - 1, None)
TIME = {"temporal_size": (64, 8, 4096, 4), "temporal_overlap": (8, 4, 4096, 4)}
LATENT_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "bislerp")
IMAGE_METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")

# class → (category, shown as, inputs in order, outputs); an input is a socket, (default, least, most, step), a folder
# in brackets, or its choices
SPECS = {
    "KSamplerAdvanced": ("sampling", "KSampler (Advanced)", {
        "model": "MODEL", "add_noise": ("enable", "disable"), "noise_seed": SEED, "steps": (20, 1, 10000, None),
        "cfg": (8.0, 0.0, 100.0, 0.1), "sampler_name": "COMBO", "scheduler": "COMBO", "positive": "CONDITIONING",
        "negative": "CONDITIONING", "latent_image": "LATENT", "start_at_step": (0, 0, 10000, None),
        "end_at_step": (10000, 0, 10000, None), "return_with_leftover_noise": ("disable", "enable"),
    }, ("LATENT",)),
    "VAEDecodeTiled": ("_for_testing", "VAE Decode (Tiled)", {
        "samples": "LATENT", "vae": "VAE", "tile_size": (512, 64, 4096, 32), "overlap": (64, 0, 4096, 32), **TIME,
    }, ("IMAGE",)),
    "VAEEncodeTiled": ("_for_testing", "VAE Encode (Tiled)", {
        "pixels": "IMAGE", "vae": "VAE", "tile_size": (512, 64, 4096, 64), "overlap": (64, 0, 4096, 32), **TIME,
    }, ("LATENT",)),
    "LoadImageMask": ("mask", "Load Image (as Mask)", {
        "image": ["input"], "channel": ("alpha", "red", "green", "blue"),
    }, ("MASK",)),
    "LatentUpscaleBy": ("latent", "Upscale Latent By", {
        "samples": "LATENT", "upscale_method": LATENT_METHODS, "scale_by": (1.5, 0.01, 8.0, 0.01),
    }, ("LATENT",)),
    "ImageScaleBy": ("image/upscaling", "Upscale Image By", {
        "image": "IMAGE", "upscale_method": IMAGE_METHODS, "scale_by": (1.0, 0.01, 8.0, 0.01),
    }, ("IMAGE",)),
    "LatentFromBatch": ("latent/batch", "Latent From Batch", {
        "samples": "LATENT", "batch_index": (0, 0, 63, None), "length": (1, 1, 64, None),
    }, ("LATENT",)),
    "RepeatLatentBatch": ("latent/batch", "Repeat Latent Batch", {
        "samples": "LATENT", "amount": (1, 1, 64, None),
    }, ("LATENT",)),
    "SetLatentNoiseMask": ("latent/inpaint", "Set Latent Noise Mask", {
        "samples": "LATENT", "mask": "MASK",
    }, ("LATENT",)),
    "SaveLatent": ("_for_testing", "SaveLatent", {"samples": "LATENT", "filename_prefix": "STRING"}, ()),
    "LoadLatent": ("_for_testing", "LoadLatent", {"latent": ["latents"]}, ("LATENT",)),
    "CheckpointLoader": ("advanced/loaders", "Load Checkpoint With Config (DEPRECATED)", {
        "config_name": ["configs"], "ckpt_name": ["checkpoints"],
    }, ("MODEL", "CLIP", "VAE")),
    "DiffusersLoader": ("advanced/loaders/deprecated", "DiffusersLoader", {
        "model_path": ["diffusers"],
    }, ("MODEL", "CLIP", "VAE")),
    "UNETLoader": ("advanced/loaders", "Load Diffusion Model", {
        "unet_name": ["diffusion_models"], "weight_dtype": ("default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"),
    }, ("MODEL",)),
    "CLIPLoader": ("advanced/loaders", "Load CLIP", {
        "clip_name": ["text_encoders"],
        "type": ("stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv", "pixart", "cosmos",
                 "lumina2", "wan", "hidream", "chroma", "ace", "omnigen2", "qwen_image", "hunyuan_image"),
        "device": ("default", "cpu"),
    }, ("CLIP",)),
    "LoraLoader": ("loaders", "Load LoRA", {
        "model": "MODEL", "clip": "CLIP", "lora_name": ["loras"], "strength_model": (1.0, -100.0, 100.0, 0.01),
        "strength_clip": (1.0, -100.0, 100.0, 0.01),
    }, ("MODEL", "CLIP")),
    "LoraLoaderModelOnly": ("loaders", "LoraLoaderModelOnly", {
        "model": "MODEL", "lora_name": ["loras"], "strength_model": (1.0, -100.0, 100.0, 0.01),
    }, ("MODEL",)),
    "VAELoader": ("loaders", "Load VAE", {"vae_name": ["vae"]}, ("VAE",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def specs():
    return scan().specs


@pytest.mark.parametrize("name", list(SPECS))
def test_a_node_has_comfyuis_signature(name, specs):
    spec = specs[name]
    category, shown, inputs, outputs = SPECS[name]
    assert (spec.category, spec.display_name) == (category, shown)
    assert [each.name for each in spec.inputs] == list(inputs)
    assert tuple(each.kind for each in spec.outputs) == outputs
    for each in spec.inputs:
        match inputs[each.name]:
            case str(kind):
                assert each.kind == kind
            case [folder] if isinstance(inputs[each.name], list):
                assert each.choices == Files(folder, each.choices.upload)
            case (int() | float() as default, least, most, step):
                found = (each.default, each.minimum, each.maximum, each.step)
                assert found == (default, least, most, step)
            case choices:
                assert isinstance(each.choices, Fixed)
                assert each.choices.values == choices


def test_a_saved_latent_goes_into_a_folder_of_its_own(specs):
    spec = specs["SaveLatent"]
    assert spec.input("filename_prefix").default == "latents/ComfyUI"
    assert spec.hidden == {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"}
    assert spec.output_node


def test_the_place_of_a_text_encoder_is_optional_and_advanced(specs):
    device = specs["CLIPLoader"].input("device")
    assert not device.required
    assert device.options == {"advanced": True}
    assert specs["CheckpointLoader"].deprecated
