"""Lists of sigmas: schedules for custom sampling, and what can be done with a list."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from engine.diffusion import sigmas as lists
from engine.diffusion.schedules import SCHEDULE_NAMES, patched_process
from engine.graph.node import Choice, Name, Range, node
from engine.graph.types import Model, Sigmas

CATEGORY = "sampling/custom_sampling/schedulers"
CHANGES = "sampling/custom_sampling/sigmas"

Steps = Annotated[int, Range(1, 10_000)]
Ends = Range(0.0, 5000.0, step=0.01)
Part = Annotated[float, Range(0.0, 1.0, step=0.01)]
LAST_SIGMA, FIRST_SIGMA = 0.0291675, 14.614642  # the least and most noise of SD 1.x and 2.x


@node("BasicScheduler", category=CATEGORY)
def basic(
    *, model: Model, scheduler: Annotated[str, Choice(SCHEDULE_NAMES)], steps: Steps = 20, denoise: Part = 1.0
) -> Sigmas:
    """Make the list of sigmas of a usual schedule.

    scheduler: How the noise is spread over the steps.
    denoise: Below 1, only the last part of a longer list, for as many steps.
    """
    table = patched_process(model.config.schedule, model.patches)
    return Sigmas(lists.basic(table, scheduler, steps, denoise))


@node("KarrasScheduler", category=CATEGORY)
def karras(
    *, steps: Steps = 20, sigma_max: Annotated[float, Ends] = FIRST_SIGMA,
    sigma_min: Annotated[float, Ends] = LAST_SIGMA, rho: Annotated[float, Range(0.0, 100.0, step=0.01)] = 7.0,
) -> Sigmas:
    """Space sigmas as Karras et al. (2022) do: most steps where there is little noise.

    rho: The larger, the more steps at the end.
    """
    return Sigmas(lists.karras(steps, sigma_min, sigma_max, rho))


@node("ExponentialScheduler", category=CATEGORY)
def exponential(
    *, steps: Steps = 20, sigma_max: Annotated[float, Ends] = FIRST_SIGMA,
    sigma_min: Annotated[float, Ends] = LAST_SIGMA,
) -> Sigmas:
    """Space the logarithms of sigmas evenly."""
    return Sigmas(lists.exponential(steps, sigma_min, sigma_max))


@node("PolyexponentialScheduler", category=CATEGORY)
def polyexponential(
    *, steps: Steps = 20, sigma_max: Annotated[float, Ends] = FIRST_SIGMA,
    sigma_min: Annotated[float, Ends] = LAST_SIGMA, rho: Annotated[float, Range(0.0, 100.0, step=0.01)] = 1.0,
) -> Sigmas:
    """Space the logarithms of sigmas by a power.

    rho: 1 is even; above, more steps are at the end.
    """
    return Sigmas(lists.polyexponential(steps, sigma_min, sigma_max, rho))


@node("LaplaceScheduler", category=CATEGORY)
def laplace(
    *, steps: Steps = 20, sigma_max: Annotated[float, Ends] = FIRST_SIGMA,
    sigma_min: Annotated[float, Ends] = LAST_SIGMA, mu: Annotated[float, Range(-10.0, 10.0, step=0.1)] = 0.0,
    beta: Annotated[float, Range(0.0, 10.0, step=0.1)] = 0.5,
) -> Sigmas:
    """Put most steps around one noise level. The list does not end in 0: some noise is left.

    mu: The logarithm of that noise level.
    beta: How far the steps spread around it.
    """
    return Sigmas(lists.laplace(steps, sigma_min, sigma_max, mu, beta))


@node("VPScheduler", category=CATEGORY)
def variance_preserving(
    *, steps: Steps = 20, beta_d: Annotated[float, Ends] = 19.9, beta_min: Annotated[float, Ends] = 0.1,
    eps_s: Annotated[float, Range(0.0, 1.0, step=0.0001)] = 0.001,
) -> Sigmas:
    """Space sigmas as the continuous variance-preserving process does."""
    return Sigmas(lists.variance_preserving(steps, beta_d, beta_min, eps_s))


@node("BetaSamplingScheduler", category=CATEGORY)
def beta(
    *, model: Model, steps: Steps = 20, alpha: Annotated[float, Range(0.0, 50.0, step=0.01)] = 0.6,
    beta: Annotated[float, Range(0.0, 50.0, step=0.01)] = 0.6,
) -> Sigmas:
    """Space timesteps by a beta distribution: below 1, both put more steps at the two ends."""
    return Sigmas(lists.beta(patched_process(model.config.schedule, model.patches), steps, alpha, beta))


@node("SDTurboScheduler", category=CATEGORY)
def sd_turbo(
    *, model: Model, steps: Annotated[int, Range(1, 10)] = 1, denoise: Annotated[float, Range(0, 1.0, step=0.01)] = 1.0
) -> Sigmas:
    """Give the noise levels that SD Turbo models were made for.

    steps: 1 to 4 is usual.
    denoise: Below 1, it starts at a lower noise level.
    """
    return Sigmas(lists.sd_turbo(patched_process(model.config.schedule, model.patches), steps, denoise))


@node("AlignYourStepsScheduler", category=CATEGORY)
def align_your_steps(
    *, model_type: Annotated[str, Choice(tuple(lists.ALIGN_YOUR_STEPS))], steps: Steps = 10, denoise: Part = 1.0
) -> Sigmas:
    """Give the noise levels that were found best for few steps with a family of models.

    model_type: SD1 is right for SD 2.x too.
    denoise: Below 1, only this share of the steps, from the end.
    """
    return Sigmas(lists.align_your_steps(model_type, steps, denoise))


class Split(NamedTuple):
    """Two parts of a list."""

    high: Annotated[Sigmas, Name("high_sigmas")]
    low: Annotated[Sigmas, Name("low_sigmas")]


@node("SplitSigmas", category=CHANGES)
def split(*, sigmas: Sigmas, step: Annotated[int, Range(0, 10_000)] = 0) -> Split:
    """Divide a list in two, for two samplers in a row.

    step: The first step of the second part.
    """
    high, low = lists.split(sigmas.values, step)
    return Split(Sigmas(high), Sigmas(low))


@node("SplitSigmasDenoise", category=CHANGES)
def split_denoise(*, sigmas: Sigmas, denoise: Part = 1.0) -> Split:
    """Divide a list in two.

    denoise: The share of the steps that the second part gets.
    """
    high, low = lists.split_denoise(sigmas.values, denoise)
    return Split(Sigmas(high), Sigmas(low))


@node("FlipSigmas", category=CHANGES)
def flip(*, sigmas: Sigmas) -> Sigmas:
    """Turn a list round, to take a picture back to noise."""
    return Sigmas(lists.flip(sigmas.values))


@node("SetFirstSigma", category=CHANGES)
def set_first(*, sigmas: Sigmas, sigma: Annotated[float, Range(0.0, 20000.0, step=0.001)] = 136.0) -> Sigmas:
    """Start a list at another noise level."""
    return Sigmas(lists.with_first(sigmas.values, sigma))


@node("ExtendIntermediateSigmas", category=CHANGES)
def extend(
    *, sigmas: Sigmas, steps: Annotated[int, Range(1, 100)] = 2,
    start_at_sigma: Annotated[float, Range(-1.0, 20000.0, step=0.01)] = -1.0,
    end_at_sigma: Annotated[float, Range(0.0, 20000.0, step=0.01)] = 12.0,
    spacing: Annotated[str, Choice(tuple(lists.SPACINGS))],
) -> Sigmas:
    """Divide some steps of a list into more.

    steps: Into how many each is divided.
    start_at_sigma: Only steps that start at this noise level or below; -1 is no limit.
    end_at_sigma: Only steps that start at this noise level or above.
    spacing: Where the new noise levels lie between the old ones.
    """
    return Sigmas(lists.extend(sigmas.values, steps, start_at_sigma, end_at_sigma, spacing))


@node("SamplingPercentToSigma", category=CHANGES, returns=("sigma_value",))
def percent_to_sigma(
    *, model: Model, sampling_percent: Annotated[float, Range(0.0, 1.0, step=0.0001)] = 0.0,
    return_actual_sigma: bool = False,
) -> float:
    """Tell the noise level at a part of the way.

    return_actual_sigma: Give the model's own most and least noise at 0 and 1, not the numbers beyond them.
    """
    table = patched_process(model.config.schedule, model.patches)
    return lists.percent_to_sigma(table, sampling_percent, return_actual_sigma)
