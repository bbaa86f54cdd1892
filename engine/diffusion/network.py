"""The innermost layer: calls to the UNet, merged into batches where their shapes agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.guidance import Call, Network
from engine.diffusion.hooks import Apply, Pass, Span, join
from engine.diffusion.process import Process
from engine.diffusion.transfer import sent
from engine.diffusion.unet import UNet

MOST_CONTEXTS = 4  # put together and kept: those of the calls of one step
LONGEST_STRETCH = 4  # texts of different length share a batch if none is repeated more often than this


def unet_network(
    unet: UNet, table: Process, dtype: torch.dtype, device: torch.device | str, *, limit: int | None = None,
    variant: Callable[[tuple[Any, ...]], UNet] | None = None,
) -> Network:
    """Answers calls with the UNet's clean latents, float32 (numerics.md, 1.4).

    Calls with equal shapes run as one batch, each at its own sigma; the answers differ from single runs by rounding.
    limit: the most items that run at once; larger batches are split. ValueError below 1. variant: the UNet with more
    patches on its weights, for calls that bring some; LookupError if they do and there is none.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"a batch limit of {limit} lets nothing run; give at least 1")
    device = torch.device(device)
    contexts = Contexts(dtype, device)

    def answer(calls: Sequence[Call]) -> list[Tensor]:
        answers: list[Tensor | None] = [None] * len(calls)
        for indices in batches(calls):
            put = calls[indices[0]].put
            if put and variant is None:
                raise LookupError("calls that change weights need a network that can be had with patches")
            asked = variant(put) if put and variant is not None else unet
            parts = _run(asked, table, [calls[index] for index in indices], dtype, device, limit, contexts)
            for index, part in zip(indices, parts, strict=True):
                answers[index] = part
        return [part for part in answers if part is not None]

    return answer


def batches(calls: Sequence[Call]) -> list[list[int]]:
    """Which calls may run together, as lists of indices, in order of first appearance."""
    groups: list[list[int]] = []
    for index, call in enumerate(calls):
        for group in groups:
            if _alike(calls[group[0]], call) and _stretch([*(calls[i] for i in group), call]) is not None:
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


def _alike(a: Call, b: Call) -> bool:
    return (
        a.x.shape[1:] == b.x.shape[1:]
        and a.context.shape[2] == b.context.shape[2]
        and a.patches == b.patches
        and a.put == b.put
        and (not a.patches or (a.run is b.run and bool(a.sigma == b.sigma)))  # patches are told of one run, one sigma
        and _shapes(a) == _shapes(b)
    )


def _shapes(call: Call) -> dict[str, object]:
    return {name: value.shape[1:] if isinstance(value, Tensor) else value for name, value in call.extras.items()}


def _stretch(calls: Sequence[Call]) -> int | None:
    """The common number of tokens, or None where repeating to it would cost too much."""
    lengths = [call.context.shape[1] for call in calls]
    common = math.lcm(*lengths)
    return common if common // min(lengths) <= LONGEST_STRETCH else None


def _run(
    unet: UNet, table: Process, calls: Sequence[Call], dtype: torch.dtype, device: torch.device, limit: int | None,
    contexts: Contexts,
) -> list[Tensor]:
    sizes = [call.x.shape[0] for call in calls]
    x = sent(torch.cat([call.x for call in calls]), device).float()
    sigma = torch.cat([call.sigma.reshape(1).expand(size) for call, size in zip(calls, sizes, strict=True)])
    inputs: dict[str, Any] = {"context": contexts.of(calls)}
    for name in ("concat", "y"):
        if name in calls[0].extras:
            inputs[name] = sent(torch.cat([call.extras[name] for call in calls]), device)
    _announce(unet, table, calls)
    most = limit or len(x)
    owners = [(number, place) for number, size in enumerate(sizes) for place in range(size)]

    def ask(start: int) -> Tensor:
        rows = slice(start, start + most)
        apply: Apply = partial(_apply, unet, table, dtype, device, calls[0], _spans(calls, owners[rows]))
        for patch in calls[0].patches:
            apply = partial(patch.around, apply, run=calls[0].run)
        given = inputs if most >= len(x) else {name: value[rows] for name, value in inputs.items()}
        return apply(x[rows], sigma[rows], {**given, "spans": _spans(calls, owners[rows])})

    with torch.no_grad():
        parts = [ask(start) for start in range(0, len(x), most)]
    output = parts[0] if len(parts) == 1 else torch.cat(parts)
    return list(torch.split(output, sizes))


