"""MODEL, CLIP, VAE and CLIP_VISION as packs know them. What the engine cannot do raises ``UnsupportedError``.

Easel's own values are descriptions; a façade holds one, and its methods return new façades (``clone``) or run the
network through the context of the running node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch

from engine.comfy.patches import (
    KNOWN,
    PackGuidance,
    PackNetwork,
    copied,
    difference,
    is_empty,
    model_of,
    split,
    three_or_one,
)
from engine.comfy.running import context_here
from engine.diffusion.schedules import patched_process
from engine.diffusion.text import encode, tokenizer
from engine.diffusion.tiling import decode_tiled, encode_tiled
from engine.diffusion.vision import encode_images
from engine.graph.types import Clip, ClipVision, ClipVisionOutput, Model, Vae


class UnsupportedError(NotImplementedError):
    """A pack asked for something that Easel does not do (yet)."""


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(
            f"this pack calls {what}, which Easel cannot do for packs yet; use a core node, or leave the node out"
        )

    return refuse


def _setter(name: str) -> Callable[..., None]:
    def setter(self: ModelFacade, patch: Any) -> None:
        self.set_model_patch(patch, name)

    return setter


def _inside(given: Any, facade: type[Any], socket: str) -> Any:
    """The value in a façade. Raises TypeError for what is none."""
    if not isinstance(given, facade):
        clone = ", or its clone" if hasattr(facade, "clone") else ""
        raise TypeError(f"a {socket} is what came in as {socket}{clone}; the node returned {type(given).__name__}")
    return given._value


class ModelFacade:
    """A MODEL: it can be cloned, looked at, patched and handed on. ``model_options`` may be changed as in the peer."""

    def __init__(self, value: Model) -> None:
        rest, self.model_options = split(value.patches)
        self._value = value if len(rest) == len(value.patches) else replace(value, patches=rest)
        self.load_device = self.offload_device = torch.device("cpu")

    @staticmethod
    def value_of(given: Any) -> Model:
        """The value inside, with what was set as patches. Raises TypeError for what is no façade or no option.

        UnsupportedError names options that Easel does not know.
        """
        value: Model = _inside(given, ModelFacade, "MODEL")
        options = copied(given.model_options)
        unknown = sorted(key for key, value in options.items() if key not in KNOWN and value)
        if unknown:
            raise UnsupportedError(f"this pack sets model_options ({', '.join(unknown)}), which Easel cannot run")
        if is_empty(options):
            return value
        table = patched_process(value.config.schedule, value.patches)
        added = (PackNetwork(options), PackGuidance(options, model_of(table)))
        return replace(value, patches=(*value.patches, *added))

    def clone(self) -> ModelFacade:
        """A copy that can be changed by itself."""
        copy = ModelFacade(self._value)
        copy.model_options = copied(self.model_options)
        return copy

    def is_clone(self, other: Any) -> bool:
        """Whether another façade stands for the same weights."""
        return isinstance(other, ModelFacade) and other._value.weights == self._value.weights

    def model_size(self) -> int:
        """The size of the weights' file in bytes."""
        return self._value.weights.path.stat().st_size

    @property
    def model(self) -> Any:
        """What can be looked at of the network."""
        return model_of(patched_process(self._value.config.schedule, self._value.patches))

    def get_model_object(self, name: str) -> Any:
        """A part of the model: its noise levels; others are not handed out."""
        if name == "model_sampling":
            return self.model.model_sampling
        raise UnsupportedError(f"this pack asks for {name!r} of a model, which Easel does not hand out to packs")

    # -- weights -------------------------------------------------------------------------------------------------

    def add_patches(self, patches: Any, strength_patch: float = 1.0, strength_model: float = 1.0) -> list[Any]:
        """Add tensors to weights, by the peer's names; gives the keys that fitted."""
        made, fitted = difference(
            self._value.weights, patches, strength_patch, strength_model, ("diffusion_model.", "model.diffusion_model.")
        )
        if made is not None:
            self._value = replace(self._value, patches=(*self._value.patches, made))
        return fitted

    # -- functions inside the network ----------------------------------------------------------------------------

    def set_model_patch(self, patch: Any, name: str) -> None:
        """Have a function called at a place inside the network."""
        self._own().setdefault("patches", {}).setdefault(name, []).append(patch)

    def set_model_patch_replace(
        self, patch: Any, name: str, block_name: str, number: int, transformer_index: int | None = None
    ) -> None:
        """Have a function called in the place of an attention."""
        place = (block_name, number) if transformer_index is None else (block_name, number, transformer_index)
        self._own().setdefault("patches_replace", {}).setdefault(name, {})[place] = patch

    def set_model_attn1_replace(
        self, patch: Any, block_name: str, number: int, transformer_index: int | None = None
    ) -> None:
        """Have a function called in the place of a self-attention."""
        self.set_model_patch_replace(patch, "attn1", block_name, number, transformer_index)

    def set_model_attn2_replace(
        self, patch: Any, block_name: str, number: int, transformer_index: int | None = None
    ) -> None:
        """Have a function called in the place of an attention over the text."""
        self.set_model_patch_replace(patch, "attn2", block_name, number, transformer_index)

    set_model_attn1_patch = _setter("attn1_patch")
    set_model_attn2_patch = _setter("attn2_patch")
    set_model_attn1_output_patch = _setter("attn1_output_patch")
    set_model_attn2_output_patch = _setter("attn2_output_patch")
    set_model_input_block_patch = _setter("input_block_patch")
    set_model_input_block_patch_after_skip = _setter("input_block_patch_after_skip")
    set_model_output_block_patch = _setter("output_block_patch")
    set_model_emb_patch = _setter("emb_patch")

    # -- functions around the network ----------------------------------------------------------------------------

    def set_model_sampler_cfg_function(self, function: Any, disable_cfg1_optimization: bool = False) -> None:
        """Have a function combine the two guesses; it may take one dictionary or (cond, uncond, cond_scale)."""
        self.model_options["sampler_cfg_function"] = three_or_one(function)
        self._disable_cfg1(disable_cfg1_optimization)

    def set_model_sampler_post_cfg_function(self, function: Any, disable_cfg1_optimization: bool = False) -> None:
        """Have a function change the combined guess."""
        self.model_options["sampler_post_cfg_function"] = [*self._functions("sampler_post_cfg_function"), function]
        self._disable_cfg1(disable_cfg1_optimization)

    def set_model_sampler_pre_cfg_function(self, function: Any, disable_cfg1_optimization: bool = False) -> None:
        """Have a function change the two guesses before they are combined."""
        self.model_options["sampler_pre_cfg_function"] = [*self._functions("sampler_pre_cfg_function"), function]
        self._disable_cfg1(disable_cfg1_optimization)

    def set_model_unet_function_wrapper(self, function: Any) -> None:
        """Have a function called around the network."""
        self.model_options["model_function_wrapper"] = function

    def set_model_denoise_mask_function(self, function: Any) -> None:
        """Have a function change the noise mask from step to step."""
        self.model_options["denoise_mask_function"] = function

    def _own(self) -> dict[str, Any]:
        own: dict[str, Any] = self.model_options.setdefault("transformer_options", {})
        return own

    def _functions(self, name: str) -> list[Any]:
        return list(self.model_options.get(name) or ())

    def _disable_cfg1(self, disable: bool) -> None:
        if disable:
            self.model_options["disable_cfg1_optimization"] = True

    add_object_patch = _refuse("add_object_patch")
    add_wrapper_with_key = _refuse("add_wrapper_with_key")


