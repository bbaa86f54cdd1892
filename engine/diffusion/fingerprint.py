"""Which family a file belongs to, read from the names and shapes of its tensors (models.md, 2.5)."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Shaped(Protocol):
    """A tensor of a file, of which the shape is known."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sides."""


class Fingerprint(NamedTuple):
    """What a UNet's shapes tell. `label` is the number of classes or the vector's width, 0 for none."""

    context_dim: int
    model_channels: int
    in_channels: int
    linear_projection: bool
    label: int


# Heads, eps or v, betas and scale are in no shape: they come with the family. Two families: the shapes cannot tell.
FINGERPRINTS: Mapping[Fingerprint, tuple[str, ...]] = {
    Fingerprint(768, 320, 4, False, 0): ("sd1",),
    Fingerprint(768, 320, 9, False, 0): ("sd1-inpaint",),
    Fingerprint(768, 320, 8, False, 0): ("instruct-pix2pix",),
    Fingerprint(1024, 320, 4, True, 0): ("sd2-base", "sd2-v"),
    Fingerprint(1024, 320, 5, True, 0): ("sd2-depth",),
    Fingerprint(1024, 320, 9, True, 0): ("sd2-inpaint",),
    Fingerprint(1024, 256, 7, True, 1000): ("sd2-x4",),
    Fingerprint(1024, 320, 4, True, 1536): ("sd2-unclip-l",),
    Fingerprint(1024, 320, 4, True, 2048): ("sd2-unclip-h",),
}

TEXT_FAMILIES: Mapping[int, str] = {768: "sd1", 1024: "sd2-base"}  # a text encoder alone, by its width
VISION_HEADS: Mapping[int, int] = {768: 12}  # heads of an image encoder by its width; all others have 16
OPEN_CLIP_VISION = (1280, 1664)  # widths of OpenCLIP's, which use the exact gelu; OpenAI's use x·σ(1.702x)
VAE_FAMILIES: Mapping[int, str] = {4: "sd1", 3: "sd2-x4"}  # an autoencoder alone, by its levels

# Whole models of other families: part of a key → its name. Refused by name.
OTHER_FAMILIES: Mapping[str, str] = {
    "conditioner.embedders.1.": "an SDXL checkpoint",
    "joint_blocks.": "a Stable Diffusion 3 checkpoint",
    "double_blocks.": "a Flux checkpoint",
}

# Files that are no checkpoint: part of a key → (what it is, where it belongs). The first match counts.
OTHER_KINDS: Mapping[str, tuple[str, str]] = {
    "lora_down.weight": ("a LoRA", "Put it in loras/ and use a LoRA loader."),
    "lora_A.weight": ("a LoRA", "Put it in loras/ and use a LoRA loader."),
    "_lora.down.weight": ("a LoRA", "Put it in loras/ and use a LoRA loader."),
    "hada_w1_a": ("a LoHa", "Put it in loras/ and use a LoRA loader."),
    "lokr_w1": ("a LoKr", "Put it in loras/ and use a LoRA loader."),
    "oft_blocks": ("an OFT", "Put it in loras/ and use a LoRA loader."),
    ".a1.weight": ("a GLoRA", "Put it in loras/ and use a LoRA loader."),
    "zero_convs.0.0.weight": ("a ControlNet", "Put it in controlnet/ and use a ControlNet loader."),
    "controlnet_cond_embedding.": ("a ControlNet", "Put it in controlnet/ and use a ControlNet loader."),
    "encoder.down.0.block.0.norm1.weight": ("a VAE alone", "Put it in vae/ and use a VAE loader."),
    "encoder.down_blocks.0.resnets.": ("a VAE alone", "Put it in vae/ and use a VAE loader."),
    "down_blocks.0.resnets.": ("a UNet alone", "Put it in diffusion_models/ and use a UNET loader."),
    "input_blocks.0.0.weight": ("a UNet alone", "Put it in diffusion_models/ and use a UNET loader."),
    "emb_params": ("a textual-inversion embedding", "Put it in embeddings/ and write embedding:NAME in a prompt."),
    "string_to_param": ("a textual-inversion embedding", "Put it in embeddings/ and write embedding:NAME in a prompt."),
    "text_model.encoder.layers.0.": ("a text encoder alone", "Put it in text_encoders/ and use a CLIP loader."),
    "transformer.resblocks.0.": ("a text encoder alone", "Put it in text_encoders/ and use a CLIP loader."),
    "concept_embeds": ("a safety checker", "Use the safety-checker loader."),
    "conv_first.weight": ("an image upscaler", "Put it in upscale_models/ and use an upscaler loader."),
    "RDB1.conv1": ("an image upscaler", "Put it in upscale_models/ and use an upscaler loader."),
}


def fingerprint(entries: Mapping[str, Shaped]) -> Fingerprint | None:
    """Read the UNet's fingerprint; `entries` have the UNet's prefix removed. None when a telling key is missing.

    The keys are the published ones or diffusers'.
    """
    first = entries.get("input_blocks.0.0.weight") or entries.get("conv_in.weight")
    text = next((e for name, e in sorted(entries.items()) if name.endswith("attn2.to_k.weight")), None)
    project = next((e for name, e in sorted(entries.items()) if name.endswith("proj_in.weight")), None)
    if first is None or text is None or project is None or len(first.shape) != 4 or len(text.shape) != 2:
        return None
    label = 0
    table = entries.get("label_emb.weight") or entries.get("class_embedding.weight")
    vector = entries.get("label_emb.0.0.weight") or entries.get("class_embedding.linear_1.weight")
    if table is not None:
        label = table.shape[0] if table.shape else 0
    elif vector is not None and len(vector.shape) == 2:
        label = vector.shape[1]
    return Fingerprint(text.shape[1], first.shape[0], first.shape[1], len(project.shape) == 2, label)


def other_kind(names: Mapping[str, Shaped]) -> tuple[str, str] | None:
    """What a file without a UNet is, and where it belongs; None when that cannot be told."""
    for part, kind in OTHER_KINDS.items():
        if any(part in name for name in names):
            return kind
    return None


def other_family(names: Mapping[str, Shaped]) -> str | None:
    """The name of a model family that is not supported, or None."""
    for part, family in OTHER_FAMILIES.items():
        if any(part in name for name in names):
            return family
    return None
