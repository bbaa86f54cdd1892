"""Two processes that train together do what one does."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from engine.training import processes
from engine.training.family import SIZES, run_stage
from engine.training.files import read_model
from engine.training.loop import TrainingError, train
from tests.training.test_loop import make

TOGETHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.full
def test_two_processes_make_the_weights_that_one_makes(tmp_path):
    """
    vae.safetensors ─ two processes, a batch each ─┐
    vae.safetensors ─ one process, both batches ───┴ the same weights, one log, one state
    """
    words = ["family", "--size", "tiny", "--stage", "vae", "--accumulate", "2", "--threads", "1"]
    done = subprocess.run(
        [*TOGETHER, "-m", "engine.training", *words, "--out", str(tmp_path / "two")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 1
    settings = SIZES["tiny"].settings["vae"]
    alone = replace(settings, accumulate=2)
    path, outcome = run_stage("vae", SIZES["tiny"], tmp_path / "one", settings=alone, quiet=True)
    one, two = (read_model(tmp_path / name / "vae.safetensors", "").tensors for name in ("one", "two"))
    assert path.exists() and set(one) == set(two)
    far = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert far <= 2e-3, far  # Adam's first steps are rate · sign, so rounding shows; the file has 11 bits
    logs = [(tmp_path / name / "state" / "vae" / "loss.csv").read_text().splitlines() for name in ("one", "two")]
    for one, two in zip(*(log[1:] for log in logs), strict=True):  # step, loss, rate, gradient, seconds
        numbers = [[float(number) for number in line.split(",")[:4]] for line in (one, two)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-3)
    assert len(logs[0]) == settings.steps + 1 and outcome.finished


def test_processes_that_did_not_meet_do_not_train_into_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.training.processes.started", lambda: 2)
    with pytest.raises(TrainingError, match="start this one alone"):
        train(*make(), tmp_path, show=None)


@pytest.mark.parametrize("accumulate", [0, -1])
def test_a_step_has_a_batch(tmp_path, accumulate):
    run, loss_of = make()
    run.settings = replace(run.settings, accumulate=accumulate)
    with pytest.raises(TrainingError, match="batches a step"):
        train(run, loss_of, tmp_path, show=None)


def test_batches_that_cannot_be_shared_evenly_are_refused(tmp_path, monkeypatch):
    for name in ("count", "started"):
        monkeypatch.setattr(f"engine.training.processes.{name}", lambda: 2)
    with pytest.raises(TrainingError, match="multiple of 2"):
        train(*make(), tmp_path, show=None)


def test_a_process_alone_takes_every_batch():
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.ones(3)
    assert list(processes.share(3)) == [0, 1, 2]
    assert processes.add_up([parameter], 0.5) == 0.5 and parameter.grad.tolist() == [1.0, 1.0, 1.0]
    assert processes.is_first() and processes.agreed(False) is False
