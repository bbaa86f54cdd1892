"""What packs put on a MODEL, translated to Easel's patches: ``model_options`` as the peer keeps them, and back.

The functions are the pack's; where they are called, with what, is told in the names of the peer (0.3.64). A model that
goes through several pack nodes carries one ``PackNetwork`` and one ``PackGuidance`` with all that they set.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.adapters.patches import Difference
from engine.diffusion.checkpoint import Weights
from engine.diffusion.guiders import GuidanceHooks, GuidancePatch, Guided, answered
from engine.diffusion.hooks import NO_HOOKS, Apply, Hooks, NetworkPatch, Pass, Place, Run, Site
from engine.diffusion.process import Process

OWN = "transformer_options"
ROLES = {"positive": 0, "negative": 1}  # what the peer calls cond_or_uncond; further lists count as positive
GUIDANCE = (
    "sampler_cfg_function", "sampler_pre_cfg_function", "sampler_post_cfg_function", "denoise_mask_function",
    "disable_cfg1_optimization", "model_function_wrapper",
)
KNOWN = frozenset((OWN, *GUIDANCE))
"""The keys of ``model_options`` that mean something; others are refused by name."""


@dataclass(frozen=True, eq=False)
class PackNetwork(NetworkPatch):
    """What the ``model_options`` that packs set mean for the network."""

    options: Mapping[str, Any]

    def hooks(self, moment: Pass) -> Hooks:
        """The functions in ``transformer_options``."""
        own = self.options.get(OWN, {})
        patches, replaced = own.get("patches") or {}, own.get("patches_replace") or {}
        if not any(patches.values()) and not any(replaced.values()):
            return NO_HOOKS
        told = {**own, **_told(moment)}

        def all_of(name: str, adapt: Callable[..., Any]) -> tuple[Any, ...]:
            return tuple(partial(adapt, function, told) for function in patches.get(name, ()))

        def all_replaced(name: str) -> dict[Place, Any]:
            functions = replaced.get(name, {}).items()
            return {Place(*place): partial(_replace, function, told) for place, function in functions}

        return Hooks(
            attn1_input=all_of("attn1_patch", _inputs), attn1_replace=all_replaced("attn1"),
            attn1_output=all_of("attn1_output_patch", _attention_output), between=all_of("middle_patch", _block),
            attn2_input=all_of("attn2_patch", _inputs), attn2_replace=all_replaced("attn2"),
            attn2_output=all_of("attn2_output_patch", _attention_output),
            embedding=all_of("emb_patch", _embedding), input_block=all_of("input_block_patch", _block),
            input_block_after_skip=all_of("input_block_patch_after_skip", _block),
            middle_block=all_of("middle_block_patch", _block), output_block=all_of("output_block_patch", _skip),
        )

    def around(self, ask: Apply, x: Tensor, sigma: Tensor, inputs: Mapping[str, Any], run: Run | None) -> Tensor:
        """The pack's function around the network, if there is one."""
        wrapper = self.options.get("model_function_wrapper")
        if wrapper is None:
            return ask(x, sigma, inputs)
        roles = [ROLES.get(span.role, 0) for span in inputs.get("spans", ())]
        given = {"c_crossattn": inputs["context"], OWN: {**self.options.get(OWN, {}), "cond_or_uncond": roles}}
        names = {"concat": "c_concat", "y": "y"}
        given.update({names[name]: inputs[name] for name in names if name in inputs})

        def apply_model(x: Tensor, t: Tensor, **c: Any) -> Tensor:
            more = {name: c[theirs] for name, theirs in names.items() if c.get(theirs) is not None}
            return ask(x, t, {**inputs, "context": c["c_crossattn"], **more})

        answer: Tensor = wrapper(apply_model, {"input": x, "timestep": sigma, "c": given, "cond_or_uncond": roles})
        return answer


