"""The samplers as a table. A sampler is a generator: it yields `Evaluate(x, sigma)` and receives a `Guess`.

Whoever drives it owns progress, guidance, batching and cancelling.

>>> SAMPLERS["euler"].noise
'none'
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from engine.diffusion.noise import brownian_noise, default_noise, following_noise
from engine.diffusion.process import Process
from engine.diffusion.solvers import multistep, predictor_corrector, several_calls, single_call, stochastic
from engine.diffusion.solvers.steps import Evaluate, Guess, Steps
from engine.diffusion.transfer import sent

__all__ = [
    "SAMPLERS", "SAMPLER_NAMES", "Draws", "Evaluate", "Guess", "SamplerError", "SamplerRow", "Steps", "sampler_row",
    "start_sampler",
]  # fmt: skip

NoiseKind = Literal["none", "default", "following", "brownian", "run"]


class Draws(NamedTuple):
    """What a sampler that makes its noise itself is given: the run's seed and its generator."""

    seed: int
    generator: torch.Generator | None


class SamplerError(ValueError):
    """An unknown sampler, or a schedule that a sampler cannot walk; the message names what can be."""


@dataclass(frozen=True)
class SamplerRow:
    """What the rest of the engine must know about a sampler.

    function: takes (x, sigmas), then a noise source unless `noise` is "none", then the tables if `needs_table`, then
    the run's `Draws` if `needs_draws`.
    noise: "default", "following" and "brownian" are `noise.Noise`s; "run" draws like a tensor from the run's generator.
    needs_uncond: it uses the unconditional prediction, so the shortcut at cfg 1 is off (CFG++).
    drops_penultimate: KSampler leaves out the last sigma above 0.
    inpaint_noise: which noise fills the kept area of a masked run: the initial one, or a fresh draw.
    schedules: the only schedules it can walk; empty for all.
    starts_from_noise: a whole run starts from noise of variance 1 + sigma², whatever its first sigma (the original
    scripts).
    options: the numbers it can be given besides, by name. changes_size: its latents grow on the way.
    listed: it stands in menus; others are reached through nodes of their own.
    """

    name: str
    function: Callable[..., Steps]
    noise: NoiseKind = "none"
    needs_uncond: bool = False
    drops_penultimate: bool = False
    inpaint_noise: Literal["initial", "fresh"] = "initial"
    needs_table: bool = False
    needs_draws: bool = False
    schedules: tuple[str, ...] = ()
    starts_from_noise: bool = False
    options: tuple[str, ...] = ()
    changes_size: bool = False
    listed: bool = True


ETA = ("eta", "s_noise")
DPM_ADAPTIVE = ("order", "rtol", "atol", "h_init", "pcoeff", "icoeff", "dcoeff", "accept_safety", *ETA)
SA_SOLVER = (
    "eta", "sde_start_percent", "sde_end_percent", "s_noise", "predictor_order", "corrector_order", "use_pece",
    "simple_order_2",
)

