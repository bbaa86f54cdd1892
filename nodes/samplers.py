"""Samplers with their settings, for custom sampling."""

from __future__ import annotations

from typing import Annotated

from engine.diffusion.samplers import SAMPLER_NAMES
from engine.graph.node import Choice, Range, node
from engine.graph.types import Model, Sampler

CATEGORY = "sampling/custom_sampling/samplers"
Amount = Annotated[float, Range(0.0, 100.0, step=0.01)]
NoiseDevice = Annotated[str, Choice(("gpu", "cpu"))]


def _on(device: str, name: str) -> str:
    return f"{name}_gpu" if device == "gpu" else name


@node("KSamplerSelect", category=CATEGORY)
def select(*, sampler_name: Annotated[str, Choice(SAMPLER_NAMES)]) -> Sampler:
    """Choose a sampler by name."""
    return Sampler(sampler_name)


@node("SamplerEulerAncestral", category=CATEGORY)
def euler_ancestral(*, eta: Amount = 1.0, s_noise: Amount = 1.0) -> Sampler:
    """Take Euler steps and add fresh noise after each.

    eta: How much noise is replaced; 0 is plain Euler.
    s_noise: What the fresh noise is multiplied by.
    """
    return Sampler("euler_ancestral", {"eta": eta, "s_noise": s_noise})


@node("SamplerEulerAncestralCFGPP", category=CATEGORY, display_name="SamplerEulerAncestralCFG++")
def euler_ancestral_cfg_pp(
    *, eta: Annotated[float, Range(0.0, 1.0, step=0.01)] = 1.0,
    s_noise: Annotated[float, Range(0.0, 10.0, step=0.01)] = 1.0,
) -> Sampler:
    """Take ancestral Euler steps with CFG++, which wants a low cfg (0.5 to 2)."""
    return Sampler("euler_ancestral_cfg_pp", {"eta": eta, "s_noise": s_noise})


@node("SamplerLMS", category=CATEGORY)
def lms(*, order: Annotated[int, Range(1, 100)] = 4) -> Sampler:
    """Take linear multistep steps.

    order: How many past steps are used.
    """
    return Sampler("lms", {"order": order})


@node("SamplerDPMPP_3M_SDE", category=CATEGORY)
def dpmpp_3m_sde(*, eta: Amount = 1.0, s_noise: Amount = 1.0, noise_device: NoiseDevice) -> Sampler:
    """Take DPM-Solver++ (3M) steps with noise.

    noise_device: Easel makes noise on the CPU for both, so that every machine makes the same picture.
    """
    return Sampler(_on(noise_device, "dpmpp_3m_sde"), {"eta": eta, "s_noise": s_noise})


@node("SamplerDPMPP_2M_SDE", category=CATEGORY)
def dpmpp_2m_sde(
    *, solver_type: Annotated[str, Choice(("midpoint", "heun"))], eta: Amount = 1.0, s_noise: Amount = 1.0,
    noise_device: NoiseDevice,
) -> Sampler:
    """Take DPM-Solver++ (2M) steps with noise."""
    name = "dpmpp_2m_sde_heun" if solver_type == "heun" else "dpmpp_2m_sde"
    return Sampler(_on(noise_device, name), {"eta": eta, "s_noise": s_noise})


@node("SamplerDPMPP_SDE", category=CATEGORY)
def dpmpp_sde(*, eta: Amount = 1.0, s_noise: Amount = 1.0, r: Amount = 0.5, noise_device: NoiseDevice) -> Sampler:
    """Take DPM-Solver++ steps with noise, asking the model twice in each.

    r: Where in the step the second question is asked.
    """
    return Sampler(_on(noise_device, "dpmpp_sde"), {"eta": eta, "s_noise": s_noise, "r": r})


@node("SamplerDPMPP_2S_Ancestral", category=CATEGORY)
def dpmpp_2s_ancestral(*, eta: Amount = 1.0, s_noise: Amount = 1.0) -> Sampler:
    """Take DPM-Solver++ (2S) steps with fresh noise after each."""
    return Sampler("dpmpp_2s_ancestral", {"eta": eta, "s_noise": s_noise})


