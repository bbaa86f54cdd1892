"""SAMPLER as packs know it: what a pack's own sampler is to Easel, and a core sampler to a pack.

A pack's ``KSAMPLER`` holds a function (model, x, sigmas, extra_args, callback, disable, **options) that calls the model
as often as it likes. In a run of Easel it is a row of its own (`engine.diffusion.samplers`), driven like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from engine.comfy.asking import asking
from engine.comfy.facades import UnsupportedError
from engine.comfy.patches import OWN, ModelSampling, is_empty, model_of
from engine.diffusion.noise import default_noise
from engine.diffusion.process import Process
from engine.diffusion.samplers import Draws, Evaluate, Guess, SamplerRow, Steps, sampler_row, start_sampler
from engine.diffusion.solvers.steps import ancestral_split
from engine.graph.types import Sampler

Ask = Callable[[Evaluate], Guess]


class PackSampler:
    """``comfy.samplers.Sampler``: what packs' sampler classes are made from."""

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: a node of the engine runs samplers. Raises UnsupportedError."""
        raise UnsupportedError("this pack runs a sampler itself; give it to SamplerCustom or SamplerCustomAdvanced")


class KSampler(PackSampler):
    """``comfy.samplers.KSAMPLER``: a function that samples, and its options."""

    def __init__(
        self, sampler_function: Callable[..., Tensor], extra_options: Mapping[str, Any] | None = None,
        inpaint_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.sampler_function = sampler_function
        self.extra_options = dict(extra_options or {})
        self.inpaint_options = dict(inpaint_options or {})


class CoreSampler(KSampler):
    """A sampler of Easel's, whose function a pack may call from its own."""

    def __init__(self, value: Sampler) -> None:
        super().__init__(self._run, value.options)
        self.value = value

    def _run(
        self, model: Any, x: Tensor, sigmas: Tensor, extra_args: Mapping[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None, disable: Any = None, **options: Any,
    ) -> Tensor:
        row = sampler_row(self.value.name)
        if row.needs_uncond:
            raise UnsupportedError(
                f"this pack calls the sampler {row.name!r} from its own, and that one reads the unconditional guess,"
                " which only Easel can give it; choose one without cfg_pp"
            )
        given = dict(extra_args or {})
        seed, rows = int(given.get("seed") or 0), x.new_ones([x.shape[0]])
        generator = torch.Generator()
        generator.set_state(torch.get_rng_state())
        steps = start_sampler(row, x, sigmas.float().cpu(), seed, _table(model), options, generator)
        done = 0
        try:
            question = next(steps)
            while True:
                denoised = model(question.x, question.sigma.to(x.device) * rows, **given)
                if callback is not None:
                    callback({"x": question.x, "i": done, "sigma": question.sigma, "denoised": denoised})
                done += 1
                question = steps.send(Guess(denoised, torch.zeros_like(denoised)))
        except StopIteration as stop:
            result: Tensor = stop.value
            return result


def sampler_out(value: Sampler) -> Any:
    """A copy of a pack's sampler; a core one as an object of that kind."""
    if value.row is not None and isinstance(value.row.function, _Row):
        return copy.copy(value.row.function.made)
    return CoreSampler(value)


def sampler_in(value: Any) -> Sampler:
    """What a pack returned as a SAMPLER. Raises TypeError, or UnsupportedError for a class that samples by itself."""
    if isinstance(value, CoreSampler):
        return value.value
    name = type(value).__name__
    if isinstance(value, PackSampler) and type(value).sample is not PackSampler.sample:
        raise UnsupportedError(
            f"the sampler {name} of this pack has a sample() of its own, which Easel cannot run;"
            " comfy.samplers.KSAMPLER(function, extra_options) can be run"
        )
    if not callable(getattr(value, "sampler_function", None)):
        raise TypeError(f"a SAMPLER is comfy.samplers.KSAMPLER(function, extra_options); the node returned {name}")
    function = getattr(value.sampler_function, "__name__", name)
    fresh = bool((getattr(value, "inpaint_options", None) or {}).get("random"))
    row = SamplerRow(
        function, _Row(value), needs_table=True, needs_draws=True, listed=False,
        inpaint_noise="fresh" if fresh else "initial",
    )
    return Sampler(function, row=row)


@dataclass(frozen=True, eq=False)
class _Row:
    """The function of a row, for an object that holds a pack's."""

    made: Any

    def __call__(self, x: Tensor, sigmas: Tensor, table: Process, draws: Draws) -> Steps:
        if len(sigmas) < 2:
            return _nothing(x)

        def run(ask: Ask) -> Tensor:
            with _numbers(draws, x.device):
                end: Tensor = self.made.sampler_function(
                    AskedModel(ask, table, sigmas), x, sigmas.to(x.device), callback=lambda state: None, disable=True,
                    extra_args={"model_options": {OWN: {}}, "seed": draws.seed, "denoise_mask": None},
                    **dict(getattr(self.made, "extra_options", None) or {}),
                )
            if not isinstance(end, Tensor) or end.shape != x.shape:
                found = tuple(end.shape) if isinstance(end, Tensor) else type(end).__name__
                raise TypeError(f"a sampler gives back a latent of the shape {tuple(x.shape)}; this one gave {found}")
            return end

        return asking(run)


def _nothing(x: Tensor) -> Steps:
    yield from ()
    return x


class AskedModel:
    """The model that a pack's sampler calls: (x, sigma of each row) to the guided clean latent."""

    def __init__(self, ask: Ask, table: Process, sigmas: Tensor) -> None:
        self._ask = ask
        self.sigmas = sigmas
        inner = model_of(table)
        objects = {"model_sampling": inner.model_sampling}
        self.inner_model = SimpleNamespace(
            inner_model=inner, model_sampling=inner.model_sampling,
            model_patcher=SimpleNamespace(get_model_object=objects.__getitem__, model=inner),
        )

    def __call__(
        self, x: Tensor, sigma: Tensor, denoise_mask: Any = None, model_options: Mapping[str, Any] | None = None,
        seed: int | None = None, **_: Any,
    ) -> Tensor:
        """Ask. Raises UnsupportedError for options of the model, ValueError for rows at different noise levels."""
        refuse_options(model_options, "sampler")
        return self._ask(Evaluate(x.float(), one_level(sigma))).denoised


def one_level(sigma: Any) -> Tensor:
    """The noise level of all rows, a scalar on the CPU. Raises ValueError if they differ."""
    levels = torch.as_tensor(sigma).detach().reshape(-1).float().cpu()
    if len(levels) == 0 or bool((levels != levels[0]).any()):
        raise ValueError(f"all rows of a latent are asked at one noise level; this pack asks at {levels.tolist()}")
    return levels[0]


def refuse_options(options: Mapping[str, Any] | None, who: str, own: Mapping[str, Any] | None = None) -> None:
    """Refuse ``model_options`` that a sampler or a guider sets for single calls. Raises UnsupportedError."""
    if options is None or is_empty(options) or (own is not None and options == own):
        return
    names = sorted(key for key, value in options.items() if value and not (isinstance(value, dict) and is_empty(value)))
    raise UnsupportedError(
        f"this pack's {who} sets model_options ({', '.join(names)}) in its calls of the model, which Easel cannot do;"
        " what is set on the MODEL before works"
    )


@contextmanager
def _numbers(draws: Draws, device: torch.device) -> Iterator[None]:
    """Packs draw from torch's global generator: in their samplers it goes on where the run's own is."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(draws.seed)
        if draws.generator is not None:
            torch.set_rng_state(draws.generator.get_state())
        yield


def _table(model: Any) -> Process:
    sampling = getattr(getattr(getattr(model, "inner_model", None), "inner_model", None), "model_sampling", None)
    if not isinstance(sampling, ModelSampling):
        raise UnsupportedError("this pack gives a core sampler a model of its own; give it the one that came in")
    return sampling.table


def ksampler(
    sampler_name: str, extra_options: Mapping[str, Any] | None = None, inpaint_options: Mapping[str, Any] | None = None
) -> CoreSampler:
    """``comfy.samplers.ksampler``: a core sampler by name. Raises SamplerError for an unknown one."""
    return CoreSampler(Sampler(sampler_row(sampler_name).name, dict(extra_options or {})))


# -- comfy.k_diffusion.sampling ----------------------------------------------------------------------------------


def append_dims(x: Tensor, target_dims: int) -> Tensor:
    """Axes of length 1 added at the end until there are so many."""
    return x[(..., *[None] * (target_dims - x.ndim))]


def to_d(x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """The direction from a clean guess to x, per unit of noise: Karras et al. (2022)."""
    return (x - denoised) / append_dims(sigma, x.ndim)


def get_ancestral_step(sigma_from: Any, sigma_to: Any, eta: float = 1.0) -> tuple[Any, Any]:
    """How far to go down without noise, and how much noise to add."""
    if not eta:
        return sigma_to, 0.0
    down, up = ancestral_split(torch.as_tensor(sigma_from), torch.as_tensor(sigma_to), eta)
    return (down, up) if isinstance(sigma_to, Tensor) else (float(down), float(up))


def default_noise_sampler(x: Tensor, seed: int | None = None) -> Callable[[Any, Any], Tensor]:
    """Noise of the shape of x: of a seed, or of torch's global generator."""
    return (lambda sigma, sigma_next: torch.randn_like(x)) if seed is None else default_noise(x, seed)


K_DIFFUSION: Mapping[str, Any] = {
    "append_dims": append_dims, "append_zero": lambda x: torch.cat([x, x.new_zeros([1])]), "to_d": to_d,
    "get_ancestral_step": get_ancestral_step, "default_noise_sampler": default_noise_sampler,
}
