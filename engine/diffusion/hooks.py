"""Where patches enter a pass through the UNet, and what they see of it.

A `NetworkPatch` is a frozen description on a model. For each pass through the network it gives the functions to be
called inside, as `Hooks`: nothing is ever written into the network, so a patch that is gone leaves no trace. A pass
without hooks takes the UNet's plain path.

>>> Hooks().empty, join([Hooks(), Hooks(attn1_output=(lambda out, site: out,))]).empty
(True, False)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from engine.diffusion.process import Process

Block = Literal["input", "middle", "output"]
ANY: Mapping[Any, Any] = MappingProxyType({})


def lent_by_nobody(weights: Any, patches: tuple[Any, ...]) -> Any:
    """The networks of a run that was given none."""
    raise LookupError("this run has no further networks; give them with Sampling.networks")


@dataclass(frozen=True, eq=False)
class Run:
    """The run that a call belongs to, as patches see it.

    sigmas: the list it walks. generator: its own source of random numbers. prepare: makes a list of conditions that a
    patch brings along ready for this run (`guidance.prepare_lists`). memory: where a patch keeps what it must
    remember from one evaluation to the next, under a key of its own; it ends with the run. networks: has a network in
    memory, by its weights and what is put on them; raises LookupError where nobody lends any.
    """

    sigmas: Tensor
    table: Process
    generator: torch.Generator
    prepare: Callable[[Any], Any] = list
    memory: dict[Any, Any] = field(default_factory=dict)
    networks: Callable[[Any, tuple[Any, ...]], Any] = lent_by_nobody


class Span(NamedTuple):
    """Rows start to stop of a batch, and which list of conditions they answer ("positive", "negative", …).

    first: which picture of the run's batch the first of the rows is.
    """

    role: str
    start: int
    stop: int
    first: int = 0


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass of a batch through the network.

    x: its scaled input (batch, in channels, h, w), extra channels included. sigma: its noise level, a scalar on the
    CPU, the same for all rows. timestep (batch,). context (batch, tokens, width). run: None for a lone call.
    """

    x: Tensor
    sigma: Tensor
    timestep: Tensor
    context: Tensor
    spans: tuple[Span, ...] = ()
    run: Run | None = None


class Place(NamedTuple):
    """A transformer block: the stage it is in, and which of the stage's it is; None stands for all of the stage."""

    block: Block
    number: int
    inner: int | None = None


class Site(NamedTuple):
    """Where a hook is called.

    transformer: counts the transformers of the network in the order in which they run; -1 outside of one. size: (h, w)
    of the feature map there. heads: of the attention, and attend: what it does with projected q, k, v
    (batch, tokens, width) of any equal batch, up to but without the output projection.
    """

    moment: Pass
    place: Place
    size: tuple[int, int]
    transformer: int = -1
    heads: int = 0
    attend: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Control:
    """What is added inside, by number of the *input* block, (batch, channels, h, w) each, or one row for all.

    input: to the block's result, and thereby to its skip connection. middle: to that of the middle block. output: to
    the block's skip connection, just before it is used.
    """

    input: Mapping[int, Tensor] = field(default_factory=lambda: ANY)
    middle: Tensor | None = None
    output: Mapping[int, Tensor] = field(default_factory=lambda: ANY)


@dataclass(frozen=True, eq=False)
class Shortcut:
    """Leaves out the inner part of the network.

    That is input block `depth` and all that comes after it, up to the output block that takes the skip connection of
    input block `depth` - 1, which gets `features` instead.

    Without features the whole network is run, and `keep` is given what they would have been.
    """

    depth: int
    features: Tensor | None
    keep: Callable[[Tensor], None]


AttentionInput = Callable[[Tensor, Tensor, Tensor, Site], tuple[Tensor, Tensor, Tensor]]
AttentionReplace = Callable[[Tensor, Tensor, Tensor, Site], Tensor]
Change = Callable[[Tensor, Site], Tensor]
SkipChange = Callable[[Tensor, Tensor, Site], tuple[Tensor, Tensor]]
Apply = Callable[[Tensor, Tensor, Mapping[str, Any]], Tensor]