@node("SamplerDPMAdaptative", category=CATEGORY)
def dpm_adaptive(
    *, order: Annotated[int, Range(2, 3)] = 3, rtol: Amount = 0.05, atol: Amount = 0.0078, h_init: Amount = 0.05,
    pcoeff: Amount = 0.0, icoeff: Amount = 1.0, dcoeff: Amount = 0.0, accept_safety: Amount = 0.81, eta: Amount = 0.0,
    s_noise: Amount = 1.0,
) -> Sampler:
    """Let the error decide the size of each step; the number of steps asked for is not used.

    rtol: The error allowed, as a share of the values.
    atol: The error allowed at least.
    h_init: The first step, in the logarithm of sigma.
    accept_safety: A step is taken again, smaller, if the error wants it smaller than this share.
    """
    return Sampler("dpm_adaptive", {
        "order": order, "rtol": rtol, "atol": atol, "h_init": h_init, "pcoeff": pcoeff, "icoeff": icoeff,
        "dcoeff": dcoeff, "accept_safety": accept_safety, "eta": eta, "s_noise": s_noise,
    })  # fmt: skip


@node("SamplerER_SDE", category=CATEGORY)
def er_sde(
    *, solver_type: Annotated[str, Choice(("ER-SDE", "Reverse-time SDE", "ODE"))],
    max_stage: Annotated[int, Range(1, 3)] = 3, eta: Amount = 1.0, s_noise: Amount = 1.0,
) -> Sampler:
    """Take steps of the extended reverse-time stochastic equation.

    eta: How stochastic the reverse-time equation is; the other two have no use for it.
    """
    if solver_type == "ER-SDE":
        return Sampler("er_sde", {"max_stage": max_stage, "s_noise": s_noise})
    if solver_type == "ODE" or eta == 0:
        eta, s_noise = 0.0, 0.0
    return Sampler("er_sde", {"max_stage": max_stage, "s_noise": s_noise, "power": eta + 1.0})


@node("SamplerSASolver", category=CATEGORY)
def sa_solver(
    *, model: Model, eta: Annotated[float, Range(0.0, 10.0, step=0.01)] = 1.0,
    sde_start_percent: Annotated[float, Range(0.0, 1.0, step=0.001)] = 0.2,
    sde_end_percent: Annotated[float, Range(0.0, 1.0, step=0.001)] = 0.8, s_noise: Amount = 1.0,
    predictor_order: Annotated[int, Range(1, 6)] = 3, corrector_order: Annotated[int, Range(0, 6)] = 4,
    use_pece: bool, simple_order_2: bool,
) -> Sampler:
    """Take stochastic Adams steps: a prediction, then a correction.

    model: Not used; the percents are those of the model that is sampled.
    eta: How stochastic the steps are between the two percents.
    use_pece: Ask the model again after each correction.
    """
    return Sampler("sa_solver", {
        "eta": eta, "sde_start_percent": sde_start_percent, "sde_end_percent": sde_end_percent, "s_noise": s_noise,
        "predictor_order": predictor_order, "corrector_order": corrector_order, "use_pece": use_pece,
        "simple_order_2": simple_order_2,
    })  # fmt: skip


@node("SamplerLCMUpscale", category=CATEGORY)
def lcm_upscale(
    *, scale_ratio: Annotated[float, Range(0.1, 20.0, step=0.01)] = 1.0,
    scale_steps: Annotated[int, Range(-1, 1000, step=1)] = -1,
    upscale_method: Annotated[str, Choice(("bislerp", "nearest-exact", "bilinear", "area", "bicubic"))],
) -> Sampler:
    """Take latent consistency steps and enlarge the latent on the way.

    scale_ratio: How large it becomes.
    scale_steps: Over how many steps; -1 is half of them.
    """
    return Sampler(
        "lcm_upscale", {"scale_ratio": scale_ratio, "scale_steps": scale_steps, "upscale_method": upscale_method}
    )


@node("SamplerEulerCFGpp", category="_for_testing", display_name="SamplerEulerCFG++", experimental=True)
def euler_cfg_pp(*, version: Annotated[str, Choice(("regular", "alternative"))]) -> Sampler:
    """Take Euler steps with CFG++, which wants a low cfg (0.5 to 2)."""
    return Sampler("euler_cfg_pp" if version == "regular" else "euler_cfg_pp_alternative")
