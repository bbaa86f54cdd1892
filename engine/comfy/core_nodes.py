"""Core nodes as the classes that packs import from ``nodes``: ``nodes.VAEDecode().decode(vae=…, samples=…)``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.comfy.convert import inwards, outwards
from engine.comfy.running import context_here
from engine.graph.node import Node, Ui
from engine.graph.schema import object_info

METHODS: Mapping[str, str] = {
    "KSampler": "sample", "KSamplerAdvanced": "sample", "VAEDecode": "decode", "VAEEncode": "encode",
    "CLIPTextEncode": "encode", "CLIPSetLastLayer": "set_last_layer", "CheckpointLoaderSimple": "load_checkpoint",
    "EmptyLatentImage": "generate", "EmptyImage": "generate", "LatentUpscale": "upscale", "ImageScale": "upscale",
    "LatentUpscaleBy": "upscale", "ImageScaleBy": "upscale", "ImageInvert": "invert", "ImageBatch": "batch",
    "SaveImage": "save_images", "PreviewImage": "save_images", "LoadImage": "load_image", "LoraLoader": "load_lora",
    "VAELoader": "load_vae", "ConditioningCombine": "combine", "ConditioningAverage": "addWeighted",
    "ConditioningConcat": "concat", "SetLatentNoiseMask": "set_mask",
}
"""What the method of each class is called; ``run`` for those that are not named."""


def core_class(impl: Node[..., Any], lister: Any) -> type:
    """A class that looks like the peer's and calls the core node."""
    spec = impl.spec
    name = METHODS.get(spec.class_type, "run")

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip([each.name for each in spec.inputs], args, strict=False)), **kwargs}
        arguments = {
            impl.parameters.get(key, key): inwards(value, each.kind if (each := spec.input(key)) else "*")
            for key, value in given.items()
        }
        for parameter in spec.hidden:
            arguments.setdefault(parameter, None)
        returned = impl.function(context_here(), **arguments) if impl.takes_context else impl.function(**arguments)
        if isinstance(returned, Ui):
            return {"ui": dict(returned.values), "result": tuple(map(outwards, returned.result))}
        several = isinstance(returned, tuple) and hasattr(returned, "_fields")
        return tuple(map(outwards, returned)) if several else (outwards(returned),)

    def input_types(cls: type) -> dict[str, Any]:
        sections: dict[str, Any] = object_info(spec, lister)["input"]
        return {
            section: {key: tuple(entry) if isinstance(entry, list) else entry for key, entry in entries.items()}
            for section, entries in sections.items()
        }

    return type(spec.class_type, (), {
        "INPUT_TYPES": classmethod(input_types), "RETURN_TYPES": tuple(each.kind for each in spec.outputs),
        "RETURN_NAMES": tuple(each.name for each in spec.outputs), "FUNCTION": name, "CATEGORY": spec.category,
        "OUTPUT_NODE": spec.output_node, "DESCRIPTION": spec.description, name: run,
    })
