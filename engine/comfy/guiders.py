"""GUIDER as packs know it: ``comfy.samplers.CFGGuider`` and its subclasses, as guiding of Easel's.

A subclass says in ``predict_noise`` what is asked and how the answers are combined. It is called for each question of
the sampler, beside the generator that drives the run; what it asks goes the way of all questions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from engine.comfy.asking import asking
from engine.comfy.facades import ModelFacade, UnsupportedError
from engine.comfy.patches import model_of
from engine.comfy.samplers import one_level, refuse_options
from engine.diffusion.guidance import Answering, Asking, Condition, Part
from engine.diffusion.guidance import Guider as Guide
from engine.diffusion.guiders import Guiding, Lists, Setting, cfg_guider, combined, moment_of
from engine.diffusion.process import Process
from engine.diffusion.samplers import Evaluate, Guess
from engine.diffusion.schedules import patched_process
from engine.graph.types import Guider, Model

Question = Callable[[Setting], Asking[Any]]
OWN_WAYS = ("sample", "outer_sample", "inner_sample")
"""Methods by which a guider runs the whole sampling; one that has its own cannot be driven."""


class CFGGuider:
    """Lists of conditions by role, a scale, and ``predict_noise``, which packs override."""

    inner_model: Any
    conds: Mapping[str, Sequence[Part]]

    def __init__(self, model_patcher: ModelFacade) -> None:
        self.model_patcher = model_patcher
        self.model_options = model_patcher.model_options
        self.original_conds: dict[str, Any] = {}
        self.cfg = 1.0

    def set_conds(self, positive: Any, negative: Any) -> None:
        """Take the two usual lists."""
        self.inner_set_conds({"positive": positive, "negative": negative})

    def inner_set_conds(self, conds: Mapping[str, Any]) -> None:
        """Take lists of conditions by role."""
        self.original_conds = dict(conds)

    def set_cfg(self, cfg: float) -> None:
        """Take the scale."""
        self.cfg = cfg

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """As ``predict_noise``."""
        return self.predict_noise(*args, **kwargs)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Tensor:
        """Give the guided clean latent for x (batch, c, h, w) at the noise levels of its rows."""
        lists = self.conds.get("negative"), self.conds.get("positive")
        return sampling_function(self.inner_model, x, timestep, *lists, self.cfg, model_options, seed=seed)

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: a node of the engine runs guiders. Raises UnsupportedError."""
        raise UnsupportedError("this pack runs a guider itself; give it to SamplerCustomAdvanced")

    outer_sample = inner_sample = sample


class InnerModel(SimpleNamespace):
    """What a guider asks: the model with the question's way to it."""

    ask: Callable[[Question], Any]
    told: Mapping[str, Any]
    roles: Mapping[int, str]


def sampling_function(
    model: InnerModel, x: Tensor, timestep: Tensor, uncond: Any, cond: Any, cond_scale: float,
    model_options: Mapping[str, Any] | None = None, cond_: Any = None, seed: int | None = None,
) -> Tensor:
    """Classifier-free guidance of two lists, with what patches of the model do to it."""
    refuse_options(model_options, "guider", model.told)
    question = Evaluate(x.float(), one_level(timestep))
    lists = cond or (), uncond or ()
    guess: Guess = model.ask(lambda setting: cfg_guider(*lists, cond_scale, setting=setting)(question))
    model.uncond = guess.uncond
    return guess.denoised


def calc_cond_batch(
    model: InnerModel, conds: Sequence[Any], x_in: Tensor, timestep: Tensor,
    model_options: Mapping[str, Any] | None = None,
) -> list[Tensor]:
    """The clean latents that lists of conditions see; 0 for None."""
    refuse_options(model_options, "guider", model.told)
    names: list[str] = []
    for index, each in enumerate(conds):
        role = model.roles.get(id(each), "")
        names.append(role if role and role not in names else f"list {index}")
    lists = {name: tuple(each or ()) for name, each in zip(names, conds, strict=True)}
    guesses = model.ask(lambda setting: setting.evaluate(lists, x_in.float(), one_level(timestep)))
    model.uncond = guesses.get("negative", model.uncond)
    return [guesses[name] for name in names]


