"""Guiders and the hooks of guidance patches on a model that answers a number per list: numerics.md, 5.2 and 5.5."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import torch

from engine.diffusion.guidance import Condition, prepare_lists
from engine.diffusion.guiders import (
    Cfg,
    DualCfg,
    GuidanceHooks,
    GuidancePatch,
    PerpNeg,
    Setting,
    answered,
    join,
    split_patches,
)
from engine.diffusion.samplers import Evaluate
from engine.diffusion.sampling import sample
from engine.diffusion.schedules import discrete
from tests.diffusion.synthetic import SD1, Synthetic, synthetic_run
from tests.parity.small import noise

TABLE = discrete(SD1.schedule)
SHAPE = (2, 4, 6, 5)
X = noise(*SHAPE, seed=1)


def text(number):
    return (Condition(torch.full((1, 77, 1), float(number))),)


def answer(number):
    """What the network below sees in x, for the text of a number."""
    return noise(*SHAPE, seed=10 + number)


def drive(guiding, setting=None):
    """The guess, and the texts asked for."""
    lists = prepare_lists(guiding.conditions(), SHAPE, TABLE)
    run = guiding.guider(lists, setting or Setting())(Evaluate(X, torch.tensor(2.0)))
    asked: list[int] = []
    try:
        calls = next(run)
        while True:
            numbers = [int(call.context.flatten()[0]) for call in calls]
            asked += numbers
            calls = run.send([answer(number) for number in numbers])
    except StopIteration as stop:
        return stop.value, sorted(asked)


def close(a, b):
    assert torch.allclose(a, b, atol=1e-5)


def test_cfg_asks_both_and_leaves_the_negative_at_1():
    guess, asked = drive(Cfg(text(1), text(2), 3.0))
    close(guess.denoised, answer(2) + 3.0 * (answer(1) - answer(2)))
    assert (asked, torch.equal(guess.uncond, answer(2))) == ([1, 2], True)
    guess, asked = drive(Cfg(text(1), text(2), 1.0))
    assert asked == [1]
    assert torch.equal(guess.denoised, answer(1))
    assert not guess.uncond.any()


def test_a_basic_guider_follows_one_text():
    guess, asked = drive(Cfg(text(1)))
    assert asked == [1]
    assert torch.equal(guess.denoised, answer(1))


def test_dual_guidance_regular():
    # 5.5: D = [D_neg + b(D_2 - D_neg)] + a(D_1 - D_2)
    guess, asked = drive(DualCfg(text(1), text(2), text(3), 4.0, 2.5))
    close(guess.denoised, answer(3) + 2.5 * (answer(2) - answer(3)) + 4.0 * (answer(1) - answer(2)))
    assert asked == [1, 2, 3]


def test_dual_guidance_nested():
    # 5.5: D_neg + b(G - D_neg), G = D_2 + a(D_1 - D_2)
    guess, _ = drive(DualCfg(text(1), text(2), text(3), 4.0, 2.5, "nested"))
    inner = answer(2) + 4.0 * (answer(1) - answer(2))
    close(guess.denoised, answer(3) + 2.5 * (inner - answer(3)))


def test_dual_guidance_regular_leaves_out_what_a_scale_of_1_cancels():
    guess, asked = drive(DualCfg(text(1), text(2), text(3), 4.0, 1.0))
    assert asked == [1, 2]
    close(guess.denoised, answer(2) + 4.0 * (answer(1) - answer(2)))
    guess, asked = drive(DualCfg(text(1), text(2), text(3), 1.0, 1.0))
    assert asked == [1]
    close(guess.denoised, answer(1))
    assert drive(DualCfg(text(1), text(2), text(3), 1.0, 2.0))[1] == [1, 2, 3]
    assert drive(DualCfg(text(1), text(2), text(3), 1.0, 1.0, "nested"))[1] == [1, 2, 3]
    assert drive(DualCfg(text(1), text(2), text(3), 1.0, 1.0), Setting(needs_uncond=True))[1] == [1, 2, 3]


def test_perp_neg_takes_away_what_is_at_right_angles():
    # 5.5, with the inner product over the whole tensor, batch included
    guess, asked = drive(PerpNeg(text(1), text(2), text(3), 5.0, 0.7))
    p, q = answer(1) - answer(3), answer(2) - answer(3)
    g = q - (q * p).sum() / (p * p).sum() * p
    close(guess.denoised, answer(3) + 5.0 * (p - 0.7 * g))
    assert abs(float((g * p).sum())) < 1e-2
    assert asked == [1, 2, 3]


def test_perp_neg_without_a_negative_asks_for_less():
    assert drive(PerpNeg(text(1), text(2), text(3), 5.0, 0.0))[1] == [1, 3]
    guess, asked = drive(PerpNeg(text(1), text(2), text(3), 1.0, 0.0))
    assert asked == [1]
    close(guess.denoised, answer(1))
    assert torch.isfinite(drive(PerpNeg(text(1), text(2), text(1), 2.0))[0].denoised).all()


@dataclass(frozen=True)
class Told(GuidancePatch):
    """Writes down in which order it is called, and adds 1 at each place."""

    name: str
    told: tuple[list[str], ...] = field(hash=False, default=([],))
    combines: bool = False

    def hooks(self):
        def before(moment):
            self.told[0].append(f"{self.name} before")
            yield from ()
            return moment.cond + 1.0, moment.uncond + 1.0

        def combine(moment):
            self.told[0].append(f"{self.name} combine")
            return moment.uncond * 0.0

        def after(moment):
            self.told[0].append(f"{self.name} after")
            return moment.denoised + 1.0

        return GuidanceHooks(
            before=(before,), combine=answered(combine) if self.combines else None, after=(answered(after),)
        )


def test_patches_are_called_in_their_order_and_the_last_combination_is_taken():
    told: list[str] = []
    patches = [Told("a", (told,), combines=True), Told("b", (told,), combines=True), Told("c", (told,))]
    guess, _ = drive(Cfg(text(1), text(2), 3.0), Setting(split_patches(patches)[1]))
    expected = ["a before", "b before", "c before", "b combine", "a after", "b after", "c after"]  # 5.2, hook order
    assert told == expected
    close(guess.denoised, torch.full(SHAPE, 3.0))
    close(guess.uncond, answer(2) + 3.0)


def test_dual_guidance_calls_hooks_for_the_bracket_only():
    told: list[str] = []
    hooks = split_patches([Told("a", (told,))])[1]
    guess, _ = drive(DualCfg(text(1), text(2), text(3), 4.0, 2.5), Setting(hooks))
    assert told == ["a after"]
    close(guess.denoised, answer(3) + 2.5 * (answer(2) - answer(3)) + 1.0 + 4.0 * (answer(1) - answer(2)))


def test_an_after_hook_may_ask_the_network_again():
    @dataclass(frozen=True)
    class Again(GuidancePatch):
        def hooks(self):
            def after(moment):
                again = yield from moment.ask("negative", x=moment.x * 2.0)
                return moment.denoised + again

            return GuidanceHooks(after=(after,), keeps_uncond=True)

    guess, asked = drive(Cfg(text(1), text(2), 1.0), Setting(Again().hooks()))
    assert asked == [1, 2, 2]  # keeps_uncond: the negative is asked at cfg 1 too
    close(guess.denoised, answer(1) + answer(2))


def test_whoever_evaluates_himself_is_given_all_lists():
    def evaluating(lists, x, sigma, patches, run):
        yield from ()
        return {role: torch.full_like(x, float(len(parts))) for role, parts in lists.items()}

    guess, asked = drive(Cfg(text(1) * 3, text(2), 2.0), Setting(GuidanceHooks(evaluate=evaluating)))
    assert asked == []
    close(guess.denoised, torch.full(SHAPE, 1.0 + 2.0 * (3.0 - 1.0)))


def test_joined_hooks_keep_the_last_of_what_there_can_be_one_of():
    first = GuidanceHooks(keeps_uncond=True, combine=answered(lambda moment: moment.cond))
    second = GuidanceHooks(combine=answered(lambda moment: moment.uncond))
    assert join([first, second]).combine is second.combine
    assert join([first, GuidanceHooks()]).combine is first.combine
    assert join([first, second]).keeps_uncond


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_a_run_with_a_guiding_is_the_run_with_its_lists(cfg):
    run = synthetic_run("euler", cfg=cfg)
    told = replace(run, positive=(), negative=(), guiding=Cfg(run.positive, run.negative, cfg))
    assert torch.equal(sample(run, Synthetic()).samples, sample(told, Synthetic()).samples)