class Tokens(dict[str, Any]):
    """What ``tokenize`` gives: tokens with weights by encoder, and the text they came from."""

    def __init__(self, text: str) -> None:
        super().__init__(l=text)
        self.text = text


class ClipFacade:
    """A CLIP: tokenize, encode, choose the layer."""

    def __init__(self, value: Clip) -> None:
        self._value = value
        self.layer_idx = value.stop_at

    @staticmethod
    def value_of(given: Any) -> Clip:
        """The value inside. Raises TypeError for what is no façade."""
        value: Clip = _inside(given, ClipFacade, "CLIP")
        return value

    def clone(self) -> ClipFacade:
        """A copy that can be changed by itself."""
        return ClipFacade(self._value)

    def clip_layer(self, layer_idx: int) -> None:
        """Read the encoder at a layer, counted from the end."""
        self._value = replace(self._value, stop_at=layer_idx)
        self.layer_idx = layer_idx

    def tokenize(self, text: str, return_word_ids: bool = False, **kwargs: Any) -> Tokens:
        """Prepare a text for the encoder."""
        return Tokens(text)

    def encode_from_tokens(self, tokens: Any, return_pooled: Any = False, return_dict: bool = False) -> Any:
        """Encode: the states (1, tokens, width), and the pooled state or a dictionary where asked for."""
        if not isinstance(tokens, Tokens):
            raise UnsupportedError("this pack makes tokens of its own; Easel encodes what clip.tokenize(text) returned")
        layer = -self._value.stop_at if self._value.stop_at is not None else None
        encoder = context_here().text_encoder(self._value)
        made = encode(encoder, tokenizer(), tokens.text, self._value.config.text, layer)
        if return_dict:
            return {"cond": made.states, "pooled_output": made.pooled}
        return (made.states, made.pooled) if return_pooled else made.states

    def encode_from_tokens_scheduled(self, tokens: Any, add_dict: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Encode to a conditioning list."""
        made = self.encode_from_tokens(tokens, return_dict=True)
        return [[made.pop("cond"), {**made, **(add_dict or {})}]]

    def encode(self, text: str) -> Any:
        """Encode a text to its states."""
        return self.encode_from_tokens(self.tokenize(text))

    def add_patches(self, patches: Any, strength_patch: float = 1.0, strength_model: float = 1.0) -> list[Any]:
        """Add tensors to weights, by the peer's names; gives the keys that fitted."""
        prefixes = ("clip_l.transformer.", "clip_h.transformer.", "cond_stage_model.transformer.")
        made, fitted = difference(self._value.weights, patches, strength_patch, strength_model, prefixes)
        if made is not None:
            self._value = replace(self._value, patches=(*self._value.patches, made))
        return fitted

    load_sd = _refuse("load_sd on a CLIP")
    get_sd = _refuse("get_sd on a CLIP")


class ClipVisionOutputFacade:
    """What an image encoder saw; its parts are attributes, and items by the same names."""

    def __init__(self, value: ClipVisionOutput) -> None:
        for each in fields(ClipVisionOutput):
            setattr(self, each.name, getattr(value, each.name))

    def __getitem__(self, name: str) -> Any:
        """A part by its name."""
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        """Set a part by its name."""
        setattr(self, name, value)

    @staticmethod
    def value_of(given: Any) -> ClipVisionOutput:
        """The parts of anything that has them. Raises TypeError that names those that are missing."""
        parts: dict[str, Any] = {each.name: getattr(given, each.name, None) for each in fields(ClipVisionOutput)}
        missing = [name for name, part in parts.items() if not isinstance(part, torch.Tensor)]
        if missing:
            raise TypeError(
                f"a CLIP_VISION_OUTPUT has the tensors {', '.join(parts)};"
                f" the node returned {type(given).__name__} without {', '.join(missing)}"
            )
        return ClipVisionOutput(**parts)


class ClipVisionFacade:
    """A CLIP_VISION: it encodes pictures."""

    def __init__(self, value: ClipVision) -> None:
        self._value = value

    @staticmethod
    def value_of(given: Any) -> ClipVision:
        """The value inside. Raises TypeError for what is no façade."""
        value: ClipVision = _inside(given, ClipVisionFacade, "CLIP_VISION")
        return value

    def encode_image(self, image: torch.Tensor, crop: bool | str = True) -> ClipVisionOutputFacade:
        """Encode pictures (batch, h, w, c); the middle is cut out, or with ``crop`` False the whole squeezed."""
        network = context_here().companion(self._value.weights)
        seen = encode_images(network, image, crop=crop not in (False, "none"))
        return ClipVisionOutputFacade(ClipVisionOutput(seen.embeds, seen.last, seen.penultimate))

    get_sd = _refuse("get_sd on a CLIP_VISION")


class VaeFacade:
    """A VAE: encode and decode."""

    downscale_ratio = 8
    latent_channels = 4

    def __init__(self, value: Vae) -> None:
        self._value = value

    @staticmethod
    def value_of(given: Any) -> Vae:
        """The value inside. Raises TypeError for what is no façade."""
        value: Vae = _inside(given, VaeFacade, "VAE")
        return value

    def decode(self, samples: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Latents (batch, 4, h, w) to pictures (batch, 8 h, 8 w, 3)."""
        pictures: torch.Tensor = context_here().decode(self._value, samples)
        return pictures

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pictures (batch, h, w, 3 or more) to latents (batch, 4, h / 8, w / 8)."""
        latent: torch.Tensor = context_here().encode(self._value, pixels[..., :3])
        return latent

    def spacial_compression_encode(self) -> int:
        """Picture pixels per latent pixel."""
        return self.downscale_ratio

    spacial_compression_decode = spacial_compression_encode

    def decode_tiled(
        self, samples: torch.Tensor, tile_x: int | None = None, tile_y: int | None = None, overlap: int | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Decode piece by piece; sizes in latent elements. Pieces are square: the smaller side counts."""
        tile = min(each or 64 for each in (tile_x, tile_y))
        network = context_here().autoencoder(self._value)
        return decode_tiled(network, samples, tile=tile, overlap=16 if overlap is None else overlap)

    def encode_tiled(
        self, pixel_samples: torch.Tensor, tile_x: int | None = None, tile_y: int | None = None,
        overlap: int | None = None, **kwargs: Any,
    ) -> torch.Tensor:
        """Encode piece by piece; sizes in pixels. Pieces are square: the smaller side counts."""
        tile = min(each or 512 for each in (tile_x, tile_y))
        network = context_here().autoencoder(self._value)
        return encode_tiled(network, pixel_samples[..., :3], tile=tile, overlap=64 if overlap is None else overlap)

    get_sd = _refuse("get_sd on a VAE")