def cfg_function(
    model: InnerModel, cond_pred: Tensor, uncond_pred: Tensor, cond_scale: float, x: Tensor, timestep: Tensor,
    model_options: Mapping[str, Any] | None = None, cond: Any = None, uncond: Any = None,
) -> Tensor:
    """Two answers combined, with what patches of the model do to that."""
    refuse_options(model_options, "guider", model.told)
    lists = {"positive": cond or (), "negative": uncond or ()}
    question = Evaluate(x, one_level(timestep))

    def answer(setting: Setting) -> Asking[Tensor]:
        return combined(moment_of(question, cond_scale, cond_pred, uncond_pred, lists, setting), setting.hooks)

    model.uncond = uncond_pred
    made: Tensor = model.ask(answer)
    return made


@dataclass(frozen=True, eq=False)
class PackGuiding(Guiding):
    """A pack's guider. lists: its conditions by role; table: the model's noise levels, for functions that look."""

    made: CFGGuider
    lists: Mapping[str, tuple[Condition, ...]]
    table: Process

    def conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """As many lists as the pack gave."""
        return self.lists

    def guider(self, lists: Lists, setting: Setting) -> Guide:
        """The guider of one run: a copy of the pack's, so that what it notes on itself ends with the run."""
        own = copy.copy(self.made)
        own.conds = {role: list(parts) for role, parts in lists.items()}
        roles = {id(parts): role for role, parts in own.conds.items()}
        name = type(own).__name__

        def guide(question: Evaluate) -> Answering:
            model = InnerModel(**vars(model_of(self.table)), roles=roles, told=own.model_options, uncond=None)
            sigma = question.sigma.to(question.x.device) * question.x.new_ones([question.x.shape[0]])

            def predict(ask: Callable[[Question], Any]) -> Tensor:
                model.ask = ask
                own.inner_model = model
                return own.predict_noise(question.x, sigma, model_options=own.model_options, seed=None)

            denoised = yield from _answered(predict, setting)
            if not isinstance(denoised, Tensor) or denoised.shape != question.x.shape:
                found = tuple(denoised.shape) if isinstance(denoised, Tensor) else type(denoised).__name__
                shape = tuple(question.x.shape)
                raise TypeError(f"predict_noise of {name} gives a clean latent of the shape {shape}; it gave {found}")
            if model.uncond is None and setting.needs_uncond:
                raise UnsupportedError(
                    f"the sampler reads the unconditional guess, which the guider {name} never asks for; choose a"
                    " sampler without cfg_pp"
                )
            return Guess(denoised, denoised if model.uncond is None else model.uncond)

        return guide


def _answered(predict: Callable[[Callable[[Question], Any]], Tensor], setting: Setting) -> Asking[Any]:
    """Run a function whose questions are generators that ask the network."""
    steps = asking(predict)
    try:
        question = next(steps)
        while True:
            answer = yield from question(setting)
            question = steps.send(answer)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()


def guider_out(value: Guider) -> Any:
    """A copy of a pack's guider; a core one is handed through."""
    return copy.copy(value.guiding.made) if isinstance(value.guiding, PackGuiding) else value


def guider_in(value: Any, read: Callable[[Any], tuple[Condition, ...]]) -> Guider:
    """What a pack returned as a GUIDER; ``read`` reads its lists of conditions.

    Raises TypeError for what is none, UnsupportedError for a class that runs the sampling itself.
    """
    name = type(value).__name__
    if not isinstance(value, CFGGuider):
        raise TypeError(f"a GUIDER is a comfy.samplers.CFGGuider, or a subclass of it; the node returned {name}")
    own = [each for each in OWN_WAYS if getattr(type(value), each) is not getattr(CFGGuider, each)]
    if own:
        raise UnsupportedError(
            f"the guider {name} of this pack runs the sampling itself ({', '.join(own)}), which Easel cannot drive;"
            " a guider that overrides predict_noise works"
        )
    facade = value.model_patcher
    if isinstance(facade, ModelFacade) and value.model_options is not facade.model_options:
        facade = facade.clone()
        facade.model_options = value.model_options
    model: Model = ModelFacade.value_of(facade)
    lists = {str(role): read(conds or []) for role, conds in value.original_conds.items()}
    table = patched_process(model.config.schedule, model.patches)
    return Guider(model, PackGuiding(copy.copy(value), lists, table))