_ROWS = (  # in ComfyUI's order; native ones last
    SamplerRow("euler", single_call.euler),
    SamplerRow("euler_cfg_pp", single_call.euler_cfg_pp, needs_uncond=True),
    SamplerRow("euler_ancestral", single_call.euler_ancestral, "default", options=ETA),
    SamplerRow("euler_ancestral_cfg_pp", single_call.euler_ancestral_cfg_pp, "default", needs_uncond=True, options=ETA),
    SamplerRow("heun", several_calls.heun),
    SamplerRow("heunpp2", several_calls.heunpp2),
    SamplerRow("dpm_2", several_calls.dpm_2, drops_penultimate=True),
    SamplerRow("dpm_2_ancestral", several_calls.dpm_2_ancestral, "default", drops_penultimate=True, options=ETA),
    SamplerRow("lms", single_call.lms, options=("order",)),
    SamplerRow("dpm_fast", several_calls.dpm_fast),
    SamplerRow("dpm_adaptive", several_calls.dpm_adaptive, "default", options=DPM_ADAPTIVE),
    SamplerRow("dpmpp_2s_ancestral", several_calls.dpmpp_2s_ancestral, "default", options=ETA),
    SamplerRow(
        "dpmpp_2s_ancestral_cfg_pp", several_calls.dpmpp_2s_ancestral_cfg_pp, "default", needs_uncond=True, options=ETA
    ),
    SamplerRow("dpmpp_sde", several_calls.dpmpp_sde, "brownian", options=(*ETA, "r")),
    SamplerRow("dpmpp_sde_gpu", several_calls.dpmpp_sde, "brownian", options=(*ETA, "r")),
    SamplerRow("dpmpp_2m", multistep.dpmpp_2m),
    SamplerRow("dpmpp_2m_cfg_pp", multistep.dpmpp_2m_cfg_pp, needs_uncond=True),
    SamplerRow("dpmpp_2m_sde", stochastic.dpmpp_2m_sde, "brownian", options=ETA),
    SamplerRow("dpmpp_2m_sde_gpu", stochastic.dpmpp_2m_sde, "brownian", options=ETA),
    SamplerRow("dpmpp_2m_sde_heun", stochastic.dpmpp_2m_sde_heun, "brownian", options=ETA),
    SamplerRow("dpmpp_2m_sde_heun_gpu", stochastic.dpmpp_2m_sde_heun, "brownian", options=ETA),
    SamplerRow("dpmpp_3m_sde", stochastic.dpmpp_3m_sde, "brownian", options=ETA),
    SamplerRow("dpmpp_3m_sde_gpu", stochastic.dpmpp_3m_sde, "brownian", options=ETA),
    SamplerRow("ddpm", single_call.ddpm, "default"),
    SamplerRow("lcm", single_call.lcm, "default"),
    SamplerRow("ipndm", multistep.ipndm),
    SamplerRow("ipndm_v", multistep.ipndm_v),
    SamplerRow("deis", multistep.deis),
    SamplerRow("res_multistep", stochastic.res_multistep, "default"),
    SamplerRow("res_multistep_cfg_pp", stochastic.res_multistep_cfg_pp, "default", needs_uncond=True),
    SamplerRow("res_multistep_ancestral", stochastic.res_multistep_ancestral, "default"),
    SamplerRow(
        "res_multistep_ancestral_cfg_pp", stochastic.res_multistep_ancestral_cfg_pp, "default", needs_uncond=True
    ),
    SamplerRow("gradient_estimation", single_call.gradient_estimation),
    SamplerRow("gradient_estimation_cfg_pp", single_call.gradient_estimation_cfg_pp, needs_uncond=True),
    SamplerRow("er_sde", stochastic.er_sde, "default", options=("s_noise", "max_stage", "power")),
    SamplerRow("seeds_2", several_calls.seeds_2, "default", options=(*ETA, "r")),
    SamplerRow("seeds_3", several_calls.seeds_3, "default"),
    SamplerRow("sa_solver", predictor_corrector.sa_solver, "default", needs_table=True, options=SA_SOLVER),
    SamplerRow("sa_solver_pece", predictor_corrector.sa_solver_pece, "default", needs_table=True),
    SamplerRow("ddim", single_call.euler, inpaint_noise="fresh"),
    SamplerRow("uni_pc", predictor_corrector.uni_pc, drops_penultimate=True),
    SamplerRow("uni_pc_bh2", predictor_corrector.uni_pc_bh2, drops_penultimate=True),
    SamplerRow("plms", single_call.plms, schedules=("leading",), starts_from_noise=True),
    SamplerRow(
        "ddim_original", single_call.ddim_original, "following", schedules=("leading",), starts_from_noise=True,
        options=("eta",),
    ),
    SamplerRow("euler_cfg_pp_alternative", single_call.euler_cfg_pp_alternative, needs_uncond=True, listed=False),
    SamplerRow(
        "lcm_upscale", single_call.lcm_upscale, "run", options=("scale_ratio", "scale_steps", "upscale_method"),
        changes_size=True, listed=False,
    ),
)

SAMPLERS: Mapping[str, SamplerRow] = {row.name: row for row in _ROWS}
SAMPLER_NAMES: tuple[str, ...] = tuple(row.name for row in _ROWS if row.listed)


def sampler_row(name: str | SamplerRow, scheduler: str | None = None) -> SamplerRow:
    """The row of a sampler that is to walk a schedule; None for a list of sigmas made elsewhere.

    A row is its own: one that is not in the table. Raises SamplerError for an unknown name or a schedule the sampler
    cannot walk.
    """
    row = SAMPLERS.get(name) if isinstance(name, str) else name
    if row is None:
        raise SamplerError(f"no sampler is called {name!r}; choose one of {', '.join(SAMPLERS)}")
    if scheduler is not None and row.schedules and scheduler not in row.schedules:
        raise SamplerError(
            f"the sampler {row.name!r} runs the original scripts' steps and needs the schedule "
            f"{' or '.join(map(repr, row.schedules))}, not {scheduler!r}"
        )
    return row


def start_sampler(
    row: SamplerRow, x: Tensor, sigmas: Tensor, seed: int, table: Process, options: Mapping[str, Any] | None = None,
    generator: torch.Generator | None = None,
) -> Steps:
    """The sampler's generator for a state x (batch, c, h, w) and a list of sigmas, with its noise source.

    generator: the run's own, for samplers that draw from it. Raises SamplerError for an option that the sampler does
    not have.
    """
    if unknown := sorted(set(options or {}) - set(row.options)):
        known = f"its options are {', '.join(row.options)}" if row.options else "it has none"
        raise SamplerError(f"the sampler {row.name!r} has no option {unknown[0]!r}; {known}")
    arguments: list[object] = []
    if len(sigmas) > 1:
        if row.noise == "default":
            arguments.append(default_noise(x, seed))
        elif row.noise == "following":
            arguments.append(following_noise(x, seed))
        elif row.noise == "brownian":
            arguments.append(brownian_noise(x, sigmas, seed))
        elif row.noise == "run":
            arguments.append(lambda like: sent(torch.randn(like.shape, generator=generator), like.device))
    elif row.noise != "none":
        arguments.append(None)  # a list of one sigma takes no step and draws nothing
    if row.needs_table:
        arguments.append(table)
    if row.needs_draws:
        arguments.append(Draws(seed, generator))
    return row.function(x, sigmas, *arguments, **(options or {}))
