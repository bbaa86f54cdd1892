"""MODEL, CLIP and VAE as packs know them. What the engine cannot do raises ``UnsupportedError``, which says so.

Easel's own values are descriptions; a façade holds one, and its methods return new façades (``clone``) or run the
network through the context of the running node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from engine.comfy.running import context_here
from engine.diffusion import vae as autoencoder
from engine.diffusion.text import encode, tokenizer
from engine.graph.types import Clip, Model, Vae


class UnsupportedError(NotImplementedError):
    """A pack asked for something that Easel does not do (yet)."""


def _refuse(what: str) -> Callable[..., Any]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(
            f"this pack calls {what}, which Easel cannot do for packs yet; use a core node, or leave the node out"
        )

    return refuse


class ModelFacade:
    """A MODEL: it can be cloned, looked at and handed on; patches to the running network are refused by name."""

    def __init__(self, value: Model) -> None:
        self._value = value
        self.model_options: dict[str, Any] = {"transformer_options": {}}
        self.load_device = self.offload_device = torch.device("cpu")

    @staticmethod
    def value_of(given: Any) -> Model:
        """The value inside. Raises TypeError for what is no façade, UnsupportedError if options were set on it."""
        if not isinstance(given, ModelFacade):
            raise TypeError(f"a MODEL is what came in as MODEL, or its clone; the node returned {type(given).__name__}")
        set_options = {key for key, value in given.model_options.items() if value}
        if set_options:
            raise UnsupportedError(
                f"this pack sets model_options ({', '.join(sorted(set_options))}), which Easel cannot run for packs yet"
            )
        return given._value

    def clone(self) -> ModelFacade:
        """A copy that can be changed by itself."""
        return ModelFacade(self._value)

    def is_clone(self, other: Any) -> bool:
        """Whether another façade stands for the same weights."""
        return isinstance(other, ModelFacade) and other._value.weights == self._value.weights

    def model_size(self) -> int:
        """The size of the weights' file in bytes."""
        return self._value.weights.path.stat().st_size

    def get_model_object(self, name: str) -> Any:
        """Parts of the network are not handed out."""
        raise UnsupportedError(f"this pack asks for {name!r} of a model, which Easel does not hand out to packs")

    add_patches = _refuse("add_patches")
    add_object_patch = _refuse("add_object_patch")
    add_wrapper_with_key = _refuse("add_wrapper_with_key")
    set_model_patch = _refuse("set_model_patch")
    set_model_patch_replace = _refuse("set_model_patch_replace")
    set_model_sampler_cfg_function = _refuse("set_model_sampler_cfg_function")
    set_model_sampler_post_cfg_function = _refuse("set_model_sampler_post_cfg_function")
    set_model_sampler_pre_cfg_function = _refuse("set_model_sampler_pre_cfg_function")
    set_model_unet_function_wrapper = _refuse("set_model_unet_function_wrapper")
    set_model_denoise_mask_function = _refuse("set_model_denoise_mask_function")
    set_model_attn1_patch = _refuse("set_model_attn1_patch")
    set_model_attn2_patch = _refuse("set_model_attn2_patch")
    set_model_attn1_replace = _refuse("set_model_attn1_replace")
    set_model_attn2_replace = _refuse("set_model_attn2_replace")
    set_model_attn1_output_patch = _refuse("set_model_attn1_output_patch")
    set_model_attn2_output_patch = _refuse("set_model_attn2_output_patch")
    set_model_input_block_patch = _refuse("set_model_input_block_patch")
    set_model_input_block_patch_after_skip = _refuse("set_model_input_block_patch_after_skip")
    set_model_output_block_patch = _refuse("set_model_output_block_patch")


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
        if not isinstance(given, ClipFacade):
            raise TypeError(f"a CLIP is what came in as CLIP, or its clone; the node returned {type(given).__name__}")
        return given._value

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

    add_patches = _refuse("add_patches on a CLIP")
    load_sd = _refuse("load_sd on a CLIP")
    get_sd = _refuse("get_sd on a CLIP")


class VaeFacade:
    """A VAE: encode and decode."""

    downscale_ratio = 8
    latent_channels = 4

    def __init__(self, value: Vae) -> None:
        self._value = value

    @staticmethod
    def value_of(given: Any) -> Vae:
        """The value inside. Raises TypeError for what is no façade."""
        if not isinstance(given, VaeFacade):
            raise TypeError(f"a VAE is what came in as VAE; the node returned {type(given).__name__}")
        return given._value

    def decode(self, samples: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Latents (batch, 4, h, w) to pictures (batch, 8 h, 8 w, 3)."""
        return autoencoder.decode(context_here().autoencoder(self._value), samples)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pictures (batch, h, w, 3 or more) to latents (batch, 4, h / 8, w / 8)."""
        return autoencoder.encode(context_here().autoencoder(self._value), pixels[..., :3])

    def spacial_compression_encode(self) -> int:
        """Picture pixels per latent pixel."""
        return self.downscale_ratio

    spacial_compression_decode = spacial_compression_encode
    decode_tiled = _refuse("decode_tiled")
    encode_tiled = _refuse("encode_tiled")
    get_sd = _refuse("get_sd on a VAE")
