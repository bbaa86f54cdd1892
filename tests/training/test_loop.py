"""The loop: learning, rates, averages, resuming after a kill, and numbers that are none."""

import csv
import io
import math

import pytest
import torch
from torch import nn

from engine.training.loop import (
    MOST_BAD,
    Run,
    Settings,
    TrainingError,
    ema_decay_at,
    generator_of,
    rate_at,
    train,
)

SETTINGS = Settings(steps=40, rate=0.02, batch=8, warm_up=5, log_every=1)


def make(settings=SETTINGS):
    torch.manual_seed(0)
    run = Run(nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 1)), settings)

    def loss_of(step, part):
        x = torch.randn(8, 3, generator=generator_of(settings.seed, step, part))
        return (run.module(x) - x.sum(dim=1, keepdim=True)).square().mean()

    return run, loss_of


def test_a_small_problem_is_learned(tmp_path):
    run, loss_of = make(Settings(steps=200, rate=0.02, batch=8, warm_up=5))
    before = sum(loss_of(10_000 + i, 0).item() for i in range(10))
    outcome = train(run, loss_of, tmp_path, show=None)
    after = sum(loss_of(10_000 + i, 0).item() for i in range(10))
    assert outcome.finished and after < 0.1 * before


def test_a_killed_and_resumed_run_ends_bit_for_bit_as_one_that_was_not_killed(tmp_path):
    whole, loss_of = make()
    train(whole, loss_of, tmp_path / "whole", show=None)

    killed, loss_of = make()
    with pytest.raises(KeyboardInterrupt):

        def stop(step):
            if step == 17:
                raise KeyboardInterrupt

        # saved after every step, as the clock jumps by more than save_seconds; killed after step 17 was logged
        ticks = iter(range(0, 10**6, 1000))
        train(killed, loss_of, tmp_path / "cut", show=None, clock=lambda: float(next(ticks)), every={1: stop})
    again, loss_of = make()
    with torch.no_grad():
        for p in again.module.parameters():
            p.fill_(9.0)  # a resumed run takes nothing from how its network was made
    outcome = train(again, loss_of, tmp_path / "cut", resume=True, show=None)
    assert outcome.step == 40
    for name, p in whole.parameters.items():
        assert torch.equal(p, again.parameters[name]) and torch.equal(whole.ema[name], again.ema[name])
    logs = [list(csv.reader((tmp_path / name / "loss.csv").open())) for name in ("whole", "cut")]
    assert [row[:4] for row in logs[0]] == [row[:4] for row in logs[1]]


def test_a_folder_with_a_state_is_not_overwritten_and_other_settings_are_refused(tmp_path):
    run, loss_of = make()
    train(run, loss_of, tmp_path, show=None)
    with pytest.raises(TrainingError, match="resume it"):
        train(*make(), tmp_path, show=None)
    other, loss_of = make(Settings(steps=40, rate=0.5, batch=8, warm_up=5, log_every=1))
    with pytest.raises(TrainingError, match=r"rate = 0\.02, and 0\.5"):
        train(other, loss_of, tmp_path, resume=True, show=None)


def test_a_run_stops_when_its_time_is_over_and_says_so(tmp_path):
    ticks = iter(range(0, 10**6, 10))
    outcome = train(*make(), tmp_path, minutes=1, show=None, clock=lambda: float(next(ticks)))
    assert not outcome.finished and 0 < outcome.step < 10


def test_accumulated_batches_are_one_large_batch():
    data = torch.randn(8, 3, generator=generator_of(0, 0))

    def weights(accumulate):
        run, _ = make(Settings(steps=1, rate=0.02, batch=8, accumulate=accumulate, clip=1e9, warm_up=1))
        parts = data.chunk(accumulate)

        def loss_of(step, part):
            return (run.module(parts[part]) - 1).square().mean()

        from engine.training.loop import advance

        advance(run, loss_of)
        return torch.cat([p.flatten() for p in run.parameters.values()])

    assert torch.allclose(weights(1), weights(4), atol=1e-4)  # Adam's first step is rate · sign, so rounding shows


def test_the_rate_warms_up_and_falls_along_a_cosine():
    settings = Settings(steps=110, rate=1.0, batch=1, warm_up=10, final_rate=0.1)
    assert rate_at(0, settings) == pytest.approx(0.1)
    assert rate_at(9, settings) == pytest.approx(1.0)
    assert rate_at(60, settings) == pytest.approx(0.55)  # the middle of the cosine from 1 to 0.1
    assert rate_at(110, settings) == pytest.approx(0.1)


def test_the_average_forgets_quickly_at_first():
    assert [round(ema_decay_at(n, 0.9999), 4) for n in (0, 90, 10**6)] == [0.1, 0.91, 0.9999]
    run, loss_of = make(Settings(steps=1, rate=0.02, batch=8, warm_up=1))
    start = {name: p.detach().clone() for name, p in run.parameters.items()}
    from engine.training.loop import advance

    advance(run, loss_of)
    for name, p in run.parameters.items():
        assert torch.allclose(run.ema[name], 0.1 * start[name] + 0.9 * p, atol=1e-6)


def test_a_loss_that_is_no_number_changes_nothing_and_many_end_the_run(tmp_path):
    run, loss_of = make()
    before = [p.detach().clone() for p in run.parameters.values()]
    from engine.training.loop import advance

    advance(run, lambda step, part: loss_of(step, part) * math.nan)
    assert run.step == 1 and all(torch.equal(a, b) for a, b in zip(before, run.parameters.values(), strict=True))
    with pytest.raises(TrainingError, match=f"the last {MOST_BAD} losses"):
        train(run, lambda step, part: loss_of(step, part) * math.nan, tmp_path, show=None)


def test_batches_of_different_steps_parts_and_purposes_share_nothing():
    drawn = {torch.rand(1, generator=generator_of(*args)).item() for args in [
        (0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 0, 0, 1), (1, 1),
    ]}  # fmt: skip
    assert len(drawn) == 6


def test_progress_and_log_tell_where_a_run_is(tmp_path):
    shown = io.StringIO()
    train(*make(), tmp_path, show=shown)
    assert "40/40" in shown.getvalue() and "s/step" in shown.getvalue()
    rows = list(csv.DictReader((tmp_path / "loss.csv").open()))
    assert [int(row["step"]) for row in rows] == list(range(1, 41))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_a_state_of_a_network_of_other_widths_is_refused(tmp_path):
    Run(nn.Linear(2, 3), SETTINGS).save(tmp_path / "state.pt")
    with pytest.raises(TrainingError, match="it holds another network; train into another folder"):
        Run(nn.Linear(2, 4), SETTINGS).restore(tmp_path / "state.pt")
