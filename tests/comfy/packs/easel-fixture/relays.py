"""A node for each socket type that looks at what it is given and hands on a copy of it, as packs make copies."""

from collections import Counter

import torch

passed = Counter()


def tensor(dims):
    return lambda value: isinstance(value, torch.Tensor) and value.dim() == dims and value.dtype == torch.float32


def vision(seen):
    return seen["image_embeds"] is seen.image_embeds and seen.penultimate_hidden_states.dim() == 3


SEES = {
    "IMAGE": tensor(4), "MASK": tensor(3), "SIGMAS": tensor(1),
    "LATENT": lambda value: type(value) is dict and value["samples"].dim() == 4,
    "CONDITIONING": lambda value: type(value) is list and all(
        states.dim() == 3 and about["pooled_output"].dim() == 2 for states, about in value),
    "MODEL": lambda value: value.model_size() > 0 and value.get_model_object("model_sampling").sigma_max > 1,
    "CLIP": lambda value: value.encode("a word").shape[1] == 77,
    "VAE": lambda value: value.decode(torch.zeros(1, 4, 2, 2)).shape == (1, 16, 16, 3),
    "CLIP_VISION": lambda value: vision(value.encode_image(torch.rand(1, 8, 8, 3))),
    "CLIP_VISION_OUTPUT": vision,
    "NOISE": lambda value: value.generate_noise({"samples": torch.zeros(1, 4, 2, 2)}).shape == (1, 4, 2, 2),
    "LATENT_OPERATION": lambda value: value(latent=torch.ones(1, 4, 2, 2)).shape == (1, 4, 2, 2),
    "TIMESTEPS_RANGE": lambda value: type(value) is tuple and 0.0 <= value[0] < value[1] <= 1.0,
    "UPSCALE_MODEL": lambda value: value.scale == 2,
    "INT": lambda value: type(value) is int, "FLOAT": lambda value: type(value) is float,
    "STRING": lambda value: type(value) is str, "BOOLEAN": lambda value: type(value) is bool,
}
COPIES = {
    "IMAGE": torch.clone, "MASK": torch.clone, "SIGMAS": torch.clone, "LATENT": dict, "TIMESTEPS_RANGE": list,
    "CONDITIONING": lambda value: [[states, about.copy()] for states, about in value],
    "MODEL": lambda value: value.clone(), "CLIP": lambda value: value.clone(),
    "LATENT_OPERATION": lambda value: lambda latent: value(latent=latent),
}
KINDS = (
    *SEES, "SAMPLER", "GUIDER", "CONTROL_NET", "STYLE_MODEL", "GLIGEN", "HOOKS", "HOOK_KEYFRAMES", "DEPTH_MODEL",
    "SAFETY_CHECKER", "*",
)


def relay(kind):
    def run(self, value):
        assert SEES.get(kind, lambda value: value is not None)(value), (kind, value)
        passed[kind] += 1
        return (COPIES.get(kind, lambda value: value)(value),)

    name = "Anything" if kind == "*" else kind
    return type(f"Relay{name}", (), {
        "INPUT_TYPES": classmethod(lambda cls: {"required": {"value": (kind,)}}), "RETURN_TYPES": (kind,),
        "FUNCTION": "run", "CATEGORY": "fixture/relays", "run": run,
    })


class RelayCOMBO:
    """Its output is chosen from a list, as a pack gives a core node one of the core node's choices."""

    SAMPLERS = ["euler", "heun"]
    RETURN_TYPES, FUNCTION, CATEGORY = (SAMPLERS,), "run", "fixture/relays"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": (cls.SAMPLERS,)}}

    def run(self, value):
        passed["COMBO"] += 1
        return (value,)


class Mark:
    """Writes a key into a latent, or a condition, that no core node knows."""

    RETURN_TYPES, FUNCTION, CATEGORY = ("LATENT", "CONDITIONING"), "run", "fixture/relays"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"latent": ("LATENT",), "conditioning": ("CONDITIONING",)}}

    def run(self, latent, conditioning):
        return ({**latent, "mine": "kept"}, [[states, {**about, "mine": 7}] for states, about in conditioning])


class Marked:
    """Reads that key."""

    RETURN_TYPES, FUNCTION, CATEGORY, OUTPUT_NODE = (), "run", "fixture/relays", True

    @classmethod
    def INPUT_TYPES(cls):
        return {"optional": {"latent": ("LATENT",), "conditioning": ("CONDITIONING",)}}

    def run(self, latent=None, conditioning=None):
        return {"ui": {"text": [(latent or {}).get("mine"), *(about.get("mine") for _, about in conditioning or ())]}}


NODES = [*map(relay, KINDS), RelayCOMBO, Mark, Marked]
