"""One node per socket type, between core nodes."""

import comfy.utils
import folder_paths

import nodes


def node(kind, touch):
    def run(self, value):
        return (touch(value),)

    return type(f"Touch{kind.title()}", (), {
        "INPUT_TYPES": classmethod(lambda cls: {"required": {"value": (kind,)}}), "RETURN_TYPES": (kind,),
        "FUNCTION": "run", "CATEGORY": "fixture", "run": run,
    })


def image(pixels):
    assert pixels.dim() == 4
    assert pixels.shape[-1] == 3
    return comfy.utils.common_upscale(pixels.movedim(-1, 1), 4, 4, "bilinear", "disabled").movedim(1, -1) * 0.5


def latent(samples):
    return {**samples, "samples": samples["samples"] + 1, "mine": "kept", "batch_index": [3]}


def conditioning(entries):
    return [[states, {**about, "strength": 0.5, "area": (8, 8, 0, 0), "mine": 7}] for states, about in entries]


def seen(entries):
    return [[states, {**about, "seen": sorted(about)}] for states, about in entries]


def model(patcher):
    copy = patcher.clone()
    assert copy is not patcher
    assert copy.is_clone(patcher)
    return copy


def patched(patcher):
    copy = patcher.clone()
    copy.add_object_patch("model_sampling", None)
    return copy


def optioned(patcher):
    copy = patcher.clone()
    copy.model_options["something_new"] = print
    return copy


class Save:
    RETURN_TYPES, FUNCTION, OUTPUT_NODE, CATEGORY = ("STRING",), "save", True, "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"images": ("IMAGE",)}}

    def save(self, images):
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            "deep/name", folder_paths.get_output_directory()
        )
        file = f"{name}_{counter:05}_.txt"
        with open(f"{folder}/{file}", "w") as out:  # noqa: PTH123
            out.write(str(tuple(images.shape)))
        return {"ui": {"images": [{"filename": file, "subfolder": subfolder, "type": "output"}]}, "result": (file,)}


class PickFiles:
    """Files are listed when the class is asked, as packs do it."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("STRING",), "run", "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        files = folder_paths.get_filename_list("loras")
        return {"required": {
            "lora": (files,), "or_none": (["None", *files],), "image": (["a.png"], {"image_upload": True}),
        }}

    def run(self, lora, or_none, image):
        return (f"{lora} {or_none} {image}",)


class UseCore:
    RETURN_TYPES, FUNCTION, CATEGORY = ("IMAGE", "INT"), "run", "fixture"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    def run(self, image):
        inverted = nodes.NODE_CLASS_MAPPINGS["ImageInvert"]().invert(image=image)[0]
        return (inverted, nodes.MAX_RESOLUTION)


TouchPatched = type("TouchPatched", (node("MODEL", patched),), {})
TouchOptioned = type("TouchOptioned", (node("MODEL", optioned),), {})
SeeConditioning = type("SeeConditioning", (node("CONDITIONING", seen),), {})
NODES = [
    node("IMAGE", image), node("MASK", lambda mask: 1 - mask), node("LATENT", latent),
    node("CLIP", lambda clip: clip.clone()), node("VAE", lambda vae: vae), node("SIGMAS", lambda sigmas: sigmas * 1),
    node("SAMPLER", lambda sampler: sampler), node("NOISE", lambda noise: noise), node("GUIDER", lambda guider: guider),
    node("CONDITIONING", conditioning), SeeConditioning, node("MODEL", model), TouchPatched, TouchOptioned,
    Save, UseCore, PickFiles,
]
