"""The whole family in a budget: the plan, and one command that makes it, may be killed, and goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.training import starter
from engine.training.evaluate import SCALES
from engine.training.family import SIZES, STAGES
from engine.training.loop import TrainingError
from engine.training.starter import REFERENCE, SHARES, kept_plan, main, plan_of, seconds_of, trial


def test_the_shares_are_of_every_stage_and_make_one() -> None:
    assert set(SHARES) == set(STAGES) - {"vision"}, "the stage text makes a vision tower, too"
    assert sum(share.part for share in SHARES.values()) <= 1.0


@pytest.mark.parametrize("text", ["", "30", "m", "-3m", "0m", "3 days", "nan"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        seconds_of(text)


def test_a_plan_fits_its_budget_and_grows_with_it() -> None:
    for hours in (0.5, 2.0, 8.0):
        plan = plan_of(3600 * hours, "starter", REFERENCE)
        cost = sum(plan.steps[stage] * share.seconds for stage, share in SHARES.items())
        cost += plan.shards * SIZES["starter"].shard / starter.RENDERED
        assert cost <= 3600 * hours
    small, large = plan_of(1800, "starter", REFERENCE), plan_of(7200, "starter", REFERENCE)
    assert all(small.steps[stage] <= large.steps[stage] for stage in SHARES)
    assert plan_of(1e9, "starter", REFERENCE).steps == {s: SIZES["starter"].settings[s].steps for s in SHARES}
    slow = plan_of(7200, "starter", 2 * REFERENCE)
    assert slow.steps["unet"] == pytest.approx(large.steps["unet"] / 2, abs=1)


def test_the_trial_takes_the_middle_of_what_it_measures() -> None:
    ticks = iter([t for n, length in enumerate([9, 9, 1, 2, 5, 3, 4]) for t in (100 * n, 100 * n + length)])
    assert trial(SIZES["tiny"], "cpu", lambda: next(ticks)) == 3


def test_a_plan_is_kept_and_another_budget_is_refused(tmp_path: Path) -> None:
    made = kept_plan(tmp_path, 60.0, "tiny", lambda: plan_of(60.0, "tiny", 1.0))
    assert kept_plan(tmp_path, 60.0, "tiny", lambda: pytest.fail("it is planned once")) == made
    with pytest.raises(TrainingError, match="60 s"):
        kept_plan(tmp_path, 90.0, "tiny", lambda: made)
    path = tmp_path / "plan.json"
    path.write_text(path.read_text().replace('"x4"', '"something_else"'))
    with pytest.raises(TrainingError, match=r"plan\.json: planned for other stages"):
        kept_plan(tmp_path, 60.0, "tiny", lambda: made)


def test_one_command_makes_the_family_and_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--budget", "1s", "--size", "tiny", "--out", str(tmp_path), "--judge", "4", "--threads", "1"]
    monkeypatch.setattr(starter, "LEAST_STEPS", 4)
    original, begun = starter.run_stage, []

    def killed(stage: str, *args: object, **more: object) -> object:
        if stage == "unet" and not begun:
            begun.append(stage)
            raise KeyboardInterrupt
        return original(stage, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(starter, "run_stage", killed)
    with pytest.raises(KeyboardInterrupt):
        main(words)
    plan = json.loads((tmp_path / "plan.json").read_text())
    stamp = (tmp_path / "vae.safetensors").stat().st_mtime_ns
    assert main(words) == 0
    assert json.loads((tmp_path / "plan.json").read_text()) == plan
    assert (tmp_path / "vae.safetensors").stat().st_mtime_ns == stamp, "a finished stage is left alone"
    assert all((tmp_path / f"{stage}.safetensors").exists() for stage in SHARES)
    rows = json.loads((tmp_path / "evaluation-v.json").read_text())
    assert [row["scale"] for row in rows] == [None, None, None, *SCALES] and rows[0]["pictures"] == 4
    capsys.readouterr()
    assert main([*words[:1], "2s", *words[2:]]) == 2
    assert "another folder" in capsys.readouterr().err