def _announce(unet: UNet, table: Process, calls: Sequence[Call]) -> None:
    """Tell the network of all timesteps of the runs that ask, so that what follows from them is worked out at once."""
    if unet.times is not None:
        walked = dict.fromkeys(call.run.sigmas for call in calls if call.run is not None)
        unet.times.expect(unet, partial(_timesteps, table, tuple(walked)))


def _timesteps(table: Process, walked: Sequence[Tensor]) -> list[float]:
    """The timesteps of lists of sigmas, one list after the other."""
    return [each for sigmas in walked for each in table.timestep(sigmas[sigmas > 0]).float().tolist()]


class Contexts:
    """The texts of calls, put together in one tensor each time, and the same one for the same texts.

    So the network may keep what it makes of a text for the steps that follow.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._kept: dict[tuple[object, ...], tuple[list[Tensor], Tensor]] = {}

    def of(self, calls: Sequence[Call]) -> Tensor:
        """(batch of all calls, tokens, width) in the network's type, on its device."""
        texts = [call.context for call in calls]
        # conditions are cut to the batch anew each time, so a text is known by the memory it is in
        key = tuple((text.data_ptr(), text.shape, text.stride(), text.dtype, _changes(text)) for text in texts)
        kept = self._kept.get(key)
        if kept is not None:
            return kept[1]
        tokens = _stretch(calls)
        assert tokens is not None
        # attention does not notice a text that is repeated whole
        made = torch.cat([text.repeat(1, tokens // text.shape[1], 1) for text in texts])
        made = sent(made, self._device, self._dtype)
        if len(self._kept) >= MOST_CONTEXTS:
            self._kept.clear()
        self._kept[key] = texts, made  # held, so that no other tensor takes their place in memory
        return made


def _changes(text: Tensor) -> int:
    """How often it was changed in place. What was made in torch's inference mode does not count, nor can be changed."""
    return 0 if text.is_inference() else text._version


def _apply(
    unet: UNet, table: Process, dtype: torch.dtype, device: torch.device, call: Call, spans: tuple[Span, ...],
    x: Tensor, sigma: Tensor, inputs: Mapping[str, Any],
) -> Tensor:
    """One pass: scale, put the extra channels in, cast, ask, and read the clean latent off (numerics.md, 1.4)."""
    timestep = sent(table.timestep(sigma).float(), device)
    context = sent(inputs["context"], device, dtype)
    sigma = sent(sigma, device).view(-1, *[1] * (x.ndim - 1))
    model_input = x * table.c_in(sigma)
    if "concat" in inputs:
        model_input = torch.cat([model_input, inputs["concat"]], dim=1)
    y = inputs.get("y")
    if y is not None and y.is_floating_point():
        y = y.to(dtype)
    model_input = model_input.to(dtype)
    if not call.patches:
        return table.denoised(x, sigma, predicted(unet, model_input, timestep, context, y).float())
    moment = Pass(model_input, call.sigma, timestep, context, spans, call.run)
    hooks = join([patch.hooks(moment) for patch in call.patches])
    return table.denoised(x, sigma, unet(model_input, timestep, context, y, hooks=hooks, moment=moment).float())


def predicted(unet: UNet, x: Tensor, timestep: Tensor, context: Tensor, y: Tensor | None = None) -> Tensor:
    """The network's own pass, by a recording where there are such."""
    if unet.replays is None:
        return unet(x, timestep, context, y)  # type: ignore[no-any-return]

    def run(inputs: Mapping[str, Tensor]) -> Tensor:
        return unet(inputs["x"], inputs["timestep"], inputs["context"], inputs.get("y"))  # type: ignore[no-any-return]

    given = {"x": x, "timestep": timestep, "context": context} | ({} if y is None else {"y": y})
    return unet.replays.ask(unet, run, given)


def _spans(calls: Sequence[Call], owners: Sequence[tuple[int, int]]) -> tuple[Span, ...]:
    """Which rows belong to which call, from the number of the call of each row and its place there."""
    spans: list[Span] = []
    for owner, rows in groupby(range(len(owners)), key=lambda row: owners[row][0]):
        numbers = list(rows)
        spans.append(Span(calls[owner].role, numbers[0], numbers[-1] + 1, owners[numbers[0]][1]))
    return tuple(spans)