@dataclass(frozen=True, eq=False)
class PackGuidance(GuidancePatch):
    """What the ``model_options`` that packs set mean for guidance; their functions are given ``model`` as the model."""

    options: Mapping[str, Any]
    model: Any

    def hooks(self) -> GuidanceHooks:
        """The functions between sampler and network."""
        options = self.options
        combine, mask = options.get("sampler_cfg_function"), options.get("denoise_mask_function")
        before = options.get("sampler_pre_cfg_function") or ()
        after = options.get("sampler_post_cfg_function") or ()
        return GuidanceHooks(
            before=tuple(_before(self, each) for each in before),
            combine=answered(partial(self._combined, combine)) if combine else None,
            after=tuple(answered(partial(self._after, each)) for each in after),
            mask=(partial(self._mask, mask),) if mask else (),
            keeps_uncond=bool(options.get("disable_cfg1_optimization")),
        )

    def told(self, moment: Guided) -> dict[str, Any]:
        """What every function of guidance is given."""
        sigma = moment.sigma.reshape(-1).expand(moment.x.shape[0]).to(moment.x.device)
        return {
            "cond_scale": moment.cfg, "timestep": sigma, "sigma": sigma, "input": moment.x, "model": self.model,
            "model_options": self.options,
        }

    def _combined(self, function: Callable[[dict[str, Any]], Tensor], moment: Guided) -> Tensor:
        answer: Tensor = moment.x - function({
            **self.told(moment), "cond": moment.x - moment.cond, "uncond": moment.x - moment.uncond,
            "cond_denoised": moment.cond, "uncond_denoised": moment.uncond,
        })
        return answer

    def _after(self, function: Callable[[dict[str, Any]], Tensor], moment: Guided) -> Tensor:
        return function({
            **self.told(moment), "denoised": moment.denoised, "cond_denoised": moment.cond,
            "uncond_denoised": moment.uncond, "cond": moment.lists.get("positive"),
            "uncond": moment.lists.get("negative"),
        })

    def _mask(self, function: Callable[..., Tensor], mask: Tensor, sigma: Tensor, run: Run) -> Tensor:
        return function(sigma, mask, extra_options={"model": self.model, "sigmas": run.sigmas})


def _before(patch: PackGuidance, function: Callable[[dict[str, Any]], Any]) -> Any:
    def before(moment: Guided) -> Any:
        yield from ()
        lists = [moment.lists.get("positive"), moment.lists.get("negative")]
        cond, uncond = function({**patch.told(moment), "conds": lists, "conds_out": [moment.cond, moment.uncond]})
        return cond, uncond

    return before


# -- hooks with the peer's arguments -----------------------------------------------------------------------------


def _told(moment: Pass) -> dict[str, Any]:
    rows = moment.x.shape[0]
    return {
        "cond_or_uncond": [ROLES.get(span.role, 0) for span in moment.spans] or [0],
        "sigmas": moment.sigma.reshape(-1).expand(rows).to(moment.x.device),
        "sample_sigmas": moment.run.sigmas if moment.run is not None else None,
        "original_shape": list(moment.x.shape),
    }


def _place(told: Mapping[str, Any], site: Site) -> dict[str, Any]:
    return {**told, "block": (site.place.block, site.place.number)}


def _inside(told: Mapping[str, Any], site: Site, width: int, rows: int) -> dict[str, Any]:
    """What a function inside of attention is told; width is that of the queries."""
    return {
        **_place(told, site), "block_index": site.place.inner, "transformer_index": site.transformer,
        "n_heads": site.heads, "dim_head": width // max(1, site.heads), "attn_precision": None,
        "activations_shape": [rows, width, *site.size],
    }


def _inputs(
    function: Callable[..., Any], told: Mapping[str, Any], n: Tensor, context: Tensor, value: Tensor, site: Site
) -> tuple[Tensor, Tensor, Tensor]:
    n, context, value = function(n, context, value, _inside(told, site, n.shape[-1], n.shape[0]))
    return n, context, value


def _replace(
    function: Callable[..., Tensor], told: Mapping[str, Any], q: Tensor, k: Tensor, v: Tensor, site: Site
) -> Tensor:
    return function(q, k, v, _inside(told, site, q.shape[-1], q.shape[0]))


