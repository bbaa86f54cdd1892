"""One miniature checkpoint for all tests here, and the networks that come of it."""

import pytest
import torch

from engine.diffusion.checkpoint import open_checkpoint
from engine.runtime.device.precision import choose_dtypes
from engine.runtime.device.residency import Residency
from tests.checkpoints.files import tensors, write

torch.set_num_threads(1)


@pytest.fixture(scope="package")
def checkpoint(tmp_path_factory):
    return open_checkpoint(write(tmp_path_factory.mktemp("models") / "m.safetensors", tensors()))


@pytest.fixture(scope="package")
def other(tmp_path_factory):
    """The same family with other weights."""
    return open_checkpoint(write(tmp_path_factory.mktemp("models") / "other.safetensors", tensors(seed=2)))


@pytest.fixture
def residency():
    cpu = torch.device("cpu")
    return Residency(cpu, choose_dtypes("fp32", "cpu"), 2**30)