@dataclass(frozen=True, eq=False)
class Hooks:
    """Functions to be called in one pass, each field in order; numerics.md, the end of 5.6.

    attn1 is self-attention, attn2 attention over the text. `_input` is given what will be projected to queries, keys
    and values (after the LayerNorm); `_replace` the projected three, in the place of the attention, before its output
    projection; `_output` what comes after that. between: the tokens after self-attention. embedding: the timestep's
    (batch, width). The blocks' are given the feature map: an input block's before it is kept as a skip connection and
    (after_skip) after; the output block's with the skip connection, before both are concatenated. Of several shortcuts
    the last is taken.
    """

    attn1_input: tuple[AttentionInput, ...] = ()
    attn1_replace: Mapping[Place, AttentionReplace] = field(default_factory=lambda: ANY)
    attn1_output: tuple[Change, ...] = ()
    between: tuple[Change, ...] = ()
    attn2_input: tuple[AttentionInput, ...] = ()
    attn2_replace: Mapping[Place, AttentionReplace] = field(default_factory=lambda: ANY)
    attn2_output: tuple[Change, ...] = ()
    embedding: tuple[Change, ...] = ()
    input_block: tuple[Change, ...] = ()
    input_block_after_skip: tuple[Change, ...] = ()
    middle_block: tuple[Change, ...] = ()
    output_block: tuple[SkipChange, ...] = ()
    control: tuple[Control, ...] = ()
    shortcut: tuple[Shortcut, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is to be called."""
        return not any(getattr(self, each.name) for each in fields(self))


NO_HOOKS = Hooks()


def join(many: Sequence[Hooks]) -> Hooks:
    """All hooks of a pass: functions one after the other; of two replacements for one place the later is taken."""
    present = [hooks for hooks in many if not hooks.empty]
    if len(present) < 2:
        return present[0] if present else NO_HOOKS
    joined: dict[str, Any] = {}
    for each in fields(Hooks):
        values = [getattr(hooks, each.name) for hooks in present]
        if isinstance(values[0], tuple):
            joined[each.name] = tuple(function for value in values for function in value)
        else:
            joined[each.name] = {place: function for value in values for place, function in value.items()}
    return Hooks(**joined)


def replacement(table: Mapping[Place, AttentionReplace], place: Place) -> AttentionReplace | None:
    """What replaces the attention at a place: an entry for the very block before one for its whole stage."""
    return table.get(place) or table.get(place._replace(inner=None))


class Timed:
    """Something on the network's weights that changes during a run: a frozen, hashable dataclass on a condition."""

    def now(self, sigma: float, run: Run) -> tuple[Any, ...]:
        """The patches of weights at a noise level."""
        raise NotImplementedError


class NetworkPatch:
    """A change to how the network is run: a frozen, hashable dataclass. One that holds tensors has ``eq=False``.

    Calls are merged into one batch only if their patches are equal. The order of a model's patches is the order in
    which their hooks are called; the last one's `around` is outermost.

    shares: patches on positive conditions go to negative ones that have none of the same word (numerics.md, 8.1).
    """

    shares: ClassVar[str] = ""

    def told(self, extra: Mapping[str, Any]) -> NetworkPatch:
        """Give the patch as it is on a condition with these further inputs."""
        return self

    def hooks(self, moment: Pass) -> Hooks:
        """The functions to be called in this pass; `NO_HOOKS` where the patch is off."""
        raise NotImplementedError

    def around(self, ask: Apply, x: Tensor, sigma: Tensor, inputs: Mapping[str, Any], run: Run | None) -> Tensor:
        """Answer in the place of the network: x (batch, c, h, w) noisy, sigma (batch,), to the clean latent.

        inputs: "context", "spans", and "concat" and "y" where there are. `ask` does what would have been done without.
        """
        return ask(x, sigma, inputs)