def _attention_output(function: Callable[..., Tensor], told: Mapping[str, Any], n: Tensor, site: Site) -> Tensor:
    return function(n, _inside(told, site, n.shape[-1], n.shape[0]))


def _block(function: Callable[..., Tensor], told: Mapping[str, Any], h: Tensor, site: Site) -> Tensor:
    return function(h, _place(told, site))


def _embedding(function: Callable[..., Tensor], told: Mapping[str, Any], emb: Tensor, site: Site) -> Tensor:
    return function(emb, None, _place(told, site))


def _skip(
    function: Callable[..., Any], told: Mapping[str, Any], h: Tensor, skip: Tensor, site: Site
) -> tuple[Tensor, Tensor]:
    h, skip = function(h, skip, _place(told, site))
    return h, skip


# -- weights -----------------------------------------------------------------------------------------------------


def difference(
    weights: Weights, patches: Mapping[Any, Any], strength: float, own: float, prefixes: Iterable[str]
) -> tuple[Difference | None, list[Any]]:
    """``add_patches`` as a patch of weights: weight · own + strength · difference; and the keys that fitted.

    Raises TypeError for patches of another form than a tensor to be added.
    """
    names = {name for name, _ in weights.mapping}
    found: dict[str, Tensor] = {}
    fitted = []
    for key, value in patches.items():
        name = next((str(key).removeprefix(prefix) for prefix in prefixes if str(key).startswith(prefix)), str(key))
        if name not in names:
            continue
        if isinstance(value, tuple | list) and len(value) == 2 and value[0] == "diff":
            value = value[1]
        if isinstance(value, tuple | list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, Tensor):
            raise TypeError(f"add_patches for {key}: a tensor to be added is wanted; found {type(value).__name__}")
        found[name] = value
        fitted.append(key)
    return (Difference(found, float(strength), float(own)) if found else None), fitted


# -- options -----------------------------------------------------------------------------------------------------


def copied(options: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``model_options`` whose dictionaries and lists can be changed by themselves."""

    def copy(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: copy(each) for key, each in value.items()}
        return list(value) if isinstance(value, list) else value

    made: dict[str, Any] = copy(dict(options))
    return made


def is_empty(options: Mapping[str, Any]) -> bool:
    """Whether nothing is set: keys with empty dictionaries and lists count as nothing."""
    return not any(not is_empty(each) if isinstance(each, Mapping) else each for each in options.values())


def three_or_one(function: Callable[..., Tensor]) -> Callable[[dict[str, Any]], Tensor]:
    """A cfg function in the older form, which takes (cond, uncond, cond_scale), in the newer one."""
    if len(inspect.signature(function).parameters) != 3:
        return function
    return lambda given: function(given["cond"], given["uncond"], given["cond_scale"])


class ModelSampling:
    """The noise levels of a model, as packs ask for them: ``get_model_object("model_sampling")``."""

    def __init__(self, table: Process) -> None:
        self.table = table
        self.sigma_min, self.sigma_max = torch.tensor(table.sigma_min), torch.tensor(table.sigma_max)

    def sigma(self, timestep: Tensor) -> Tensor:
        """The noise level at a timestep."""
        made: Tensor = self.table.sigma(timestep)
        return made

    def timestep(self, sigma: Tensor) -> Tensor:
        """The timestep of a noise level."""
        made: Tensor = self.table.timestep(sigma)
        return made

    def percent_to_sigma(self, percent: float) -> float:
        """The noise level at a part of the way, 0 being its beginning."""
        return float(self.table.percent_to_sigma(percent))


def model_of(table: Process) -> Any:
    """What functions of guidance are given as the model."""
    return SimpleNamespace(model_sampling=ModelSampling(table))


def split(patches: Iterable[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A model's patches without what packs set, and that, as ``model_options``."""
    every = tuple(patches)
    mine = [each for each in every if isinstance(each, PackNetwork)]
    rest = tuple(each for each in every if not isinstance(each, PackNetwork | PackGuidance))
    return rest, copied(mine[-1].options) if mine else {OWN: {}}
