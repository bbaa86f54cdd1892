"""Recorded passes of the networks in memory: which are recorded, and that what they take is in the budget."""

import pytest
import torch

from engine.diffusion.adapters.hypernetwork import open_hypernetwork
from engine.diffusion.checkpoint import open_checkpoint
from engine.diffusion.guidance import Call
from engine.diffusion.network import unet_network
from engine.diffusion.schedules import discrete
from engine.runtime.device.precision import choose_dtypes
from engine.runtime.device.residency import Residency
from tests.adapters.test_hypernetwork import save as save_hypernetwork
from tests.diffusion.tape import record
from tests.memory.models import TEXT, write_model

PLENTY = 2**40


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return open_checkpoint(write_model(tmp_path_factory.mktemp("models") / "m.safetensors"))


@pytest.fixture
def residency():
    made = Residency(torch.device("cpu"), choose_dtypes("fp32", "cpu"), PLENTY)
    made.record_by(record)
    return made


def ask(checkpoint, unet, times=3):
    network = unet_network(unet, discrete(checkpoint.config.schedule), torch.float32, "cpu")
    generator = torch.Generator().manual_seed(3)
    call = Call(torch.randn(1, 4, 8, 8, generator=generator), torch.tensor(2.0), torch.randn(
        1, 77, TEXT, generator=generator))
    return [network([call])[0] for _ in range(times)]


def test_a_patch_that_comes_and_goes_is_recorded_once(checkpoint, residency, tmp_path):
    path, _ = save_hypernetwork(tmp_path, (TEXT,))
    patch = open_hypernetwork(path, checkpoint.unet, 1.0)
    answers = {False: [], True: []}
    for on in (False, True, False, True, False):
        answers[on] += ask(checkpoint, residency.have(checkpoint.unet, (patch,) if on else ()))
    assert residency.replays.made == 2
    for each in answers.values():
        assert all(torch.equal(one, each[0]) for one in each)
    assert not torch.equal(answers[False][0], answers[True][0])


def test_recordings_are_in_the_budget_and_room_is_made_of_them(checkpoint, residency):
    ask(checkpoint, residency.have(checkpoint.unet))
    weights = residency.nbytes
    held = residency.ledger.held
    assert held > weights
    residency.ledger.budget = held - 1
    residency.ledger.make_room(0)
    assert residency.ledger.held <= held - 1


def test_streamed_networks_are_not_recorded(checkpoint, residency):
    unet = residency.have(checkpoint.unet, placement="least")
    assert residency.is_streamed(checkpoint.unet)
    ask(checkpoint, unet)
    assert residency.replays.made == 0
    assert unet.replays is None


def test_plain_records_nothing():
    cuda = torch.device("cuda")
    assert Residency(cuda, choose_dtypes("fp32", "cuda"), PLENTY, plain=True).replays is None
    assert Residency(cuda, choose_dtypes("fp32", "cuda"), PLENTY).replays is not None
