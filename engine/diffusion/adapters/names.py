"""What adapter files call the modules of a network: one table from all their spellings to ours (models.md, 7.1).

Names with their dots flattened to underscores cannot be parsed back, so every module of the network is spelled in every
way and looked up.

>>> sorted(_text_spellings("transformer.encoder.layers.0.mlp.fc1"))[:2]
['base_model.model.text_model.encoder.layers.0.mlp.fc1', 'lora_te1_text_model_encoder_layers_0_mlp_fc1']
"""

import re
from collections.abc import Callable, Iterator, Mapping

from engine.diffusion.checkpoint import Weights
from engine.diffusion.keys import UNET_NAMINGS

TO_DIFFUSERS = UNET_NAMINGS[2]
TEXT_HEADS = (
    "lora_te_", "lora_te1_", "text_encoder.", "text_encoders.", "lycoris_text_model_", "text_model.",
    "base_model.model.text_model.", "base_model.model.encoder.",
)  # fmt: skip
OLD_PROCESSORS = re.compile(r"(?P<head>.*attn[12])\.to_(?P<part>q|k|v|out)(\.0)?")
OLD_TEXT = re.compile(r"(?P<head>.*self_attn)\.(?P<part>q|k|v|out)_proj")


def spellings(weights: Weights) -> dict[str, str]:
    """Every name that a file may have for a module of this network, to the module's own."""
    modules = dict.fromkeys(name.rpartition(".")[0] for name, _ in weights.mapping)
    spell = SPELLINGS.get(weights.component)
    return {alias: module for module in modules for alias in spell(module)} if spell else {}


def _unet_spellings(module: str) -> Iterator[str]:
    theirs = TO_DIFFUSERS.source(f"{module}.weight", {}).key.removesuffix(".weight")
    for path in (theirs, module):
        flat = path.replace(".", "_")
        yield f"lora_unet_{flat}"
        yield f"lycoris_{flat}"
        yield f"diffusion_model.{path}"
    paths = [theirs]
    if match := OLD_PROCESSORS.fullmatch(theirs):
        paths.append(f"{match['head']}.processor.to_{match['part']}_lora")
    for path in paths:
        yield path
        yield f"unet.{path}"
        yield f"base_model.model.{path}"


def _text_spellings(module: str) -> Iterator[str]:
    bare = module.removeprefix("transformer.")  # as transformers 5 has it; files keep the name from before
    path = f"text_model.{bare}"
    flat = path.replace(".", "_")
    yield f"lora_te_{flat}"
    yield f"lora_te1_{flat}"
    yield f"lycoris_{flat}"
    for tower in ("clip_l", "clip_h"):
        yield f"text_encoders.{tower}.transformer.{path}"
    paths = [path, bare]
    if match := OLD_TEXT.fullmatch(path):
        paths.append(f"{match['head']}.to_{match['part']}_lora")
    yield path
    for each in paths:
        yield f"text_encoder.{each}"
        yield f"base_model.model.{each}"


SPELLINGS: Mapping[str, Callable[[str], Iterator[str]]] = {"unet": _unet_spellings, "text": _text_spellings}


def belongs_to_text(key: str) -> bool:
    """Whether a file's key is meant for a text encoder, whichever it is."""
    return key.startswith(TEXT_HEADS)
